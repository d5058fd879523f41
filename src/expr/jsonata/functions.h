#pragma once
// The tables of built-in functions, one for each file that implements them; builtins.cpp merges them.
#include <span>

#include "expr/jsonata/engine.h"

namespace sortie::jsonata {

std::span<const Native> string_functions();
std::span<const Native> regex_functions();
std::span<const Native> number_functions();
std::span<const Native> array_functions();
std::span<const Native> object_functions();
std::span<const Native> time_functions();
std::span<const Native> aws_functions();  // Mode kAws only.

inline Val argument(std::span<const Val> arguments, std::size_t index) {
  return index < arguments.size() ? arguments[index] : Val();
}

}  // namespace sortie::jsonata
