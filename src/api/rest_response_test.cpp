// People, approvals, functions and the audit trail over REST.
#include "api/testing/rest_fixture.h"
#include "functions/function_service.h"
#include "response/people.h"

namespace sortie::api {
namespace {

using namespace api::testing;

struct RestApprovals : RestTest {
  std::string id;

  void SetUp() override {
    RestTest::SetUp();
    make_execution();
    runtime::TaskOrder order;
    order.key = {4, 0, 2, 1};
    order.origin.edit().execution_arn = kExecution;
    order.origin.edit().execution_name = "e";
    order.origin.edit().state_machine_arn = kMachine;
    order.state_name = std::string("WaitForApproval");
    order.task_token = "the-token";
    order.origin.edit().actor = {Actor::Kind::kRule, "guardduty", kAccount, "", "carol"};
    runtime.tokens = {"the-token"};
    runtime.reasons = {{0, "WaitForApproval", "token", loop.now(), {}, ""}};
    approvals.open(order, "approval-queue", parse_json(R"({"title":"Isolate i-1","plan":["move i-1"]})"),
                   [this](Result<std::string> opened) { id = opened.ok() ? *opened : ""; });
    loop.run();
    ASSERT_NE(id, "");
  }
  io::HttpResponse decide(const std::string& body) { return post("/v1/approvals/" + id + "/decision", body); }
};

TEST_F(RestApprovals, AreListedAndShownWithoutTheirToken) {
  const io::HttpResponse listed = get("/v1/approvals?status=pending");
  EXPECT_EQ(body_of(listed).get("approvals")[0].get("title"), json::Value("Isolate i-1"));
  EXPECT_TRUE(body_of(listed).get("next").is_null());
  const io::HttpResponse shown = get("/v1/approvals/" + id);
  EXPECT_EQ(shown.status, 200);
  EXPECT_EQ(shown.body.find("the-token"), std::string::npos);
  EXPECT_EQ(listed.body.find("the-token"), std::string::npos);
  EXPECT_EQ(body_of(get("/v1/approvals?status=approved")).get("approvals").size(), 0u);
  EXPECT_EQ(get("/v1/approvals?status=maybe").status, 400);
  EXPECT_EQ(get("/v1/approvals/none").status, 404);
}

TEST_F(RestApprovals, AreDecidedOnceByAPersonWithAReason) {
  EXPECT_EQ(decide(R"({"decision":"approve"})").status, 400);
  EXPECT_EQ(code_of(decide(R"({"decision":"perhaps","reason":"because"})")), "InvalidParameter");
  EXPECT_EQ(code_of(decide(R"({"decision":"approve","reason":"because","plan_hash":"0000"})")),
            "PlanChanged");
  EXPECT_EQ(code_of(decide(R"({"decision":"approve","reason":1})")), "InvalidParameter");
  // The account's key is no person.
  const io::HttpResponse unnamed = signed_by(
      account_key(),
      request("POST", "/v1/approvals/" + id + "/decision", R"({"decision":"approve","reason":"because"})"));
  EXPECT_EQ(unnamed.status, 403);
  EXPECT_EQ(code_of(unnamed), "PersonRequired");
  EXPECT_EQ(get("/v1/approvals/" + id + "/decision").status, 405) << "never by GET";
  EXPECT_TRUE(runtime.calls.empty());

  const io::HttpResponse decided = decide(R"({"decision":"approve","reason":"it is real"})");
  EXPECT_EQ(decided.status, 200) << decided.body;
  EXPECT_EQ(body_of(decided).get("status"), json::Value("APPROVED"));
  EXPECT_EQ(runtime.calls.size(), 1u);
  const io::HttpResponse late =
      as(alice, "POST", "/v1/approvals/" + id + "/decision", R"({"decision":"reject","reason":"too late"})");
  EXPECT_EQ(late.status, 409);
  EXPECT_NE(late.body.find("bob"), std::string::npos) << "the second answer is told who decided";
}

using RestPeople = RestTest;

TEST_F(RestPeople, AreAddedByAdminsAndTheTokenIsShownOnce) {
  EXPECT_EQ(post("/v1/people", R"({"name":"dave"})").status, 403);
  const io::HttpResponse made = as(alice, "POST", "/v1/people", R"({"name":"dave","groups":["ir-leads"]})");
  EXPECT_EQ(made.status, 201) << made.body;
  const std::string token = body_of(made).get("token").to_std_string();
  EXPECT_EQ(body_of(as(token, "GET", "/v1/whoami")).get("name"), json::Value("dave"));
  const io::HttpResponse listed = as(alice, "GET", "/v1/people");
  EXPECT_EQ(body_of(listed).get("people").size(), 3u);
  EXPECT_EQ(listed.body.find(token), std::string::npos);
  EXPECT_EQ(as(alice, "POST", "/v1/people", R"({"name":"dave"})").status, 409);
  EXPECT_EQ(as(alice, "POST", "/v1/people", R"({"name":"x","groups":"ir"})").status, 400);
  EXPECT_EQ(as(alice, "POST", "/v1/people", R"({"groups":[]})").status, 400);
  EXPECT_EQ(signed_by(account_key(), request("POST", "/v1/people", R"({"name":"erin"})")).status, 201);
}

TEST_F(RestPeople, LoseTheirTokenWhenRemovedOrRenewed) {
  const std::string before = bob;
  const io::HttpResponse renewed = as(alice, "POST", "/v1/people/bob/token", "");
  EXPECT_EQ(renewed.status, 200);
  EXPECT_EQ(as(before, "GET", "/v1/whoami").status, 401);
  const std::string after = body_of(renewed).get("token").to_std_string();
  EXPECT_EQ(as(after, "GET", "/v1/whoami").status, 200);
  EXPECT_EQ(as(after, "DELETE", "/v1/people/alice").status, 403);
  EXPECT_EQ(as(alice, "DELETE", "/v1/people/bob").status, 200);
  EXPECT_EQ(as(after, "GET", "/v1/whoami").status, 401);
  EXPECT_EQ(as(alice, "DELETE", "/v1/people/bob").status, 404);
}

TEST_F(RestPeople, SeeTheirOwnKeysAndNobodyElses) {
  EXPECT_EQ(get("/v1/people/bob/keys").status, 200);
  EXPECT_EQ(get("/v1/people/alice/keys").status, 403);
  EXPECT_EQ(as(alice, "GET", "/v1/people/bob/keys").status, 200);
  EXPECT_EQ(as(alice, "GET", "/v1/people/none/keys").status, 404);
  EXPECT_EQ(as(alice, "POST", "/v1/people/bob/groups", R"({"groups":["a","b"]})").status, 200);
  EXPECT_EQ(body_of(get("/v1/whoami")).get("groups").size(), 2u);
  EXPECT_EQ(post("/v1/people/bob/groups", R"({"groups":["admins"]})").status, 403);
  EXPECT_EQ(as(alice, "POST", "/v1/people/bob/login-link", "").status, 200);
  EXPECT_EQ(post("/v1/people/bob/login-link", "").status, 403);
}

using RestAudit = RestTest;

TEST_F(RestAudit, IsReadPageByPageAndExportedAsLines) {
  for (int i = 0; i < 5; ++i) {
    audit.record({{},
                  {Actor::Kind::kPerson, "bob"},
                  "api",
                  "test.do",
                  "thing-" + std::to_string(i),
                  "done",
                  "",
                  {},
                  0});
  }
  loop.run();
  std::size_t count = 0;
  std::string cursor;
  do {
    const json::Value page =
        body_of(get("/v1/audit?action=test.do&limit=2" + (cursor.empty() ? "" : "&cursor=" + cursor)));
    count += page.get("entries").size();
    cursor = page.get("next").is_string() ? page.get("next").to_std_string() : "";
  } while (!cursor.empty());
  EXPECT_EQ(count, 5u);
  std::string after = "0", lines;
  for (;;) {
    const io::HttpResponse page = get("/v1/audit/export?limit=3&after=" + after);
    EXPECT_EQ(page.status, 200);
    lines += page.body;
    const std::string next(page.headers.get("x-sortie-next"));
    if (next == after) break;
    after = next;
  }
  EXPECT_EQ(std::count(lines.begin(), lines.end(), '\n'), 7);  // Two people were added, too.
  EXPECT_EQ(get("/v1/audit?limit=0").status, 400);
  EXPECT_EQ(get("/v1/audit/export?after=x").status, 400);
}

struct FakeFunctions final : functions::FunctionService {
  std::vector<functions::InvokeRequest> invoked;
  functions::InvokeResult result;

