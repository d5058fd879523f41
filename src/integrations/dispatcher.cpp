#include "integrations/dispatcher.h"

#include <set>

namespace sortie::integrations {

// Shared with the reports, so that one that comes after our end finds nobody instead of freed memory.
struct Dispatcher::Core {
  Loop& loop;
  runtime::Runtime* runtime = nullptr;  // Null before attach() and after stop().
  std::map<runtime::AttemptKey, std::shared_ptr<Report::State>> orders;
};

struct Report::State {
  std::weak_ptr<Dispatcher::Core> core;
  runtime::AttemptKey key;
  asl::TaskPattern pattern = asl::TaskPattern::kRequestResponse;
  bool wanted = true;

  using Deliver = std::function<void(runtime::Runtime&, const runtime::AttemptKey&)>;
  void post(bool is_last, Deliver deliver) {
    const std::shared_ptr<Dispatcher::Core> alive = core.lock();
    if (!wanted || alive == nullptr) return;
    if (is_last) {
      wanted = false;
      alive->orders.erase(key);
    }
    alive->loop.post([core = core, key = key, deliver = std::move(deliver)] {
      const std::shared_ptr<Dispatcher::Core> still = core.lock();
      if (still != nullptr && still->runtime != nullptr) deliver(*still->runtime, key);
    });
  }
};

void Report::submitted(json::Value output) const {
  // What waits for its token waits for people or programs; here is nothing left to do.
  const bool is_last = state_->pattern == asl::TaskPattern::kWaitForTaskToken;
  state_->post(is_last, [output = std::move(output)](auto& runtime, const auto& key) {
    runtime.task_submitted(key, output);
  });
}

void Report::succeeded(json::Value output) const {
  state_->post(true, [output = std::move(output)](auto& runtime, const auto& key) {
    runtime.task_succeeded(key, output);
  });
}

void Report::failed(std::string error, std::string cause) const {
  state_->post(true, [error = std::move(error), cause = std::move(cause)](auto& runtime, const auto& key) {
    runtime.task_failed(key, error, cause);
  });
}

void Report::answered(json::Value output) const {
  if (state_->pattern == asl::TaskPattern::kWaitForTaskToken) return submitted(std::move(output));
  succeeded(std::move(output));
}

bool Report::is_wanted() const { return state_->wanted; }

std::string action_of(const asl::TaskResource& resource) {
  return resource.resource.substr(0, resource.resource.find('.'));
}

Dispatcher::Dispatcher(Loop& loop) : core_(std::make_shared<Core>(Core{loop, nullptr, {}})) {}

Dispatcher::~Dispatcher() { stop(); }

void Dispatcher::add(std::string kind, Integration& integration) {
  integrations_[std::move(kind)] = &integration;
}

void Dispatcher::attach(runtime::Runtime& runtime) { core_->runtime = &runtime; }

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
  auto state = std::make_shared<Report::State>();
  state->core = core_;
  state->key = order.key;
  state->pattern = order.resource.pattern;
  core_->orders[order.key] = state;
  const Report report(state);
  Integration* integration = find(order.resource);
  if (integration != nullptr) return integration->start(order, report);
  report.failed("Sortie.NotSupportedYet", order.resource.text + " is not supported yet");
}

void Dispatcher::cancel(const runtime::AttemptKey& key) {
  const auto found = core_->orders.find(key);
  if (found != core_->orders.end()) {
    found->second->wanted = false;
    core_->orders.erase(found);
  }
  std::set<Integration*> all;
  for (const auto& [kind, integration] : integrations_) all.insert(integration);
  for (Integration* integration : all) integration->cancel(key);
}

std::size_t Dispatcher::in_flight() const { return core_->orders.size(); }

}  // namespace sortie::integrations
