#include "runtime/runtime.h"

#include <algorithm>

#include "base/hash.h"
#include "base/text.h"
#include "json/text.h"
#include "runtime/check.h"
#include "runtime/cluster.h"
#include "runtime/describe.h"
#include "runtime/explain.h"
#include "runtime/history_pages.h"
#include "runtime/placement.h"
#include "runtime/remote.h"
#include "runtime/shards.h"
#include "runtime/starts.h"
#include "runtime/watchers.h"

namespace sortie::runtime {
namespace {

Error no_such_execution(std::string_view arn) {
  return {"ExecutionDoesNotExist", "Execution Does Not Exist: '" + std::string(arn) + "'", "", ""};
}

std::shared_ptr<store::Batch> batch_or_none(store::Batch batch) {
  return batch.empty() ? nullptr : std::make_shared<store::Batch>(std::move(batch));
}

Runtime::Callback<Unit> or_nothing(Runtime::Callback<Unit> done) {
  return done ? std::move(done) : [](const Result<Unit>&) {};
}

class RuntimeImpl final : public Runtime, private Cluster {
 public:
  RuntimeImpl(Loop& loop, Random& random, store::Store& store, TaskDispatcher& dispatcher, Options options)
      : loop_(loop),
        random_(random),
        store_(store),
        dispatcher_(dispatcher),
        options_(std::move(options)),
        definitions_(store, options_.strict),
        activities_(loop, [this](const AttemptKey& key, const std::string& worker,
                                 std::function<void(Activities::Taken)> taken) {
          record_taken(key, worker, std::move(taken));
        }) {}

  Status recover() override {
    if (options_.epoch == 0) {
      SORTIE_TRY(options_.epoch, store_.acquire(0));
    }
    store::Batch made = new_batch();
    SORTIE_TRY_STATUS(read_identity(&made));
    if (!made.empty()) write_identity(std::move(made));
    SORTIE_TRY_STATUS(definitions_.load());
    SORTIE_TRY_STATUS(shards_->own(0, options_.epoch));
    shard_ = shards_->at(0);
    if (options_.is_shared) remote_->forget_refusals();
    return {};
  }

  void drain(std::function<void()> done) override {
    draining_ = true;
    if (!shards_) return loop_.post(std::move(done));
    shards_->drain(std::move(done));
  }

  void put_state_machine(StateMachineRecord record, const Actor& actor,
                         Callback<StateMachineRecord> done) override {
    Result<Definitions::Change> change = definitions_.prepare(std::move(record));
    if (!change) return loop_.post([done, error = change.error()] { done(error); });
    store::Batch batch = new_batch();
    batch.documents = std::exchange(change->documents, {});
    batch.log.push_back(audit(actor, "state_machine.put", change->record.arn, change->definition_key));
    auto shared = std::make_shared<Definitions::Change>(std::move(change).value());
    store_.append(std::move(batch), [this, shared, done](const Status& status) {
      if (!status) return done(unavailable(status.error()));
      StateMachineRecord kept = shared->record;
      definitions_.apply(std::move(*shared));
      done(std::move(kept));
    });
  }

  void publish_version(StateMachineRecord machine, StateMachineRecord version, const Actor& actor,
                       Callback<StateMachineRecord> done) override {
    auto changes = std::make_shared<std::vector<Definitions::Change>>();
    store::Batch batch = new_batch();
    for (StateMachineRecord* record : {&machine, &version}) {
      Result<Definitions::Change> change = definitions_.prepare(std::move(*record));
      if (!change) return loop_.post([done, error = change.error()] { done(error); });
      for (store::Document& document : std::exchange(change->documents, {})) {
        batch.documents.push_back(std::move(document));
      }
      batch.log.push_back(audit(actor, "state_machine.put", change->record.arn, change->definition_key));
      changes->push_back(*std::move(change));
    }
    store_.append(std::move(batch), [this, changes, done](const Status& status) {
      if (!status) return done(unavailable(status.error()));
      StateMachineRecord published = changes->back().record;
      for (Definitions::Change& change : *changes) definitions_.apply(std::move(change));
      done(std::move(published));
    });
  }

