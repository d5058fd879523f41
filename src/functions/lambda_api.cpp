#include "functions/lambda_api.h"

#include <algorithm>
#include <charconv>
#include <vector>

#include "base/text.h"
#include "functions/lambda_codec.h"
#include "json/text.h"

namespace sortie::functions {

namespace {

enum class Operation {
  kCreateFunction,
  kListFunctions,
  kGetFunction,
  kDeleteFunction,
  kGetFunctionConfiguration,
  kUpdateFunctionConfiguration,
  kUpdateFunctionCode,
  kListVersions,
  kInvoke,
  kInvokeAsync,
  kPutConcurrency,
  kDeleteConcurrency,
  kGetConcurrency,
  kListTags,
};

struct Route {
  Operation operation;
  const char* method;
  const char* version;  // First path segment.
  const char* rest;     // What follows; "*" is the function.
  const char* action;
};

constexpr Route kRoutes[] = {
    {Operation::kCreateFunction, "POST", "2015-03-31", "functions", "lambda:CreateFunction"},
    {Operation::kListFunctions, "GET", "2015-03-31", "functions", "lambda:ListFunctions"},
    {Operation::kGetFunction, "GET", "2015-03-31", "functions/*", "lambda:GetFunction"},
    {Operation::kDeleteFunction, "DELETE", "2015-03-31", "functions/*", "lambda:DeleteFunction"},
    {Operation::kGetFunctionConfiguration, "GET", "2015-03-31", "functions/*/configuration",
     "lambda:GetFunctionConfiguration"},
    {Operation::kUpdateFunctionConfiguration, "PUT", "2015-03-31", "functions/*/configuration",
     "lambda:UpdateFunctionConfiguration"},
    {Operation::kUpdateFunctionCode, "PUT", "2015-03-31", "functions/*/code", "lambda:UpdateFunctionCode"},
    {Operation::kListVersions, "GET", "2015-03-31", "functions/*/versions", "lambda:ListVersionsByFunction"},
    {Operation::kInvoke, "POST", "2015-03-31", "functions/*/invocations", "lambda:InvokeFunction"},
    {Operation::kInvokeAsync, "POST", "2014-11-13", "functions/*/invoke-async", "lambda:InvokeFunction"},
    {Operation::kPutConcurrency, "PUT", "2017-10-31", "functions/*/concurrency",
     "lambda:PutFunctionConcurrency"},
    {Operation::kDeleteConcurrency, "DELETE", "2017-10-31", "functions/*/concurrency",
     "lambda:DeleteFunctionConcurrency"},
    {Operation::kGetConcurrency, "GET", "2019-09-30", "functions/*/concurrency",
     "lambda:GetFunctionConcurrency"},
    {Operation::kListTags, "GET", "2017-03-31", "tags/*", "lambda:ListTags"},
};

struct Matched {
  const Route* route = nullptr;
  std::string function;  // Decoded.
};

// Segments, decoded; a trailing slash does not count (SDKs add one here and there).
std::vector<std::string> segments_of(std::string_view path) {
  std::vector<std::string> segments;
  for (const std::string_view part : split(path, '/')) {
    if (part.empty()) continue;
    auto decoded = percent_decode(part);
    if (!decoded) return {};
    segments.push_back(std::move(*decoded));
  }
  return segments;
}

std::optional<Matched> match(const io::HttpRequest& request) {
  const std::vector<std::string> segments = segments_of(request.path);
  if (segments.empty()) return std::nullopt;
  for (const Route& route : kRoutes) {
    if (request.method != route.method || segments[0] != route.version) continue;
    const auto wanted = split(route.rest, '/');
    if (segments.size() != wanted.size() + 1) continue;
    Matched matched{&route, ""};
    bool fits = true;
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      if (wanted[i] == "*") {
        matched.function = segments[i + 1];
      } else {
        fits = fits && segments[i + 1] == wanted[i];
      }
    }
    if (fits) return matched;
  }
  return std::nullopt;
}

int status_of(std::string_view code) {
  if (code == "ResourceNotFoundException") return 404;
  if (code == "ResourceConflictException") return 409;
  if (code == "PreconditionFailedException") return 412;
  if (code == "RequestTooLargeException" || code == "RequestEntityTooLargeException") return 413;
  if (code == "TooManyRequestsException") return 429;
  if (code == "AccessDeniedException") return 403;
  if (code == "InvalidRuntimeException") return 502;
  if (code == "ServiceException") return 500;
  if (code == "UnsupportedOperationException") return 501;
  // File errors of the data folder are ours, everything else is the caller's.
  for (const std::string_view own :
       {"DiskFull", "ReadOnly", "PermissionDenied", "IoError", "NotFound", "AlreadyExists"}) {
    if (code == own) return 500;
  }
  return 400;
}

io::HttpResponse json_response(int status, const json::Value& value) {
  return {status, {{"Content-Type", "application/json"}}, json::to_text(value)};
}

io::HttpResponse error_response(const Error& error) { return lambda_error(error.code, error.message); }

using Done = std::function<void(io::HttpResponse)>;

FunctionService::ConfigCallback answer_configuration(int status, Done done) {
  return [status, done = std::move(done)](Result<FunctionConfig> config) {
    done(config ? json_response(status, function_configuration(*config)) : error_response(config.error()));
  };
}

void create(FunctionService& service, const io::HttpRequest& request, const std::string& account, Done done) {
  auto body = parse_create_function(request.body);
  if (!body) return done(error_response(body.error()));
  body->config.account = account;
  service.create_function(std::move(body->config), std::move(body->zip),
                          answer_configuration(201, std::move(done)));
}

io::HttpResponse list(FunctionService& service, const io::HttpRequest& request, const std::string& account) {
  const std::string marker = io::query_parameter(request.query, "Marker").value_or("");
  std::size_t limit = 50;
  if (const auto text = io::query_parameter(request.query, "MaxItems")) {
    const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), limit);
    if (error != std::errc() || end != text->data() + text->size() || limit < 1 || limit > 10'000) {
      return lambda_error("InvalidParameterValueException", "MaxItems has to be a number from 1 to 10000");
    }
    limit = std::min<std::size_t>(limit, 50);  // As AWS, which never sends more than fifty at once.
  }
  std::vector<json::Value> functions;
  json::ObjectBuilder out;
  bool more = false;
  std::string last;
  for (const FunctionConfig& config : service.list_functions(account)) {
    if (config.name <= marker) continue;
    if (functions.size() == limit) {
      more = true;
      break;
    }
    last = config.name;
    functions.push_back(function_configuration(config));
  }
  out.append("Functions", json::Value::array(std::move(functions)));
  if (more) out.append("NextMarker", last);
  return json_response(200, out.build());
}

