#pragma once
// The REST API below /v1: who may come in, JSON in and out, and one shape for every error:
// {"error": {"code", "message", "hint"}} with a fitting status.
//
// A caller is a person with `Authorization: Bearer TOKEN`, or whoever signs the request with SigV4 (a
// person's or an account's key, any service name; never a function's), or a browser with the console's
// session cookie (session_routes.h), which then has to prove with X-Sortie-CSRF that its page is ours
// whenever it changes something. Host and Origin are checked on every request. A body has to be a JSON object
// sent as application/json. Dates are ISO 8601 text.
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "api/host_check.h"
#include "api/key_ring.h"
#include "api/router.h"
#include "base/actor.h"
#include "base/clock.h"
#include "json/value.h"

namespace sortie::api {

struct RestCall {
  io::HttpRequest request;
  std::map<std::string, std::string> parameters;
  std::shared_ptr<io::Responder> responder;
  Actor actor;
  json::Value body;  // An object; empty where none was sent.

  const std::string& parameter(const std::string& name) const { return parameters.at(name); }
  std::string query(std::string_view name) const;  // "" where absent.
};
using RestHandler = std::function<void(RestCall)>;

struct RestAuth {
  const KeyRing& keys;
  std::function<std::optional<Actor>(std::string_view token)> find_by_token;  // May be empty.
  HostPolicy hosts;
  std::string account;  // Whose things a bearer token's holder sees: the main account.
  // Who a session cookie is; may be empty.
  std::function<std::optional<Actor>(std::string_view token)> find_by_session = {};
};

class RestDoor {
 public:
  RestDoor(Clock& clock, Router& router, RestAuth auth);
  void add(std::string_view method, std::string_view pattern, RestHandler handler);
  const std::string& account() const { return state_->auth.account; }
  Clock& clock() const { return state_->clock; }
  Router& router() const { return router_; }
  // Whether the caller would still be let in: for what lasts longer than a request.
  std::function<bool()> still_allowed(const io::HttpRequest& request) const;

 private:
  struct State {
    Clock& clock;
    RestAuth auth;
  };
  static Result<Actor> authenticate(const State& state, const io::HttpRequest& request);
  static Result<Actor> authenticate_session(const State& state, const io::HttpRequest& request);

  std::shared_ptr<State> state_;
  Router& router_;
};

int rest_status(std::string_view code);
io::HttpResponse rest_answer(const json::Value& body, int status = 200);
io::HttpResponse rest_error(const Error& error);
// Answers the value or the error.
void answer(const std::shared_ptr<io::Responder>& responder, const Result<json::Value>& result,
            int status = 200);

// The body as JSON: an object, {} where nothing was sent. Errors "UnsupportedMediaType", "InvalidJson".
Result<json::Value> read_json_body(const io::HttpRequest& request);
// Reads a query parameter as a whole number within bounds. Error "InvalidParameter".
Result<std::uint64_t> query_number(const RestCall& call, std::string_view name, std::uint64_t fallback,
                                   std::uint64_t min, std::uint64_t max);
// A member of the body that has to be text. Error "InvalidParameter".
Result<std::string> body_text(const RestCall& call, std::string_view name, bool required);
// RFC 3339 text of a query parameter; `fallback` where absent. Error "InvalidParameter".
Result<Timestamp> query_time(const RestCall& call, std::string_view name, Timestamp fallback);

// The account's operator, or a person of the group "admins": who may add and remove people.
bool may_administer(const Actor& actor,
                    const std::function<bool(std::string_view, std::string_view)>& is_in_group);

}  // namespace sortie::api
