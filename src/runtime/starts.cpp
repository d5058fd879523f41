#include "runtime/starts.h"

#include "base/hash.h"
#include "base/text.h"
#include "json/text.h"

namespace sortie::runtime {
namespace {

constexpr std::int64_t kExpressMsMax = 5 * 60 * 1000;  // AWS's limit for EXPRESS executions.

// What a start names: the machine, a version, or an alias that chooses a version by its weights.
struct StartTarget {
  std::string record_arn, machine_arn, version_arn, alias_arn;
};
Result<StartTarget> find_target(const std::string& arn, Definitions& definitions, Random& random) {
  const QualifiedArn qualified = split_qualified_arn(arn);
  if (qualified.qualifier.empty()) return StartTarget{arn, arn, "", ""};
  if (qualified.is_version()) return StartTarget{arn, qualified.machine_arn, arn, ""};
  const AliasRecord* alias = definitions.find_alias(arn);
  if (alias == nullptr || alias->routes.empty()) {
    return Error{"StateMachineDoesNotExist", "State Machine Does Not Exist: '" + arn + "'", "", ""};
  }
  auto drawn = static_cast<std::int64_t>(random.next() % 100);
  const AliasRecord::Route* chosen = &alias->routes.back();
  for (const AliasRecord::Route& route : alias->routes) {
    if (drawn < route.weight) {
      chosen = &route;
      break;
    }
    drawn -= route.weight;
  }
  return StartTarget{chosen->version_arn, qualified.machine_arn, chosen->version_arn, arn};
}

// arn:..:stateMachine:NAME -> arn:..:execution:NAME:EXECUTION
std::string execution_arn(const std::string& machine_arn, const std::string& name) {
  return replace_all(machine_arn, ":stateMachine:", ":execution:") + ":" + name;
}

}  // namespace

Result<std::unique_ptr<LiveExecution>> make_live(StartRequest& request, Definitions& definitions,
                                                 const Options& options, Random& random, Timestamp now) {
  SORTIE_TRY(const StartTarget target, find_target(request.state_machine_arn, definitions, random));
  SORTIE_TRY(Definitions::Current current, definitions.current(target.record_arn));
  if (request.input_text.empty()) request.input_text = "{}";
  if (request.input_text.size() > engine::kPayloadBytesMax) {
    return Error{"InvalidExecutionInput",
                 "Invalid State Machine Execution Input: 'the input is larger than 262144 bytes'", "", ""};
  }
  Result<json::Value> input = json::parse(request.input_text);
  if (!input) {
    return Error{"InvalidExecutionInput",
                 "Invalid State Machine Execution Input: '" + input.error().message + "'",
                 input.error().place, ""};
  }
  if (request.name.empty()) request.name = make_uuid(random);
  auto live = std::make_unique<LiveExecution>();
  engine::Execution& state = live->state;
  state.machine = std::move(current.machine);
  state.name = request.name;
  state.state_machine_arn = target.machine_arn;
  state.version_arn = target.version_arn;
  state.alias_arn = target.alias_arn;
  state.arn = execution_arn(target.machine_arn, request.name);
  state.role_arn = current.record->role_arn;
  state.region = options.region;
  state.started_at = now;
  if (current.record->type == "EXPRESS") {
    if (request.express_id.empty()) request.express_id = make_uuid(random);
    state.arn = replace_all(state.arn, ":execution:", ":express:") + ":" + request.express_id;
    state.deadline = state.started_at.plus_ms(kExpressMsMax);
  }
  state.input = std::move(input).value();
  if (json::to_text(state.input) != request.input_text) state.input_text = request.input_text;
  live->image.definition_key = current.definition_key;
  live->image.role_arn = state.role_arn;
  live->image.input_text = request.input_text;
  live->image.extra = encode_extra(
      {request.actor, request.trace_header, target.version_arn, target.alias_arn, request.test_case});
  live->actor = request.actor;
  live->test_case = request.test_case;
  return live;
}

Result<StartReply> reply_to_existing(const store::ExecutionRow& row, const std::string& input_text) {
  SORTIE_TRY(const engine::ExecutionImage image, engine::decode_execution(row.image));
  if (row.status == store::ExecutionStatus::kRunning && image.input_text == input_text) {
    return StartReply{row.arn, row.started_at, true};
  }
  return Error{"ExecutionAlreadyExists", "Execution Already Exists: '" + row.arn + "'", "", ""};
}

}  // namespace sortie::runtime