json::Value describe(const FunctionConfig& config) {
  json::ObjectBuilder out;
  out.append("Configuration", function_configuration(config));
  out.append("Code", json::Value::object({{"RepositoryType", "S3"}}));
  if (!config.tags.empty()) {
    json::ObjectBuilder tags;
    for (const auto& [name, value] : config.tags) tags.append(name, value);
    out.append("Tags", tags.build());
  }
  if (config.reserved_concurrency) {
    out.append("Concurrency",
               json::Value::object({{"ReservedConcurrentExecutions", *config.reserved_concurrency}}));
  }
  return out.build();
}

void answer_invocation(const InvokeResult& result, bool wants_log, const Done& done) {
  if (!result.error_code.empty()) {
    io::HttpResponse response = lambda_error(result.error_code, result.error_message);
    response.status = result.status_code;
    response.headers.add("x-amzn-RequestId", result.request_id);
    return done(std::move(response));
  }
  io::HttpResponse response;
  response.status = result.status_code;
  response.headers = {
      {"Content-Type", result.payload_is_json ? "application/json" : "application/octet-stream"},
      {"x-amzn-RequestId", result.request_id}};
  if (result.status_code == 200) {
    response.headers.add("X-Amz-Executed-Version", result.executed_version);
    if (!result.function_error.empty()) response.headers.add("X-Amz-Function-Error", result.function_error);
    if (wants_log) response.headers.add("X-Amz-Log-Result", base64_encode(result.log_tail));
    response.body = result.payload;
  }
  done(std::move(response));
}

