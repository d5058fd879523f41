#pragma once
// What a stored execution looks like to those who ask: the whole of it, and a line of a listing.
#include "runtime/runtime.h"

namespace sortie::runtime {

// The definition is a document of its own, read only where it is wanted.
Result<ExecutionDescription> describe_row(store::Store& store, const store::ExecutionRow& row, Timestamp now,
                                          bool with_definition = true);
Result<ExecutionSummary> summarize_row(store::ExecutionRow row);

}  // namespace sortie::runtime
