#include "store/memory/memory_store.h"

#include <algorithm>

#include "store/matching.h"

namespace sortie::store {

MemoryStore::MemoryStore(Loop& loop, MemoryImage image, MemoryFaults faults)
    : loop_(loop), faults_(std::move(faults)), image_(std::move(image)) {}

MemoryStore::~MemoryStore() { *alive_ = false; }

MemoryImage MemoryStore::crash() {
  std::lock_guard lock(mutex_);
  dead_ = true;
  queue_.clear();
  return image_;
}

MemoryImage MemoryStore::image() const {
  std::lock_guard lock(mutex_);
  return image_;
}

bool MemoryStore::is_dead() const {
  std::lock_guard lock(mutex_);
  return dead_;
}

Status MemoryStore::check_alive() const {
  if (!dead_) return {};
  return Error{"StoreUnavailable", "the store has crashed", "", ""};
}

Result<Epoch> MemoryStore::acquire(ShardNo shard) {
  std::lock_guard lock(mutex_);
  SORTIE_TRY_STATUS(check_alive());
  return ++image_.epochs[shard];
}

void MemoryStore::append(Batch batch, Done done) {
  Status checked = check_batch(batch);
  std::lock_guard lock(mutex_);
  if (dead_) return;
  if (!checked) {
    loop_.post([alive = alive_, done = std::move(done), checked] {
      if (*alive && done) done(checked);
    });
    return;
  }
  queue_.push_back({std::move(batch), std::move(done), std::nullopt});
  if (!scheduled_) schedule(0);
}

void MemoryStore::schedule(std::int64_t delay_ms) {
  scheduled_ = true;
  auto commit = [this, alive = alive_] {
    if (*alive) commit_queued();
  };
  if (delay_ms > 0) {
    loop_.call_at(loop_.now().plus_ms(delay_ms), commit);
  } else {
    loop_.post(commit);
  }
}

void MemoryStore::commit_queued() {
  Told told;
  bool crashed = false;
  {
    std::lock_guard lock(mutex_);
    scheduled_ = false;
    if (dead_) return;
    if (!queue_.empty()) ++figures_.commits;
    while (!queue_.empty() && commit_front(&told)) {
    }
    crashed = dead_;
    if (crashed) queue_.clear();
  }
  if (crashed) {
    if (faults_.on_crash) faults_.on_crash();
    return;
  }
  std::shared_ptr<bool> alive = alive_;
  for (const auto& [done, status] : told) {
    // A callback may crash or destroy the store: then the others never hear.
    if (!*alive || is_dead()) return;
    if (done) done(status);
  }
}

bool MemoryStore::commit_front(Told* told) {
  Pending& front = queue_.front();
  const auto check_epoch = [this](ShardNo shard, Epoch epoch) -> Status {
    const auto found = image_.epochs.find(shard);
    const Epoch current = found == image_.epochs.end() ? 0 : found->second;
    return epoch == current && current != 0 ? Status() : stale_epoch(shard, current, epoch);
  };
  const Batch& batch = front.batch;
  Status fence = check_epoch(batch.shard, batch.epoch);
  if (fence && batch.leader_epoch != 0) fence = check_epoch(0, batch.leader_epoch);
  if (!fence) {
    told->emplace_back(std::move(front.done), std::move(fence));
    queue_.pop_front();
    return true;
  }
  if (!front.plan) {
    front.plan = faults_.plan ? faults_.plan(front.batch) : CommitPlan{};
    if (front.plan->delay_ms > 0) {
      schedule(front.plan->delay_ms);
      return false;
    }
  }
  switch (front.plan->fault) {
    case CommitFault::kNone:
      break;
    case CommitFault::kStoreFull:
      fail_queued({"StoreFull", "no space left (injected)", "", ""}, told);
      return false;
    case CommitFault::kStoreUnavailable:
      fail_queued({"StoreUnavailable", "I/O error (injected)", "", ""}, told);
      return false;
    case CommitFault::kCrashBefore:
      dead_ = true;
      return false;
    case CommitFault::kCrashAfter:
      apply(std::move(front.batch));
      dead_ = true;
      return false;
  }
  ++figures_.batches;
  figures_.bytes_written += front.batch.bytes();
  apply(std::move(front.batch));
  told->emplace_back(std::move(front.done), Status{});
  queue_.pop_front();
  return true;
}

void MemoryStore::fail_queued(const Error& error, Told* told) {
  for (Pending& pending : queue_) told->emplace_back(std::move(pending.done), error);
  queue_.clear();
}

void MemoryStore::apply(Batch batch) {
  for (ExecutionRow& row : batch.executions) {
    image_.last_execution_no = std::max(image_.last_execution_no, row.no);
    ExecutionNo& newest = image_.by_arn[row.arn];
    newest = std::max(newest, row.no);
    image_.executions[row.no] = std::move(row);
  }
  for (FrameRow& row : batch.frames) image_.frames[row.key] = std::move(row);
  for (const FrameKey& key : batch.frames_gone) image_.frames.erase(key);
  for (PayloadRow& row : batch.payloads) image_.payloads[{row.execution, row.payload}] = std::move(row.body);
  for (HistoryChunk& chunk : batch.history) {
    image_.history[{chunk.execution, chunk.first_event_id}] = std::move(chunk);
  }
  for (const TermRow& row : batch.terms) {
    image_.terms[row.execution].insert(row.terms.begin(), row.terms.end());
    if (!row.name.empty()) image_.term_names[row.execution] = folded_name(row.name);
  }
  for (ExecutionNo no : batch.ended) {
    image_.frames.erase(image_.frames.lower_bound({no, 0}), image_.frames.lower_bound({no + 1, 0}));
  }
  for (Document& document : batch.documents) {
    image_.documents[{std::move(document.kind), std::move(document.key)}] = std::move(document.value);
  }
  for (const auto& key : batch.documents_gone) image_.documents.erase(key);
  for (LogLine& line : batch.log) {
    line.sequence = ++image_.last_log_sequence;
    image_.log[line.sequence] = std::move(line);
  }
}

Result<std::optional<ExecutionRow>> MemoryStore::find_execution(std::string_view arn) {
  std::lock_guard lock(mutex_);
  SORTIE_TRY_STATUS(check_alive());
  auto found = image_.by_arn.find(arn);
  if (found == image_.by_arn.end()) return std::optional<ExecutionRow>();
  return std::optional(image_.executions.at(found->second));
}

Result<std::optional<ExecutionRow>> MemoryStore::find_execution(ExecutionNo no) {
  std::lock_guard lock(mutex_);
  SORTIE_TRY_STATUS(check_alive());
  auto found = image_.executions.find(no);
  return found == image_.executions.end() ? std::nullopt : std::optional(found->second);
}

Result<std::vector<ExecutionRow>> MemoryStore::list_executions(const ExecutionQuery& query) {
  std::lock_guard lock(mutex_);
  SORTIE_TRY_STATUS(check_alive());
  std::vector<ExecutionRow> rows;
  for (auto each = image_.executions.lower_bound(query.before);
       each != image_.executions.begin() && rows.size() < query.limit;) {
    --each;
    if (!matches(query, each->second)) continue;
    rows.push_back(each->second);
    rows.back().image.clear();
  }
  return rows;
}

Result<StatusCounts> MemoryStore::count_executions(std::string_view state_machine_arn) {
  std::lock_guard lock(mutex_);
  SORTIE_TRY_STATUS(check_alive());
  StatusCounts counts;
  for (const auto& [no, row] : image_.executions) {
    bool counted = state_machine_arn.empty() || row.state_machine_arn == state_machine_arn;
    if (counted) ++counts.by_status[static_cast<int>(row.status)];
  }
  return counts;
}

Result<std::map<std::string, std::uint64_t>> MemoryStore::count_running() {
  std::lock_guard lock(mutex_);
  SORTIE_TRY_STATUS(check_alive());
  std::map<std::string, std::uint64_t> running;
  for (const auto& [no, row] : image_.executions) {
    if (row.status == ExecutionStatus::kRunning) ++running[row.state_machine_arn];
  }
  return running;
}

Result<ExecutionNo> MemoryStore::last_execution_no() {
  std::lock_guard lock(mutex_);
  SORTIE_TRY_STATUS(check_alive());
  return image_.last_execution_no;
}

Result<std::vector<ExecutionNo>> MemoryStore::find_by_terms(const TermQuery& query) {
  std::lock_guard lock(mutex_);
  SORTIE_TRY_STATUS(check_alive());
  std::vector<ExecutionNo> found;
  if (query.terms.empty() && query.name.empty()) {  // Also those that have no terms.
    for (auto each = image_.executions.lower_bound(query.before);
         each != image_.executions.begin() && found.size() < query.limit;) {
      --each;
      if (each->first < query.from) break;
      if (matches_rows(query, each->second.state_machine_arn, each->second.status))
        found.push_back(each->first);
    }
    return found;
  }
  for (auto each = image_.terms.lower_bound(query.before);
       each != image_.terms.begin() && found.size() < query.limit;) {
    --each;
    if (each->first < query.from) break;
    const auto name = image_.term_names.find(each->first);
    const auto has = [&](std::uint32_t term) { return each->second.contains(term); };
    const bool has_all = std::all_of(query.terms.begin(), query.terms.end(), [&](const auto& any) {
      return std::any_of(any.begin(), any.end(), has);
    });
    if (!has_all) continue;
    if (!matches_name(query, name == image_.term_names.end() ? "" : std::string_view(name->second))) continue;
    const auto row = image_.executions.find(each->first);
    const bool fits = row == image_.executions.end()
                          ? query.rows.empty()
                          : matches_rows(query, row->second.state_machine_arn, row->second.status);
    if (!fits) continue;
    found.push_back(each->first);
  }
  return found;
}

Result<std::optional<FrameRow>> MemoryStore::find_frame(FrameKey key) {
  std::lock_guard lock(mutex_);
  SORTIE_TRY_STATUS(check_alive());
  auto found = image_.frames.find(key);
  return found == image_.frames.end() ? std::nullopt : std::optional(found->second);
}

Result<std::vector<FrameRow>> MemoryStore::list_frames(ExecutionNo execution) {
  std::lock_guard lock(mutex_);
  SORTIE_TRY_STATUS(check_alive());
  std::vector<FrameRow> rows;
  for (auto each = image_.frames.lower_bound({execution, 0});
       each != image_.frames.end() && each->first.execution == execution; ++each) {
    rows.push_back(each->second);
  }
  return rows;
}

Result<std::vector<FrameRow>> MemoryStore::scan_frames(FrameKey after, std::size_t limit) {
  std::lock_guard lock(mutex_);
  SORTIE_TRY_STATUS(check_alive());
  std::vector<FrameRow> rows;
  auto each = image_.frames.upper_bound(after);
  for (; each != image_.frames.end() && rows.size() < limit; ++each) rows.push_back(each->second);
  return rows;
}

Result<std::vector<HistoryChunk>> MemoryStore::load_history(ExecutionNo execution,
                                                            std::int64_t first_event_id, std::int64_t count) {
  std::lock_guard lock(mutex_);
  SORTIE_TRY_STATUS(check_alive());
  std::vector<HistoryChunk> chunks;
  std::int64_t last = history_range_end(first_event_id, count);
  for (auto each = image_.history.lower_bound({execution, 0});
       each != image_.history.end() && each->first.first == execution; ++each) {
    const HistoryChunk& chunk = each->second;
    bool wanted = chunk.first_event_id <= last && chunk.first_event_id + chunk.count > first_event_id;
    if (wanted) chunks.push_back(chunk);
  }
  return chunks;
}

Result<std::optional<PayloadRow>> MemoryStore::find_payload(ExecutionNo execution, PayloadNo payload) {
  std::lock_guard lock(mutex_);
  SORTIE_TRY_STATUS(check_alive());
  auto found = image_.payloads.find({execution, payload});
  if (found == image_.payloads.end()) return std::optional<PayloadRow>();
  return std::optional(PayloadRow{execution, payload, found->second});
}

Result<std::optional<std::string>> MemoryStore::find_document(std::string_view kind, std::string_view key) {
  std::lock_guard lock(mutex_);
  SORTIE_TRY_STATUS(check_alive());
  auto found = image_.documents.find({std::string(kind), std::string(key)});
  return found == image_.documents.end() ? std::nullopt : std::optional(found->second);
}

Result<std::vector<Document>> MemoryStore::list_documents(std::string_view kind, std::string_view after_key,
                                                          std::size_t limit) {
  std::lock_guard lock(mutex_);
  SORTIE_TRY_STATUS(check_alive());
  std::vector<Document> documents;
  auto each = image_.documents.upper_bound({std::string(kind), std::string(after_key)});
  for (; each != image_.documents.end() && each->first.first == kind && documents.size() < limit; ++each) {
    documents.push_back({each->first.first, each->first.second, each->second});
  }
  return documents;
}

Result<std::vector<LogLine>> MemoryStore::search_log(const LogQuery& query) {
  std::lock_guard lock(mutex_);
  SORTIE_TRY_STATUS(check_alive());
  std::vector<LogLine> lines;
  auto add = [&](const LogLine& line) {
    if (lines.size() < query.limit && matches(query, line)) lines.push_back(line);
  };
  if (query.newest_first) {
    for (auto each = image_.log.rbegin(); each != image_.log.rend(); ++each) add(each->second);
  } else {
    for (const auto& [sequence, line] : image_.log) add(line);
  }
  return lines;
}

Result<std::size_t> MemoryStore::delete_ended_before(Timestamp time, std::size_t limit) {
  std::lock_guard lock(mutex_);
  SORTIE_TRY_STATUS(check_alive());
  std::vector<std::pair<Timestamp, ExecutionNo>> chosen;
  for (const auto& [no, row] : image_.executions) {
    if (row.status != ExecutionStatus::kRunning && row.stopped_at < time)
      chosen.emplace_back(row.stopped_at, no);
  }
  std::sort(chosen.begin(), chosen.end());
  if (chosen.size() > limit) chosen.resize(limit);
  for (const auto& [stopped_at, no] : chosen) {
    auto arn = image_.by_arn.find(image_.executions[no].arn);
    if (arn != image_.by_arn.end() && arn->second == no) image_.by_arn.erase(arn);
    image_.executions.erase(no);
    image_.terms.erase(no);
    image_.term_names.erase(no);
    image_.frames.erase(image_.frames.lower_bound({no, 0}), image_.frames.lower_bound({no + 1, 0}));
    image_.history.erase(image_.history.lower_bound({no, 0}), image_.history.lower_bound({no + 1, 0}));
    image_.payloads.erase(image_.payloads.lower_bound({no, 0}), image_.payloads.lower_bound({no + 1, 0}));
  }
  return chosen.size();
}

Result<std::size_t> MemoryStore::delete_log_before(std::string_view stream, Timestamp time,
                                                   std::size_t limit) {
  std::lock_guard lock(mutex_);
  SORTIE_TRY_STATUS(check_alive());
  std::vector<std::pair<Timestamp, std::uint64_t>> chosen;
  for (const auto& [sequence, line] : image_.log) {
    if (line.stream == stream && line.time < time) chosen.emplace_back(line.time, sequence);
  }
  std::sort(chosen.begin(), chosen.end());
  if (chosen.size() > limit) chosen.resize(limit);
  for (const auto& [line_time, sequence] : chosen) image_.log.erase(sequence);
  return chosen.size();
}

Result<std::vector<std::string>> MemoryStore::check() {
  std::lock_guard lock(mutex_);
  SORTIE_TRY_STATUS(check_alive());
  std::vector<std::string> problems;
  auto name = [](ExecutionNo no) { return "execution " + std::to_string(no); };
  for (const auto& [key, row] : image_.frames) {
    auto owner = image_.executions.find(key.execution);
    std::string frame = "frame " + std::to_string(key.frame) + " of " + name(key.execution);
    if (owner == image_.executions.end()) {
      problems.push_back(frame + " belongs to no execution");
    } else if (owner->second.status != ExecutionStatus::kRunning) {
      problems.push_back(frame + " is open, but the execution has ended");
    }
  }
  ExecutionNo at = 0;
  std::int64_t expected = 1;
  for (const auto& [key, chunk] : image_.history) {
    if (key.first != at) {
      at = key.first;
      expected = 1;
      if (!image_.executions.contains(at))
        problems.push_back("history of " + name(at) + " belongs to no execution");
    }
    if (chunk.first_event_id != expected) {
      problems.push_back("history of " + name(at) + " has event " + std::to_string(chunk.first_event_id) +
                         " where " + std::to_string(expected) + " is due");
    }
    expected = chunk.first_event_id + chunk.count;
  }
  return problems;
}

Status MemoryStore::backup(const std::string& file) {
  return Error{"NotSupported", "a store in memory cannot be backed up", file, ""};
}

StoreFigures MemoryStore::figures() {
  std::lock_guard lock(mutex_);
  StoreFigures figures = figures_;
  figures.queued_batches = queue_.size();
  return figures;
}

}  // namespace sortie::store
