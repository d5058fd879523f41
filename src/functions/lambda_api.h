#pragma once
// The Lambda API as the AWS SDKs and the CLI speak it: REST JSON below /2015-03-31/functions and its kin.
//
// The api floor checks signatures and who may call what; it asks required_permission() first, then hands the
// request over. Operations: CreateFunction, GetFunction, GetFunctionConfiguration, ListFunctions,
// UpdateFunctionCode, UpdateFunctionConfiguration, DeleteFunction, Invoke, InvokeAsync (old), Get-, Put- and
// DeleteFunctionConcurrency, ListVersionsByFunction, ListTags. Anything else below a Lambda path answers a
// clear "not supported yet" error.
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "functions/function_service.h"
#include "io/http_message.h"

namespace sortie::functions {

// Whether the path belongs to the Lambda API.
bool is_lambda_path(std::string_view path);

struct LambdaPermission {
  std::string action;    // "lambda:InvokeFunction"
  std::string resource;  // The function's ARN, or "*".
};
// What a caller needs to be allowed; nothing where method and path are no known operation.
std::optional<LambdaPermission> required_permission(const io::HttpRequest& request, std::string_view account,
                                                    std::string_view region);

// Answers one request of `account`. Errors are answers, too: status, x-amzn-ErrorType, {"Type","Message"}.
void handle_lambda_request(FunctionService& service, const io::HttpRequest& request,
                           const std::string& account, std::function<void(io::HttpResponse)> done);

// An error in the shape of the Lambda API; the status follows from the code.
io::HttpResponse lambda_error(std::string_view code, std::string_view message);
}  // namespace sortie::functions
