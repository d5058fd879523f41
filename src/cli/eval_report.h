#pragma once
// What `sortie eval` tells a person about an expression that failed: the message, the expression with a caret
// under the place, and a hint what to try. Lines of any length are shown as the stretch around the place, and
// the caret stands right whatever characters are before it.
//
//   The right side of the + operator must evaluate to a number
//     $states.input.count + 'one'
//                         ^
//   hint: $number(...) makes a number of text
#include <string>
#include <string_view>

#include "base/result.h"

namespace sortie::cli {

// The whole text. `language` is one of jsonpath, intrinsic, jsonata and pattern.
std::string describe_failure(std::string_view language, std::string_view expression, const Error& error);

}  // namespace sortie::cli
