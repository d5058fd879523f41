#include "store/sqlite/sqlite_store.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

#include "store/matching.h"
#include "store/sqlite/folder_lock.h"
#include "store/sqlite/reader.h"
#include "store/sqlite/writer.h"

namespace sortie::store {

namespace sqlite {

constexpr std::size_t kIdleSliceUnits = 1024;

struct Pending {
  Batch batch;
  Store::Done done;
  std::size_t bytes = 0;
};

// What appenders, the writer thread and posted callbacks share; callbacks may outlive the store.
struct Queue {
  std::mutex mutex;
  std::condition_variable wake;
  std::deque<Pending> batches;
  std::size_t bytes = 0;
  std::deque<std::function<void()>> controls;  // Run by the writer thread between groups.
  bool failing =
      false;  // A commit failed and the loop has not been told: nothing more is written until then.
  bool stopping = false;
};

// Tells every batch of `failed`, and all that came behind before the loop knew, that it was not written.
void tell_failure(Loop& loop, const std::shared_ptr<Queue>& queue, std::vector<Pending> failed,
                  const Error& error) {
  auto told = std::make_shared<std::vector<Pending>>(std::move(failed));
  loop.post([queue, told, error] {
    {
      std::lock_guard lock(queue->mutex);
      for (Pending& pending : queue->batches) told->push_back(std::move(pending));
      queue->batches.clear();
      queue->bytes = 0;
      queue->failing = false;
    }
    queue->wake.notify_all();
    for (Pending& pending : *told) {
      if (pending.done) pending.done(error);
    }
  });
}

class SqliteStore final : public Store {
 public:
  SqliteStore(const SqliteOptions& options, FolderLock lock, std::string file)
      : options_(options),
        lock_(std::move(lock)),
        file_(std::move(file)),
        writer_(options_, file_, view_),
        reader_(file_, options_.readers_max, view_) {}

  ~SqliteStore() override {
    {
      std::lock_guard lock(queue_->mutex);
      queue_->stopping = true;
    }
    queue_->wake.notify_all();
    if (writer_thread_.joinable()) writer_thread_.join();
    {
      std::lock_guard lock(checkpoint_mutex_);
      checkpoint_stop_ = true;
    }
    checkpoint_wake_.notify_all();
    if (checkpoint_thread_.joinable()) checkpoint_thread_.join();
  }

  Status open() {
    SORTIE_TRY_STATUS(make_private_file(file_));
    SORTIE_TRY_STATUS(writer_.open());
    writer_thread_ = std::thread([this] { run_writer(); });
    checkpoint_thread_ = std::thread([this] { run_checkpoints(); });
    return {};
  }

  Result<Epoch> acquire(ShardNo shard) override {
    return on_writer<Epoch>([this, shard] { return writer_.acquire(shard); });
  }

  void append(Batch batch, Done done) override;

  Result<std::optional<ExecutionRow>> find_execution(std::string_view arn) override {
    return reader_.find_execution(arn);
  }
  Result<std::optional<ExecutionRow>> find_execution(ExecutionNo no) override {
    return reader_.find_execution(no);
  }
  Result<std::vector<ExecutionRow>> list_executions(const ExecutionQuery& query) override {
    return reader_.list_executions(query);
  }
  Result<StatusCounts> count_executions(std::string_view state_machine_arn) override {
    return reader_.count_executions(state_machine_arn);
  }
  Result<ExecutionNo> last_execution_no() override { return view_.last_execution_no.load(); }
  Result<std::optional<FrameRow>> find_frame(FrameKey key) override { return reader_.find_frame(key); }
  Result<std::vector<FrameRow>> list_frames(ExecutionNo execution) override {
    return reader_.list_frames(execution);
  }
  Result<std::vector<FrameRow>> scan_frames(FrameKey after, std::size_t limit) override {
    return reader_.scan_frames(after, limit);
  }
  Result<std::vector<HistoryChunk>> load_history(ExecutionNo execution, std::int64_t first_event_id,
                                                 std::int64_t count) override {
    return reader_.load_history(execution, first_event_id, count);
  }
  Result<std::optional<PayloadRow>> find_payload(ExecutionNo execution, PayloadNo payload) override {
    return reader_.find_payload(execution, payload);
  }
  Result<std::optional<std::string>> find_document(std::string_view kind, std::string_view key) override {
    return reader_.find_document(kind, key);
  }
  Result<std::vector<Document>> list_documents(std::string_view kind, std::string_view after_key,
                                               std::size_t limit) override {
    return reader_.list_documents(kind, after_key, limit);
  }
  Result<std::vector<LogLine>> search_log(const LogQuery& query) override {
    return reader_.search_log(query);
  }

