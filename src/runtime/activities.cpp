#include "runtime/activities.h"

namespace sortie::runtime {

void Activities::offer(const std::string& activity_arn, Offer offer) {
  withdraw(offer.key);
  put(activity_arn, ++last_turn_, std::move(offer));
  match(activity_arn);
}

void Activities::put(const std::string& activity_arn, Turn turn, Offer offer) {
  places_[offer.key] = {activity_arn, turn};
  queues_[activity_arn].offers.emplace(turn, std::move(offer));
}

void Activities::withdraw(const AttemptKey& key) {
  const auto place = places_.find(key);
  if (place == places_.end()) return;
  queues_[place->second.activity_arn].offers.erase(place->second.turn);
  places_.erase(place);
}

void Activities::withdraw_of(const std::function<bool(store::ExecutionNo)>& is_of) {
  std::vector<AttemptKey> gone;
  for (const auto& [key, place] : places_) {
    if (is_of(key.execution)) gone.push_back(key);
  }
  for (const AttemptKey& key : gone) withdraw(key);
}

std::shared_ptr<void> Activities::poll(const std::string& activity_arn, std::string worker,
                                       std::int64_t wait_ms, std::function<void(ActivityTask)> done) {
  auto poll = std::make_shared<Poll>();
  poll->worker = std::move(worker);
  poll->done = std::move(done);
  poll->timer = loop_.call_at(loop_.now().plus_ms(wait_ms), [this, weak = std::weak_ptr<Poll>(poll)] {
    const std::shared_ptr<Poll> waiting = weak.lock();
    if (waiting == nullptr || !waiting->open) return;
    waiting->timer = 0;
    close(*waiting);
    waiting->done({});
  });
  queues_[activity_arn].polls.push_back(poll);
  // Not inside the caller's call: the answer comes from the loop.
  loop_.post([this, activity_arn] { match(activity_arn); });
  return poll;
}

void Activities::close(Poll& poll) {
  poll.open = false;
  if (poll.timer != 0) loop_.cancel(poll.timer);
  poll.timer = 0;
}

// Oldest task to the oldest poll that is still there.
void Activities::match(const std::string& activity_arn) {
  Queue& queue = queues_[activity_arn];
  while (!queue.offers.empty() && !queue.polls.empty()) {
    std::shared_ptr<Poll> poll = queue.polls.front().lock();
    queue.polls.pop_front();
    if (poll == nullptr || !poll->open) continue;
    const auto first = queue.offers.begin();
    const Turn turn = first->first;
    Offer offer = std::move(first->second);
    queue.offers.erase(first);
    places_.erase(offer.key);
    hand_over(activity_arn, turn, std::move(offer), std::move(poll));
  }
}

void Activities::hand_over(const std::string& activity_arn, Turn turn, Offer offer,
                           std::shared_ptr<Poll> poll) {
  close(*poll);
  const AttemptKey key = offer.key;
  const std::string worker = poll->worker;
  take_(key, worker, [this, activity_arn, turn, offer = std::move(offer), poll](Taken taken) {
    if (taken == Taken::kYes) return poll->done({offer.task_token, offer.input_text});
    // The worker polls again on an empty answer; a task that could not be recorded keeps its place.
    if (taken == Taken::kTryAgain) put(activity_arn, turn, offer);
    poll->done({});
  });
}

}  // namespace sortie::runtime
