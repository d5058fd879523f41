#pragma once
// compile() turns definition text (JSON, or YAML when it does not start with '{') into a StateMachine, or
// says everything that is wrong with it. Pure; bounded by the definition's size limit (1 MiB, as AWS).
//
// Diagnostics are those of ValidateStateMachineDefinition: code ("SCHEMA_VALIDATION_FAILED",
// "INVALID_JSON_DESCRIPTION", "MISSING_TRANSITION_TARGET", ...), message and location
// ("/States/Wait/Seconds") as AWS words them. What AWS runs and Sortie does not (diagnostics.h,
// kNotSupportedYet) is the error "NOT_SUPPORTED_YET": nothing is created, nothing is faked.
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "asl/state_machine.h"
#include "base/result.h"

namespace sortie::asl {

enum class MachineType : std::uint8_t { kStandard, kExpress };

struct CompileOptions {
  MachineType type = MachineType::kStandard;
  bool strict = false;  // compatibility: strict refuses bare topic and queue ARNs, as AWS does.
};

struct Diagnostic {
  enum class Severity : std::uint8_t { kError, kWarning };
  Severity severity = Severity::kError;
  std::string code;
  std::string message;
  std::string location;  // AWS's spelling: "/States/A/Next"
  std::string pointer;   // RFC 6901, for finding line and column in the text.
};

struct Compilation {
  std::shared_ptr<const StateMachine> machine;  // Null when there is an error.
  std::vector<Diagnostic> diagnostics;

  bool ok() const { return machine != nullptr; }
  // "SCHEMA_VALIDATION_FAILED: text at /States/A, MISSING_...: ..." joined as CreateStateMachine reports them
  // after "Invalid State Machine Definition: ".
  std::string error_text() const;
};

Compilation compile(std::string_view definition, const CompileOptions& options = {});

// Splits Task.Resource; nothing for text that is no resource any State Machine may name.
std::optional<TaskResource> parse_task_resource(std::string_view arn);

}  // namespace sortie::asl
