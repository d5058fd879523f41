// Task.Resource: from the ARN's text to what it asks for. The table below is the list of optimised
// integrations of the Step Functions developer guide with the patterns that each of them has; everything else
// that runs under arn:aws:states:::aws-sdk:SERVICE:ACTION is the SDK's business and is not listed anywhere.
#include <algorithm>
#include <array>

#include "asl/compile.h"
#include "base/text.h"

namespace sortie::asl {
namespace {

enum PatternBits : std::uint8_t { kPlain = 1, kRunJob = 2, kRunJob2 = 4, kToken = 8 };

struct Integration {
  std::string_view service;
  std::string_view action;
  std::uint8_t patterns;
};

constexpr Integration kIntegrations[] = {
    {"apigateway", "invoke", kPlain | kToken},
    {"athena", "getQueryExecution", kPlain},
    {"athena", "getQueryResults", kPlain},
    {"athena", "startQueryExecution", kPlain | kRunJob},
    {"athena", "stopQueryExecution", kPlain},
    {"batch", "submitJob", kPlain | kRunJob | kToken},
    {"bedrock", "createModelCustomizationJob", kPlain | kRunJob},
    {"bedrock", "invokeModel", kPlain | kToken},
    {"codebuild", "batchDeleteBuilds", kPlain},
    {"codebuild", "batchGetReports", kPlain},
    {"codebuild", "deleteBuildBatch", kPlain},
    {"codebuild", "retryBuildBatch", kPlain | kRunJob},
    {"codebuild", "startBuild", kPlain | kRunJob},
    {"codebuild", "startBuildBatch", kPlain | kRunJob},
    {"codebuild", "stopBuild", kPlain},
    {"codebuild", "stopBuildBatch", kPlain},
    {"databrew", "startJobRun", kPlain | kRunJob},
    {"dynamodb", "deleteItem", kPlain},
    {"dynamodb", "getItem", kPlain},
    {"dynamodb", "putItem", kPlain},
    {"dynamodb", "updateItem", kPlain},
    {"ecs", "runTask", kPlain | kRunJob | kToken},
    {"eks", "call", kPlain},
    {"eks", "createCluster", kPlain | kRunJob},
    {"eks", "createFargateProfile", kPlain | kRunJob},
    {"eks", "createNodegroup", kPlain | kRunJob},
    {"eks", "deleteCluster", kPlain | kRunJob},
    {"eks", "deleteFargateProfile", kPlain | kRunJob},
    {"eks", "deleteNodegroup", kPlain | kRunJob},
    {"eks", "runJob", kPlain | kRunJob | kToken},
    {"elasticmapreduce", "addStep", kPlain | kRunJob},
    {"elasticmapreduce", "cancelStep", kPlain},
    {"elasticmapreduce", "createCluster", kPlain | kRunJob},
    {"elasticmapreduce", "modifyInstanceFleetByName", kPlain},
    {"elasticmapreduce", "modifyInstanceGroupByName", kPlain},
    {"elasticmapreduce", "setClusterTerminationProtection", kPlain},
    {"elasticmapreduce", "terminateCluster", kPlain | kRunJob},
    {"emr-containers", "createVirtualCluster", kPlain},
    {"emr-containers", "deleteVirtualCluster", kPlain | kRunJob},
    {"emr-containers", "startJobRun", kPlain | kRunJob},
    {"emr-serverless", "cancelJobRun", kPlain | kRunJob},
    {"emr-serverless", "createApplication", kPlain | kRunJob},
    {"emr-serverless", "deleteApplication", kPlain | kRunJob},
    {"emr-serverless", "startApplication", kPlain | kRunJob},
    {"emr-serverless", "startJobRun", kPlain | kRunJob},
    {"emr-serverless", "stopApplication", kPlain | kRunJob},
    {"events", "putEvents", kPlain | kToken},
    {"glue", "startJobRun", kPlain | kRunJob},
    {"http", "invoke", kPlain},
    {"lambda", "invoke", kPlain | kToken},
    {"mediaconvert", "createJob", kPlain | kRunJob},
    {"sagemaker", "createEndpoint", kPlain},
    {"sagemaker", "createEndpointConfig", kPlain},
    {"sagemaker", "createHyperParameterTuningJob", kPlain | kRunJob},
    {"sagemaker", "createLabelingJob", kPlain | kRunJob},
    {"sagemaker", "createModel", kPlain},
    {"sagemaker", "createProcessingJob", kPlain | kRunJob},
    {"sagemaker", "createTrainingJob", kPlain | kRunJob},
    {"sagemaker", "createTransformJob", kPlain | kRunJob},
    {"sagemaker", "updateEndpoint", kPlain},
    {"sns", "publish", kPlain | kToken},
    {"sqs", "sendMessage", kPlain | kToken},
    {"states", "startExecution", kPlain | kRunJob | kRunJob2 | kToken},
};

struct Suffix {
  std::string_view text;
  TaskPattern pattern;
  PatternBits bit;
};

constexpr Suffix kSuffixes[] = {
    {".sync:2", TaskPattern::kSync2, kRunJob2},
    {".sync", TaskPattern::kSync, kRunJob},
    {".waitForTaskToken", TaskPattern::kWaitForTaskToken, kToken},
};

constexpr std::size_t kResourceBytesMax = 2048;

bool is_word(std::string_view text, std::string_view extra) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           extra.find(c) != std::string_view::npos;
  });
}

