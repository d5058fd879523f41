#pragma once
// The front door for programs: everything that comes in through the one port is told apart here.
//
//   X-Amz-Target: AWSStepFunctions.* / AWSEvents.*   AWS JSON protocol, SigV4
//   /2015-03-31/... and its kin                      Lambda REST protocol, SigV4
//   POST / with Action=GetCallerIdentity             the one STS call that SDK users try first, SigV4
//   everything else                                  routes that others registered (REST, hooks, health, ...)
//
// A signed call is authenticated, then authorised: a function's key may call what its allow-list names, and
// may answer the task tokens it was handed. Refusals are told to `on_refused`, for the audit trail. Every AWS
// answer carries x-amzn-RequestId.
//
// Hand `handle` to io::HttpServer. One thread only: the loop's. Nothing throws.
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/aws_call.h"
#include "api/metrics.h"
#include "api/router.h"
#include "api/sigv4.h"
#include "base/clock.h"
#include "io/http_message.h"
#include "io/http_server.h"

namespace sortie::api {

// Lambda requests are REST, not JSON-RPC: their codec takes the whole request (functions/lambda_api.h).
class LambdaDoor {
 public:
  virtual ~LambdaDoor() = default;
  virtual bool is_lambda_path(std::string_view path) const = 0;
  struct Permission {
    std::string action, resource;
  };
  virtual std::optional<Permission> required_permission(const io::HttpRequest& request,
                                                        const std::string& account) const = 0;
  virtual void handle(const io::HttpRequest& request, const std::string& account,
                      std::function<void(io::HttpResponse)> done) = 0;
};

struct Refusal {
  SigningKey caller;
  std::string action;    // "states:StartExecution"
  std::string resource;  // ARN or "*"
};

struct ServerOptions {
  std::function<void(const Refusal&)> on_refused;
};

class Server {
 public:
  Server(Loop& loop, Random& random, const KeyRing& keys, ServerOptions options);

  // `target_prefix` is what stands before the dot in X-Amz-Target; `signing_name` what clients sign for and
  // what IAM actions begin with.
  void add_service(std::string target_prefix, std::string signing_name, AwsService& service);
  void set_lambda(LambdaDoor* lambda) { lambda_ = lambda; }
  Router& router() { return router_; }
  Metrics& metrics() { return *metrics_; }

  void handle(io::HttpRequest request, std::shared_ptr<io::Responder> responder);

  // How large a body may be, by what the request is for: io::HttpServerOptions::body_bytes_max_for.
  static std::size_t body_bytes_max(std::string_view method, std::string_view target);

 private:
  struct Service {
    std::string target_prefix, signing_name;
    AwsService* service = nullptr;
  };
  class MeteredResponder;

  void handle_aws_json(const io::HttpRequest& request, std::shared_ptr<MeteredResponder> responder);
  void handle_lambda(const io::HttpRequest& request, std::shared_ptr<MeteredResponder> responder);
  void handle_sts(const io::HttpRequest& request, std::shared_ptr<MeteredResponder> responder);
  void handle_route(io::HttpRequest request, std::shared_ptr<MeteredResponder> responder);
  Status authorize(const AwsCall& call) const;
  void refuse(const SigningKey& caller, const std::string& action, const std::string& resource) const;

  Loop& loop_;
  Random& random_;
  const KeyRing& keys_;
  ServerOptions options_;
  std::vector<Service> services_;
  LambdaDoor* lambda_ = nullptr;
  Router router_;
  DerivedKeys derived_keys_;
  // Shared with answers under way, which may outlive the server at shutdown.
  std::shared_ptr<Metrics> metrics_ = std::make_shared<Metrics>();
};

// The ARN that a JSON call is about, for AccessDenied texts; "*" where its input names none.
std::string resource_of(const json::Value& input);

}  // namespace sortie::api
