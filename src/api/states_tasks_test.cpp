// Task tokens, activities and tags through the API, and the wall between accounts.
#include "api/testing/states_fixture.h"

namespace sortie::api {
namespace {

using namespace api::testing;

using TasksApi = StatesApiTest;

TEST_F(TasksApi, RefusesEveryNameThatAwsRefuses) {
  for (const std::string name :
       {"a b", "a<", "a>",  "a{",   "a}",    "a[",        "a]",  "a?",           "a*", "a\"",
        "a#",  "a%", "a\\", "a^",   "a|",    "a~",        "a`",  "a$",           "a&", "a,",
        "a;",  "a:", "a/",  "\x01", "a\x7f", "a\xC2\x85", "a\n", "a\xEF\xBF\xBF"}) {
    const auto answer = call("CreateActivity", json::Value::object({{"name", name}}));
    ASSERT_FALSE(answer.ok()) << name;
    EXPECT_EQ(answer.error().code, "InvalidName") << name;
    EXPECT_EQ(answer.error().message, "Invalid Name: '" + name + "'");
  }
  const std::string with_nul("\0activity", 9);
  EXPECT_EQ(call("CreateActivity", json::Value::object({{"name", with_nul}})).error().code, "InvalidName");
  for (const std::string name : {"a", "A-b_c.d", "a(b)", "a!", "a'b", "a=b", "a@b", "a+b", "ä"}) {
    EXPECT_TRUE(call("CreateActivity", json::Value::object({{"name", name}})).ok()) << name;
  }
}

TEST_F(TasksApi, TaskTokensAreAnsweredOrRefusedInAwsWords) {
  runtime.tokens = {"good"};
  EXPECT_EQ(text("SendTaskSuccess", R"({"taskToken":"good","output":"{}"})"), "{}");
  EXPECT_EQ(text("SendTaskFailure", R"({"taskToken":"good","error":"E","cause":"C"})"), "{}");
  EXPECT_EQ(text("SendTaskHeartbeat", R"({"taskToken":"good"})"), "{}");
  EXPECT_EQ(runtime.calls,
            (std::vector<std::string>{"success good {}", "failure good E C", "heartbeat good"}));
  EXPECT_EQ(text("SendTaskSuccess", R"({"taskToken":"late","output":"{}"})"),
            "TaskTimedOut: Task Timed Out: 'Provided task does not exist anymore'");
  EXPECT_EQ(text("SendTaskHeartbeat", R"({"taskToken":"bad"})"),
            "InvalidToken: Invalid Token: 'Invalid token'");
  EXPECT_EQ(text("SendTaskSuccess", R"({"output":"{}"})").substr(0, 19), "ValidationException");
}

TEST_F(TasksApi, AnApprovalsTokenNeverReachesTheRuntime) {
  runtime.tokens = {"good"};
  refuse = Error{"AccessDeniedException", "this token belongs to an approval", "", ""};
  for (const char* operation : {"SendTaskSuccess", "SendTaskFailure", "SendTaskHeartbeat"}) {
    EXPECT_EQ(text(operation, R"({"taskToken":"good","output":"{}"})"),
              "AccessDeniedException: this token belongs to an approval");
  }
  EXPECT_TRUE(runtime.calls.empty());
}

TEST_F(TasksApi, ActivitiesAreMadeOnceDescribedListedAndDeleted) {
  const json::Value made = *call("CreateActivity", R"({"name":"a1"})");
  loop.advance_ms(1000);
  EXPECT_EQ(*call("CreateActivity", R"({"name":"a1"})"), made);
  const std::string activity = activity_arn("us-east-1", kAccount, "a1"),
                    ask = R"({"activityArn":")" + activity + "\"}";
  EXPECT_EQ(text("DescribeActivity", ask), R"({"activityArn":")" + activity +
                                               R"(","name":"a1","creationDate":1795392000.0,)"
                                               R"("encryptionConfiguration":{"type":"AWS_OWNED_KEY"}})");
  EXPECT_TRUE(call("CreateActivity", R"({"name":"a2"})").ok());
  const json::Value page = *call("ListActivities", R"({"maxResults":1})");
  EXPECT_EQ(page.get("activities")[0].get("name"), json::Value("a1"));
  const json::Value next =
      *call("ListActivities", json::Value::object({{"nextToken", page.get("nextToken")}}));
  ASSERT_EQ(next.get("activities").size(), 1u);
  EXPECT_EQ(next.get("activities")[0].get("name"), json::Value("a2"));
  EXPECT_EQ(text("DeleteActivity", ask), "{}");
  EXPECT_EQ(text("DeleteActivity", ask), "{}");
  EXPECT_EQ(text("DescribeActivity", ask),
            "ActivityDoesNotExist: Activity Does Not Exist: '" + activity + "'");
  EXPECT_EQ(text("GetActivityTask", ask),
            "ActivityDoesNotExist: Activity Does Not Exist: '" + activity + "'");
}

