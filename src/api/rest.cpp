#include "api/rest.h"

#include <charconv>

#include "api/aws_call.h"
#include "api/session_routes.h"
#include "api/sigv4.h"
#include "base/hash.h"
#include "base/text.h"
#include "json/text.h"

namespace sortie::api {
namespace {

constexpr std::uint32_t kBodyDepthMax = 1000;

Error unauthorized(std::string message) {
  return {"Unauthorized", std::move(message), "",
          "send Authorization: Bearer with the token of `sortie user add`"};
}

std::string channel_of(const io::HttpRequest& request) {
  const std::string_view client = request.headers.get("x-sortie-client");
  return client == "cli" || client == "console" ? std::string(client) : "api";
}

bool ends_with_any(std::string_view code, std::initializer_list<std::string_view> endings) {
  for (const std::string_view ending : endings) {
    if (code.ends_with(ending)) return true;
  }
  return false;
}

}  // namespace

Result<json::Value> read_json_body(const io::HttpRequest& request) {
  if (request.body.empty()) return json::Value::object({});
  const std::string type = to_lower_ascii(request.headers.get("content-type"));
  if (!type.starts_with("application/json")) {
    return Error{"UnsupportedMediaType", "the body has to be JSON", "",
                 "send Content-Type: application/json"};
  }
  SORTIE_TRY(json::Value value, json::parse(request.body));
  if (!value.is_object() || value.depth() > kBodyDepthMax) {
    return Error{"InvalidJson", "the body has to be a JSON object", "", ""};
  }
  return value;
}

std::string RestCall::query(std::string_view name) const {
  return io::query_parameter(request.query, name).value_or("");
}

int rest_status(std::string_view code) {
  const std::string wire = aws_code(code);
  if (wire == "Unauthorized" || wire == "ExpiredTokenException" || wire == "UnrecognizedClientException" ||
      wire == "MissingAuthenticationTokenException" || ends_with_any(wire, {"SignatureException"})) {
    return 401;
  }
  if (wire == "ServiceUnavailable" || wire == "ServiceUnavailableException") return 503;
  if (wire == "UnsupportedOperationException") return 501;
  if (wire == "UnsupportedMediaType") return 415;
  if (wire == "MisdirectedHost") return 421;
  if (wire == "InternalFailure") return 500;
  if (ends_with_any(wire, {"DoesNotExist", "NotFound", "NotFoundException", "LoginLinkInvalid"})) return 404;
  if (ends_with_any(wire, {"AlreadyExists", "Exists", "Conflict", "ConflictException", "AlreadyDecided",
                           "AlreadyVoted", "PlanChanged"})) {
    return 409;
  }
  if (wire.starts_with("AccessDenied") || wire.starts_with("Forbidden") || wire.starts_with("NotAllowed") ||
      wire.starts_with("Initiator") || wire == "PersonRequired" || wire == "NotEligible") {
    return 403;
  }
  if (wire.starts_with("Throttling") || wire.starts_with("TooManyRequests")) return 429;
  if (ends_with_any(wire, {"TooLarge", "TooLargeException"})) return 413;
  return 400;
}

io::HttpResponse rest_answer(const json::Value& body, int status) {
  io::HttpResponse response;
  response.status = status;
  response.headers.set("Content-Type", "application/json");
  response.headers.set("Cache-Control", "no-store");
  response.headers.set("X-Content-Type-Options", "nosniff");
  response.body = json::to_text(body) + "\n";
  return response;
}

io::HttpResponse rest_error(const Error& error) {
  json::ObjectBuilder inner;
  inner.append("code", aws_code(error.code)).append("message", error.message);
  if (!error.place.empty()) inner.append("place", error.place);
  inner.append("hint", error.hint);
  io::HttpResponse response =
      rest_answer(json::Value::object({{"error", inner.build()}}), rest_status(error.code));
  if (response.status == 401) response.headers.set("WWW-Authenticate", "Bearer realm=\"sortie\"");
  if (response.status == 503) response.headers.set("Retry-After", "1");
  return response;
}

void answer(const std::shared_ptr<io::Responder>& responder, const Result<json::Value>& result, int status) {
  responder->send(result ? rest_answer(*result, status) : rest_error(result.error()));
}

RestDoor::RestDoor(Clock& clock, Router& router, RestAuth auth)
    : state_(std::make_shared<State>(State{clock, std::move(auth)})), router_(router) {}

Result<Actor> RestDoor::authenticate(const State& state, const io::HttpRequest& request) {
  if (has_signature(request)) {
    SORTIE_TRY(const Verified verified, verify_signature(request, state.auth.keys, state.clock.now()));
    if (verified.key.allowed_actions) {
      return Error{"AccessDenied", "a function's key may not use the REST API", "", "use the AWS APIs"};
    }
    Actor actor = verified.key.actor;
    actor.account = verified.key.account;
    actor.channel = "api";
    return actor;
  }
  const std::string_view header = trim(request.headers.get("authorization"));
  if (header.empty()) return authenticate_session(state, request);
  const std::size_t blank = header.find(' ');
  if (!equals_ignore_case_ascii(header.substr(0, blank), "bearer") || blank == std::string_view::npos) {
    return unauthorized("only Bearer tokens and AWS signatures are accepted");
  }
  std::optional<Actor> actor;
  if (state.auth.find_by_token) actor = state.auth.find_by_token(trim(header.substr(blank)));
  if (!actor) return unauthorized("the token is not valid");
  if (actor->account.empty()) actor->account = state.auth.account;
  // A token may fix its channel; else the client says what it is. A signed request is a program's.
  if (actor->channel.empty()) actor->channel = channel_of(request);
  return *actor;
}

Result<Actor> RestDoor::authenticate_session(const State& state, const io::HttpRequest& request) {
  const std::string token = session_token(request);
  if (token.empty() || !state.auth.find_by_session) return unauthorized("this needs authentication");
  // Browsers say where a request comes from; a page of another site never acts with our cookie.
  const std::string_view site = request.headers.get("sec-fetch-site");
  if (!site.empty() && site != "same-origin" && site != "none") {
    return Error{"ForbiddenOrigin", "requests from pages of other sites are refused", "", ""};
  }
  std::optional<Actor> actor = state.auth.find_by_session(token);
  if (!actor) return Error{"Unauthorized", "the session has ended", "", "log in again"};
  const bool reads = request.method == "GET" || request.method == "HEAD";
  if (!reads && !constant_time_equal(request.headers.get("x-sortie-csrf"), csrf_text(token))) {
    return Error{"ForbiddenCsrf", "the request does not repeat its session's csrf text", "",
                 "send what GET /v1/session answers as X-Sortie-CSRF"};
  }
  if (actor->account.empty()) actor->account = state.auth.account;
  return *actor;
}

std::function<bool()> RestDoor::still_allowed(const io::HttpRequest& request) const {
  io::HttpRequest kept;
  kept.method = "GET";
  for (const char* name : {"host", "cookie"}) {
    if (const std::string* value = request.headers.find(name)) kept.headers.add(name, *value);
  }
  if (has_signature(request))
    return [] { return true; };  // Its time is up sooner or later; a key has no end.
  if (request.headers.has("authorization")) {
    kept.headers.add("authorization", *request.headers.find("authorization"));
    return [state = state_, kept] { return authenticate(*state, kept).ok(); };
  }
  return [state = state_, kept] { return authenticate_session(*state, kept).ok(); };
}

void RestDoor::add(std::string_view method, std::string_view pattern, RestHandler handler) {
  router_.add(method, pattern, [state = state_, handler = std::move(handler)](RouteCall route) {
    if (Status host = check_host(state->auth.hosts, route.request); !host) {
      return route.responder->send(rest_error(host.error()));
    }
    Result<Actor> actor = authenticate(*state, route.request);
    if (!actor) return route.responder->send(rest_error(actor.error()));
    Result<json::Value> body = read_json_body(route.request);
    if (!body) return route.responder->send(rest_error(body.error()));
    handler({std::move(route.request), std::move(route.parameters), std::move(route.responder),
             *std::move(actor), *std::move(body)});
  });
}

Result<std::uint64_t> query_number(const RestCall& call, std::string_view name, std::uint64_t fallback,
                                   std::uint64_t min, std::uint64_t max) {
  const std::string text = call.query(name);
  if (text.empty()) return fallback;
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || number < min || number > max) {
    return Error{"InvalidParameter", "'" + std::string(name) + "' is not a whole number in range", "",
                 "give a number from " + std::to_string(min) + " to " + std::to_string(max)};
  }
  return number;
}

Result<std::string> body_text(const RestCall& call, std::string_view name, bool required) {
  const json::Value& value = call.body.get(name);
  if (value.is_string()) return value.to_std_string();
  if (value.is_null() && !required) return std::string();
  return Error{"InvalidParameter", "'" + std::string(name) + "' has to be text", "", ""};
}

Result<Timestamp> query_time(const RestCall& call, std::string_view name, Timestamp fallback) {
  const std::string text = call.query(name);
  if (text.empty()) return fallback;
  Result<Timestamp> time = parse_rfc3339(text);
  if (!time) {
    return Error{"InvalidParameter", "'" + std::string(name) + "' is no date-time", "", time.error().hint};
  }
  return time;
}

bool may_administer(const Actor& actor,
                    const std::function<bool(std::string_view, std::string_view)>& is_in_group) {
  if (actor.kind == Actor::Kind::kAccountKey) return true;
  return actor.is_person() && is_in_group && is_in_group(actor.name, "admins");
}

}  // namespace sortie::api
