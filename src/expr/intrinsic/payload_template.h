#pragma once
// A payload template: the value of Parameters, ItemSelector, ResultSelector, Assign and Credentials.
//
// A member whose name ends in `.$` holds an Expression; its result is stored under the name without the
// suffix. That holds at any depth, inside arrays, too. Everything else is literal, whatever it looks like:
// the string "$.x" under a plain name stays that string, and so does a string in an array.
//
// Compiled once; immutable and shared between threads afterwards. Sub-trees without any `.$` are never
// rebuilt, every result shares them.
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "expr/intrinsic/intrinsic.h"
#include "json/value.h"

namespace sortie::intrinsic {

inline constexpr int kTemplateDepthMax = 200;

// What went wrong where, for the texts that AWS records, e.g.
//   The JSONPath '<expression>' specified for the field '<field>' could not be found in the input '<json>'
struct TemplateFailure {
  std::string field;       // The member's name with its suffix: "k.$".
  std::string expression;  // Its value as written: "$.x", "States.Format(...)".
  bool is_path = false;    // A bare path; else an intrinsic call.
};

class PayloadTemplate {
 public:
  // Errors: code kInvalidExpression, place the JSON pointer of the object that holds the member (empty for
  // the root), message AWS's text:
  //   The value for the field 'k.$' must be a valid JSONPath or a valid intrinsic function call
  // and in hint what exactly is wrong. Two members that have the same name without suffix, and nesting
  // beyond kTemplateDepthMax, are errors, too.
  static Result<PayloadTemplate> compile(const json::Value& tree);

  bool is_constant() const;  // No `.$` anywhere: evaluate() returns the tree itself.
  // Names of all variables used anywhere inside, without repetitions, in order of first use.
  std::span<const std::string> variable_names() const;

  // Errors are those of the failing Expression (its code and message), with the JSON pointer of the failing
  // member in place; `failure`, where given, receives what a text for people needs.
  Result<json::Value> evaluate(const Scope& scope, TemplateFailure* failure = nullptr) const;

 private:
  struct Program;
  explicit PayloadTemplate(std::shared_ptr<const Program> program) : program_(std::move(program)) {}

  std::shared_ptr<const Program> program_;
};

}  // namespace sortie::intrinsic
