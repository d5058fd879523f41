#pragma once
// Exact decimal numbers for filter comparisons: `@.price < 10` compares the digits that stand in the
// document with the digits that stand in the path, never their binary approximations.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "json/value.h"

namespace sortie::jsonpath {

class Decimal {
 public:
  // Sign, digits with at most one point, exponent: "1", "-.5", "5.", "1e3". Nothing else, no blanks.
  static std::optional<Decimal> parse(std::string_view text);
  // `number` is any JSON number.
  static Decimal of(const json::Value& number);

  // -1, 0, 1.
  int compare(const Decimal& other) const;

 private:
  int sign_ = 0;               // 0 for zero.
  std::string digits_;         // Without zeros at either end.
  std::int64_t exponent_ = 0;  // The value is 0.DIGITS times ten to this.
};

}  // namespace sortie::jsonpath
