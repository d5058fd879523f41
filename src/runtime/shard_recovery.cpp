// After a start: the open frames are walked in slices, and what is reached earlier is recovered then.
#include <algorithm>

#include "base/canary.h"
#include "runtime/shard.h"

namespace sortie::runtime {

Status Shard::recover() {
  epoch_ = wiring_.epoch;
  SORTIE_TRY(recovery_end_, wiring_.store.last_execution_no());
  // The first read tells whether the store can be read at all.
  SORTIE_TRY(const std::vector<store::FrameRow> first, scan_frames({0, 0}, 1));
  if (first.empty()) {
    recovered_ = recovery_end_;
  } else {
    wiring_.loop.post([this] { recover_slice(); });
  }
  audit_.begin();
  term_backfill_.begin();
  return {};
}

Result<std::vector<store::FrameRow>> Shard::scan_frames(store::FrameKey after, std::size_t limit) {
  if (wiring_.map.count == 1) return wiring_.store.scan_frames(after, limit);
  return wiring_.options.scan_frames(wiring_.no, wiring_.map.above, after, limit);
}

// A slice ends with a whole execution, except where one alone fills it.
void Shard::recover_slice() {
  if (draining_) return;
  const store::FrameKey after{recovered_, UINT32_MAX};
  Result<std::vector<store::FrameRow>> page = scan_frames(after, wiring_.options.recovery_page);
  if (page && page->size() == wiring_.options.recovery_page) {
    const store::ExecutionNo last = page->back().key.execution;
    if (page->front().key.execution == last) {
      page = wiring_.store.list_frames(last);
    } else {
      std::erase_if(*page, [last](const store::FrameRow& row) { return row.key.execution == last; });
    }
  }
  if (!page) {  // The disk may need a moment; until then what is asked for is recovered early.
    wiring_.loop.call_at(wiring_.loop.now().plus_ms(kRetryStoreMs), [this] { recover_slice(); });
    return;
  }
  for (auto from = page->begin(); from != page->end();) {
    const store::ExecutionNo no = from->key.execution;
    const auto to =
        std::find_if(from, page->end(), [no](const auto& row) { return row.key.execution != no; });
    if (no > recovery_end_) break;
    recovered_ = no;
    if (recovered_early_.erase(no) == 0) recover_frames(no, {from, to});
    forget_idle();
    from = to;
  }
  const bool is_last = page->empty() || page->back().key.execution >= recovery_end_;
  if (is_last) {
    recovered_ = recovery_end_;
    recovered_early_ = {};
  } else {
    wiring_.loop.post([this] { recover_slice(); });
  }
  arm();
}

void Shard::recover_frames(store::ExecutionNo no, const std::vector<store::FrameRow>& rows) {
  std::vector<engine::FrameNo> ready, in_map_run;
  std::vector<store::FrameKey> in_task;
  for (const store::FrameRow& row : rows) {
    const Result<SplitImage> split = split_frame_image(row.image);
    if (split && is_map_run_image(*split)) return map_runs_.recover(no);
    const Result<engine::FrameGlance> glance =
        split ? engine::glance_at_frame(split->engine_image) : Result<engine::FrameGlance>(split.error());
    if (!glance) {
      ++figures_.unreadable_frames;
      continue;
    }
    timers_.set(row.key, row.wake_at);
    if (glance->in_map_run) in_map_run.push_back(row.key.frame);
    if (glance->ready) ready.push_back(row.key.frame);
    if (glance->in_task && !glance->submitted) in_task.push_back(row.key);
  }
  if (!ready.empty()) post(no, {engine::Continue{std::move(ready)}, {}, nullptr});
  if (in_task.empty() && in_map_run.empty()) return;
  Error error;
  LiveExecution* live = find_or_load(no, &error);
  if (live == nullptr) return recover_later(no, error);
  for (const store::FrameKey& key : in_task) {
    const auto found = live->state.frames.find(key.frame);
    if (found == live->state.frames.end()) continue;
    const auto attempt = engine::waiting_attempt(found->second);
    const bool taken = attempt && std::get<engine::InTask>(found->second.phase).started;
    if (attempt && !taken) dispatch(*live, *attempt);
  }
  for (const engine::FrameNo frame : in_map_run) map_runs_.recover_parent(*live, frame);
}

// A read that failed for the moment is made again; what is damaged stays as it is, and `check` names it.
void Shard::recover_later(store::ExecutionNo no, const Error& error) {
  if (error.code != "StoreUnavailable" && error.code != "StoreFull") {
    ++figures_.unreadable_frames;
    return;
  }
  wiring_.loop.call_at(wiring_.loop.now().plus_ms(kRetryStoreMs), [this, no] {
    const Result<std::vector<store::FrameRow>> rows = wiring_.store.list_frames(no);
    if (!rows) return recover_later(no, rows.error());
    recover_frames(no, *rows);
    arm();
  });
}

// Something reaches an execution before the walk does.
void Shard::recover_early(store::ExecutionNo no) {
  if (no <= recovered_ || no > recovery_end_ || !recovered_early_.insert(no).second) return;
  if (SORTIE_CANARY_IS("late-recovery-skipped")) return;
  const Result<std::vector<store::FrameRow>> rows = wiring_.store.list_frames(no);
  if (!rows) {
    recovered_early_.erase(no);  // The walk comes by, too.
    return;
  }
  recover_frames(no, *rows);
  arm();
}

}  // namespace sortie::runtime
