#include "api/states_api.h"

#include <algorithm>
#include <array>

#include "api/states_arn.h"
#include "api/states_shapes.h"
#include "json/text.h"

namespace sortie::api {

Status check_encryption(const json::Value& configuration) {
  if (!configuration.is_object()) return {};
  const std::string prefix = "Invalid Encryption Configuration: ";
  if (text_member(configuration, "type") != "AWS_OWNED_KEY") {
    return Error{"InvalidEncryptionConfiguration",
                 prefix + "customer managed keys are not supported by Sortie yet", "", ""};
  }
  if (!configuration.get("kmsKeyId").is_null() ||
      !configuration.get("kmsDataKeyReusePeriodSeconds").is_null()) {
    return Error{"InvalidEncryptionConfiguration", prefix + "AWS_OWNED_KEY goes with no KMS key of yours", "",
                 ""};
  }
  return {};
}

bool flag_of(const json::Value& input, std::string_view name) {
  const json::Value& value = input.get(name);
  return value.is_bool() && value.as_bool();
}

std::size_t page_size_of(const json::Value& input, std::size_t fallback) {
  const json::Value& value = input.get("maxResults");
  if (!value.is_number()) return fallback;
  const double number = value.as_double();
  return number >= 1 ? static_cast<std::size_t>(number) : fallback;
}

std::string_view status_name(store::ExecutionStatus status) {
  static constexpr std::array<std::string_view, 5> kNames = {"RUNNING", "SUCCEEDED", "FAILED", "TIMED_OUT",
                                                             "ABORTED"};
  return kNames[static_cast<std::size_t>(status)];
}

std::optional<store::ExecutionStatus> parse_status(std::string_view name) {
  for (int i = 0; i < 5; ++i) {
    const auto status = static_cast<store::ExecutionStatus>(i);
    if (status_name(status) == name) return status;
  }
  return std::nullopt;
}

Error execution_does_not_exist(std::string_view arn) {
  return {"ExecutionDoesNotExist", "Execution Does Not Exist: '" + std::string(arn) + "'", "", ""};
}

StatesApi::StatesApi(StatesServices services, StatesOptions options)
    : services_(std::move(services)), options_(std::move(options)) {}

const std::pair<std::string_view, StatesApi::Operation>* StatesApi::find_operation(std::string_view name) {
  using S = StatesApi;
  static const std::vector<std::pair<std::string_view, Operation>> kOperations = {
      {"CreateStateMachine", &S::create_state_machine},
      {"UpdateStateMachine", &S::update_state_machine},
      {"DeleteStateMachine", &S::delete_state_machine},
      {"DescribeStateMachine", &S::describe_state_machine},
      {"DescribeStateMachineForExecution", &S::describe_state_machine_for_execution},
      {"ListStateMachines", &S::list_state_machines},
      {"ValidateStateMachineDefinition", &S::validate_definition},
      {"TestState", &S::test_state},
      {"StartExecution", &S::start_execution},
      {"StartSyncExecution", &S::start_sync_execution},
      {"RedriveExecution", &S::redrive_execution},
      {"StopExecution", &S::stop_execution},
      {"DescribeExecution", &S::describe_execution},
      {"ListExecutions", &S::list_executions},
      {"GetExecutionHistory", &S::get_execution_history},
      {"ListMapRuns", &S::list_map_runs},
      {"DescribeMapRun", &S::describe_map_run},
      {"UpdateMapRun", &S::update_map_run},
      {"SendTaskSuccess", &S::send_task_success},
      {"SendTaskFailure", &S::send_task_failure},
      {"SendTaskHeartbeat", &S::send_task_heartbeat},
      {"CreateActivity", &S::create_activity},
      {"DeleteActivity", &S::delete_activity},
      {"DescribeActivity", &S::describe_activity},
      {"ListActivities", &S::list_activities},
      {"GetActivityTask", &S::get_activity_task},
      {"TagResource", &S::tag_resource},
      {"UntagResource", &S::untag_resource},
      {"ListTagsForResource", &S::list_tags},
      {"PublishStateMachineVersion", &S::publish_state_machine_version},
      {"DeleteStateMachineVersion", &S::delete_state_machine_version},
      {"ListStateMachineVersions", &S::list_state_machine_versions},
      {"CreateStateMachineAlias", &S::create_state_machine_alias},
      {"UpdateStateMachineAlias", &S::update_state_machine_alias},
      {"DeleteStateMachineAlias", &S::delete_state_machine_alias},
      {"DescribeStateMachineAlias", &S::describe_state_machine_alias},
      {"ListStateMachineAliases", &S::list_state_machine_aliases},
  };
  const auto found = std::find_if(kOperations.begin(), kOperations.end(),
                                  [&](const auto& entry) { return entry.first == name; });
  return found == kOperations.end() ? nullptr : &*found;
}

void StatesApi::handle(AwsCall call, AwsReply reply) {
  const Shape* shape = find_states_shape(call.operation);
  if (shape == nullptr) return reply(Error{"UnknownOperationException", "", "", ""});
  if (Status status = check_shape(*shape, call.input); !status) return reply(status.error());
  const auto* operation = find_operation(call.operation);
  if (operation == nullptr) return not_built_yet(call, std::move(reply));
  (this->*operation->second)(call, std::move(reply));
}

void StatesApi::not_built_yet(const AwsCall& call, AwsReply reply) {
  reply(not_supported_yet(call.operation));
}

void StatesApi::in_turn(const std::string& arn, AwsReply reply, std::function<void(AwsReply)> change) {
  changes_.run(arn, [reply = std::move(reply), change = std::move(change)](std::function<void()> over) {
    change([reply, over = std::move(over)](Result<json::Value> answer) {
      reply(std::move(answer));
      over();
    });
  });
}

void StatesApi::save_document(std::string kind, std::string key, const json::Value& value,
                              std::function<void(Status)> done) {
  store::Batch batch;
  batch.documents.push_back({std::move(kind), std::move(key), json::to_text(value)});
  services_.commit(std::move(batch), std::move(done));
}

Result<runtime::StateMachineRecord> StatesApi::find_machine(const AwsCall& call, std::string_view arn) {
  SORTIE_TRY(const StatesArn parsed, parse_states_arn(arn, {"stateMachine"}));
  if (parsed.account != call.caller.account) {
    return access_denied(call.caller, "states:" + call.operation, arn);
  }
  if (parsed.name.find('/') != std::string::npos) {
    return Error{"ValidationException",
                 "The ARN must not refer to a Distributed Map state: '" + std::string(arn) + "'", "", ""};
  }
  std::optional<runtime::StateMachineRecord> record = services_.runtime.find_state_machine(arn);
  if (!record) {
    return Error{"StateMachineDoesNotExist", "State Machine Does Not Exist: '" + std::string(arn) + "'", "",
                 ""};
  }
  return *std::move(record);
}

Result<runtime::StateMachineRecord> StatesApi::find_startable(const AwsCall& call, const std::string& arn) {
  if (runtime::split_qualified_arn(arn).is_alias()) {
    const auto alias = services_.runtime.find_alias(arn);
    if (alias && !alias->routes.empty()) {
      Result<runtime::StateMachineRecord> version = find_machine(call, alias->routes[0].version_arn);
      if (version || version.error().code != "StateMachineDoesNotExist") return version;
    }
  }
  return find_machine(call, arn);
}

Result<runtime::StateMachineRecord> StatesApi::find_unqualified_machine(const AwsCall& call,
                                                                        std::string_view arn) {
  SORTIE_TRY(runtime::StateMachineRecord record, find_machine(call, arn));
  if (runtime::split_qualified_arn(arn).qualifier.empty()) return record;
  return Error{"StateMachineDoesNotExist", "State Machine Does Not Exist: '" + std::string(arn) + "'", "",
               ""};
}

Status check_execution_arn(const AwsCall& call, std::string_view arn, std::string_view type) {
  SORTIE_TRY(const StatesArn parsed, parse_states_arn(arn, {type}));
  if (parsed.account != call.caller.account) {
    return access_denied(call.caller, "states:" + call.operation, arn);
  }
  return {};
}

}  // namespace sortie::api
