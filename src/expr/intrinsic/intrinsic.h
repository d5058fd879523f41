#pragma once
// What the value of a `"name.$"` member may be: a path or a call of an intrinsic function.
//
//   $.a.b            a path over the state's input
//   $$.Execution.Id  a path over the context object
//   $name.a          a path into a workflow variable
//   States.Format('{} of {}', $.a, States.ArrayLength($.b))     one of the 18 intrinsic functions
//
// An Expression is compiled when the state machine is created: names, arity, literals, escapes and nesting
// (ten levels) are checked then, and what AWS rejects at creation compile() rejects. It never changes
// afterwards and may be shared between threads. Evaluation is pure; chance comes in through Scope.
//
// Sources: the States Language specification (intrinsic functions, Appendix B) and executions recorded on
// AWS.
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"
#include "expr/jsonpath/jsonpath.h"
#include "json/value.h"

namespace sortie::intrinsic {

// Code of every failure of an intrinsic call at run time, a path argument that finds nothing included.
// A bare path fails with jsonpath's codes (kPathNotFound, kInvalidPath, kLimitExceeded).
inline constexpr std::string_view kIntrinsicFailure = "States.IntrinsicFailure";
// Code of what compile() refuses.
inline constexpr std::string_view kInvalidExpression = "InvalidExpression";
// A variable that does not exist; the message names it.
inline constexpr std::string_view kVariableNotFound = "VariableNotFound";

inline constexpr std::size_t kTextBytesMax = 256 * 1024;
inline constexpr int kNestingMax = 10;

// What an expression may read. Borrowed for the length of one evaluation. A null `input` or `context` is the
// empty object; a null `variable` means that there are no variables; without `random`, States.UUID and an
// unseeded States.MathRandom fail.
struct Scope {
  const json::Value* input = nullptr;
  const json::Value* context = nullptr;
  // The value of a workflow variable, or nullptr where there is none of that name.
  const std::function<const json::Value*(std::string_view)>* variable = nullptr;
  Random* random = nullptr;
};

enum class ExpressionKind { kInputPath, kContextPath, kVariablePath, kCall };

class Expression {
 public:
  // Errors: kInvalidExpression, with what is wrong in message and the byte offset in place ("offset 12").
  static Result<Expression> compile(std::string_view text);

  const std::string& text() const;  // As it was written.
  ExpressionKind kind() const;
  bool is_path() const { return kind() != ExpressionKind::kCall; }
  // The path behind `$`, `$$` or `$name`, re-rooted at `$` (`$$.a` is kept as `$.a`); nullptr for a call.
  const jsonpath::Path* path() const;
  // The name in a kVariablePath, else empty.
  const std::string& variable_name() const;
  // Names of all variables used anywhere inside, without repetitions, in order of first use.
  std::span<const std::string> variable_names() const;
  bool uses_context() const;  // Anywhere inside.
  // For a call: its function ("States.Format"), else empty.
  std::string_view function_name() const;

  Result<json::Value> evaluate(const Scope& scope) const;

 private:
  struct Program;
  explicit Expression(std::shared_ptr<const Program> program) : program_(std::move(program)) {}

  std::shared_ptr<const Program> program_;
};

}  // namespace sortie::intrinsic
