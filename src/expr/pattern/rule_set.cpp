#include "expr/pattern/rule_set.h"

#include <algorithm>

#include "expr/pattern/match_state.h"
#include "expr/pattern/rule_index.h"

namespace sortie::pattern {

namespace rule_set_detail {

constexpr std::size_t kCrowd = 8;             // So many wait at one post before newcomers go below it.
constexpr std::size_t kPostingsDeepMax = 64;  // A combination with more postings does not go deeper.

// What the pieces take, with what the allocator and the maps add; measured, see bench/RESULTS.md.
constexpr std::size_t kMapEntryBytes = 32;
constexpr std::size_t kPathBytes = sizeof(PathNode) + sizeof(PathPlace) + sizeof(Probe) + 64 + kMapEntryBytes;
constexpr std::size_t kAtomBytes = sizeof(Atom) + sizeof(AtomSlot) + kMapEntryBytes;
constexpr std::size_t kPostBytes = sizeof(Post) + kMapEntryBytes;
constexpr std::size_t kRuleBytes = sizeof(RuleEntry) + kMapEntryBytes + 48;

std::size_t bytes_of_tests(const ValueTests& tests) {
  std::size_t bytes = 64;
  for (const ValueTest& test : tests) {
    bytes += sizeof test + (test.text.size() > 15 ? test.text.size() + 16 : 0);
    if (!test.detail) continue;
    bytes += sizeof(TestDetail) + 32 + test.detail->folded.size() * sizeof(CasePair);
    if (!test.detail->but.empty()) bytes += bytes_of_tests(test.detail->but);
  }
  return bytes;
}

}  // namespace rule_set_detail

using namespace rule_set_detail;

NumberPool::~NumberPool() {
  // One by one, because the list may be long and letting go of its head would recurse.
  while (free_ && free_->references.load(std::memory_order_acquire) == 1) free_ = std::move(free_->next);
}

std::uint32_t NumberPool::take() {
  if (!free_) return next_++;
  const std::uint32_t number = free_->number;
  Ref<Cell> rest = free_->next;
  free_ = std::move(rest);
  return number;
}

void NumberPool::give_back(std::uint32_t number) {
  Ref<Cell> cell(new Cell);
  cell->number = number;
  cell->next = std::move(free_);
  free_ = std::move(cell);
}

// Puts rules into an index and takes them out.
class RuleEditor {
 public:
  explicit RuleEditor(RuleIndex& index) : index_(index) {}

  void add(RuleId id, const PatternRules& rules) {
    const std::size_t before = index_.bytes;
    Ref<RuleEntry> entry(new RuleEntry);
    entry->number = index_.rule_numbers.take();
    entry->candidates.reserve(rules.combinations.size());
    for (const Combination& combination : rules.combinations) add_candidate(id, *entry, combination);
    index_.bytes += kRuleBytes;
    entry->bytes = index_.bytes - before;
    index_.rules.edit(mix_bits(id)) = std::move(entry);
  }

  bool remove(RuleId id) {
    const Ref<RuleEntry>* found = index_.rules.find(mix_bits(id));
    if (found == nullptr) return false;
    const Ref<RuleEntry> entry = *found;
    for (const Ref<const Candidate>& candidate : entry->candidates) remove_candidate(candidate);
    index_.rule_numbers.give_back(entry->number);
    index_.rules.erase(mix_bits(id));
    index_.bytes -= kRuleBytes;
    return true;
  }

 private:
  struct Choice {
    std::size_t condition = 0;
    std::vector<const AtomSpec*> atoms;  // One for each test.
    std::size_t cost = SIZE_MAX;
  };
  using Alternatives = std::vector<std::vector<AtomSpec>>;  // Of each test of a condition.

  void add_candidate(RuleId id, RuleEntry& entry, const Combination& combination) {
    Ref<Candidate> candidate(new Candidate);
    candidate->number = index_.candidate_numbers.take();
    candidate->rule = id;
    candidate->rule_number = entry.number;
    candidate->verify = combination.size() > 1;
    candidate->conditions.reserve(combination.size());
    std::vector<std::size_t> open;
    alternatives_.assign(combination.size(), {});
    for (const auto& [path, tests] : combination) {
      const std::size_t number = candidate->conditions.size();
      candidate->conditions.push_back({add_path(path), tests});
      const bool absence = allows_absence(*tests);
      candidate->allows_absence = candidate->allows_absence || absence;
      if (absence) continue;
      for (const ValueTest& test : *tests) alternatives_[number].push_back(atoms_of(test));
      open.push_back(number);
    }
    AtomChain chain;
    if (open.empty()) {
      candidate->verify = true;
      index_.always.own().candidates.push_back(Ref<const Candidate>(candidate.get()));
    } else {
      place(*candidate, kRootPost, chain, open);
    }
    candidate->postings.shrink_to_fit();
    index_.bytes += bytes_of(*candidate);
    entry.candidates.push_back(Ref<const Candidate>(candidate.get()));
  }

