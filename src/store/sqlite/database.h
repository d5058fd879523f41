#pragma once
// A thin skin over SQLite: connections, prepared statements that are kept and reset, and SQLite's result
// codes as our errors. Nothing outside store/sqlite sees SQLite's own header.
//
// A Connection is used by one thread at a time. `query` never fails: what went wrong (a bad statement, a
// failed bind) comes out of the first `step` or `run`, so that callers have one place to look.
//
// Error codes: "StoreFull" (no space), "StoreUnavailable" (I/O error, locked, anything else of the moment),
// "StoreCorrupt" (the file is damaged or not a database; the message names the file and the way back).
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/result.h"

struct sqlite3;
struct sqlite3_stmt;

namespace sortie::store::sqlite {

class Connection;

// One use of a prepared statement; resets it when it goes. Text and blobs that are bound must live until
// then.
class Query {
 public:
  Query(Connection& connection, sqlite3_stmt* statement, int prepare_code)
      : connection_(&connection), statement_(statement), code_(prepare_code) {}
  Query(const Query&) = delete;
  Query& operator=(const Query&) = delete;
  ~Query();

  Query& bind(int index, std::int64_t value);
  Query& bind_text(int index, std::string_view text);
  Query& bind_blob(int index, std::string_view bytes);
  Query& bind_null(int index);

  Result<bool> step();  // True: there is a row.
  Status run();         // To the end, then ready to be bound again.

  std::int64_t integer(int column) const;
  std::string_view bytes(int column) const;  // Text or blob; valid until the next step.
  bool is_null(int column) const;

 private:
  Connection* connection_;
  sqlite3_stmt* statement_;
  int code_;
};

enum class OpenMode { kReadOnly, kReadWrite };

class Connection {
 public:
  // `vfs`: the file system, by the name under which it is registered with SQLite; empty: the system's.
  static Result<std::unique_ptr<Connection>> open(const std::string& file, OpenMode mode,
                                                  const std::string& vfs = "");
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection();

  Status execute(const char* sql);  // One or more statements without parameters or rows.
  Query query(const char* sql);     // `sql` must be a literal: the prepared statement is kept under it.
  Result<std::int64_t> integer(const char* sql);  // The first column of the first row.

  std::int64_t changes() const;
  Error error(int code) const;                   // For SQLite's result code.
  Error corrupt(const std::string& what) const;  // The file is readable, but not what we wrote.
  const std::string& file() const { return file_; }
  // Inside a transaction, and the last call went well.
  bool in_good_snapshot() const;
  sqlite3* handle() { return handle_; }

 private:
  friend class Query;
  friend class Transaction;
  explicit Connection(std::string file) : file_(std::move(file)) {}
  // SQLite ends a transaction by itself on some errors (I/O, no space). What was meant to be part of it must
  // not be written one by one then, whoever overlooked the error.
  Status check_transaction() const;

  std::string file_;
  bool in_transaction_ = false;
  sqlite3* handle_ = nullptr;
  std::unordered_map<const char*, sqlite3_stmt*> statements_;
};

// BEGIN now, ROLLBACK when it goes without a commit.
class Transaction {
 public:
  explicit Transaction(Connection& connection) : connection_(connection) {}
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;
  ~Transaction();

  Status begin_write();
  Status begin_read();  // Pins the snapshot at once, not at the first read.
  Status commit();

 private:
  Connection& connection_;
  bool open_ = false;
};

// Copies the whole database in steps. A `from` that is inside a read transaction is copied as of that
// snapshot, whatever is written meanwhile.
Status copy_database(Connection& from, Connection& to);

// Writes the write-ahead log of `file` once more, byte for byte, and syncs it. After a process died, what the
// log holds may be in the kernel's memory only, and where a sync has failed, the kernel takes it for written:
// the next sync would say nothing, and a later loss of power tear a hole into the middle of the log. Nothing
// to do where there is no log: the file was closed in order.
Status rewrite_log(const std::string& file, const std::string& vfs);

}  // namespace sortie::store::sqlite
