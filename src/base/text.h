#pragma once
// Small, exact operations on text and bytes. All of them are pure and total.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace sortie {

bool is_valid_utf8(std::string_view text);
// Appends the UTF-8 form of a code point; surrogates and values above 0x10FFFF become U+FFFD.
void append_utf8(std::string& out, std::uint32_t code_point);
// Code points of valid UTF-8 (invalid bytes count one each).
std::size_t count_code_points(std::string_view text);
// Replaces every invalid byte by U+FFFD.
std::string to_valid_utf8(std::string_view text);
// The first `bytes_max` bytes, cut back to a whole code point.
std::string_view truncate_utf8(std::string_view text, std::size_t bytes_max);

std::string to_hex(std::string_view bytes);
std::string base64_encode(std::string_view bytes);
std::string base64url_encode(std::string_view bytes);  // Without padding.
// Standard alphabet, padding required, no blanks. Error code "InvalidBase64".
Result<std::string> base64_decode(std::string_view text);
Result<std::string> base64url_decode(std::string_view text);  // Padding optional.

// Percent-encoding as RFC 3986 and SigV4 want it: everything but A-Za-z0-9-._~ (and '/' if kept) is encoded.
std::string percent_encode(std::string_view text, bool keep_slash = false);
Result<std::string> percent_decode(
    std::string_view text);  // '+' stays '+'. Error code "InvalidPercentEncoding".

std::vector<std::string_view> split(std::string_view text, char separator);
std::string_view trim(std::string_view text);  // Blanks, tabs, CR, LF at both ends.
std::string to_lower_ascii(std::string_view text);
bool equals_ignore_case_ascii(std::string_view a, std::string_view b);
std::string replace_all(std::string_view text, std::string_view from, std::string_view to);
std::string join(const std::vector<std::string>& parts, std::string_view separator);

}  // namespace sortie
