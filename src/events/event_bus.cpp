#include "events/event_bus.h"

#include <algorithm>
#include <utility>

#include "base/hash.h"
#include "base/text.h"
#include "events/event_bus_impl.h"
#include "json/text.h"

namespace sortie::events {

namespace event_bus_detail {
constexpr std::size_t kSearchableBytesMax = 256;  // Of source and type, as searches see them.
}

using event_bus_detail::kSearchableBytesMax;

EventBus::EventBus(Loop& loop, Random& random, store::Store& store, TargetInvoker& invoker,
                   BusOptions options)
    : loop_(loop),
      random_(random),
      store_(store),
      options_(std::move(options)),
      deliveries_(loop, random, store, invoker, options_.delivery),
      alive_(std::make_shared<bool>(true)) {}

EventBus::~EventBus() {
  *alive_ = false;
  loop_.cancel(tick_timer_);
  loop_.cancel(sweep_timer_);
}

Status EventBus::recover(Lease lease) {
  lease_ = lease;
  SORTIE_TRY_STATUS(load_buses());
  SORTIE_TRY_STATUS(load_ticks());
  SORTIE_TRY_STATUS(load_rules());
  SORTIE_TRY_STATUS(dedup_.recover(store_));
  SORTIE_TRY_STATUS(deliveries_.recover(
      lease, [this](const Delivery& delivery, store::Batch batch, std::function<void(Status)> done) {
        return forward(delivery, std::move(batch), std::move(done));
      }));
  for (const auto& [key, rule] : rules_) schedule_rule(rule);
  sweep();
  return {};
}

void EventBus::stop() {
  stopped_ = true;
  deliveries_.stop();
  loop_.cancel(tick_timer_);
  loop_.cancel(sweep_timer_);
}

std::string EventBus::account_of(const Actor& actor) const {
  return actor.account.empty() ? options_.account : actor.account;
}

EventBus::Figures EventBus::figures() const {
  Figures figures = figures_;
  figures.pending_deliveries = deliveries_.pending();
  figures.retried_deliveries = deliveries_.retrying();
  figures.last_lag_ms = deliveries_.last_lag_ms();
  return figures;
}

Status EventBus::check_source(const PutEntry& entry, const Actor& actor) const {
  const bool claims_aws = entry.source == "aws" || entry.source.starts_with("aws.");
  if (!claims_aws || actor.is_person() || actor.kind == Actor::Kind::kSystem) return {};
  if (actor.kind != Actor::Kind::kFunction) {
    const std::string name = to_text(actor);
    for (const TrustedSource& trusted : options_.trusted_sources) {
      if (trusted.actor != name) continue;
      const bool all = trusted.source.ends_with('*');
      const std::string_view prefix =
          std::string_view(trusted.source).substr(0, trusted.source.size() - (all ? 1 : 0));
      if (all ? entry.source.starts_with(prefix) : entry.source == prefix) return {};
    }
  }
  return Error{"NotAuthorizedForSourceException", "Not authorized for the source."};
}

Result<std::string> EventBus::bus_of(const PutEntry& entry, std::string_view account) const {
  if (entry.bus.empty()) return std::string(kDefaultBus);
  const auto arn = parse_arn(entry.bus);
  if (!arn) return entry.bus;
  if (arn->account != account || arn->region != options_.region || !arn->resource.starts_with("event-bus/")) {
    return Error{"AccessDeniedException",
                 "Not authorized to perform events:PutEvents on resource: " + entry.bus};
  }
  return arn->resource.substr(std::string_view("event-bus/").size());
}

void EventBus::put_events(std::vector<PutEntry> entries, const Actor& actor,
                          Callback<std::vector<PutResult>> done, std::optional<SourceDedup> dedup) {
  Acceptance acceptance;
  acceptance.batch = lease_.batch();
  std::vector<PutResult> results;
  const std::string key = dedup ? dedup->key : "";
  for (std::size_t i = 0; i < entries.size(); ++i) {
    if (dedup && i > 0) dedup->key = key + "#" + std::to_string(i);  // Each entry has a key of its own.
    results.push_back(accept_entry(entries[i], actor, dedup, acceptance));
  }
  if (acceptance.batch.empty()) return answer<std::vector<PutResult>>(done, std::move(results));
  commit(std::move(acceptance), [done = std::move(done), results = std::move(results)](Status status) {
    if (!done) return;
    if (!status) return done(store_failure());
    done(results);
  });
}

PutResult EventBus::accept_entry(const PutEntry& entry, const Actor& actor,
                                 const std::optional<SourceDedup>& dedup, Acceptance& acceptance) {
  PutResult result;
  const auto refuse = [&](const Error& error) {
    ++figures_.refused;
    result.error_code = error.code;
    result.error_message = error.message;
    return result;
  };
  if (auto status = check_entry(entry); !status) return refuse(status.error());
  if (auto status = check_source(entry, actor); !status) return refuse(status.error());
  const std::string account = account_of(actor);
  const auto bus = bus_of(entry, account);
  if (!bus) return refuse(bus.error());
  if (deliveries_.pending() + acceptance.delivery_ids.size() >= options_.pending_deliveries_max) {
    return refuse(Error{"ThrottlingException", "Rate exceeded"});
  }
  const Timestamp now = loop_.now();
  const Event event = make_event(entry, make_uuid(random_), account, options_.region, *bus, now, actor);
  std::string hash;
  if (dedup) {
    hash = DedupTable::hash(dedup->scope, dedup->key);
    if (const auto first = dedup_.find(hash, now)) {
      add_event(event, {}, *first, acceptance);
      result.event_id = *first;
      result.duplicate_of = *first;
      return result;
    }
  }
  auto matches = matches_of(event);
  if (!matches) return refuse(matches.error());
  if (dedup) {
    acceptance.undos.emplace_back();
    acceptance.batch.documents.push_back(
        dedup_.take(hash, event.id, now.plus_ms(dedup->window_ms), acceptance.undos.back()));
  }
  add_event(event, std::move(matches).value(), "", acceptance);
  result.event_id = event.id;
  return result;
}

void EventBus::add_match(RuleMatch match, const Event& event, std::vector<json::Value>& told,
                         Acceptance& acceptance) {
  const Rule& rule = match.rule->rule;
  const Timestamp now = loop_.now();
  json::ObjectBuilder line;
  line.append("rule", rule.name).append("arn", rule.arn);
  ++acceptance.matched;
  if (!match.dedup_key.empty()) {
    const std::string hash = DedupTable::hash("rule/" + rule.key(), match.dedup_key);
    if (const auto first = dedup_.find(hash, now)) {
      ++acceptance.duplicates;
      told.push_back(line.append("duplicateOf", *first).append("targets", json::Value::array({})).build());
      return;
    }
    acceptance.undos.emplace_back();
    acceptance.batch.documents.push_back(
        dedup_.take(hash, event.id, now.plus_ms(rule.deduplicate->window_ms), acceptance.undos.back()));
  }
  std::vector<json::Value> targets;
  for (const Delivery& delivery : match.deliveries) {
    targets.push_back(json::Value::object({{"id", delivery.target_id},
                                           {"arn", delivery.arn},
                                           {"kind", target_kind_name(delivery.kind)},
                                           {"deliveryId", delivery.id}}));
    acceptance.batch.documents.push_back(DeliveryQueue::document(delivery));
    acceptance.delivery_ids.push_back(delivery.id);
  }
  line.append("targets", json::Value::array(std::move(targets)));
  if (!match.undeliverable.empty()) {
    std::vector<json::Value> ids(match.undeliverable.begin(), match.undeliverable.end());
    line.append("undeliverable", json::Value::array(std::move(ids)));
  }
  told.push_back(line.build());
}

void EventBus::add_event(const Event& event, std::vector<RuleMatch> matches, std::string duplicate_of,
                         Acceptance& acceptance) {
  std::vector<json::Value> told;
  for (RuleMatch& match : matches) add_match(std::move(match), event, told, acceptance);
  json::ObjectBuilder record;
  record.append("event", event.envelope).append("bus", event.bus).append("account", event.account);
  record.append("actor", to_text(event.actor)).append("channel", event.actor.channel);
  if (!event.actor.on_behalf_of.empty()) record.append("onBehalfOf", event.actor.on_behalf_of);
  if (!duplicate_of.empty()) {
    record.append("duplicateOf", duplicate_of);
    ++acceptance.duplicates;
  }
  record.append("rules", json::Value::array(std::move(told)));
  EventRecord accepted;
  accepted.accepted_at = loop_.now();
  accepted.id = event.id;
  accepted.record = record.build();
  store::LogLine line;
  line.stream = std::string(kEventStream);
  line.time = accepted.accepted_at;
  line.source = std::string(truncate_utf8(event.source(), kSearchableBytesMax));
  line.type = std::string(truncate_utf8(event.detail_type(), kSearchableBytesMax));
  line.subject = event.id;
  line.body = json::to_text(accepted.record);
  acceptance.batch.log.push_back(std::move(line));
  acceptance.records.push_back(std::move(accepted));
}

void EventBus::commit(Acceptance acceptance, std::function<void(Status)> then) {
  auto kept = std::make_shared<Acceptance>();
  store::Batch batch = std::move(acceptance.batch);
  *kept = std::move(acceptance);
  store_.append(std::move(batch), [this, alive = alive_, kept, then = std::move(then)](Status status) {
    if (!*alive) return;
    if (!status) {
      for (auto undo = kept->undos.rbegin(); undo != kept->undos.rend(); ++undo) dedup_.restore(*undo);
      return then(std::move(status));
    }
    figures_.accepted += kept->records.size();
    figures_.matched += kept->matched;
    figures_.duplicates += kept->duplicates;
    then({});
    if (!*alive) return;
    for (const std::string& id : kept->delivery_ids) deliveries_.enqueue(id);
    std::erase_if(observers_, [](const auto& observer) { return observer.expired(); });
    const auto observers = observers_;
    for (const auto& weak : observers) {
      const auto observer = weak.lock();
      for (const EventRecord& record : kept->records) {
        if (observer) observer->callback(record);
      }
    }
  });
}

bool EventBus::forward(const Delivery& delivery, store::Batch batch, std::function<void(Status)> done) {
  const auto arn = parse_arn(delivery.arn);
  if (!arn || arn->region != options_.region) return false;
  const std::string bus = arn->resource.substr(std::string_view("event-bus/").size());
  if (!find_bus(arn->account, bus)) return false;
  const auto fail = [&](Error error) {
    loop_.post([done, error = std::move(error)] { done(error); });
    return true;
  };
  const auto envelope = json::parse(delivery.payload);
  if (!envelope || !is_envelope(*envelope)) {
    return fail(Error{"ValidationException", "What the target makes of the event is no event."});
  }
  if (delivery.hops >= kBusHopsMax) {
    return fail(Error{"ValidationException", "The event was forwarded between buses too often."});
  }
  Event event;
  event.id = delivery.event_id;
  event.account = arn->account;
  event.bus = bus;
  event.envelope = *envelope;
  event.text = delivery.payload;
  event.actor = delivery.actor;
  event.trace_header = delivery.trace_header;
  event.hops = delivery.hops + 1;
  auto matches = matches_of(event);
  if (!matches) return fail(matches.error());
  Acceptance acceptance;
  acceptance.batch = std::move(batch);
  add_event(event, std::move(matches).value(), "", acceptance);
  commit(std::move(acceptance), std::move(done));
  return true;
}

std::shared_ptr<void> EventBus::observe(std::function<void(const EventRecord&)> callback) {
  auto observer = std::make_shared<Observer>();
  observer->callback = std::move(callback);
  observers_.push_back(observer);
  return observer;
}

namespace event_records_detail {

Result<EventRecord> parse_record(const store::LogLine& line) {
  auto value = json::parse(line.body);
  if (!value || !value->is_object()) return Error{"StoreCorrupt", "A stored event cannot be read"};
  EventRecord record;
  record.sequence = line.sequence;
  record.accepted_at = line.time;
  record.id = line.subject;
  record.record = std::move(value).value();
  return record;
}

}  // namespace event_records_detail

Result<std::vector<EventRecord>> EventBus::list_events(const EventQuery& query) {
  store::LogQuery log;
  log.stream = std::string(kEventStream);
  log.source = query.source;
  log.type = query.detail_type;
  log.text = query.text;
  log.from = query.from;
  log.before = query.before;
  log.before_sequence = query.before_sequence;
  log.limit = query.limit;
  std::vector<EventRecord> records;
  // Lines of other accounts are passed over; a page is filled from as many store pages as it takes.
  for (int pages = 0; pages < 100 && records.size() < query.limit; ++pages) {
    SORTIE_TRY(const auto lines, store_.search_log(log));
    for (const store::LogLine& line : lines) {
      SORTIE_TRY(EventRecord record, event_records_detail::parse_record(line));
      log.before_sequence = line.sequence;
      const bool own = query.account.empty() || record.record.get("account") == json::Value(query.account);
      if (own && records.size() < query.limit) records.push_back(std::move(record));
    }
    if (lines.size() < log.limit || query.account.empty()) break;
  }
  for (EventRecord& record : records) {
    SORTIE_TRY(record.outcomes, outcomes_of(record.id));
  }
  return records;
}

Result<std::vector<json::Value>> EventBus::outcomes_of(const std::string& event_id) {
  store::LogQuery log;
  log.stream = std::string(kDeliveryStream);
  log.subject = event_id;
  log.newest_first = false;
  log.limit = 1000;
  SORTIE_TRY(const auto lines, store_.search_log(log));
  std::vector<json::Value> outcomes;
  for (const store::LogLine& line : lines) {
    auto value = json::parse(line.body);
    if (!value) return Error{"StoreCorrupt", "A stored outcome of a delivery cannot be read"};
    outcomes.push_back(json::ObjectBuilder(*value).append("time", to_iso8601(line.time)).build());
  }
  return outcomes;
}

Result<std::optional<EventRecord>> EventBus::find_event(std::string_view id) {
  if (id.empty() || id.ends_with('*')) return std::optional<EventRecord>();
  store::LogQuery log;
  log.stream = std::string(kEventStream);
  log.subject = std::string(id);
  log.newest_first = false;
  log.limit = 1;
  SORTIE_TRY(const auto lines, store_.search_log(log));
  if (lines.empty()) return std::optional<EventRecord>();
  SORTIE_TRY(EventRecord record, event_records_detail::parse_record(lines.front()));
  SORTIE_TRY(record.outcomes, outcomes_of(record.id));
  return std::optional<EventRecord>(std::move(record));
}

}  // namespace sortie::events
