#pragma once
// Where the next page of a listing begins, as the opaque text that clients hand back.
//
// A token belongs to one listing: it carries a digest of what was listed (operation and filters), so a token
// of another listing, a changed one and plain nonsense are refused instead of skipping or repeating items. It
// holds nothing secret.
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace sortie::api {

std::string make_page_token(std::string_view listing, std::string_view cursor);
// Error "InvalidToken", AWS's words.
Result<std::string> read_page_token(std::string_view listing, std::string_view token);
// The same for cursors that are numbers.
Result<std::uint64_t> read_page_number(std::string_view listing, std::string_view token);

}  // namespace sortie::api
