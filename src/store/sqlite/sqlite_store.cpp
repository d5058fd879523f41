#include "store/sqlite/sqlite_store.h"

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "store/commit_queue.h"
#include "store/forwarding.h"
#include "store/sqlite/folder_lock.h"
#include "store/sqlite/reader.h"
#include "store/sqlite/writer.h"

namespace sortie::store {

namespace sqlite {

constexpr std::size_t kIdleSliceUnits = 256;  // Whoever comes waits for one slice.

class SqliteStore final : public ForwardingReads, private Committer {
 public:
  SqliteStore(const SqliteOptions& options, std::optional<FolderLock> lock, std::string file)
      : ForwardingReads(reader_),
        options_(options),
        lock_(std::move(lock)),
        file_(std::move(file)),
        writer_(options_, file_, view_),
        reader_(options_, file_, view_),
        queue_(*options_.loop, *this,
               {options_.group_batches_max, options_.group_bytes_max, options_.batch_bytes_max,
                options_.queue_bytes_max},
               options_.run_work, options_.on_commit) {}

  ~SqliteStore() override {
    queue_.stop();
    {
      std::lock_guard lock(checkpoint_mutex_);
      checkpoint_stop_ = true;
    }
    checkpoint_wake_.notify_all();
    if (checkpoint_thread_.joinable()) checkpoint_thread_.join();
  }

  Status open() {
    if (options_.vfs.empty()) SORTIE_TRY_STATUS(make_private_file(file_));
    SORTIE_TRY_STATUS(writer_.open());
    queue_.start();
    if (!options_.run_work) checkpoint_thread_ = std::thread([this] { run_checkpoints(); });
    return {};
  }

  Result<Epoch> acquire(ShardNo shard) override {
    return queue_.on_thread<Epoch>([this, shard] { return writer_.acquire(shard); });
  }

  void append(Batch batch, Done done) override { queue_.append(std::move(batch), std::move(done)); }

  Result<std::size_t> delete_ended_before(Timestamp time, std::size_t limit) override {
    for (bool more = true; more;) {  // In pieces: groups are committed in between.
      SORTIE_TRY(more, queue_.on_thread<bool>([this, time] { return writer_.fold_for_deletion(time); }));
    }
    std::size_t deleted = 0;
    for (bool more = true; more && deleted < limit;) {
      SORTIE_TRY(const Writer::Deleted step,
                 queue_.on_thread<Writer::Deleted>([this, time, most = limit - deleted] {
                   return writer_.delete_ended_before(time, most);
                 }));
      deleted += step.count;
      more = step.more;
    }
    return deleted;
  }
  Result<std::size_t> delete_log_before(std::string_view stream, Timestamp time, std::size_t limit) override {
    return queue_.on_thread<std::size_t>(
        [=, this] { return writer_.delete_log_before(stream, time, limit); });
  }
  Status backup(const std::string& file) override { return reader_.backup(file); }
  StoreFigures figures() override;

 private:
  Status commit_group(const std::vector<const Batch*>& batches, std::vector<Status>* results) override {
    Status committed = writer_.commit(batches, results);
    if (committed) want_checkpoint();
    return committed;
  }
  void after_work() override { quiet_ = false; }
  std::optional<std::int64_t> idle_delay_ms() override {
    return options_.idle_ms > 0 && !quiet_ ? std::optional(options_.idle_ms) : std::nullopt;
  }
  bool idle_step() override;
  void run_checkpoints();
  void copy_log();
  void want_checkpoint();
  void ask_for_checkpoint();

  const SqliteOptions options_;
  std::optional<FolderLock> lock_;
  const std::string file_;
  View view_;
  Writer writer_;
  Reader reader_;
  CommitQueue queue_;
  bool quiet_ = false;                  // Idle work is done until the next commit.
  std::uint64_t copied_when_idle_ = 0;  // Bytes ever written to the log when it was last copied for idleness.

