#include "events/model.h"

#include <gtest/gtest.h>

#include "events/route.h"
#include "events/target_invoker.h"
#include "json/text.h"
#include "json/yaml.h"

namespace sortie::events {
namespace {

Result<Rule> rule_file(std::string_view yaml) {
  auto document = json::parse_yaml(yaml);
  EXPECT_TRUE(document.ok());
  return parse_rule_file(document->value, "findings");
}

TEST(RuleFile, ReadsAPatternWrittenAsYamlOrAsText) {
  auto rule = rule_file(R"(
EventPattern:
  source: [aws.guardduty]
  detail: {severity: [{numeric: [">=", 7]}]}
Description: critical findings
deduplicate: {key: $.detail.id, window: 90m}
Targets:
  - Id: respond
    Arn: arn:aws:states:us-east-1:123456789012:stateMachine:respond
    Input: {constant: [1, 2]}
    RetryPolicy: {MaximumRetryAttempts: 2, MaximumEventAgeInSeconds: 600}
)");
  ASSERT_TRUE(rule.ok()) << to_text(rule.error());
  EXPECT_EQ(rule->name, "findings");
  EXPECT_EQ(rule->event_pattern,
            R"({"source":["aws.guardduty"],"detail":{"severity":[{"numeric":[">=",7]}]}})");
  EXPECT_EQ(rule->deduplicate->window_ms, 90 * 60'000);
  ASSERT_EQ(rule->targets.size(), 1u);
  EXPECT_EQ(*rule->targets[0].input, R"({"constant":[1,2]})");
  EXPECT_EQ(rule->targets[0].retry.attempts_max, 2);
  EXPECT_TRUE(compile_rule(*rule).ok());
  auto text = rule_file("EventPattern: '{\"source\":[\"app\"]}'\n");
  ASSERT_TRUE(text.ok());
  EXPECT_EQ(text->event_pattern, R"({"source":["app"]})");
}

TEST(RuleFile, NamesThePlaceAndTheCureOfAMistake) {
  const auto place = [](std::string_view yaml) {
    auto rule = rule_file(yaml);
    return rule ? std::string("valid") : rule.error().place;
  };
  EXPECT_EQ(place("EventPatern: {}"), "/EventPatern");
  EXPECT_EQ(place("EventPattern: '{}'\nTargets: [{Id: a, Arn: nonsense}]"), "/Targets/0");
  EXPECT_EQ(place("EventPattern: '{}'\ndeduplicate: {window: 1h}"), "/deduplicate");
  EXPECT_EQ(place("EventPattern: '{}'\ndeduplicate: {key: $.a, window: soon}"), "/deduplicate/window");
  EXPECT_EQ(rule_file("- a\n").error().code, "ValidationException");
}

TEST(Rule, SurvivesTheStore) {
  auto rule = rule_file(R"(
ScheduleExpression: rate(5 minutes)
State: DISABLED
Tags: [{Key: team, Value: blue}]
deduplicate: {key: $.id, window: 1h}
Targets: [{Id: q, Arn: "arn:aws:sqs:us-east-1:1:q", InputTransformer: {InputPathsMap: {a: $.id}, InputTemplate: '"<a>"'}}]
)");
  ASSERT_TRUE(rule.ok()) << to_text(rule.error());
  rule->account = "123456789012";
  rule->anchor = Timestamp{1234};
  auto back = parse_stored_rule(to_json(*rule));
  ASSERT_TRUE(back.ok()) << to_text(back.error());
  EXPECT_EQ(to_json(*back), to_json(*rule));
  EXPECT_EQ(back->targets[0].input_template, "\"<a>\"");
  EXPECT_FALSE(back->is_enabled());
  EXPECT_EQ(parse_stored_rule(json::Value()).error().code, "StoreCorrupt");
}

TEST(Target, KindsComeFromTheArn) {
  EXPECT_EQ(target_kind_of("arn:aws:states:us-east-1:1:stateMachine:x"), TargetKind::kStateMachine);
  EXPECT_EQ(target_kind_of("arn:aws:lambda:us-east-1:1:function:x"), TargetKind::kFunction);
  EXPECT_EQ(target_kind_of("arn:aws:sqs:us-east-1:1:x"), TargetKind::kQueue);
  EXPECT_EQ(target_kind_of("arn:aws:sns:us-east-1:1:x"), TargetKind::kTopic);
  EXPECT_EQ(target_kind_of("arn:aws:events:us-east-1:1:event-bus/x"), TargetKind::kEventBus);
  EXPECT_EQ(target_kind_of("arn:aws:logs:us-east-1:1:log-group:x"), TargetKind::kLogGroup);
  for (const char* other :
       {"", "arn:", "arn:aws:ecs:us-east-1:1:cluster/x", "arn:aws:states:us-east-1:1:activity:x"}) {
    EXPECT_EQ(target_kind_of(other), TargetKind::kUnsupported) << other;
  }
}

TEST(Target, ErrorsThatNoFurtherAttemptCuresAreKnownHoweverTheyAreSpelled) {
  for (const char* code :
       {"StateMachineDoesNotExist", "Sqs.QueueDoesNotExistException", "AccessDeniedException",
        "AWS.SimpleQueueService.NonExistentQueue", "NotFound", "ValidationException"}) {
    EXPECT_TRUE(is_final_failure(code)) << code;
  }
  for (const char* code :
       {"", ".", "Exception", "ThrottlingException", "ServiceUnavailable", "Sns.InternalError"}) {
    EXPECT_FALSE(is_final_failure(code)) << code;
  }
}

TEST(Target, RefusesWhatPutTargetsRefuses) {
  const auto message = [](std::string_view text) {
    auto target = parse_target(*json::parse(text), "targets.1.member");
    return target ? std::string("valid") : target.error().message;
  };
  EXPECT_EQ(
      message(R"({"Id":"!","Arn":"arn:aws:sqs:us-east-1:1:q"})"),
      "1 validation error detected: Value '!' at 'targets.1.member.id' failed to satisfy constraint: Member "
      "must satisfy regular expression pattern: [\\.\\-_A-Za-z0-9]+");
  EXPECT_EQ(message(R"({"Id":"a","Arn":"x"})"),
            "Parameter x is not valid. Reason: Provided Arn is not in correct format.");
  EXPECT_EQ(message(R"({"Id":"a","Arn":"arn:aws:sqs:us-east-1:1:q","Input":"{}","InputPath":"$"})"),
            "Only one of Input, InputPath, or InputTransformer must be provided for target a.");
  EXPECT_EQ(
      message(R"({"Id":"a","Arn":"arn:aws:sqs:us-east-1:1:q","RetryPolicy":{"MaximumRetryAttempts":186}})"),
      "1 validation error detected: Value '186' at 'targets.1.member.retryPolicy.maximumRetryAttempts' "
      "failed to "
      "satisfy constraint: Member must have value less than or equal to 185");
  EXPECT_NE(message(R"({"Id":"a","Arn":"arn:aws:sqs:us-east-1:1:q","Input":"{"})"), "valid");
  EXPECT_NE(message(R"({"Id":"a","Arn":7})"), "valid");
  EXPECT_NE(message("7"), "valid");
}

TEST(Route, MatchesOnTheTextThatWasSent) {
  PutEntry entry{"app", "T", R"({"id":9007199254740993,"a":1,"a":2})"};
  ASSERT_TRUE(check_entry(entry).ok());
  const Event event = make_event(entry, "e1", "1", "us-east-1", "default", Timestamp{0}, Actor{});
  BusRules rules;
  const char* patterns[] = {R"({"detail":{"id":[9007199254740993]}})",
                            R"({"detail":{"id":[9007199254740992]}})", R"({"detail":{"a":[1]}})",
                            R"({"detail":{"a":[2]}})"};
  Rule rule;
  rule.account = "1";
  for (const char* pattern : patterns) {
    rule.name = pattern;
    rule.event_pattern = pattern;
    rules.put(*compile_rule(rule));
  }
  rule.name = "off";
  rules.put(*compile_rule(rule));
  rule.state = "DISABLED";
  rules.put(*compile_rule(rule));
  const auto matches = route(event, rules, Timestamp{0});
  ASSERT_TRUE(matches.ok());
  ASSERT_EQ(matches->size(), 3u);
  EXPECT_EQ((*matches)[0].rule->rule.name, patterns[2]);
  EXPECT_EQ((*matches)[2].rule->rule.name, patterns[0]);
  rules.remove(patterns[3]);
  EXPECT_EQ(route(event, rules, Timestamp{0})->size(), 2u);
}

TEST(Route, EntriesAreRefusedAsPutEventsRefusesThem) {
  EXPECT_EQ(check_entry(PutEntry{"", "T", "{}"}).error().message,
            "Parameter Source is not valid. Reason: Source is a required argument.");
  EXPECT_EQ(check_entry(PutEntry{"s", "", "{}"}).error().code, "InvalidArgument");
  EXPECT_EQ(check_entry(PutEntry{"s", "T", ""}).error().code, "InvalidArgument");
  for (const char* detail : {"{", "[]", "1", "\"x\"", "{} {}"}) {
    EXPECT_EQ(check_entry(PutEntry{"s", "T", detail}).error().code, "MalformedDetail") << detail;
  }
}

}  // namespace
}  // namespace sortie::events
