// Executions over REST, and the live stream.
#include <algorithm>
#include <charconv>
#include <cmath>

#include "api/rest_routes.h"
#include "api/states_arn.h"
#include "base/text.h"
#include "json/text.h"

namespace sortie::api {
namespace {

constexpr std::size_t kWaitSecondsMax = 60;
constexpr std::size_t kEventIdsMax = 100;

json::Value payload_json(const std::string& text) {
  Result<json::Value> value = json::parse(text);
  return value ? *std::move(value) : json::Value(text);
}

json::Value waiting_json(const std::vector<runtime::WaitingReason>& reasons) {
  std::vector<json::Value> items;
  for (const runtime::WaitingReason& reason : reasons) {
    items.push_back(json::Value::object({{"frame", static_cast<std::int64_t>(reason.frame)},
                                         {"state", reason.state_name},
                                         {"kind", reason.kind},
                                         {"since", time_json(reason.since)},
                                         {"until", reason.until ? time_json(*reason.until) : json::Value()},
                                         {"who", reason.who},
                                         {"sentence", reason.sentence}}));
  }
  return json::Value::array(std::move(items));
}

json::Value description_json(const RestServices& services, const runtime::ExecutionDescription& execution) {
  const bool running = execution.status == store::ExecutionStatus::kRunning;
  json::ObjectBuilder out;
  out.append("arn", execution.arn).append("name", execution.name);
  out.append("state_machine", execution.state_machine_arn).append("status", status_name(execution.status));
  out.append("started_at", time_json(execution.started_at));
  out.append("stopped_at", running ? json::Value() : time_json(execution.stopped_at));
  out.append("input", payload_json(execution.input_text));
  out.append("output", execution.output_text ? payload_json(*execution.output_text) : json::Value());
  out.append("error", execution.error ? json::Value(*execution.error) : json::Value());
  out.append("cause", execution.cause ? json::Value(*execution.cause) : json::Value());
  out.append("actor", to_text(execution.actor));
  out.append("on_behalf_of", execution.actor.on_behalf_of);
  if (!execution.map_run_arn.empty()) {
    const auto run = services.runtime.describe_map_run(execution.map_run_arn);
    out.append("map_run", execution.map_run_arn).append("parent", run ? run->execution_arn : "");
  }
  out.append("redrives", execution.redrive_count);
  out.append("redriven_at", execution.redrive_count > 0 ? time_json(execution.redriven_at) : json::Value());
  out.append("redrive_obstacle",
             execution.redrive_obstacle ? json::Value(*execution.redrive_obstacle) : json::Value());
  std::vector<json::Value> sentences;
  if (running) {
    if (const auto reasons = services.runtime.explain(execution.arn)) {
      for (const runtime::WaitingReason& reason : *reasons) sentences.emplace_back(reason.sentence);
    }
  }
  out.append("waiting", json::Value::array(std::move(sentences)));
  return out.build();
}

// A long poll: answers when the execution ends, or when the time is up with whatever is true then.
void wait_for_end(const RestServices& services, const RestCall& call, const std::string& arn,
                  std::uint64_t seconds) {
  struct Wait {
    std::shared_ptr<void> subscription;
    Loop::TimerId timer = 0;
    bool is_over = false;
  };
  const auto wait = std::make_shared<Wait>();
  const auto finish = [services, wait, arn, responder = call.responder] {
    if (wait->is_over) return;
    wait->is_over = true;
    services.loop.cancel(wait->timer);
    // Not here: the subscription may own the callback that brought us here.
    services.loop.post([wait] { wait->subscription.reset(); });
    const Result<runtime::ExecutionDescription> execution = services.runtime.describe_execution(arn);
    answer(responder,
           execution ? Result<json::Value>(description_json(services, *execution)) : execution.error());
  };
  wait->timer =
      services.loop.call_at(services.loop.now().plus_ms(static_cast<std::int64_t>(seconds) * 1000), finish);
  wait->subscription =
      services.runtime.when_ended(arn, [finish](const runtime::ExecutionDescription&) { finish(); });
  call.responder->on_close([loop = &services.loop, weak = std::weak_ptr<Wait>(wait)] {
    const auto open = weak.lock();
    if (open == nullptr || open->is_over) return;
    open->is_over = true;
    loop->cancel(open->timer);
    open->subscription.reset();
  });
}

// What another account has does not exist for this caller.
Status check_own(const RestCall& call) {
  const Result<StatesArn> parsed = parse_states_arn(call.parameter("arn"), {"execution", "express"});
  if (!parsed) return parsed.error();
  if (parsed->account == call.actor.account) return {};
  return execution_does_not_exist(call.parameter("arn"));
}

void show_execution(const RestServices& services, const RestCall& call) {
  const std::string& arn = call.parameter("arn");
  if (Status own = check_own(call); !own) return answer(call.responder, own.error());
  const Result<std::uint64_t> wait = query_number(call, "wait", 0, 0, kWaitSecondsMax);
  if (!wait) return answer(call.responder, wait.error());
  const Result<runtime::ExecutionDescription> execution = services.runtime.describe_execution(arn);
  if (!execution) return answer(call.responder, execution.error());
  if (*wait > 0 && execution->status == store::ExecutionStatus::kRunning) {
    return wait_for_end(services, call, arn, *wait);
  }
  answer(call.responder, description_json(services, *execution));
}

// The definition this execution runs on, whatever its playbook says by now.
Result<json::Value> show_definition(const RestServices& services, const RestCall& call) {
  SORTIE_TRY_STATUS(check_own(call));
  SORTIE_TRY(const runtime::ExecutionDescription execution,
             services.runtime.describe_execution(call.parameter("arn")));
  return json::Value::object({{"definition", execution.definition}});
}

void start_execution(const RestServices& services, const RestCall& call) {
  const Result<std::string> playbook = body_text(call, "playbook", true);
  if (!playbook) return answer(call.responder, playbook.error());
  const Result<std::string> name = body_text(call, "name", false);
  if (!name) return answer(call.responder, name.error());
  json::ObjectBuilder input;
  input.append("stateMachineArn", playbook_arn(call, services.region, *playbook));
  if (!name->empty()) input.append("name", *name);
  if (call.body.has("input")) input.append("input", json::to_text(call.body.get("input")));
  services.states.handle(states_call(call, "StartExecution", input.build()), [responder = call.responder](
                                                                                 Result<json::Value> done) {
    if (!done) return answer(responder, done.error());
    const std::string arn = text_member(*done, "executionArn");
    const double seconds = done->get("startDate").as_double();
    const std::int64_t ms = std::llround(seconds * 1000);
    answer(responder,
           json::Value::object(
               {{"arn", arn}, {"name", arn.substr(arn.rfind(':') + 1)}, {"started_at", time_json({ms})}}),
           201);
  });
}

json::Value event_json(const engine::HistoryEvent& event) {
  json::ObjectBuilder details;
  for (const engine::Detail& detail : event.details)
    details.append(engine::field_name(detail.field), detail.value);
  return json::Value::object({{"id", event.id},
                              {"previous_id", event.previous_id},
                              {"time", time_json(event.time)},
                              {"type", engine::event_type_name(event.type)},
                              {"details", details.build()}});
}

// A line of a long history, without what it carries: [id, previous id, milliseconds since 1970, type, what],
// where `what` is the state's name, an iteration's index, or what went wrong.
json::Value compact_json(const engine::HistoryEvent& event) {
  json::Value what;
  for (const engine::Field field : {engine::Field::kIndex, engine::Field::kName, engine::Field::kError,
                                    engine::Field::kResource, engine::Field::kLength}) {
    const json::Value* found = event.find(field);
    if (found == nullptr) continue;
    what = *found;
    break;
  }
  return json::Value::array({json::Value(event.id), json::Value(event.previous_id),
                             json::Value(event.time.ms), json::Value(engine::event_type_name(event.type)),
                             what});
}

// Single events, by their ids with commas between.
Result<json::Value> show_events(const RestServices& services, const RestCall& call, const std::string& ids) {
  std::vector<json::Value> events;
  for (const std::string_view part : split(ids, ',')) {
    std::int64_t id = 0;
    const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), id);
    if (error != std::errc() || end != part.data() + part.size() || id < 1 || events.size() >= kEventIdsMax) {
      return Error{"InvalidParameter", "'ids' has to be numbers with commas between", "", "at most 100"};
    }
    SORTIE_TRY(const runtime::HistoryPage page,
               services.runtime.history(call.parameter("arn"), id, 1, false));
    for (const engine::HistoryEvent& event : page.events) events.push_back(event_json(event));
  }
  return json::Value::object({{"events", json::Value::array(std::move(events))}, {"next", json::Value()}});
}

