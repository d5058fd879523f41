#include "asl/jsonata_template.h"

#include <algorithm>
#include <vector>

#include "asl/jsonata_names.h"
#include "base/text.h"
#include "expr/jsonata/jsonata.h"

namespace sortie::asl {
namespace template_parts {

struct Query {
  jsonata::Program program;
  std::vector<std::string> bindings;  // Names that may be workflow variables.
  bool reads_states = false;
  StatesMembers named = 0;
};

// A place in the template: a literal, an expression, or a container with an expression somewhere inside.
struct Piece {
  enum class Kind : std::uint8_t { kLiteral, kQuery, kObject, kArray };
  Kind kind = Kind::kLiteral;
  json::Value literal;
  std::size_t query = 0;  // Position among the queries.
  std::vector<json::Value> keys;
  std::vector<Piece> children;
};

std::string_view inside_braces(std::string_view text) { return trim(text.substr(2, text.size() - 4)); }

// $uppercase handed to $map looks like a variable: what evaluates to a function by itself is built in.
bool is_builtin(const std::string& name) {
  const Result<jsonata::Program> program = jsonata::Program::compile("$" + name, jsonata::Mode::kAws);
  if (!program.ok()) return false;
  const Result<jsonata::Outcome> outcome = program->evaluate({});
  return outcome.ok() && outcome->kind == jsonata::Outcome::Kind::kFunction;
}

}  // namespace template_parts

struct JsonataTemplate::Compiled {
  json::Value tree;
  std::string expression;
  template_parts::Piece root;
  std::vector<template_parts::Query> queries;
  StatesMembers reached = 0;
  std::vector<std::string> variables;

