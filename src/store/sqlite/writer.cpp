#include "store/sqlite/writer.h"

#include <sqlite3.h>

#include <algorithm>
#include <mutex>

#include "base/canary.h"
#include "store/matching.h"
#include "store/sqlite/schema.h"

namespace sortie::store::sqlite {

namespace writer {

// Smaller slices would write the same few pages again and again: some eight, however small it is. A large
// group bears a larger one.
constexpr std::size_t kSliceUnitsMin = 128;
constexpr std::size_t kSliceUnitsShare = 4;  // For each record of the group, up to kSliceUnitsMost.
constexpr std::size_t kSliceUnitsMost = 1024;
constexpr std::size_t kSliceUnitsMax = 4096;
// Journal rows deleted by one slice; with a group, some four times what it writes, so that they go faster
// than they come and no group waits for more than its like.
constexpr std::uint64_t kDropBytesMin = 256 * 1024, kDropBytesMax = 2 * 1024 * 1024;
constexpr std::uint64_t kDropShare = 4;
constexpr std::uint64_t kWalFrameHead = 24;

std::int64_t db_int(std::uint64_t value) { return static_cast<std::int64_t>(value); }

int on_wal(void* figures, sqlite3*, const char*, int pages) {
  auto* all = static_cast<WriterFigures*>(figures);
  std::uint64_t now = static_cast<std::uint64_t>(pages) * (all->page_bytes + kWalFrameHead);
  std::uint64_t before = all->wal_bytes.exchange(now);
  // Smaller than before: the log began again from its start.
  all->wal_bytes_written += now >= before ? now - before : now;
  return SQLITE_OK;
}

}  // namespace writer

Writer::Writer(const SqliteOptions& options, std::string file, View& view)
    : options_(options), file_(std::move(file)), view_(view) {}

Writer::~Writer() = default;

Status Writer::open_connection() {
  if (!SORTIE_CANARY_IS("log-not-rewritten")) SORTIE_TRY_STATUS(rewrite_log(file_, options_.vfs));
  SORTIE_TRY(db_, Connection::open(file_, OpenMode::kReadWrite, options_.vfs));
  SORTIE_TRY_STATUS(db_->execute("PRAGMA cache_size=-65536"));
  SORTIE_TRY_STATUS(prepare_schema(*db_));
  if (SORTIE_CANARY_IS("sync-skipped")) SORTIE_TRY_STATUS(db_->execute("PRAGMA synchronous=OFF"));
  SORTIE_TRY_STATUS(db_->execute("PRAGMA wal_autocheckpoint=0"));
  // Debian's SQLite overwrites whatever is deleted with zeros, so that dropping a journal row writes it a
  // second time. What a page in use loses is still overwritten; pages that become free are not written for
  // that.
  SORTIE_TRY_STATUS(db_->execute("PRAGMA secure_delete=FAST"));
  SORTIE_TRY(const std::int64_t page_bytes, db_->integer("PRAGMA page_size"));
  figures_.page_bytes = static_cast<std::uint64_t>(std::max<std::int64_t>(page_bytes, 512));
  if (options_.file_bytes_max > 0) {
    std::string limit =
        "PRAGMA max_page_count=" + std::to_string(options_.file_bytes_max / figures_.page_bytes);
    SORTIE_TRY_STATUS(db_->execute(limit.c_str()));
  }
  sqlite3_wal_hook(db_->handle(), writer::on_wal, &figures_);
  return {};
}

Status Writer::open() {
  SORTIE_TRY_STATUS(open_connection());
  SORTIE_TRY_STATUS(state_.load(*db_));
  SORTIE_TRY_STATUS(gone_hashes_.load(*db_));
  SORTIE_TRY_STATUS(recover_overlay());
  view_.runs = state_.runs;
  Query q = db_->query("SELECT no, epoch FROM shard");
  for (;;) {
    SORTIE_TRY(bool row, q.step());
    if (!row) break;
    epochs_[static_cast<ShardNo>(q.integer(0))] = static_cast<Epoch>(q.integer(1));
  }
  SORTIE_TRY(std::int64_t sequence, db_->integer("SELECT max(sequence) FROM log"));
  next_log_sequence_ = std::max(static_cast<std::uint64_t>(sequence), state_.journal.last_log_sequence) + 1;
  SORTIE_TRY(std::int64_t last, db_->integer("SELECT max(no) FROM execution"));
  view_.last_execution_no = std::max(
      {static_cast<ExecutionNo>(last), state_.journal.last_execution_no, view_.last_execution_no.load()});
  drop_pending_ = true;
  return count_all();
}

Status Writer::recover_overlay() {
  Overlay& overlay = view_.overlay;
  last_group_ = state_.journal.applied_group;
  if (state_.journal.frozen_group > 0) overlay.frozen = std::make_shared<Generation>();
  Query q = db_->query("SELECT no, body FROM journal WHERE no > ? ORDER BY no");
  q.bind(1, writer::db_int(last_group_));
  for (;;) {
    SORTIE_TRY(bool row, q.step());
    if (!row) break;
    auto group = static_cast<GroupNo>(q.integer(0));
    auto body = std::make_shared<const std::string>(q.bytes(1));
    bool to_frozen = group <= state_.journal.frozen_group;
    Generation& generation = to_frozen ? *overlay.frozen : *overlay.active;
    if (group != last_group_ + 1 || !generation.apply(group, std::move(body))) {
      return db_->corrupt("journal row " + std::to_string(group) + " cannot be read");
    }
    last_group_ = group;
  }
  if (overlay.frozen && overlay.frozen->last_group() != state_.journal.frozen_group) {
    return db_->corrupt("the journal ends before the generation that is being folded");
  }
  if (overlay.frozen) fold_.begin(*overlay.frozen, state_);
  ExecutionNo highest = overlay.active->highest_execution();
  if (overlay.frozen) highest = std::max(highest, overlay.frozen->highest_execution());
  view_.last_execution_no = highest;
  figures_.overlay_bytes = overlay.bytes();
  return {};
}

Status Writer::ready() {
  if (!stale_) return {};
  SORTIE_TRY_STATUS(state_.load(*db_));
  if (view_.overlay.frozen) fold_.begin(*view_.overlay.frozen, state_);
  stale_ = false;
  return {};
}

Status Writer::failed(Error error) {
  stale_ = true;
  drop_pending_ = true;  // What this one dropped is there again.
  return error;
}

Status Writer::check_fence(const Batch& batch) const {
  if (SORTIE_CANARY_IS("fence-forgotten")) return {};
  SORTIE_TRY_STATUS(check_epoch(batch.shard, batch.epoch));
  return batch.leader_epoch == 0 ? Status() : check_epoch(0, batch.leader_epoch);
}

Status Writer::check_epoch(ShardNo shard, Epoch epoch) const {
  auto found = epochs_.find(shard);
  Epoch current = found == epochs_.end() ? 0 : found->second;
  if (epoch == current && current != 0) return {};
  return stale_epoch(shard, current, epoch);
}

void Writer::freeze() {
  {
    std::unique_lock lock(view_.mutex);
    view_.overlay.freeze();
  }
  fold_.begin(*view_.overlay.frozen, state_);
}

Status Writer::make_room() {
  while (view_.overlay.active->bytes() >= options_.overlay_bytes_max / 2) {
    if (!has_frozen()) {
      freeze();
      return {};
    }
    SORTIE_TRY(bool more, fold_slice(writer::kSliceUnitsMax));
    static_cast<void>(more);
  }
  return {};
}

// Once, while nobody reads yet: what the tables have counted, and what the overlay makes of it.
Status Writer::count_all() {
  Query q = db_->query("SELECT value, status, n FROM execution_count JOIN word ON word.id = machine");
  for (;;) {
    SORTIE_TRY(bool row, q.step());
    if (!row) break;
    view_.counts.add(q.bytes(0), static_cast<ExecutionStatus>(q.integer(1) % 5), q.integer(2));
  }
  SORTIE_TRY(std::int64_t last, db_->integer("SELECT max(no) FROM execution"));
  Status read;
  view_.overlay.for_each([&](ExecutionNo no) {
    const ExecutionView* row = view_.overlay.find_execution(no);
    if (row == nullptr) return true;
    view_.counts.add(row->state_machine_arn, row->status, 1);
    if (no > static_cast<ExecutionNo>(last)) return true;
    Result<std::optional<CountChange>> below = counted_in_tables(no);
    if (!below) read = below.error();
    if (below && *below) view_.counts.add((*below)->machine, (*below)->status, -1);
    return read.ok();
  });
  return read;
}

Result<std::optional<Writer::CountChange>> Writer::counted_in_tables(ExecutionNo no) {
  Query q = db_->query("SELECT status, value FROM execution JOIN word ON word.id = machine WHERE no = ?");
  q.bind(1, writer::db_int(no));
  SORTIE_TRY(bool found, q.step());
  if (!found) return std::optional<CountChange>();
  return std::optional(
      CountChange{std::string(q.bytes(1)), static_cast<ExecutionStatus>(q.integer(0) % 5), 1});
}

// What these batches change about the counts; a number above all that was ever given needs no look-up.
Result<std::vector<Writer::CountChange>> Writer::count_changes(const std::vector<const Batch*>& batches) {
  std::vector<CountChange> changes;
  std::unordered_map<ExecutionNo, const ExecutionRow*> earlier;  // In this group.
  for (const Batch* batch : batches) {
    for (const ExecutionRow& row : batch->executions) {
      const auto [known, is_first] = earlier.try_emplace(row.no, &row);
      if (!is_first) {
        changes.push_back({known->second->state_machine_arn, known->second->status, -1});
        known->second = &row;
      } else if (const ExecutionView* below = view_.overlay.find_execution(row.no)) {
        changes.push_back({std::string(below->state_machine_arn), below->status, -1});
      } else if (std::optional<RecentRows::Row> recent = view_.recent.find(row.no, view_.tables)) {
        changes.push_back({std::move(recent->state_machine_arn), recent->status, -1});
      } else if (row.no <= view_.last_execution_no) {
        SORTIE_TRY(std::optional<CountChange> counted, counted_in_tables(row.no));
        if (counted) changes.push_back({std::move(counted->machine), counted->status, -1});
      }
      changes.push_back({row.state_machine_arn, row.status, 1});
    }
  }
  return changes;
}

// As far as the active generation has filled, the frozen one should be folded, and somewhat further. The
// group that a slice would ride along with has so many records.
std::size_t Writer::units_due(std::size_t records) const {
  if (!has_frozen()) return 0;
  const Generation& frozen = *view_.overlay.frozen;
  double filled = static_cast<double>(view_.overlay.active->bytes()) /
                  (static_cast<double>(options_.overlay_bytes_max) / 2);
  const auto all = static_cast<double>(fold_.units_expected(frozen));
  double due = all * std::min(1.0, filled * 1.25) - static_cast<double>(fold_.units_done());
  if (filled >= 0.8) due = writer::kSliceUnitsMax;  // The count is an estimate; the end is not.
  const std::size_t least =
      std::clamp(records * writer::kSliceUnitsShare, writer::kSliceUnitsMin, writer::kSliceUnitsMost);
  if (due < static_cast<double>(least)) return 0;
  return std::min(static_cast<std::size_t>(due), writer::kSliceUnitsMax);
}

Status Writer::slice(std::size_t units, std::uint64_t drop_bytes) {
  if (units > 0) SORTIE_TRY_STATUS(fold_.step(*db_, state_, *view_.overlay.frozen, units));
  if (drop_pending_) {
    SORTIE_TRY(drop_pending_, state_.drop_some(*db_, drop_bytes));
  }
  state_.journal.last_execution_no = view_.last_execution_no;
  state_.journal.last_log_sequence = next_log_sequence_ - 1;
  return state_.save(*db_);
}

Status Writer::write_group(const std::string& body) {
  return db_->query("INSERT INTO journal VALUES(?, ?)")
      .bind(1, writer::db_int(last_group_ + 1))
      .bind_blob(2, body)
      .run();
}

Status Writer::write_documents(const Batch& batch) {
  for (const Document& document : batch.documents) {
    SORTIE_TRY_STATUS(db_->query("INSERT INTO document VALUES(?, ?, ?) ON CONFLICT(kind, key) DO UPDATE SET"
                                 " value=excluded.value")
                          .bind_text(1, document.kind)
                          .bind_text(2, document.key)
                          .bind_blob(3, document.value)
                          .run());
  }
  for (const auto& [kind, key] : batch.documents_gone) {
    SORTIE_TRY_STATUS(
        db_->query("DELETE FROM document WHERE kind=? AND key=?").bind_text(1, kind).bind_text(2, key).run());
  }
  return {};
}

Status Writer::write_log(const Batch& batch) {
  for (const LogLine& line : batch.log) {
    SORTIE_TRY_STATUS(db_->query("INSERT INTO log VALUES(?, ?, ?, ?, ?, ?, ?)")
                          .bind(1, writer::db_int(next_log_sequence_))
                          .bind_text(2, line.stream)
                          .bind(3, line.time.ms)
                          .bind_text(4, line.source)
                          .bind_text(5, line.type)
                          .bind_text(6, line.subject)
                          .bind_blob(7, line.body)
                          .run());
    ++next_log_sequence_;
  }
  return {};
}

Status Writer::commit(const std::vector<const Batch*>& batches, std::vector<Status>* results) {
  SORTIE_TRY_STATUS(ready());
  SORTIE_TRY_STATUS(make_room());
  results->assign(batches.size(), Status{});
  std::size_t bytes = 0;
  for (const Batch* batch : batches) bytes += batch->bytes();
  GroupEncoder encoder(bytes);
  std::vector<const Batch*> accepted;
  accepted.reserve(batches.size());
  for (std::size_t i = 0; i < batches.size(); ++i) {
    (*results)[i] = check_fence(*batches[i]);
    if (!(*results)[i] || batches[i]->empty()) continue;
    encoder.add(*batches[i]);
    accepted.push_back(batches[i]);
  }
  if (accepted.empty()) return {};
  bool has_group = !encoder.empty();
  ExecutionNo highest = encoder.highest_execution();
  std::string body = has_group ? encoder.finish() : std::string();
  std::uint64_t log_before = next_log_sequence_;
  std::size_t units = units_due(encoder.records());
  std::vector<CountChange> changes;
  Status done = [&]() -> Status {
    Transaction transaction(*db_);
    SORTIE_TRY_STATUS(transaction.begin_write());
    SORTIE_TRY(changes, count_changes(accepted));
    if (has_group) SORTIE_TRY_STATUS(write_group(body));
    if (SORTIE_CANARY_IS("two-transactions")) {
      SORTIE_TRY_STATUS(transaction.commit());
      SORTIE_TRY_STATUS(transaction.begin_write());
    }
    for (const Batch* batch : accepted) {
      SORTIE_TRY_STATUS(write_documents(*batch));
      SORTIE_TRY_STATUS(write_log(*batch));
    }
    if (units > 0 || drop_pending_) {
      SORTIE_TRY_STATUS(slice(
          units, std::clamp(writer::kDropShare * body.size(), writer::kDropBytesMin, writer::kDropBytesMax)));
    }
    return commit_slice(transaction);
  }();
  if (!done) {
    next_log_sequence_ = log_before;
    return failed(std::move(done).error());
  }
  publish(has_group ? last_group_ + 1 : 0, std::move(body), highest, changes);
  ++figures_.commits;
  figures_.batches += accepted.size();
  return {};
}

void Writer::publish(GroupNo group, std::string body, ExecutionNo highest,
                     const std::vector<CountChange>& changes) {
  if (group != 0) {
    last_group_ = group;
    auto shared = std::make_shared<const std::string>(std::move(body));
    std::unique_lock lock(view_.mutex);
    SORTIE_CHECK(view_.overlay.active->apply(group, std::move(shared), Generation::From::kThisProcess));
    if (highest > view_.last_execution_no) view_.last_execution_no = highest;
    for (const CountChange& change : changes) view_.counts.add(change.machine, change.status, change.n);
  }
  publish_fold();
}

// Whoever has the list of runs must find them in its snapshot: where one of them goes, nobody begins a
// snapshot between the commit and the list without it.
Status Writer::commit_slice(Transaction& transaction) {
  const TermRuns& runs = state_.runs;
  const bool all_stay = std::all_of(view_.runs.begin(), view_.runs.end(), [&](const auto& run) {
    const auto later = std::lower_bound(runs.begin(), runs.end(), run->id,
                                        [](const auto& each, std::int64_t id) { return each->id < id; });
    return later != runs.end() && *later == run;
  });
  if (runs == view_.runs || all_stay) return transaction.commit();
  std::unique_lock lock(view_.mutex);
  SORTIE_TRY_STATUS(transaction.commit());
  view_.runs = runs;
  ++view_.tables;
  return {};
}

void Writer::publish_fold() {
  const bool is_folded = has_frozen() && state_.journal.frozen_group == 0;
  if (is_folded || state_.runs != view_.runs) {
    std::shared_ptr<Generation> folded;  // Freed after the lock: it is large.
    TermRuns runs = state_.runs;
    std::unique_lock lock(view_.mutex);
    runs.swap(view_.runs);
    if (is_folded) folded.swap(view_.overlay.frozen);
    ++view_.tables;
    lock.unlock();
    drop_pending_ = drop_pending_ || is_folded;
  }
  figures_.overlay_bytes = view_.overlay.bytes();
}

Result<bool> Writer::fold_slice(std::size_t units) {
  SORTIE_TRY_STATUS(ready());
  if (!has_frozen() && !drop_pending_) return false;
  Status done = [&]() -> Status {
    Transaction transaction(*db_);
    SORTIE_TRY_STATUS(transaction.begin_write());
    SORTIE_TRY_STATUS(slice(has_frozen() ? units : 0, writer::kDropBytesMax));
    return commit_slice(transaction);
  }();
  if (!done) return failed(std::move(done).error()).error();
  publish_fold();
  return has_frozen() || drop_pending_;
}

Status Writer::fold_everything() {
  while (has_frozen() || has_active()) {
    if (!has_frozen()) freeze();
    SORTIE_TRY(bool more, fold_slice(writer::kSliceUnitsMax));
    static_cast<void>(more);
  }
  return {};
}

Result<Epoch> Writer::acquire(ShardNo shard) {
  SORTIE_TRY_STATUS(ready());
  Epoch next = epochs_[shard] + 1;
  Status done = [&]() -> Status {
    Transaction transaction(*db_);
    SORTIE_TRY_STATUS(transaction.begin_write());
    SORTIE_TRY_STATUS(
        db_->query("INSERT INTO shard VALUES(?, ?) ON CONFLICT(no) DO UPDATE SET epoch=excluded.epoch")
            .bind(1, shard)
            .bind(2, writer::db_int(next))
            .run());
    return transaction.commit();
  }();
  if (!done) return failed(std::move(done).error()).error();
  epochs_[shard] = next;
  return next;
}

Status Writer::checkpoint() {
  int log_pages = 0;
  int copied = 0;
  int code =
      sqlite3_wal_checkpoint_v2(db_->handle(), nullptr, SQLITE_CHECKPOINT_PASSIVE, &log_pages, &copied);
  if (code != SQLITE_OK && (code & 0xff) != SQLITE_BUSY) return db_->error(code);
  if (log_pages >= 0 && copied >= log_pages) figures_.wal_bytes = 0;
  return {};
}

}  // namespace sortie::store::sqlite
