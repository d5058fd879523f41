// The front door: who is let in, what goes where, and what everybody else is told.
#include "api/server.h"

#include <gtest/gtest.h>

#include "api/sigv4.h"
#include "api/testing/api_fakes.h"

namespace sortie::api {
namespace {

using namespace api::testing;

// Keeps the calls and answers what the test says, at once or later.
struct EchoService final : AwsService {
  std::vector<AwsCall> calls;
  Result<json::Value> answer = json::Value::object({{"ok", true}});
  std::optional<AwsReply> held;
  bool hold = false;

  void handle(AwsCall call, AwsReply reply) override {
    calls.push_back(std::move(call));
    if (hold) {
      held = std::move(reply);
    } else {
      reply(answer);
    }
  }
};

struct EchoLambda final : LambdaDoor {
  std::string account;
  int calls = 0;
  bool is_lambda_path(std::string_view path) const override { return path.starts_with("/2015-03-31/"); }
  std::optional<Permission> required_permission(const io::HttpRequest& request,
                                                const std::string&) const override {
    if (request.path.ends_with("/invocations")) return Permission{"lambda:InvokeFunction", "arn:f"};
    if (request.path.ends_with("/functions")) return Permission{"lambda:ListFunctions", "*"};
    return std::nullopt;
  }
  void handle(const io::HttpRequest&, const std::string& of,
              std::function<void(io::HttpResponse)> done) override {
    ++calls;
    account = of;
    done({202, {{"Content-Type", "application/json"}}, "{}"});
  }
};

struct Keys final : KeyRing {
  FixedKeyRing ring;
  std::optional<SigningKey> find(std::string_view id) const override { return ring.find(id); }
  bool was_handed(const SigningKey& key, std::string_view token) const override {
    return key.actor.name == "Notify" && token == "handed";
  }
};

struct ServerTest : ::testing::Test {
  fakes::ManualLoop loop;
  SeededRandom random{3};
  Keys keys;
  std::vector<Refusal> refusals;
  Server server{loop, random, keys,
                ServerOptions{[this](const Refusal& refusal) { refusals.push_back(refusal); }}};
  EchoService states, events;
  EchoLambda lambda;
  SigningKey account = account_key(), function = function_key({"states:DescribeExecution", "events:*"});

  void SetUp() override {
    keys.ring.add(account);
    keys.ring.add(function);
    server.add_service("AWSStepFunctions", "states", states);
    server.add_service("AWSEvents", "events", events);
    server.set_lambda(&lambda);
  }

