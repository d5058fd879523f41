#pragma once
// The .sync pattern of services that run jobs (batch, ecs, glue, codebuild, athena, emr, sagemaker, ...): the
// job is started, the task is submitted, and the job is asked after until it has ended. Which call asks,
// which states end it and what the result is stands in one table, sdk_worker/jobs.py.
//
// A started job is a document (started_work.h, kind "started_job") that is written ahead of TaskSubmitted:
// after a restart asking goes on from there. A crash between the service's answer and that document starts
// the job again, with the same client token where the service takes one. When the task is cancelled or times
// out, the job is stopped if Step Functions does that for this service; once, as well as it can be done.
//
// Asking fails the task only when the service refuses it for good; what may pass is asked again.
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "integrations/dispatcher.h"
#include "integrations/sdk_worker.h"
#include "integrations/started_work.h"

namespace sortie::integrations {

class Jobs {
 public:
  // `complete` adds endpoint and credentials to a call that was remembered without them.
  Jobs(Loop& loop, SdkPool& pool, store::Store& store, std::function<void(SdkCall&)> complete);
  void attach(runtime::Runtime& runtime, std::function<void(store::Batch)> write);

  // `call` is the start of the job, complete.
  void start(const runtime::TaskOrder& order, SdkCall call, const Report& report);
  void cancel(const runtime::AttemptKey& key);  // Unknown ones are ignored.
  std::size_t running() const { return runs_.size(); }

 private:
  struct Run;
  using RunPtr = std::shared_ptr<Run>;

  void begin(const RunPtr& run, const runtime::TaskOrder& order);
  void started(const RunPtr& run, const runtime::TaskOrder& order, const SdkAnswer& answer);
  void ask_later(const RunPtr& run);
  void ask(const RunPtr& run);
  void asked(const RunPtr& run, const SdkAnswer& answer);
  void finish(const RunPtr& run, json::Value result);
  void fail(const RunPtr& run, std::string error, std::string cause);
  void stop_job(const RunPtr& run, int tries_left);
  void goes_on(const StartedWork::Note& note, bool parent_runs);
  void call(const RunPtr& run, std::string phase, SdkPool::Done done);

  Loop& loop_;
  SdkPool& pool_;
  StartedWork work_;
  std::function<void(SdkCall&)> complete_;
  runtime::Runtime* runtime_ = nullptr;
  std::map<runtime::AttemptKey, RunPtr> runs_;
  std::shared_ptr<int> alive_ = std::make_shared<int>(0);
};

}  // namespace sortie::integrations