  void delete_state_machine(std::string_view arn, const Actor& actor, Callback<Unit> done) override {
    store::Batch batch = new_batch();
    batch.documents_gone = definitions_.documents_of(arn);
    batch.log.push_back(audit(actor, "state_machine.delete", std::string(arn), ""));
    write(std::move(batch), done, [this, arn = std::string(arn)] { definitions_.forget(arn); });
  }

  std::optional<StateMachineRecord> find_state_machine(std::string_view arn) override {
    const StateMachineRecord* found = definitions_.find(arn);
    return found == nullptr ? std::nullopt : std::optional(*found);
  }
  std::vector<StateMachineRecord> list_state_machines() override { return definitions_.list(); }
  std::vector<std::string> state_machine_arns() override { return definitions_.arns(); }
  std::vector<StateMachineRecord> list_versions(std::string_view machine_arn) override {
    return definitions_.versions(machine_arn);
  }

  void put_alias(AliasRecord alias, const Actor& actor, Callback<Unit> done) override {
    store::Batch batch = new_batch();
    batch.documents.push_back(Definitions::alias_document(alias));
    batch.log.push_back(audit(actor, "state_machine_alias.put", alias.arn, batch.documents[0].value));
    write(std::move(batch), done, [this, alias = std::move(alias)] { definitions_.apply(alias); });
  }
  void delete_alias(std::string_view arn, const Actor& actor, Callback<Unit> done) override {
    store::Batch batch = new_batch();
    batch.documents_gone.emplace_back("state_machine_alias", std::string(arn));
    batch.log.push_back(audit(actor, "state_machine_alias.delete", std::string(arn), ""));
    write(std::move(batch), done, [this, arn = std::string(arn)] { definitions_.forget_alias(arn); });
  }
  std::optional<AliasRecord> find_alias(std::string_view arn) override {
    const AliasRecord* found = definitions_.find_alias(arn);
    return found == nullptr ? std::nullopt : std::optional(*found);
  }
  std::vector<AliasRecord> list_aliases(std::string_view machine_arn) override {
    return definitions_.aliases(machine_arn);
  }

  void start_execution(StartRequest request, Callback<StartReply> done) override {
    Result<std::unique_ptr<LiveExecution>> made = prepare(request);
    if (!made) return loop_.post([done, error = made.error()] { done(error); });
    LiveExecution& live = **made;
    const std::string arn = live.state.arn;
    const store::ShardNo place = placement_.shard_for(live, shards_->map());
    if (is_beginning(arn, place)) {
      // The same name is being started right now: its outcome decides.
      after_start(arn, place, [this, request = std::move(request), done]() mutable {
        start_execution(std::move(request), std::move(done));
      });
      return;
    }
    const Result<std::optional<store::ExecutionRow>> known = store_.find_execution(arn);
    if (!known) return loop_.post([done, error = unavailable(known.error())] { done(error); });
    if (*known) {
      return loop_.post([done, told = reply_to_existing(**known, live.image.input_text)] { done(told); });
    }
    live.no = shards_->next_no(place);
    Shard* owner = shards_->at(place);
    if (owner == nullptr || owner->is_given_up()) {
      const StateMachineRecord* record = definitions_.find(live.state.state_machine_arn);
      const bool is_logged = record != nullptr && record->logging_configuration.is_object();
      return remote_->start(live, is_logged, std::move(request.with), std::move(done));
    }
    Mail start{engine::Start{}, batch_or_none(std::move(request.with)), nullptr};
    start.reply = [done, arn, started_at = live.state.started_at](const Status& status, bool) {
      if (!status) return done(status.error());
      done(StartReply{arn, started_at, false});
    };
    live.given_by_leader = true;
    owner->begin(std::move(made).value(), std::move(start));
  }

  void start_sync_execution(StartRequest request, Callback<ExecutionDescription> done) override {
    Result<std::unique_ptr<LiveExecution>> made = prepare(request);
    if (!made) return loop_.post([done, error = made.error()] { done(error); });
    LiveExecution& live = **made;
    live.no = shard_->next_memory_no();
    live.in_memory_only = true;
    live.when_over = [done](const LiveExecution& over) { done(describe_over(over)); };
    shard_->begin(std::move(made).value(), {engine::Start{}, {}, nullptr});
  }

