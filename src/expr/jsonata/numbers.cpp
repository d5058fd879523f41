#include "expr/jsonata/numbers.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstdlib>

namespace sortie::jsonata {

std::string number_to_text(double number) {
  if (number == 0) return "0";
  if (std::isnan(number)) return "NaN";
  if (std::isinf(number)) return number < 0 ? "-Infinity" : "Infinity";
  char buffer[40];
  if (std::abs(number) < 1e15 && number == std::trunc(number)) {
    const auto end = std::to_chars(buffer, buffer + sizeof buffer, static_cast<long long>(number)).ptr;
    return {buffer, end};
  }
  const auto written =
      std::to_chars(buffer, buffer + sizeof buffer, std::abs(number), std::chars_format::scientific);
  std::string_view text(buffer, static_cast<std::size_t>(written.ptr - buffer));
  const std::size_t e = text.find('e');
  std::string digits(1, text[0]);
  if (e > 2) digits += text.substr(2, e - 2);
  int exponent = 0;
  const std::string_view power = text.substr(text[e + 1] == '+' ? e + 2 : e + 1);
  std::from_chars(power.data(), power.data() + power.size(), exponent);
  const int n = exponent + 1;  // Digits before the point.
  const int k = static_cast<int>(digits.size());
  std::string out;
  if (k <= n && n <= 21) {
    out = digits + std::string(static_cast<std::size_t>(n - k), '0');
  } else if (0 < n && n <= 21) {
    out = digits.substr(0, static_cast<std::size_t>(n)) + "." + digits.substr(static_cast<std::size_t>(n));
  } else if (-6 < n && n <= 0) {
    out = "0." + std::string(static_cast<std::size_t>(-n), '0') + digits;
  } else {
    out = digits.substr(0, 1);
    if (k > 1) out += "." + digits.substr(1);
    out += exponent < 0 ? "e-" : "e+";
    out += std::to_string(std::abs(exponent));
  }
  return number < 0 ? "-" + out : out;
}

double to_precision_15(double number) {
  if (number == 0 || !std::isfinite(number)) return number;
  if (std::abs(number) < 1e15 && number == std::trunc(number)) return number;
  char buffer[80];
  // Where 15 digits are enough to tell the number from all others, they are its own.
  const char* const end =
      std::to_chars(buffer, buffer + sizeof buffer, std::abs(number), std::chars_format::scientific).ptr;
  if (std::find(buffer, const_cast<char*>(end), 'e') - buffer <= 16) return number;
  // 60 digits show every tie that matters; printf itself would round ties to even.
  std::snprintf(buffer, sizeof buffer, "%.60e", std::abs(number));
  std::string text(buffer);
  const std::size_t e = text.find('e');
  std::string digits = text.substr(0, 1) + text.substr(2, 14);
  const bool up = text[16] >= '5';
  std::string rounded = digits.substr(0, 1) + "." + digits.substr(1) + text.substr(e);
  if (up) {
    unsigned long long whole = std::strtoull(digits.c_str(), nullptr, 10) + 1;
    rounded = std::to_string(whole) + "e" + std::to_string(std::atoi(text.c_str() + e + 1) - 14);
  }
  const double result = std::strtod(rounded.c_str(), nullptr);
  return number < 0 ? -result : result;
}

double leading_integer(std::string_view text) {
  text.remove_prefix(std::min(text.find_first_not_of(" \t\n\v\f\r"), text.size()));
  const bool negative = text.starts_with('-');
  if (negative || text.starts_with('+')) text.remove_prefix(1);
  const bool hex = text.starts_with("0x") || text.starts_with("0X");
  if (hex) text.remove_prefix(2);
  text = text.substr(0, text.find_first_not_of(hex ? "0123456789abcdefABCDEF" : "0123456789"));
  if (text.empty()) return NAN;
  const double number = std::strtod(((hex ? "0x" : "") + std::string(text)).c_str(), nullptr);
  return negative ? -number : number;
}

double text_to_number(std::string_view text) { return std::strtod(std::string(text).c_str(), nullptr); }

namespace rounding {

// The number times 10^shift, by moving the exponent of its text.
double shifted(double number, double shift) {
  const std::string text = number_to_text(number);
  const std::size_t e = text.find('e');
  const double exponent = e == std::string::npos ? 0 : std::atof(text.c_str() + e + 1);
  char buffer[40];
  std::snprintf(buffer, sizeof buffer, "e%.0f", exponent + shift);
  return text_to_number(text.substr(0, e) + buffer);
}

}  // namespace rounding

double round_half_even(double number, double precision) {
  double value = number;
  if (precision != 0) value = rounding::shifted(number, precision);
  double result = std::fabs(value) >= 0x1p52 ? value : std::floor(value + 0.5);
  if (std::abs(result - value) == 0.5 && std::abs(std::fmod(result, 2)) == 1) result -= 1;
  if (precision != 0) result = rounding::shifted(result, -precision);
  return result == 0 ? 0 : result;
}

std::string to_fixed(double number, int digits) {
  if (std::abs(number) >= 1e21) return number_to_text(number);
  std::string text(512, '\0');
  const int exact = std::snprintf(text.data(), text.size(), "%.*f", digits, number);
  text.resize(static_cast<std::size_t>(exact));
  return text;
}

}  // namespace sortie::jsonata
