#pragma once
// A Loop on virtual time: callbacks run in order, timers when the test moves the clock. One thread, no
// waiting.
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <utility>

#include "base/loop_timers.h"

namespace sortie::simulation {

class VirtualLoop final : public Loop {
 public:
  explicit VirtualLoop(Timestamp start) : now_(start) {}

  Timestamp now() override { return now_; }
  void post(Callback callback) override { ready_.push_back(std::move(callback)); }
  TimerId call_at(Timestamp due, Callback callback) override {
    return timers_.add(due, std::move(callback), time());
  }
  void cancel(TimerId timer) override { timers_.cancel(timer); }

  // Runs the next callback, moving the clock to the next timer where nothing is ready. False: nothing is
  // left.
  bool step() {
    if (ready_.empty()) {
      if (timers_.empty()) return false;
      now_ = std::max(now_, timers_.next(time()));
      ready_.push_back(timers_.take(timers_.due(time()).front()));
    }
    Callback next = std::move(ready_.front());
    ready_.pop_front();
    next();
    return true;
  }
  // The clock is set. Timers take it as those of the real loop do.
  void jump(std::int64_t ms) {
    now_ = now_.plus_ms(ms);
    jumped_ms_ += ms;
    if (ms > 0) last_leap_ms_ = time().steady_ms;
  }
  // How long since it was last set forward, which makes pauses short.
  std::int64_t since_leap_ms() const { return steady_ms() - last_leap_ms_; }
  std::int64_t steady_ms() const { return time().steady_ms; }

 private:
  LoopTimers::Now time() const { return {now_, now_.ms - jumped_ms_}; }

  Timestamp now_;
  std::int64_t jumped_ms_ = 0, last_leap_ms_ = 0;
  std::deque<Callback> ready_;
  LoopTimers timers_;
};

// The loop of one process among several on the same virtual time. A process that is paused (SIGSTOP) runs
// nothing and finds everything waiting when it goes on; one that is dead never runs again.
class ProcessLoop final : public Loop {
 public:
  explicit ProcessLoop(VirtualLoop& world) : world_(world) {}
  ~ProcessLoop() override { state_->dead = true; }

  Timestamp now() override { return world_.now(); }
  void post(Callback callback) override {
    world_.post([state = state_, callback = std::move(callback)] { state->run(0, callback); });
  }
  TimerId call_at(Timestamp due, Callback callback) override {
    auto id = std::make_shared<TimerId>(0);
    *id = world_.call_at(due,
                         [state = state_, id, callback = std::move(callback)] { state->run(*id, callback); });
    return *id;
  }
  void cancel(TimerId timer) override {
    world_.cancel(timer);
    state_->again.erase(timer);
    std::erase_if(state_->held, [timer](const auto& each) { return timer != 0 && each.first == timer; });
  }

  bool is_paused() const { return state_->paused; }
  void pause() { state_->paused = true; }
  void resume() {
    state_->paused = false;
    for (auto& [timer, callback] : std::exchange(state_->held, {})) {
      if (timer == 0) {
        post(std::move(callback));
      } else {
        state_->again.insert(timer);
        world_.post([state = state_, timer = timer, callback = std::move(callback)] {
          if (state->again.erase(timer) != 0) state->run(timer, callback);
        });
      }
    }
  }

 private:
  struct State {
    void run(TimerId timer, const Callback& callback) {
      if (dead) return;
      if (!paused) return callback();
      held.emplace_back(timer, callback);
    }
    bool dead = false, paused = false;
    std::deque<std::pair<TimerId, Callback>> held;
    std::set<TimerId> again;
  };
  VirtualLoop& world_;
  std::shared_ptr<State> state_ = std::make_shared<State>();
};

}  // namespace sortie::simulation