  void redrive_execution(std::string_view arn, std::string client_token, const Actor& actor,
                         Callback<Timestamp> done) override {
    const std::string name(arn);
    const auto fail = [this, done](const Error& error) { loop_.post([done, error] { done(error); }); };
    const Result<std::optional<store::ExecutionRow>> row = store_.find_execution(arn);
    if (!row) return fail(unavailable(row.error()));
    if (!*row) return fail(no_such_execution(arn));
    Shard* owner = shards_->of((*row)->no);
    if (owner != nullptr && owner->find_beginning(arn) != 0) {
      owner->after_commit(owner->find_beginning(arn), [this, name, client_token, actor, done] {
        redrive_execution(name, client_token, actor, done);
      });
      return;
    }
    if (!client_token.empty()) {
      const Result<engine::ExecutionImage> image = engine::decode_execution((*row)->image);
      if (!image) return fail(unavailable(image.error()));
      if (const auto at = decode_extra(image->extra).find_redrive(client_token, loop_.now())) {
        return loop_.post([done, at = *at] { done(at); });
      }
    }
    if ((*row)->status != store::ExecutionStatus::kRunning && owner != nullptr &&
        owner->is_in_memory((*row)->no)) {
      // The store knows of its end, and this process is about to hear of it; or somebody else ended it.
      if (!owner->is_in_motion((*row)->no)) return fail(unavailable({"StaleEpoch", "another node owns it"}));
      owner->after_commit((*row)->no, [this, name, client_token, actor, done] {
        redrive_execution(name, client_token, actor, done);
      });
      return;
    }
    auto live = load_left_behind(store_, **row, loop_.now(),
                                 [this](const std::string& key) { return definitions_.machine(key); });
    if (!live) return fail(live.error().code.starts_with("Store") ? unavailable(live.error()) : live.error());
    if (draining_ || (owner != nullptr && owner->is_full((*live)->state.state_machine_arn))) {
      return fail({"ThrottlingException", "too much work is waiting", "", "try again later"});
    }
    store::LogLine line = audit(actor, "execution.redrive", name, "");
    if (owner == nullptr) {
      return remote_->redrive(**row, (*live)->image.redriven_at, client_token, std::move(line), done);
    }
    (*live)->state.region = options_.region;
    Extra extra = decode_extra((*live)->image.extra);
    extra.remember_redrive(client_token, loop_.now());
    (*live)->image.extra = encode_extra(extra);
    Mail mail{engine::Redrive{}, {}, nullptr};
    mail.with = std::make_shared<store::Batch>();
    mail.with->log.push_back(std::move(line));
    mail.reply = [done, at = loop_.now()](const Status& status, bool) {
      if (!status) return done(status.error());
      done(at);
    };
    owner->begin(*std::move(live), std::move(mail));
  }

  void stop_execution(std::string_view arn, std::string error, std::string cause, const Actor& actor,
                      Callback<Timestamp> done) override {
    const Result<std::optional<store::ExecutionRow>> row = store_.find_execution(arn);
    if (!row) return loop_.post([done, error = unavailable(row.error())] { done(error); });
    if (!*row) return loop_.post([done, missing = no_such_execution(arn)] { done(missing); });
    if ((*row)->status != store::ExecutionStatus::kRunning) {
      return loop_.post([done, at = (*row)->stopped_at] { done(at); });
    }
    store::LogLine line = audit(actor, "execution.stop", std::string(arn), "", cause);
    Shard* owner = shards_->of((*row)->no);
    if (owner == nullptr) return remote_->stop(**row, error, cause, std::move(line), done);
    Mail mail{engine::Stop{std::move(error), std::move(cause)}, {}, nullptr};
    mail.with = std::make_shared<store::Batch>();
    mail.with->log.push_back(std::move(line));
    mail.reply = [this, done, arn = std::string(arn)](const Status& status, bool) {
      if (!status && status.error().code != "ExecutionDoesNotExist") return done(status.error());
      const Result<std::optional<store::ExecutionRow>> now = store_.find_execution(arn);
      if (!now) return done(unavailable(now.error()));
      done(*now ? (*now)->stopped_at : loop_.now());
    };
    owner->post((*row)->no, std::move(mail));
  }

