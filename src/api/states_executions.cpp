// Executions: start, stop, describe, list, history.
#include <algorithm>

#include "api/history_json.h"
#include "api/page_token.h"
#include "api/states_api.h"
#include "api/states_arn.h"
#include "asl/json_error.h"
#include "base/text.h"
#include "json/text.h"

namespace sortie::api {
namespace {

constexpr std::uint32_t kInputDepthMax = 1000;
// Where a filter has to look at rows one by one, a page ends after so many or so long, and says where to go
// on.
constexpr std::size_t kFilteredRowsMax = 5'000;
constexpr std::int64_t kFilteringMs = 8;
// A page of history ends here even when fewer events were asked for: 1,000 events of 256 KB are no answer.
constexpr std::size_t kHistoryPageBytesMax = 6 * 1024 * 1024;

Error no_such_execution_or(const Error& error, std::string_view arn) {
  return error.code == "ExecutionDoesNotExist" ? execution_does_not_exist(arn) : error;
}

Error type_not_supported() {
  return {"StateMachineTypeNotSupported", "This operation is not supported by this type of state machine", "",
          ""};
}

// A map run that is being redriven has yet to come by this child.
std::string_view shown_status(store::ExecutionStatus status, bool is_pending_redrive) {
  return is_pending_redrive ? "PENDING_REDRIVE" : status_name(status);
}

void append_redrive(json::ObjectBuilder& out, const runtime::ExecutionDescription& execution) {
  out.append("redriveCount", execution.redrive_count);
  if (execution.redrive_count > 0) out.append("redriveDate", epoch_seconds(execution.redriven_at));
  if (execution.redrivable_by_map_run) {
    out.append("redriveStatus", "REDRIVABLE_BY_MAP_RUN");
    return;
  }
  out.append("redriveStatus", execution.redrive_obstacle ? "NOT_REDRIVABLE" : "REDRIVABLE");
  if (execution.redrive_obstacle) out.append("redriveStatusReason", *execution.redrive_obstacle);
}

json::Value describe_json(const runtime::ExecutionDescription& execution, bool with_data) {
  const json::Value included = json::Value::object({{"included", with_data}});
  json::ObjectBuilder out;
  out.append("executionArn", execution.arn).append("stateMachineArn", execution.state_machine_arn);
  out.append("name", execution.name);
  out.append("status", shown_status(execution.status, execution.is_pending_redrive));
  out.append("startDate", epoch_seconds(execution.started_at));
  if (execution.status != store::ExecutionStatus::kRunning) {
    out.append("stopDate", epoch_seconds(execution.stopped_at));
  }
  if (with_data) out.append("input", execution.input_text);
  out.append("inputDetails", included);
  if (execution.output_text) {
    if (with_data) out.append("output", *execution.output_text);
    out.append("outputDetails", included);
  }
  if (!execution.trace_header.empty()) out.append("traceHeader", execution.trace_header);
  if (!execution.map_run_arn.empty()) out.append("mapRunArn", execution.map_run_arn);
  if (execution.error) out.append("error", *execution.error);
  if (execution.cause) out.append("cause", *execution.cause);
  if (!execution.version_arn.empty()) out.append("stateMachineVersionArn", execution.version_arn);
  if (!execution.alias_arn.empty()) out.append("stateMachineAliasArn", execution.alias_arn);
  append_redrive(out, execution);
  return out.build();
}

json::Value execution_item(const runtime::ExecutionSummary& summary) {
  const store::ExecutionRow& row = summary.row;
  json::ObjectBuilder out;
  out.append("executionArn", row.arn)
      .append("stateMachineArn", row.state_machine_arn)
      .append("name", row.name);
  out.append("status", shown_status(row.status, summary.is_pending_redrive));
  out.append("startDate", epoch_seconds(row.started_at));
  if (row.status != store::ExecutionStatus::kRunning) out.append("stopDate", epoch_seconds(row.stopped_at));
  if (!summary.map_run_arn.empty()) out.append("mapRunArn", summary.map_run_arn);
  if (!summary.version_arn.empty()) out.append("stateMachineVersionArn", summary.version_arn);
  if (!summary.alias_arn.empty()) out.append("stateMachineAliasArn", summary.alias_arn);
  out.append("redriveCount", summary.redrive_count);
  if (summary.redrive_count > 0) out.append("redriveDate", epoch_seconds(summary.redriven_at));
  return out.build();
}

// AWS bills an EXPRESS execution in steps of 100 ms and of 64 MB.
constexpr std::int64_t kBilledStepMs = 100;
constexpr std::int64_t kBilledMemoryMb = 64;

json::Value sync_answer(const runtime::ExecutionDescription& execution, bool with_data,
                        const std::string& trace_header) {
  const json::Value included = json::Value::object({{"included", with_data}});
  const std::int64_t ms = execution.stopped_at.ms - execution.started_at.ms;
  const std::int64_t billed_ms = std::max<std::int64_t>(1, (ms + kBilledStepMs - 1) / kBilledStepMs);
  json::ObjectBuilder out;
  out.append("executionArn", execution.arn).append("stateMachineArn", execution.state_machine_arn);
  out.append("name", execution.name);
  out.append("startDate", epoch_seconds(execution.started_at));
  out.append("stopDate", epoch_seconds(execution.stopped_at));
  out.append("status", status_name(execution.status));
  if (execution.error) out.append("error", *execution.error);
  if (execution.cause) out.append("cause", *execution.cause);
  if (with_data) out.append("input", execution.input_text);
  out.append("inputDetails", included);
  if (execution.output_text) {
    if (with_data) out.append("output", *execution.output_text);
    out.append("outputDetails", included);
  }
  if (!trace_header.empty()) out.append("traceHeader", trace_header);
  out.append("billingDetails",
             json::Value::object({{"billedMemoryUsedInMB", kBilledMemoryMb},
                                  {"billedDurationInMilliseconds", billed_ms * kBilledStepMs}}));
  return out.build();
}

}  // namespace

std::optional<Error> find_input_fault(std::string_view input_text) {
  const auto fault = [](const std::string& why) {
    return Error{"InvalidExecutionInput", "Invalid State Machine Execution Input: '" + why + "'", "", ""};
  };
  if (trim(input_text).empty()) return fault("Invalid execution input.");
  const Result<json::Value> parsed = json::parse(input_text);
  if (parsed) return std::nullopt;
  std::string why = parsed.error().message;
  if (const auto found = asl::find_json_fault(input_text, kInputDepthMax)) {
    why = found->message.substr(0, found->message.find("\n at [Source"));
  }
  return fault(why);
}

Result<runtime::StartRequest> StatesApi::read_start(const AwsCall& call, bool sync) {
  std::string arn = text_member(call.input, "stateMachineArn");
  std::string test_case;
  if (const std::size_t hash = arn.find('#'); hash != std::string::npos && options_.has_test_case) {
    test_case = arn.substr(hash + 1);
    arn.resize(hash);
  }
  SORTIE_TRY(const StatesArn parsed, parse_states_arn(arn, {"stateMachine"}));
  if (!test_case.empty() && !options_.has_test_case(parsed.name, test_case)) {
    return Error{"InvalidName",
                 "Invalid mock test case name '" + test_case + "' for state machine '" + parsed.name +
                     "': the mock configuration does not define it",
                 "", ""};
  }
  runtime::StartRequest request{
      .state_machine_arn = arn, .name = text_member(call.input, "name"), .input_text = "{}"};
  request.test_case = test_case;
  if (!request.name.empty()) SORTIE_TRY_STATUS(check_states_name(request.name));
  SORTIE_TRY(const runtime::StateMachineRecord machine, find_startable(call, arn));
  if (sync && machine.type != "EXPRESS") return type_not_supported();
  if (call.input.get("input").is_string()) {
    request.input_text = text_member(call.input, "input");
    if (std::optional<Error> fault = find_input_fault(request.input_text)) return *std::move(fault);
  }
  request.actor = call.caller.actor;
  request.trace_header = text_member(call.input, "traceHeader");
  return request;
}

void StatesApi::start_execution(const AwsCall& call, AwsReply reply) {
  Result<runtime::StartRequest> request = read_start(call, false);
  if (!request) return reply(request.error());
  const std::string arn = request->state_machine_arn;
  services_.runtime.start_execution(*std::move(request), [reply, arn](Result<runtime::StartReply> done) {
    if (!done) {
      if (done.error().code == "StateMachineDoesNotExist") {
        return reply(Error{done.error().code, "State Machine Does Not Exist: '" + arn + "'", "", ""});
      }
      return reply(done.error());
    }
    reply(json::Value::object(
        {{"executionArn", done->execution_arn}, {"startDate", epoch_seconds(done->started_at)}}));
  });
}

void StatesApi::start_sync_execution(const AwsCall& call, AwsReply reply) {
  Result<runtime::StartRequest> request = read_start(call, true);
  if (!request) return reply(request.error());
  const bool with_data = text_member(call.input, "includedData") != "METADATA_ONLY";
  const std::string trace_header = request->trace_header;
  services_.runtime.start_sync_execution(
      *std::move(request),
      [reply, with_data, trace_header](const Result<runtime::ExecutionDescription>& done) {
        if (!done) return reply(done.error());
        reply(sync_answer(*done, with_data, trace_header));
      });
}

void StatesApi::redrive_execution(const AwsCall& call, AwsReply reply) {
  const std::string arn = text_member(call.input, "executionArn");
  if (Status status = check_execution_arn(call, arn); !status) return reply(status.error());
  services_.runtime.redrive_execution(arn, text_member(call.input, "clientToken"), call.caller.actor,
                                      [reply, arn](const Result<Timestamp>& done) {
                                        if (!done) return reply(no_such_execution_or(done.error(), arn));
                                        reply(json::Value::object({{"redriveDate", epoch_seconds(*done)}}));
                                      });
}

void StatesApi::stop_execution(const AwsCall& call, AwsReply reply) {
  const std::string arn = text_member(call.input, "executionArn");
  if (Status status = check_execution_arn(call, arn); !status) return reply(status.error());
  services_.runtime.stop_execution(arn, text_member(call.input, "error"), text_member(call.input, "cause"),
                                   call.caller.actor, [reply, arn](Result<Timestamp> done) {
                                     if (!done) return reply(no_such_execution_or(done.error(), arn));
                                     reply(json::Value::object({{"stopDate", epoch_seconds(*done)}}));
                                   });
}

// EXPRESS executions are not described, except those that a map run started: its failures are looked at so.
void StatesApi::describe_execution(const AwsCall& call, AwsReply reply) {
  const std::string arn = text_member(call.input, "executionArn");
  const bool is_child = arn.find(":express:") != std::string::npos && arn.find('/') != std::string::npos;
  if (Status status = check_execution_arn(call, arn, is_child ? "express" : "execution"); !status) {
    return reply(status.error());
  }
  const Result<runtime::ExecutionDescription> execution = services_.runtime.describe_execution(arn);
  if (!execution) return reply(no_such_execution_or(execution.error(), arn));
  reply(describe_json(*execution, text_member(call.input, "includedData") != "METADATA_ONLY"));
}

void StatesApi::list_executions(const AwsCall& call, AwsReply reply) {
  const json::Value& in = call.input;
  const bool by_machine = !in.get("stateMachineArn").is_null(), by_map_run = !in.get("mapRunArn").is_null();
  if (by_machine == by_map_run) {
    return reply(
        Error{"ValidationException", "Must specify exactly one of stateMachineArn and mapRunArn", "", ""});
  }
  const std::string arn = text_member(in, by_map_run ? "mapRunArn" : "stateMachineArn");
  if (by_map_run) {  // Children are listed under their map run.
    if (const auto run = find_map_run(call, arn); !run) return reply(run.error());
  } else {
    const Result<runtime::StateMachineRecord> machine = find_startable(call, arn);
    if (!machine) return reply(machine.error());
    if (machine->type != "STANDARD") return reply(type_not_supported());
  }
  const std::string filter = text_member(in, "statusFilter"), redrive = text_member(in, "redriveFilter");
  const bool wants_pending = filter == "PENDING_REDRIVE";
  if (wants_pending && !by_map_run) {
    return reply(
        Error{"ValidationException", "The status filter PENDING_REDRIVE requires a mapRunArn", "", ""});
  }
  const std::string listing = "ListExecutions " + arn + " " + filter + " " + redrive;
  const runtime::QualifiedArn qualified =
      by_map_run ? runtime::QualifiedArn{arn, ""} : runtime::split_qualified_arn(arn);
  store::ExecutionQuery query{.state_machine_arn = qualified.machine_arn, .status = parse_status(filter)};
  if (in.get("nextToken").is_string()) {
    const Result<std::uint64_t> cursor = read_page_number(listing, text_member(in, "nextToken"));
    if (!cursor) return reply(cursor.error());
    query.before = *cursor;
  }
  const auto is_wanted = [&](const runtime::ExecutionSummary& summary) {
    if (qualified.is_version() && summary.version_arn != arn) return false;
    if (qualified.is_alias() && summary.alias_arn != arn) return false;
    if (!filter.empty() && summary.is_pending_redrive != wants_pending) return false;
    return redrive.empty() || (redrive == "REDRIVEN") == (summary.redrive_count > 0);
  };
  const std::size_t limit = page_size_of(in);
  query.limit = limit + 1;
  std::vector<json::Value> items;
  bool more = true;
  const Timestamp until = services_.loop.now().plus_ms(kFilteringMs);
  std::size_t seen = 0;
  while (more && items.size() < limit && seen < kFilteredRowsMax &&
         (seen == 0 || services_.loop.now() < until)) {
    const Result<std::vector<runtime::ExecutionSummary>> found = services_.runtime.list_executions(query);
    if (!found) return reply(found.error());
    more = found->size() == query.limit;
    for (const runtime::ExecutionSummary& summary : *found) {
      if (items.size() == limit) {
        more = true;
        break;
      }
      ++seen;
      query.before = summary.row.no;
      if (is_wanted(summary)) items.push_back(execution_item(summary));
    }
  }
  json::ObjectBuilder out;
  out.append("executions", json::Value::array(std::move(items)));
  if (more) out.append("nextToken", make_page_token(listing, std::to_string(query.before)));
  reply(out.build());
}

void StatesApi::get_execution_history(const AwsCall& call, AwsReply reply) {
  const json::Value& in = call.input;
  const std::string arn = text_member(in, "executionArn");
  if (Status status = check_execution_arn(call, arn); !status) return reply(status.error());
  const bool reverse = flag_of(in, "reverseOrder");
  const bool with_data =
      in.get("includeExecutionData").is_bool() ? flag_of(in, "includeExecutionData") : true;
  const std::string listing = "GetExecutionHistory " + arn + (reverse ? " reverse" : "");
  std::int64_t from = reverse ? 0 : 1;
  if (in.get("nextToken").is_string()) {
    const Result<std::uint64_t> cursor = read_page_number(listing, text_member(in, "nextToken"));
    if (!cursor) return reply(cursor.error());
    from = static_cast<std::int64_t>(*cursor);
  }
  const Result<runtime::HistoryPage> page = services_.runtime.history(arn, from, page_size_of(in), reverse);
  if (!page) return reply(no_such_execution_or(page.error(), arn));
  std::vector<json::Value> events;
  std::optional<std::int64_t> next = page->next_event_id;
  std::size_t bytes = 0;
  for (const engine::HistoryEvent& event : page->events) {
    json::Value rendered = history_event_json(event, with_data);
    bytes += json::to_text(rendered).size();
    if (bytes > kHistoryPageBytesMax && !events.empty()) {
      next = event.id;
      break;
    }
    events.push_back(std::move(rendered));
  }
  json::ObjectBuilder out;
  out.append("events", json::Value::array(std::move(events)));
  if (next) out.append("nextToken", make_page_token(listing, std::to_string(*next)));
  reply(out.build());
}

}  // namespace sortie::api
