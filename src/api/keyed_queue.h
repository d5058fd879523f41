#pragma once
// Runs changes of one thing one after the other, while changes of other things go on side by side.
//
// A change is a read, a decision and a write that becomes durable later; two of them on the same ARN must not
// interleave (two CreateStateMachine of one name would both find it free). One thread only.
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>

namespace sortie::api {

class KeyedQueue {
 public:
  // Gets a function to be called once when the change is over, successful or not.
  using Change = std::function<void(std::function<void()> over)>;

  // Runs `change` now if nothing else is under way for `key`, else after what is queued before it.
  void run(const std::string& key, Change change) {
    Line& line = lines_[key];
    line.waiting.push_back(std::move(change));
    if (line.waiting.size() == 1) start(key);
  }
  std::size_t size() const { return lines_.size(); }

 private:
  struct Line {
    std::deque<Change> waiting;  // The first one is under way.
    bool is_starting = false;    // start() is on the stack: it goes on by itself.
    bool is_over = false;        // The change under way ended while start() was on the stack.
  };

  // A loop, not a recursion: a thousand changes that end at once must not need a thousand stack frames.
  void start(const std::string& key) {
    Line& line = lines_[key];
    line.is_starting = true;
    do {
      line.is_over = false;
      const Change change = line.waiting.front();
      change([this, key, alive = std::weak_ptr<int>(alive_)] {
        if (!alive.expired()) end(key);
      });
      if (line.is_over) line.waiting.pop_front();
    } while (line.is_over && !line.waiting.empty());
    line.is_starting = false;
    if (line.waiting.empty()) lines_.erase(key);
  }

  void end(const std::string& key) {
    Line& line = lines_[key];
    if (line.is_starting) {
      line.is_over = true;
      return;
    }
    line.waiting.pop_front();
    if (line.waiting.empty()) {
      lines_.erase(key);
    } else {
      start(key);
    }
  }

  std::map<std::string, Line> lines_;
  std::shared_ptr<int> alive_ = std::make_shared<int>(0);
};

}  // namespace sortie::api
