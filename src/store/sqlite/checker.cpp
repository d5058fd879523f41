#include "store/sqlite/checker.h"

#include <algorithm>

#include "store/sqlite/reader.h"

namespace sortie::store::sqlite {

namespace checker {

constexpr std::size_t kProblemsMax = 100;

std::int64_t db_int(std::uint64_t value) { return static_cast<std::int64_t>(value); }

std::string named(ExecutionNo no) { return "execution " + std::to_string(no); }

}  // namespace checker

void Checker::report(std::string problem) {
  if (problems_.size() < checker::kProblemsMax) problems_.push_back(std::move(problem));
}

Result<std::vector<std::string>> Checker::run() {
  SORTIE_TRY_STATUS(check_file());
  if (!problems_.empty()) return problems_;  // What is read from a damaged file means nothing.
  SORTIE_TRY_STATUS(replay_tail());
  SORTIE_TRY_STATUS(check_frames());
  SORTIE_TRY_STATUS(check_executions());
  SORTIE_TRY_STATUS(check_owners());
  SORTIE_TRY_STATUS(check_counts());
  SORTIE_TRY_STATUS(check_arns());
  SORTIE_TRY_STATUS(check_terms());
  return problems_;
}

Status Checker::check_file() {
  Query q = db_.query("PRAGMA quick_check(20)");
  for (;;) {
    SORTIE_TRY(bool more, q.step());
    if (!more) return {};
    std::string line(q.bytes(0));
    if (line != "ok") report("the file's own structure: " + line);
  }
}

Status Checker::replay_tail() {
  SORTIE_TRY(std::int64_t applied, db_.integer("SELECT applied_group FROM journal_state"));
  SORTIE_TRY(std::int64_t frozen, db_.integer("SELECT frozen_group FROM journal_state"));
  Query q = db_.query("SELECT no, body FROM journal WHERE no > ? ORDER BY no");
  q.bind(1, applied);
  std::int64_t expected = applied + 1;
  for (;;) {
    SORTIE_TRY(bool more, q.step());
    if (!more) break;
    std::int64_t no = q.integer(0);
    if (no != expected)
      report("journal rows " + std::to_string(expected) + " to " + std::to_string(no - 1) + " are missing");
    if (!tail_.apply(static_cast<GroupNo>(no), std::make_shared<const std::string>(q.bytes(1)))) {
      report("journal row " + std::to_string(no) + " cannot be read");
    }
    expected = no + 1;
  }
  if (frozen >= expected) report("the journal ends before the generation that is being folded");
  return {};
}

Status Checker::check_frame(FrameKey key, const ExecutionView* row, std::int64_t table_status) {
  std::string frame = "frame " + std::to_string(key.frame) + " of " + checker::named(key.execution);
  if (row == nullptr && table_status < 0) {
    report(frame + " belongs to no execution");
  } else if ((row != nullptr ? static_cast<std::int64_t>(row->status) : table_status) != 0) {
    report(frame + " is open, but the execution has ended");
  }
  return {};
}

Status Checker::check_frames() {
  {
    Query q = db_.query(
        "SELECT f.execution FROM frame f JOIN execution e ON e.no = f.execution"
        " WHERE f.frame = 0 AND e.top_image IS NOT NULL");
    for (;;) {
      SORTIE_TRY(bool more, q.step());
      if (!more) break;
      report("frame 0 of " + checker::named(static_cast<ExecutionNo>(q.integer(0))) + " is there twice");
    }
  }
  {
    Query q = db_.query(
        "SELECT f.execution, f.frame, coalesce(e.status, -1) FROM frame f"
        " LEFT JOIN execution e ON e.no = f.execution"
        " UNION ALL SELECT no, 0, status FROM execution WHERE top_image IS NOT NULL");
    for (;;) {
      SORTIE_TRY(bool more, q.step());
      if (!more) break;
      FrameKey key{static_cast<ExecutionNo>(q.integer(0)), static_cast<FrameNo>(q.integer(1))};
      const OverlayEntry* entry = tail_.find(key.execution);
      bool replaced = entry != nullptr && (entry->frames_cleared || entry->frames.contains(key.frame));
      if (replaced) continue;
      const ExecutionView* row = entry != nullptr && entry->row ? &*entry->row : nullptr;
      SORTIE_TRY_STATUS(check_frame(key, row, q.integer(2)));
    }
  }
  for (const auto& [no, entry] : tail_.entries()) {
    Query q = db_.query("SELECT status FROM execution WHERE no=?");
    q.bind(1, checker::db_int(no));
    SORTIE_TRY(bool in_table, q.step());
    std::int64_t status = in_table ? q.integer(0) : -1;
    for (const auto& [frame, slot] : entry.frames) {
      if (slot.gone) continue;
      SORTIE_TRY_STATUS(check_frame({no, frame}, entry.row ? &*entry.row : nullptr, status));
    }
  }
  return {};
}

Status Checker::check_history(ExecutionNo no) {
  std::map<std::int64_t, std::int64_t> ranges;  // First event id, events.
  std::string name = checker::named(no);
  {
    Query q = db_.query("SELECT first_event_id, last_event_id, body FROM history WHERE execution=?");
    q.bind(1, checker::db_int(no));
    for (;;) {
      SORTIE_TRY(bool more, q.step());
      if (!more) break;
      std::vector<HistoryChunk> chunks;
      if (!decode_chunks(q.bytes(2), no, &chunks)) report("history of " + name + " cannot be read");
      for (const HistoryChunk& chunk : chunks) ranges[chunk.first_event_id] = chunk.count;
    }
  }
  const OverlayEntry* entry = tail_.find(no);
  if (entry != nullptr) {
    for (const HistorySlot& slot : entry->history) ranges[slot.first_event_id] = slot.count;
  }
  std::int64_t expected = 1;
  for (const auto& [first, count] : ranges) {
    if (first != expected) {
      report("history of " + name + " has event " + std::to_string(first) + " where " +
             std::to_string(expected) + " is due");
      return {};
    }
    expected = first + count;
  }
  return {};
}

Status Checker::check_executions() {
  {
    Query q = db_.query("SELECT no FROM execution");
    for (;;) {
      SORTIE_TRY(bool more, q.step());
      if (!more) break;
      SORTIE_TRY_STATUS(check_history(static_cast<ExecutionNo>(q.integer(0))));
    }
  }
  for (const auto& [no, entry] : tail_.entries()) {
    Query q = db_.query("SELECT 1 FROM execution WHERE no=?");
    q.bind(1, checker::db_int(no));
    SORTIE_TRY(bool in_table, q.step());
    if (in_table) continue;
    if (!entry.row) report(checker::named(no) + " has frames, history or payloads, but no row");
    SORTIE_TRY_STATUS(check_history(no));
  }
  SORTIE_TRY(std::int64_t highest, db_.integer("SELECT max(no) FROM execution"));
  SORTIE_TRY(std::int64_t given, db_.integer("SELECT last_execution_no FROM journal_state"));
  if (highest > given)
    report("execution numbers up to " + std::to_string(highest) + " are in use, but not recorded");
  return {};
}

Status Checker::check_owners() {
  for (const char* sql :
       {"SELECT DISTINCT execution FROM history WHERE execution NOT IN (SELECT no FROM execution)",
        "SELECT DISTINCT execution FROM payload WHERE execution NOT IN (SELECT no FROM execution)"}) {
    Query q = db_.query(sql);
    for (;;) {
      SORTIE_TRY(bool more, q.step());
      if (!more) break;
      auto no = static_cast<ExecutionNo>(q.integer(0));
      const OverlayEntry* entry = tail_.find(no);
      if (entry != nullptr && entry->row) continue;
      report("history or payloads of " + checker::named(no) + " belong to no execution");
    }
  }
  return {};
}

Status Checker::check_counts() {
  Query q = db_.query(
      "SELECT machine, status, sum(n) FROM"
      " (SELECT machine, status, n FROM execution_count"
      "  UNION ALL SELECT machine, status, -count(*) FROM execution GROUP BY machine, status)"
      " GROUP BY machine, status HAVING sum(n) <> 0");
  for (;;) {
    SORTIE_TRY(bool more, q.step());
    if (!more) return {};
    report("the count of executions with status " + std::to_string(q.integer(1)) + " of state machine " +
           std::to_string(q.integer(0)) + " is off by " + std::to_string(q.integer(2)));
  }
}

Status Checker::check_arns() {
  Query q = db_.query(
      "SELECT no, (SELECT value FROM word WHERE id = arn_prefix), coalesce(arn_rest, name)"
      " FROM execution");
  for (;;) {
    SORTIE_TRY(bool more, q.step());
    if (!more) break;
    auto no = static_cast<ExecutionNo>(q.integer(0));
    std::string arn = std::string(q.bytes(1)) + std::string(q.bytes(2));
    auto hash = static_cast<std::int64_t>(fingerprint64(arn));
    Query known = db_.query("SELECT count(*), sum(no = ?2) FROM execution_hash WHERE hash=?1");
    known.bind(1, hash).bind(2, q.integer(0));
    SORTIE_TRY(bool counted, known.step());
    // A row of the tail may be in its table before its hash is.
    bool folding = tail_.find(no) != nullptr;
    if (counted && known.integer(1) != 1 && !folding)
      report(checker::named(no) + " cannot be found by its ARN");
    if (counted && known.integer(0) > 1) {
      Query twins = db_.query(
          "SELECT count(*) FROM execution_hash h JOIN execution e ON e.no = h.no JOIN word w ON w.id = "
          "e.arn_prefix"
          " WHERE h.hash=? AND w.value || coalesce(e.arn_rest, e.name) = ?");
      twins.bind(1, hash).bind_text(2, arn);
      SORTIE_TRY(bool row, twins.step());
      if (row && twins.integer(0) > 1)
        report("the ARN of " + checker::named(no) + " is there more than once: " + arn);
    }
  }
  SORTIE_TRY(std::int64_t lost,
             db_.integer("SELECT count(*) FROM execution_hash WHERE no NOT IN (SELECT no FROM execution)"
                         " AND no NOT IN (SELECT no FROM hash_gone)"));
  if (lost > 0) report(std::to_string(lost) + " ARN hashes lead to no execution");
  return {};
}

Status Checker::check_terms() {
  SORTIE_TRY(const TermRuns runs, load_term_runs(db_));
  std::int64_t parts = 0;
  for (const auto& run : runs) {
    parts += static_cast<std::int64_t>(run->part_starts.size());
    SORTIE_TRY(const bool holds, is_sound(db_, *run));
    if (!holds) report("term run " + std::to_string(run->id) + " does not hold what it says");
  }
  SORTIE_TRY(const std::int64_t found, db_.integer("SELECT count(*) FROM term_part"));
  if (found != parts) report(std::to_string(found - parts) + " parts of term runs belong to none");
  return {};
}

Result<std::vector<std::string>> Reader::check() {
  SORTIE_TRY(Lease db, lease_plain());
  Transaction snapshot(*db);
  SORTIE_TRY_STATUS(snapshot.begin_read());
  return Checker(*db).run();
}

}  // namespace sortie::store::sqlite
