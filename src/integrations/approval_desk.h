#pragma once
// What the integrations know of approvals: that some queues are none. A message that a `.waitForTaskToken`
// task sends to such a queue becomes an approval and never reaches a real queue. The response floor
// implements this; here stands only what a Task needs.
#include <functional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "json/value.h"
#include "runtime/runtime.h"

namespace sortie::integrations {

class ApprovalDesk {
 public:
  virtual ~ApprovalDesk() = default;
  // `queue` as a task names it: a QueueUrl or an ARN.
  virtual bool takes_queue(std::string_view queue) const = 0;
  // Makes the approval (once for a key, however often it is asked) and answers its id when it is durable.
  // "ServiceUnavailable": the store could not be used, ask again later; any other error is final.
  virtual void open(const runtime::TaskOrder& order, std::string_view queue, const json::Value& message,
                    std::function<void(Result<std::string>)> done) = 0;
  // Nobody waits for this attempt any more. Unknown keys are ignored.
  virtual void close(const runtime::AttemptKey& key) = 0;
};

}  // namespace sortie::integrations
