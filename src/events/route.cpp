#include "events/route.h"

#include <algorithm>
#include <array>

#include "base/hash.h"
#include "base/text.h"
#include "json/members.h"
#include "json/text.h"

namespace sortie::events {

namespace route_detail {

constexpr std::size_t kRuleBytesMax = std::size_t{1} << 30;  // Of the patterns of one bus.

// EventBridge shows whole seconds.
std::string event_time(Timestamp time) {
  const std::string text = to_iso8601(time);
  return text.substr(0, 19) + "Z";
}

std::string payload_of(const CompiledTarget& target, const Event& event, const Rule& rule, Timestamp now,
                       bool& deliverable) {
  deliverable = true;
  if (target.target.input) return *target.target.input;
  if (target.path) return json::to_text(target.path->find(event.envelope).value_or(json::Value()));
  if (!target.transformer) return json::to_text(event.envelope);
  const auto text =
      target.transformer->render(event.envelope, pattern::RuleContext{rule.arn, rule.name, event_time(now)});
  deliverable = text.has_value();
  return text.value_or("");
}

}  // namespace route_detail

using namespace route_detail;

std::size_t PutEntry::bytes() const {
  std::size_t sum = source.size() + detail_type.size() + detail.size() + (time ? 14 : 0);
  for (const std::string& resource : resources) sum += resource.size();
  return sum;
}

Status check_entry(const PutEntry& entry) {
  const auto missing = [](const char* name) {
    return Error{"InvalidArgument", std::string("Parameter ") + name + " is not valid. Reason: " + name +
                                        " is a required argument."};
  };
  if (entry.source.empty()) return missing("Source");
  if (entry.detail_type.empty()) return missing("DetailType");
  if (entry.detail.empty()) return missing("Detail");
  const auto detail = json::parse(entry.detail);
  if (!detail || !detail->is_object()) return Error{"MalformedDetail", "Detail is malformed."};
  return {};
}

std::string Event::source() const { return json::text_member(envelope, "source"); }
std::string Event::detail_type() const { return json::text_member(envelope, "detail-type"); }

Event make_event(const PutEntry& entry, std::string id, std::string_view account, std::string_view region,
                 std::string_view bus, Timestamp now, const Actor& actor) {
  Event event;
  event.id = std::move(id);
  event.account = std::string(account);
  event.bus = std::string(bus);
  event.actor = actor;
  event.trace_header = entry.trace_header;
  std::vector<json::Value> resources;
  for (const std::string& resource : entry.resources) resources.emplace_back(resource);
  json::ObjectBuilder head;
  head.append("version", "0").append("id", event.id).append("detail-type", entry.detail_type);
  head.append("source", entry.source).append("account", account);
  head.append("time", event_time(entry.time.value_or(now))).append("region", region);
  head.append("resources", json::Value::array(std::move(resources)));
  const json::Value without_detail = head.build();
  event.text = json::to_text(without_detail);
  event.text.pop_back();
  event.text += ",\"detail\":" + entry.detail + "}";
  auto detail = json::parse(entry.detail);
  event.envelope = json::ObjectBuilder(without_detail)
                       .append("detail", detail ? std::move(detail).value() : json::Value())
                       .build();
  return event;
}

Event make_scheduled_event(const Rule& rule, std::string id, std::string_view region, Timestamp due) {
  PutEntry entry;
  entry.source = "aws.events";
  entry.detail_type = "Scheduled Event";
  entry.detail = "{}";
  entry.resources = {rule.arn};
  entry.time = due;
  Actor actor;
  actor.kind = Actor::Kind::kSystem;
  actor.name = "schedule";
  actor.account = rule.account;
  actor.channel = "schedule";
  return make_event(entry, std::move(id), rule.account, region, rule.bus, due, actor);
}

bool is_envelope(const json::Value& event) {
  if (!event.is_object()) return false;
  for (const char* member : {"id", "account", "source", "time", "region", "detail-type"}) {
    if (!event.has(member)) return false;
  }
  return true;
}

Result<CompiledTarget> compile_target(const Target& target) {
  CompiledTarget compiled;
  compiled.target = target;
  compiled.kind = target_kind_of(target.arn);
  if (compiled.kind == TargetKind::kUnsupported) {
    return Error{"ValidationException",
                 "The target " + target.arn + " is of a kind that is not supported yet.", "",
                 "targets are state machines, functions, queues, topics, event buses and log groups"};
  }
  if (target.input_path) {
    // An empty path is the whole event, as on AWS.
    auto path = pattern::InputPath::compile(target.input_path->empty() ? "$" : *target.input_path);
    if (!path) return Error{"ValidationException", "InputPath for target " + target.id + " is not valid."};
    compiled.path = std::move(path).value();
  }
  if (target.transforms) {
    SORTIE_TRY(compiled.transformer,
               pattern::InputTransformer::compile(target.input_paths, target.input_template, target.id));
  }
  return compiled;
}

Result<std::shared_ptr<const CompiledRule>> compile_rule(Rule rule) {
  auto compiled = std::make_shared<CompiledRule>();
  if (rule.event_pattern.empty() && rule.schedule_expression.empty()) {
    return Error{"ValidationException", "Parameter(s) EventPattern or ScheduleExpression must be specified."};
  }
  if (!rule.event_pattern.empty()) {
    SORTIE_TRY(compiled->pattern, pattern::Pattern::compile(rule.event_pattern, pattern::Mode::kAws));
  }
  if (!rule.schedule_expression.empty()) {
    if (rule.bus != kDefaultBus) {
      return Error{"ValidationException", "ScheduleExpression is supported only on the default event bus."};
    }
    SORTIE_TRY(compiled->schedule, schedule::compile(rule.schedule_expression));
    if (compiled->schedule->kind() == schedule::Schedule::Kind::kAt) {
      return Error{"ValidationException", "Parameter ScheduleExpression is not valid.", "",
                   "a rule takes rate(...) or cron(...)"};
    }
  }
  if (rule.deduplicate) {
    auto path = pattern::InputPath::compile(rule.deduplicate->key);
    if (!path) {
      return Error{"ValidationException", "The key of deduplicate is no path: " + rule.deduplicate->key,
                   "/deduplicate/key", "write a path into the event: $.detail.id"};
    }
    compiled->deduplicate = std::move(path).value();
  }
  for (const Target& target : rule.targets) {
    SORTIE_TRY(CompiledTarget one, compile_target(target));
    compiled->targets.push_back(std::move(one));
  }
  compiled->rule = std::move(rule);
  return std::shared_ptr<const CompiledRule>(std::move(compiled));
}

std::string delivery_id(std::string_view event_id, std::string_view rule_arn, std::string_view target_id) {
  const std::string place = std::string(rule_arn) + "\n" + std::string(target_id);
  return std::string(event_id) + "_" + sha256_hex(place).substr(0, 32);
}

RuleMatch match_rule(const Event& event, const std::shared_ptr<const CompiledRule>& rule, Timestamp now) {
  RuleMatch match;
  match.rule = rule;
  if (rule->deduplicate) {
    const auto key = rule->deduplicate->find(event.envelope);
    if (key && !key->is_null()) match.dedup_key = json::to_text(*key);
  }
  Actor actor;
  actor.kind = Actor::Kind::kRule;
  actor.name = rule->rule.name;
  actor.account = rule->rule.account;
  actor.channel = event.actor.channel;
  actor.on_behalf_of = event.actor.person();
  // Whoever holds a shared key may be anybody, so the initiator is unknown, never "nobody". An aws.* source
  // was accepted from that key only because the configuration says that AWS speaks through it.
  const bool nameless =
      event.actor.kind == Actor::Kind::kUnknown || event.actor.kind == Actor::Kind::kAccountKey;
  if (actor.on_behalf_of.empty() && nameless && !event.source().starts_with("aws."))
    actor.on_behalf_of = "unknown";
  for (const CompiledTarget& target : rule->targets) {
    bool deliverable = true;
    std::string payload = payload_of(target, event, rule->rule, now, deliverable);
    if (!deliverable) {
      match.undeliverable.push_back(target.target.id);
      continue;
    }
    Delivery delivery;
    delivery.id = delivery_id(event.id, rule->rule.arn, target.target.id);
    delivery.event_id = event.id;
    delivery.rule_arn = rule->rule.arn;
    delivery.rule_key = rule->rule.key();
    delivery.rule_name = rule->rule.name;
    delivery.target_id = target.target.id;
    delivery.kind = target.kind;
    delivery.arn = target.target.arn;
    delivery.role_arn = target.target.role_arn;
    delivery.payload = std::move(payload);
    delivery.parameters = target.target.declared;
    delivery.retry = target.target.retry;
    delivery.dead_letter_arn = target.target.dead_letter_arn;
    delivery.actor = actor;
    delivery.trace_header = event.trace_header;
    delivery.accepted_at = now;
    delivery.hops = event.hops;
    match.deliveries.push_back(std::move(delivery));
  }
  return match;
}

BusRules::BusRules()
    // How many rules a bus may have is the bus's own limit, asked before a rule is written.
    : set_(pattern::RuleSet::Limits{SIZE_MAX, SIZE_MAX}) {}

void BusRules::put(const std::shared_ptr<const CompiledRule>& rule) {
  remove(rule->rule.name);
  if (!rule->rule.is_enabled() || !rule->pattern) return;
  const pattern::RuleId id = next_id_++;
  SORTIE_CHECK(set_.add(id, *rule->pattern).ok());
  ids_[rule->rule.name] = id;
  rules_[id] = rule;
}

void BusRules::remove(const std::string& name) {
  const auto known = ids_.find(name);
  if (known == ids_.end()) return;
  set_.remove(known->second);
  rules_.erase(known->second);
  ids_.erase(known);
}

bool BusRules::is_full() const { return set_.bytes() >= kRuleBytesMax; }

Result<std::vector<std::shared_ptr<const CompiledRule>>> BusRules::find(std::string_view event_text) const {
  const auto ids = set_.match(event_text, scratch_);
  if (!ids) return Error{"MalformedDetail", "Detail is malformed."};
  std::vector<std::shared_ptr<const CompiledRule>> found;
  found.reserve(ids->size());
  for (const pattern::RuleId id : *ids) found.push_back(rules_.at(id));
  std::sort(found.begin(), found.end(),
            [](const auto& a, const auto& b) { return a->rule.name < b->rule.name; });
  return found;
}

Result<std::vector<RuleMatch>> route(const Event& event, const BusRules& rules, Timestamp now) {
  SORTIE_TRY(const auto found, rules.find(event.text));
  std::vector<RuleMatch> matches;
  matches.reserve(found.size());
  for (const auto& rule : found) matches.push_back(match_rule(event, rule, now));
  return matches;
}

}  // namespace sortie::events
