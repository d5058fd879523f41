#pragma once
// The shapes in which Step Functions wraps what a service answered: optimised integrations add the HTTP
// answer's metadata to the result, and their causes end with service, status, code and request id. Recorded
// on AWS; request ids and dates are made here, because these calls never leave the process.
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "asl/state_machine.h"
#include "base/result.h"
#include "base/time.h"
#include "json/value.h"
#include "runtime/runtime.h"

namespace sortie::integrations {

// A UUID (version 4 in form) that is the same for the same seed text: a repeated order has the same ids.
std::string derived_uuid(std::string_view seed);

// "Mon, 23 Nov 2026 00:00:00 GMT"
std::string http_date(Timestamp time);

using Headers = std::vector<std::pair<std::string, std::string>>;
// Adds SdkHttpMetadata {AllHttpHeaders, HttpHeaders, HttpStatusCode} and SdkResponseMetadata {RequestId}.
void append_sdk_metadata(json::ObjectBuilder& result, const Headers& headers, int status,
                         std::string_view request_id);

// "Topic does not exist (Service: AmazonSNS; Status Code: 404; Error Code: NotFound; Request ID: ..; Proxy:
// null)"
std::string service_cause(std::string_view message, std::string_view service, int status,
                          std::string_view code, std::string_view request_id);

// The cause of States.Runtime where parameters are missing or unknown; nothing when they are fine.
std::string check_parameters(const json::Value& parameters, const std::vector<std::string_view>& required,
                             const std::vector<std::string_view>& optional);

// The account an execution lives in, from its ARN.
std::string account_of(const runtime::TaskOrder& order);
// The account that a task acts in: that of the role in its Credentials, else the execution's own.
std::string acting_account_of(const runtime::TaskOrder& order);

// Who acts when an execution acts: the execution, for the person behind it. Where nobody knows that person,
// the execution does not make a known one of it (on_behalf_of "unknown").
Actor acting_execution(const runtime::TaskOrder& order);

}  // namespace sortie::integrations
