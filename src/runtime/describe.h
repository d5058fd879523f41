#pragma once
// What a stored execution looks like to those who ask: the whole of it, and a line of a listing.
#include "runtime/runtime.h"

namespace sortie::runtime {

Result<ExecutionDescription> describe_row(store::Store& store, const store::ExecutionRow& row, Timestamp now);
Result<ExecutionSummary> summarize_row(store::ExecutionRow row);

}  // namespace sortie::runtime
