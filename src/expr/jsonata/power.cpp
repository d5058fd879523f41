// $power. JavaScript leaves the last bit of Math.pow to its engine, and the reference runs on one that works
// as fdlibm does, within 0.70 units of the last place instead of correctly rounded. This is that method:
// y * log2(x) in twice the precision, split into a whole number and a rest of at most one half, whose power
// of two comes from a rational approximation. Every operation has to round as it does there, so none may be
// reordered.
#include <bit>
#include <cmath>
#include <cstdint>

#include "expr/jsonata/numbers.h"

namespace sortie::jsonata {
namespace powers {

constexpr double kHuge = 1e300;
constexpr double kTiny = 1e-300;

// A number as the sum of one whose lower half is zero (so that products of two such are exact) and the rest.
struct Sum {
  double high = 0;
  double low = 0;
};

std::int32_t high_word(double number) {
  return static_cast<std::int32_t>(std::bit_cast<std::uint64_t>(number) >> 32);
}

double from_high_word(std::int32_t word, double low_from = 0) {
  const std::uint64_t low = std::bit_cast<std::uint64_t>(low_from) & 0xFFFFFFFF;
  return std::bit_cast<double>(static_cast<std::uint64_t>(static_cast<std::uint32_t>(word)) << 32 | low);
}

double upper_half(double number) {
  return std::bit_cast<double>(std::bit_cast<std::uint64_t>(number) & 0xFFFFFFFF00000000);
}

// log2 of a number so close to 1 that four terms of its series are enough.
Sum log2_near_one(double x) {
  constexpr double kInverseLn2 = 1.44269504088896338700e+00;
  constexpr double kInverseLn2High = 1.44269502162933349609e+00;
  constexpr double kInverseLn2Low = 1.92596299112661746887e-08;
  const double t = x - 1;
  const double w = (t * t) * (0.5 - t * (0.3333333333333333333333 - t * 0.25));
  const double u = kInverseLn2High * t;
  const double v = t * kInverseLn2Low - w * kInverseLn2;
  const double high = upper_half(u + v);
  return {high, v - (high - u)};
}

// log2 of a positive number: x = 2^n * m with m within sqrt(3/4) and sqrt(3/2) of the base 1 or 3/2, and
// log(m / base) by its series in s = (m - base) / (m + base).
Sum log2_of(double x) {
  constexpr double kBases[] = {1.0, 1.5};
  constexpr Sum kLogBases[] = {{0.0, 0.0}, {5.84962487220764160156e-01, 1.35003920212974897128e-08}};
  constexpr double kTwoThirdsPerLn2 = 9.61796693925975554329e-01;
  constexpr double kTwoThirdsPerLn2High = 9.61796700954437255859e-01;
  constexpr double kTwoThirdsPerLn2Low = -7.02846165095275826516e-09;
  int exponent = 0;
  if (high_word(x) < 0x00100000) {
    x *= 0x1p53;
    exponent -= 53;
  }
  std::int32_t word = high_word(x);
  exponent += (word >> 20) - 0x3FF;
  const std::int32_t fraction = word & 0x000FFFFF;
  word = fraction | 0x3FF00000;
  int base = 0;
  if (fraction > 0x3988E && fraction < 0xBB67A) {
    base = 1;
  } else if (fraction >= 0xBB67A) {
    ++exponent;
    word -= 0x00100000;
  }
  const double m = from_high_word(word, x);
  double u = m - kBases[base];
  double v = 1 / (m + kBases[base]);
  const double s = u * v;
  const double s_high = upper_half(s);
  // m + base in two parts, for the rest of s.
  double t_high = from_high_word(((word >> 1) | 0x20000000) + 0x00080000 + (base << 18));
  double t_low = m - (t_high - kBases[base]);
  const double s_low = v * ((u - s_high * t_high) - s_high * t_low);
  double s2 = s * s;
  double r = s2 * s2 *
             (5.99999999999994648725e-01 +
              s2 * (4.28571428578550184252e-01 +
                    s2 * (3.33333329818377432918e-01 +
                          s2 * (2.72728123808534006489e-01 +
                                s2 * (2.30660745775561754067e-01 + s2 * 2.06975017800338417784e-01)))));
  r += s_low * (s_high + s);
  s2 = s_high * s_high;
  t_high = upper_half(3.0 + s2 + r);
  t_low = r - ((t_high - 3.0) - s2);
  u = s_high * t_high;
  v = s_low * t_high + t_low * s;
  const double p_high = upper_half(u + v);
  const double p_low = v - (p_high - u);
  const double z_high = kTwoThirdsPerLn2High * p_high;
  const double z_low = kTwoThirdsPerLn2Low * p_high + p_low * kTwoThirdsPerLn2 + kLogBases[base].low;
  const auto n = static_cast<double>(exponent);
  const double high = upper_half(((z_high + z_low) + kLogBases[base].high) + n);
  return {high, z_low - (((high - n) - kLogBases[base].high) - z_high)};
}

// 2^(high + low), whose sum is `both`; infinite or 0 where it does not fit.
double exp2_of(double both, Sum parts) {
  constexpr double kLn2 = 6.93147180559945286227e-01;
  constexpr double kLn2High = 6.93147182464599609375e-01;
  constexpr double kLn2Low = -1.90465429995776804525e-09;
  const std::int32_t word = high_word(both);
  const std::int32_t size = word & 0x7FFFFFFF;
  std::int32_t whole = 0;
  if (size > 0x3FE00000) {  // More than one half: split the nearest whole number off.
    const std::int32_t rounded = word + (0x00100000 >> ((size >> 20) - 0x3FF + 1));
    const std::int32_t shift = ((rounded & 0x7FFFFFFF) >> 20) - 0x3FF;
    parts.high -= from_high_word(rounded & ~(0x000FFFFF >> shift));
    whole = ((rounded & 0x000FFFFF) | 0x00100000) >> (20 - shift);
    if (word < 0) whole = -whole;
  }
  const double rest = upper_half(parts.low + parts.high);
  const double u = rest * kLn2High;
  const double v = (parts.low - (rest - parts.high)) * kLn2 + rest * kLn2Low;
  double z = u + v;
  const double w = v - (z - u);
  const double t = z * z;
  const double p = z - t * (1.66666666666666019037e-01 +
                            t * (-2.77777777770155933842e-03 +
                                 t * (6.61375632143793436117e-05 +
                                      t * (-1.65339022054652515390e-06 + t * 4.13813679705723846039e-08))));
  // fdlibm takes the small correction w + z * w off behind the division; that engine has it in the divisor.
  const double r = (z * p) / ((p - 2) - (w + z * w));
  z = 1 - (r - z);
  const std::int32_t scaled = high_word(z) + (whole << 20);
  return (scaled >> 20) <= 0 ? std::scalbn(z, whole) : from_high_word(scaled, z);
}

bool is_odd(double number) { return std::fabs(std::fmod(number, 2)) == 1; }

// x > 0, x != 1, both finite, y none of the simple exponents.
double positive_power(double x, double y) {
  constexpr double kOverflowRest =
      8.0085662595372944372e-17;  // log2 of how far beyond the largest is still it.
  const std::int32_t x_word = high_word(x);
  const std::int32_t y_size = high_word(y) & 0x7FFFFFFF;
  Sum log;
  if (y_size > 0x41E00000) {  // Beyond 2^31 only what is next to 1 stays within bounds.
    const bool grows = (x_word >= 0x3FF00000) == (y > 0);
    if (y_size > 0x43F00000 || x_word < 0x3FEFFFFF || x_word > 0x3FF00000)
      return grows ? kHuge * kHuge : kTiny * kTiny;
    log = log2_near_one(x);
  } else {
    log = log2_of(x);
  }
  const double y_high = upper_half(y);
  const Sum product{y_high * log.high, (y - y_high) * log.high + y * log.low};
  const double both = product.low + product.high;
  if (both >= 1024 && (both > 1024 || product.low + kOverflowRest > both - product.high))
    return kHuge * kHuge;
  if (both <= -1075 && (both < -1075 || product.low <= both - product.high)) return kTiny * kTiny;
  return exp2_of(both, product);
}

}  // namespace powers

double power_of(double x, double y) {
  if (y == 0) return 1;
  if (std::isnan(x) || std::isnan(y) || (std::isinf(y) && std::fabs(x) == 1)) return NAN;
  if (std::isinf(x) || std::isinf(y) || x == 0) return std::pow(x, y);  // Exact, and the same everywhere.
  if (y == 1) return x;
  if (y == -1) return 1 / x;
  if (y == 2) return x * x;
  if (y == 0.5 && x > 0) return std::sqrt(x);
  if (x < 0 && y != std::trunc(y)) return NAN;
  const double result = std::fabs(x) == 1 ? 1 : powers::positive_power(std::fabs(x), y);
  return x < 0 && powers::is_odd(y) ? -result : result;
}

}  // namespace sortie::jsonata
