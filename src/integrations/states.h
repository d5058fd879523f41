#pragma once
// states:startExecution: an execution that starts another one, here, on our own runtime.
//
//   request response, .waitForTaskToken   the answer of StartExecution
//   .sync                                 then the child's end: Input and Output as JSON text
//   .sync:2                               the same, with Input and Output as JSON
//
// A repeated dispatch of the same attempt attaches to the child that it started before: a child that was
// given no Name gets one made from the idempotency key; one with a Name is remembered in a document
// ("started_child", by idempotency key) that is written in the transaction that starts it, and forgotten when
// the parent has ended. A .sync parent that is cancelled stops its child.
//
// A child that does not succeed fails the task with States.TaskFailed and what DescribeExecution says as
// cause.
#include <map>
#include <memory>
#include <set>
#include <string>

#include "integrations/dispatcher.h"
#include "store/store.h"

namespace sortie::integrations {

class StatesIntegration final : public Integration {
 public:
  StatesIntegration(Loop& loop, store::Store& store);
  // `forget` appends a batch under the epoch that the runtime holds: it removes what is remembered of
  // children that nobody will ask for again. Without it they stay.
  void attach(runtime::Runtime& runtime, std::function<void(store::Batch)> forget = {});

  void start(const runtime::TaskOrder& order, Report report) override;
  void cancel(const runtime::AttemptKey& key) override;

 private:
  struct Child {
    std::string arn;
    std::shared_ptr<void> waiting;  // Ends the waiting for its end.
  };

  void started(const runtime::TaskOrder& order, const Report& report, const std::string& arn, Timestamp at);
  void wait_for(const runtime::TaskOrder& order, const Report& report, const std::string& arn);
  void remember(const runtime::TaskOrder& order);
  void parent_ended(const std::string& arn);

  Loop& loop_;
  store::Store& store_;
  runtime::Runtime* runtime_ = nullptr;
  std::function<void(store::Batch)> forget_;
  std::map<runtime::AttemptKey, Child> children_;
  std::map<std::string, std::set<std::string>, std::less<>> remembered_;  // Parent's ARN -> document keys.
  std::shared_ptr<void> subscription_;
  std::shared_ptr<int> alive_ = std::make_shared<int>(0);
};

}  // namespace sortie::integrations
