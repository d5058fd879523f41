#include "api/server.h"

#include <array>

#include "api/sigv4.h"
#include "base/hash.h"
#include "base/text.h"
#include "json/text.h"

namespace sortie::api {
namespace {

constexpr std::size_t kApiBodyBytesMax = 8 * 1024 * 1024;
constexpr std::size_t kInvokeBodyBytesMax = 6 * 1024 * 1024 + 64 * 1024;
constexpr std::size_t kCodeBodyBytesMax =
    72 * 1024 * 1024;  // A 50 MiB zip in base64, and the JSON around it.
constexpr std::size_t kHookBodyBytesMax = 1024 * 1024;
constexpr std::size_t kOperationBytesMax = 64;
constexpr std::uint32_t kCallDepthMax = 64;  // Of a call's own JSON; payloads travel inside as text.

std::string_view content_type_of(const io::HttpRequest& request) {
  const std::string_view given = request.headers.get("content-type");
  return given.starts_with("application/x-amz-json-1.1") ? "application/x-amz-json-1.1"
                                                         : "application/x-amz-json-1.0";
}

bool is_operation_name(std::string_view text) {
  if (text.empty() || text.size() > kOperationBytesMax) return false;
  for (const char c : text) {
    if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'))) return false;
  }
  return true;
}

Result<json::Value> read_call_input(const std::string& body) {
  const Error malformed{"SerializationException", "The request body is no JSON object", "", ""};
  if (body.empty()) return json::Value::object({});
  Result<json::Value> value = json::parse(body);
  if (!value || !value->is_object() || value->depth() > kCallDepthMax) return malformed;
  return value;
}

io::HttpResponse rest_auth_error(const Error& error) {
  io::HttpResponse response;
  response.status = error.code == "IncompleteSignatureException" ? 400 : 403;
  response.headers.set("Content-Type", "application/json");
  response.headers.set("x-amzn-ErrorType", error.code);
  response.body = json::to_text(json::Value::object({{"message", error.message}}));
  return response;
}

std::string escape_xml(std::string_view text) {
  return replace_all(replace_all(replace_all(text, "&", "&amp;"), "<", "&lt;"), ">", "&gt;");
}

io::HttpResponse sts_error(const Error& error, const std::string& request_id) {
  io::HttpResponse response;
  response.status = 403;
  response.headers.set("Content-Type", "text/xml");
  response.body =
      "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender</Type><Code>" +
      escape_xml(error.code) + "</Code><Message>" + escape_xml(error.message) +
      "</Message></Error><RequestId>" + request_id + "</RequestId></ErrorResponse>";
  return response;
}

}  // namespace

// Counts the answer, and gives AWS answers their request id.
class Server::MeteredResponder final : public io::Responder {
 public:
  MeteredResponder(std::shared_ptr<io::Responder> inner, std::shared_ptr<Metrics> metrics, Clock& clock,
                   std::string request_id)
      : inner_(std::move(inner)),
        metrics_(std::move(metrics)),
        clock_(clock),
        request_id_(std::move(request_id)),
        started_at_(clock.now()) {
    metrics_->change_open_requests(1);
  }
  ~MeteredResponder() override { metrics_->change_open_requests(-1); }

  void set_route(std::string route) { route_ = std::move(route); }
  void set_aws() { is_aws_ = true; }
  const std::string& request_id() const { return request_id_; }

  void send(io::HttpResponse response) override {
    if (is_aws_) response.headers.set("x-amzn-RequestId", request_id_);
    count(response.status);
    inner_->send(std::move(response));
  }
  void begin_stream(io::HttpResponse head) override {
    count(head.status);
    inner_->begin_stream(std::move(head));
  }
  bool write(std::string_view chunk) override { return inner_->write(chunk); }
  void end_stream() override { inner_->end_stream(); }
  bool is_open() const override { return inner_->is_open(); }
  void on_close(std::function<void()> callback) override { inner_->on_close(std::move(callback)); }

 private:
  void count(int status) { metrics_->count_request(route_, status, clock_.now().ms - started_at_.ms); }

