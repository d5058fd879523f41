#pragma once
// WaitingWatch finds executions that wait longer than they should, for the first page of the console and
// GET /v1/overview. What should not be:
//
//   - something was due (a timer, a time limit, the next step) and is more than kOverdueMs late;
//   - a task has no time limit and its answer has not come for kTaskMs;
//   - a task token or an activity has no time limit and nobody has answered for kTokenMs.
//
// What waits for people with a time limit, sleeps by its playbook, or waits for its own branches, is fine.
//
// It goes round all running executions in steps: kLooksPerStep executions every kStepMs, then a pause, so
// that a million parked ones cost no more than ten, only later. What is told is what the last whole round
// found, with the sentence of `run explain`. Nothing is mended here and nothing is written.
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "runtime/runtime.h"
#include "store/store.h"

namespace sortie::api {

class WaitingWatch {
 public:
  static constexpr std::int64_t kOverdueMs = 60'000;
  static constexpr std::int64_t kTaskMs = 15 * 60'000;
  static constexpr std::int64_t kTokenMs = 60 * 60'000;
  static constexpr std::int64_t kStepMs = 250;
  static constexpr std::int64_t kPauseMs = 15'000;
  static constexpr std::size_t kLooksPerStep = 50;
  static constexpr std::size_t kToldMax = 100;

  struct Stuck {
    store::ExecutionRow row;
    runtime::WaitingReason reason;
  };

  // Both outlive it.
  WaitingWatch(Loop& loop, runtime::Runtime& runtime, store::Store& store);
  ~WaitingWatch();
  WaitingWatch(const WaitingWatch&) = delete;
  WaitingWatch& operator=(const WaitingWatch&) = delete;

  // Of the last whole round, the longest wait first; at most kToldMax.
  const std::vector<Stuck>& stuck() const { return told_; }
  Timestamp checked_at() const { return checked_at_; }  // 0: no round is over yet.

 private:
  void step();

  Loop& loop_;
  runtime::Runtime& runtime_;
  store::Store& store_;
  store::ExecutionNo before_ = UINT64_MAX;
  std::vector<Stuck> found_, told_;
  Timestamp checked_at_;
  Loop::TimerId timer_ = 0;
};

// Whether this is longer than it should be.
bool waits_too_long(const runtime::WaitingReason& reason, Timestamp now);

}  // namespace sortie::api
