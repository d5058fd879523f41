#pragma once
// What a Choice rule says about the way it leads to: which members have which value, and whether an approval
// was given or refused.
#include <span>

#include "asl/lint/reader.h"

namespace sortie::asl::analysis {

enum class Verdict : std::uint8_t { kUnclear, kApproved, kRejected };

// One comparison of a rule, wherever it stands inside And, Or and Not.
struct Comparison {
  const json::Value* rule = nullptr;  // The object with "Variable".
  std::string pointer;
  bool is_required = false;  // Must hold for the rule to match: at the top or below And only.
};

// In document order, at most a few hundred.
std::vector<Comparison> comparisons_of(const json::Value& rule, const std::string& pointer);

// A JSONata condition as the rule it says the same as, as far as it compares plain paths with literals:
// "$states.input.a = 'x' and $b" is {"And": [{"Variable": "$.a", "StringEquals": "x"}, ...]}. What is beyond
// that is left out where all parts have to hold; nothing is left where that would change the meaning, and
// where the rule has to be `whole`.
json::Value rule_of_condition(const json::Value& condition, bool whole = false);

std::string variable_of(const Comparison& comparison);
// The last name of a path: "severity" of "$.finding.severity"; empty where it ends in something else.
std::string last_name(std::string_view path);
// The literal of StringEquals.
std::optional<std::string> equal_text(const Comparison& comparison);
Verdict verdict_of(const Comparison& comparison);
// Paths that some rule of the Choice asks with IsPresent, before reading them.
std::vector<std::string> guarded_paths(std::span<const json::Value> rules);
bool is_guarded(const std::vector<std::string>& guarded, std::string_view path);

}  // namespace sortie::asl::analysis
