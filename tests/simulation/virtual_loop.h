#pragma once
// A Loop on virtual time: callbacks run in order, timers when the test moves the clock. One thread, no
// waiting.
#include <deque>
#include <map>

#include "base/clock.h"

namespace sortie::simulation {

class VirtualLoop final : public Loop {
 public:
  explicit VirtualLoop(Timestamp start) : now_(start) {}

  Timestamp now() override { return now_; }
  void post(Callback callback) override { ready_.push_back(std::move(callback)); }
  TimerId call_at(Timestamp due, Callback callback) override {
    const TimerId id = ++last_timer_;
    timers_.emplace(std::pair(due, id), std::move(callback));
    due_of_.emplace(id, due);
    return id;
  }
  void cancel(TimerId timer) override {
    const auto found = due_of_.find(timer);
    if (found == due_of_.end()) return;
    timers_.erase({found->second, timer});
    due_of_.erase(found);
  }

  // Runs the next callback, moving the clock to the next timer where nothing is ready. False: nothing is
  // left.
  bool step() {
    if (ready_.empty()) {
      if (timers_.empty()) return false;
      auto node = timers_.extract(timers_.begin());
      now_ = std::max(now_, node.key().first);
      due_of_.erase(node.key().second);
      ready_.push_back(std::move(node.mapped()));
    }
    Callback next = std::move(ready_.front());
    ready_.pop_front();
    next();
    return true;
  }
  void jump(std::int64_t ms) { now_ = now_.plus_ms(ms); }

 private:
  Timestamp now_;
  std::deque<Callback> ready_;
  std::map<std::pair<Timestamp, TimerId>, Callback> timers_;
  std::map<TimerId, Timestamp> due_of_;
  TimerId last_timer_ = 0;
};

}  // namespace sortie::simulation
