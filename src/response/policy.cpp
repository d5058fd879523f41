#include "response/policy.h"

#include <algorithm>
#include <set>

#include "base/duration.h"
#include "base/text.h"
#include "json/text.h"

namespace sortie::response {
namespace policy_reading {

// Reads one document and remembers where things stand, so that every mistake has a file, a line and a cure.
class Reader {
 public:
  Reader(const json::YamlDocument& document, const std::string& file, std::vector<Error>& errors)
      : document_(document), file_(file), errors_(errors) {}

  void fail(const std::string& pointer, std::string message, std::string hint) {
    std::string place = file_;
    // The nearest enclosing value that has a place; keys that are missing stand for their parent.
    for (std::string at = pointer;; at.resize(at.rfind('/'))) {
      const auto found = document_.places.find(at);
      if (found != document_.places.end()) {
        place += ":" + std::to_string(found->second.line) + ":" + std::to_string(found->second.column);
        break;
      }
      if (at.empty() || at.rfind('/') == std::string::npos) break;
    }
    errors_.push_back({"InvalidPolicy", std::move(message), std::move(place), std::move(hint)});
  }

  void check_keys(const json::Value& object, const std::string& pointer,
                  const std::set<std::string_view>& known) {
    for (const json::Member& member : object.members()) {
      if (known.count(member.key.as_string()) != 0) continue;
      std::string list;
      for (const std::string_view key : known) list += (list.empty() ? "" : ", ") + std::string(key);
      fail(pointer + "/" + member.key.to_std_string(), "Unknown key \"" + member.key.to_std_string() + "\"",
           "Known keys: " + list);
    }
  }

  bool read_bool(const json::Value& object, const std::string& pointer, const char* key, bool fallback) {
    const json::Value* value = object.find(key);
    if (value == nullptr) return fallback;
    if (value->is_bool()) return value->as_bool();
    fail(pointer + "/" + key, std::string(key) + " must be true or false",
         "Write true or false, without quotes");
    return fallback;
  }

  std::vector<std::string> read_names(const json::Value* list, const std::string& pointer, const char* hint) {
    std::vector<std::string> names;
    if (list == nullptr) return names;
    if (!list->is_array()) {
      fail(pointer, "This must be a list of names", hint);
      return names;
    }
    for (std::size_t i = 0; i < list->size(); ++i) {
      const json::Value& item = (*list)[i];
      if (item.is_string() && !item.as_string().empty()) {
        names.push_back(item.to_std_string());
      } else {
        fail(pointer + "/" + std::to_string(i), "This must be a name", hint);
      }
    }
    return names;
  }

  std::string read_name(const json::Value& object, const std::string& pointer, const char* key,
                        const std::string& fallback, const char* hint) {
    const json::Value* value = object.find(key);
    if (value == nullptr) return fallback;
    if (value->is_string() && !value->as_string().empty() && value->as_string().size() <= 128) {
      return value->to_std_string();
    }
    fail(pointer + "/" + key, std::string(key) + " must be a name", hint);
    return fallback;
  }

  const json::YamlDocument& document() const { return document_; }

