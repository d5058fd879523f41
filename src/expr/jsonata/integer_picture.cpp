// Integers as digits, letters, roman numerals and English words, and back.
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <numeric>
#include <unordered_map>

#include "expr/jsonata/failure.h"
#include "expr/jsonata/numbers.h"
#include "expr/jsonata/pictures.h"
#include "expr/jsonata/utf.h"

namespace sortie::jsonata {
namespace integer_picture {

constexpr std::uint32_t kDigitGroups[] = {
    0x30,   0x0660, 0x06F0, 0x07C0, 0x0966, 0x09E6, 0x0A66, 0x0AE6, 0x0B66, 0x0BE6, 0x0C66, 0x0CE6, 0x0D66,
    0x0DE6, 0x0E50, 0x0ED0, 0x0F20, 0x1040, 0x1090, 0x17E0, 0x1810, 0x1946, 0x19D0, 0x1A80, 0x1A90, 0x1B50,
    0x1BB0, 0x1C40, 0x1C50, 0xA620, 0xA8D0, 0xA900, 0xA9D0, 0xA9F0, 0xAA50, 0xABF0, 0xFF10};

constexpr const char* kFew[] = {"Zero",    "One",     "Two",       "Three",    "Four",
                                "Five",    "Six",     "Seven",     "Eight",    "Nine",
                                "Ten",     "Eleven",  "Twelve",    "Thirteen", "Fourteen",
                                "Fifteen", "Sixteen", "Seventeen", "Eighteen", "Nineteen"};
constexpr const char* kOrdinals[] = {"Zeroth",    "First",     "Second",      "Third",      "Fourth",
                                     "Fifth",     "Sixth",     "Seventh",     "Eighth",     "Ninth",
                                     "Tenth",     "Eleventh",  "Twelfth",     "Thirteenth", "Fourteenth",
                                     "Fifteenth", "Sixteenth", "Seventeenth", "Eighteenth", "Nineteenth"};
constexpr const char* kDecades[] = {"Twenty", "Thirty",  "Forty",  "Fifty",
                                    "Sixty",  "Seventy", "Eighty", "Ninety"};
constexpr const char* kMagnitudes[] = {"Thousand", "Million", "Billion", "Trillion"};

std::string words(double number, bool after, bool ordinal) {
  if (number <= 19) {
    const auto at = static_cast<std::size_t>(number);
    return (after ? " and " : "") + std::string(ordinal ? kOrdinals[at] : kFew[at]);
  }
  if (number < 100) {
    const auto tens = static_cast<std::size_t>(number / 10);
    const double rest = std::fmod(number, 10);
    std::string out = (after ? " and " : "") + std::string(kDecades[tens - 2]);
    if (rest > 0) return out + "-" + words(rest, false, ordinal);
    return ordinal ? out.substr(0, out.size() - 1) + "ieth" : out;
  }
  double rest = std::fmod(number, 100);
  std::string out = after ? ", " : "";
  if (number < 1000) {
    out += std::string(kFew[static_cast<std::size_t>(number / 100)]) + " Hundred";
  } else {
    const auto magnitude = static_cast<std::size_t>(std::min(4.0, std::floor(std::log10(number) / 3)));
    const double factor = std::pow(10, static_cast<double>(magnitude) * 3);
    const double mantissa = std::floor(number / factor);
    rest = number - mantissa * factor;
    out += words(mantissa, false, false) + " " + kMagnitudes[magnitude - 1];
  }
  if (rest > 0) return out + words(rest, true, ordinal);
  return ordinal ? out + "th" : out;
}

std::string lower(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}
std::string upper(std::string text) {
  for (char& c : text) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return text;
}

const std::unordered_map<std::string, double>& word_values() {
  static const auto kValues = [] {
    std::unordered_map<std::string, double> values;
    for (std::size_t i = 0; i < 20; ++i) {
      values[lower(kFew[i])] = static_cast<double>(i);
      values[lower(kOrdinals[i])] = static_cast<double>(i);
    }
    for (std::size_t i = 0; i < 8; ++i) {
      const std::string word = lower(kDecades[i]);
      values[word] = values[word.substr(0, word.size() - 1) + "ieth"] = static_cast<double>(i + 2) * 10;
    }
    values["hundred"] = values["hundredth"] = 100;
    for (std::size_t i = 0; i < 4; ++i) {
      const std::string word = lower(kMagnitudes[i]);
      values[word] = values[word + "th"] = std::pow(10, static_cast<double>(i + 1) * 3);
    }
    return values;
  }();
  return kValues;
}

double from_words(std::string_view text) {
  std::vector<double> segments = {0};
  std::string word;
  bool good = true;
  const auto flush = [&] {
    if (word.empty() || word == "and") {
      word.clear();
      return;
    }
    const auto found = word_values().find(word);
    good = good && found != word_values().end();
    const double value = good ? found->second : 0;
    word.clear();
    if (value >= 100) {
      segments.back() *= value;
    } else if (segments.back() >= 1000) {
      segments.push_back(value);
    } else {
      segments.back() += value;
    }
  };
  for (const char c : text) {
    if (c == ' ' || c == ',' || c == '-' || c == '\t' || c == '\n') {
      flush();
    } else {
      word += c;
    }
  }
  flush();
  return good ? std::accumulate(segments.begin(), segments.end(), 0.0) : NAN;
}

struct RomanRow {
  int value;
  const char* letters;
};
constexpr RomanRow kRoman[] = {{1000, "m"}, {900, "cm"}, {500, "d"}, {400, "cd"}, {100, "c"},
                               {90, "xc"},  {50, "l"},   {40, "xl"}, {10, "x"},   {9, "ix"},
                               {5, "v"},    {4, "iv"},   {1, "i"}};

std::string roman(double number) {
  if (number > 1e7) throw Failure{.code = "D2015", .message = "The number is too large for roman numerals"};
  std::string out;
  for (const RomanRow& row : kRoman) {
    for (; number >= row.value; number -= row.value) out += row.letters;
  }
  return out;
}

double from_roman(std::string_view text) {
  constexpr std::string_view kLetters = "IVXLCDM";
  constexpr int kValues[] = {1, 5, 10, 50, 100, 500, 1000};
  double total = 0;
  double most = 1;
  for (std::size_t i = text.size(); i > 0; --i) {
    const std::size_t at =
        kLetters.find(static_cast<char>(std::toupper(static_cast<unsigned char>(text[i - 1]))));
    if (at == std::string_view::npos) return NAN;
    if (kValues[at] < most) {
      total -= kValues[at];
    } else {
      most = kValues[at];
      total += most;
    }
  }
  return total;
}

std::string letters(double number, char first) {
  std::string out;
  for (; number > 0; number = std::floor((number - 1) / 26))
    out.insert(out.begin(), static_cast<char>(first + static_cast<int>(std::fmod(number - 1, 26))));
  return out;
}

int regular_repeat(const std::vector<IntegerPicture::Separator>& separators) {
  int divisor = 0;
  for (const auto& separator : separators) {
    if (separator.text != separators[0].text) return 0;
    divisor = std::gcd(divisor, separator.position);
  }
  for (std::size_t i = 1; i <= separators.size(); ++i) {
    const bool found = std::any_of(separators.begin(), separators.end(), [&](const auto& s) {
      return s.position == static_cast<int>(i) * divisor;
    });
    if (!found) return 0;
  }
  return divisor;
}

void analyse_digits(IntegerPicture& result, std::string_view picture) {
  std::vector<std::uint32_t> points;
  for (std::size_t at = 0; at < picture.size();) points.push_back(next_code_point(picture, at));
  std::optional<std::uint32_t> zero;
  int position = 0;
  result.mandatory_digits = 0;
  for (auto it = points.rbegin(); it != points.rend(); ++it) {
    const std::uint32_t c = *it;
    const auto* group = std::find_if(std::begin(kDigitGroups), std::end(kDigitGroups),
                                     [&](std::uint32_t g) { return c >= g && c <= g + 9; });
    if (group != std::end(kDigitGroups)) {
      if (zero && *zero != *group) throw Failure{.code = "D3131"};
      zero = *group;
      ++result.mandatory_digits;
      ++position;
    } else if (c == '#') {
      ++result.optional_digits;
      ++position;
    } else {
      std::string text;
      append_wtf8(text, c);
      result.separators.push_back({position, text});
    }
  }
  if (result.mandatory_digits == 0) {
    result.kind = IntegerPicture::Kind::kSequence;
    result.token = picture;
    return;
  }
  result.zero = *zero;
  const int repeat = regular_repeat(result.separators);
  result.regular = repeat > 0;
  if (result.regular) result.separators = {{repeat, result.separators[0].text}};
}

// Inserts a separator so many digits from the right; beyond the left end JavaScript's substr wraps around.
void insert_separator(std::vector<std::string>& digits, const IntegerPicture::Separator& separator) {
  const auto size = static_cast<int>(digits.size());
  const int at = size - separator.position;
  if (at < 0) digits.erase(digits.begin(), digits.begin() + std::max(0, size + at));
  digits.insert(digits.begin() + std::max(0, at), separator.text);
}

std::string decimal(double number, const IntegerPicture& picture) {
  const std::string plain = number_to_text(number);
  std::vector<std::string> digits;
  for (int i = static_cast<int>(plain.size()); i < picture.mandatory_digits; ++i) digits.push_back("0");
  for (const char c : plain) digits.emplace_back(1, c);
  const std::string last = digits.back();
  const bool teens = digits.size() > 1 && digits[digits.size() - 2] == "1";
  if (picture.zero != '0') {
    for (std::string& digit : digits) {
      const std::uint32_t c = picture.zero + static_cast<std::uint32_t>(digit[0] - '0');
      digit.clear();
      append_wtf8(digit, c);
    }
  }
  if (picture.regular) {
    const auto step = static_cast<std::size_t>(picture.separators[0].position);
    const std::size_t size = digits.size();
    for (std::size_t at = step; at < size; at += step)
      digits.insert(digits.begin() + static_cast<std::ptrdiff_t>(size - at), picture.separators[0].text);
  } else {
    for (auto it = picture.separators.rbegin(); it != picture.separators.rend(); ++it)
      insert_separator(digits, *it);
  }
  std::string out;
  for (const std::string& digit : digits) out += digit;
  if (picture.ordinal) {
    const bool own = !teens && picture.zero == '0';
    out += own && last == "1" ? "st" : own && last == "2" ? "nd" : own && last == "3" ? "rd" : "th";
  }
  return out;
}

}  // namespace integer_picture

IntegerPicture analyse_integer_picture(std::string_view picture) {
  using Kind = IntegerPicture::Kind;
  using Case = IntegerPicture::Case;
  IntegerPicture result;
  const std::size_t semicolon = picture.rfind(';');
  const std::string_view primary = picture.substr(0, semicolon);
  if (semicolon != std::string_view::npos) result.ordinal = picture.substr(semicolon + 1).starts_with('o');
  if (primary == "A" || primary == "a") {
    result.kind = Kind::kLetters;
  } else if (primary == "I" || primary == "i") {
    result.kind = Kind::kRoman;
  } else if (primary == "W" || primary == "w" || primary == "Ww") {
    result.kind = Kind::kWords;
  } else {
    integer_picture::analyse_digits(result, primary);
    return result;
  }
  if (primary == "Ww") {
    result.letter_case = Case::kTitle;
  } else if (primary[0] < 'a') {
    result.letter_case = Case::kUpper;
  }
  return result;
}

std::string format_integer(double number, const IntegerPicture& picture) {
  using namespace integer_picture;
  using Kind = IntegerPicture::Kind;
  using Case = IntegerPicture::Case;
  const double value = std::fabs(number);
  if (std::isinf(value) || (std::isnan(value) && picture.kind == Kind::kWords))
    throw Failure{.code = "D1001", .value = number_to_text(number)};
  std::string out;
  switch (picture.kind) {
    case Kind::kLetters:
      out = letters(value, picture.letter_case == Case::kUpper ? 'A' : 'a');
      break;
    case Kind::kRoman:
      out = roman(value);
      if (picture.letter_case == Case::kUpper) out = upper(out);
      break;
    case Kind::kWords:
      out = words(value, false, picture.ordinal);
      if (picture.letter_case == Case::kUpper) out = upper(out);
      if (picture.letter_case == Case::kLower) out = lower(out);
      break;
    case Kind::kDecimal:
      out = decimal(value, picture);
      break;
    case Kind::kSequence:
      throw Failure{.code = "D3130", .value = picture.token};
  }
  return number < 0 ? "-" + out : out;
}

double parse_integer(std::string_view text, const IntegerPicture& picture) {
  using namespace integer_picture;
  using Kind = IntegerPicture::Kind;
  switch (picture.kind) {
    case Kind::kLetters: {
      const char first = picture.letter_case == IntegerPicture::Case::kUpper ? 'A' : 'a';
      double total = 0;
      for (const char c : text) total = total * 26 + (c - first + 1);
      return total;
    }
    case Kind::kRoman:
      return from_roman(text);
    case Kind::kWords:
      return from_words(lower(std::string(text)));
    case Kind::kSequence:
      throw Failure{.code = "D3130", .value = picture.token};
    case Kind::kDecimal:
      break;
  }
  std::string digits(text);
  if (picture.ordinal) digits.resize(digits.size() < 2 ? 0 : digits.size() - 2);
  const auto remove = [&](const std::string& what) {
    for (std::size_t at = digits.find(what); at != std::string::npos; at = digits.find(what, at))
      digits.erase(at, what.size());
  };
  if (picture.regular) remove(",");
  for (const auto& separator : picture.separators) {
    if (!picture.regular) remove(separator.text);
  }
  std::string ascii;
  for (std::size_t at = 0; at < digits.size();) {
    const std::uint32_t c = next_code_point(digits, at);
    if (c >= picture.zero && c <= picture.zero + 9) {
      ascii += static_cast<char>('0' + (c - picture.zero));
    } else if (ascii.empty() && (c == '-' || c == '+' || c == ' ')) {
      if (c != ' ') ascii += static_cast<char>(c);
    } else {
      break;
    }
  }
  if (ascii.find_first_of("0123456789") == std::string::npos) return NAN;
  return text_to_number(ascii);
}

std::string integer_regex(const IntegerPicture& picture) {
  using Kind = IntegerPicture::Kind;
  const bool is_upper = picture.letter_case == IntegerPicture::Case::kUpper;
  switch (picture.kind) {
    case Kind::kLetters:
      return is_upper ? "[A-Z]+" : "[a-z]+";
    case Kind::kRoman:
      return is_upper ? "[MDCLXVI]+" : "[mdclxvi]+";
    case Kind::kWords: {
      std::string out = "(?:and|[\\-, ]";
      for (const auto& [word, value] : integer_picture::word_values()) out += "|" + word;
      return out + ")+";
    }
    case Kind::kSequence:
      throw Failure{.code = "D3130", .value = picture.token};
    case Kind::kDecimal:
      break;
  }
  std::string out = "[0-9]";
  out += picture.parse_width > 0 ? "{" + std::to_string(picture.parse_width) + "}" : "+";
  if (picture.ordinal) out += "(?:th|st|nd|rd)";
  return out;
}

std::string format_integer_picture(double number, std::string_view picture) {
  return format_integer(number, analyse_integer_picture(picture));
}

double parse_integer_picture(std::string_view text, std::string_view picture) {
  return parse_integer(text, analyse_integer_picture(picture));
}

}  // namespace sortie::jsonata