  Result<ExecutionDescription> describe_execution(std::string_view arn) override {
    SORTIE_TRY(const std::optional<store::ExecutionRow> row, store_.find_execution(arn));
    if (!row) return no_such_execution(arn);
    return describe(*row, true);
  }

  Result<std::vector<ExecutionSummary>> list_executions(const store::ExecutionQuery& query) override {
    SORTIE_TRY(const std::vector<store::ExecutionRow> rows, store_.list_executions(query));
    std::vector<ExecutionSummary> out;
    for (const store::ExecutionRow& row : rows) {
      SORTIE_TRY(const std::optional<store::ExecutionRow> whole, store_.find_execution(row.no));
      if (!whole) continue;  // Deleted since.
      SORTIE_TRY(ExecutionSummary summary, summarize_row(*whole));
      summary.is_pending_redrive = shard_ != nullptr && shard_->map_runs().awaits_redrive(*whole);
      out.push_back(std::move(summary));
    }
    return out;
  }

  Result<HistoryPage> history(std::string_view arn, std::int64_t from, std::size_t limit,
                              bool reverse) override {
    SORTIE_TRY(const std::optional<store::ExecutionRow> row, store_.find_execution(arn));
    if (!row) return no_such_execution(arn);
    return read_history(store_, definitions_, *row, from, limit, reverse);
  }

  Result<std::vector<WaitingReason>> explain(std::string_view arn) override {
    SORTIE_TRY(const std::optional<store::ExecutionRow> row, store_.find_execution(arn));
    if (!row) return no_such_execution(arn);
    if (row->status != store::ExecutionStatus::kRunning) return std::vector<WaitingReason>();
    auto live =
        load_live(store_, row->no, [this](const std::string& key) { return definitions_.machine(key); });
    if (!live && live.error().code == "ExecutionDoesNotExist") return std::vector<WaitingReason>();
    if (!live && options_.is_shared && shards_) {
      SORTIE_TRY(const bool waits, has_inbox_note(store_, shards_->map().of(row->no), row->no));
      if (waits) return std::vector<WaitingReason>{explain_unbegun(*row)};
    }
    if (!live) return live.error();
    return explain_frames((*live)->state, loop_.now());
  }

  std::shared_ptr<void> when_ended(std::string_view arn,
                                   std::function<void(ExecutionDescription)> done) override {
    std::shared_ptr<void> waiter = watchers_.wait(std::string(arn), std::move(done));
    // It may be over already; look from the loop, so that the answer never comes inside this call.
    loop_.post([this, arn = std::string(arn)] { tell_waiters(arn); });
    return waiter;
  }

  Result<MapRunDescription> describe_map_run(std::string_view arn) override {
    return shard_->map_runs().describe(arn);
  }
  Result<std::vector<MapRunDescription>> list_map_runs(std::string_view execution_arn,
                                                       store::ExecutionNo before,
                                                       std::size_t limit) override {
    return shard_->map_runs().list(execution_arn, before, limit);
  }
  void update_map_run(std::string_view arn, MapRunChange change, Callback<Unit> done) override {
    shard_->map_runs().update(arn, change, or_nothing(std::move(done)));
  }

  void task_submitted(const AttemptKey& key, json::Value output) override {
    report(key.execution, engine::TaskSubmitted{attempt_of(key), std::move(output)});
  }
  void task_succeeded(const AttemptKey& key, json::Value output) override {
    report(key.execution, engine::TaskSucceeded{attempt_of(key), std::move(output)});
  }
  void task_failed(const AttemptKey& key, std::string error, std::string cause) override {
    report(key.execution, engine::TaskFailed{attempt_of(key), std::move(error), std::move(cause)});
  }

