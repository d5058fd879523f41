#include <algorithm>
#include <cmath>

#include "engine/step.h"

namespace sortie::engine {
namespace {

EventType entered_type(asl::StateType type) {
  switch (type) {
    case asl::StateType::kTask:
      return EventType::kTaskStateEntered;
    case asl::StateType::kPass:
      return EventType::kPassStateEntered;
    case asl::StateType::kChoice:
      return EventType::kChoiceStateEntered;
    case asl::StateType::kWait:
      return EventType::kWaitStateEntered;
    case asl::StateType::kSucceed:
      return EventType::kSucceedStateEntered;
    case asl::StateType::kFail:
      return EventType::kFailStateEntered;
    case asl::StateType::kParallel:
      return EventType::kParallelStateEntered;
    case asl::StateType::kMap:
      return EventType::kMapStateEntered;
  }
  SORTIE_CHECK(false);
}

EventType exited_type(asl::StateType type) {
  switch (type) {
    case asl::StateType::kTask:
      return EventType::kTaskStateExited;
    case asl::StateType::kPass:
      return EventType::kPassStateExited;
    case asl::StateType::kChoice:
      return EventType::kChoiceStateExited;
    case asl::StateType::kWait:
      return EventType::kWaitStateExited;
    case asl::StateType::kSucceed:
      return EventType::kSucceedStateExited;
    case asl::StateType::kParallel:
      return EventType::kParallelStateExited;
    case asl::StateType::kMap:
      return EventType::kMapStateExited;
    case asl::StateType::kFail:
      break;
  }
  SORTIE_CHECK(false);
}

std::optional<EventType> aborted_type(asl::StateType type) {
  switch (type) {
    case asl::StateType::kTask:
      return EventType::kTaskStateAborted;
    case asl::StateType::kWait:
      return EventType::kWaitStateAborted;
    case asl::StateType::kParallel:
      return EventType::kParallelStateAborted;
    case asl::StateType::kMap:
      return EventType::kMapStateAborted;
    default:
      return std::nullopt;
  }
}

bool names(const std::vector<std::string>& error_equals, const Failure& failure) {
  if (!failure.catchable) return false;
  const std::string error = failure.error.value_or("");
  for (const std::string& name : error_equals) {
    if (name == error || (!failure.also.empty() && name == failure.also)) return true;
    // Recorded: what a task reports is caught, a state's own output that is too large is not.
    if (name == "States.ALL" && (failure.from_task || error != "States.DataLimitExceeded")) return true;
    if (name == "States.TaskFailed" && failure.from_task && error != "States.Timeout") return true;
  }
  return false;
}

std::vector<Detail> failure_details(const Failure& failure) {
  std::vector<Detail> details;
  if (failure.error) details.push_back({Field::kError, *failure.error});
  if (failure.cause) details.push_back({Field::kCause, *failure.cause});
  return details;
}

std::int64_t events_max(const Execution& execution) {
  return execution.arn.find(":express:") == std::string::npos ? kHistoryEventsMax : kExpressEventsMax;
}

// A map run works for this frame.
bool runs_map(const Frame& frame) {
  const auto* run = std::get_if<InMapRun>(&frame.phase);
  return run != nullptr && !run->is_over;
}

}  // namespace

void Step::start() {
  // The shell may have set a limit of its own (an EXPRESS machine's five minutes); the machine's own does not
  // bind the children of a map run.
  if (x_.machine->timeout_seconds && x_.root_flow == 0) {
    x_.deadline = std::min(x_.deadline, x_.started_at.plus_ms(*x_.machine->timeout_seconds * 1000));
  }
  Frame top;
  top.state_input = x_.input;
  top.flow = x_.root_flow;
  top.map_item = x_.root_item;
  top.state = x_.machine->flows[x_.root_flow].start;
  top.waiting_since = context_.now;
  std::vector<Detail> details{{Field::kInput, x_.input}, {Field::kRoleArn, x_.role_arn}};
  if (!x_.alias_arn.empty()) details.push_back({Field::kStateMachineAliasArn, x_.alias_arn});
  if (!x_.version_arn.empty()) details.push_back({Field::kStateMachineVersionArn, x_.version_arn});
  emit_beside(0, EventType::kExecutionStarted, std::move(details));
  x_.frames.emplace(kTopFrame, std::move(top));
  queue_.push_back(kTopFrame);
}

void Step::resume(const std::vector<FrameNo>& frames) {
  for (const FrameNo no : frames) {
    const auto found = x_.frames.find(no);
    if (found != x_.frames.end() && std::holds_alternative<Ready>(found->second.phase)) queue_.push_back(no);
  }
  out_.applied = !queue_.empty();
}

void Step::run() {
  while (next_ < queue_.size() && x_.outcome == Outcome::kRunning && !overflowed_) {
    if (out_.events.size() >= kEventsPerAdvance) break;
    const FrameNo no = queue_[next_++];
    const auto found = x_.frames.find(no);
    if (found == x_.frames.end() || !std::holds_alternative<Ready>(found->second.phase)) continue;
    touch(found->second);
    enter(found->second);
  }
  settle();
  if (x_.outcome == Outcome::kRunning) {
    out_.ready.assign(queue_.begin() + static_cast<std::ptrdiff_t>(next_), queue_.end());
  }
}

void Step::timer_fired(FrameNo no) {
  const auto found = x_.frames.find(no);
  out_.applied = false;
  if (found == x_.frames.end()) return;
  Frame& due = found->second;
  if (no == kTopFrame && x_.deadline <= context_.now) {
    out_.applied = true;
    end(Outcome::kTimedOut, EventType::kExecutionTimedOut, {}, 0);
    return;
  }
  if (const auto* sleeping = std::get_if<Sleeping>(&due.phase); sleeping && sleeping->until <= context_.now) {
    out_.applied = true;
    const asl::State& state = x_.state_of(due);
    const Outcome_<json::Value> input = select(due, state.input_path, due.state_input);
    // The path was read when the state was entered, so it can be read now.
    const json::Value output =
        std::holds_alternative<json::Value>(input) ? std::get<json::Value>(input) : json::Value();
    succeed(no, output, output, exit_of(state));
  } else if (const auto* backing_off = std::get_if<BackingOff>(&due.phase);
             backing_off && backing_off->until <= context_.now) {
    out_.applied = true;
    touch(due);
    execute(due);
  } else if (const auto* task = std::get_if<InTask>(&due.phase)) {
    const bool deadline = task->deadline <= context_.now;
    if (!deadline && task->heartbeat_deadline > context_.now) return;
    out_.applied = true;
    task_timed_out(no, !deadline);
  }
}

void Step::stop(const Stop& request) {
  Failure failure;
  if (!request.error.empty()) failure.error = request.error;
  if (!request.cause.empty()) failure.cause = request.cause;
  x_.error = failure.error;
  x_.cause = failure.cause;
  end(Outcome::kAborted, EventType::kExecutionAborted, failure_details(failure), 0);
}

void Step::fail(const Fail& report) {
  if (x_.last_event_id == 0) {  // It has not begun, and says both.
    start();
    queue_.clear();
  }
  x_.error = report.error;
  x_.cause = report.cause;
  end(Outcome::kFailed, EventType::kExecutionFailed,
      {{Field::kError, report.error}, {Field::kCause, report.cause}}, 0);
}

std::int64_t Step::emit_beside(std::int64_t previous, EventType type, std::vector<Detail> details) {
  for (Detail& detail : details) {
    if (!is_payload(detail.field)) continue;
    if (std::optional<std::string> text = text_as_given(x_, detail.value)) detail.text = std::move(*text);
  }
  if (x_.last_event_id >= kHistoryEventsMax - 1 && x_.last_event_id >= events_max(x_) - 1 &&
      x_.outcome == Outcome::kRunning) {
    overflowed_ = true;  // The last one is kept free for how the execution ends.
    return x_.last_event_id;
  }
  out_.events.push_back({++x_.last_event_id, previous, context_.now, type, std::move(details)});
  return x_.last_event_id;
}

std::int64_t Step::emit(Frame& frame, EventType type, std::vector<Detail> details) {
  frame.previous_event = emit_beside(frame.previous_event, type, std::move(details));
  touch(frame);
  return frame.previous_event;
}

// Recorded: the event follows what came before the state was entered, as long as nothing else has happened in
// the state; a Wait has started to wait by then.
void Step::emit_evaluation_failed(Frame& frame, Failure& failure) {
  if (!failure.evaluation) return;
  failure.evaluation = false;
  const asl::State& state = x_.state_of(frame);
  std::vector<Detail> details{{Field::kError, *failure.error}, {Field::kCause, *failure.cause}};
  if (!failure.location.empty()) details.push_back({Field::kLocation, failure.location});
  details.push_back({Field::kState, state.name});
  const bool at_once = entry_.frame == frame.no && entry_.entered_event == frame.previous_event &&
                       state.type != asl::StateType::kWait;
  if (at_once) frame.previous_event = entry_.previous_event;
  emit(frame, EventType::kEvaluationFailed, std::move(details));
}

void Step::settle() {
  if (!overflowed_ || x_.outcome != Outcome::kRunning) return;
  end(Outcome::kFailed, EventType::kExecutionFailed, {}, x_.last_event_id);
}

void Step::make_ready(Frame& frame, asl::StateIndex state, json::Value input) {
  frame.state = state;
  frame.state_input = std::move(input);
  frame.phase = Ready{};
  frame.waiting_since = context_.now;
  touch(frame);
  queue_.push_back(frame.no);
}

void Step::enter(Frame& frame) {
  if (overflowed_) return;
  const asl::State& state = x_.state_of(frame);
  ++frame.entry;
  frame.attempt = 0;
  frame.retry_count = 0;
  frame.retries.assign(state.retry.size(), 0);
  frame.entered_at = context_.now;
  frame.waiting_since = context_.now;
  const std::int64_t previous = frame.previous_event;
  frame.entered_event =
      emit(frame, entered_type(state.type),
           details_of(Detail{Field::kInput, frame.state_input}, Detail{Field::kName, state.name}));
  entry_ = {frame.no, frame.entered_event, previous};
  ++out_.transitions;
  execute(frame);
}

void Step::execute(Frame& frame) {
  if (overflowed_) return;
  const asl::State& state = x_.state_of(frame);
  switch (state.type) {
    case asl::StateType::kTask:
      return run_task(frame, state);
    case asl::StateType::kPass:
      return run_pass(frame, state);
    case asl::StateType::kChoice:
      return run_choice(frame, state);
    case asl::StateType::kWait:
      return run_wait(frame, state);
    case asl::StateType::kSucceed:
      return run_succeed(frame, state);
    case asl::StateType::kFail:
      return run_fail(frame, state);
    case asl::StateType::kParallel:
      return run_parallel(frame, state);
    case asl::StateType::kMap:
      return run_map(frame, state);
  }
}

void Step::leave(FrameNo no, json::Value output, asl::StateIndex next, bool is_end,
                 const json::Value& assigned) {
  Frame& left = frame(no);
  const asl::State& state = x_.state_of(left);
  std::vector<Detail> details = details_of(Detail{Field::kName, state.name}, Detail{Field::kOutput, output});
  if (assigned.is_object()) {
    store_variables(left, assigned);
    details.push_back({Field::kAssignedVariables, assigned});
  }
  emit(left, exited_type(state.type), std::move(details));
  if (is_end) {
    finish_flow(no, std::move(output));
  } else {
    make_ready(left, next, std::move(output));
  }
}

void Step::finish_flow(FrameNo no, json::Value output) {
  if (no != kTopFrame) return child_finished(no, std::move(output));
  x_.output = output;
  end(Outcome::kSucceeded, EventType::kExecutionSucceeded, {{Field::kOutput, std::move(output)}},
      frame(no).previous_event);
}

void Step::fail(FrameNo no, Failure failure, std::optional<std::int64_t> resumed_after) {
  Frame& failed = frame(no);
  const asl::State& state = x_.state_of(failed);
  const bool is_join = state.type == asl::StateType::kMap || state.type == asl::StateType::kParallel;
  const bool never_joined = failure.evaluation && is_join && failed.previous_event == failed.entered_event;
  emit_evaluation_failed(failed, failure);
  note_failure(failure);
  if (retry(failed, state, failure)) {
    if (resumed_after) failed.previous_event = *resumed_after;
    return salvaged_.clear();
  }
  if (never_joined || std::holds_alternative<Joining>(failed.phase) ||
      std::holds_alternative<InMapRun>(failed.phase)) {
    // A Parallel or Map whose children ran says that it failed before it is caught or passed on.
    emit(failed,
         state.type == asl::StateType::kMap ? EventType::kMapStateFailed : EventType::kParallelStateFailed);
    if (auto* run = std::get_if<InMapRun>(&failed.phase)) run->is_over = true;
  }
  if (catch_failure(failed, state, failure)) return salvaged_.clear();
  fail_flow(no, failure);
}

void Step::note_failure(const Failure& failure) const {
  if (context_.inspection == nullptr) return;
  context_.inspection->failed = true;
  context_.inspection->error = failure.error;
  context_.inspection->cause = failure.cause;
}

bool Step::retry(Frame& frame, const asl::State& state, const Failure& failure) {
  for (std::size_t i = 0; i < state.retry.size(); ++i) {
    const asl::Retrier& retrier = state.retry[i];
    if (!names(retrier.error_equals, failure)) continue;
    if (context_.inspection != nullptr) context_.inspection->retry_index = i;
    if (frame.retries[i] >= retrier.max_attempts) return false;
    double seconds =
        static_cast<double>(retrier.interval_seconds) * std::pow(retrier.backoff_rate, frame.retries[i]);
    if (retrier.max_delay_seconds)
      seconds = std::min(seconds, static_cast<double>(*retrier.max_delay_seconds));
    seconds = std::min(seconds, static_cast<double>(kTimeoutSecondsMax));
    auto delay_ms = static_cast<std::int64_t>(seconds * 1000);
    if (retrier.full_jitter && context_.random != nullptr && delay_ms > 0) {
      delay_ms =
          static_cast<std::int64_t>(context_.random->next() % static_cast<std::uint64_t>(delay_ms + 1));
    }
    if (context_.inspection != nullptr) context_.inspection->retry_delay_seconds = delay_ms / 1000;
    ++frame.retries[i];
    ++frame.retry_count;
    frame.phase = BackingOff{context_.now.plus_ms(delay_ms)};
    frame.waiting_since = context_.now;
    touch(frame);
    return true;
  }
  return false;
}

bool Step::catch_failure(Frame& frame, const asl::State& state, const Failure& failure) {
  for (const asl::Catcher& catcher : state.catchers) {
    if (!names(catcher.error_equals, failure)) continue;
    if (context_.inspection != nullptr) {
      context_.inspection->catch_index = static_cast<std::size_t>(&catcher - state.catchers.data());
    }
    json::ObjectBuilder error;
    error.append("Error", failure.error ? json::Value(*failure.error) : json::Value(""));
    error.append("Cause", failure.cause ? json::Value(*failure.cause) : json::Value(""));
    const json::Value result = error.build();
    const StatesData data{.error_output = &result};
    Outcome_<json::Value> assigned = assign(frame, catcher.assign, result, data);
    if (auto* bad = std::get_if<Failure>(&assigned)) return fail_flow(frame.no, *bad), true;
    Outcome_<json::Value> output = result;
    if (catcher.output) {
      output = evaluate(frame, *catcher.output, "Output", data);
    } else if (state.query_language == asl::QueryLanguage::kJsonPath) {
      output = place_result(frame, catcher.result_path, frame.state_input, result);
    }
    if (auto* bad = std::get_if<Failure>(&output)) return fail_flow(frame.no, *bad), true;
    leave(frame.no, std::get<json::Value>(std::move(output)), catcher.next, false,
          std::get<json::Value>(assigned));
    return true;
  }
  return false;
}

void Step::fail_flow(FrameNo no, Failure failure) {
  emit_evaluation_failed(frame(no), failure);
  note_failure(failure);
  if (no != kTopFrame) return fail_parent(no, failure);
  x_.error = failure.error;
  x_.cause = failure.cause;
  end(Outcome::kFailed, EventType::kExecutionFailed, failure_details(failure), frame(no).previous_event);
}

// One child that fails takes its siblings with it, and then it is the parent state that has failed.
void Step::fail_parent(FrameNo child_no, const Failure& failure) {
  const FrameNo parent_no = frame(child_no).parent;
  Frame& child = frame(child_no);
  const std::int64_t failed_event = child.previous_event;  // An abort of the branch is not on the way back.
  const asl::State& parent_state = x_.state_of(frame(parent_no));
  if (parent_state.type == asl::StateType::kMap) {
    emit_beside(child.previous_event, EventType::kMapIterationFailed,
                {{Field::kName, parent_state.name}, {Field::kIndex, static_cast<std::int64_t>(child.slot)}});
  } else if (const auto aborted = aborted_type(x_.state_of(child).type)) {
    emit(child, *aborted);
  }
  frame(parent_no).previous_event = child.previous_event;
  abort_children(parent_no, child_no);
  salvage(child_no);
  fail(parent_no, failure, failed_event);
}

void Step::abort_children(FrameNo parent_no, FrameNo except) {
  const auto* join = std::get_if<Joining>(&frame(parent_no).phase);
  if (join == nullptr) return;
  const FrameNo first = join->first_child;
  const std::uint32_t count = join->started;
  for (FrameNo no = first; no < first + count; ++no) {
    const auto found = x_.frames.find(no);
    if (no == except || found == x_.frames.end()) continue;
    Frame& child = found->second;
    if (std::holds_alternative<Joining>(child.phase)) abort_children(no, kNoFrame);
    cancel_task(child);
    const bool running =
        !std::holds_alternative<Finished>(child.phase) && !std::holds_alternative<Ready>(child.phase);
    if (runs_map(child)) emit(child, EventType::kMapRunAborted);
    if (const auto aborted = aborted_type(x_.state_of(child).type); running && aborted) {
      emit(child, *aborted);
    }
    salvage(no);
  }
}

void Step::cancel_task(const Frame& frame) {
  if (runs_map(frame)) {
    out_.commands.push_back(StopMapRun{{frame.no, frame.entry, frame.attempt}});
  }
  if (const auto attempt = waiting_attempt(frame)) out_.commands.push_back(CancelTask{*attempt});
}

void Step::salvage(FrameNo no) {
  salvaged_.insert_or_assign(no, std::move(frame(no)));
  remove(no);
}

void Step::remove(FrameNo no) {
  x_.frames.erase(no);
  out_.gone.insert(no);
}

void Step::end(Outcome outcome, EventType type, std::vector<Detail> details, std::int64_t previous) {
  if (overflowed_ && outcome != Outcome::kAborted && outcome != Outcome::kTimedOut) {
    // Whatever it came to: what led there could not be written.
    const Failure full{"States.Runtime", "The execution reached the maximum number of history events (" +
                                             std::to_string(events_max(x_)) + ")."};
    outcome = Outcome::kFailed;
    type = EventType::kExecutionFailed;
    x_.output = json::Value();
    x_.error = full.error;
    x_.cause = full.cause;
    details = failure_details(full);
  }
  x_.outcome = outcome;
  x_.stopped_at = context_.now;
  for (auto& [no, frame] : x_.frames) {
    if (runs_map(frame)) emit(frame, EventType::kMapRunAborted);
  }
  emit_beside(previous, type, std::move(details));
  // Commands that this very advance asked for must not leave any more.
  std::erase_if(out_.commands, [](const Command& command) {
    return std::holds_alternative<InvokeTask>(command) || std::holds_alternative<StartMapRun>(command);
  });
  if (const auto top = x_.frames.find(kTopFrame); top != x_.frames.end()) {
    x_.last_variables = top->second.variables;
  }
  for (const auto& [no, frame] : x_.frames) {
    cancel_task(frame);
    out_.gone.insert(no);
  }
  if (outcome != Outcome::kSucceeded) {
    x_.left_behind = std::move(x_.frames);
    x_.left_behind.merge(salvaged_);
  }
  x_.frames.clear();
  queue_.clear();
  next_ = 0;
  out_.ended = true;
}

}  // namespace sortie::engine
