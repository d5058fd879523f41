#pragma once
// FairQueue takes turns: what waits is kept in a lane for each key, in order, and `pop` takes the first of
// the lane whose turn it is. So who puts ten thousand things in delays everybody else by one thing, not by
// ten thousand. O(log lanes); a lane that is empty is gone.
#include <algorithm>
#include <deque>
#include <map>
#include <string>
#include <utility>

namespace sortie {

template <typename T>
class FairQueue {
 public:
  void push_back(const std::string& key, T item) {
    lanes_[key].push_back(std::move(item));
    ++size_;
  }
  void push_front(const std::string& key, T item) {
    lanes_[key].push_front(std::move(item));
    ++size_;
  }
  // There has to be something.
  T pop() {
    auto lane = lanes_.upper_bound(last_);
    if (lane == lanes_.end()) lane = lanes_.begin();
    T item = std::move(lane->second.front());
    lane->second.pop_front();
    last_ = lane->first;
    if (lane->second.empty()) lanes_.erase(lane);
    --size_;
    return item;
  }
  // Takes one out, wherever it stands in its lane; false: it is not there.
  bool erase(const std::string& key, const T& item) {
    const auto lane = lanes_.find(key);
    if (lane == lanes_.end()) return false;
    const auto found = std::find(lane->second.begin(), lane->second.end(), item);
    if (found == lane->second.end()) return false;
    lane->second.erase(found);
    if (lane->second.empty()) lanes_.erase(lane);
    --size_;
    return true;
  }
  void clear() {
    lanes_.clear();
    size_ = 0;
  }
  bool empty() const { return size_ == 0; }
  std::size_t size() const { return size_; }

 private:
  std::map<std::string, std::deque<T>> lanes_;
  std::string last_;
  std::size_t size_ = 0;
};

}  // namespace sortie
