#pragma once
// states:startExecution: an execution that starts another one, here, on our own runtime.
//
//   request response, .waitForTaskToken   the answer of StartExecution
//   .sync                                 then the child's end: Input and Output as JSON text
//   .sync:2                               the same, with Input and Output as JSON
//
// What was started for whom is remembered in a document (started_work.h, kind "started_child") that is
// written in the transaction that starts the child. A repeated dispatch of the same attempt finds its child
// there (or by the name that is made from the key, where none is given), and after a restart the waiting of
// .sync goes on from there: the runtime does not dispatch a submitted task again. A .sync parent that is
// cancelled stops its child.
//
// A store or runtime that cannot take the start this moment is our own trouble, not the task's: it is tried
// again until the task is cancelled.
//
// A child that does not succeed fails the task with States.TaskFailed and what DescribeExecution says as
// cause.
#include <map>
#include <memory>
#include <string>

#include "integrations/dispatcher.h"
#include "integrations/started_work.h"
#include "store/store.h"

namespace sortie::integrations {

class StatesIntegration final : public Integration {
 public:
  StatesIntegration(Loop& loop, store::Store& store);
  // `write` appends a batch of documents under the epoch that the runtime holds. Goes on with what waited
  // before a restart as soon as the loop turns, which has to be after the runtime has recovered.
  void attach(runtime::Runtime& runtime, std::function<void(store::Batch)> write = {});

  void start(const runtime::TaskOrder& order, Report report) override;
  void cancel(const runtime::AttemptKey& key) override;

 private:
  struct Child {
    std::string arn;
    std::shared_ptr<void> waiting;  // Ends the waiting for its end.
  };
  // One child that is to be started, however often the store refuses.
  struct Attempt;
  using Ended = std::function<void(const runtime::ExecutionDescription&)>;

  void begin(std::shared_ptr<Attempt> attempt);
  void answered(const std::shared_ptr<Attempt>& attempt, const Result<runtime::StartReply>& reply);
  void started(const runtime::TaskOrder& order, const Report& report, const std::string& arn, Timestamp at);
  void wait_for(const runtime::AttemptKey& key, const std::string& arn, Ended ended);
  void goes_on(const StartedWork::Note& note, bool parent_runs);
  void stop_child(const std::string& arn);

  Loop& loop_;
  StartedWork work_;
  runtime::Runtime* runtime_ = nullptr;
  std::map<runtime::AttemptKey, Child> children_;
  std::shared_ptr<int> alive_ = std::make_shared<int>(0);
};

}  // namespace sortie::integrations
