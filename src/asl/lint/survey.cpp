#include "asl/lint/survey.h"

#include <algorithm>
#include <cctype>
#include <span>

#include "base/text.h"

namespace sortie::asl::analysis {
namespace {

using Words = std::span<const std::string_view>;

constexpr std::string_view kDisruptive[] = {
    "isolate", "quarantine", "revoke",     "terminate",    "delete", "remove",  "disable", "stop",
    "detach",  "block",      "deactivate", "disassociate", "kill",   "destroy", "wipe",    "reboot",
    "suspend", "purge",      "shutdown",   "deregister",   "lock",   "ban",     "evict",
};

// Calls whose verb sounds harmless.
constexpr std::string_view kDisruptiveCalls[] = {
    "ec2:modifyInstanceAttribute", "iam:updateAccessKey",     "iam:updateAssumeRolePolicy",
    "iam:putRolePolicy",           "kms:scheduleKeyDeletion", "organizations:moveAccount",
};

constexpr std::string_view kReading[] = {
    "get",    "list", "describe", "query", "lookup", "head", "search",   "scan",     "check",
    "assess", "find", "read",     "fetch", "verify", "plan", "evaluate", "validate",
};

constexpr std::string_view kApproval[] = {"approv",   "decision", "consent", "signoff",
                                          "sign-off", "authoriz", "confirm"};

bool contains_word(Words words, std::string_view word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

// "RevokeIAMCredentials", "revoke-iam-credentials" and "revoke_iam" begin with "revoke".
std::string first_word(std::string_view name) {
  std::size_t end = 0;
  while (end < name.size() && std::isalpha(static_cast<unsigned char>(name[end])) != 0) {
    const bool is_hump = end > 0 && std::isupper(static_cast<unsigned char>(name[end])) != 0;
    if (is_hump) break;
    ++end;
  }
  return to_lower_ascii(name.substr(0, end));
}

std::string function_of(std::string_view name_or_arn) {
  const std::size_t mark = name_or_arn.find(":function:");
  if (mark != std::string_view::npos) name_or_arn.remove_prefix(mark + 10);
  return std::string(name_or_arn.substr(0, name_or_arn.find(':')));
}

std::string function_of(const TaskResource& resource, const json::Value& parameters) {
  if (resource.is_lambda_arn) return function_of(resource.text);
  const json::Value& name = parameters.get("FunctionName");
  return resource.resource_type == "lambda" && name.is_string() ? function_of(name.as_string()) : "";
}

bool mentions_approval(std::string_view text, const LintKnowledge& knowledge) {
  const std::string lower = to_lower_ascii(text);
  const bool sounds = std::any_of(std::begin(kApproval), std::end(kApproval),
                                  [&](auto word) { return lower.find(word) != std::string::npos; });
  const auto is_queue = [&](const std::string& queue) {
    return text == queue || text.ends_with("/" + queue) || text.ends_with(":" + queue);
  };
  return sounds || std::any_of(knowledge.approval_queues.begin(), knowledge.approval_queues.end(), is_queue);
}

bool is_approval_task(const SurveyedState& in, const TaskResource& resource, const LintKnowledge& knowledge) {
  if (mentions_approval(in.state->name, knowledge) || mentions_approval(resource.text, knowledge))
    return true;
  const json::Value& parameters = in.parameters();
  for (const std::string_view name : {"QueueUrl", "TopicArn", "FunctionName"}) {
    const json::Value& target = parameters.get(name);
    if (target.is_string() && mentions_approval(target.as_string(), knowledge)) return true;
  }
  return false;
}

// An action that is only asked to plan, verify or undo does not do what its name says.
bool is_only_asked(const json::Value& parameters) {
  for (const json::Value* level : {&parameters, &parameters.get("Payload")}) {
    const json::Value& mode = level->get("mode");
    if (mode.is_string() && mode.as_string() != "apply") return true;
    for (const std::string_view name : {"dry_run", "dryRun", "DryRun"}) {
      if (level->get(name) == json::Value(true)) return true;
    }
  }
  return false;
}

bool is_disruptive_call(const TaskResource& resource) {
  constexpr std::string_view kSdk = "aws-sdk:";
  if (!resource.resource_type.starts_with(kSdk)) return false;
  const std::string service = resource.resource_type.substr(kSdk.size());
  if (service == "sqs" || service == "dynamodb") return false;  // Messages and items come and go.
  return contains_word(kDisruptive, first_word(resource.resource)) ||
         contains_word(kDisruptiveCalls, service + ":" + resource.resource);
}

TaskTraits traits_of(const SurveyedState& in, const LintKnowledge& knowledge) {
  const auto& task = std::get<Task>(in.state->body);
  const TaskResource& resource = task.resource;
  const json::Value& parameters = in.parameters();
  TaskTraits out;
  out.function = function_of(resource, parameters);
  if (const auto known = knowledge.functions.find(out.function); known != knowledge.functions.end()) {
    out.facts = known->second;
  }
  out.is_callback = resource.pattern == TaskPattern::kWaitForTaskToken || resource.is_activity;
  out.is_approval = out.is_callback && is_approval_task(in, resource, knowledge);
  const bool is_function = !out.function.empty();
  const std::string verb = first_word(is_function ? out.function : resource.resource);
  const bool sounds_disruptive =
      is_function ? contains_word(kDisruptive, verb) : is_disruptive_call(resource);
  out.is_disruptive =
      !out.is_approval && !is_only_asked(parameters) &&
      (out.facts.is_disruptive.value_or(sounds_disruptive) || out.facts.is_irreversible.value_or(false));
  const bool sounds_reading = contains_word(kReading, verb) || is_only_asked(parameters);
  out.is_read_only = !out.is_disruptive && out.facts.is_read_only.value_or(sounds_reading);
  return out;
}

std::size_t count_values(const json::Value& value) {
  std::size_t count = 1;
  for (const json::Value& item : value.items()) count += count_values(item);
  for (const json::Member& member : value.members()) count += count_values(member.value);
  return count;
}

std::size_t weight_of(const json::Value& definition) {
  std::size_t weight = 1;
  for (const json::Member& member : definition.members()) {
    const std::string_view name = member.key.as_string();
    const bool is_flow = name == "Branches" || name == "ItemProcessor" || name == "Iterator";
    weight += is_flow ? 1 : count_values(member.value);
  }
  return weight;
}

class Surveyor {
 public:
  Surveyor(Survey& survey, const LintKnowledge& knowledge) : survey_(survey), knowledge_(knowledge) {}

  void visit(FlowIndex flow_index, const json::Value& definition, const std::string& pointer) {
    const Flow& flow = survey_.machine->flows[flow_index];
    survey_.numbers[flow_index].resize(flow.states.size());
    for (std::size_t i = 0; i < flow.states.size(); ++i) {
      const State& state = flow.states[i];
      SurveyedState entry{.flow = flow_index,
                          .index = static_cast<StateIndex>(i),
                          .state = &state,
                          .definition = definition.get("States").get(state.name),
                          .pointer = pointer + "/States/" + escape_pointer(state.name),
                          .task = {}};
      entry.weight = weight_of(entry.definition);
      if (state.type == StateType::kTask) entry.task = traits_of(entry, knowledge_);
      survey_.numbers[flow_index][i] = survey_.states.size();
      const json::Value value = entry.definition;
      const std::string place = entry.pointer;
      survey_.states.push_back(std::move(entry));
      visit_inner(state, value, place);
    }
  }

 private:
  void visit_inner(const State& state, const json::Value& definition, const std::string& pointer) {
    if (const auto* parallel = std::get_if<Parallel>(&state.body)) {
      for (std::size_t i = 0; i < parallel->branches.size(); ++i) {
        visit(parallel->branches[i], definition.get("Branches")[i],
              pointer + "/Branches/" + std::to_string(i));
      }
    } else if (const auto* map = std::get_if<Map>(&state.body)) {
      const std::string name = definition.has("ItemProcessor") ? "ItemProcessor" : "Iterator";
      visit(map->processor, definition.get(name), pointer + "/" + name);
    }
  }

  Survey& survey_;
  const LintKnowledge& knowledge_;
};

}  // namespace

Survey survey_machine(const StateMachine& machine, const json::Value& definition,
                      const LintKnowledge& knowledge) {
  Survey survey;
  survey.machine = &machine;
  survey.numbers.resize(machine.flows.size());
  Surveyor(survey, knowledge).visit(0, definition, "");
  return survey;
}

}  // namespace sortie::asl::analysis
