#include "runtime/audit.h"

#include <algorithm>

#include "runtime/shard.h"

namespace sortie::runtime {
namespace audit {

constexpr std::size_t kFramesOfOneMax = 64;  // A Parallel or Map with more is left to `sortie check`.

}  // namespace audit

void Audit::begin() {
  if (shard_.wiring_.options.audit_step_ms > 0) arm(shard_.wiring_.options.audit_step_ms);
}

Audit::~Audit() {
  if (timer_ != 0) shard_.wiring_.loop.cancel(timer_);
}

void Audit::arm(std::int64_t pause_ms) {
  Loop& loop = shard_.wiring_.loop;
  timer_ = loop.call_at(loop.now().plus_ms(pause_ms), [this] {
    timer_ = 0;
    step();
  });
}

std::int64_t Audit::look_pause_ms() const {
  return std::max<std::int64_t>(shard_.wiring_.options.audit_grace_ms / kLooksAgain, 1);
}

void Audit::step() {
  if (shard_.draining_) return;
  const Options& options = shard_.wiring_.options;
  std::int64_t pause_ms = options.audit_step_ms;
  if (shard_.recovered_ == shard_.recovery_end_) {
    look_again();
    in_executions_ ? walk_executions() : walk_frames();
    if (!in_executions_ && after_.execution == 0) pause_ms = options.audit_pause_ms;  // A cycle has ended.
    // What looks stuck does not wait for the next cycle.
    if (!suspects_.empty()) pause_ms = std::min(pause_ms, look_pause_ms());
  }
  arm(pause_ms);
}

void Audit::walk_frames() {
  const auto page = shard_.scan_frames(after_, kFramesPerStep);
  if (!page) return;  // The disk may need a moment.
  for (const store::FrameRow& row : *page) {
    ++frames;
    if (const auto trouble = inspect(row)) suspect(row.key, *trouble);
  }
  if (page->size() == kFramesPerStep) {
    after_ = page->back().key;
  } else {
    in_executions_ = true;
    before_ = UINT64_MAX;
  }
}

void Audit::walk_executions() {
  store::ExecutionQuery query;
  query.status = store::ExecutionStatus::kRunning;
  query.before = before_;
  query.limit = kFramesPerStep;
  const auto page = shard_.wiring_.store.list_executions(query);
  if (!page) return;
  for (const store::ExecutionRow& row : *page) {
    if (shard_.wiring_.map.of(row.no) != shard_.wiring_.no) continue;
    if (const auto trouble = inspect_execution(row.no)) suspect({row.no, engine::kTopFrame}, *trouble);
  }
  if (page->size() == kFramesPerStep) {
    before_ = page->back().no;
  } else {
    in_executions_ = false;
    after_ = {0, UINT32_MAX};
    ++cycles;
  }
}

void Audit::suspect(const store::FrameKey& key, Trouble trouble) {
  if (suspects_.size() >= kSuspectsMax) return;  // The next cycle comes by.
  const Timestamp at = shard_.wiring_.loop.now().plus_ms(look_pause_ms());
  suspects_.try_emplace(key, Suspect{trouble, at});
}

void Audit::look_again() {
  const Timestamp now = shard_.wiring_.loop.now(), next = now.plus_ms(look_pause_ms());
  for (auto each = suspects_.begin(); each != suspects_.end();) {
    const store::FrameKey key = each->first;
    Suspect& suspect = each->second;
    if (suspect.look_again_at > now) {
      suspect.look_again_at = std::min(suspect.look_again_at, next);  // The clock may have been set back.
      ++each;
      continue;
    }
    std::optional<Trouble> trouble;
    if (suspect.trouble == Trouble::kNoFrame) {
      trouble = inspect_execution(key.execution);
    } else if (const auto row = shard_.wiring_.store.find_frame(key); row && *row) {
      trouble = inspect(**row);
    }
    const bool is_same = trouble == suspect.trouble;
    if (is_same && --suspect.looks_left > 0) {
      suspect.look_again_at = next;
      ++each;
      continue;
    }
    each = suspects_.erase(each);
    if (is_same) report(key, *trouble);
  }
}

std::optional<Audit::Trouble> Audit::inspect(const store::FrameRow& row) {
  if (shard_.is_in_motion(row.key.execution)) return std::nullopt;
  const Result<SplitImage> split = split_frame_image(row.image);
  if (!split) return Trouble::kUnreadable;
  if (is_map_run_image(*split)) {
    if (shard_.map_runs_.carries_out(row.key.execution)) return std::nullopt;
    return Trouble::kNoMapRun;
  }
  const Result<engine::FrameGlance> glance = engine::glance_at_frame(split->engine_image);
  if (!glance) return Trouble::kUnreadable;
  if (glance->ready) return Trouble::kNotContinued;
  if (auto trouble = inspect_timer(row, *glance)) return trouble;
  if (glance->in_task) return inspect_task(row.key, *glance);
  if (glance->in_map_run && !shard_.map_runs_.works_for(row.key)) return Trouble::kNoMapRun;
  if (glance->joining) {
    const auto frames = shard_.wiring_.store.list_frames(row.key.execution);
    if (frames && frames->size() <= audit::kFramesOfOneMax && !has_running_child(*frames, row.key.frame)) {
      return Trouble::kNoChildren;
    }
  }
  return std::nullopt;
}

std::optional<Audit::Trouble> Audit::inspect_timer(const store::FrameRow& row,
                                                   const engine::FrameGlance& glance) {
  const Timestamp due = due_of(row.key, glance);
  if (shard_.timers_.due(row.key) == due) return std::nullopt;
  return row.wake_at == due ? Trouble::kTimerUnarmed : Trouble::kTimerUnstored;
}

// The top frame's timer is also the execution's own.
Timestamp Audit::due_of(const store::FrameKey& key, const engine::FrameGlance& glance) {
  if (key.frame != engine::kTopFrame) return glance.due;
  const auto row = shard_.wiring_.store.find_execution(key.execution);
  const auto image = row && *row ? engine::decode_execution((*row)->image)
                                 : Result<engine::ExecutionImage>(Error{"StoreCorrupt", "", "", ""});
  return image ? std::min(image->deadline, glance.due) : glance.due;
}

std::optional<Audit::Trouble> Audit::inspect_task(const store::FrameKey& key,
                                                  const engine::FrameGlance& glance) {
  if (glance.submitted || glance.started) return std::nullopt;  // The world answers, or its timer fires.
  Error error;
  const LiveExecution* live = shard_.find_or_load(key.execution, &error);
  if (live == nullptr) {
    return error.code == "StoreCorrupt" ? std::optional(Trouble::kUnreadable) : std::nullopt;
  }
  const auto found = live->state.frames.find(key.frame);
  if (found == live->state.frames.end()) return std::nullopt;
  const auto attempt = engine::waiting_attempt(found->second);
  if (!attempt) return std::nullopt;
  const AttemptKey name = key_of(key.execution, *attempt);
  if (shard_.wiring_.activities.holds(name) || shard_.wiring_.dispatcher.holds(name)) return std::nullopt;
  return Trouble::kNotCalled;
}

bool Audit::has_running_child(const std::vector<store::FrameRow>& frames, engine::FrameNo parent) {
  Error error;
  const LiveExecution* live = shard_.find_or_load(frames.front().key.execution, &error);
  if (live == nullptr) return true;  // Unreadable ones are found by themselves.
  return std::any_of(live->state.frames.begin(), live->state.frames.end(), [&](const auto& each) {
    return each.first != parent && each.second.parent == parent &&
           !std::holds_alternative<engine::Finished>(each.second.phase);
  });
}

std::optional<Audit::Trouble> Audit::inspect_execution(store::ExecutionNo no) {
  if (shard_.is_in_motion(no)) return std::nullopt;
  const auto row = shard_.wiring_.store.find_execution(no);
  if (!row || !*row || (*row)->status != store::ExecutionStatus::kRunning) return std::nullopt;
  const auto frames = shard_.wiring_.store.scan_frames({no, 0}, 1);
  const auto top = shard_.wiring_.store.find_frame({no, engine::kTopFrame});
  if (!frames || !top || *top) return std::nullopt;
  if (!frames->empty() && frames->front().key.execution == no) return std::nullopt;
  if (shard_.wiring_.map.count > 1) {  // It may not have begun.
    const Result<bool> waits = has_inbox_note(shard_.wiring_.store, shard_.wiring_.no, no);
    if (!waits || *waits) return std::nullopt;
  }
  return Trouble::kNoFrame;
}

void Audit::report(const store::FrameKey& key, Trouble trouble) {
  static constexpr const char* kSentences[] = {
      "its saved position cannot be read; restore a backup or stop the execution",
      "it was due at a time for which no timer was armed",
      "it was due at a time that the store did not say",
      "it was ready to run, but nothing ran it",
      "it waited for a call that was not under way",
      "it waited for a map run that nobody carried out",
      "it waits for branches of which none runs; stop the execution",
      "it runs, but has no saved position; stop the execution"};
  ++stuck;
  StuckFrame found;
  found.frame = key;
  const auto row = shard_.wiring_.store.find_execution(key.execution);
  found.execution_arn = row && *row ? (*row)->arn : "execution " + std::to_string(key.execution);
  found.what = kSentences[static_cast<std::size_t>(trouble)];
  found.set_going = set_going(key, trouble);
  if (shard_.wiring_.options.on_stuck) shard_.wiring_.options.on_stuck(found);
}

// Whatever it was that wakes it, once more; false where there is nothing to wake.
bool Audit::set_going(const store::FrameKey& key, Trouble trouble) {
  if (trouble == Trouble::kNotContinued) {
    shard_.post(key.execution, {engine::Continue{{key.frame}}, nullptr, nullptr});
    return true;
  }
  const auto row = shard_.wiring_.store.find_frame(key);
  if (!row || !*row) return false;
  if (trouble == Trouble::kTimerUnarmed || trouble == Trouble::kTimerUnstored) {
    const Result<SplitImage> split = split_frame_image((*row)->image);
    const auto glance =
        split ? engine::glance_at_frame(split->engine_image) : Result<engine::FrameGlance>(split.error());
    if (!glance) return false;
    shard_.timers_.set(key, due_of(key, *glance));
    shard_.arm();
    return true;
  }
  if (trouble != Trouble::kNotCalled && trouble != Trouble::kNoMapRun) return false;
  // As after a start: what waits for a call is called again, what needs a map run gets it.
  shard_.recover_frames(key.execution, {**row});
  return true;
}

}  // namespace sortie::runtime