 private:
  const json::YamlDocument& document_;
  const std::string& file_;
  std::vector<Error>& errors_;
};

std::int64_t read_expiry(Reader& reader, const json::Value& value, const std::string& pointer) {
  const std::string text = value.is_integer()  ? std::to_string(value.as_integer())
                           : value.is_string() ? value.to_std_string()
                                               : std::string();
  const Result<std::int64_t> ms = parse_duration_ms(text);
  if (ms.ok() && *ms >= kExpiryMsMin && *ms <= kExpiryMsMax) return *ms;
  reader.fail(pointer, "expires_after must be a duration from 1s to 365d", "Write for example 30m, 4h or 2d");
  return kExpiryMsDefault;
}

void read_from(Reader& reader, const json::Value& object, const std::string& pointer, Policy& policy) {
  const char* hint = "Write for example from: [group:ir-leads, person:alice]";
  policy.from = reader.read_names(object.find("from"), pointer + "/from", hint);
  for (std::size_t i = 0; i < policy.from.size(); ++i) {
    const std::string& entry = policy.from[i];
    const bool good = (entry.rfind("group:", 0) == 0 && entry.size() > 6) ||
                      (entry.rfind("person:", 0) == 0 && entry.size() > 7);
    if (!good) {
      reader.fail(pointer + "/from/" + std::to_string(i), "\"" + entry + "\" is neither a group nor a person",
                  hint);
    }
  }
}

void read_exclude(Reader& reader, const json::Value& object, const std::string& pointer, Policy& policy) {
  const char* hint = "The one word it knows is initiator: exclude: [initiator]";
  const std::vector<std::string> names =
      reader.read_names(object.find("exclude"), pointer + "/exclude", hint);
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (names[i] == "initiator") {
      policy.exclude_initiator = true;
    } else {
      reader.fail(pointer + "/exclude/" + std::to_string(i), "Cannot exclude \"" + names[i] + "\"", hint);
    }
  }
}

void read_numbers(Reader& reader, const json::Value& object, const std::string& pointer, Policy& policy) {
  if (const json::Value* quorum = object.find("quorum")) {
    if (quorum->is_integer() && quorum->as_integer() >= 1 && quorum->as_integer() <= kQuorumMax) {
      policy.quorum = static_cast<int>(quorum->as_integer());
    } else {
      reader.fail(pointer + "/quorum", "quorum must be a whole number from 1 to 100",
                  "It says how many people must approve");
    }
  }
  if (const json::Value* expiry = object.find("expires_after")) {
    policy.expires_after_ms = read_expiry(reader, *expiry, pointer + "/expires_after");
  }
  if (const json::Value* outcome = object.find("on_expire")) {
    if (*outcome == json::Value("reject")) {
      policy.on_expire = Policy::OnExpire::kReject;
    } else if (*outcome != json::Value("timeout")) {
      reader.fail(pointer + "/on_expire", "on_expire must be timeout or reject",
                  "timeout fails the task with States.Timeout, reject answers it with decision \"expired\"");
    }
  }
}

void read_policy(Reader& reader, const json::Value& object, const std::string& pointer,
                 ApprovalConfig& config, std::size_t errors_before, const std::vector<Error>& errors) {
  if (!object.is_object()) {
    return reader.fail(pointer, "A policy must be a mapping", "Write for example name: ir-leads, quorum: 2");
  }
  static const std::set<std::string_view> kKeys = {
      "name", "quorum",        "from",      "exclude",           "distinct",
      "veto", "expires_after", "on_expire", "require_plan_hash", "allow_unknown_initiator"};
  reader.check_keys(object, pointer, kKeys);
  Policy policy;
  policy.name = reader.read_name(object, pointer, "name", "", "Give the policy a name, e.g. name: ir-leads");
  if (!object.has("name")) reader.fail(pointer, "A policy needs a name", "Add for example name: ir-leads");
  read_numbers(reader, object, pointer, policy);
  read_from(reader, object, pointer, policy);
  read_exclude(reader, object, pointer, policy);
  policy.distinct = reader.read_bool(object, pointer, "distinct", true);
  policy.veto = reader.read_bool(object, pointer, "veto", true);
  policy.require_plan_hash = reader.read_bool(object, pointer, "require_plan_hash", false);
  policy.allow_unknown_initiator = reader.read_bool(object, pointer, "allow_unknown_initiator", false);
  const bool taken = std::any_of(config.policies.begin(), config.policies.end(),
                                 [&policy](const Policy& other) { return other.name == policy.name; });
  if (taken) {
    reader.fail(pointer + "/name", "There is another policy named \"" + policy.name + "\"",
                "Give each policy a name of its own");
  }
  // A policy that was misread must not let anybody decide: only a flawless one is kept.
  if (errors.size() == errors_before) config.policies.push_back(std::move(policy));
}

void read_policies(Reader& reader, const json::Value& value, const std::string& pointer,
                   ApprovalConfig& config, const std::vector<Error>& errors) {
  if (value.is_object() && !value.has("policies")) {
    return read_policy(reader, value, pointer, config, errors.size(), errors);
  }
  if (value.is_object()) {
    reader.check_keys(value, pointer, {"policies"});
    return read_policies(reader, value.get("policies"), pointer + "/policies", config, errors);
  }
  if (!value.is_array()) {
    return reader.fail(pointer, "This must be a policy or a list of policies",
                       "Write for example name: ir-leads, quorum: 2");
  }
  for (std::size_t i = 0; i < value.size(); ++i) {
    read_policy(reader, value[i], pointer + "/" + std::to_string(i), config, errors.size(), errors);
  }
}

void read_queues(Reader& reader, const json::Value* list, const std::string& pointer,
                 ApprovalConfig& config) {
  if (list == nullptr) return;
  const char* hint = "Write for example queues: [{queue: approval-queue, policy: ir-leads}]";
  if (!list->is_array()) return reader.fail(pointer, "queues must be a list", hint);
  for (std::size_t i = 0; i < list->size(); ++i) {
    const json::Value& item = (*list)[i];
    const std::string at = pointer + "/" + std::to_string(i);
    ApprovalQueue queue;
    if (item.is_string()) {
      queue.queue = item.to_std_string();
    } else if (item.is_object()) {
      reader.check_keys(item, at, {"queue", "policy"});
      queue.queue = reader.read_name(item, at, "queue", "", hint);
      queue.policy = reader.read_name(item, at, "policy", "default", hint);
    }
    if (queue.queue.empty()) {
      reader.fail(at, "A queue needs a name, a URL or an ARN", hint);
    } else {
      config.queues.push_back(std::move(queue));
    }
  }
}

void read_groups(Reader& reader, const json::Value* groups, const std::string& pointer,
                 ApprovalConfig& config) {
  if (groups == nullptr) return;
  const char* hint = "Write for example groups: {ir-leads: [alice, bob]}";
  if (!groups->is_object()) return reader.fail(pointer, "groups must be a mapping", hint);
  for (const json::Member& member : groups->members()) {
    const std::string name = member.key.to_std_string();
    config.groups[name] = reader.read_names(&member.value, pointer + "/" + name, hint);
  }
}

struct QueueName {
  std::string_view account, name;
};

// arn:aws:sqs:REGION:ACCOUNT:NAME, https://HOST/ACCOUNT/NAME, or NAME.
QueueName split_queue(std::string_view text) {
  if (text.rfind("arn:", 0) == 0) {
    const std::vector<std::string_view> parts = split(text, ':');
    return parts.size() == 6 ? QueueName{parts[4], parts[5]} : QueueName{};
  }
  const std::size_t scheme = text.find("://");
  if (scheme == std::string_view::npos) return {"", text};
  std::vector<std::string_view> parts = split(text.substr(scheme + 3), '/');
  while (!parts.empty() && parts.back().empty()) parts.pop_back();
  if (parts.size() < 2) return {};
  return {parts.size() >= 3 ? parts[parts.size() - 2] : std::string_view(), parts.back()};
}

}  // namespace policy_reading

