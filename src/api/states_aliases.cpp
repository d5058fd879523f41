// Aliases of state machines: a name that executions can be started by, for one version or for two by weight.
#include <algorithm>
#include <set>

#include "api/page_token.h"
#include "api/states_api.h"
#include "api/states_arn.h"
#include "base/text.h"
#include "json/text.h"

namespace sortie::api {
namespace {

using runtime::AliasRecord;

constexpr std::size_t kAliasesMax = 100;  // AWS's quota for a machine.

Error validation(std::string message) { return {"ValidationException", std::move(message), "", ""}; }

Error no_such_resource(std::string_view arn) {
  return {"ResourceNotFound", "Request references a resource that does not exist: '" + std::string(arn) + "'",
          "", ""};
}

json::Value routes_json(const std::vector<AliasRecord::Route>& routes) {
  std::vector<json::Value> out;
  for (const AliasRecord::Route& route : routes) {
    out.push_back(
        json::Value::object({{"stateMachineVersionArn", route.version_arn}, {"weight", route.weight}}));
  }
  return json::Value::array(std::move(out));
}

// The routes that a caller gives: versions of one machine, different ones, and weights that make 100.
Result<std::vector<AliasRecord::Route>> read_routes(const json::Value& given) {
  std::vector<AliasRecord::Route> routes;
  std::vector<std::string> arns;
  std::set<std::string> distinct, machines;
  std::int64_t sum = 0;
  bool all_versions = true;
  for (const json::Value& item : given.items()) {
    AliasRecord::Route route{text_member(item, "stateMachineVersionArn"), item.get("weight").as_integer()};
    SORTIE_TRY_STATUS(parse_states_arn(route.version_arn, {"stateMachine"}));
    const runtime::QualifiedArn qualified = runtime::split_qualified_arn(route.version_arn);
    all_versions = all_versions && qualified.is_version();
    machines.insert(qualified.machine_arn);
    distinct.insert(route.version_arn);
    arns.push_back(route.version_arn);
    sum += route.weight;
    routes.push_back(std::move(route));
  }
  const std::string received = " Received: [" + join(arns, ", ") + "]";
  if (!all_versions) {
    return validation("Routing configuration must contain state machine version ARNs." + received);
  }
  if (distinct.size() != routes.size()) {
    return validation("Routing configuration must contain distinct state machine version ARNs." + received);
  }
  if (machines.size() != 1) {
    return validation("Routing configuration must contain versions of the same state machine." + received);
  }
  if (sum != 100) {
    return validation("Sum of routing configuration weights must equal 100. Received: " +
                      json::to_text(routes_json(routes)));
  }
  return routes;
}

}  // namespace

Status StatesApi::check_routes(const AwsCall& call, const std::vector<AliasRecord::Route>& routes) {
  for (const AliasRecord::Route& route : routes) {
    SORTIE_TRY(const StatesArn parsed, parse_states_arn(route.version_arn, {"stateMachine"}));
    if (parsed.account != call.caller.account) {
      return access_denied(call.caller, "states:" + call.operation, route.version_arn);
    }
    if (!services_.runtime.find_state_machine(route.version_arn)) return no_such_resource(route.version_arn);
  }
  return {};
}

Result<AliasRecord> StatesApi::find_alias(const AwsCall& call, const std::string& arn) {
  SORTIE_TRY(const StatesArn parsed, parse_states_arn(arn, {"stateMachine"}));
  if (!runtime::split_qualified_arn(arn).is_alias()) {
    return validation("The ARN must be a state machine alias ARN: '" + arn + "'");
  }
  if (parsed.account != call.caller.account) {
    return access_denied(call.caller, "states:" + call.operation, arn);
  }
  std::optional<AliasRecord> alias = services_.runtime.find_alias(arn);
  if (!alias) return no_such_resource(arn);
  return *std::move(alias);
}

void StatesApi::create_state_machine_alias(const AwsCall& call, AwsReply reply) {
  Result<std::vector<AliasRecord::Route>> routes = read_routes(call.input.get("routingConfiguration"));
  if (!routes) return reply(routes.error());
  AliasRecord alias;
  alias.name = text_member(call.input, "name");
  alias.description = text_member(call.input, "description");
  alias.routes = *std::move(routes);
  const std::string machine = runtime::split_qualified_arn(alias.routes[0].version_arn).machine_arn;
  alias.arn = machine + ":" + alias.name;
  in_turn(machine, std::move(reply), [this, call, alias, machine](AwsReply answer) {
    if (Status status = check_routes(call, alias.routes); !status) return answer(status.error());
    const auto created = [](const AliasRecord& record) {
      return json::Value::object(
          {{"stateMachineAliasArn", record.arn}, {"creationDate", epoch_seconds(record.created_at)}});
    };
    if (const auto existing = services_.runtime.find_alias(alias.arn)) {
      const bool same = existing->routes == alias.routes && existing->description == alias.description;
      if (same) return answer(created(*existing));
      return answer(Error{"ConflictException",
                          "Failed to create alias because an alias with the same name and a different "
                          "routing configuration already exists.",
                          "", ""});
    }
    if (services_.runtime.list_aliases(machine).size() >= kAliasesMax) {
      return answer(Error{"ServiceQuotaExceededException",
                          "The state machine has reached the maximum number of aliases (100)", "", ""});
    }
    AliasRecord fresh = alias;
    fresh.created_at = fresh.updated_at = services_.loop.now();
    services_.runtime.put_alias(fresh, call.caller.actor, [answer, fresh, created](Result<Unit> done) {
      if (!done) return answer(done.error());
      answer(created(fresh));
    });
  });
}

void StatesApi::update_state_machine_alias(const AwsCall& call, AwsReply reply) {
  const std::string arn = text_member(call.input, "stateMachineAliasArn");
  const std::string machine = runtime::split_qualified_arn(arn).machine_arn;
  const json::Value& routing = call.input.get("routingConfiguration");
  const bool has_description = call.input.get("description").is_string();
  if (Result<AliasRecord> alias = find_alias(call, arn); !alias) return reply(alias.error());
  if (!has_description && routing.is_null()) {
    return reply(validation("Either the description or the routing configuration must be specified"));
  }
  std::vector<AliasRecord::Route> routes;
  if (!routing.is_null()) {
    Result<std::vector<AliasRecord::Route>> read = read_routes(routing);
    if (!read) return reply(read.error());
    routes = *std::move(read);
    if (runtime::split_qualified_arn(routes[0].version_arn).machine_arn != machine) {
      return reply(
          validation("Routing configuration must contain versions of the alias's state machine. Received: [" +
                     routes[0].version_arn + "]"));
    }
  }
  in_turn(machine, std::move(reply), [this, call, arn, routes, has_description](AwsReply answer) {
    Result<AliasRecord> alias = find_alias(call, arn);
    if (!alias) return answer(alias.error());
    if (Status status = check_routes(call, routes); !status) return answer(status.error());
    if (has_description) alias->description = text_member(call.input, "description");
    if (!routes.empty()) alias->routes = routes;
    alias->updated_at = services_.loop.now();
    services_.runtime.put_alias(*alias, call.caller.actor,
                                [answer, at = alias->updated_at](Result<Unit> done) {
                                  if (!done) return answer(done.error());
                                  answer(json::Value::object({{"updateDate", epoch_seconds(at)}}));
                                });
  });
}

void StatesApi::delete_state_machine_alias(const AwsCall& call, AwsReply reply) {
  const std::string arn = text_member(call.input, "stateMachineAliasArn");
  const std::string machine = runtime::split_qualified_arn(arn).machine_arn;
  in_turn(machine, std::move(reply), [this, call, arn](AwsReply answer) {
    if (Result<AliasRecord> alias = find_alias(call, arn); !alias) return answer(alias.error());
    services_.runtime.delete_alias(arn, call.caller.actor, [answer](Result<Unit> done) {
      if (!done) return answer(done.error());
      answer(json::Value::object({}));
    });
  });
}

void StatesApi::describe_state_machine_alias(const AwsCall& call, AwsReply reply) {
  const Result<AliasRecord> alias = find_alias(call, text_member(call.input, "stateMachineAliasArn"));
  if (!alias) return reply(alias.error());
  json::ObjectBuilder out;
  out.append("stateMachineAliasArn", alias->arn).append("name", alias->name);
  if (!alias->description.empty()) out.append("description", alias->description);
  out.append("routingConfiguration", routes_json(alias->routes));
  out.append("creationDate", epoch_seconds(alias->created_at));
  out.append("updateDate", epoch_seconds(alias->updated_at));
  reply(out.build());
}

void StatesApi::list_state_machine_aliases(const AwsCall& call, AwsReply reply) {
  const std::string arn = text_member(call.input, "stateMachineArn");
  const Result<runtime::StateMachineRecord> machine = find_machine(call, arn);
  if (!machine) return reply(machine.error());
  const runtime::QualifiedArn qualified = runtime::split_qualified_arn(arn);
  std::vector<AliasRecord> aliases = services_.runtime.list_aliases(qualified.machine_arn);
  if (qualified.is_version()) {
    std::erase_if(aliases, [&](const AliasRecord& alias) {
      return std::none_of(alias.routes.begin(), alias.routes.end(),
                          [&](const auto& route) { return route.version_arn == arn; });
    });
  }
  const std::string listing = "ListStateMachineAliases " + arn;
  std::string after;
  if (call.input.get("nextToken").is_string()) {
    Result<std::string> cursor = read_page_token(listing, text_member(call.input, "nextToken"));
    if (!cursor) return reply(cursor.error());
    after = *std::move(cursor);
  }
  const std::size_t limit = page_size_of(call.input);
  std::vector<json::Value> items;
  std::string last, next;
  for (const AliasRecord& alias : aliases) {
    if (alias.name <= after) continue;
    if (items.size() == limit) {
      next = make_page_token(listing, last);
      break;
    }
    last = alias.name;
    items.push_back(json::Value::object(
        {{"stateMachineAliasArn", alias.arn}, {"creationDate", epoch_seconds(alias.created_at)}}));
  }
  json::ObjectBuilder out;
  out.append("stateMachineAliases", json::Value::array(std::move(items)));
  if (!next.empty()) out.append("nextToken", next);
  reply(out.build());
}

}  // namespace sortie::api
