#pragma once
// What a Choice rule says about the way it leads to: which members have which value, and whether an approval
// was given or refused.
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

std::string variable_of(const Comparison& comparison);
// The last name of a path: "severity" of "$.finding.severity"; empty where it ends in something else.
std::string last_name(std::string_view path);
// The literal of StringEquals.
std::optional<std::string> equal_text(const Comparison& comparison);
Verdict verdict_of(const Comparison& comparison);
// Paths that some rule of the Choice asks with IsPresent, before reading them.
std::vector<std::string> guarded_paths(const json::Value& choices);
bool is_guarded(const std::vector<std::string>& guarded, std::string_view path);

}  // namespace sortie::asl::analysis
