#include "expr/pattern/pattern.h"

#include <algorithm>
#include <utility>

#include "base/text.h"
#include "expr/pattern/compiler.h"
#include "expr/pattern/rule_set.h"
#include "expr/pattern/tokens.h"

namespace sortie::pattern {

namespace pattern_detail {

// "line 1, column 17", from the place at the end of EventBridge's message; empty where it has none.
std::string place_in(const std::string& message) {
  const std::size_t line = message.rfind("; line: ");
  if (line == std::string::npos || !message.ends_with(']')) return "";
  const std::string place = message.substr(line + 8, message.size() - line - 9);
  return "line " + replace_all(place, "column: ", "column ");
}

// Patterns that are all ASCII are compared byte by byte, the others character by character.
bool test_folded(const ValueTest& test, std::string_view value) {
  const FoldedText& folded = test.detail->folded;
  if (test.text.size() != folded.size()) {
    if (test.kind == TestKind::kFolded) return equals_folded(folded, value);
    return test.kind == TestKind::kFoldedPrefix ? starts_with_folded(folded, value)
                                                : ends_with_folded(folded, value);
  }
  const std::size_t size = test.text.size();
  if (value.size() < size || (test.kind == TestKind::kFolded && value.size() != size)) return false;
  if (test.kind == TestKind::kFoldedSuffix) value.remove_prefix(value.size() - size);
  return std::equal(test.text.begin(), test.text.end(), value.begin(), [](char wanted, char c) {
    return wanted == (c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c);
  });
}

bool in_range(const ValueTest& test, double number) {
  if (test.low && (test.low_open ? number <= *test.low : number < *test.low)) return false;
  if (test.high && (test.high_open ? number >= *test.high : number > *test.high)) return false;
  return true;
}

}  // namespace pattern_detail

using namespace pattern_detail;

bool test_value(const ValueTest& test, Scalar& scalar) {
  const bool string = scalar.kind == FieldKind::kString;
  const bool number = scalar.kind == FieldKind::kNumber;
  switch (test.kind) {
    case TestKind::kString:
      return string && scalar.text == test.text;
    case TestKind::kLiteral:
      return !string && !number && scalar.text == test.text;
    case TestKind::kNumber:
      return number && (scalar.text == test.text || (test.low && scalar.number() != nullptr &&
                                                     *test.low == *scalar.number() && scalar.comparable()));
    case TestKind::kPrefix:
      return string && scalar.text.starts_with(test.text);
    case TestKind::kSuffix:
      return string && scalar.text.ends_with(test.text);
    case TestKind::kFolded:
    case TestKind::kFoldedPrefix:
    case TestKind::kFoldedSuffix:
      return string && test_folded(test, scalar.text);
    case TestKind::kWildcard:
      return string && test.detail->wildcard.matches(scalar.text);
    case TestKind::kNumericRange:
      return number && scalar.number() != nullptr && in_range(test, *scalar.number()) && scalar.comparable();
    case TestKind::kAddressRange: {
      const std::optional<Address> address = string ? parse_address(scalar.text) : std::nullopt;
      return address && test.detail->addresses.contains(*address);
    }
    case TestKind::kExists:
      return true;
    case TestKind::kAbsent:
      return false;
    case TestKind::kAnythingBut:
      return !test_values(test.detail->but, scalar);
  }
  return false;
}

bool test_values(const ValueTests& tests, Scalar& scalar) {
  return std::any_of(tests.begin(), tests.end(),
                     [&scalar](const ValueTest& test) { return test_value(test, scalar); });
}

bool allows_absence(const ValueTests& tests) {
  return std::any_of(tests.begin(), tests.end(),
                     [](const ValueTest& test) { return test.kind == TestKind::kAbsent; });
}

Result<Pattern> Pattern::compile(std::string_view pattern_text, Mode mode) {
  constexpr std::string_view kCode = "InvalidEventPatternException";
  const std::string prefix = "Event pattern is not valid. Reason: ";
  if (pattern_text.size() > kPatternBytesMax) {
    return Error{std::string(kCode), prefix + "The pattern is longer than 1048576 bytes"};
  }
  if (!is_valid_utf8(pattern_text)) {
    return Error{std::string(kCode), prefix + "The pattern is no valid UTF-8"};
  }
  auto rules = compile_rules(pattern_text, mode);
  if (!rules) {
    return Error{std::string(kCode), prefix + rules.error().message, place_in(rules.error().message)};
  }
  return Pattern(std::make_shared<const PatternRules>(std::move(rules).value()));
}

Result<bool> Pattern::matches(std::string_view event_text) const {
  SORTIE_TRY_STATUS(check_event(event_text));
  RuleSet one;
  SORTIE_TRY_STATUS(one.add(0, *this));
  MatchScratch scratch;
  SORTIE_TRY(const auto found, one.match(event_text, scratch));
  return !found.empty();
}

std::size_t Pattern::combination_count() const { return rules_->combinations.size(); }

Status check_event(std::string_view event_text) {
  const auto refuse = [](std::string message) { return Error{"InvalidEvent", std::move(message)}; };
  if (!is_valid_utf8(event_text)) return refuse("The event is no valid UTF-8");
  TokenReader reader(event_text);
  auto token = reader.next();
  if (token && *token != Token::kStartObject) return refuse("Event must be a JSON object");
  while (token && reader.depth() > 0) token = reader.next();
  if (token) token = reader.next();
  if (!token) return refuse(token.error().message);
  if (*token != Token::kEnd) return refuse("Unexpected text after the end of the event");
  return {};
}

}  // namespace sortie::pattern
