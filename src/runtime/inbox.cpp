#include "runtime/inbox.h"

#include <charconv>

#include "json/members.h"
#include "json/text.h"

namespace sortie::runtime {
namespace inbox {

constexpr std::size_t kShardDigits = 2, kNumberDigits = 20, kSequenceDigits = 20;

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

}  // namespace inbox

std::string_view InboxNote::kind() const {
  const json::Value& name = what.get("kind");
  return name.is_string() ? std::string_view(name.as_string()) : std::string_view();
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

json::Value start_note() { return json::Value::object({{"kind", "start"}}); }

json::Value stop_note(const std::string& error, const std::string& cause) {
  return json::Value::object({{"kind", "stop"}, {"error", error}, {"cause", cause}});
}

json::Value redrive_note(const std::string& token) {
  return json::Value::object({{"kind", "redrive"}, {"token", token}});
}

json::Value result_note(const engine::Stimulus& stimulus) {
  if (const auto* submitted = std::get_if<engine::TaskSubmitted>(&stimulus)) {
    return inbox::of_attempt("submitted", submitted->attempt).append("output", submitted->output).build();
  }
  if (const auto* succeeded = std::get_if<engine::TaskSucceeded>(&stimulus)) {
    return inbox::of_attempt("succeeded", succeeded->attempt).append("output", succeeded->output).build();
  }
  const auto& failed = std::get<engine::TaskFailed>(stimulus);
  return inbox::of_attempt("failed", failed.attempt)
      .append("error", failed.error)
      .append("cause", failed.cause)
      .build();
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
  return std::nullopt;
}

std::optional<AttemptKey> attempt_of(store::ExecutionNo no, const engine::Stimulus& stimulus) {
  const auto key = [no](const engine::AttemptId& id) {
    return AttemptKey{no, id.frame, id.entry, id.attempt};
  };
  if (const auto* each = std::get_if<engine::TaskSubmitted>(&stimulus)) return key(each->attempt);
  if (const auto* each = std::get_if<engine::TaskSucceeded>(&stimulus)) return key(each->attempt);
  if (const auto* each = std::get_if<engine::TaskFailed>(&stimulus)) return key(each->attempt);
  return std::nullopt;
}

}  // namespace sortie::runtime
