#pragma once
// The writing half of the SQLite store: everything that happens on the one writer connection, without threads
// or queues (sqlite_store.cpp has those). A group of batches is one transaction: one journal row with all
// images and history, documents and log lines in their tables, and, riding along, a slice of the fold.
//
// After a failed transaction nothing of it is in the file, and memory is brought back to what the file says
// before the next one begins.
#include <atomic>
#include <vector>

#include "store/sqlite/fold.h"
#include "store/sqlite/gone_hashes.h"
#include "store/sqlite/sqlite_store.h"
#include "store/sqlite/view.h"

namespace sortie::store::sqlite {

struct WriterFigures {
  std::atomic<std::uint64_t> commits{0};
  std::atomic<std::uint64_t> batches{0};
  std::atomic<std::uint64_t> wal_bytes_written{0};
  std::atomic<std::uint64_t> wal_bytes{0};  // In the write-ahead log now, as far as it is not checkpointed.
  std::atomic<std::uint64_t> overlay_bytes{0};
  std::uint64_t page_bytes = 0;  // Of this file, from open on.
};

class Writer {
 public:
  Writer(const SqliteOptions& options, std::string file, View& view);
  ~Writer();

  Status open();  // Makes or migrates the file and reads the journal's tail into the overlay.

  // One transaction for all batches that may be written; `results` has one status for each. An error means
  // that nothing was written at all.
  Status commit(const std::vector<const Batch*>& batches, std::vector<Status>* results);
  // One slice in a transaction of its own; answers whether more is left of the frozen generation (or of
  // dropped journal rows).
  Result<bool> fold_slice(std::size_t units);
  // Folds the active generation too: afterwards the overlay is empty.
  Status fold_everything();
  bool has_frozen() const { return view_.overlay.frozen != nullptr; }
  bool has_active() const { return !view_.overlay.active->empty(); }
  void freeze();

  Result<Epoch> acquire(ShardNo shard);
  // Deleting takes as many of the first as it says that there is more to do, and then of the second: a step
  // of at most `most`, as large as what it writes allows.
  Result<bool> fold_for_deletion(Timestamp time);
  struct Deleted {
    std::size_t count = 0;
    bool more = false;
  };
  Result<Deleted> delete_ended_before(Timestamp time, std::size_t most);
  Result<std::size_t> delete_log_before(std::string_view stream, Timestamp time, std::size_t limit);
  // Copies the write-ahead log into the file, so that the next commit begins the log again at its start. The
  // log keeps its size: overwriting it costs an fsync, growing it costs the file system's journal as well.
  // Not an error when readers are in the way.
  Status checkpoint();

  const WriterFigures& figures() const { return figures_; }

 private:
  struct CountChange {
    std::string machine;
    ExecutionStatus status;
    std::int64_t n;
  };

  Status open_connection();
  Status recover_overlay();
  Status count_all();
  // As what an execution stands in the tables; nothing if it does not.
  Result<std::optional<CountChange>> counted_in_tables(ExecutionNo no);
  Result<std::vector<CountChange>> count_changes(const std::vector<const Batch*>& batches);
  Status ready();  // Repairs memory after a failed transaction.
  Status failed(Error error);
  Status make_room();
  Status check_fence(const Batch& batch) const;
  Status check_epoch(ShardNo shard, Epoch epoch) const;
  Status write_group(const std::string& body);
  Status write_documents(const Batch& batch);
  Status write_log(const Batch& batch);
  std::size_t units_due(std::size_t records) const;
  Status slice(std::size_t units, std::uint64_t drop_bytes);  // Inside a transaction.
  void publish(GroupNo group, std::string body, ExecutionNo highest, const std::vector<CountChange>& changes);
  void publish_fold();
  Status commit_slice(Transaction& transaction);
  Status drop_dead_runs(bool all);
  Status delete_execution(ExecutionNo no, std::vector<CountChange>* changes);

  const SqliteOptions options_;
  const std::string file_;
  View& view_;
  std::unique_ptr<Connection> db_;
  TableState state_;
  Fold fold_;
  GroupNo last_group_ = 0;
  std::unordered_map<ShardNo, Epoch> epochs_;
  std::uint64_t next_log_sequence_ = 1;
  bool stale_ = false;  // A transaction failed: memory may be ahead of the file.
  GoneHashes gone_hashes_;
  std::size_t retention_step_ = 16;
  std::size_t next_run_ = 0;   // Which retention looks at next.
  bool drop_pending_ = false;  // Journal rows wait to be deleted.
  WriterFigures figures_;
};

}  // namespace sortie::store::sqlite
