// The console's door: login, the cookie and what it may do, logout; and that other sites' pages get nothing.
#include "api/session_routes.h"

#include <gtest/gtest.h>

#include "api/testing/rest_fixture.h"

namespace sortie::api {
namespace {

using namespace api::testing;

struct SessionRoutesTest : RestTest {
  response::Sessions sessions{loop, random, store, audit, people};
  HostPolicy hosts{{"sortie.example"}, true, "https://sortie.example"};
  // The fixture's door knows no sessions; this one has a server of its own on the same people.
  Server front{loop, random, keys, ServerOptions{}};
  RestDoor gate{
      loop, front.router(),
      RestAuth{keys, [this](std::string_view token) { return people.find_by_token(token); }, hosts, kAccount,
               [this](std::string_view token) -> std::optional<Actor> {
                 const auto found = sessions.find(token);
                 return found ? std::optional<Actor>(found->actor) : std::nullopt;
               }}};
  std::string cookie, csrf;

  void SetUp() override {
    RestTest::SetUp();
    add_session_routes(gate, people, sessions, hosts, "1.2.3");
    gate.add("POST", "/v1/change", [](const RestCall& call) {
      answer(call.responder, json::Value::object({{"by", to_text(call.actor)}, {"in", call.actor.channel}}));
    });
  }
  io::HttpResponse ask(io::HttpRequest given) {
    const auto responder = std::make_shared<FakeResponder>();
    front.handle(std::move(given), responder);
    loop.run();
    return responder->response.value_or(io::HttpResponse{0, {}, "{}"});
  }
  io::HttpRequest plain(const std::string& method, const std::string& target, const std::string& body = "") {
    io::HttpRequest out = request(method, target, body);
    out.headers.erase("Authorization");
    return out;
  }
  io::HttpRequest mine(const std::string& method, const std::string& target, const std::string& body = "") {
    io::HttpRequest out = plain(method, target, body);
    out.headers.add("Cookie", "other=1; " + cookie);
    out.headers.add("X-Sortie-CSRF", csrf);
    return out;
  }
  io::HttpResponse log_in() {
    io::HttpResponse made = ask(plain("POST", "/v1/session", R"({"token":")" + alice + R"("})"));
    const std::string set(made.headers.get("set-cookie"));
    cookie = set.substr(0, set.find(';'));
    csrf = body_of(made).get("csrf").is_string() ? body_of(made).get("csrf").to_std_string() : "";
    return made;
  }
};

TEST_F(SessionRoutesTest, ATokenLogsInAndTheCookieIsOutOfReachForScriptsAndOtherSites) {
  const io::HttpResponse made = log_in();
  EXPECT_EQ(made.status, 201);
  const std::string set(made.headers.get("set-cookie"));
  EXPECT_TRUE(set.starts_with("sortie_session_8420=")) << set;
  for (const char* part : {"; HttpOnly", "; SameSite=Strict", "; Path=/", "; Max-Age=43200"}) {
    EXPECT_NE(set.find(part), std::string::npos) << part;
  }
  EXPECT_EQ(body_of(made).get("name").as_string(), "alice");
  EXPECT_TRUE(body_of(made).get("admin").as_bool());
  EXPECT_EQ(body_of(ask(mine("GET", "/v1/session"))).get("csrf").as_string(), csrf);
}

TEST_F(SessionRoutesTest, BehindAProxyThatSpeaksTlsTheCookieIsSecure) {
  io::HttpRequest given = plain("POST", "/v1/session", R"({"token":")" + alice + R"("})");
  given.headers.set("Host", "sortie.example");
  given.headers.set("Origin", "https://sortie.example");
  const std::string set(ask(given).headers.get("set-cookie"));
  EXPECT_TRUE(set.starts_with("sortie_session=")) << set;
  EXPECT_NE(set.find("; Secure"), std::string::npos);
}

TEST_F(SessionRoutesTest, ALinkIsGoodOnceAndAWrongTokenNever) {
  std::string link;
  people.make_login_link("alice", Actor{},
                         [&](const Result<response::LoginLink>& made) { link = made->token; });
  loop.run();
  const std::string body = R"({"link":")" + link + R"("})";
  EXPECT_EQ(ask(plain("POST", "/v1/session", body)).status, 201);
  const io::HttpResponse again = ask(plain("POST", "/v1/session", body));
  EXPECT_EQ(again.status, 401);
  EXPECT_EQ(again.headers.get("set-cookie"), "");
  EXPECT_EQ(ask(plain("POST", "/v1/session", R"({"token":"wrong"})")).status, 401);
  EXPECT_EQ(ask(plain("POST", "/v1/session", "{}")).status, 401);
}

TEST_F(SessionRoutesTest, WhatChangesSomethingHasToRepeatTheSessionsCsrfText) {
  log_in();
  EXPECT_EQ(ask(mine("POST", "/v1/change", "{}")).status, 200);
  EXPECT_EQ(body_of(ask(mine("POST", "/v1/change", "{}"))).get("by").as_string(), "person:alice");
  EXPECT_EQ(body_of(ask(mine("POST", "/v1/change", "{}"))).get("in").as_string(), "console");
  io::HttpRequest without = mine("POST", "/v1/change", "{}");
  without.headers.erase("X-Sortie-CSRF");
  EXPECT_EQ(code_of(ask(without)), "ForbiddenCsrf");
  without.headers.set("X-Sortie-CSRF", csrf.substr(1) + "0");
  EXPECT_EQ(ask(without).status, 403);
}

TEST_F(SessionRoutesTest, PagesOfOtherSitesAndOtherNamesGetNothing) {
  log_in();
  io::HttpRequest given = mine("GET", "/v1/session");
  given.headers.set("Origin", "http://evil.example");
  EXPECT_EQ(code_of(ask(given)), "ForbiddenOrigin");
  given = mine("GET", "/v1/session");
  given.headers.set("Sec-Fetch-Site", "cross-site");
  EXPECT_EQ(code_of(ask(given)), "ForbiddenOrigin");
  given = mine("GET", "/v1/session");
  given.headers.set("Host", "evil.example");
  EXPECT_EQ(code_of(ask(given)), "MisdirectedHost");
  given = plain("POST", "/v1/session", R"({"token":")" + alice + R"("})");
  given.headers.set("Origin", "http://evil.example");
  EXPECT_EQ(ask(given).headers.get("set-cookie"), "");
}

TEST_F(SessionRoutesTest, LoggingOutEndsTheSessionAndItsStreams) {
  log_in();
  const std::function<bool()> allowed = gate.still_allowed(mine("GET", "/v1/stream"));
  EXPECT_TRUE(allowed());
  const io::HttpResponse out = ask(mine("DELETE", "/v1/session"));
  EXPECT_EQ(out.status, 200);
  EXPECT_NE(out.headers.get("set-cookie").find("Max-Age=0"), std::string_view::npos);
  EXPECT_EQ(ask(mine("GET", "/v1/session")).status, 401);
  EXPECT_FALSE(allowed());
}

TEST_F(SessionRoutesTest, APersonWhoIsRemovedLosesTheStreamThatATokenOpened) {
  const std::function<bool()> allowed = gate.still_allowed(request("GET", "/v1/stream"));
  EXPECT_TRUE(allowed());
  people.remove("bob", {}, [](const Result<Unit>& gone) { EXPECT_TRUE(gone.ok()); });
  loop.run();
  EXPECT_FALSE(allowed());
}

}  // namespace
}  // namespace sortie::api
