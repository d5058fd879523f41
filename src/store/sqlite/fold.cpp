#include "store/sqlite/fold.h"

#include <algorithm>
#include <utility>

#include "store/matching.h"
#include "store/sqlite/history_writer.h"

namespace sortie::store::sqlite {

namespace fold {

constexpr std::size_t kRunEntries = kRunEntriesMax;  // Sorted and written by one slice.
// A row with its top frame: small rows share a page, and a large one is not written anew with each frame.
constexpr std::size_t kRowWithFrameMax = 2048;

std::int64_t db_int(std::uint64_t value) { return static_cast<std::int64_t>(value); }

// In units, without its frames.
std::size_t cost_of(const OverlayEntry& entry) {
  std::size_t units = 1;
  for (const HistorySlot& slot : entry.history) units += units_of(slot.body);
  for (const PayloadSlot& slot : entry.payloads) units += units_of(slot.body);
  return units;
}

// What becomes of an execution's top frame.
struct TopChange {
  const FrameSlot* slot = nullptr;  // As it is now; null: it is gone.
  bool is_told = false;             // False: it stays as it was, and `slot` is null.
};
TopChange top_change(const OverlayEntry& entry) {
  const auto found = entry.frames.find(0);
  const bool is_there = found != entry.frames.end();
  return {is_there && !found->second.gone ? &found->second : nullptr, is_there || entry.frames_cleared};
}

Status write_frame(Connection& db, FrameKey key, const FrameSlot& slot) {
  return db
      .query(
          "INSERT INTO frame VALUES(?, ?, ?, ?) ON CONFLICT(execution, frame) DO UPDATE SET"
          " wake_at=excluded.wake_at, image=excluded.image")
      .bind(1, db_int(key.execution))
      .bind(2, key.frame)
      .bind(3, slot.wake_at.ms)
      .bind_blob(4, slot.image)
      .run();
}

Status delete_frame(Connection& db, FrameKey key) {
  return db.query("DELETE FROM frame WHERE execution=? AND frame=?")
      .bind(1, db_int(key.execution))
      .bind(2, key.frame)
      .run();
}

Status delete_frames(Connection& db, ExecutionNo no) {
  return db.query("DELETE FROM frame WHERE execution=?").bind(1, db_int(no)).run();
}

void bind_top(Query& q, int index, const FrameSlot* slot) {
  if (slot != nullptr) {
    q.bind(index, slot->wake_at.ms).bind_blob(index + 1, slot->image);
  } else {
    q.bind_null(index).bind_null(index + 1);
  }
}

// Of an execution whose row is not written: the top frame stays where it is, in the row or not.
Status fold_top(Connection& db, ExecutionNo no, const OverlayEntry& entry) {
  const TopChange top = top_change(entry);
  if (!top.is_told) return {};
  SORTIE_TRY_STATUS([&] {
    Query q =
        db.query("UPDATE execution SET top_wake_at=?2, top_image=?3 WHERE no=?1 AND top_image IS NOT NULL");
    bind_top(q.bind(1, db_int(no)), 2, top.slot);
    return q.run();
  }());
  const bool is_in_row = db.changes() > 0;
  if (entry.frames_cleared) SORTIE_TRY_STATUS(delete_frames(db, no));
  if (is_in_row) return {};
  return top.slot != nullptr ? write_frame(db, {no, 0}, *top.slot) : delete_frame(db, {no, 0});
}

// What the tables say of an execution before it is folded.
struct Before {
  bool exists = false;
  std::int64_t machine = 0, status = 0, stopped_at = 0;
  bool has_top = false;
};
Result<Before> row_before(Connection& db, ExecutionNo no) {
  Query q = db.query("SELECT machine, status, stopped_at, top_image IS NOT NULL FROM execution WHERE no=?");
  q.bind(1, db_int(no));
  SORTIE_TRY(const bool exists, q.step());
  if (!exists) return Before{};
  return Before{true, q.integer(0), q.integer(1), q.integer(2), q.integer(3) != 0};
}

// ?10: whether anything is said of the top frame.
const char kInsertRow[] =
    "INSERT INTO execution(no, started_at, arn_prefix, arn_rest, name, image, machine, status, stopped_at,"
    " top_wake_at, top_image) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?11, ?12)";
#define SORTIE_SET_IMAGES                                                              \
  "UPDATE execution SET started_at=?2, arn_prefix=?3, arn_rest=?4, name=?5, image=?6," \
  " top_wake_at=iif(?10, ?11, top_wake_at), top_image=iif(?10, ?12, top_image)"
const char kUpdateImages[] = SORTIE_SET_IMAGES " WHERE no=?1";  // No index holds any of these columns.
const char kUpdateRow[] = SORTIE_SET_IMAGES ", machine=?7, status=?8, stopped_at=?9 WHERE no=?1";

void bind_row(Query& q, const ExecutionView& row, std::int64_t prefix) {
  q.bind(1, db_int(row.no)).bind(2, row.started_at.ms).bind(3, prefix);
  if (row.arn_rest) {
    q.bind_text(4, *row.arn_rest);
  } else {
    q.bind_null(4);
  }
  q.bind_text(5, row.name).bind_blob(6, row.image);
}

Status fold_history(Connection& db, ExecutionNo no, const OverlayEntry& entry) {
  HistoryWriter writer(db, no);
  for (const HistorySlot& slot : entry.history) {
    SORTIE_TRY_STATUS(writer.add(slot.first_event_id, slot.count, slot.body));
  }
  SORTIE_TRY_STATUS(writer.flush());
  for (const PayloadSlot& slot : entry.payloads) {
    SORTIE_TRY_STATUS(write_payload(db, no, slot.payload, slot.body));
  }
  return {};
}

}  // namespace fold

void Fold::begin(const Generation& frozen, TableState& state) {
  fresh_.clear();
  fresh_sorted_ = false;
  counts_.clear();
  units_done_ = row_units_ = entries_done_ = 0;
  JournalState& journal = state.journal;
  if (journal.frozen_group == 0) {
    journal.frozen_group = frozen.last_group();
    journal.stage = FoldStage::kExecutions;
    journal.cursor_execution = 0;
    journal.cursor_frame = 0;
    return;
  }
  // Which of those behind the cursor were new is forgotten; writing the hash of a known one changes nothing.
  for (const auto& [no, entry] : frozen.entries()) {
    const bool is_past = journal.stage != FoldStage::kExecutions || no < journal.cursor_execution;
    if (!is_past && no != journal.cursor_execution) break;
    if (entry.row) fresh_.emplace_back(fingerprint64(entry.row->arn()), no);
    if (!is_past) break;  // It is counted when it is done.
    ++entries_done_;
    row_units_ += fold::cost_of(entry) + entry.frames.size();
  }
  units_done_ = row_units_;
}

std::size_t Fold::units_expected(const Generation& frozen) const {
  const std::size_t entries = frozen.entries().size();
  const std::size_t sorted = (frozen.terms().size() + frozen.names().size()) / kTermsPerUnit;
  if (entries_done_ == 0) return 2 * entries + frozen.piece_units() + sorted;
  return (row_units_ + fresh_.size()) * entries / entries_done_ + sorted;
}

Status Fold::step(Connection& db, TableState& state, const Generation& frozen, std::size_t units) {
  if (state.journal.stage == FoldStage::kExecutions) {
    SORTIE_TRY_STATUS(fold_executions(db, state, frozen, &units));
    SORTIE_TRY_STATUS(save_counts(db));
  }
  if (state.journal.stage == FoldStage::kHashes && units > 0) {
    SORTIE_TRY_STATUS(fold_hashes(db, state, &units));
  }
  if (state.journal.stage == FoldStage::kTerms && units > 0) {
    SORTIE_TRY_STATUS(fold_terms(db, state, frozen));
  }
  return {};
}

Status Fold::fold_executions(Connection& db, TableState& state, const Generation& frozen,
                             std::size_t* units) {
  JournalState& journal = state.journal;
  auto each = frozen.entries().lower_bound(journal.cursor_execution);
  for (; each != frozen.entries().end(); ++each) {
    const auto& [no, entry] = *each;
    if (*units == 0) return {};
    bool resumed = no == journal.cursor_execution && journal.cursor_frame > 0;
    if (!resumed) {
      journal.cursor_execution = no;
      if (entry.row) {
        SORTIE_TRY_STATUS(fold_row(db, state, *entry.row, entry));
      } else {
        SORTIE_TRY_STATUS(fold::fold_top(db, no, entry));
      }
      journal.cursor_frame = 1;
      units_done_ += entry.frames.contains(0) ? 1 : 0;
    }
    const std::size_t cost = fold::cost_of(entry);
    SORTIE_TRY_STATUS(fold_frames(db, state, no, entry, units));
    if (!entry.frames.empty() && journal.cursor_frame <= entry.frames.rbegin()->first) return {};
    SORTIE_TRY_STATUS(fold::fold_history(db, no, entry));
    *units -= std::min(*units, cost);
    units_done_ += cost;
    row_units_ += cost + entry.frames.size();
    ++entries_done_;
    journal.cursor_execution = no + 1;
    journal.cursor_frame = 0;
  }
  journal.stage = FoldStage::kHashes;
  journal.cursor_execution = 0;
  journal.cursor_frame = 0;
  return {};
}

Status Fold::fold_row(Connection& db, TableState& state, const ExecutionView& row,
                      const OverlayEntry& entry) {
  SORTIE_TRY(const std::int64_t machine, state.word(db, row.state_machine_arn));
  SORTIE_TRY(const std::int64_t prefix, state.word(db, row.arn_prefix));
  SORTIE_TRY(const fold::Before before, fold::row_before(db, row.no));
  const auto status = static_cast<std::int64_t>(row.status);
  const fold::TopChange top = fold::top_change(entry);
  const bool rides = top.slot != nullptr && row.status == ExecutionStatus::kRunning &&
                     row.image.size() + top.slot->image.size() <= fold::kRowWithFrameMax;
  const bool stays = before.exists && before.machine == machine && before.status == status &&
                     before.stopped_at == row.stopped_at.ms;
  {
    Query q = db.query(!before.exists ? fold::kInsertRow : stays ? fold::kUpdateImages : fold::kUpdateRow);
    fold::bind_row(q, row, prefix);
    q.bind(7, machine).bind(8, status).bind(9, row.stopped_at.ms).bind(10, top.is_told ? 1 : 0);
    fold::bind_top(q, 11, rides ? top.slot : nullptr);
    SORTIE_TRY_STATUS(q.run());
  }
  if (before.exists && !stays) --counts_[{before.machine, before.status}];
  if (!stays) ++counts_[{machine, status}];
  if (!before.exists) fresh_.emplace_back(fingerprint64(row.arn()), row.no);
  if (before.exists && entry.frames_cleared) {
    SORTIE_TRY_STATUS(fold::delete_frames(db, row.no));
  } else if (before.exists && !before.has_top && top.is_told && (rides || top.slot == nullptr)) {
    SORTIE_TRY_STATUS(fold::delete_frame(db, {row.no, 0}));
  }
  return top.slot != nullptr && !rides ? fold::write_frame(db, {row.no, 0}, *top.slot) : Status();
}

Status Fold::fold_frames(Connection& db, TableState& state, ExecutionNo no, const OverlayEntry& entry,
                         std::size_t* units) {
  JournalState& journal = state.journal;
  auto each = journal.cursor_frame > UINT32_MAX
                  ? entry.frames.end()
                  : entry.frames.lower_bound(static_cast<FrameNo>(journal.cursor_frame));
  for (; each != entry.frames.end(); ++each) {
    const auto& [frame, slot] = *each;
    if (*units == 0 && journal.cursor_frame > 0) return {};
    if (!slot.gone) {
      SORTIE_TRY_STATUS(fold::write_frame(db, {no, frame}, slot));
    } else if (!entry.frames_cleared) {
      SORTIE_TRY_STATUS(fold::delete_frame(db, {no, frame}));
    }
    journal.cursor_frame = static_cast<std::uint64_t>(frame) + 1;
    ++units_done_;
    if (*units > 0) --*units;
  }
  return {};
}

Status Fold::save_counts(Connection& db) {
  for (const auto& [key, change] : counts_) {
    if (change == 0) continue;
    SORTIE_TRY_STATUS(db.query("INSERT INTO execution_count VALUES(?, ?, ?)"
                               " ON CONFLICT(machine, status) DO UPDATE SET n = n + excluded.n")
                          .bind(1, key.first)
                          .bind(2, key.second)
                          .bind(3, change)
                          .run());
  }
  counts_.clear();
  return {};
}

Status Fold::fold_hashes(Connection& db, TableState& state, std::size_t* units) {
  if (!fresh_sorted_) std::sort(fresh_.begin(), fresh_.end());
  fresh_sorted_ = true;
  JournalState& journal = state.journal;
  auto each = std::lower_bound(fresh_.begin(), fresh_.end(),
                               std::pair<std::uint64_t, ExecutionNo>(journal.cursor_execution, 0));
  while (each != fresh_.end()) {
    // All of one hash belong to one slice: the cursor is a hash.
    if (*units == 0 && each->first != journal.cursor_execution) break;
    SORTIE_TRY_STATUS(db.query("INSERT OR IGNORE INTO execution_hash VALUES(?, ?)")
                          .bind(1, fold::db_int(each->first))
                          .bind(2, fold::db_int(each->second))
                          .run());
    journal.cursor_execution = each->first;
    ++each;
    ++units_done_;
    if (*units > 0) --*units;
  }
  if (each != fresh_.end()) {
    journal.cursor_execution = each->first;
    return {};
  }
  journal.stage = FoldStage::kTerms;
  journal.cursor_execution = 0;
  return {};
}

// One run a slice: terms and then names, in the order in which they came.
Status Fold::fold_terms(Connection& db, TableState& state, const Generation& frozen) {
  JournalState& journal = state.journal;
  const auto& terms = frozen.terms();
  const auto& names = frozen.names();
  const std::size_t all = terms.size() + names.size();
  const auto from = static_cast<std::size_t>(journal.cursor_execution);
  const std::size_t to = std::min(all, from + fold::kRunEntries);
  std::vector<TermEntry> entries;
  entries.reserve(to - std::min(from, to));
  for (std::size_t i = std::max(from, terms.size()); i < to; ++i) {
    const NameSlot& slot = names[i - terms.size()];
    entries.push_back({name_key(folded_name(slot.name)), slot.no});
  }
  std::sort(entries.begin(), entries.end());
  if (from < terms.size()) {  // Sorted as numbers, which is faster; their keys are above those of names.
    std::vector<TermSlot> some(terms.begin() + static_cast<std::ptrdiff_t>(from),
                               terms.begin() + static_cast<std::ptrdiff_t>(std::min(to, terms.size())));
    std::sort(some.begin(), some.end());
    for (const TermSlot& slot : some) entries.push_back({term_key(slot.term), slot.no});
  }
  SORTIE_TRY_STATUS(write_term_run(db, std::move(entries), &state.runs));
  units_done_ += (to - std::min(from, to)) / kTermsPerUnit;
  journal.cursor_execution = to;
  if (to < all) return {};
  SORTIE_TRY_STATUS(merge_term_runs(db, &state.runs));
  journal.applied_group = journal.frozen_group;
  journal.frozen_group = 0;
  journal.stage = FoldStage::kExecutions;
  journal.cursor_execution = 0;
  return {};
}

}  // namespace sortie::store::sqlite
