// $formatNumber: a port of the reference's reading of XPath's fn:format-number, check by check; the last
// check that fails names the error.
#include <cmath>
#include <numeric>

#include "expr/jsonata/failure.h"
#include "expr/jsonata/numbers.h"
#include "expr/jsonata/pictures.h"
#include "expr/jsonata/utf.h"

namespace sortie::jsonata {
namespace number_picture {

using Text = std::u32string;

Text decode(std::string_view text) {
  Text out;
  for (std::size_t at = 0; at < text.size();) out += static_cast<char32_t>(next_code_point(text, at));
  return out;
}

std::string encode(const Text& text) {
  std::string out;
  for (const char32_t c : text) append_wtf8(out, c);
  return out;
}

struct Characters {
  Text decimal = U".";
  Text group = U",";
  Text exponent = U"e";
  Text infinity = U"Infinity";
  Text minus = U"-";
  Text nan = U"NaN";
  Text percent = U"%";
  Text per_mille = U"\u2030";
  Text zero = U"0";
  Text digit = U"#";
  Text separator = U";";

  void take(Val options) {
    const std::pair<const char*, Text*> names[] = {{"decimal-separator", &decimal},
                                                   {"grouping-separator", &group},
                                                   {"exponent-separator", &exponent},
                                                   {"infinity", &infinity},
                                                   {"minus-sign", &minus},
                                                   {"NaN", &nan},
                                                   {"percent", &percent},
                                                   {"per-mille", &per_mille},
                                                   {"zero-digit", &zero},
                                                   {"digit", &digit},
                                                   {"pattern-separator", &separator}};
    for (const auto& [name, target] : names) {
      const Val value = member(options, name);
      if (value.is_string()) *target = decode(value.str());
    }
    if (zero.empty()) zero = U"0";
  }
  bool is_family(char32_t c) const { return c >= zero[0] && c < zero[0] + 10; }
  bool is(char32_t c, const Text& what) const { return what.size() == 1 && what[0] == c; }
  bool is_active(char32_t c) const {
    return is_family(c) || is(c, decimal) || is(c, exponent) || is(c, group) || is(c, digit);
  }
};

struct Part {
  Text prefix;
  Text suffix;
  Text active;
  Text mantissa;
  Text exponent;
  Text integer;
  Text fraction;
  Text whole;
  bool has_exponent = false;
  std::vector<std::size_t> integer_groups;
  std::vector<std::size_t> fraction_groups;
  std::size_t regular = 0;
  int integer_min = 0;
  int scale = 0;
  int fraction_min = 0;
  int fraction_max = 0;
  int exponent_min = 0;
};

std::size_t count_of(const Text& text, const Text& what) {
  if (what.empty()) return 0;
  std::size_t count = 0;
  for (std::size_t at = text.find(what); at != Text::npos; at = text.find(what, at + 1)) ++count;
  return count;
}

Part split(const Text& text, const Characters& c) {
  Part part;
  part.whole = text;
  std::size_t begin = 0;
  const auto edge = [&](char32_t ch) { return c.is_active(ch) && !c.is(ch, c.exponent); };
  while (begin < text.size() && !edge(text[begin])) ++begin;
  std::size_t end = text.size();
  while (end > begin && !edge(text[end - 1])) --end;
  if (begin >= text.size()) {  // Nothing active: all of it is prefix and suffix alike in the reference.
    part.suffix = text;
    return part;
  }
  part.prefix = text.substr(0, begin);
  part.suffix = text.substr(end);
  part.active = text.substr(begin, end - begin);
  const std::size_t e = c.exponent.empty() ? Text::npos : text.find(c.exponent, begin);
  if (e == Text::npos || e > text.size() - part.suffix.size()) {
    part.mantissa = part.active;
  } else {
    part.has_exponent = true;
    part.mantissa = part.active.substr(0, e - begin);
    part.exponent = part.active.substr(std::min(part.active.size(), e - begin + 1));
  }
  const std::size_t point = part.mantissa.find(c.decimal);
  if (point == Text::npos) {
    part.integer = part.mantissa;
    part.fraction = part.suffix;
  } else {
    part.integer = part.mantissa.substr(0, point);
    part.fraction = part.mantissa.substr(point + 1);
  }
  return part;
}

// The family's digits of `text`, or those and optional ones.
int digits_in(const Text& text, const Characters& c, bool optional) {
  int count = 0;
  for (const char32_t ch : text) count += c.is_family(ch) || (optional && c.is(ch, c.digit));
  return count;
}

void check(const Part& part, const Characters& c) {
  const char* error = nullptr;
  const Text& all = part.whole;
  if (count_of(all, c.decimal) > 1) error = "D3081";
  if (count_of(all, c.percent) > 1) error = "D3082";
  if (count_of(all, c.per_mille) > 1) error = "D3083";
  if (count_of(all, c.percent) > 0 && count_of(all, c.per_mille) > 0) error = "D3084";
  if (digits_in(part.mantissa, c, true) == 0) error = "D3085";
  for (const char32_t ch : part.active) {
    if (!c.is_active(ch)) error = "D3086";
  }
  if (part.active.empty() && !part.whole.empty()) error = "D3086";
  const std::size_t point = all.find(c.decimal);
  if (point != Text::npos) {
    if ((point > 0 && c.is(all[point - 1], c.group)) ||
        (point + 1 < all.size() && c.is(all[point + 1], c.group)))
      error = "D3087";
  } else if (!part.integer.empty() && c.is(part.integer.back(), c.group)) {
    error = "D3088";
  }
  if (count_of(all, c.group + c.group) > 0) error = "D3089";
  const std::size_t optional = part.integer.find(c.digit);
  if (optional != Text::npos) {
    for (std::size_t i = 0; i < part.integer.size() && i < part.integer.rfind(c.digit); ++i)
      if (c.is_family(part.integer[i])) error = "D3090";
  }
  const std::size_t first = part.fraction.find(c.digit);
  if (first != Text::npos) {
    for (std::size_t i = first; i < part.fraction.size(); ++i)
      if (c.is_family(part.fraction[i])) error = "D3091";
  }
  if (part.has_exponent && !part.exponent.empty() &&
      (count_of(all, c.percent) > 0 || count_of(all, c.per_mille) > 0))
    error = "D3092";
  if (part.has_exponent) {
    bool digits = !part.exponent.empty();
    for (const char32_t ch : part.exponent) digits = digits && c.is_family(ch);
    if (!digits) error = "D3093";
  }
  if (error) throw Failure{.code = error};
}

std::vector<std::size_t> groups_in(const Text& text, const Characters& c, bool left) {
  std::vector<std::size_t> result;
  for (std::size_t at = text.find(c.group); !c.group.empty() && at != Text::npos;
       at = text.find(c.group, at + 1))
    result.push_back(
        static_cast<std::size_t>(digits_in(left ? text.substr(0, at) : text.substr(at), c, true)));
  return result;
}

void analyse(Part& part, const Characters& c) {
  part.integer_groups = groups_in(part.integer, c, false);
  std::size_t divisor = 0;
  for (const std::size_t g : part.integer_groups) divisor = std::gcd(divisor, g);
  if (divisor > 0) {
    part.regular = divisor;
    for (std::size_t i = 1; i <= part.integer_groups.size(); ++i) {
      bool found = false;
      for (const std::size_t g : part.integer_groups) found = found || g == i * divisor;
      if (!found) part.regular = 0;
    }
  }
  part.fraction_groups = groups_in(part.fraction, c, true);
  part.integer_min = digits_in(part.integer, c, false);
  part.scale = part.integer_min;
  part.fraction_min = digits_in(part.fraction, c, false);
  part.fraction_max = digits_in(part.fraction, c, true);
  const bool exponent = part.has_exponent;
  if (part.integer_min == 0 && part.fraction_max == 0) {
    if (exponent) {
      part.fraction_min = part.fraction_max = 1;
    } else {
      part.integer_min = 1;
    }
  }
  if (exponent && part.integer_min == 0 && part.integer.find(c.digit) != Text::npos) part.integer_min = 1;
  if (part.integer_min == 0 && part.fraction_min == 0) part.fraction_min = 1;
  if (exponent) part.exponent_min = digits_in(part.exponent, c, false);
}

// The absolute value with so many fraction digits in the family's digits.
Text digits_of(double value, int places, const Characters& c) {
  Text out;
  for (const char ch : to_fixed(std::fabs(value), places))
    out += ch >= '0' && ch <= '9' ? c.zero[0] + static_cast<char32_t>(ch - '0') : static_cast<char32_t>(ch);
  return out;
}

Text group_digits(Text integer, const Part& part, const Characters& c) {
  if (part.regular > 0) {
    const std::size_t size = integer.size();
    for (std::size_t at = part.regular; at < size; at += part.regular) integer.insert(size - at, c.group);
  } else {
    // Positions beyond the left end count from the right, as String.prototype.slice has it.
    integer += U'.';
    std::size_t point = integer.size() - 1;
    for (const std::size_t g : part.integer_groups) {
      const auto size = static_cast<std::ptrdiff_t>(integer.size());
      std::ptrdiff_t at = static_cast<std::ptrdiff_t>(point) - static_cast<std::ptrdiff_t>(g);
      if (at < 0) at = std::max<std::ptrdiff_t>(0, size + at);
      integer.insert(static_cast<std::size_t>(at), c.group);
      ++point;
    }
    integer.pop_back();
  }
  return integer;
}

std::string format(double value, const Part& part, const Characters& c, bool minus_first) {
  if (!std::isfinite(value)) {
    const Text word = std::isnan(value) ? c.nan : c.infinity;
    return encode((minus_first ? c.minus : Text()) + part.prefix + word + part.suffix);
  }
  double adjusted = value;
  if (count_of(part.whole, c.percent) > 0) adjusted = value * 100;
  if (count_of(part.whole, c.per_mille) > 0) adjusted = value * 1000;
  double mantissa = adjusted;
  int exponent = 0;
  if (part.has_exponent && mantissa != 0 && std::isfinite(mantissa)) {
    const double high = std::pow(10, part.scale);
    const double low = std::pow(10, part.scale - 1);
    while (std::fabs(mantissa) < low) {
      mantissa *= 10;
      --exponent;
    }
    while (std::fabs(mantissa) > high) {
      mantissa /= 10;
      ++exponent;
    }
  }
  const double rounded = round_half_even(mantissa, part.fraction_max);
  const Text text = digits_of(rounded, part.fraction_max, c);
  const std::size_t point = text.find(U'.');
  Text integer = text.substr(0, point);
  Text fraction = point == Text::npos ? Text() : text.substr(point + 1);
  while (!integer.empty() && integer[0] == c.zero[0]) integer.erase(0, 1);
  while (!fraction.empty() && fraction.back() == c.zero[0]) fraction.pop_back();
  while (static_cast<int>(integer.size()) < part.integer_min) integer.insert(0, 1, c.zero[0]);
  while (static_cast<int>(fraction.size()) < part.fraction_min) fraction += c.zero[0];
  integer = group_digits(integer, part, c);
  Text grouped;
  for (std::size_t i = 0; i < fraction.size(); ++i) {
    for (const std::size_t g : part.fraction_groups)
      if (g == i && i > 0) grouped += c.group;
    grouped += fraction[i];
  }
  for (const std::size_t g : part.fraction_groups)
    if (g >= fraction.size()) grouped += c.group;
  Text out = integer;
  if (!grouped.empty()) out += c.decimal + grouped;
  if (part.has_exponent) {
    Text digits = digits_of(exponent, 0, c);
    while (static_cast<int>(digits.size()) < part.exponent_min) digits.insert(0, 1, c.zero[0]);
    out += c.exponent + (exponent < 0 ? c.minus : Text()) + digits;
  }
  return encode((minus_first ? c.minus : Text()) + part.prefix + out + part.suffix);
}

}  // namespace number_picture

std::string format_number_picture(double number, Val picture, Val options) {
  using namespace number_picture;
  Characters c;
  c.take(options);
  const Text text = picture.is_string() ? decode(picture.str()) : Text();
  std::vector<Text> parts;
  std::size_t start = 0;
  for (std::size_t at = text.find(c.separator); !c.separator.empty() && at != Text::npos;
       at = text.find(c.separator, start)) {
    parts.push_back(text.substr(start, at - start));
    start = at + c.separator.size();
  }
  parts.push_back(text.substr(start));
  if (parts.size() > 2) throw Failure{.code = "D3080"};
  std::vector<Part> analysed;
  for (const Text& one : parts) {
    analysed.push_back(split(one, c));
    check(analysed.back(), c);
  }
  for (Part& part : analysed) analyse(part, c);
  const bool negative = number < 0;
  const bool own = negative && analysed.size() == 2;
  return format(number, analysed[own ? 1 : 0], c, negative && !own);
}

}  // namespace sortie::jsonata