  // Recursive; the caller has bounded the definition's depth.
  Result<template_parts::Piece> compile(const json::Value& value, std::string& path);
  Result<template_parts::Piece> compile_query(const json::Value& value, const std::string& path);
  std::variant<json::Value, QueryFailure> evaluate(const template_parts::Piece& piece, std::string& path,
                                                   const QueryScope& scope) const;
  std::variant<json::Value, QueryFailure> run(const template_parts::Query& query, const std::string& path,
                                              const QueryScope& scope) const;
};

bool is_jsonata_expression(const json::Value& value) {
  if (!value.is_string()) return false;
  const std::string_view text = value.as_string();
  return text.size() >= 4 && text.starts_with("{%") && text.ends_with("%}");
}

Result<template_parts::Piece> JsonataTemplate::Compiled::compile_query(const json::Value& value,
                                                                       const std::string& path) {
  const std::string_view text = template_parts::inside_braces(value.as_string());
  Result<jsonata::Program> program = jsonata::Program::compile(text, jsonata::Mode::kAws);
  if (!program.ok()) {
    const Error& error = program.error();
    return Error{error.code, error.code + ": " + error.message, path, std::string(text)};
  }
  JsonataNames names = scan_jsonata_names(text);
  reached |= names.reached;
  for (const std::string& name : names.free) {
    const bool known = std::find(variables.begin(), variables.end(), name) != variables.end();
    if (!known && !template_parts::is_builtin(name)) variables.push_back(name);
  }
  template_parts::Query query{std::move(*program), {}, false, names.named};
  for (const std::string_view name : query.program.variables()) {
    if (name == "states") {
      query.reads_states = true;
    } else {
      query.bindings.emplace_back(name);
    }
  }
  template_parts::Piece piece;
  piece.kind = template_parts::Piece::Kind::kQuery;
  piece.query = queries.size();
  queries.push_back(std::move(query));
  return piece;
}

Result<template_parts::Piece> JsonataTemplate::Compiled::compile(const json::Value& value,
                                                                 std::string& path) {
  using template_parts::Piece;
  if (is_jsonata_expression(value)) return compile_query(value, path);
  Piece piece;
  const std::size_t queries_before = queries.size();
  const std::size_t path_before = path.size();
  if (value.is_object()) {
    piece.kind = Piece::Kind::kObject;
    for (const json::Member& member : value.members()) {
      path += '/';
      path += member.key.as_string();
      SORTIE_TRY(Piece child, compile(member.value, path));
      path.resize(path_before);
      piece.keys.push_back(member.key);
      piece.children.push_back(std::move(child));
    }
  } else if (value.is_array()) {
    piece.kind = Piece::Kind::kArray;
    for (std::size_t i = 0; i < value.size(); ++i) {
      path += '[' + std::to_string(i) + ']';
      SORTIE_TRY(Piece child, compile(value.items()[i], path));
      path.resize(path_before);
      piece.children.push_back(std::move(child));
    }
  }
  if (queries.size() != queries_before) return piece;
  Piece literal;
  literal.literal = value;
  return literal;
}

std::variant<json::Value, QueryFailure> JsonataTemplate::Compiled::run(const template_parts::Query& query,
                                                                       const std::string& path,
                                                                       const QueryScope& scope) const {
  jsonata::Inputs inputs;
  inputs.now = scope.now;
  inputs.random = scope.random;
  inputs.limits.steps_max = kQueryStepsMax;
  inputs.limits.bytes_max = kQueryBytesMax;
  if (query.reads_states && scope.states != nullptr) inputs.bindings.emplace_back("states", scope.states);
  for (const std::string& name : query.bindings) {
    const json::Value* value = scope.variable == nullptr ? nullptr : (*scope.variable)(name);
    if (value != nullptr) inputs.bindings.emplace_back(name, value);
  }
  Result<jsonata::Outcome> outcome = query.program.evaluate(inputs);
  QueryFailure failure{QueryFailure::Kind::kThrew, path, query.program.text(), {}};
  if (!outcome.ok()) {
    failure.message = outcome.error().code + ": " + outcome.error().message;
    return failure;
  }
  switch (outcome->kind) {
    case jsonata::Outcome::Kind::kValue:
      return std::move(outcome->value);
    case jsonata::Outcome::Kind::kUndefined:
      failure.kind = QueryFailure::Kind::kUndefined;
      return failure;
    case jsonata::Outcome::Kind::kFunction:
    case jsonata::Outcome::Kind::kNonFinite:
      break;
  }
  failure.kind = QueryFailure::Kind::kUnsupported;
  return failure;
}

std::variant<json::Value, QueryFailure> JsonataTemplate::Compiled::evaluate(
    const template_parts::Piece& piece, std::string& path, const QueryScope& scope) const {
  using template_parts::Piece;
  if (piece.kind == Piece::Kind::kLiteral) return piece.literal;
  if (piece.kind == Piece::Kind::kQuery) return run(queries[piece.query], path, scope);
  const std::size_t before = path.size();
  std::vector<json::Value> items;
  std::vector<json::Member> members;
  for (std::size_t i = 0; i < piece.children.size(); ++i) {
    if (piece.kind == Piece::Kind::kObject) {
      path += '/';
      path += piece.keys[i].as_string();
    } else {
      path += '[' + std::to_string(i) + ']';
    }
    std::variant<json::Value, QueryFailure> made = evaluate(piece.children[i], path, scope);
    if (std::holds_alternative<QueryFailure>(made)) return made;
    path.resize(before);
    json::Value& value = std::get<json::Value>(made);
    if (piece.kind == Piece::Kind::kObject) {
      members.push_back({piece.keys[i], std::move(value)});
    } else {
      items.push_back(std::move(value));
    }
  }
  if (piece.kind == Piece::Kind::kObject) return json::Value::object(std::move(members));
  return json::Value::array(std::move(items));
}

Result<JsonataTemplate> JsonataTemplate::compile(const json::Value& tree) {
  auto compiled = std::make_shared<Compiled>();
  compiled->tree = tree;
  std::string path;
  SORTIE_TRY(compiled->root, compiled->compile(tree, path));
  if (is_jsonata_expression(tree)) {
    compiled->expression = template_parts::inside_braces(compiled->tree.as_string());
  }
  return JsonataTemplate(std::move(compiled));
}

bool JsonataTemplate::is_constant() const { return compiled_->queries.empty(); }
bool JsonataTemplate::is_expression() const { return is_jsonata_expression(compiled_->tree); }
const std::string& JsonataTemplate::expression() const { return compiled_->expression; }
const json::Value& JsonataTemplate::tree() const { return compiled_->tree; }
StatesMembers JsonataTemplate::states_members() const { return compiled_->reached; }
std::span<const std::string> JsonataTemplate::variable_names() const { return compiled_->variables; }

std::optional<std::string> JsonataTemplate::expression_naming(StatesMembers member) const {
  for (const template_parts::Query& query : compiled_->queries) {
    if ((query.named & member) != 0) return query.program.text();
  }
  return std::nullopt;
}

std::variant<json::Value, QueryFailure> JsonataTemplate::evaluate(const QueryScope& scope) const {
  std::string path;
  return compiled_->evaluate(compiled_->root, path, scope);
}

}  // namespace sortie::asl
