#include "expr/intrinsic/intrinsic.h"

#include <algorithm>

#include "expr/intrinsic/node.h"
#include "json/text.h"

namespace sortie::intrinsic {

struct Expression::Program {
  std::string text;
  Node node;
  std::vector<std::string> variables;
  bool uses_context = false;
};

namespace {

const json::Value& nothing() {
  static const json::Value kEmptyObject = json::Value::object(std::vector<json::Member>());
  return kEmptyObject;
}

// The value that a path starts from, or nullptr for a variable that does not exist.
const json::Value* root_of(const Node& node, const Scope& scope) {
  switch (node.root) {
    case ExpressionKind::kContextPath:
      return scope.context != nullptr ? scope.context : &nothing();
    case ExpressionKind::kVariablePath:
      if (scope.variable == nullptr || !*scope.variable) return nullptr;
      return (*scope.variable)(node.variable);
    default:
      return scope.input != nullptr ? scope.input : &nothing();
  }
}

Error unknown_variable(const Node& node) {
  return {std::string(kVariableNotFound), "The variable '" + node.variable + "' does not exist", "",
          "a variable exists once a state before this one has assigned it"};
}

Result<json::Value> evaluate_path(const Node& node, const Scope& scope) {
  const json::Value* root = root_of(node, scope);
  if (root == nullptr) return unknown_variable(node);
  return node.path->evaluate(*root);
}

class Evaluator {
 public:
  Evaluator(const Scope& scope, const std::string& text) : scope_(scope), text_(text) {}

  // Recursive; the parser has bounded the nesting.
  Result<json::Value> evaluate(const Node& node) const {
    if (node.kind == Node::Kind::kLiteral) return node.literal;
    if (node.kind == Node::Kind::kPath) return evaluate_argument(node);
    std::vector<json::Value> arguments;
    arguments.reserve(node.arguments.size());
    for (const Node& argument : node.arguments) {
      SORTIE_TRY(json::Value value, evaluate(argument));
      arguments.push_back(std::move(value));
    }
    Call call{node.function->name, arguments, nullptr, scope_.random};
    if (!node.arguments.empty() && !node.arguments[0].pieces.empty()) call.pieces = &node.arguments[0].pieces;
    auto result = node.function->apply(call);
    if (!result) return worded(result.error().message);
    return result;
  }

 private:
  Result<json::Value> evaluate_argument(const Node& node) const {
    const json::Value* root = root_of(node, scope_);
    if (root == nullptr) return unknown_variable(node);
    auto value = node.path->evaluate(*root);
    if (value) return value;
    if (value.error().code != jsonpath::kPathNotFound) return worded(value.error().message);
    return worded("The JsonPath argument for the field '" + node.text +
                  "' could not be found in the input '" +
                  json::to_text(scope_.input != nullptr ? *scope_.input : nothing()) + "'");
  }

  Error worded(const std::string& message) const {
    return {std::string(kIntrinsicFailure),
            "The function '" + text_ + "' had the following error: " + message, "", ""};
  }

  const Scope& scope_;
  const std::string& text_;
};

void collect_uses(const Node& node, std::vector<std::string>& variables, bool& context) {
  if (node.kind == Node::Kind::kPath) {
    context = context || node.root == ExpressionKind::kContextPath;
    if (!node.variable.empty() &&
        std::find(variables.begin(), variables.end(), node.variable) == variables.end()) {
      variables.push_back(node.variable);
    }
  }
  for (const Node& argument : node.arguments) collect_uses(argument, variables, context);
}

}  // namespace

Result<Expression> Expression::compile(std::string_view text) {
  SORTIE_TRY(Node node, parse_expression(text));
  auto program = std::make_shared<Program>();
  program->text = text;
  collect_uses(node, program->variables, program->uses_context);
  program->node = std::move(node);
  return Expression(std::move(program));
}

const std::string& Expression::text() const { return program_->text; }

ExpressionKind Expression::kind() const {
  const Node& node = program_->node;
  return node.kind == Node::Kind::kCall ? ExpressionKind::kCall : node.root;
}

const jsonpath::Path* Expression::path() const {
  const Node& node = program_->node;
  return node.path ? &*node.path : nullptr;
}

const std::string& Expression::variable_name() const { return program_->node.variable; }
std::span<const std::string> Expression::variable_names() const { return program_->variables; }
bool Expression::uses_context() const { return program_->uses_context; }

std::string_view Expression::function_name() const {
  const Node& node = program_->node;
  return node.function != nullptr ? node.function->name : std::string_view();
}

Result<json::Value> Expression::evaluate(const Scope& scope) const {
  const Node& node = program_->node;
  if (node.kind == Node::Kind::kPath) return evaluate_path(node, scope);
  return Evaluator(scope, program_->text).evaluate(node);
}

}  // namespace sortie::intrinsic
