// TestState: one state, alone or out of a definition, run once. Nothing is stored, no execution exists.
//
// Parameters are checked in the order in which AWS's answers show it: what does not go together, the
// definition, the mock, the context. A Task without a mock is carried out in earnest; a Parallel or Map needs
// a mock. What a mock says a service would have answered is held against the service's model.
#include <algorithm>
#include <array>

#include "api/given_text.h"
#include "api/states_api.h"
#include "api/states_arn.h"
#include "asl/compile.h"
#include "base/hash.h"
#include "engine/state_trial.h"
#include "json/text.h"

namespace sortie::api {
namespace test_state {

constexpr std::string_view kLoneState = "StateName";  // As AWS calls the state under test.
constexpr std::int64_t kTimeMsMax = 5 * 60 * 1000;    // A test that runs longer has timed out.

Error invalid(std::string message) { return {"ValidationException", std::move(message), "", ""}; }

// One call under way. Kept alive by the callbacks that it waits for.
struct Trial {
  engine::StateTrialSetup setup;
  std::unique_ptr<engine::StateTrial> test;
  const asl::State* state = nullptr;
  GivenTexts texts;
  json::Value mock;  // Null: none.
  std::string inspection_level;
  json::Value trace;  // {"request", "response"} of an HTTP task.
  std::string role_arn, execution_arn, machine_arn, execution_name;
};

// Every state that the lone state names as a target has to exist: each becomes a state that does nothing.
void collect_targets(const json::Value& state, std::vector<std::string>& names) {
  const auto add = [&names](const json::Value& name) {
    if (!name.is_string() || name.as_string() == kLoneState) return;
    if (std::find(names.begin(), names.end(), name.as_string()) == names.end()) {
      names.push_back(name.to_std_string());
    }
  };
  add(state.get("Next"));
  add(state.get("Default"));
  for (const json::Value& rule : state.get("Choices").items()) add(rule.get("Next"));
  for (const json::Value& catcher : state.get("Catch").items()) add(catcher.get("Next"));
}

std::string wrap_lone_state(const json::Value& state) {
  std::vector<std::string> targets;
  collect_targets(state, targets);
  json::ObjectBuilder states;
  states.append(kLoneState, state);
  const json::Value stub = json::Value::object({{"Type", "Pass"}, {"End", true}});
  for (const std::string& name : targets) states.append(name, stub);
  return json::to_text(json::Value::object({{"StartAt", kLoneState}, {"States", states.build()}}));
}

bool has_mocked_children(const asl::State& state) {
  return state.type == asl::StateType::kParallel || state.type == asl::StateType::kMap;
}

// --- The context object ---

struct ContextField {
  std::string_view parent;  // "" at the top.
  std::string_view name;
  bool is_text;
};

constexpr std::array kContextFields = {
    ContextField{"", "Execution", false},
    ContextField{"", "State", false},
    ContextField{"", "StateMachine", false},
    ContextField{"", "Task", false},
    ContextField{"Execution", "Id", true},
    ContextField{"Execution", "Input", false},
    ContextField{"Execution", "Name", true},
    ContextField{"Execution", "RoleArn", true},
    ContextField{"Execution", "StartTime", true},
    ContextField{"Execution", "RedriveCount", false},
    ContextField{"Execution", "RedriveTime", true},
    ContextField{"State", "EnteredTime", true},
    ContextField{"State", "Name", true},
    ContextField{"State", "RetryCount", false},
    ContextField{"StateMachine", "Id", true},
    ContextField{"StateMachine", "Name", true},
    ContextField{"Task", "Token", true},
};

Status check_context_members(const json::Value& object, std::string_view parent) {
  const auto wrong = [](const std::string& why) {
    return invalid("Invalid Context object provided: " + why);
  };
  for (const json::Member& member : object.members()) {
    const std::string name = member.key.to_std_string();
    const std::string path = parent.empty() ? name : std::string(parent) + "." + name;
    if (parent.empty() && name == "Map") {
      return wrong("'Map' field is not supported when mocking a Context object");
    }
    const auto* known = std::find_if(kContextFields.begin(), kContextFields.end(),
                                     [&](const auto& f) { return f.parent == parent && f.name == name; });
    if (known == kContextFields.end()) return wrong("Field '" + name + "' is not allowed");
    if (known->is_text && !member.value.is_string()) return wrong(path + " must be a string");
    if (name == "RetryCount" && !member.value.is_integer()) return wrong(path + " must be a number");
    if (!parent.empty()) continue;
    if (!member.value.is_object()) return wrong(path + " must be an object");
    SORTIE_TRY_STATUS(check_context_members(member.value, name));
  }
  return {};
}

Status check_context(const json::Value& context, const asl::State& state) {
  if (!context.is_object()) return invalid("Invalid Context object provided: it must be a JSON object");
  SORTIE_TRY_STATUS(check_context_members(context, ""));
  const auto* task = std::get_if<asl::Task>(&state.body);
  const bool may_have_task = task != nullptr && task->resource.pattern != asl::TaskPattern::kRequestResponse;
  if (context.has("Task") && !may_have_task) {
    return invalid(
        "Invalid Context object provided: Context object contains 'Task' when state is not a Task state with "
        "a '.sync' or '.waitForTaskToken' service integration pattern");
  }
  return {};
}

json::Value default_context(const Trial& trial, Timestamp now, Random& random) {
  const asl::State& state = *trial.state;
  const auto* task = std::get_if<asl::Task>(&state.body);
  json::ObjectBuilder execution, machine, entered, context;
  execution.append("Id", trial.execution_arn).append("Input", trial.setup.input);
  execution.append("StartTime", to_iso8601(now)).append("Name", trial.execution_name);
  execution.append("RoleArn", trial.role_arn.empty() ? json::Value() : json::Value(trial.role_arn));
  machine.append("Id", trial.machine_arn);
  machine.append("Name", trial.machine_arn.substr(trial.machine_arn.rfind(':') + 1));
  entered.append("Name", kLoneState).append("EnteredTime", to_iso8601(now));
  if (task != nullptr || has_mocked_children(state)) {
    entered.append("RetryCount", static_cast<std::int64_t>(trial.setup.retry_count));
  }
  context.append("Execution", execution.build()).append("StateMachine", machine.build());
  context.append("State", entered.build());
  if (task != nullptr && task->resource.pattern == asl::TaskPattern::kWaitForTaskToken) {
    context.append("Task", json::Value::object({{"Token", make_uuid(random)}}));
  }
  return context.build();
}

// --- The mock ---

Status check_mock_result(const Trial& trial, const json::Value& state_text, const json::Value& result) {
  const bool writes = state_text.has("ResultWriter");
  if (trial.state->type == asl::StateType::kMap && writes) {
    if (!result.is_object()) return invalid("Mocked result must be a JSON object.");
    return {};
  }
  if (!has_mocked_children(*trial.state)) return {};
  if (!result.is_array()) return invalid("Mocked result must be an array.");
  const auto* parallel = std::get_if<asl::Parallel>(&trial.state->body);
  if (parallel != nullptr && parallel->branches.size() != result.size()) {
    return invalid("Mocked result must contain the same number of items as number of Parallel branches.");
  }
  if (trial.setup.failed_iterations > static_cast<std::int64_t>(result.size())) {
    return invalid("Map iteration failure count must be less than or equal to the number of Map iterations");
  }
  return {};
}

Status check_mock_and_state(const Trial& trial, const json::Value& in) {
  using asl::StateType;
  const StateType type = trial.state->type;
  const bool may_be_mocked = type == StateType::kTask || has_mocked_children(*trial.state);
  if (trial.mock.is_object()) {
    if (flag_of(in, "revealSecrets")) {
      return invalid("TestState does not support RevealSecrets when a mock is specified.");
    }
    if (!may_be_mocked) {
      return invalid("State type '" + std::string(asl::state_type_name(type)) +
                     "' is not supported when a mock is specified");
    }
    const bool has_result = trial.mock.get("result").is_string();
    if (has_result == trial.mock.get("errorOutput").is_object()) {
      return invalid("A test mock should have only one of the following fields: [result, errorOutput].");
    }
    if (!has_result && text_member(trial.mock.get("errorOutput"), "error").empty()) {
      return invalid("The field 'error' is required if mock.errorOutput is specified.");
    }
    return {};
  }
  if (!in.get("stateConfiguration").get("mapIterationFailureCount").is_null()) {
    return invalid("TestState does not support MapIterationFailureCount when a mock is not specified.");
  }
  if (!in.get("context").is_null()) {
    return invalid("TestState does not support Context when a mock is not specified.");
  }
  if (has_mocked_children(*trial.state)) {
    return Error{"InvalidDefinition",
                 "TestState API does not support Map or Parallel states. Supported state types include: "
                 "[Task, Wait, Pass, Succeed, Fail, Choice]",
                 "", ""};
  }
  const auto* task = std::get_if<asl::Task>(&trial.state->body);
  if (task != nullptr &&
      (task->resource.is_activity || task->resource.pattern != asl::TaskPattern::kRequestResponse)) {
    return invalid(
        "TestState API does not support activities and Task states with a '.sync' or '.waitForTaskToken' "
        "service integration pattern when a mock is not specified.");
  }
  return {};
}

// --- The answer ---

std::string_view status_text(engine::StateTrialStatus status) {
  static constexpr std::array<std::string_view, 4> kNames = {"SUCCEEDED", "FAILED", "RETRIABLE",
                                                             "CAUGHT_ERROR"};
  return kNames[static_cast<std::size_t>(status)];
}

json::Value error_details(const engine::Inspection& seen) {
  json::ObjectBuilder details;
  if (seen.catch_index) details.append("catchIndex", static_cast<std::int64_t>(*seen.catch_index));
  if (seen.retry_index && !seen.catch_index) {
    details.append("retryIndex", static_cast<std::int64_t>(*seen.retry_index));
    if (seen.retry_delay_seconds) details.append("retryBackoffIntervalSeconds", *seen.retry_delay_seconds);
  }
  return details.build();
}

json::Value inspection_data(const Trial& trial, const engine::StateTrialResult& done) {
  const engine::Inspection& seen = done.inspection;
  json::ObjectBuilder out;
  out.append("input", trial.texts.text_of(trial.setup.input));
  const auto text = [&](std::string_view name, const std::optional<json::Value>& value) {
    if (value) out.append(name, trial.texts.text_of(*value));
  };
  text("afterArguments", seen.after_arguments);
  text("afterInputPath", seen.after_input_path);
  text("afterParameters", seen.after_parameters);
  text("afterItemsPath", seen.after_items_path);
  text("afterItemsPointer", seen.after_items_pointer);
  text("afterItemSelector", seen.after_item_selector);
  text("afterItemBatcher", seen.after_item_batcher);
  text("result", seen.result);
  text("afterResultSelector", seen.after_result_selector);
  text("afterResultPath", seen.after_result_path);
  const auto whole = [&](std::string_view name, const std::optional<double>& value) {
    if (value) out.append(name, static_cast<std::int64_t>(*value));
  };
  whole("maxConcurrency", seen.max_concurrency);
  whole("toleratedFailureCount", seen.tolerated_failure_count);
  if (seen.tolerated_failure_percentage) {
    out.append("toleratedFailurePercentage", *seen.tolerated_failure_percentage);
  }
  if (done.variables.is_object() && !done.variables.empty()) {
    out.append("variables", trial.texts.text_of(done.variables));
  }
  if (trial.inspection_level == "TRACE") {
    for (const char* part : {"request", "response"}) {
      if (trial.trace.has(part)) out.append(part, trial.trace.get(part));
    }
  }
  if (const json::Value details = error_details(seen); !details.empty()) out.append("errorDetails", details);
  return out.build();
}

json::Value answer_of(const Trial& trial) {
  const engine::StateTrialResult done = trial.test->result();
  const bool has_output = done.status == engine::StateTrialStatus::kSucceeded ||
                          done.status == engine::StateTrialStatus::kCaughtError;
  json::ObjectBuilder out;
  if (has_output) out.append("output", trial.texts.text_of(done.output));
  if (done.status != engine::StateTrialStatus::kSucceeded) {
    if (done.error) out.append("error", *done.error);
    if (done.cause) out.append("cause", *done.cause);
  }
  if (trial.inspection_level != "INFO") out.append("inspectionData", inspection_data(trial, done));
  if (!done.next_state.empty()) out.append("nextState", done.next_state);
  out.append("status", status_text(done.status));
  return out.build();
}

// A member that holds JSON as text.
Result<json::Value> read_json_member(const json::Value& in, std::string_view name, std::string_view what,
                                     GivenTexts& texts) {
  const std::string text = text_member(in, name);
  Result<json::Value> value = json::parse(text);
  if (!value.ok()) return invalid(std::string(what) + " must be valid JSON: " + value.error().message);
  texts.add(text, *value);
  return *std::move(value);
}

}  // namespace test_state

using test_state::Trial;

// The items in what the reader would have found, in the format that it reads.
Result<json::Value> StatesApi::read_trial_items(const json::Value& configuration, Trial& trial) const {
  const auto* map = std::get_if<asl::Map>(&trial.state->body);
  const asl::ItemReader* reader =
      map != nullptr && map->distributed && map->distributed->reader ? &*map->distributed->reader : nullptr;
  const bool is_array = reader == nullptr || (reader->lists_objects && !reader->loads_listed) ||
                        (reader->format == asl::ItemFormat::kJson && reader->items_pointer.empty());
  if (is_array || !services_.read_items) {
    return test_state::read_json_member(configuration, "mapItemReaderData", "Map item reader data",
                                        trial.texts);
  }
  Result<json::Value> items = services_.read_items(*reader, text_member(configuration, "mapItemReaderData"));
  if (!items) return test_state::invalid("Map item reader data cannot be read: " + items.error().message);
  return items;
}

// The definition compiled, and the state in it. `state_text` becomes the state as it is written, where it
// stands alone.
Status StatesApi::find_tested_state(const AwsCall& call, Trial& trial, json::Value* state_text) const {
  const std::string definition = text_member(call.input, "definition");
  const std::string wanted = text_member(call.input, "stateName");
  const Result<json::Value> parsed = json::parse(definition);
  const bool is_lone = parsed.ok() && parsed->is_object() && !parsed->has("States");
  const std::string whole = is_lone ? test_state::wrap_lone_state(*parsed) : definition;
  SORTIE_TRY_STATUS(check_definition(whole, "STANDARD"));
  trial.setup.machine = asl::compile(whole, {.strict = options_.strict}).machine;
  const std::string name = is_lone ? std::string(test_state::kLoneState) : wanted;
  const std::optional<engine::StatePlace> place = engine::find_state(*trial.setup.machine, name);
  if (!place) return test_state::invalid("State not found in definition");
  trial.setup.place = *place;
  trial.state = &trial.setup.machine->state(place->flow, place->state);
  if (is_lone) *state_text = *parsed;
  if (!is_lone && parsed.ok()) *state_text = parsed->get("States").get(name);
  return {};
}

Status StatesApi::prepare_trial(const AwsCall& call, Trial& trial) const {
  const json::Value& in = call.input;
  trial.inspection_level =
      in.get("inspectionLevel").is_string() ? text_member(in, "inspectionLevel") : "INFO";
  trial.mock = in.get("mock");
  trial.role_arn = text_member(in, "roleArn");
  if (!trial.role_arn.empty()) SORTIE_TRY_STATUS(check_role_arn(trial.role_arn));
  const std::string input = in.get("input").is_string() ? text_member(in, "input") : "{}";
  if (std::optional<Error> fault = find_input_fault(input)) return *std::move(fault);
  SORTIE_TRY(trial.setup.input, json::parse(input));
  trial.texts.add(input, trial.setup.input);
  json::Value state_text;
  SORTIE_TRY_STATUS(find_tested_state(call, trial, &state_text));
  SORTIE_TRY_STATUS(test_state::check_mock_and_state(trial, in));
  if (in.get("variables").is_string()) {
    SORTIE_TRY(trial.setup.variables,
               test_state::read_json_member(in, "variables", "Variables", trial.texts));
    if (!trial.setup.variables.is_object()) return test_state::invalid("Variables must be a JSON object");
  }
  const json::Value& configuration = in.get("stateConfiguration");
  if (const json::Value& count = configuration.get("retrierRetryCount"); count.is_integer()) {
    trial.setup.retry_count =
        static_cast<std::uint32_t>(std::min<std::int64_t>(count.as_integer(), INT32_MAX));
  }
  if (const json::Value& count = configuration.get("mapIterationFailureCount"); count.is_integer()) {
    trial.setup.failed_iterations = count.as_integer();
  }
  if (configuration.get("mapItemReaderData").is_string()) {
    SORTIE_TRY(trial.setup.reader_items, read_trial_items(configuration, trial));
  }
  if (const std::string cause = text_member(configuration, "errorCausedByState");
      !cause.empty() && !engine::find_state(*trial.setup.machine, cause)) {
    return test_state::invalid("State not found in definition");
  }
  if (in.get("context").is_string()) {
    SORTIE_TRY(trial.setup.context,
               test_state::read_json_member(in, "context", "Context object", trial.texts));
    SORTIE_TRY_STATUS(test_state::check_context(trial.setup.context, *trial.state));
  }
  if (trial.mock.get("result").is_string()) {
    SORTIE_TRY(const json::Value result,
               test_state::read_json_member(trial.mock, "result", "Mocked result", trial.texts));
    SORTIE_TRY_STATUS(test_state::check_mock_result(trial, state_text, result));
    trial.mock = json::ObjectBuilder(trial.mock).set("result", result).build();
  }
  return {};
}

void StatesApi::test_state(const AwsCall& call, AwsReply reply) {
  auto trial = std::make_shared<Trial>();
  if (Status status = prepare_trial(call, *trial); !status) return reply(status.error());
  trial->setup.region = options_.region;
  trial->execution_name = make_uuid(services_.random);
  trial->machine_arn = state_machine_arn(options_.region, call.caller.account, make_uuid(services_.random));
  trial->execution_arn = "arn:aws:states:" + options_.region + ":" + call.caller.account +
                         ":express:" + trial->machine_arn.substr(trial->machine_arn.rfind(':') + 1) + ":" +
                         trial->execution_name;
  if (trial->setup.context.is_null()) {
    trial->setup.context = test_state::default_context(*trial, services_.loop.now(), services_.random);
  }
  const auto* task = std::get_if<asl::Task>(&trial->state->body);
  const std::string mode = text_member(trial->mock, "fieldValidationMode");
  const bool is_checked = task != nullptr && trial->mock.has("result") && mode != "NONE" &&
                          task->resource.pattern == asl::TaskPattern::kRequestResponse &&
                          !task->resource.is_lambda_arn && !task->resource.is_activity;
  if (!is_checked || !services_.check_mock) return run_trial(trial, call, std::move(reply));
  services_.check_mock(task->resource, trial->mock.get("result"), mode != "PRESENT",
                       [this, trial, call, reply = std::move(reply)](const std::string& wrong) {
                         if (wrong.empty()) return run_trial(trial, call, reply);
                         reply(test_state::invalid("Mock result schema validation error: " + wrong));
                       });
}

void StatesApi::run_trial(std::shared_ptr<Trial> trial, const AwsCall& call, AwsReply reply) {
  trial->test = std::make_unique<engine::StateTrial>(trial->setup);
  const Timestamp now = services_.loop.now();
  const engine::StateTrial::Need need = trial->test->start(now, services_.random);
  if (const auto* wait = std::get_if<engine::StateTrial::ForTime>(&need)) {
    const Timestamp limit = now.plus_ms(test_state::kTimeMsMax);
    const bool in_time = wait->until <= limit;
    services_.loop.call_at(std::min(wait->until, limit), [this, trial, reply, in_time] {
      if (!in_time) {
        return reply(json::Value::object({{"error", "States.Timeout"}, {"status", "FAILED"}}));
      }
      trial->test->wake(services_.loop.now(), services_.random);
      reply(test_state::answer_of(*trial));
    });
    return;
  }
  if (const json::Value& error = trial->mock.get("errorOutput");
      error.is_object() && !std::holds_alternative<std::monostate>(need)) {
    trial->test->fail(text_member(error, "error"), text_member(error, "cause"), now, services_.random);
  } else if (trial->mock.has("result") && !std::holds_alternative<std::monostate>(need)) {
    trial->test->succeed(trial->mock.get("result"), now, services_.random);
  } else if (const auto* task = std::get_if<engine::StateTrial::ForTask>(&need)) {
    return run_task_of(std::move(trial), *task, call, std::move(reply));
  }
  reply(test_state::answer_of(*trial));
}

void StatesApi::run_task_of(std::shared_ptr<Trial> trial, const engine::StateTrial::ForTask& task,
                            const AwsCall& call, AwsReply reply) {
  if (!services_.try_task) return reply(not_supported_yet("TestState of a Task without a mock"));
  runtime::TaskOrder order;
  order.idempotency_key = trial->execution_name;
  order.origin = runtime::TaskOrigin{
      trial->execution_arn, trial->machine_arn, trial->execution_name, trial->role_arn, "",
      call.caller.actor};
  order.state_name = trial->state->name;
  order.resource = *task.resource;
  order.parameters = task.parameters;
  order.credentials = task.credentials;
  const std::int64_t limit_ms = task.timeout_seconds > 0
                                    ? std::min(task.timeout_seconds * 1000, test_state::kTimeMsMax)
                                    : test_state::kTimeMsMax;
  order.deadline = services_.loop.now().plus_ms(limit_ms);
  auto is_over = std::make_shared<bool>(false);
  auto timer = std::make_shared<Loop::TimerId>();
  const auto finish = [this, trial, reply = std::move(reply), is_over, timer](const Result<json::Value>& done,
                                                                              json::Value trace) {
    if (*is_over) return;
    *is_over = true;
    trial->trace = std::move(trace);
    services_.loop.cancel(*timer);
    const Timestamp now = services_.loop.now();
    if (done.ok()) {
      trial->test->succeed(*done, now, services_.random);
    } else {
      trial->test->fail(done.error().code, done.error().message, now, services_.random);
    }
    reply(test_state::answer_of(*trial));
  };
  *timer = services_.loop.call_at(order.deadline, [finish] {
    finish(Error{"States.Timeout", "", "", ""}, json::Value());
  });
  services_.try_task(std::move(order), finish);
}

}  // namespace sortie::api
