#include "events/model.h"

#include <algorithm>
#include <array>

#include "base/duration.h"
#include "base/text.h"
#include "events/constraints.h"
#include "json/members.h"
#include "json/text.h"

namespace sortie::events {

namespace model_detail {

Error invalid(std::string message) { return Error{"ValidationException", std::move(message)}; }

Error at(Error error, std::string_view pointer, std::string hint = "") {
  if (error.place.empty()) error.place = std::string(pointer);
  if (error.hint.empty()) error.hint = std::move(hint);
  return error;
}

Status read_retry_policy(const json::Value& declared, const std::string& path, RetryPolicy& retry) {
  const json::Value* policy = declared.find("RetryPolicy");
  if (policy == nullptr || policy->is_null()) return {};
  if (!policy->is_object()) return Error{"SerializationException", "RetryPolicy has to be an object."};
  Constraints constraints;
  constraints.set_prefix(path + ".retryPolicy.");
  retry.attempts_max = static_cast<int>(
      constraints.integer(*policy, "MaximumRetryAttempts", 0, kRetryAttemptsMax, kRetryAttemptsMax));
  retry.age_max_ms = 1000 * constraints.integer(*policy, "MaximumEventAgeInSeconds", kEventAgeMsMin / 1000,
                                                kEventAgeMsMax / 1000, kEventAgeMsMax / 1000);
  return constraints.result();
}

Status read_transformer(const json::Value& declared, Target& target) {
  const json::Value* transformer = declared.find("InputTransformer");
  if (transformer == nullptr || transformer->is_null()) return {};
  if (!transformer->is_object()) {
    return Error{"SerializationException", "InputTransformer has to be an object."};
  }
  target.transforms = true;
  const json::Value* text = transformer->find("InputTemplate");
  if (text == nullptr || !text->is_string()) {
    return invalid("InputTemplate for target " + target.id + " must be given.");
  }
  target.input_template = text->to_std_string();
  for (const json::Member& member : transformer->get("InputPathsMap").members()) {
    if (!member.value.is_string()) {
      return Error{"SerializationException", "InputPathsMap has to hold texts."};
    }
    target.input_paths.emplace_back(member.key.to_std_string(), member.value.to_std_string());
  }
  return {};
}

}  // namespace model_detail

using namespace model_detail;

TargetKind target_kind_of(std::string_view arn) {
  const std::optional<ArnParts> parts = parse_arn(arn);
  if (!parts) return TargetKind::kUnsupported;
  const std::string& resource = parts->resource;
  if (parts->service == "states" && resource.starts_with("stateMachine:")) return TargetKind::kStateMachine;
  if (parts->service == "lambda" && resource.starts_with("function:")) return TargetKind::kFunction;
  if (parts->service == "sqs") return TargetKind::kQueue;
  if (parts->service == "sns") return TargetKind::kTopic;
  if (parts->service == "events" && resource.starts_with("event-bus/")) return TargetKind::kEventBus;
  if (parts->service == "logs" && resource.starts_with("log-group:")) return TargetKind::kLogGroup;
  return TargetKind::kUnsupported;
}

std::string_view target_kind_name(TargetKind kind) {
  static constexpr std::array<std::string_view, 7> kNames = {
      "state machine", "function", "queue", "topic", "event bus", "log group", "unsupported target"};
  return kNames[static_cast<std::size_t>(kind)];
}

std::string Rule::key() const { return account + "/" + bus + "/" + name; }
std::string Bus::key() const { return account + "/" + name; }

std::string rule_arn(std::string_view account, std::string_view region, std::string_view bus,
                     std::string_view name) {
  std::string arn = "arn:aws:events:" + std::string(region) + ":" + std::string(account) + ":rule/";
  if (bus != kDefaultBus) arn += std::string(bus) + "/";
  return arn + std::string(name);
}

std::string bus_arn(std::string_view account, std::string_view region, std::string_view name) {
  return "arn:aws:events:" + std::string(region) + ":" + std::string(account) + ":event-bus/" +
         std::string(name);
}

std::optional<ArnParts> parse_arn(std::string_view arn) {
  if (!arn.starts_with("arn:")) return std::nullopt;
  std::array<std::string_view, 6> parts;
  std::size_t start = 0;
  for (std::size_t i = 0; i < 5; ++i) {
    const std::size_t end = arn.find(':', start);
    if (end == std::string_view::npos) return std::nullopt;
    parts[i] = arn.substr(start, end - start);
    start = end + 1;
  }
  parts[5] = arn.substr(start);
  if (!parts[1].starts_with("aws") || parts[2].empty() || parts[5].empty()) return std::nullopt;
  return ArnParts{std::string(parts[2]), std::string(parts[3]), std::string(parts[4]), std::string(parts[5])};
}

Result<Target> parse_target(const json::Value& declared, const std::string& path) {
  if (!declared.is_object()) return Error{"SerializationException", "A target has to be an object."};
  Target target;
  target.declared = declared;
  Constraints constraints;
  constraints.set_prefix(path + ".");
  target.id = constraints.name(declared, "Id", 64, true);
  target.arn = constraints.text(declared, "Arn", 1, 1600, true);
  target.role_arn = constraints.text(declared, "RoleArn", 1, 1600);
  if (declared.has("Input")) target.input = constraints.text(declared, "Input", 0, 8192);
  if (declared.has("InputPath")) target.input_path = constraints.text(declared, "InputPath", 0, 256);
  SORTIE_TRY_STATUS(constraints.result());
  SORTIE_TRY_STATUS(read_retry_policy(declared, path, target.retry));
  SORTIE_TRY_STATUS(read_transformer(declared, target));
  const json::Value& dead_letter = declared.get("DeadLetterConfig");
  if (dead_letter.is_object()) {
    target.dead_letter_arn = json::text_member(dead_letter, "Arn");
    if (target_kind_of(target.dead_letter_arn) != TargetKind::kQueue) {
      return invalid("Parameter(s) DeadLetterConfig.Arn must be the ARN of an SQS queue for target " +
                     target.id + ".");
    }
  }
  if ((target.input ? 1 : 0) + (target.input_path ? 1 : 0) + (target.transforms ? 1 : 0) > 1) {
    return invalid("Only one of Input, InputPath, or InputTransformer must be provided for target " +
                   target.id + ".");
  }
  if (target.input && !json::parse(*target.input)) {
    return invalid("JSON text of Input for target " + target.id + " is not valid.");
  }
  if (!parse_arn(target.arn)) {
    return invalid("Parameter " + target.arn +
                   " is not valid. Reason: Provided Arn is not in correct format.");
  }
  return target;
}

json::Value to_json(const Rule& rule) {
  json::ObjectBuilder out;
  out.append("Account", rule.account).append("EventBusName", rule.bus).append("Name", rule.name);
  out.append("Arn", rule.arn).append("EventPattern", rule.event_pattern);
  out.append("ScheduleExpression", rule.schedule_expression).append("State", rule.state);
  out.append("Description", rule.description).append("RoleArn", rule.role_arn).append("Tags", rule.tags);
  out.append("Origin", rule.origin).append("AnchorMs", rule.anchor.ms);
  if (rule.deduplicate) {
    out.append("Deduplicate", json::Value::object({{"Key", rule.deduplicate->key},
                                                   {"WindowMs", rule.deduplicate->window_ms}}));
  }
  std::vector<json::Value> targets;
  for (const Target& target : rule.targets) targets.push_back(target.declared);
  return out.append("Targets", json::Value::array(std::move(targets))).build();
}

Result<Rule> parse_stored_rule(const json::Value& stored) {
  Rule rule;
  rule.account = json::text_member(stored, "Account");
  rule.bus = json::text_member(stored, "EventBusName");
  rule.name = json::text_member(stored, "Name");
  rule.arn = json::text_member(stored, "Arn");
  rule.event_pattern = json::text_member(stored, "EventPattern");
  rule.schedule_expression = json::text_member(stored, "ScheduleExpression");
  rule.state = json::text_member(stored, "State");
  rule.description = json::text_member(stored, "Description");
  rule.role_arn = json::text_member(stored, "RoleArn");
  rule.tags = stored.get("Tags");
  rule.origin = json::text_member(stored, "Origin");
  const json::Value& anchor = stored.get("AnchorMs");
  if (anchor.is_integer()) rule.anchor.ms = anchor.as_integer();
  const json::Value& deduplicate = stored.get("Deduplicate");
  if (deduplicate.is_object() && deduplicate.get("WindowMs").is_integer()) {
    rule.deduplicate =
        Deduplicate{json::text_member(deduplicate, "Key"), deduplicate.get("WindowMs").as_integer()};
  }
  for (const json::Value& declared : stored.get("Targets").items()) {
    auto target = parse_target(declared, "targets");
    if (!target) return Error{"StoreCorrupt", "A stored target cannot be read: " + target.error().message};
    rule.targets.push_back(std::move(target).value());
  }
  if (rule.name.empty() || rule.account.empty() || rule.bus.empty()) {
    return Error{"StoreCorrupt", "A stored rule has no name, account or bus"};
  }
  return rule;
}

json::Value to_json(const Bus& bus) {
  return json::Value::object({{"Account", bus.account},
                              {"Name", bus.name},
                              {"Arn", bus.arn},
                              {"Description", bus.description},
                              {"CreatedMs", bus.created_at.ms},
                              {"ModifiedMs", bus.modified_at.ms},
                              {"Tags", bus.tags}});
}

Result<Bus> parse_stored_bus(const json::Value& stored) {
  Bus bus;
  bus.account = json::text_member(stored, "Account");
  bus.name = json::text_member(stored, "Name");
  bus.arn = json::text_member(stored, "Arn");
  bus.description = json::text_member(stored, "Description");
  if (stored.get("CreatedMs").is_integer()) bus.created_at.ms = stored.get("CreatedMs").as_integer();
  if (stored.get("ModifiedMs").is_integer()) bus.modified_at.ms = stored.get("ModifiedMs").as_integer();
  bus.tags = stored.get("Tags");
  if (bus.name.empty() || bus.account.empty()) {
    return Error{"StoreCorrupt", "A stored event bus has no name or account"};
  }
  return bus;
}

Result<std::int64_t> parse_window_ms(std::string_view text) {
  const auto window = parse_duration_ms(text);
  if (window && *window > 0 && *window <= kDedupWindowMsMax) return *window;
  return Error{"ValidationException", "'" + std::string(text) + "' is no window", "",
               "write a number and s, m, h or d, up to 30d: 90s, 30m, 1h"};
}

namespace model_detail {

Status read_deduplicate(const json::Value& content, Rule& rule) {
  const json::Value* given = content.find("deduplicate");
  if (given == nullptr || given->is_null()) return {};
  Deduplicate deduplicate;
  deduplicate.key = json::text_member(*given, "key");
  if (deduplicate.key.empty()) {
    return at(invalid("deduplicate needs a key"), "/deduplicate",
              "deduplicate: {key: $.detail.id, window: 1h}");
  }
  auto window = parse_window_ms(json::text_member(*given, "window"));
  if (!window) return at(window.error(), "/deduplicate/window");
  deduplicate.window_ms = *window;
  rule.deduplicate = std::move(deduplicate);
  return {};
}

Status read_file_targets(const json::Value& content, Rule& rule) {
  const json::Value& targets = content.get("Targets");
  if (!targets.is_array() && !targets.is_null()) {
    return at(invalid("Targets has to be a list"), "/Targets");
  }
  for (std::size_t i = 0; i < targets.size(); ++i) {
    const std::string pointer = "/Targets/" + std::to_string(i);
    json::Value declared = targets[i];
    // In a file the constant input may be written as what it is instead of as JSON text.
    const json::Value* input = declared.find("Input");
    if (input != nullptr && !input->is_string()) {
      declared = json::ObjectBuilder(declared).set("Input", json::to_text(*input)).build();
    }
    auto target = parse_target(declared, "targets." + std::to_string(i + 1) + ".member");
    if (!target) return at(target.error(), pointer);
    rule.targets.push_back(std::move(target).value());
  }
  return {};
}

}  // namespace model_detail

Result<Rule> parse_rule_file(const json::Value& content, std::string_view name) {
  static constexpr std::array<std::string_view, 11> kKeys = {
      "Name",        "EventPattern", "ScheduleExpression", "State",
      "Description", "EventBusName", "EventBusName",       "RoleArn",
      "Tags",        "Targets",      "deduplicate"};
  if (!content.is_object()) return at(invalid("A rule file holds one object"), "");
  for (const json::Member& member : content.members()) {
    const std::string_view key = member.key.as_string();
    if (std::find(kKeys.begin(), kKeys.end(), key) == kKeys.end()) {
      return at(invalid("'" + std::string(key) + "' is no member of a rule"), "/" + std::string(key),
                "a rule has EventPattern or ScheduleExpression, Targets, State, Description, EventBusName, "
                "RoleArn, "
                "Tags and deduplicate");
    }
  }
  Rule rule;
  rule.origin = "project";
  Constraints constraints;
  rule.name = content.has("Name") ? constraints.name(content, "Name", 64) : std::string(name);
  rule.schedule_expression = constraints.text(content, "ScheduleExpression", 0, 256);
  rule.description = constraints.text(content, "Description", 0, 512);
  rule.role_arn = constraints.text(content, "RoleArn", 1, 1600);
  const std::string state = constraints.one_of(content, "State", {"ENABLED", "DISABLED"});
  const std::string bus = constraints.name(content, "EventBusName", 256, false, "/");
  if (auto status = constraints.result(); !status) return at(status.error(), "");
  if (!state.empty()) rule.state = state;
  if (!bus.empty()) rule.bus = bus;
  rule.tags = content.get("Tags");
  const json::Value& pattern = content.get("EventPattern");
  if (pattern.is_string()) {
    rule.event_pattern = pattern.to_std_string();
  } else if (!pattern.is_null()) {
    rule.event_pattern = json::to_text(pattern);
  }
  SORTIE_TRY_STATUS(read_deduplicate(content, rule));
  SORTIE_TRY_STATUS(read_file_targets(content, rule));
  return rule;
}

}  // namespace sortie::events
