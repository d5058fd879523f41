#include "asl/lint/conditions.h"

#include <algorithm>

#include "base/text.h"
#include "json/text.h"

namespace sortie::asl::analysis {
namespace {

constexpr std::size_t kComparisonsMax = 500;  // Of one rule.
constexpr std::size_t kGuardsMax = 200;

constexpr std::string_view kRejecting[] = {"reject",  "den",        "declin", "refus", "disapprov", "expire",
                                           "timeout", "not_approv", "no",     "false", "cancel"};
constexpr std::string_view kApproving[] = {"approv", "accept", "allow", "grant",
                                           "yes",    "true",   "ok",    "confirm"};

void collect(const json::Value& rule, const std::string& pointer, bool is_required,
             std::vector<Comparison>& out) {
  if (out.size() >= kComparisonsMax || !rule.is_object()) return;
  for (const std::string_view name : {"And", "Or"}) {
    const json::Value* list = rule.find(name);
    if (list == nullptr) continue;
    for (std::size_t i = 0; i < list->size(); ++i) {
      const std::string place = pointer + "/" + std::string(name) + "/" + std::to_string(i);
      collect(list->items()[i], place, is_required && name == "And", out);
    }
  }
  if (const json::Value* inner = rule.find("Not")) collect(*inner, pointer + "/Not", false, out);
  if (rule.has("Variable")) out.push_back({&rule, pointer, is_required});
}

bool begins_with_any(std::string_view text, std::span<const std::string_view> words) {
  return std::any_of(words.begin(), words.end(), [&](auto word) { return text.starts_with(word); });
}

// "$states.input.a" is "$.a" in the other language, "$b.c" is the same; empty: no plain path of input or
// variable.
std::string path_of_query(std::string_view expression) {
  constexpr std::string_view kInput = "$states.input";
  if (!is_plain_query_path(expression)) return "";
  if (!expression.starts_with("$states")) return std::string(expression);
  if (!expression.starts_with(kInput)) return "";
  return "$" + std::string(expression.substr(kInput.size()));
}

json::Value literal_of_query(std::string_view text) {
  const bool is_quoted = text.size() >= 2 && (text[0] == '\'' || text[0] == '"') && text.back() == text[0];
  if (is_quoted && text.find_first_of("\\", 1) == std::string_view::npos) {
    return json::Value(text.substr(1, text.size() - 2));
  }
  const Result<json::Value> value = json::parse(text);
  return value.ok() && (value->is_bool() || value->is_number()) ? *value : json::Value();
}

struct QueryOperator {
  std::string_view text;
  std::string_view of_text, of_number;  // Names of the comparison; empty: there is none.
};
constexpr QueryOperator kQueryOperators[] = {
    {"!=", "", ""},
    {"<=", "StringLessThanEquals", "NumericLessThanEquals"},
    {">=", "StringGreaterThanEquals", "NumericGreaterThanEquals"},
    {"=", "StringEquals", "NumericEquals"},
    {"<", "StringLessThan", "NumericLessThan"},
    {">", "StringGreaterThan", "NumericGreaterThan"},
};

json::Value negated(const json::Value& rule) {
  return rule.is_null() ? rule : json::Value::object({{"Not", rule}});
}

json::Value rule_of_comparison(std::string_view text) {
  text = trim(text);
  if (text.starts_with("$not(") && text.ends_with(")")) {
    return negated(rule_of_comparison(text.substr(5, text.size() - 6)));
  }
  if (const std::string path = path_of_query(text); !path.empty()) {
    return json::Value::object({{"Variable", path}, {"BooleanEquals", true}});
  }
  for (const QueryOperator& op : kQueryOperators) {
    const std::size_t at = text.find(op.text);
    if (at == std::string_view::npos) continue;
    const std::string path = path_of_query(trim(text.substr(0, at)));
    const json::Value literal = literal_of_query(trim(text.substr(at + op.text.size())));
    if (path.empty() || literal.is_null()) return {};
    const bool is_equality = op.of_text.empty() || op.text == "=";
    if (literal.is_bool() && !is_equality) return {};
    const std::string_view name = literal.is_bool() ? "BooleanEquals"
                                  : op.of_text.empty()
                                      ? (literal.is_string() ? "StringEquals" : "NumericEquals")
                                  : literal.is_string() ? op.of_text
                                                        : op.of_number;
    const json::Value rule = json::Value::object({{"Variable", path}, {name, literal}});
    return op.of_text.empty() ? negated(rule) : rule;
  }
  return {};
}

}  // namespace

json::Value rule_of_condition(const json::Value& condition, bool whole) {
  if (!is_jsonata_expression(condition)) return {};
  std::string_view expression = query_text(condition.as_string());
  if (expression.find(" or ") != std::string_view::npos || expression.find('?') != std::string_view::npos) {
    return {};
  }
  std::vector<json::Value> rules;
  while (!expression.empty() && rules.size() < kComparisonsMax) {
    const std::size_t end = std::min(expression.find(" and "), expression.size());
    if (json::Value rule = rule_of_comparison(expression.substr(0, end)); !rule.is_null()) {
      rules.push_back(std::move(rule));
    } else if (whole) {
      return {};
    }
    expression = expression.substr(std::min(end + 5, expression.size()));
  }
  if (rules.size() < 2) return rules.empty() ? json::Value() : rules[0];
  return json::Value::object({{"And", json::Value::array(std::move(rules))}});
}

std::vector<Comparison> comparisons_of(const json::Value& rule, const std::string& pointer) {
  std::vector<Comparison> out;
  collect(rule, pointer, true, out);
  return out;
}

std::string variable_of(const Comparison& comparison) {
  const json::Value& variable = comparison.rule->get("Variable");
  return variable.is_string() ? variable.to_std_string() : "";
}

std::string last_name(std::string_view path) {
  const std::size_t start = path.find_last_of('.');
  if (start == std::string_view::npos || path.find_first_of("[]'*", start) != std::string_view::npos)
    return "";
  return std::string(path.substr(start + 1));
}

std::optional<std::string> equal_text(const Comparison& comparison) {
  const json::Value& literal = comparison.rule->get("StringEquals");
  if (!literal.is_string()) return std::nullopt;
  return literal.to_std_string();
}

Verdict verdict_of(const Comparison& comparison) {
  if (!comparison.is_required) return Verdict::kUnclear;
  const json::Value& answer = comparison.rule->get("BooleanEquals");
  const std::string name = to_lower_ascii(last_name(variable_of(comparison)));
  if (answer.is_bool()) {
    const bool is_yes = answer.as_bool() != begins_with_any(name, kRejecting);
    return is_yes ? Verdict::kApproved : Verdict::kRejected;
  }
  for (const std::string_view field : {"StringEquals", "StringMatches"}) {
    const json::Value& literal = comparison.rule->get(field);
    if (!literal.is_string()) continue;
    const std::string text = to_lower_ascii(literal.as_string());
    if (begins_with_any(text, kApproving)) return Verdict::kApproved;
    if (begins_with_any(text, kRejecting)) return Verdict::kRejected;
  }
  return Verdict::kUnclear;
}

std::vector<std::string> guarded_paths(std::span<const json::Value> rules) {
  std::vector<std::string> out;
  for (const json::Value& rule : rules) {
    for (const Comparison& comparison : comparisons_of(rule, "")) {
      if (out.size() >= kGuardsMax) return out;
      if (comparison.rule->has("IsPresent")) out.push_back(variable_of(comparison));
    }
  }
  return out;
}

bool is_guarded(const std::vector<std::string>& guarded, std::string_view path) {
  return std::any_of(guarded.begin(), guarded.end(), [&](const std::string& guard) {
    return path == guard ||
           (path.starts_with(guard) && (path[guard.size()] == '.' || path[guard.size()] == '['));
  });
}

}  // namespace sortie::asl::analysis
