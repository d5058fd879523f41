// Rules and buses: reading them at start, changing them durably.
#include <algorithm>

#include "events/event_bus.h"
#include "events/event_bus_impl.h"
#include "json/text.h"

namespace sortie::events {

namespace event_bus_rules_detail {

Error rule_missing(const std::string& name, const std::string& bus) {
  return Error{"ResourceNotFoundException", "Rule " + name + " does not exist on EventBus " + bus + "."};
}

Error bus_missing(std::string_view name) {
  return Error{"ResourceNotFoundException", "Event bus " + std::string(name) + " does not exist."};
}

// "ACCOUNT/BUS/NAME" taken apart; bus names may hold slashes, rule names and accounts may not.
struct KeyParts {
  std::string account, bus, name;
};

KeyParts parts_of(std::string_view key) {
  const std::size_t first = key.find('/');
  const std::size_t last = key.rfind('/');
  if (first == std::string_view::npos || last <= first) return {};
  return {std::string(key.substr(0, first)), std::string(key.substr(first + 1, last - first - 1)),
          std::string(key.substr(last + 1))};
}

Error missing(std::string_view key) {
  const KeyParts parts = parts_of(key);
  return rule_missing(parts.name, parts.bus);
}

std::string bus_key(const Rule& rule) { return rule.account + "/" + rule.bus; }

}  // namespace event_bus_rules_detail

using namespace event_bus_rules_detail;

Status EventBus::load_buses() {
  std::string after;
  while (true) {
    SORTIE_TRY(const auto page, store_.list_documents(kBusKind, after, 500));
    for (const store::Document& document : page) {
      const auto value = json::parse(document.value);
      if (!value) return Error{"StoreCorrupt", "A stored event bus cannot be read"};
      SORTIE_TRY(Bus bus, parse_stored_bus(*value));
      buses_[bus.key()] = std::move(bus);
      after = document.key;
    }
    if (page.size() < 500) return {};
  }
}

Status EventBus::load_rules() {
  std::string after;
  while (true) {
    SORTIE_TRY(const auto page, store_.list_documents(kRuleKind, after, 500));
    for (const store::Document& document : page) {
      const auto value = json::parse(document.value);
      if (!value) return Error{"StoreCorrupt", "A stored rule cannot be read"};
      SORTIE_TRY(Rule rule, parse_stored_rule(*value));
      SORTIE_TRY(const RulePointer compiled, compile_rule(std::move(rule)));
      put_in_force(document.key, compiled);
      after = document.key;
    }
    if (page.size() < 500) return {};
  }
}

void EventBus::put_in_force(const std::string& key, const RulePointer& rule) {
  bus_rules_[bus_key(rule->rule)].put(rule);
  rules_[key] = rule;
  listening_.clear();
}

bool EventBus::names_source(const Rule& rule, std::string_view source) {
  const Result<json::Value> pattern = json::parse(rule.event_pattern);
  if (!pattern) return false;
  const auto sources = pattern->get("source").items();
  return std::any_of(sources.begin(), sources.end(), [source](const json::Value& value) {
    return value.is_string() && value.as_string() == source;
  });
}

bool EventBus::listens_to(std::string_view account, std::string_view source) const {
  constexpr std::size_t kKeptMax = 1'000;
  std::string key = std::string(account) + " " + std::string(source);
  if (const auto known = listening_.find(key); known != listening_.end()) return known->second;
  const std::vector<RulePointer> rules = list_rules(account, kDefaultBus);
  const bool listens = std::any_of(rules.begin(), rules.end(), [source](const RulePointer& rule) {
    return rule->rule.is_enabled() && names_source(rule->rule, source);
  });
  if (listening_.size() < kKeptMax) listening_.emplace(std::move(key), listens);
  return listens;
}

Result<std::vector<RuleMatch>> EventBus::matches_of(const Event& event) const {
  const auto rules = bus_rules_.find(event.account + "/" + event.bus);
  if (rules == bus_rules_.end()) return std::vector<RuleMatch>();
  return route(event, rules->second, loop_.now());
}

EventBus::RulePointer EventBus::newest_rule(const std::string& key) const {
  const auto in_flight = rules_in_flight_.find(key);
  if (in_flight != rules_in_flight_.end()) return in_flight->second.second;
  return find_rule(key);
}

EventBus::RulePointer EventBus::find_rule(std::string_view key) const {
  const auto found = rules_.find(key);
  return found == rules_.end() ? nullptr : found->second;
}

std::vector<EventBus::RulePointer> EventBus::list_rules(std::string_view account,
                                                        std::string_view bus) const {
  std::vector<RulePointer> rules;
  const std::string prefix = std::string(account) + "/" + std::string(bus) + "/";
  for (auto it = rules_.lower_bound(prefix); it != rules_.end() && it->first.starts_with(prefix); ++it) {
    if (it->second->rule.bus == bus) rules.push_back(it->second);
  }
  return rules;
}

Status EventBus::check_rule_limits(const Rule& rule, bool is_new) const {
  const Error exceeded{"LimitExceededException",
                       "The requested resource exceeds the maximum number allowed."};
  if (rule.targets.size() > options_.targets_per_rule_max) return exceeded;
  if (is_new &&
      list_rules(rule.account, rule.bus).size() + rules_in_flight_.size() >= options_.rules_per_bus_max) {
    return exceeded;
  }
  const auto others = bus_rules_.find(bus_key(rule));
  if (others != bus_rules_.end() && others->second.is_full()) return exceeded;
  return {};
}

void EventBus::write_rule(Rule rule, const Actor& actor, std::string action,
                          std::function<void(Status)> done) {
  const std::string key = rule.key();
  const RulePointer before = newest_rule(key);
  const auto fail = [&](const Error& error) { loop_.post([done, error] { done(error); }); };
  if (auto status = check_rule_limits(rule, before == nullptr); !status) return fail(status.error());
  // A schedule counts from when it was made, changed or switched on.
  const bool same_schedule = before && before->rule.schedule_expression == rule.schedule_expression &&
                             before->rule.is_enabled() == rule.is_enabled();
  rule.anchor = same_schedule ? before->rule.anchor : loop_.now();
  auto compiled = compile_rule(std::move(rule));
  if (!compiled) return fail(compiled.error());
  const std::uint64_t change = ++change_no_;
  rules_in_flight_[key] = {change, *compiled};
  store::Batch batch = lease_.batch();
  batch.documents.push_back({std::string(kRuleKind), key, json::to_text(to_json((*compiled)->rule))});
  if (!same_schedule) batch.documents_gone.emplace_back(std::string(kTickKind), key);
  if (options_.audit_line)
    batch.log.push_back(options_.audit_line(actor, std::move(action), (*compiled)->rule.arn));
  store_.append(std::move(batch), [this, alive = alive_, key, change, compiled = *compiled, same_schedule,
                                   done = std::move(done)](Status status) {
    if (!*alive) return;
    const auto in_flight = rules_in_flight_.find(key);
    if (in_flight != rules_in_flight_.end() && in_flight->second.first == change)
      rules_in_flight_.erase(in_flight);
    if (!status) return done(store_failure());
    put_in_force(key, compiled);
    if (!same_schedule) ticks_.erase(key);
    schedule_rule(compiled);
    done({});
  });
}

void EventBus::put_rule(Rule rule, const Actor& actor, Callback<std::string> done) {
  if (!find_bus(rule.account, rule.bus)) return answer<std::string>(done, bus_missing(rule.bus));
  rule.arn = rule_arn(rule.account, options_.region, rule.bus, rule.name);
  if (const RulePointer before = newest_rule(rule.key())) {
    rule.targets = before->rule.targets;
    rule.deduplicate = before->rule.deduplicate;
    if (rule.tags.is_null()) rule.tags = before->rule.tags;
  }
  const std::string arn = rule.arn;
  write_rule(std::move(rule), actor, "rule.put", [done = std::move(done), arn](Status status) {
    if (!status) return done(status.error());
    done(arn);
  });
}

void EventBus::replace_rule(Rule rule, const Actor& actor, Callback<std::string> done) {
  if (rule.account.empty()) rule.account = options_.account;
  rule.arn = rule_arn(rule.account, options_.region, rule.bus, rule.name);
  const std::string arn = rule.arn;
  const RulePointer before = newest_rule(rule.key());
  if (before) {
    // A reload of an unchanged file writes nothing.
    Rule same = rule;
    same.anchor = before->rule.anchor;
    if (to_json(same) == to_json(before->rule)) return answer<std::string>(done, arn);
  }
  if (!find_bus(rule.account, rule.bus) && !buses_in_flight_.contains(rule.account + "/" + rule.bus)) {
    Bus bus;
    bus.account = rule.account;
    bus.name = rule.bus;
    create_bus(std::move(bus), actor,
               [](Result<std::string>) {});  // Durable before the rule: batches keep order.
  }
  write_rule(std::move(rule), actor, "rule.put", [done = std::move(done), arn](Status status) {
    if (!status) return done(status.error());
    done(arn);
  });
}

void EventBus::put_targets(std::string_view key, std::vector<Target> targets, const Actor& actor,
                           Callback<Unit> done) {
  const RulePointer before = newest_rule(std::string(key));
  if (!before) return answer<Unit>(done, missing(key));
  Rule rule = before->rule;
  for (Target& target : targets) {
    const auto same = std::find_if(rule.targets.begin(), rule.targets.end(),
                                   [&target](const Target& old) { return old.id == target.id; });
    if (same != rule.targets.end()) {
      *same = std::move(target);
    } else {
      rule.targets.push_back(std::move(target));
    }
  }
  write_rule(std::move(rule), actor, "rule.targets", [done = std::move(done)](Status status) {
    if (!status) return done(status.error());
    done(Unit{});
  });
}

void EventBus::remove_targets(std::string_view key, const std::vector<std::string>& ids, const Actor& actor,
                              Callback<std::vector<std::string>> done) {
  const RulePointer before = newest_rule(std::string(key));
  if (!before) return answer<std::vector<std::string>>(done, missing(key));
  Rule rule = before->rule;
  std::vector<std::string> unknown;
  for (const std::string& id : ids) {
    if (std::erase_if(rule.targets, [&id](const Target& target) { return target.id == id; }) == 0) {
      unknown.push_back(id);
    }
  }
  write_rule(std::move(rule), actor, "rule.targets", [done = std::move(done), unknown](Status status) {
    if (!status) return done(status.error());
    done(unknown);
  });
}

void EventBus::set_rule_state(std::string_view key, bool enabled, const Actor& actor, Callback<Unit> done) {
  const RulePointer before = newest_rule(std::string(key));
  if (!before) return answer<Unit>(done, missing(key));
  Rule rule = before->rule;
  rule.state = enabled ? "ENABLED" : "DISABLED";
  write_rule(std::move(rule), actor, enabled ? "rule.enable" : "rule.disable",
             [done = std::move(done)](Status status) {
               if (!status) return done(status.error());
               done(Unit{});
             });
}

void EventBus::set_rule_tags(std::string_view key, json::Value tags, const Actor& actor,
                             Callback<Unit> done) {
  const RulePointer before = newest_rule(std::string(key));
  if (!before) return answer<Unit>(done, missing(key));
  Rule rule = before->rule;
  rule.tags = std::move(tags);
  write_rule(std::move(rule), actor, "rule.tags", [done = std::move(done)](Status status) {
    if (!status) return done(status.error());
    done(Unit{});
  });
}

void EventBus::delete_rule(std::string_view key_view, bool with_targets, const Actor& actor,
                           Callback<Unit> done) {
  const std::string key(key_view);
  const RulePointer before = newest_rule(key);
  if (!before) return answer<Unit>(done, Unit{});  // As on AWS: deleting what is not there succeeds.
  if (!before->rule.targets.empty() && !with_targets) {
    return answer<Unit>(done, Error{"ValidationException", "Rule can't be deleted since it has targets."});
  }
  const std::uint64_t change = ++change_no_;
  rules_in_flight_[key] = {change, nullptr};
  store::Batch batch = lease_.batch();
  batch.documents_gone.emplace_back(std::string(kRuleKind), key);
  batch.documents_gone.emplace_back(std::string(kTickKind), key);
  if (options_.audit_line) batch.log.push_back(options_.audit_line(actor, "rule.delete", before->rule.arn));
  store_.append(std::move(batch), [this, alive = alive_, key, change, done = std::move(done)](Status status) {
    if (!*alive) return;
    const auto in_flight = rules_in_flight_.find(key);
    if (in_flight != rules_in_flight_.end() && in_flight->second.first == change) {
      rules_in_flight_.erase(in_flight);
    }
    if (!status) return done(store_failure());
    if (const RulePointer gone = find_rule(key)) {
      bus_rules_[bus_key(gone->rule)].remove(gone->rule.name);
      rules_.erase(key);
      listening_.clear();
    }
    ticks_.erase(key);
    std::erase_if(due_, [&key](const auto& due) { return due.second == key; });
    done(Unit{});
  });
}

std::optional<Bus> EventBus::find_bus(std::string_view account, std::string_view name) const {
  const auto found = buses_.find(std::string(account) + "/" + std::string(name));
  if (found != buses_.end()) return found->second;
  const bool ours =
      account == options_.account ||
      std::find(options_.accounts.begin(), options_.accounts.end(), account) != options_.accounts.end();
  if (name != kDefaultBus || !ours) return std::nullopt;
  Bus bus;
  bus.account = std::string(account);
  bus.arn = bus_arn(account, options_.region, kDefaultBus);
  return bus;
}

std::vector<Bus> EventBus::list_buses(std::string_view account) const {
  std::vector<Bus> buses;
  const std::string prefix = std::string(account) + "/";
  const std::string own = prefix + std::string(kDefaultBus);
  if (const auto standard = find_bus(account, kDefaultBus)) buses.push_back(*standard);
  for (auto it = buses_.lower_bound(prefix); it != buses_.end() && it->first.starts_with(prefix); ++it) {
    if (it->first != own) buses.push_back(it->second);
  }
  std::sort(buses.begin(), buses.end(), [](const Bus& a, const Bus& b) { return a.name < b.name; });
  return buses;
}

void EventBus::write_bus(std::optional<Bus> bus, const std::string& key, const Actor& actor,
                         std::string action, std::function<void(Status)> done) {
  if (!buses_in_flight_.insert(key).second) {
    loop_.post([done = std::move(done)] {
      done(Error{"ConcurrentModificationException", "The event bus is being changed this moment."});
    });
    return;
  }
  store::Batch batch = lease_.batch();
  if (bus) {
    batch.documents.push_back({std::string(kBusKind), key, json::to_text(to_json(*bus))});
  } else {
    batch.documents_gone.emplace_back(std::string(kBusKind), key);
  }
  if (options_.audit_line) batch.log.push_back(options_.audit_line(actor, std::move(action), key));
  store_.append(std::move(batch),
                [this, alive = alive_, bus = std::move(bus), key, done = std::move(done)](Status status) {
                  if (!*alive) return;
                  buses_in_flight_.erase(key);
                  if (!status) return done(store_failure());
                  if (bus) {
                    buses_[key] = *bus;
                  } else {
                    buses_.erase(key);
                  }
                  done({});
                });
}

void EventBus::create_bus(Bus bus, const Actor& actor, Callback<std::string> done) {
  if (find_bus(bus.account, bus.name)) {
    return answer<std::string>(
        done, Error{"ResourceAlreadyExistsException", "Event bus " + bus.name + " already exists."});
  }
  if (list_buses(bus.account).size() + buses_in_flight_.size() >= options_.buses_max) {
    return answer<std::string>(
        done, Error{"LimitExceededException", "The requested resource exceeds the maximum number allowed."});
  }
  bus.arn = bus_arn(bus.account, options_.region, bus.name);
  bus.created_at = bus.modified_at = loop_.now();
  const std::string key = bus.key();
  const std::string arn = bus.arn;
  write_bus(std::move(bus), key, actor, "event_bus.create", [done = std::move(done), arn](Status status) {
    if (!status) return done(status.error());
    done(arn);
  });
}

void EventBus::update_bus(Bus bus, const Actor& actor, Callback<Unit> done) {
  const auto before = find_bus(bus.account, bus.name);
  if (!before) return answer<Unit>(done, bus_missing(bus.name));
  bus.arn = before->arn;
  bus.created_at = before->created_at;
  bus.modified_at = loop_.now();
  const std::string key = bus.key();
  write_bus(std::move(bus), key, actor, "event_bus.update", [done = std::move(done)](Status status) {
    if (!status) return done(status.error());
    done(Unit{});
  });
}

void EventBus::delete_bus(std::string_view account, std::string_view name, const Actor& actor,
                          Callback<Unit> done) {
  if (name == kDefaultBus) {
    return answer<Unit>(done, Error{"ValidationException", "Cannot delete event bus default."});
  }
  if (!find_bus(account, name)) return answer<Unit>(done, Unit{});
  if (!list_rules(account, name).empty()) {
    return answer<Unit>(done, Error{"ValidationException", "Event bus can't be deleted since it has rules."});
  }
  const std::string key = std::string(account) + "/" + std::string(name);
  write_bus(std::nullopt, key, actor, "event_bus.delete", [done = std::move(done)](Status status) {
    if (!status) return done(status.error());
    done(Unit{});
  });
}

Result<std::vector<std::string>> EventBus::check() {
  std::vector<std::string> wrong;
  std::string after;
  while (true) {
    SORTIE_TRY(const auto page, store_.list_documents(kRuleKind, after, 500));
    for (const store::Document& document : page) {
      after = document.key;
      const auto value = json::parse(document.value);
      auto rule = value ? parse_stored_rule(*value) : Result<Rule>(Error{"StoreCorrupt", "it is no JSON"});
      if (rule) {
        if (auto compiled = compile_rule(*rule); compiled) continue;
      }
      wrong.push_back("The stored rule " + document.key + " cannot be used.");
    }
    if (page.size() < 500) break;
  }
  after.clear();
  while (true) {
    SORTIE_TRY(const auto page, store_.list_documents(kDeliveryKind, after, 500));
    for (const store::Document& document : page) {
      after = document.key;
      const auto row = parse_delivery_row(document.value);
      if (!row || row->delivery.id != document.key) {
        wrong.push_back("The pending delivery " + document.key + " cannot be read.");
      }
    }
    if (page.size() < 500) break;
  }
  return wrong;
}

}  // namespace sortie::events
