#pragma once
// What a stored execution looks like to those who ask: the whole of it, a line of a listing, and a line of
// the audit trail.
#include "runtime/runtime.h"

namespace sortie::runtime {

// The definition is a document of its own, read only where it is wanted.
Result<ExecutionDescription> describe_row(store::Store& store, const store::ExecutionRow& row, Timestamp now,
                                          bool with_definition = true);
Result<ExecutionSummary> summarize_row(store::ExecutionRow row);
// The audit trail's line, in the shape that response/audit.h reads.
store::LogLine audit_line(Timestamp now, const Actor& actor, std::string action, std::string subject,
                          const std::string& definition, std::string_view reason);

}  // namespace sortie::runtime
