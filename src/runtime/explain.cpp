#include "runtime/explain.h"

namespace sortie::runtime {
namespace {

std::string until_text(Timestamp until) {
  return until == kNever ? "without a limit" : "until " + to_iso8601(until);
}

void explain_task(const engine::Frame& frame, const asl::Task& task, const engine::InTask& waits,
                  WaitingReason& reason) {
  const asl::TaskResource& resource = task.resource;
  const Timestamp until = std::min(waits.deadline, waits.heartbeat_deadline);
  if (until != kNever) reason.until = until;
  const std::string attempt = frame.attempt > 1 ? " (attempt " + std::to_string(frame.attempt) + ")" : "";
  if (resource.is_activity) {
    reason.kind = "activity";
    reason.sentence = waits.started
                          ? "a worker of " + resource.text + " has taken the task" + attempt + "; it waits " +
                                until_text(until) + " for the worker's answer"
                          : "it waits " + until_text(until) + " for a worker to poll " + resource.text;
  } else if (resource.pattern == asl::TaskPattern::kWaitForTaskToken && waits.submitted) {
    reason.kind = "token";
    reason.sentence = "it waits " + until_text(until) + " for somebody to answer the task token that " +
                      resource.resource_type + ":" + resource.resource + " sent out";
  } else {
    reason.kind = "task";
    const std::string what =
        resource.is_lambda_arn ? resource.text : resource.resource_type + ":" + resource.resource;
    reason.sentence = "it waits " + until_text(until) + " for the result of " + what + attempt;
  }
}

}  // namespace

std::vector<WaitingReason> explain_frames(const engine::Execution& execution, Timestamp now) {
  std::vector<WaitingReason> reasons;
  for (const auto& [no, frame] : execution.frames) {
    if (std::holds_alternative<engine::Finished>(frame.phase)) continue;
    const asl::State& state = execution.state_of(frame);
    WaitingReason reason;
    reason.frame = no;
    reason.state_name = state.name;
    reason.since = frame.waiting_since;
    if (const auto* sleeping = std::get_if<engine::Sleeping>(&frame.phase)) {
      reason.kind = "timer";
      reason.until = sleeping->until;
      reason.sentence = "it sleeps until " + to_iso8601(sleeping->until) + "; only the clock moves it on";
    } else if (const auto* backing_off = std::get_if<engine::BackingOff>(&frame.phase)) {
      reason.kind = "retry";
      reason.until = backing_off->until;
      reason.sentence = "attempt " + std::to_string(frame.attempt) + " failed; the next one starts at " +
                        to_iso8601(backing_off->until);
    } else if (const auto* task = std::get_if<engine::InTask>(&frame.phase)) {
      explain_task(frame, std::get<asl::Task>(state.body), *task, reason);
    } else if (const auto* join = std::get_if<engine::Joining>(&frame.phase)) {
      reason.kind = "children";
      reason.sentence = "it waits for its branches: " + std::to_string(join->succeeded) + " of " +
                        std::to_string(join->total) + " are done";
    } else if (const auto* run = std::get_if<engine::InMapRun>(&frame.phase)) {
      reason.kind = "children";
      reason.sentence = "it waits for its map run " + run->run;
    } else {
      reason.kind = "ready";
      reason.sentence = "it is about to run";
    }
    const std::int64_t seconds = (now.ms - reason.since.ms) / 1000;
    reason.sentence = state.name + ": " + reason.sentence + " (waiting since " + to_iso8601(reason.since) +
                      ", " + std::to_string(seconds) + " s)";
    reasons.push_back(std::move(reason));
  }
  return reasons;
}

}  // namespace sortie::runtime
