// Writer's deleting half: what retention asks for, in steps that the caller bounds.
#include <algorithm>

#include "store/sqlite/writer.h"

namespace sortie::store::sqlite {

bool Writer::overlay_has_ended_before(Timestamp time) const {
  const Overlay& overlay = view_.overlay;
  bool found = false;
  overlay.for_each([&](ExecutionNo no) {
    const ExecutionView* row = overlay.find_execution(no);
    found = row != nullptr && row->status != ExecutionStatus::kRunning && row->stopped_at < time;
    return !found;
  });
  return found;
}

Result<std::size_t> Writer::delete_ended_before(Timestamp time, std::size_t limit) {
  SORTIE_TRY_STATUS(ready());
  // Only what is wholly in the tables can be deleted from them.
  if (overlay_has_ended_before(time)) SORTIE_TRY_STATUS(fold_everything());
  std::vector<ExecutionNo> chosen;
  {
    Query q = db_->query(
        "SELECT no FROM execution INDEXED BY execution_by_stop WHERE status <> 0 AND stopped_at < ?"
        " ORDER BY stopped_at");
    q.bind(1, time.ms);
    while (chosen.size() < limit) {
      SORTIE_TRY(bool row, q.step());
      if (!row) break;
      auto no = static_cast<ExecutionNo>(q.integer(0));
      const Overlay& overlay = view_.overlay;
      // One that the overlay knows has gone on since it ended.
      if (overlay.active->find(no) || (overlay.frozen && overlay.frozen->find(no))) continue;
      chosen.push_back(no);
    }
  }
  if (chosen.empty()) return std::size_t{0};
  Status done = [&]() -> Status {
    Transaction transaction(*db_);
    SORTIE_TRY_STATUS(transaction.begin_write());
    for (ExecutionNo no : chosen) SORTIE_TRY_STATUS(delete_execution(no));
    state_.journal.last_execution_no = view_.last_execution_no;
    SORTIE_TRY_STATUS(state_.save(*db_));
    return transaction.commit();
  }();
  if (!done) return failed(std::move(done).error()).error();
  drop_pending_ = true;
  return chosen.size();
}

Status Writer::delete_execution(ExecutionNo no) {
  auto key = static_cast<std::int64_t>(no);
  std::string arn;
  {
    Query q = db_->query(
        "SELECT machine, status, word.value, coalesce(arn_rest, name) FROM execution"
        " JOIN word ON word.id = arn_prefix WHERE no=?");
    q.bind(1, key);
    SORTIE_TRY(bool row, q.step());
    if (!row) return {};
    arn = std::string(q.bytes(2)) + std::string(q.bytes(3));
    SORTIE_TRY_STATUS(db_->query("UPDATE execution_count SET n = n - 1 WHERE machine=? AND status=?")
                          .bind(1, q.integer(0))
                          .bind(2, q.integer(1))
                          .run());
  }
  // Parts that are left over after an end and a redrive are counted out by gathering them first.
  SORTIE_TRY_STATUS(gather_execution(*db_, state_, no, nullptr, true));
  SORTIE_TRY_STATUS(db_->query("DELETE FROM execution_hash WHERE hash=? AND no=?")
                        .bind(1, static_cast<std::int64_t>(fingerprint64(arn)))
                        .bind(2, key)
                        .run());
  SORTIE_TRY_STATUS(db_->query("DELETE FROM frame WHERE execution=?").bind(1, key).run());
  SORTIE_TRY_STATUS(db_->query("DELETE FROM history WHERE execution=?").bind(1, key).run());
  SORTIE_TRY_STATUS(db_->query("DELETE FROM payload WHERE execution=?").bind(1, key).run());
  return db_->query("DELETE FROM execution WHERE no=?").bind(1, key).run();
}

Result<std::size_t> Writer::delete_log_before(std::string_view stream, Timestamp time, std::size_t limit) {
  SORTIE_TRY_STATUS(ready());
  std::size_t deleted = 0;
  auto most = static_cast<std::int64_t>(std::min<std::size_t>(limit, INT64_MAX));
  Status done = [&]() -> Status {
    Transaction transaction(*db_);
    SORTIE_TRY_STATUS(transaction.begin_write());
    SORTIE_TRY_STATUS(
        db_->query("DELETE FROM log WHERE sequence IN (SELECT sequence FROM log INDEXED BY log_by_time"
                   " WHERE stream=? AND time < ? ORDER BY time LIMIT ?)")
            .bind_text(1, stream)
            .bind(2, time.ms)
            .bind(3, most)
            .run());
    deleted = static_cast<std::size_t>(db_->changes());
    state_.journal.last_log_sequence = next_log_sequence_ - 1;
    SORTIE_TRY_STATUS(state_.save(*db_));
    return transaction.commit();
  }();
  if (!done) return failed(std::move(done).error()).error();
  return deleted;
}

}  // namespace sortie::store::sqlite
