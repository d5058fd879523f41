#pragma once
// Why is it waiting? One sentence for each frame that waits: what, since when, until when, who can move it
// on.
#include <vector>

#include "engine/execution.h"
#include "runtime/runtime.h"

namespace sortie::runtime {

std::vector<WaitingReason> explain_frames(const engine::Execution& execution, Timestamp now);

// Of an execution that another node accepted, and that has no frame yet.
WaitingReason explain_unbegun(const store::ExecutionRow& row);

}  // namespace sortie::runtime
