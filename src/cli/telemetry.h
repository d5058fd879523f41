#pragma once
// Telemetry watches the server's parts through their observers and turns what happens into metrics and
// traces. Names, labels and units are those of deploy/grafana and docs/operations.md; a test holds all three
// together. It holds nothing that grows with what is open, except for a bounded memory of which running
// executions have contained their threat already.
#include <memory>
#include <set>
#include <string>

#include "api/metrics.h"
#include "base/clock.h"
#include "cli/trace_exporter.h"
#include "events/event_bus.h"
#include "integrations/dispatcher.h"
#include "response/approvals.h"
#include "runtime/runtime.h"

namespace sortie::cli {

class Telemetry {
 public:
  // `traces` may be null. All outlive it.
  Telemetry(Clock& clock, api::Metrics& metrics, TraceExporter* traces);

  void watch(runtime::Runtime& runtime);
  void watch(integrations::Dispatcher& dispatcher);
  void watch(events::EventBus& bus);
  void watch(response::Approvals& approvals);
  void on_commit(double seconds);     // One commit of the store.
  void on_slack_ack(double seconds);  // From a click in Slack that reached us to our answer.

 private:
  void on_execution(const runtime::ExecutionChange& change);
  void on_attempt(const integrations::AttemptEnd& attempt);
  void on_containment(const runtime::TaskOrder& order);
  void on_event(const events::EventRecord& record);
  void on_approval(const response::Approval& approval);
  void add_approval_gauges(const response::Approvals& approvals,
                           std::vector<api::Metrics::Sample>& out) const;

  Clock& clock_;
  api::Metrics& metrics_;
  TraceExporter* traces_;
  runtime::Runtime* runtime_ = nullptr;
  std::set<std::string, std::less<>> contained_;  // ARNs of running executions.
  std::shared_ptr<void> executions_, events_, approvals_;
};

}  // namespace sortie::cli
