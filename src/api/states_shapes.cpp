#include "api/states_shapes.h"

#include <map>

namespace sortie::api {
namespace {

using T = Shape::Type;

bool is_ascii(std::string_view text) {
  for (const char c : text) {
    if (static_cast<unsigned char>(c) > 0x7F) return false;
  }
  return true;
}

bool is_printable_ascii(std::string_view text) {
  for (const char c : text) {
    if (c < '!' || c > '~') return false;
  }
  return !text.empty();
}

bool is_alias_name(std::string_view text) {
  bool has_letter = false;
  for (const char c : text) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '-' || c == '.';
    has_letter = has_letter || letter;
    if (!letter && !(c >= '0' && c <= '9')) return false;
  }
  return has_letter;
}

Shape text(std::int64_t min, std::int64_t max, bool sensitive = false) {
  return {.type = T::kString, .min = min, .max = max, .sensitive = sensitive};
}
Shape whole(std::int64_t min, std::int64_t max) { return {.type = T::kInteger, .min = min, .max = max}; }
Shape one_of(std::vector<std::string_view> values) {
  return {.type = T::kString, .values = std::move(values)};
}
Shape list_of(const Shape& item) { return {.type = T::kList, .item = &item}; }
Shape structure(std::vector<ShapeMember> members) { return {.members = std::move(members)}; }

// Everything below lives as long as the program and is made once, on first use.
struct StatesShapes {
  const Shape name = text(1, 80), arn = text(1, 256), long_arn = text(1, 2000);
  const Shape definition = text(1, 1'048'576, true), payload = text(0, 262'144, true);
  const Shape error = text(0, 256, true), cause = text(0, 32'768, true), token = text(1, 2048, true);
  const Shape page_token = text(1, 1024), executions_page_token = text(1, 3096), page_size = whole(0, 1000);
  const Shape flag = {.type = T::kBoolean}, plain = {.type = T::kString};
  const Shape description = text(0, 256, true);
  const Shape machine_type = one_of({"STANDARD", "EXPRESS"});
  const Shape included_data = one_of({"ALL_DATA", "METADATA_ONLY"});
  // The order in which AWS lists them (recorded).
  const Shape status = one_of({"SUCCEEDED", "TIMED_OUT", "PENDING_REDRIVE", "ABORTED", "FAILED", "RUNNING"});
  const Shape inspection_level = one_of({"INFO", "DEBUG", "TRACE"}), tested_state = text(1, 80, true);
  const Shape mock_error = structure({{"error", &error}, {"cause", &cause}});
  const Shape mock_mode = one_of({"STRICT", "PRESENT", "NONE"}), counter = whole(0, INT32_MAX);
  const Shape mock =
      structure({{"result", &payload}, {"errorOutput", &mock_error}, {"fieldValidationMode", &mock_mode}});
  const Shape state_configuration = structure({{"retrierRetryCount", &counter},
                                               {"errorCausedByState", &tested_state},
                                               {"mapIterationFailureCount", &counter},
                                               {"mapItemReaderData", &payload}});
  const Shape redrive_filter = one_of({"REDRIVEN", "NOT_REDRIVEN"});
  const Shape trace_header = {
      .type = T::kString, .min = 0, .max = 256, .pattern = "\\p{ASCII}*", .matches = is_ascii};
  const Shape client_token = {
      .type = T::kString, .min = 1, .max = 64, .pattern = "[!-~]+", .matches = is_printable_ascii};
  const Shape alias_name = {.type = T::kString,
                            .min = 1,
                            .max = 80,
                            .pattern = "^(?=.*[a-zA-Z_\\-\\.])[a-zA-Z0-9_\\-\\.]+$",
                            .matches = is_alias_name};

  const Shape tag_key = text(1, 128), tag_value = text(0, 256);
  const Shape tag = structure({{"key", &tag_key}, {"value", &tag_value}});
  const Shape tags = list_of(tag), tag_keys = list_of(tag_key);
  const Shape log_group = structure({{"logGroupArn", &arn}});
  const Shape log_destination = structure({{"cloudWatchLogsLogGroup", &log_group}});
  const Shape log_destinations = list_of(log_destination);
  const Shape log_level = one_of({"ALL", "ERROR", "FATAL", "OFF"});
  const Shape logging = structure(
      {{"level", &log_level}, {"includeExecutionData", &flag}, {"destinations", &log_destinations}});
  const Shape tracing = structure({{"enabled", &flag}});
  const Shape kms_key = text(1, 2048), kms_period = whole(60, 900);
  const Shape encryption_type = one_of({"AWS_OWNED_KEY", "CUSTOMER_MANAGED_KMS_KEY"});
  const Shape encryption = structure({{"kmsKeyId", &kms_key},
                                      {"kmsDataKeyReusePeriodSeconds", &kms_period},
                                      {"type", &encryption_type, true}});
  const Shape severity = one_of({"ERROR", "WARNING"}), diagnostics_max = whole(0, 100);
  const Shape weight = whole(0, 100);
  const Shape map_concurrency = whole(0, INT32_MAX), map_count = whole(0, INT64_MAX);
  const Shape map_percentage = {.type = T::kNumber, .min = 0, .max = 100};
  const Shape route = structure({{"stateMachineVersionArn", &arn, true}, {"weight", &weight, true}});
  const Shape routing = {.type = T::kList, .min = 1, .max = 2, .item = &route};
  const Shape any_structure = structure({});

  std::map<std::string_view, Shape> operations = all();

  std::map<std::string_view, Shape> all() const {
    std::map<std::string_view, Shape> out;
    add_machines(out);
    add_executions(out);
    add_rest(out);
    return out;
  }

  void add_machines(std::map<std::string_view, Shape>& out) const {
    out["CreateStateMachine"] = structure({{"name", &name, true},
                                           {"definition", &definition, true},
                                           {"roleArn", &arn, true},
                                           {"type", &machine_type},
                                           {"loggingConfiguration", &logging},
                                           {"tags", &tags},
                                           {"tracingConfiguration", &tracing},
                                           {"publish", &flag},
                                           {"versionDescription", &description},
                                           {"encryptionConfiguration", &encryption}});
    out["UpdateStateMachine"] = structure({{"stateMachineArn", &arn, true},
                                           {"definition", &definition},
                                           {"roleArn", &arn},
                                           {"loggingConfiguration", &logging},
                                           {"tracingConfiguration", &tracing},
                                           {"publish", &flag},
                                           {"versionDescription", &description},
                                           {"encryptionConfiguration", &encryption}});
    out["DeleteStateMachine"] = structure({{"stateMachineArn", &arn, true}});
    out["DescribeStateMachine"] =
        structure({{"stateMachineArn", &arn, true}, {"includedData", &included_data}});
    out["DescribeStateMachineForExecution"] =
        structure({{"executionArn", &arn, true}, {"includedData", &included_data}});
    out["ListStateMachines"] = structure({{"maxResults", &page_size}, {"nextToken", &page_token}});
    out["ValidateStateMachineDefinition"] = structure({{"definition", &definition, true},
                                                       {"type", &machine_type},
                                                       {"severity", &severity},
                                                       {"maxResults", &diagnostics_max}});
    out["TestState"] = structure({{"definition", &definition, true},
                                  {"roleArn", &arn},
                                  {"input", &payload},
                                  {"inspectionLevel", &inspection_level},
                                  {"revealSecrets", &flag},
                                  {"variables", &payload},
                                  {"stateName", &tested_state},
                                  {"mock", &mock},
                                  {"context", &payload},
                                  {"stateConfiguration", &state_configuration}});
    out["PublishStateMachineVersion"] =
        structure({{"stateMachineArn", &arn, true}, {"revisionId", &plain}, {"description", &description}});
    out["DeleteStateMachineVersion"] = structure({{"stateMachineVersionArn", &long_arn, true}});
    out["ListStateMachineVersions"] =
        structure({{"stateMachineArn", &arn, true}, {"nextToken", &page_token}, {"maxResults", &page_size}});
    out["CreateStateMachineAlias"] = structure({{"description", &description},
                                                {"name", &alias_name, true},
                                                {"routingConfiguration", &routing, true}});
    out["UpdateStateMachineAlias"] = structure({{"stateMachineAliasArn", &arn, true},
                                                {"description", &description},
                                                {"routingConfiguration", &routing}});
    out["DeleteStateMachineAlias"] = structure({{"stateMachineAliasArn", &arn, true}});
    out["DescribeStateMachineAlias"] = structure({{"stateMachineAliasArn", &arn, true}});
    out["ListStateMachineAliases"] =
        structure({{"stateMachineArn", &arn, true}, {"nextToken", &page_token}, {"maxResults", &page_size}});
  }

  void add_executions(std::map<std::string_view, Shape>& out) const {
    out["StartExecution"] = structure({{"stateMachineArn", &arn, true},
                                       {"name", &name},
                                       {"input", &payload},
                                       {"traceHeader", &trace_header}});
    out["StartSyncExecution"] = out["StartExecution"];
    out["StartSyncExecution"].members.push_back({"includedData", &included_data});
    out["StopExecution"] = structure({{"executionArn", &arn, true}, {"error", &error}, {"cause", &cause}});
    out["DescribeExecution"] = structure({{"executionArn", &arn, true}, {"includedData", &included_data}});
    out["ListExecutions"] = structure({{"stateMachineArn", &arn},
                                       {"statusFilter", &status},
                                       {"maxResults", &page_size},
                                       {"nextToken", &executions_page_token},
                                       {"mapRunArn", &long_arn},
                                       {"redriveFilter", &redrive_filter}});
    out["GetExecutionHistory"] = structure({{"executionArn", &arn, true},
                                            {"maxResults", &page_size},
                                            {"reverseOrder", &flag},
                                            {"nextToken", &page_token},
                                            {"includeExecutionData", &flag}});
    out["RedriveExecution"] = structure({{"executionArn", &arn, true}, {"clientToken", &client_token}});
    out["DescribeMapRun"] = structure({{"mapRunArn", &long_arn, true}});
    out["UpdateMapRun"] = structure({{"mapRunArn", &long_arn, true},
                                     {"maxConcurrency", &map_concurrency},
                                     {"toleratedFailurePercentage", &map_percentage},
                                     {"toleratedFailureCount", &map_count}});
    out["ListMapRuns"] =
        structure({{"executionArn", &arn, true}, {"maxResults", &page_size}, {"nextToken", &page_token}});
  }

  void add_rest(std::map<std::string_view, Shape>& out) const {
    out["SendTaskSuccess"] = structure({{"taskToken", &token, true}, {"output", &payload, true}});
    out["SendTaskFailure"] = structure({{"taskToken", &token, true}, {"error", &error}, {"cause", &cause}});
    out["SendTaskHeartbeat"] = structure({{"taskToken", &token, true}});
    out["CreateActivity"] =
        structure({{"name", &name, true}, {"tags", &tags}, {"encryptionConfiguration", &encryption}});
    out["DeleteActivity"] = structure({{"activityArn", &arn, true}});
    out["DescribeActivity"] = structure({{"activityArn", &arn, true}});
    out["ListActivities"] = structure({{"maxResults", &page_size}, {"nextToken", &page_token}});
    out["GetActivityTask"] = structure({{"activityArn", &arn, true}, {"workerName", &name}});
    out["TagResource"] = structure({{"resourceArn", &arn, true}, {"tags", &tags, true}});
    out["UntagResource"] = structure({{"resourceArn", &arn, true}, {"tagKeys", &tag_keys, true}});
    out["ListTagsForResource"] = structure({{"resourceArn", &arn, true}});
  }
};

}  // namespace

const Shape* find_states_shape(std::string_view operation) {
  static const StatesShapes shapes;
  const auto found = shapes.operations.find(operation);
  return found == shapes.operations.end() ? nullptr : &found->second;
}

}  // namespace sortie::api
