#pragma once
// Many event patterns, matched against one event at once, straight from its text.
//
//   RuleSet rules;
//   SORTIE_TRY_STATUS(rules.add(7, pattern));
//   MatchScratch scratch;                                    // one for each thread, used again and again
//   SORTIE_TRY(const auto found, rules.match(event_text, scratch));   // ids of the rules that match,
//   ascending
//
// A RuleSet is a value. Copying it costs a few pointers: the copy shares everything, and changing either one
// afterwards copies only the few nodes on the way to what changes (persistent_map.h). So whoever owns rules
// keeps a `shared_ptr<const RuleSet>`, copies it, changes the copy and swaps the pointer, while others go on
// matching against the one they hold. Adding one rule to 400,000 costs what adding it to ten costs.
//
// How it matches. The text is read once, from front to back (event_reader.h): a member whose path no rule
// names is skipped whole, without looking at what is inside; a scalar at a path that rules name is looked up
// among the *atoms* of that path: exact texts and numbers, prefixes, suffixes, ranges and so on, each found
// by a few look-ups in hash tables however many there are. Every rule waits at one atom (at each, where one
// of its fields has several values to choose from) that has to be there for the rule to match: the one where
// the fewest others wait. Where too many wait at one atom, newcomers wait at a second one below it. Only
// rules whose atoms were all seen are looked at in full (consistency.h). So the cost of an event is that of
// its own text, its fields at named paths, and the rules that nearly match; not that of the number of rules.
// What is inherently slow stays slow: ten thousand rules that say no more of a field than `anything-but` are
// ten thousand candidates.
//
// The semantics are those of pattern.h. The text of an event is expected to be JSON (check_event): of what is
// skipped only strings and brackets are looked at, so of a malformed text some answer comes, or an error, but
// never a crash. A budget of kMatchStepsMax for each rule bounds events that repeat member names to make the
// possible combinations of array elements explode; what is not found within it counts as no match.
//
// Memory: bytes() is an estimate of what this set would take alone, kept up to date; add() refuses beyond
// Limits. A scratch keeps what the largest event needed, and 4 bytes for each rule and atom.
// Threads: as with any value; match() is const and may run in many threads, each with its own scratch.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "base/result.h"
#include "expr/pattern/pattern.h"

namespace sortie::pattern {

using RuleId = std::uint64_t;

inline constexpr std::size_t kMatchStepsMax = 4'000'000;

struct RuleIndex;   // rule_index.h
struct MatchState;  // match_state.h

class MatchScratch {
 public:
  MatchScratch();
  ~MatchScratch();
  MatchScratch(MatchScratch&&) noexcept;
  MatchScratch& operator=(MatchScratch&&) noexcept;
  MatchState& state() { return *state_; }

 private:
  std::unique_ptr<MatchState> state_;
};

class RuleSet {
 public:
  struct Limits {
    std::size_t rules_max = 1'000'000;
    std::size_t bytes_max = std::size_t{2} << 30;
  };

  RuleSet();
  explicit RuleSet(const Limits& limits);
  RuleSet(const RuleSet& other);
  RuleSet(RuleSet&& other) noexcept;
  RuleSet& operator=(const RuleSet& other);
  RuleSet& operator=(RuleSet&& other) noexcept;
  ~RuleSet();

  // Replaces the rule of that id, if there is one. Errors: "LimitExceeded"; then nothing has changed.
  Status add(RuleId id, const Pattern& pattern);
  bool remove(RuleId id);  // Whether it was there.

  std::size_t size() const;
  std::size_t bytes() const;

  // Valid until the scratch is used again. Errors: "InvalidEvent", as far as it is noticed.
  Result<std::span<const RuleId>> match(std::string_view event_text, MatchScratch& scratch) const;

 private:
  Limits limits_;
  std::unique_ptr<RuleIndex> index_;
};

}  // namespace sortie::pattern