  std::mutex checkpoint_mutex_;
  std::condition_variable checkpoint_wake_;
  bool checkpoint_wanted_ = false;
  bool checkpoint_stop_ = false;
  std::uint64_t checkpointed_at_ = 0;  // Size of the write-ahead log when a checkpoint was last asked for.
  std::unique_ptr<Connection> checkpoint_connection_;  // Of the checkpoint thread alone.
  std::thread checkpoint_thread_;
};

// One slice of what can be put in order while nobody asks for anything; false when all is done.
bool SqliteStore::idle_step() {
  if (!writer_.has_frozen() && writer_.has_active()) writer_.freeze();
  Result<bool> more = writer_.fold_slice(kIdleSliceUnits);
  if (more.ok() && more.value()) return true;
  // Not here: copying and syncing takes as long as the log is, and whoever comes now would wait for it.
  const std::uint64_t written = writer_.figures().wal_bytes_written;
  if (more.ok() && written != copied_when_idle_) {
    copied_when_idle_ = written;
    ask_for_checkpoint();
  }
  quiet_ = true;
  return false;
}

void SqliteStore::want_checkpoint() {
  std::uint64_t now = writer_.figures().wal_bytes;
  if (now < checkpointed_at_) checkpointed_at_ = 0;
  if (now < options_.checkpoint_bytes || now - checkpointed_at_ < options_.checkpoint_bytes / 4) return;
  checkpointed_at_ = now;
  ask_for_checkpoint();
}

void SqliteStore::ask_for_checkpoint() {
  if (options_.run_work) {
    queue_.post_to_thread([this] { copy_log(); });
    return;
  }
  {
    std::lock_guard lock(checkpoint_mutex_);
    checkpoint_wanted_ = true;
  }
  checkpoint_wake_.notify_one();
}

void SqliteStore::run_checkpoints() {
  std::unique_lock lock(checkpoint_mutex_);
  for (;;) {
    checkpoint_wake_.wait(lock, [this] { return checkpoint_wanted_ || checkpoint_stop_; });
    if (checkpoint_stop_) return;
    checkpoint_wanted_ = false;
    lock.unlock();
    copy_log();
    lock.lock();
  }
}

void SqliteStore::copy_log() {
  if (checkpoint_connection_ == nullptr) {
    auto opened = Connection::open(file_, OpenMode::kReadWrite, options_.vfs);
    if (!opened.ok()) return;
    checkpoint_connection_ = std::move(opened).value();
  }
  reader_.release_snapshots();
  // A failure shows in the next commit, when it is of the disk; the log is only longer meanwhile.
  if (!checkpoint_connection_->query("PRAGMA wal_checkpoint(PASSIVE)").run().ok()) return;
  // All but the last few pages are copied: the writer, between two groups, empties the log.
  queue_.post_to_thread([this] {
    reader_.release_snapshots();
    static_cast<void>(writer_.checkpoint());
    reader_.release_snapshots();  // One that began meanwhile would keep the log from beginning anew.
  });
}

StoreFigures SqliteStore::figures() {
  StoreFigures figures;
  const WriterFigures& writer = writer_.figures();
  figures.commits = writer.commits;
  figures.batches = writer.batches;
  figures.bytes_written = writer.wal_bytes_written;
  figures.overlay_bytes = writer.overlay_bytes;
  figures.queued_batches = queue_.queued_batches();
  figures.file_bytes = file_size(file_) + file_size(file_ + "-wal");
  return figures;
}

}  // namespace sqlite

Result<std::unique_ptr<Store>> open_sqlite_store(SqliteOptions options) {
  SORTIE_CHECK(options.loop != nullptr);
  std::optional<sqlite::FolderLock> lock;
  if (options.vfs.empty()) {
    SORTIE_TRY(sqlite::FolderLock taken, sqlite::FolderLock::take(options.folder));
    lock.emplace(std::move(taken));
  }
  auto store = std::make_unique<sqlite::SqliteStore>(options, std::move(lock), options.folder + "/sortie.db");
  SORTIE_TRY_STATUS(store->open());
  return std::unique_ptr<Store>(std::move(store));
}

}  // namespace sortie::store
