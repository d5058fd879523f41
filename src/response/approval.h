#pragma once
// An Approval is one question to people: may this task go on? It is made from a waiting attempt, shows
// exactly what will happen (title, description, plan, everything the message said), and carries a snapshot of
// the policy that decides it. `plan_hash` is the SHA-256 of the canonical JSON of all that people see: who
// submits it with a decision proves what was read.
//
// Life: PENDING, then exactly one of APPROVED, REJECTED, EXPIRED (nobody decided in time), CANCELLED (nobody
// waits any more: the execution was stopped or went on without it) or SUPERSEDED (a retry of the same state
// asks anew). Ends are final.
//
// The task token is part of the record, because the answer needs it, and of nothing that is shown.
#include <optional>
#include <string>
#include <vector>

#include "base/actor.h"
#include "base/result.h"
#include "base/time.h"
#include "json/value.h"
#include "response/policy.h"
#include "runtime/runtime.h"

namespace sortie::response {

inline constexpr std::size_t kTitleBytesMax = 300;
inline constexpr std::size_t kDescriptionBytesMax = 8 * 1024;

enum class ApprovalStatus { kPending, kApproved, kRejected, kExpired, kCancelled, kSuperseded };
std::string_view status_name(ApprovalStatus status);  // "PENDING", ...
std::optional<ApprovalStatus> parse_status(std::string_view name);

struct Vote {
  std::string person;
  bool approve = false;
  std::string reason;
  Timestamp at;
  std::string channel;
};

struct Decision {
  std::string outcome;  // "approved", "rejected", "expired"
  std::string by;       // Names, comma-separated where a quorum decided; empty when it expired.
  std::string reason;
  Timestamp at;
  std::string channel;
};

struct Approval {
  std::string id;
  runtime::AttemptKey key;
  std::string task_token;
  std::string execution_arn, state_machine_arn, execution_name, state_name, queue;
  std::string title, description;
  json::Value plan;     // Always an array: what will happen, item by item.
  json::Value details;  // The rest of the message, an object.
  std::string plan_hash;
  Policy policy;
  Actor initiator;
  Timestamp requested_at, expires_at;
  Timestamp deadline = kNever;  // When the task itself times out.
  std::vector<Vote> votes;
  ApprovalStatus status = ApprovalStatus::kPending;
  std::optional<Decision> decision;
  std::string note;  // Why it was cancelled or what superseded it.
};

// From the attempt alone, so that a repeated dispatch finds the approval that exists.
std::string approval_id(const runtime::AttemptKey& key);

// What a task asks. `message` is the MessageBody: an object (or the JSON text of one) with title,
// description, plan, and whatever else people should see; other text becomes the description. The task token
// is cut out.
Approval make_approval(const runtime::TaskOrder& order, std::string_view queue, const json::Value& message,
                       const Policy& policy, Timestamp now);

json::Value to_json(const Approval& approval);           // For people: without the token.
std::string to_document(const Approval& approval);       // With it; for the store.
Result<Approval> parse_approval(std::string_view text);  // Reads to_document() back; "StoreCorrupt".

// What the task gets: {"decision","by","reason","at","approval_id","plan_hash"}.
json::Value task_output(const Approval& approval, const Decision& decision);

// A sentence that tells a latecomer how it ended: "Approved by alice at 2026-..: reason".
std::string ending_text(const Approval& approval);

}  // namespace sortie::response
