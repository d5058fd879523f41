#include "integrations/dispatcher.h"

#include <algorithm>
#include <set>
#include <utility>

namespace sortie::integrations {

// Shared with the reports, so that one that comes after our end finds nobody instead of freed memory.
struct Dispatcher::Core {
  Loop& loop;
  runtime::Runtime* runtime = nullptr;  // Null before attach() and after stop().
  std::map<runtime::AttemptKey, std::shared_ptr<Report::State>> orders;
  std::function<void(const AttemptEnd&)> observer;
  bool is_ending = false;
  store::FrameNo trials = 0;  // Their keys belong to no execution: 0 is none.
};

struct Report::State {
  std::weak_ptr<Dispatcher::Core> core;
  // The integration sees all of it while it is started; its parameters, credentials and token go then.
  runtime::TaskOrder order;
  std::string function;
  Timestamp started_at;
  bool wanted = true;
  Dispatcher::Trial trial;  // Set: nobody but this one waits.
  json::Value trace;
  std::vector<std::function<void()>> after_report;  // Answers that came before the call was reported.

  using Deliver = std::function<void(runtime::Runtime&, const runtime::AttemptKey&)>;
  void post(Deliver deliver) {
    if (const std::shared_ptr<Dispatcher::Core> alive = core.lock(); wanted && alive != nullptr)
      send(*alive, std::move(deliver));
  }
  void post_last(AttemptEnd::Outcome outcome, std::string_view error, const json::Value& output,
                 Deliver deliver) {
    const std::shared_ptr<Dispatcher::Core> alive = core.lock();
    if (!wanted || alive == nullptr) return;
    wanted = false;
    alive->orders.erase(order.key);
    if (alive->observer)
      alive->observer({order, function, outcome, started_at, alive->loop.now(), error, output});
    send(*alive, std::move(deliver));
    let_go(*alive);
  }
  void let_go(Dispatcher::Core& alive) {
    for (std::function<void()>& go_on : std::exchange(after_report, {})) alive.loop.post(std::move(go_on));
  }

