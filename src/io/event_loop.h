#pragma once
// The real event loop, the real randomness and one background thread for work that would block the loop.
//
// An EventLoop belongs to the thread that calls run(). Objects of io/ (servers, clients, children) are made
// and used on that thread only; post() and stop() are the two calls that any thread may make. Timers are
// given as wall-clock times, because that is what the rest of the program counts in; a wall clock that is set
// forward is noticed within kClockCheckMs, one that is set back delays nobody (base/loop_timers.h). Callbacks
// must not throw.
#include <array>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "base/clock.h"

namespace sortie::io {

inline constexpr int kClockCheckMs = 5'000;

class EventLoop final : public Loop {
 public:
  EventLoop();
  ~EventLoop() override;
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  // Runs until stop(), even while there is nothing to do. May be called again afterwards.
  void run();
  // Runs until `done()` holds; it is asked after every callback. For tests and one-shot commands.
  // False if `timeout_ms` (0: none) passed first.
  bool run_until(const std::function<bool()>& done, int timeout_ms = 0);
  void stop();  // From any thread.

  Timestamp now() override;
  void post(Callback callback) override;
  TimerId call_at(Timestamp due, Callback callback) override;
  void cancel(TimerId timer) override;
  // Like call_at, relative to now.
  TimerId call_after(std::int64_t delay_ms, Callback callback);

  // Calls back on the loop whenever one of the signals arrives (SIGTERM, SIGINT, SIGHUP). Once per loop.
  void on_signals(const std::vector<int>& signals, std::function<void(int)> callback);

  // Runs `work` on the loop's background thread, in order with other work, then `done` on the loop. For disk
  // and CPU work that takes more than a millisecond. `work` must not touch objects of the loop's thread.
  void run_in_background(Callback work, Callback done);

  struct Impl;
  Impl& impl() { return *impl_; }  // For the other files of io/.

 private:
  std::unique_ptr<Impl> impl_;
};

// OpenSSL's generator, seeded by the kernel; safe for secrets and from any thread. It is asked for some
// numbers at a time, because asking costs more than a number.
class SystemRandom final : public Random {
 public:
  std::uint64_t next() override;

 private:
  std::mutex mutex_;
  std::array<std::uint64_t, 32> kept_{};
  std::size_t left_ = 0;
};

}  // namespace sortie::io