void invoke(FunctionService& service, const io::HttpRequest& request, const std::string& account,
            const std::string& function, const Done& done) {
  InvokeRequest invocation;
  invocation.function = function;
  invocation.account = account;
  invocation.qualifier = io::query_parameter(request.query, "Qualifier").value_or("");
  invocation.payload = request.body;
  invocation.trace_id = std::string(request.headers.get("X-Amzn-Trace-Id"));
  const std::string_view type = request.headers.get("X-Amz-Invocation-Type");
  if (type == "Event") {
    invocation.type = InvocationType::kEvent;
  } else if (type == "DryRun") {
    invocation.type = InvocationType::kDryRun;
  } else if (!type.empty() && type != "RequestResponse") {
    return done(lambda_error("InvalidParameterValueException",
                             "Unrecognized invocation type: " + to_valid_utf8(type)));
  }
  if (const std::string_view context = request.headers.get("X-Amz-Client-Context"); !context.empty()) {
    auto decoded = base64_decode(context);
    if (!decoded)
      return done(
          lambda_error("InvalidRequestContentException", "Client context must be base64-encoded JSON"));
    invocation.client_context = std::move(*decoded);
  }
  const bool wants_log = request.headers.get("X-Amz-Log-Type") == "Tail";
  service.invoke(std::move(invocation), [wants_log, done](const InvokeResult& result) {
    answer_invocation(result, wants_log, done);
  });
}

void invoke_async(FunctionService& service, const io::HttpRequest& request, const std::string& account,
                  const std::string& function, const Done& done) {
  InvokeRequest invocation;
  invocation.function = function;
  invocation.account = account;
  invocation.payload = request.body;
  invocation.type = InvocationType::kEvent;
  service.invoke(std::move(invocation), [done](const InvokeResult& result) {
    if (!result.error_code.empty()) return answer_invocation(result, false, done);
    done(json_response(202, json::Value::object({{"Status", 202}})));
  });
}

void update_configuration(FunctionService& service, const io::HttpRequest& request,
                          const std::string& account, const std::string& function, Done done) {
  const auto body = parse_body(request.body);
  if (!body) return done(error_response(body.error()));
  const auto current = service.get_function(account, function);
  if (!current) return done(error_response(current.error()));
  auto changed = apply_update_configuration(*current, *body);
  if (!changed) return done(error_response(changed.error()));
  const json::Value& revision = body->get("RevisionId");
  // The edit is made on what is there when it is made; both happen in this call, on the loop's thread.
  service.update_configuration(
      account, function, revision.is_string() ? revision.to_std_string() : "",
      [changed = std::move(*changed)](FunctionConfig& config) { config = changed; },
      answer_configuration(200, std::move(done)));
}

void put_concurrency(FunctionService& service, const io::HttpRequest& request, const std::string& account,
                     const std::string& function, Done done) {
  std::optional<int> reserved;
  if (request.method == "PUT") {
    const auto body = parse_body(request.body);
    if (!body) return done(error_response(body.error()));
    const json::Value& value = body->get("ReservedConcurrentExecutions");
    if (!value.is_integer() || value.as_integer() < 0 || value.as_integer() > 1'000) {
      return done(lambda_error("InvalidParameterValueException",
                               "ReservedConcurrentExecutions has to be a number from 0 to 1000"));
    }
    reserved = static_cast<int>(value.as_integer());
  }
  service.update_configuration(
      account, function, "", [reserved](FunctionConfig& config) { config.reserved_concurrency = reserved; },
      [reserved, done = std::move(done)](Result<FunctionConfig> config) {
        if (!config) return done(error_response(config.error()));
        if (!reserved) return done({204, {}, ""});
        done(json_response(200, json::Value::object({{"ReservedConcurrentExecutions", *reserved}})));
      });
}

