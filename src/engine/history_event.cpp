#include "engine/history_event.h"

#include <array>

#include "base/result.h"
#include "json/text.h"

namespace sortie::engine {
namespace {

struct TypeNames {
  std::string_view type;
  std::string_view details;
};

// In the order of EventType.
constexpr std::array<TypeNames, 62> kTypes = {{
    {"ExecutionStarted", "executionStartedEventDetails"},
    {"ExecutionSucceeded", "executionSucceededEventDetails"},
    {"ExecutionFailed", "executionFailedEventDetails"},
    {"ExecutionTimedOut", "executionTimedOutEventDetails"},
    {"ExecutionAborted", "executionAbortedEventDetails"},
    {"ExecutionRedriven", "executionRedrivenEventDetails"},
    {"TaskStateEntered", "stateEnteredEventDetails"},
    {"TaskStateExited", "stateExitedEventDetails"},
    {"TaskStateAborted", ""},
    {"PassStateEntered", "stateEnteredEventDetails"},
    {"PassStateExited", "stateExitedEventDetails"},
    {"ChoiceStateEntered", "stateEnteredEventDetails"},
    {"ChoiceStateExited", "stateExitedEventDetails"},
    {"WaitStateEntered", "stateEnteredEventDetails"},
    {"WaitStateExited", "stateExitedEventDetails"},
    {"WaitStateAborted", ""},
    {"SucceedStateEntered", "stateEnteredEventDetails"},
    {"SucceedStateExited", "stateExitedEventDetails"},
    {"FailStateEntered", "stateEnteredEventDetails"},
    {"ParallelStateEntered", "stateEnteredEventDetails"},
    {"ParallelStateStarted", ""},
    {"ParallelStateSucceeded", ""},
    {"ParallelStateFailed", ""},
    {"ParallelStateAborted", ""},
    {"ParallelStateExited", "stateExitedEventDetails"},
    {"MapStateEntered", "stateEnteredEventDetails"},
    {"MapStateStarted", "mapStateStartedEventDetails"},
    {"MapStateSucceeded", ""},
    {"MapStateFailed", ""},
    {"MapStateAborted", ""},
    {"MapStateExited", "stateExitedEventDetails"},
    {"MapIterationStarted", "mapIterationStartedEventDetails"},
    {"MapIterationSucceeded", "mapIterationSucceededEventDetails"},
    {"MapIterationFailed", "mapIterationFailedEventDetails"},
    {"MapIterationAborted", "mapIterationAbortedEventDetails"},
    {"TaskScheduled", "taskScheduledEventDetails"},
    {"TaskStarted", "taskStartedEventDetails"},
    {"TaskStartFailed", "taskStartFailedEventDetails"},
    {"TaskSubmitted", "taskSubmittedEventDetails"},
    {"TaskSubmitFailed", "taskSubmitFailedEventDetails"},
    {"TaskSucceeded", "taskSucceededEventDetails"},
    {"TaskFailed", "taskFailedEventDetails"},
    {"TaskTimedOut", "taskTimedOutEventDetails"},
    {"LambdaFunctionScheduled", "lambdaFunctionScheduledEventDetails"},
    {"LambdaFunctionScheduleFailed", "lambdaFunctionScheduleFailedEventDetails"},
    {"LambdaFunctionStarted", ""},
    {"LambdaFunctionStartFailed", "lambdaFunctionStartFailedEventDetails"},
    {"LambdaFunctionSucceeded", "lambdaFunctionSucceededEventDetails"},
    {"LambdaFunctionFailed", "lambdaFunctionFailedEventDetails"},
    {"LambdaFunctionTimedOut", "lambdaFunctionTimedOutEventDetails"},
    {"ActivityScheduled", "activityScheduledEventDetails"},
    {"ActivityScheduleFailed", "activityScheduleFailedEventDetails"},
    {"ActivityStarted", "activityStartedEventDetails"},
    {"ActivitySucceeded", "activitySucceededEventDetails"},
    {"ActivityFailed", "activityFailedEventDetails"},
    {"ActivityTimedOut", "activityTimedOutEventDetails"},
    {"EvaluationFailed", "evaluationFailedEventDetails"},
    {"MapRunStarted", "mapRunStartedEventDetails"},
    {"MapRunSucceeded", ""},
    {"MapRunFailed", "mapRunFailedEventDetails"},
    {"MapRunAborted", ""},
    {"MapRunRedriven", "mapRunRedrivenEventDetails"},
}};

// In the order of Field.
constexpr std::array<std::string_view, 24> kFields = {"input",
                                                      "output",
                                                      "parameters",
                                                      "name",
                                                      "error",
                                                      "cause",
                                                      "resource",
                                                      "resourceType",
                                                      "region",
                                                      "roleArn",
                                                      "workerName",
                                                      "stateMachineVersionArn",
                                                      "stateMachineAliasArn",
                                                      "mapRunArn",
                                                      "state",
                                                      "location",
                                                      "reason",
                                                      "timeoutInSeconds",
                                                      "heartbeatInSeconds",
                                                      "index",
                                                      "length",
                                                      "redriveCount",
                                                      "taskCredentials",
                                                      "assignedVariables"};

}  // namespace

std::string payload_text(const Detail& detail) {
  return detail.text.empty() ? json::to_text(detail.value) : detail.text;
}

std::string_view event_type_name(EventType type) { return kTypes.at(static_cast<std::size_t>(type)).type; }
std::string_view event_details_name(EventType type) {
  return kTypes.at(static_cast<std::size_t>(type)).details;
}
std::string_view field_name(Field field) { return kFields.at(static_cast<std::size_t>(field)); }

}  // namespace sortie::engine
