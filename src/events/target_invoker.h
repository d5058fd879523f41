#pragma once
// How a delivery reaches its target. The floors that know state machines, functions and AWS implement it.
//
// A delivery may be made again under the same id: after a restart, or when the answer to it was lost. Whoever
// implements this makes the repetition harmless where the target can: `delivery_id` is the execution's name
// for a state machine, the deduplication id for a FIFO queue, and goes along as an attribute elsewhere.
#include <functional>
#include <string>

#include "base/actor.h"
#include "base/result.h"
#include "events/model.h"
#include "json/value.h"

namespace sortie::events {

struct TargetOrder {
  TargetKind kind = TargetKind::kUnsupported;
  std::string arn;
  std::string payload;  // JSON text, or whatever text the rule's template makes.
  std::string delivery_id;
  std::string role_arn;    // As the target declares it; may be empty.
  json::Value parameters;  // The target as declared (SqsParameters and the like).
  // Message attributes for a dead-letter queue: an object of texts; null otherwise.
  json::Value attributes;
  std::string trace_header;
  Actor actor;
};

struct TargetReply {
  std::string result;  // The ARN of the started execution, a message id, a request id; may be empty.
};

class TargetInvoker {
 public:
  using Callback = std::function<void(Result<TargetReply>)>;
  virtual ~TargetInvoker() = default;
  // `done` runs once, on the loop, never inside this call. Error codes that another attempt cannot cure (see
  // is_final_failure) end the delivery; "ExecutionAlreadyExists" counts as delivered.
  virtual void deliver(TargetOrder order, Callback done) = 0;
};

// True for errors of the target itself (it does not exist, it refuses us, it cannot read the payload).
bool is_final_failure(std::string_view code);

}  // namespace sortie::events
