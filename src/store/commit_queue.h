#pragma once
// CommitQueue is the thread between appenders and a database: batches queue up, one thread commits them in
// groups, and what became of them is told on the loop. Groups form by themselves: whatever came while the
// last commit ran is the next one. SQLite and PostgreSQL differ in what a Committer does, not in this.
//
// Order. Batches are committed and told in the order of `append`; `on_thread` work runs between groups,
// before any batch that still waits. After a commit that failed as a whole nothing more is committed until
// the loop has been told: everything that was appended until then fails, too (store.h says why).
//
// Bounds. A batch beyond `batch_bytes_max` is answered "LimitExceeded", one that would bring the queue over
// `queue_bytes_max` "StoreBusy"; so is everything behind the latter until the loop has been told.
//
// Without a thread: where the maker hands in a `run_work`, each piece of work goes there instead, to be run
// on the loop's thread, later and in order; `on_thread` then works within the call. Simulations are
// deterministic that way.
//
// The owner calls `stop` before anything that the committer uses goes: it commits what is queued and joins.
// `Done` callbacks of one group come in one Loop::post; they may still come after the queue is gone.
#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "store/store.h"

namespace sortie::store {

struct CommitQueueLimits {
  std::size_t group_batches_max = 1024;
  std::size_t group_bytes_max = 4 * 1024 * 1024;
  std::size_t batch_bytes_max = 64 * 1024 * 1024;
  std::size_t queue_bytes_max = 256 * 1024 * 1024;
};

// All calls come on the queue's own thread.
class Committer {
 public:
  virtual ~Committer() = default;
  // One transaction for all batches that may be written; `results` has one status for each. An error means
  // that nothing was written at all.
  virtual Status commit_group(const std::vector<const Batch*>& batches, std::vector<Status>* results) = 0;
  // After a group or a piece of on_thread work: something has happened.
  virtual void after_work() {}
  // When nothing happens for so long, `idle_step` is called; absent: never.
  virtual std::optional<std::int64_t> idle_delay_ms() = 0;
  virtual bool idle_step() = 0;  // True: there is more to do right now, unless a batch waits.
};

class CommitQueue {
 public:
  using RunWork = std::function<void(std::function<void()> work)>;
  // `on_commit` hears on the loop how many seconds each group's commit took, before its batches' answers.
  CommitQueue(Loop& loop, Committer& committer, CommitQueueLimits limits, RunWork run_work = {},
              CommitTimer on_commit = {});
  ~CommitQueue() { stop(); }

  void start();
  void stop();

  void append(Batch&& batch, Store::Done&& done);
  void answer(Store::Done done, Error error);  // On the loop, like every answer.
  std::size_t queued_batches() const;
  bool is_stopping() const { return shared_->stopping; }

  void post_to_thread(std::function<void()> work);

  // Runs `work` on the queue's thread and waits for its answer.
  template <typename T>
  Result<T> on_thread(std::function<Result<T>()> work) {
    if (run_work_) {
      Result<T> result = work();
      committer_.after_work();
      return result;
    }
    std::mutex mutex;
    std::condition_variable answered;
    std::optional<Result<T>> answer;
    post_to_thread([&] {
      Result<T> result = work();
      std::lock_guard inner(mutex);
      answer = std::move(result);
      answered.notify_one();
    });
    std::unique_lock lock(mutex);
    answered.wait(lock, [&] { return answer.has_value(); });
    return std::move(*answer);
  }

 private:
  struct Pending {
    Batch batch;
    Store::Done done;
    std::size_t bytes = 0;
  };
  // Posted callbacks keep it alive.
  struct Shared {
    std::mutex mutex;
    std::condition_variable wake;
    std::vector<Pending> batches;  // From `taken` on; emptied when all are taken.
    std::size_t taken = 0;
    std::size_t bytes = 0;
    std::size_t refused = 0;  // "StoreBusy", and the loop has not been told.
    std::deque<std::function<void()>> work;
    bool failing = false;  // A commit failed and the loop has not been told.
    std::atomic<bool> stopping{false};
    bool handed_out = false;  // Without a thread: a piece of work is with run_work.
  };

  static void tell_failure(Loop& loop, const std::shared_ptr<Shared>& shared, std::vector<Pending> failed,
                           const Error& error);
  void run();
  bool run_one();                 // A piece of work, or a group; false: there is none.
  void wake();                    // There is something to do.
  void refuse(Store::Done done);  // Under the lock.
  void arm_idle();
  void idle();
  bool wait_for_work(std::unique_lock<std::mutex>& lock);
  std::vector<Pending> take_group();
  void commit(std::vector<Pending> group);

  Loop& loop_;
  Committer& committer_;
  const CommitQueueLimits limits_;
  const RunWork run_work_;
  const CommitTimer on_commit_;
  Loop::TimerId idle_timer_ = 0;
  std::vector<Status> results_;  // Of the group being committed.
  std::shared_ptr<Shared> shared_ = std::make_shared<Shared>();
  std::thread thread_;
};

}  // namespace sortie::store
