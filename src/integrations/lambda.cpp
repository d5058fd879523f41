#include "integrations/lambda.h"

#include "base/hash.h"
#include "base/text.h"
#include "integrations/results.h"
#include "json/members.h"
#include "json/text.h"

namespace sortie::integrations {
namespace lambda_task {

struct Problem {
  std::string error, cause;
};

// A string is the payload as it stands, everything else is written as JSON; null and absent send nothing,
// which a handler sees as an empty object.
std::string payload_text(const json::Value& payload) {
  if (payload.is_null()) return "{}";
  return payload.is_string() ? payload.to_std_string() : json::to_text(payload);
}

std::optional<Problem> fill_request(const json::Value& parameters, functions::InvokeRequest& request) {
  const std::string wrong = check_parameters(
      parameters, {"FunctionName"}, {"Payload", "ClientContext", "InvocationType", "LogType", "Qualifier"});
  if (!wrong.empty()) return Problem{"States.Runtime", wrong};
  request.function = json::text_member(parameters, "FunctionName");
  request.qualifier = json::text_member(parameters, "Qualifier");
  request.payload = payload_text(parameters.get("Payload"));
  const std::string type = json::text_member(parameters, "InvocationType");
  if (type == "Event") request.type = functions::InvocationType::kEvent;
  if (type == "DryRun") request.type = functions::InvocationType::kDryRun;
  if (!type.empty() && type != "Event" && type != "DryRun" && type != "RequestResponse") {
    const std::string message =
        "1 validation error detected: Value '" + type +
        "' at 'invocationType' failed to satisfy constraint: Member must satisfy enum "
        "value set: [Event, RequestResponse, DryRun]";
    const std::string id = derived_uuid(request.idempotency_key);
    return Problem{"Lambda.AWSLambdaException",
                   service_cause(message, "AWSLambda", 400, "ValidationException", id)};
  }
  const std::string context = json::text_member(parameters, "ClientContext");
  if (!context.empty()) {
    Result<std::string> decoded = base64_decode(context);
    if (!decoded) {
      const std::string message = "Client context must be a valid Base64-encoded JSON object.";
      return Problem{"Lambda.InvalidRequestContentException",
                     service_cause(message, "AWSLambda", 400, "InvalidRequestContentException",
                                   derived_uuid(request.idempotency_key))};
    }
    request.client_context = std::move(*decoded);
  }
  return std::nullopt;
}

Problem api_problem(const functions::InvokeResult& result, const std::string& fallback_id) {
  std::string message = result.error_message;
  // Step Functions asks for a version, so the name that is not found carries it.
  if (message.rfind("Function not found: arn:", 0) == 0 && split(message, ':').size() == 8)
    message += ":$LATEST";
  const std::string id = result.request_id.empty() ? fallback_id : result.request_id;
  return {"Lambda." + result.error_code,
          service_cause(message, "AWSLambda", result.status_code, result.error_code, id)};
}

// Recorded: lambda:invoke reads the error and writes it again, a bare function ARN passes on what was sent.
Problem function_problem(const functions::InvokeResult& result, bool is_bare) {
  const Result<json::Value> payload = json::parse(result.payload);
  if (payload.ok() && payload->get("errorType").is_string() &&
      !payload->get("errorType").as_string().empty()) {
    return {payload->get("errorType").to_std_string(), is_bare ? result.payload : json::to_text(*payload)};
  }
  return {
      "Lambda.Unknown",
      "The cause could not be determined because Lambda did not return an error type. Returned payload: " +
          to_valid_utf8(result.payload)};
}

// What the function returned. Bytes that are no JSON (a custom runtime may send any) are passed on as text.
json::Value returned(const functions::InvokeResult& result) {
  if (result.payload_is_json) {
    Result<json::Value> value = json::parse(result.payload);
    if (value.ok()) return std::move(*value);
  }
  return to_valid_utf8(result.payload);
}

json::Value wrapped(const functions::InvokeResult& result, const json::Value& parameters, Timestamp now) {
  const std::string trace = sha256_hex(result.request_id);
  Headers headers = {{"X-Amz-Executed-Version", result.executed_version},
                     {"x-amzn-Remapped-Content-Length", "0"},
                     {"Connection", "keep-alive"},
                     {"x-amzn-RequestId", result.request_id},
                     {"Content-Length", std::to_string(result.payload.size())},
                     {"Date", http_date(now)},
                     {"X-Amzn-Trace-Id", "Root=1-" + trace.substr(0, 8) + "-" + trace.substr(8, 24) +
                                             ";Parent=" + trace.substr(32, 16) + ";Sampled=0"},
                     {"Content-Type", "application/json"}};
  json::ObjectBuilder object;
  object.append("ExecutedVersion", result.executed_version);
  if (parameters.get("LogType") == json::Value("Tail")) {
    const std::string log = base64_encode(result.log_tail);
    object.append("LogResult", log);
    headers.insert(headers.begin(), {"X-Amz-Log-Result", log});
  }
  if (result.status_code == 200) object.append("Payload", returned(result));
  append_sdk_metadata(object, headers, result.status_code, result.request_id);
  object.append("StatusCode", result.status_code);
  return object.build();
}

}  // namespace lambda_task

LambdaIntegration::LambdaIntegration(Clock& clock, functions::FunctionInvoker& functions)
    : clock_(clock), functions_(functions) {}

void LambdaIntegration::start(const runtime::TaskOrder& order, Report report) {
  functions::InvokeRequest request;
  request.account = acting_account_of(order);
  request.idempotency_key = order.idempotency_key;
  request.task_token = order.task_token;
  request.deadline = order.deadline;
  const bool is_bare = order.resource->is_lambda_arn;
  if (is_bare) {
    request.function = order.resource->text;
    request.payload = json::to_text(order.parameters);
  } else if (const auto problem = lambda_task::fill_request(order.parameters, request)) {
    return report.failed(problem->error, problem->cause);
  }
  functions_.invoke(std::move(request), [&clock = clock_, report, is_bare, parameters = order.parameters,
                                         key = order.idempotency_key](const functions::InvokeResult& result) {
    if (!result.error_code.empty()) {
      const lambda_task::Problem problem = lambda_task::api_problem(result, derived_uuid(key));
      return report.failed(problem.error, problem.cause);
    }
    if (!result.function_error.empty()) {
      const lambda_task::Problem problem = lambda_task::function_problem(result, is_bare);
      return report.failed(problem.error, problem.cause);
    }
    report.answered(is_bare ? lambda_task::returned(result)
                            : lambda_task::wrapped(result, parameters, clock.now()));
  });
}

}  // namespace sortie::integrations
