#pragma once
// The working memory of one match: what the reader of the event's text leaves for the rules to be decided by.
// Everything is a growing array that is used again, so matching allocates only while an event is larger than
// all before it. Inside the folder only.
#include <memory>
#include <vector>

#include "expr/pattern/rule_index.h"

namespace sortie::pattern {

// A set of small numbers that is emptied in O(1).
class Marks {
 public:
  void clear(std::size_t end) {
    if (marks_.size() < end) marks_.resize(end + end / 2, 0);
    if (++round_ == 0) {
      std::fill(marks_.begin(), marks_.end(), 0);
      round_ = 1;
    }
  }
  bool has(std::uint32_t number) const { return marks_[number] == round_; }
  // Whether it is new.
  bool add(std::uint32_t number) { return std::exchange(marks_[number], round_) != round_; }

 private:
  std::vector<std::uint32_t> marks_;
  std::uint32_t round_ = 0;
};

inline constexpr std::uint32_t kNone = UINT32_MAX;

// A scalar at a path that some rule names.
struct Field : Scalar {
  std::uint32_t scope = 0;
  std::uint32_t next = kNone;  // The one read before it at the same path.
};

// An element of an array that is an object or array itself. Scope 0 is the event. Scopes are numbered in the
// order of the text, so what lies inside one has the numbers from its own to `last`.
struct Scope {
  std::uint32_t parent = 0;
  std::uint32_t array = 0;
  std::uint32_t depth = 0;
  std::uint32_t last = 0;
};

// An array at or above a path that some rule names; its elements' scopes lie in [first, last].
struct ArrayPlace {
  std::uint32_t path = 0;
  std::uint32_t path_depth = 0;
  std::uint32_t first = 0;
  std::uint32_t last = 0;
};

// Text without escapes lives here until the next event. What is handed out stays where it is.
class TextArena {
 public:
  void clear() { used_ = 0; }
  // No more than `bytes_max` will be asked for before the next clear().
  char* reserve(std::size_t bytes_max) {
    if (capacity_ < bytes_max) {
      bytes_ = std::make_unique<char[]>(bytes_max);
      capacity_ = bytes_max;
    }
    return bytes_.get() + used_;
  }
  void take(std::size_t bytes) { used_ += bytes; }
  std::size_t used() const { return used_; }

 private:
  std::unique_ptr<char[]> bytes_;
  std::size_t capacity_ = 0;
  std::size_t used_ = 0;
};

// A set of scopes that a candidate's fields so far lie in: a piece of an array of numbers.
struct ScopeSet {
  std::uint32_t begin = 0;
  std::uint32_t size = 0;
};

// A condition that fields have to be chosen for, and the scopes of those that satisfy it: a piece of `hits`.
struct Level {
  const Condition* condition = nullptr;
  std::uint32_t begin = 0;
  std::uint32_t end = 0;
  bool absence = false;
};

struct MatchState {
  // What the reader leaves.
  std::vector<std::uint32_t> atoms;  // That were seen, each once.
  Marks seen_atoms;
  Marks seen_paths;
  std::vector<std::uint32_t> newest_field;  // By path, where seen_paths has it.
  std::vector<Field> fields;
  std::vector<Scope> scopes;
  std::vector<ArrayPlace> arrays;
  TextArena texts;
  std::string folded;  // The value at hand with its ASCII letters in lower case.

  // Deciding.
  Marks decided;
  Marks found_rules;
  std::vector<RuleId> found;
  std::vector<Level> levels;
  std::vector<std::uint32_t> hits;
  std::vector<std::uint32_t> all_scopes;
  std::vector<ScopeSet> sets;
  std::vector<ScopeSet> next_sets;
  std::vector<std::uint32_t> pool;
  std::vector<std::uint32_t> next_pool;

  std::uint32_t newest(std::uint32_t path) const { return seen_paths.has(path) ? newest_field[path] : kNone; }
};

}  // namespace sortie::pattern
