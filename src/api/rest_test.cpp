// The REST API's door: who comes in, from where, with what kind of body. Then executions and playbooks.
#include "api/rest.h"

#include "api/execution_search.h"
#include "api/testing/rest_fixture.h"

namespace sortie::api {
namespace {

using namespace api::testing;

using RestDoorTest = RestTest;
using RestExecutions = RestTest;
using RestPlaybooks = RestTest;
using RestPeopleViews = RestTest;

TEST_F(RestDoorTest, LetsPeopleInByTokenAndSaysWhoTheyAre) {
  const json::Value who = body_of(as(alice, "GET", "/v1/whoami"));
  EXPECT_EQ(
      json::to_text(who),
      R"({"actor":"person:alice","name":"alice","account":"123456789012","channel":"api","groups":["admins"]})");
}

TEST_F(RestDoorTest, RefusesEverybodyElse) {
  for (const char* header : {"", "Bearer", "Bearer ", "Bearer wrong", "Basic YTpi", "bearer"}) {
    io::HttpRequest given = request("GET", "/v1/whoami");
    given.headers.set("Authorization", header);
    const io::HttpResponse response = send(given);
    EXPECT_EQ(response.status, 401) << header;
    EXPECT_EQ(code_of(response), "Unauthorized") << header;
    EXPECT_TRUE(response.headers.has("www-authenticate"));
  }
  EXPECT_EQ(as(bob + "x", "GET", "/v1/whoami").status, 401);
}

TEST_F(RestDoorTest, TakesSignedRequestsOfAccountsAndPeopleButNeverOfFunctions) {
  const json::Value who = body_of(signed_by(account_key(), request("GET", "/v1/whoami")));
  EXPECT_EQ(who.get("actor"), json::Value("account:123456789012"));
  const io::HttpResponse refused = signed_by(function_key({"*"}), request("GET", "/v1/whoami"));
  EXPECT_EQ(refused.status, 403);
  EXPECT_EQ(code_of(refused), "AccessDenied");
  SigningKey wrong = account_key();
  wrong.secret_access_key = "x";
  EXPECT_EQ(signed_by(wrong, request("GET", "/v1/whoami")).status, 401);
}

TEST_F(RestDoorTest, TheClientSaysItsChannelButASignedRequestIsAProgram) {
  io::HttpRequest given = request("GET", "/v1/whoami");
  given.headers.add("X-Sortie-Client", "cli");
  EXPECT_EQ(body_of(send(given)).get("channel"), json::Value("cli"));
  EXPECT_EQ(body_of(signed_by(account_key(), given)).get("channel"), json::Value("api"));
  given.headers.set("X-Sortie-Client", "slack");
  EXPECT_EQ(body_of(send(given)).get("channel"), json::Value("api"));
}

TEST_F(RestDoorTest, ChecksHostAndOrigin) {
  const auto status = [&](const char* host, const char* origin) {
    io::HttpRequest given = request("GET", "/v1/whoami");
    given.headers.set("Host", host);
    if (origin != nullptr) given.headers.set("Origin", origin);
    return send(given).status;
  };
  EXPECT_EQ(status("localhost:8420", nullptr), 200);
  EXPECT_EQ(status("[::1]:8420", nullptr), 200);
  EXPECT_EQ(status("SORTIE.example", nullptr), 200);
  EXPECT_EQ(status("evil.example:8420", nullptr), 421);
  EXPECT_EQ(status("", nullptr), 421);
  EXPECT_EQ(status("localhost.evil.example", nullptr), 421);
  EXPECT_EQ(status("localhost:8420", "http://localhost:8420"), 200);
  EXPECT_EQ(status("localhost:8420", "http://evil.example"), 403);
  EXPECT_EQ(status("localhost:8420", "https://localhost:8420"), 403);
  EXPECT_EQ(status("localhost:8420", "null"), 403);
}

TEST_F(RestDoorTest, BodiesHaveToBeJsonObjectsSentAsJson) {
  io::HttpRequest form = request("POST", "/v1/executions", "{}");
  form.headers.set("Content-Type", "application/x-www-form-urlencoded");
  EXPECT_EQ(send(form).status, 415);
  for (const std::string& body :
       {std::string("[]"), std::string("{"), std::string("nonsense"), std::string("\xff"),
        "{\"a\":" + std::string(2000, '[') + std::string(2000, ']') + "}"}) {
    const io::HttpResponse response = post("/v1/executions", body);
    EXPECT_EQ(response.status, 400);
    EXPECT_EQ(code_of(response), "InvalidJson");
  }
}

TEST_F(RestDoorTest, ErrorsHaveFittingStatuses) {
  for (const auto& [code, status] :
       std::vector<std::pair<std::string, int>>{{"ExecutionDoesNotExist", 404},
                                                {"ResourceNotFoundException", 404},
                                                {"ExecutionAlreadyExists", 409},
                                                {"PersonExists", 409},
                                                {"AlreadyDecided", 409},
                                                {"PlanChanged", 409},
                                                {"NotEligible", 403},
                                                {"InitiatorExcluded", 403},
                                                {"PersonRequired", 403},
                                                {"AccessDeniedException", 403},
                                                {"ThrottlingException", 429},
                                                {"StoreFull", 503},
                                                {"ServiceUnavailable", 503},
                                                {"UnsupportedOperationException", 501},
                                                {"InvalidDefinition", 400},
                                                {"ReasonRequired", 400},
                                                {"", 500}}) {
    EXPECT_EQ(rest_status(code), status) << code;
  }
}

TEST_F(RestExecutions, AreStartedByPlaybookNameOnBehalfOfThePerson) {
  make_machine();
  const io::HttpResponse response =
      post("/v1/executions", R"({"playbook":"m","name":"e1","input":{"x":[1]}})");
  EXPECT_EQ(response.status, 201);
  EXPECT_EQ(response.body,
            "{\"arn\":\"arn:aws:states:us-east-1:123456789012:execution:m:e1\",\"name\":\"e1\","
            "\"started_at\":\"2026-11-23T00:00:00.000Z\"}\n");
  ASSERT_EQ(runtime.starts.size(), 1u);
  EXPECT_EQ(runtime.starts[0].input_text, R"({"x":[1]})");
  EXPECT_EQ(to_text(runtime.starts[0].actor), "person:bob");
  EXPECT_EQ(post("/v1/executions", R"({"playbook":"gone"})").status, 404);
  EXPECT_EQ(code_of(post("/v1/executions", R"({"input":{}})")), "InvalidParameter");
  EXPECT_EQ(code_of(post("/v1/executions", R"({"playbook":7})")), "InvalidParameter");
  EXPECT_EQ(code_of(post("/v1/executions", R"({"playbook":"m","name":"a b"})")), "InvalidName");
  EXPECT_EQ(code_of(post("/v1/executions", R"({"playbook":"m","name":["a"]})")), "InvalidParameter");
}

TEST_F(RestExecutions, AreListedFilteredAndPaged) {
  for (store::ExecutionNo no = 1; no <= 5; ++no) {
    store.rows.push_back({no, "arn:aws:states:us-east-1:123456789012:execution:m:run-" + std::to_string(no),
                          kMachine, "run-" + std::to_string(no),
                          no == 3 ? store::ExecutionStatus::kTimedOut : store::ExecutionStatus::kRunning,
                          loop.now().plus_ms(static_cast<std::int64_t>(no)), loop.now(), ""});
  }
  store.rows.push_back({6, "arn:aws:states:us-east-1:999999999999:execution:m:theirs", "other", "theirs",
                        store::ExecutionStatus::kRunning, loop.now(), loop.now(), ""});
  std::vector<std::string> names;
  std::string cursor;
  do {
    const json::Value page =
        body_of(get("/v1/executions?limit=2" + (cursor.empty() ? "" : "&cursor=" + cursor)));
    for (const json::Value& item : page.get("executions").items())
      names.push_back(item.get("name").to_std_string());
    cursor = page.get("next").is_string() ? page.get("next").to_std_string() : "";
  } while (!cursor.empty());
  EXPECT_EQ(names, (std::vector<std::string>{"run-5", "run-4", "run-3", "run-2", "run-1"}));
  const json::Value timed_out = body_of(get("/v1/executions?status=timed-out&state_machine=m"));
  EXPECT_EQ(
      json::to_text(timed_out),
      R"({"executions":[{"arn":"arn:aws:states:us-east-1:123456789012:execution:m:run-3","name":"run-3",)"
      R"("state_machine":"arn:aws:states:us-east-1:123456789012:stateMachine:m","status":"TIMED_OUT",)"
      R"("started_at":"2026-11-23T00:00:00.003Z","stopped_at":"2026-11-23T00:00:00.000Z","waiting_for_people":0}],"next":null,"looked_at":1,"reached":"2026-11-23T00:00:00.003Z"})");
  EXPECT_EQ(body_of(get("/v1/executions?name=run-4")).get("executions").size(), 1u);
  EXPECT_EQ(body_of(get("/v1/executions?from=2026-11-23T00:00:00.004Z")).get("executions").size(), 2u);
  for (const char* bad :
       {"status=nope", "limit=0", "limit=1001", "limit=x", "cursor=abc", "from=yesterday"}) {
    EXPECT_EQ(get("/v1/executions?" + std::string(bad)).status, 400) << bad;
  }
  store.list_error = Error{"StoreUnavailable", "I/O error", "", ""};
  EXPECT_EQ(get("/v1/executions").status, 503) << "a read error is never an empty list";
}

TEST_F(RestExecutions, ASearchThatLooksInsideEndsEarlyAndGoesOnFromItsCursor) {
  make_execution();
  for (store::ExecutionNo no = 1; no <= kSearchLooksMax + 20; ++no) {
    store.rows.push_back({no, kExecution, kMachine, "run-" + std::to_string(no),
                          store::ExecutionStatus::kFailed, loop.now(), loop.now(), ""});
  }
  runtime.executions[kExecution].error = "Other";
  const json::Value first = body_of(get("/v1/executions?q=error:States.Timeout"));
  EXPECT_EQ(first.get("executions").size(), 0u);
  EXPECT_EQ(first.get("looked_at"), json::Value(static_cast<std::int64_t>(kSearchLooksMax)));
  ASSERT_TRUE(first.get("next").is_string());
  const json::Value second =
      body_of(get("/v1/executions?q=error:States.Timeout&cursor=" + first.get("next").to_std_string()));
  EXPECT_EQ(second.get("looked_at"), json::Value(20));
  EXPECT_TRUE(second.get("next").is_null());
  EXPECT_EQ(body_of(get("/v1/executions?q=error:Other&limit=7")).get("executions").size(), 7u);
}

TEST_F(RestExecutions, BoundsOnTheStartAreFoundWithoutReadingWhatIsNewerOrOlder) {
  const std::int64_t hour = 3'600'000;
  for (store::ExecutionNo no = 1; no <= 100; ++no) {
    store.rows.push_back({no * 3, kExecution, kMachine, "run-" + std::to_string(no),
                          store::ExecutionStatus::kSucceeded,
                          loop.now().plus_ms((static_cast<std::int64_t>(no) - 100) * hour), loop.now(), ""});
  }
  const json::Value page = body_of(get("/v1/executions?q=started:%3E-50h%20started:%3C2026-11-21T00:00:00Z"));
  EXPECT_EQ(page.get("executions").size(), 2u) << "48 to 50 hours ago";
  EXPECT_LE(page.get("looked_at").as_double(), 5);
  EXPECT_TRUE(page.get("next").is_null());
}

TEST_F(RestExecutions, AreShownWithWhatTheyWaitFor) {
  make_execution();
  runtime.reasons = {
      {0, "Wait", "token", loop.now(), loop.now().plus_ms(60'000), "people", "Wait waits for people."}};
  const json::Value shown = body_of(get(kExecutionPath));
  EXPECT_EQ(shown.get("status"), json::Value("RUNNING"));
  EXPECT_EQ(shown.get("input"), parse_json(R"({"a":1})"));
  EXPECT_EQ(shown.get("actor"), json::Value("rule:guardduty"));
  EXPECT_EQ(shown.get("on_behalf_of"), json::Value("carol"));
  EXPECT_EQ(shown.get("waiting"), parse_json(R"(["Wait waits for people."])"));
  EXPECT_TRUE(shown.get("stopped_at").is_null());
  const json::Value why = body_of(get(std::string(kExecutionPath) + "/explain"));
  EXPECT_EQ(json::to_text(why.get("waiting")),
            R"([{"frame":0,"state":"Wait","kind":"token","since":"2026-11-23T00:00:00.000Z",)"
            R"("until":"2026-11-23T00:01:00.000Z","who":"people","sentence":"Wait waits for people."}])");
  EXPECT_EQ(get("/v1/executions/arn%3Aaws%3Astates%3Aus-east-1%3A123456789012%3Aexecution%3Am%3Agone").status,
            404);
  EXPECT_EQ(get("/v1/executions/nonsense").status, 400);
}

TEST_F(RestExecutions, OfAnotherAccountDoNotExist) {
  make_execution();
  keys.add(account_key("999999999999"));
  const SigningKey other = account_key("999999999999");
  for (const char* tail : {"", "/history", "/explain"}) {
    EXPECT_EQ(signed_by(other, request("GET", kExecutionPath + std::string(tail))).status, 404) << tail;
  }
  EXPECT_EQ(signed_by(other, request("POST", kExecutionPath + std::string("/stop"), "{}")).status, 404);
  EXPECT_TRUE(runtime.calls.empty());
}

TEST_F(RestExecutions, CanBeWaitedForUntilTheyEndOrTheTimeIsUp) {
  make_execution();
  get(kExecutionPath + std::string("?wait=30"));
  EXPECT_EQ(last->answers, 0);
  make_execution().status = store::ExecutionStatus::kSucceeded;
  make_execution().output_text = "{}";
  const auto waiter = runtime.waiter;
  waiter(make_execution());
  EXPECT_EQ(body_of(*last->response).get("status"), json::Value("SUCCEEDED"));
  loop.run();
  EXPECT_FALSE(runtime.waiter) << "the subscription ends with the answer";

  make_execution().status = store::ExecutionStatus::kRunning;
  get(kExecutionPath + std::string("?wait=30"));
  loop.advance_ms(30'000);
  EXPECT_EQ(body_of(*last->response).get("status"), json::Value("RUNNING"));

  get(kExecutionPath + std::string("?wait=30"));
  last->close();
  EXPECT_FALSE(runtime.waiter) << "nobody waits any more";
  loop.advance_ms(60'000);
  EXPECT_EQ(last->answers, 0);
  EXPECT_EQ(get(kExecutionPath + std::string("?wait=61")).status, 400);
}

TEST_F(RestExecutions, HaveAHistory) {
  make_execution();
  using engine::EventType;
  using engine::Field;
  runtime.events = {
      {1, 0, loop.now(), EventType::kExecutionStarted, {{Field::kInput, parse_json("{\"a\":1}")}}},
      {2, 1, loop.now(), EventType::kPassStateEntered, {{Field::kName, "A"}}}};
  const json::Value page = body_of(get(kExecutionPath + std::string("/history?limit=1")));
  EXPECT_EQ(
      json::to_text(page),
      R"({"events":[{"id":1,"previous_id":0,"time":"2026-11-23T00:00:00.000Z","type":"ExecutionStarted",)"
      R"("details":{"input":{"a":1}}}],"next":2})");
  EXPECT_EQ(body_of(get(kExecutionPath + std::string("/history?from=2"))).get("next"), json::Value());
  EXPECT_EQ(body_of(get(kExecutionPath + std::string("/history?reverse=true"))).get("events")[0].get("id"),
            json::Value(2));
  EXPECT_EQ(get(kExecutionPath + std::string("/history?from=-1")).status, 400);
}

TEST_F(RestExecutions, AreStoppedWithAReason) {
  make_execution();
  EXPECT_EQ(post(kExecutionPath + std::string("/stop"), R"({"reason":"false alarm"})").body,
            "{\"stopped_at\":\"2026-11-23T00:00:00.000Z\"}\n");
  EXPECT_EQ(runtime.calls, (std::vector<std::string>{"stop " + std::string(kExecution) + "  false alarm"}));
  EXPECT_EQ(post(kExecutionPath + std::string("/stop"), R"({"reason":5})").status, 400);
  EXPECT_EQ(
      post(kExecutionPath + std::string("/stop"), "{\"reason\":\"" + std::string(40'000, 'x') + "\"}").status,
      400);
  EXPECT_EQ(get(kExecutionPath + std::string("/stop")).status, 405);
}

TEST_F(RestPlaybooks, ArePublishedCheckedAndListed) {
  const std::string definition = R"({"StartAt":"A","States":{"A":{"Type":"Succeed"}}})";
  io::HttpResponse response = post("/v1/playbooks/m", "{\"definition\":" + definition + "}");
  EXPECT_EQ(response.status, 201) << response.body;
  EXPECT_EQ(runtime.machines[kMachine].definition, definition);
  EXPECT_EQ(runtime.machines[kMachine].role_arn, kRole);
  response = post("/v1/playbooks/m", json::to_text(json::Value::object({{"definition", kPassDefinition}})));
  EXPECT_EQ(response.status, 200) << response.body;
  EXPECT_EQ(runtime.machines[kMachine].definition, kPassDefinition);
  response = post("/v1/playbooks/m", R"({"definition":{"StartAt":"A"}})");
  EXPECT_EQ(response.status, 400);
  EXPECT_EQ(code_of(response), "InvalidDefinition");
  EXPECT_EQ(code_of(post("/v1/playbooks/m", R"({"definition":5})")), "InvalidParameter");
  EXPECT_EQ(runtime.machines[kMachine].definition, kPassDefinition);
  EXPECT_EQ(body_of(get("/v1/playbooks")).get("playbooks")[0].get("name"), json::Value("m"));
  EXPECT_EQ(body_of(get("/v1/playbooks/m")).get("definition"), json::Value(kPassDefinition));
  EXPECT_EQ(get("/v1/playbooks/none").status, 404);
}

TEST_F(RestPlaybooks, TellTheirVersionsAndTheAliasesThatLeadThere) {
  make_machine();
  for (const char* version : {":1", ":2"}) {
    runtime::StateMachineRecord made = runtime.machines[kMachine];
    made.arn += version;
    made.description = version;
    runtime.machines[made.arn] = made;
  }
  runtime.aliases[kMachine + std::string(":live")] = {kMachine + std::string(":live"),       "live", "",
                                                      {{kMachine + std::string(":1"), 100}}, {},     {}};
  const json::Value versions = body_of(get("/v1/playbooks/m/versions")).get("versions");
  ASSERT_EQ(versions.size(), 2u);
  EXPECT_EQ(versions[0].get("version"), json::Value("2"));
  EXPECT_EQ(versions[1].get("aliases")[0].get("alias"), json::Value("live"));
  EXPECT_EQ(body_of(get("/v1/playbooks/m?version=1")).get("definition"), json::Value(kPassDefinition));
  EXPECT_EQ(get("/v1/playbooks/m?version=7").status, 404);
  EXPECT_EQ(get("/v1/playbooks/none/versions").status, 404);
}

TEST_F(RestPeopleViews, AreKeptByPeopleSharedWithAllAndDeletedByTheirOwner) {
  EXPECT_EQ(
      as(alice, "POST", "/v1/views/night", R"({"q":"status:failed started:>-8h","shared":true})").status,
      200);
  EXPECT_EQ(as(alice, "POST", "/v1/views/mine", R"({"q":"actor:alice"})").status, 200);
  EXPECT_EQ(as(bob, "POST", "/v1/views/bad", R"({"q":"colour:red"})").status, 400);
  EXPECT_EQ(as(bob, "POST", "/v1/views/" + std::string(90, 'x'), R"({"q":""})").status, 400);
  const json::Value seen = body_of(as(bob, "GET", "/v1/views")).get("views");
  ASSERT_EQ(seen.size(), 1u);
  EXPECT_EQ(
      json::to_text(seen[0]),
      R"({"name":"night","q":"status:failed started:>-8h","person":"alice","shared":true,"mine":false})");
  EXPECT_EQ(body_of(as(alice, "GET", "/v1/views")).get("views").size(), 2u);
  EXPECT_EQ(as(bob, "DELETE", "/v1/views/alice/night").status, 403);
  EXPECT_EQ(as(alice, "DELETE", "/v1/views/alice/night").status, 200);
  EXPECT_EQ(as(alice, "DELETE", "/v1/views/alice/night").status, 404);
  EXPECT_EQ(signed_by(account_key(), request("POST", "/v1/views/x", R"({"q":""})")).status, 403);
}

TEST_F(RestDoorTest, TheLiveStreamNeedsAToken) {
  EXPECT_EQ(get("/v1/stream").status, 200);
  EXPECT_EQ(stream.reader_count(), 1u);
  stream.publish("approval", json::Value::object({{"id", "a"}}));
  EXPECT_NE(last->stream.find("event: approval\n"), std::string::npos);
  io::HttpRequest given = request("GET", "/v1/stream");
  given.headers.erase("Authorization");
  EXPECT_EQ(send(given).status, 401);
}

}  // namespace
}  // namespace sortie::api
