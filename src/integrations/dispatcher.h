#pragma once
// Dispatcher is what the runtime hands its task orders to: it finds the integration that a Resource names and
// carries its reports back.
//
// An integration starts an order and reports through the Report it was given: `submitted` (for .sync and
// .waitForTaskToken: the call was made, the task goes on), then `succeeded` or `failed` once. Reports reach
// the runtime from the loop, never inside the call that started the order. A report after the end, after a
// cancel or after stop() goes nowhere: our own death is not a task's failure, the order will be dispatched
// again under the same key.
//
// An order whose key is in flight already is not started twice. Everything runs on the loop's thread.
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "base/clock.h"
#include "json/value.h"
#include "runtime/runtime.h"

namespace sortie::integrations {

// Copyable; all copies are one report.
class Report {
 public:
  void submitted(json::Value output) const;
  void succeeded(json::Value output) const;
  void failed(std::string error, std::string cause) const;
  void traced(json::Value trace) const;  // Before the end: what a trial shows besides it.
  // What the call's answer means under the order's pattern: the end of it, or with .waitForTaskToken only
  // that it was submitted.
  void answered(json::Value output) const;
  bool is_wanted() const;

 private:
  friend class Dispatcher;
  struct State;
  explicit Report(std::shared_ptr<State> state) : state_(std::move(state)) {}
  std::shared_ptr<State> state_;
};

class Integration {
 public:
  virtual ~Integration() = default;
  // The order is there during the call only.
  virtual void start(const runtime::TaskOrder& order, Report report) = 0;
  // Nobody waits for it any more. Called for every cancelled attempt, also for those of other integrations
  // and from before a restart: unknown keys are ignored.
  virtual void cancel(const runtime::AttemptKey& key) = 0;
};

// One attempt that ended here, or was handed over to whoever holds its task token; for metrics and traces.
struct AttemptEnd {
  enum class Outcome { kSucceeded, kFailed, kHandedOver };
  const runtime::TaskOrder& order;  // Its parameters, credentials and token may be gone.
  std::string_view function;        // What its parameters name as FunctionName, if anything.
  Outcome outcome;
  Timestamp started_at, ended_at;
  std::string_view error;     // Of a failed one: its error name.
  const json::Value& output;  // Of a succeeded one.
};

// "sendMessage" of "sendMessage.waitForTaskToken".
std::string action_of(const asl::TaskResource& resource);

class Dispatcher final : public runtime::TaskDispatcher {
 public:
  explicit Dispatcher(Loop& loop);
  ~Dispatcher() override;

  // Kinds: a service of an optimised integration ("sqs"), "function" (bare function ARNs), "topic", "queue"
  // (bare ARNs), "aws-sdk" (all of aws-sdk:SERVICE:ACTION), "*" (whatever else). The integration outlives us.
  void add(std::string kind, Integration& integration);
  void attach(runtime::Runtime& runtime);  // Before the runtime recovers.
  void stop();                             // No report leaves any more, no order is started.
  // The process is about to end: what fails from now on may have failed for that reason, so it is not
  // reported, and dispatched again afterwards.
  void begin_end();
  // Called for each report that is an attempt's last, before the runtime hears of it. One observer.
  void observe(std::function<void(const AttemptEnd&)> observer);

  void dispatch(runtime::TaskOrder order) override;
  void cancel(const runtime::AttemptKey& key) override;
  void when_handed_over(const runtime::AttemptKey& key, std::function<void()> go_on) override;
  bool holds(const runtime::AttemptKey& key) const override;
  bool holds_any(const std::function<bool(store::ExecutionNo)>& is_of) const override;
  // Carries out an order that no execution stands behind; its end comes here instead of to the runtime, an
  // error with its name as code and its cause as message. The key is made here.
  // What went over the wire comes beside it, where the integration tells.
  using Trial = std::function<void(Result<json::Value> end, json::Value trace)>;
  void try_once(runtime::TaskOrder order, Trial done);
  std::size_t in_flight() const;

 private:
  friend class Report;
  struct Core;
  Integration* find(const asl::TaskResource& resource) const;
  void launch(runtime::TaskOrder given, std::shared_ptr<Report::State> state);

  std::shared_ptr<Core> core_;
  std::map<std::string, Integration*, std::less<>> integrations_;
};

}  // namespace sortie::integrations
