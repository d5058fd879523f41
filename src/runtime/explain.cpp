#include "runtime/explain.h"

#include <algorithm>

namespace sortie::runtime {
namespace {

std::string until_text(Timestamp until) {
  return until == kNever ? "without a limit" : "until " + to_iso8601(until);
}

std::string attempt_text(const engine::Frame& frame) {
  return frame.attempt > 1 ? " (attempt " + std::to_string(frame.attempt) + ")" : "";
}

std::string called_by(const asl::TaskResource& resource) {
  return resource.is_lambda_arn ? resource.text : resource.resource_type + ":" + resource.resource;
}

void explain_task(const engine::Frame& frame, const asl::Task& task, const engine::InTask& waits,
                  WaitingReason& reason) {
  const asl::TaskResource& resource = task.resource;
  const Timestamp until = std::min(waits.deadline, waits.heartbeat_deadline);
  if (until != kNever) reason.until = until;
  const std::string called = called_by(resource);
  if (resource.is_activity) {
    reason.kind = "activity";
    reason.who = waits.started ? "the worker that has the task" : "a worker of " + resource.text;
    reason.sentence = waits.started
                          ? "a worker of " + resource.text + " has taken the task" + attempt_text(frame) +
                                "; it waits " + until_text(until) + " for the worker's answer"
                          : "it waits " + until_text(until) + " for a worker to poll " + resource.text;
  } else if (resource.pattern == asl::TaskPattern::kWaitForTaskToken && waits.submitted) {
    reason.kind = "token";
    reason.who = "whoever has the task token";
    reason.sentence = "it waits " + until_text(until) + " for somebody to answer the task token that " +
                      called + " sent out";
  } else if (waits.submitted) {
    reason.kind = "task";
    reason.who = called;
    reason.sentence = called + " has begun its work" + attempt_text(frame) + "; it waits " +
                      until_text(until) + " for the end of it";
  } else {
    reason.kind = "task";
    reason.who = called;
    reason.sentence = "it waits " + until_text(until) + " for the result of " + called + attempt_text(frame);
  }
}

void explain_join(const engine::Execution& execution, engine::FrameNo no, const engine::Joining& join,
                  WaitingReason& reason) {
  reason.kind = "children";
  reason.who = "its branches";
  reason.sentence = "it waits for its branches: " + std::to_string(join.succeeded) + " of " +
                    std::to_string(join.total) + " are done";
  const auto children_end = static_cast<std::uint64_t>(join.first_child) + join.total;
  for (auto child = execution.frames.lower_bound(join.first_child);
       child != execution.frames.end() && child->first < children_end; ++child) {
    if (child->second.parent != no || std::holds_alternative<engine::Finished>(child->second.phase)) continue;
    reason.sentence += "; the first of the others is in " + execution.state_of(child->second).name;
    return;
  }
}

void explain_phase(const engine::Execution& execution, const engine::Frame& frame, WaitingReason& reason) {
  if (const auto* sleeping = std::get_if<engine::Sleeping>(&frame.phase)) {
    reason.kind = "timer";
    reason.until = sleeping->until;
    reason.who = "the clock";
    reason.sentence = "it sleeps until " + to_iso8601(sleeping->until) + "; only the clock moves it on";
  } else if (const auto* backing_off = std::get_if<engine::BackingOff>(&frame.phase)) {
    reason.kind = "retry";
    reason.until = backing_off->until;
    reason.who = "the clock";
    reason.sentence = "attempt " + std::to_string(frame.attempt) +
                      " failed; the clock starts the next one at " + to_iso8601(backing_off->until);
  } else if (const auto* task = std::get_if<engine::InTask>(&frame.phase)) {
    explain_task(frame, std::get<asl::Task>(execution.state_of(frame).body), *task, reason);
  } else if (const auto* join = std::get_if<engine::Joining>(&frame.phase)) {
    explain_join(execution, frame.no, *join, reason);
  } else if (const auto* run = std::get_if<engine::InMapRun>(&frame.phase)) {
    reason.kind = "children";
    reason.who = "the executions of its map run";
    reason.sentence = "it waits for the executions of its map run " + run->run;
  } else {
    reason.kind = "ready";
    reason.who = "the server";
    reason.sentence = "it is about to run, and the server runs it; nobody has to do anything";
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
    explain_phase(execution, frame, reason);
    const std::int64_t seconds = std::max<std::int64_t>(now.ms - reason.since.ms, 0) / 1000;
    reason.sentence = state.name + ": " + reason.sentence + " (waiting since " + to_iso8601(reason.since) +
                      ", " + std::to_string(seconds) + " s)";
    if (no == engine::kTopFrame && execution.deadline != kNever) {
      reason.sentence += "; the execution ends at " + to_iso8601(execution.deadline) + " at the latest";
    }
    reasons.push_back(std::move(reason));
  }
  return reasons;
}

WaitingReason explain_unbegun(const store::ExecutionRow& row) {
  WaitingReason reason;
  reason.kind = "ready";
  reason.since = row.started_at;
  reason.who = "the node that owns its shard";
  reason.sentence = "It was accepted at " + to_iso8601(row.started_at) +
                    " and begins when the node that owns its shard takes it up.";
  return reason;
}

}  // namespace sortie::runtime
