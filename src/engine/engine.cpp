#include "engine/engine.h"

#include "engine/step.h"

namespace sortie::engine {
namespace {

constexpr std::size_t kUsualEvents = 8;  // Of one stimulus: a task that ends and the next one that begins.

template <typename... Ts>
struct Overloaded : Ts... {
  using Ts::operator()...;
};
template <typename... Ts>
Overloaded(Ts...) -> Overloaded<Ts...>;

}  // namespace

Timestamp wake_at(const Execution& execution, const Frame& frame) {
  Timestamp due = frame.no == kTopFrame ? execution.deadline : kNever;
  if (const auto* sleeping = std::get_if<Sleeping>(&frame.phase)) due = std::min(due, sleeping->until);
  if (const auto* backing_off = std::get_if<BackingOff>(&frame.phase))
    due = std::min(due, backing_off->until);
  if (const auto* task = std::get_if<InTask>(&frame.phase)) {
    due = std::min({due, task->deadline, task->heartbeat_deadline});
  }
  return due;
}

std::optional<AttemptId> waiting_attempt(const Frame& frame) {
  if (!std::holds_alternative<InTask>(frame.phase)) return std::nullopt;
  return AttemptId{frame.no, frame.entry, frame.attempt};
}

Advance advance(Execution& execution, const Stimulus& stimulus, const Context& context) {
  Advance out;
  const bool redrives = std::holds_alternative<Redrive>(stimulus);
  if ((execution.outcome != Outcome::kRunning) != redrives || (redrives && execution.left_behind.empty())) {
    out.applied = false;
    return out;
  }
  const FrameNo first_new_frame = execution.next_frame;
  out.events.reserve(kUsualEvents);
  Step step(execution, context, out);
  std::visit(
      Overloaded{[&](const Start&) { step.start(); }, [&](const Continue& next) { step.resume(next.frames); },
                 [&](const TimerFired& timer) { step.timer_fired(timer.frame); },
                 [&](const TaskSubmitted& report) { step.task_submitted(report); },
                 [&](const TaskSucceeded& report) { step.task_succeeded(report); },
                 [&](const TaskFailed& report) { step.task_failed(report); },
                 [&](const TaskHeartbeat& report) { step.heartbeat(report); },
                 [&](const ActivityTaken& report) { step.activity_taken(report); },
                 [&](const MapRunEnded& report) { step.map_run_ended(report); },
                 [&](const Stop& request) { step.stop(request); },
                 [&](const Fail& report) { step.fail(report); }, [&](const Redrive&) { step.redrive(); }},
      stimulus);
  step.run();
  for (const FrameNo gone : out.gone) out.touched.erase(gone);
  std::erase_if(out.gone, [&](FrameNo no) { return no >= first_new_frame; });
  return out;
}

}  // namespace sortie::engine
