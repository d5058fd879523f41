#pragma once
// Pages of an execution's history, read from the store.
#include "engine/history_event.h"
#include "runtime/definitions.h"
#include "runtime/runtime.h"

namespace sortie::runtime {

// Events from `from` (1 = the first; in reverse order: from the given id downwards, 0 = the last).
Result<HistoryPage> read_history(store::Store& store, Definitions& definitions,
                                 const store::ExecutionRow& row, std::int64_t from, std::size_t limit,
                                 bool reverse);

}  // namespace sortie::runtime
