#pragma once
// The picture languages: $formatNumber (XPath fn:format-number), integers ($formatInteger, $parseInteger)
// and dates ($fromMillis, $toMillis, $now). All throw Failure with the codes D3080..D3136.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "expr/jsonata/val.h"

namespace sortie::jsonata {

// `options` is an object of characters to use, or undefined.
std::string format_number_picture(double number, Val picture, Val options);

std::string format_integer_picture(double number, std::string_view picture);
// NaN where the text does not fit the picture.
double parse_integer_picture(std::string_view text, std::string_view picture);

// An integer picture taken apart; date pictures use it for their components.
struct IntegerPicture {
  enum class Kind { kDecimal, kLetters, kRoman, kWords, kSequence };
  enum class Case { kLower, kUpper, kTitle };
  struct Separator {
    int position = 0;  // Digits to its right.
    std::string text{};
  };
  Kind kind = Kind::kDecimal;
  Case letter_case = Case::kLower;
  bool ordinal = false;
  std::string token{};  // Of kSequence: what is not supported.
  std::uint32_t zero = '0';
  int mandatory_digits = 1;
  int optional_digits = 0;
  bool regular = false;
  std::vector<Separator> separators{};
  int parse_width = 0;  // Dates: exactly so many digits; 0 for any number.
};
IntegerPicture analyse_integer_picture(std::string_view picture);
std::string format_integer(double number, const IntegerPicture& picture);
double parse_integer(std::string_view text, const IntegerPicture& picture);
// A regular expression (RE2) for what the picture writes.
std::string integer_regex(const IntegerPicture& picture);

// `old`: the rules of 2.0.6. `zone` is "+hhmm" or empty for UTC; without a picture ISO 8601.
std::string format_date(double ms, std::optional<std::string_view> picture,
                        std::optional<std::string_view> zone, bool old);
// Nothing where the text does not fit.
std::optional<double> parse_date(std::string_view text, std::string_view picture, double now_ms, bool old);
// ISO 8601 as $toMillis takes it without a picture; nothing is undefined, D3110 otherwise.
std::optional<double> parse_iso_date(std::string_view text);

}  // namespace sortie::jsonata
