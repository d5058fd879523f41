#pragma once
// The pure core: (execution, stimulus) -> (execution, history events, commands). No I/O, no clock, no chance:
// time, random numbers and task tokens are arguments, so the whole semantics replays from a seed.
//
// advance() runs every frame that can run until all of them block (run-to-block), or until about
// kEventsPerAdvance events were written; then `ready` names the frames to continue with. It changes the
// execution in place; if what it decided cannot be committed, the caller throws the execution away and loads
// it again. Source of the rules: the States Language specification, and recorded histories of AWS Step
// Functions.
#include <functional>
#include <set>

#include "base/clock.h"
#include "engine/execution.h"
#include "engine/history_event.h"
#include "engine/inspection.h"

namespace sortie::engine {

inline constexpr std::size_t kEventsPerAdvance = 4'000;

// --- Stimuli ---
struct Start {};
struct Continue {  // The frames that the last advance left ready.
  std::vector<FrameNo> frames;
};
struct TimerFired {  // Any timer of this frame may be due; what is not due is left alone.
  FrameNo frame;
};
struct AttemptId {
  FrameNo frame = 0;
  std::uint32_t entry = 0, attempt = 0;
  auto operator<=>(const AttemptId&) const = default;
};
struct TaskSubmitted {
  AttemptId attempt;
  json::Value output;
};
struct TaskSucceeded {
  AttemptId attempt;
  json::Value output;
};
struct TaskFailed {
  AttemptId attempt;
  std::string error, cause;
};
struct TaskHeartbeat {
  AttemptId attempt;
};
struct ActivityTaken {
  AttemptId attempt;
  std::string worker_name;
};
struct MapRunEnded {
  AttemptId attempt;
  json::Value output;                // Of a run that succeeded.
  std::optional<std::string> error;  // Set: it failed.
  std::string cause;
  bool catchable = true;
};
struct Stop {
  std::string error, cause;
};
// The execution cannot go on for a reason that is not its playbook's.
struct Fail {
  std::string error, cause;
};
// Goes on where an execution that has ended without success left off (engine/redrive.cpp); refused while
// nothing is left behind.
struct Redrive {};
using Stimulus = std::variant<Start, Continue, TimerFired, TaskSubmitted, TaskSucceeded, TaskFailed,
                              TaskHeartbeat, ActivityTaken, MapRunEnded, Stop, Fail, Redrive>;

// --- Commands ---
struct InvokeTask {
  AttemptId attempt;
};
struct CancelTask {
  AttemptId attempt;
};
struct StartMapRun {
  AttemptId attempt;
};
struct StopMapRun {  // Nobody waits for it any more.
  AttemptId attempt;
};
using Command = std::variant<InvokeTask, CancelTask, StartMapRun, StopMapRun>;

struct Context {
  Timestamp now;
  Random* random = nullptr;
  // The task token of an attempt.
  std::function<std::string(const AttemptId&)> make_token;
  // For a state that is tried by itself (state_trial.h): where its data is noted, and the context object it
  // sees. Null for executions.
  Inspection* inspection = nullptr;
  const json::Value* context_object = nullptr;
};

struct Advance {
  std::vector<HistoryEvent> events;
  std::vector<Command> commands;
  std::set<FrameNo> touched;   // Frames to save again (those that still exist).
  std::set<FrameNo> gone;      // Frames to delete that were there before.
  std::vector<FrameNo> ready;  // Frames to continue with at once.
  std::uint64_t transitions = 0;
  bool applied = true;  // False: the stimulus was for an attempt that nobody waits for.
  bool ended = false;   // The execution has its outcome.
};

Advance advance(Execution& execution, const Stimulus& stimulus, const Context& context);

// The state and the attempt that a frame in a task waits for; nothing for any other frame.
std::optional<AttemptId> waiting_attempt(const Frame& frame);

// The text of a value that is shown as it was given: the execution's input wherever it was passed on, and the
// result of a Parallel that holds it. Nothing where the compact form is right.
std::optional<std::string> text_as_given(const Execution& execution, const json::Value& value);

// The context object ($$) as this frame sees it.
json::Value context_object(const Execution& execution, const Frame& frame, const std::string& task_token);

}  // namespace sortie::engine
