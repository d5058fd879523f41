// A shard among several nodes: what others left in its inbox, and its way to another node.
#include <utility>

#include "runtime/shard.h"

namespace sortie::runtime {
namespace shard_inbox {

constexpr std::int64_t kCallsMs = 2'000;  // For what is under way when a shard is given up.
constexpr std::int64_t kLookMs = 20;

}  // namespace shard_inbox

// A note is taken once: it goes with the decision that it causes, or by itself where it causes none. A
// failed commit leaves it where it is, to be taken again.
void Shard::take(const InboxNote& note) {
  if (giving_up_ || draining_ || !notes_.insert(note.key).second) return;
  Mail mail;
  mail.with = std::make_shared<store::Batch>(note.with());
  mail.with->documents_gone.emplace_back(std::string(kInboxKind), note.key);
  mail.reply = [this, note](const Status& status, bool applied) {
    if (status.ok() ? applied : status.error().code != "ExecutionDoesNotExist") {
      notes_.erase(note.key);
    } else {
      discard(note);
    }
  };
  if (note.kind() == "start") return take_start(note, std::move(mail));
  if (note.kind() == "redrive") return take_redrive(note, std::move(mail));
  std::optional<engine::Stimulus> stimulus = stimulus_of(note);
  if (!stimulus) return discard(note);
  if (const std::optional<AttemptKey> key = attempt_of(note.no, *stimulus)) {
    wiring_.dispatcher.answered(*key);
    wiring_.activities.withdraw(*key);
    answered_.insert(*key);
    mail.reply = [this, key = *key, done = std::move(mail.reply)](const Status& status, bool applied) {
      answered_.erase(answered_.find(key));
      done(status, applied);
    };
  }
  mail.stimulus = *std::move(stimulus);
  post(note.no, std::move(mail));
}

void Shard::take_start(const InboxNote& note, Mail mail) {
  if (live_.contains(note.no)) return;
  const auto row = wiring_.store.find_execution(note.no);
  if (!row) {
    notes_.erase(note.key);
    return;
  }
  if (!*row || (*row)->status != store::ExecutionStatus::kRunning) return discard(note);
  auto live =
      load_unbegun(**row, [this](const std::string& key) { return wiring_.definitions.machine(key); });
  if (!live) {
    ++figures_.unreadable_frames;  // It stays, and `check` names it.
    return;
  }
  (*live)->state.region = wiring_.options.region;
  mail.stimulus = engine::Start{};
  if (const auto refused = too_large_.extract(note.no)) {  // The same would be decided and refused for ever.
    mail.stimulus = engine::Fail{"States.Runtime", "the start could not be written: " + refused.mapped()};
  }
  follow_record((*live)->state.state_machine_arn, note.what.get("logged"));
  begin(*std::move(live), std::move(mail));
}

// The leader keeps the records. Here one counts only where its executions are logged.
void Shard::follow_record(const std::string& machine_arn, const json::Value& is_logged) {
  const StateMachineRecord* known = wiring_.definitions.find(machine_arn);
  const bool was_logged = known != nullptr && known->logging_configuration.is_object();
  if (!was_logged && is_logged != json::Value(true)) return;
  static_cast<void>(wiring_.definitions.reload(machine_arn));  // What cannot be read now stays as it was.
}

void Shard::take_redrive(const InboxNote& note, Mail mail) {
  const auto row = wiring_.store.find_execution(note.no);
  if (!row) {
    notes_.erase(note.key);
    return;
  }
  if (!*row || too_large_.erase(note.no) != 0) return discard(note);
  if (live_.contains(note.no)) {
    if ((*row)->status == store::ExecutionStatus::kRunning) return discard(note);
    notes_.erase(note.key);  // Its end is in the store, and is about to be told here: taken again after that.
    return;
  }
  auto live = load_left_behind(wiring_.store, **row, wiring_.loop.now(),
                               [this](const std::string& key) { return wiring_.definitions.machine(key); });
  if (!live && live.error().code != "ExecutionNotRedrivable") {
    notes_.erase(note.key);
    return;
  }
  if (!live) return discard(note);
  (*live)->state.region = wiring_.options.region;
  Extra extra = decode_extra((*live)->image.extra);
  if (const json::Value& token = note.what.get("token"); token.is_string()) {
    extra.remember_redrive(token.to_std_string(), wiring_.loop.now());
  }
  (*live)->image.extra = encode_extra(extra);
  mail.stimulus = engine::Redrive{};
  begin(*std::move(live), std::move(mail));
}

void Shard::discard(const InboxNote& note) {
  store::Batch batch;
  batch.documents_gone.emplace_back(std::string(kInboxKind), note.key);
  if (note.asks()) batch.documents.push_back({std::string(kRefusedKind), note.key, "{}"});
  append(std::move(batch), [this, key = note.key](const Status&) { notes_.erase(key); });
}

void Shard::give_up(std::function<void()> done) {
  giving_up_ = true;
  gone_ = std::move(done);
  wait_for_calls(shard_inbox::kCallsMs);
}

// A call that ends here is not made again by the next owner.
void Shard::wait_for_calls(std::int64_t left_ms) {
  const bool waits = wiring_.dispatcher.holds_any(
      [this](store::ExecutionNo no) { return wiring_.map.of(no) == wiring_.no; });
  if (waits && left_ms > 0) {
    wiring_.loop.call_at(wiring_.loop.now().plus_ms(shard_inbox::kLookMs),
                         [this, left_ms] { wait_for_calls(left_ms - shard_inbox::kLookMs); });
    return;
  }
  given_up_ = draining_ = true;
  map_runs_.drain();
  if (timer_ != 0) wiring_.loop.cancel(timer_);
  timer_ = 0;
  wiring_.loop.post([this] { nothing_uncommitted(); });
}

void Shard::let_go() {
  const Status moved(Error{"ServiceUnavailable", "the execution moves to another node", "", "try again"});
  std::vector<Mail> left;
  for (auto& [no, live] : live_) {
    for (Mail& mail : live->mailbox) left.push_back(std::move(mail));
  }
  live_.clear();
  wiring_.activities.withdraw_of([this](store::ExecutionNo no) { return wiring_.map.of(no) == wiring_.no; });
  beginning_.clear();
  timers_ = {};
  for (const Mail& mail : left) {
    if (mail.reply) mail.reply(moved, false);
  }
  const auto waiting = std::exchange(after_commit_, {});
  for (const auto& [no, callbacks] : waiting) {
    for (const auto& callback : callbacks) callback();
  }
  std::exchange(gone_, nullptr)();
}

}  // namespace sortie::runtime
