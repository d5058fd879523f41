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

void remove_database(const std::string& file) {
  for (const char* suffix : {"", "-wal", "-shm"}) std::remove((file + suffix).c_str());
}

Status check_backup(const std::string& backup_file, const std::string& file) {
  SORTIE_TRY(const std::vector<std::string> problems, check_file(file));
  if (problems.empty()) return {};
  return Error{"StoreCorrupt", backup_file + " is damaged: " + problems.front(), backup_file,
               "use another backup"};
}

// Whether it is of this version, and then sound. One of an earlier version is checked when its copy has been
// brought up to date.
Result<bool> is_sound_and_current(const std::string& backup_file) {
  SORTIE_TRY(auto backup, Connection::open(backup_file, OpenMode::kReadOnly));
  SORTIE_TRY(const bool is_current, is_up_to_date(*backup));
  if (is_current) SORTIE_TRY_STATUS(check_backup(backup_file, backup_file));
  return is_current;
}

Status copy_backup(const std::string& backup_file, bool is_current, const std::string& to_file) {
  SORTIE_TRY_STATUS(make_private_file(to_file));
  SORTIE_TRY(auto from, Connection::open(backup_file, OpenMode::kReadOnly));
  SORTIE_TRY(auto to, Connection::open(to_file, OpenMode::kReadWrite));
  SORTIE_TRY_STATUS(copy_database(*from, *to));
  if (!is_current) SORTIE_TRY_STATUS(prepare_schema(*to));
  to.reset();
  if (!is_current) SORTIE_TRY_STATUS(check_backup(backup_file, to_file));
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
  SORTIE_TRY(const bool is_current, sqlite::is_sound_and_current(backup_file));
  SORTIE_TRY(sqlite::FolderLock lock, sqlite::FolderLock::take(folder));
  std::string file = folder + "/sortie.db";
  std::string part = file + ".part";
  std::string before = file + ".before-restore";
  sqlite::remove_database(part);
  if (Status copied = sqlite::copy_backup(backup_file, is_current, part); !copied) {
    sqlite::remove_database(part);
    return copied;
  }
  // The old file goes aside with its write-ahead log, under a name that SQLite still opens as one database.
  for (const char* suffix : {"", "-wal", "-shm"}) {
    std::remove((before + suffix).c_str());
    SORTIE_TRY_STATUS(sqlite::rename_file(file + suffix, before + suffix));
  }
  for (const char* suffix : {"-wal", "-shm"}) std::remove((part + suffix).c_str());
  return sqlite::rename_file(part, file);
}

}  // namespace sortie::store
