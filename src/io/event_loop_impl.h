#pragma once
// What the .cpp files of io/ share of the loop: Asio stays inside this folder.
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <thread>

#include "base/loop_timers.h"
#include "io/event_loop.h"

namespace sortie::io {

struct EventLoop::Impl {
  boost::asio::io_context context{1};
  // Signals and the guard keep run() alive while there is nothing to do.
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> guard{context.get_executor()};
  boost::asio::steady_timer alarm{context};
  std::optional<boost::asio::signal_set> signals;
  std::function<void(int)> signal_callback;

  LoopTimers timers;
  Timestamp armed_for = kNever;

  std::mutex work_mutex;
  std::condition_variable work_ready;
  std::deque<std::pair<Callback, Callback>> work;
  bool work_ends = false;
  std::thread worker;

  void arm(LoopTimers::Now now);
  void fire();
  void wait_for_signal();
  void work_thread();
};

}  // namespace sortie::io
