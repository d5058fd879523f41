#include "integrations/jobs.h"

#include <algorithm>

#include "json/members.h"

namespace sortie::integrations {
namespace jobs {

constexpr std::int64_t kAskMsMin = 1'000;
constexpr std::int64_t kAskMsMax = 20'000;
constexpr std::int64_t kCallMs = 60'000;
constexpr int kStopTries = 3;
// A job that the service does not know for so many questions in a row (some minutes) is lost.
constexpr int kMissingMax = 15;

// Who called what; where and with which keys is a matter of today's configuration.
json::Value caller_of(const SdkCall& call) {
  return json::Value::object({{"service", call.service},
                              {"action", call.action},
                              {"region", call.region},
                              {"role_arn", call.role_arn},
                              {"role_session_name", call.role_session_name}});
}

SdkCall call_of(const json::Value& caller) {
  SdkCall call;
  call.service = json::text_member(caller, "service");
  call.action = json::text_member(caller, "action");
  call.region = json::text_member(caller, "region");
  call.role_arn = json::text_member(caller, "role_arn");
  call.role_session_name = json::text_member(caller, "role_session_name");
  call.is_optimized = true;
  return call;
}

}  // namespace jobs

struct Jobs::Run {
  runtime::AttemptKey key;
  std::string idempotency_key, parent;
  SdkCall start;                 // As it was called; without parameters after a restart.
  json::Value job;               // What finds it again, from the worker; null until it is started.
  json::Value answer;            // Of the start, kept for an order that is dispatched again.
  std::optional<Report> report;  // None after a restart.
  bool wanted = true;
  int missing = 0;
  std::int64_t ask_ms = jobs::kAskMsMin;
};

Jobs::Jobs(Loop& loop, SdkPool& pool, store::Store& store, std::function<void(SdkCall&)> complete)
    : loop_(loop), pool_(pool), work_(loop, store, "started_job"), complete_(std::move(complete)) {}

void Jobs::attach(runtime::Runtime& runtime, std::function<void(store::Batch)> write) {
  runtime_ = &runtime;
  work_.attach(runtime, std::move(write),
               [this](const StartedWork::Note& note, bool parent_runs) { goes_on(note, parent_runs); });
}

void Jobs::start(const runtime::TaskOrder& order, SdkCall call, const Report& report) {
  // Dispatched again after a restart, when its note was found before the order came.
  if (const auto known = runs_.find(order.key); known != runs_.end()) {
    known->second->report = report;
    return report.submitted(known->second->answer);
  }
  auto run = std::make_shared<Run>();
  run->key = order.key;
  run->idempotency_key = order.idempotency_key;
  run->parent = order.origin->execution_arn;
  run->start = std::move(call);
  run->report = report;
  runs_[order.key] = run;
  begin(run, order);
}

void Jobs::begin(const RunPtr& run, const runtime::TaskOrder& order) {
  if (!run->wanted) return;
  const auto before = work_.find(run->idempotency_key);
  if (!before) {  // Our own trouble is not the task's failure.
    loop_.call_at(loop_.now().plus_ms(jobs::kAskMsMin),
                  [this, run, order, alive = std::weak_ptr<int>(alive_)] {
                    if (!alive.expired()) begin(run, order);
                  });
    return;
  }
  if (*before) {
    work_.remember(order);
    run->job = (*before)->get("job");
    run->report->submitted((*before)->get("answer"));
    return ask(run);
  }
  call(run, "start", [this, run, order, alive = std::weak_ptr<int>(alive_)](const SdkAnswer& answer) {
    if (!alive.expired()) started(run, order, answer);
  });
}

void Jobs::started(const RunPtr& run, const runtime::TaskOrder& order, const SdkAnswer& answer) {
  if (!answer.ok()) return fail(run, answer.error, answer.cause);
  run->job = answer.result.get("job");
  run->start.parameters = json::Value();
  if (!run->wanted) return stop_job(run, jobs::kStopTries);  // Cancelled while it was being started.
  const json::Value& output = answer.result.get("answer");
  const json::Value facts =
      json::Value::object({{"job", run->job}, {"answer", output}, {"caller", jobs::caller_of(run->start)}});
  if (order.key.execution != 0) work_.write(order, facts);  // A trial of a state has no execution behind it.
  run->report->submitted(output);
  ask_later(run);
}

void Jobs::ask_later(const RunPtr& run) {
  const std::int64_t wait_ms = run->ask_ms;
  run->ask_ms = std::min(wait_ms * 2, jobs::kAskMsMax);
  loop_.call_at(loop_.now().plus_ms(wait_ms), [this, run, alive = std::weak_ptr<int>(alive_)] {
    if (!alive.expired()) ask(run);
  });
}

void Jobs::ask(const RunPtr& run) {
  if (!run->wanted) return;
  call(run, "poll", [this, run, alive = std::weak_ptr<int>(alive_)](const SdkAnswer& answer) {
    if (!alive.expired() && run->wanted) asked(run, answer);
  });
}

void Jobs::asked(const RunPtr& run, const SdkAnswer& answer) {
  if (!answer.ok() && answer.retryable) return ask_later(run);
  if (!answer.ok()) return fail(run, answer.error, answer.cause);
  const std::string state = json::text_member(answer.result, "state");
  if (state == "SUCCEEDED") return finish(run, answer.result.get("result"));
  if (state == "FAILED") return fail(run, "States.TaskFailed", json::text_member(answer.result, "cause"));
  run->missing = state == "MISSING" ? run->missing + 1 : 0;
  if (run->missing >= jobs::kMissingMax)
    return fail(run, "States.TaskFailed", "The job is not known to the service (any more)");
  ask_later(run);
}

void Jobs::finish(const RunPtr& run, json::Value result) {
  runs_.erase(run->key);
  run->wanted = false;
  if (run->report) return run->report->succeeded(std::move(result));
  runtime_->task_succeeded(run->key, std::move(result));
}

void Jobs::fail(const RunPtr& run, std::string error, std::string cause) {
  runs_.erase(run->key);
  run->wanted = false;
  if (run->report) return run->report->failed(std::move(error), std::move(cause));
  runtime_->task_failed(run->key, std::move(error), std::move(cause));
}

void Jobs::cancel(const runtime::AttemptKey& key) {
  const auto node = runs_.extract(key);
  if (!node) return;
  const RunPtr run = node.mapped();
  run->wanted = false;
  work_.forget(run->idempotency_key, run->parent);
  if (!run->job.is_null()) stop_job(run, jobs::kStopTries);
}

void Jobs::stop_job(const RunPtr& run, int tries_left) {
  if (run->job.get("stop").is_null()) return;  // Step Functions leaves this kind of job alone.
  call(run, "stop", [this, run, tries_left, alive = std::weak_ptr<int>(alive_)](const SdkAnswer& answer) {
    if (alive.expired() || answer.ok() || !answer.retryable || tries_left <= 1) return;
    loop_.call_at(loop_.now().plus_ms(jobs::kAskMsMin), [this, run, tries_left, alive] {
      if (!alive.expired()) stop_job(run, tries_left - 1);
    });
  });
}

// A job of an earlier life. An order that was dispatched again has found it already.
void Jobs::goes_on(const StartedWork::Note& note, bool parent_runs) {
  if (runs_.count(note.key) != 0) return;
  auto run = std::make_shared<Run>();
  run->key = note.key;
  run->idempotency_key = note.idempotency_key;
  run->parent = note.parent;
  run->start = jobs::call_of(note.facts.get("caller"));
  complete_(run->start);
  run->job = note.facts.get("job");
  run->answer = note.facts.get("answer");
  if (!parent_runs) {
    run->wanted = false;
    return stop_job(run, jobs::kStopTries);  // Its end may have come before the job was told.
  }
  runs_[run->key] = run;
  ask(run);
}

void Jobs::call(const RunPtr& run, std::string phase, SdkPool::Done done) {
  SdkCall call = run->start;
  json::ObjectBuilder job;
  job.append("phase", phase).append("key", run->idempotency_key).append("facts", run->job);
  call.job = job.build();
  if (phase != "start") call.timeout_ms = jobs::kCallMs;
  pool_.call(std::move(call), std::move(done));
}

}  // namespace sortie::integrations
