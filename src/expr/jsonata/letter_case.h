#pragma once
// Upper and lower case as JavaScript's strings know them: all of Unicode, with the letters that become two or
// three (ß, the ligatures) and the sigma that ends a word. Independent of any locale.
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace sortie::jsonata {

std::string to_upper_case(std::string_view text);
std::string to_lower_case(std::string_view text);

}  // namespace sortie::jsonata
