#include "response/approval.h"

#include <algorithm>
#include <array>

#include "base/hash.h"
#include "base/text.h"
#include "json/members.h"
#include "json/text.h"
#include "response/canonical.h"

namespace sortie::response {
namespace approval_record {

constexpr std::array<std::string_view, 6> kStatusNames = {"PENDING", "APPROVED",  "REJECTED",
                                                          "EXPIRED", "CANCELLED", "SUPERSEDED"};
constexpr std::string_view kTokenMark = "(task token)";

Timestamp time_of(const json::Value& object, std::string_view name) {
  const json::Value& value = object.get(name);
  return {value.is_integer() ? value.as_integer() : 0};
}

std::string bounded(std::string_view text, std::size_t bytes_max) {
  if (text.size() <= bytes_max) return std::string(text);
  return std::string(truncate_utf8(text, bytes_max - 3)) + "...";
}

// The token must not be read by whoever may look at approvals. Depth is bounded by the state size limit's
// parser, so recursion is.
json::Value without_token(const json::Value& value, std::string_view token) {
  if (value.is_string()) {
    if (value.as_string().find(token) == std::string_view::npos) return value;
    return replace_all(value.as_string(), token, kTokenMark);
  }
  if (value.is_array()) {
    std::vector<json::Value> items;
    for (const json::Value& item : value.items()) items.push_back(without_token(item, token));
    return json::Value::array(std::move(items));
  }
  if (!value.is_object()) return value;
  json::ObjectBuilder object;
  for (const json::Member& member : value.members()) {
    const bool is_token = member.value.is_string() && member.value.as_string() == token;
    if (is_token) continue;
    object.append(replace_all(member.key.as_string(), token, kTokenMark), without_token(member.value, token));
  }
  return object.build();
}

// Takes the first of some spellings out of the message, if it is text.
std::string take_text(json::Value& message, std::initializer_list<std::string_view> names) {
  for (const std::string_view name : names) {
    const json::Value value = message.get(name);
    if (!value.is_string() || value.as_string().empty()) continue;
    message = json::ObjectBuilder(message).erase(name).build();
    return value.to_std_string();
  }
  return "";
}

void read_message(const json::Value& given, std::string_view token, Approval& approval) {
  json::Value message = given;
  if (message.is_string()) {
    const Result<json::Value> parsed = json::parse(message.as_string());
    if (parsed.ok() && parsed->is_object()) message = *parsed;
  }
  if (!token.empty()) message = without_token(message, token);
  if (!message.is_object()) {
    approval.description = message.is_string() ? message.to_std_string() : json::to_text(message);
    message = json::Value::object({});
  }
  approval.title = take_text(message, {"title", "Title"});
  if (approval.description.empty()) {
    approval.description = take_text(message, {"description", "Description", "message", "Message"});
  }
  json::Value plan = message.has("plan") ? message.get("plan") : message.get("Plan");
  message = json::ObjectBuilder(message).erase("plan").erase("Plan").build();
  if (plan.is_null()) plan = json::Value::array({});
  approval.plan = plan.is_array() ? plan : json::Value::array({plan});
  approval.details = message;
}

// All that a person sees and agrees to; RFC 8785 makes one text of it.
std::string hash_of(const Approval& approval) {
  return canonical_sha256(json::Value::object({{"execution", approval.execution_arn},
                                               {"state", approval.state_name},
                                               {"entry", static_cast<std::int64_t>(approval.key.entry)},
                                               {"attempt", static_cast<std::int64_t>(approval.key.attempt)},
                                               {"title", approval.title},
                                               {"description", approval.description},
                                               {"plan", approval.plan},
                                               {"details", approval.details},
                                               {"policy", to_json(approval.policy)},
                                               {"expires_at", to_iso8601(approval.expires_at)}}));
}

json::Value votes_to_json(const std::vector<Vote>& votes, bool for_people) {
  std::vector<json::Value> items;
  for (const Vote& vote : votes) {
    json::ObjectBuilder item;
    item.append("person", vote.person).append("vote", vote.approve ? "approve" : "reject");
    item.append("reason", vote.reason).append("channel", vote.channel);
    if (for_people) {
      item.append("at", to_iso8601(vote.at));
    } else {
      item.append("at_ms", vote.at.ms);
    }
    items.push_back(item.build());
  }
  return json::Value::array(std::move(items));
}

json::Value decision_to_json(const std::optional<Decision>& decision, bool for_people) {
  if (!decision) return {};
  json::ObjectBuilder object;
  object.append("decision", decision->outcome);
  object.append("by", decision->by.empty() ? json::Value() : json::Value(decision->by));
  object.append("reason", decision->reason).append("channel", decision->channel);
  if (for_people) {
    object.append("at", to_iso8601(decision->at));
  } else {
    object.append("at_ms", decision->at.ms);
  }
  return object.build();
}

json::Value actor_to_json(const Actor& actor) {
  return json::Value::object({{"actor", to_text(actor)},
                              {"account", actor.account},
                              {"channel", actor.channel},
                              {"on_behalf_of", actor.on_behalf_of}});
}

Actor actor_from_json(const json::Value& value) {
  Actor actor = parse_actor(json::text_member(value, "actor"));
  actor.account = json::text_member(value, "account");
  actor.channel = json::text_member(value, "channel");
  actor.on_behalf_of = json::text_member(value, "on_behalf_of");
  return actor;
}

// The members that people and the store share.
json::ObjectBuilder common_members(const Approval& approval) {
  json::ObjectBuilder object;
  object.append("id", approval.id).append("status", status_name(approval.status));
  object.append("title", approval.title).append("description", approval.description);
  object.append("execution_arn", approval.execution_arn);
  object.append("state_machine_arn", approval.state_machine_arn);
  object.append("execution_name", approval.execution_name).append("state", approval.state_name);
  object.append("attempt", static_cast<std::int64_t>(approval.key.attempt)).append("queue", approval.queue);
  object.append("plan", approval.plan).append("details", approval.details);
  object.append("plan_hash", approval.plan_hash).append("policy", to_json(approval.policy));
  object.append("note", approval.note);
  return object;
}

void read_votes(const json::Value& value, std::vector<Vote>& votes) {
  for (const json::Value& item : value.items()) {
    votes.push_back({json::text_member(item, "person"), json::text_member(item, "vote") == "approve",
                     json::text_member(item, "reason"), time_of(item, "at_ms"),
                     json::text_member(item, "channel")});
  }
}

}  // namespace approval_record

std::string_view status_name(ApprovalStatus status) {
  return approval_record::kStatusNames[static_cast<std::size_t>(status)];
}

std::optional<ApprovalStatus> parse_status(std::string_view name) {
  for (std::size_t i = 0; i < approval_record::kStatusNames.size(); ++i) {
    if (equals_ignore_case_ascii(approval_record::kStatusNames[i], name))
      return static_cast<ApprovalStatus>(i);
  }
  return std::nullopt;
}

std::string approval_id(const runtime::AttemptKey& key) {
  const std::string text = std::to_string(key.execution) + "." + std::to_string(key.frame) + "." +
                           std::to_string(key.entry) + "." + std::to_string(key.attempt);
  return "ap-" + sha256_hex("sortie approval " + text).substr(0, 16);
}

Approval make_approval(const runtime::TaskOrder& order, std::string_view queue, const json::Value& message,
                       const Policy& policy, Timestamp now) {
  Approval approval;
  approval.id = approval_id(order.key);
  approval.key = order.key;
  approval.task_token = order.task_token;
  approval.execution_arn = order.origin->execution_arn;
  approval.state_machine_arn = order.origin->state_machine_arn;
  approval.execution_name = order.origin->execution_name;
  approval.state_name = *order.state_name;
  approval.queue = std::string(queue);
  approval_record::read_message(message, order.task_token, approval);
  if (approval.title.empty()) {
    const std::string& arn = order.origin->state_machine_arn;
    approval.title = *order.state_name + " of " + arn.substr(arn.rfind(':') + 1);
  }
  approval.title = approval_record::bounded(approval.title, kTitleBytesMax);
  approval.description = approval_record::bounded(approval.description, kDescriptionBytesMax);
  approval.policy = policy;
  approval.initiator = order.origin->actor;
  approval.requested_at = now;
  approval.deadline = order.deadline;
  approval.expires_at = std::min(now.plus_ms(policy.expires_after_ms), order.deadline);
  approval.plan_hash = approval_record::hash_of(approval);
  return approval;
}

json::Value to_json(const Approval& approval) {
  json::ObjectBuilder object = approval_record::common_members(approval);
  object.append("initiator", to_text(approval.initiator));
  object.append("initiator_person", approval.initiator.person().empty()
                                        ? json::Value()
                                        : json::Value(approval.initiator.person()));
  object.append("requested_at", to_iso8601(approval.requested_at));
  object.append("expires_at", to_iso8601(approval.expires_at));
  object.append("votes", approval_record::votes_to_json(approval.votes, true));
  object.append("decision", approval_record::decision_to_json(approval.decision, true));
  return object.build();
}

std::string to_document(const Approval& approval) {
  json::ObjectBuilder object = approval_record::common_members(approval);
  object.append("execution_no", approval.key.execution);
  object.append("frame", static_cast<std::int64_t>(approval.key.frame));
  object.append("entry", static_cast<std::int64_t>(approval.key.entry));
  object.append("task_token", approval.task_token);
  object.append("initiator", approval_record::actor_to_json(approval.initiator));
  object.append("requested_at_ms", approval.requested_at.ms).append("expires_at_ms", approval.expires_at.ms);
  object.append("deadline_ms", approval.deadline.ms);
  object.append("votes", approval_record::votes_to_json(approval.votes, false));
  object.append("decision", approval_record::decision_to_json(approval.decision, false));
  return json::to_text(object.build());
}

Result<Approval> parse_approval(std::string_view text) {
  using approval_record::time_of;
  SORTIE_TRY(const json::Value value, json::parse(text));
  Approval approval;
  approval.id = json::text_member(value, "id");
  const std::optional<ApprovalStatus> status = parse_status(json::text_member(value, "status"));
  if (approval.id.empty() || !status) return Error{"StoreCorrupt", "An approval cannot be read"};
  approval.status = *status;
  const auto number = [&value](std::string_view name) {
    return value.get(name).is_integer() ? value.get(name).as_integer() : 0;
  };
  approval.key = {static_cast<store::ExecutionNo>(number("execution_no")),
                  static_cast<store::FrameNo>(number("frame")), static_cast<std::uint32_t>(number("entry")),
                  static_cast<std::uint32_t>(number("attempt"))};
  approval.task_token = json::text_member(value, "task_token");
  approval.execution_arn = json::text_member(value, "execution_arn");
  approval.state_machine_arn = json::text_member(value, "state_machine_arn");
  approval.execution_name = json::text_member(value, "execution_name");
  approval.state_name = json::text_member(value, "state");
  approval.queue = json::text_member(value, "queue");
  approval.title = json::text_member(value, "title");
  approval.description = json::text_member(value, "description");
  approval.plan = value.get("plan");
  approval.details = value.get("details");
  approval.plan_hash = json::text_member(value, "plan_hash");
  approval.note = json::text_member(value, "note");
  SORTIE_TRY(approval.policy, policy_from_json(value.get("policy")));
  approval.initiator = approval_record::actor_from_json(value.get("initiator"));
  approval.requested_at = time_of(value, "requested_at_ms");
  approval.expires_at = time_of(value, "expires_at_ms");
  approval.deadline = time_of(value, "deadline_ms");
  approval_record::read_votes(value.get("votes"), approval.votes);
  const json::Value& decision = value.get("decision");
  if (decision.is_object()) {
    approval.decision = Decision{json::text_member(decision, "decision"), json::text_member(decision, "by"),
                                 json::text_member(decision, "reason"), time_of(decision, "at_ms"),
                                 json::text_member(decision, "channel")};
  }
  return approval;
}

json::Value task_output(const Approval& approval, const Decision& decision) {
  return json::Value::object({{"decision", decision.outcome},
                              {"by", decision.by.empty() ? json::Value() : json::Value(decision.by)},
                              {"reason", decision.reason},
                              {"at", to_iso8601(decision.at)},
                              {"approval_id", approval.id},
                              {"plan_hash", approval.plan_hash}});
}

std::string ending_text(const Approval& approval) {
  if (approval.decision && !approval.decision->by.empty()) {
    std::string text = approval.status == ApprovalStatus::kApproved ? "Approved by " : "Rejected by ";
    return text + approval.decision->by + " at " + to_iso8601(approval.decision->at) + ": " +
           approval.decision->reason;
  }
  switch (approval.status) {
    case ApprovalStatus::kPending:
      return "Nobody has decided yet";
    case ApprovalStatus::kExpired:
      return "It expired at " + to_iso8601(approval.expires_at);
    case ApprovalStatus::kSuperseded:
      return "It was superseded: " + approval.note;
    default:
      return "It was cancelled: " + approval.note;
  }
}

}  // namespace sortie::response
