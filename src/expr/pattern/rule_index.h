#pragma once
// What a RuleSet is made of. Inside the folder only.
//
//   paths   (parent's id, segment) -> PathNode    field paths, split at their dots, as a tree
//   atoms   (path, kind, operand)  -> Atom        what one look-up in a field's value can find
//   posts   (post above, atom)     -> Post        the rules that wait there, and whether more wait below
//   rules   id                     -> RuleEntry   what has to be taken away when a rule goes
//
// An atom is implied by some test of a pattern: where it is missing, the test is false. An `exact` one is the
// whole test. Everything that matching marks has a small number of its own, so that marks are arrays.
#include <string>
#include <vector>

#include "expr/pattern/compiler.h"
#include "expr/pattern/persistent_map.h"
#include "expr/pattern/range_tree.h"
#include "expr/pattern/rule_set.h"

namespace sortie::pattern {

enum class AtomKind : std::uint8_t {
  kAny,           // Some scalar is there.
  kText,          // operand: the whole string.
  kPrefix,        // operand: `length` bytes; so with the other prefixes and suffixes.
  kSuffix,        //
  kFoldedText,    // operand: the whole string, ASCII letters in lower case; so with the next two.
  kFoldedPrefix,  //
  kFoldedSuffix,  //
  kGram,          // operand: kGramBytes that occur somewhere in the string.
  kLiteral,       // operand: true, false, null.
  kNumber,        // operand: the bytes of a comparable double.
  kNumberText,    // operand: a number's spelling.
  kRange,         // operand: the bytes of the two ends.
  kAddress4,      // operand: an address whose bits after the first `length` are zero.
  kAddress6       //
};

inline constexpr std::size_t kGramBytes = 4;

struct AtomSpec {
  AtomKind kind = AtomKind::kAny;
  std::uint32_t length = 0;
  bool exact = false;
  NumberRange range;
  std::string operand;
};

// The atoms that a test can be found by: any one of them will do. None where absence satisfies the test.
std::vector<AtomSpec> atoms_of(const ValueTest& test);

// A path that patterns name. `chain` has the ids of all nodes on the way to it, its own last.
struct PathPlace : Counted {
  std::uint32_t id = 0;
  std::string text;
  std::vector<std::uint32_t> chain;
};

struct Atom : Counted {
  std::uint32_t id = 0;
  AtomKind kind = AtomKind::kAny;
  std::uint32_t length = 0;
  std::uint64_t key = 0;  // In `atoms`.
  Ref<const PathPlace> place;
  NumberRange range;
  std::string operand;
};

struct AtomSlot {
  Ref<const Atom> atom;
  std::uint32_t uses = 0;  // In postings.
};

// The atoms of one kind and length at a path.
struct Probe {
  std::uint64_t seed = 0;
  AtomKind kind = AtomKind::kAny;
  std::uint32_t length = 0;
  std::uint32_t atoms = 0;
};

// A set of segments, roughly: one bit for each, by its length and ends. What is removed stays in it.
using NameMask = std::uint64_t;
inline NameMask name_mask(std::string_view segment) {
  if (segment.empty()) return 1;
  const unsigned ends =
      static_cast<unsigned char>(segment.front()) * 7u + static_cast<unsigned char>(segment.back()) * 3u;
  return NameMask{1} << ((ends + segment.size() * 11) & 63);
}

// Inline, because most are short and different.
inline bool same_text(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  const std::size_t size = a.size();
  if (size > 16) return std::memcmp(a.data(), b.data(), size) == 0;
  if (size >= 8) {
    return load_word(a.data()) == load_word(b.data()) &&
           load_word(a.data() + size - 8) == load_word(b.data() + size - 8);
  }
  if (size >= 4) {
    return load_half(a.data()) == load_half(b.data()) &&
           load_half(a.data() + size - 4) == load_half(b.data() + size - 4);
  }
  for (std::size_t i = 0; i < size; ++i) {
    if (a[i] != b[i]) return false;
  }
  return true;
}

struct PathNode : Counted {
  std::uint32_t id = 0;
  std::uint32_t parent = 0;
  std::uint32_t depth = 0;  // Segments.
  std::uint32_t children = 0;
  std::uint32_t conditions = 0;
  NameMask names = 0;  // Of the children.
  std::string segment;
  Ref<const PathPlace> place;  // Where there are conditions.
  std::vector<Probe> probes;
  RangeTree ranges;
};

struct Condition {
  Ref<const PathPlace> place;
  std::shared_ptr<const ValueTests> tests;
};

using AtomChain = std::vector<Ref<const Atom>>;  // From the root of the posts to the post.

// One combination of a pattern.
struct Candidate : Counted {
  std::uint32_t number = 0;
  std::uint32_t rule_number = 0;
  RuleId rule = 0;
  bool verify = false;          // Its atoms alone do not say whether it matches.
  bool allows_absence = false;  // Some condition does.
  std::vector<Condition> conditions;
  std::vector<AtomChain> postings;
};

struct Post : Counted {
  std::uint32_t id = 0;
  std::uint32_t children = 0;
  std::vector<Ref<const Candidate>> candidates;
};

struct RuleEntry : Counted {
  std::uint32_t number = 0;
  std::size_t bytes = 0;
  std::vector<Ref<const Candidate>> candidates;
};

// Hands out small numbers and takes them back. Copies share the list of free ones.
class NumberPool {
 public:
  NumberPool() = default;
  NumberPool(const NumberPool&) = default;
  NumberPool& operator=(const NumberPool&) = default;
  ~NumberPool();

