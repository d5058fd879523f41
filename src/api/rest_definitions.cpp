// Playbooks and functions over REST.
#include "api/rest_routes.h"
#include "functions/function_service.h"
#include "json/text.h"

namespace sortie::api {
namespace {

json::Value playbook_json(const runtime::StateMachineRecord& record, bool with_definition) {
  json::ObjectBuilder out;
  out.append("name", record.name).append("arn", record.arn).append("type", record.type);
  out.append("role_arn", record.role_arn)
      .append("origin", record.origin)
      .append("revision", record.revision_id);
  out.append("created_at", time_json(record.created_at)).append("updated_at", time_json(record.updated_at));
  if (with_definition) out.append("definition", record.definition);
  return out.build();
}

Result<json::Value> list_playbooks(const RestServices& services, const RestCall& call) {
  const std::string own = ":" + call.actor.account + ":stateMachine:";
  std::vector<json::Value> items;
  for (const runtime::StateMachineRecord& record : services.runtime.list_state_machines()) {
    if (record.arn.find(own) != std::string::npos) items.push_back(playbook_json(record, false));
  }
  return json::Value::object({{"playbooks", json::Value::array(std::move(items))}});
}

Error no_such_playbook(const std::string& name) {
  return {"StateMachineDoesNotExist", "there is no playbook '" + name + "'", "",
          "list them with GET /v1/playbooks"};
}

Result<json::Value> show_playbook(const RestServices& services, const RestCall& call) {
  const std::string& name = call.parameter("name");
  std::string arn = playbook_arn(call, services.region, name);
  SORTIE_TRY(const std::uint64_t version, query_number(call, "version", 0, 1, INT32_MAX));
  if (version > 0) arn += ":" + std::to_string(version);
  const auto record = services.runtime.find_state_machine(arn);
  if (!record) return no_such_playbook(version > 0 ? name + ":" + std::to_string(version) : name);
  return playbook_json(*record, true);
}

// What was published as a version and stays as it is, newest first, and the aliases that lead to it.
Result<json::Value> list_versions(const RestServices& services, const RestCall& call) {
  const std::string arn = playbook_arn(call, services.region, call.parameter("name"));
  if (!services.runtime.find_state_machine(arn)) return no_such_playbook(call.parameter("name"));
  const std::vector<runtime::AliasRecord> aliases = services.runtime.list_aliases(arn);
  std::vector<json::Value> items;
  for (const runtime::StateMachineRecord& version : services.runtime.list_versions(arn)) {
    std::vector<json::Value> routes;
    for (const runtime::AliasRecord& alias : aliases) {
      for (const runtime::AliasRecord::Route& route : alias.routes) {
        if (route.version_arn != version.arn) continue;
        routes.push_back(json::Value::object({{"alias", alias.name}, {"weight", route.weight}}));
      }
    }
    items.push_back(json::Value::object({{"version", runtime::split_qualified_arn(version.arn).qualifier},
                                         {"arn", version.arn},
                                         {"description", version.description},
                                         {"created_at", time_json(version.created_at)},
                                         {"revision", version.revision_id},
                                         {"aliases", json::Value::array(std::move(routes))}}));
  }
  return json::Value::object({{"versions", json::Value::array(std::move(items))}});
}

// Publishing is CreateStateMachine or UpdateStateMachine, whichever fits, with all their checks.
void publish_playbook(const RestServices& services, const RestCall& call) {
  const std::string name = call.parameter("name");
  const json::Value& given = call.body.get("definition");
  if (!given.is_string() && !given.is_object()) {
    return answer(
        call.responder,
        Error{"InvalidParameter", "'definition' has to be the definition, as an object or as text", "", ""});
  }
  std::string definition = given.is_string() ? given.to_std_string() : json::to_text(given);
  if (services.complete_definition) definition = services.complete_definition(definition);
  Result<std::string> role = body_text(call, "role_arn", false);
  if (!role) return answer(call.responder, role.error());
  const std::string arn = playbook_arn(call, services.region, name);
  const bool exists = services.runtime.find_state_machine(arn).has_value();
  json::ObjectBuilder input;
  input.append("definition", definition);
  if (exists) {
    input.append("stateMachineArn", arn);
    if (!role->empty()) input.append("roleArn", *role);
  } else {
    if (role->empty()) *role = "arn:aws:iam::" + call.actor.account + ":role/sortie";
    input.append("name", name).append("roleArn", *role);
  }
  services.states.handle(
      states_call(call, exists ? "UpdateStateMachine" : "CreateStateMachine", input.build()),
      [services, arn, exists, name, responder = call.responder](const Result<json::Value>& done) {
        if (!done) return answer(responder, done.error());
        const auto record = services.runtime.find_state_machine(arn);
        if (!record) return answer(responder, no_such_playbook(name));
        answer(responder, playbook_json(*record, false), exists ? 200 : 201);
      });
}

json::Value function_json(const functions::FunctionConfig& config) {
  json::ObjectBuilder out;
  out.append("name", config.name).append("arn", config.arn).append("runtime", config.runtime);
  out.append("handler", config.handler).append("timeout_s", config.timeout_s);
  out.append("memory_mib", config.memory_mib).append("origin", config.origin);
  std::vector<json::Value> actions(config.actions.begin(), config.actions.end());
  out.append("actions", json::Value::array(std::move(actions)));
  out.append("last_modified", time_json(config.last_modified));
  out.append("problem", config.problem.empty() ? json::Value() : json::Value(config.problem));
  return out.build();
}

Result<json::Value> list_functions(functions::FunctionService& functions, const RestCall& call) {
  std::vector<json::Value> items;
  for (const functions::FunctionConfig& config : functions.list_functions(call.actor.account)) {
    items.push_back(function_json(config));
  }
  return json::Value::object({{"functions", json::Value::array(std::move(items))}});
}

Result<json::Value> show_logs(functions::FunctionService& functions, const RestCall& call) {
  const std::string& name = call.parameter("name");
  SORTIE_TRY_STATUS([&]() -> Status {
    auto found = functions.get_function(call.actor.account, name);
    return found ? Status() : Status(found.error());
  }());
  SORTIE_TRY(const Timestamp since, query_time(call, "since", Timestamp{0}));
  std::vector<json::Value> items;
  for (const functions::InvocationLog& log :
       functions.logs(call.actor.account, name, since, call.query("request_id"))) {
    items.push_back(json::Value::object({{"request_id", log.request_id},
                                         {"function", log.function},
                                         {"started_at", time_json(log.started_at)},
                                         {"duration_ms", log.duration_ms},
                                         {"outcome", log.outcome},
                                         {"cold_start", log.cold_start},
                                         {"text", log.text}}));
  }
  return json::Value::object({{"logs", json::Value::array(std::move(items))}});
}

void invoke_function(functions::FunctionService& functions, const RestCall& call) {
  functions::InvokeRequest request;
  request.function = call.parameter("name");
  request.account = call.actor.account;
  request.payload = call.body.has("payload") ? json::to_text(call.body.get("payload")) : "{}";
  functions.invoke(std::move(request), [responder = call.responder](const functions::InvokeResult& result) {
    if (!result.error_code.empty()) {
      return answer(responder, Error{result.error_code, result.error_message, "", ""});
    }
    const Result<json::Value> payload = json::parse(result.payload);
    json::ObjectBuilder out;
    out.append("request_id", result.request_id).append("duration_ms", result.duration_ms);
    out.append("function_error",
               result.function_error.empty() ? json::Value() : json::Value(result.function_error));
    out.append("payload", payload ? *payload : json::Value(result.payload));
    out.append("log", result.log_tail);
    answer(responder, out.build());
  });
}

}  // namespace

void add_playbook_routes(RestDoor& door, const RestServices& services) {
  door.add("GET", "/v1/playbooks",
           [services](const RestCall& call) { answer(call.responder, list_playbooks(services, call)); });
  door.add("GET", "/v1/playbooks/{name}",
           [services](const RestCall& call) { answer(call.responder, show_playbook(services, call)); });
  door.add("GET", "/v1/playbooks/{name}/versions",
           [services](const RestCall& call) { answer(call.responder, list_versions(services, call)); });
  door.add("POST", "/v1/playbooks/{name}",
           [services](const RestCall& call) { publish_playbook(services, call); });
}

void add_function_routes(RestDoor& door, const RestServices& services) {
  functions::FunctionService* functions = services.functions;
  if (functions == nullptr) return;
  door.add("GET", "/v1/functions",
           [functions](const RestCall& call) { answer(call.responder, list_functions(*functions, call)); });
  door.add("GET", "/v1/functions/{name}/logs",
           [functions](const RestCall& call) { answer(call.responder, show_logs(*functions, call)); });
  door.add("POST", "/v1/functions/{name}/invoke",
           [functions](const RestCall& call) { invoke_function(*functions, call); });
}

}  // namespace sortie::api
