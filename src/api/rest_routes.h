#pragma once
// The routes of the REST API, one group a file. What a server does not have (functions, people, ...) stays
// null, and its routes are not there.
//
//   GET  /v1/executions?q=&status=&state_machine=&name=&limit=&cursor=    {"executions": [...], "next":
//   cursor|null, "looked_at": rows, "reached": time};
//        `q` is the search language of execution_search.h; a page may hold fewer than `limit`, even none,
//        where a search has to look at many: `reached` says how far back it came
//   GET  /v1/executions/counts?state_machine=                             {"counts": {"RUNNING": ..,
//   "WAITING": ..}} POST /v1/executions {playbook, input, name}                           201 {"arn", "name",
//   "started_at"} GET  /v1/executions/{arn}?wait=SECONDS                                one; with wait: when
//   it ends, at the latest then GET  /v1/executions/{arn}/history?from=&limit=&reverse=true {"events": [...],
//   "next": id|null};
//        view=compact: arrays without payloads; ids=1,5,9: these events
//   GET  /v1/executions/{arn}/map-runs                                   {"map_runs": [{"arn", "items":
//   {..}}]} GET  /v1/executions/{arn}/definition, /explain                        what it runs on; {"status",
//   "waiting": [...]} POST /v1/executions/{arn}/stop {reason}                               {"stopped_at"}
//   POST /v1/executions/{arn}/redrive                                     {"arn", "redriven_at"}
//   GET  /v1/stream                                                       server-sent events, see stream.h
//   GET  /v1/playbooks, /v1/playbooks/{name}?version=, /v1/playbooks/{name}/versions; POST
//   /v1/playbooks/{name} {definition, role_arn} GET  /v1/functions,
//   /v1/functions/{name}/logs?since=&request_id=; POST /v1/functions/{name}/invoke {payload} GET
//   /v1/approvals?status=&execution=&limit=&cursor=, /v1/approvals/{id}; each with "you": may the caller
//   decide? POST /v1/approvals/{id}/decision {decision: approve|reject, reason, plan_hash} GET /v1/whoami;
//   GET, POST /v1/people; DELETE /v1/people/{name}; POST /v1/people/{name}/groups, /token,
//        /login-link; GET /v1/people/{name}/keys
//   GET  /v1/audit?actor=&action=&subject=&text=&from=&before=&limit=&cursor=
//   GET  /v1/views; POST /v1/views/{name} {q, shared}; DELETE /v1/views/{person}/{name}   saved searches
//   GET  /v1/audit/export?after=&limit=                                   JSON Lines; X-Sortie-Next is the
//   next `after`
#include <functional>
#include <memory>
#include <string>

#include "api/rest.h"
#include "api/states_api.h"
#include "api/stream.h"
#include "base/clock.h"
#include "runtime/runtime.h"
#include "store/store.h"

namespace sortie::response {
class Approvals;
class Audit;
class People;
}  // namespace sortie::response
namespace sortie::functions {
class FunctionService;
}  // namespace sortie::functions

namespace sortie::api {

struct RestServices {
  Loop& loop;
  runtime::Runtime& runtime;
  store::Store& store;
  StatesApi& states;
  StreamHub& stream;
  std::string region;
  response::Approvals* approvals = nullptr;
  response::People* people = nullptr;
  response::Audit* audit = nullptr;
  functions::FunctionService* functions = nullptr;
  // What a published playbook gets before it is put in force (defaults.retry); unset: nothing.
  std::function<std::string(const std::string& definition)> complete_definition;
};

// Everything that the services allow.
void add_rest_routes(RestDoor& door, const RestServices& services);

// rest_execution_list.cpp
Result<json::Value> list_executions(const RestServices& services, const RestCall& call);
Result<json::Value> count_executions(const RestServices& services, const RestCall& call);
Result<json::Value> list_map_runs(const RestServices& services, const RestCall& call);

void add_execution_routes(RestDoor& door, const RestServices& services);
void add_stream_route(RestDoor& door, const RestServices& services);
void add_playbook_routes(RestDoor& door, const RestServices& services);
void add_function_routes(RestDoor& door, const RestServices& services);
void add_approval_routes(RestDoor& door, const RestServices& services);
void add_people_routes(RestDoor& door, const RestServices& services);
void add_audit_routes(RestDoor& door, const RestServices& services);
void add_view_routes(RestDoor& door, const RestServices& services);

// A Step Functions call on behalf of a REST caller.
AwsCall states_call(const RestCall& call, std::string operation, json::Value input);
// ARN of a playbook that is named, or given as an ARN.
std::string playbook_arn(const RestCall& call, const std::string& region, const std::string& name_or_arn);
// Nothing where `time` is none.
json::Value time_json(Timestamp time);

}  // namespace sortie::api