  std::uint32_t take();
  void give_back(std::uint32_t number);
  std::uint32_t end() const { return next_; }  // Above all that were ever taken.

 private:
  struct Cell : Counted {
    std::uint32_t number = 0;
    Ref<Cell> next;
  };
  std::uint32_t next_ = 1;
  Ref<Cell> free_;
};

inline constexpr std::uint32_t kRootPath = 0;
inline constexpr std::uint32_t kRootPost = 0;

inline std::uint64_t path_key(std::uint32_t parent, std::string_view segment) {
  return hash_text(segment, parent);
}
inline std::uint64_t post_key(std::uint32_t above, std::uint32_t atom) {
  return mix_bits(static_cast<std::uint64_t>(above) << 32 | atom);
}
inline std::uint64_t probe_seed(std::uint32_t path, AtomKind kind, std::uint32_t length) {
  return mix_bits(static_cast<std::uint64_t>(path) << 32 ^ static_cast<std::uint64_t>(kind) << 27 ^ length);
}
// Where two different names or operands have the same key, the second one is that much further on.
inline constexpr std::uint64_t kNextKey = 0x9E3779B97F4A7C15ULL;

struct RuleIndex {
  PersistentMap<Ref<PathNode>> paths;
  PersistentMap<AtomSlot> atoms;
  PersistentMap<Ref<Post>> posts;
  PersistentMap<Ref<RuleEntry>> rules;
  Ref<Post> always;  // Rules that no atom can find: they only ask for absence.
  NumberPool path_ids;
  NumberPool atom_ids;
  NumberPool post_ids;
  NumberPool candidate_numbers;
  NumberPool rule_numbers;
  std::size_t bytes = 0;
  NameMask root_names = 0;

  const PathNode* find_path(std::uint32_t parent, std::string_view segment) const {
    for (std::uint64_t key = path_key(parent, segment);; key += kNextKey) {
      const Ref<PathNode>* node = paths.find(key);
      if (node == nullptr) return nullptr;
      if ((*node)->parent == parent && same_text((*node)->segment, segment)) return node->get();
    }
  }
  // The key that the node has, or would have.
  std::uint64_t path_place(std::uint32_t parent, std::string_view segment) const {
    for (std::uint64_t key = path_key(parent, segment);; key += kNextKey) {
      const Ref<PathNode>* node = paths.find(key);
      if (node == nullptr || ((*node)->parent == parent && same_text((*node)->segment, segment))) return key;
    }
  }
  const Atom* find_atom(const Probe& probe, std::uint32_t path, std::string_view operand) const {
    for (std::uint64_t key = hash_text(operand, probe.seed);; key += kNextKey) {
      const AtomSlot* slot = atoms.find(key);
      if (slot == nullptr) return nullptr;
      const Atom& atom = *slot->atom;
      if (atom.place->id == path && atom.kind == probe.kind && atom.length == probe.length &&
          same_text(atom.operand, operand)) {
        return &atom;
      }
    }
  }
  const Post* find_post(std::uint32_t above, std::uint32_t atom) const {
    const Ref<Post>* post = posts.find(post_key(above, atom));
    return post == nullptr ? nullptr : post->get();
  }
};

}  // namespace sortie::pattern
