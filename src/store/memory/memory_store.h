#pragma once
// A store that keeps everything in memory, for simulation and tests: the same promises as the others, under
// the same contract suite. A batch becomes durable when the loop runs the commit; "durable" means it is in
// the image that outlives the store, as a disk outlives a process.
//
// The simulation decides what happens to each commit through `MemoryFaults`: it may be late, fail as a full
// or failing disk does, or the process may die just before or after it. After a crash the store is dead:
// queued batches are lost, no `done` runs, reads fail. A new MemoryStore made from the image goes on where
// the disk was.
//
// Reads may come from any thread; the loop's own thread runs the commits.
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <utility>

#include "base/clock.h"
#include "store/store.h"

namespace sortie::store {

// What is durable. A value: copying it is copying the disk.
struct MemoryImage {
  std::map<ExecutionNo, ExecutionRow> executions;
  std::map<std::string, ExecutionNo, std::less<>> by_arn;
  std::map<FrameKey, FrameRow> frames;
  std::map<std::pair<ExecutionNo, std::int64_t>, HistoryChunk> history;  // By first event id.
  std::map<std::pair<ExecutionNo, PayloadNo>, std::string> payloads;
  std::map<ExecutionNo, std::set<std::uint32_t>> terms;
  std::map<ExecutionNo, std::string> term_names;  // As they are compared.
  std::map<std::pair<std::string, std::string>, std::string> documents;
  std::map<std::uint64_t, LogLine> log;
  std::map<ShardNo, Epoch> epochs;
  ExecutionNo last_execution_no = 0;
  std::uint64_t last_log_sequence = 0;
};

enum class CommitFault {
  kNone,
  kStoreFull,         // This batch and all queued behind it fail.
  kStoreUnavailable,  // The same.
  kCrashBefore,       // The process dies; the batch is lost.
  kCrashAfter,        // The process dies; the batch is durable, and nobody was told.
};

struct CommitPlan {
  CommitFault fault = CommitFault::kNone;
  std::int64_t delay_ms = 0;  // Virtual time before it happens; what is queued behind waits, too.
};

struct MemoryFaults {
  std::function<CommitPlan(const Batch&)>
      plan;                        // Asked once for each batch that may be written. Absent: no faults.
  std::function<void()> on_crash;  // The store is dead when this runs, on the loop.
};

class MemoryStore final : public Store {
 public:
  explicit MemoryStore(Loop& loop, MemoryImage image = {}, MemoryFaults faults = {});
  ~MemoryStore() override;

  // The process dies now. What the disk holds.
  MemoryImage crash();
  // A copy of what is durable at this moment.
  MemoryImage image() const;

  Result<Epoch> acquire(ShardNo shard) override;
  void append(Batch batch, Done done) override;
  Result<std::optional<ExecutionRow>> find_execution(std::string_view arn) override;
  Result<std::optional<ExecutionRow>> find_execution(ExecutionNo no) override;
  Result<std::vector<ExecutionRow>> list_executions(const ExecutionQuery& query) override;
  Result<StatusCounts> count_executions(std::string_view state_machine_arn) override;
  Result<std::map<std::string, std::uint64_t>> count_running() override;
  Result<ExecutionNo> last_execution_no() override;
  Result<std::vector<ExecutionNo>> find_by_terms(const TermQuery& query) override;
  bool keeps_terms() const override { return true; }
  Result<std::optional<FrameRow>> find_frame(FrameKey key) override;
  Result<std::vector<FrameRow>> list_frames(ExecutionNo execution) override;
  Result<std::vector<FrameRow>> scan_frames(FrameKey after, std::size_t limit) override;
  Result<std::vector<HistoryChunk>> load_history(ExecutionNo execution, std::int64_t first_event_id,
                                                 std::int64_t count) override;
  Result<std::optional<PayloadRow>> find_payload(ExecutionNo execution, PayloadNo payload) override;
  Result<std::optional<std::string>> find_document(std::string_view kind, std::string_view key) override;
  Result<std::vector<Document>> list_documents(std::string_view kind, std::string_view after_key,
                                               std::size_t limit) override;
  Result<std::vector<LogLine>> search_log(const LogQuery& query) override;
  Result<std::size_t> delete_ended_before(Timestamp time, std::size_t limit) override;
  Result<std::size_t> delete_log_before(std::string_view stream, Timestamp time, std::size_t limit) override;
  Result<std::vector<std::string>> check() override;
  Status backup(const std::string& file) override;  // Always "NotSupported": there is no file format for it.
  StoreFigures figures() override;

 private:
  struct Pending {
    Batch batch;
    Done done;
    std::optional<CommitPlan> plan;
  };
  using Told = std::vector<std::pair<Done, Status>>;

  void schedule(std::int64_t delay_ms);
  void commit_queued();
  bool commit_front(Told* told);  // False: go no further now.
  void fail_queued(const Error& error, Told* told);
  void apply(Batch batch);
  bool is_dead() const;
  Status check_alive() const;  // Under the lock.

  Loop& loop_;
  const MemoryFaults faults_;
  mutable std::mutex mutex_;
  MemoryImage image_;
  std::deque<Pending> queue_;
  bool scheduled_ = false;
  bool dead_ = false;
  StoreFigures figures_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // For callbacks that outlive the store.
};

}  // namespace sortie::store
