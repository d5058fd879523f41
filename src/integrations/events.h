#pragma once
// events:putEvents onto our own bus. The result is PutEvents' answer ({Entries, FailedEntryCount} and the
// SDK's metadata); a single entry that fails makes the task fail with EventBridge.FailedEntry and the answer
// as cause. As on AWS, the ARNs of the state machine and of the execution are added to the Resources of every
// entry, in this order.
#include <functional>
#include <memory>
#include <string>

#include "base/actor.h"
#include "base/result.h"
#include "integrations/dispatcher.h"
#include "json/value.h"

namespace sortie::integrations {

// The bus, which is a floor above.
class EventSink {
 public:
  virtual ~EventSink() = default;
  // `entries` as PutEvents takes them (Detail is text). Answers {"FailedEntryCount", "Entries": [{"EventId"}
  // or
  // {"ErrorCode", "ErrorMessage"}]} when what was accepted is durable; an error of the whole call has the
  // API's code. The same idempotency key accepts the same events once.
  virtual void put_events(json::Value entries, const Actor& actor, std::string idempotency_key,
                          std::function<void(Result<json::Value>)> done) = 0;
};

class EventsIntegration final : public Integration {
 public:
  EventsIntegration(Clock& clock, EventSink& sink);
  void start(const runtime::TaskOrder& order, Report report) override;
  void cancel(const runtime::AttemptKey&) override {}

 private:
  Clock& clock_;
  EventSink& sink_;
};

}  // namespace sortie::integrations
