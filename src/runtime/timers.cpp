#include "runtime/timers.h"

#include <algorithm>

namespace sortie::runtime {

namespace {

constexpr std::size_t kStaleMin = 1024;  // Not worth a sweep below.

}  // namespace

void Timers::set(store::FrameKey key, Timestamp due) {
  if (due == kNever) return clear(key);
  const auto [at, is_new] = armed_.emplace(key, due);
  if (!is_new) {
    if (at->second == due) return;
    at->second = due;
  }
  heap_.push_back({due, key});
  std::push_heap(heap_.begin(), heap_.end());
  if (heap_.size() > 2 * armed_.size() + kStaleMin) {
    std::erase_if(heap_, [this](const Entry& entry) { return is_stale(entry); });
    std::make_heap(heap_.begin(), heap_.end());
  }
}

Timestamp Timers::next() {
  drop_stale_front();
  return heap_.empty() ? kNever : heap_.front().due;
}

std::optional<store::FrameKey> Timers::take_due(Timestamp now) {
  drop_stale_front();
  if (heap_.empty() || heap_.front().due > now) return std::nullopt;
  const store::FrameKey key = heap_.front().key;
  std::pop_heap(heap_.begin(), heap_.end());
  heap_.pop_back();
  armed_.erase(key);
  return key;
}

bool Timers::is_stale(const Entry& entry) const {
  const auto found = armed_.find(entry.key);
  return found == armed_.end() || found->second != entry.due;
}

void Timers::drop_stale_front() {
  while (!heap_.empty() && is_stale(heap_.front())) {
    std::pop_heap(heap_.begin(), heap_.end());
    heap_.pop_back();
  }
}

}  // namespace sortie::runtime
