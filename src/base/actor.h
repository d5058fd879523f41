#pragma once
// Who did it. An actor travels from the call or event through the rule to the execution and into the audit
// trail. An unknown actor never counts as "somebody else": policies ask is_person().
#include <string>

namespace sortie {

struct Actor {
  enum class Kind { kUnknown, kPerson, kFunction, kRule, kExecution, kHook, kSystem, kAccountKey };
  Kind kind = Kind::kUnknown;
  std::string name;  // Person, function, rule, hook; the ARN of an execution; the account of an account key.
  std::string account;  // The account whose key was used.
  std::string channel;  // "api", "cli", "console", "slack", "hook", "schedule", ...
  // Where a rule or an execution acted: the person behind it, if one is known ("" if not).
  std::string on_behalf_of;

  bool is_person() const { return kind == Kind::kPerson; }
  // The person this counts for in a policy: the person itself, or the one behind it; "" when unknown.
  std::string person() const { return is_person() ? name : on_behalf_of; }
  bool operator==(const Actor&) const = default;
};

// "person:alice", "function:Notify", "rule:guardduty", "account:123456789012", "unknown".
std::string to_text(const Actor& actor);
// Reads to_text() back; kUnknown for what it does not know.
Actor parse_actor(std::string_view text);

}  // namespace sortie