  void remove_candidate(const Ref<const Candidate>& candidate) {
    index_.bytes -= bytes_of(*candidate);
    if (candidate->postings.empty()) withdraw(index_.always.own(), *candidate);
    for (const AtomChain& chain : candidate->postings) remove_posting(*candidate, chain);
    for (const Condition& condition : candidate->conditions) remove_path(*condition.place);
    index_.candidate_numbers.give_back(candidate->number);
  }

  static std::size_t bytes_of(const Candidate& candidate) {
    std::size_t bytes = sizeof(Candidate) + 32;
    for (const AtomChain& chain : candidate.postings) {
      bytes += sizeof chain + 16 + chain.size() * sizeof chain[0] + 2 * sizeof(void*);
    }
    for (const Condition& condition : candidate.conditions) {
      bytes += sizeof condition + bytes_of_tests(*condition.tests);
    }
    return bytes;
  }

  // ---- Where a candidate waits.

  // Puts the candidate below `above`, by the condition whose posts are emptiest there.
  void place(Candidate& candidate, std::uint32_t above, AtomChain& chain,
             const std::vector<std::size_t>& open) {
    const Choice choice = choose(candidate, above, open);
    std::vector<std::size_t> rest = open;
    std::erase(rest, choice.condition);
    const Condition& condition = candidate.conditions[choice.condition];
    for (const AtomSpec* spec : choice.atoms) {
      candidate.verify = candidate.verify || !spec->exact;
      chain.push_back(take_atom(*condition.place, *spec));
      const std::uint32_t atom = chain.back()->id;
      const Post* post = index_.find_post(above, atom);
      const std::size_t waiting = post == nullptr ? 0 : post->candidates.size();
      if (waiting < kCrowd || rest.empty() || candidate.postings.size() >= kPostingsDeepMax) {
        wait_at(candidate, above, chain);
      } else {
        place(candidate, post->id, chain, rest);
      }
      drop_atom(chain.back());
      chain.pop_back();
    }
  }

  Choice choose(const Candidate& candidate, std::uint32_t above, const std::vector<std::size_t>& open) const {
    Choice best;
    for (const std::size_t number : open) {
      Choice choice;
      choice.condition = number;
      choice.cost = alternatives_[number].size() / 4;
      for (const std::vector<AtomSpec>& atoms : alternatives_[number]) {
        std::size_t least = SIZE_MAX;
        const AtomSpec* emptiest = nullptr;
        for (const AtomSpec& spec : atoms) {
          const std::size_t cost = crowd_at(candidate.conditions[number].place->id, spec, above);
          if (cost < least) {
            least = cost;
            emptiest = &spec;
          }
        }
        choice.atoms.push_back(emptiest);
        choice.cost += least;
      }
      if (choice.cost < best.cost) best = std::move(choice);
    }
    return best;
  }

  // How many wait there, and how much of a burden the atom itself is.
  std::size_t crowd_at(std::uint32_t path, const AtomSpec& spec, std::uint32_t above) const {
    const std::size_t burden = spec.kind == AtomKind::kAny ? 1000 : spec.kind == AtomKind::kGram ? 2 : 0;
    const Atom* atom = index_.find_atom(probe_of(path, spec), path, spec.operand);
    const Post* post = atom == nullptr ? nullptr : index_.find_post(above, atom->id);
    return burden + (post == nullptr ? 0 : post->candidates.size());
  }

  void wait_at(Candidate& candidate, std::uint32_t above, const AtomChain& chain) {
    Ref<Post>& post = index_.posts.edit(post_key(above, chain.back()->id));
    if (!post) {
      post = Ref<Post>(new Post);
      post->id = index_.post_ids.take();
      index_.bytes += kPostBytes;
      if (chain.size() > 1) ++parent_post(chain).children;
    }
    // Another branch of `$or`, or another value of the same field, may have brought it here already.
    post.own().candidates.push_back(Ref<const Candidate>(&candidate));
    candidate.postings.push_back(chain);
    for (const Ref<const Atom>& atom : chain) ++index_.atoms.edit(atom->key).uses;
  }

