// Reader's other half: payloads, and what lies in plain tables (documents, log lines), and backups.
#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <system_error>

#include "store/matching.h"
#include "store/sqlite/folder_lock.h"
#include "store/sqlite/reader.h"

namespace sortie::store::sqlite {

namespace reader_tables {

#define SORTIE_LOG_COLUMNS "SELECT sequence, stream, time, source, type, subject, body FROM log INDEXED BY "
#define SORTIE_LOG_RANGE " AND sequence > ?2 AND sequence < ?3 ORDER BY sequence "

// The most selective index that the query allows; every other filter is checked row by row.
struct LogPlan {
  const char* newest_first;
  const char* oldest_first;
  std::string_view value;  // For ?4, when the plan has one.
  bool by_time = false;    // ?4 and ?5 are times.
};

bool is_exact(const std::string& pattern) { return !pattern.empty() && pattern.back() != '*'; }

LogPlan plan_of(const LogQuery& query) {
#define SORTIE_LOG_PLAN(index, condition)                                        \
  SORTIE_LOG_COLUMNS index " WHERE stream=?1" condition SORTIE_LOG_RANGE "DESC", \
      SORTIE_LOG_COLUMNS index " WHERE stream=?1" condition SORTIE_LOG_RANGE "ASC"
  if (is_exact(query.subject)) {
    return {SORTIE_LOG_PLAN("log_by_subject", " AND subject=?4 AND subject <> ''"), query.subject};
  }
  if (is_exact(query.type)) return {SORTIE_LOG_PLAN("log_by_type", " AND type=?4"), query.type};
  if (is_exact(query.source)) return {SORTIE_LOG_PLAN("log_by_source", " AND source=?4"), query.source};
  if (query.from.ms != INT64_MIN || query.before != kNever) {
    return {SORTIE_LOG_PLAN("log_by_time", " AND time >= ?4 AND time < ?5"), {}, true};
  }
  return {SORTIE_LOG_PLAN("log_by_stream", ""), {}};
}

}  // namespace reader_tables

Result<std::optional<PayloadRow>> Reader::find_payload(ExecutionNo execution, PayloadNo payload) {
  SORTIE_TRY(Lease db, lease());
  {
    std::shared_lock lock(view_.mutex);
    const PayloadSlot* slot = view_.overlay.find_payload(execution, payload);
    if (slot != nullptr) return std::optional(PayloadRow{execution, payload, std::string(slot->body)});
    SORTIE_TRY_STATUS(db.settle());
  }
  auto key = static_cast<std::int64_t>(std::min<ExecutionNo>(execution, INT64_MAX));
  Query q = (*db).query("SELECT body FROM payload WHERE execution=? AND payload=? ORDER BY no DESC LIMIT 1");
  q.bind(1, key).bind(2, payload);
  SORTIE_TRY(const bool found, q.step());
  if (!found) return std::optional<PayloadRow>();
  return std::optional(PayloadRow{execution, payload, std::string(q.bytes(0))});
}

Result<std::optional<std::string>> Reader::find_document(std::string_view kind, std::string_view key) {
  SORTIE_TRY(Lease db, lease_plain());
  Query q = (*db).query("SELECT value FROM document WHERE kind=? AND key=?");
  q.bind_text(1, kind).bind_text(2, key);
  SORTIE_TRY(bool found, q.step());
  return found ? std::optional(std::string(q.bytes(0))) : std::nullopt;
}

Result<std::vector<Document>> Reader::list_documents(std::string_view kind, std::string_view after_key,
                                                     std::size_t limit) {
  std::vector<Document> documents;
  SORTIE_TRY(Lease db, lease_plain());
  Query q = (*db).query("SELECT key, value FROM document WHERE kind=? AND key > ? ORDER BY key");
  q.bind_text(1, kind).bind_text(2, after_key);
  while (documents.size() < limit) {
    SORTIE_TRY(bool more, q.step());
    if (!more) break;
    documents.push_back({std::string(kind), std::string(q.bytes(0)), std::string(q.bytes(1))});
  }
  return documents;
}

Result<std::vector<LogLine>> Reader::search_log(const LogQuery& query) {
  std::vector<LogLine> lines;
  if (query.after_sequence >= INT64_MAX) return lines;
  SORTIE_TRY(Lease db, lease_plain());
  reader_tables::LogPlan plan = reader_tables::plan_of(query);
  Query q = (*db).query(query.newest_first ? plan.newest_first : plan.oldest_first);
  q.bind_text(1, query.stream)
      .bind(2, static_cast<std::int64_t>(query.after_sequence))
      .bind(3, static_cast<std::int64_t>(std::min<std::uint64_t>(query.before_sequence, INT64_MAX)));
  if (!plan.value.empty()) q.bind_text(4, plan.value);
  if (plan.by_time) q.bind(4, query.from.ms).bind(5, query.before.ms);
  while (lines.size() < query.limit) {
    SORTIE_TRY(bool more, q.step());
    if (!more) break;
    LogLine line;
    line.sequence = static_cast<std::uint64_t>(q.integer(0));
    line.stream = q.bytes(1);
    line.time = {q.integer(2)};
    line.source = q.bytes(3);
    line.type = q.bytes(4);
    line.subject = q.bytes(5);
    line.body = q.bytes(6);
    if (matches(query, line)) lines.push_back(std::move(line));
  }
  return lines;
}

// A backup may take the place of an earlier one and of nothing else: not of a store that is open or waits for
// its server (a backup has neither write-ahead log nor lock beside it), nor of a device or another file.
Status Reader::judge_backup_target(const std::string& file) {
  namespace fs = std::filesystem;
  const auto refuse = [&file](const std::string& why) {
    return Error{"AlreadyExists", file + " is not overwritten: " + why, file, "name another file"};
  };
  std::error_code ignored;
  const fs::file_status status = fs::symlink_status(file, ignored);
  if (!fs::exists(status)) return {};
  if (!fs::is_regular_file(status)) return refuse("it is no ordinary file");
  const fs::path path(file);
  const bool in_data_folder =
      path.filename() == "sortie.db" && fs::exists(path.parent_path() / "lock", ignored);
  if (in_data_folder || fs::exists(file + "-wal", ignored) || fs::exists(file + "-shm", ignored)) {
    return refuse("it is a store, not a backup");
  }
  std::string head(16, '\0');
  std::ifstream(file, std::ios::binary).read(head.data(), static_cast<std::streamsize>(head.size()));
  if (!head.starts_with("SQLite format 3")) return refuse("it is no earlier backup");
  return {};
}

// A snapshot is pinned for the whole copy, so writers never make it begin again. The copy gets its final name
// when it is complete and on disk.
Status Reader::backup(const std::string& file) {
  SORTIE_TRY_STATUS(judge_backup_target(file));
  SORTIE_TRY(Lease db, lease_plain());
  Transaction snapshot(*db);
  SORTIE_TRY_STATUS(snapshot.begin_read());
  std::string part = file + ".part";
  std::remove(part.c_str());
  SORTIE_TRY_STATUS(make_private_file(part));
  Status copied = [&]() -> Status {
    SORTIE_TRY(auto to, Connection::open(part, OpenMode::kReadWrite));
    return copy_database(*db, *to);
  }();
  if (copied) copied = sync_file(part);
  if (copied && std::rename(part.c_str(), file.c_str()) != 0) {
    copied = Error{
        "StoreUnavailable",
        "cannot name the backup " + file + ": " + std::error_code(errno, std::generic_category()).message(),
        file, ""};
  }
  for (const char* suffix : {"", "-wal", "-shm", "-journal"}) std::remove((part + suffix).c_str());
  return copied;
}

}  // namespace sortie::store::sqlite
