#include "runtime/remote.h"

#include <utility>

#include "runtime/shard.h"

namespace sortie::runtime {
namespace remote {

Error unwritten(const Error& error) {
  return {"ServiceUnavailable", "the change could not be written: " + error.message, "", error.hint};
}

}  // namespace remote

Result<std::optional<TaskOrder>> load_order(
    store::Store& store, const AttemptKey& key, const TaskTokens& tokens, const std::string& store_id,
    const std::function<Result<std::shared_ptr<const asl::StateMachine>>(const std::string&)>& machine_of) {
  const auto live = load_live(store, key.execution, machine_of);
  if (!live && live.error().code != "ExecutionDoesNotExist") return live.error();
  if (!live) return std::optional<TaskOrder>();
  const auto frame = (*live)->state.frames.find(key.frame);
  if (frame == (*live)->state.frames.end()) return std::optional<TaskOrder>();
  const auto* task = std::get_if<engine::InTask>(&frame->second.phase);
  if (task == nullptr || task->submitted || task->started) return std::optional<TaskOrder>();
  return make_order(**live, {key.frame, key.entry, key.attempt}, tokens, store_id);
}

store::Batch Remote::batch() const {
  store::Batch batch;
  batch.epoch = wiring_.options.epoch;
  return batch;
}

store::Document Remote::note(store::ExecutionNo no, const json::Value& what) {
  return inbox_document(wiring_.map.of(no), no, wiring_.options.epoch, ++sequence_, what);
}

void Remote::start(LiveExecution& live, bool is_logged, store::Batch with,
                   std::function<void(Result<StartReply>)> done) {
  store::Batch written = batch();
  written.executions.push_back(execution_row(live));
  written.documents.push_back(note(live.no, start_note(is_logged)));
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

Remote::Verdict Remote::verdict_of(store::ExecutionNo no, ReadVerdict read,
                                   std::function<void(Result<Timestamp>)> done) {
  Verdict verdict;
  verdict.tell = [this, no, read = std::move(read), done] {
    const auto row = wiring_.store.find_execution(no);
    if (!row) return false;
    const std::optional<Timestamp> at = *row ? read(**row) : std::nullopt;
    if (*row && !at) return false;
    done(at ? Result<Timestamp>(*at) : Error{"ExecutionDoesNotExist", "Execution Does Not Exist", "", ""});
    return true;
  };
  verdict.refuse = std::move(done);
  return verdict;
}

void Remote::ask(const store::ExecutionRow& row, store::Document note, std::vector<store::LogLine> log,
                 Verdict verdict) {
  if (verdicts_.size() >= kVerdictsMax) {
    return wiring_.loop.post([refuse = std::move(verdict.refuse)] {
      refuse({"ThrottlingException", "too much work is waiting", "", "try again later"});
    });
  }
  verdict.deadline = wiring_.loop.now().plus_ms(kVerdictMs);
  store::Batch written = batch();
  written.documents.push_back(std::move(note));
  written.log = std::move(log);
  wiring_.store.append(std::move(written), [this, alive = std::weak_ptr(alive_), arn = row.arn, no = row.no,
                                            verdict = std::move(verdict)](const Status& status) mutable {
    if (alive.expired()) return;
    if (!status) return verdict.refuse(remote::unwritten(status.error()));
    verdicts_.emplace(arn, std::move(verdict));
    wiring_.options.on_note(wiring_.map.of(no));
  });
}

void Remote::stop(const store::ExecutionRow& row, const std::string& error, const std::string& cause,
                  store::LogLine audit, std::function<void(Result<Timestamp>)> done) {
  const auto read = [](const store::ExecutionRow& now) -> std::optional<Timestamp> {
    if (now.status == store::ExecutionStatus::kRunning) return std::nullopt;
    return now.stopped_at;
  };
  ask(row, note(row.no, stop_note(error, cause)), {std::move(audit)},
      verdict_of(row.no, read, std::move(done)));
}

void Remote::redrive(const store::ExecutionRow& row, Timestamp redriven_before, const std::string& token,
                     store::LogLine audit, std::function<void(Result<Timestamp>)> done) {
  const auto read = [redriven_before](const store::ExecutionRow& now) -> std::optional<Timestamp> {
    const Result<engine::ExecutionImage> image = engine::decode_execution(now.image);
    if (!image || image->redriven_at == redriven_before) return std::nullopt;
    return image->redriven_at;
  };
  ask(row, note(row.no, redrive_note(token)), {std::move(audit)}, verdict_of(row.no, read, std::move(done)));
}

void Remote::deliver(store::ExecutionNo no, Mail mail) {
  const auto row = wiring_.store.find_execution(no);
  if (!row || !*row || (*row)->status != store::ExecutionStatus::kRunning) {
    const Error error = row ? Error{"ExecutionDoesNotExist", "the execution is over", "", ""}
                            : remote::unwritten(row.error());
    return wiring_.loop.post([reply = std::move(mail.reply), error] { reply(Status(error), false); });
  }
  store::Document asked = note(no, asking_note(mail.stimulus, mail.with ? *mail.with : store::Batch()));
  auto kept = std::make_shared<Mail>(std::move(mail));
  Verdict verdict;
  verdict.tell = [this, kept, key = asked.key] { return tell_answer(key, *kept); };
  verdict.refuse = [kept](const Error& error) { std::exchange(kept->reply, nullptr)(Status(error), false); };
  verdict.stays = true;
  ask(**row, std::move(asked), {}, std::move(verdict));
}

// The note goes in the transaction of what became of it.
bool Remote::tell_answer(const std::string& note, Mail& mail) {
  const auto waiting = wiring_.store.find_document(kInboxKind, note);
  if (!waiting || *waiting) return false;
  const auto refused = wiring_.store.find_document(kRefusedKind, note);
  if (!refused) return false;
  if (*refused) {
    store::Batch batch = this->batch();
    batch.documents_gone.emplace_back(std::string(kRefusedKind), note);
    wiring_.store.append(std::move(batch), [](const Status&) {});
  }
  if (mail.reply) std::exchange(mail.reply, nullptr)(Status(), !*refused);
  return true;
}

void Remote::forget_refusals() {
  constexpr std::size_t kAtOnce = 1'000;
  const auto left = wiring_.store.list_documents(kRefusedKind, "", kAtOnce);
  if (!left || left->empty()) return;
  store::Batch batch = this->batch();
  for (const store::Document& each : *left) batch.documents_gone.emplace_back(each.kind, each.key);
  wiring_.store.append(std::move(batch), [](const Status&) {});
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
  if (verdict.tell()) return true;
  if (wiring_.loop.now() < verdict.deadline) return false;
  if (verdict.refuse) {
    std::exchange(verdict.refuse,
                  nullptr)({"ServiceUnavailable", "the node that owns the execution has not answered yet", "",
                            "try again in a moment"});
  }
  return !verdict.stays;
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
