#include "cli/status_events.h"

#include "api/states_api.h"
#include "base/text.h"
#include "json/text.h"

namespace sortie::cli {
namespace status_events {

constexpr std::string_view kSource = "aws.states";
constexpr std::string_view kDetailType = "Step Functions Execution Status Change";
constexpr std::size_t kDataBytesMax = 200 * 1024;  // Input and output together; an event may have 256 KiB.

json::Value or_null(const std::string& text) { return text.empty() ? json::Value() : json::Value(text); }
json::Value or_null(const std::optional<std::string>& text) {
  return text ? json::Value(*text) : json::Value();
}

json::Value detail_of(const runtime::ExecutionDescription& execution, bool has_ended) {
  const std::optional<std::string> output = has_ended ? execution.output_text : std::nullopt;
  const bool included = execution.input_text.size() + (output ? output->size() : 0) <= kDataBytesMax;
  const json::Value details = json::Value::object({{"included", included}});
  json::ObjectBuilder out;
  out.append("executionArn", execution.arn).append("stateMachineArn", execution.state_machine_arn);
  out.append("stateMachineVersionArn", or_null(execution.version_arn));
  out.append("stateMachineAliasArn", or_null(execution.alias_arn));
  out.append("name", execution.name);
  out.append("status", has_ended ? api::status_name(execution.status) : std::string_view("RUNNING"));
  out.append("startDate", execution.started_at.ms);
  out.append("stopDate", has_ended ? json::Value(execution.stopped_at.ms) : json::Value());
  out.append("input", included ? json::Value(execution.input_text) : json::Value());
  out.append("inputDetails", details);
  out.append("output", included ? or_null(output) : json::Value());
  out.append("outputDetails", output ? details : json::Value());
  out.append("error", has_ended ? or_null(execution.error) : json::Value());
  out.append("cause", has_ended ? or_null(execution.cause) : json::Value());
  out.append("redriveCount", execution.redrive_count);
  out.append("redriveDate",
             execution.redrive_count > 0 ? json::Value(execution.redriven_at.ms) : json::Value());
  const std::optional<std::string> obstacle =
      has_ended ? execution.redrive_obstacle : "Execution is RUNNING and cannot be redriven";
  out.append("redriveStatus", obstacle ? "NOT_REDRIVABLE" : "REDRIVABLE");
  out.append("redriveStatusReason", or_null(obstacle));
  return out.build();
}

}  // namespace status_events

StatusEvents::StatusEvents(runtime::Runtime& runtime, events::EventBus& bus) : runtime_(runtime), bus_(bus) {
  subscription_ = runtime.observe([this](const runtime::ExecutionChange& change) { take(change); });
}

void StatusEvents::take(const runtime::ExecutionChange& change) {
  const bool has_ended = change.status != store::ExecutionStatus::kRunning;
  if (!change.began && !has_ended) return;
  // arn:aws:states:REGION:ACCOUNT:execution:MACHINE:NAME; children have MACHINE/LABEL.
  const std::vector<std::string_view> parts = split(change.execution_arn, ':');
  if (parts.size() < 8 || parts[5] != "execution" || parts[6].find('/') != std::string_view::npos) return;
  const std::string account(parts[4]);
  if (!bus_.listens_to(account, status_events::kSource)) return;
  const Result<runtime::ExecutionDescription> execution = runtime_.describe_execution(change.execution_arn);
  if (!execution) return;
  if (execution->actor.kind == Actor::Kind::kRule) {
    const auto rule =
        bus_.find_rule(account + "/" + std::string(events::kDefaultBus) + "/" + execution->actor.name);
    if (rule != nullptr && events::EventBus::names_source(rule->rule, status_events::kSource)) return;
  }
  if (change.began) put(*execution, account, false);
  if (has_ended) put(*execution, account, true);
}

void StatusEvents::put(const runtime::ExecutionDescription& execution, const std::string& account,
                       bool has_ended) {
  events::PutEntry entry;
  entry.source = status_events::kSource;
  entry.detail_type = status_events::kDetailType;
  entry.detail = json::to_text(status_events::detail_of(execution, has_ended));
  entry.resources = {execution.arn};
  entry.time = has_ended ? execution.stopped_at : execution.started_at;
  // Whoever is behind the execution is behind what the event starts, also for those who approve.
  Actor actor{Actor::Kind::kSystem, "states", account, "execution", execution.actor.person()};
  const bool nameless =
      execution.actor.kind == Actor::Kind::kUnknown || execution.actor.kind == Actor::Kind::kAccountKey;
  if (actor.on_behalf_of.empty() && nameless) actor.on_behalf_of = "unknown";
  // Of several nodes more than one may tell of the same end.
  events::SourceDedup once{"states", execution.arn + (has_ended ? " ended " : " began ") +
                                         std::to_string(execution.redrive_count)};
  bus_.put_events(
      {std::move(entry)}, actor, [](const Result<std::vector<events::PutResult>>&) {}, std::move(once));
}

}  // namespace sortie::cli
