// Schedules: a tick is one batch of its event, its deliveries and the time it stands for.
#include <algorithm>

#include "base/hash.h"
#include "events/event_bus.h"
#include "events/event_bus_impl.h"
#include "json/text.h"

namespace sortie::events {

namespace event_bus_ticks_detail {
constexpr std::int64_t kTickRetryMs = 1'000;
constexpr std::int64_t kSweepMs = 600'000;
constexpr std::size_t kSweepRowsMax = 500;
const schedule::Utc kUtc;
}  // namespace event_bus_ticks_detail

using namespace event_bus_ticks_detail;

Status EventBus::load_ticks() {
  std::string after;
  while (true) {
    SORTIE_TRY(const auto page, store_.list_documents(kTickKind, after, 500));
    for (const store::Document& document : page) {
      const auto value = json::parse(document.value);
      if (!value || !value->get("lastMs").is_integer()) {
        return Error{"StoreCorrupt", "A stored tick cannot be read"};
      }
      ticks_[document.key] = Timestamp{value->get("lastMs").as_integer()};
      after = document.key;
    }
    if (page.size() < 500) return {};
  }
}

void EventBus::schedule_rule(const RulePointer& rule) {
  const std::string key = rule->rule.key();
  std::erase_if(due_, [&key](const auto& due) { return due.second == key; });
  if (rule->schedule && rule->rule.is_enabled()) {
    const auto last = ticks_.find(key);
    const Timestamp from =
        last == ticks_.end() ? rule->rule.anchor : std::max(last->second, rule->rule.anchor);
    const auto next = rule->schedule->next_after(from, rule->rule.anchor, kUtc);
    if (next) due_.emplace(*next, key);
  }
  arm_ticks();
}

void EventBus::arm_ticks() {
  loop_.cancel(tick_timer_);
  tick_timer_ = 0;
  if (stopped_ || due_.empty()) return;
  tick_timer_ = loop_.call_at(due_.begin()->first, [this, alive = alive_] {
    if (!*alive) return;
    tick_timer_ = 0;
    fire_due_ticks();
  });
}

void EventBus::fire_due_ticks() {
  const Timestamp now = loop_.now();
  while (!due_.empty() && due_.begin()->first <= now) {
    const auto [due, key] = *due_.begin();
    due_.erase(due_.begin());
    const RulePointer rule = find_rule(key);
    if (rule && rule->rule.is_enabled() && firing_.insert(key).second) fire(rule, due);
  }
  arm_ticks();
}

void EventBus::fire(const RulePointer& rule, Timestamp due) {
  const std::string key = rule->rule.key();
  const Timestamp now = loop_.now();
  const auto following = rule->schedule->next_after(due, rule->rule.anchor, kUtc);
  // Where more than one tick was missed, this one stands for all of them.
  const Timestamp last = following && *following <= now ? now : due;
  const Event event = make_scheduled_event(rule->rule, make_uuid(random_), options_.region, due);
  Acceptance acceptance;
  acceptance.batch = lease_.batch();
  acceptance.batch.documents.push_back(
      {std::string(kTickKind), key, json::to_text(json::Value::object({{"lastMs", last.ms}}))});
  std::vector<RuleMatch> matches;
  matches.push_back(match_rule(event, rule, now));
  matches.back().dedup_key.clear();
  add_event(event, std::move(matches), "", acceptance);
  commit(std::move(acceptance), [this, key, last](Status status) {
    firing_.erase(key);
    const RulePointer current = find_rule(key);
    if (!status) {
      // Nothing was written; the same tick is tried again.
      due_.emplace(loop_.now().plus_ms(kTickRetryMs), key);
      return arm_ticks();
    }
    ++figures_.ticks;
    if (!current) return;
    // A rule that was changed meanwhile has a new anchor; its own schedule decides what is next.
    ticks_[key] = std::max(last, current->rule.anchor);
    schedule_rule(current);
  });
}

void EventBus::sweep() {
  const Timestamp now = loop_.now();
  bool more = false;
  const std::vector<std::string> gone = dedup_.sweep(now, kSweepRowsMax);
  if (!gone.empty()) {
    store::Batch batch = lease_.batch();
    for (const std::string& hash : gone) batch.documents_gone.emplace_back(std::string(kDedupKind), hash);
    store_.append(std::move(batch), [](Status) {});  // What stays behind is dropped after the next start.
    more = gone.size() == kSweepRowsMax;
  }
  if (options_.retention_ms > 0) {
    for (const std::string_view stream : {kEventStream, kDeliveryStream}) {
      const auto deleted =
          store_.delete_log_before(stream, now.plus_ms(-options_.retention_ms), kSweepRowsMax);
      more = more || (deleted && *deleted == kSweepRowsMax);
    }
  }
  sweep_timer_ = loop_.call_at(now.plus_ms(more ? 100 : kSweepMs), [this, alive = alive_] {
    if (*alive && !stopped_) sweep();
  });
}

}  // namespace sortie::events