  void send_task_success(std::string_view token, std::string_view output_text, const Actor&,
                         store::Batch with, Callback<Unit> done) override {
    Result<json::Value> output = json::parse(output_text);
    if (!output) {
      const Error bad{"InvalidOutput", "Invalid Output: '" + output.error().message + "'", "", ""};
      return loop_.post([done = or_nothing(std::move(done)), bad] { done(bad); });
    }
    answer_token(token, std::move(with), std::move(done), [&](const engine::AttemptId& attempt) {
      return engine::Stimulus(engine::TaskSucceeded{attempt, std::move(output).value()});
    });
  }
  void send_task_failure(std::string_view token, std::string error, std::string cause, const Actor&,
                         store::Batch with, Callback<Unit> done) override {
    answer_token(token, std::move(with), std::move(done), [&](const engine::AttemptId& attempt) {
      return engine::Stimulus(engine::TaskFailed{attempt, std::move(error), std::move(cause)});
    });
  }
  void send_task_heartbeat(std::string_view token, Callback<Unit> done) override {
    answer_token(token, {}, std::move(done), [](const engine::AttemptId& attempt) {
      return engine::Stimulus(engine::TaskHeartbeat{attempt});
    });
  }
  Result<AttemptKey> read_token(std::string_view token) override { return tokens_->read(token); }

  std::shared_ptr<void> poll_activity(std::string_view activity_arn, std::string worker_name,
                                      std::int64_t wait_ms, std::function<void(ActivityTask)> done) override {
    return activities_.poll(std::string(activity_arn), std::move(worker_name), wait_ms, std::move(done));
  }

  std::shared_ptr<void> observe(std::function<void(const ExecutionChange&)> callback) override {
    return watchers_.observe(std::move(callback));
  }

  Figures figures() override {
    Figures figures = shards_ ? shards_->figures() : Figures();
    const Result<store::StatusCounts> counts = store_.count_executions("");
    if (counts) figures.open_executions = counts->by_status[0];
    return figures;
  }

  Result<std::vector<std::string>> check() override { return check_store(store_); }
  Cluster* cluster() override { return options_.is_shared ? this : nullptr; }

 private:
  Status join() override {
    SORTIE_TRY_STATUS(read_identity(nullptr));
    return definitions_.load();
  }
  void lead(store::Epoch epoch) override { options_.epoch = epoch; }
  Status own(store::ShardNo no, store::Epoch epoch) override {
    if (shard_ == nullptr) SORTIE_TRY_STATUS(definitions_.load());  // What has changed since we joined.
    return shards_->own(no, epoch);
  }
  void give_up(store::ShardNo no, std::function<void()> done) override {
    shards_->give_up(no, std::move(done));
  }
  bool owns(store::ShardNo no) const override { return shards_ && shards_->at(no) != nullptr; }
  void read_inbox() override { shards_->read_inbox(); }
  void look_around() override {
    constexpr std::size_t kWaitersPerLook = 50;
    remote_->look_around();
    if (waiters_left_.empty()) waiters_left_ = watchers_.awaited();
    for (std::size_t i = 0; i < kWaitersPerLook && !waiters_left_.empty(); ++i) {
      tell_waiters(waiters_left_.back());
      waiters_left_.pop_back();
    }
  }
  void hear(const ExecutionChange& change) override {
    watchers_.tell(change);
    remote_->look_at(change.execution_arn);
    if (change.status != store::ExecutionStatus::kRunning) tell_waiters(change.execution_arn);
  }
  Status carry_out(const AttemptKey& key) override {
    if (shards_->of(key.execution) != nullptr) return {};  // It has come here meanwhile.
    const store::ShardNo no = shards_->map().of(key.execution);
    SORTIE_TRY(const bool is_done, has_inbox_answer(store_, no, key));
    if (is_done) return {};  // By an earlier leader.
    SORTIE_TRY(std::optional<TaskOrder> order,
               load_order(store_, key, *tokens_, shards_->store_id(),
                          [this](const std::string& each) { return definitions_.machine(each); }));
    if (order && order->resource->is_activity) {
      activities_.offer(order->resource->text,
                        {key, std::move(order->task_token), json::to_text(order->parameters)});
    } else if (order) {
      dispatcher_.dispatch(*std::move(order));
    }
    return {};
  }
  void call_off(const AttemptKey& key) override {
    activities_.withdraw(key);
    dispatcher_.cancel(key);
  }
  bool is_being_answered(const AttemptKey& key) override {
    const auto waits = has_inbox_answer(store_, shards_->map().of(key.execution), key);
    return !waits || *waits;
  }

