// Approvals and the audit trail over REST.
#include <algorithm>

#include "api/page_token.h"
#include "api/rest_routes.h"
#include "json/text.h"
#include "response/approvals.h"
#include "response/audit.h"

namespace sortie::api {
namespace {

// The approval, and whether the caller may decide it: what "waiting on me" means.
json::Value approval_json(const response::Approvals& approvals, const response::Approval& approval,
                          const Actor& caller) {
  const std::optional<Error> objection = approvals.objection_to(approval, caller);
  const json::Value you =
      json::Value::object({{"may_decide", !objection.has_value()},
                           {"why_not", objection ? json::Value(objection->message) : json::Value()},
                           {"code", objection ? json::Value(objection->code) : json::Value()}});
  return json::ObjectBuilder(response::to_json(approval)).append("you", you).build();
}

Result<json::Value> list_approvals(const response::Approvals& approvals, const RestCall& call) {
  response::ApprovalQuery query;
  if (std::string status = call.query("status"); !status.empty()) {
    for (char& c : status) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
    query.status = response::parse_status(status);
    if (!query.status) {
      return Error{"InvalidParameter", "'status' is none of an approval's", "",
                   "one of pending, approved, rejected, expired, cancelled, superseded"};
    }
  }
  query.execution_arn = call.query("execution");
  SORTIE_TRY(const std::uint64_t limit, query_number(call, "limit", 100, 1, 1000));
  const std::string listing = "approvals " + call.query("status") + " " + query.execution_arn;
  if (const std::string cursor = call.query("cursor"); !cursor.empty()) {
    SORTIE_TRY(query.before_id, read_page_token(listing, cursor));
  }
  query.limit = limit + 1;
  SORTIE_TRY(const std::vector<response::Approval> found, approvals.list(query));
  std::vector<json::Value> items;
  for (std::size_t i = 0; i < std::min<std::size_t>(found.size(), limit); ++i) {
    items.push_back(approval_json(approvals, found[i], call.actor));
  }
  json::Value next;
  if (found.size() > limit) next = make_page_token(listing, found[limit - 1].id);
  return json::Value::object({{"approvals", json::Value::array(std::move(items))}, {"next", next}});
}

Result<json::Value> show_approval(const response::Approvals& approvals, const RestCall& call) {
  SORTIE_TRY(const response::Approval approval, approvals.find(call.parameter("id")));
  return approval_json(approvals, approval, call.actor);
}

Result<response::DecideRequest> read_decision(const RestCall& call) {
  response::DecideRequest request;
  request.id = call.parameter("id");
  request.actor = call.actor;
  request.channel = call.actor.channel;
  SORTIE_TRY(const std::string decision, body_text(call, "decision", true));
  request.approve = decision == "approve" || decision == "approved";
  if (!request.approve && decision != "reject" && decision != "rejected") {
    return Error{"InvalidParameter", "'decision' has to be approve or reject", "", ""};
  }
  SORTIE_TRY(request.reason, body_text(call, "reason", false));
  SORTIE_TRY(const std::string hash, body_text(call, "plan_hash", false));
  if (!hash.empty()) request.plan_hash = hash;
  return request;
}

void decide(response::Approvals& approvals, const RestCall& call) {
  Result<response::DecideRequest> request = read_decision(call);
  if (!request) return answer(call.responder, request.error());
  approvals.decide(*std::move(request), [&approvals, actor = call.actor,
                                         responder = call.responder](Result<response::Approval> done) {
    answer(responder, done ? Result<json::Value>(approval_json(approvals, *done, actor)) : done.error());
  });
}

Result<json::Value> query_audit(const response::Audit& audit, const RestCall& call) {
  response::AuditQuery query;
  query.actor = call.query("actor");
  query.action = call.query("action");
  query.subject = call.query("subject");
  query.text = call.query("text");
  SORTIE_TRY(query.from, query_time(call, "from", query.from));
  SORTIE_TRY(query.before, query_time(call, "before", query.before));
  SORTIE_TRY(const std::uint64_t limit, query_number(call, "limit", 100, 1, 1000));
  const std::string listing = "audit " + query.actor + " " + query.action + " " + query.subject + " " +
                              query.text + " " + call.query("from") + " " + call.query("before");
  if (const std::string cursor = call.query("cursor"); !cursor.empty()) {
    SORTIE_TRY(query.before_sequence, read_page_number(listing, cursor));
  }
  query.limit = limit + 1;
  SORTIE_TRY(const std::vector<response::AuditEntry> entries, audit.query(query));
  std::vector<json::Value> items;
  for (std::size_t i = 0; i < std::min<std::size_t>(entries.size(), limit); ++i) {
    items.push_back(response::to_json(entries[i]));
  }
  json::Value next;
  if (entries.size() > limit) next = make_page_token(listing, std::to_string(entries[limit - 1].sequence));
  return json::Value::object({{"entries", json::Value::array(std::move(items))}, {"next", next}});
}

void export_audit(const response::Audit& audit, const RestCall& call) {
  const Result<std::uint64_t> after = query_number(call, "after", 0, 0, INT64_MAX);
  const Result<std::uint64_t> limit = query_number(call, "limit", 1000, 1, 10'000);
  if (!after || !limit) return answer(call.responder, after ? limit.error() : after.error());
  io::HttpResponse response;
  const Result<std::uint64_t> next = audit.export_lines(*after, *limit, response.body);
  if (!next) return answer(call.responder, next.error());
  response.headers.set("Content-Type", "application/jsonl");
  response.headers.set("Cache-Control", "no-store");
  response.headers.set("X-Sortie-Next", std::to_string(*next));
  call.responder->send(std::move(response));
}

}  // namespace

void add_approval_routes(RestDoor& door, const RestServices& services) {
  response::Approvals* approvals = services.approvals;
  if (approvals == nullptr) return;
  door.add("GET", "/v1/approvals",
           [approvals](const RestCall& call) { answer(call.responder, list_approvals(*approvals, call)); });
  door.add("GET", "/v1/approvals/{id}",
           [approvals](const RestCall& call) { answer(call.responder, show_approval(*approvals, call)); });
  door.add("POST", "/v1/approvals/{id}/decision",
           [approvals](const RestCall& call) { decide(*approvals, call); });
}

void add_audit_routes(RestDoor& door, const RestServices& services) {
  response::Audit* audit = services.audit;
  if (audit == nullptr) return;
  door.add("GET", "/v1/audit",
           [audit](const RestCall& call) { answer(call.responder, query_audit(*audit, call)); });
  door.add("GET", "/v1/audit/export", [audit](const RestCall& call) { export_audit(*audit, call); });
}

}  // namespace sortie::api
