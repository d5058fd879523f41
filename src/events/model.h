#pragma once
// Rules, targets and buses as EventBridge knows them: plain values, and their JSON as PutRule, PutTargets and
// CreateEventBus take it. The same JSON is what the store keeps and what rule files hold.
//
// A rule file `rules/NAME.yaml` is one object: EventPattern (JSON text, or the pattern itself as YAML) or
// ScheduleExpression, State, Description, EventBusName, RoleArn, Tags, Targets (as PutTargets takes them),
// and our own `deduplicate: {key: $.detail.id, window: 1h}`: events whose key was seen less than a window ago
// are recorded as duplicates and start nothing.
//
// Errors carry AWS's code and message; for rule files `place` is the JSON pointer of what is wrong.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/actor.h"
#include "base/result.h"
#include "base/time.h"
#include "json/value.h"

namespace sortie::events {

inline constexpr std::string_view kDefaultBus = "default";
inline constexpr int kRetryAttemptsMax = 185;
inline constexpr std::int64_t kEventAgeMsMin = 60'000;
inline constexpr std::int64_t kEventAgeMsMax = 86'400'000;
inline constexpr std::int64_t kDedupWindowMsMax = 30LL * 86'400'000;

struct RetryPolicy {
  int attempts_max = kRetryAttemptsMax;  // Retries after the first attempt.
  std::int64_t age_max_ms = kEventAgeMsMax;
};

enum class TargetKind { kStateMachine, kFunction, kQueue, kTopic, kEventBus, kLogGroup, kUnsupported };

TargetKind target_kind_of(std::string_view arn);
std::string_view target_kind_name(TargetKind kind);  // "state machine", "function", ...

struct Target {
  json::Value declared;  // As given: ListTargetsByRule answers it unchanged.
  std::string id;
  std::string arn;
  std::string role_arn;
  std::optional<std::string> input;
  std::optional<std::string> input_path;
  bool transforms = false;  // input_paths and input_template are given.
  std::vector<std::pair<std::string, std::string>> input_paths;
  std::string input_template;
  RetryPolicy retry;
  std::string dead_letter_arn;
};

struct Deduplicate {
  std::string key;  // A path into the envelope.
  std::int64_t window_ms = 0;
};

struct Rule {
  std::string account;
  std::string bus{kDefaultBus};
  std::string name;
  std::string arn;
  std::string event_pattern;        // JSON text; empty: none.
  std::string schedule_expression;  // Empty: none.
  std::string state = "ENABLED";
  std::string description;
  std::string role_arn;
  json::Value tags;            // [{Key, Value}]
  std::string origin = "api";  // "project" when a file of the project folder made it.
  Timestamp anchor;            // From when its schedule counts.
  std::optional<Deduplicate> deduplicate;
  std::vector<Target> targets;

  bool is_enabled() const { return state != "DISABLED"; }
  std::string key() const;  // "ACCOUNT/BUS/NAME": unique.
};

struct Bus {
  std::string account;
  std::string name{kDefaultBus};
  std::string arn;
  std::string description;
  Timestamp created_at;
  Timestamp modified_at;
  json::Value tags;

  std::string key() const;  // "ACCOUNT/NAME"
};

std::string rule_arn(std::string_view account, std::string_view region, std::string_view bus,
                     std::string_view name);
std::string bus_arn(std::string_view account, std::string_view region, std::string_view name);

struct ArnParts {
  std::string service, region, account, resource;
};
std::optional<ArnParts> parse_arn(std::string_view arn);

// Targets as PutTargets takes them, shape and limits checked. `path` is where it stands ("targets.1.member").
Result<Target> parse_target(const json::Value& declared, const std::string& path);

// The store's form of a rule and back. Errors of reading: code "StoreCorrupt".
json::Value to_json(const Rule& rule);
Result<Rule> parse_stored_rule(const json::Value& stored);
json::Value to_json(const Bus& bus);
Result<Bus> parse_stored_bus(const json::Value& stored);

// A rule file's content. `name` is the file's name; account, arn and anchor are the caller's to fill in.
Result<Rule> parse_rule_file(const json::Value& content, std::string_view name);

// A deduplication window: a duration (base/duration.h) of 1 s to 30 d. Errors: code "ValidationException".
Result<std::int64_t> parse_window_ms(std::string_view text);

}  // namespace sortie::events
