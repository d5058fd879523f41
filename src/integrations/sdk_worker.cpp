#include "integrations/sdk_worker.h"

#include <algorithm>

#include "json/text.h"

namespace sortie::integrations {
namespace sdk_pool {

json::Value or_null(const std::string& text) { return text.empty() ? json::Value() : json::Value(text); }

std::string frame_of(SdkPool::CallNo number, const SdkCall& call) {
  json::ObjectBuilder frame;
  frame.append("id", number).append("service", call.service).append("action", call.action);
  frame.append("parameters", call.parameters).append("region", call.region);
  frame.append("credentials", call.credentials).append("role_arn", or_null(call.role_arn));
  frame.append("role_session_name", or_null(call.role_session_name));
  frame.append("endpoint_url", or_null(call.endpoint_url));
  frame.append("timeout_s", static_cast<double>(std::max<std::int64_t>(call.timeout_ms, 1)) / 1000.0);
  frame.append("style", call.is_object_call ? "objects" : (call.is_optimized ? "optimized" : "aws-sdk"));
  if (!call.check.empty()) frame.append("check", call.check);
  if (!call.job.is_null()) frame.append("job", call.job);
  if (!call.trace_parent.empty()) frame.append("trace_parent", call.trace_parent);
  if (call.trace) frame.append("trace", true);
  return json::to_text(frame.build());
}

SdkAnswer read_answer(const json::Value& frame) {
  SdkAnswer answer;
  if (const json::Value* error = frame.find("error")) {
    const json::Value& name = error->get("name");
    const json::Value& cause = error->get("cause");
    answer.error = name.is_string() && !name.as_string().empty() ? name.to_std_string() : "States.TaskFailed";
    if (cause.is_string()) answer.cause = cause.to_std_string();
    answer.retryable = error->get("retryable") == json::Value(true);
  } else {
    answer.result = frame.get("result");
  }
  answer.trace = frame.get("trace");
  return answer;
}

}  // namespace sdk_pool

SdkPool::SdkPool(Loop& loop, WorkerFactory factory, SdkPoolOptions options)
    : loop_(loop), factory_(std::move(factory)), options_(options), workers_(options.workers) {}

SdkPool::~SdkPool() { stop(); }

void SdkPool::start() {
  if (running_ || stopped_) return;
  running_ = true;
  for (std::size_t i = 0; i < workers_.size(); ++i) launch(i);
}

void SdkPool::stop() {
  stopped_ = true;
  for (auto& [number, pending] : calls_) loop_.cancel(pending.timer);
  calls_.clear();
  waiting_.clear();
  by_lane_.clear();
  for (Worker& worker : workers_) {
    loop_.cancel(worker.restart_timer);
    ++worker.generation;
    worker.link.reset();
  }
}

void SdkPool::reject(Done done, std::string cause) {
  ++figures_.rejected;
  loop_.post([done = std::move(done), cause = std::move(cause), alive = std::weak_ptr<int>(alive_)] {
    if (!alive.expired()) done({{}, "States.TaskFailed", cause, true});
  });
}

SdkPool::CallNo SdkPool::call(SdkCall call, Done done) {
  start();
  const CallNo number = ++last_call_;
  if (stopped_) return number;
  if (call.parameters.depth() > json::kDepthMax - 10) {
    reject(std::move(done), "The parameters are nested too deeply");
    return number;
  }
  std::string frame = sdk_pool::frame_of(number, call);
  const auto lane = by_lane_.find(call.lane);
  const bool lane_is_full =
      !call.lane.empty() && lane != by_lane_.end() && lane->second >= (options_.calls_max + 1) / 2;
  if (calls_.size() >= options_.calls_max || lane_is_full || bytes_ + frame.size() > options_.bytes_max) {
    reject(std::move(done),
           "Too many AWS calls wait already (" + std::to_string(calls_.size()) + "), try again");
    return number;
  }
  ++figures_.calls;
  bytes_ += frame.size();
  Pending& pending = calls_[number];
  pending.frame = std::move(frame);
  pending.done = std::move(done);
  pending.timer = loop_.call_at(loop_.now().plus_ms(call.timeout_ms + options_.grace_ms),
                                [this, number] { time_out(number); });
  ++by_lane_[call.lane];
  waiting_.push_back(call.lane, number);
  pending.lane = std::move(call.lane);
  assign();
  return number;
}

void SdkPool::cancel(CallNo number) {
  const auto found = calls_.find(number);
  if (found == calls_.end()) return;
  abandon(number);
  forget(found);
}

// Gives back whom to answer.
SdkPool::Done SdkPool::forget(std::map<CallNo, Pending>::iterator found) {
  Pending& pending = found->second;
  loop_.cancel(pending.timer);
  bytes_ -= pending.frame.size();
  if (const auto lane = by_lane_.find(pending.lane); --lane->second == 0) by_lane_.erase(lane);
  Done done = std::move(pending.done);
  calls_.erase(found);
  return done;
}

// The process may still be busy with it, so its slot is not free before it answers.
void SdkPool::abandon(CallNo number) {
  const auto found = calls_.find(number);
  if (found != calls_.end() && waiting_.erase(found->second.lane, number)) return;
  for (Worker& worker : workers_) {
    if (worker.in_flight.erase(number) != 0) worker.abandoned.insert(number);
  }
}

void SdkPool::launch(std::size_t index) {
  Worker& worker = workers_[index];
  const std::uint64_t generation = ++worker.generation;
  const auto current = [this, index, generation, alive = std::weak_ptr<int>(alive_)] {
    return !alive.expired() && workers_[index].generation == generation;
  };
  WorkerEvents events;
  events.on_frame = [this, index, current](const std::string& frame) {
    if (current()) on_frame(index, frame);
  };
  events.on_closed = [this, index, current](const std::string& why) {
    if (current()) on_closed(index, why);
  };
  Result<std::unique_ptr<WorkerLink>> link = factory_(std::move(events));
  if (link.ok()) {
    worker.link = std::move(*link);
    return assign();
  }
  loop_.post([this, index, current, why = to_text(link.error())] {
    if (current()) on_closed(index, why);
  });
}

void SdkPool::on_closed(std::size_t index, const std::string& why) {
  Worker& worker = workers_[index];
  ++figures_.deaths;
  trouble_ = why;
  ++worker.generation;
  // The link may be on the stack below us.
  loop_.post([link = std::shared_ptr<WorkerLink>(std::move(worker.link))] {});
  worker.abandoned.clear();
  give_back(worker, why);
  std::int64_t delay_ms = 0;
  if (worker.failures > 0) {
    const int doublings = std::min(worker.failures - 1, 20);
    delay_ms = std::min(options_.restart_ms_max, options_.restart_ms_min << doublings);
  }
  ++worker.failures;
  worker.restart_timer = loop_.call_at(loop_.now().plus_ms(delay_ms), [this, index] { launch(index); });
  assign();
}

void SdkPool::give_back(Worker& worker, const std::string& why) {
  const std::set<CallNo> orphans = std::move(worker.in_flight);
  worker.in_flight.clear();
  for (auto number = orphans.rbegin(); number != orphans.rend(); ++number) {
    if (++calls_.at(*number).deaths < options_.deaths_max) {
      waiting_.push_front(calls_.at(*number).lane, *number);
      continue;
    }
    finish(*number, {{},
                     "States.TaskFailed",
                     "The AWS worker died " + std::to_string(options_.deaths_max) +
                         " times while it carried out this call: " + why,
                     true});
  }
}

SdkPool::Worker* SdkPool::least_busy() {
  Worker* best = nullptr;
  for (Worker& worker : workers_) {
    const std::size_t load = worker.in_flight.size() + worker.abandoned.size();
    if (worker.link == nullptr || load >= options_.in_flight_max) continue;
    if (best == nullptr || load < best->in_flight.size() + best->abandoned.size()) best = &worker;
  }
  return best;
}

void SdkPool::assign() {
  while (!waiting_.empty()) {
    Worker* worker = least_busy();
    if (worker == nullptr) return;
    const CallNo number = waiting_.pop();
    worker->in_flight.insert(number);
    worker->link->send(calls_.at(number).frame);
  }
}

void SdkPool::on_frame(std::size_t index, const std::string& text) {
  Worker& worker = workers_[index];
  const Result<json::Value> frame = json::parse(text);
  const bool usable = frame.ok() && frame->get("id").is_integer() && frame->get("id").as_integer() > 0;
  if (!usable) return on_closed(index, "it answered something that is no answer");
  worker.failures = 0;
  const auto number = static_cast<CallNo>(frame->get("id").as_integer());
  if (worker.abandoned.erase(number) == 0 && worker.in_flight.erase(number) != 0) {
    finish(number, sdk_pool::read_answer(*frame));
  }
  assign();
}

void SdkPool::finish(CallNo number, SdkAnswer answer) {
  const auto found = calls_.find(number);
  if (found == calls_.end()) return;
  const Done done = forget(found);
  if (!answer.ok()) ++figures_.errors;
  loop_.post([done, answer = std::move(answer), alive = std::weak_ptr<int>(alive_)] {
    if (!alive.expired()) done(answer);
  });
}

void SdkPool::time_out(CallNo number) {
  ++figures_.timeouts;
  const Figures now = figures();
  std::string cause = "The AWS call was not answered in time";
  if (now.workers == 0) cause = "The AWS worker does not run: " + trouble_;
  abandon(number);
  finish(number, {{}, "States.TaskFailed", std::move(cause), true});
  // A process that sits on half of its slots without an end is stuck; the rest starts over in a new one.
  for (std::size_t i = 0; i < workers_.size(); ++i) {
    if (workers_[i].abandoned.size() * 2 >= options_.in_flight_max)
      on_closed(i, "it does not answer any more");
  }
}

SdkPool::Figures SdkPool::figures() const {
  Figures figures = figures_;
  figures.waiting = waiting_.size();
  for (const Worker& worker : workers_) {
    figures.workers += worker.link != nullptr ? 1 : 0;
    figures.in_flight += worker.in_flight.size();
  }
  return figures;
}

}  // namespace sortie::integrations
