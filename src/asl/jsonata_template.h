#pragma once
// A JSONata field of a state: the value of Arguments, Output, Assign, Items, Condition, Seconds and their
// kin.
//
// A string that begins with "{%" and ends with "%}" is an expression, at any depth and in arrays, too; its
// result takes its place. Everything else is literal: keys are never expressions, "{% x %} " with a blank
// behind it is text, and "$states.input" without the braces is text.
//
// Compiled once, immutable and shared between threads afterwards; parts without expressions are never
// rebuilt. An expression sees no input document: the state's data is the variable $states, everything else
// that it may read are workflow variables. Which members of $states a template can reach is known from its
// text, so that the caller builds no context object that nobody looks at.
//
// Source of the rules: the Step Functions developer guide ("Transforming data with JSONata") and recorded
// executions.
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>

#include "base/clock.h"
#include "base/result.h"
#include "json/value.h"

namespace sortie::asl {

// Members of $states, as a set.
using StatesMembers = std::uint8_t;
inline constexpr StatesMembers kStatesInput = 1, kStatesContext = 2, kStatesResult = 4,
                               kStatesErrorOutput = 8;

// One evaluation is over when it has taken this many steps or made this many bytes: about a second of work.
inline constexpr std::uint64_t kQueryStepsMax = 20'000'000;
inline constexpr std::size_t kQueryBytesMax = 128 * 1024 * 1024;

struct QueryScope {
  const json::Value* states = nullptr;  // $states; may lack the members that the template does not reach.
  // The value of a workflow variable, nullptr where there is none of that name.
  const std::function<const json::Value*(std::string_view)>* variable = nullptr;
  Timestamp now;
  Random* random = nullptr;
};

// What is wrong with one expression. `path` leads to it inside the template: "/a/b[0]", "" for the whole.
struct QueryFailure {
  enum class Kind : std::uint8_t { kThrew, kUndefined, kUnsupported };
  Kind kind = Kind::kThrew;
  std::string path;
  std::string expression;  // Without its braces, trimmed.
  std::string message;     // kThrew: "T1006: Attempted to invoke a non-function"
};

class JsonataTemplate {
 public:
  // The error is that of the first expression that does not compile: message is JSONata's own, place the path
  // inside the template and hint the expression.
  static Result<JsonataTemplate> compile(const json::Value& tree);

  bool is_constant() const;               // No expression anywhere: evaluate() returns the tree itself.
  bool is_expression() const;             // The whole template is one expression.
  const std::string& expression() const;  // Its text without braces, where it is one; else empty.
  const json::Value& tree() const;        // As it was written.
  // Every member of $states that some expression may read.
  StatesMembers states_members() const;
  // The members it names outright ("$states.result"), with the first expression that does.
  std::optional<std::string> expression_naming(StatesMembers member) const;
  // Workflow variables it reads: neither built-in functions nor what the expression itself binds.
  std::span<const std::string> variable_names() const;

  std::variant<json::Value, QueryFailure> evaluate(const QueryScope& scope) const;

 private:
  struct Compiled;
  explicit JsonataTemplate(std::shared_ptr<const Compiled> compiled) : compiled_(std::move(compiled)) {}

  std::shared_ptr<const Compiled> compiled_;
};

// "{% ... %}"
bool is_jsonata_expression(const json::Value& value);

}  // namespace sortie::asl
