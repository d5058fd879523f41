#pragma once
// How this folder fails inside: by throwing a Failure, which jsonata.cpp catches and turns into an Error.
// Nothing outside the folder sees the exception.
//
// A Failure carries the reference implementation's code, the byte offset in the expression just behind the
// token at fault (kNoPosition until some caller knows it), and what its message inserts.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace sortie::jsonata {

inline constexpr std::uint32_t kNoPosition = UINT32_MAX;

struct Failure {
  std::string code;
  std::uint32_t position = kNoPosition;
  std::string token{};
  std::string value{};  // JSON text of the value at fault, or the value's own text.
  std::string value2{};
  int index = 0;          // Number of the argument, from 1.
  std::string message{};  // Overrides the template of the code.
};

// The code's message with token, value and index inserted.
std::string message_of(const Failure& failure);

}  // namespace sortie::jsonata
