#include "integrations/states.h"

#include <algorithm>

#include "base/text.h"
#include "integrations/results.h"
#include "json/members.h"
#include "json/text.h"

namespace sortie::integrations {
namespace states_task {

constexpr const char* kKind = "started_child";

std::string_view status_name(store::ExecutionStatus status) {
  switch (status) {
    case store::ExecutionStatus::kRunning:
      return "RUNNING";
    case store::ExecutionStatus::kSucceeded:
      return "SUCCEEDED";
    case store::ExecutionStatus::kFailed:
      return "FAILED";
    case store::ExecutionStatus::kTimedOut:
      return "TIMED_OUT";
    case store::ExecutionStatus::kAborted:
      return "ABORTED";
  }
  return "";
}

// Numbers as the optimised integration gives them: milliseconds.
json::Value start_answer(const std::string& arn, Timestamp at, Timestamp now, const std::string& request_id) {
  json::ObjectBuilder object;
  object.append("ExecutionArn", arn);
  // The service writes seconds as 1.795392000123E9, without zeros at the end.
  std::string digits = std::to_string(at.ms);
  while (digits.size() > 2 && digits.back() == '0') digits.pop_back();
  const std::string date = digits.substr(0, 1) + "." + digits.substr(1) + "E9";
  const std::string body = "{\"executionArn\":\"" + arn + "\",\"startDate\":" + date + "}";
  append_sdk_metadata(object,
                      {{"x-amzn-RequestId", request_id},
                       {"connection", "keep-alive"},
                       {"Content-Length", std::to_string(body.size())},
                       {"Date", http_date(now)},
                       {"Content-Type", "application/x-amz-json-1.0"}},
                      200, request_id);
  object.append("StartDate", at.ms);
  return object.build();
}

// Text stays text with .sync; .sync:2 reads it. A text that is no JSON (it always is) would stay text.
json::Value payload(const std::string& text, bool parsed) {
  if (!parsed) return text;
  Result<json::Value> value = json::parse(text);
  return value.ok() ? std::move(*value) : json::Value(text);
}

json::Value description(const runtime::ExecutionDescription& child, bool parsed) {
  const json::Value included = json::Value::object({{"Included", true}});
  json::ObjectBuilder object;
  if (child.cause) object.append("Cause", *child.cause);
  if (child.error) object.append("Error", *child.error);
  object.append("ExecutionArn", child.arn).append("Input", payload(child.input_text, parsed));
  object.append("InputDetails", included).append("Name", child.name);
  if (child.output_text) {
    object.append("Output", payload(*child.output_text, parsed)).append("OutputDetails", included);
  }
  object.append("StartDate", child.started_at.ms).append("StateMachineArn", child.state_machine_arn);
  object.append("Status", status_name(child.status)).append("StopDate", child.stopped_at.ms);
  return object.build();
}

std::string input_text(const json::Value& input) {
  if (input.is_null()) return "{}";
  return input.is_string() ? input.to_std_string() : json::to_text(input);
}

std::string exception_name(const std::string& code) {
  const std::string_view suffix = "Exception";
  const bool has =
      code.size() > suffix.size() && code.compare(code.size() - suffix.size(), suffix.size(), suffix) == 0;
  return "StepFunctions." + code + (has ? "" : "Exception");
}

bool is_sync(asl::TaskPattern pattern) {
  return pattern == asl::TaskPattern::kSync || pattern == asl::TaskPattern::kSync2;
}

// The ARN of a machine, version or alias and an execution's name make the execution's ARN.
std::string execution_arn(const std::string& state_machine_arn, const std::string& name) {
  const std::string from = ":stateMachine:";
  std::string arn = runtime::split_qualified_arn(state_machine_arn).machine_arn;
  const std::size_t at = arn.find(from);
  if (at != std::string::npos) arn.replace(at, from.size(), ":execution:");
  return arn + ":" + name;
}

constexpr std::int64_t kAgainMsMin = 1'000;
constexpr std::int64_t kAgainMsMax = 30'000;

bool is_our_trouble(const Error& error) {
  return error.code == "ServiceUnavailable" || error.code == "ThrottlingException";
}

// What is remembered of a child.
json::Value note_of(const runtime::TaskOrder& order, const std::string& child) {
  const asl::TaskPattern pattern = order.resource->pattern;
  return json::Value::object(
      {{"child", child}, {"waits", is_sync(pattern)}, {"parsed", pattern == asl::TaskPattern::kSync2}});
}

}  // namespace states_task

struct StatesIntegration::Attempt {
  runtime::TaskOrder order;
  Report report;
  runtime::StartRequest request;
  std::string child;  // The ARN it gets.
  bool is_named = false;
  std::int64_t again_ms = states_task::kAgainMsMin;
};

StatesIntegration::StatesIntegration(Loop& loop, store::Store& store)
    : loop_(loop), work_(loop, store, states_task::kKind) {}

void StatesIntegration::attach(runtime::Runtime& runtime, std::function<void(store::Batch)> write) {
  runtime_ = &runtime;
  work_.attach(runtime, std::move(write),
               [this](const StartedWork::Note& note, bool parent_runs) { goes_on(note, parent_runs); });
}

void StatesIntegration::start(const runtime::TaskOrder& order, Report report) {
  const std::string wrong =
      check_parameters(order.parameters, {"StateMachineArn"}, {"Input", "Name", "TraceHeader"});
  if (!wrong.empty()) return report.failed("States.Runtime", wrong);
  const json::Value& name = order.parameters.get("Name");
  const json::Value& arn = order.parameters.get("StateMachineArn");
  if (!arn.is_string() || !(name.is_null() || name.is_string())) {
    return report.failed("States.Runtime", "The Parameters '" + json::to_text(order.parameters) +
                                               "' could not be used to start the Task: StateMachineArn and "
                                               "Name must be text");
  }
  // A machine of another account is started by a role of that account only.
  const std::vector<std::string_view> parts = split(arn.as_string(), ':');
  if (parts.size() > 5 && parts[4] != acting_account_of(order)) {
    const std::string who = order.credentials.get("RoleArn").is_string()
                                ? order.credentials.get("RoleArn").to_std_string()
                                : order.origin->role_arn;
    return report.failed(
        "StepFunctions.AccessDeniedException",
        service_cause("User: " + who + " is not authorized to perform: states:StartExecution on resource: " +
                          arn.to_std_string() +
                          " because no identity-based policy allows the "
                          "states:StartExecution action",
                      "AWSStepFunctions", 400, "AccessDeniedException",
                      derived_uuid("request " + order.idempotency_key)));
  }
  auto attempt = std::make_shared<Attempt>(Attempt{order, report, {}, "", name.is_string()});
  runtime::StartRequest& request = attempt->request;
  request.state_machine_arn = arn.to_std_string();
  request.input_text = states_task::input_text(order.parameters.get("Input"));
  request.actor = acting_execution(order);
  const json::Value& trace = order.parameters.get("TraceHeader");
  if (trace.is_string()) request.trace_header = trace.to_std_string();
  request.name = attempt->is_named ? name.to_std_string() : derived_uuid(order.idempotency_key);
  attempt->child = states_task::execution_arn(request.state_machine_arn, request.name);
  const auto machine =
      runtime_->find_state_machine(runtime::split_qualified_arn(request.state_machine_arn).machine_arn);
  if (machine && machine->type == "EXPRESS") {
    request.express_id = derived_uuid("express " + order.idempotency_key);
    attempt->child = replace_all(attempt->child, ":execution:", ":express:") + ":" + request.express_id;
  }
  begin(std::move(attempt));
}

void StatesIntegration::begin(std::shared_ptr<Attempt> attempt) {
  const runtime::TaskOrder& order = attempt->order;
  if (!attempt->report.is_wanted()) return;
  const bool is_sync = states_task::is_sync(order.resource->pattern);
  const auto before = work_.find(order.idempotency_key);
  if (!before.ok()) return answered(attempt, Error{"ServiceUnavailable", before.error().message});
  if (is_sync || attempt->is_named) work_.remember(order);
  if (*before) return started(order, attempt->report, json::text_member(**before, "child"), {});
  runtime::StartRequest request = attempt->request;
  // A plain start without a name needs no memory: its name says whose it is.
  if (is_sync || attempt->is_named) {
    request.with.documents.push_back(work_.document(order, states_task::note_of(order, attempt->child)));
  }
  runtime_->start_execution(std::move(request), [this, attempt, alive = std::weak_ptr<int>(alive_)](
                                                    const Result<runtime::StartReply>& reply) {
    if (!alive.expired()) answered(attempt, reply);
  });
}

void StatesIntegration::answered(const std::shared_ptr<Attempt>& attempt,
                                 const Result<runtime::StartReply>& reply) {
  const runtime::TaskOrder& order = attempt->order;
  // A name made from the key can only be taken by this very attempt.
  const bool is_ours = !reply.ok() && !attempt->is_named && reply.error().code == "ExecutionAlreadyExists";
  if (reply.ok() || is_ours) {
    const bool has_memory = reply.ok() && !reply->existed;
    // Nothing was started, so nothing was written with it.
    if (!has_memory && work_.remembers(order.origin->execution_arn))
      work_.write(order, states_task::note_of(order, attempt->child));
    return started(order, attempt->report, attempt->child, reply.ok() ? reply->started_at : Timestamp{});
  }
  if (states_task::is_our_trouble(reply.error())) {
    const std::int64_t wait_ms = attempt->again_ms;
    attempt->again_ms = std::min(wait_ms * 2, states_task::kAgainMsMax);
    loop_.call_at(loop_.now().plus_ms(wait_ms), [this, attempt, alive = std::weak_ptr<int>(alive_)] {
      if (!alive.expired()) begin(attempt);
    });
    return;
  }
  const Error& error = reply.error();
  attempt->report.failed(states_task::exception_name(error.code),
                         service_cause(error.message, "AWSStepFunctions", 400, error.code,
                                       derived_uuid("request " + order.idempotency_key)));
}

void StatesIntegration::started(const runtime::TaskOrder& order, const Report& report, const std::string& arn,
                                Timestamp at) {
  const bool is_sync = states_task::is_sync(order.resource->pattern);
  if (!report.is_wanted()) {
    if (is_sync) stop_child(arn);  // Cancelled while it was being started.
    return;
  }
  if (at.ms == 0) {
    const Result<runtime::ExecutionDescription> child = runtime_->describe_execution(arn);
    if (child.ok()) at = child->started_at;
  }
  const std::string request_id = derived_uuid("request " + order.idempotency_key);
  json::Value answer = states_task::start_answer(arn, at, loop_.now(), request_id);
  if (!is_sync) return report.answered(std::move(answer));
  report.submitted(std::move(answer));
  const bool parsed = order.resource->pattern == asl::TaskPattern::kSync2;
  wait_for(order.key, arn, [report, parsed](const runtime::ExecutionDescription& ended) {
    if (ended.status == store::ExecutionStatus::kSucceeded) {
      return report.succeeded(states_task::description(ended, parsed));
    }
    report.failed("States.TaskFailed", json::to_text(states_task::description(ended, false)));
  });
}

void StatesIntegration::wait_for(const runtime::AttemptKey& key, const std::string& arn, Ended ended) {
  Child& child = children_[key];
  child.arn = arn;
  child.waiting =
      runtime_->when_ended(arn, [this, key, ended = std::move(ended), alive = std::weak_ptr<int>(alive_)](
                                    const runtime::ExecutionDescription& description) {
        if (alive.expired()) return;
        // Not inside its own callback: the handle may hold what runs here.
        if (auto node = children_.extract(key)) loop_.post([handle = std::move(node.mapped().waiting)] {});
        ended(description);
      });
}

// A child of an earlier life. An order that was dispatched again has found it already.
void StatesIntegration::goes_on(const StartedWork::Note& note, bool parent_runs) {
  const std::string child = json::text_member(note.facts, "child");
  if (note.facts.get("waits") != json::Value(true)) return;
  if (!parent_runs) return stop_child(child);  // Its end may have come before the child was told.
  if (children_.count(note.key) != 0) return;
  const bool parsed = note.facts.get("parsed") == json::Value(true);
  wait_for(note.key, child, [this, key = note.key, parsed](const runtime::ExecutionDescription& ended) {
    if (ended.status == store::ExecutionStatus::kSucceeded) {
      return runtime_->task_succeeded(key, states_task::description(ended, parsed));
    }
    const std::string cause = json::to_text(states_task::description(ended, false));
    runtime_->task_failed(key, "States.TaskFailed", cause);
  });
}

void StatesIntegration::stop_child(const std::string& arn) {
  Actor actor;
  actor.kind = Actor::Kind::kSystem;
  actor.channel = "execution";
  runtime_->stop_execution(arn, "", "", actor, [](const Result<Timestamp>&) {});
}

void StatesIntegration::cancel(const runtime::AttemptKey& key) {
  if (auto node = children_.extract(key)) stop_child(node.mapped().arn);
}

}  // namespace sortie::integrations
