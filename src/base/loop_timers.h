#pragma once
// LoopTimers keeps the timers of an event loop on a wall clock that may jump either way.
//
// A timer is given as a moment of the wall clock, because that is what the program counts in; mostly it means
// "in so many milliseconds". So a timer is due when the wall clock has come to its moment or, the clock
// having been set back, when as much time has passed as there was left when it was made: whoever wanted to
// try again in half a second does so, whatever happened to the clock. Whoever waits for a moment of the wall
// clock (schedules, deadlines) looks at the clock when called, and makes another timer if it is too early. A
// clock that was set forward makes due what it passed.
//
// The caller says what time it is, by the wall clock and by one that never jumps. Jumps below kJumpMs, and a
// clock that is slewed, are not looked at. Cost: logarithmic, except in the moment of a jump.
#include <cstdint>
#include <functional>
#include <map>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/clock.h"

namespace sortie {

class LoopTimers {
 public:
  using Callback = Loop::Callback;
  using TimerId = Loop::TimerId;
  static constexpr std::int64_t kJumpMs = 100;

  struct Now {
    Timestamp wall;
    std::int64_t steady_ms = 0;
  };

  TimerId add(Timestamp due, Callback callback, Now now);
  void cancel(TimerId timer);  // Unknown ones are ignored.
  bool empty() const { return by_time_.empty(); }
  // The moment of the wall clock, as it goes now, at which the first is due; kNever: there is none.
  Timestamp next(Now now);
  // What is due, in order of time. Each has to be taken: one that runs may cancel another.
  std::vector<TimerId> due(Now now);
  Callback take(TimerId timer);  // Empty: it was cancelled.

 private:
  struct Timer {
    Timestamp asked;             // As it was given...
    std::int64_t offset_ms = 0;  // ... when the wall clock was so far ahead of the other.
    Timestamp due;               // As the clock goes now.
    Callback callback;
  };
  Timestamp due_of(const Timer& timer) const;
  void notice_jump(Now now);

  std::map<std::pair<Timestamp, TimerId>, Timer*> by_time_;
  std::unordered_map<TimerId, Timer> timers_;
  TimerId last_ = 0;
  std::int64_t offset_ms_ = 0;
};

}  // namespace sortie
