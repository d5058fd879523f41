#include "store/sqlite/table_state.h"

namespace sortie::store::sqlite {

Status TableState::load(Connection& db) {
  journal = {};
  words_.clear();
  {
    Query q = db.query(
        "SELECT applied_group, frozen_group, stage, cursor_execution, cursor_frame, last_execution_no,"
        " last_log_sequence FROM journal_state");
    SORTIE_TRY(bool found, q.step());
    if (!found) return db.corrupt("journal_state is empty");
    journal.applied_group = static_cast<GroupNo>(q.integer(0));
    journal.frozen_group = static_cast<GroupNo>(q.integer(1));
    journal.stage = static_cast<FoldStage>(q.integer(2));
    journal.cursor_execution = static_cast<std::uint64_t>(q.integer(3));
    journal.cursor_frame = static_cast<std::uint64_t>(q.integer(4));
    journal.last_execution_no = static_cast<ExecutionNo>(q.integer(5));
    journal.last_log_sequence = static_cast<std::uint64_t>(q.integer(6));
  }
  SORTIE_TRY(runs, load_term_runs(db));
  Query q = db.query("SELECT id, value FROM word");
  for (;;) {
    SORTIE_TRY(bool row, q.step());
    if (!row) break;
    words_.emplace(std::string(q.bytes(1)), q.integer(0));
  }
  return {};
}

Status TableState::save(Connection& db) {
  return db
      .query(
          "UPDATE journal_state SET applied_group=?, frozen_group=?, stage=?, cursor_execution=?,"
          " cursor_frame=?, last_execution_no=?, last_log_sequence=?")
      .bind(1, static_cast<std::int64_t>(journal.applied_group))
      .bind(2, static_cast<std::int64_t>(journal.frozen_group))
      .bind(3, static_cast<std::int64_t>(journal.stage))
      .bind(4, static_cast<std::int64_t>(journal.cursor_execution))
      .bind(5, static_cast<std::int64_t>(journal.cursor_frame))
      .bind(6, static_cast<std::int64_t>(journal.last_execution_no))
      .bind(7, static_cast<std::int64_t>(journal.last_log_sequence))
      .run();
}

Result<std::int64_t> TableState::word(Connection& db, std::string_view text) {
  std::string key(text);
  auto found = words_.find(key);
  if (found != words_.end()) return found->second;
  SORTIE_TRY_STATUS(db.query("INSERT INTO word(value) VALUES(?)").bind_text(1, text).run());
  SORTIE_TRY(std::int64_t id, db.integer("SELECT last_insert_rowid()"));
  words_.emplace(std::move(key), id);
  return id;
}

Result<bool> TableState::drop_some(Connection& db, std::uint64_t bytes) {
  std::uint64_t found = 0;
  std::int64_t last = 0;
  {
    Query q = db.query("SELECT no, length(body) FROM journal WHERE no <= ? ORDER BY no");
    q.bind(1, static_cast<std::int64_t>(journal.applied_group));
    while (found < bytes) {
      SORTIE_TRY(bool row, q.step());
      if (!row) break;
      last = q.integer(0);
      found += static_cast<std::uint64_t>(q.integer(1));
    }
  }
  if (found == 0) return false;
  SORTIE_TRY_STATUS(db.query("DELETE FROM journal WHERE no <= ?").bind(1, last).run());
  return found >= bytes;
}

}  // namespace sortie::store::sqlite
