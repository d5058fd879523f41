#pragma once
// A Loop for tests and simulations that need no sockets: virtual time that moves only when told to, and
// callbacks that run only inside run_*(). `post` may come from any thread; the rest is for the one thread
// that drives it.
#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <utility>

#include "base/clock.h"

namespace sortie {

class ManualLoop final : public Loop {
 public:
  explicit ManualLoop(Timestamp start = {1'700'000'000'000}) : now_(start.ms) {}

  Timestamp now() override { return {now_.load(std::memory_order_relaxed)}; }

  void post(Callback callback) override {
    {
      std::lock_guard lock(mutex_);
      posted_.push_back(std::move(callback));
    }
    wake_.notify_one();
  }

  TimerId call_at(Timestamp due, Callback callback) override {
    std::lock_guard lock(mutex_);
    TimerId id = ++last_timer_;
    timers_.emplace(std::pair(due, id), std::move(callback));
    return id;
  }

  void cancel(TimerId timer) override {
    std::lock_guard lock(mutex_);
    for (auto each = timers_.begin(); each != timers_.end(); ++each) {
      if (each->first.second != timer) continue;
      timers_.erase(each);
      return;
    }
  }

  // Runs what is posted and what is due now, until there is nothing more. Does not wait for other threads.
  void run_until_idle() {
    while (Callback callback = take(false)) callback();
  }

  // Runs callbacks until `done` holds, waiting for those that other threads will post. Virtual time stands.
  void run_until(const std::function<bool()>& done) {
    while (!done()) take(true)();
  }

  // Moves the clock to `time`, running every timer at its moment on the way.
  void advance_to(Timestamp time) {
    for (;;) {
      run_until_idle();
      std::lock_guard lock(mutex_);
      if (timers_.empty() || timers_.begin()->first.first > time) {
        if (time > now()) now_ = time.ms;
        return;
      }
      if (timers_.begin()->first.first > now()) now_ = timers_.begin()->first.first.ms;
    }
  }

  // The clock jumps, as wall clocks do; timers that became due run at the next run_*().
  void jump_to(Timestamp time) { now_ = time.ms; }

  Timestamp next_timer() {  // kNever: there is none.
    std::lock_guard lock(mutex_);
    return timers_.empty() ? kNever : timers_.begin()->first.first;
  }

 private:
  Callback take(bool wait) {
    if (taken_.empty()) {
      std::unique_lock lock(mutex_);
      while (wait && posted_.empty() && !is_timer_due()) wake_.wait(lock);
      taken_.swap(posted_);
      if (taken_.empty() && is_timer_due()) {
        Callback callback = std::move(timers_.begin()->second);
        timers_.erase(timers_.begin());
        return callback;
      }
      if (taken_.empty()) return {};
    }
    Callback callback = std::move(taken_.front());
    taken_.pop_front();
    return callback;
  }
  bool is_timer_due() { return !timers_.empty() && timers_.begin()->first.first <= now(); }

  std::mutex mutex_;
  std::condition_variable wake_;
  std::atomic<std::int64_t> now_;
  std::deque<Callback> posted_;
  std::deque<Callback> taken_;  // By the driving thread: these come before what is posted meanwhile.
  std::map<std::pair<Timestamp, TimerId>, Callback> timers_;
  TimerId last_timer_ = 0;
};

}  // namespace sortie
