// Redrive: an execution that ended without success goes on with the states that did not succeed, under the
// definition and input it was started with.
//
// A frame that stood in a state when the execution ended runs that state again, without entering it again,
// with its retries and timeouts counted anew. A Parallel or Map that waited for children keeps those that
// finished and reruns only the others; where a child is not there any more (it was collected, and then the
// collected result was refused) the state as a whole runs again. A distributed Map's run is redriven
// (runtime/map_redrive.cpp).
// Source: AWS, "Restarting state machine executions with redrive".
#include "engine/step.h"

namespace sortie::engine {

void Step::redrive() {
  x_.frames = std::move(x_.left_behind);
  x_.left_behind.clear();
  x_.outcome = Outcome::kRunning;
  x_.stopped_at = {};
  x_.error.reset();
  x_.cause.reset();
  x_.redriven_at = context_.now;
  ++x_.redrive_count;
  x_.deadline = kNever;
  if (x_.machine->timeout_seconds) {
    x_.deadline = context_.now.plus_ms(*x_.machine->timeout_seconds * 1000);
  }
  const std::int64_t redriven = emit_beside(x_.last_event_id, EventType::kExecutionRedriven,
                                            {{Field::kRedriveCount, x_.redrive_count}});
  std::vector<FrameNo> unfinished;
  collect_unfinished(kTopFrame, &unfinished);
  for (const auto& [no, frame] : x_.frames) touch(frame);
  for (const FrameNo no : unfinished) {
    if (x_.outcome == Outcome::kRunning && x_.frames.contains(no)) rerun(no, redriven);
  }
}

// The frames that have something to do again, children before the parents they may complete.
void Step::collect_unfinished(FrameNo no, std::vector<FrameNo>* out) {
  const auto* join = std::get_if<Joining>(&frame(no).phase);
  if (join == nullptr) {
    if (!std::holds_alternative<Finished>(frame(no).phase)) out->push_back(no);
    return;
  }
  const FrameNo first = join->first_child;
  const FrameNo end = first + join->started;
  const auto begin_it = x_.frames.lower_bound(first), end_it = x_.frames.lower_bound(end);
  if (join->total == 0 || static_cast<std::uint32_t>(std::distance(begin_it, end_it)) != join->started) {
    x_.frames.erase(begin_it, end_it);
    frame(no).phase = BackingOff{context_.now};  // It waits for nothing but its next run.
    out->push_back(no);
    return;
  }
  for (FrameNo child = first; child < end; ++child) collect_unfinished(child, out);
  out->push_back(no);
}

void Step::rerun(FrameNo no, std::int64_t previous) {
  Frame& again = frame(no);
  again.waiting_since = context_.now;
  if (std::holds_alternative<Joining>(again.phase)) return start_children(no, previous);
  again.previous_event = previous;
  if (std::holds_alternative<Ready>(again.phase)) {
    queue_.push_back(no);
    return;
  }
  again.retry_count = 0;
  again.retries.assign(x_.state_of(again).retry.size(), 0);
  ++out_.transitions;
  if (std::holds_alternative<InMapRun>(again.phase)) return redrive_map_run(again);
  ++again.entry;
  again.attempt = 0;
  execute(again);
}

}  // namespace sortie::engine
