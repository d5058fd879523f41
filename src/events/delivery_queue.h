#pragma once
// Deliveries that are durable and not yet made. Each is one document of kind "event_delivery", written in the
// same batch as the event that caused it and removed in the batch that records its outcome; so an accepted
// event's deliveries survive any crash, and are made at least once, always under the same id.
//
// A failed attempt is tried again after a pause that doubles (1 s to 10 minutes, half of it jitter) until the
// target's RetryPolicy ends it; then the event goes to the target's dead-letter queue, or, without one, ends
// as failed. Outcomes are lines of the log stream "delivery" (subject: the event's id, type: "delivered",
// "failed", "dead-lettered", "lost"). Deliveries to event buses of this server are made by the bus itself in
// one batch with their removal: exactly once.
//
// Memory: waiting deliveries are ids; what they carry is read from the store when their turn comes. At most
// `in_flight_max` are with the invoker at a time. Everything runs on the loop's thread.
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "base/clock.h"
#include "events/lease.h"
#include "events/route.h"
#include "events/target_invoker.h"
#include "store/store.h"

namespace sortie::events {

inline constexpr std::string_view kDeliveryKind = "event_delivery";
inline constexpr std::string_view kDeliveryStream = "delivery";

struct DeliveryOptions {
  std::size_t in_flight_max = 256;
  std::int64_t retry_ms_first = 1'000;
  std::int64_t retry_ms_max = 600'000;
  std::int64_t attempt_ms_max = 600'000;  // An attempt without an answer counts as failed after this.
};

// A delivery's document. `failed` tells what led to the dead-letter queue, once it is on its way there.
struct DeliveryRow {
  Delivery delivery;
  int attempts = 0;
  Timestamp due;
  std::string last_error;
  bool dead_letter = false;
};

json::Value to_json(const DeliveryRow& row);
Result<DeliveryRow> parse_delivery_row(std::string_view text);

class DeliveryQueue {
 public:
  // Makes a delivery to an event bus of this server: takes `batch` (which removes the row) and commits it
  // together with the forwarded event. Answers false where the bus is not one of this server's.
  using Forward = std::function<bool(const Delivery&, store::Batch batch, std::function<void(Status)> done)>;

  DeliveryQueue(Loop& loop, Random& random, store::Store& store, TargetInvoker& invoker,
                DeliveryOptions options);
  ~DeliveryQueue();
  DeliveryQueue(const DeliveryQueue&) = delete;
  DeliveryQueue& operator=(const DeliveryQueue&) = delete;

  Status recover(Lease lease, Forward forward);
  static store::Document document(const Delivery& delivery);
  void enqueue(const std::string& delivery_id);  // Its document is durable.
  void stop();                                   // Starts no further attempt.
  std::size_t pending() const { return waiting_.size() + ready_.size() + in_flight_.size(); }
  std::size_t in_flight() const { return in_flight_.size(); }
  std::size_t retrying() const { return waiting_.size(); }  // Failed before, and wait for the next attempt.
  // How long the event of the last delivery had been in when its target had it.
  std::int64_t last_lag_ms() const { return last_lag_ms_; }

 private:
  void pump();
  void arm();
  void attempt(const std::string& id);
  void finish(DeliveryRow row, std::uint64_t attempt_no, Result<TargetReply> reply);
  void give_up(DeliveryRow row, const Error& error, std::string_view condition);
  void retry(DeliveryRow row, Timestamp due);
  void commit(const std::string& id, store::Batch batch, std::function<void()> then);
  void settle(const std::string& id, std::optional<Timestamp> due);
  store::LogLine outcome(const DeliveryRow& row, std::string_view type, std::string_view text) const;
  std::int64_t pause_ms(int attempts);

  Loop& loop_;
  Random& random_;
  store::Store& store_;
  TargetInvoker& invoker_;
  DeliveryOptions options_;
  Lease lease_;
  Forward forward_;
  bool stopped_ = false;
  bool pumping_ = false;
  std::shared_ptr<bool> alive_;
  std::set<std::pair<Timestamp, std::string>> waiting_;
  std::deque<std::string> ready_;
  std::map<std::string, std::uint64_t> in_flight_;  // With the attempt whose answer counts.
  std::uint64_t last_attempt_ = 0;
  std::int64_t last_lag_ms_ = 0;
  Loop::TimerId timer_ = 0;
  Timestamp timer_due_ = kNever;
};

}  // namespace sortie::events
