#include "api/session_routes.h"

#include "api/rest_routes.h"
#include "base/hash.h"
#include "base/text.h"
#include "json/text.h"

namespace sortie::api {
namespace session_http {

using response::NewSession;

std::string cookie(const io::HttpRequest& request, std::string_view value, std::int64_t seconds,
                   bool secure) {
  std::string out = session_cookie_name(request) + "=" + std::string(value) +
                    "; Path=/; HttpOnly; SameSite=Strict; Max-Age=" + std::to_string(seconds);
  if (secure) out += "; Secure";
  return out;
}

bool is_secure(const HostPolicy& hosts, const io::HttpRequest& request) {
  if (request.is_tls) return true;
  const std::string origin(trim(request.headers.get("origin")));
  return origin.starts_with("https://") && hosts.public_origin == to_lower_ascii(origin);
}

json::Value session_json(const response::People& people, std::string_view name, std::string_view token,
                         Timestamp expires_at, Timestamp now, const std::string& version) {
  std::vector<json::Value> groups;
  if (const response::Person* person = people.find(name)) {
    groups.assign(person->groups.begin(), person->groups.end());
  }
  return json::Value::object({{"name", name},
                              {"groups", json::Value::array(std::move(groups))},
                              {"admin", people.is_in_group(name, "admins")},
                              {"csrf", csrf_text(token)},
                              {"expires_at", to_iso8601(expires_at)},
                              {"now", to_iso8601(now)},
                              {"version", version}});
}

struct Login {
  response::People& people;
  response::Sessions& sessions;
  HostPolicy hosts;
  std::string version;
  Clock& clock;
};

void finish(const std::shared_ptr<Login>& login, const io::HttpRequest& request,
            const std::shared_ptr<io::Responder>& responder, const Actor& who, const std::string& how) {
  login->sessions.open(who, how, [login, request, responder](const Result<NewSession>& made) {
    if (!made) return responder->send(rest_error(made.error()));
    io::HttpResponse response =
        rest_answer(session_json(login->people, made->person, made->token, made->expires_at,
                                 login->clock.now(), login->version),
                    201);
    response.headers.add("Set-Cookie", cookie(request, made->token, response::kSessionMs / 1000,
                                              is_secure(login->hosts, request)));
    responder->send(std::move(response));
  });
}

void log_in(const std::shared_ptr<Login>& login, const RouteCall& call) {
  const io::HttpRequest& request = call.request;
  if (Status host = check_host(login->hosts, request); !host) {
    return call.responder->send(rest_error(host.error()));
  }
  const Result<json::Value> body = read_json_body(request);
  if (!body) return call.responder->send(rest_error(body.error()));
  const json::Value& link = body->get("link");
  const json::Value& token = body->get("token");
  if (link.is_string()) {
    login->people.use_login_link(
        link.to_std_string(), [login, request, responder = call.responder](const Result<Actor>& who) {
          if (!who) {
            const bool is_wrong = who.error().code == "LoginLinkInvalid";
            return responder->send(
                rest_error(is_wrong ? Error{"Unauthorized", "this link is used, expired or wrong", "",
                                            "make a new one with `sortie login-link NAME`"}
                                    : who.error()));
          }
          finish(login, request, responder, *who, "link");
        });
    return;
  }
  const auto who = token.is_string() ? login->people.find_by_token(trim(token.as_string())) : std::nullopt;
  if (!who) {
    return call.responder->send(
        rest_error({"Unauthorized", "this token is not valid", "",
                    "`sortie user add NAME` prints one; `sortie login-link NAME` makes a link"}));
  }
  finish(login, request, call.responder, *who, "token");
}

}  // namespace session_http

std::string session_cookie_name(const io::HttpRequest& request) {
  const std::string_view host = trim(request.headers.get("host"));
  const std::size_t colon = host.rfind(':');
  std::string port;
  if (colon != std::string_view::npos && host.find(']', colon) == std::string_view::npos) {
    port = host.substr(colon + 1);
  }
  const bool digits = !port.empty() && port.find_first_not_of("0123456789") == std::string::npos;
  return "sortie_session" + (digits ? "_" + port : std::string());
}

std::string session_token(const io::HttpRequest& request) {
  const std::string name = session_cookie_name(request);
  for (const auto& [header, value] : request.headers.entries()) {
    if (!equals_ignore_case_ascii(header, "cookie")) continue;
    for (const std::string_view part : split(value, ';')) {
      const std::string_view pair = trim(part);
      const std::size_t equals = pair.find('=');
      if (equals != std::string_view::npos && pair.substr(0, equals) == name) {
        return std::string(pair.substr(equals + 1));
      }
    }
  }
  return "";
}

std::string csrf_text(std::string_view token) {
  return sha256_hex("sortie console csrf " + std::string(token));
}

void add_session_routes(RestDoor& door, response::People& people, response::Sessions& sessions,
                        const HostPolicy& hosts, std::string version) {
  const auto login = std::make_shared<session_http::Login>(
      session_http::Login{people, sessions, hosts, std::move(version), door.clock()});
  door.router().add("POST", "/v1/session",
                    [login](const RouteCall& call) { session_http::log_in(login, call); });
  door.add("GET", "/v1/session", [login](const RestCall& call) {
    const std::string token = session_token(call.request);
    const auto session = login->sessions.find(token);
    if (!session) {
      return answer(call.responder,
                    Error{"NotFound", "this request has no session", "", "log in to the console"});
    }
    answer(call.responder,
           session_http::session_json(login->people, session->actor.name, token, session->expires_at,
                                      login->clock.now(), login->version));
  });
  door.add("DELETE", "/v1/session", [login](const RestCall& call) {
    login->sessions.close(session_token(call.request), [login, request = call.request,
                                                        responder =
                                                            call.responder](const Result<Unit>& done) {
      if (!done) return responder->send(rest_error(done.error()));
      io::HttpResponse response = rest_answer(json::Value::object({}));
      response.headers.add(
          "Set-Cookie", session_http::cookie(request, "", 0, session_http::is_secure(login->hosts, request)));
      responder->send(std::move(response));
    });
  });
}

}  // namespace sortie::api