  Post& parent_post(const AtomChain& chain) {
    std::uint32_t above = kRootPost;
    for (std::size_t i = 0; i + 2 < chain.size(); ++i) above = index_.find_post(above, chain[i]->id)->id;
    return index_.posts.edit(post_key(above, chain[chain.size() - 2]->id)).own();
  }

  void remove_posting(const Candidate& candidate, const AtomChain& chain) {
    std::vector<std::uint32_t> above{kRootPost};
    for (std::size_t i = 0; i + 1 < chain.size(); ++i) {
      above.push_back(index_.find_post(above.back(), chain[i]->id)->id);
    }
    withdraw(index_.posts.edit(post_key(above.back(), chain.back()->id)).own(), candidate);
    for (std::size_t i = chain.size(); i-- > 0;) {
      const std::uint64_t key = post_key(above[i], chain[i]->id);
      const Ref<Post> post = *index_.posts.find(key);
      if (!post->candidates.empty() || post->children > 0) break;
      index_.post_ids.give_back(post->id);
      index_.posts.erase(key);
      index_.bytes -= kPostBytes;
      if (i > 0) --index_.posts.edit(post_key(above[i - 1], chain[i - 1]->id)).own().children;
    }
    for (const Ref<const Atom>& atom : chain) {
      --index_.atoms.edit(atom->key).uses;
      drop_atom(atom);
    }
  }

  static void withdraw(Post& post, const Candidate& candidate) {
    const auto found = std::find_if(post.candidates.begin(), post.candidates.end(),
                                    [&](const auto& one) { return one.get() == &candidate; });
    if (found == post.candidates.end()) return;
    *found = std::move(post.candidates.back());
    post.candidates.pop_back();
  }

  // ---- Paths.

  template <typename Visit>
  static void for_each_segment(std::string_view path, const Visit& visit) {
    for (std::size_t dot = path.find('.'); dot != std::string_view::npos; dot = path.find('.')) {
      visit(path.substr(0, dot));
      path.remove_prefix(dot + 1);
    }
    visit(path);
  }

  Ref<const PathPlace> add_path(const std::string& path) {
    std::uint32_t parent = kRootPath;
    std::uint64_t parent_key = 0;
    std::vector<std::uint32_t> chain;
    for_each_segment(path, [&](std::string_view segment) {
      const std::uint64_t key = index_.path_place(parent, segment);
      const Ref<PathNode>* known = index_.paths.find(key);
      if (known == nullptr) {
        Ref<PathNode> node(new PathNode);
        node->id = index_.path_ids.take();
        node->parent = parent;
        node->depth = static_cast<std::uint32_t>(chain.size() + 1);
        node->segment = std::string(segment);
        chain.push_back(node->id);
        index_.paths.edit(key) = std::move(node);
        index_.bytes += kPathBytes + 2 * segment.size();
        if (parent == kRootPath) {
          index_.root_names |= name_mask(segment);
        } else {
          PathNode& above = index_.paths.edit(parent_key).own();
          ++above.children;
          above.names |= name_mask(segment);
        }
      } else {
        chain.push_back((*known)->id);
      }
      parent = chain.back();
      parent_key = key;
    });
    PathNode& node = index_.paths.edit(parent_key).own();
    ++node.conditions;
    if (!node.place) {
      Ref<PathPlace> place(new PathPlace);
      place->id = node.id;
      place->text = path;
      place->chain = std::move(chain);
      node.place = Ref<const PathPlace>(place.get());
    }
    return node.place;
  }

  // The keys of the nodes on the way to a path that is there.
  std::vector<std::uint64_t> keys_of(const PathPlace& place) const {
    std::vector<std::uint64_t> keys;
    for_each_segment(place.text, [&](std::string_view segment) {
      const std::uint32_t parent = keys.empty() ? kRootPath : place.chain[keys.size() - 1];
      keys.push_back(index_.path_place(parent, segment));
    });
    return keys;
  }

  PathNode& edit_path(const PathPlace& place) { return index_.paths.edit(keys_of(place).back()).own(); }

  void remove_path(const PathPlace& place) {
    const std::vector<std::uint64_t> keys = keys_of(place);
    PathNode& last = index_.paths.edit(keys.back()).own();
    if (--last.conditions == 0) last.place = Ref<const PathPlace>();
    for (std::size_t i = keys.size(); i-- > 0;) {
      const Ref<PathNode> node = *index_.paths.find(keys[i]);
      if (node->conditions > 0 || node->children > 0 || index_.paths.find(keys[i] + kNextKey) != nullptr)
        return;
      index_.path_ids.give_back(node->id);
      index_.bytes -= kPathBytes + 2 * node->segment.size();
      index_.paths.erase(keys[i]);
      if (i > 0) --index_.paths.edit(keys[i - 1]).own().children;
    }
  }