  std::shared_ptr<io::Responder> inner_;
  std::shared_ptr<Metrics> metrics_;
  Clock& clock_;
  std::string request_id_;
  Timestamp started_at_;
  std::string route_ = "unknown";
  bool is_aws_ = false;
};

std::string resource_of(const json::Value& input) {
  static constexpr std::array<std::string_view, 8> kNames = {
      "stateMachineArn", "executionArn",           "activityArn",          "resourceArn",
      "mapRunArn",       "stateMachineVersionArn", "stateMachineAliasArn", "ResourceARN"};
  for (const std::string_view name : kNames) {
    const json::Value& value = input.get(name);
    if (value.is_string()) return std::string(truncate_utf8(value.as_string(), 512));
  }
  return "*";
}

Server::Server(Loop& loop, Random& random, const KeyRing& keys, ServerOptions options)
    : loop_(loop), random_(random), keys_(keys), options_(std::move(options)) {}

void Server::add_service(std::string target_prefix, std::string signing_name, AwsService& service) {
  services_.push_back({std::move(target_prefix), std::move(signing_name), &service});
}

std::size_t Server::body_bytes_max(std::string_view method, std::string_view target) {
  const std::string_view path = target.substr(0, target.find('?'));
  if (path.starts_with("/hooks/")) return kHookBodyBytesMax;
  if (path.starts_with("/2015-03-31/functions") && (method == "POST" || method == "PUT")) {
    return path.find("/invocations") != std::string_view::npos ? kInvokeBodyBytesMax : kCodeBodyBytesMax;
  }
  return kApiBodyBytesMax;
}

void Server::handle(io::HttpRequest request, std::shared_ptr<io::Responder> responder) {
  auto metered =
      std::make_shared<MeteredResponder>(std::move(responder), metrics_, loop_, make_uuid(random_));
  if (request.headers.has("x-amz-target")) return handle_aws_json(request, std::move(metered));
  if (lambda_ != nullptr && lambda_->is_lambda_path(request.path)) {
    return handle_lambda(request, std::move(metered));
  }
  const bool is_query = request.method == "POST" && request.path == "/" && has_signature(request);
  if (is_query) return handle_sts(request, std::move(metered));
  handle_route(std::move(request), std::move(metered));
}

void Server::refuse(const SigningKey& caller, const std::string& action, const std::string& resource) const {
  if (options_.on_refused) options_.on_refused({caller, action, resource});
}

Status Server::authorize(const AwsCall& call) const {
  const std::string action = call.service + ":" + call.operation;
  if (call.caller.may_call(action)) return {};
  const bool answers_token = call.operation == "SendTaskSuccess" || call.operation == "SendTaskFailure" ||
                             call.operation == "SendTaskHeartbeat";
  const json::Value& token = call.input.get("taskToken");
  if (call.service == "states" && answers_token && token.is_string() &&
      keys_.was_handed(call.caller, token.as_string())) {
    return {};
  }
  const std::string resource = resource_of(call.input);
  refuse(call.caller, action, resource);
  return access_denied(call.caller, action, resource);
}

void Server::handle_aws_json(const io::HttpRequest& request, std::shared_ptr<MeteredResponder> responder) {
  responder->set_aws();
  responder->set_route("aws");
  const std::string content_type(content_type_of(request));
  const auto fail = [&](const Error& error) { responder->send(aws_json_error(error, content_type)); };
  const Error unknown{"UnknownOperationException", "", "", ""};
  if (request.method != "POST") return fail(unknown);

  Result<Verified> verified = verify_signature(request, keys_, loop_.now(), &derived_keys_);
  if (!verified) return fail(verified.error());
  const std::string_view target = trim(request.headers.get("x-amz-target"));
  const std::size_t dot = target.find('.');
  const Service* service = nullptr;
  for (const Service& candidate : services_) {
    if (candidate.target_prefix == target.substr(0, dot)) service = &candidate;
  }
  if (service == nullptr || dot == std::string_view::npos || !is_operation_name(target.substr(dot + 1))) {
    return fail(unknown);
  }
  if (verified->service != service->signing_name) {
    return fail({"InvalidSignatureException",
                 "Credential should be scoped to correct service: '" + service->signing_name + "'.", "", ""});
  }
  Result<json::Value> input = read_call_input(request.body);
  if (!input) return fail(input.error());
  AwsCall call{service->signing_name, std::string(target.substr(dot + 1)), *std::move(input),
               std::move(verified->key), responder};
  if (call.caller.actor.channel.empty()) call.caller.actor.channel = "api";
  if (Status allowed = authorize(call); !allowed) return fail(allowed.error());
  service->service->handle(
      std::move(call), [responder, content_type, route = std::string(target)](Result<json::Value> answer) {
        const bool is_known = answer.ok() || answer.error().code != "UnknownOperationException";
        if (is_known) responder->set_route(route);
        responder->send(answer ? aws_json_answer(*answer, content_type)
                               : aws_json_error(answer.error(), content_type));
      });
}

void Server::handle_lambda(const io::HttpRequest& request, std::shared_ptr<MeteredResponder> responder) {
  responder->set_aws();
  responder->set_route("lambda");
  const auto fail = [&](const Error& error) { responder->send(rest_auth_error(error)); };
  const Result<Verified> verified = verify_signature(request, keys_, loop_.now(), &derived_keys_);
  if (!verified) return fail(verified.error());
  if (verified->service != "lambda") {
    return fail(
        {"InvalidSignatureException", "Credential should be scoped to correct service: 'lambda'.", "", ""});
  }
  const SigningKey& caller = verified->key;
  if (const auto needed = lambda_->required_permission(request, caller.account)) {
    if (!caller.may_call(needed->action)) {
      refuse(caller, needed->action, needed->resource);
      return fail(access_denied(caller, needed->action, needed->resource));
    }
    responder->set_route(needed->action);
  } else if (caller.allowed_actions) {
    // An operation that we cannot name is one that no list can allow.
    refuse(caller, "lambda:*", "*");
    return fail(access_denied(caller, "lambda:*", "*"));
  }
  lambda_->handle(request, caller.account,
                  [responder](io::HttpResponse response) { responder->send(std::move(response)); });
}

void Server::handle_sts(const io::HttpRequest& request, std::shared_ptr<MeteredResponder> responder) {
  responder->set_aws();
  responder->set_route("sts:GetCallerIdentity");
  const auto fail = [&](const Error& error) { responder->send(sts_error(error, responder->request_id())); };
  const Result<Verified> verified = verify_signature(request, keys_, loop_.now(), &derived_keys_);
  if (!verified) return fail(verified.error());
  if (io::query_parameter(request.body, "Action").value_or("") != "GetCallerIdentity") {
    return fail({"InvalidAction", "Sortie answers GetCallerIdentity only", "", ""});
  }
  const SigningKey& caller = verified->key;
  io::HttpResponse response;
  response.headers.set("Content-Type", "text/xml");
  response.body =
      "<GetCallerIdentityResponse "
      "xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetCallerIdentityResult><Arn>" +
      escape_xml(caller_arn(caller)) + "</Arn><UserId>" + escape_xml(caller.access_key_id) +
      "</UserId><Account>" + escape_xml(caller.account) +
      "</Account></GetCallerIdentityResult><ResponseMetadata><RequestId>" + responder->request_id() +
      "</RequestId></ResponseMetadata></GetCallerIdentityResponse>";
  responder->send(std::move(response));
}

void Server::handle_route(io::HttpRequest request, std::shared_ptr<MeteredResponder> responder) {
  RouteMatch match = router_.find(request.method, request.path);
  if (match.handler != nullptr) {
    responder->set_route(match.pattern);
    RouteCall call{std::move(request), std::move(match.parameters), std::move(responder)};
    return (*match.handler)(std::move(call));
  }
  const bool wrong_method = !match.allowed_methods.empty();
  io::HttpResponse response;
  response.status = wrong_method ? 405 : 404;
  if (wrong_method) response.headers.set("Allow", join(match.allowed_methods, ", "));
  response.headers.set("Content-Type", "application/json");
  const std::string message =
      wrong_method ? "this path does not take " + std::string(truncate_utf8(request.method, 32))
                   : "nothing is served at this path";
  response.body = json::to_text(json::Value::object(
      {{"error", json::Value::object({{"code", wrong_method ? "MethodNotAllowed" : "NotFound"},
                                      {"message", message},
                                      {"hint", wrong_method ? "allowed: " + join(match.allowed_methods, ", ")
                                                            : "the REST API lives below /v1"}})}}));
  responder->send(std::move(response));
}

}  // namespace sortie::api