  // What all nodes of a store share; made once, where `made` is given.
  Status read_identity(store::Batch* made) {
    if (shards_) return {};
    SORTIE_TRY(const Identity identity, runtime::read_identity(store_, random_, options_.is_shared, made));
    tokens_.emplace(identity.token_key);
    shards_.emplace(
        Shard::Parts{loop_, random_, store_, dispatcher_, definitions_, activities_, *tokens_, options_,
                     identity.store_id, [this](const ExecutionChange& change) { watchers_.tell(change); },
                     [this](const std::string& arn) { tell_waiters(arn); }},
        identity.map);
    remote_.emplace(Remote::Wiring{loop_, store_, options_, shards_->map()});
    return {};
  }

  void report(store::ExecutionNo no, engine::Stimulus result) {
    if (Shard* owner = shards_->of(no)) return owner->post(no, {std::move(result), {}, nullptr});
    // Where we are not the leader its next owner calls again.
    if (shard_ != nullptr) remote_->report(no, result);
  }

  // A stimulus from outside, wherever its execution is.
  void deliver(store::ExecutionNo no, Mail mail) {
    if (Shard* owner = shards_->of(no)) return owner->post(no, std::move(mail));
    remote_->deliver(no, std::move(mail));
  }
  void record_taken(const AttemptKey& key, const std::string& worker,
                    std::function<void(Activities::Taken)> taken) {
    Mail mail{engine::ActivityTaken{attempt_of(key), worker}, {}, nullptr};
    mail.reply = [taken = std::move(taken)](const Status& status, bool applied) {
      const bool is_over = status ? !applied : status.error().code == "ExecutionDoesNotExist";
      taken(is_over  ? Activities::Taken::kGone
            : status ? Activities::Taken::kYes
                     : Activities::Taken::kTryAgain);
    };
    deliver(key.execution, std::move(mail));
  }

  bool is_beginning(const std::string& arn, store::ShardNo place) const {
    return find_beginning(arn, place) != nullptr || remote_->is_starting(arn);
  }
  Shard* find_beginning(const std::string& arn, store::ShardNo place) const {
    for (Shard* shard : {shard_, shards_->at(place)}) {
      if (shard != nullptr && shard->find_beginning(arn) != 0) return shard;
    }
    return nullptr;
  }
  void after_start(const std::string& arn, store::ShardNo place, std::function<void()> callback) {
    if (Shard* shard = find_beginning(arn, place)) {
      return shard->after_commit(shard->find_beginning(arn), std::move(callback));
    }
    remote_->wait_for_start(arn, std::move(callback));
  }

  static engine::AttemptId attempt_of(const AttemptKey& key) { return {key.frame, key.entry, key.attempt}; }
  static Error unavailable(const Error& error) {
    return {"ServiceUnavailable", error.message, error.place, error.hint};
  }

  store::Batch new_batch() const { return {.epoch = options_.epoch}; }

  void write(store::Batch batch, Callback<Unit> done, std::function<void()> apply) {
    store_.append(std::move(batch), [done = std::move(done), apply = std::move(apply)](const Status& status) {
      if (!status) return done(unavailable(status.error()));
      apply();
      done(Unit{});
    });
  }

  // Tokens and keys are made of it: nothing starts on one that a failed commit lost, with all behind it.
  void write_identity(store::Batch made) {
    has_identity_ = true;
    store_.append(made, [this, made](const Status& status) {
      if (has_identity_ = status.ok(); has_identity_) return;
      loop_.call_at(loop_.now().plus_ms(500), [this, made] { write_identity(made); });
    });
  }

  store::LogLine audit(const Actor& actor, const char* action, std::string subject,
                       const std::string& definition, std::string_view reason = "") {
    return audit_line(loop_.now(), actor, action, std::move(subject), definition, reason);
  }

