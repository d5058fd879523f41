#pragma once
// What a start request becomes: the machine, version or alias that it names, checked input, names, and an
// execution in memory that has not begun. Nothing is written here.
#include <memory>

#include "base/clock.h"
#include "runtime/definitions.h"
#include "runtime/live.h"

namespace sortie::runtime {

// Errors as in runtime.h. `request` is completed: its name, its input and its express_id are set.
Result<std::unique_ptr<LiveExecution>> make_live(StartRequest& request, Definitions& definitions,
                                                 const Options& options, Random& random, Timestamp now);

// What a start gets whose name is taken: it is idempotent for a running execution of the same name and input
// (AWS API reference).
Result<StartReply> reply_to_existing(const store::ExecutionRow& row, const std::string& input_text);

}  // namespace sortie::runtime
