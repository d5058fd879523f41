#include "functions/function.h"

#include <algorithm>
#include <array>

#include "base/text.h"
#include "json/text.h"
#include "json/yaml.h"

namespace sortie::functions {

namespace {

constexpr std::array kPythonRuntimes = {"python3.8",  "python3.9",  "python3.10", "python3.11",
                                        "python3.12", "python3.13", "python3.14"};
constexpr std::array kNodeRuntimes = {"nodejs14.x", "nodejs16.x", "nodejs18.x",
                                      "nodejs20.x", "nodejs22.x", "nodejs24.x"};
constexpr std::array kProvidedRuntimes = {"provided", "provided.al2", "provided.al2023"};
// Lambda has them, Sortie has no way to run them.
constexpr std::array kForeignRuntimes = {"java8.al2", "java11",  "java17",   "java21", "java25",
                                         "dotnet6",   "dotnet8", "dotnet10", "go1.x",  "ruby3.2",
                                         "ruby3.3",   "ruby3.4", "ruby2.7"};
constexpr std::array kReservedVariables = {"_HANDLER",
                                           "_X_AMZN_TRACE_ID",
                                           "AWS_DEFAULT_REGION",
                                           "AWS_REGION",
                                           "AWS_EXECUTION_ENV",
                                           "AWS_LAMBDA_FUNCTION_NAME",
                                           "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
                                           "AWS_LAMBDA_FUNCTION_VERSION",
                                           "AWS_LAMBDA_INITIALIZATION_TYPE",
                                           "AWS_LAMBDA_LOG_GROUP_NAME",
                                           "AWS_LAMBDA_LOG_STREAM_NAME",
                                           "AWS_ACCESS_KEY",
                                           "AWS_ACCESS_KEY_ID",
                                           "AWS_SECRET_ACCESS_KEY",
                                           "AWS_SESSION_TOKEN",
                                           "AWS_LAMBDA_RUNTIME_API",
                                           "LAMBDA_TASK_ROOT",
                                           "LAMBDA_RUNTIME_DIR"};
constexpr std::array kYamlKeys = {"description", "runtime", "handler", "timeout", "memory",   "concurrency",
                                  "environment", "role",    "layers",  "actions", "behaviour"};

struct BehaviourKey {
  const char* name;
  std::optional<bool> Behaviour::*member;
};
constexpr BehaviourKey kBehaviourKeys[] = {
    {"disruptive", &Behaviour::is_disruptive}, {"irreversible", &Behaviour::is_irreversible},
    {"read_only", &Behaviour::is_read_only},   {"errors_as_data", &Behaviour::returns_errors_as_data},
    {"idempotent", &Behaviour::is_idempotent}, {"records_undo", &Behaviour::records_undo}};

template <typename List>
bool is_one_of(const List& list, std::string_view value) {
  return std::find(list.begin(), list.end(), value) != list.end();
}

bool is_name_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

bool is_variable_name(std::string_view name) {
  const auto is_letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
  return name.size() >= 2 && is_letter(name[0]) && std::all_of(name.begin(), name.end(), [&](char c) {
           return is_letter(c) || (c >= '0' && c <= '9') || c == '_';
         });
}

bool is_account(std::string_view text) {
  return text.size() == 12 &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

Error validation(std::string_view value, std::string_view field, std::string_view constraint) {
  return {"ValidationException",
          "1 validation error detected: Value '" + std::string(truncate_utf8(value, 200)) + "' at '" +
              std::string(field) + "' failed to satisfy constraint: Member must " + std::string(constraint),
          "", ""};
}

Error invalid(std::string message) { return {"InvalidParameterValueException", std::move(message), "", ""}; }

Status check_runtime(const std::string& runtime) {
  if (is_one_of(kPythonRuntimes, runtime) || is_one_of(kNodeRuntimes, runtime) ||
      is_one_of(kProvidedRuntimes, runtime)) {
    return {};
  }
  if (is_one_of(kForeignRuntimes, runtime)) {
    return invalid("The runtime " + runtime +
                   " is not supported yet: this server runs python3.x, nodejsNN.x and provided runtimes");
  }
  std::string known;
  for (const auto* name : kPythonRuntimes) known += std::string(known.empty() ? "" : ", ") + name;
  for (const auto* name : kNodeRuntimes) known += std::string(", ") + name;
  for (const auto* name : kProvidedRuntimes) known += std::string(", ") + name;
  return invalid("Value " + runtime +
                 " at 'runtime' failed to satisfy constraint: Member must satisfy enum value set: [" + known +
                 "] or be a valid ARN");
}

Status check_environment(const std::map<std::string, std::string>& environment) {
  const std::string prefix =
      "Lambda was unable to configure your environment variables because the environment variables you have "
      "provided ";
  std::size_t total = 0;
  std::string reserved;
  json::ObjectBuilder shown;
  for (const auto& [name, value] : environment) {
    if (!is_variable_name(name)) {
      return validation(name, "environment.variables",
                        "satisfy regular expression pattern: [a-zA-Z]([a-zA-Z0-9_])+");
    }
    if (value.find('\0') != std::string::npos) return invalid(prefix + "contain a zero byte in " + name);
    if (is_one_of(kReservedVariables, name)) reserved += (reserved.empty() ? "" : ", ") + name;
    total += name.size() + value.size();
    shown.append(name, value);
  }
  if (!reserved.empty()) {
    return invalid(prefix +
                   "contains reserved keys that are currently not supported for modification. "
                   "Reserved keys used in this request: " +
                   reserved);
  }
  if (total > kEnvironmentBytesMax) {
    return invalid(prefix + "exceeded the 4KB limit. String measured: " + json::to_text(shown.build()));
  }
  return {};
}

bool is_role_arn(std::string_view role) {
  const auto parts = split(role, ':');
  return parts.size() == 6 && parts[0] == "arn" && parts[1].starts_with("aws") && parts[2] == "iam" &&
         parts[3].empty() && is_account(parts[4]) && parts[5].starts_with("role/") && parts[5].size() > 5;
}

}  // namespace

RuntimeKind FunctionConfig::runtime_kind() const {
  if (runtime.starts_with("python")) return RuntimeKind::kPython;
  if (runtime.starts_with("nodejs")) return RuntimeKind::kNode;
  return RuntimeKind::kProvided;
}

Status check_function_name(std::string_view name) {
  if (name.empty() || !std::all_of(name.begin(), name.end(), is_name_character)) {
    return validation(
        name, "functionName",
        "satisfy regular expression pattern: (arn:(aws[a-zA-Z-]*)?:lambda:)?([a-z]{2}(-gov)?-[a-z]+-\\d{1}:)?"
        "(\\d{12}:)?(function:)?([a-zA-Z0-9-_]+)(:(\\$LATEST|[a-zA-Z0-9-_]+))?");
  }
  if (name.size() > 64) return validation(name, "functionName", "have length less than or equal to 64");
  return {};
}

Status check_config(const FunctionConfig& config) {
  SORTIE_TRY_STATUS(check_function_name(config.name));
  SORTIE_TRY_STATUS(check_runtime(config.runtime));
  if (config.handler.empty() && config.runtime_kind() != RuntimeKind::kProvided) {
    return invalid(
        "Runtime and Handler are mandatory parameters for functions created with deployment packages.");
  }
  if (config.handler.find_first_of(" \t\r\n") != std::string::npos) {
    return validation(config.handler, "handler", "satisfy regular expression pattern: [^\\s]+");
  }
  if (config.handler.size() > 128)
    return validation(config.handler, "handler", "have length less than or equal to 128");
  if (!config.role.empty() && !is_role_arn(config.role)) {
    return validation(config.role, "role",
                      "satisfy regular expression pattern: "
                      "arn:(aws[a-zA-Z-]*)?:iam::\\d{12}:role/?[a-zA-Z_0-9+=,.@\\-_/]+");
  }
  if (config.timeout_s < 1) {
    return validation(std::to_string(config.timeout_s), "timeout", "have value greater than or equal to 1");
  }
  if (config.timeout_s > 900) {
    return validation(std::to_string(config.timeout_s), "timeout", "have value less than or equal to 900");
  }
  if (config.memory_mib < 128) {
    return validation(std::to_string(config.memory_mib), "memorySize",
                      "have value greater than or equal to 128");
  }
  if (config.memory_mib > 10'240) {
    return validation(std::to_string(config.memory_mib), "memorySize",
                      "have value less than or equal to 10240");
  }
  if (config.ephemeral_storage_mib < 512 || config.ephemeral_storage_mib > 10'240) {
    return validation(std::to_string(config.ephemeral_storage_mib), "ephemeralStorage.size",
                      config.ephemeral_storage_mib < 512 ? "have value greater than or equal to 512"
                                                         : "have value less than or equal to 10240");
  }
  if (config.description.size() > 256) {
    return validation(config.description, "description", "have length less than or equal to 256");
  }
  if (config.reserved_concurrency && *config.reserved_concurrency < 0) {
    return validation(std::to_string(*config.reserved_concurrency), "reservedConcurrentExecutions",
                      "have value greater than or equal to 0");
  }
  return check_environment(config.environment);
}

Result<FunctionReference> parse_function_reference(std::string_view text) {
  const Error broken = check_function_name("").error();
  const auto failed = [&] {
    return validation(text, "functionName", broken.message.substr(broken.message.find("satisfy regular")));
  };
  if (text.empty() || text.size() > 256) return failed();
  std::vector<std::string_view> parts = split(text, ':');
  FunctionReference reference;
  const auto take = [&](std::size_t count) {
    parts.erase(parts.begin(), parts.begin() + static_cast<std::ptrdiff_t>(count));
  };
  if (parts[0] == "arn") {
    if (parts.size() < 7 || !parts[1].starts_with("aws") || parts[2] != "lambda" || !is_account(parts[4]) ||
        parts[5] != "function") {
      return failed();
    }
    reference.region = std::string(parts[3]);
    reference.account = std::string(parts[4]);
    take(6);
  } else if (parts.size() >= 3 && is_account(parts[0]) && parts[1] == "function") {
    reference.account = std::string(parts[0]);
    take(2);
  } else if (parts.size() >= 2 && parts[0] == "function") {
    take(1);
  }
  if (parts.empty() || parts.size() > 2) return failed();
  reference.name = std::string(parts[0]);
  if (parts.size() == 2) {
    reference.qualifier = std::string(parts[1]);
    const std::string_view plain = reference.qualifier == "$LATEST" ? std::string_view("LATEST") : parts[1];
    if (plain.empty() || !std::all_of(plain.begin(), plain.end(), is_name_character)) return failed();
  }
  if (!check_function_name(reference.name)) return failed();
  return reference;
}

std::string function_arn(std::string_view region, std::string_view account, std::string_view name) {
  return "arn:aws:lambda:" + std::string(region) + ":" + std::string(account) +
         ":function:" + std::string(name);
}

namespace {

// Reads function.yaml key by key; the first thing that is wrong ends it.
class YamlReader {
 public:
  YamlReader(const json::YamlDocument& document, const std::string& file)
      : document_(document), file_(file) {}