  Result<std::unique_ptr<LiveExecution>> prepare(StartRequest& request) {
    if (draining_) return Error{"ServiceUnavailable", "the server is stopping", "", "try again in a moment"};
    if (!has_identity_) {
      return Error{"ServiceUnavailable", "the store cannot be written", "", "try again in a moment"};
    }
    const std::string machine_arn = split_qualified_arn(request.state_machine_arn).machine_arn;
    if (shard_->is_full(machine_arn) || remote_->is_full()) {
      return Error{"ThrottlingException", "too much work is waiting", "", "try again later"};
    }
    auto made = make_live(request, definitions_, options_, random_, loop_.now());
    if (!made && made.error().code == "StoreUnavailable") return unavailable(made.error());
    return made;
  }

  template <typename MakeStimulus>
  void answer_token(std::string_view token, store::Batch with, Callback<Unit> done,
                    MakeStimulus make_stimulus) {
    done = or_nothing(std::move(done));
    const auto key = tokens_->read(token);
    if (!key) return loop_.post([done, error = key.error()] { done(error); });
    Shard* owner = shards_->of(key->execution);
    if (owner != nullptr && owner->is_full(key->execution)) {
      return loop_.post([done] { done(Error{"ThrottlingException", "too much work is waiting", "", ""}); });
    }
    Mail mail{make_stimulus(attempt_of(*key)), batch_or_none(std::move(with)), nullptr};
    mail.reply = [done](const Status& status, bool applied) {
      if (!status && status.error().code != "ExecutionDoesNotExist") return done(status.error());
      if (!status || !applied) {
        return done(Error{"TaskTimedOut", "Task Timed Out: 'Provided task does not exist anymore'", "", ""});
      }
      done(Unit{});
    };
    dispatcher_.when_handed_over(*key, [this, alive = std::weak_ptr<int>(alive_), execution = key->execution,
                                        mail = std::make_shared<Mail>(std::move(mail))] {
      if (!alive.expired()) deliver(execution, std::move(*mail));
    });
  }

  Result<ExecutionDescription> describe(const store::ExecutionRow& row, bool with_definition) {
    SORTIE_TRY(ExecutionDescription out, describe_row(store_, row, loop_.now(), with_definition));
    out.is_pending_redrive = shard_ != nullptr && shard_->map_runs().awaits_redrive(row);
    return out;
  }

  void tell_waiters(const std::string& arn) {
    watchers_.tell_end(arn, [this](const std::string& ended) -> std::optional<ExecutionDescription> {
      const Result<std::optional<store::ExecutionRow>> row = store_.find_execution(ended);
      if (row && (!*row || (*row)->status == store::ExecutionStatus::kRunning)) return std::nullopt;
      Result<ExecutionDescription> now = row ? describe(**row, false) : row.error();
      // An end is told once: who waits for it must not miss it because of a read that failed.
      if (!now && now.error().code.starts_with("Store")) {
        loop_.call_at(loop_.now().plus_ms(1'000), [this, ended, alive = std::weak_ptr<int>(alive_)] {
          if (!alive.expired()) tell_waiters(ended);
        });
      }
      return now ? std::optional(*std::move(now)) : std::nullopt;
    });
  }

  Loop& loop_;
  Random& random_;
  store::Store& store_;
  TaskDispatcher& dispatcher_;
  Options options_;
  Definitions definitions_;
  Activities activities_;
  std::optional<TaskTokens> tokens_;
  std::shared_ptr<int> alive_ = std::make_shared<int>(0);
  std::optional<Shards> shards_;
  Shard* shard_ = nullptr;  // Number 0, the leader's; null on other nodes.
  std::optional<Remote> remote_;
  Placement placement_;
  std::vector<std::string> waiters_left_;  // ARNs that are still to be looked at in this round.
  bool has_identity_ = true;
  bool draining_ = false;
  Watchers watchers_;
};

}  // namespace

std::unique_ptr<Runtime> Runtime::make(Loop& loop, Random& random, store::Store& store,
                                       TaskDispatcher& dispatcher, Options options) {
  return std::make_unique<RuntimeImpl>(loop, random, store, dispatcher, std::move(options));
}

}  // namespace sortie::runtime