io::HttpResponse read_only(FunctionService& service, Operation operation, const std::string& account,
                           const std::string& function) {
  const auto config = service.get_function(account, function);
  if (!config) return error_response(config.error());
  switch (operation) {
    case Operation::kGetFunction:
      return json_response(200, describe(*config));
    case Operation::kGetFunctionConfiguration:
      return json_response(200, function_configuration(*config));
    case Operation::kListVersions:
      return json_response(
          200, json::Value::object({{"Versions", json::Value::array({function_configuration(*config)})}}));
    case Operation::kGetConcurrency: {
      if (!config->reserved_concurrency) return json_response(200, json::Value::object({}));
      return json_response(
          200, json::Value::object({{"ReservedConcurrentExecutions", *config->reserved_concurrency}}));
    }
    default: {
      json::ObjectBuilder tags;
      for (const auto& [name, value] : config->tags) tags.append(name, value);
      return json_response(200, json::Value::object({{"Tags", tags.build()}}));
    }
  }
}

}  // namespace

bool is_lambda_path(std::string_view path) {
  if (path.size() < 13 || path[0] != '/' || path[5] != '-' || path[8] != '-' || path[11] != '/') return false;
  for (const std::size_t at : {1U, 2U, 3U, 4U, 6U, 7U, 9U, 10U}) {
    if (path[at] < '0' || path[at] > '9') return false;
  }
  const std::string_view rest = path.substr(12);
  const std::string_view first = rest.substr(0, rest.find('/'));
  for (const std::string_view known : {"functions", "tags", "layers", "layers-by-arn",
                                       "event-source-mappings", "account-settings", "code-signing-configs"}) {
    if (first == known) return true;
  }
  return false;
}

std::optional<LambdaPermission> required_permission(const io::HttpRequest& request, std::string_view account,
                                                    std::string_view region) {
  const auto matched = match(request);
  if (!matched) return std::nullopt;
  LambdaPermission permission{matched->route->action, "*"};
  if (const auto reference = parse_function_reference(matched->function); reference) {
    permission.resource =
        function_arn(reference->region.empty() ? region : reference->region,
                     reference->account.empty() ? account : reference->account, reference->name);
  }
  return permission;
}

void handle_lambda_request(FunctionService& service, const io::HttpRequest& request,
                           const std::string& account, std::function<void(io::HttpResponse)> done) {
  const auto matched = match(request);
  if (!matched) {
    return done(lambda_error("UnsupportedOperationException", "the Lambda operation " + request.method + " " +
                                                                  to_valid_utf8(request.path) +
                                                                  " is not supported yet by this server"));
  }
  const std::string& function = matched->function;
  switch (matched->route->operation) {
    case Operation::kCreateFunction:
      return create(service, request, account, std::move(done));
    case Operation::kListFunctions:
      return done(list(service, request, account));
    case Operation::kDeleteFunction: {
      const Status status = service.delete_function(account, function);
      return done(status.ok() ? io::HttpResponse{204, {}, ""} : error_response(status.error()));
    }
    case Operation::kUpdateFunctionConfiguration:
      return update_configuration(service, request, account, function, std::move(done));
    case Operation::kUpdateFunctionCode: {
      auto body = parse_update_code(request.body);
      if (!body) return done(error_response(body.error()));
      return service.update_code(account, function, {std::move(body->zip), body->dry_run, body->revision_id},
                                 answer_configuration(200, std::move(done)));
    }
    case Operation::kInvoke:
      return invoke(service, request, account, function, done);
    case Operation::kInvokeAsync:
      return invoke_async(service, request, account, function, done);
    case Operation::kPutConcurrency:
    case Operation::kDeleteConcurrency:
      return put_concurrency(service, request, account, function, std::move(done));
    default:
      return done(read_only(service, matched->route->operation, account, function));
  }
}

io::HttpResponse lambda_error(std::string_view code, std::string_view message) {
  const int status = status_of(code);
  json::ObjectBuilder body;
  if (code == "TooManyRequestsException")
    body.append("Reason", "ReservedFunctionConcurrentInvocationLimitExceeded");
  body.append("Type", status >= 500 ? "Service" : "User");
  body.append("Message", message).append("message", message);
  io::HttpResponse response = json_response(status, body.build());
  response.headers.add("x-amzn-ErrorType", std::string(code));
  return response;
}

}  // namespace sortie::functions