Result<json::Value> show_history(const RestServices& services, const RestCall& call) {
  SORTIE_TRY_STATUS(check_own(call));
  if (const std::string ids = call.query("ids"); !ids.empty()) return show_events(services, call, ids);
  const bool compact = call.query("view") == "compact";
  const bool reverse = call.query("reverse") == "true";
  SORTIE_TRY(const std::uint64_t from, query_number(call, "from", reverse ? 0 : 1, 0, INT32_MAX));
  SORTIE_TRY(const std::uint64_t limit, query_number(call, "limit", 100, 1, compact ? 5000 : 1000));
  SORTIE_TRY(
      const runtime::HistoryPage page,
      services.runtime.history(call.parameter("arn"), static_cast<std::int64_t>(from), limit, reverse));
  std::vector<json::Value> events;
  for (const engine::HistoryEvent& event : page.events) {
    events.push_back(compact ? compact_json(event) : event_json(event));
  }
  return json::Value::object(
      {{"events", json::Value::array(std::move(events))},
       {"next", page.next_event_id ? json::Value(*page.next_event_id) : json::Value()}});
}

Result<json::Value> explain(const RestServices& services, const RestCall& call) {
  const std::string& arn = call.parameter("arn");
  SORTIE_TRY_STATUS(check_own(call));
  SORTIE_TRY(const runtime::ExecutionDescription execution, services.runtime.describe_execution(arn));
  std::vector<runtime::WaitingReason> reasons;
  if (execution.status == store::ExecutionStatus::kRunning) {
    SORTIE_TRY(reasons, services.runtime.explain(arn));
  }
  return json::Value::object(
      {{"arn", arn}, {"status", status_name(execution.status)}, {"waiting", waiting_json(reasons)}});
}

