#include "integrations/states.h"

#include "integrations/results.h"
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
  const std::string body = "{\"executionArn\":\"" + arn + "\",\"startDate\":1.7953920E9}";
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

// arn:..:stateMachine:NAME[:..] and an execution's name make the execution's ARN.
std::string execution_arn(const std::string& state_machine_arn, const std::string& name) {
  const std::string from = ":stateMachine:";
  std::string arn = state_machine_arn;
  const std::size_t at = arn.find(from);
  if (at != std::string::npos) arn.replace(at, from.size(), ":execution:");
  return arn + ":" + name;
}

}  // namespace states_task

StatesIntegration::StatesIntegration(Loop& loop, store::Store& store) : loop_(loop), store_(store) {}

void StatesIntegration::attach(runtime::Runtime& runtime, std::function<void(store::Batch)> forget) {
  runtime_ = &runtime;
  forget_ = std::move(forget);
  subscription_ =
      runtime.observe([this, alive = std::weak_ptr<int>(alive_)](const runtime::ExecutionChange& change) {
        if (alive.expired() || change.status == store::ExecutionStatus::kRunning) return;
        parent_ended(change.execution_arn);
      });
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
  runtime::StartRequest request;
  request.state_machine_arn = arn.to_std_string();
  request.input_text = states_task::input_text(order.parameters.get("Input"));
  request.actor = acting_execution(order);
  const json::Value& trace = order.parameters.get("TraceHeader");
  if (trace.is_string()) request.trace_header = trace.to_std_string();
  const bool is_named = name.is_string();
  request.name = is_named ? name.to_std_string() : derived_uuid(order.idempotency_key);
  const std::string child = states_task::execution_arn(request.state_machine_arn, request.name);
  if (is_named) {
    remember(order);
    const Result<std::optional<std::string>> before =
        store_.find_document(states_task::kKind, order.idempotency_key);
    if (before.ok() && *before) return started(order, report, **before, {});
    request.with.documents.push_back({states_task::kKind, order.idempotency_key, child});
  }
  runtime_->start_execution(
      std::move(request), [this, order, report, child, is_named,
                           alive = std::weak_ptr<int>(alive_)](const Result<runtime::StartReply>& reply) {
        if (alive.expired()) return;
        if (reply.ok()) return started(order, report, reply->execution_arn, reply->started_at);
        const Error& error = reply.error();
        // A name made from the key can only be taken by this very attempt.
        if (!is_named && error.code == "ExecutionAlreadyExists") return started(order, report, child, {});
        const std::string cause = service_cause(error.message, "AWSStepFunctions", 400, error.code,
                                                derived_uuid("request " + order.idempotency_key));
        report.failed(states_task::exception_name(error.code), cause);
      });
}

void StatesIntegration::started(const runtime::TaskOrder& order, const Report& report, const std::string& arn,
                                Timestamp at) {
  if (!report.is_wanted()) {
    // Cancelled while it was being started.
    if (states_task::is_sync(order.resource.pattern)) {
      runtime_->stop_execution(arn, "", "", acting_execution(order), [](const Result<Timestamp>&) {});
    }
    return;
  }
  if (at.ms == 0) {
    const Result<runtime::ExecutionDescription> child = runtime_->describe_execution(arn);
    if (child.ok()) at = child->started_at;
  }
  const std::string request_id = derived_uuid("request " + order.idempotency_key);
  json::Value answer = states_task::start_answer(arn, at, loop_.now(), request_id);
  if (!states_task::is_sync(order.resource.pattern)) return report.answered(std::move(answer));
  report.submitted(std::move(answer));
  wait_for(order, report, arn);
}

void StatesIntegration::wait_for(const runtime::TaskOrder& order, const Report& report,
                                 const std::string& arn) {
  const bool parsed = order.resource.pattern == asl::TaskPattern::kSync2;
  Child& child = children_[order.key];
  child.arn = arn;
  child.waiting =
      runtime_->when_ended(arn, [this, key = order.key, report, parsed, alive = std::weak_ptr<int>(alive_)](
                                    const runtime::ExecutionDescription& ended) {
        if (alive.expired()) return;
        // Not inside its own callback: the handle may hold what runs here.
        if (auto node = children_.extract(key)) loop_.post([handle = std::move(node.mapped().waiting)] {});
        if (ended.status == store::ExecutionStatus::kSucceeded) {
          return report.succeeded(states_task::description(ended, parsed));
        }
        report.failed("States.TaskFailed", json::to_text(states_task::description(ended, false)));
      });
}

void StatesIntegration::cancel(const runtime::AttemptKey& key) {
  auto node = children_.extract(key);
  if (!node) return;
  Actor actor;
  actor.kind = Actor::Kind::kSystem;
  actor.channel = "execution";
  runtime_->stop_execution(node.mapped().arn, "", "", actor, [](const Result<Timestamp>&) {});
}

void StatesIntegration::remember(const runtime::TaskOrder& order) {
  remembered_[order.execution_arn].insert(order.idempotency_key);
}

void StatesIntegration::parent_ended(const std::string& arn) {
  const auto node = remembered_.extract(arn);
  if (!node || !forget_) return;
  store::Batch batch;
  for (const std::string& key : node.mapped()) batch.documents_gone.emplace_back(states_task::kKind, key);
  forget_(std::move(batch));
}

}  // namespace sortie::integrations
