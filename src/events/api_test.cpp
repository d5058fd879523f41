#include "events/api.h"

#include <gtest/gtest.h>

#include "events/testing_world.h"

namespace sortie::events {
namespace {

std::string error_of(const json::Value& answer) {
  return answer.has("error")
             ? answer.get("error").to_std_string() + ": " + answer.get("message").to_std_string()
             : json::to_text(answer);
}

const char* kPutRule = R"({"Name":"r","EventPattern":"{\"source\":[\"app\"]}"})";

TEST(EventsApi, RulesAreMadeDescribedListedAndDeleted) {
  World world;
  EXPECT_EQ(json::to_text(world.call("PutRule", kPutRule)),
            R"({"RuleArn":"arn:aws:events:us-east-1:123456789012:rule/r"})");
  EXPECT_EQ(json::to_text(world.call("DescribeRule", R"({"Name":"r"})")),
            R"({"Name":"r","Arn":"arn:aws:events:us-east-1:123456789012:rule/r",)"
            R"("EventPattern":"{\"source\":[\"app\"]}","State":"ENABLED","EventBusName":"default",)"
            R"("CreatedBy":"123456789012"})");
  world.call("PutTargets", R"({"Rule":"r","Targets":[{"Id":"a","Arn":"arn:aws:sqs:us-east-1:1:q"}]})");
  world.call("PutRule", R"({"Name":"r","EventPattern":"{\"source\":[\"other\"]}","Description":"d"})");
  EXPECT_EQ(world.call("ListTargetsByRule", R"({"Rule":"r"})").get("Targets").size(), 1u)
      << "putting a rule again keeps its targets";
  EXPECT_EQ(
      json::to_text(world.call("ListRuleNamesByTarget", R"({"TargetArn":"arn:aws:sqs:us-east-1:1:q"})")),
      R"({"RuleNames":["r"]})");
  EXPECT_EQ(error_of(world.call("DeleteRule", R"({"Name":"r"})")),
            "ValidationException: Rule can't be deleted since it has targets.");
  EXPECT_EQ(world.call("RemoveTargets", R"({"Rule":"r","Ids":["a","never"]})").get("FailedEntryCount"),
            json::Value(0));
  EXPECT_EQ(error_of(world.call("DeleteRule", R"({"Name":"r"})")), "{}");
  EXPECT_EQ(error_of(world.call("DeleteRule", R"({"Name":"r"})")), "{}") << "deleting twice succeeds";
  EXPECT_EQ(error_of(world.call("DescribeRule", R"({"Name":"r"})")),
            "ResourceNotFoundException: Rule r does not exist on EventBus default.");
}

TEST(EventsApi, RulesSurviveARestart) {
  World world;
  world.call("CreateEventBus", R"({"Name":"b","Tags":[{"Key":"k","Value":"v"}]})");
  world.call("PutRule", R"({"Name":"r","EventBusName":"b","EventPattern":"{\"source\":[\"app\"]}"})");
  world.call("DisableRule", R"({"Name":"r","EventBusName":"b"})");
  const json::Value before = world.call("DescribeRule", R"({"Name":"r","EventBusName":"b"})");
  EXPECT_EQ(before.get("State"), json::Value("DISABLED"));
  world.restart();
  ASSERT_TRUE(world.recovered.ok());
  EXPECT_EQ(world.call("DescribeRule", R"({"Name":"r","EventBusName":"b"})"), before);
  EXPECT_EQ(world.call("ListEventBuses", "{}").get("EventBuses").size(), 2u);
  EXPECT_EQ(error_of(world.call("DeleteEventBus", R"({"Name":"b"})")),
            "ValidationException: Event bus can't be deleted since it has rules.");
}

TEST(EventsApi, ListsGoByPages) {
  World world;
  for (const char* name : {"c", "a", "b", "x"}) {
    world.call("PutRule", json::Value::object({{"Name", name}, {"EventPattern", R"({"source":["app"]})"}}));
  }
  std::string names;
  std::string token;
  int pages = 0;
  do {
    json::ObjectBuilder request;
    request.append("Limit", 2);
    if (!token.empty()) request.append("NextToken", token);
    const json::Value page = world.call("ListRules", request.build());
    for (const json::Value& rule : page.get("Rules").items()) names += rule.get("Name").to_std_string();
    token = page.has("NextToken") ? page.get("NextToken").to_std_string() : "";
    ++pages;
  } while (!token.empty());
  EXPECT_EQ(names, "abcx");
  EXPECT_EQ(pages, 2);
  EXPECT_EQ(world.call("ListRules", R"({"NamePrefix":"b"})").get("Rules").size(), 1u);
  EXPECT_EQ(error_of(world.call("ListRules", R"({"NextToken":"%%%"})")),
            "ValidationException: Parameter NextToken is not valid.");
}

TEST(EventsApi, RefusesWithAwsWords) {
  World world;
  EXPECT_EQ(error_of(world.call("PutRule", R"({"Name":"r"})")),
            "ValidationException: Parameter(s) EventPattern or ScheduleExpression must be specified.");
  EXPECT_EQ(error_of(world.call("PutRule", R"j({"Name":"r","ScheduleExpression":"rate(1 minutes)"})j")),
            "ValidationException: Parameter ScheduleExpression is not valid.");
  EXPECT_EQ(error_of(world.call("PutRule", R"({"Name":"r","EventPattern":"{}","EventBusName":"no"})")),
            "ResourceNotFoundException: Event bus no does not exist.");
  world.call("CreateEventBus", R"({"Name":"b"})");
  EXPECT_EQ(error_of(world.call(
                "PutRule", R"j({"Name":"r","ScheduleExpression":"rate(1 minute)","EventBusName":"b"})j")),
            "ValidationException: ScheduleExpression is supported only on the default event bus.");
  EXPECT_EQ(error_of(world.call("CreateEventBus", R"({"Name":"b"})")),
            "ResourceAlreadyExistsException: Event bus b already exists.");
  EXPECT_EQ(error_of(world.call("DeleteEventBus", R"({"Name":"default"})")),
            "ValidationException: Cannot delete event bus default.");
  EXPECT_EQ(
      error_of(world.call("PutRule", R"({"Name":"a b","State":"ON"})")),
      "ValidationException: 2 validation errors detected: Value 'a b' at 'name' failed to satisfy "
      "constraint: "
      "Member must satisfy regular expression pattern: [\\.\\-_A-Za-z0-9]+; Value 'ON' at 'state' failed to "
      "satisfy constraint: Member must satisfy enum value set: [ENABLED, DISABLED, "
      "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS]");
  EXPECT_EQ(error_of(world.call("PutEvents", "{}")),
            "ValidationException: 1 validation error detected: Value null at 'entries' failed to satisfy "
            "constraint: "
            "Member must not be null");
  EXPECT_EQ(error_of(world.call("PutRule", R"({"Name":7})")),
            "SerializationException: The value at 'name' has the wrong type.");
  EXPECT_EQ(error_of(world.call("Frobnicate", "{}")), "UnknownOperationException: ");
  EXPECT_EQ(error_of(world.call("PutRule", "[]")),
            "SerializationException: The request has to be a JSON object.");
}

TEST(EventsApi, EachRefusedEntryIsToldInItsPlace) {
  World world;
  const json::Value answer = world.call("PutEvents", R"({"Entries":[
    {"Source":"a","DetailType":"T","Detail":"{}","Time":1795000000.5,"Resources":["r1"]},
    {"Source":"a","DetailType":"T","Detail":"{"},
    {"DetailType":"T","Detail":"{}"},
    {"Source":"a","DetailType":"T","Detail":"{}","EventBusName":"nobody-made-it"}]})");
  EXPECT_EQ(answer.get("FailedEntryCount"), json::Value(2));
  EXPECT_TRUE(answer.get("Entries")[0].has("EventId"));
  EXPECT_EQ(answer.get("Entries")[1].get("ErrorCode"), json::Value("MalformedDetail"));
  EXPECT_EQ(answer.get("Entries")[2].get("ErrorCode"), json::Value("InvalidArgument"));
  EXPECT_TRUE(answer.get("Entries")[3].has("EventId")) << "AWS takes events for buses that do not exist";
  std::string entries;
  for (int i = 0; i < 11; ++i)
    entries += std::string(i == 0 ? "" : ",") + R"({"Source":"a","DetailType":"T","Detail":"{}"})";
  EXPECT_EQ(error_of(world.call("PutEvents", ("{\"Entries\":[" + entries + "]}").c_str())),
            "ValidationException: 1 validation error detected: Value '[PutEventsRequestEntry]' at 'entries' "
            "failed to "
            "satisfy constraint: Member must have length less than or equal to 10");
  const std::string big = "{\\\"a\\\":\\\"" + std::string(262'144, 'x') + "\\\"}";
  EXPECT_EQ(
      error_of(world.call(
          "PutEvents", (R"({"Entries":[{"Source":"a","DetailType":"T","Detail":")" + big + "\"}]}").c_str())),
      "ValidationException: Total size of the entries in the request is over the limit.");
}

