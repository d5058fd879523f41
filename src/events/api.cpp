#include "events/api.h"

#include <algorithm>
#include <map>
#include <utility>

#include "base/text.h"
#include "events/constraints.h"
#include "json/text.h"

namespace sortie::events {

namespace api_detail {

constexpr std::string_view kBusPrefix = "event-bus/";
constexpr std::size_t kPageMax = 100;

Error invalid(std::string message) { return Error{"ValidationException", std::move(message)}; }

json::Value seconds(Timestamp time) { return json::Value(static_cast<double>(time.ms / 1000)); }

void append_text_if_any(json::ObjectBuilder& out, std::string_view member, const std::string& text) {
  if (!text.empty()) out.append(member, text);
}

json::Value rule_json(const Rule& rule) {
  json::ObjectBuilder out;
  out.append("Name", rule.name).append("Arn", rule.arn);
  append_text_if_any(out, "EventPattern", rule.event_pattern);
  out.append("State", rule.state);
  append_text_if_any(out, "Description", rule.description);
  append_text_if_any(out, "ScheduleExpression", rule.schedule_expression);
  append_text_if_any(out, "RoleArn", rule.role_arn);
  out.append("EventBusName", rule.bus);
  return out.build();
}

json::Value bus_json(const Bus& bus) {
  json::ObjectBuilder out;
  out.append("Name", bus.name).append("Arn", bus.arn);
  append_text_if_any(out, "Description", bus.description);
  if (bus.created_at.ms != 0) {
    out.append("CreationTime", seconds(bus.created_at)).append("LastModifiedTime", seconds(bus.modified_at));
  }
  return out.build();
}

// One page of `items` (already sorted) after the name in NextToken; tokens are the base64 of that name.
template <typename Item, typename Name>
Result<std::vector<Item>> page_of(const std::vector<Item>& items, const json::Value& request, Name name,
                                  std::string& next_token) {
  Constraints constraints;
  const std::string token = constraints.text(request, "NextToken", 1, 2048);
  const auto limit = static_cast<std::size_t>(constraints.integer(request, "Limit", 1, kPageMax, kPageMax));
  SORTIE_TRY_STATUS(constraints.result());
  std::string after;
  if (!token.empty()) {
    auto decoded = base64_decode(token);
    if (!decoded) return invalid("Parameter NextToken is not valid.");
    after = std::move(decoded).value();
  }
  std::vector<Item> page;
  for (const Item& item : items) {
    if (!token.empty() && name(item) <= after) continue;
    if (page.size() == limit) {
      next_token = base64_encode(name(page.back()));
      break;
    }
    page.push_back(item);
  }
  return page;
}

json::Value page_json(std::string_view member, std::vector<json::Value> items,
                      const std::string& next_token) {
  json::ObjectBuilder out;
  out.append(member, json::Value::array(std::move(items)));
  append_text_if_any(out, "NextToken", next_token);
  return out.build();
}

Result<PutEntry> parse_entry(const json::Value& given) {
  PutEntry entry;
  const auto text = [&given](std::string_view member, std::string& out) -> Status {
    const json::Value* value = given.find(member);
    if (value == nullptr || value->is_null()) return {};
    if (!value->is_string()) {
      return Error{"SerializationException", std::string(member) + " of an entry has to be a text."};
    }
    out = value->to_std_string();
    return {};
  };
  if (!given.is_object()) return Error{"SerializationException", "An entry has to be an object."};
  SORTIE_TRY_STATUS(text("Source", entry.source));
  SORTIE_TRY_STATUS(text("DetailType", entry.detail_type));
  SORTIE_TRY_STATUS(text("Detail", entry.detail));
  SORTIE_TRY_STATUS(text("EventBusName", entry.bus));
  SORTIE_TRY_STATUS(text("TraceHeader", entry.trace_header));
  for (const json::Value& resource : given.get("Resources").items()) {
    if (!resource.is_string()) return Error{"SerializationException", "Resources have to be texts."};
    entry.resources.push_back(resource.to_std_string());
  }
  const json::Value& time = given.get("Time");
  if (time.is_number()) {
    const double at = time.as_double() * 1000;
    if (at < -62135596800000.0 || at > 253402300799000.0) return invalid("Parameter Time is not valid.");
    entry.time = Timestamp{static_cast<std::int64_t>(at)};
  } else if (time.is_string()) {
    auto at = parse_rfc3339(time.as_string());
    if (!at) return invalid("Parameter Time is not valid.");
    entry.time = *at;
  } else if (!time.is_null()) {
    return Error{"SerializationException", "Time of an entry has to be a time."};
  }
  return entry;
}

Status check_tags(const json::Value& tags) {
  if (tags.size() > 50) return invalid("Too many tags: at most 50 are allowed.");
  for (const json::Value& tag : tags.items()) {
    if (!tag.get("Key").is_string() || !tag.get("Value").is_string() || tag.get("Key").as_string().empty() ||
        tag.get("Key").as_string().size() > 128 || tag.get("Value").as_string().size() > 256) {
      return invalid("Tags need a Key of 1 to 128 and a Value of up to 256 characters.");
    }
  }
  return {};
}

}  // namespace api_detail

using namespace api_detail;

void EventsApi::answer(const Done& done, Result<json::Value> result) {
  bus_.loop().post([done, result = std::move(result)] { done(result); });
}

void EventsApi::handle(std::string_view operation, const json::Value& request, const Actor& actor, Done done,
                       std::string idempotency_key) {
  static const std::map<std::string_view, Operation> kReads = {
      {"DescribeRule", &EventsApi::describe_rule},
      {"ListRules", &EventsApi::list_rules},
      {"ListTargetsByRule", &EventsApi::list_targets},
      {"ListRuleNamesByTarget", &EventsApi::list_rule_names_by_target},
      {"DescribeEventBus", &EventsApi::describe_bus},
      {"ListEventBuses", &EventsApi::list_buses},
      {"ListTagsForResource", &EventsApi::list_tags},
      {"TestEventPattern", &EventsApi::test_event_pattern}};
  if (!request.is_object()) {
    return answer(done, Error{"SerializationException", "The request has to be a JSON object."});
  }
  if (const auto read = kReads.find(operation); read != kReads.end()) {
    return answer(done, (this->*read->second)(request, actor));
  }
  if (operation == "PutEvents")
    return put_events(request, actor, std::move(done), std::move(idempotency_key));
  if (operation == "PutRule") return put_rule(request, actor, std::move(done));
  if (operation == "PutTargets") return put_targets(request, actor, std::move(done));
  if (operation == "RemoveTargets") return remove_targets(request, actor, std::move(done));
  if (operation == "DeleteRule" || operation == "EnableRule" || operation == "DisableRule") {
    return change_rule(operation, request, actor, std::move(done));
  }
  if (operation == "CreateEventBus" || operation == "UpdateEventBus" || operation == "DeleteEventBus") {
    return change_bus(operation, request, actor, std::move(done));
  }
  if (operation == "TagResource" || operation == "UntagResource") {
    return change_tags(operation == "TagResource", request, actor, std::move(done));
  }
  answer(done, Error{"UnknownOperationException", "", "", "This operation of EventBridge is not supported."});
}

Result<std::string> EventsApi::bus_name(const json::Value& request, const Actor& actor,
                                        std::string_view member) {
  Constraints constraints;
  const std::string given = constraints.name(request, member, 1600, false, "/:");
  SORTIE_TRY_STATUS(constraints.result());
  std::string name = given.empty() ? std::string(kDefaultBus) : given;
  if (const auto arn = parse_arn(given)) {
    name = arn->resource.starts_with(kBusPrefix) ? arn->resource.substr(kBusPrefix.size()) : given;
    if (arn->account != bus_.account_of(actor)) {
      return Error{"ResourceNotFoundException", "Event bus " + name + " does not exist."};
    }
  }
  if (!bus_.find_bus(bus_.account_of(actor), name)) {
    return Error{"ResourceNotFoundException", "Event bus " + name + " does not exist."};
  }
  return name;
}

Result<std::string> EventsApi::rule_key(const json::Value& request, const Actor& actor,
                                        std::string_view member) {
  Constraints constraints;
  const std::string name = constraints.name(request, member, 64, true);
  SORTIE_TRY_STATUS(constraints.result());
  SORTIE_TRY(const std::string bus, bus_name(request, actor, "EventBusName"));
  return bus_.account_of(actor) + "/" + bus + "/" + name;
}

Result<std::shared_ptr<const CompiledRule>> EventsApi::rule_of(const json::Value& request, const Actor& actor,
                                                               std::string_view member) {
  SORTIE_TRY(const std::string key, rule_key(request, actor, member));
  auto rule = bus_.find_rule(key);
  if (rule) return rule;
  const std::size_t first = key.find('/');
  const std::size_t last = key.rfind('/');
  return Error{"ResourceNotFoundException", "Rule " + key.substr(last + 1) + " does not exist on EventBus " +
                                                key.substr(first + 1, last - first - 1) + "."};
}

void EventsApi::put_events(const json::Value& request, const Actor& actor, Done done,
                           std::string idempotency_key) {
  const json::Value& given = request.get("Entries");
  if (!given.is_array() || given.empty() || given.size() > kEntriesMax) {
    const bool many = given.size() > kEntriesMax;
    std::string shown = many ? "'[PutEventsRequestEntry]'" : given.is_array() ? "'[]'" : "null";
    return answer(done, invalid("1 validation error detected: Value " + shown +
                                " at 'entries' failed to satisfy constraint: Member must " +
                                (many               ? "have length less than or equal to 10"
                                 : given.is_array() ? "have length greater than or equal to 1"
                                                    : "not be null")));
  }
  std::vector<PutEntry> entries;
  std::size_t bytes = 0;
  for (const json::Value& one : given.items()) {
    auto entry = parse_entry(one);
    if (!entry) return answer(done, entry.error());
    bytes += entry->bytes();
    entries.push_back(std::move(entry).value());
  }
  if (bytes > kEntryBytesMax) {
    return answer(done, invalid("Total size of the entries in the request is over the limit."));
  }
  std::optional<SourceDedup> dedup;
  if (!idempotency_key.empty()) dedup = SourceDedup{"call", std::move(idempotency_key)};
  bus_.put_events(
      std::move(entries), actor,
      [done = std::move(done)](Result<std::vector<PutResult>> results) {
        if (!results) return done(results.error());
        std::vector<json::Value> told;
        int failed = 0;
        for (const PutResult& result : *results) {
          if (result.event_id.empty()) {
            ++failed;
            told.push_back(json::Value::object(
                {{"ErrorCode", result.error_code}, {"ErrorMessage", result.error_message}}));
          } else {
            told.push_back(json::Value::object({{"EventId", result.event_id}}));
          }
        }
        done(json::Value::object(
            {{"FailedEntryCount", failed}, {"Entries", json::Value::array(std::move(told))}}));
      },
      std::move(dedup));
}

void EventsApi::put_rule(const json::Value& request, const Actor& actor, Done done) {
  Constraints constraints;
  Rule rule;
  rule.name = constraints.name(request, "Name", 64, true);
  rule.schedule_expression = constraints.text(request, "ScheduleExpression", 0, 256);
  rule.event_pattern = constraints.text(request, "EventPattern", 0, 4096);
  rule.description = constraints.text(request, "Description", 0, 512);
  rule.role_arn = constraints.text(request, "RoleArn", 1, 1600);
  const std::string state = constraints.one_of(
      request, "State", {"ENABLED", "DISABLED", "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS"});
  if (auto status = constraints.result(); !status) return answer(done, status.error());
  if (!state.empty()) rule.state = state;
  auto bus = bus_name(request, actor, "EventBusName");
  if (!bus) return answer(done, bus.error());
  rule.bus = *bus;
  rule.account = bus_.account_of(actor);
  rule.tags = request.get("Tags");
  if (auto status = check_tags(rule.tags); !status) return answer(done, status.error());
  bus_.put_rule(std::move(rule), actor, [done = std::move(done)](Result<std::string> arn) {
    if (!arn) return done(arn.error());
    done(json::Value::object({{"RuleArn", *arn}}));
  });
}

void EventsApi::put_targets(const json::Value& request, const Actor& actor, Done done) {
  Constraints constraints;
  constraints.items(request, "Targets", 1, 100);
  if (auto status = constraints.result(); !status) return answer(done, status.error());
  auto rule = rule_of(request, actor, "Rule");
  std::vector<Target> targets;
  for (std::size_t i = 0; i < request.get("Targets").size(); ++i) {
    auto target = parse_target(request.get("Targets")[i], "targets." + std::to_string(i + 1) + ".member");
    if (!target) return answer(done, target.error());
    const bool fifo = target->arn.ends_with(".fifo") && target_kind_of(target->arn) == TargetKind::kQueue;
    if (fifo && !target->declared.get("SqsParameters").is_object()) {
      return answer(done,
                    invalid("Parameter(s) SqsParameters must be specified for target: " + target->id + "."));
    }
    if (auto compiled = compile_target(*target); !compiled) return answer(done, compiled.error());
    targets.push_back(std::move(target).value());
  }
  if (!rule) return answer(done, rule.error());
  bus_.put_targets(
      (*rule)->rule.key(), std::move(targets), actor, [done = std::move(done)](Result<Unit> result) {
        if (!result) return done(result.error());
        done(json::Value::object({{"FailedEntryCount", 0}, {"FailedEntries", json::Value::array({})}}));
      });
}

void EventsApi::remove_targets(const json::Value& request, const Actor& actor, Done done) {
  Constraints constraints;
  constraints.items(request, "Ids", 1, 100);
  if (auto status = constraints.result(); !status) return answer(done, status.error());
  auto rule = rule_of(request, actor, "Rule");
  if (!rule) return answer(done, rule.error());
  std::vector<std::string> ids;
  for (const json::Value& id : request.get("Ids").items()) {
    if (!id.is_string()) return answer(done, Error{"SerializationException", "Ids have to be texts."});
    ids.push_back(id.to_std_string());
  }
  bus_.remove_targets(
      (*rule)->rule.key(), ids, actor, [done = std::move(done)](Result<std::vector<std::string>> unknown) {
        if (!unknown) return done(unknown.error());
        // Ids that the rule does not have are no failure on AWS either.
        done(json::Value::object({{"FailedEntryCount", 0}, {"FailedEntries", json::Value::array({})}}));
      });
}

void EventsApi::change_rule(std::string_view operation, const json::Value& request, const Actor& actor,
                            Done done) {
  const auto finish = [done](Result<Unit> result) {
    if (!result) return done(result.error());
    done(json::Value::object({}));
  };
  if (operation == "DeleteRule") {
    auto key = rule_key(request, actor, "Name");
    if (!key) return answer(done, key.error());
    return bus_.delete_rule(*key, false, actor, finish);
  }
  auto rule = rule_of(request, actor, "Name");
  if (!rule) return answer(done, rule.error());
  bus_.set_rule_state((*rule)->rule.key(), operation == "EnableRule", actor, finish);
}

void EventsApi::change_bus(std::string_view operation, const json::Value& request, const Actor& actor,
                           Done done) {
  Constraints constraints;
  Bus bus;
  bus.account = bus_.account_of(actor);
  bus.name = constraints.name(request, "Name", 256, true, "/");
  bus.description = constraints.text(request, "Description", 0, 512);
  bus.tags = request.get("Tags");
  auto status = constraints.result();
  if (status) status = check_tags(bus.tags);
  if (!status) return answer(done, status.error());
  if (operation == "DeleteEventBus") {
    return bus_.delete_bus(bus.account, bus.name, actor, [done](Result<Unit> result) {
      if (!result) return done(result.error());
      done(json::Value::object({}));
    });
  }
  if (operation == "UpdateEventBus") {
    const auto before = bus_.find_bus(bus.account, bus.name);
    if (before) bus.tags = before->tags;
    return bus_.update_bus(bus, actor, [done, bus, arn = before ? before->arn : ""](Result<Unit> result) {
      if (!result) return done(result.error());
      json::ObjectBuilder out;
      out.append("Arn", arn).append("Name", bus.name);
      append_text_if_any(out, "Description", bus.description);
      done(out.build());
    });
  }
  if (bus.name.find('/') != std::string::npos || bus.name == kDefaultBus) {
    // Partner buses carry slashes; nobody but AWS makes them, and the default one is always there.
    return answer(done, bus.name == kDefaultBus
                            ? Error{"ResourceAlreadyExistsException", "Event bus default already exists."}
                            : invalid("Event bus name " + bus.name + " must not contain '/'."));
  }
  const std::string description = bus.description;
  bus_.create_bus(std::move(bus), actor, [done, description](Result<std::string> arn) {
    if (!arn) return done(arn.error());
    json::ObjectBuilder out;
    out.append("EventBusArn", *arn);
    append_text_if_any(out, "Description", description);
    done(out.build());
  });
}

Result<json::Value> EventsApi::describe_rule(const json::Value& request, const Actor& actor) {
  SORTIE_TRY(const auto rule, rule_of(request, actor, "Name"));
  return json::ObjectBuilder(rule_json(rule->rule)).append("CreatedBy", rule->rule.account).build();
}

Result<json::Value> EventsApi::list_rules(const json::Value& request, const Actor& actor) {
  Constraints constraints;
  const std::string prefix = constraints.name(request, "NamePrefix", 64);
  SORTIE_TRY_STATUS(constraints.result());
  SORTIE_TRY(const std::string bus, bus_name(request, actor, "EventBusName"));
  auto rules = bus_.list_rules(bus_.account_of(actor), bus);
  std::erase_if(rules, [&prefix](const auto& rule) { return !rule->rule.name.starts_with(prefix); });
  std::string next;
  SORTIE_TRY(const auto page, page_of(
                                  rules, request, [](const auto& rule) { return rule->rule.name; }, next));
  std::vector<json::Value> told;
  for (const auto& rule : page) told.push_back(rule_json(rule->rule));
  return page_json("Rules", std::move(told), next);
}

Result<json::Value> EventsApi::list_targets(const json::Value& request, const Actor& actor) {
  SORTIE_TRY(const auto rule, rule_of(request, actor, "Rule"));
  std::vector<Target> targets = rule->rule.targets;
  std::sort(targets.begin(), targets.end(), [](const Target& a, const Target& b) { return a.id < b.id; });
  std::string next;
  SORTIE_TRY(const auto page, page_of(
                                  targets, request, [](const Target& target) { return target.id; }, next));
  std::vector<json::Value> told;
  for (const Target& target : page) told.push_back(target.declared);
  return page_json("Targets", std::move(told), next);
}

Result<json::Value> EventsApi::list_rule_names_by_target(const json::Value& request, const Actor& actor) {
  Constraints constraints;
  const std::string arn = constraints.text(request, "TargetArn", 1, 1600, true);
  SORTIE_TRY_STATUS(constraints.result());
  SORTIE_TRY(const std::string bus, bus_name(request, actor, "EventBusName"));
  std::vector<std::string> names;
  for (const auto& rule : bus_.list_rules(bus_.account_of(actor), bus)) {
    const auto& targets = rule->rule.targets;
    if (std::any_of(targets.begin(), targets.end(),
                    [&arn](const Target& target) { return target.arn == arn; })) {
      names.push_back(rule->rule.name);
    }
  }
  std::string next;
  SORTIE_TRY(const auto page, page_of(
                                  names, request, [](const std::string& name) { return name; }, next));
  return page_json("RuleNames", std::vector<json::Value>(page.begin(), page.end()), next);
}

Result<json::Value> EventsApi::describe_bus(const json::Value& request, const Actor& actor) {
  SORTIE_TRY(const std::string name, bus_name(request, actor, "Name"));
  return bus_json(*bus_.find_bus(bus_.account_of(actor), name));
}

Result<json::Value> EventsApi::list_buses(const json::Value& request, const Actor& actor) {
  Constraints constraints;
  const std::string prefix = constraints.name(request, "NamePrefix", 256, false, "/");
  SORTIE_TRY_STATUS(constraints.result());
  std::vector<Bus> buses = bus_.list_buses(bus_.account_of(actor));
  std::erase_if(buses, [&prefix](const Bus& bus) { return !bus.name.starts_with(prefix); });
  std::string next;
  SORTIE_TRY(const auto page, page_of(
                                  buses, request, [](const Bus& bus) { return bus.name; }, next));
  std::vector<json::Value> told;
  for (const Bus& bus : page) told.push_back(bus_json(bus));
  return page_json("EventBuses", std::move(told), next);
}

namespace api_detail {

Error no_resource(std::string_view arn) {
  return Error{"ResourceNotFoundException", "Resource " + std::string(arn) + " does not exist."};
}

// The key of the rule that an ARN names; nothing where it names a bus or something else.
std::optional<std::string> rule_key_of(const ArnParts& arn) {
  if (!arn.resource.starts_with("rule/")) return std::nullopt;
  const std::string path = arn.resource.substr(5);
  const std::size_t slash = path.rfind('/');
  const std::string bus = slash == std::string::npos ? std::string(kDefaultBus) : path.substr(0, slash);
  return arn.account + "/" + bus + "/" + path.substr(slash == std::string::npos ? 0 : slash + 1);
}

}  // namespace api_detail

Result<json::Value> EventsApi::list_tags(const json::Value& request, const Actor& actor) {
  Constraints constraints;
  const std::string text = constraints.text(request, "ResourceARN", 1, 1600, true);
  SORTIE_TRY_STATUS(constraints.result());
  const auto arn = parse_arn(text);
  if (!arn || arn->account != bus_.account_of(actor)) return no_resource(text);
  json::Value tags;
  if (const auto key = rule_key_of(*arn)) {
    const auto rule = bus_.find_rule(*key);
    if (!rule) return no_resource(text);
    tags = rule->rule.tags;
  } else {
    const bool is_bus = arn->resource.starts_with(kBusPrefix);
    const auto bus =
        is_bus ? bus_.find_bus(arn->account, arn->resource.substr(kBusPrefix.size())) : std::nullopt;
    if (!bus) return no_resource(text);
    tags = bus->tags;
  }
  return json::Value::object({{"Tags", tags.is_array() ? tags : json::Value::array({})}});
}

void EventsApi::change_tags(bool add, const json::Value& request, const Actor& actor, Done done) {
  auto current = list_tags(request, actor);
  if (!current) return answer(done, current.error());
  const json::Value& given = request.get(add ? "Tags" : "TagKeys");
  const auto key_of = [add](const json::Value& item) { return add ? item.get("Key") : item; };
  std::vector<json::Value> tags;
  for (const json::Value& tag : current->get("Tags").items()) {
    const bool named = std::any_of(given.items().begin(), given.items().end(),
                                   [&](const json::Value& item) { return key_of(item) == tag.get("Key"); });
    if (!named) tags.push_back(tag);
  }
  if (add) tags.insert(tags.end(), given.items().begin(), given.items().end());
  json::Value all = json::Value::array(std::move(tags));
  if (auto status = check_tags(all); !status) return answer(done, status.error());
  const auto finish = [done](Result<Unit> result) {
    if (!result) return done(result.error());
    done(json::Value::object({}));
  };
  const auto arn = parse_arn(request.get("ResourceARN").as_string());
  if (const auto key = rule_key_of(*arn)) return bus_.set_rule_tags(*key, std::move(all), actor, finish);
  Bus bus = *bus_.find_bus(arn->account, arn->resource.substr(kBusPrefix.size()));
  bus.tags = std::move(all);
  bus_.update_bus(std::move(bus), actor, finish);
}

Result<json::Value> EventsApi::test_event_pattern(const json::Value& request, const Actor&) {
  Constraints constraints;
  const std::string pattern_text = constraints.text(request, "EventPattern", 0, 4096, true);
  const std::string event_text = constraints.text(request, "Event", 0, kEntryBytesMax, true);
  SORTIE_TRY_STATUS(constraints.result());
  SORTIE_TRY(const auto pattern, pattern::Pattern::compile(pattern_text, pattern::Mode::kAws));
  const auto event = json::parse(event_text);
  const auto matches = pattern.matches(event_text);
  if (!event || !matches || !is_envelope(*event)) return invalid("Parameter Event is not valid.");
  return json::Value::object({{"Result", *matches}});
}

}  // namespace sortie::events
