#pragma once
// Text inside this folder is UTF-8 that may also hold lone surrogates, encoded as three bytes each: JSONata
// takes strings for UTF-16, and "\uD83D" or $split("\uD83D\uDE00", "") make such halves. Two halves that
// meet become one character again; nothing outside the folder ever sees a half (results get U+FFFD).
#include <cstdint>
#include <string>
#include <string_view>

namespace sortie::jsonata {

void append_wtf8(std::string& out, std::uint32_t code_point);
// Appends, joining a high surrogate at the end of `out` with a low one at the start of `text`.
void append_joining(std::string& out, std::string_view text);
// Decodes the character at `at` and moves behind it; a stray byte counts as itself.
std::uint32_t next_code_point(std::string_view text, std::size_t& at);
std::size_t code_points(std::string_view text);
std::size_t utf16_length(std::string_view text);
void append_half_escape(std::string& out, std::uint32_t half);  // "\\ud83d"
bool is_ascii(std::string_view text);
bool has_surrogate(std::string_view text);
// Byte offset of a UTF-16 offset (clamped to the end; inside a pair it is rounded down).
std::size_t byte_offset(std::string_view text, std::size_t utf16_offset);
// Each character beyond U+FFFF as its two halves, for what looks at a text unit by unit; and back.
bool has_pairs(std::string_view text);
std::string split_pairs(std::string_view text);
std::string join_pairs(std::string_view text);
// Order of UTF-16 code units: -1, 0, 1.
int compare_utf16(std::string_view a, std::string_view b);

}  // namespace sortie::jsonata
