// $sum, $round, $number, $formatBase and the like; $formatNumber and $formatInteger are in pictures.h.
#include <cmath>

#include "base/text.h"
#include "expr/jsonata/functions.h"
#include "expr/jsonata/numbers.h"
#include "expr/jsonata/pictures.h"

namespace sortie::jsonata {
namespace number_natives {

using Arguments = std::span<const Val>;

Val sum(Engine& engine, Arguments a) {
  if (argument(a, 0).undefined()) return {};
  const Items items(a[0]);
  engine.work(items.size);
  double total = 0;
  for (std::size_t i = 0; i < items.size; ++i) total += items[i].number;
  return Val::of_number(total);
}

Val count(Engine&, Arguments a) {
  if (argument(a, 0).undefined()) return Val::of_number(0);
  return Val::of_number(static_cast<double>(Items(a[0]).size));
}

Val extreme(Arguments a, bool max) {
  if (argument(a, 0).undefined()) return {};
  const Items items(a[0]);
  if (items.size == 0) return {};
  double result = items[0].number;
  for (std::size_t i = 1; i < items.size; ++i) {
    const double number = items[i].number;
    result = max ? std::fmax(result, number) : std::fmin(result, number);
  }
  return Val::of_number(result);
}
Val max(Engine&, Arguments a) { return extreme(a, true); }
Val min(Engine&, Arguments a) { return extreme(a, false); }

Val average(Engine& engine, Arguments a) {
  if (argument(a, 0).undefined()) return {};
  const auto size = static_cast<double>(Items(a[0]).size);
  if (size == 0) return {};
  return Val::of_number(sum(engine, a).number / size);
}

Val unary(Arguments a, double (*f)(double)) {
  const Val value = argument(a, 0);
  return value.undefined() ? Val() : Val::of_number(f(value.number));
}
Val floor(Engine&, Arguments a) {
  return unary(a, [](double x) { return std::floor(x); });
}
Val ceil(Engine&, Arguments a) {
  return unary(a, [](double x) { return std::ceil(x); });
}
Val abs(Engine&, Arguments a) {
  return unary(a, [](double x) { return std::fabs(x); });
}

Val round(Engine&, Arguments a) {
  if (argument(a, 0).undefined()) return {};
  const Val precision = argument(a, 1);
  return Val::of_number(round_half_even(a[0].number, precision.is_number() ? precision.number : 0));
}

Val sqrt(Engine&, Arguments a) {
  if (argument(a, 0).undefined()) return {};
  if (a[0].number < 0) throw Failure{.code = "D3060", .value = describe(a[0]), .index = 1};
  return Val::of_number(std::sqrt(a[0].number));
}

Val power(Engine&, Arguments a) {
  if (argument(a, 0).undefined()) return {};
  const double exponent = argument(a, 1).undefined() ? NAN : a[1].number;
  const double result = power_of(a[0].number, exponent);
  if (!std::isfinite(result)) throw Failure{.code = "D3061", .value = describe(a[0]), .index = 1};
  return Val::of_number(result);
}

// -?[0-9]+(\.[0-9]+)?([Ee][-+]?[0-9]+)?
bool is_decimal(std::string_view text) {
  std::size_t at = 0;
  const auto digits = [&] {
    const std::size_t start = at;
    while (at < text.size() && text[at] >= '0' && text[at] <= '9') ++at;
    return at > start;
  };
  if (at < text.size() && text[at] == '-') ++at;
  if (!digits()) return false;
  if (at < text.size() && text[at] == '.') {
    ++at;
    if (!digits()) return false;
  }
  if (at < text.size() && (text[at] == 'e' || text[at] == 'E')) {
    ++at;
    if (at < text.size() && (text[at] == '-' || text[at] == '+')) ++at;
    if (!digits()) return false;
  }
  return at == text.size();
}

// 0x, 0o and 0b integers; NaN for anything else.
double prefixed(std::string_view text) {
  if (text.size() < 3 || text[0] != '0') return NAN;
  const char letter = text[1] | 0x20;
  const int radix = letter == 'x' ? 16 : letter == 'o' ? 8 : letter == 'b' ? 2 : 0;
  if (radix == 0) return NAN;
  double number = 0;
  for (const char c : text.substr(2)) {
    const int digit = c >= '0' && c <= '9'                     ? c - '0'
                      : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10
                                                               : 99;
    if (digit >= radix) return NAN;
    number = number * radix + digit;
  }
  return number;
}

// The reference's pattern for these is anchored at one end each: what it lets pass and is no number is NaN.
bool is_taken_for_prefixed(std::string_view text) {
  const auto at = [text](std::size_t i) { return i < text.size() ? text[i] : '\0'; };
  if (at(0) == '0' && (at(1) | 0x20) == 'x' && std::isxdigit(static_cast<unsigned char>(at(2)))) return true;
  for (std::size_t i = 0; i + 2 < text.size(); ++i) {
    if (text[i] == '0' && (text[i + 1] | 0x20) == 'o' && text[i + 2] >= '0' && text[i + 2] <= '7')
      return true;
  }
  std::size_t digits = text.size();
  while (digits > 0 && (text[digits - 1] == '0' || text[digits - 1] == '1')) --digits;
  return digits > 1 && digits < text.size() && (text[digits - 1] | 0x20) == 'b' && text[digits - 2] == '0';
}

Val number(Engine&, Arguments a) {
  const Val value = argument(a, 0);
  if (value.undefined() || value.is_number()) return value;
  if (value.is_bool()) return Val::of_number(value.boolean ? 1 : 0);
  if (value.is_string()) {
    if (is_decimal(value.str())) {
      const double result = text_to_number(value.str());
      if (std::isfinite(result)) return Val::of_number(result);
    } else if (is_taken_for_prefixed(value.str())) {
      return Val::of_number(prefixed(sortie::trim(value.str())));
    }
  }
  throw Failure{.code = "D3030", .value = describe(value), .index = 1};
}

Val random(Engine& engine, Arguments) {
  if (!engine.inputs().random)
    throw Failure{.code = "D3061", .message = "$random has no source of randomness here"};
  return Val::of_number(static_cast<double>(engine.inputs().random->next() >> 11) * 0x1p-53);
}

Val format_base(Engine& engine, Arguments a) {
  if (argument(a, 0).undefined()) return {};
  const double value = round_half_even(a[0].number, 0);
  const double radix = argument(a, 1).undefined() ? 10 : round_half_even(a[1].number, 0);
  if (radix < 2 || radix > 36) throw Failure{.code = "D3100", .value = number_to_text(radix), .index = 2};
  if (radix == 10 || !std::isfinite(value)) return engine.make_text(number_to_text(value));
  std::string digits;
  double rest = std::abs(value);
  // Far beyond 2^53 the digits are not known: JavaScript writes zeros.
  for (; rest >= 0x1p57; rest /= radix) digits += '0';
  for (rest = std::floor(rest); rest >= 1; rest = std::floor(rest / radix))
    digits.insert(digits.begin(),
                  "0123456789abcdefghijklmnopqrstuvwxyz"[static_cast<int>(std::fmod(rest, radix))]);
  if (digits.empty()) digits = "0";
  return engine.make_text(value < 0 ? "-" + digits : digits);
}

Val format_number(Engine& engine, Arguments a) {
  if (argument(a, 0).undefined()) return {};
  return engine.make_text(format_number_picture(a[0].number, argument(a, 1), argument(a, 2)));
}

Val format_integer(Engine& engine, Arguments a) {
  if (argument(a, 0).undefined()) return {};
  return engine.make_text(format_integer_picture(std::floor(a[0].number), argument(a, 1).str()));
}

Val parse_integer(Engine&, Arguments a) {
  if (argument(a, 0).undefined()) return {};
  const double result = parse_integer_picture(a[0].str(), argument(a, 1).str());
  return Val::of_number(result);
}

}  // namespace number_natives

std::span<const Native> number_functions() {
  using namespace number_natives;
  static constexpr Native kTable[] = {
      {"sum", "<a<n>:n>", 1, sum},
      {"count", "<a:n>", 1, count},
      {"max", "<a<n>:n>", 1, number_natives::max},
      {"min", "<a<n>:n>", 1, number_natives::min},
      {"average", "<a<n>:n>", 1, average},
      {"floor", "<n-:n>", 1, number_natives::floor},
      {"ceil", "<n-:n>", 1, number_natives::ceil},
      {"abs", "<n-:n>", 1, number_natives::abs},
      {"round", "<n-n?:n>", 2, number_natives::round},
      {"sqrt", "<n-:n>", 1, number_natives::sqrt},
      {"power", "<n-n:n>", 2, power},
      {"number", "<(nsb)-:n>", 1, number},
      {"random", "<:n>", 0, number_natives::random},
      {"formatBase", "<n-n?:s>", 2, format_base},
      {"formatNumber", "<n-so?:s>", 3, format_number},
      {"formatInteger", "<n-s:s>", 2, format_integer},
      {"parseInteger", "<s-s:n>", 2, parse_integer},
  };
  return kTable;
}

}  // namespace sortie::jsonata
