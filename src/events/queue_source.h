#pragma once
// Queues whose messages are events, `sources` in the configuration, and the intake that empties them.
//
//   sources:
//     findings:
//       queue: findings                       # name, URL or ARN
//       events: true                          # bodies are events; else a body becomes the detail of one
//       aws_sources: ["aws.guardduty"]        # aws.* sources that such events may have; none unless listed
//       source: sortie.queues.findings        # the default, for bodies that are no events
//       detail_type: Queue Message            # the default
//       bus: default
//       polls: 1                              # long polls at the same time
//       deduplicate: 24h                      # how long a message id is remembered
//
// A message is accepted like every event: durably, with its id as delivery id, so that a second delivery of
// it starts nothing twice; only then is it deleted. What dies in between comes again. With `events`, a body
// is an event as EventBridge delivers it to a queue ({source, detail-type, detail, ...}), or an SNS
// notification that holds one. Otherwise a body that is a JSON object is the detail, any other is wrapped:
// {"body": VALUE or TEXT}.
//
// A message that is refused (no event, a source it may not have, too large) is left where it is: it comes
// again after the queue's visibility timeout, and the queue's own redrive policy moves it away in the end. It
// is counted and told each time. A queue that cannot be reached is asked again with growing delays.
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "events/event_bus.h"
#include "json/value.h"

namespace sortie::events {

inline constexpr int kQueuePollsMax = 8;  // Of all sources together: each holds a thread of the AWS worker.

struct QueueSource {
  std::string name;
  std::string queue;
  bool holds_events = false;
  std::vector<std::string> aws_sources;
  std::string source;
  std::string detail_type = "Queue Message";
  std::string bus;
  int polls = 1;
  std::int64_t dedup_window_ms = 86'400'000;

  bool operator==(const QueueSource&) const = default;
};

// The section `sources`. Errors: code "InvalidConfiguration", place the JSON pointer within the section.
Result<std::vector<QueueSource>> parse_queue_sources(const json::Value& section);
// What to add to the bus's trusted sources.
std::vector<TrustedSource> trusted_sources(const QueueSource& source);

struct QueueMessage {
  std::string id;
  std::string body;
  std::string receipt;  // What deletes this delivery of it.
  int receive_count = 1;
};

// The event that a message is. Errors: code "InvalidMessage".
Result<PutEntry> parse_message(const QueueSource& source, const QueueMessage& message);

// The queues themselves. Callbacks come from the loop, never inside the call; `cancel` means that none comes.
class QueueDoor {
 public:
  virtual ~QueueDoor() = default;
  // A long poll: up to ten messages, or none after some seconds.
  virtual void receive(const std::string& queue,
                       std::function<void(Result<std::vector<QueueMessage>>)> done) = 0;
  virtual void remove(const std::string& queue, std::vector<std::string> receipts,
                      std::function<void(Status)> done) = 0;
};

class QueueIntake {
 public:
  struct Standing {
    std::string name, queue;
    bool is_reachable = true;
    std::string trouble;  // Why it is not, or what was last refused; "" when all is well.
    std::uint64_t received = 0, accepted = 0, duplicates = 0, refused = 0, removed = 0, failures = 0;
  };
  struct Options {
    std::string account;
    std::function<void(const std::string& source, const Error&)> on_trouble;
    std::function<void(const std::string& source)> on_recovery;  // It can be reached again.
  };

  QueueIntake(Loop& loop, EventBus& bus, QueueDoor& door, Options options);
  ~QueueIntake();

  // Sources that are new or differ are polled from now on, those that are gone no longer.
  void configure(const std::vector<QueueSource>& sources);
  void stop();
  std::vector<Standing> standings() const;  // By name.

 private:
  struct Line;   // One source: its standing and its polls.
  struct Taken;  // What one poll brought, until all of it is dealt with.

  void poll(const std::shared_ptr<Line>& line);
  void poll_after(const std::shared_ptr<Line>& line, std::int64_t delay_ms);
  void take(const std::shared_ptr<Line>& line, std::vector<QueueMessage> messages);
  void accept(const std::shared_ptr<Taken>& taken, const QueueMessage& message);
  void settle(const std::shared_ptr<Taken>& taken);
  void fail(const std::shared_ptr<Line>& line, const Error& error);

  Loop& loop_;
  EventBus& bus_;
  QueueDoor& door_;
  Options options_;
  std::map<std::string, std::shared_ptr<Line>> lines_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace sortie::events