  Error wrong(std::string_view key, std::string message, std::string hint) const {
    const auto place = document_.places.find(key.empty() ? "" : "/" + std::string(key));
    const json::Position at = place == document_.places.end() ? json::Position{} : place->second;
    return {"InvalidFunction", std::move(message),
            file_ + ":" + std::to_string(at.line) + ":" + std::to_string(at.column), std::move(hint)};
  }
  Status read_text(const char* key, std::string& into) const {
    const json::Value& value = document_.value.get(key);
    if (value.is_null()) return {};
    if (!value.is_string()) return wrong(key, std::string(key) + " is no text", "put it into quotes");
    into = value.to_std_string();
    return {};
  }
  Status read_number(const char* key, int low, int high, const char* unit, int& into) const {
    const json::Value& value = document_.value.get(key);
    if (value.is_null()) return {};
    if (!value.is_integer() || value.as_integer() < low || value.as_integer() > high) {
      return wrong(key, std::string(key) + " is " + json::to_text(value),
                   "give a whole number of " + std::string(unit) + " from " + std::to_string(low) + " to " +
                       std::to_string(high));
    }
    into = static_cast<int>(value.as_integer());
    return {};
  }
  Status read_list(const char* key, const char* example, std::vector<std::string>& into) const {
    const json::Value& value = document_.value.get(key);
    if (value.is_null()) return {};
    const std::string hint = std::string("write a list, e.g. ") + key + ": [" + example + "]";
    if (!value.is_array()) return wrong(key, std::string(key) + " is no list", hint);
    for (const json::Value& item : value.items()) {
      if (!item.is_string()) return wrong(key, std::string(key) + " holds something that is no text", hint);
      into.push_back(item.to_std_string());
    }
    return {};
  }
  Status read_environment(std::map<std::string, std::string>& into) const {
    const json::Value& value = document_.value.get("environment");
    if (value.is_null()) return {};
    if (!value.is_object()) {
      return wrong("environment", "environment is no mapping", "write one NAME: value a line below it");
    }
    for (const json::Member& member : value.members()) {
      const std::string name = member.key.to_std_string();
      if (member.value.is_array() || member.value.is_object() || member.value.is_null()) {
        return wrong("environment/" + name, "the value of " + name + " is no text",
                     "write a text in quotes, env:NAME or file:PATH");
      }
      into[name] = member.value.is_string() ? member.value.to_std_string() : json::to_text(member.value);
    }
    return {};
  }
  Status read_behaviour(Behaviour& into) const {
    const json::Value& value = document_.value.get("behaviour");
    if (value.is_null()) return {};
    std::string known;
    for (const BehaviourKey& key : kBehaviourKeys) known += std::string(known.empty() ? "" : ", ") + key.name;
    if (!value.is_object()) return wrong("behaviour", "behaviour is no mapping", "its keys are: " + known);
    for (const json::Member& member : value.members()) {
      const std::string name = member.key.to_std_string();
      const auto* const found = std::find_if(std::begin(kBehaviourKeys), std::end(kBehaviourKeys),
                                             [&name](const BehaviourKey& key) { return name == key.name; });
      const std::string place = "behaviour/" + name;
      if (found == std::end(kBehaviourKeys)) {
        return wrong(place, "unknown key \"" + name + "\"", "known keys are: " + known);
      }
      if (!member.value.is_bool())
        return wrong(place, name + " is neither true nor false", "write true or false");
      into.*found->member = member.value.as_bool();
    }
    return {};
  }
  Status check_keys() const {
    for (const json::Member& member : document_.value.members()) {
      const std::string key = member.key.to_std_string();
      if (is_one_of(kYamlKeys, key)) continue;
      std::string known;
      for (const auto* name : kYamlKeys) known += std::string(known.empty() ? "" : ", ") + name;
      return wrong(key, "unknown key \"" + key + "\"", "known keys are: " + known);
    }
    return {};
  }
  const json::Value& value() const { return document_.value; }

