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
  mail.with = std::make_shared<store::Batch>();
  mail.with->documents_gone.emplace_back(std::string(kInboxKind), note.key);
  mail.reply = [this, key = note.key](const Status& status, bool applied) {
    if (status.ok() ? applied : status.error().code != "ExecutionDoesNotExist") {
      notes_.erase(key);
    } else {
      discard(key);
    }
  };
  if (note.kind() == "start") return take_start(note, std::move(mail));
  if (note.kind() == "redrive") return take_redrive(note, std::move(mail));
  std::optional<engine::Stimulus> stimulus = stimulus_of(note);
  if (!stimulus) return discard(note.key);
  if (const std::optional<AttemptKey> key = attempt_of(note.no, *stimulus)) wiring_.dispatcher.answered(*key);
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
  if (!*row || (*row)->status != store::ExecutionStatus::kRunning) return discard(note.key);
  auto live =
      load_unbegun(**row, [this](const std::string& key) { return wiring_.definitions.machine(key); });
  if (!live) {
    ++figures_.unreadable_frames;  // It stays, and `check` names it.
    return;
  }
  (*live)->state.region = wiring_.options.region;
  mail.stimulus = engine::Start{};
  begin(*std::move(live), std::move(mail));
}

void Shard::take_redrive(const InboxNote& note, Mail mail) {
  const auto row = wiring_.store.find_execution(note.no);
  if (!row) {
    notes_.erase(note.key);
    return;
  }
  if (!*row) return discard(note.key);
  if (live_.contains(note.no)) {
    if ((*row)->status == store::ExecutionStatus::kRunning) return discard(note.key);
    notes_.erase(note.key);  // Its end is in the store, and is about to be told here: taken again after that.
    return;
  }
  auto live = load_left_behind(wiring_.store, **row, wiring_.loop.now(),
                               [this](const std::string& key) { return wiring_.definitions.machine(key); });
  if (!live && live.error().code != "ExecutionNotRedrivable") {
    notes_.erase(note.key);
    return;
  }
  if (!live) return discard(note.key);
  (*live)->state.region = wiring_.options.region;
  Extra extra = decode_extra((*live)->image.extra);
  if (const json::Value& token = note.what.get("token"); token.is_string()) {
    extra.remember_redrive(token.to_std_string(), wiring_.loop.now());
  }
  (*live)->image.extra = encode_extra(extra);
  mail.stimulus = engine::Redrive{};
  begin(*std::move(live), std::move(mail));
}

void Shard::discard(const std::string& note) {
  store::Batch batch;
  batch.documents_gone.emplace_back(std::string(kInboxKind), note);
  append(std::move(batch), [this, note](const Status&) { notes_.erase(note); });
}

void Shard::give_up(std::function<void()> done) {
  giving_up_ = true;
  gone_ = std::move(done);
  wait_for_calls(wiring_.loop.now().plus_ms(shard_inbox::kCallsMs));
}

// A call that ends here is not made again by the next owner.
void Shard::wait_for_calls(Timestamp until) {
  const Timestamp now = wiring_.loop.now();
  const bool waits = wiring_.dispatcher.holds_any(
      [this](store::ExecutionNo no) { return wiring_.map.of(no) == wiring_.no; });
  if (waits && now < until) {
    wiring_.loop.call_at(now.plus_ms(shard_inbox::kLookMs), [this, until] { wait_for_calls(until); });
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
