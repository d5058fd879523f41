#include "store/sqlite/schema.h"

#include "store/sqlite/earlier_versions.h"

namespace sortie::store::sqlite {

namespace schema {

constexpr std::int64_t kApplicationId = 0x536f7274;  // "Sort"

const char kTables[] = R"sql(
CREATE TABLE journal_state(
  id INTEGER PRIMARY KEY CHECK (id = 1),
  applied_group INTEGER NOT NULL,
  frozen_group INTEGER NOT NULL,
  stage INTEGER NOT NULL,
  cursor_execution INTEGER NOT NULL,
  cursor_frame INTEGER NOT NULL,
  last_execution_no INTEGER NOT NULL,
  last_log_sequence INTEGER NOT NULL) STRICT;
INSERT INTO journal_state VALUES(1, 0, 0, 0, 0, 0, 0, 0);
CREATE TABLE journal(no INTEGER PRIMARY KEY, body BLOB NOT NULL) STRICT;
CREATE TABLE segment(
  first_group INTEGER PRIMARY KEY,
  live_bytes INTEGER NOT NULL) STRICT;
CREATE TABLE shard(no INTEGER PRIMARY KEY, epoch INTEGER NOT NULL) STRICT;
CREATE TABLE word(id INTEGER PRIMARY KEY, value TEXT NOT NULL UNIQUE) STRICT;
CREATE TABLE execution(
  no INTEGER PRIMARY KEY,
  machine INTEGER NOT NULL,
  status INTEGER NOT NULL,
  started_at INTEGER NOT NULL,
  stopped_at INTEGER NOT NULL,
  arn_prefix INTEGER NOT NULL,
  arn_rest TEXT,
  name TEXT NOT NULL,
  image BLOB NOT NULL) STRICT;
CREATE INDEX execution_by_machine ON execution(machine, status, no);
CREATE INDEX execution_by_status ON execution(status, no);
CREATE INDEX execution_by_stop ON execution(stopped_at) WHERE status <> 0;
CREATE TABLE execution_hash(hash INTEGER NOT NULL, no INTEGER NOT NULL, PRIMARY KEY(hash, no))
  STRICT, WITHOUT ROWID;
CREATE TABLE execution_count(
  machine INTEGER NOT NULL, status INTEGER NOT NULL, n INTEGER NOT NULL, PRIMARY KEY(machine, status))
  STRICT, WITHOUT ROWID;
CREATE TABLE frame(
  execution INTEGER NOT NULL, frame INTEGER NOT NULL, wake_at INTEGER NOT NULL, image BLOB NOT NULL,
  PRIMARY KEY(execution, frame)) STRICT, WITHOUT ROWID;
CREATE TABLE history_part(
  execution INTEGER NOT NULL, group_no INTEGER NOT NULL, start INTEGER NOT NULL,
  first_event_id INTEGER NOT NULL, refs BLOB NOT NULL,
  PRIMARY KEY(execution, group_no, start)) STRICT, WITHOUT ROWID;
CREATE TABLE payload_ref(
  execution INTEGER NOT NULL, payload INTEGER NOT NULL, group_no INTEGER NOT NULL, start INTEGER NOT NULL,
  length INTEGER NOT NULL,
  PRIMARY KEY(execution, payload, group_no, start)) STRICT, WITHOUT ROWID;
CREATE TABLE history(
  no INTEGER PRIMARY KEY, execution INTEGER NOT NULL, first_event_id INTEGER NOT NULL,
  last_event_id INTEGER NOT NULL, body BLOB NOT NULL) STRICT;
CREATE INDEX history_by_execution ON history(execution, first_event_id);
CREATE TABLE payload(
  no INTEGER PRIMARY KEY, execution INTEGER NOT NULL, payload INTEGER NOT NULL, body BLOB NOT NULL) STRICT;
CREATE INDEX payload_by_execution ON payload(execution, payload);
CREATE TABLE document(kind TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL, PRIMARY KEY(kind, key))
  STRICT, WITHOUT ROWID;
CREATE TABLE log(
  sequence INTEGER PRIMARY KEY, stream TEXT NOT NULL, time INTEGER NOT NULL, source TEXT NOT NULL,
  type TEXT NOT NULL, subject TEXT NOT NULL, body BLOB NOT NULL) STRICT;
CREATE INDEX log_by_stream ON log(stream);
CREATE INDEX log_by_time ON log(stream, time);
CREATE INDEX log_by_source ON log(stream, source);
CREATE INDEX log_by_type ON log(stream, type);
CREATE INDEX log_by_subject ON log(stream, subject) WHERE subject <> '';
)sql";

const char kTermTables[] = R"sql(
CREATE TABLE term_run(
  id INTEGER PRIMARY KEY, first_no INTEGER NOT NULL, last_no INTEGER NOT NULL, entries INTEGER NOT NULL,
  starts BLOB NOT NULL) STRICT;
CREATE TABLE term_part(no INTEGER PRIMARY KEY, body BLOB NOT NULL) STRICT;
)sql";

