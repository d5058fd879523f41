#pragma once
// The whole REST API on fakes: real people, audit trail and approvals on a store and a runtime of the tests'
// own. Included by *_test.cpp only.
#include <gtest/gtest.h>

#include "api/rest_routes.h"
#include "api/server.h"
#include "api/sigv4.h"
#include "api/testing/api_fakes.h"
#include "response/approvals.h"

namespace sortie::api::testing {

struct RestTest : ::testing::Test {
  fakes::ManualLoop loop;
  SeededRandom random{5};
  RowStore store{loop};
  MapRuntime runtime{loop};
  FixedKeyRing keys;
  response::Audit audit{loop, store, response::Lease{0, 1}};
  response::People people{loop, random, store, audit};
  response::Approvals approvals{loop, store, audit, people};
  CommitBatch commit = [this](store::Batch batch, std::function<void(Status)> done) {
    store.append(std::move(batch), std::move(done));
  };
  StatesApi states{StatesServices{loop, random, runtime, store, commit, {}}, StatesOptions{}};
  StreamHub stream{loop, random};
  Server server{loop, random, keys, ServerOptions{}};
  RestDoor door{loop, server.router(),
                RestAuth{keys, [this](std::string_view token) { return people.find_by_token(token); },
                         HostPolicy{{"sortie.example"}, true}, kAccount}};
  std::string alice, bob;  // Tokens.
  std::shared_ptr<FakeResponder> last;

  void SetUp() override {
    RestServices services{loop, runtime, store, states, stream, "us-east-1"};
    services.approvals = &approvals;
    services.people = &people;
    services.audit = &audit;
    configure(services);
    add_rest_routes(door, services);
    keys.add(account_key());
    keys.add(function_key({"*"}));
    runtime.store = &store;
    ASSERT_TRUE(people.load().ok());
    response::ApprovalConfig config;
    config.policies.push_back({.name = "two", .quorum = 1, .exclude_initiator = true});
    config.queues.push_back({"approval-queue", "two"});
    approvals.configure(std::move(config));
    ASSERT_TRUE(approvals.load().ok());
    approvals.start(runtime);
    people.add("alice", {"admins"}, Actor{}, [&](Result<response::NewPerson> made) { alice = made->token; });
    people.add("bob", {}, Actor{}, [&](Result<response::NewPerson> made) { bob = made->token; });
    loop.run();
  }
  virtual void configure(RestServices&) {}

  io::HttpRequest request(const std::string& method, const std::string& target,
                          const std::string& body = "") {
    io::HttpRequest out;
    out.method = method;
    out.target = target;
    out.path = target.substr(0, target.find('?'));
    out.query = target.find('?') == std::string::npos ? "" : target.substr(target.find('?') + 1);
    out.headers = {{"Host", "127.0.0.1:8420"}, {"Authorization", "Bearer " + bob}};
    if (!body.empty()) out.headers.add("Content-Type", "application/json");
    out.body = body;
    return out;
  }
  io::HttpResponse send(io::HttpRequest given) {
    last = std::make_shared<FakeResponder>();
    server.handle(std::move(given), last);
    loop.run();
    return last->response.value_or(io::HttpResponse{0, {}, "{}"});
  }
  io::HttpResponse get(const std::string& target) { return send(request("GET", target)); }
  io::HttpResponse post(const std::string& target, const std::string& body) {
    return send(request("POST", target, body));
  }
  io::HttpResponse as(const std::string& token, const std::string& method, const std::string& target,
                      const std::string& body = "") {
    io::HttpRequest given = request(method, target, body);
    given.headers.set("Authorization", "Bearer " + token);
    return send(std::move(given));
  }
  io::HttpResponse signed_by(const SigningKey& key, io::HttpRequest given) {
    given.headers.erase("Authorization");
    sign_request(given, {key.access_key_id, key.secret_access_key, key.session_token, "sortie", "us-east-1"},
                 loop.now());
    return send(std::move(given));
  }
  static json::Value body_of(const io::HttpResponse& response) { return parse_json(response.body); }
  static std::string code_of(const io::HttpResponse& response) {
    return body_of(response).get("error").get("code").to_std_string();
  }

  static constexpr char kMachine[] = "arn:aws:states:us-east-1:123456789012:stateMachine:m";
  static constexpr char kExecution[] = "arn:aws:states:us-east-1:123456789012:execution:m:e";
  static constexpr char kExecutionPath[] =
      "/v1/executions/arn%3Aaws%3Astates%3Aus-east-1%3A123456789012%3Aexecution%3Am%3Ae";

  runtime::ExecutionDescription& make_execution() {
    runtime::ExecutionDescription& made = runtime.executions[kExecution];
    made.arn = kExecution;
    made.name = "e";
    made.state_machine_arn = kMachine;
    made.started_at = loop.now();
    made.input_text = R"({"a":1})";
    made.actor = {Actor::Kind::kRule, "guardduty", kAccount, "", "carol"};
    return made;
  }
  void make_machine() {
    runtime::StateMachineRecord& made = runtime.machines[kMachine];
    made.arn = kMachine;
    made.name = "m";
    made.definition = kPassDefinition;
    made.role_arn = kRole;
    made.origin = "project";
  }
};

}  // namespace sortie::api::testing
