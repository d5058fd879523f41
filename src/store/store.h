#pragma once
// Store is where everything durable lives: executions with their frames and history, documents (definitions,
// rules, people, approvals: small things found by kind and key) and append-only logs (events, audit).
//
// Writing. A Batch is one atomic change. `append` queues it and returns at once; `done` runs later on the
// caller's loop, when the batch is durable (or has failed: then nothing of it was written). Batches become
// durable in the order they were appended. Nothing may leave the process (a reply, a command) before `done`.
// Every batch names its shard and the epoch under which the shard was acquired; a stale epoch is refused
// (code "StaleEpoch"), so a node that lost its lease cannot write. If a commit fails for a reason of the
// disk, every batch that was appended before the loop is told fails too, all in order in one callback of the
// loop: they may rest on what was not written; so does what comes behind one that is too much ("StoreBusy").
// The caller reloads what it held in memory; what it appends then is tried.
//
// Reading. Reads are synchronous, may be called from any thread, and see every batch reported durable,
// wherever the store keeps it meanwhile. A read that cannot be answered is an error, never "not found".
//
// Error codes: "StaleEpoch", "StoreFull" (no space), "StoreUnavailable" (I/O error, locked), "StoreCorrupt",
// "StoreTooNew" (written by a later version), "StoreBusy" (too much waits to be written), "LimitExceeded"
// (this change is beyond what the store takes, and will be tomorrow).
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

namespace sortie::store {

using ShardNo = std::uint32_t;
using Epoch = std::uint64_t;
using ExecutionNo = std::uint64_t;  // Local, ascending, never reused; 0 is none.
using FrameNo = std::uint32_t;      // Within an execution; 0 is the top frame.
using PayloadNo = std::uint32_t;    // Within an execution, from 1.

// As Step Functions spells them; its PENDING_REDRIVE is worked out (runtime/map_runs.h), not kept.
enum class ExecutionStatus : std::uint8_t {
  kRunning = 0,
  kSucceeded = 1,
  kFailed = 2,
  kTimedOut = 3,
  kAborted = 4
};

// One per execution, replaced as a whole. `image` is the engine's, opaque here.
struct ExecutionRow {
  ExecutionNo no = 0;
  std::string arn;                // Unique.
  std::string state_machine_arn;  // Without a version or alias.
  std::string name;
  ExecutionStatus status = ExecutionStatus::kRunning;
  Timestamp started_at;
  Timestamp stopped_at;  // 0 while it runs.
  std::string image;
};

struct FrameKey {
  ExecutionNo execution = 0;
  FrameNo frame = 0;
  auto operator<=>(const FrameKey&) const = default;
};

struct FrameRow {
  FrameKey key;
  Timestamp wake_at = kNever;  // When a timer of this frame is due; kNever: none.
  std::string image;
};

// What is read to go on with an execution.
struct LoadedExecution {
  ExecutionRow row;
  std::vector<FrameRow> frames;  // The open ones, ascending.
};

// Consecutive history events of one decision, encoded by the engine.
struct HistoryChunk {
  ExecutionNo execution = 0;
  std::int64_t first_event_id = 0;  // From 1.
  std::int32_t count = 0;
  std::string body;
};

// A large value, stored once, that frames and history refer to by number. Lives as long as its execution.
struct PayloadRow {
  ExecutionNo execution = 0;
  PayloadNo payload = 0;
  std::string body;
};

// What an execution is found by besides its row: its name, and numbers that whoever writes makes up, such as
// hashes of texts (runtime/search_terms.h). They add to those it has, and go with it.
struct TermRow {
  ExecutionNo execution = 0;
  std::string name;  // Empty: nothing is said of its name.
  std::vector<std::uint32_t> terms;
};

struct Document {
  std::string kind;  // e.g. "state_machine", "rule", "approval", "person"
  std::string key;
  std::string value;
};

// One line of an append-only log. `source`, `type` and `subject` are what a search filters on.
struct LogLine {
  std::string stream;  // e.g. "event", "audit"
  Timestamp time;
  std::string source;
  std::string type;
  std::string subject;
  std::string body;
  std::uint64_t sequence = 0;  // Given by the store: ascending over all streams, from 1; 0 when appending.
};

// The members apply in the order in which they stand here: a frame that is in `frames` and in `frames_gone`
// is gone, whatever an execution that is in `ended` has in `frames` goes with the others.
struct Batch {
  ShardNo shard = 0;
  Epoch epoch = 0;
  // Not 0: the epoch that shard 0 must have, too. Names and numbers are its owner's to give, in every shard.
  Epoch leader_epoch = 0;
  std::vector<ExecutionRow> executions;
  std::vector<FrameRow> frames;
  std::vector<FrameKey> frames_gone;
  std::vector<PayloadRow> payloads;
  std::vector<HistoryChunk> history;
  std::vector<TermRow> terms;
  std::vector<ExecutionNo> ended;  // Its frames go; history and payloads stay.
  std::vector<Document> documents;
  std::vector<std::pair<std::string, std::string>> documents_gone;  // kind, key
  std::vector<LogLine> log;

