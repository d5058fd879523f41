// TestState: what each state answers, what goes together, and what the answer shows of the way.
#include "api/given_text.h"
#include "api/testing/states_fixture.h"
#include "json/text.h"

namespace sortie::api::testing {
namespace test_state_test {

struct TestState : StatesApiTest {
  // `more` are further members of the request, after the definition.
  std::string run(const std::string& definition, const std::string& more = "") {
    return text("TestState", R"({"definition":)" + json::to_text(json::Value(definition)) + more + "}");
  }
};

const std::string kTask = R"({"Type":"Task","Resource":"arn:aws:states:::lambda:invoke",
    "Parameters":{"FunctionName":"f","Payload.$":"$.p"},"ResultPath":"$.r","Next":"Then"})";

TEST_F(TestState, APassShowsEveryStepOfItsDataFlow) {
  EXPECT_EQ(run(R"({"Type":"Pass","InputPath":"$.a","ResultPath":"$.b","End":true})",
                R"(,"input":"{ \"a\": [1, 2] }","inspectionLevel":"DEBUG")"),
            R"({"output":"{\"a\":[1,2],\"b\":[1,2]}","inspectionData":{"input":"{ \"a\": [1, 2] }",)"
            R"("afterInputPath":"[1, 2]","afterParameters":"[1, 2]","afterResultSelector":"[1, 2]",)"
            R"("afterResultPath":"{\"a\":[1,2],\"b\":[1,2]}"},"status":"SUCCEEDED"})");
}

TEST_F(TestState, AMockedResultRunsThroughATaskWithoutTheWorld) {
  EXPECT_EQ(run(kTask, R"(,"input":"{\"p\":1}","mock":{"result":"{\"x\":2}"})"),
            R"({"output":"{\"p\":1,\"r\":{\"x\":2}}","nextState":"Then","status":"SUCCEEDED"})");
}

TEST_F(TestState, AMockedErrorIsRetriedCaughtOrFails) {
  const auto task = [](const std::string& handlers) {
    return R"({"Type":"Task","Resource":"arn:aws:lambda:us-east-1:123456789012:function:f",)" + handlers +
           R"("End":true})";
  };
  const std::string error = R"(,"mock":{"errorOutput":{"error":"Boom","cause":"why"}})";
  EXPECT_EQ(run(task(""), error), R"({"error":"Boom","cause":"why","status":"FAILED"})");
  const std::string retry = R"("Retry":[{"ErrorEquals":["Boom"],"IntervalSeconds":3,"MaxAttempts":2}],)";
  EXPECT_NE(
      run(task(retry), error + R"(,"inspectionLevel":"DEBUG","stateConfiguration":{"retrierRetryCount":1})")
          .find(R"("errorDetails":{"retryIndex":0,"retryBackoffIntervalSeconds":6}},"status":"RETRIABLE"})"),
      std::string::npos);
  EXPECT_EQ(run(task(retry), error + R"(,"stateConfiguration":{"retrierRetryCount":2})"),
            R"({"error":"Boom","cause":"why","status":"FAILED"})");
  EXPECT_EQ(
      run(task(R"("Catch":[{"ErrorEquals":["States.ALL"],"ResultPath":"$.e","Next":"Rescue"}],)"), error),
      R"({"output":"{\"e\":{\"Error\":\"Boom\",\"Cause\":\"why\"}}","error":"Boom","cause":"why",)"
      R"("nextState":"Rescue","status":"CAUGHT_ERROR"})");
}

TEST_F(TestState, AStateOfADefinitionIsFoundInWhicheverFlowItIs) {
  const std::string machine = R"({"StartAt":"P","States":{"P":{"Type":"Parallel","End":true,"Branches":[
      {"StartAt":"In","States":{"In":{"Type":"Pass","QueryLanguage":"JSONata","Output":"{% $v + 1 %}","End":true}}}]}}})";
  EXPECT_EQ(run(machine, R"(,"stateName":"In","variables":"{\"v\":41}")"),
            R"({"output":"42","status":"SUCCEEDED"})");
  EXPECT_EQ(run(machine, R"(,"stateName":"Out")"), "ValidationException: State not found in definition");
}

