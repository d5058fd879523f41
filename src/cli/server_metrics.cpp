// /metrics, and what feeds it: the figures of the parts, and Telemetry for what happens.
#include "base/hash.h"
#include "base/text.h"
#include "cli/server_app.h"
#include "cli/telemetry.h"

namespace sortie::cli {

namespace {

void add_queue_samples(const std::vector<events::QueueIntake::Standing>& standings,
                       std::vector<api::Metrics::Sample>& out) {
  for (const events::QueueIntake::Standing& source : standings) {
    const std::string label = api::Metrics::label("source", source.name);
    const auto add = [&](const char* name, double value, bool is_counter, const char* help) {
      out.push_back({name, label, value, is_counter, help});
    };
    add("sortie_queue_reachable", source.is_reachable ? 1 : 0, false, "The queue answers.");
    add("sortie_queue_messages_received_total", static_cast<double>(source.received), true,
        "Messages received.");
    add("sortie_queue_messages_accepted_total", static_cast<double>(source.accepted), true,
        "Messages that became events.");
    add("sortie_queue_messages_duplicate_total", static_cast<double>(source.duplicates), true,
        "Messages that were accepted before.");
    add("sortie_queue_messages_refused_total", static_cast<double>(source.refused), true,
        "Messages left in the queue.");
    add("sortie_queue_failures_total", static_cast<double>(source.failures), true,
        "Polls and deletions that failed.");
  }
}

void add_runtime_samples(const runtime::Runtime::Figures& runtime, std::vector<api::Metrics::Sample>& out) {
  const auto gauge = [&](const char* name, std::uint64_t value, const char* help) {
    out.push_back({name, "", static_cast<double>(value), false, help});
  };
  const auto counter = [&](const char* name, std::uint64_t value, const char* help) {
    out.push_back({name, "", static_cast<double>(value), true, help});
  };
  gauge("sortie_executions_in_memory", runtime.in_memory, "Open executions held in memory.");
  gauge("sortie_timers", runtime.timers, "Timers that are armed.");
  gauge("sortie_stimuli_waiting", runtime.mailbox, "Stimuli that wait for a commit.");
  counter("sortie_transitions_total", runtime.transitions, "States entered.");
  counter("sortie_commit_failures_total", runtime.commit_failures, "Commits that failed.");
  gauge("sortie_frames_unreadable", runtime.unreadable_frames,
        "Saved positions that recovery could not read; sortie check names them.");
  counter("sortie_frames_audited_total", runtime.frames_audited,
          "Waiting positions that the audit has looked at.");
  counter("sortie_frames_stuck_total", runtime.frames_stuck,
          "Positions that nothing would have moved on; the log names them.");
}

// By playbook as the counters of starts and ends have them; those of which none runs are there with 0.
void add_open_executions(runtime::Runtime& runtime, store::Store& store,
                         std::vector<api::Metrics::Sample>& out) {
  const auto running = store.count_running();
  if (!running) return;
  std::map<std::string, double> by_playbook;
  const auto add = [&](std::string_view arn, std::uint64_t n) {
    const std::vector<std::string_view> parts = split(arn, ':');
    if (parts.size() < 7 || parts[5] == "execution") return;  // A map run itself is listed under its parent.
    std::string label = api::Metrics::label("playbook", parts[6]);  // Its children: machine/label.
    if (by_playbook.size() >= api::Metrics::kSeriesMax && !by_playbook.contains(label)) {
      label = api::Metrics::label("overflow", "true");
    }
    by_playbook[label] += static_cast<double>(n);
  };
  for (const std::string& arn : runtime.state_machine_arns()) add(arn, 0);
  for (const auto& [arn, n] : *running) add(arn, n);
  for (const auto& [label, n] : by_playbook) {
    out.push_back({"sortie_executions_open", label, n, false, "Executions that run, by playbook."});
  }
}

}  // namespace

void ServerApp::add_metrics() {
  api_->metrics().add_source([this](std::vector<api::Metrics::Sample>& out) {
    const auto gauge = [&](const char* name, double value, const char* help) {
      out.push_back({name, "", value, false, help});
    };
    const auto counter = [&](const char* name, double value, const char* help) {
      out.push_back({name, "", value, true, help});
    };
    add_runtime_samples(runtime_->figures(), out);
    add_open_executions(*runtime_, *store_, out);
    if (fleet_ != nullptr) {
      gauge("sortie_shards_owned", static_cast<double>(fleet_->shards_owned()),
            "Shards that this node owns, of 16.");
    }
    const store::StoreFigures store = store_->figures();
    counter("sortie_store_commits_total", static_cast<double>(store.commits), "Commits of the store.");
    counter("sortie_store_bytes_written_total", static_cast<double>(store.bytes_written),
            "Bytes handed to the disk.");
    gauge("sortie_store_overlay_bytes", static_cast<double>(store.overlay_bytes),
          "Journalled and not yet in tables.");
    gauge("sortie_store_file_bytes", static_cast<double>(store.file_bytes), "Size of the store.");
    if (const auto counts = store_->count_executions("")) {
      double kept = 0;
      for (const std::uint64_t n : counts->by_status) kept += static_cast<double>(n);
      gauge("sortie_store_executions", kept, "Executions that the store keeps.");
      gauge("sortie_store_bytes_per_execution", kept > 0 ? static_cast<double>(store.file_bytes) / kept : 0,
            "Size of the store for each execution that it keeps, events and documents included.");
    }
    const functions::FunctionService::Figures functions = functions_->figures();
    gauge("sortie_function_workers", static_cast<double>(functions.workers), "Warm worker processes.");
    counter("sortie_function_invocations_total", static_cast<double>(functions.invocations), "Invocations.");
    counter("sortie_function_errors_total", static_cast<double>(functions.errors),
            "Invocations that failed.");
    const events::EventBus::Figures bus = bus_->figures();
    counter("sortie_events_accepted_total", static_cast<double>(bus.accepted), "Events accepted.");
    gauge("sortie_deliveries_pending", static_cast<double>(bus.pending_deliveries),
          "Deliveries not made yet.");
    add_queue_samples(intake_->standings(), out);
    out.push_back({"sortie_build_info", api::Metrics::label("version", kVersion), 1, false,
                   "Always 1; which version this is."});
  });
  api_->router().add("GET", "/metrics", [this](api::RouteCall call) {
    const bool local = call.request.peer_address.starts_with("127.") || call.request.peer_address == "::1";
    bool allowed = config_.metrics_open && local;
    const std::string_view authorization = call.request.headers.get("Authorization");
    if (!allowed && authorization.starts_with("Bearer ")) {
      const std::string_view token = authorization.substr(7);
      const Result<std::string> wanted = resolve_secret(config_.metrics_token, config_.folder);
      allowed = (wanted.ok() && constant_time_equal(token, *wanted)) ||
                people_->find_by_token(token).has_value() ||
                (!operator_token_.empty() && constant_time_equal(token, operator_token_));
    }
    if (!allowed) {
      return call.responder->send({401, {{"WWW-Authenticate", "Bearer"}}, "metrics need a bearer token\n"});
    }
    call.responder->send({200, {{"Content-Type", "text/plain; version=0.0.4"}}, api_->metrics().text()});
  });
  if (!config_.traces_endpoint.empty()) {
    const Result<std::string> token = config_.traces_token.empty()
                                          ? Result<std::string>(std::string())
                                          : resolve_secret(config_.traces_token, config_.folder);
    if (!token) tell({token.error()});
    if (token) traces_ = std::make_unique<TraceExporter>(loop_, config_.traces_endpoint, *token);
  }
  telemetry_ = std::make_unique<Telemetry>(loop_, api_->metrics(), traces_.get());
  telemetry_->watch(*runtime_);
  telemetry_->watch(*dispatcher_);
  telemetry_->watch(*bus_);
  telemetry_->watch(*approvals_);
}

}  // namespace sortie::cli
