#pragma once
// Numbers as text, the way JavaScript writes and rounds them.
#include <string>
#include <string_view>

namespace sortie::jsonata {

// Shortest text that reads back equal: 0.1, 1e+21, 1e-7, -0 as "0".
std::string number_to_text(double number);
// Rounded to 15 significant digits, ties away from zero (Number.prototype.toPrecision).
double to_precision_15(double number);
// Half to even on the decimal text, as $round does; `precision` may be negative.
double round_half_even(double number, double precision);
// Exact decimal expansion with so many fraction digits (at most 100), ties away from zero.
std::string to_fixed(double number, int digits);
// JavaScript's Number(text) for plain decimal text, or NaN.
// Math.pow, to the last bit.
double power_of(double x, double y);
// JavaScript's parseInt: the integer at the beginning, decimal or 0x...; NaN without one.
double leading_integer(std::string_view text);
double text_to_number(std::string_view text);

}  // namespace sortie::jsonata