const Policy* ApprovalConfig::find_policy(std::string_view name) const {
  for (const Policy& policy : policies) {
    if (policy.name == name) return &policy;
  }
  static const Policy kDefault;
  return name == "default" ? &kDefault : nullptr;
}

json::Value to_json(const Policy& policy) {
  std::vector<json::Value> from(policy.from.begin(), policy.from.end());
  std::vector<json::Value> exclude;
  if (policy.exclude_initiator) exclude.emplace_back("initiator");
  const bool rejects = policy.on_expire == Policy::OnExpire::kReject;
  return json::Value::object({{"name", policy.name},
                              {"quorum", policy.quorum},
                              {"from", json::Value::array(std::move(from))},
                              {"exclude", json::Value::array(std::move(exclude))},
                              {"distinct", policy.distinct},
                              {"veto", policy.veto},
                              {"expires_after", duration_text(policy.expires_after_ms)},
                              {"on_expire", rejects ? "reject" : "timeout"},
                              {"require_plan_hash", policy.require_plan_hash},
                              {"allow_unknown_initiator", policy.allow_unknown_initiator}});
}

Result<Policy> policy_from_json(const json::Value& value) {
  ApprovalConfig config;
  const json::YamlDocument document{value, {}};
  std::vector<Error> errors;
  const std::string file = "stored policy";
  policy_reading::Reader reader(document, file, errors);
  policy_reading::read_policy(reader, value, "", config, 0, errors);
  if (!errors.empty()) return errors.front();
  return config.policies.front();
}

