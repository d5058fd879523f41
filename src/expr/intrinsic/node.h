#pragma once
// The compiled form of an expression: a small tree of literals, paths and calls. Private to this folder.
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "expr/intrinsic/intrinsic.h"

namespace sortie::intrinsic {

// What a function's implementation is handed.
struct Call {
  std::string_view name;
  std::span<const json::Value> arguments;
  // The pieces of text around the `{}` of a Format template that is a literal; nullptr otherwise.
  const std::vector<std::string>* pieces = nullptr;
  Random* random = nullptr;
};

struct Function {
  std::string_view name;  // With its prefix: "States.Array".
  std::size_t arguments_min;
  std::size_t arguments_max;
  Result<json::Value> (*apply)(const Call& call);
};

const Function* find_function(std::string_view name);

struct Node {
  enum class Kind { kLiteral, kPath, kCall };
  Kind kind = Kind::kLiteral;
  std::string text;                                  // As it was written.
  json::Value literal;                               // kLiteral
  std::vector<std::string> pieces;                   // kLiteral that is a string: its text cut at every `{}`
  ExpressionKind root = ExpressionKind::kInputPath;  // kPath
  std::optional<jsonpath::Path> path;                // kPath
  std::string variable;                              // kPath over a variable
  const Function* function = nullptr;                // kCall
  std::vector<Node> arguments;                       // kCall
};

// A whole expression. Errors: kInvalidExpression with the offset in place.
Result<Node> parse_expression(std::string_view text);

// The text of a template cut at every `{}`; `\{` and `\}` are braces. `escapes` reads `\\` and `\'`, too.
std::vector<std::string> cut_at_placeholders(std::string_view text, bool escapes);

}  // namespace sortie::intrinsic
