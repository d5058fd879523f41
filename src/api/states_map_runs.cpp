// Map runs: list, describe, update, and the executions that one has started.
#include "api/page_token.h"
#include "api/states_api.h"
#include "api/states_arn.h"

namespace sortie::api {
namespace {

json::Value counts_json(const runtime::MapRunCounts& counts) {
  json::ObjectBuilder out;
  out.append("pending", counts.pending).append("running", counts.running);
  out.append("succeeded", counts.succeeded).append("failed", counts.failed);
  out.append("timedOut", counts.timed_out).append("aborted", counts.aborted);
  out.append("total", counts.total).append("resultsWritten", counts.results_written);
  out.append("failuresNotRedrivable", counts.failures_not_redrivable);
  out.append("pendingRedrive", counts.pending_redrive);
  return out.build();
}

void append_dates(json::ObjectBuilder& out, const runtime::MapRunDescription& run) {
  out.append("startDate", epoch_seconds(run.started_at));
  if (run.status != store::ExecutionStatus::kRunning) out.append("stopDate", epoch_seconds(run.stopped_at));
}

json::Value map_run_item(const runtime::MapRunDescription& run) {
  json::ObjectBuilder out;
  out.append("executionArn", run.execution_arn).append("mapRunArn", run.arn);
  out.append("stateMachineArn", run.state_machine_arn);
  append_dates(out, run);
  return out.build();
}

}  // namespace

Result<runtime::MapRunDescription> StatesApi::find_map_run(const AwsCall& call, std::string_view arn) {
  SORTIE_TRY(const StatesArn parsed, parse_states_arn(arn, {"mapRun"}));
  if (parsed.account != call.caller.account) {
    return access_denied(call.caller, "states:" + call.operation, arn);
  }
  return services_.runtime.describe_map_run(arn);
}

void StatesApi::list_map_runs(const AwsCall& call, AwsReply reply) {
  const std::string arn = text_member(call.input, "executionArn");
  if (Status status = check_execution_arn(call, arn); !status) return reply(status.error());
  const Result<runtime::ExecutionDescription> execution = services_.runtime.describe_execution(arn);
  if (!execution) {
    return reply(execution.error().code == "ExecutionDoesNotExist" ? execution_does_not_exist(arn)
                                                                   : execution.error());
  }
  const std::string listing = "ListMapRuns " + arn;
  const std::size_t page = page_size_of(call.input);
  store::ExecutionNo before = UINT64_MAX;
  if (call.input.get("nextToken").is_string()) {
    const Result<std::uint64_t> cursor = read_page_number(listing, text_member(call.input, "nextToken"));
    if (!cursor) return reply(cursor.error());
    before = *cursor;
  }
  const Result<std::vector<runtime::MapRunDescription>> runs =
      services_.runtime.list_map_runs(arn, before, page + 1);
  if (!runs) return reply(runs.error());
  std::vector<json::Value> items;
  for (std::size_t i = 0; i < std::min(runs->size(), page); ++i) items.push_back(map_run_item((*runs)[i]));
  json::ObjectBuilder out;
  out.append("mapRuns", json::Value::array(std::move(items)));
  if (runs->size() > page) {
    out.append("nextToken", make_page_token(listing, std::to_string((*runs)[page - 1].no)));
  }
  reply(out.build());
}

void StatesApi::describe_map_run(const AwsCall& call, AwsReply reply) {
  const Result<runtime::MapRunDescription> run = find_map_run(call, text_member(call.input, "mapRunArn"));
  if (!run) return reply(run.error());
  json::ObjectBuilder out;
  out.append("mapRunArn", run->arn).append("executionArn", run->execution_arn);
  out.append("status", status_name(run->status));
  append_dates(out, *run);
  out.append("maxConcurrency", run->max_concurrency);
  out.append("toleratedFailurePercentage", run->tolerated_failure_percentage);
  out.append("toleratedFailureCount", run->tolerated_failure_count);
  out.append("itemCounts", counts_json(run->items)).append("executionCounts", counts_json(run->executions));
  out.append("redriveCount", run->redrive_count);
  if (run->redrive_count > 0) out.append("redriveDate", epoch_seconds(run->redriven_at));
  reply(out.build());
}

void StatesApi::update_map_run(const AwsCall& call, AwsReply reply) {
  const std::string arn = text_member(call.input, "mapRunArn");
  const Result<runtime::MapRunDescription> run = find_map_run(call, arn);
  if (!run) return reply(run.error());
  runtime::MapRunChange change;
  const json::Value& percentage = call.input.get("toleratedFailurePercentage");
  if (call.input.get("maxConcurrency").is_integer()) {
    change.max_concurrency = call.input.get("maxConcurrency").as_integer();
  }
  if (call.input.get("toleratedFailureCount").is_integer()) {
    change.tolerated_failure_count = call.input.get("toleratedFailureCount").as_integer();
  }
  if (percentage.is_number()) change.tolerated_failure_percentage = percentage.as_double();
  services_.runtime.update_map_run(arn, change, [reply](const Result<Unit>& done) {
    if (!done) return reply(done.error());
    reply(json::Value::object(std::vector<json::Member>()));
  });
}

}  // namespace sortie::api
