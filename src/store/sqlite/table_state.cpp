#include "store/sqlite/table_state.h"

namespace sortie::store::sqlite {

Status TableState::load(Connection& db) {
  journal = {};
  segments_.clear();
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
  {
    Query q = db.query("SELECT first_group, live_bytes FROM segment");
    for (;;) {
      SORTIE_TRY(bool row, q.step());
      if (!row) break;
      segments_[static_cast<GroupNo>(q.integer(0))] = {q.integer(1), false};
    }
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
  SORTIE_TRY_STATUS(
      db.query("UPDATE journal_state SET applied_group=?, frozen_group=?, stage=?, cursor_execution=?,"
               " cursor_frame=?, last_execution_no=?, last_log_sequence=?")
          .bind(1, static_cast<std::int64_t>(journal.applied_group))
          .bind(2, static_cast<std::int64_t>(journal.frozen_group))
          .bind(3, static_cast<std::int64_t>(journal.stage))
          .bind(4, static_cast<std::int64_t>(journal.cursor_execution))
          .bind(5, static_cast<std::int64_t>(journal.cursor_frame))
          .bind(6, static_cast<std::int64_t>(journal.last_execution_no))
          .bind(7, static_cast<std::int64_t>(journal.last_log_sequence))
          .run());
  for (auto& [first, segment] : segments_) {
    if (!segment.changed) continue;
    SORTIE_TRY_STATUS(db.query("UPDATE segment SET live_bytes=? WHERE first_group=?")
                          .bind(1, segment.live_bytes)
                          .bind(2, static_cast<std::int64_t>(first))
                          .run());
    segment.changed = false;
  }
  return {};
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

Status TableState::begin_segment(Connection& db, GroupNo first) {
  SORTIE_TRY_STATUS(
      db.query("INSERT INTO segment VALUES(?, 0)").bind(1, static_cast<std::int64_t>(first)).run());
  segments_[first] = {};
  return {};
}

Status TableState::add_live(Connection& db, const JournalRef& ref, bool appeared) {
  auto segment = segments_.upper_bound(ref.group);
  if (segment == segments_.begin()) {
    return db.corrupt("no segment holds journal row " + std::to_string(ref.group));
  }
  --segment;
  // An empty body still needs its journal row.
  auto bytes = static_cast<std::int64_t>(ref.length) + 1;
  segment->second.live_bytes += appeared ? bytes : -bytes;
  segment->second.changed = true;
  return {};
}

Result<bool> TableState::drop_some(Connection& db, std::uint64_t bytes) {
  for (auto segment = segments_.begin(); segment != segments_.end();) {
    auto next = std::next(segment);
    // The last one still grows; one that recovery would read stays.
    if (next == segments_.end() || next->first > journal.applied_group + 1) return false;
    if (segment->second.live_bytes != 0) {
      segment = next;
      continue;
    }
    std::uint64_t found = 0;
    auto end = static_cast<GroupNo>(segment->first);
    {
      Query q = db.query("SELECT no, length(body) FROM journal WHERE no >= ? AND no < ? ORDER BY no");
      q.bind(1, static_cast<std::int64_t>(segment->first)).bind(2, static_cast<std::int64_t>(next->first));
      while (found < bytes) {
        SORTIE_TRY(bool row, q.step());
        if (!row) break;
        found += static_cast<std::uint64_t>(q.integer(1));
        end = static_cast<GroupNo>(q.integer(0)) + 1;
      }
    }
    SORTIE_TRY_STATUS(db.query("DELETE FROM journal WHERE no >= ? AND no < ?")
                          .bind(1, static_cast<std::int64_t>(segment->first))
                          .bind(2, static_cast<std::int64_t>(end))
                          .run());
    if (found >= bytes) return true;
    SORTIE_TRY_STATUS(db.query("DELETE FROM segment WHERE first_group = ?")
                          .bind(1, static_cast<std::int64_t>(segment->first))
                          .run());
    bytes -= found;
    segment = segments_.erase(segment);
  }
  return false;
}

}  // namespace sortie::store::sqlite
