#include "runtime/watchers.h"

#include <algorithm>
#include <utility>

namespace sortie::runtime {

std::shared_ptr<void> Watchers::observe(Observer callback) {
  auto observer = std::make_shared<Observer>(std::move(callback));
  observers_.push_back(observer);
  return observer;
}

// By index, because an observer may add another one. Those that are gone leave when nobody is being told.
void Watchers::tell(const ExecutionChange& change) {
  if (has_lost_observers_ && !telling_) {
    std::erase_if(observers_, [](const auto& weak) { return weak.expired(); });
    has_lost_observers_ = false;
  }
  const bool was_telling = std::exchange(telling_, true);
  for (std::size_t i = 0, count = observers_.size(); i < count; ++i) {
    if (const auto observer = observers_[i].lock()) {
      (*observer)(change);
    } else {
      has_lost_observers_ = true;
    }
  }
  telling_ = was_telling;
}

std::shared_ptr<void> Watchers::wait(std::string arn, Waiter done) {
  auto waiter = std::make_shared<Waiter>(std::move(done));
  waiters_.emplace(std::move(arn), waiter);
  if (waiters_.size() > sweep_above_) {
    std::erase_if(waiters_, [](const auto& each) { return each.second.expired(); });
    sweep_above_ = std::max<std::size_t>(64, waiters_.size() * 2);
  }
  return waiter;
}

std::vector<std::string> Watchers::awaited() const {
  std::vector<std::string> arns;
  for (const auto& [arn, waiter] : waiters_) {
    if (!waiter.expired() && (arns.empty() || arns.back() != arn)) arns.push_back(arn);
  }
  return arns;
}

void Watchers::tell_end(
    const std::string& arn,
    const std::function<std::optional<ExecutionDescription>(const std::string& arn)>& describe) {
  const auto [from, to] = waiters_.equal_range(arn);
  std::vector<std::weak_ptr<Waiter>> due;
  bool somebody_waits = false;
  for (auto each = from; each != to; ++each) {
    somebody_waits = somebody_waits || !each->second.expired();
    due.push_back(each->second);
  }
  if (!somebody_waits) return;
  const std::optional<ExecutionDescription> description = describe(arn);
  if (!description) return;
  waiters_.erase(arn);
  for (const auto& weak : due) {
    if (const auto waiter = weak.lock()) (*waiter)(*description);
  }
}

}  // namespace sortie::runtime
