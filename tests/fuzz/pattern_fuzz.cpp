// Fuzzes: pattern
//
// The input is patterns, each ended by a byte 1, a zero byte, and an event (or, without a zero byte, the same
// text as both). Whatever the bytes are: nothing crashes, both modes agree where both accept, a RuleSet of
// all the patterns finds exactly those that the obvious matcher finds, one by one and together, also after
// rules were taken out again, and an input transformer made of the same texts never breaks.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <set>
#include <string_view>
#include <vector>

#include "expr/pattern/input_transformer.h"
#include "expr/pattern/rule_set.h"
#include "expr/pattern/testing_brute_force.h"
#include "json/text.h"

namespace {

void must(bool condition) {
  if (!condition) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sortie::pattern;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::size_t zero = input.find('\0');
  const std::string_view pattern_text = input.substr(0, zero);
  const std::string_view event_text = zero == std::string_view::npos ? input : input.substr(zero + 1);
  const bool event = check_event(event_text).ok();
  RuleSet rules;
  MatchScratch scratch;
  std::vector<Pattern> patterns;
  for (std::string_view left = pattern_text; patterns.size() < 16;) {
    const std::size_t stop = left.find('\1');
    const std::string_view text = left.substr(0, stop);
    const auto standard = Pattern::compile(text, Mode::kStandard);
    must(standard.ok() || !Pattern::compile(text, Mode::kAws).ok());  // AWS refuses more, never less.
    if (!standard) must(standard.error().code == "InvalidEventPatternException");
    if (standard) {
      must(rules.add(patterns.size(), *standard).ok());
      patterns.push_back(*standard);
    }
    if (stop == std::string_view::npos) break;
    left.remove_prefix(stop + 1);
  }
  const auto matches = rules.match(event_text, scratch);
  if (event) {
    must(matches.ok());
    const std::set<RuleId> found(matches->begin(), matches->end());
    BruteForce brute(event_text);
    RuleSet rest = rules;
    for (std::size_t i = 0; i < patterns.size(); ++i) {
      brute.steps_left = 20'000;
      const bool wanted = brute.matches(patterns[i]);
      if (brute.steps_left > 0) must(found.contains(i) == wanted);
      must(*patterns[i].matches(event_text) == found.contains(i));
      must(rest.remove(i));
      must(rest.match(event_text, scratch)->size() ==
           static_cast<std::size_t>(std::distance(found.upper_bound(i), found.end())));
    }
    must(rest.bytes() == 0);
  }
  const auto transformer = InputTransformer::compile({{"a", "$.a"}, {"b", "$.b[0]"}}, pattern_text, "t");
  const auto envelope = sortie::json::parse(event_text);
  if (transformer && envelope) {
    const auto text = transformer->render(*envelope, {});
    if (text && !pattern_text.empty() && pattern_text[0] == '{') must(sortie::json::parse(*text).ok());
  }
  if (const auto path = InputPath::compile(pattern_text); path && envelope) (void)path->find(*envelope);
  return 0;
}