  Result<std::size_t> delete_ended_before(Timestamp time, std::size_t limit) override {
    return on_writer<std::size_t>([=, this] { return writer_.delete_ended_before(time, limit); });
  }
  Result<std::size_t> delete_log_before(std::string_view stream, Timestamp time, std::size_t limit) override {
    return on_writer<std::size_t>([=, this] { return writer_.delete_log_before(stream, time, limit); });
  }
  Result<std::vector<std::string>> check() override { return reader_.check(); }
  Status backup(const std::string& file) override { return reader_.backup(file); }
  StoreFigures figures() override;

 private:
  // Runs `work` on the writer thread, before any batch that still waits, and waits for its answer.
  template <typename T>
  Result<T> on_writer(std::function<Result<T>()> work) {
    std::mutex mutex;
    std::condition_variable answered;
    std::optional<Result<T>> answer;
    {
      std::lock_guard lock(queue_->mutex);
      queue_->controls.push_back([&] {
        Result<T> result = work();
        std::lock_guard inner(mutex);
        answer = std::move(result);
        answered.notify_one();
      });
    }
    queue_->wake.notify_all();
    std::unique_lock lock(mutex);
    answered.wait(lock, [&] { return answer.has_value(); });
    return std::move(*answer);
  }

  void run_writer();
  bool wait_for_work(std::unique_lock<std::mutex>& lock);
  std::vector<Pending> take_group();
  void commit_group(std::vector<Pending> group);
  bool idle_step();
  void run_checkpoints();
  void want_checkpoint();

  const SqliteOptions options_;
  FolderLock lock_;
  const std::string file_;
  View view_;
  Writer writer_;
  Reader reader_;
  std::shared_ptr<Queue> queue_ = std::make_shared<Queue>();
  std::thread writer_thread_;
  bool quiet_ = false;  // Idle work is done until the next commit.

