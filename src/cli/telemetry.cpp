#include "cli/telemetry.h"

#include "api/states_api.h"
#include "base/text.h"
#include "base/time.h"

namespace sortie::cli {

namespace {

using api::Metrics;

constexpr std::size_t kContainedMax = 10'000;
constexpr std::string_view kCommit = "sortie_journal_fsync_seconds";
constexpr std::string_view kCommitHelp = "How long a group of changes took to be on disk.";
constexpr std::string_view kSlackAck = "sortie_slack_ack_seconds";
constexpr std::string_view kSlackAckHelp = "From a click in Slack that reached us to our answer.";

double seconds_between(Timestamp from, Timestamp to) { return static_cast<double>(to.ms - from.ms) / 1000; }

// The last part of an ARN; of an execution's ARN the state machine's name with `from_end` 1.
std::string_view arn_part(std::string_view arn, std::size_t from_end) {
  const std::vector<std::string_view> parts = split(arn, ':');
  return parts.size() > from_end ? parts[parts.size() - 1 - from_end] : std::string_view();
}

std::string labels_of(std::initializer_list<std::pair<std::string_view, std::string_view>> labels) {
  std::string out;
  for (const auto& [name, value] : labels) {
    if (!out.empty()) out += ',';
    out += Metrics::label(name, value);
  }
  return out;
}

std::string_view outcome_name(integrations::AttemptEnd::Outcome outcome) {
  using Outcome = integrations::AttemptEnd::Outcome;
  if (outcome == Outcome::kSucceeded) return "succeeded";
  return outcome == Outcome::kFailed ? "failed" : "handed_over";
}

// Which function for Lambda, else which operation of the service.
std::string attempted_action(const integrations::AttemptEnd& attempt) {
  const asl::TaskResource& resource = *attempt.order.resource;
  if (resource.is_lambda_arn) return std::string(arn_part(resource.text, 0));
  if (!attempt.function.empty()) return std::string(arn_part(attempt.function, 0));
  return integrations::action_of(resource);
}

}  // namespace

Telemetry::Telemetry(Clock& clock, Metrics& metrics, TraceExporter* traces)
    : clock_(clock), metrics_(metrics), traces_(traces) {
  metrics_.declare(kCommit, kCommitHelp);
  metrics_.declare(kSlackAck, kSlackAckHelp);
  if (traces_ == nullptr) return;
  metrics_.add_source([this](std::vector<Metrics::Sample>& out) {
    out.push_back({"sortie_spans_exported_total", "", static_cast<double>(traces_->exported()), true,
                   "Spans that the collector took."});
    out.push_back({"sortie_spans_dropped_total", "", static_cast<double>(traces_->dropped()), true,
                   "Spans that were given up."});
  });
}

void Telemetry::watch(runtime::Runtime& runtime) {
  runtime_ = &runtime;
  executions_ = runtime.observe([this](const runtime::ExecutionChange& change) { on_execution(change); });
}

void Telemetry::watch(integrations::Dispatcher& dispatcher) {
  dispatcher.observe([this](const integrations::AttemptEnd& attempt) { on_attempt(attempt); });
}

void Telemetry::watch(events::EventBus& bus) {
  events_ = bus.observe([this](const events::EventRecord& record) { on_event(record); });
}

void Telemetry::watch(response::Approvals& approvals) {
  approvals_ = approvals.observe([this](const response::Approval& approval) { on_approval(approval); });
  metrics_.add_source(
      [this, &approvals](std::vector<Metrics::Sample>& out) { add_approval_gauges(approvals, out); });
}

void Telemetry::on_commit(double seconds) { metrics_.observe(kCommit, "", kCommitHelp, seconds); }
void Telemetry::on_slack_ack(double seconds) { metrics_.observe(kSlackAck, "", kSlackAckHelp, seconds); }

void Telemetry::on_execution(const runtime::ExecutionChange& change) {
  if (change.elsewhere) return;  // That node counts it.
  const bool is_over = change.status != store::ExecutionStatus::kRunning;
  if (!change.began && !is_over) return;
  const std::string_view playbook = arn_part(change.execution_arn, 1);
  const std::string of_playbook = labels_of({{"playbook", playbook}});
  if (change.began)
    metrics_.count("sortie_executions_started_total", of_playbook, "Executions started, by playbook.");
  if (!is_over) return;
  const std::string_view status = api::status_name(change.status);
  metrics_.count("sortie_executions_closed_total", labels_of({{"playbook", playbook}, {"status", status}}),
                 "Executions ended, by playbook and status.");
  metrics_.observe("sortie_execution_duration_seconds", of_playbook, "From an execution's start to its end.",
                   seconds_between(change.started_at, change.stopped_at));
  if (const auto found = contained_.find(change.execution_arn); found != contained_.end())
    contained_.erase(found);
  if (traces_ == nullptr) return;
  const bool went_well = change.status == store::ExecutionStatus::kSucceeded;
  const bool redriven = change.redrive_count > 0;
  TraceIds ids = trace_ids_of(change.execution_arn, change.redrive_count);
  Span span{std::move(ids.trace_id),
            std::move(ids.root_span_id),
            "",
            std::string(playbook),
            redriven ? change.redriven_at : change.started_at,
            change.stopped_at,
            {{"sortie.execution", change.execution_arn},
             {"sortie.playbook", std::string(playbook)},
             {"sortie.status", std::string(status)}},
            went_well ? std::string() : std::string(status)};
  if (redriven) {
    span.attributes.emplace_back("sortie.redrive_count", std::to_string(change.redrive_count));
    TraceIds before = trace_ids_of(change.execution_arn, change.redrive_count - 1);
    span.linked_trace_id = std::move(before.trace_id);
    span.linked_span_id = std::move(before.root_span_id);
  }
  traces_->add(std::move(span));
}

void Telemetry::on_attempt(const integrations::AttemptEnd& attempt) {
  const runtime::TaskOrder& order = attempt.order;
  const std::string_view playbook = arn_part(order.origin->state_machine_arn, 0);
  const std::string_view outcome = outcome_name(attempt.outcome);
  const std::string connector =
      order.resource->is_lambda_arn ? "lambda" : std::string(order.resource->resource_type);
  const std::string action = attempted_action(attempt);
  metrics_.count("sortie_state_attempts_total",
                 labels_of({{"playbook", playbook}, {"state", *order.state_name}, {"outcome", outcome}}),
                 "Attempts of Task states, by how they ended.");
  metrics_.observe("sortie_task_duration_seconds",
                   labels_of({{"connector", connector}, {"action", action}, {"outcome", outcome}}),
                   "From a task's dispatch to its answer, waiting for a free worker included.",
                   seconds_between(attempt.started_at, attempt.ended_at));
  const json::Value& status = attempt.output.get("status");
  if (status.is_string() && status.as_string() == "changed" && attempt.output.get("action").is_string())
    on_containment(order);
  if (traces_ == nullptr) return;
  TraceIds ids = trace_ids_of(order.origin->execution_arn, order.redrive_count);
  traces_->add({std::move(ids.trace_id),
                span_id_of(order.idempotency_key),
                std::move(ids.root_span_id),
                *order.state_name,
                attempt.started_at,
                attempt.ended_at,
                {{"sortie.execution", order.origin->execution_arn},
                 {"sortie.playbook", std::string(playbook)},
                 {"sortie.state", *order.state_name},
                 {"sortie.resource", order.resource->text},
                 {"sortie.action", action},
                 {"sortie.attempt", std::to_string(order.key.attempt)}},
                std::string(attempt.error)});
}

// The first change that an action reports of an execution contains the threat, as far as a machine can tell.
void Telemetry::on_containment(const runtime::TaskOrder& order) {
  if (runtime_ == nullptr || contained_.size() >= kContainedMax) return;
  if (!contained_.insert(order.origin->execution_arn).second) return;
  const Result<runtime::ExecutionDescription> execution =
      runtime_->describe_execution(order.origin->execution_arn);
  if (!execution) return;
  metrics_.observe("sortie_time_to_contain_seconds",
                   labels_of({{"playbook", arn_part(order.origin->state_machine_arn, 0)}}),
                   "From an execution's start to the first change that one of its actions made.",
                   seconds_between(execution->started_at, clock_.now()));
}

void Telemetry::on_event(const events::EventRecord& record) {
  const json::Value& event = record.record.get("event");
  const json::Value& source = event.get("source");
  const bool is_duplicate = record.record.get("duplicateOf").is_string();
  metrics_.count("sortie_events_ingested_total",
                 labels_of({{"source", source.is_string() ? source.as_string() : std::string_view()},
                            {"result", is_duplicate ? "duplicate" : "accepted"}}),
                 "Events taken, by source.");
  const json::Value& time = event.get("time");
  if (!time.is_string()) return;
  if (const Result<Timestamp> at = parse_rfc3339(time.as_string()))
    metrics_.observe("sortie_ingest_lag_seconds", "", "From an event's own time to its acceptance.",
                     seconds_between(*at, record.accepted_at));
}

void Telemetry::on_approval(const response::Approval& approval) {
  if (!approval.decision) return;
  metrics_.observe(
      "sortie_approval_wait_seconds",
      labels_of({{"outcome", approval.decision->outcome}, {"channel", approval.decision->channel}}),
      "From an approval's request to its decision.",
      seconds_between(approval.requested_at, approval.decision->at));
}

void Telemetry::add_approval_gauges(const response::Approvals& approvals,
                                    std::vector<Metrics::Sample>& out) const {
  response::Approvals::Figures figures = approvals.figures();
  if (figures.pending_by_policy.empty()) figures.pending_by_policy["default"] = 0;
  for (const auto& [policy, count] : figures.pending_by_policy) {
    out.push_back({"sortie_approvals_pending", labels_of({{"policy", policy}}), static_cast<double>(count),
                   false, "Approvals that wait for people, by policy."});
  }
  out.push_back({"sortie_approval_oldest_age_seconds", "", static_cast<double>(figures.oldest_age_ms) / 1000,
                 false, "Age of the approval that has waited longest."});
}

}  // namespace sortie::cli
