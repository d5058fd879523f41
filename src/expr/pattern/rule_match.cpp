#include <algorithm>

#include "expr/pattern/consistency.h"
#include "expr/pattern/event_reader.h"

namespace sortie::pattern {

MatchScratch::MatchScratch() : state_(std::make_unique<MatchState>()) {}
MatchScratch::~MatchScratch() = default;
MatchScratch::MatchScratch(MatchScratch&&) noexcept = default;
MatchScratch& MatchScratch::operator=(MatchScratch&&) noexcept = default;

// From the atoms that were seen to the rules that match.
class RuleFinder {
 public:
  RuleFinder(const RuleIndex& index, MatchState& state) : index_(index), state_(state) {}

  void run() {
    state_.found.clear();
    state_.decided.clear(index_.candidate_numbers.end());
    state_.found_rules.clear(index_.rule_numbers.end());
    decide(*index_.always);
    for (const std::uint32_t atom : state_.atoms) visit(kRootPost, atom);
    std::sort(state_.found.begin(), state_.found.end());
  }

 private:
  // Posts lie as deep as a candidate has conditions: kFieldsMax at most.
  void visit(std::uint32_t above, std::uint32_t atom) {
    const Post* post = index_.find_post(above, atom);
    if (post == nullptr) return;
    decide(*post);
    if (post->children == 0) return;
    for (const std::uint32_t below : state_.atoms) visit(post->id, below);
  }

  void decide(const Post& post) {
    for (const Ref<const Candidate>& one : post.candidates) {
      const Candidate& candidate = *one;
      if (!state_.decided.add(candidate.number) || state_.found_rules.has(candidate.rule_number)) continue;
      if (candidate.verify && !matches_candidate(candidate, state_)) continue;
      state_.found_rules.add(candidate.rule_number);
      state_.found.push_back(candidate.rule);
    }
  }

  const RuleIndex& index_;
  MatchState& state_;
};

Result<std::span<const RuleId>> RuleSet::match(std::string_view event_text, MatchScratch& scratch) const {
  MatchState& state = scratch.state();
  if (!read_event(event_text, *index_, state)) {
    return Error{"InvalidEvent", "The event is no JSON object, or too deeply nested"};
  }
  RuleFinder(*index_, state).run();
  return std::span<const RuleId>(state.found);
}

}  // namespace sortie::pattern
