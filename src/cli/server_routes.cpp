// The server's HTTP side: which routes exist, and the few that join several floors (events, hooks, operator,
// health).
#include <cstdlib>

#include "api/rest_routes.h"
#include "asl/default_retry.h"
#include "base/hash.h"
#include "base/text.h"
#include "cli/log.h"
#include "cli/server_app.h"
#include "io/file.h"
#include "json/members.h"
#include "json/text.h"
#include "runtime/item_source.h"

namespace sortie::cli {
namespace {

json::Value event_json(const events::EventRecord& record) {
  const json::Value& event = record.record.get("event");
  std::vector<json::Value> rules, executions;
  for (const json::Value& rule : record.record.get("rules").items()) rules.push_back(rule.get("rule"));
  for (const json::Value& outcome : record.outcomes) {
    const json::Value& result = outcome.get("result");
    if (result.is_string() && result.as_string().find(":execution:") != std::string_view::npos) {
      executions.push_back(result);
    }
  }
  json::ObjectBuilder out;
  out.append("id", record.id);
  out.append("time", to_iso8601(record.accepted_at));
  out.append("source", event.get("source"));
  out.append("detail_type", event.get("detail-type"));
  out.append("bus", record.record.get("bus"));
  out.append("actor", record.record.get("actor"));
  out.append("duplicate_of", record.record.get("duplicateOf"));
  out.append("rules", json::Value::array(std::move(rules)));
  out.append("executions", json::Value::array(std::move(executions)));
  return out.build();
}

// An event as EventBridge delivers it ({source, detail-type, detail}), or as PutEvents takes it. EventBridge
// takes events for a bus that is not there and loses them; whoever types its name here is told.
Result<events::PutEntry> entry_of(const json::Value& body, const events::EventBus& buses,
                                  const Actor& actor) {
  events::PutEntry entry;
  entry.source = json::text_member(body, body.has("source") ? "source" : "Source");
  entry.detail_type = json::text_member(body, body.has("detail-type") ? "detail-type" : "DetailType");
  const json::Value& detail = body.get(body.has("detail") ? "detail" : "Detail");
  entry.detail = detail.is_string() ? detail.to_std_string() : json::to_text(detail);
  entry.bus = json::text_member(body, body.has("event-bus") ? "event-bus" : "EventBusName");
  for (const json::Value& resource : body.get("resources").items()) {
    if (resource.is_string()) entry.resources.push_back(resource.to_std_string());
  }
  const std::string time = json::text_member(body, "time");
  if (!time.empty()) {
    SORTIE_TRY(entry.time, parse_rfc3339(time));
  }
  SORTIE_TRY_STATUS(events::check_entry(entry));
  const std::string account = buses.account_of(actor);
  if (const auto bus = buses.bus_of(entry, account); bus && !buses.find_bus(account, *bus)) {
    return Error{"NotFound", "there is no event bus " + *bus, "", ""};
  }
  return entry;
}

}  // namespace

api::StatesServices ServerApp::states_services() {
  api::StatesServices services{loop_, random_, *runtime_, *store_, nullptr, nullptr};
  services.commit = [this](store::Batch batch, std::function<void(Status)> done) {
    batch.epoch = epoch_;
    store_->append(std::move(batch), std::move(done));
  };
  services.refuse_token = [this](std::string_view token, const Actor& actor,
                                 std::string_view operation) -> std::optional<Error> {
    const Result<runtime::AttemptKey> key = runtime_->read_token(token);
    if (!key || !approvals_->guards(*key)) return std::nullopt;
    return approvals_->refuse_token(*key, actor, operation);
  };
  services.read_items = runtime::read_items;
  services.try_task = [this](runtime::TaskOrder order, integrations::Dispatcher::Trial done) {
    dispatcher_->try_once(std::move(order), std::move(done));
  };
  services.check_mock = [this](const asl::TaskResource& resource, const json::Value& result, bool strict,
                               std::function<void(std::string)> done) {
    pool_->call(integrations::make_result_check(resource, result, strict),
                [done = std::move(done)](const integrations::SdkAnswer& answer) {
                  const bool judged = answer.ok() || answer.error == "ValidationException";
                  done(judged ? answer.cause : "the model of the service cannot be read: " + answer.cause);
                });
  };
  return services;
}

void ServerApp::make_execution_log() {
  const auto send = [this](api::LogCall call, api::ExecutionLog::Done done) {
    integrations::SdkCall sdk;
    sdk.service = "cloudwatchlogs";
    sdk.action = std::move(call.action);
    sdk.parameters = std::move(call.parameters);
    sdk.region = std::move(call.region);
    sdk.endpoint_url = config_.endpoint_url;
    sdk.timeout_ms = 60'000;
    pool_->call(std::move(sdk), [done](const integrations::SdkAnswer& answer) { done(answer.error); });
  };
  execution_log_ = std::make_unique<api::ExecutionLog>(
      api::ExecutionLog::Wiring{loop_, random_, send, config_.region}, *runtime_);
}

void ServerApp::make_routes() {
  keys_ = std::make_unique<Keys>(*people_, *functions_);
  api::ServerOptions options;
  options.on_refused = [this](const api::Refusal& refusal) {
    audit_->record({{},
                    refusal.caller.actor,
                    "api",
                    refusal.action,
                    refusal.resource,
                    "refused",
                    "not on the caller's list of actions",
                    {},
                    0});
  };
  api_ = std::make_unique<api::Server>(loop_, random_, *keys_, std::move(options));
  api::StatesOptions states{config_.region, config_.strict, {}};
  if (mocks_ != nullptr) {
    states.has_test_case = [this](std::string_view machine, std::string_view test_case) {
      return mocks_->config().has_case(machine, test_case);
    };
  }
  states_api_ = std::make_unique<api::StatesApi>(states_services(), std::move(states));
  make_execution_log();
  events_service_ = std::make_unique<EventsService>(*bus_);
  lambda_api_ = std::make_unique<LambdaApi>(*functions_, config_.region);
  api_->add_service("AWSStepFunctions", "states", *states_api_);
  api_->add_service("AWSEvents", "events", *events_service_);
  api_->set_lambda(lambda_api_.get());
  const Result<HostPort> where = parse_listen(options_.listen.empty() ? config_.listen : options_.listen);
  api::HostPolicy hosts;
  hosts.is_loopback = where.ok() && where->is_loopback();
  if (where.ok()) hosts.allowed_hosts.push_back(to_lower_ascii(where->host));
  for (const std::string& host : config_.hosts) hosts.allowed_hosts.push_back(to_lower_ascii(host));
  if (!config_.public_url.empty()) {
    const std::string url = to_lower_ascii(config_.public_url);
    const std::size_t end = url.find('/', url.find("//") + 2);
    hosts.public_origin = url.substr(0, end);
    hosts.allowed_hosts.push_back(api::host_name(hosts.public_origin.substr(url.find("//") + 2)));
  }
  rest_ = std::make_unique<api::RestDoor>(
      loop_, api_->router(),
      api::RestAuth{*keys_,
                    [this](std::string_view token) -> std::optional<Actor> {
                      if (!operator_token_.empty() && constant_time_equal(token, operator_token_))
                        return operator_actor();
                      return people_->find_by_token(token);
                    },
                    hosts, config_.account,
                    [this](std::string_view token) -> std::optional<Actor> {
                      const auto session = sessions_->find(token);
                      return session ? std::optional<Actor>(session->actor) : std::nullopt;
                    }});
  stream_ = std::make_unique<api::StreamHub>(loop_, random_);
  api::RestServices rest{loop_, *runtime_, *store_, *states_api_, *stream_, config_.region};
  rest.approvals = approvals_.get();
  rest.people = people_.get();
  rest.audit = audit_.get();
  rest.functions = functions_.get();
  rest.complete_definition = [this](const std::string& definition) {
    return asl::with_default_retry(definition, config_.default_retry).text;
  };
  api::add_rest_routes(*rest_, rest);
  add_plain_routes();
  add_operator_routes();
  add_event_routes();
  add_metrics();
  add_console_routes(hosts);
}

void ServerApp::add_plain_routes() {
  api::Router& router = api_->router();
  router.add("GET", "/healthz", [](api::RouteCall call) { call.responder->send({200, {}, "ok\n"}); });
  router.add("GET", "/readyz", [this](api::RouteCall call) { answer_ready(call); });
  router.add("POST", "/hooks/{name}", [this](api::RouteCall call) { take_hook(std::move(call)); });
}

// A queue that cannot be reached is no reason to send nobody here any more, so it is told with a 200.
void ServerApp::answer_ready(const api::RouteCall& call) const {
  if (!ready_) return call.responder->send({503, {}, "starting\n"});
  std::string body = "ready\n";
  for (const events::QueueIntake::Standing& source : intake_->standings()) {
    if (!source.is_reachable) body += "source " + source.name + " cannot be reached\n";
  }
  if (const std::uint64_t stuck = runtime_->figures().frames_stuck; stuck > 0) {
    body +=
        "audit: " + std::to_string(stuck) + " stuck positions found since the start; the log names them\n";
  }
  call.responder->send({200, {}, std::move(body)});
}

void ServerApp::take_hook(api::RouteCall call) {
  const auto found = hooks_.find(call.parameters.at("name"));
  // A hook that does not exist and a wrong signature look alike from outside.
  const Error refused{"Unauthorized", "this request is not signed for a hook of this server", "", ""};
  if (found == hooks_.end()) return call.responder->send(api::rest_error(refused));
  events::HookRequest request{call.request.headers.entries(), call.request.body};
  Result<events::HookEvent> accepted =
      events::accept_hook(found->second, request, config_.account, loop_.now());
  if (!accepted) {
    const Actor hook{Actor::Kind::kHook, found->first, config_.account, "hook", ""};
    audit_->record({{}, hook, "hook", "hook.receive", found->first, "refused", accepted.error().code, {}, 0});
    return call.responder->send(
        api::rest_error(accepted.error().code == "Unauthorized" ? refused : accepted.error()));
  }
  bus_->put_events(
      {std::move(accepted->entry)}, accepted->actor,
      [responder = call.responder](Result<std::vector<events::PutResult>> results) {
        if (!results) return responder->send(api::rest_error(results.error()));
        const events::PutResult& result = results->front();
        if (!result.error_code.empty()) {
          return responder->send(api::rest_error({result.error_code, result.error_message, "", ""}));
        }
        json::ObjectBuilder body;
        body.append("id", result.event_id);
        if (!result.duplicate_of.empty()) body.append("duplicate_of", result.duplicate_of);
        responder->send(api::rest_answer(body.build(), 202));
      },
      accepted->dedup);
}

void ServerApp::add_event_routes() {
  rest_->add("POST", "/v1/events", [this](api::RestCall call) {
    Result<events::PutEntry> entry = entry_of(call.body, *bus_, call.actor);
    if (!entry) return call.responder->send(api::rest_error(entry.error()));
    bus_->put_events(
        {std::move(entry).value()}, call.actor,
        [responder = call.responder](Result<std::vector<events::PutResult>> results) {
          if (!results) return responder->send(api::rest_error(results.error()));
          const events::PutResult& result = results->front();
          if (!result.error_code.empty()) {
            return responder->send(api::rest_error({result.error_code, result.error_message, "", ""}));
          }
          responder->send(api::rest_answer(json::Value::object({{"id", result.event_id}}), 201));
        });
  });
  rest_->add("GET", "/v1/events", [this](api::RestCall call) {
    events::EventQuery query;
    query.account = call.actor.account.empty() ? config_.account : call.actor.account;
    query.source = call.query("source");
    query.detail_type = call.query("type");
    query.text = call.query("text");
    const auto limit = api::query_number(call, "limit", 50, 1, 500);
    if (!limit) return call.responder->send(api::rest_error(limit.error()));
    const auto before = api::query_number(call, "cursor", UINT64_MAX, 1, UINT64_MAX);
    if (!before) return call.responder->send(api::rest_error(before.error()));
    query.limit = *limit;
    query.before_sequence = *before;
    const auto records = bus_->list_events(query);
    if (!records) return call.responder->send(api::rest_error(records.error()));
    std::vector<json::Value> list;
    for (const events::EventRecord& record : *records) list.push_back(event_json(record));
    const bool more = records->size() == query.limit;
    call.responder->send(api::rest_answer(json::Value::object(
        {{"events", json::Value::array(std::move(list))},
         {"next", more ? json::Value(std::to_string(records->back().sequence)) : json::Value()}})));
  });
  rest_->add("GET", "/v1/sources", [this](api::RestCall call) {
    std::vector<json::Value> list;
    for (const events::QueueIntake::Standing& source : intake_->standings()) {
      list.push_back(json::Value::object({{"name", source.name},
                                          {"queue", source.queue},
                                          {"reachable", source.is_reachable},
                                          {"trouble", source.trouble},
                                          {"received", source.received},
                                          {"accepted", source.accepted},
                                          {"duplicates", source.duplicates},
                                          {"refused", source.refused},
                                          {"deleted", source.removed}}));
    }
    call.responder->send(
        api::rest_answer(json::Value::object({{"sources", json::Value::array(std::move(list))}})));
  });
  rest_->add("GET", "/v1/events/{id}", [this](api::RestCall call) {
    const auto record = bus_->find_event(call.parameter("id"));
    if (!record) return call.responder->send(api::rest_error(record.error()));
    if (!*record) {
      return call.responder->send(
          api::rest_error({"NotFound", "there is no event " + call.parameter("id"), "", ""}));
    }
    json::ObjectBuilder out(event_json(**record));
    out.append("event", (*record)->record.get("event"));
    out.append("matched", (*record)->record.get("rules"));
    out.append("outcomes", json::Value::array((*record)->outcomes));
    call.responder->send(api::rest_answer(out.build()));
  });
}

// What only whoever holds the data folder's operator token may do.
void ServerApp::add_operator_routes() {
  const auto operators_only = [](api::RestCall& call) {
    if (call.actor.kind == Actor::Kind::kAccountKey && call.actor.channel == "cli") return true;
    call.responder->send(api::rest_error({"AccessDenied", "only the operator may do this", "",
                                          "run the command where the data folder is, with --data"}));
    return false;
  };
  rest_->add("GET", "/v1/operator/check", [this, operators_only](api::RestCall call) {
    if (!operators_only(call)) return;
    Result<std::vector<std::string>> findings = runtime_->check();
    if (!findings) return call.responder->send(api::rest_error(findings.error()));
    if (auto more = bus_->check()) findings->insert(findings->end(), more->begin(), more->end());
    std::vector<json::Value> list(findings->begin(), findings->end());
    call.responder->send(
        api::rest_answer(json::Value::object({{"findings", json::Value::array(std::move(list))}})));
  });
  rest_->add("POST", "/v1/operator/backup", [this, operators_only](api::RestCall call) {
    if (!operators_only(call)) return;
    const Result<std::string> file = api::body_text(call, "file", true);
    if (!file) return call.responder->send(api::rest_error(file.error()));
    auto status = std::make_shared<Status>();
    loop_.run_in_background([this, status, path = *file] { *status = store_->backup(path); },
                            [status, responder = call.responder, path = *file] {
                              if (!*status) return responder->send(api::rest_error(status->error()));
                              responder->send(api::rest_answer(json::Value::object({{"file", path}})));
                            });
  });
}

}  // namespace sortie::cli
