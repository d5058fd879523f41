#pragma once
// The embedded default store: one SQLite file, `<folder>/sortie.db`, written as a lean journal.
//
// A group commit is one transaction with one journal row that holds the new images and the history of all its
// batches; documents and log lines go to their tables in the same transaction. Groups form by themselves: one
// writer thread commits whatever queued up while the last commit ran, without waiting for more. The images
// reach their tables later, the last one of each, sorted, in slices that ride along with later groups; what
// is not there yet is the overlay (overlay.h), bounded by `overlay_bytes_max`: when it is full, commits wait
// for a slice. A journal row is dropped as soon as its generation is in the tables. Recovery reads what is
// left: at most about `overlay_bytes_max`.
//
// Durability is WAL with synchronous=FULL: a batch is reported after fdatasync. The write-ahead log is copied
// into the file by a checkpoint thread, so commits do not wait for that.
//
// When a commit fails (disk full, I/O error), its batches fail, and so does every batch that is appended
// before the loop has been told: they may rest on what was not written. The next append after that is tried
// again. After an I/O error at the very commit the disk may hold the failed group until the next commit
// overwrites it; a crash between the two may bring it back. Nobody was told that it happened.
//
// The folder is made with mode 0700 and locked (flock on `<folder>/lock`) as long as the store lives; a
// second process gets "StoreInUse" that names the first one. Destroying the store commits what is
// queued. `Done` callbacks of one group come in one Loop::post; they may still come after the store is gone.
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "store/store.h"

namespace sortie::store {

struct SqliteOptions {
  std::string folder;
  Loop* loop = nullptr;  // Where `Done` callbacks run; must outlive the store.

  std::size_t group_batches_max = 1024;
  std::size_t group_bytes_max = 4 * 1024 * 1024;
  std::size_t batch_bytes_max = 64 * 1024 * 1024;   // Beyond it: "LimitExceeded".
  std::size_t queue_bytes_max = 256 * 1024 * 1024;  // The same, for all that waits.
  std::size_t overlay_bytes_max = 128 * 1024 * 1024;
  std::size_t checkpoint_bytes = 64 * 1024 * 1024;  // Of write-ahead log.
  // After so long without an append the overlay is folded and the write-ahead log copied into the file. 0:
  // never.
  std::int64_t idle_ms = 2000;
  // The file grows no further; then commits fail with "StoreFull". 0: as far as the disk has space.
  std::uint64_t file_bytes_max = 0;
  std::size_t readers_max = 8;  // Connections; further readers wait for one.
  CommitTimer on_commit =
      {};  // Called on the loop; nothing that it needs may go before the loop's last turn.

  // For simulations. A file system of their own, by the name under which it is registered with SQLite: the
  // folder is then only a name in it, neither made nor locked. And instead of threads: whoever is handed a
  // piece of work runs it on the loop's thread, later, in the order given.
  std::string vfs;
  std::function<void(std::function<void()> work)> run_work;
};

// Error codes as in store.h.
Result<std::unique_ptr<Store>> open_sqlite_store(SqliteOptions options);

// What Store::check() answers, for a folder that another process may have open: it takes no lock and reads
// one snapshot of the file.
Result<std::vector<std::string>> check_sqlite_folder(const std::string& folder);

// Puts a copy of a backup (Store::backup) into the folder, whose store must not be open; one of an earlier
// version is brought up to date. One that does not hold its invariants is "StoreCorrupt". What was there
// before is kept as sortie.db.before-restore (replacing an earlier one of that name).
Status restore_sqlite_folder(const std::string& backup_file, const std::string& folder);

}  // namespace sortie::store
