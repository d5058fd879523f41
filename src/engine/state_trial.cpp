#include "engine/state_trial.h"

#include <algorithm>
#include <utility>

#include "engine/map_run.h"
#include "engine/step.h"
#include "json/text.h"

namespace sortie::engine {
namespace state_trial {

// An entered state is event 2 of an execution that begins with it.
constexpr std::int64_t kStartedEvent = 1;

// As a map run puts them together (runtime/map_runs.h).
std::vector<json::Value> batches_of(const std::vector<json::Value>& items, const MapRunLimits& limits,
                                    const json::Value& batch_input) {
  const auto count_max = static_cast<std::size_t>(std::max<std::int64_t>(limits.max_items_per_batch, 0));
  const std::size_t bytes_max = batch_item_bytes_max(limits, batch_input);
  std::vector<json::Value> batches, batch;
  std::size_t batch_bytes = 0;
  const auto close = [&] {
    if (!batch.empty()) batches.push_back(batch_of(batch_input, std::exchange(batch, {})));
    batch_bytes = 0;
  };
  for (const json::Value& item : items) {
    const std::size_t bytes = json::to_text(item).size() + 1;
    if (batch_bytes + bytes > bytes_max) close();
    batch.push_back(item);
    batch_bytes += bytes;
    if (batch.size() == count_max) close();
  }
  close();
  return batches;
}

}  // namespace state_trial

std::optional<StatePlace> find_state(const asl::StateMachine& machine, std::string_view name) {
  for (asl::FlowIndex flow = 0; flow < machine.flows.size(); ++flow) {
    const std::vector<asl::State>& states = machine.flows[flow].states;
    for (asl::StateIndex index = 0; index < states.size(); ++index) {
      if (states[index].name == name) return StatePlace{flow, index};
    }
  }
  return std::nullopt;
}

StateTrial::StateTrial(StateTrialSetup setup) : setup_(std::move(setup)) {
  execution_.machine = setup_.machine;
  execution_.input = setup_.input;
  execution_.region = setup_.region;
  execution_.last_event_id = state_trial::kStartedEvent;
  Frame frame;
  frame.flow = setup_.place.flow;
  frame.state = setup_.place.state;
  frame.state_input = setup_.input;
  frame.variables = setup_.variables;
  execution_.frames.emplace(kTopFrame, std::move(frame));
}

Context StateTrial::context(Timestamp now, Random& random) {
  Context context;
  context.now = now;
  context.random = &random;
  context.inspection = &inspection_;
  context.context_object = &setup_.context;
  return context;
}

StateTrial::Need StateTrial::need() const {
  if (execution_.outcome != Outcome::kRunning) return {};
  const Frame& frame = execution_.frames.at(kTopFrame);
  if (std::holds_alternative<Joining>(frame.phase)) return ForResult{};
  if (const auto* sleeping = std::get_if<Sleeping>(&frame.phase)) return ForTime{sleeping->until};
  if (const auto* task = std::get_if<InTask>(&frame.phase)) {
    const auto& body = std::get<asl::Task>(execution_.state_of(frame).body);
    return ForTask{&body.resource, task->parameters, task->credentials, task->timeout_seconds};
  }
  return {};
}

StateTrial::Need StateTrial::start(Timestamp now, Random& random) {
  const Context given = context(now, random);
  Advance out;
  Step(execution_, given, out).enter_alone(setup_.retry_count, setup_.reader_items);
  return need();
}

void StateTrial::wake(Timestamp now, Random& random) {
  const Context given = context(now, random);
  Advance out;
  Step(execution_, given, out).timer_fired(kTopFrame);
}

void StateTrial::succeed(const json::Value& result, Timestamp now, Random& random) {
  const Context given = context(now, random);
  Advance out;
  Step step(execution_, given, out);
  const Frame& frame = execution_.frames.at(kTopFrame);
  if (const auto attempt = waiting_attempt(frame)) return step.task_succeeded({*attempt, result});
  step.children_made(result, setup_.failed_iterations);
}

void StateTrial::fail(const std::string& error, const std::string& cause, Timestamp now, Random& random) {
  const Context given = context(now, random);
  Advance out;
  Step step(execution_, given, out);
  const Frame& frame = execution_.frames.at(kTopFrame);
  if (const auto attempt = waiting_attempt(frame)) return step.task_failed({*attempt, error, cause});
  step.children_failed(error, cause);
}

StateTrialResult StateTrial::result() const {
  StateTrialResult out;
  out.inspection = inspection_;
  out.error = inspection_.error;
  out.cause = inspection_.cause;
  const auto found = execution_.frames.find(kTopFrame);
  out.variables = found == execution_.frames.end() ? execution_.last_variables : found->second.variables;
  if (execution_.outcome == Outcome::kSucceeded) {
    out.status = StateTrialStatus::kSucceeded;
    out.output = execution_.output;
  } else if (execution_.outcome == Outcome::kRunning) {
    const Frame& frame = found->second;
    if (std::holds_alternative<BackingOff>(frame.phase)) {
      out.status = StateTrialStatus::kRetriable;
      return out;
    }
    out.status = inspection_.failed ? StateTrialStatus::kCaughtError : StateTrialStatus::kSucceeded;
    out.output = frame.state_input;
    out.next_state = execution_.state_of(frame).name;
  }
  return out;
}

// --- What Step does for a state alone. ---

void Step::enter_alone(std::uint32_t retry_count, const std::optional<json::Value>& reader_items) {
  Frame& frame = this->frame(kTopFrame);
  const asl::State& state = x_.state_of(frame);
  ++frame.entry;
  frame.retry_count = retry_count;
  frame.retries.assign(state.retry.size(), retry_count);
  frame.entered_at = context_.now;
  frame.entered_event = emit(frame, EventType::kExecutionStarted);
  entry_ = {kTopFrame, frame.entered_event, 0};
  if (state.type == asl::StateType::kParallel) return parallel_alone(frame, state);
  if (state.type == asl::StateType::kMap) return map_alone(frame, state, reader_items);
  execute(frame);
}

void Step::parallel_alone(Frame& frame, const asl::State& state) {
  Outcome_<json::Value> input = select(frame, state.input_path, frame.state_input);
  if (auto* failure = std::get_if<Failure>(&input)) return fail(kTopFrame, std::move(*failure));
  inspect(state, &Inspection::after_input_path, std::get<json::Value>(input));
  if (state.parameters) {
    input = evaluate(frame, *state.parameters, json::Value(std::get<json::Value>(input)), "Arguments");
    if (auto* failure = std::get_if<Failure>(&input)) return fail(kTopFrame, std::move(*failure));
  }
  inspect(state, &Inspection::after_parameters, std::get<json::Value>(input));
  frame.phase = Joining{};
}

void Step::map_alone(Frame& frame, const asl::State& state, const std::optional<json::Value>& reader_items) {
  const auto& body = std::get<asl::Map>(state.body);
  Outcome_<json::Value> input = select(frame, state.input_path, frame.state_input);
  if (auto* failure = std::get_if<Failure>(&input)) return fail(kTopFrame, std::move(*failure));
  InMapRun run;
  run.input = std::get<json::Value>(input);
  inspect(state, &Inspection::after_input_path, run.input);
  if (body.distributed) {
    std::optional<Failure> bad = read_map_parameters(frame, body, run);
    if (!bad) bad = read_map_limits(frame, body, run);
    if (bad) return fail(kTopFrame, std::move(*bad));
  }
  Outcome_<std::vector<json::Value>> made = items_alone(frame, state, run, reader_items);
  if (auto* failure = std::get_if<Failure>(&made)) return fail(kTopFrame, std::move(*failure));
  const auto& items = std::get<std::vector<json::Value>>(made);
  if (body.distributed && body.distributed->batcher) {
    context_.inspection->after_item_batcher =
        json::Value::array(state_trial::batches_of(items, map_run_limits(run.limits), run.batch_input));
  }
  if (auto bad = limits_alone(frame, body, run.input)) return fail(kTopFrame, std::move(*bad));
  Joining join;
  join.total = static_cast<std::uint32_t>(items.size());
  frame.phase = std::move(join);
}

// What the iterations get, or the batcher.
Outcome_<std::vector<json::Value>> Step::items_alone(Frame& frame, const asl::State& state,
                                                     const InMapRun& run,
                                                     const std::optional<json::Value>& reader_items) {
  const auto& body = std::get<asl::Map>(state.body);
  Inspection& seen = *context_.inspection;
  std::vector<json::Value> items;
  std::shared_ptr<const std::string> source;  // Null: the items are the state's own.
  if (reader_items) {
    source = std::make_shared<const std::string>(item_source_name(run.reader));
    const auto read = reader_items->items();
    items.assign(read.begin(), read.end());
    const asl::ItemReader* reader =
        body.distributed && body.distributed->reader ? &*body.distributed->reader : nullptr;
    if (reader != nullptr && !reader->items_pointer.empty()) seen.after_items_pointer = *reader_items;
    const std::int64_t most = reader != nullptr ? map_run_limits(run.limits).max_items : 0;
    if (most > 0 && items.size() > static_cast<std::size_t>(most))
      items.resize(static_cast<std::size_t>(most));
  } else {
    Outcome_<json::Value> found = map_items(frame, state, run.input);
    if (auto* failure = std::get_if<Failure>(&found)) return std::move(*failure);
    inspect(state, &Inspection::after_items_path, std::get<json::Value>(found));
    const auto given = std::get<json::Value>(found).items();
    items.assign(given.begin(), given.end());
  }
  if (!body.item_selector) return items;
  for (std::size_t i = 0; i < items.size(); ++i) {
    Outcome_<json::Value> made = item_input(
        frame, body, run.input, MapItem{static_cast<std::uint32_t>(i), std::move(items[i]), source});
    if (auto* failure = std::get_if<Failure>(&made)) return std::move(*failure);
    items[i] = std::get<json::Value>(std::move(made));
  }
  seen.after_item_selector = json::Value::array(items);
  return items;
}

std::optional<Failure> Step::limits_alone(const Frame& frame, const asl::Map& map, const json::Value& input) {
  const auto read = [&](const asl::NumberField& field, std::string_view name,
                        std::optional<double>* out) -> std::optional<Failure> {
    Outcome_<std::optional<double>> value = number(frame, field, input, name);
    if (auto* failure = std::get_if<Failure>(&value)) return std::move(*failure);
    *out = std::get<std::optional<double>>(value);
    return std::nullopt;
  };
  Inspection& seen = *context_.inspection;
  if (auto bad = read(map.max_concurrency, "MaxConcurrencyPath", &seen.max_concurrency)) return bad;
  if (seen.max_concurrency.value_or(0) < 0)
    return runtime_failure(frame, "MaxConcurrency cannot be negative.");
  if (!seen.max_concurrency) seen.max_concurrency = 0;
  if (auto bad =
          read(map.tolerated_failure_count, "ToleratedFailureCountPath", &seen.tolerated_failure_count)) {
    return bad;
  }
  return read(map.tolerated_failure_percentage, "ToleratedFailurePercentagePath",
              &seen.tolerated_failure_percentage);
}

// Recorded: a Map that tolerates nothing in particular succeeds whatever number is said to have failed.
void Step::children_made(const json::Value& result, std::int64_t failed) {
  Frame& frame = this->frame(kTopFrame);
  const Inspection& seen = *context_.inspection;
  const auto total = static_cast<double>(std::get<Joining>(frame.phase).total);
  const auto count = static_cast<double>(failed);
  const bool too_many = seen.tolerated_failure_count && count > *seen.tolerated_failure_count;
  const bool too_large = seen.tolerated_failure_percentage && total > 0 &&
                         count * 100 / total > *seen.tolerated_failure_percentage;
  if (too_many || too_large) {
    return fail(kTopFrame, {"States.ExceedToleratedFailureThreshold",
                            "The specified tolerated failure threshold was exceeded"});
  }
  frame.phase = Ready{};
  succeed_with_result(kTopFrame, result);
}

void Step::children_failed(const std::string& error, const std::string& cause) {
  Failure failure;
  if (!error.empty()) failure.error = error;
  if (!cause.empty()) failure.cause = cause;
  failure.from_task = true;
  fail(kTopFrame, std::move(failure));
}

void Step::inspect(const asl::State& state, std::optional<json::Value> Inspection::*field,
                   const json::Value& value) const {
  if (context_.inspection == nullptr || state.query_language == asl::QueryLanguage::kJsonata) return;
  context_.inspection->*field = value;
}

}  // namespace sortie::engine
