// What the console asks that no single floor can answer: how the server is, what is wrong with a definition,
// and the pages themselves.
#include <algorithm>

#include "api/console_assets.h"
#include "api/rest_routes.h"
#include "api/session_routes.h"
#include "asl/lint/lint.h"
#include "asl/lint/render.h"
#include "base/text.h"
#include "cli/installation.h"
#include "cli/log.h"
#include "cli/server_app.h"
#include "json/text.h"

extern "C" {
extern const char sortie_console_begin[];
extern const char sortie_console_end[];
}

namespace sortie::cli {
namespace console_routes {

constexpr std::int64_t kDayMs = 24LL * 3600 * 1000;
constexpr std::size_t kFailedShown = 8;
constexpr std::size_t kFailedMax = 500;
constexpr std::size_t kDefinitionBytesMax = 1024 * 1024;

json::Value row_json(const store::ExecutionRow& row) {
  return json::Value::object({{"arn", row.arn},
                              {"name", row.name},
                              {"state_machine", row.state_machine_arn},
                              {"status", api::status_name(row.status)},
                              {"started_at", api::time_json(row.started_at)},
                              {"stopped_at", api::time_json(row.stopped_at)}});
}

// Executions of the last day that failed, newest first; the count stops at kFailedMax of each kind. Rows come
// newest first, so the first one that is older ends the look: what failed long ago costs nothing.
Result<json::Value> failed_lately(store::Store& store, const std::string& account, Timestamp now) {
  const Timestamp since = now.plus_ms(-kDayMs);
  std::vector<store::ExecutionRow> found;
  for (const store::ExecutionStatus status :
       {store::ExecutionStatus::kFailed, store::ExecutionStatus::kTimedOut,
        store::ExecutionStatus::kAborted}) {
    store::ExecutionQuery query;
    query.status = status;
    query.limit = kFailedMax;
    SORTIE_TRY(const std::vector<store::ExecutionRow> rows, store.list_executions(query));
    for (const store::ExecutionRow& row : rows) {
      if (row.started_at < since) break;
      if (row.arn.find(":" + account + ":") != std::string::npos) found.push_back(row);
    }
  }
  std::sort(found.begin(), found.end(),
            [](const auto& a, const auto& b) { return a.stopped_at.ms > b.stopped_at.ms; });
  std::vector<json::Value> rows;
  for (std::size_t i = 0; i < std::min(found.size(), kFailedShown); ++i) rows.push_back(row_json(found[i]));
  return json::Value::object(
      {{"count", static_cast<std::int64_t>(found.size())}, {"latest", json::Value::array(std::move(rows))}});
}

json::Value problems_json(const std::vector<Error>& problems) {
  std::vector<json::Value> items;
  for (const Error& problem : problems) {
    items.push_back(json::Value::object(
        {{"message", problem.message}, {"place", problem.place}, {"hint", problem.hint}}));
  }
  return json::Value::array(std::move(items));
}

json::Value stuck_json(const api::WaitingWatch& watch, const std::string& account) {
  std::vector<json::Value> rows;
  for (const api::WaitingWatch::Stuck& stuck : watch.stuck()) {
    if (stuck.row.arn.find(":" + account + ":") == std::string::npos) continue;
    rows.push_back(json::ObjectBuilder(row_json(stuck.row))
                       .append("state", stuck.reason.state_name)
                       .append("since", api::time_json(stuck.reason.since))
                       .append("sentence", stuck.reason.sentence)
                       .build());
  }
  const bool checked = watch.checked_at().ms > 0;
  return json::Value::object({{"checked_at", checked ? api::time_json(watch.checked_at()) : json::Value()},
                              {"executions", json::Value::array(std::move(rows))}});
}

}  // namespace console_routes

Result<json::Value> ServerApp::overview(const Actor& caller) {
  const std::string account = caller.account.empty() ? config_.account : caller.account;
  SORTIE_TRY(const json::Value failed, console_routes::failed_lately(*store_, account, loop_.now()));
  const runtime::Runtime::Figures runtime = runtime_->figures();
  const store::StoreFigures store = store_->figures();
  const functions::FunctionService::Figures functions = functions_->figures();
  const events::EventBus::Figures bus = bus_->figures();
  const response::Approvals::Figures approvals = approvals_->figures();
  const auto number = [](auto value) { return json::Value(static_cast<std::int64_t>(value)); };
  const auto members = [&](std::vector<json::Member> list) { return json::Value::object(std::move(list)); };
  return members(
      {{"now", to_iso8601(loop_.now())},
       {"started_at", to_iso8601(started_at_)},
       {"version", kVersion},
       {"failed", failed},
       {"project_problems", console_routes::problems_json(project_problems_)},
       {"stuck", console_routes::stuck_json(*waiting_watch_, account)},
       {"engine", members({{"open", number(runtime.open_executions)},
                           {"waiting_stimuli", number(runtime.mailbox)},
                           {"transitions", number(runtime.transitions)},
                           {"commit_failures", number(runtime.commit_failures)}})},
       {"store", members({{"bytes", number(store.file_bytes)}, {"queued", number(store.queued_batches)}})},
       {"functions", members({{"workers", number(functions.workers)},
                              {"busy", number(functions.busy_workers)},
                              {"waiting", number(functions.waiting)},
                              {"invocations", number(functions.invocations)},
                              {"errors", number(functions.errors)}})},
       {"events", members({{"accepted", number(bus.accepted)},
                           {"pending_deliveries", number(bus.pending_deliveries)},
                           {"retried_deliveries", number(bus.retried_deliveries)},
                           {"last_lag_ms", number(bus.last_lag_ms)}})},
       {"approvals", members({{"pending", number(approvals.pending)},
                              {"oldest_age_ms", number(approvals.oldest_age_ms)}})}});
}

// Diagnostics and findings with line and column: what `playbook lint -o json` says.
Result<json::Value> ServerApp::validate(const json::Value& definition) {
  if (!definition.is_string() && !definition.is_object()) {
    return Error{"InvalidParameter", "'definition' has to be the definition, as text or an object", "", ""};
  }
  std::string text = definition.is_string() ? definition.to_std_string() : json::to_pretty_text(definition);
  if (text.size() > console_routes::kDefinitionBytesMax) {
    return Error{"DefinitionTooLarge", "a definition has at most 1 MiB", "", ""};
  }
  const asl::LintedFile file = asl::lint_file("definition", std::move(text), {}, lint_knowledge(config_));
  return json::parse(asl::render_lint_json(std::span(&file, 1)));
}

// Slack's answers prove themselves by their signature; no Host, no session.
void ServerApp::add_slack() {
  std::vector<Error> problems;
  std::optional<SlackSettings> settings = read_slack_settings(config_, problems);
  for (const Error& problem : problems) log(LogLevel::kError, "connectors", problem);
  if (!settings) return;
  slack_ =
      std::make_unique<SlackConnector>(loop_, random_, *store_, *audit_, *approvals_, *std::move(settings));
  api_->router().add("POST", "/slack/interactivity", [this](const api::RouteCall& call) {
    const io::HttpHeaders& headers = call.request.headers;
    slack_->desk().interact(
        trim(headers.get("x-slack-request-timestamp")), trim(headers.get("x-slack-signature")),
        call.request.body,
        [this, responder = call.responder, came = loop_.now()](const Result<std::string>& done) {
          telemetry_->on_slack_ack(static_cast<double>(loop_.now().ms - came.ms) / 1000);
          if (!done) return responder->send(api::rest_error(done.error()));
          io::HttpResponse answer;
          if (!done->empty()) answer.headers.set("Content-Type", "application/json");
          answer.body = *done;
          responder->send(std::move(answer));
        });
  });
}

void ServerApp::add_console_routes(const api::HostPolicy& hosts) {
  const std::string_view pack(sortie_console_begin,
                              static_cast<std::size_t>(sortie_console_end - sortie_console_begin));
  Result<api::ConsoleAssets> assets = api::ConsoleAssets::read(pack);
  if (!assets) log(LogLevel::kError, "console", assets.error());
  console_ = assets ? std::move(assets).value() : api::ConsoleAssets();
  api::add_console_pages(api_->router(), console_, hosts);
  api::add_session_routes(*rest_, *people_, *sessions_, hosts, kVersion);
  rest_->add("GET", "/v1/overview",
             [this](const api::RestCall& call) { api::answer(call.responder, overview(call.actor)); });
  rest_->add("POST", "/v1/validate", [this](const api::RestCall& call) {
    api::answer(call.responder, validate(call.body.get("definition")));
  });
  add_slack();
  execution_observer_ = runtime_->observe([this](const runtime::ExecutionChange& change) {
    stream_->publish_latest("execution", change.execution_arn,
                            json::Value::object({{"arn", change.execution_arn},
                                                 {"status", api::status_name(change.status)},
                                                 {"at", loop_.now().ms},
                                                 {"started_at", change.started_at.ms},
                                                 {"last_event_id", change.last_event_id}}));
  });
  approval_observer_ = approvals_->observe([this](const response::Approval& approval) {
    stream_->publish("approval", json::Value::object({{"id", approval.id},
                                                      {"execution", approval.execution_arn},
                                                      {"status", response::status_name(approval.status)},
                                                      {"at", loop_.now().ms}}));
  });
  event_observer_ = bus_->observe([this](const events::EventRecord& record) {
    stream_->publish_latest("event", "event", json::Value::object({{"id", record.id}}));
  });
}

}  // namespace sortie::cli
