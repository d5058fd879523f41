#pragma once
// How a filter compares two things. A literal is text, and what it is compared as goes by the other side: a
// number in the document reads it as a number, a boolean as a boolean, a string as a string. Private to
// this folder.
#include <cstdint>

#include "expr/jsonpath/program.h"
#include "json/value.h"

namespace sortie::jsonpath {

// One side of a comparison: a literal, a regular expression, or a value of the document.
struct Side {
  const Operand* literal = nullptr;    // Set unless it is a value; its kind tells text from pattern.
  const json::Value* value = nullptr;  // Set when it is a value.
};

enum class Verdict : std::uint8_t {
  kFalse,
  kTrue,
  kNotANumber,   // A number is compared with text that is none; this ends the evaluation.
  kNotAPattern,  // =~ without a regular expression.
};

Verdict compare(Comparison comparison, const Side& left, const Side& right);
// The same for a value of the document on the left and literal text on the right, without ceremony.
Verdict compare_with_text(Comparison comparison, const json::Value& left, json::Kind kind,
                          const Operand& right);

// `sign` is that of the right side against the left: -1 where the right is less.
inline bool is_true(Comparison comparison, int sign) {
  switch (comparison) {
    case Comparison::kEq:
      return sign == 0;
    case Comparison::kNe:
      return sign != 0;
    case Comparison::kLt:
      return sign > 0;
    case Comparison::kLe:
      return sign >= 0;
    case Comparison::kGt:
      return sign < 0;
    case Comparison::kGe:
      return sign <= 0;
    default:
      return false;
  }
}

}  // namespace sortie::jsonpath
