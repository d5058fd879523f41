#pragma once
// The AWS JSON protocol (1.0 and 1.1): what a call is, what answers it, and how errors look on the wire.
//
// A service takes AwsCall and answers through AwsReply exactly once, at once or later. An Error's code is the
// wire name ("ExecutionDoesNotExist"); codes of the store become ServiceUnavailable (503), which SDKs retry.
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "api/key_ring.h"
#include "base/result.h"
#include "io/http_server.h"
#include "json/value.h"

namespace sortie::api {

struct AwsCall {
  std::string service;    // The name that is signed: "states", "events".
  std::string operation;  // "StartExecution"
  json::Value input;      // Always an object.
  SigningKey caller;
  std::shared_ptr<io::Responder> peer;  // To notice that a long poll's caller has gone; may be null.
};

using AwsReply = std::function<void(Result<json::Value>)>;

class AwsService {
 public:
  virtual ~AwsService() = default;
  virtual void handle(AwsCall call, AwsReply reply) = 0;
};

// HTTP status of an error code, and the code as it goes out.
int aws_status(std::string_view code);
std::string aws_code(std::string_view code);

io::HttpResponse aws_json_answer(const json::Value& body, std::string_view content_type);
io::HttpResponse aws_json_error(const Error& error, std::string_view content_type);

// AWS's words for a call that the caller's allow-list does not have.
Error access_denied(const SigningKey& caller, std::string_view action, std::string_view resource);
// The operation or parameter exists on AWS and is not built here yet: nothing was done.
Error not_supported_yet(std::string_view what);

// Seconds since 1970 with milliseconds, as the JSON protocol writes dates.
json::Value epoch_seconds(Timestamp time);

}  // namespace sortie::api
