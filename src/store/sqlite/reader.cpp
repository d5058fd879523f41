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

Result<std::optional<ExecutionRow>> find_row(Connection& db, ExecutionNo no) {
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

constexpr int kTopColumn = 9;  // Of kLoadRow: its top frame, where it rides in the row (schema.h).
const char* const kLoadRow =
    SORTIE_EXECUTION_COLUMNS "image, top_wake_at, top_image FROM execution WHERE no=?";
std::optional<FrameRow> top_of(const Query& q, ExecutionNo no, int column) {
  if (q.is_null(column + 1)) return std::nullopt;
  return FrameRow{{no, 0}, {q.integer(column)}, std::string(q.bytes(column + 1))};
}

Result<std::optional<FrameRow>> find_top(Connection& db, ExecutionNo no) {
  Query q = db.query("SELECT top_wake_at, top_image FROM execution WHERE no=?");
  q.bind(1, db_int(no));
  SORTIE_TRY(const bool found, q.step());
  return found ? top_of(q, no, 0) : std::nullopt;
}

// The open frames of one execution: what the overlay says of them, and of the others what the tables do.
class OpenFrames {
 public:
  OpenFrames(ExecutionNo execution, const OverlaySight& sight)
      : execution_(execution), cleared_(sight.frames_cleared()) {
    for (const auto& [frame, slot] : sight.frames()) {
      merged_[frame] = slot.gone ? std::nullopt : std::optional(frame_of({execution, frame}, slot));
    }
  }
  bool needs_tables() const { return !cleared_; }
  void add(FrameRow row) { merged_.try_emplace(row.key.frame, std::move(row)); }
  Status read(Connection& db) {
    Query q = db.query("SELECT execution, frame, wake_at, image FROM frame WHERE execution=?");
    q.bind(1, db_int(execution_));
    for (;;) {
      SORTIE_TRY(const bool more, q.step());
      if (!more) return {};
      add(frame_of(q));
    }
  }
  std::vector<FrameRow> take() {
    std::vector<FrameRow> rows;
    rows.reserve(merged_.size());
    for (auto& [frame, row] : merged_) {
      if (row) rows.push_back(std::move(*row));
    }
    return rows;
  }

 private:
  ExecutionNo execution_;
  bool cleared_;
  std::map<FrameNo, std::optional<FrameRow>> merged_;  // Copies: the images are the overlay's under the lock.
};

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
  SORTIE_TRY(std::optional<ExecutionRow> row, reader::find_row(*db, no));
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
    SORTIE_TRY(auto row, reader::find_row(*db, static_cast<ExecutionNo>(q.integer(0))));
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

Result<std::map<std::string, std::uint64_t>> Reader::count_running() {
  std::shared_lock lock(view_.mutex);
  return view_.counts.running();
}

Result<std::optional<FrameRow>> Reader::find_frame(FrameKey key) {
  {
    std::shared_lock lock(view_.mutex);
    Answer<FrameRow> answer = view_.overlay.find_frame(key);
    if (answer.known) return std::move(answer.value);
  }
  SORTIE_TRY(Lease db, lease());
  SORTIE_TRY_STATUS(db.settle());
  if (key.frame == 0) {
    SORTIE_TRY(std::optional<FrameRow> top, reader::find_top(*db, key.execution));
    if (top) return top;
  }
  Query q = (*db).query("SELECT execution, frame, wake_at, image FROM frame WHERE execution=? AND frame=?");
  q.bind(1, reader::db_int(key.execution)).bind(2, key.frame);
  SORTIE_TRY(bool found, q.step());
  return found ? std::optional(reader::frame_of(q)) : std::nullopt;
}

Result<std::vector<FrameRow>> Reader::list_frames(ExecutionNo execution) {
  SORTIE_TRY(Lease db, lease());
  std::optional<reader::OpenFrames> frames;
  {
    std::shared_lock lock(view_.mutex);
    SORTIE_TRY_STATUS(db.settle());
    frames.emplace(execution, view_.overlay.look(execution));
  }
  if (!frames->needs_tables()) return frames->take();
  SORTIE_TRY(std::optional<FrameRow> top, reader::find_top(*db, execution));
  if (top) frames->add(*std::move(top));
  SORTIE_TRY_STATUS(frames->read(*db));
  return frames->take();
}

Result<std::optional<LoadedExecution>> Reader::load_execution(ExecutionNo no) {
  SORTIE_TRY(Lease db, lease());
  std::optional<ExecutionRow> row;
  std::optional<reader::OpenFrames> frames;
  {
    std::shared_lock lock(view_.mutex);
    SORTIE_TRY_STATUS(db.settle());
    const OverlaySight sight = view_.overlay.look(no);
    if (sight.row() != nullptr) row = sight.row()->row(true);
    frames.emplace(no, sight);
  }
  if (!row || frames->needs_tables()) {
    Query q = (*db).query(reader::kLoadRow);
    q.bind(1, reader::db_int(no));
    SORTIE_TRY(const bool found, q.step());
    if (found && !row) {
      row = reader::row_of(q, true);
      view_.recent.remember(no, db.tables(), *row);
    }
    std::optional<FrameRow> top = found ? reader::top_of(q, no, reader::kTopColumn) : std::nullopt;
    if (top && frames->needs_tables()) frames->add(*std::move(top));
  }
  if (!row) return std::optional<LoadedExecution>();
  if (frames->needs_tables()) SORTIE_TRY_STATUS(frames->read(*db));
  return std::optional(LoadedExecution{*std::move(row), frames->take()});
}

namespace reader {

// Open frames of the tables from an execution on, in the order of their keys: those that ride in the rows of
// executions that run, and those that have rows of their own.
class FrameWalk {
 public:
  FrameWalk(Connection& db, ExecutionNo from)
      : tops_(db.query("SELECT no, top_wake_at, top_image FROM execution INDEXED BY execution_by_status"
                       " WHERE status=0 AND no >= ? ORDER BY no")),
        others_(db.query("SELECT execution, frame, wake_at, image FROM frame WHERE execution >= ?"
                         " ORDER BY execution, frame")) {
    tops_.bind(1, db_int(from));
    others_.bind(1, db_int(from));
  }
  Status begin() {
    SORTIE_TRY_STATUS(next_top());
    return next_other();
  }
  // Whose frame is next; UINT64_MAX: nobody's.
  ExecutionNo execution() const { return std::min(top_, other_); }
  // Calls `visit` for every frame of that execution and goes on to the next one.
  template <typename Visit>
  Status take(ExecutionNo no, Visit visit) {
    if (top_ == no) {
      if (std::optional<FrameRow> top = top_of(tops_, no, 1)) visit(*std::move(top));
      SORTIE_TRY_STATUS(next_top());
    }
    while (other_ == no) {
      visit(frame_of(others_));
      SORTIE_TRY_STATUS(next_other());
    }
    return {};
  }

 private:
  // At every one that runs, also where its frames have rows of their own: those behind a long run of such are
  // then not looked for.
  Status next_top() {
    SORTIE_TRY(const bool more, tops_.step());
    top_ = more ? static_cast<ExecutionNo>(tops_.integer(0)) : UINT64_MAX;
    return {};
  }
  Status next_other() {
    SORTIE_TRY(const bool more, others_.step());
    other_ = more ? static_cast<ExecutionNo>(others_.integer(0)) : UINT64_MAX;
    return {};
  }

  Query tops_, others_;
  ExecutionNo top_ = UINT64_MAX, other_ = UINT64_MAX;
};

}  // namespace reader

Result<std::vector<FrameRow>> Reader::scan_frames(FrameKey after, std::size_t limit) {
  std::vector<FrameRow> rows;
  SORTIE_TRY(Lease db, lease());
  std::shared_lock lock(view_.mutex);
  SORTIE_TRY_STATUS(db.settle());
  const Overlay& overlay = view_.overlay;
  // From the execution's first frame: those of the overlay and of the tables are merged by execution.
  reader::FrameWalk walk(*db, after.execution);
  SORTIE_TRY_STATUS(walk.begin());
  ExecutionNo in_overlay = overlay.next_from(after.execution);
  while (rows.size() < limit) {
    const ExecutionNo no = std::min(walk.execution(), in_overlay);
    if (no == UINT64_MAX) break;
    reader::OpenFrames frames(no, no == in_overlay ? overlay.look(no) : OverlaySight());
    if (no == in_overlay) in_overlay = overlay.next_from(no + 1);
    SORTIE_TRY_STATUS(walk.take(no, [&frames](FrameRow row) {
      if (frames.needs_tables()) frames.add(std::move(row));
    }));
    for (FrameRow& row : frames.take()) {
      if (row.key > after && rows.size() < limit) rows.push_back(std::move(row));
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
        if (!wanted(slot.first_event_id, slot.count)) continue;
        chunks.try_emplace(slot.first_event_id,
                           HistoryChunk{execution, slot.first_event_id, slot.count, std::string(slot.body)});
      }
    }
  }
  // While a generation is being folded, the same chunk may be known twice.
  Query rows = (*db).query(
      "SELECT body FROM history WHERE execution=?1 AND first_event_id <= ?2 AND first_event_id >="
      " coalesce((SELECT max(first_event_id) FROM history WHERE execution=?1 AND first_event_id <= ?3), 0)");
  rows.bind(1, reader::db_int(execution)).bind(2, last).bind(3, first);
  for (;;) {
    SORTIE_TRY(bool more, rows.step());
    if (!more) break;
    std::vector<HistoryChunk> found;
    if (!decode_chunks(rows.bytes(0), execution, &found))
      return (*db).corrupt("the history of execution " + std::to_string(execution));
    for (HistoryChunk& chunk : found) {
      if (wanted(chunk.first_event_id, chunk.count))
        chunks.try_emplace(chunk.first_event_id, std::move(chunk));
    }
  }
  std::vector<HistoryChunk> result;
  for (auto& [id, chunk] : chunks) result.push_back(std::move(chunk));
  return result;
}

}  // namespace sortie::store::sqlite
