#include "response/audit.h"

#include "base/text.h"
#include "json/members.h"
#include "json/text.h"

namespace sortie::response {
namespace {

// Log lines are valid UTF-8 and bounded, whatever a client sent.
std::string bounded_text(std::string_view text, std::size_t bytes_max) {
  std::string valid = to_valid_utf8(text);
  if (valid.size() <= bytes_max) return valid;
  return std::string(truncate_utf8(valid, bytes_max)) + "...";
}

}  // namespace

store::Batch Lease::batch() const {
  store::Batch batch;
  batch.shard = shard;
  batch.epoch = epoch;
  return batch;
}

json::Value to_json(const AuditEntry& entry) {
  json::ObjectBuilder object;
  if (entry.sequence != 0) object.append("sequence", entry.sequence);
  object.append("time", to_iso8601(entry.time)).append("actor", to_text(entry.actor));
  if (!entry.actor.account.empty()) object.append("account", entry.actor.account);
  if (!entry.actor.on_behalf_of.empty()) object.append("on_behalf_of", entry.actor.on_behalf_of);
  object.append("channel", entry.channel.empty() ? entry.actor.channel : entry.channel);
  object.append("action", entry.action).append("subject", entry.subject).append("outcome", entry.outcome);
  object.append("reason", entry.reason);
  object.append("details", entry.details.is_null() ? json::Value::object({}) : entry.details);
  return object.build();
}

Result<AuditEntry> parse_audit_line(const store::LogLine& line) {
  SORTIE_TRY(const json::Value body, json::parse(line.body));
  if (!body.is_object()) return Error{"StoreCorrupt", "An audit line is no JSON object"};
  AuditEntry entry;
  entry.time = line.time;
  entry.actor = parse_actor(json::text_member(body, "actor"));
  entry.actor.account = json::text_member(body, "account");
  entry.actor.on_behalf_of = json::text_member(body, "on_behalf_of");
  entry.channel = entry.actor.channel = json::text_member(body, "channel");
  entry.action = json::text_member(body, "action");
  entry.subject = json::text_member(body, "subject");
  entry.outcome = json::text_member(body, "outcome");
  entry.reason = json::text_member(body, "reason");
  entry.details = body.get("details");
  entry.sequence = line.sequence;
  return entry;
}

Audit::Audit(Clock& clock, store::Store& store, Lease lease) : clock_(clock), store_(store), lease_(lease) {}

store::LogLine Audit::line(AuditEntry entry) const {
  if (entry.time.ms == 0) entry.time = clock_.now();
  entry.reason = bounded_text(entry.reason, kAuditReasonBytesMax);
  entry.subject = bounded_text(entry.subject, 1024);
  const std::string details = json::to_text(entry.details);
  if (details.size() > kAuditDetailsBytesMax) {
    entry.details = json::Value::object({{"truncated", bounded_text(details, kAuditDetailsBytesMax / 2)}});
  }
  store::LogLine line;
  line.stream = std::string(kAuditStream);
  line.time = entry.time;
  line.source = to_text(entry.actor);
  line.type = entry.action;
  line.subject = entry.subject;
  line.body = json::to_text(to_json(entry));
  return line;
}

void Audit::record(AuditEntry entry, std::function<void(Status)> done) {
  store::Batch batch = lease_.batch();
  batch.log.push_back(line(std::move(entry)));
  store_.append(std::move(batch), [done = std::move(done)](Status status) {
    if (done) done(std::move(status));
  });
}

Result<std::vector<AuditEntry>> Audit::query(const AuditQuery& query) const {
  store::LogQuery lines;
  lines.stream = std::string(kAuditStream);
  lines.source = query.actor;
  lines.type = query.action;
  lines.subject = query.subject;
  lines.text = query.text;
  lines.from = query.from;
  lines.before = query.before;
  lines.after_sequence = query.after_sequence;
  lines.before_sequence = query.before_sequence;
  lines.newest_first = query.newest_first;
  lines.limit = query.limit;
  SORTIE_TRY(const std::vector<store::LogLine> found, store_.search_log(lines));
  std::vector<AuditEntry> entries;
  entries.reserve(found.size());
  for (const store::LogLine& line : found) {
    SORTIE_TRY(AuditEntry entry, parse_audit_line(line));
    entries.push_back(std::move(entry));
  }
  return entries;
}

Result<std::uint64_t> Audit::export_lines(std::uint64_t after_sequence, std::size_t limit,
                                          std::string& out) const {
  AuditQuery query;
  query.after_sequence = after_sequence;
  query.newest_first = false;
  query.limit = limit;
  SORTIE_TRY(const std::vector<AuditEntry> entries, this->query(query));
  for (const AuditEntry& entry : entries) {
    json::append_text(out, to_json(entry));
    out += '\n';
    after_sequence = entry.sequence;
  }
  return after_sequence;
}

}  // namespace sortie::response
