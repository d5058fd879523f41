#pragma once
// The audit trail: an append-only log (stream "audit" of the store) of who decided, was refused, used a task
// token, or changed a definition, a policy or a person. Nothing in it is ever changed; retention alone ends
// it.
//
// A record belongs into the transaction it tells about: other floors take `line(entry)` and put it into their
// own batch. Where there is nothing else to write (a refusal), `record` writes a batch of its own. Secrets
// (tokens, keys) never go into an entry; texts are cut to limits, so that nobody can fill the log with one
// call.
//
// As a log line: type = action, source = actor ("person:alice"), subject = what it was done to, body = the
// entry as JSON. Export is JSON Lines, oldest first, one entry a line with its sequence number.
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/actor.h"
#include "base/clock.h"
#include "base/result.h"
#include "json/value.h"
#include "store/store.h"

namespace sortie::response {

inline constexpr std::size_t kAuditReasonBytesMax = 8 * 1024;
inline constexpr std::size_t kAuditDetailsBytesMax = 32 * 1024;
inline constexpr std::string_view kAuditStream = "audit";

// Under which shard and epoch this floor writes its own batches; handed out by whoever acquired the shard.
struct Lease {
  store::ShardNo shard = 0;
  store::Epoch epoch = 0;
  store::Batch batch() const;
};

struct AuditEntry {
  Timestamp time;              // 0: now.
  Actor actor;                 // channel "" is shown as the entry's channel.
  std::string channel;         // "api", "cli", "console", "slack", "project", "system"
  std::string action;          // "approval.decide", "token.use", "state_machine.update", "person.add", ...
  std::string subject;         // Approval id, ARN, name.
  std::string outcome;         // "done", "refused", "failed"
  std::string reason;          // In people's words; for a refusal why it was refused.
  json::Value details;         // An object, or null.
  std::uint64_t sequence = 0;  // Given by the store.
};

struct AuditQuery {
  std::string actor;  // "person:alice"; a trailing '*' means prefix. Empty: all. The same for the next two.
  std::string action;
  std::string subject;
  std::string text;
  Timestamp from{INT64_MIN};
  Timestamp before = kNever;
  std::uint64_t after_sequence = 0;
  std::uint64_t before_sequence = UINT64_MAX;
  bool newest_first = true;
  std::size_t limit = 100;
};

json::Value to_json(const AuditEntry& entry);
// Errors: "StoreCorrupt" for a line that is no audit entry.
Result<AuditEntry> parse_audit_line(const store::LogLine& line);

class Audit {
 public:
  Audit(Clock& clock, store::Store& store, Lease lease);

  // A log line to be written in the caller's own batch.
  store::LogLine line(AuditEntry entry) const;
  // A batch of its own; `done` may be empty (a refusal is answered whether or not the disk works).
  void record(AuditEntry entry, std::function<void(Status)> done = {});

  Result<std::vector<AuditEntry>> query(const AuditQuery& query) const;
  // Appends up to `limit` entries above `after_sequence` to `out` as JSON Lines, oldest first. Answers the
  // sequence to go on from; the same as given when there was nothing more.
  Result<std::uint64_t> export_lines(std::uint64_t after_sequence, std::size_t limit, std::string& out) const;

  const Lease& lease() const { return lease_; }
  // The shard was acquired after this was made.
  void set_lease(Lease lease) { lease_ = lease; }
  Clock& clock() const { return clock_; }

 private:
  Clock& clock_;
  store::Store& store_;
  Lease lease_;
};

}  // namespace sortie::response