 private:
  void send(Dispatcher::Core& alive, Deliver deliver) {
    alive.loop.post([core = core, key = order.key, deliver = std::move(deliver)] {
      const std::shared_ptr<Dispatcher::Core> still = core.lock();
      if (still != nullptr && still->runtime != nullptr) deliver(*still->runtime, key);
    });
  }
};

void Report::submitted(json::Value output) const {
  const auto deliver = [output](auto& runtime, const auto& key) { runtime.task_submitted(key, output); };
  if (state_->order.resource->pattern != asl::TaskPattern::kWaitForTaskToken) return state_->post(deliver);
  // What waits for its token waits for people or programs; here is nothing left to do.
  state_->post_last(AttemptEnd::Outcome::kHandedOver, "", output, deliver);
}

void Report::succeeded(json::Value output) const {
  state_->post_last(AttemptEnd::Outcome::kSucceeded, "", output,
                    [output, trial = state_->trial, trace = state_->trace](auto& runtime, const auto& key) {
                      if (trial) return trial(output, trace);
                      runtime.task_succeeded(key, output);
                    });
}

void Report::failed(std::string error, std::string cause) const {
  if (const auto core = state_->core.lock(); core != nullptr && core->is_ending && !state_->trial) return;
  state_->post_last(AttemptEnd::Outcome::kFailed, error, json::Value(),
                    [error, cause = std::move(cause), trial = state_->trial, trace = state_->trace](
                        auto& runtime, const auto& key) {
                      if (trial) return trial(Error{error, cause, "", ""}, trace);
                      runtime.task_failed(key, error, cause);
                    });
}

void Report::answered(json::Value output) const {
  if (state_->order.resource->pattern == asl::TaskPattern::kWaitForTaskToken)
    return submitted(std::move(output));
  succeeded(std::move(output));
}

void Report::traced(json::Value trace) const { state_->trace = std::move(trace); }

bool Report::is_wanted() const { return state_->wanted; }

std::string action_of(const asl::TaskResource& resource) {
  return resource.resource.substr(0, resource.resource.find('.'));
}

Dispatcher::Dispatcher(Loop& loop) : core_(std::make_shared<Core>(Core{loop, nullptr, {}, {}, false, 0})) {}

Dispatcher::~Dispatcher() { stop(); }

void Dispatcher::add(std::string kind, Integration& integration) {
  integrations_[std::move(kind)] = &integration;
}

void Dispatcher::attach(runtime::Runtime& runtime) { core_->runtime = &runtime; }

void Dispatcher::observe(std::function<void(const AttemptEnd&)> observer) {
  core_->observer = std::move(observer);
}

void Dispatcher::begin_end() { core_->is_ending = true; }

void Dispatcher::stop() {
  core_->runtime = nullptr;
  for (auto& [key, state] : core_->orders) state->wanted = false;
  core_->orders.clear();
}

Integration* Dispatcher::find(const asl::TaskResource& resource) const {
  std::string kind = resource.resource_type;
  if (resource.is_lambda_arn) kind = "function";
  if (resource.is_bare_topic) kind = "topic";
  if (resource.is_bare_queue) kind = "queue";
  if (kind.rfind("aws-sdk:", 0) == 0) kind = "aws-sdk";
  auto found = integrations_.find(kind);
  if (found == integrations_.end()) found = integrations_.find("*");
  return found == integrations_.end() ? nullptr : found->second;
}

void Dispatcher::dispatch(runtime::TaskOrder order) {
  if (core_->runtime == nullptr || core_->orders.count(order.key) != 0) return;
  launch(std::move(order), std::make_shared<Report::State>());
}

void Dispatcher::try_once(runtime::TaskOrder order, Trial done) {
  if (core_->runtime == nullptr) return;
  order.key = {.execution = 0, .frame = ++core_->trials};
  auto state = std::make_shared<Report::State>();
  state->trial = std::move(done);
  launch(std::move(order), std::move(state));
}

void Dispatcher::launch(runtime::TaskOrder given, std::shared_ptr<Report::State> state) {
  state->core = core_;
  state->started_at = core_->loop.now();
  state->order = std::move(given);
  runtime::TaskOrder& order = state->order;
  if (const json::Value& function = order.parameters.get("FunctionName"); function.is_string())
    state->function = function.to_std_string();
  core_->orders[order.key] = state;
  const Report report(state);
  Integration* integration = find(*order.resource);
  if (integration != nullptr) {
    integration->start(order, report);
  } else {
    report.failed("Sortie.NotSupportedYet", order.resource->text + " is not supported yet");
  }
  order.parameters = order.credentials = json::Value();
  order.task_token.clear();
}

void Dispatcher::cancel(const runtime::AttemptKey& key) {
  const auto found = core_->orders.find(key);
  if (found != core_->orders.end()) {
    found->second->wanted = false;
    found->second->let_go(*core_);
    core_->orders.erase(found);
  }
  std::set<Integration*> all;
  for (const auto& [kind, integration] : integrations_) all.insert(integration);
  for (Integration* integration : all) integration->cancel(key);
}

void Dispatcher::when_handed_over(const runtime::AttemptKey& key, std::function<void()> go_on) {
  constexpr std::int64_t kWaitMs = 2'000;
  constexpr std::size_t kWaitingMax = 16;
  const auto found = core_->orders.find(key);
  if (found == core_->orders.end() || found->second->after_report.size() >= kWaitingMax) return go_on();
  found->second->after_report.push_back(std::move(go_on));
  core_->loop.call_at(core_->loop.now().plus_ms(kWaitMs),
                      [core = std::weak_ptr(core_), state = std::weak_ptr(found->second)] {
                        const auto alive = core.lock();
                        const auto order = state.lock();
                        if (alive != nullptr && order != nullptr) order->let_go(*alive);
                      });
}

bool Dispatcher::holds(const runtime::AttemptKey& key) const { return core_->orders.contains(key); }

bool Dispatcher::holds_any(const std::function<bool(store::ExecutionNo)>& is_of) const {
  return std::any_of(core_->orders.begin(), core_->orders.end(),
                     [&](const auto& order) { return is_of(order.first.execution); });
}

std::size_t Dispatcher::in_flight() const { return core_->orders.size(); }

}  // namespace sortie::integrations