// ARN hashes of executions that retention has deleted, as they came; they lie anywhere in execution_hash.
const char kGoneTables[] =
    "CREATE TABLE hash_gone(id INTEGER PRIMARY KEY, hash INTEGER NOT NULL, no INTEGER NOT NULL) STRICT;";

// Before it come the history and payloads that lie in the journal (earlier_versions.h).
const char kNothingInTheJournal[] = R"sql(
DROP TABLE history_part;
DROP TABLE payload_ref;
DROP TABLE segment;
ALTER TABLE execution ADD COLUMN top_wake_at INTEGER;
ALTER TABLE execution ADD COLUMN top_image BLOB;
UPDATE execution SET top_wake_at = f.wake_at, top_image = f.image FROM frame f
  WHERE f.execution = no AND f.frame = 0 AND status = 0 AND length(f.image) + length(execution.image) <= 2048;
DELETE FROM frame WHERE frame = 0 AND execution IN (SELECT no FROM execution WHERE top_image IS NOT NULL);
)sql";

// kMigrations[v] brings a file of version v to v + 1. Version 0 is an empty file.
const char* const kMigrations[kSchemaVersion] = {kTables, kTermTables, kGoneTables, kNothingInTheJournal};

struct Found {
  std::int64_t version = 0;
};

Result<Found> look(Connection& connection) {
  SORTIE_TRY(std::int64_t application, connection.integer("PRAGMA application_id"));
  SORTIE_TRY(std::int64_t version, connection.integer("PRAGMA user_version"));
  SORTIE_TRY(std::int64_t tables, connection.integer("SELECT count(*) FROM sqlite_schema"));
  bool empty = application == 0 && version == 0 && tables == 0;
  if (!empty && application != kApplicationId) {
    return Error{"StoreCorrupt", connection.file() + " is a database of another program", connection.file(),
                 "name another data folder, or move that file away"};
  }
  if (version > kSchemaVersion) {
    return Error{"StoreTooNew",
                 connection.file() + " was written by a later version of sortie (format " +
                     std::to_string(version) + ", this program knows " + std::to_string(kSchemaVersion) + ")",
                 connection.file(), "run the later version, or restore a backup made by this one"};
  }
  return Found{version};
}

}  // namespace schema

Status prepare_schema(Connection& connection) {
  // The page size counts only before the first table; on an existing file these change nothing.
  SORTIE_TRY_STATUS(connection.execute("PRAGMA page_size=4096"));
  SORTIE_TRY(schema::Found before, schema::look(connection));
  SORTIE_TRY_STATUS(connection.execute("PRAGMA journal_mode=WAL"));
  SORTIE_TRY_STATUS(connection.execute("PRAGMA synchronous=FULL"));
  SORTIE_TRY_STATUS(connection.execute("PRAGMA foreign_keys=ON"));
  if (before.version == kSchemaVersion) return {};
  // All steps in one transaction: a crash in between leaves the old file.
  Transaction transaction(connection);
  SORTIE_TRY_STATUS(transaction.begin_write());
  for (std::int64_t version = before.version; version < kSchemaVersion; ++version) {
    if (version == kHistoryInJournal) SORTIE_TRY_STATUS(bring_out_of_journal(connection));
    SORTIE_TRY_STATUS(connection.execute(schema::kMigrations[version]));
  }
  const std::string marks = "PRAGMA application_id=" + std::to_string(schema::kApplicationId) +
                            ";PRAGMA user_version=" + std::to_string(kSchemaVersion);
  SORTIE_TRY_STATUS(connection.execute(marks.c_str()));
  return transaction.commit();
}

Result<bool> is_up_to_date(Connection& connection) {
  SORTIE_TRY(const schema::Found found, schema::look(connection));
  return found.version == kSchemaVersion;
}

Status verify_schema(Connection& connection) {
  SORTIE_TRY(schema::Found found, schema::look(connection));
  if (found.version == kSchemaVersion) return {};
  return Error{"StoreUnavailable",
               connection.file() + " has format " + std::to_string(found.version) +
                   " and must be brought up to date first",
               connection.file(), "start the server on this data folder once"};
}

}  // namespace sortie::store::sqlite