TEST_F(TestState, AMapIsMockedAndHeldAgainstItsToleratedFailures) {
  const std::string map = R"({"Type":"Map","QueryLanguage":"JSONata","Items":"{% $states.input %}",
      "ToleratedFailureCount":1,"ItemProcessor":{"StartAt":"A","States":{"A":{"Type":"Pass","End":true}}},"End":true})";
  EXPECT_EQ(run(map, R"(,"input":"[1, 2, 3]","mock":{"result":"[4, 5, 6]"},"inspectionLevel":"TRACE")"),
            R"({"output":"[4, 5, 6]","inspectionData":{"input":"[1, 2, 3]","maxConcurrency":0,)"
            R"("toleratedFailureCount":1},"status":"SUCCEEDED"})");
  EXPECT_NE(
      run(map,
          R"(,"input":"[1]","mock":{"result":"[4,5]"},"stateConfiguration":{"mapIterationFailureCount":2})")
          .find("States.ExceedToleratedFailureThreshold"),
      std::string::npos);
  EXPECT_NE(run(map).find("InvalidDefinition: TestState API does not support Map or Parallel"),
            std::string::npos);
}

TEST_F(TestState, ADistributedMapShowsItsItemsAsReadSelectedAndBatched) {
  const auto seen = [&](const std::string& batcher) {
    const std::string map =
        R"({"Type":"Map","ItemReader":{"Resource":"arn:aws:states:::s3:getObject","ReaderConfig":{"InputType":"JSON",
        "MaxItems":3},"Parameters":{"Bucket":"b","Key":"k"}},"ItemSelector":{"v.$":"$$.Map.Item.Value","s.$":"$$.Map.Item.Source"},
        "ItemBatcher":)" +
        batcher + R"(,"ItemProcessor":{"ProcessorConfig":{"Mode":"DISTRIBUTED","ExecutionType":"EXPRESS"},
        "StartAt":"A","States":{"A":{"Type":"Pass","End":true}}},"End":true})";
    const std::string answer = run(map, R"(,"mock":{"result":"[]"},"inspectionLevel":"DEBUG",
        "stateConfiguration":{"mapItemReaderData":"[1, 2, 3, 4]"})");
    const Result<json::Value> parsed = json::parse(answer);
    return parsed ? text_member(parsed->get("inspectionData"), "afterItemBatcher") : answer;
  };
  EXPECT_EQ(seen(R"({"MaxItemsPerBatch":2,"BatchInput":{"z":1}})"),
            R"([{"BatchInput":{"z":1},"Items":[{"v":1,"s":"S3://b/k"},{"v":2,"s":"S3://b/k"}]},)"
            R"({"BatchInput":{"z":1},"Items":[{"v":3,"s":"S3://b/k"}]}])");
  EXPECT_EQ(
      seen(R"({"MaxInputBytesPerBatch":50})"),
      R"([{"Items":[{"v":1,"s":"S3://b/k"}]},{"Items":[{"v":2,"s":"S3://b/k"}]},{"Items":[{"v":3,"s":"S3://b/k"}]}])");
}

TEST_F(TestState, RefusesWhatDoesNotGoTogether) {
  const std::string pass = R"({"Type":"Pass","End":true})";
  EXPECT_EQ(run(pass, R"(,"mock":{"result":"1"})"),
            "ValidationException: State type 'Pass' is not supported when a mock is specified");
  EXPECT_EQ(run(pass, R"(,"context":"{}")"),
            "ValidationException: TestState does not support Context when a mock is not specified.");
  EXPECT_EQ(run(kTask, R"(,"revealSecrets":true,"mock":{"result":"1"})"),
            "ValidationException: TestState does not support RevealSecrets when a mock is specified.");
  EXPECT_EQ(run(kTask, R"(,"mock":{"errorOutput":{"cause":"c"}})"),
            "ValidationException: The field 'error' is required if mock.errorOutput is specified.");
  EXPECT_NE(run(kTask, R"(,"mock":{})").find("only one of the following fields"), std::string::npos);
  EXPECT_NE(run(kTask, R"(,"mock":{"result":"{"})").find("Mocked result must be valid JSON"),
            std::string::npos);
  EXPECT_EQ(run(kTask, R"(,"mock":{"result":"1"},"context":"{\"Execution\":{\"Id\":1}}")"),
            "ValidationException: Invalid Context object provided: Execution.Id must be a string");
  EXPECT_EQ(run(kTask, R"(,"mock":{"result":"1"},"context":"{\"Task\":{\"Token\":\"t\"}}")").substr(0, 89),
            "ValidationException: Invalid Context object provided: Context object contains 'Task' when");
  EXPECT_NE(run(R"({"Type":"Pass"})").find("InvalidDefinition: Invalid State Machine Definition: "),
            std::string::npos);
}

TEST_F(TestState, AWaitAnswersWhenItsTimeHasCome) {
  auto answers = std::make_shared<std::vector<std::string>>();
  api.handle(
      {"states", "TestState",
       json::Value::object({{"definition", R"({"Type":"Wait","Seconds":30,"End":true})"}}), caller, peer},
      [answers](Result<json::Value> answer) { answers->push_back(json::to_text(*answer)); });
  loop.run();
  EXPECT_TRUE(answers->empty());
  loop.advance_ms(30'000);
  ASSERT_EQ(answers->size(), 1u);
  EXPECT_EQ(answers->front(), R"({"output":"{}","status":"SUCCEEDED"})");
}

TEST_F(TestState, ATraceShowsWhatAnHttpTaskSentAndGotAlsoWhenItFailed) {
  StatesServices services{loop, random, runtime, store, nullptr, nullptr};
  services.try_task = [](const runtime::TaskOrder&, const StatesServices::TaskTrial& done) {
    done(Error{"States.Http.StatusCode.404", "gone", "", ""},
         parse_json(R"({"request":{"method":"GET"},"response":{"statusCode":"404"}})"));
  };
  StatesApi traced(services, StatesOptions{});
  const auto run_at = [&](const char* level) {
    const std::string definition =
        R"({"Type":"Task","Resource":"arn:aws:states:::http:invoke","Parameters":{"ApiEndpoint":"https://x","Method":"GET"},"End":true})";
    json::Value found;
    traced.handle(
        {"states", "TestState",
         json::Value::object({{"definition", definition}, {"inspectionLevel", level}, {"roleArn", kRole}}),
         caller, peer},
        [&found](const Result<json::Value>& answer) {
          found = answer.ok() ? *answer : json::Value(answer.error().code + answer.error().message);
        });
    loop.run();
    return found;
  };
  const json::Value seen = run_at("TRACE");
  EXPECT_EQ(seen.get("error"), json::Value("States.Http.StatusCode.404")) << json::to_text(seen);
  EXPECT_EQ(seen.get("inspectionData").get("request").get("method"), json::Value("GET"));
  EXPECT_EQ(seen.get("inspectionData").get("response").get("statusCode"), json::Value("404"));
  EXPECT_FALSE(run_at("DEBUG").get("inspectionData").has("request"));
}

TEST(GivenTexts, FindsThePartOfATextThatAValueIs) {
  GivenTexts texts;
  const std::string text = R"({ "a\"b" : [ 1 , {"c": "x]" } ], "n": 1})";
  const json::Value value = *json::parse(text);
  texts.add(text, value);
  EXPECT_EQ(texts.text_of(value), text);
  EXPECT_EQ(texts.text_of(value.get("a\"b")), R"([ 1 , {"c": "x]" } ])");
  EXPECT_EQ(texts.text_of(value.get("a\"b")[1]), R"({"c": "x]" })");
  EXPECT_EQ(texts.text_of(*json::parse("[ 1 ]")), "[1]");
}

}  // namespace test_state_test
}  // namespace sortie::api::testing
