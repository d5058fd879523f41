#pragma once
// Shard owns executions: it keeps the open ones (or loads them), takes their stimuli in order, lets the
// engine decide, commits, and then lets commands and answers out. One commit of an execution is under way at
// a time; what arrives meanwhile waits in its mailbox and goes into the next one, so grouping comes by
// itself.
//
// After a start it does not read everything before it serves: the open frames are walked in slices, and an
// execution that something reaches earlier is recovered at that moment, so every stimulus finds timers armed
// and attempts in flight dispatched again.
//
// If a commit fails, what the engine decided is thrown away and the execution is loaded again. Senders of
// stimuli that came from outside get the error; what only we know (timers, task results) is kept and tried
// again.
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "runtime/activities.h"
#include "runtime/audit.h"
#include "runtime/definitions.h"
#include "runtime/inbox.h"
#include "runtime/live.h"
#include "runtime/map_runs.h"
#include "runtime/shard_map.h"
#include "runtime/task_token.h"
#include "runtime/term_backfill.h"
#include "runtime/timers.h"

namespace sortie::runtime {

// What failed to be read or written is tried again after this: the disk may need a moment.
inline constexpr std::int64_t kRetryStoreMs = 500;

class Shard {
 public:
  // The same for all shards of a process.
  struct Parts {
    Loop& loop;
    Random& random;
    store::Store& store;
    TaskDispatcher& dispatcher;
    Definitions& definitions;
    Activities& activities;
    const TaskTokens& tokens;
    const Options& options;
    std::string store_id;
    std::function<void(const ExecutionChange&)> changed;
    std::function<void(const std::string& arn)> ended;
  };
  struct Wiring : Parts {
    const ShardMap& map;
    ExecutionNumbers& numbers;
    store::ShardNo no;
    store::Epoch epoch;
  };

  explicit Shard(Wiring wiring);
  ~Shard();

