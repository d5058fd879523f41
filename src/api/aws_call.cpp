#include "api/aws_call.h"

#include <array>

#include "json/text.h"

namespace sortie::api {
namespace {

struct CodeStatus {
  std::string_view code;
  int status;
};

constexpr std::array<CodeStatus, 6> kStatuses = {{{"ServiceUnavailable", 503},
                                                  {"ServiceUnavailableException", 503},
                                                  {"InternalFailure", 500},
                                                  {"InternalException", 500},
                                                  {"RequestEntityTooLargeException", 413},
                                                  {"InternalServerError", 500}}};

}  // namespace

std::string aws_code(std::string_view code) {
  if (code.starts_with("Store") || code == "StaleEpoch") return "ServiceUnavailable";
  if (code.empty()) return "InternalFailure";
  return std::string(code);
}

int aws_status(std::string_view code) {
  const std::string wire = aws_code(code);
  for (const CodeStatus& entry : kStatuses) {
    if (entry.code == wire) return entry.status;
  }
  return 400;
}

io::HttpResponse aws_json_answer(const json::Value& body, std::string_view content_type) {
  io::HttpResponse response;
  response.headers.set("Content-Type", std::string(content_type));
  response.body = json::to_text(body);
  return response;
}

io::HttpResponse aws_json_error(const Error& error, std::string_view content_type) {
  io::HttpResponse response = aws_json_answer(
      json::Value::object({{"__type", aws_code(error.code)}, {"message", error.message}}), content_type);
  response.status = aws_status(error.code);
  if (response.status == 503) response.headers.set("Retry-After", "1");
  return response;
}

Error access_denied(const SigningKey& caller, std::string_view action, std::string_view resource) {
  return {"AccessDeniedException",
          "User: " + caller_arn(caller) + " is not authorized to perform: " + std::string(action) +
              " on resource: " + std::string(resource) + " because no identity-based policy allows the " +
              std::string(action) + " action",
          "", "list the action in the function's function.yaml (actions)"};
}

Error not_supported_yet(std::string_view what) {
  return {"UnsupportedOperationException", std::string(what) + " is not supported by Sortie yet", "", ""};
}

json::Value epoch_seconds(Timestamp time) { return json::Value(static_cast<double>(time.ms) / 1000.0); }

}  // namespace sortie::api
