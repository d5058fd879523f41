#pragma once
// Status changes of executions as events, for rules that ask for them: source "aws.states", detail type
// "Step Functions Execution Status Change", on the default bus of the execution's account; when a STANDARD
// execution begins and when it ends.
//
// Only rules that name the source in so many words are asked after: where there is none, nothing is made, so
// executions cost what they cost. Children of a map run cause no events, nor does an execution that a rule on
// these events has started: such a rule would otherwise never come to rest. Told after the commit and once: a
// crash in between loses the event (AWS delivers them as well as it can, too).
// Source: AWS, "Automating Step Functions event delivery with EventBridge".
#include <memory>

#include "events/event_bus.h"
#include "runtime/runtime.h"

namespace sortie::cli {

class StatusEvents {
 public:
  // Both outlive us.
  StatusEvents(runtime::Runtime& runtime, events::EventBus& bus);

 private:
  void take(const runtime::ExecutionChange& change);
  void put(const runtime::ExecutionDescription& execution, const std::string& account, bool has_ended);

  runtime::Runtime& runtime_;
  events::EventBus& bus_;
  std::shared_ptr<void> subscription_;
};

}  // namespace sortie::cli
