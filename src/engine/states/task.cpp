#include "base/text.h"
#include "engine/step.h"
#include "json/text.h"

namespace sortie::engine {
namespace {

// What AWS's API can hold of an error and its cause, in characters. More is cut off where a task reports it:
// the cause of a failed child quotes the cause of its own child, and quoting doubles what it quotes.
constexpr std::size_t kErrorLengthMax = 256;
constexpr std::size_t kCauseLengthMax = 32'768;

std::string first_code_points(const std::string& text, std::size_t most) {
  if (text.size() <= most) return text;
  const auto continues = [&text](std::size_t at) {
    return (static_cast<unsigned char>(text[at]) & 0xC0U) == 0x80U;
  };
  std::size_t end = 0;
  for (std::size_t count = 0; end < text.size() && (continues(end) || count < most); ++end) {
    if (!continues(end)) ++count;
  }
  return text.substr(0, end);
}

enum class Moment { kScheduled, kSucceeded, kFailed, kTimedOut };

// Which history events a task writes depends on what its Resource is.
EventType task_event(const asl::TaskResource& resource, Moment moment) {
  static constexpr EventType kLambda[] = {
      EventType::kLambdaFunctionScheduled, EventType::kLambdaFunctionSucceeded,
      EventType::kLambdaFunctionFailed, EventType::kLambdaFunctionTimedOut};
  static constexpr EventType kActivity[] = {EventType::kActivityScheduled, EventType::kActivitySucceeded,
                                            EventType::kActivityFailed, EventType::kActivityTimedOut};
  static constexpr EventType kTask[] = {EventType::kTaskScheduled, EventType::kTaskSucceeded,
                                        EventType::kTaskFailed, EventType::kTaskTimedOut};
  const auto index = static_cast<std::size_t>(moment);
  if (resource.is_lambda_arn) return kLambda[index];
  return resource.is_activity ? kActivity[index] : kTask[index];
}

bool is_service(const asl::TaskResource& resource) {
  return !resource.is_lambda_arn && !resource.is_activity;
}

std::vector<Detail> with_service(const asl::TaskResource& resource, std::vector<Detail> details) {
  if (!is_service(resource)) return details;
  details.push_back({Field::kResource, resource.resource});
  details.push_back({Field::kResourceType, resource.resource_type});
  return details;
}

// arn:aws:iam::ACCOUNT:role/NAME
bool names_role(const json::Value& credentials) {
  const json::Value& role = credentials.get("RoleArn");
  if (!role.is_string()) return false;
  const std::vector<std::string_view> parts = split(role.as_string(), ':');
  return parts.size() == 6 && parts[0] == "arn" && parts[2] == "iam" && !parts[4].empty() &&
         parts[5].starts_with("role/");
}

std::vector<Detail> scheduled_details(const asl::TaskResource& resource, const InTask& task,
                                      const std::string& region) {
  std::vector<Detail> details;
  if (is_service(resource)) {
    details = with_service(
        resource, details_of(Detail{Field::kParameters, task.parameters},
                             Detail{Field::kRegion, resource.region.empty() ? region : resource.region}));
  } else {
    details = details_of(Detail{Field::kInput, task.parameters}, Detail{Field::kResource, resource.text});
  }
  if (task.timeout_seconds > 0) details.push_back({Field::kTimeoutInSeconds, task.timeout_seconds});
  if (task.heartbeat_seconds > 0) details.push_back({Field::kHeartbeatInSeconds, task.heartbeat_seconds});
  if (task.credentials.is_object()) {
    details.push_back(
        {Field::kTaskCredentials, json::Value::object({{"roleArn", task.credentials.get("RoleArn")}})});
  }
  return details;
}

}  // namespace

void Step::run_task(Frame& frame, const asl::State& state) {
  const FrameNo no = frame.no;
  const auto& body = std::get<asl::Task>(state.body);
  const asl::TaskResource& resource = body.resource;
  ++frame.attempt;
  Outcome_<json::Value> selected = select(frame, state.input_path, frame.state_input);
  if (auto* failure = std::get_if<Failure>(&selected)) return fail(no, std::move(*failure));
  const json::Value& input = std::get<json::Value>(selected);
  InTask task;
  task.parameters = input;
  if (state.parameters) {
    Outcome_<json::Value> made = evaluate(frame, *state.parameters, input, "Arguments");
    if (auto* failure = std::get_if<Failure>(&made)) return fail(no, std::move(*failure));
    task.parameters = std::get<json::Value>(std::move(made));
  }
  inspect(state, &Inspection::after_input_path, input);
  inspect(state, &Inspection::after_parameters, task.parameters);
  if (context_.inspection != nullptr && state.query_language == asl::QueryLanguage::kJsonata) {
    context_.inspection->after_arguments = task.parameters;
  }
  if (body.credentials) {
    Outcome_<json::Value> made = evaluate(frame, *body.credentials, input, "Credentials");
    if (auto* failure = std::get_if<Failure>(&made)) return fail(no, std::move(*failure));
    task.credentials = std::get<json::Value>(std::move(made));
    if (!names_role(task.credentials)) {
      // Nobody's authority is taken instead of the one that was meant.
      const std::string cause =
          "The RoleArn of the Credentials field has to be the ARN of an IAM role, but was: " +
          json::to_text(task.credentials.get("RoleArn"));
      return fail(no, state.query_language == asl::QueryLanguage::kJsonata
                          ? query_failure(frame, cause, "Credentials/RoleArn")
                          : runtime_failure(frame, cause));
    }
  }
  const auto seconds = [&](const asl::NumberField& field, std::string_view name,
                           std::int64_t* out) -> std::optional<Failure> {
    Outcome_<std::optional<double>> value = number(frame, field, input, name);
    if (auto* failure = std::get_if<Failure>(&value)) return std::move(*failure);
    const auto number = std::get<std::optional<double>>(value);
    if (number && (*number < 1 || *number > static_cast<double>(kTimeoutSecondsMax))) {
      if (field.query) {
        name.remove_suffix(4);
        return query_failure(frame, "The " + std::string(name) + " field has to be between 1 and 99999999.",
                             name);
      }
      return runtime_failure(frame, "The " + std::string(name) + " field has to be between 1 and 99999999.");
    }
    if (number) *out = static_cast<std::int64_t>(*number);
    return std::nullopt;
  };
  if (auto bad = seconds(body.timeout_seconds, "TimeoutSecondsPath", &task.timeout_seconds))
    return fail(no, *bad);
  if (auto bad = seconds(body.heartbeat_seconds, "HeartbeatSecondsPath", &task.heartbeat_seconds)) {
    return fail(no, *bad);
  }
  if (auto bad = check_size(frame, task.parameters, state.name)) return fail(no, *bad);
  task.scheduled_at = context_.now;
  if (task.timeout_seconds > 0) task.deadline = context_.now.plus_ms(task.timeout_seconds * 1000);
  if (task.heartbeat_seconds > 0)
    task.heartbeat_deadline = context_.now.plus_ms(task.heartbeat_seconds * 1000);
  emit(frame, task_event(resource, Moment::kScheduled), scheduled_details(resource, task, x_.region));
  if (resource.is_lambda_arn) emit(frame, EventType::kLambdaFunctionStarted);
  if (is_service(resource)) emit(frame, EventType::kTaskStarted, with_service(resource, {}));
  frame.phase = std::move(task);
  frame.waiting_since = context_.now;
  touch(frame);
  out_.commands.push_back(InvokeTask{{no, frame.entry, frame.attempt}});
}

Frame* Step::find_attempt(const AttemptId& attempt) {
  const auto found = x_.frames.find(attempt.frame);
  if (found == x_.frames.end() || waiting_attempt(found->second) != attempt) {
    out_.applied = false;
    return nullptr;
  }
  return &found->second;
}

void Step::task_submitted(const TaskSubmitted& report) {
  Frame* waiting = find_attempt(report.attempt);
  if (waiting == nullptr) return;
  auto& task = std::get<InTask>(waiting->phase);
  if (task.submitted) {  // Dispatched again after a restart: it is known already.
    out_.applied = false;
    return;
  }
  task.submitted = true;
  const asl::TaskResource& resource = std::get<asl::Task>(x_.state_of(*waiting).body).resource;
  if (auto failure = check_size(*waiting, report.output, resource.resource_type)) {
    return task_failed({report.attempt, *failure->error, *failure->cause});
  }
  emit(*waiting, EventType::kTaskSubmitted, with_service(resource, {{Field::kOutput, report.output}}));
}

void Step::task_succeeded(const TaskSucceeded& report) {
  Frame* waiting = find_attempt(report.attempt);
  if (waiting == nullptr) return;
  const asl::TaskResource& resource = std::get<asl::Task>(x_.state_of(*waiting).body).resource;
  const std::string& who = is_service(resource) ? resource.resource_type : resource.text;
  if (auto failure = check_size(*waiting, report.output, who)) {
    return task_failed({report.attempt, *failure->error, *failure->cause});
  }
  emit(*waiting, task_event(resource, Moment::kSucceeded),
       with_service(resource, details_of(Detail{Field::kOutput, report.output})));
  if (context_.inspection != nullptr) context_.inspection->result = report.output;
  succeed_with_result(waiting->no, report.output);
}

void Step::task_failed(const TaskFailed& report) {
  Frame* waiting = find_attempt(report.attempt);
  if (waiting == nullptr) return;
  const asl::TaskResource& resource = std::get<asl::Task>(x_.state_of(*waiting).body).resource;
  if (report.error == "States.Timeout") return task_timed_out(waiting->no, false);
  Failure failure;
  if (!report.error.empty()) failure.error = first_code_points(report.error, kErrorLengthMax);
  if (!report.cause.empty()) failure.cause = first_code_points(report.cause, kCauseLengthMax);
  failure.from_task = true;
  failure.catchable = report.error != "States.Runtime";
  std::vector<Detail> details;
  if (failure.error) details.push_back({Field::kError, *failure.error});
  if (failure.cause) details.push_back({Field::kCause, *failure.cause});
  emit(*waiting, task_event(resource, Moment::kFailed), with_service(resource, std::move(details)));
  fail(waiting->no, std::move(failure));
}

void Step::task_timed_out(FrameNo no, bool by_heartbeat) {
  Frame& late = frame(no);
  cancel_task(late);
  const asl::TaskResource& resource = std::get<asl::Task>(x_.state_of(late).body).resource;
  emit(late, task_event(resource, Moment::kTimedOut),
       with_service(resource, {{Field::kError, "States.Timeout"}}));
  Failure failure{"States.Timeout", std::nullopt};
  failure.from_task = true;
  if (by_heartbeat) failure.also = "States.HeartbeatTimeout";
  fail(no, std::move(failure));
}

void Step::heartbeat(const TaskHeartbeat& report) {
  Frame* waiting = find_attempt(report.attempt);
  if (waiting == nullptr) return;
  auto& task = std::get<InTask>(waiting->phase);
  if (task.heartbeat_seconds == 0) return;
  task.heartbeat_deadline = context_.now.plus_ms(task.heartbeat_seconds * 1000);
  touch(*waiting);
}

void Step::activity_taken(const ActivityTaken& report) {
  Frame* waiting = find_attempt(report.attempt);
  if (waiting == nullptr) return;
  auto& task = std::get<InTask>(waiting->phase);
  if (task.started) {
    out_.applied = false;
    return;
  }
  task.started = true;
  if (task.heartbeat_seconds > 0)
    task.heartbeat_deadline = context_.now.plus_ms(task.heartbeat_seconds * 1000);
  std::vector<Detail> details;
  if (!report.worker_name.empty()) details.push_back({Field::kWorkerName, report.worker_name});
  emit(*waiting, EventType::kActivityStarted, std::move(details));
}

}  // namespace sortie::engine
