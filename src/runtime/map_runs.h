#pragma once
// MapRuns carries out the distributed Maps of a shard. A map run reads items in slices, starts a child
// execution for each (or for each batch), counts how they end, and reports to the Map state that waits for
// it.
//
// Where its state lives. A map run is a row among the executions: its ARN is the map run's, and it is listed
// under its parent's ARN, so ListMapRuns is a listing of executions. What does not change (items, evaluated
// parameters, limits) is in the parent's frame (engine/map_run.h), read again from there. What changes is one
// frame of the row, its *progress*: the children started so far, the item that comes next and the position of
// the slice it is in, the children that have not ended, counts, limits. Children are executions listed under
// the map run's ARN, so ListExecutions and the counts of a run need no table of their own.
//
// What makes it durable. The children of a run are numbered in the order of their items, and a child's name
// is made from run and number. Progress is written about every kProgressEvery children, and no child is
// started more than kStartWindow beyond what was written. After a crash the run goes on from its progress: it
// forms the same children again, and before it starts one of the window it looks for it in the store. One
// that has ended is counted, one that runs is waited for, only what is missing is started. So an item whose
// result was recorded is never run again, and a child costs one write of its own and nothing of the run's.
//
// A commit that fails is treated as a crash of the run alone: what is in memory is dropped and loaded again.
//
// A run that ends early stops its children first: those that it has come by, and those that whoever had it
// before may have started behind them. Whatever began in a life of a run is counted in that life.
//
// The end. Without ResultWriter the outputs of the children that succeeded become the Map's output, in the
// order of the items, read back from the store a slice at a time, at most kPayloadBytesMax bytes of them;
// with one, files are written to S3 (map_results.h). The row gets its outcome, and only then is the parent
// told; if the process dies in between, recovery tells it. A run whose parent has stopped waiting is aborted.
//
// Redrive (map_redrive.cpp). A parent that is redriven waits for the same run again, in another attempt; the
// row names the attempt it last worked for, so a run knows whether it is to go on, to tell its outcome once
// more or to be redriven. A redriven run forms all its children again and looks for each: what succeeded is
// counted, what failed is redriven (STANDARD) or started anew under another name (EXPRESS), what never began
// is started.
//
// Bounds: kSlice items are read ahead, children at once as MaxConcurrency says, kConcurrencyDefault where it
// says nothing, never more than kConcurrencyMax.
#include <map>
#include <memory>
#include <set>
#include <string>
#include <unordered_map>

#include "engine/map_run.h"
#include "runtime/item_source.h"
#include "runtime/live.h"
#include "runtime/runtime.h"

namespace sortie::runtime {

class Shard;
class MapResults;

class MapRuns {
 public:
  static constexpr std::int64_t kConcurrencyDefault = 1'000;
  static constexpr std::int64_t kConcurrencyMax = 10'000;
  static constexpr std::uint64_t kStartWindow = 4'096;
  static constexpr std::uint64_t kProgressEvery = 1'024;

  explicit MapRuns(Shard& shard);
  ~MapRuns();

  // The parent's commit has recorded that it waits for a map run. Asking again is harmless.
  void start(const LiveExecution& parent, const engine::AttemptId& attempt);
  // The parent does not wait any more.
  void stop(store::ExecutionNo parent, const engine::AttemptId& attempt);
  // A child has its outcome, durably.
  void child_ended(const MapChild& child, store::ExecutionStatus status);

  void drain() { draining_ = true; }  // Starts nothing more; what runs may end.

  // Recovery comes by an open map run, by a frame that waits for one. A child that ends before its run is
  // loaded is found by the run when it is.
  void recover(store::ExecutionNo no);
  void recover_parent(const LiveExecution& parent, engine::FrameNo frame);

  // For the audit: whether this map run, or the one that a frame waits for, is being carried out.
  bool carries_out(store::ExecutionNo no) const { return runs_.contains(no); }
  bool works_for(const store::FrameKey& parent) const;
  // Whether an execution is a child that its run's redrive has yet to come by ("PENDING_REDRIVE").
  bool awaits_redrive(const store::ExecutionRow& row) const;

  Result<MapRunDescription> describe(std::string_view arn);
  Result<std::vector<MapRunDescription>> list(std::string_view execution_arn, std::uint64_t before,
                                              std::size_t limit);
  void update(std::string_view arn, MapRunChange change, std::function<void(Result<Unit>)> done);

