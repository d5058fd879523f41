#pragma once
// Where in a definition the compiler stands, and what it has found wrong so far.
//
// A Where is a chain of steps on the stack, written out only when something is reported, so a definition
// without faults pays nothing for its locations. Two spellings exist: AWS's ("/States/A/Catch[0]/Next", the
// whole machine is "/") and the JSON pointer ("/States/A/Catch/0/Next") that leads to line and column.
#include <string>
#include <string_view>
#include <vector>

#include "asl/compile.h"

namespace sortie::asl {

// A definition that is wrong everywhere is cut off here; AWS lists at most this many, too.
inline constexpr std::size_t kDiagnosticsMax = 100;

// Codes, as ValidateStateMachineDefinition spells them.
inline constexpr std::string_view kSchemaFailed = "SCHEMA_VALIDATION_FAILED";
inline constexpr std::string_view kInvalidJson = "INVALID_JSON_DESCRIPTION";
inline constexpr std::string_view kMissingTarget = "MISSING_TRANSITION_TARGET";
inline constexpr std::string_view kDuplicateName = "DUPLICATE_STATE_NAME";
inline constexpr std::string_view kNotSupportedYet = "NOT_SUPPORTED_YET";

struct Where {
  const Where* parent = nullptr;  // Null for the whole definition.
  std::string_view key;           // A member's name, unless index says otherwise.
  int index = -1;                 // A place in an array.

  Where member(std::string_view name) const { return {this, name, -1}; }
  Where item(std::size_t position) const { return {this, {}, static_cast<int>(position)}; }
  std::string location() const;  // AWS's spelling.
  std::string pointer() const;   // RFC 6901.
};

class Diagnostics {
 public:
  void error(std::string_view code, const Where& where, std::string message);
  void schema(const Where& where, std::string message) { error(kSchemaFailed, where, std::move(message)); }
  // Something that AWS runs and Sortie does not. Kept apart: where the definition is wrong by AWS's own rules
  // the answer is AWS's.
  void unsupported(const Where& where, std::string message);
  // For what has no place in a value: text that cannot be read.
  void add(Diagnostic diagnostic);

  bool has_errors() const { return !errors_.empty(); }
  std::size_t size() const { return errors_.size(); }
  std::vector<Diagnostic> take();

 private:
  std::vector<Diagnostic> errors_;
  std::vector<Diagnostic> unsupported_;
};

}  // namespace sortie::asl
