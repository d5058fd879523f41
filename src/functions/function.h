#pragma once
// What a Lambda function is: its configuration, the rules that AWS has for it, and its names.
//
// A function comes from a folder of the project (functions/NAME with a function.yaml) or from the Lambda API
// (kept below the data folder). Both end as a FunctionConfig; `origin` tells which.
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "json/value.h"

namespace sortie::functions {

inline constexpr std::size_t kPayloadBytesMax = 6 * 1024 * 1024;     // A synchronous event.
inline constexpr std::size_t kAsyncPayloadBytesMax = 1024 * 1024;    // An event of type Event.
inline constexpr std::size_t kResponseBytesMax = 6'291'556;          // A response.
inline constexpr std::size_t kEnvironmentBytesMax = 4 * 1024;        // Names and values together.
inline constexpr std::size_t kZipBytesMax = 50 * 1024 * 1024;        // A package, zipped.
inline constexpr std::size_t kUnzippedBytesMax = 250 * 1024 * 1024;  // A package, unzipped.
inline constexpr std::size_t kLogTailBytesMax = 4 * 1024;

enum class RuntimeKind { kPython, kNode, kProvided };

// What its author says of a function that no code shows; for lint. Unset: nothing is said.
struct Behaviour {
  std::optional<bool> is_disruptive, is_irreversible, is_read_only, returns_errors_as_data, is_idempotent,
      records_undo;
};

struct FunctionConfig {
  std::string account;
  std::string name;
  std::string arn;      // arn:aws:lambda:REGION:ACCOUNT:function:NAME
  std::string runtime;  // "python3.11", "nodejs20.x", "provided.al2023"
  std::string handler;
  std::string role;
  std::string description;
  int timeout_s = 3;
  int memory_mib = 128;
  int ephemeral_storage_mib = 512;
  std::optional<int> reserved_concurrency;
  std::map<std::string, std::string> environment;  // As it is shown: secrets are "env:NAME", "file:PATH".
  std::map<std::string, std::string> resolved_environment;  // As the handler gets it. Never shown or stored.
  std::vector<std::string> layers;
  std::vector<std::string> actions;  // What it may do on Sortie's own APIs, e.g. "states:StartExecution".
  Behaviour behaviour;               // Of a project's function.yaml.
  std::map<std::string, std::string> tags;
  std::string architecture = "x86_64";
  std::string package_type = "Zip";
  std::string code_sha256;  // Base64.
  std::uint64_t code_size = 0;
  std::string code_folder;  // Where the unpacked code lies.
  std::string revision_id;
  std::string version = "$LATEST";
  std::string origin = "api";  // or "project"
  std::string problem;         // A folder that cannot run: file, line and cure. Empty: fine.
  Timestamp last_modified;

  RuntimeKind runtime_kind() const;
};

// Checks of the Lambda API; codes are its exceptions ("InvalidParameterValueException",
// "ValidationException").
Status check_function_name(std::string_view name);
Status check_config(const FunctionConfig& config);

// What may name a function: NAME, NAME:QUALIFIER, ACCOUNT:function:NAME[:QUALIFIER], or an ARN.
struct FunctionReference {
  std::string region;   // "" where the reference does not say.
  std::string account;  // "" where the reference does not say.
  std::string name;
  std::string qualifier;  // "" where the reference does not say.
};
Result<FunctionReference> parse_function_reference(std::string_view text);
std::string function_arn(std::string_view region, std::string_view account, std::string_view name);

// Reads a function.yaml. `file` is its name for error messages; every key is optional: a folder that holds
// lambda_function.py is python3 with handler lambda_function.lambda_handler. Errors: code "InvalidFunction",
// place "FILE:LINE:COLUMN", a message that says what is wrong and a hint that says what to write.
Result<FunctionConfig> parse_function_yaml(std::string_view text, const std::string& file);

// A FunctionConfig as the JSON that is kept beside API-created functions, and back.
json::Value config_to_json(const FunctionConfig& config);
Result<FunctionConfig> config_from_json(const json::Value& value);

}  // namespace sortie::functions
