// Writer's deleting half: what retention asks for, in steps that are bounded by the pages that they write.
#include <algorithm>
#include <mutex>

#include "store/sqlite/writer.h"

namespace sortie::store::sqlite {

namespace retention {

constexpr std::size_t kSliceUnits = 1024;
// A step writes so much, about: what a commit waits for behind it.
constexpr std::uint64_t kStepBytes = 1024 * 1024;
constexpr std::size_t kStepMin = 8, kStepMax = 256;

}  // namespace retention

// Only what is wholly in the tables can be deleted from them. One slice a call, so that commits go on
// between.
Result<bool> Writer::fold_for_deletion(Timestamp time) {
  SORTIE_TRY_STATUS(ready());
  const Overlay& overlay = view_.overlay;
  const bool frozen_has = overlay.frozen != nullptr && overlay.frozen->earliest_stop() < time;
  if (!frozen_has && overlay.active->earliest_stop() >= time) return false;
  if (overlay.frozen == nullptr) freeze();
  SORTIE_TRY(bool more, fold_slice(retention::kSliceUnits));
  static_cast<void>(more);
  return true;
}

Result<Writer::Deleted> Writer::delete_ended_before(Timestamp time, std::size_t most) {
  SORTIE_TRY_STATUS(ready());
  const auto drop_hashes = [this](bool all) -> Result<bool> {
    Result<bool> dropped = gone_hashes_.step(*db_, all);
    if (!dropped) return failed(std::move(dropped).error()).error();
    return dropped;
  };
  SORTIE_TRY(const bool dropped, drop_hashes(false));
  if (dropped) return Deleted{0, true};
  const std::size_t limit = std::min(most, retention_step_);
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
  if (chosen.empty()) {
    SORTIE_TRY(const bool more, drop_hashes(true));
    return Deleted{0, more};
  }
  std::vector<CountChange> changes;
  const std::uint64_t written = figures_.wal_bytes_written;
  Status done = [&]() -> Status {
    Transaction transaction(*db_);
    SORTIE_TRY_STATUS(transaction.begin_write());
    for (ExecutionNo no : chosen) SORTIE_TRY_STATUS(delete_execution(no, &changes));
    SORTIE_TRY_STATUS(drop_dead_runs(chosen.size() < limit));
    state_.journal.last_execution_no = view_.last_execution_no;
    SORTIE_TRY_STATUS(state_.save(*db_));
    return commit_slice(transaction);
  }();
  if (!done) return failed(std::move(done).error()).error();
  {
    std::unique_lock lock(view_.mutex);
    ++view_.tables;
    for (const CountChange& change : changes) view_.counts.add(change.machine, change.status, change.n);
  }
  publish_fold();
  gone_hashes_.noted(chosen.size());
  // What this step has written says how large the next one is.
  const std::uint64_t bytes = figures_.wal_bytes_written - written;
  const bool was_full = chosen.size() == retention_step_;
  if (bytes > retention::kStepBytes) {
    retention_step_ = std::max(retention_step_ / 2, retention::kStepMin);
  } else if (bytes < retention::kStepBytes / 2 && was_full) {
    retention_step_ = std::min(2 * retention_step_, retention::kStepMax);
  }
  return Deleted{chosen.size(), true};
}

// One run a step; all of them when there is nothing more to delete.
Status Writer::drop_dead_runs(bool all) {
  TermRuns& runs = state_.runs;
  if (!all) return runs.empty() ? Status{} : drop_dead_run(*db_, next_run_++ % runs.size(), &runs);
  for (std::size_t at = runs.size(); at-- > 0;) SORTIE_TRY_STATUS(drop_dead_run(*db_, at, &runs));
  return {};
}

Status Writer::delete_execution(ExecutionNo no, std::vector<CountChange>* changes) {
  auto key = static_cast<std::int64_t>(no);
  std::string arn;
  SORTIE_TRY(std::optional<CountChange> counted, counted_in_tables(no));
  if (!counted) return {};
  counted->n = -1;
  changes->push_back(*std::move(counted));
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
  SORTIE_TRY_STATUS(gone_hashes_.note(*db_, fingerprint64(arn), no));
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
