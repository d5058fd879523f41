#include "store/commit_queue.h"

#include <algorithm>
#include <chrono>

#include "base/canary.h"
#include "store/matching.h"

namespace sortie::store {

CommitQueue::CommitQueue(Loop& loop, Committer& committer, CommitQueueLimits limits, RunWork run_work,
                         CommitTimer on_commit)
    : loop_(loop),
      committer_(committer),
      limits_(limits),
      run_work_(std::move(run_work)),
      on_commit_(std::move(on_commit)) {}

void CommitQueue::start() {
  if (run_work_) return arm_idle();
  thread_ = std::thread([this] { run(); });
}

void CommitQueue::stop() {
  {
    std::lock_guard lock(shared_->mutex);
    shared_->stopping = true;
  }
  shared_->wake.notify_all();
  if (thread_.joinable()) thread_.join();
  if (!run_work_) return;
  if (idle_timer_ != 0) loop_.cancel(std::exchange(idle_timer_, 0));
  while (run_one()) {
  }
}

void CommitQueue::wake() {
  if (!run_work_) return shared_->wake.notify_one();
  if (shared_->stopping || std::exchange(shared_->handed_out, true)) return;
  run_work_([this, shared = shared_] {
    if (shared->stopping) return;  // The queue may be gone.
    shared->handed_out = false;
    if (run_one()) return wake();
    arm_idle();
  });
}

void CommitQueue::arm_idle() {
  if (idle_timer_ != 0) loop_.cancel(std::exchange(idle_timer_, 0));
  const std::optional<std::int64_t> delay = committer_.idle_delay_ms();
  if (delay) idle_timer_ = loop_.call_at(loop_.now().plus_ms(*delay), [this] { idle(); });
}

void CommitQueue::idle() {
  idle_timer_ = 0;
  if (shared_->handed_out) return;  // It is not idle.
  if (committer_.idle_step()) idle_timer_ = loop_.call_at(loop_.now(), [this] { idle(); });
}

std::size_t CommitQueue::queued_batches() const {
  std::lock_guard lock(shared_->mutex);
  return shared_->batches.size() - shared_->taken;
}

void CommitQueue::post_to_thread(std::function<void()> work) {
  {
    std::lock_guard lock(shared_->mutex);
    shared_->work.push_back(std::move(work));
  }
  wake();
}

void CommitQueue::answer(Store::Done done, Error error) {
  if (!done) return;
  loop_.post([done = std::move(done), error = std::move(error)] { done(error); });
}

// What comes behind may rest on it.
void CommitQueue::refuse(Store::Done done) {
  ++shared_->refused;
  loop_.post([shared = shared_, done = std::move(done)] {
    {
      std::lock_guard lock(shared->mutex);
      --shared->refused;
    }
    if (done) done(Error{"StoreBusy", "too much waits to be written", "", "try again later"});
  });
}

void CommitQueue::append(Batch&& batch, Store::Done&& done) {
  std::size_t bytes = batch.bytes();
  Status checked = check_batch(batch);
  if (checked && bytes > limits_.batch_bytes_max) {
    checked = Error{"LimitExceeded", "a change of " + std::to_string(bytes) + " bytes is too large", "", ""};
  }
  if (SORTIE_CANARY_IS("reply-before-commit") && done) {
    loop_.post([told = std::exchange(done, nullptr)] { told(Status()); });
  }
  if (!checked) return answer(std::move(done), std::move(checked).error());
  {
    std::lock_guard lock(shared_->mutex);
    if (shared_->refused > 0 || shared_->bytes + bytes > limits_.queue_bytes_max) {
      return refuse(std::move(done));
    }
    shared_->bytes += bytes;
    shared_->batches.push_back({std::move(batch), std::move(done), bytes});
  }
  wake();
}

// Tells every batch of `failed`, and all that came behind before the loop knew, that it was not written.
void CommitQueue::tell_failure(Loop& loop, const std::shared_ptr<Shared>& shared, std::vector<Pending> failed,
                               const Error& error) {
  auto told = std::make_shared<std::vector<Pending>>(std::move(failed));
  loop.post([shared, told, error] {
    {
      std::lock_guard lock(shared->mutex);
      for (; shared->taken < shared->batches.size(); ++shared->taken) {
        told->push_back(std::move(shared->batches[shared->taken]));
      }
      shared->batches.clear();
      shared->taken = 0;
      shared->bytes = 0;
      shared->failing = false;
    }
    shared->wake.notify_all();
    for (Pending& pending : *told) {
      if (pending.done) pending.done(error);
    }
  });
}

// False when the queue is to stop and nothing is left to write.
bool CommitQueue::wait_for_work(std::unique_lock<std::mutex>& lock) {
  Shared& shared = *shared_;
  auto due = [&shared] {
    return shared.stopping || !shared.work.empty() || (!shared.failing && !shared.batches.empty());
  };
  while (!due()) {
    std::optional<std::int64_t> delay = committer_.idle_delay_ms();
    if (!delay) {
      shared.wake.wait(lock, due);
      break;
    }
    if (shared.wake.wait_for(lock, std::chrono::milliseconds(*delay), due)) break;
    for (bool more = true; more && !due();) {
      lock.unlock();
      more = committer_.idle_step();
      lock.lock();
    }
  }
  bool can_write = !shared.failing && !shared.batches.empty();
  return !shared.stopping || can_write || !shared.work.empty();
}

void CommitQueue::run() {
  std::unique_lock lock(shared_->mutex);
  while (wait_for_work(lock)) {
    lock.unlock();
    static_cast<void>(run_one());
    lock.lock();
  }
}

bool CommitQueue::run_one() {
  std::unique_lock lock(shared_->mutex);
  if (!shared_->work.empty()) {
    std::function<void()> work = std::move(shared_->work.front());
    shared_->work.pop_front();
    lock.unlock();
    work();
  } else {
    std::vector<Pending> group = take_group();
    if (group.empty()) return false;
    lock.unlock();
    commit(std::move(group));
  }
  committer_.after_work();
  return true;
}

std::vector<CommitQueue::Pending> CommitQueue::take_group() {
  std::vector<Pending> group;
  if (shared_->failing) return group;
  std::vector<Pending>& waiting = shared_->batches;
  std::size_t& taken = shared_->taken;
  std::size_t end = taken;
  std::size_t bytes = 0;
  while (end < waiting.size() && end - taken < limits_.group_batches_max) {
    if (end > taken && bytes + waiting[end].bytes > limits_.group_bytes_max) break;
    bytes += waiting[end++].bytes;
  }
  shared_->bytes -= bytes;
  if (taken == 0 && end == waiting.size()) {
    // Mostly it is all of them: then nothing is moved while the appenders wait for the lock.
    group.swap(waiting);
    waiting.reserve(group.size());
    return group;
  }
  group.reserve(end - taken);
  while (taken < end) group.push_back(std::move(waiting[taken++]));
  if (taken * 2 >= waiting.size()) {  // Also where it never runs empty, at a cost shared by all of them.
    waiting.erase(waiting.begin(), waiting.begin() + static_cast<std::ptrdiff_t>(taken));
    taken = 0;
  }
  return group;
}

void CommitQueue::commit(std::vector<Pending> group) {
  std::vector<const Batch*> batches;
  batches.reserve(group.size());
  for (const Pending& pending : group) batches.push_back(&pending.batch);
  const auto began = std::chrono::steady_clock::now();
  Status committed = committer_.commit_group(batches, &results_);
  if (!committed) {
    {
      std::lock_guard lock(shared_->mutex);
      shared_->failing = true;
    }
    tell_failure(loop_, shared_, std::move(group), committed.error());
    return;
  }
  // The batches go back with the answers: whoever made their memory gets it back warm, where a block that
  // another thread gives back costs the maker a wait for that thread's cache.
  std::vector<Status> refused;  // Of each, where there is one; mostly there is none.
  if (!std::all_of(results_.begin(), results_.end(), [](const Status& each) { return each.ok(); }))
    refused.swap(results_);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
  loop_.post(
      [group = std::move(group), refused = std::move(refused), on_commit = on_commit_, took]() mutable {
        if (on_commit) on_commit(took.count());
        for (std::size_t i = 0; i < group.size(); ++i) {
          Pending told = std::move(group[i]);
          if (told.done) told.done(refused.empty() ? Status() : refused[i]);
        }
      });
}

}  // namespace sortie::store
