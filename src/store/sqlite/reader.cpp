#include "store/sqlite/reader.h"

#include <algorithm>

#include "store/matching.h"

namespace sortie::store::sqlite {

namespace reader {

constexpr std::size_t kChunkRows = 1000;  // Looked at by one chunk of a listing.

std::int64_t db_int(std::uint64_t value) {
  return static_cast<std::int64_t>(std::min<std::uint64_t>(value, INT64_MAX));
}

#define SORTIE_EXECUTION_COLUMNS                                                            \
  "SELECT no, status, started_at, stopped_at, (SELECT value FROM word WHERE id = machine)," \
  " (SELECT value FROM word WHERE id = arn_prefix), coalesce(arn_rest, name), name, "

ExecutionRow row_of(const Query& q, bool with_image) {
  ExecutionRow row;
  row.no = static_cast<ExecutionNo>(q.integer(0));
  row.status = static_cast<ExecutionStatus>(q.integer(1));
  row.started_at = {q.integer(2)};
  row.stopped_at = {q.integer(3)};
  row.state_machine_arn = q.bytes(4);
  row.arn = q.bytes(5);
  row.arn += q.bytes(6);
  row.name = q.bytes(7);
  if (with_image) row.image = q.bytes(8);
  return row;
}

Result<std::optional<ExecutionRow>> load_execution(Connection& db, ExecutionNo no) {
  Query q = db.query(SORTIE_EXECUTION_COLUMNS "image FROM execution WHERE no=?");
  q.bind(1, db_int(no));
  SORTIE_TRY(bool found, q.step());
  if (!found) return std::optional<ExecutionRow>();
  return std::optional<ExecutionRow>(row_of(q, true));
}

const char* const kListAll = SORTIE_EXECUTION_COLUMNS "0 FROM execution WHERE no < ?1 ORDER BY no DESC";
const char* const kListByStatus = SORTIE_EXECUTION_COLUMNS
    "0 FROM execution INDEXED BY execution_by_status WHERE status=?2 AND no < ?1 ORDER BY no DESC";
const char* const kListByMachineAndStatus = SORTIE_EXECUTION_COLUMNS
    "0 FROM execution INDEXED BY execution_by_machine WHERE machine=?3 AND status=?2 AND no < ?1"
    " ORDER BY no DESC";
// One ordered range of the index for each status; SQLite merges them without a sort.
#define SORTIE_ONE_STATUS(n)                                          \
  SORTIE_EXECUTION_COLUMNS                                            \
  "0 FROM execution INDEXED BY execution_by_machine WHERE machine=?3" \
  " AND status=" n " AND no < ?1"
const char* const kListByMachine =
    SORTIE_ONE_STATUS("0") " UNION ALL " SORTIE_ONE_STATUS("1") " UNION ALL " SORTIE_ONE_STATUS(
        "2") " UNION ALL " SORTIE_ONE_STATUS("3") " UNION ALL " SORTIE_ONE_STATUS("4") " ORDER BY no DESC";

Result<std::optional<std::int64_t>> find_word(Connection& db, std::string_view text) {
  Query q = db.query("SELECT id FROM word WHERE value=?");
  q.bind_text(1, text);
  SORTIE_TRY(bool found, q.step());
  return found ? std::optional(q.integer(0)) : std::nullopt;
}

FrameRow frame_of(const Query& q) {
  FrameKey key{static_cast<ExecutionNo>(q.integer(0)), static_cast<FrameNo>(q.integer(1))};
  return FrameRow{key, {q.integer(2)}, std::string(q.bytes(3))};
}

FrameRow frame_of(FrameKey key, const FrameSlot& slot) {
  return FrameRow{key, slot.wake_at, std::string(slot.image)};
}

}  // namespace reader

Reader::Reader(const SqliteOptions& options, std::string file, View& view)
    : view_(view), pool_(options, std::move(file), view) {}

Result<std::optional<ExecutionRow>> Reader::find_execution(ExecutionNo no) {
  {
    std::shared_lock lock(view_.mutex);
    const ExecutionView* found = view_.overlay.find_execution(no);
    if (found != nullptr) return std::optional(found->row(true));
  }
  SORTIE_TRY(Lease db, lease());
  SORTIE_TRY_STATUS(db.settle());
  SORTIE_TRY(std::optional<ExecutionRow> row, reader::load_execution(*db, no));
  if (row) view_.recent.remember(no, db.tables(), *row);
  return row;
}

Result<std::optional<ExecutionRow>> Reader::find_execution(std::string_view arn) {
  {
    std::shared_lock lock(view_.mutex);
    const ExecutionView* found = view_.overlay.find_execution(arn);
    if (found != nullptr) return std::optional(found->row(true));
  }
  SORTIE_TRY(Lease db, lease());
  SORTIE_TRY_STATUS(db.settle());
  Query q = (*db).query("SELECT no FROM execution_hash WHERE hash=? ORDER BY no DESC");
  q.bind(1, static_cast<std::int64_t>(fingerprint64(arn)));
  for (;;) {
    SORTIE_TRY(bool more, q.step());
    if (!more) return std::optional<ExecutionRow>();
    SORTIE_TRY(auto row, reader::load_execution(*db, static_cast<ExecutionNo>(q.integer(0))));
    if (row && row->arn == arn) return row;
  }
}

Result<std::vector<ExecutionRow>> Reader::list_executions(const ExecutionQuery& query) {
  std::vector<ExecutionRow> rows;
  ExecutionNo before = query.before;
  while (before > 0 && rows.size() < query.limit) {
    SORTIE_TRY(before, list_chunk(query, before, &rows));
  }
  return rows;
}

Result<ExecutionNo> Reader::list_chunk(const ExecutionQuery& query, ExecutionNo before,
                                       std::vector<ExecutionRow>* rows) {
  SORTIE_TRY(Lease db, lease());
  std::shared_lock lock(view_.mutex);
  SORTIE_TRY_STATUS(db.settle());
  const Overlay& overlay = view_.overlay;
  bool by_machine = !query.state_machine_arn.empty();
  std::optional<std::int64_t> machine;
  if (by_machine) {
    SORTIE_TRY(machine, reader::find_word(*db, query.state_machine_arn));
  }
  Query q = (*db).query(by_machine ? (query.status ? reader::kListByMachineAndStatus : reader::kListByMachine)
                                   : (query.status ? reader::kListByStatus : reader::kListAll));
  q.bind(1, reader::db_int(before));
  if (query.status) q.bind(2, static_cast<std::int64_t>(*query.status));
  if (by_machine) q.bind(3, machine.value_or(-1));
  auto next_in_table = [&q]() -> Result<ExecutionNo> {
    SORTIE_TRY(bool more, q.step());
    return more ? static_cast<ExecutionNo>(q.integer(0)) : 0;
  };
  SORTIE_TRY(ExecutionNo in_table, next_in_table());
  ExecutionNo in_overlay = overlay.previous_with_row(before);
  ExecutionNo cursor = before;
  for (std::size_t seen = 0; seen < reader::kChunkRows && rows->size() < query.limit; ++seen) {
    cursor = std::max(in_table, in_overlay);
    if (cursor == 0) return cursor;
    ExecutionRow row =
        cursor == in_overlay ? overlay.find_execution(cursor)->row(false) : reader::row_of(q, false);
    if (matches(query, row)) rows->push_back(std::move(row));
    if (cursor == in_table) {
      SORTIE_TRY(in_table, next_in_table());
    }
    if (cursor == in_overlay) in_overlay = overlay.previous_with_row(cursor);
  }
  return cursor;
}

Result<std::vector<ExecutionRow>> Reader::find_executions(const std::vector<ExecutionNo>& numbers) {
  std::vector<ExecutionRow> rows;
  SORTIE_TRY(Lease db, lease());
  for (const ExecutionNo no : numbers) {
    {
      std::shared_lock lock(view_.mutex);
      if (const ExecutionView* found = view_.overlay.find_execution(no)) {
        rows.push_back(found->row(false));
        continue;
      }
      SORTIE_TRY_STATUS(db.settle());
    }
    Query q = (*db).query(SORTIE_EXECUTION_COLUMNS "0 FROM execution WHERE no=?");
    q.bind(1, reader::db_int(no));
    SORTIE_TRY(const bool found, q.step());
    if (found) rows.push_back(reader::row_of(q, false));
  }
  return rows;
}

Result<StatusCounts> Reader::count_executions(std::string_view state_machine_arn) {
  std::shared_lock lock(view_.mutex);
  return view_.counts.of(state_machine_arn);
}

Result<std::optional<FrameRow>> Reader::find_frame(FrameKey key) {
  {
    std::shared_lock lock(view_.mutex);
    Answer<FrameRow> answer = view_.overlay.find_frame(key);
    if (answer.known) return std::move(answer.value);
  }
  SORTIE_TRY(Lease db, lease());
  SORTIE_TRY_STATUS(db.settle());
  Query q = (*db).query("SELECT execution, frame, wake_at, image FROM frame WHERE execution=? AND frame=?");
  q.bind(1, reader::db_int(key.execution)).bind(2, key.frame);
  SORTIE_TRY(bool found, q.step());
  return found ? std::optional(reader::frame_of(q)) : std::nullopt;
}

Result<std::vector<FrameRow>> Reader::list_frames(ExecutionNo execution) {
  SORTIE_TRY(Lease db, lease());
  std::map<FrameNo, std::optional<FrameRow>>
      merged;  // Copies: the images are the overlay's only under the lock.
  bool cleared = false;
  {
    std::shared_lock lock(view_.mutex);
    SORTIE_TRY_STATUS(db.settle());
    cleared = view_.overlay.frames_cleared(execution);
    for (const auto& [frame, slot] : view_.overlay.frames(execution)) {
      merged[frame] =
          slot.gone ? std::nullopt : std::optional(reader::frame_of(FrameKey{execution, frame}, slot));
    }
  }
  if (!cleared) {
    Query q = (*db).query("SELECT execution, frame, wake_at, image FROM frame WHERE execution=?");
    q.bind(1, reader::db_int(execution));
    for (;;) {
      SORTIE_TRY(bool more, q.step());
      if (!more) break;
      auto frame = static_cast<FrameNo>(q.integer(1));
      if (!merged.contains(frame)) merged[frame] = reader::frame_of(q);
    }
  }
  std::vector<FrameRow> rows;
  for (auto& [frame, row] : merged) {
    if (row) rows.push_back(std::move(*row));
  }
  return rows;
}

Result<std::vector<FrameRow>> Reader::scan_frames(FrameKey after, std::size_t limit) {
  std::vector<FrameRow> rows;
  SORTIE_TRY(Lease db, lease());
  std::shared_lock lock(view_.mutex);
  SORTIE_TRY_STATUS(db.settle());
  const Overlay& overlay = view_.overlay;
  // From the execution's first frame: those of the overlay and of the table are merged by execution.
  Query q = (*db).query(
      "SELECT execution, frame, wake_at, image FROM frame WHERE execution >= ?"
      " ORDER BY execution, frame");
  q.bind(1, reader::db_int(after.execution));
  SORTIE_TRY(bool has, q.step());
  ExecutionNo in_overlay = overlay.next_from(after.execution);
  while (rows.size() < limit) {
    ExecutionNo in_table = has ? static_cast<ExecutionNo>(q.integer(0)) : UINT64_MAX;
    ExecutionNo no = std::min(in_table, in_overlay);
    if (no == UINT64_MAX) break;
    std::map<FrameNo, FrameSlot> slots;
    bool cleared = false;
    if (no == in_overlay) {
      slots = overlay.frames(no);
      cleared = overlay.frames_cleared(no);
      in_overlay = overlay.next_from(no + 1);
    }
    std::map<FrameNo, FrameRow> merged;
    while (has && static_cast<ExecutionNo>(q.integer(0)) == no) {
      FrameKey key{no, static_cast<FrameNo>(q.integer(1))};
      if (!cleared && key > after && !slots.contains(key.frame)) merged[key.frame] = reader::frame_of(q);
      SORTIE_TRY(has, q.step());
    }
    for (const auto& [frame, slot] : slots) {
      FrameKey key{no, frame};
      if (!slot.gone && key > after) merged[frame] = reader::frame_of(key, slot);
    }
    for (auto& [frame, row] : merged) {
      if (rows.size() < limit) rows.push_back(std::move(row));
    }
  }
  return rows;
}

Result<std::vector<HistoryChunk>> Reader::load_history(ExecutionNo execution, std::int64_t first_event_id,
                                                       std::int64_t count) {
  std::int64_t first = std::max<std::int64_t>(first_event_id, 1);
  std::int64_t last = history_range_end(first_event_id, count);
  std::map<std::int64_t, HistoryChunk> chunks;
  if (last < first) return std::vector<HistoryChunk>();
  auto wanted = [&](std::int64_t from, std::int64_t n) { return from <= last && from + n > first; };
  SORTIE_TRY(Lease db, lease());
  {
    std::shared_lock lock(view_.mutex);
    SORTIE_TRY_STATUS(db.settle());
    for (const Generation* generation : {view_.overlay.active.get(), view_.overlay.frozen.get()}) {
      const OverlayEntry* entry = generation != nullptr ? generation->find(execution) : nullptr;
      if (entry == nullptr) continue;
      for (const HistorySlot& slot : entry->history) {
        if (!wanted(slot.ref.first_event_id, slot.ref.count)) continue;
        chunks.try_emplace(slot.ref.first_event_id, HistoryChunk{execution, slot.ref.first_event_id,
                                                                 slot.ref.count, std::string(slot.body)});
      }
    }
  }
  // While a generation is being folded, the same chunk may be known twice.
  Query gathered = (*db).query(
      "SELECT body FROM history WHERE execution=? AND first_event_id <= ?"
      " AND last_event_id >= ?");
  gathered.bind(1, reader::db_int(execution)).bind(2, last).bind(3, first);
  for (;;) {
    SORTIE_TRY(bool more, gathered.step());
    if (!more) break;
    std::vector<HistoryChunk> found;
    if (!decode_chunks(gathered.bytes(0), execution, &found))
      return (*db).corrupt("the history of execution " + std::to_string(execution));
    for (HistoryChunk& chunk : found) {
      if (wanted(chunk.first_event_id, chunk.count))
        chunks.try_emplace(chunk.first_event_id, std::move(chunk));
    }
  }
  Query parts = (*db).query("SELECT refs FROM history_part WHERE execution=? AND first_event_id <= ?");
  parts.bind(1, reader::db_int(execution)).bind(2, last);
  for (;;) {
    SORTIE_TRY(bool more, parts.step());
    if (!more) break;
    std::vector<HistoryRef> refs;
    if (!decode_history_refs(parts.bytes(0), &refs))
      return (*db).corrupt("the history of execution " + std::to_string(execution));
    for (const HistoryRef& ref : refs) {
      if (!wanted(ref.first_event_id, ref.count) || chunks.contains(ref.first_event_id)) continue;
      HistoryChunk chunk{execution, ref.first_event_id, ref.count, {}};
      SORTIE_TRY_STATUS((*db).read_blob("journal", "body", reader::db_int(ref.at.group), ref.at.start,
                                        ref.at.length, &chunk.body));
      chunks.emplace(ref.first_event_id, std::move(chunk));
    }
  }
  std::vector<HistoryChunk> result;
  for (auto& [id, chunk] : chunks) result.push_back(std::move(chunk));
  return result;
}

}  // namespace sortie::store::sqlite