  std::mutex checkpoint_mutex_;
  std::condition_variable checkpoint_wake_;
  bool checkpoint_wanted_ = false;
  bool checkpoint_stop_ = false;
  std::uint64_t checkpointed_at_ = 0;  // Size of the write-ahead log when a checkpoint was last asked for.
  std::atomic<bool> finish_checkpoint_{false};
  std::thread checkpoint_thread_;
};

void SqliteStore::append(Batch batch, Done done) {
  std::size_t bytes = batch.bytes();
  Status checked = check_batch(batch);
  if (checked && bytes > options_.batch_bytes_max) {
    checked = Error{"LimitExceeded", "a change of " + std::to_string(bytes) + " bytes is too large", "", ""};
  }
  if (checked) {
    std::lock_guard lock(queue_->mutex);
    if (queue_->bytes + bytes <= options_.queue_bytes_max) {
      queue_->bytes += bytes;
      queue_->batches.push_back({std::move(batch), std::move(done), bytes});
    } else {
      checked = Error{"LimitExceeded", "too much waits to be written", "", "try again later"};
    }
  }
  if (checked) {
    queue_->wake.notify_one();
  } else if (done) {
    options_.loop->post([done = std::move(done), error = std::move(checked).error()] { done(error); });
  }
}

// False when the store is to stop and nothing is left to write.
bool SqliteStore::wait_for_work(std::unique_lock<std::mutex>& lock) {
  auto due = [this] {
    Queue& queue = *queue_;
    return queue.stopping || !queue.controls.empty() || (!queue.failing && !queue.batches.empty()) ||
           finish_checkpoint_;
  };
  if (options_.idle_ms > 0 && !quiet_) {
    while (!queue_->wake.wait_for(lock, std::chrono::milliseconds(options_.idle_ms), due)) {
      lock.unlock();
      while (idle_step()) {
        lock.lock();
        bool busy = due();
        lock.unlock();
        if (busy) break;
      }
      lock.lock();
      if (quiet_ || due()) break;
    }
  }
  queue_->wake.wait(lock, due);
  bool can_write = !queue_->failing && !queue_->batches.empty();
  return !queue_->stopping || can_write || !queue_->controls.empty();
}

void SqliteStore::run_writer() {
  std::unique_lock lock(queue_->mutex);
  while (wait_for_work(lock)) {
    if (!queue_->controls.empty()) {
      std::function<void()> control = std::move(queue_->controls.front());
      queue_->controls.pop_front();
      lock.unlock();
      control();
      quiet_ = false;
      lock.lock();
      continue;
    }
    if (finish_checkpoint_.exchange(false)) {
      lock.unlock();
      // The checkpoint thread has copied all but the last few pages: this empties the log.
      static_cast<void>(writer_.checkpoint());
      lock.lock();
      continue;
    }
    std::vector<Pending> group = take_group();
    if (group.empty()) continue;
    lock.unlock();
    commit_group(std::move(group));
    quiet_ = false;
    want_checkpoint();
    lock.lock();
  }
}

std::vector<Pending> SqliteStore::take_group() {
  std::vector<Pending> group;
  std::size_t bytes = 0;
  std::deque<Pending>& waiting = queue_->batches;
  while (!queue_->failing && !waiting.empty() && group.size() < options_.group_batches_max) {
    if (!group.empty() && bytes + waiting.front().bytes > options_.group_bytes_max) break;
    bytes += waiting.front().bytes;
    group.push_back(std::move(waiting.front()));
    waiting.pop_front();
  }
  queue_->bytes -= bytes;
  return group;
}

void SqliteStore::commit_group(std::vector<Pending> group) {
  std::vector<const Batch*> batches;
  batches.reserve(group.size());
  for (const Pending& pending : group) batches.push_back(&pending.batch);
  std::vector<Status> results;
  Status committed = writer_.commit(batches, &results);
  if (!committed) {
    {
      std::lock_guard lock(queue_->mutex);
      queue_->failing = true;
    }
    tell_failure(*options_.loop, queue_, std::move(group), committed.error());
    return;
  }
  std::vector<std::pair<Done, Status>> told;
  told.reserve(group.size());
  for (std::size_t i = 0; i < group.size(); ++i) {
    if (group[i].done) told.emplace_back(std::move(group[i].done), std::move(results[i]));
  }
  if (told.empty()) return;
  options_.loop->post([told = std::move(told)] {
    for (const auto& [done, status] : told) done(status);
  });
}

// One slice of what can be put in order while nobody asks for anything; false when all is done.
bool SqliteStore::idle_step() {
  if (!writer_.has_frozen() && writer_.has_active()) writer_.freeze();
  Result<bool> more = writer_.fold_slice(kIdleSliceUnits);
  if (more.ok() && more.value()) return true;
  if (more.ok()) static_cast<void>(writer_.checkpoint());
  quiet_ = true;
  return false;
}

void SqliteStore::want_checkpoint() {
  std::uint64_t now = writer_.figures().wal_bytes;
  if (now < checkpointed_at_) checkpointed_at_ = 0;
  if (now < options_.checkpoint_bytes || now - checkpointed_at_ < options_.checkpoint_bytes / 4) return;
  checkpointed_at_ = now;
  {
    std::lock_guard lock(checkpoint_mutex_);
    checkpoint_wanted_ = true;
  }
  checkpoint_wake_.notify_one();
}

void SqliteStore::run_checkpoints() {
  std::unique_ptr<Connection> connection;
  std::unique_lock lock(checkpoint_mutex_);
  for (;;) {
    checkpoint_wake_.wait(lock, [this] { return checkpoint_wanted_ || checkpoint_stop_; });
    if (checkpoint_stop_) return;
    checkpoint_wanted_ = false;
    lock.unlock();
    if (connection == nullptr) {
      auto opened = Connection::open(file_, OpenMode::kReadWrite);
      if (opened.ok()) connection = std::move(opened).value();
    }
    // A failure shows in the next commit, when it is of the disk; the log is only longer meanwhile.
    if (connection != nullptr && connection->query("PRAGMA wal_checkpoint(PASSIVE)").run().ok()) {
      {
        std::lock_guard queue_lock(queue_->mutex);
        finish_checkpoint_ = true;
      }
      queue_->wake.notify_one();
    }
    lock.lock();
  }
}

StoreFigures SqliteStore::figures() {
  StoreFigures figures;
  const WriterFigures& writer = writer_.figures();
  figures.commits = writer.commits;
  figures.batches = writer.batches;
  figures.bytes_written = writer.wal_bytes_written;
  figures.overlay_bytes = writer.overlay_bytes;
  {
    std::lock_guard lock(queue_->mutex);
    figures.queued_batches = queue_->batches.size();
  }
  figures.file_bytes = file_size(file_) + file_size(file_ + "-wal");
  return figures;
}

}  // namespace sqlite

Result<std::unique_ptr<Store>> open_sqlite_store(SqliteOptions options) {
  SORTIE_CHECK(options.loop != nullptr);
  SORTIE_TRY(sqlite::FolderLock lock, sqlite::FolderLock::take(options.folder));
  auto store = std::make_unique<sqlite::SqliteStore>(options, std::move(lock), options.folder + "/sortie.db");
  SORTIE_TRY_STATUS(store->open());
  return std::unique_ptr<Store>(std::move(store));
}

}  // namespace sortie::store
