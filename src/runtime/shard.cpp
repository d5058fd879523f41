#include "runtime/shard.h"

#include <algorithm>
#include <charconv>
#include <iterator>

#include "base/canary.h"
#include "json/text.h"

namespace sortie::runtime {
namespace {

constexpr std::size_t kMailsPerCommit = 256;
constexpr std::size_t kTimersAtOnce = 500;

template <typename T>
void append_all(std::vector<T>& to, std::vector<T>& from) {
  if (to.empty()) return std::swap(to, from);  // One stimulus a decision is the rule.
  to.insert(to.end(), std::make_move_iterator(from.begin()), std::make_move_iterator(from.end()));
}

// Results that only we know must not be lost with a failed commit; whoever asked from outside asks again.
bool is_ours_alone(const Mail& mail) { return mail.reply == nullptr; }

std::string idempotency_key(std::string_view store_id, const AttemptKey& key) {
  std::string text;
  text.reserve(store_id.size() + 40);
  text += store_id;
  for (const std::uint64_t part :
       {key.execution, std::uint64_t{key.frame}, std::uint64_t{key.entry}, std::uint64_t{key.attempt}}) {
    char digits[20];
    text += '-';
    text.append(digits, std::to_chars(digits, digits + sizeof digits, part).ptr);
  }
  return text;
}

}  // namespace

void merge(store::Batch& to, store::Batch&& from) {
  append_all(to.executions, from.executions);
  append_all(to.frames, from.frames);
  append_all(to.documents, from.documents);
  append_all(to.documents_gone, from.documents_gone);
  append_all(to.log, from.log);
}

AttemptKey key_of(store::ExecutionNo no, const engine::AttemptId& attempt) {
  return {no, attempt.frame, attempt.entry, attempt.attempt};
}

Shard::Shard(Wiring wiring)
    : wiring_(std::move(wiring)), map_runs_(*this), audit_(*this), term_backfill_(*this) {}

Shard::~Shard() {
  if (timer_ != 0) wiring_.loop.cancel(timer_);
}

engine::Context Shard::context(const LiveExecution& live) const {
  return {wiring_.loop.now(), &wiring_.random, [this, no = live.no](const engine::AttemptId& attempt) {
            return wiring_.tokens.make(key_of(no, attempt));
          }};
}

bool Shard::is_full(const std::string& machine_arn) const {
  const std::size_t most = wiring_.options.mailbox_max;
  const auto found = pending_.find(machine_arn);
  const std::size_t own = found == pending_.end() ? 0 : found->second;
  // The results of what the others have running count, too, and must not shut out who has next to nothing.
  const bool is_small = own < most / 16;
  return own >= std::max<std::size_t>(most / 2, 1) || mails_ >= (is_small ? 2 * most : most);
}

bool Shard::is_full(store::ExecutionNo no) const {
  const auto found = live_.find(no);
  return is_full(found == live_.end() ? std::string() : found->second->state.state_machine_arn);
}

LiveExecution& Shard::admit(std::unique_ptr<LiveExecution> live) {
  live->pending = &pending_[live->state.state_machine_arn];
  live->used = ++use_counter_;
  LiveExecution& owned = *live;
  live_.emplace(owned.no, std::move(live));
  return owned;
}

void Shard::take_in(LiveExecution& live, Mail mail) {
  live.mailbox.push_back(std::move(mail));
  ++mails_;
  ++*live.pending;
}

void Shard::count_done(const LiveExecution& live, std::size_t mails) {
  mails_ -= mails;
  *live.pending -= mails;
}

void Shard::begin(std::unique_ptr<LiveExecution> live, Mail start) {
  if (live_.contains(live->no)) {
    // Somebody else gave this number to what was read here: the shard is lost, and we have yet to hear of it.
    wiring_.loop.post([reply = std::move(start.reply)] {
      if (reply) reply(Status(Error{"ServiceUnavailable", "another process has the shard", "", ""}), false);
    });
    return;
  }
  LiveExecution& owned = admit(std::move(live));
  beginning_.emplace(owned.state.arn, owned.no);
  // One that is redriven before recovery comes by has nothing to be recovered.
  if (owned.no > recovered_ && owned.no <= recovery_end_) recovered_early_.insert(owned.no);
  take_in(owned, std::move(start));
  ++figures_.started;
  process(owned);
}

store::ExecutionNo Shard::find_beginning(std::string_view arn) const {
  const auto found = beginning_.find(std::string(arn));
  return found == beginning_.end() ? 0 : found->second;
}

void Shard::after_commit(store::ExecutionNo no, std::function<void()> callback) {
  after_commit_[no].push_back(std::move(callback));
}

LiveExecution* Shard::find_or_load(store::ExecutionNo no, Error* error) {
  const auto found = live_.find(no);
  if (found != live_.end()) {
    found->second->used = ++use_counter_;
    return found->second.get();
  }
  auto loaded = load_live(wiring_.store, no,
                          [this](const std::string& key) { return wiring_.definitions.machine(key); });
  if (!loaded) {
    *error = loaded.error();
    return nullptr;
  }
  LiveExecution& live = admit(std::move(loaded).value());
  live.state.region = wiring_.options.region;
  recover_early(no);
  return &live;
}

bool Shard::is_in_motion(store::ExecutionNo no) const {
  const auto found = live_.find(no);
  return found != live_.end() &&
         (found->second->decision || !found->second->mailbox.empty() || !found->second->started);
}

void Shard::post(store::ExecutionNo no, Mail mail) {
  if (given_up_) {
    if (mail.reply) {
      wiring_.loop.post([reply = std::move(mail.reply)] {
        reply(Status(Error{"ServiceUnavailable", "the execution moves to another node", "", "try again"}),
              false);
      });
    }
    return;
  }
  Error error;
  LiveExecution* live = find_or_load(no, &error);
  if (live == nullptr) {
    if (mail.reply) {
      wiring_.loop.post([reply = std::move(mail.reply), error] { reply(Status(error), false); });
    } else if (error.code != "ExecutionDoesNotExist") {
      // A read that failed is no answer: what only we know is delivered again.
      wiring_.loop.call_at(wiring_.loop.now().plus_ms(kRetryStoreMs),
                           [this, no, kept = std::move(mail)]() mutable { post(no, std::move(kept)); });
    }
    return;
  }
  take_in(*live, std::move(mail));
  process(*live);
}

Decision Shard::decide(LiveExecution& live, store::Batch& batch) {
  Decision decision;
  decision.began = !live.started;
  std::set<engine::FrameNo> touched, gone;
  std::vector<engine::HistoryEvent> events;
  const engine::Context now = context(live);
  const std::int64_t first_event = live.state.last_event_id + 1;
  while (!live.mailbox.empty() && decision.mails.size() < kMailsPerCommit) {
    Mail mail = std::move(live.mailbox.front());
    live.mailbox.pop_front();
    engine::Advance step = engine::advance(live.state, mail.stimulus, now);
    decision.transitions += step.transitions;
    append_all(events, step.events);
    append_all(decision.commands, step.commands);
    append_all(decision.ready, step.ready);
    if (const auto* fired = std::get_if<engine::TimerFired>(&mail.stimulus);
        fired != nullptr && !step.applied)
      rearm(live, fired->frame, decision);
    touched.merge(step.touched);
    for (const engine::FrameNo no : step.gone) {
      touched.erase(no);
      gone.insert(no);
    }
    decision.ended = decision.ended || step.ended;
    if (mail.with && (step.applied || !mail.reply))
      merge(batch, std::move(*std::exchange(mail.with, nullptr)));
    decision.mails.emplace_back(std::move(mail), step.applied);
    if (events.size() >= engine::kEventsPerAdvance) break;
  }
  note_timers(live, touched, gone, decision);
  decision.last_event_id = live.state.last_event_id;
  if (live.in_memory_only) {
    decision.logged = logged_events(live, std::move(events));
    return decision;
  }
  live.payloads.texts = &texts_;
  if (!events.empty()) {
    batch.history.push_back({live.no, first_event, static_cast<std::int32_t>(events.size()),
                             engine::encode_events(events, live.payloads)});
  }
  if (!decision.ended) write_frames(live, touched, gone, batch);  // Else all frames go with the execution.
  if (!live.started || decision.ended) {
    batch.executions.push_back(execution_row(live));
    if (wiring_.store.keeps_terms()) add_terms(live, batch);
    note_status(live, decision, batch);
  }
  if (decision.ended) batch.ended.push_back(live.no);
  live.payloads.texts = nullptr;
  decision.logged = logged_events(live, std::move(events));
  batch.payloads = live.payloads.take_fresh();
  for (store::PayloadRow& row : batch.payloads) row.execution = live.no;
  return decision;
}

// What leaves for the logs does so after the commit, like everything else.
std::shared_ptr<const LoggedEvents> Shard::logged_events(const LiveExecution& live,
                                                         std::vector<engine::HistoryEvent> events) const {
  const StateMachineRecord* record = wiring_.definitions.find(live.state.state_machine_arn);
  if (events.empty() || record == nullptr || !record->logging_configuration.is_object()) return nullptr;
  const json::Value& level = record->logging_configuration.get("level");
  if (!level.is_string() || level.as_string() == "OFF") return nullptr;
  return std::make_shared<const LoggedEvents>(LoggedEvents{live.state.state_machine_arn,
                                                           record->logging_configuration,
                                                           live.state.redrive_count, std::move(events)});
}

void Shard::note_status(const LiveExecution& live, const Decision& decision, store::Batch& batch) const {
  const engine::Execution& state = live.state;
  if (!wiring_.options.on_status_change) return;
  wiring_.options.on_status_change(
      {state.arn, live.actor, status_of(state.outcome), decision.began, decision.ended, state.redrive_count,
       state.started_at, state.redriven_at, state.stopped_at, state.error, state.cause},
      batch);
}

void Shard::note_timers(const LiveExecution& live, const std::set<engine::FrameNo>& touched,
                        const std::set<engine::FrameNo>& gone, Decision& decision) {
  for (const engine::FrameNo no : gone) decision.timers.emplace_back(store::FrameKey{live.no, no}, kNever);
  for (const engine::FrameNo no : touched) {
    const auto found = live.state.frames.find(no);
    if (found == live.state.frames.end()) continue;
    decision.timers.emplace_back(store::FrameKey{live.no, no}, engine::wake_at(live.state, found->second));
  }
}

void Shard::write_frames(LiveExecution& live, const std::set<engine::FrameNo>& touched,
                         const std::set<engine::FrameNo>& gone, store::Batch& batch) {
  const std::size_t before = batch.frames.size();
  batch.frames.reserve(before + touched.size());
  for (const engine::FrameNo no : touched) {
    const auto found = live.state.frames.find(no);
    if (found == live.state.frames.end()) continue;
    const engine::Frame& frame = found->second;
    const Timestamp due = SORTIE_CANARY_IS("timer-dropped") ? kNever : engine::wake_at(live.state, frame);
    batch.frames.push_back(
        {{live.no, no}, due, engine::encode_frame(live.state, frame, live.payloads, kFrameHeadroom)});
  }
  // Each says the next payload's number as it is when all of them are encoded.
  for (std::size_t i = before; i < batch.frames.size(); ++i) {
    put_next_payload(batch.frames[i].image, live.payloads.next());
  }
  for (const engine::FrameNo no : gone) batch.frames_gone.push_back({live.no, no});
}

// The clock went back between a timer's firing and here: it has to fire again.
void Shard::rearm(const LiveExecution& live, engine::FrameNo no, Decision& decision) const {
  const auto found = live.state.frames.find(no);
  if (found == live.state.frames.end()) return;
  const Timestamp due = engine::wake_at(live.state, found->second);
  if (due != kNever && due > wiring_.loop.now())
    decision.timers.emplace_back(store::FrameKey{live.no, no}, due);
}

store::ExecutionRow execution_row(LiveExecution& live) {
  const engine::Execution& state = live.state;
  live.image.deadline = state.deadline;
  live.image.last_event_id = state.last_event_id;
  live.image.redrive_count = state.redrive_count;
  live.image.redriven_at = state.redriven_at;
  live.image.left_behind = encode_left_behind(live);
  live.image.error = state.error;
  live.image.cause = state.cause;
  if (state.outcome == engine::Outcome::kSucceeded) {
    std::optional<std::string> as_given = engine::text_as_given(state, state.output);
    live.image.output_text = as_given ? std::move(*as_given) : json::to_text(state.output);
  }
  const std::string& list = live.listed_under.empty() ? state.state_machine_arn : live.listed_under;
  return {live.no,
          state.arn,
          list,
          state.name,
          status_of(state.outcome),
          state.started_at,
          state.stopped_at,
          engine::encode_execution(live.image)};
}

void Shard::process(LiveExecution& live) {
  if (live.decision || live.mailbox.empty() || given_up_) return;
  if (live.started && live.state.outcome != engine::Outcome::kRunning)
    return;  // finish() answers what is left.
  store::Batch batch;
  batch.shard = wiring_.no;
  batch.epoch = epoch_;
  if (live.given_by_leader && !live.started) batch.leader_epoch = wiring_.options.epoch;
  live.decision.emplace(decide(live, batch));
  ++committing_;
  const store::ExecutionNo no = live.no;
  const auto& mails = live.decision->mails;
  const bool is_heard =
      std::any_of(mails.begin(), mails.end(), [](const auto& each) { return !!each.first.reply; });
  if (batch.empty() && !is_heard) {
    // Nothing to write (a late report, an early timer). Where somebody hears the answer the store is asked
    // all the same: one that lost the shard must not refuse, by what it remembers, what its successor waits
    // for.
    wiring_.loop.post([this, no] { committed(no, Status()); });
    return;
  }
  if (SORTIE_CANARY_IS("effect-before-commit")) {
    for (const engine::Command& command : live.decision->commands) {
      if (const auto* invoke = std::get_if<engine::InvokeTask>(&command)) dispatch(live, invoke->attempt);
    }
  }
  wiring_.store.append(std::move(batch), [this, no](const Status& status) { committed(no, status); });
}

void Shard::committed(store::ExecutionNo no, const Status& status) {
  --committing_;
  LiveExecution& live = *live_.at(no);
  Decision decision = *std::move(live.decision);
  live.decision.reset();
  count_done(live, decision.mails.size());
  if (!status) {
    commit_failed(live, decision, status.error());
  } else {
    if (!live.started) {
      live.started = true;
      beginning_.erase(live.state.arn);
    }
    release(live, decision);
  }
  run_after_commit(no);
  nothing_uncommitted();
}

void Shard::release(LiveExecution& live, Decision& decision) {
  const store::ExecutionNo no = live.no;
  figures_.transitions += decision.transitions;
  for (const engine::Command& command : decision.commands) {
    if (const auto* invoke = std::get_if<engine::InvokeTask>(&command)) {
      dispatch(live, invoke->attempt);
    } else if (const auto* run = std::get_if<engine::StartMapRun>(&command)) {
      map_runs_.start(live, run->attempt);
    } else if (const auto* stop = std::get_if<engine::StopMapRun>(&command)) {
      map_runs_.stop(no, stop->attempt);
    } else {
      const AttemptKey key = key_of(no, std::get<engine::CancelTask>(command).attempt);
      wiring_.activities.withdraw(key);
      wiring_.dispatcher.cancel(key);
    }
  }
  for (const auto& [key, due] : decision.timers) timers_.set(key, due);
  if (!decision.timers.empty()) arm();
  if (!decision.ready.empty()) {
    live.mailbox.push_front({engine::Continue{decision.ready}, {}, nullptr});
    ++mails_;
    ++*live.pending;
  }
  const ExecutionChange change{live.state.arn,
                               status_of(live.state.outcome),
                               decision.last_event_id,
                               decision.began,
                               false,
                               live.state.started_at,
                               live.state.stopped_at,
                               live.state.redrive_count,
                               live.state.redriven_at,
                               decision.logged};
  const bool over = decision.ended;
  for (auto& [mail, applied] : decision.mails) {
    if (mail.reply) mail.reply(Status(), applied);
  }
  wiring_.changed(change);
  if (over) {
    finish(live);
  } else {
    process(live);
    forget_idle();
  }
}

void Shard::finish(LiveExecution& live) {
  ++figures_.ended;
  const std::string arn = live.state.arn;
  const std::optional<MapChild> map_child = live.map_child;
  const store::ExecutionStatus status = status_of(live.state.outcome);
  std::deque<Mail> late = std::move(live.mailbox);
  count_done(live, late.size());
  if (live.when_over) live.when_over(live);
  live_.erase(live.no);
  for (Mail& mail : late) {
    if (mail.reply) mail.reply(Status(), false);
  }
  wiring_.ended(arn);
  if (map_child) map_runs_.child_ended(*map_child, status);
}

void Shard::append(store::Batch batch, store::Store::Done done) {
  batch.shard = wiring_.no;
  batch.epoch = epoch_;
  ++committing_;
  wiring_.store.append(std::move(batch), [this, done = std::move(done)](const Status& status) {
    --committing_;
    done(status);
    nothing_uncommitted();
  });
}

void Shard::commit_failed(LiveExecution& live, Decision& decision, const Error& error) {
  ++figures_.commit_failures;
  const store::ExecutionNo no = live.no;
  const bool was_started = live.started;
  std::deque<Mail> kept, refused;
  bool begins = false;
  for (auto& [mail, applied] : decision.mails) {
    begins = begins || std::holds_alternative<engine::Start>(mail.stimulus) ||
             std::holds_alternative<engine::Redrive>(mail.stimulus);
    (is_ours_alone(mail) ? kept : refused).push_back(std::move(mail));
  }
  count_done(live, live.mailbox.size());
  for (Mail& mail : live.mailbox) kept.push_back(std::move(mail));
  beginning_.erase(live.state.arn);
  if (SORTIE_CANARY_IS("result-forgotten")) kept.clear();
  if (SORTIE_CANARY_IS("memory-ahead-of-disk") && was_started) return;
  live_.erase(no);
  // Whoever is refused may ask again within the answer: by now that finds what is durable, not what was
  // decided.
  for (const Mail& mail : refused) {
    mail.reply(Status(Error{"ServiceUnavailable", "the change could not be written: " + error.message, "",
                            error.hint}),
               false);
  }
  if (error.code == "LimitExceeded" && wiring_.map.count > 1 && begins) too_large_[no] = error.message;
  if (!was_started) {
    for (const Mail& mail : kept) {  // Notes of an inbox; they are taken again after the start.
      if (mail.reply) mail.reply(Status(Error{"ServiceUnavailable", error.message, "", ""}), false);
    }
    return;
  }
  if (error.code == "LimitExceeded") {  // The same would be decided and refused for ever.
    kept.clear();
    kept.push_back({engine::Fail{"States.Runtime", "the next change could not be written: " + error.message},
                    {},
                    nullptr});
  }
  // Load it again and go on from what is durable, a little later.
  wiring_.loop.call_at(wiring_.loop.now().plus_ms(kRetryStoreMs),
                       [this, no, kept = std::move(kept)]() mutable {
                         for (Mail& mail : kept) post(no, std::move(mail));
                       });
}

void Shard::nothing_uncommitted() {
  if (committing_ != 0) return;
  if (drained_) std::exchange(drained_, nullptr)();
  if (given_up_ && gone_) let_go();
}

void Shard::run_after_commit(store::ExecutionNo no) {
  const auto found = after_commit_.find(no);
  if (found == after_commit_.end()) return;
  const std::vector<std::function<void()>> callbacks = std::move(found->second);
  after_commit_.erase(found);
  for (const auto& callback : callbacks) callback();
}

std::optional<TaskOrder> make_order(LiveExecution& live, const engine::AttemptId& attempt,
                                    const TaskTokens& tokens, const std::string& store_id) {
  const auto found = live.state.frames.find(attempt.frame);
  if (found == live.state.frames.end() || engine::waiting_attempt(found->second) != attempt)
    return std::nullopt;
  const engine::Frame& frame = found->second;
  const asl::State& state = live.state.state_of(frame);
  // Another node may ask for what is no task, where an older message of its reaches us late.
  const auto* const body = std::get_if<asl::Task>(&state.body);
  const auto* const task = std::get_if<engine::InTask>(&frame.phase);
  if (body == nullptr || task == nullptr) return std::nullopt;
  if (!live.origin) {
    live.origin = TaskOrigin{live.state.arn,  live.state.state_machine_arn,
                             live.state.name, live.state.role_arn,
                             live.test_case,  live.actor};
  }
  const AttemptKey key = key_of(live.no, attempt);
  const bool has_token =
      body->resource.pattern == asl::TaskPattern::kWaitForTaskToken || body->resource.is_activity;
  // Name and resource are parts of the definition, which they keep alive.
  const std::shared_ptr<const asl::StateMachine>& machine = live.state.machine;
  return TaskOrder{.key = key,
                   .idempotency_key = idempotency_key(store_id, key),
                   .origin = *live.origin,
                   .state_name = Shared(std::shared_ptr<const std::string>(machine, &state.name)),
                   .resource = Shared(std::shared_ptr<const asl::TaskResource>(machine, &body->resource)),
                   .parameters = task->parameters,
                   .credentials = task->credentials,
                   .task_token = has_token ? tokens.make(key) : std::string(),
                   .deadline = task->deadline,
                   .redrive_count = live.state.redrive_count};
}

void Shard::dispatch(LiveExecution& live, const engine::AttemptId& attempt) {
  if (giving_up_ || draining_) return;  // The next owner, or our next life, does it.
  if (answered_.contains(key_of(live.no, attempt))) return;
  std::optional<TaskOrder> order = make_order(live, attempt, wiring_.tokens, wiring_.store_id);
  if (!order) return;
  if (order->resource->is_activity) {
    wiring_.activities.offer(order->resource->text,
                             {order->key, order->task_token, json::to_text(order->parameters)});
    if (wiring_.map.count == 1) return;  // Else workers may poll at another node, which has to be told.
  }
  wiring_.dispatcher.dispatch(*std::move(order));
}

// Far more open executions than fit in memory is normal; those that only wait are read back when they are
// needed.
void Shard::forget_idle() {
  if (live_.size() <= std::max(wiring_.options.open_in_memory_max, forget_above_)) return;
  std::vector<std::pair<std::uint64_t, store::ExecutionNo>> idle;
  for (const auto& [no, live] : live_) {
    if (!live->decision && live->mailbox.empty() && live->started && !live->in_memory_only)
      idle.emplace_back(live->used, no);
  }
  const std::size_t surplus =
      std::min(idle.size(), live_.size() - wiring_.options.open_in_memory_max * 3 / 4);
  std::nth_element(idle.begin(), idle.begin() + static_cast<std::ptrdiff_t>(surplus), idle.end());
  for (std::size_t i = 0; i < surplus; ++i) live_.erase(idle[i].second);
  forget_above_ = live_.size() + live_.size() / 4;  // Where most are busy, looking again at once is no use.
}

void Shard::arm() {
  const Timestamp next = timers_.next();
  if (next >= armed_for_) return;
  if (timer_ != 0) wiring_.loop.cancel(timer_);
  armed_for_ = next;
  timer_ = wiring_.loop.call_at(armed_for_, [this] { fire_due_timers(); });
}

void Shard::fire_due_timers() {
  timer_ = 0;
  armed_for_ = kNever;
  const Timestamp now = wiring_.loop.now();
  for (std::size_t fired = 0; fired < kTimersAtOnce; ++fired) {
    const std::optional<store::FrameKey> key = timers_.take_due(now);
    if (!key) break;
    post(key->execution, {engine::TimerFired{key->frame}, {}, nullptr});
  }
  arm();  // Of more that are due: at once, after what else the loop has to do.
}

void Shard::drain(std::function<void()> done) {
  draining_ = true;
  map_runs_.drain();
  if (committing_ == 0) return wiring_.loop.post(std::move(done));
  drained_ = std::move(done);
}

Runtime::Figures Shard::figures() const {
  Runtime::Figures figures = figures_;
  figures.in_memory = live_.size();
  figures.timers = timers_.size();
  figures.mailbox = mails_;
  figures.frames_audited = audit_.frames;
  figures.audit_cycles = audit_.cycles;
  figures.frames_stuck = audit_.stuck;
  return figures;
}

}  // namespace sortie::runtime