std::uint8_t patterns_of(std::string_view service, std::string_view action) {
  for (const Integration& known : kIntegrations) {
    if (known.service == service && known.action == action) return known.patterns;
  }
  return 0;
}

// "arn:P:states:::SERVICE:ACTION[suffix]"; `rest` is what follows the three colons.
std::optional<TaskResource> parse_integration(TaskResource task, std::string_view rest) {
  PatternBits wanted = kPlain;
  std::string_view named = rest;
  for (const Suffix& suffix : kSuffixes) {
    if (!named.ends_with(suffix.text)) continue;
    named.remove_suffix(suffix.text.size());
    task.pattern = suffix.pattern;
    wanted = suffix.bit;
    break;
  }
  const std::size_t colon = named.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  const std::string_view service = named.substr(0, colon);
  const std::string_view action = named.substr(colon + 1);
  if (service.starts_with("aws-sdk:")) {
    const bool has_pattern = wanted == kPlain || wanted == kToken;  // Nobody polls an arbitrary call.
    if (!has_pattern || !is_word(service.substr(8), "") || !is_word(action, "")) return std::nullopt;
    if (action.front() < 'a' || action.front() > 'z') return std::nullopt;
  } else if ((patterns_of(service, action) & wanted) == 0) {
    return std::nullopt;
  }
  task.resource_type = service;
  task.resource = rest.substr(colon + 1);
  return task;
}

// "function:NAME" or "function:NAME:QUALIFIER".
bool is_function_name(const std::vector<std::string_view>& parts) {
  if (parts.size() != 7 && parts.size() != 8) return false;
  if (parts[5] != "function" || !is_word(parts[6], "-_.") || parts[6].size() > 140) return false;
  return parts.size() == 7 || is_word(parts[7], "-_$");
}

}  // namespace

std::optional<TaskResource> parse_task_resource(std::string_view arn) {
  if (arn.size() > kResourceBytesMax) return std::nullopt;
  const std::vector<std::string_view> parts = split(arn, ':');
  if (parts.size() < 6 || parts[0] != "arn" || !parts[1].starts_with("aws")) return std::nullopt;
  TaskResource task;
  task.text = arn;
  task.partition = parts[1];
  task.region = parts[3];
  task.account = parts[4];
  const std::string_view service = parts[2];
  const bool is_placed = !parts[3].empty() && !parts[4].empty();
  if (service == "states" && parts[3].empty() && parts[4].empty()) {
    const std::size_t head = 3 + 1 + parts[1].size() + 1 + service.size() + 3;
    return parse_integration(std::move(task), arn.substr(head));
  }
  if (!is_placed) return std::nullopt;
  task.resource_type = service;
  task.resource = arn;
  if (service == "lambda" && is_function_name(parts)) {
    task.is_lambda_arn = true;
    return task;
  }
  if (service == "states" && parts.size() == 7 && parts[5] == "activity" && !parts[6].empty()) {
    task.is_activity = true;
    task.resource_type = "activity";
    return task;
  }
  if (service == "sns" && parts.size() == 6 && is_word(parts[5], "-_.")) {
    task.is_bare_topic = true;
    task.resource = "publish";
    return task;
  }
  if (service == "sqs" && parts.size() == 6 && is_word(parts[5], "-_.")) {
    task.is_bare_queue = true;
    task.resource = "sendMessage";
    return task;
  }
  return std::nullopt;
}

std::string_view state_type_name(StateType type) {
  constexpr std::array<std::string_view, 8> kNames = {"Task",    "Pass", "Choice",   "Wait",
                                                      "Succeed", "Fail", "Parallel", "Map"};
  return kNames[static_cast<std::size_t>(type)];
}

}  // namespace sortie::asl
