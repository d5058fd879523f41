#pragma once
// Status changes of executions as events, for rules that ask for them: source "aws.states", detail type
// "Step Functions Execution Status Change", on the default bus of the execution's account; when a STANDARD
// execution begins, when it is redriven and when it ends.
//
// Only rules that name the source in so many words are asked after: where there is none, nothing is made, so
// executions cost what they cost. Children of a map run cause no events, nor does an execution that a rule on
// these events has started: such a rule would otherwise never come to rest.
//
// A change is noted in a document of its own (kind "status_event") in the transaction of the change, made an
// event after it, and the note goes when the bus has the event. What a crash or a full bus left is told
// later: at least once, and where the bus still knows the event's key, once. A change on another node of
// several has no note, because rules are the leader's: the leader is told after the commit, and a crash in
// between loses that event.
// Source: AWS, "Automating Step Functions event delivery with EventBridge".
#include <functional>
#include <memory>
#include <set>
#include <string>

#include "events/event_bus.h"
#include "runtime/runtime.h"

namespace sortie::cli {

class StatusEvents {
 public:
  // All outlive us.
  StatusEvents(Loop& loop, store::Store& store, runtime::Runtime& runtime, events::EventBus& bus);
  ~StatusEvents();

  // For runtime::Options::on_status_change.
  void note(const runtime::StatusChange& change, store::Batch& batch) const;
  // Tells what an earlier life left. `write` appends a batch under the epoch that the runtime holds.
  void recover(std::function<void(store::Batch)> write);

 private:
  struct Telling;  // One change on its way to the bus.

  bool is_told(std::string_view execution_arn, const Actor& actor) const;
  void take(const runtime::ExecutionChange& change);
  void put(Telling telling, std::function<void(bool)> done);
  void forget(const std::string& key);
  void sweep(const std::string& after);
  void sweep_later();

  Loop& loop_;
  store::Store& store_;
  runtime::Runtime& runtime_;
  events::EventBus& bus_;
  std::function<void(store::Batch)> write_;
  std::set<std::string> on_their_way_;  // Keys of notes.
  Loop::TimerId timer_ = 0;
  std::shared_ptr<void> subscription_;
  std::shared_ptr<int> alive_ = std::make_shared<int>(0);
};

}  // namespace sortie::cli