  Status recover();
  // Takes an execution that begins; its Start is the first mail.
  void begin(std::unique_ptr<LiveExecution> live, Mail start);
  // Puts a stimulus into the mailbox of an open execution, loading it if need be. The reply gets
  // "ExecutionDoesNotExist" when it is over.
  void post(store::ExecutionNo no, Mail mail);
  store::ExecutionNo next_no() { return wiring_.numbers.next(wiring_.map, wiring_.no); }
  // For executions that are never written: apart from all others, and different after every restart, so
  // that nothing that is named after them (idempotency keys, task tokens) ever comes twice.
  store::ExecutionNo next_memory_no() {
    return ShardMap::kInMemoryOnly | (epoch_ & 0xFF'FFFF) << 38 | ++last_memory_no_;
  }
  // The number of an execution that has begun but may not be in the store yet; 0: none.
  store::ExecutionNo find_beginning(std::string_view arn) const;
  // Held in memory, and whether a decision or a stimulus of it is under way. One that has ended stays so
  // until its end was told here, a moment after the store shows it.
  bool is_in_memory(store::ExecutionNo no) const { return live_.contains(no); }
  bool is_in_motion(store::ExecutionNo no) const;
  void after_commit(store::ExecutionNo no, std::function<void()> callback);
  // No more stimuli from outside now: too many wait, or too many of this machine's, so that one that is noisy
  // leaves room to the others; who has few is let in when the others have filled it. Who starts something
  // asks with the machine's ARN.
  bool is_full(const std::string& machine_arn) const;
  bool is_full(store::ExecutionNo no) const;
  void drain(std::function<void()> done);
  MapRuns& map_runs() { return map_runs_; }
  // Several nodes: what other nodes left for this shard (shard_inbox.cpp).
  void take(const InboxNote& note);
  // Hands the shard over to another node: takes nothing new and calls nothing any more, lets what is under
  // way end for a moment, then forgets everything. `done` when nothing is uncommitted.
  void give_up(std::function<void()> done);
  bool is_given_up() const { return giving_up_; }
  Runtime::Figures figures() const;
  store::Epoch epoch() const { return epoch_; }

 private:
  friend class MapRuns;  // Whose runs are executions of this shard, too.
  friend class Audit;
  friend class TermBackfill;
  LiveExecution& admit(std::unique_ptr<LiveExecution> live);
  void take_in(LiveExecution& live, Mail mail);
  void count_done(const LiveExecution& live, std::size_t mails);
  LiveExecution* find_or_load(store::ExecutionNo no, Error* error);
  void process(LiveExecution& live);
  Decision decide(LiveExecution& live, store::Batch& batch);
  void write_frames(LiveExecution& live, const std::set<engine::FrameNo>& touched,
                    const std::set<engine::FrameNo>& gone, store::Batch& batch);
  std::shared_ptr<const LoggedEvents> logged_events(const LiveExecution& live,
                                                    std::vector<engine::HistoryEvent> events) const;
  void note_status(const LiveExecution& live, const Decision& decision, store::Batch& batch) const;
  static void note_timers(const LiveExecution& live, const std::set<engine::FrameNo>& touched,
                          const std::set<engine::FrameNo>& gone, Decision& decision);
  void rearm(const LiveExecution& live, engine::FrameNo no, Decision& decision) const;
  void committed(store::ExecutionNo no, const Status& status);
  void commit_failed(LiveExecution& live, Decision& decision, const Error& error);
  void release(LiveExecution& live, Decision& decision);
  void dispatch(LiveExecution& live, const engine::AttemptId& attempt);
  Result<std::vector<store::FrameRow>> scan_frames(store::FrameKey after, std::size_t limit);
  void take_start(const InboxNote& note, Mail mail);
  void take_redrive(const InboxNote& note, Mail mail);
  void follow_record(const std::string& machine_arn, const json::Value& is_logged);
  void discard(const InboxNote& note);
  void wait_for_calls(std::int64_t left_ms);
  void let_go();
  void finish(LiveExecution& live);
  void run_after_commit(store::ExecutionNo no);
  void nothing_uncommitted();  // Tells who waits for that, if it is so.
  // Writes for somebody who has a commit of their own; drain() waits for it.
  void append(store::Batch batch, store::Store::Done done);
  void forget_idle();
  void arm();
  void fire_due_timers();
  void recover_slice();
  void recover_frames(store::ExecutionNo no, const std::vector<store::FrameRow>& rows);
  void recover_early(store::ExecutionNo no);
  void recover_later(store::ExecutionNo no, const Error& error);
  engine::Context context(const LiveExecution& live) const;

  Wiring wiring_;
  store::Epoch epoch_ = 0;
  store::ExecutionNo last_memory_no_ = 0;
  std::unordered_map<store::ExecutionNo, std::unique_ptr<LiveExecution>> live_;
  std::unordered_map<std::string, store::ExecutionNo> beginning_;
  std::unordered_map<store::ExecutionNo, std::vector<std::function<void()>>> after_commit_;
  engine::TextCache texts_;  // Of values in the decisions written last.
  Timers timers_;
  Loop::TimerId timer_ = 0;
  // Recovery walks the open frames in slices while work goes on. An execution whose number is above
  // `recovered_` and at most `recovery_end_` is recovered when it is first needed, and then skipped.
  store::ExecutionNo recovered_ = 0, recovery_end_ = 0;
  std::unordered_set<store::ExecutionNo> recovered_early_;
  Timestamp armed_for_ = kNever;
  MapRuns map_runs_;
  Audit audit_;
  TermBackfill term_backfill_;
  std::function<void()> drained_;
  std::size_t committing_ = 0;
  std::size_t mails_ = 0;                                 // Not committed yet, of all machines...
  std::unordered_map<std::string, std::size_t> pending_;  // ... and of each.
  std::uint64_t use_counter_ = 0;
  std::size_t forget_above_ = 0;
  bool draining_ = false;
  std::unordered_set<std::string> notes_;  // Of the inbox, that are being taken.
  std::multiset<AttemptKey> answered_;     // By them: not called again when their execution is recovered.
  // Executions whose start or redrive the store refuses for good, and why.
  std::unordered_map<store::ExecutionNo, std::string> too_large_;
  bool giving_up_ = false, given_up_ = false;
  std::function<void()> gone_;
  Runtime::Figures figures_;
};

AttemptKey key_of(store::ExecutionNo no, const engine::AttemptId& attempt);
// What leaves the process for an attempt; nothing when its frame does not wait for it.
std::optional<TaskOrder> make_order(LiveExecution& live, const engine::AttemptId& attempt,
                                    const TaskTokens& tokens, const std::string& store_id);
// The row of an execution as it begins or ends.
store::ExecutionRow execution_row(LiveExecution& live);
void merge(store::Batch& to, store::Batch&& from);

}  // namespace sortie::runtime