  // ---- Atoms.

  static Probe probe_of(std::uint32_t path, const AtomSpec& spec) {
    return {probe_seed(path, spec.kind, spec.length), spec.kind, spec.length, 0};
  }

  // The atom, made where there is none; it stays as long as it is used or somebody waits to use it.
  Ref<const Atom> take_atom(const PathPlace& place, const AtomSpec& spec) {
    const Probe probe = probe_of(place.id, spec);
    if (const Atom* found = index_.find_atom(probe, place.id, spec.operand)) return Ref<const Atom>(found);
    std::uint64_t key = hash_text(spec.operand, probe.seed);
    while (index_.atoms.find(key) != nullptr) key += kNextKey;
    Ref<Atom> atom(new Atom);
    atom->id = index_.atom_ids.take();
    atom->place = Ref<const PathPlace>(&place);
    atom->kind = spec.kind;
    atom->length = spec.length;
    atom->key = key;
    atom->range = spec.range;
    atom->operand = spec.operand;
    Ref<const Atom> shared(atom.get());
    index_.atoms.edit(key).atom = shared;
    index_.bytes += kAtomBytes + spec.operand.size();
    PathNode& node = edit_path(place);
    const auto same = [&](const Probe& p) { return p.kind == probe.kind && p.length == probe.length; };
    auto known = std::find_if(node.probes.begin(), node.probes.end(), same);
    if (known == node.probes.end()) {
      const auto order = [](const Probe& a, const Probe& b) {
        return a.kind != b.kind ? a.kind < b.kind : a.length < b.length;
      };
      known =
          node.probes.insert(std::upper_bound(node.probes.begin(), node.probes.end(), probe, order), probe);
    }
    ++known->atoms;
    if (spec.kind == AtomKind::kRange) node.ranges.insert(spec.range, atom->id);
    return shared;
  }

  void drop_atom(const Ref<const Atom>& atom) {
    const AtomSlot* slot = index_.atoms.find(atom->key);
    // Where another operand stands behind it under the next key, it keeps its place, unused.
    if (slot == nullptr || slot->uses > 0 || index_.atoms.find(atom->key + kNextKey) != nullptr) return;
    PathNode& node = edit_path(*atom->place);
    const auto known = std::find_if(node.probes.begin(), node.probes.end(), [&](const Probe& probe) {
      return probe.kind == atom->kind && probe.length == atom->length;
    });
    if (--known->atoms == 0) node.probes.erase(known);
    if (atom->kind == AtomKind::kRange) node.ranges.erase(atom->range);
    index_.atom_ids.give_back(atom->id);
    index_.bytes -= kAtomBytes + atom->operand.size();
    index_.atoms.erase(atom->key);
  }

  RuleIndex& index_;
  std::vector<Alternatives> alternatives_;
};

RuleSet::RuleSet() : RuleSet(Limits()) {}
RuleSet::RuleSet(const Limits& limits) : limits_(limits), index_(std::make_unique<RuleIndex>()) {
  index_->always = Ref<Post>(new Post);
}
RuleSet::RuleSet(const RuleSet& other)
    : limits_(other.limits_), index_(std::make_unique<RuleIndex>(*other.index_)) {}
RuleSet::RuleSet(RuleSet&& other) noexcept = default;
RuleSet& RuleSet::operator=(const RuleSet& other) { return *this = RuleSet(other); }
RuleSet& RuleSet::operator=(RuleSet&& other) noexcept = default;
RuleSet::~RuleSet() = default;

Status RuleSet::add(RuleId id, const Pattern& pattern) {
  const bool known = index_->rules.find(mix_bits(id)) != nullptr;
  if (index_->rules.size() + (known ? 0 : 1) > limits_.rules_max || index_->bytes >= limits_.bytes_max) {
    return Error{"LimitExceeded", "There are too many rules, or they are too large, to be matched together.",
                 "",
                 "this set may have " + std::to_string(limits_.rules_max) + " rules and take " +
                     std::to_string(limits_.bytes_max >> 20) + " MiB"};
  }
  RuleEditor editor(*index_);
  if (known) editor.remove(id);
  editor.add(id, pattern.rules());
  return {};
}

bool RuleSet::remove(RuleId id) { return RuleEditor(*index_).remove(id); }

std::size_t RuleSet::size() const { return index_->rules.size(); }
std::size_t RuleSet::bytes() const { return index_->bytes; }

}  // namespace sortie::pattern
