#pragma once
// Function signatures such as <s-nn?:s>: which arguments a function takes, which of them the context may
// stand in for, and what arrays contain.
//
// Every argument is reduced to a letter: b n s l o a f, m for undefined. A parameter is a set of letters and
// a quantifier; the list of parameters has to consume all letters, greedily, with backtracking, exactly as
// the regular expressions of the reference implementation do. The return type is read and ignored.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace sortie::jsonata {

struct Parameter {
  std::uint16_t letters = 0;  // Bit set of what is accepted, see letter_bit.
  bool array = false;         // Type `a`: a scalar is wrapped.
  bool context = false;       // `-`: the context stands in where the argument is missing.
  bool optional = false;      // `?` or `-`
  bool repeated = false;      // `+`
  std::string subtype{};      // What a typed array contains; empty for any.
};

constexpr std::string_view kTypeLetters = "asnblfom";

constexpr std::uint16_t letter_bit(char letter) {
  const std::size_t at = kTypeLetters.find(letter);
  return at == std::string_view::npos ? std::uint16_t{0} : static_cast<std::uint16_t>(1u << at);
}

struct Signature {
  std::vector<Parameter> parameters;

  // Throws Failure S0401 or S0402; position is the offset within the text.
  static Signature parse(std::string_view text);
  // How many letters each parameter takes, or false where the letters do not fit.
  bool match(std::string_view letters, std::vector<std::uint32_t>& taken) const;
  // The argument (from 0) at which matching breaks off.
  std::size_t mismatch(std::string_view letters) const;
};

}  // namespace sortie::jsonata
