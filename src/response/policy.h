#pragma once
// Approval policies: who may decide, how many must agree, and what happens when nobody does. They live on the
// server (policies/*.yaml, or under `approvals:` in sortie.yaml), never in a playbook author's hands.
//
//   name: ir-leads
//   quorum: 2                       # how many people must approve (1)
//   from: [group:ir-leads, person:carol]   # who may decide; empty: any person
//   exclude: [initiator]            # whoever started the execution may not decide on it
//   distinct: true                  # one vote a person (true)
//   veto: true                      # one rejection decides (true); false: as many as the quorum
//   expires_after: 4h               # 30s, 15m, 4h, 2d (24h)
//   on_expire: timeout              # the task fails with States.Timeout; or reject: decision "expired"
//   require_plan_hash: false        # a decision must name the hash of the plan that was seen
//   allow_unknown_initiator: false  # with exclude initiator: decide although nobody knows who started it
//
// A policy file holds one policy, a list of them, or {policies: [...]}. An approval keeps a snapshot of its
// policy: later edits do not touch what people already look at. Reading reports every mistake it finds (code
// "InvalidPolicy", place "FILE:LINE:COLUMN", a hint that says what to write) and keeps what is right.
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "json/value.h"
#include "json/yaml.h"

namespace sortie::response {

inline constexpr int kQuorumMax = 100;
inline constexpr std::int64_t kExpiryMsMin = 1'000;
inline constexpr std::int64_t kExpiryMsMax = 365LL * 24 * 3600 * 1000;  // As long as an execution may run.
inline constexpr std::int64_t kExpiryMsDefault = 24LL * 3600 * 1000;

struct Policy {
  enum class OnExpire { kTimeout, kReject };

  std::string name = "default";
  int quorum = 1;
  std::vector<std::string> from;  // "group:NAME" or "person:NAME"; empty: any person.
  bool exclude_initiator = false;
  bool distinct = true;
  bool veto = true;
  std::int64_t expires_after_ms = kExpiryMsDefault;
  OnExpire on_expire = OnExpire::kTimeout;
  bool require_plan_hash = false;
  bool allow_unknown_initiator = false;

  bool operator==(const Policy&) const = default;
};

json::Value to_json(const Policy& policy);
Result<Policy> policy_from_json(const json::Value& value);  // What to_json made.

// A queue whose messages are approvals. `queue` is a name, a URL or an ARN.
struct ApprovalQueue {
  std::string queue;
  std::string policy = "default";
  bool operator==(const ApprovalQueue&) const = default;
};

struct ApprovalConfig {
  std::vector<Policy> policies;
  std::vector<ApprovalQueue> queues;
  std::map<std::string, std::vector<std::string>> groups;  // Group -> people.

  const Policy* find_policy(std::string_view name) const;  // "default" always exists.
};

// Both add to `config` and return what is wrong.
std::vector<Error> read_policy_file(std::string_view text, const std::string& file, ApprovalConfig& config);
// The value at `pointer` ("/approvals") of sortie.yaml: {queues, groups, policies}. Queues are written
// {queue: NAME, policy: NAME}, or just NAME. Absent is fine.
std::vector<Error> read_approvals_section(const json::YamlDocument& document, const std::string& pointer,
                                          const std::string& file, ApprovalConfig& config);
// What only shows when everything is read: a queue whose policy does not exist.
std::vector<Error> check_references(const ApprovalConfig& config, const std::string& file);

std::string duration_text(std::int64_t ms);  // "4h", "90s"

// Whether `queue` (a QueueUrl or an ARN that a task names) is the one that the configuration means: a bare
// name fits by name, a URL or ARN by name and account.
bool queue_matches(std::string_view configured, std::string_view queue);

}  // namespace sortie::response
