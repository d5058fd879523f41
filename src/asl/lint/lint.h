#pragma once
// Semantic checks of a state machine that AWS accepts: what would go wrong when it runs.
//
// Data is followed along every path through the machine. Of each value is known whether it is an array (the
// result of Parallel and Map), an object with these members (after Pass, Parameters, ResultSelector,
// ResultPath) or unknown (what a function returned); what cannot resolve is reported where it is read.
//
//   A01  error    the output of Parallel or Map is an array; "$.field" cannot resolve
//   A02  warning  a Task that waits for a callback has neither timeout nor heartbeat
//   A03  warning  nobody tests the answer of an approval
//   A04  error    a disruptive or irreversible action runs without an approval before it
//   A05  warning  a Parallel with side effects has no Catch: one failure aborts the others
//   A06  warning  Tasks without Retry
//   A07  warning  a literal contradicts the Choice that led here
//   A08  error    Resource is no runnable action
//   A09  warning  a result replaces input that a later state reads
//   A10  warning  a function returns errors as data and nobody looks
//   A11  warning  an action is not idempotent, or keeps no record to undo it
//   A12  error    a path or variable that is not there on some way
//   A13  warning  an error name that never occurs ("State.ALL")
//   A14  warning  a retrier or catcher behind one that takes the same errors
//   A15  warning  a Retry that outlasts the execution
//   A16  warning  a path or expression that is taken as text
//   A17  error    a callback whose task token is not handed out
//   A18  error    states from which no way leads to an end
//   A19  warning  a Choice that may match nothing and has no Default
//   A20  warning  a variable that nobody reads
//
// A finding names one fault: where the same advice holds for many states (A04, A06) it is one finding with
// the other places beside it. Pure and bounded: the walk has a budget of steps, beyond which it knows less
// and reports less.
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "asl/state_machine.h"

namespace sortie::asl {

// What is known of a function beyond its name. Unset: guessed from its name where a guess is safe.
struct FunctionFacts {
  std::optional<bool> is_disruptive;    // Interrupts somebody's work.
  std::optional<bool> is_irreversible;  // Cannot be undone.
  std::optional<bool> is_read_only;
  std::optional<bool> swallows_errors;  // Answers {"statusCode": 500} instead of failing.
  std::optional<bool> is_idempotent;
  std::optional<bool> records_undo;
};

struct LintKnowledge {
  std::map<std::string, FunctionFacts, std::less<>>
      functions;                             // By function name, without ARN and qualifier.
  bool has_all_functions = false;            // A name that is not listed does not exist.
  std::vector<std::string> approval_queues;  // Queue names that are approvals.
  bool has_default_retry = false;            // Retry is added when the playbook is published.
};

enum class FindingSeverity : std::uint8_t { kError, kWarning };

struct Finding {
  std::string code;
  FindingSeverity severity = FindingSeverity::kWarning;
  std::string message;
  std::string pointer;               // RFC 6901, into the definition.
  std::string cure;                  // One sentence: what to do.
  std::vector<std::string> related;  // Pointers of further places of the same fault.
};

// In document order of their places, by code within one place.
std::vector<Finding> lint(const StateMachine& machine, const LintKnowledge& knowledge = {});

// Severity of a code, and what it is about in one line ("Task without Retry"), for rule lists.
struct LintRule {
  std::string_view code;
  FindingSeverity severity;
  std::string_view title;
  std::string_view cure;
};
std::vector<LintRule> lint_rules();

}  // namespace sortie::asl
