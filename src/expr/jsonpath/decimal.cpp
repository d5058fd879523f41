#include "expr/jsonpath/decimal.h"

#include <algorithm>

#include "expr/jsonpath/java_text.h"

namespace sortie::jsonpath {
namespace {

constexpr std::int64_t kExponentMax = INT32_MAX;

bool is_decimal_digit(char c) { return c >= '0' && c <= '9'; }

// An exponent of at most 32 bits; nothing where it is malformed or larger.
std::optional<std::int64_t> parse_exponent(std::string_view text) {
  bool negative = false;
  if (!text.empty() && (text[0] == '-' || text[0] == '+')) {
    negative = text[0] == '-';
    text.remove_prefix(1);
  }
  if (text.empty()) return std::nullopt;
  std::int64_t exponent = 0;
  for (const char c : text) {
    if (!is_decimal_digit(c)) return std::nullopt;
    exponent = exponent * 10 + (c - '0');
    if (exponent > kExponentMax) return std::nullopt;
  }
  return negative ? -exponent : exponent;
}

}  // namespace

std::optional<Decimal> Decimal::parse(std::string_view text) {
  Decimal decimal;
  decimal.sign_ = 1;
  if (!text.empty() && (text[0] == '-' || text[0] == '+')) {
    if (text[0] == '-') decimal.sign_ = -1;
    text.remove_prefix(1);
  }
  const std::size_t mark = text.find_first_of("eE");
  std::int64_t exponent = 0;
  if (mark != std::string_view::npos) {
    const auto parsed = parse_exponent(text.substr(mark + 1));
    if (!parsed) return std::nullopt;
    exponent = *parsed;
    text = text.substr(0, mark);
  }
  bool point = false;
  std::size_t digits = 0;
  for (const char c : text) {
    if (c == '.' && !point) {
      point = true;
    } else if (is_decimal_digit(c)) {
      ++digits;
      if (!point) ++exponent;
      if (c == '0' && decimal.digits_.empty()) {
        --exponent;  // A leading zero stands for nothing.
      } else {
        decimal.digits_ += c;
      }
    } else {
      return std::nullopt;
    }
  }
  if (digits == 0) return std::nullopt;
  while (!decimal.digits_.empty() && decimal.digits_.back() == '0') decimal.digits_.pop_back();
  if (decimal.digits_.empty()) {
    decimal.sign_ = 0;
    exponent = 0;
  }
  decimal.exponent_ = exponent;
  return decimal;
}

Decimal Decimal::of(const json::Value& number) { return parse(java_text(number)).value_or(Decimal()); }

int Decimal::compare(const Decimal& other) const {
  if (sign_ != other.sign_) return sign_ < other.sign_ ? -1 : 1;
  int order = 0;
  if (exponent_ != other.exponent_) {
    order = exponent_ < other.exponent_ ? -1 : 1;
  } else {
    order = std::clamp(digits_.compare(other.digits_), -1, 1);
  }
  return sign_ < 0 ? -order : order;
}

}  // namespace sortie::jsonpath