  bool empty() const;
  std::size_t bytes() const;  // About what it takes on disk; for limits and metrics.
};

struct ExecutionQuery {
  std::string state_machine_arn;          // Empty: all.
  std::optional<ExecutionStatus> status;  // Absent: all.
  std::string name_prefix;
  Timestamp started_from{INT64_MIN};
  Timestamp started_before = kNever;
  ExecutionNo before = UINT64_MAX;  // Page cursor: only numbers below it (newest first).
  std::size_t limit = 100;
};

// Which executions have what their TermRows say: all of `terms`, of each any one, and the name. At least one
// of terms, name and rows says something.
struct TermQuery {
  std::vector<std::vector<std::uint32_t>> terms;
  std::string name;  // ASCII case does not matter. Empty: any.
  bool name_is_prefix = false;
  ExecutionNo from = 0, before = UINT64_MAX;  // Only numbers from ... and below ...
  std::size_t limit = 100;
  // Only those whose row is of this machine and has this status, where they are told; of several any.
  struct RowRange {
    std::string state_machine_arn;
    std::optional<ExecutionStatus> status;
  };
  std::vector<RowRange> rows;
};

struct LogQuery {
  std::string stream;
  std::string source;   // Empty: all. A trailing '*' means prefix.
  std::string type;     // The same.
  std::string subject;  // The same.
  std::string text;     // Must occur in the body, ignoring ASCII case. Empty: all.
  Timestamp from{INT64_MIN};
  Timestamp before = kNever;
  std::uint64_t after_sequence = 0;            // Ascending order, only sequences above it...
  std::uint64_t before_sequence = UINT64_MAX;  // ... or only below it when newest_first.
  bool newest_first = true;
  std::size_t limit = 100;
};

struct StatusCounts {
  std::uint64_t by_status[5] = {};  // Indexed by ExecutionStatus.
};

// Hears how many seconds one commit took, its sync included.
using CommitTimer = std::function<void(double seconds)>;

struct StoreFigures {
  std::uint64_t commits = 0;
  std::uint64_t batches = 0;
  std::uint64_t bytes_written = 0;  // Handed to the disk, as far as the store knows.
  std::uint64_t overlay_bytes = 0;  // Held by the journal and not yet in its tables.
  std::uint64_t queued_batches = 0;
  std::uint64_t file_bytes = 0;
};

// The reading half. Every call is one moment of the store, except where a comment says otherwise.
class Reads {
 public:
  virtual ~Reads() = default;

  virtual Result<std::optional<ExecutionRow>> find_execution(std::string_view arn) = 0;
  virtual Result<std::optional<ExecutionRow>> find_execution(ExecutionNo no) = 0;
  virtual Result<std::vector<ExecutionRow>> list_executions(
      const ExecutionQuery& query) = 0;  // Without images.
  // Rows without images in the order of the numbers; what is not there is left out.
  virtual Result<std::vector<ExecutionRow>> find_executions(const std::vector<ExecutionNo>& numbers);
  virtual Result<StatusCounts> count_executions(std::string_view state_machine_arn) = 0;  // Empty: all.
  // How many run of each state machine, by its ARN; those of which none runs are left out.
  virtual Result<std::map<std::string, std::uint64_t>> count_running() = 0;
  virtual Result<ExecutionNo> last_execution_no() = 0;  // 0 when there is none.
  // The numbers of those that a TermQuery describes, newest first. It costs what it finds, not what there is.
  // One that has been deleted may be among them for a while. A store that keeps no TermRows answers
  // "NotSupported".
  virtual Result<std::vector<ExecutionNo>> find_by_terms(const TermQuery&) {
    return Error{"NotSupported", "this store keeps no terms", "", ""};
  }
  virtual bool keeps_terms() const { return false; }

  virtual Result<std::optional<FrameRow>> find_frame(FrameKey key) = 0;
  virtual Result<std::vector<FrameRow>> list_frames(ExecutionNo execution) = 0;  // Ascending.
  // Both at once. Nothing where there is no such execution; no frames where it has ended.
  virtual Result<std::optional<LoadedExecution>> load_execution(ExecutionNo no);
  // Open frames of all executions in key order, from the first key above `after`: what recovery walks.
  virtual Result<std::vector<FrameRow>> scan_frames(FrameKey after, std::size_t limit) = 0;

  // Chunks that hold events first_event_id .. first_event_id + count - 1, ascending; whole chunks.
  virtual Result<std::vector<HistoryChunk>> load_history(ExecutionNo execution, std::int64_t first_event_id,
                                                         std::int64_t count) = 0;
  virtual Result<std::optional<PayloadRow>> find_payload(ExecutionNo execution, PayloadNo payload) = 0;

  virtual Result<std::optional<std::string>> find_document(std::string_view kind, std::string_view key) = 0;
  // In key order, only keys above `after_key`.
  virtual Result<std::vector<Document>> list_documents(std::string_view kind, std::string_view after_key,
                                                       std::size_t limit) = 0;
  virtual Result<std::vector<LogLine>> search_log(const LogQuery& query) = 0;

  // Every invariant of the store's own structure that does not hold, one sentence each; empty: all hold.
  virtual Result<std::vector<std::string>> check() = 0;
};

class Store : public Reads {
 public:
  using Done = std::function<void(Status)>;

  // Makes this process the owner of the shard: earlier epochs are refused from now on.
  virtual Result<Epoch> acquire(ShardNo shard) = 0;
  virtual void append(Batch batch, Done done) = 0;

  // Deletes ended executions that stopped before `time`, and log lines of `stream` older than it, at most
  // `limit` of them; answers how many went. Retention calls it in small steps, and not on the loop's thread:
  // it waits for the disk.
  virtual Result<std::size_t> delete_ended_before(Timestamp time, std::size_t limit) = 0;
  virtual Result<std::size_t> delete_log_before(std::string_view stream, Timestamp time,
                                                std::size_t limit) = 0;

  // A consistent copy while running.
  virtual Status backup(const std::string& file) = 0;
  virtual StoreFigures figures() = 0;
};

}  // namespace sortie::store