void redrive_execution(const RestServices& services, const RestCall& call) {
  if (Status own = check_own(call); !own) return answer(call.responder, own.error());
  const std::string& arn = call.parameter("arn");
  services.runtime.redrive_execution(
      arn, "", call.actor, [responder = call.responder, arn](const Result<Timestamp>& done) {
        if (!done) return answer(responder, done.error());
        answer(responder, json::Value::object({{"arn", arn}, {"redriven_at", time_json(*done)}}));
      });
}

void stop_execution(const RestServices& services, const RestCall& call) {
  if (Status own = check_own(call); !own) return answer(call.responder, own.error());
  const Result<std::string> reason = body_text(call, "reason", false);
  const Result<std::string> error = body_text(call, "error", false);
  if (!reason || !error) return answer(call.responder, reason ? error.error() : reason.error());
  if (reason->size() > 32'768 || error->size() > 256) {
    return answer(call.responder, Error{"InvalidParameter", "'reason' or 'error' is too long", "", ""});
  }
  services.runtime.stop_execution(
      call.parameter("arn"), *error, *reason, call.actor,
      [responder = call.responder](Result<Timestamp> done) {
        if (!done) return answer(responder, done.error());
        answer(responder, json::Value::object({{"stopped_at", time_json(*done)}}));
      });
}

}  // namespace

json::Value time_json(Timestamp time) {
  return time == kNever || time.ms == INT64_MIN ? json::Value() : json::Value(to_iso8601(time));
}

std::string playbook_arn(const RestCall& call, const std::string& region, const std::string& name_or_arn) {
  if (name_or_arn.starts_with("arn:")) return name_or_arn;
  return state_machine_arn(region, call.actor.account, name_or_arn);
}

AwsCall states_call(const RestCall& call, std::string operation, json::Value input) {
  AwsCall out;
  out.service = "states";
  out.operation = std::move(operation);
  out.input = std::move(input);
  out.caller.account = call.actor.account;
  out.caller.actor = call.actor;
  return out;
}

void add_execution_routes(RestDoor& door, const RestServices& services) {
  door.add("GET", "/v1/executions",
           [services](const RestCall& call) { answer(call.responder, list_executions(services, call)); });
  door.add("GET", "/v1/executions/counts",
           [services](const RestCall& call) { answer(call.responder, count_executions(services, call)); });
  door.add("GET", "/v1/executions/{arn}/map-runs", [services](const RestCall& call) {
    Status own = check_own(call);
    answer(call.responder, own ? list_map_runs(services, call) : own.error());
  });
  door.add("GET", "/v1/executions/{arn}/definition",
           [services](const RestCall& call) { answer(call.responder, show_definition(services, call)); });
  door.add("POST", "/v1/executions", [services](const RestCall& call) { start_execution(services, call); });
  door.add("GET", "/v1/executions/{arn}",
           [services](const RestCall& call) { show_execution(services, call); });
  door.add("GET", "/v1/executions/{arn}/history",
           [services](const RestCall& call) { answer(call.responder, show_history(services, call)); });
  door.add("GET", "/v1/executions/{arn}/explain",
           [services](const RestCall& call) { answer(call.responder, explain(services, call)); });
  door.add("POST", "/v1/executions/{arn}/stop",
           [services](const RestCall& call) { stop_execution(services, call); });
  door.add("POST", "/v1/executions/{arn}/redrive",
           [services](const RestCall& call) { redrive_execution(services, call); });
}

void add_stream_route(RestDoor& door, const RestServices& services) {
  door.add("GET", "/v1/stream", [stream = &services.stream, &door](const RestCall& call) {
    std::string last(trim(call.request.headers.get("last-event-id")));
    if (last.empty()) last = call.query("last_event_id");
    stream->open(call.responder, last, door.still_allowed(call.request));
  });
}

}  // namespace sortie::api
