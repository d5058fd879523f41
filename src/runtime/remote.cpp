#include "runtime/remote.h"

#include <utility>

#include "runtime/shard.h"

namespace sortie::runtime {
namespace remote {

Error unwritten(const Error& error) {
  return {"ServiceUnavailable", "the change could not be written: " + error.message, "", error.hint};
}

}  // namespace remote

store::Batch Remote::batch() const {
  store::Batch batch;
  batch.epoch = wiring_.options.epoch;
  return batch;
}

store::Document Remote::note(store::ExecutionNo no, const json::Value& what) {
  return inbox_document(wiring_.map.of(no), no, wiring_.options.epoch, ++sequence_, what);
}

void Remote::start(LiveExecution& live, store::Batch with, std::function<void(Result<StartReply>)> done) {
  store::Batch written = batch();
  written.executions.push_back(execution_row(live));
  written.documents.push_back(note(live.no, start_note()));
  merge(written, std::move(with));
  beginning_[live.state.arn];
  wiring_.store.append(std::move(written),
                       [this, alive = std::weak_ptr(alive_), arn = live.state.arn, no = live.no,
                        at = live.state.started_at, done = std::move(done)](const Status& status) {
                         if (alive.expired()) return;
                         const auto waiting = beginning_.extract(arn);
                         if (status) {
                           wiring_.options.on_note(wiring_.map.of(no));
                           done(StartReply{arn, at, false});
                         } else {
                           done(remote::unwritten(status.error()));
                         }
                         if (waiting.empty()) return;
                         for (const std::function<void()>& each : waiting.mapped()) each();
                       });
}

void Remote::wait_for_start(const std::string& arn, std::function<void()> callback) {
  beginning_[arn].push_back(std::move(callback));
}

void Remote::ask(const store::ExecutionRow& row, const json::Value& what, store::LogLine audit,
                 Verdict verdict) {
  if (verdicts_.size() >= kVerdictsMax) {
    return wiring_.loop.post([done = std::move(verdict.done)] {
      done(Error{"ThrottlingException", "too much work is waiting", "", "try again later"});
    });
  }
  verdict.no = row.no;
  verdict.deadline = wiring_.loop.now().plus_ms(kVerdictMs);
  store::Batch written = batch();
  written.documents.push_back(note(row.no, what));
  written.log.push_back(std::move(audit));
  wiring_.store.append(std::move(written), [this, alive = std::weak_ptr(alive_), arn = row.arn, no = row.no,
                                            verdict = std::move(verdict)](const Status& status) mutable {
    if (alive.expired()) return;
    if (!status) return verdict.done(remote::unwritten(status.error()));
    verdicts_.emplace(arn, std::move(verdict));
    wiring_.options.on_note(wiring_.map.of(no));
  });
}

void Remote::stop(const store::ExecutionRow& row, const std::string& error, const std::string& cause,
                  store::LogLine audit, std::function<void(Result<Timestamp>)> done) {
  Verdict verdict;
  verdict.read = [](const store::ExecutionRow& now) -> std::optional<Timestamp> {
    if (now.status == store::ExecutionStatus::kRunning) return std::nullopt;
    return now.stopped_at;
  };
  verdict.done = std::move(done);
  ask(row, stop_note(error, cause), std::move(audit), std::move(verdict));
}

void Remote::redrive(const store::ExecutionRow& row, Timestamp redriven_before, const std::string& token,
                     store::LogLine audit, std::function<void(Result<Timestamp>)> done) {
  Verdict verdict;
  verdict.read = [redriven_before](const store::ExecutionRow& now) -> std::optional<Timestamp> {
    const Result<engine::ExecutionImage> image = engine::decode_execution(now.image);
    if (!image || image->redriven_at == redriven_before) return std::nullopt;
    return image->redriven_at;
  };
  verdict.done = std::move(done);
  ask(row, redrive_note(token), std::move(audit), std::move(verdict));
}

void Remote::report(store::ExecutionNo no, const engine::Stimulus& result) {
  write_result(no, note(no, result_note(result)));
}

void Remote::write_result(store::ExecutionNo no, store::Document document) {
  store::Batch written = batch();
  written.documents.push_back(document);
  wiring_.store.append(std::move(written), [this, alive = std::weak_ptr(alive_), no,
                                            document = std::move(document)](const Status& status) {
    if (alive.expired()) return;
    if (status) return wiring_.options.on_note(wiring_.map.of(no));
    if (status.error().code == "StaleEpoch") return;  // The next leader carries it out again.
    wiring_.loop.call_at(wiring_.loop.now().plus_ms(kRetryStoreMs), [this, alive, no, document]() mutable {
      if (!alive.expired()) write_result(no, std::move(document));
    });
  });
}

bool Remote::settle(Verdict& verdict) {
  const auto row = wiring_.store.find_execution(verdict.no);
  if (row && !*row) {
    verdict.done(Error{"ExecutionDoesNotExist", "Execution Does Not Exist", "", ""});
    return true;
  }
  if (row) {
    if (const std::optional<Timestamp> at = verdict.read(**row)) {
      verdict.done(*at);
      return true;
    }
  }
  if (wiring_.loop.now() < verdict.deadline) return false;
  verdict.done(Error{"ServiceUnavailable", "the node that owns the execution has not answered yet", "",
                     "try again in a moment"});
  return true;
}

// An answer may lead to another question: nothing is held while it is given.
void Remote::look_around() {
  auto waiting = std::exchange(verdicts_, {});
  for (auto& [arn, verdict] : waiting) {
    if (!settle(verdict)) verdicts_.emplace(arn, std::move(verdict));
  }
}

void Remote::look_at(const std::string& arn) {
  std::vector<Verdict> waiting;
  const auto [from, to] = verdicts_.equal_range(arn);
  for (auto each = from; each != to; ++each) waiting.push_back(std::move(each->second));
  verdicts_.erase(from, to);
  for (Verdict& verdict : waiting) {
    if (!settle(verdict)) verdicts_.emplace(arn, std::move(verdict));
  }
}

}  // namespace sortie::runtime