 private:
  struct Counts {
    std::int64_t succeeded = 0, failed = 0, timed_out = 0, aborted = 0;
    std::int64_t sum() const { return succeeded + failed + timed_out + aborted; }
    std::int64_t unsuccessful() const { return failed + timed_out + aborted; }
    void add(store::ExecutionStatus status, std::int64_t count);
    void add(const Counts& other);
    void take(bool succeeded_before, std::int64_t count);
  };
  struct OpenChild {
    store::ExecutionNo no = 0;
    std::uint32_t items = 1;
  };
  struct Mark {  // Where the slice that holds an item begins.
    std::uint64_t first_item = 0;
    json::Value position;
  };
  enum class Stage : std::uint8_t {
    kOpening,     // Its row is being written.
    kRunning,     // Children are started.
    kStopping,    // It has failed or was aborted; children are being stopped.
    kPending,     // What was never started is read, for the results.
    kCollecting,  // Results are read and written.
    kClosing      // The outcome is being written.
  };
  struct Run;

  enum class Existing : std::uint8_t { kNo, kYes, kUnreadable };
  struct NewChild {
    std::uint64_t number = 0;
    std::uint32_t items = 1;
    std::string name, arn;
    json::Value input;
    std::string input_text;
    std::optional<engine::MapItem> item;
  };

  // map_runs.cpp
  Run* find(store::ExecutionNo no);
  void start_again(const LiveExecution& parent, const engine::AttemptId& attempt,
                   const store::ExecutionRow& row);
  void start_later(store::ExecutionNo parent, const engine::AttemptId& attempt);
  void attach(Run& run, const LiveExecution& parent);
  void open(Run& run);
  json::Value progress_json(const Run& run, bool with_position) const;
  static void read_progress(const json::Value& progress, Run& run);
  std::string row_image(const Run& run) const;
  void write_progress(Run& run, std::function<void(const Status&)> done = nullptr);
  Result<std::unique_ptr<Run>> load(store::ExecutionNo no);
  Status take_up(store::ExecutionNo no);
  void restart(Run& run);  // The run is gone after it.
  void restart_later(store::ExecutionNo no);
  void schedule(Run& run);
  void schedule_later(Run& run);
  void close(Run& run, store::ExecutionStatus status, const json::Value& output);
  void deliver(store::ExecutionNo parent, const engine::AttemptId& attempt, const store::ExecutionRow& row);
  MapRunDescription description(const Run& run) const;

  // map_redrive.cpp
  void redrive(const LiveExecution& parent, const engine::AttemptId& attempt, const store::ExecutionRow& row,
               const json::Value& progress);
  Existing take_earlier(Run& run, std::uint64_t child, std::uint32_t items);
  Existing redrive_child(Run& run, std::uint64_t child, std::uint32_t items, const store::ExecutionRow& row);
  static std::string latest_child_arn(const Run& run, store::Store& store, std::uint64_t child);

  // map_run_children.cpp
  void pump(Run& run);
  bool may_start(Run& run) const;
  bool next_batch(Run& run);
  void read_slice(Run& run);
  void take_slice(Run& run, ItemSlice slice);
  void start_batch(Run& run);
  Existing take_existing(Run& run, std::uint64_t child, const std::string& arn, std::uint32_t items);
  void begin_child(Run& run, NewChild child);
  void hand_over(Run& run, std::unique_ptr<LiveExecution> child, engine::Stimulus first);
  void note_end(Run& run, std::uint64_t child, std::uint32_t items, store::ExecutionStatus status);
  bool is_exceeded(const Run& run) const;
  void fail(Run& run, std::string error, std::string cause, bool catchable = true);
  void abort(Run& run);
  Status find_open(Run& run);
  Status stop_children(Run& run);
  Status find_unseen(Run& run);
  void all_ended(Run& run);
  void collect(Run& run);

  Shard& shard_;
  std::map<store::ExecutionNo, std::unique_ptr<Run>> runs_;
  std::uint64_t last_serial_ = 0;
  bool draining_ = false;
  std::shared_ptr<int> alive_ = std::make_shared<int>(0);
};

// A frame image that is a map run's progress, not an engine's frame.
std::string map_run_image(const json::Value& progress);
bool is_map_run_image(const SplitImage& image);

}  // namespace sortie::runtime
