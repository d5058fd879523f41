#include "asl/lint/conditions.h"

#include <algorithm>

#include "base/text.h"

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

}  // namespace

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

std::vector<std::string> guarded_paths(const json::Value& choices) {
  std::vector<std::string> out;
  for (const json::Value& rule : choices.items()) {
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