std::vector<Error> read_policy_file(std::string_view text, const std::string& file, ApprovalConfig& config) {
  std::vector<Error> errors;
  const Result<json::YamlDocument> document = json::parse_yaml(text);
  if (!document) {
    Error error = document.error();
    error.place = json::place_in_file(file, error.place);
    return {error};
  }
  policy_reading::Reader reader(*document, file, errors);
  policy_reading::read_policies(reader, document->value, "", config, errors);
  return errors;
}

std::vector<Error> read_approvals_section(const json::YamlDocument& document, const std::string& pointer,
                                          const std::string& file, ApprovalConfig& config) {
  std::vector<Error> errors;
  const json::Value* section = &document.value;
  for (const std::string_view step : split(pointer, '/')) {
    if (step.empty()) continue;
    section = section->find(step);
    if (section == nullptr) return errors;
  }
  if (section->is_null()) return errors;
  policy_reading::Reader reader(document, file, errors);
  if (!section->is_object()) {
    reader.fail(pointer, "approvals must be a mapping", "Known keys: queues, groups, policies");
    return errors;
  }
  reader.check_keys(*section, pointer, {"queues", "groups", "policies"});
  policy_reading::read_queues(reader, section->find("queues"), pointer + "/queues", config);
  policy_reading::read_groups(reader, section->find("groups"), pointer + "/groups", config);
  if (const json::Value* policies = section->find("policies")) {
    policy_reading::read_policies(reader, *policies, pointer + "/policies", config, errors);
  }
  return errors;
}

std::vector<Error> check_references(const ApprovalConfig& config, const std::string& file) {
  std::vector<Error> errors;
  for (const ApprovalQueue& queue : config.queues) {
    if (config.find_policy(queue.policy) != nullptr) continue;
    errors.push_back(
        {"InvalidPolicy",
         "Queue \"" + queue.queue + "\" names the policy \"" + queue.policy + "\", which does not exist",
         file, "Add policies/" + queue.policy + ".yaml, or name another policy"});
  }
  return errors;
}

std::string duration_text(std::int64_t ms) {
  const std::int64_t seconds = ms / 1000;
  if (seconds != 0 && seconds % 86'400 == 0) return std::to_string(seconds / 86'400) + "d";
  if (seconds != 0 && seconds % 3600 == 0) return std::to_string(seconds / 3600) + "h";
  if (seconds != 0 && seconds % 60 == 0) return std::to_string(seconds / 60) + "m";
  return std::to_string(seconds) + "s";
}

bool queue_matches(std::string_view configured, std::string_view queue) {
  const policy_reading::QueueName wanted = policy_reading::split_queue(configured);
  const policy_reading::QueueName given = policy_reading::split_queue(queue);
  if (wanted.name.empty() || wanted.name != given.name) return false;
  return wanted.account.empty() || given.account.empty() || wanted.account == given.account;
}

}  // namespace sortie::response
