#include "expr/jsonpath/compare.h"

#include <re2/re2.h>

#include <optional>
#include <string>
#include <string_view>

#include "base/text.h"
#include "expr/jsonpath/java_text.h"

namespace sortie::jsonpath {
namespace {

constexpr std::int64_t kExactInDouble = std::int64_t{1} << 53;

int sign_of(double a, double b) { return a < b ? -1 : a > b ? 1 : 0; }

bool is_null_value(const Side& side) { return side.value != nullptr && side.value->is_null(); }

// The text of a literal or of a string in the document; nothing for everything else.
std::optional<std::string_view> text_of(const Side& side) {
  if (side.literal != nullptr) {
    if (side.literal->kind == Operand::Kind::kText) return std::string_view(side.literal->text);
    return std::nullopt;
  }
  if (side.value->is_string()) return side.value->as_string();
  return std::nullopt;
}

// null, and the text "null".
bool is_nullish(const Side& side) { return is_null_value(side) || text_of(side) == "null"; }

// Order by UTF-16 code units, in which code points beyond the first plane come before U+E000 to U+FFFF.
int compare_text(std::string_view a, std::string_view b) {
  const std::size_t shorter = std::min(a.size(), b.size());
  for (std::size_t i = 0; i < shorter; ++i) {
    const auto x = static_cast<unsigned char>(a[i]);
    const auto y = static_cast<unsigned char>(b[i]);
    if (x == y) continue;
    if (x >= 0xEE && y >= 0xEE && (x >= 0xF0) != (y >= 0xF0)) return x >= 0xF0 ? -1 : 1;
    return x < y ? -1 : 1;
  }
  return a.size() == b.size() ? 0 : a.size() < b.size() ? -1 : 1;
}

std::optional<int> compare_literal_number(const Operand& literal, const json::Value& number) {
  if (literal.plain_number) {
    if (number.kind() == json::Kind::kDouble) return sign_of(*literal.plain_number, number.as_double());
    if (number.is_integer() && number.as_integer() < kExactInDouble &&
        number.as_integer() > -kExactInDouble) {
      return sign_of(*literal.plain_number, static_cast<double>(number.as_integer()));
    }
  }
  if (!literal.number) return std::nullopt;
  return literal.number->compare(Decimal::of(number));
}

int compare_numbers(const json::Value& a, const json::Value& b) {
  if (a.is_integer() && b.is_integer()) {
    return a.as_integer() < b.as_integer() ? -1 : a.as_integer() > b.as_integer() ? 1 : 0;
  }
  if (a.kind() == json::Kind::kDouble && b.kind() == json::Kind::kDouble) {
    return sign_of(a.as_double(), b.as_double());
  }
  return Decimal::of(a).compare(Decimal::of(b));
}

int compare_bools(bool a, bool b) { return a == b ? 0 : a ? 1 : -1; }

struct Order {
  enum class Kind : std::uint8_t { kComparable, kIncomparable, kNotANumber } kind;
  int sign = 0;
};

constexpr Order kIncomparable{Order::Kind::kIncomparable};

Order comparable(int sign) { return {Order::Kind::kComparable, sign}; }

Order order_with_text(std::string_view expected, const Side& expected_side, const json::Value& model) {
  if (model.is_number()) {
    std::optional<int> sign;
    if (expected_side.literal != nullptr) {
      sign = compare_literal_number(*expected_side.literal, model);
    } else if (const auto number = Decimal::parse(expected)) {
      sign = number->compare(Decimal::of(model));
    }
    return sign ? comparable(*sign) : Order{Order::Kind::kNotANumber};
  }
  if (model.is_bool()) {
    return comparable(compare_bools(equals_ignore_case_ascii(expected, "true"), model.as_bool()));
  }
  return kIncomparable;
}

// `expected` is the right side of the operator, `model` the left one: the rules are not symmetric.
Order order_of(const Side& expected, const Side& model) {
  if (expected.value != nullptr && model.value != nullptr) {
    if (expected.value == model.value) return comparable(0);
    const void* identity = expected.value->identity();
    if (identity != nullptr && identity == model.value->identity()) return comparable(0);
  }
  const bool expected_null = is_nullish(expected);
  const bool model_null = is_nullish(model);
  if (expected_null || model_null) return comparable(int{model_null} - int{expected_null});
  const auto expected_text = text_of(expected);
  const auto model_text = text_of(model);
  if (expected_text && model_text) {
    if (expected.literal != nullptr)
      return comparable(compare_text(expected.literal->compared_text, *model_text));
    if (expected_text->find('\'') == std::string_view::npos) {
      return comparable(compare_text(*expected_text, *model_text));
    }
    return comparable(compare_text(replace_all(*expected_text, "\\'", "'"), *model_text));
  }
  if (model.value == nullptr) return kIncomparable;
  if (expected_text) return order_with_text(*expected_text, expected, *model.value);
  if (expected.value == nullptr) return kIncomparable;
  if (expected.value->is_number() && model.value->is_number()) {
    return comparable(compare_numbers(*expected.value, *model.value));
  }
  if (expected.value->is_bool() && model.value->is_bool()) {
    return comparable(compare_bools(expected.value->as_bool(), model.value->as_bool()));
  }
  return kIncomparable;
}

Verdict verdict_of(Comparison comparison, int sign) {
  return is_true(comparison, sign) ? Verdict::kTrue : Verdict::kFalse;
}

Verdict match(const Side& left, const Side& right) {
  const auto pattern_of = [](const Side& side) -> const re2::RE2* {
    return side.literal != nullptr && side.literal->kind == Operand::Kind::kPattern
               ? side.literal->pattern.get()
               : nullptr;
  };
  const re2::RE2* pattern = pattern_of(left);
  const Side& target = pattern != nullptr ? right : left;
  if (pattern == nullptr) {
    // A null where the pattern should be passes as one until there is something to match.
    if (is_null_value(right) && is_null_value(left)) return Verdict::kFalse;
    pattern = pattern_of(right);
    if (pattern == nullptr) return Verdict::kNotAPattern;
  }
  if (is_null_value(target)) return Verdict::kFalse;
  std::string made;
  std::string_view text;
  if (const auto plain = text_of(target)) {
    text = *plain;
  } else {
    made = target.literal != nullptr ? target.literal->text : java_text(*target.value);
    text = made;
  }
  const bool whole = re2::RE2::FullMatch(re2::StringPiece(text.data(), text.size()), *pattern);
  return whole ? Verdict::kTrue : Verdict::kFalse;
}

}  // namespace

Verdict compare(Comparison comparison, const Side& left, const Side& right) {
  if (comparison == Comparison::kRegex) return match(left, right);
  const bool equality = comparison == Comparison::kEq || comparison == Comparison::kNe;
  if (!equality && is_null_value(left) != is_null_value(right)) return Verdict::kFalse;
  const Order order = order_of(right, left);
  if (order.kind == Order::Kind::kNotANumber) return Verdict::kNotANumber;
  if (order.kind == Order::Kind::kIncomparable) return Verdict::kFalse;
  return verdict_of(comparison, order.sign);
}

Verdict compare_with_text(Comparison comparison, const json::Value& left, json::Kind kind,
                          const Operand& right) {
  std::optional<int> sign;
  switch (kind) {
    case json::Kind::kInteger:
    case json::Kind::kDouble:
    case json::Kind::kBigInteger:
      if (right.text == "null") break;
      sign = compare_literal_number(right, left);
      return sign ? verdict_of(comparison, *sign) : Verdict::kNotANumber;
    case json::Kind::kString: {
      const std::string_view text = left.as_string();
      if (text == "null" || right.text == "null") break;
      return verdict_of(comparison, compare_text(right.compared_text, text));
    }
    default:
      break;
  }
  return compare(comparison, {nullptr, &left}, {&right, nullptr});
}

}  // namespace sortie::jsonpath
