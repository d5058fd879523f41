// Fuzzes: pattern
//
// The input is a pattern, a zero byte, and an event (or, without a zero byte, the same text as both).
// Whatever the bytes are: nothing crashes, both modes agree where both accept, a pattern that is compiled
// again matches the same, and an input transformer made of the same texts never breaks.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "expr/pattern/input_transformer.h"
#include "expr/pattern/pattern.h"
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
  const auto event = FlatEvent::parse(event_text);
  const auto standard = Pattern::compile(pattern_text, Mode::kStandard);
  const auto aws = Pattern::compile(pattern_text, Mode::kAws);
  must(standard.ok() || !aws.ok());  // AWS refuses more, never less.
  if (!standard) must(standard.error().code == "InvalidEventPatternException");
  if (event && standard) {
    const bool match = standard->matches(*event);
    must(Pattern::compile(pattern_text, Mode::kStandard)->matches(*event) == match);
    if (aws) must(aws->matches(*event) == match);
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
