#pragma once
// EventBridge's API (target "AWSEvents.*") over json::Value: the floor that speaks HTTP only routes. Names,
// errors and messages are AWS's; what this server does not have answers "UnknownOperationException" or, where
// AWS has it and a caller would be misled, a clear ValidationException.
//
// Times go out as seconds since 1970 (numbers), as the JSON protocol wants them.
#include <functional>
#include <string_view>

#include "base/actor.h"
#include "events/event_bus.h"
#include "json/value.h"

namespace sortie::events {

class EventsApi {
 public:
  using Done = std::function<void(Result<json::Value>)>;

  explicit EventsApi(EventBus& bus) : bus_(bus) {}

  // `done` runs on the loop, never inside this call. `operation` is the part after "AWSEvents.". PutEvents
  // with an idempotency key that was seen less than a day ago answers what it answered then, and starts
  // nothing again: a task that is dispatched twice sends its events once.
  void handle(std::string_view operation, const json::Value& request, const Actor& actor, Done done,
              std::string idempotency_key = "");

 private:
  using Operation = Result<json::Value> (EventsApi::*)(const json::Value&, const Actor&);

  void put_events(const json::Value& request, const Actor& actor, Done done, std::string idempotency_key);
  void put_rule(const json::Value& request, const Actor& actor, Done done);
  void put_targets(const json::Value& request, const Actor& actor, Done done);
  void remove_targets(const json::Value& request, const Actor& actor, Done done);
  void change_rule(std::string_view operation, const json::Value& request, const Actor& actor, Done done);
  void change_bus(std::string_view operation, const json::Value& request, const Actor& actor, Done done);
  void change_tags(bool add, const json::Value& request, const Actor& actor, Done done);
  Result<json::Value> describe_rule(const json::Value& request, const Actor& actor);
  Result<json::Value> list_rules(const json::Value& request, const Actor& actor);
  Result<json::Value> list_targets(const json::Value& request, const Actor& actor);
  Result<json::Value> list_rule_names_by_target(const json::Value& request, const Actor& actor);
  Result<json::Value> describe_bus(const json::Value& request, const Actor& actor);
  Result<json::Value> list_buses(const json::Value& request, const Actor& actor);
  Result<json::Value> list_tags(const json::Value& request, const Actor& actor);
  Result<json::Value> test_event_pattern(const json::Value& request, const Actor& actor);

  void answer(const Done& done, Result<json::Value> result);
  // The bus that EventBusName (a name, an ARN, or nothing) means, and the key of the rule in `member` on it.
  Result<std::string> bus_name(const json::Value& request, const Actor& actor, std::string_view member);
  Result<std::string> rule_key(const json::Value& request, const Actor& actor, std::string_view member);
  Result<std::shared_ptr<const CompiledRule>> rule_of(const json::Value& request, const Actor& actor,
                                                      std::string_view member);

  EventBus& bus_;
};

}  // namespace sortie::events
