#pragma once
// A Loop for tests and simulations that need no sockets: virtual time that moves only when told to, and
// callbacks that run only inside run_*(). `post` may come from any thread; the rest is for the one thread
// that drives it.
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
  explicit ManualLoop(Timestamp start = {1'700'000'000'000}) : now_(start) {}

  Timestamp now() override {
    std::lock_guard lock(mutex_);
    return now_;
  }

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
        if (time > now_) now_ = time;
        return;
      }
      if (timers_.begin()->first.first > now_) now_ = timers_.begin()->first.first;
    }
  }

  // The clock jumps, as wall clocks do; timers that became due run at the next run_*().
  void jump_to(Timestamp time) {
    std::lock_guard lock(mutex_);
    now_ = time;
  }

  Timestamp next_timer() {  // kNever: there is none.
    std::lock_guard lock(mutex_);
    return timers_.empty() ? kNever : timers_.begin()->first.first;
  }

 private:
  Callback take(bool wait) {
    std::unique_lock lock(mutex_);
    for (;;) {
      if (!posted_.empty()) {
        Callback callback = std::move(posted_.front());
        posted_.pop_front();
        return callback;
      }
      if (!timers_.empty() && timers_.begin()->first.first <= now_) {
        Callback callback = std::move(timers_.begin()->second);
        timers_.erase(timers_.begin());
        return callback;
      }
      if (!wait) return {};
      wake_.wait(lock);
    }
  }

  std::mutex mutex_;
  std::condition_variable wake_;
  Timestamp now_;
  std::deque<Callback> posted_;
  std::map<std::pair<Timestamp, TimerId>, Callback> timers_;
  TimerId last_timer_ = 0;
};

}  // namespace sortie
