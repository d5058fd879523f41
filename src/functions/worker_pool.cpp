#include "functions/worker_pool.h"

#include <algorithm>

namespace sortie::functions {

namespace {

constexpr std::int64_t kTickMs = 100;
constexpr int kIdleTicks = 20;  // Idle workers are looked at every so many ticks only.
constexpr std::int64_t kExpiryMarginMs = 60'000;
constexpr std::int64_t kFinishingMs = 1'000;

}  // namespace

WorkerPool::WorkerPool(io::EventLoop& loop, const Sandbox& sandbox, WorkerHost& host,
                       WorkerPoolOptions options)
    : loop_(loop), sandbox_(sandbox), host_(host), options_(options) {}

WorkerPool::~WorkerPool() {
  *alive_ = false;
  loop_.cancel(tick_timer_);
  loop_.cancel(drain_timer_);
}

void WorkerPool::refuse(io::EventLoop& loop, Invocation& invocation, std::string code, std::string message,
                        int status) {
  InvokeResult result;
  result.error_code = std::move(code);
  result.error_message = std::move(message);
  result.status_code = status;
  result.request_id = invocation.request_id;
  loop.post(
      [done = std::move(invocation.done), result = std::move(result)]() mutable { done(std::move(result)); });
}

std::size_t WorkerPool::running(const Function& function) const {
  std::size_t count = 0;
  for (const auto& slot : function.slots) {
    count += slot->invocation != nullptr || (slot->worker && slot->worker->has_invocation()) ? 1 : 0;
  }
  return count;
}

bool WorkerPool::is_usable(const Slot& slot, const Function& function) const {
  if (!slot.worker || slot.worker->state() != Worker::State::kIdle || slot.worker->is_retiring())
    return false;
  if (slot.config != function.config) return false;
  const std::int64_t needed_ms = function.config->timeout_s * options_.second_ms + kExpiryMarginMs;
  return slot.expires_at == kNever || loop_.now().plus_ms(needed_ms) < slot.expires_at;
}

void WorkerPool::invoke(const std::string& key, std::shared_ptr<const FunctionConfig> config,
                        std::shared_ptr<Invocation> invocation) {
  Function& function = functions_[key];
  if (!function.config) function.config = std::move(config);
  ++figures_.invocations;
  if (draining_) return refuse(loop_, *invocation, "ServiceException", "the server is shutting down", 503);
  const auto& reserved = function.config->reserved_concurrency;
  if (reserved && running(function) + function.queue.size() >= static_cast<std::size_t>(*reserved)) {
    ++figures_.throttles;
    return refuse(loop_, *invocation, "TooManyRequestsException", "Rate Exceeded.", 429);
  }
  if (function.queue.empty() && place(key, function, invocation)) return;
  if (function.queue.size() >= options_.queue_max) {
    ++figures_.throttles;
    return refuse(loop_, *invocation, "TooManyRequestsException", "Rate Exceeded.", 429);
  }
  function.queue.push_back(std::move(invocation));
}

// To an idle worker (the one used last, so that the others can end), or to a new one.
bool WorkerPool::place(const std::string& key, Function& function, std::shared_ptr<Invocation>& invocation) {
  Slot* best = nullptr;
  for (const auto& slot : function.slots) {
    if (!is_usable(*slot, function)) continue;
    if (best == nullptr || slot->worker->idle_since() > best->worker->idle_since()) best = slot.get();
  }
  if (best != nullptr) {
    best->worker->give(std::move(invocation));
    return true;
  }
  // A worker that has just answered asks for its next event within a millisecond: worth waiting for.
  std::size_t soon_free = 0;
  for (const auto& slot : function.slots) {
    const bool finishing = slot->worker && slot->worker->state() == Worker::State::kFinishing &&
                           !slot->worker->is_retiring() && slot->config == function.config;
    soon_free += finishing && loop_.now() < slot->worker->idle_since().plus_ms(kFinishingMs) ? 1 : 0;
  }
  if (soon_free > function.queue.size()) return false;
  const auto limit = static_cast<std::size_t>(
      function.config->reserved_concurrency.value_or(options_.function_concurrency_max));
  if (running(function) >= limit) return false;
  if (starting() >= options_.starts_max) return false;
  if (slots_ >= static_cast<std::size_t>(options_.workers_max) && !make_room(&function)) return false;
  start_worker(key, function, std::move(invocation));
  return true;
}

// Ends the longest idle worker of another function. Its slot counts until it is gone, so the newcomer makes
// the machine one process fuller for a moment.
bool WorkerPool::make_room(const Function* except) {
  Slot* oldest = nullptr;
  for (auto& [key, function] : functions_) {
    for (const auto& slot : function.slots) {
      if (!slot->worker || slot->worker->state() != Worker::State::kIdle || slot->worker->is_retiring())
        continue;
      if (&function == except && is_usable(*slot, function)) continue;
      if (oldest == nullptr || slot->worker->idle_since() < oldest->worker->idle_since()) oldest = slot.get();
    }
  }
  if (oldest == nullptr) return false;
  oldest->worker->retire();
  return true;
}

// Loading a runtime is CPU work: more at once than there are cores makes all of them late, and after a
// restart with many attempts in flight nothing would ever get warm. What waits takes the first worker that is
// free instead.
std::size_t WorkerPool::starting() const {
  std::size_t count = 0;
  for (const auto& [key, function] : functions_) {
    for (const auto& slot : function.slots) {
      if (!slot->worker || slot->worker->state() == Worker::State::kStarting) ++count;
    }
  }
  return count;
}

void WorkerPool::start_worker(const std::string& key, Function& function,
                              std::shared_ptr<Invocation> invocation) {
  auto slot = std::make_unique<Slot>();
  slot->id = ++last_id_;
  slot->invocation = std::move(invocation);
  slot->config = function.config;
  const std::uint64_t id = slot->id;
  function.slots.push_back(std::move(slot));
  ++slots_;
  ++figures_.cold_starts;
  host_.prepare_worker(function.config, id,
                       [this, alive = alive_, key, id](Result<WorkerOptions> options, Timestamp expires_at) {
                         if (*alive) worker_ready(key, id, std::move(options), expires_at);
                       });
}

WorkerPool::Slot* WorkerPool::find_slot(const std::string& key, std::uint64_t id) {
  const auto found = functions_.find(key);
  if (found == functions_.end()) return nullptr;
  for (const auto& slot : found->second.slots) {
    if (slot->id == id) return slot.get();
  }
  return nullptr;
}

void WorkerPool::worker_ready(const std::string& key, std::uint64_t id, Result<WorkerOptions> options,
                              Timestamp expires_at) {
  Slot* slot = find_slot(key, id);
  if (slot == nullptr) return;
  std::shared_ptr<Invocation> invocation = std::exchange(slot->invocation, nullptr);
  if (!options) {
    if (invocation) refuse(loop_, *invocation, "ServiceException", to_text(options.error()), 500);
    loop_.post([this, alive = alive_, key, id] {
      if (*alive) on_gone(key, id);
    });
    return;
  }
  slot->expires_at = expires_at;
  slot->worker = std::make_unique<Worker>(
      loop_, sandbox_, std::move(*options),
      Worker::Events{.on_idle = [this, key, id](Worker&) { on_idle(key, id); },
                     .on_outcome =
                         [this, key](Worker&, std::shared_ptr<Invocation> ended, InvocationOutcome outcome) {
                           on_outcome(key, ended, std::move(outcome));
                         },
                     .on_gone =
                         [this, key, id](Worker&) {
                           loop_.post([this, alive = alive_, key, id] {
                             if (*alive) on_gone(key, id);
                           });
                         }});
  if (invocation) slot->worker->give(std::move(invocation));
  slot->worker->start();
  arm_tick();
}

void WorkerPool::on_outcome(const std::string& key, const std::shared_ptr<Invocation>& invocation,
                            InvocationOutcome outcome) {
  figures_.errors += outcome.result.function_error.empty() ? 0 : 1;
  figures_.timeouts += outcome.timed_out ? 1 : 0;
  figures_.crashes += outcome.crashed ? 1 : 0;
  host_.invocation_ended(key, std::move(outcome.log));
  loop_.post([done = std::move(invocation->done), result = std::move(outcome.result)]() mutable {
    done(std::move(result));
  });
}

void WorkerPool::on_idle(const std::string& key, std::uint64_t id) {
  const Slot* slot = find_slot(key, id);
  const auto found = functions_.find(key);
  if (slot == nullptr || found == functions_.end()) return;
  if (draining_) {
    slot->worker->retire();
  } else if (!is_usable(*slot, found->second) || owes_a_process(found->second)) {
    slot->worker->retire();
  } else {
    serve_queue(key, found->second);
  }
  check_drained();
}

void WorkerPool::on_gone(const std::string& key, std::uint64_t id) {
  const auto found = functions_.find(key);
  if (found == functions_.end()) return;
  auto& slots = found->second.slots;
  const auto slot =
      std::find_if(slots.begin(), slots.end(), [id](const auto& each) { return each->id == id; });
  if (slot == slots.end()) return;
  slots.erase(slot);
  --slots_;
  host_.worker_gone(id);
  serve_queues();
  if (slots.empty() && found->second.queue.empty()) functions_.erase(found);
  check_drained();
}

// Who has the fewest processes first: a place that has become free is not taken by the name that comes first.
void WorkerPool::serve_queues() {
  std::vector<std::pair<std::size_t, std::string>> order;
  for (const auto& [key, function] : functions_) {
    if (!function.queue.empty()) order.emplace_back(function.slots.size(), key);
  }
  std::sort(order.begin(), order.end());
  for (const auto& [count, key] : order) {
    if (const auto found = functions_.find(key); found != functions_.end()) serve_queue(key, found->second);
  }
}

// The machine is full, this function has more than its share, and one that waits has less than its own.
bool WorkerPool::owes_a_process(const Function& function) const {
  const auto most = static_cast<std::size_t>(options_.workers_max);
  if (slots_ < most) return false;
  std::size_t claims = 0, fewest = most;
  for (const auto& [key, each] : functions_) {
    if (each.queue.empty() && each.slots.empty()) continue;
    ++claims;
    const std::size_t limit = static_cast<std::size_t>(
        each.config->reserved_concurrency.value_or(options_.function_concurrency_max));
    if (!each.queue.empty() && each.slots.size() < limit) fewest = std::min(fewest, each.slots.size());
  }
  const std::size_t share = std::max<std::size_t>(most / std::max<std::size_t>(claims, 1), 1);
  return function.slots.size() > share && fewest < share;
}

void WorkerPool::serve_queue(const std::string& key, Function& function) {
  while (!function.queue.empty()) {
    std::shared_ptr<Invocation> invocation = std::move(function.queue.front());
    function.queue.pop_front();
    if (draining_) {
      refuse(loop_, *invocation, "ServiceException", "the server is shutting down", 503);
      continue;
    }
    if (invocation->deadline < loop_.now()) {
      ++figures_.throttles;
      refuse(loop_, *invocation, "TooManyRequestsException", "Rate Exceeded.", 429);
      continue;
    }
    if (place(key, function, invocation)) continue;
    function.queue.push_front(std::move(invocation));
    return;
  }
}

void WorkerPool::replace(const std::string& key, std::shared_ptr<const FunctionConfig> config) {
  const auto found = functions_.find(key);
  if (found == functions_.end()) return;
  Function& function = found->second;
  const bool removed = config == nullptr;
  if (!removed) function.config = std::move(config);
  for (const auto& slot : function.slots) {
    if (slot->worker && (removed || slot->config != function.config)) slot->worker->retire();
  }
  if (!removed) return serve_queue(key, function);
  for (const auto& invocation : std::exchange(function.queue, {})) {
    refuse(loop_, *invocation, "ResourceNotFoundException", "Function not found: " + function.config->arn,
           404);
  }
}

void WorkerPool::arm_tick() {
  if (tick_timer_ != 0) return;
  tick_timer_ = loop_.call_after(kTickMs, [this] {
    tick_timer_ = 0;
    tick();
  });
}

// Memory of working processes ten times a second, of idle ones every two seconds; idle processes end.
void WorkerPool::tick() {
  const bool look_at_idle = ++tick_count_ % kIdleTicks == 0;
  const Timestamp now = loop_.now();
  bool any = false;
  for (auto& [key, function] : functions_) {
    for (const auto& slot : function.slots) {
      any = true;
      if (!slot->worker) continue;
      const bool idle = slot->worker->state() == Worker::State::kIdle;
      if (!idle || look_at_idle) slot->worker->check_memory();
      const bool expired = idle && slot->expires_at != kNever && !is_usable(*slot, function);
      if (idle && look_at_idle && (expired || slot->worker->idle_since().plus_ms(options_.idle_ms) < now)) {
        slot->worker->retire();
      }
    }
  }
  serve_queues();
  if (any) arm_tick();
}

void WorkerPool::drain(std::int64_t deadline_ms, std::function<void()> done) {
  draining_ = true;
  drained_ = std::move(done);
  serve_queues();
  for (auto& [key, function] : functions_) {
    for (const auto& slot : function.slots) {
      if (slot->worker && !slot->worker->has_invocation()) slot->worker->retire();
    }
  }
  drain_timer_ = loop_.call_after(deadline_ms, [this] {
    for (auto& [key, function] : functions_) {
      for (const auto& slot : function.slots) {
        if (slot->worker) slot->worker->kill();
      }
    }
  });
  check_drained();
}

void WorkerPool::check_drained() {
  if (!draining_ || slots_ > 0 || !drained_) return;
  loop_.cancel(drain_timer_);
  loop_.post(std::exchange(drained_, nullptr));
}

FunctionService::Figures WorkerPool::figures() const {
  FunctionService::Figures figures = figures_;
  for (const auto& [key, function] : functions_) {
    figures.workers += function.slots.size();
    figures.busy_workers += running(function);
    figures.waiting += function.queue.size();
  }
  return figures;
}

}  // namespace sortie::functions
