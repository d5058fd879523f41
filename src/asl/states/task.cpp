#include "asl/states/states.h"

namespace sortie::asl {
namespace {

constexpr FieldSpec kTaskFields[] = {
    {.name = "Resource", .kind = FieldKind::kString, .required = true},
    {.name = "TimeoutSeconds", .kind = FieldKind::kInteger, .min = 1, .max = kSecondsMax, .query = true},
    {.name = "TimeoutSecondsPath", .kind = FieldKind::kString, .language = FieldLanguage::kJsonPath},
    {.name = "HeartbeatSeconds", .kind = FieldKind::kInteger, .min = 1, .max = kSecondsMax, .query = true},
    {.name = "HeartbeatSecondsPath", .kind = FieldKind::kString, .language = FieldLanguage::kJsonPath},
    {.name = "Credentials", .kind = FieldKind::kObject},
};

// Optimised integrations say which parameters they cannot do without. In payload templates each may be
// written as "Name" or "Name.$".
struct RequiredParameters {
  std::string_view service;
  std::string_view action;  // Without its pattern suffix.
  std::string_view names[2];
};

constexpr RequiredParameters kRequired[] = {
    {"lambda", "invoke", {"FunctionName"}},
    {"sqs", "sendMessage", {"QueueUrl", "MessageBody"}},
    {"sns", "publish", {"Message"}},
    {"events", "putEvents", {"Entries"}},
    {"states", "startExecution", {"StateMachineArn"}},
    {"dynamodb", "getItem", {"TableName", "Key"}},
    {"dynamodb", "deleteItem", {"TableName", "Key"}},
    {"dynamodb", "updateItem", {"TableName", "Key"}},
    {"dynamodb", "putItem", {"TableName", "Item"}},
    {"apigateway", "invoke", {"ApiEndpoint", "Method"}},
    {"http", "invoke", {"ApiEndpoint", "Method"}},
};

bool has_parameter(const json::Value& parameters, std::string_view name) {
  return parameters.has(name) || parameters.has(std::string(name) + ".$");
}

void require_parameters(StateBuild& in, const TaskResource& resource) {
  const std::string_view field = in.is_jsonata() ? "Arguments" : "Parameters";
  const json::Value* parameters = in.fields.find(field);
  if (parameters != nullptr && !parameters->is_object()) return;  // An expression: known at run time.
  const std::string_view action = std::string_view(resource.resource).substr(0, resource.resource.find('.'));
  for (const RequiredParameters& required : kRequired) {
    if (required.service != resource.resource_type || required.action != action) continue;
    for (const std::string_view name : required.names) {
      if (name.empty() || (parameters != nullptr && has_parameter(*parameters, name))) continue;
      in.diagnostics().schema(parameters != nullptr ? in.fields.at(field) : in.fields.where(),
                              "The field '" + std::string(name) + "' is required but was missing");
    }
  }
}

// Express state machines are over before a callback could come.
void refuse_in_express(StateBuild& in, const TaskResource& resource, const Where& where) {
  if (in.build.options.type != MachineType::kExpress) return;
  if (resource.is_activity) {
    in.diagnostics().schema(where, "Express state machine does not support Activity ARN");
  } else if (resource.pattern == TaskPattern::kSync || resource.pattern == TaskPattern::kSync2) {
    const std::string_view suffix = resource.pattern == TaskPattern::kSync ? ".sync" : ".sync:2";
    in.diagnostics().schema(
        where, "Express state machine does not support '" + std::string(suffix) + "' service integration");
  } else if (resource.pattern == TaskPattern::kWaitForTaskToken) {
    // AWS's text ends in a blank.
    in.diagnostics().schema(
        where, "Express state machine does not support '.waitForTaskToken' service integration ");
  }
}

void compile_resource(StateBuild& in, Task& task) {
  const json::Value* text = in.fields.find("Resource");
  if (text == nullptr) return;
  const Where where = in.fields.at("Resource");
  std::optional<TaskResource> resource = parse_task_resource(text->as_string());
  const bool is_bare = resource && (resource->is_bare_topic || resource->is_bare_queue);
  if (!resource || (is_bare && in.build.options.strict)) {
    in.diagnostics().schema(
        where, "The resource provided " + text->to_std_string() +
                   " is not recognized. The value is not a valid resource ARN, or the resource is not "
                   "available in this region.");
    return;
  }
  refuse_in_express(in, *resource, where);
  if (!is_bare) require_parameters(in, *resource);
  task.resource = std::move(*resource);
}

void compile_credentials(StateBuild& in, Task& task) {
  const json::Value* credentials = in.fields.find("Credentials");
  if (credentials == nullptr || !credentials->is_object()) return;
  const Where where = in.fields.at("Credentials");
  if (!has_parameter(*credentials, "RoleArn")) {
    in.diagnostics().schema(where, "The field 'RoleArn' is required but was missing");
    return;
  }
  for (const json::Member& member : credentials->members()) {
    if (member.key.as_string() == "RoleArn" || member.key.as_string() == "RoleArn.$") continue;
    in.diagnostics().schema(where.member(member.key.as_string()), "Field is not supported");
  }
  task.credentials = compile_either(in.diagnostics(), in.fields, "Credentials");
}

void compile_timeouts(StateBuild& in, Task& task) {
  task.timeout_seconds = compile_number(in, "TimeoutSeconds", "TimeoutSecondsPath");
  task.heartbeat_seconds = compile_number(in, "HeartbeatSeconds", "HeartbeatSecondsPath");
  if (task.timeout_seconds.literal && task.heartbeat_seconds.literal &&
      *task.heartbeat_seconds.literal >= *task.timeout_seconds.literal) {
    in.diagnostics().schema(in.fields.at("HeartbeatSeconds"),
                            "HeartbeatSeconds must be smaller than TimeoutSeconds");
  }
}

void compile_task(StateBuild& in) {
  Task task;
  compile_resource(in, task);
  compile_timeouts(in, task);
  compile_credentials(in, task);
  in.state.body = std::move(task);
}

}  // namespace

const StateKind& task_kind() {
  static const StateKind kKind{StateType::kTask, "Task", kTaskFields, true, true, true, true, true,
                               compile_task};
  return kKind;
}

}  // namespace sortie::asl
