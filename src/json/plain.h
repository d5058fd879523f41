#pragma once
// For who writes JSON text by himself: whether a string stands between quotes as it is.
#include <string_view>

namespace sortie::json {

// No quote, backslash or control character is in it: '"' + text + '"' is what append_quoted makes of it.
bool is_plain(std::string_view text);

}  // namespace sortie::json
