#include "api/waiting_watch.h"

#include <algorithm>

namespace sortie::api {

bool waits_too_long(const runtime::WaitingReason& reason, Timestamp now) {
  const std::int64_t waited = now.ms - reason.since.ms;
  if (reason.kind == "children") return false;
  if (reason.until) return now.ms - reason.until->ms > WaitingWatch::kOverdueMs;
  if (reason.kind == "task") return waited > WaitingWatch::kTaskMs;
  if (reason.kind == "token" || reason.kind == "activity") return waited > WaitingWatch::kTokenMs;
  return waited > WaitingWatch::kOverdueMs;
}

WaitingWatch::WaitingWatch(Loop& loop, runtime::Runtime& runtime, store::Store& store)
    : loop_(loop), runtime_(runtime), store_(store) {
  timer_ = loop_.call_at(loop_.now().plus_ms(kStepMs), [this] { step(); });
}

WaitingWatch::~WaitingWatch() { loop_.cancel(timer_); }

void WaitingWatch::step() {
  const Timestamp now = loop_.now();
  store::ExecutionQuery query;
  query.status = store::ExecutionStatus::kRunning;
  query.before = before_;
  query.limit = kLooksPerStep;
  const auto rows = store_.list_executions(query);
  const bool is_over = !rows || rows->size() < kLooksPerStep;
  if (rows) {
    for (const store::ExecutionRow& row : *rows) {
      before_ = row.no;
      if (now.ms - row.started_at.ms <= kOverdueMs) continue;
      const auto reasons = runtime_.explain(row.arn);
      if (!reasons) continue;  // Ended since, or a kind of its own.
      const auto late = std::find_if(reasons->begin(), reasons->end(),
                                     [&](const auto& reason) { return waits_too_long(reason, now); });
      if (late != reasons->end() && found_.size() < kToldMax) found_.push_back({row, *late});
    }
  }
  if (is_over) {
    std::stable_sort(found_.begin(), found_.end(),
                     [](const Stuck& a, const Stuck& b) { return a.reason.since < b.reason.since; });
    // A round that could not read says nothing; what was known stays.
    if (rows) {
      told_ = std::move(found_);
      checked_at_ = now;
    }
    found_.clear();
    before_ = UINT64_MAX;
  }
  timer_ = loop_.call_at(now.plus_ms(is_over ? kPauseMs : kStepMs), [this] { step(); });
}

}  // namespace sortie::api
