#include "runtime/inbox.h"

#include <charconv>

#include "json/members.h"
#include "json/text.h"

namespace sortie::runtime {
namespace inbox {

constexpr std::size_t kShardDigits = 2, kNumberDigits = 20, kSequenceDigits = 20;
constexpr std::size_t kNotesLookedAt = 256;  // Of one execution.

std::string padded(std::uint64_t number, std::size_t digits) {
  const std::string text = std::to_string(number);
  return std::string(digits > text.size() ? digits - text.size() : 0, '0') + text;
}

std::optional<std::uint64_t> number_of(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::uint32_t number_member(const json::Value& value, std::string_view name) {
  const json::Value& found = value.get(name);
  return found.is_integer() ? static_cast<std::uint32_t>(found.as_integer()) : 0;
}

json::ObjectBuilder of_attempt(std::string_view kind, const engine::AttemptId& attempt) {
  json::ObjectBuilder out;
  out.append("kind", std::string(kind));
  out.append("frame", static_cast<std::int64_t>(attempt.frame));
  out.append("entry", static_cast<std::int64_t>(attempt.entry));
  out.append("attempt", static_cast<std::int64_t>(attempt.attempt));
  return out;
}

json::ObjectBuilder of_result(const engine::Stimulus& stimulus) {
  if (const auto* submitted = std::get_if<engine::TaskSubmitted>(&stimulus)) {
    return of_attempt("submitted", submitted->attempt).append("output", submitted->output);
  }
  if (const auto* succeeded = std::get_if<engine::TaskSucceeded>(&stimulus)) {
    return of_attempt("succeeded", succeeded->attempt).append("output", succeeded->output);
  }
  if (const auto* alive = std::get_if<engine::TaskHeartbeat>(&stimulus)) {
    return of_attempt("heartbeat", alive->attempt);
  }
  if (const auto* taken = std::get_if<engine::ActivityTaken>(&stimulus)) {
    return of_attempt("taken", taken->attempt).append("worker", taken->worker_name);
  }
  const auto& failed = std::get<engine::TaskFailed>(stimulus);
  return of_attempt("failed", failed.attempt).append("error", failed.error).append("cause", failed.cause);
}

// Documents and log lines as lists of texts, in the order of their members.
json::Value batch_json(const store::Batch& batch) {
  std::vector<json::Value> documents, gone, log;
  for (const store::Document& each : batch.documents)
    documents.push_back(json::Value::array({each.kind, each.key, each.value}));
  for (const auto& [kind, key] : batch.documents_gone) gone.push_back(json::Value::array({kind, key}));
  for (const store::LogLine& each : batch.log) {
    log.push_back(
        json::Value::array({each.stream, each.time.ms, each.source, each.type, each.subject, each.body}));
  }
  return json::Value::object({{"documents", json::Value::array(std::move(documents))},
                              {"gone", json::Value::array(std::move(gone))},
                              {"log", json::Value::array(std::move(log))}});
}

std::string text_at(const json::Value& list, std::size_t at) {
  return list[at].is_string() ? list[at].to_std_string() : std::string();
}

}  // namespace inbox

std::string_view InboxNote::kind() const {
  const json::Value& name = what.get("kind");
  return name.is_string() ? std::string_view(name.as_string()) : std::string_view();
}

bool InboxNote::asks() const { return what.get("with").is_object(); }

store::Batch InboxNote::with() const {
  store::Batch batch;
  const json::Value& with = what.get("with");
  for (const json::Value& each : with.get("documents").items()) {
    batch.documents.push_back({inbox::text_at(each, 0), inbox::text_at(each, 1), inbox::text_at(each, 2)});
  }
  for (const json::Value& each : with.get("gone").items()) {
    batch.documents_gone.emplace_back(inbox::text_at(each, 0), inbox::text_at(each, 1));
  }
  for (const json::Value& each : with.get("log").items()) {
    const Timestamp time{each[1].is_integer() ? each[1].as_integer() : 0};
    batch.log.push_back({inbox::text_at(each, 0), time, inbox::text_at(each, 2), inbox::text_at(each, 3),
                         inbox::text_at(each, 4), inbox::text_at(each, 5)});
  }
  return batch;
}

std::string inbox_prefix(store::ShardNo shard) { return inbox::padded(shard, inbox::kShardDigits) + "/"; }

std::string inbox_prefix(store::ShardNo shard, store::ExecutionNo no) {
  return inbox_prefix(shard) + inbox::padded(no, inbox::kNumberDigits) + "/";
}

store::Document inbox_document(store::ShardNo shard, store::ExecutionNo no, store::Epoch epoch,
                               std::uint64_t sequence, const json::Value& what) {
  return {std::string(kInboxKind),
          inbox_prefix(shard, no) + inbox::padded(epoch, inbox::kSequenceDigits) + "-" +
              inbox::padded(sequence, inbox::kSequenceDigits),
          json::to_text(what)};
}

std::optional<InboxNote> read_inbox_note(const store::Document& document) {
  const std::string_view key = document.key;
  constexpr std::size_t kPrefix = inbox::kShardDigits + 1 + inbox::kNumberDigits + 1;
  if (document.kind != kInboxKind || key.size() <= kPrefix) return std::nullopt;
  const auto shard = inbox::number_of(key.substr(0, inbox::kShardDigits));
  const auto no = inbox::number_of(key.substr(inbox::kShardDigits + 1, inbox::kNumberDigits));
  Result<json::Value> what = json::parse(document.value);
  if (!shard || !no || !what) return std::nullopt;
  return InboxNote{static_cast<store::ShardNo>(*shard), *no, document.key, *std::move(what)};
}

Result<bool> has_inbox_note(store::Reads& store, store::ShardNo shard, store::ExecutionNo no) {
  const std::string prefix = inbox_prefix(shard, no);
  SORTIE_TRY(const std::vector<store::Document> found, store.list_documents(kInboxKind, prefix, 1));
  return !found.empty() && found.front().key.starts_with(prefix);
}

Result<bool> has_inbox_answer(store::Reads& store, store::ShardNo shard, const AttemptKey& key) {
  const std::string prefix = inbox_prefix(shard, key.execution);
  SORTIE_TRY(const std::vector<store::Document> found,
             store.list_documents(kInboxKind, prefix, inbox::kNotesLookedAt));
  for (const store::Document& document : found) {
    if (!document.key.starts_with(prefix)) break;
    const std::optional<InboxNote> note = read_inbox_note(document);
    const std::optional<engine::Stimulus> stimulus = note ? stimulus_of(*note) : std::nullopt;
    if (stimulus && attempt_of(key.execution, *stimulus) == key) return true;
  }
  return false;
}

json::Value start_note(bool is_logged) {
  return json::Value::object({{"kind", "start"}, {"logged", is_logged}});
}

json::Value stop_note(const std::string& error, const std::string& cause) {
  return json::Value::object({{"kind", "stop"}, {"error", error}, {"cause", cause}});
}

json::Value redrive_note(const std::string& token) {
  return json::Value::object({{"kind", "redrive"}, {"token", token}});
}

json::Value result_note(const engine::Stimulus& stimulus) { return inbox::of_result(stimulus).build(); }

json::Value asking_note(const engine::Stimulus& stimulus, const store::Batch& with) {
  return inbox::of_result(stimulus).append("with", inbox::batch_json(with)).build();
}

std::optional<engine::Stimulus> stimulus_of(const InboxNote& note) {
  const json::Value& what = note.what;
  const engine::AttemptId attempt{inbox::number_member(what, "frame"), inbox::number_member(what, "entry"),
                                  inbox::number_member(what, "attempt")};
  const std::string error = json::text_member(what, "error"), cause = json::text_member(what, "cause");
  if (note.kind() == "stop") return engine::Stop{error, cause};
  if (note.kind() == "submitted") return engine::TaskSubmitted{attempt, what.get("output")};
  if (note.kind() == "succeeded") return engine::TaskSucceeded{attempt, what.get("output")};
  if (note.kind() == "failed") return engine::TaskFailed{attempt, error, cause};
  if (note.kind() == "heartbeat") return engine::TaskHeartbeat{attempt};
  if (note.kind() == "taken") return engine::ActivityTaken{attempt, json::text_member(what, "worker")};
  return std::nullopt;
}

std::optional<AttemptKey> attempt_of(store::ExecutionNo no, const engine::Stimulus& stimulus) {
  const auto key = [no](const engine::AttemptId& id) {
    return AttemptKey{no, id.frame, id.entry, id.attempt};
  };
  if (const auto* each = std::get_if<engine::TaskSubmitted>(&stimulus)) return key(each->attempt);
  if (const auto* each = std::get_if<engine::TaskSucceeded>(&stimulus)) return key(each->attempt);
  if (const auto* each = std::get_if<engine::TaskFailed>(&stimulus)) return key(each->attempt);
  if (const auto* each = std::get_if<engine::ActivityTaken>(&stimulus)) return key(each->attempt);
  return std::nullopt;
}

}  // namespace sortie::runtime
