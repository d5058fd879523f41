#include "io/event_loop.h"

#include <openssl/rand.h>
#include <signal.h>
#include <time.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <chrono>
#include <utility>

#include "base/result.h"
#include "io/event_loop_impl.h"

namespace sortie::io {

namespace asio = boost::asio;

namespace {

Timestamp wall_clock() {
  timespec time{};
  clock_gettime(CLOCK_REALTIME, &time);
  return {static_cast<std::int64_t>(time.tv_sec) * 1000 + time.tv_nsec / 1'000'000};
}

LoopTimers::Now time_now() {
  const auto steady = std::chrono::steady_clock::now().time_since_epoch();
  return {wall_clock(), std::chrono::duration_cast<std::chrono::milliseconds>(steady).count()};
}

}  // namespace

// A peer or child that closes its end must be an error of the write, not our end.
EventLoop::EventLoop() : impl_(std::make_unique<Impl>()) { ::signal(SIGPIPE, SIG_IGN); }

EventLoop::~EventLoop() {
  if (impl_->worker.joinable()) {
    {
      std::lock_guard lock(impl_->work_mutex);
      impl_->work_ends = true;
    }
    impl_->work_ready.notify_one();
    impl_->worker.join();
  }
}

void EventLoop::run() {
  impl_->context.restart();
  impl_->context.run();
}

bool EventLoop::run_until(const std::function<bool()>& done, int timeout_ms) {
  using SteadyClock = std::chrono::steady_clock;
  const auto limit = SteadyClock::now() + std::chrono::milliseconds(timeout_ms);
  impl_->context.restart();
  while (!done()) {
    if (impl_->context.stopped()) return false;
    if (timeout_ms == 0) {
      impl_->context.run_one();
    } else {
      if (SteadyClock::now() >= limit) return false;
      impl_->context.run_one_until(limit);
    }
  }
  return true;
}

void EventLoop::stop() { impl_->context.stop(); }

Timestamp EventLoop::now() { return wall_clock(); }

void EventLoop::post(Callback callback) { asio::post(impl_->context, std::move(callback)); }

Loop::TimerId EventLoop::call_at(Timestamp due, Callback callback) {
  const LoopTimers::Now now = time_now();
  const TimerId id = impl_->timers.add(due, std::move(callback), now);
  if (impl_->timers.next(now) < impl_->armed_for) impl_->arm(now);
  return id;
}

Loop::TimerId EventLoop::call_after(std::int64_t delay_ms, Callback callback) {
  return call_at(now().plus_ms(delay_ms), std::move(callback));
}

void EventLoop::cancel(TimerId timer) { impl_->timers.cancel(timer); }

// The alarm never sleeps longer than kClockCheckMs, so a wall clock that was set forward is noticed.
void EventLoop::Impl::arm(LoopTimers::Now now) {
  if (timers.empty()) {
    armed_for = kNever;
    alarm.cancel();
    return;
  }
  armed_for = timers.next(now);
  const std::int64_t wait_ms =
      armed_for <= now.wall ? 0 : std::min<std::int64_t>(armed_for.ms - now.wall.ms, kClockCheckMs);
  alarm.expires_after(std::chrono::milliseconds(wait_ms));
  alarm.async_wait([this](const boost::system::error_code& error) {
    if (!error) fire();
  });
}

// Only what was due when the round began runs in it, so a timer that re-arms itself for "now" cannot starve
// sockets.
void EventLoop::Impl::fire() {
  for (const TimerId id : timers.due(time_now())) {
    if (const Callback callback = timers.take(id)) callback();
  }
  arm(time_now());
}

void EventLoop::on_signals(const std::vector<int>& signals, std::function<void(int)> callback) {
  SORTIE_CHECK(!impl_->signals);
  impl_->signals.emplace(impl_->context);
  boost::system::error_code ignored;
  for (const int signal : signals) impl_->signals->add(signal, ignored);
  impl_->signal_callback = std::move(callback);
  impl_->wait_for_signal();
}

void EventLoop::Impl::wait_for_signal() {
  signals->async_wait([this](const boost::system::error_code& error, int signal) {
    if (error) return;
    signal_callback(signal);
    wait_for_signal();
  });
}

void EventLoop::run_in_background(Callback work, Callback done) {
  if (!impl_->worker.joinable()) impl_->worker = std::thread([this] { impl_->work_thread(); });
  {
    std::lock_guard lock(impl_->work_mutex);
    impl_->work.emplace_back(std::move(work), std::move(done));
  }
  impl_->work_ready.notify_one();
}

void EventLoop::Impl::work_thread() {
  while (true) {
    std::unique_lock lock(work_mutex);
    work_ready.wait(lock, [this] { return work_ends || !work.empty(); });
    if (work_ends) return;
    auto [job, done] = std::move(work.front());
    work.pop_front();
    lock.unlock();
    job();
    job = nullptr;
    asio::post(context, std::move(done));
  }
}

std::uint64_t SystemRandom::next() {
  std::lock_guard lock(mutex_);
  if (left_ == 0) {
    SORTIE_CHECK(RAND_bytes(reinterpret_cast<unsigned char*>(kept_.data()), sizeof(kept_)) == 1);
    left_ = kept_.size();
  }
  return std::exchange(kept_[--left_], 0);  // What was handed out is nowhere here any more.
}

}  // namespace sortie::io
