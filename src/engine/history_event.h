#pragma once
// A HistoryEvent is one line of what an execution did: type, order, ids, previous_id, details and error texts
// are those that AWS Step Functions records (GetExecutionHistory). Wire spelling is the api floor's business;
// here a detail is a field and a value. Payload fields (input, output, parameters, ...) hold the JSON value
// itself; the codec prints it as text.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "json/value.h"

namespace sortie::engine {

enum class EventType : std::uint8_t {
  kExecutionStarted,
  kExecutionSucceeded,
  kExecutionFailed,
  kExecutionTimedOut,
  kExecutionAborted,
  kExecutionRedriven,
  kTaskStateEntered,
  kTaskStateExited,
  kTaskStateAborted,
  kPassStateEntered,
  kPassStateExited,
  kChoiceStateEntered,
  kChoiceStateExited,
  kWaitStateEntered,
  kWaitStateExited,
  kWaitStateAborted,
  kSucceedStateEntered,
  kSucceedStateExited,
  kFailStateEntered,
  kParallelStateEntered,
  kParallelStateStarted,
  kParallelStateSucceeded,
  kParallelStateFailed,
  kParallelStateAborted,
  kParallelStateExited,
  kMapStateEntered,
  kMapStateStarted,
  kMapStateSucceeded,
  kMapStateFailed,
  kMapStateAborted,
  kMapStateExited,
  kMapIterationStarted,
  kMapIterationSucceeded,
  kMapIterationFailed,
  kMapIterationAborted,
  kTaskScheduled,
  kTaskStarted,
  kTaskStartFailed,
  kTaskSubmitted,
  kTaskSubmitFailed,
  kTaskSucceeded,
  kTaskFailed,
  kTaskTimedOut,
  kLambdaFunctionScheduled,
  kLambdaFunctionScheduleFailed,
  kLambdaFunctionStarted,
  kLambdaFunctionStartFailed,
  kLambdaFunctionSucceeded,
  kLambdaFunctionFailed,
  kLambdaFunctionTimedOut,
  kActivityScheduled,
  kActivityScheduleFailed,
  kActivityStarted,
  kActivitySucceeded,
  kActivityFailed,
  kActivityTimedOut,
  kEvaluationFailed,
  kMapRunStarted,
  kMapRunSucceeded,
  kMapRunFailed,
  kMapRunAborted,
  kMapRunRedriven
};

// "TaskStateEntered" and so on: AWS's `type`.
std::string_view event_type_name(EventType type);
// The member of the wire form that holds its details ("stateEnteredEventDetails"); empty where there is none.
std::string_view event_details_name(EventType type);

enum class Field : std::uint8_t {
  // Payloads: any JSON value, printed as JSON text on the wire.
  kInput,
  kOutput,
  kParameters,
  // Text.
  kName,
  kError,
  kCause,
  kResource,
  kResourceType,
  kRegion,
  kRoleArn,
  kWorkerName,
  kStateMachineVersionArn,
  kStateMachineAliasArn,
  kMapRunArn,
  kState,
  kLocation,
  kReason,
  // Whole numbers.
  kTimeoutInSeconds,
  kHeartbeatInSeconds,
  kIndex,
  kLength,
  kRedriveCount,
  // Objects: kTaskCredentials is {roleArn}, kAssignedVariables maps a name to a JSON value.
  kTaskCredentials,
  kAssignedVariables
};

inline bool is_payload(Field field) { return field <= Field::kParameters; }
// AWS's member name inside the details ("timeoutInSeconds").
std::string_view field_name(Field field);

struct Detail {
  Field field;
  json::Value value;
  // A payload's own text, where it is not the compact form of `value`: an execution's input is shown as it
  // was given wherever it was passed on unchanged. Empty: the compact form.
  std::string text = {};
};

// What the wire shows of a payload field.
std::string payload_text(const Detail& detail);

struct HistoryEvent {
  std::int64_t id = 0;
  std::int64_t previous_id = 0;
  Timestamp time;
  EventType type = EventType::kExecutionStarted;
  std::vector<Detail> details;

  const json::Value* find(Field field) const {
    for (const Detail& detail : details) {
      if (detail.field == field) return &detail.value;
    }
    return nullptr;
  }
};

}  // namespace sortie::engine
