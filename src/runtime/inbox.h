#pragma once
// The inbox of a shard: durable notes to whoever owns it, one document each (kind "inbox"), found by shard,
// then execution, then the order in which the leaders wrote them. A note goes in the transaction of the
// decision that it causes.
//
//   start                                       the execution's row is there, it has not begun
//   stop      error, cause
//   redrive   token
//   submitted, succeeded   attempt, output      what the leader carried out, or was told with a task token
//   failed                 attempt, error, cause
//   heartbeat              attempt
//   taken                  attempt, worker      of an activity
//
// A note that asks carries what its sender wants written in that transaction ("with"), and is not applied
// where nobody waits for it any more: then a document of kind "inbox_refused" with its key says so. The
// sender takes it away, or the next leader does.
#include <optional>
#include <string>

#include "base/result.h"
#include "engine/engine.h"
#include "json/value.h"
#include "runtime/runtime.h"
#include "runtime/shard_map.h"
#include "store/store.h"

namespace sortie::runtime {

inline constexpr std::string_view kInboxKind = "inbox";
inline constexpr std::string_view kRefusedKind = "inbox_refused";

struct InboxNote {
  store::ShardNo shard = 0;
  store::ExecutionNo no = 0;
  std::string key;  // Of the document.
  json::Value what;

  std::string_view kind() const;
  bool asks() const;
  // What its sender wants written with the decision.
  store::Batch with() const;
};

std::string inbox_prefix(store::ShardNo shard);
std::string inbox_prefix(store::ShardNo shard, store::ExecutionNo no);
store::Document inbox_document(store::ShardNo shard, store::ExecutionNo no, store::Epoch epoch,
                               std::uint64_t sequence, const json::Value& what);
// Nothing for a document that is no note.
std::optional<InboxNote> read_inbox_note(const store::Document& document);
// Whether a note waits for this execution; an error when the store cannot say.
Result<bool> has_inbox_note(store::Reads& store, store::ShardNo shard, store::ExecutionNo no);
// Whether one waits that ends this attempt, or hands it over.
Result<bool> has_inbox_answer(store::Reads& store, store::ShardNo shard, const AttemptKey& key);

// `is_logged`: its machine's loggingConfiguration is to be looked up.
json::Value start_note(bool is_logged);
json::Value stop_note(const std::string& error, const std::string& cause);
json::Value redrive_note(const std::string& token);
// What a result of an attempt becomes, and what a note (not "start" or "redrive") is for the engine.
json::Value result_note(const engine::Stimulus& stimulus);
json::Value asking_note(const engine::Stimulus& stimulus, const store::Batch& with);
std::optional<engine::Stimulus> stimulus_of(const InboxNote& note);
// Which attempt a result is of; nothing for what is no result.
std::optional<AttemptKey> attempt_of(store::ExecutionNo no, const engine::Stimulus& stimulus);

}  // namespace sortie::runtime
