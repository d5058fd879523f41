#pragma once
// The three things that can surprise a program, as interfaces: time, chance, and being called back later.
// Everything from runtime/ upwards is handed them; the real ones live in io/, the simulation brings its own.
#include <cstdint>
#include <functional>

#include "base/time.h"

namespace sortie {

class Clock {
 public:
  virtual ~Clock() = default;
  virtual Timestamp now() = 0;  // Wall clock; may jump either way.
};

class Random {
 public:
  virtual ~Random() = default;
  virtual std::uint64_t next() = 0;  // 64 uniform bits; cryptographically strong in the real one.
};

// A single-threaded event loop. `post` may be called from any thread; everything else only from the loop's
// own thread. Callbacks run on the loop's thread, never inside the call that registered them.
class Loop : public Clock {
 public:
  using Callback = std::function<void()>;
  using TimerId = std::uint64_t;  // 0 is never a timer.

  virtual void post(Callback callback) = 0;
  // Runs `callback` once at `due`; a clock that is set back does not delay it (loop_timers.h).
  virtual TimerId call_at(Timestamp due, Callback callback) = 0;
  virtual void cancel(TimerId timer) = 0;  // Unknown or fired timers are ignored.
};

}  // namespace sortie