TEST(EventsApi, ACallThatIsMadeAgainAnswersTheSameAndSendsNothingTwice) {
  World world;
  world.call("PutRule", kPutRule);
  world.call("PutTargets", R"({"Rule":"r","Targets":[{"Id":"a","Arn":"arn:aws:sqs:us-east-1:1:q"}]})");
  const json::Value request = *json::parse(R"({"Entries":[{"Source":"app","DetailType":"T","Detail":"{}"},
    {"Source":"app","DetailType":"T","Detail":"{}"}]})");
  std::vector<std::string> answers;
  for (int i = 0; i < 2; ++i) {
    world.api->handle(
        "PutEvents", request, World::person(),
        [&](Result<json::Value> answer) { answers.push_back(json::to_text(*answer)); }, "attempt-1");
    world.loop.run_until_idle();
    world.restart();
  }
  ASSERT_EQ(answers.size(), 2u);
  EXPECT_EQ(answers[0], answers[1]);
  EXPECT_EQ(world.invoker.attempts.size(), 2u);
}

TEST(EventsApi, TagsAreKept) {
  World world;
  world.call("PutRule",
             R"({"Name":"r","EventPattern":"{\"source\":[\"a\"]}","Tags":[{"Key":"a","Value":"1"}]})");
  world.call("TagResource", R"({"ResourceARN":"arn:aws:events:us-east-1:123456789012:rule/r",
    "Tags":[{"Key":"a","Value":"2"},{"Key":"b","Value":"3"}]})");
  world.call("UntagResource",
             R"({"ResourceARN":"arn:aws:events:us-east-1:123456789012:rule/r","TagKeys":["b"]})");
  const char* list = R"({"ResourceARN":"arn:aws:events:us-east-1:123456789012:rule/r"})";
  EXPECT_EQ(json::to_text(world.call("ListTagsForResource", list)), R"({"Tags":[{"Key":"a","Value":"2"}]})");
  world.call("TagResource", R"({"ResourceARN":"arn:aws:events:us-east-1:123456789012:event-bus/default",
    "Tags":[{"Key":"x","Value":"y"}]})");
  EXPECT_EQ(json::to_text(
                world.call("ListTagsForResource",
                           R"({"ResourceARN":"arn:aws:events:us-east-1:123456789012:event-bus/default"})")),
            R"({"Tags":[{"Key":"x","Value":"y"}]})");
  EXPECT_EQ(
      error_of(world.call("ListTagsForResource", R"({"ResourceARN":"arn:aws:events:us-east-1:9:rule/r"})")),
      "ResourceNotFoundException: Resource arn:aws:events:us-east-1:9:rule/r does not exist.");
}

TEST(EventsApi, AccountsDoNotSeeEachOther) {
  BusOptions options;
  options.accounts = {"222222222222"};
  World world(options);
  Actor other = World::person();
  other.account = "222222222222";
  world.call("PutRule", kPutRule, other);
  EXPECT_EQ(world.call("ListRules", "{}").get("Rules").size(), 0u);
  EXPECT_EQ(world.call("ListRules", "{}", other).get("Rules").size(), 1u);
  EXPECT_EQ(error_of(world.call(
                "DescribeRule",
                R"({"Name":"r","EventBusName":"arn:aws:events:us-east-1:222222222222:event-bus/default"})")),
            "ResourceNotFoundException: Event bus default does not exist.");
  const json::Value answer =
      world.call("PutEvents", R"({"Entries":[{"Source":"app","DetailType":"T","Detail":"{}",
    "EventBusName":"arn:aws:events:us-east-1:222222222222:event-bus/default"}]})");
  EXPECT_EQ(answer.get("Entries")[0].get("ErrorCode"), json::Value("AccessDeniedException"));
}

}  // namespace
}  // namespace sortie::events