TEST_F(TasksApi, AnActivityIsThereOnlyWhenTheStoreSaysSo) {
  store.inner.fail = true;
  EXPECT_EQ(text("CreateActivity", R"({"name":"a1"})"), "StoreUnavailable: The disk is gone");
  store.inner.fail = false;
  EXPECT_EQ(text("ListActivities", "{}"), R"({"activities":[]})");
}

TEST_F(TasksApi, AnActivityPollWaitsAMinuteAndAnswersOnce) {
  EXPECT_TRUE(call("CreateActivity", R"({"name":"a1"})").ok());
  const std::string activity = activity_arn("us-east-1", kAccount, "a1");
  std::vector<Result<json::Value>> answers;
  api.handle({"states", "GetActivityTask",
              json::Value::object({{"activityArn", activity}, {"workerName", "w"}}), caller, peer},
             [&](Result<json::Value> answer) { answers.push_back(std::move(answer)); });
  loop.run();
  EXPECT_TRUE(answers.empty());
  EXPECT_EQ(runtime.calls.back(), "poll " + activity + " w 60000");
  const auto poll = runtime.poll;
  poll({"token", "{\"a\":1}"});
  loop.run();
  ASSERT_EQ(answers.size(), 1u);
  EXPECT_EQ(json::to_text(*answers[0]), R"({"taskToken":"token","input":"{\"a\":1}"})");
  EXPECT_EQ(runtime.polls_taken_back, 1);
  // Nothing to do within the time is an answer without a token.
  api.handle({"states", "GetActivityTask", json::Value::object({{"activityArn", activity}}), caller, peer},
             [&](Result<json::Value> answer) { answers.push_back(std::move(answer)); });
  const auto second = runtime.poll;
  second({"", ""});
  EXPECT_EQ(json::to_text(*answers[1]), "{}");
  loop.run();
}

TEST_F(TasksApi, APollIsTakenBackWhenItsCallerGoesAway) {
  EXPECT_TRUE(call("CreateActivity", R"({"name":"a1"})").ok());
  const std::string activity = activity_arn("us-east-1", kAccount, "a1");
  api.handle({"states", "GetActivityTask", json::Value::object({{"activityArn", activity}}), caller, peer},
             [](const Result<json::Value>&) { FAIL() << "nobody is there to be answered"; });
  loop.run();
  ASSERT_TRUE(runtime.poll);
  peer->close();
  EXPECT_EQ(runtime.polls_taken_back, 1);
}

TEST_F(TasksApi, AnActivityThatWasPolledIsGoneOnceItIsDeleted) {
  const std::string activity = activity_arn("us-east-1", kAccount, "a1"),
                    ask = R"({"activityArn":")" + activity + "\"}";
  for (int life = 0; life < 2; ++life) {
    EXPECT_TRUE(call("CreateActivity", R"({"name":"a1"})").ok());
    for (int i = 0; i < 2; ++i) {
      api.handle(
          {"states", "GetActivityTask", json::Value::object({{"activityArn", activity}}), caller, peer},
          [](const Result<json::Value>& answer) { EXPECT_TRUE(answer.ok()); });
      runtime.poll({"", ""});
      loop.run();
    }
    EXPECT_EQ(text("DeleteActivity", ask), "{}");
    EXPECT_EQ(text("GetActivityTask", ask),
              "ActivityDoesNotExist: Activity Does Not Exist: '" + activity + "'");
  }
}

