#pragma once
// Connections to read with, any number of threads at a time, and the snapshots that they keep.
//
// SQLite empties a reader's page cache when it begins a snapshot after anybody's commit: an execution in a
// large store is then some eight pages, copied again for each read. But what lies behind the
// overlay need not be as new as the last commit. Slices write to the tables what the frozen generation shows,
// so a snapshot of any time is right behind the overlay until the overlay gives something up, which
// View::tables counts: a generation that is folded, term runs that others replace, executions that retention
// took. Until then a connection keeps its snapshot and its cache from one read to the next.
//
// A snapshot that is kept holds the write-ahead log: whoever copies the log into the file, or means to begin
// it anew, has them released first.
//
// Plain tables (documents, log lines) have no overlay before them and are read with other connections, as of
// now.
#include <array>
#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <vector>

#include "store/sqlite/database.h"
#include "store/sqlite/sqlite_store.h"
#include "store/sqlite/view.h"

namespace sortie::store::sqlite {

class ReadPool {
 public:
  enum class Use : std::uint8_t { kBehindOverlay, kPlainTables };

 private:
  struct Kept {
    std::unique_ptr<Connection> connection;
    std::unique_ptr<Transaction> snapshot;  // Null: none is kept.
    std::uint64_t tables = 0;               // View::tables and releases_ before it began.
    std::uint64_t releases = 0;
  };

 public:
  // A connection that is this caller's until it goes.
  class Lease {
   public:
    Lease(ReadPool& pool, Use use, Kept kept) : pool_(&pool), use_(use), kept_(std::move(kept)) {}
    Lease(Lease&&) = default;
    ~Lease();
    Connection& operator*() { return *kept_.connection; }

    // Behind the overlay, once it has been asked: from here on the connection reads a snapshot that has all
    // that the overlay has given up. Whoever holds the view's lock has both of one moment.
    Status settle();
    std::uint64_t tables() const { return kept_.tables; }  // View::tables when that snapshot began.

   private:
    ReadPool* pool_;
    Use use_;
    Kept kept_;
  };

  ReadPool(const SqliteOptions& options, std::string file, View& view);
  Result<Lease> lease(Use use);  // Waits where all are taken.
  // Those that nobody uses now at once, the others when they come back.
  void release_snapshots();

 private:
  Result<Kept> open_connection();

  const std::string file_;
  const std::string vfs_;
  View& view_;
  std::mutex mutex_;
  std::condition_variable returned_;
  std::array<std::vector<Kept>, 2> idle_;  // By Use.
  std::size_t connections_left_;
  std::atomic<std::uint64_t> releases_{0};
};

}  // namespace sortie::store::sqlite
