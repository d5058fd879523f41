#include "base/loop_timers.h"

#include <algorithm>
#include <cstdlib>

namespace sortie {

LoopTimers::TimerId LoopTimers::add(Timestamp due, Callback callback, Now now) {
  notice_jump(now);
  const TimerId id = ++last_;
  Timer timer{std::max(due, Timestamp{0}), offset_ms_, {}, std::move(callback)};
  timer.due = due_of(timer);
  Timer& kept = timers_.emplace(id, std::move(timer)).first->second;
  by_time_.emplace(std::pair(kept.due, id), &kept);
  return id;
}

void LoopTimers::cancel(TimerId timer) { static_cast<void>(take(timer)); }

LoopTimers::Callback LoopTimers::take(TimerId timer) {
  const auto found = timers_.find(timer);
  if (found == timers_.end()) return {};
  Callback callback = std::move(found->second.callback);
  by_time_.erase({found->second.due, timer});
  timers_.erase(found);
  return callback;
}

Timestamp LoopTimers::next(Now now) {
  notice_jump(now);
  return by_time_.empty() ? kNever : by_time_.begin()->first.first;
}

std::vector<LoopTimers::TimerId> LoopTimers::due(Now now) {
  notice_jump(now);
  std::vector<TimerId> ids;
  for (const auto& [key, timer] : by_time_) {
    if (key.first > now.wall) break;
    ids.push_back(key.second);
  }
  return ids;
}

Timestamp LoopTimers::due_of(const Timer& timer) const {
  return timer.asked.plus_ms(-std::max<std::int64_t>(timer.offset_ms - offset_ms_, 0));
}

void LoopTimers::notice_jump(Now now) {
  const std::int64_t offset_ms = now.wall.ms - now.steady_ms;
  if (std::abs(offset_ms - offset_ms_) < kJumpMs) return;
  offset_ms_ = offset_ms;
  by_time_.clear();
  for (auto& [id, timer] : timers_) {
    timer.due = due_of(timer);
    by_time_.emplace(std::pair(timer.due, id), &timer);
  }
}

}  // namespace sortie
