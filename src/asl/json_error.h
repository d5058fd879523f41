#pragma once
// Says what is wrong with a definition text that is no JSON, in the words that AWS uses: those of the Jackson
// reader, with the text itself (its first 500 characters), line and column:
//
//   Unrecognized token 'not': was expecting (JSON String, ...)
//    at [Source: (String)"not a definition"; line: 1, column: 4]
//
// Unlike json::parse it also finds repeated keys: a state that silently replaces another one is a fault.
#include <optional>
#include <string>
#include <string_view>

namespace sortie::asl {

struct JsonFault {
  std::string message;   // With the location at its end, as AWS has it.
  std::string location;  // [Source: (String)"..."; line: 1, column: 4]
};

// The first fault of the text, or nothing where it is one JSON value with unique keys. Linear time; nesting
// beyond `depth_max` is a fault. Bytes that are no UTF-8 are not looked at.
std::optional<JsonFault> find_json_fault(std::string_view text, std::uint32_t depth_max);

}  // namespace sortie::asl
