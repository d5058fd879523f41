#include "functions/async_queue.h"

#include "json/text.h"

namespace sortie::functions {

namespace {

constexpr std::int64_t kThrottledDelayMs = 1'000;
constexpr std::int64_t kAgeMsMax = 6LL * 60 * 60 * 1000;  // As on AWS.

std::string to_text(const InvokeRequest& request, const std::string& id, std::size_t failures,
                    Timestamp accepted_at) {
  return json::to_text(json::Value::object({{"id", id},
                                            {"function", request.function},
                                            {"account", request.account},
                                            {"payload", request.payload},
                                            {"client_context", request.client_context},
                                            {"trace_id", request.trace_id},
                                            {"task_token", request.task_token},
                                            {"failures", static_cast<std::int64_t>(failures)},
                                            {"accepted_at_ms", accepted_at.ms}}));
}

}  // namespace

AsyncQueue::AsyncQueue(io::EventLoop& loop, FunctionStore* store, std::vector<std::int64_t> retry_delays_ms,
                       std::size_t queue_max, Run run)
    : loop_(loop),
      store_(store),
      retry_delays_ms_(std::move(retry_delays_ms)),
      queue_max_(queue_max),
      run_(std::move(run)) {
  if (store_ != nullptr) load();
}

AsyncQueue::~AsyncQueue() {
  *alive_ = false;
  stop();
}

void AsyncQueue::load() {
  for (const std::string& text : store_->load_async()) {
    const auto value = json::parse(text);
    if (!value || !value->get("id").is_string() || !value->get("function").is_string()) continue;
    const auto field = [&](const char* key) {
      return value->get(key).is_string() ? value->get(key).to_std_string() : std::string();
    };
    Entry entry;
    entry.request.function = field("function");
    entry.request.account = field("account");
    entry.request.payload = field("payload");
    entry.request.client_context = field("client_context");
    entry.request.trace_id = field("trace_id");
    entry.request.task_token = field("task_token");
    if (value->get("failures").is_integer())
      entry.failures = static_cast<std::size_t>(value->get("failures").as_integer());
    entry.accepted_at = loop_.now();
    if (value->get("accepted_at_ms").is_integer())
      entry.accepted_at = {value->get("accepted_at_ms").as_integer()};
    entries_.emplace(field("id"), std::move(entry));
    schedule(field("id"), 0);
  }
}

Status AsyncQueue::accept(InvokeRequest request, const std::string& request_id) {
  if (entries_.contains(request_id)) return {};  // The same idempotency key: it is on its way.
  if (entries_.size() >= queue_max_) return Error{"TooManyRequestsException", "Rate Exceeded.", "", ""};
  Entry entry{std::move(request), 0, loop_.now(), 0};
  if (store_ != nullptr) {
    if (Status status =
            store_->save_async(request_id, to_text(entry.request, request_id, 0, entry.accepted_at));
        !status) {
      return Error{"ServiceException", "the invocation could not be kept: " + status.error().message, "", ""};
    }
  }
  entries_.emplace(request_id, std::move(entry));
  schedule(request_id, 0);
  return {};
}

void AsyncQueue::schedule(const std::string& id, std::int64_t delay_ms) {
  entries_.at(id).timer = loop_.call_after(delay_ms, [this, id] { run(id); });
}

void AsyncQueue::run(const std::string& id) {
  const auto found = entries_.find(id);
  if (found == entries_.end() || stopped_) return;
  found->second.timer = 0;
  run_(found->second.request, id, [this, alive = alive_, id](const InvokeResult& result) {
    if (*alive) done(id, result);
  });
}

void AsyncQueue::done(const std::string& id, const InvokeResult& result) {
  const auto found = entries_.find(id);
  if (found == entries_.end() || stopped_) return;
  Entry& entry = found->second;
  const bool gone = result.error_code == "ResourceNotFoundException";
  const bool refused = !result.error_code.empty() && !gone;
  const bool young = loop_.now() < entry.accepted_at.plus_ms(kAgeMsMax);
  if (refused && young) return schedule(id, kThrottledDelayMs);
  const bool failed = !result.function_error.empty();
  if (failed && young && entry.failures < retry_delays_ms_.size()) {
    const std::int64_t delay_ms = retry_delays_ms_[entry.failures++];
    if (store_ != nullptr) {
      (void)store_->save_async(id, to_text(entry.request, id, entry.failures, entry.accepted_at)).ok();
    }
    return schedule(id, delay_ms);
  }
  entries_.erase(found);
  if (store_ != nullptr) store_->remove_async(id);
}

void AsyncQueue::stop() {
  stopped_ = true;
  for (auto& [id, entry] : entries_) {
    if (entry.timer != 0) loop_.cancel(std::exchange(entry.timer, 0));
  }
}

}  // namespace sortie::functions
