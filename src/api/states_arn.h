#pragma once
// Names and ARNs of Step Functions, with the errors AWS answers to those that are wrong.
#include <initializer_list>
#include <string>
#include <string_view>

#include "base/result.h"
#include "json/value.h"

namespace sortie::api {

// arn:PARTITION:states:REGION:ACCOUNT:KIND:NAME[:MORE]
struct StatesArn {
  std::string partition, region, account;
  std::string kind;  // "stateMachine", "execution", "express", "activity", "mapRun"
  std::string name;  // Of the state machine or activity.
  std::string more;  // Execution name, version or alias; "" if there is none.
};

// Error "InvalidArn" for anything that is no Step Functions ARN of one of the kinds.
Result<StatesArn> parse_states_arn(std::string_view text, std::initializer_list<std::string_view> kinds);

// Error "InvalidName" for what AWS forbids in names of machines, executions and activities.
Status check_states_name(std::string_view name);
// Error "InvalidArn" unless it is an IAM role's ARN.
Status check_role_arn(std::string_view arn);

std::string state_machine_arn(std::string_view region, std::string_view account, std::string_view name);
std::string activity_arn(std::string_view region, std::string_view account, std::string_view name);
// arn:..:execution:MACHINE:NAME -> arn:..:stateMachine:MACHINE
std::string machine_arn_of(const StatesArn& execution);

}  // namespace sortie::api
