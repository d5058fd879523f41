// What can be done with a data folder without opening its store: checking it, and restoring a backup into it.
#include <sqlite3.h>

#include <cerrno>
#include <cstdio>
#include <system_error>

#include "store/sqlite/checker.h"
#include "store/sqlite/folder_lock.h"
#include "store/sqlite/schema.h"
#include "store/sqlite/sqlite_store.h"

namespace sortie::store {

namespace sqlite {

Result<std::vector<std::string>> check_file(const std::string& file) {
  SORTIE_TRY(auto db, Connection::open(file, OpenMode::kReadOnly));
  SORTIE_TRY_STATUS(verify_schema(*db));
  Transaction snapshot(*db);
  SORTIE_TRY_STATUS(snapshot.begin_read());
  return Checker(*db).run();
}

Status copy_file(const std::string& from_file, const std::string& to_file) {
  SORTIE_TRY_STATUS(make_private_file(to_file));
  SORTIE_TRY(auto from, Connection::open(from_file, OpenMode::kReadOnly));
  SORTIE_TRY(auto to, Connection::open(to_file, OpenMode::kReadWrite));
  SORTIE_TRY_STATUS(copy_database(*from, *to));
  to.reset();
  return sync_file(to_file);
}

Status rename_file(const std::string& from, const std::string& to) {
  if (std::rename(from.c_str(), to.c_str()) == 0 || errno == ENOENT) return {};
  std::string reason = std::error_code(errno, std::generic_category()).message();
  return Error{"StoreUnavailable", "cannot rename " + from + ": " + reason, from, ""};
}

}  // namespace sqlite

Result<std::vector<std::string>> check_sqlite_folder(const std::string& folder) {
  return sqlite::check_file(folder + "/sortie.db");
}

Status restore_sqlite_folder(const std::string& backup_file, const std::string& folder) {
  SORTIE_TRY(std::vector<std::string> problems, sqlite::check_file(backup_file));
  if (!problems.empty()) {
    return Error{"StoreCorrupt", backup_file + " is damaged: " + problems.front(), backup_file,
                 "use another backup"};
  }
  SORTIE_TRY(sqlite::FolderLock lock, sqlite::FolderLock::take(folder));
  std::string file = folder + "/sortie.db";
  std::string part = file + ".part";
  std::string before = file + ".before-restore";
  std::remove(part.c_str());
  SORTIE_TRY_STATUS(sqlite::copy_file(backup_file, part));
  // The old file goes aside with its write-ahead log, under a name that SQLite still opens as one database.
  for (const char* suffix : {"", "-wal", "-shm"}) {
    std::remove((before + suffix).c_str());
    SORTIE_TRY_STATUS(sqlite::rename_file(file + suffix, before + suffix));
  }
  for (const char* suffix : {"-wal", "-shm"}) std::remove((part + suffix).c_str());
  return sqlite::rename_file(part, file);
}

}  // namespace sortie::store