  void invoke(functions::InvokeRequest request, functions::InvokeCallback done) override {
    invoked.push_back(std::move(request));
    done(result);
  }
  std::vector<std::string> sandbox_report() const override { return {}; }
  bool sandbox_is_complete() const override { return true; }
  std::vector<Error> startup_problems() const override { return {}; }
  void set_server_url(std::string) override {}
  std::vector<Error> load_folder(const std::string&) override { return {}; }
  void watch_folder(const std::string&, std::int64_t,
                    std::function<void(std::vector<std::string>, std::vector<Error>)>) override {}
  void create_function(functions::FunctionConfig, std::string, ConfigCallback) override {}
  void update_code(std::string, std::string, functions::CodeUpdate, ConfigCallback) override {}
  void update_configuration(std::string, std::string, std::string,
                            std::function<void(functions::FunctionConfig&)>, ConfigCallback) override {}
  Status delete_function(std::string_view, std::string_view) override { return {}; }
  Result<functions::FunctionConfig> get_function(std::string_view, std::string_view name) const override {
    if (name != "f") return Error{"ResourceNotFoundException", "Function not found", "", ""};
    return list_functions("")[0];
  }
  std::vector<functions::FunctionConfig> list_functions(std::string_view) const override {
    functions::FunctionConfig config;
    config.name = "f";
    config.environment = {{"SECRET", "hush"}};
    config.resolved_environment = {{"SECRET", "hush"}};
    return {config};
  }
  std::vector<functions::InvocationLog> logs(std::string_view, std::string_view, Timestamp,
                                             std::string_view) const override {
    return {{"r1", "f", Timestamp{0}, 5, "succeeded", "", "hello\n"}};
  }
  std::optional<functions::WorkerIdentity> find_worker(std::string_view) const override { return {}; }
  bool was_handed(std::string_view, std::string_view, std::string_view) const override { return false; }
  Figures figures() const override { return {}; }
  void drain(std::int64_t, std::function<void()>) override {}
};

struct RestFunctions : RestTest {
  FakeFunctions functions;
  void configure(RestServices& services) override { services.functions = &functions; }
};

TEST_F(RestFunctions, AreListedWithoutTheirEnvironmentAndTheirLogsShown) {
  const io::HttpResponse listed = get("/v1/functions");
  EXPECT_EQ(body_of(listed).get("functions")[0].get("name"), json::Value("f"));
  EXPECT_EQ(listed.body.find("hush"), std::string::npos);
  EXPECT_EQ(body_of(get("/v1/functions/f/logs")).get("logs")[0].get("text"), json::Value("hello\n"));
  EXPECT_EQ(get("/v1/functions/none/logs").status, 404);
}

TEST_F(RestFunctions, AreInvokedAndAnswerWhatTheyReturnedOrWhy) {
  functions.result.payload = R"({"ok":true})";
  functions.result.request_id = "r1";
  functions.result.log_tail = "START";
  io::HttpResponse response = post("/v1/functions/f/invoke", R"({"payload":[1]})");
  EXPECT_EQ(response.body,
            "{\"request_id\":\"r1\",\"duration_ms\":0,\"function_error\":null,\"payload\":{\"ok\":true},"
            "\"log\":\"START\"}\n");
  EXPECT_EQ(functions.invoked[0].payload, "[1]");
  EXPECT_EQ(functions.invoked[0].account, kAccount);
  functions.result.payload = "no json";
  functions.result.function_error = "Unhandled";
  response = post("/v1/functions/f/invoke", "{}");
  EXPECT_EQ(body_of(response).get("payload"), json::Value("no json"));
  EXPECT_EQ(body_of(response).get("function_error"), json::Value("Unhandled"));
  functions.result.error_code = "TooManyRequestsException";
  EXPECT_EQ(post("/v1/functions/f/invoke", "{}").status, 429);
}

}  // namespace
}  // namespace sortie::api