 private:
  const json::YamlDocument& document_;
  const std::string& file_;
};

// Which key of function.yaml an error of check_config is about.
std::string_view yaml_key_of(const Error& error) {
  for (const std::string_view key : {"runtime", "handler", "role", "description", "environment"}) {
    if (error.message.find("'" + std::string(key)) != std::string::npos) return key;
  }
  return error.message.find("environment variables") != std::string::npos ? "environment"
         : error.message.find("untime") != std::string::npos              ? "runtime"
                                                                          : "";
}

}  // namespace

Result<FunctionConfig> parse_function_yaml(std::string_view text, const std::string& file) {
  auto document = json::parse_yaml(text);
  if (!document) {
    return Error{"InvalidFunction", document.error().message,
                 json::place_in_file(file, document.error().place), "correct the YAML there"};
  }
  const YamlReader reader(*document, file);
  FunctionConfig config;
  config.origin = "project";
  config.runtime = "python3.11";
  config.handler = "lambda_function.lambda_handler";
  config.name = "function";
  if (!reader.value().is_null() && !reader.value().is_object()) {
    return reader.wrong("", "the file holds no mapping",
                        "write one key: value a line, e.g. runtime: python3.11");
  }
  SORTIE_TRY_STATUS(reader.check_keys());
  SORTIE_TRY_STATUS(reader.read_text("description", config.description));
  SORTIE_TRY_STATUS(reader.read_text("runtime", config.runtime));
  if (config.runtime.starts_with("nodejs")) config.handler = "index.handler";
  if (config.runtime.starts_with("provided")) config.handler = "bootstrap";
  if (config.runtime == "python3" || config.runtime == "python") config.runtime = "python3.11";
  SORTIE_TRY_STATUS(reader.read_text("handler", config.handler));
  SORTIE_TRY_STATUS(reader.read_text("role", config.role));
  SORTIE_TRY_STATUS(reader.read_number("timeout", 1, 900, "seconds", config.timeout_s));
  SORTIE_TRY_STATUS(reader.read_number("memory", 128, 10'240, "MiB", config.memory_mib));
  if (!reader.value().get("concurrency").is_null()) {
    int concurrency = 0;
    SORTIE_TRY_STATUS(reader.read_number("concurrency", 0, 1'000, "processes", concurrency));
    config.reserved_concurrency = concurrency;
  }
  SORTIE_TRY_STATUS(reader.read_environment(config.environment));
  SORTIE_TRY_STATUS(reader.read_list("layers", "\"shared\"", config.layers));
  SORTIE_TRY_STATUS(reader.read_list("actions", "\"states:StartExecution\"", config.actions));
  SORTIE_TRY_STATUS(reader.read_behaviour(config.behaviour));
  if (Status status = check_config(config); !status) {
    return reader.wrong(yaml_key_of(status.error()), status.error().message,
                        "correct the value, or leave the key out");
  }
  return config;
}

namespace {

json::Value texts(const std::vector<std::string>& list) {
  std::vector<json::Value> items;
  for (const std::string& text : list) items.emplace_back(text);
  return json::Value::array(std::move(items));
}

json::Value texts(const std::map<std::string, std::string>& map) {
  json::ObjectBuilder builder;
  for (const auto& [name, value] : map) builder.append(name, value);
  return builder.build();
}

std::string text_of(const json::Value& value) {
  return value.is_string() ? value.to_std_string() : std::string();
}

std::vector<std::string> list_of(const json::Value& value) {
  std::vector<std::string> list;
  for (const json::Value& item : value.items()) list.push_back(text_of(item));
  return list;
}

std::map<std::string, std::string> map_of(const json::Value& value) {
  std::map<std::string, std::string> map;
  for (const json::Member& member : value.members()) map[member.key.to_std_string()] = text_of(member.value);
  return map;
}

std::int64_t number_of(const json::Value& value, std::int64_t otherwise) {
  return value.is_integer() ? value.as_integer() : otherwise;
}

}  // namespace

json::Value config_to_json(const FunctionConfig& config) {
  json::ObjectBuilder builder;
  builder.append("format", 1).append("account", config.account).append("name", config.name);
  builder.append("arn", config.arn).append("runtime", config.runtime).append("handler", config.handler);
  builder.append("role", config.role).append("description", config.description);
  builder.append("timeout_s", config.timeout_s).append("memory_mib", config.memory_mib);
  builder.append("ephemeral_storage_mib", config.ephemeral_storage_mib);
  if (config.reserved_concurrency) builder.append("reserved_concurrency", *config.reserved_concurrency);
  builder.append("environment", texts(config.environment)).append("layers", texts(config.layers));
  builder.append("actions", texts(config.actions)).append("tags", texts(config.tags));
  builder.append("architecture", config.architecture).append("code_sha256", config.code_sha256);
  builder.append("code_size", static_cast<std::int64_t>(config.code_size));
  builder.append("code_folder", config.code_folder).append("revision_id", config.revision_id);
  builder.append("last_modified_ms", config.last_modified.ms);
  return builder.build();
}

Result<FunctionConfig> config_from_json(const json::Value& value) {
  if (number_of(value.get("format"), 0) != 1) {
    return Error{"InvalidFunction", "the format of the kept function is not known", "",
                 "it was written by another version of this program"};
  }
  FunctionConfig config;
  config.account = text_of(value.get("account"));
  config.name = text_of(value.get("name"));
  config.arn = text_of(value.get("arn"));
  config.runtime = text_of(value.get("runtime"));
  config.handler = text_of(value.get("handler"));
  config.role = text_of(value.get("role"));
  config.description = text_of(value.get("description"));
  config.timeout_s = static_cast<int>(number_of(value.get("timeout_s"), 3));
  config.memory_mib = static_cast<int>(number_of(value.get("memory_mib"), 128));
  config.ephemeral_storage_mib = static_cast<int>(number_of(value.get("ephemeral_storage_mib"), 512));
  if (value.get("reserved_concurrency").is_integer()) {
    config.reserved_concurrency = static_cast<int>(value.get("reserved_concurrency").as_integer());
  }
  config.environment = map_of(value.get("environment"));
  config.layers = list_of(value.get("layers"));
  config.actions = list_of(value.get("actions"));
  config.tags = map_of(value.get("tags"));
  config.architecture = text_of(value.get("architecture"));
  config.code_sha256 = text_of(value.get("code_sha256"));
  config.code_size = static_cast<std::uint64_t>(number_of(value.get("code_size"), 0));
  config.code_folder = text_of(value.get("code_folder"));
  config.revision_id = text_of(value.get("revision_id"));
  config.last_modified = {number_of(value.get("last_modified_ms"), 0)};
  SORTIE_TRY_STATUS(check_config(config));
  return config;
}

}  // namespace sortie::functions