  io::HttpRequest aws_request(const std::string& target, const std::string& body) {
    io::HttpRequest request;
    request.method = "POST";
    request.path = request.target = "/";
    request.headers = {
        {"Host", "localhost"}, {"Content-Type", "application/x-amz-json-1.0"}, {"X-Amz-Target", target}};
    request.body = body;
    return request;
  }
  io::HttpResponse send(io::HttpRequest request) {
    const auto responder = std::make_shared<FakeResponder>();
    server.handle(std::move(request), responder);
    loop.run();
    EXPECT_EQ(responder->answers, 1);
    return responder->response.value_or(io::HttpResponse{0, {}, ""});
  }
  io::HttpResponse send_signed(io::HttpRequest request, const SigningKey& key, const std::string& service) {
    sign_request(request, {key.access_key_id, key.secret_access_key, key.session_token, service, "us-east-1"},
                 loop.now());
    return send(std::move(request));
  }
  io::HttpResponse call(const std::string& target, const std::string& body, const SigningKey& key,
                        const std::string& service = "states") {
    return send_signed(aws_request(target, body), key, service);
  }
  static std::string code(const io::HttpResponse& response) {
    return parse_json(response.body).get("__type").to_std_string();
  }
};

TEST_F(ServerTest, ASignedCallReachesItsServiceWithTheCallersIdentity) {
  const io::HttpResponse response =
      call("AWSStepFunctions.ListStateMachines", R"({"maxResults":5})", account);
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.body, R"({"ok":true})");
  EXPECT_EQ(response.headers.get("content-type"), "application/x-amz-json-1.0");
  EXPECT_EQ(response.headers.get("x-amzn-requestid").size(), 36u);
  ASSERT_EQ(states.calls.size(), 1u);
  EXPECT_EQ(states.calls[0].operation, "ListStateMachines");
  EXPECT_EQ(states.calls[0].caller.actor.name, kAccount);
  EXPECT_EQ(states.calls[0].caller.actor.channel, "api");
  EXPECT_EQ(states.calls[0].input.get("maxResults"), json::Value(5));
}

TEST_F(ServerTest, ServicesAreToldApartAndAnswerInTheProtocolVersionOfTheRequest) {
  io::HttpRequest request = aws_request("AWSEvents.PutEvents", "{}");
  request.headers.set("Content-Type", "application/x-amz-json-1.1");
  EXPECT_EQ(send_signed(request, account, "events").headers.get("content-type"),
            "application/x-amz-json-1.1");
  EXPECT_EQ(events.calls.size(), 1u);
  EXPECT_TRUE(states.calls.empty());
}

TEST_F(ServerTest, ErrorsOfAServiceBecomeAwsErrors) {
  states.answer = Error{"ExecutionDoesNotExist", "Execution Does Not Exist: 'x'", "", ""};
  io::HttpResponse response = call("AWSStepFunctions.DescribeExecution", "{}", account);
  EXPECT_EQ(response.status, 400);
  EXPECT_EQ(response.body, R"({"__type":"ExecutionDoesNotExist","message":"Execution Does Not Exist: 'x'"})");
  states.answer = Error{"StoreFull", "no space", "", ""};
  response = call("AWSStepFunctions.DescribeExecution", "{}", account);
  EXPECT_EQ(response.status, 503);
  EXPECT_EQ(code(response), "ServiceUnavailable");
  states.answer = Error{"ThrottlingException", "Rate exceeded", "", ""};
  EXPECT_EQ(call("AWSStepFunctions.DescribeExecution", "{}", account).status, 400);
}

TEST_F(ServerTest, NothingHappensWithoutAValidSignature) {
  io::HttpResponse response = send(aws_request("AWSStepFunctions.ListStateMachines", "{}"));
  EXPECT_EQ(response.status, 400);
  EXPECT_EQ(code(response), "MissingAuthenticationTokenException");
  SigningKey wrong = account;
  wrong.secret_access_key = "wrong";
  EXPECT_EQ(code(call("AWSStepFunctions.ListStateMachines", "{}", wrong)), "InvalidSignatureException");
  wrong.access_key_id = "AKIDNOBODY";
  EXPECT_EQ(code(call("AWSStepFunctions.ListStateMachines", "{}", wrong)), "UnrecognizedClientException");
  EXPECT_EQ(code(call("AWSStepFunctions.ListStateMachines", "{}", account, "events")),
            "InvalidSignatureException");
  EXPECT_TRUE(states.calls.empty());
}

TEST_F(ServerTest, TargetsThatNameNothingAreUnknownOperations) {
  for (const char* target : {"AWSStepFunctions", "AWSStepFunctions.", "Other.ListStateMachines", ".", "",
                             "AWSStepFunctions.List State", "AWSStepFunctions.a.b"}) {
    EXPECT_EQ(code(call(target, "{}", account)), "UnknownOperationException") << target;
  }
  EXPECT_EQ(code(call("AWSStepFunctions." + std::string(65, 'a'), "{}", account)),
            "UnknownOperationException");
  io::HttpRequest get = aws_request("AWSStepFunctions.ListStateMachines", "");
  get.method = "GET";
  EXPECT_EQ(code(send(get)), "UnknownOperationException");
  EXPECT_TRUE(states.calls.empty());
}

TEST_F(ServerTest, BodiesThatAreNoJsonObjectsAreSerializationErrors) {
  for (const std::string& body :
       {std::string("[]"), std::string("1"), std::string("{"), std::string("{}x"), std::string("\xff"),
        std::string("{\"a\":") + std::string(500, '[') + std::string(500, ']') + "}",
        std::string(100'000, '[')}) {
    EXPECT_EQ(code(call("AWSStepFunctions.ListStateMachines", body, account)), "SerializationException");
  }
  EXPECT_TRUE(states.calls.empty());
  EXPECT_EQ(call("AWSStepFunctions.ListStateMachines", "", account).status, 200);
}

TEST_F(ServerTest, AFunctionMayCallWhatItsListNamesAndNothingElse) {
  EXPECT_EQ(call("AWSStepFunctions.DescribeExecution", "{}", function).status, 200);
  EXPECT_EQ(call("AWSEvents.PutEvents", "{}", function, "events").status, 200);
  const io::HttpResponse response =
      call("AWSStepFunctions.StartExecution", R"({"stateMachineArn":"arn:m","input":"secret"})", function);
  EXPECT_EQ(response.status, 400);
  EXPECT_EQ(
      response.body,
      R"({"__type":"AccessDeniedException","message":"User: arn:aws:sts::123456789012:assumed-role/Notify/Notify )"
      R"(is not authorized to perform: states:StartExecution on resource: arn:m because no identity-based policy )"
      R"(allows the states:StartExecution action"})");
  EXPECT_EQ(states.calls.size(), 1u);
  ASSERT_EQ(refusals.size(), 1u);
  EXPECT_EQ(refusals[0].action, "states:StartExecution");
  EXPECT_EQ(refusals[0].resource, "arn:m");
  EXPECT_EQ(refusals[0].caller.actor.name, "Notify");
}

TEST_F(ServerTest, AFunctionMayAnswerTheTokensItWasHandedButNoOthers) {
  EXPECT_EQ(
      call("AWSStepFunctions.SendTaskSuccess", R"({"taskToken":"handed","output":"{}"})", function).status,
      200);
  EXPECT_EQ(
      code(call("AWSStepFunctions.SendTaskSuccess", R"({"taskToken":"stolen","output":"{}"})", function)),
      "AccessDeniedException");
  EXPECT_EQ(code(call("AWSStepFunctions.SendTaskFailure", R"({"taskToken":5})", function)),
            "AccessDeniedException");
  // The token opens SendTask* only.
  EXPECT_EQ(code(call("AWSStepFunctions.StopExecution", R"({"taskToken":"handed"})", function)),
            "AccessDeniedException");
}

TEST_F(ServerTest, LambdaRequestsAreCheckedTheSameWay) {
  io::HttpRequest request;
  request.method = "GET";
  request.path = "/2015-03-31/functions";
  request.headers = {{"Host", "localhost"}};
  io::HttpResponse response = send(request);
  EXPECT_EQ(response.status, 403);
  EXPECT_EQ(response.headers.get("x-amzn-errortype"), "MissingAuthenticationTokenException");
  EXPECT_EQ(send_signed(request, account, "lambda").status, 202);
  EXPECT_EQ(lambda.account, kAccount);
  EXPECT_EQ(send_signed(request, account, "states").headers.get("x-amzn-errortype"),
            "InvalidSignatureException");
  response = send_signed(request, function, "lambda");
  EXPECT_EQ(response.headers.get("x-amzn-errortype"), "AccessDeniedException");
  // What has no known permission is for keys without a list only.
  request.path = "/2015-03-31/something-new";
  EXPECT_EQ(send_signed(request, function, "lambda").status, 403);
  EXPECT_EQ(send_signed(request, account, "lambda").status, 202);
  EXPECT_EQ(lambda.calls, 2);
  EXPECT_EQ(refusals.size(), 2u);
}

TEST_F(ServerTest, GetCallerIdentityTellsWhoAKeyIs) {
  io::HttpRequest request;
  request.method = "POST";
  request.path = "/";
  request.headers = {{"Host", "localhost"},
                     {"Content-Type", "application/x-www-form-urlencoded; charset=utf-8"}};
  request.body = "Action=GetCallerIdentity&Version=2011-06-15";
  const io::HttpResponse response = send_signed(request, function, "sts");
  EXPECT_EQ(response.status, 200);
  EXPECT_NE(response.body.find("<Arn>arn:aws:sts::123456789012:assumed-role/Notify/Notify</Arn>"),
            std::string::npos);
  EXPECT_NE(response.body.find("<Account>123456789012</Account>"), std::string::npos);
  request.body = "Action=AssumeRole";
  EXPECT_EQ(send_signed(request, account, "sts").status, 403);
  EXPECT_EQ(send(request).status, 404)
      << "without a signature it is no STS call, and nothing takes POST / else";
}

TEST_F(ServerTest, UnknownPathsAndMethodsGetClearAnswers) {
  server.router().add("GET", "/", [](RouteCall call) { call.responder->send({200, {}, "console"}); });
  server.router().add("GET", "/v1/things/{id}", [](RouteCall call) {
    call.responder->send({200, {}, call.parameters.at("id")});
  });
  io::HttpRequest request;
  request.method = "GET";
  request.path = "/v1/things/a%2Fb%20c";
  EXPECT_EQ(send(request).body, "a/b c");
  request.path = "/nowhere";
  EXPECT_EQ(send(request).status, 404);
  request.path = "/v1/things/x";
  request.method = "DELETE";
  const io::HttpResponse response = send(request);
  EXPECT_EQ(response.status, 405);
  EXPECT_EQ(response.headers.get("allow"), "GET");
  EXPECT_EQ(parse_json(response.body).get("error").get("code"), json::Value("MethodNotAllowed"));
}

TEST_F(ServerTest, CountsRequestsByOperationNeverByTextOfTheClient) {
  call("AWSStepFunctions.ListStateMachines", "{}", account);
  call("AWSStepFunctions.ListStateMachines", "{}", account);
  states.answer = Error{"UnknownOperationException", "", "", ""};
  call("AWSStepFunctions.MadeUp", "{}", account);
  io::HttpRequest request;
  request.method = "GET";
  request.path = "/secret-path";
  send(request);
  states.calls.clear();  // They hold on to their callers.
  const std::string text = server.metrics().text();
  EXPECT_NE(
      text.find(
          "sortie_http_requests_total{route=\"AWSStepFunctions.ListStateMachines\",status=\"200\"} 2\n"),
      std::string::npos)
      << text;
  EXPECT_EQ(text.find("MadeUp"), std::string::npos);
  EXPECT_EQ(text.find("secret-path"), std::string::npos);
  EXPECT_NE(text.find("# TYPE sortie_http_requests_total counter\n"), std::string::npos);
  EXPECT_NE(text.find("sortie_http_requests_open 0\n"), std::string::npos);
}

TEST_F(ServerTest, AnAnswerUnderWayMayOutliveTheServer) {
  auto short_lived = std::make_unique<Server>(loop, random, keys, ServerOptions{});
  short_lived->add_service("AWSStepFunctions", "states", states);
  states.hold = true;
  const auto responder = std::make_shared<FakeResponder>();
  io::HttpRequest request = aws_request("AWSStepFunctions.GetActivityTask", "{}");
  sign_request(request, {account.access_key_id, account.secret_access_key, "", "states", "us-east-1"},
               loop.now());
  short_lived->handle(std::move(request), responder);
  short_lived.reset();
  (*states.held)(json::Value::object({}));
  EXPECT_EQ(responder->response->status, 200);
}

TEST(BodyLimits, FollowFromWhatTheRequestIsFor) {
  EXPECT_EQ(Server::body_bytes_max("POST", "/hooks/x?a=1"), 1024u * 1024);
  EXPECT_EQ(Server::body_bytes_max("POST", "/"), 8u * 1024 * 1024);
  EXPECT_GT(Server::body_bytes_max("POST", "/2015-03-31/functions"), 70u * 1024 * 1024);
  EXPECT_GT(Server::body_bytes_max("PUT", "/2015-03-31/functions/f/code"), 70u * 1024 * 1024);
  EXPECT_LT(Server::body_bytes_max("POST", "/2015-03-31/functions/f/invocations"), 7u * 1024 * 1024);
}

TEST(Router, PrefersLiteralSegmentsAndDecodesTheRest) {
  Router router;
  std::string hit;
  router.add("GET", "/a/{x}", [&](const RouteCall&) { hit = "variable"; });
  router.add("GET", "/a/b", [&](const RouteCall&) { hit = "literal"; });
  router.add("GET", "/files/{path...}", [&](const RouteCall&) { hit = "rest"; });
  const auto go = [&](std::string_view path) {
    hit.clear();
    const RouteMatch match = router.find("GET", path);
    if (match.handler != nullptr) (*match.handler)({});
    return match;
  };
  go("/a/b");
  EXPECT_EQ(hit, "literal");
  EXPECT_EQ(go("/a/%C3%A4").parameters.at("x"), "ä");
  EXPECT_EQ(go("/files/x/y/z").parameters.at("path"), "x/y/z");
  for (const char* nothing : {"/a", "/a/", "/a/b/c", "/a/%", "/a/%ff", "", "//", "/A/b"}) {
    EXPECT_EQ(go(nothing).handler, nullptr) << nothing;
  }
  EXPECT_NE(router.find("HEAD", "/a/b").handler, nullptr);
}

}  // namespace
}  // namespace sortie::api
