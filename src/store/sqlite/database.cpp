#include "store/sqlite/database.h"

#include <sqlite3.h>

#include <algorithm>
#include <vector>

#include "base/canary.h"

namespace sortie::store::sqlite {

constexpr int kCopyPages = 256;  // A step of copy_database: 4 MiB.

Query::~Query() {
  if (statement_ == nullptr) return;
  sqlite3_reset(statement_);
  sqlite3_clear_bindings(statement_);
}

Query& Query::bind(int index, std::int64_t value) {
  if (code_ == SQLITE_OK) code_ = sqlite3_bind_int64(statement_, index, value);
  return *this;
}

Query& Query::bind_text(int index, std::string_view text) {
  if (code_ == SQLITE_OK) {
    const char* start = text.empty() ? "" : text.data();
    code_ = sqlite3_bind_text64(statement_, index, start, text.size(), SQLITE_STATIC, SQLITE_UTF8);
  }
  return *this;
}

Query& Query::bind_blob(int index, std::string_view bytes) {
  if (code_ == SQLITE_OK) {
    const char* start = bytes.empty() ? "" : bytes.data();  // A null pointer would bind NULL.
    code_ = sqlite3_bind_blob64(statement_, index, start, bytes.size(), SQLITE_STATIC);
  }
  return *this;
}

Query& Query::bind_null(int index) {
  if (code_ == SQLITE_OK) code_ = sqlite3_bind_null(statement_, index);
  return *this;
}

Result<bool> Query::step() {
  if (code_ != SQLITE_OK) return connection_->error(code_);
  SORTIE_TRY_STATUS(connection_->check_transaction());
  int code = sqlite3_step(statement_);
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  if (SORTIE_CANARY_IS("error-overlooked") && (code & 0xff) == SQLITE_IOERR) return false;
  return connection_->error(code);
}

Status Query::run() {
  for (;;) {
    SORTIE_TRY(bool row, step());
    if (!row) break;
  }
  sqlite3_reset(statement_);
  return {};
}

std::int64_t Query::integer(int column) const { return sqlite3_column_int64(statement_, column); }

std::string_view Query::bytes(int column) const {
  const void* start = sqlite3_column_blob(statement_, column);
  int size = sqlite3_column_bytes(statement_, column);
  if (start == nullptr || size <= 0) return {};
  return {static_cast<const char*>(start), static_cast<std::size_t>(size)};
}

bool Query::is_null(int column) const { return sqlite3_column_type(statement_, column) == SQLITE_NULL; }

Result<std::unique_ptr<Connection>> Connection::open(const std::string& file, OpenMode mode,
                                                     const std::string& vfs) {
  std::unique_ptr<Connection> connection(new Connection(file));
  int flags =
      SQLITE_OPEN_NOMUTEX | (mode == OpenMode::kReadOnly ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE);
  int code = sqlite3_open_v2(file.c_str(), &connection->handle_, flags, vfs.empty() ? nullptr : vfs.c_str());
  if (code != SQLITE_OK) return connection->error(code);
  sqlite3_extended_result_codes(connection->handle_, 1);
  sqlite3_busy_timeout(connection->handle_, 10'000);
  // A damaged or hostile file must not make SQLite run what is written in its schema.
  sqlite3_db_config(connection->handle_, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  sqlite3_db_config(connection->handle_, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
  return connection;
}

Connection::~Connection() {
  for (auto& [sql, statement] : statements_) sqlite3_finalize(statement);
  sqlite3_close_v2(handle_);
}

Status Connection::execute(const char* sql) {
  int code = sqlite3_exec(handle_, sql, nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) return error(code);
  return {};
}

Query Connection::query(const char* sql) {
  auto found = statements_.find(sql);
  if (found != statements_.end()) return Query(*this, found->second, SQLITE_OK);
  sqlite3_stmt* statement = nullptr;
  int code = sqlite3_prepare_v3(handle_, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, nullptr);
  if (code == SQLITE_OK) statements_.emplace(sql, statement);
  return Query(*this, code == SQLITE_OK ? statement : nullptr, code);
}

Result<std::int64_t> Connection::integer(const char* sql) {
  Query one = query(sql);
  SORTIE_TRY(bool row, one.step());
  return row ? one.integer(0) : 0;
}

Status Connection::check_transaction() const {
  if (SORTIE_CANARY_IS("error-overlooked")) return {};
  if (!in_transaction_ || sqlite3_get_autocommit(handle_) == 0) return {};
  return Error{"StoreUnavailable", file_ + ": the transaction was rolled back", file_, ""};
}

bool Connection::in_good_snapshot() const {
  const int code = sqlite3_errcode(handle_) & 0xff;
  return sqlite3_get_autocommit(handle_) == 0 &&
         (code == SQLITE_OK || code == SQLITE_ROW || code == SQLITE_DONE);
}

std::int64_t Connection::changes() const { return sqlite3_changes64(handle_); }

Error Connection::corrupt(const std::string& what) const {
  return Error{"StoreCorrupt", file_ + " is damaged: " + what, file_,
               "stop the server, keep the file aside, and bring back the last backup with 'sortie restore'"};
}

Error Connection::error(int code) const {
  std::string detail = handle_ != nullptr ? sqlite3_errmsg(handle_) : sqlite3_errstr(code);
  if (detail == "not an error" || detail.empty()) detail = sqlite3_errstr(code);
  switch (code & 0xff) {
    case SQLITE_FULL:
      return Error{"StoreFull", "no space left for " + file_ + ": " + detail, file_,
                   "free space on that disk; the server goes on by itself"};
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return corrupt(detail);
    default:
      return Error{"StoreUnavailable", file_ + ": " + detail + " (SQLite code " + std::to_string(code) + ")",
                   file_, ""};
  }
}

Status copy_database(Connection& from, Connection& to) {
  sqlite3_backup* backup = sqlite3_backup_init(to.handle(), "main", from.handle(), "main");
  if (backup == nullptr) return to.error(sqlite3_errcode(to.handle()));
  int code = SQLITE_OK;
  while (code == SQLITE_OK) code = sqlite3_backup_step(backup, kCopyPages);
  sqlite3_backup_finish(backup);
  if (code != SQLITE_DONE) return to.error(code);
  return {};
}

namespace database {

constexpr int kLogPiece = 64 * 1024;  // SQLite writes less than 128 KiB at a time.

// One file of SQLite's file system, without a database around it.
class RawFile {
 public:
  RawFile(sqlite3_vfs* vfs, const char* name)
      : memory_(static_cast<std::size_t>(vfs->szOsFile)),
        file_(reinterpret_cast<sqlite3_file*>(memory_.data())),
        code_(vfs->xOpen(vfs, name, file_, SQLITE_OPEN_READWRITE | SQLITE_OPEN_WAL, nullptr)) {}
  RawFile(const RawFile&) = delete;
  RawFile& operator=(const RawFile&) = delete;
  ~RawFile() {
    if (file_->pMethods != nullptr) file_->pMethods->xClose(file_);
  }

  int code() const { return code_; }
  int write_again() {
    sqlite3_int64 size = 0;
    int code = file_->pMethods->xFileSize(file_, &size);
    std::string piece;
    for (sqlite3_int64 at = 0; at < size && code == SQLITE_OK; at += kLogPiece) {
      const auto length = static_cast<int>(std::min<sqlite3_int64>(kLogPiece, size - at));
      piece.resize(static_cast<std::size_t>(length));
      code = file_->pMethods->xRead(file_, piece.data(), length, at);
      if (code == SQLITE_OK) code = file_->pMethods->xWrite(file_, piece.data(), length, at);
    }
    return code == SQLITE_OK && size > 0 ? file_->pMethods->xSync(file_, SQLITE_SYNC_NORMAL) : code;
  }

 private:
  std::vector<char> memory_;
  sqlite3_file* file_;
  int code_;
};

}  // namespace database

Status rewrite_log(const std::string& file, const std::string& vfs_name) {
  sqlite3_vfs* vfs = sqlite3_vfs_find(vfs_name.empty() ? nullptr : vfs_name.c_str());
  SORTIE_CHECK(vfs != nullptr);
  const std::string log = file + "-wal";
  std::string full(static_cast<std::size_t>(vfs->mxPathname) + 1, '\0');
  int there = 0;
  int code = vfs->xFullPathname(vfs, log.c_str(), vfs->mxPathname, full.data());
  // A symbolic link on the way is told by a code of its own, which is no error.
  if ((code & 0xff) == SQLITE_OK) code = vfs->xAccess(vfs, full.c_str(), SQLITE_ACCESS_EXISTS, &there);
  if (code == SQLITE_OK && there != 0) {
    database::RawFile raw(vfs, full.c_str());
    code = raw.code() == SQLITE_OK ? raw.write_again() : raw.code();
  }
  if (code == SQLITE_OK) return {};
  return Error{(code & 0xff) == SQLITE_FULL ? "StoreFull" : "StoreUnavailable",
               "cannot write " + log + " again: " + sqlite3_errstr(code), log, ""};
}

Transaction::~Transaction() {
  if (!open_) return;
  connection_.in_transaction_ = false;
  // After some errors SQLite has rolled back by itself; then there is nothing to do.
  if (sqlite3_get_autocommit(connection_.handle()) == 0)
    static_cast<void>(connection_.query("ROLLBACK").run());
}

Status Transaction::begin_write() {
  SORTIE_TRY_STATUS(connection_.query("BEGIN IMMEDIATE").run());
  open_ = connection_.in_transaction_ = true;
  return {};
}

Status Transaction::begin_read() {
  SORTIE_TRY_STATUS(connection_.query("BEGIN").run());
  open_ = true;
  // The first page, which every statement reads: after a commit of somebody else nothing is cached.
  SORTIE_TRY(std::int64_t pinned, connection_.integer("SELECT rootpage FROM sqlite_schema LIMIT 1"));
  static_cast<void>(pinned);
  return {};
}

Status Transaction::commit() {
  SORTIE_TRY_STATUS(connection_.query("COMMIT").run());
  open_ = connection_.in_transaction_ = false;
  return {};
}

}  // namespace sortie::store::sqlite
