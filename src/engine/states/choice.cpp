#include <cmath>

#include "engine/step.h"
#include "json/text.h"

namespace sortie::engine {
namespace {

// '*' stands for any run of characters; a backslash takes the next character literally.
bool matches_wildcard(std::string_view pattern, std::string_view text) {
  std::size_t p = 0, t = 0, star = std::string_view::npos, star_text = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      star_text = t;
      continue;
    }
    const bool escaped = p + 1 < pattern.size() && pattern[p] == '\\';
    if (p < pattern.size() && pattern[p + (escaped ? 1 : 0)] == text[t]) {
      p += escaped ? 2 : 1;
      ++t;
      continue;
    }
    if (star == std::string_view::npos) return false;
    p = star + 1;
    t = ++star_text;
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

// Negative, zero, positive; nothing where the two do not compare.
std::optional<int> compare_numbers(const json::Value& a, const json::Value& b) {
  if (!a.is_number() || !b.is_number()) return std::nullopt;
  if (a.is_integer() && b.is_integer()) {
    return a.as_integer() < b.as_integer() ? -1 : a.as_integer() > b.as_integer() ? 1 : 0;
  }
  return a.as_double() < b.as_double() ? -1 : a.as_double() > b.as_double() ? 1 : 0;
}

std::optional<int> compare_strings(const json::Value& a, const json::Value& b) {
  if (!a.is_string() || !b.is_string()) return std::nullopt;
  return a.as_string().compare(b.as_string());
}

std::optional<int> compare_timestamps(const json::Value& a, const json::Value& b) {
  if (!a.is_string() || !b.is_string()) return std::nullopt;
  const Result<Timestamp> left = parse_rfc3339(a.as_string());
  const Result<Timestamp> right = parse_rfc3339(b.as_string());
  if (!left || !right) return std::nullopt;
  return *left < *right ? -1 : *left > *right ? 1 : 0;
}

using asl::Comparator;

bool is_type_test(Comparator c) { return c <= Comparator::kIsTimestamp; }

bool has_type(Comparator comparator, const json::Value& value) {
  switch (comparator) {
    case Comparator::kIsNull:
      return value.is_null();
    case Comparator::kIsNumeric:
      return value.is_number();
    case Comparator::kIsString:
      return value.is_string();
    case Comparator::kIsBoolean:
      return value.is_bool();
    case Comparator::kIsTimestamp:
      return value.is_string() && parse_rfc3339(value.as_string()).ok();
    default:
      return true;
  }
}

bool ordered(Comparator comparator, std::optional<int> order) {
  if (!order) return false;
  switch (comparator) {
    case Comparator::kStringEquals:
    case Comparator::kNumericEquals:
    case Comparator::kTimestampEquals:
      return *order == 0;
    case Comparator::kStringLessThan:
    case Comparator::kNumericLessThan:
    case Comparator::kTimestampLessThan:
      return *order < 0;
    case Comparator::kStringGreaterThan:
    case Comparator::kNumericGreaterThan:
    case Comparator::kTimestampGreaterThan:
      return *order > 0;
    case Comparator::kStringLessThanEquals:
    case Comparator::kNumericLessThanEquals:
    case Comparator::kTimestampLessThanEquals:
      return *order <= 0;
    default:
      return *order >= 0;
  }
}

bool holds_between(Comparator c, const json::Value& value, const json::Value& operand) {
  if (c == Comparator::kBooleanEquals) {
    return value.is_bool() && operand.is_bool() && value.as_bool() == operand.as_bool();
  }
  if (c == Comparator::kStringMatches) {
    return value.is_string() && operand.is_string() &&
           matches_wildcard(operand.as_string(), value.as_string());
  }
  if (c >= Comparator::kTimestampEquals) return ordered(c, compare_timestamps(value, operand));
  if (c >= Comparator::kNumericEquals) return ordered(c, compare_numbers(value, operand));
  return ordered(c, compare_strings(value, operand));
}

}  // namespace

Outcome_<bool> Step::compare(const Frame& frame, const asl::Comparison& comparison,
                             const json::Value& input) const {
  Outcome_<json::Value> found = evaluate(frame, *comparison.variable, input);
  const bool present = std::holds_alternative<json::Value>(found);
  const Comparator c = comparison.comparator;
  const bool wanted = !comparison.literal.is_bool() || comparison.literal.as_bool();
  if (c == Comparator::kIsPresent) return present == wanted;
  const auto invalid = [&](const intrinsic::Expression& path) {
    return runtime_failure(frame, "Invalid path '" + path.text() +
                                      "': The choice state's condition path references an invalid value.");
  };
  if (!present) return invalid(*comparison.variable);
  const json::Value& value = std::get<json::Value>(found);
  if (is_type_test(c)) return has_type(c, value) == wanted;
  if (!comparison.operand_path) return holds_between(c, value, comparison.literal);
  const Outcome_<json::Value> operand = evaluate(frame, *comparison.operand_path, input);
  if (std::holds_alternative<Failure>(operand)) return invalid(*comparison.operand_path);
  return holds_between(c, value, std::get<json::Value>(operand));
}

// Nesting is bounded by the definition's depth, which compile() has checked.
Outcome_<bool> Step::holds(const Frame& frame, const asl::Condition& condition,
                           const json::Value& input) const {
  using Kind = asl::Condition::Kind;
  if (condition.kind == Kind::kCompare) return compare(frame, condition.comparison, input);
  for (const asl::Condition& child : condition.children) {
    Outcome_<bool> result = holds(frame, child, input);
    if (std::holds_alternative<Failure>(result)) return result;
    const bool value = std::get<bool>(result);
    if (condition.kind == Kind::kNot) return !value;
    if (condition.kind == Kind::kAnd && !value) return false;
    if (condition.kind == Kind::kOr && value) return true;
  }
  return condition.kind == Kind::kAnd;
}

Outcome_<bool> Step::rule_holds(const Frame& frame, const asl::ChoiceRule& rule,
                                const json::Value& input) const {
  if (!rule.query) return holds(frame, rule.condition, input);
  Outcome_<json::Value> made = evaluate(frame, *rule.query, "Condition");
  if (auto* failure = std::get_if<Failure>(&made)) return std::move(*failure);
  const json::Value& value = std::get<json::Value>(made);
  if (!value.is_bool()) return type_failure(frame, *rule.query, "Condition", "boolean", value);
  return value.as_bool();
}

void Step::run_choice(Frame& frame, const asl::State& state) {
  const FrameNo no = frame.no;
  Outcome_<json::Value> selected = select(frame, state.input_path, frame.state_input);
  if (auto* failure = std::get_if<Failure>(&selected)) return fail(no, std::move(*failure));
  const json::Value& input = std::get<json::Value>(selected);
  const auto& choice = std::get<asl::Choice>(state.body);
  inspect(state, &Inspection::after_input_path, input);
  for (const asl::ChoiceRule& rule : choice.rules) {
    Outcome_<bool> result = rule_holds(frame, rule, input);
    if (auto* failure = std::get_if<Failure>(&result)) return fail(no, std::move(*failure));
    if (std::get<bool>(result)) {
      return succeed(no, input, input, {rule.assign, rule.output, rule.next, false});
    }
  }
  if (choice.default_next != asl::kNoState) {
    return succeed(no, input, input, {state.assign, state.output, choice.default_next, false});
  }
  Failure failure = runtime_failure(
      frame, "Failed to transition out of the state. The state does not point to a next state.");
  failure.error = "States.NoChoiceMatched";
  fail(no, std::move(failure));
}

}  // namespace sortie::engine
