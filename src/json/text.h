#pragma once
// JSON text in and out. Reading is strict RFC 8259: valid UTF-8, no trailing text, no NaN, no lone
// surrogates, bounded depth. Writing is compact, member order kept, numbers in their shortest form that reads
// back equal.
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "json/value.h"

namespace sortie::json {

inline constexpr std::size_t kDepthMax = 1000;                  // Nesting that parse accepts.
inline constexpr std::size_t kTextBytesMax = 64 * 1024 * 1024;  // Text that parse accepts.

// Errors: code "InvalidJson", message what is wrong, place "line L, column C".
Result<Value> parse(std::string_view text);

std::string to_text(const Value& value);
// Two-space indentation, for people.
std::string to_pretty_text(const Value& value);
void append_text(std::string& out, const Value& value);
void append_quoted(std::string& out, std::string_view text);  // "..." with JSON escapes.
// The shortest text that reads back as the same double: 0.1, 100.0, 1e+21.
std::string number_text(double number);

struct Position {
  int line = 1;    // From 1.
  int column = 1;  // From 1, in bytes.
};
Position position_at(std::string_view text, std::size_t offset);

// Where the value at an RFC 6901 pointer begins in a (valid) JSON text; nothing where the pointer leads
// nowhere.
std::optional<Position> find_position(std::string_view text, std::string_view pointer);

}  // namespace sortie::json
