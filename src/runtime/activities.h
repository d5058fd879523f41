#pragma once
// Activity tasks that wait for a worker, and workers that wait for a task. Nothing here is durable: what
// waits is offered again from the frames at start-up, and a poll belongs to its connection. Of several nodes
// each offers what its shards wait for, and the leader, where workers poll, all of it.
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "runtime/runtime.h"

namespace sortie::runtime {

class Activities {
 public:
  struct Offer {
    AttemptKey key;
    std::string task_token;
    std::string input_text;
  };
  // Records that the worker takes the task: done, nobody waits for it any more, or it could not be written.
  enum class Taken { kYes, kGone, kTryAgain };
  using Take =
      std::function<void(const AttemptKey&, const std::string& worker, std::function<void(Taken)> taken)>;

  Activities(Loop& loop, Take take) : loop_(loop), take_(std::move(take)) {}

  void offer(const std::string& activity_arn, Offer offer);
  void withdraw(const AttemptKey& key);
  void withdraw_of(const std::function<bool(store::ExecutionNo)>& is_of);
  bool holds(const AttemptKey& key) const { return places_.contains(key); }
  std::shared_ptr<void> poll(const std::string& activity_arn, std::string worker, std::int64_t wait_ms,
                             std::function<void(ActivityTask)> done);

 private:
  struct Poll {
    std::string worker;
    std::function<void(ActivityTask)> done;
    Loop::TimerId timer = 0;
    bool open = true;
  };
  // A task's place in line: the order in which they were offered, kept when one could not be handed over.
  using Turn = std::uint64_t;
  struct Queue {
    std::map<Turn, Offer> offers;
    std::deque<std::weak_ptr<Poll>> polls;
  };
  struct Place {
    std::string activity_arn;
    Turn turn = 0;
  };

  void match(const std::string& activity_arn);
  void put(const std::string& activity_arn, Turn turn, Offer offer);
  void hand_over(const std::string& activity_arn, Turn turn, Offer offer, std::shared_ptr<Poll> poll);
  void close(Poll& poll);

  Loop& loop_;
  Take take_;
  std::map<std::string, Queue> queues_;
  std::map<AttemptKey, Place> places_;  // Of every offer: withdrawing one costs the same with a million.
  Turn last_turn_ = 0;
};

}  // namespace sortie::runtime