TEST_F(TasksApi, TagsOfMachinesAndActivitiesAreMergedAndRemoved) {
  EXPECT_TRUE(call("CreateActivity", R"({"name":"a1","tags":[{"key":"k0","value":"v0"}]})").ok());
  for (const std::string& resource : {make_machine("m"), activity_arn("us-east-1", kAccount, "a1")}) {
    const std::string ask = R"({"resourceArn":")" + resource + "\"";
    EXPECT_EQ(text("TagResource",
                   ask + R"(,"tags":[{"key":"k1","value":"v1"},{"key":"k2"},{"key":"k0","value":"new"}]})"),
              "{}");
    EXPECT_EQ(text("UntagResource", ask + R"(,"tagKeys":["k2","unknown"]})"), "{}");
    EXPECT_EQ(text("UntagResource", ask + R"(,"tagKeys":[]})"), "{}");
    const json::Value tags = *call("ListTagsForResource", ask + "}");
    EXPECT_EQ(tags.get("tags").size(), 2u) << resource;
  }
  EXPECT_EQ(
      text("TagResource", R"({"resourceArn":")" + arn("m") + R"(:1","tags":[{"key":"k","value":"v"}]})"),
      "ResourceNotFound: Resource not found: '" + arn("m") + ":1'");
  EXPECT_EQ(text("ListTagsForResource", R"({"resourceArn":")" + arn("none") + "\"}"),
            "ResourceNotFound: Resource not found: '" + arn("none") + "'");
  std::vector<json::Value> many;
  for (int i = 0; i < 51; ++i)
    many.push_back(json::Value::object({{"key", "t" + std::to_string(i)}, {"value", ""}}));
  const auto refused = call(
      "TagResource", json::Value::object({{"resourceArn", arn("m")}, {"tags", json::Value::array(many)}}));
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, "TooManyTags");
}

TEST_F(TasksApi, AnotherAccountsThingsAreNeitherSeenNorTouched) {
  const std::string machine = make_machine("m");
  const std::string execution = make_execution(store::ExecutionStatus::kRunning);
  EXPECT_TRUE(call("CreateActivity", R"({"name":"a1"})").ok());
  caller = account_key("999999999999");
  EXPECT_EQ(text("ListStateMachines", "{}"), R"({"stateMachines":[]})");
  EXPECT_EQ(text("ListActivities", "{}"), R"({"activities":[]})");
  const std::string by_machine = R"({"stateMachineArn":")" + machine + "\"}",
                    by_execution = R"({"executionArn":")" + execution + "\"}";
  for (const auto& [operation, input] : std::vector<std::pair<std::string, std::string>>{
           {"DescribeStateMachine", by_machine},
           {"DeleteStateMachine", by_machine},
           {"StartExecution", by_machine},
           {"ListExecutions", by_machine},
           {"DescribeExecution", by_execution},
           {"StopExecution", by_execution},
           {"GetExecutionHistory", by_execution},
           {"ListTagsForResource", R"({"resourceArn":")" + machine + "\"}"},
           {"DescribeActivity", R"({"activityArn":")" + activity_arn("us-east-1", kAccount, "a1") + "\"}"},
           {"DeleteActivity", R"({"activityArn":")" + activity_arn("us-east-1", kAccount, "a1") + "\"}"}}) {
    EXPECT_EQ(text(operation, input).substr(0, 21), "AccessDeniedException") << operation;
  }
  EXPECT_TRUE(runtime.machines.contains(machine));
  EXPECT_TRUE(runtime.calls.empty());
}

}  // namespace
}  // namespace sortie::api
