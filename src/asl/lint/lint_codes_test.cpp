// One machine that has each fault and one, as like it as can be, that has not.
#include <gtest/gtest.h>

#include "asl/compile.h"
#include "asl/lint/lint.h"
#include "base/text.h"

namespace sortie::asl {
namespace {

struct FaultPair {
  const char* code;
  std::string with;     // The states of a machine that has it, the first one starts; JSONPath.
  std::string without;  // And that has not.
  std::string language = "JSONPath";
};

void PrintTo(const FaultPair& pair, std::ostream* out) { *out << pair.code << " " << pair.language; }

std::string lambda(const std::string& name, const std::string& function, const std::string& more) {
  return "\"" + name + R"(":{"Type":"Task","Resource":"arn:aws:lambda:us-east-1:123456789012:function:)" +
         function + R"(","Retry":[],)" + more + "}";
}

LintKnowledge fault_knowledge() {
  LintKnowledge knowledge;
  knowledge.functions["Swallows"] = {.swallows_errors = true};
  knowledge.functions["Once"] = {.is_idempotent = false};
  return knowledge;
}

std::set<std::string> fault_codes(const std::string& states, const std::string& language) {
  const std::string start = states.substr(1, states.find('"', 1) - 1);
  const std::string text =
      R"({"QueryLanguage":")" + language + R"(","StartAt":")" + start + R"(","States":{)" + states + "}}";
  const Compilation compilation = compile(text);
  EXPECT_TRUE(compilation.ok()) << compilation.error_text() << text;
  std::set<std::string> codes;
  if (!compilation.ok()) return codes;
  for (const Finding& finding : lint(*compilation.machine, fault_knowledge())) codes.insert(finding.code);
  return codes;
}

const std::string kDone = R"("Done":{"Type":"Succeed"})";
const std::string kNo = R"("No":{"Type":"Fail"})";

std::string ask(const std::string& parameters, const std::string& more,
                const char* queue = "approval-queue") {
  return R"("Ask":{"Type":"Task","Resource":"arn:aws:states:::sqs:sendMessage.waitForTaskToken","Retry":[],
    "Parameters":{"QueueUrl":"https://sqs/1/)" +
         std::string(queue) + R"(","MessageBody":)" + parameters + "}," + more + "}";
}
const std::string kToken = R"({"t.$":"$$.Task.Token"})";

std::string ask_jsonata(const std::string& more) {
  return R"("Ask":{"Type":"Task","Resource":"arn:aws:states:::sqs:sendMessage.waitForTaskToken","Retry":[],
    "Arguments":{"QueueUrl":"https://sqs/1/approval-queue","MessageBody":"{% $states.context.Task.Token %}"},
    "TimeoutSeconds":9,)" +
         more + "}";
}

std::string parallel(const std::string& more) {
  return R"("P":{"Type":"Parallel",)" + more + R"(,"Branches":[{"StartAt":"B1","States":{)" +
         lambda("B1", "Write", R"("End":true)") + R"(}},{"StartAt":"B2","States":{)" +
         lambda("B2", "Write", R"("End":true)") + "}}]}";
}
const std::string kCatchAll = R"("Catch":[{"ErrorEquals":["States.ALL"],"ResultPath":"$.e","Next":"Done"}])";

std::string decide(const std::string& variable, const std::string& more) {
  return R"("Decide":{"Type":"Choice","Choices":[{"Variable":")" + variable + "\"," + more +
         R"("Next":"Act"}],"Default":"No"})";
}
const std::string kIsolate = lambda("Act", "IsolateInstance", R"("ResultPath":null,"Next":"Done")");

std::vector<FaultPair> data_pairs() {
  const std::string timed = ask(kToken, R"("TimeoutSeconds":9,"ResultPath":"$.answer","Next":"Decide")");
  const auto pass = [](const std::string& more) { return R"("A":{"Type":"Pass",)" + more + "}"; };
  const auto task = [](const std::string& more) {
    return R"("A":{"Type":"Task","Resource":"arn:aws:lambda:us-east-1:123456789012:function:f",)" + more +
           "}";
  };
  return {
      {"A01",
       parallel(kCatchAll + R"(,"Next":"R")") + R"(,"R":{"Type":"Pass","InputPath":"$.x","Next":"Done"},)" +
           kDone,
       parallel(kCatchAll + R"(,"ResultPath":"$.p","Next":"R")") +
           R"(,"R":{"Type":"Pass","InputPath":"$.x","Next":"Done"},)" + kDone},
      {"A02", ask(kToken, R"("End":true)"), ask(kToken, R"("HeartbeatSeconds":9,"End":true)", "work")},
      {"A03", ask(kToken, R"("TimeoutSeconds":9,"Next":"Done")") + "," + kDone,
       timed + "," + decide("$.answer.decision", R"("StringEquals":"approved",)") + "," + kIsolate + "," +
           kNo + "," + kDone},
      {"A04", kIsolate + "," + kDone,
       timed + "," + decide("$.answer.decision", R"("StringEquals":"approved",)") + "," + kIsolate + "," +
           kNo + "," + kDone},
      {"A05", parallel(R"("Next":"Done")") + "," + kDone,
       parallel(kCatchAll + R"(,"Next":"Done")") + "," + kDone},
      {"A06", task(R"("End":true)"), task(R"("Retry":[],"End":true)")},
      {"A07",
       R"("C":{"Type":"Choice","Choices":[{"Variable":"$.s","StringEquals":"HIGH","Next":"H"},{"Variable":"$.s","StringEquals":"LOW","Next":"Done"}],"Default":"Done"},)" +
           lambda("H", "Tell", R"("Parameters":{"s":"LOW"},"Next":"Done")") + "," + kDone,
       R"("C":{"Type":"Choice","Choices":[{"Variable":"$.s","StringEquals":"HIGH","Next":"H"},{"Variable":"$.s","StringEquals":"LOW","Next":"Done"}],"Default":"Done"},)" +
           lambda("H", "Tell", R"("Parameters":{"s":"HIGH"},"Next":"Done")") + "," + kDone},
      {"A08",
       R"("A":{"Type":"Task","Resource":"arn:aws:sns:us-east-1:123456789012:t","Retry":[],"End":true})",
       R"("A":{"Type":"Task","Resource":"arn:aws:states:::sns:publish","Parameters":{"TopicArn":"arn:aws:sns:us-east-1:123456789012:t","Message":"m"},"Retry":[],"End":true})"},
      {"A09",
       lambda("A", "f", R"("Parameters":{"x.$":"$.title"},"Next":"B")") + "," +
           lambda("B", "g", R"("Parameters":{"x.$":"$.title"},"End":true)"),
       lambda("A", "f", R"("Parameters":{"x.$":"$.title"},"ResultPath":"$.a","Next":"B")") + "," +
           lambda("B", "g", R"("Parameters":{"x.$":"$.title"},"End":true)")},
      {"A10", lambda("A", "Swallows", R"("End":true)"), lambda("A", "Raises", R"("End":true)")},
      {"A11", lambda("A", "Once", R"("End":true)"), lambda("A", "Always", R"("End":true)")},
      {"A12", pass(R"("Result":{"x":1},"Next":"B")") + R"(,"B":{"Type":"Pass","InputPath":"$.y","End":true})",
       pass(R"("Result":{"x":1},"Next":"B")") + R"(,"B":{"Type":"Pass","InputPath":"$.x","End":true})"},
      {"A12",
       pass(R"("Assign":{"v":1},"Next":"M")") +
           R"(,"M":{"Type":"Map","End":true,"ItemProcessor":{"ProcessorConfig":{"Mode":"DISTRIBUTED","ExecutionType":"STANDARD"},"StartAt":"I","States":{"I":{"Type":"Pass","Parameters":{"x.$":"$v"},"End":true}}}})",
       pass(R"("Assign":{"v":1},"Next":"M")") +
           R"(,"M":{"Type":"Map","End":true,"ItemProcessor":{"ProcessorConfig":{"Mode":"INLINE"},"StartAt":"I","States":{"I":{"Type":"Pass","Parameters":{"x.$":"$v"},"End":true}}}})"},
  };
}

std::vector<FaultPair> flow_pairs() {
  const std::string retry = R"("Retry":[{"ErrorEquals":["States.ALL"]}])";
  const auto pass = [](const std::string& more) { return R"("A":{"Type":"Pass",)" + more + "}"; };
  const auto task = [](const std::string& more) {
    return R"("A":{"Type":"Task","Resource":"arn:aws:lambda:us-east-1:123456789012:function:f",)" + more +
           "}";
  };
  return {
      {"A13", task(R"("Retry":[{"ErrorEquals":["State.ALL"]}],"End":true)"), task(retry + R"(,"End":true)")},
      {"A14",
       task(
           R"("Retry":[{"ErrorEquals":["States.TaskFailed"]},{"ErrorEquals":["Lambda.Unknown"]}],"End":true)"),
       task(
           R"("Retry":[{"ErrorEquals":["Lambda.Unknown"]},{"ErrorEquals":["States.TaskFailed","States.Timeout"]},{"ErrorEquals":["States.Permissions"]}],"End":true)")},
      {"A14",
       task(
           R"("Retry":[],"Catch":[{"ErrorEquals":["X"],"Next":"Done"},{"ErrorEquals":["X"],"Next":"Done"}],"End":true)") +
           "," + kDone,
       task(
           R"("Retry":[],"Catch":[{"ErrorEquals":["X"],"Next":"Done"},{"ErrorEquals":["X","Y"],"Next":"Done"}],"End":true)") +
           "," + kDone},
      {"A15", task(R"("Retry":[{"ErrorEquals":["States.ALL"],"MaxAttempts":40}],"End":true)"),
       task(R"("Retry":[{"ErrorEquals":["States.ALL"],"MaxAttempts":40,"MaxDelaySeconds":600}],"End":true)")},
      {"A16", lambda("A", "f", R"("Parameters":{"id":"$.detail.id"},"End":true)"),
       lambda(
           "A", "f",
           R"("Parameters":{"id.$":"$.detail.id","InputPath":"$.detail","price":"$.50 each"},"End":true)")},
      {"A17", ask(R"({"t":"none"})", R"("TimeoutSeconds":9,"End":true)"),
       ask(kToken, R"("TimeoutSeconds":9,"End":true)", "work")},
      {"A18",
       R"("C":{"Type":"Choice","Choices":[{"Variable":"$.a","IsPresent":true,"Next":"Done"}],"Default":"W"},"W":{"Type":"Wait","Seconds":1,"Next":"V"},"V":{"Type":"Pass","Next":"W"},)" +
           kDone,
       R"("C":{"Type":"Choice","Choices":[{"Variable":"$.a","IsPresent":true,"Next":"Done"}],"Default":"W"},"W":{"Type":"Wait","Seconds":1,"Next":"C"},)" +
           kDone},
      {"A19",
       R"("C":{"Type":"Choice","Choices":[{"Variable":"$.a","NumericLessThan":1,"Next":"Done"},{"Variable":"$.a","NumericGreaterThan":1,"Next":"Done"}]},)" +
           kDone,
       R"("C":{"Type":"Choice","Choices":[{"Variable":"$.a","NumericLessThan":1,"Next":"Done"},{"Variable":"$.a","NumericGreaterThanEquals":1,"Next":"Done"}]},)" +
           kDone},
      {"A19",
       R"("C":{"Type":"Choice","Choices":[{"Variable":"$.a","StringEquals":"x","Next":"Done"}]},)" + kDone,
       R"("C":{"Type":"Choice","Choices":[{"Not":{"Variable":"$.a","StringEquals":"x"},"Next":"Done"},{"Variable":"$.a","StringEquals":"x","Next":"Done"}]},)" +
           kDone},
      {"A20", pass(R"("Assign":{"v.$":"$.a"},"End":true)"),
       pass(R"("Assign":{"v.$":"$.a"},"Next":"B")") +
           R"(,"B":{"Type":"Pass","Parameters":{"x.$":"$v"},"End":true})"},
  };
}

std::vector<FaultPair> jsonata_pairs() {
  const auto pass = [](const std::string& more) { return R"("A":{"Type":"Pass",)" + more + "}"; };
  const std::string act =
      R"("Act":{"Type":"Task","Resource":"arn:aws:lambda:us-east-1:123456789012:function:IsolateInstance","Retry":[],"Next":"Done"},)" +
      kNo + "," + kDone;
  const auto decided = [&](const std::string& condition) {
    return ask_jsonata(
               R"("Output":{"answer":"{% $states.result.decision %}","by":"{% $states.result.by %}"},"Next":"C")") +
           R"(,"C":{"Type":"Choice","Choices":[{"Condition":"{% )" + condition +
           R"( %}","Next":"Act"}],"Default":"No"},)" + act;
  };
  std::vector<FaultPair> pairs = {
      {"A03", decided("$states.input.other = 'approved'"), decided("$states.input.answer = 'approved'")},
      {"A04", decided("$states.input.answer = 'rejected'"),
       decided("$states.input.answer = 'approved' and $states.input.by != 'x'")},
      {"A07",
       R"("C":{"Type":"Choice","Choices":[{"Condition":"{% $states.input.s = 'HIGH' %}","Next":"H"},{"Condition":"{% $states.input.s = 'LOW' %}","Next":"Done"}],"Default":"Done"},)" +
           lambda("H", "Tell", R"("Arguments":{"s":"LOW"},"Next":"Done")") + "," + kDone,
       R"("C":{"Type":"Choice","Choices":[{"Condition":"{% $states.input.s = 'HIGH' %}","Next":"H"},{"Condition":"{% $states.input.s = 'LOW' %}","Next":"Done"}],"Default":"Done"},)" +
           lambda("H", "Tell", R"("Arguments":{"s":"HIGH"},"Next":"Done")") + "," + kDone},
      {"A09",
       lambda(
           "A", "f",
           R"("Arguments":{"x":"{% $states.input.title %}"},"Catch":[{"ErrorEquals":["States.ALL"],"Next":"B"}],"Next":"B")") +
           "," + lambda("B", "g", R"("Arguments":{"x":"{% $states.input.title %}"},"End":true)"),
       lambda(
           "A", "f",
           R"("Arguments":{"x":"{% $states.input.title %}"},"Output":"{% $states.input %}","Catch":[{"ErrorEquals":["States.ALL"],"Output":"{% $states.input %}","Next":"B"}],"Next":"B")") +
           "," + lambda("B", "g", R"("Arguments":{"x":"{% $states.input.title %}"},"End":true)")},
      {"A12",
       pass(R"("Output":{"x":1},"Next":"B")") +
           R"(,"B":{"Type":"Pass","Output":"{% $states.input.y %}","End":true})",
       pass(R"("Output":{"x":1},"Next":"B")") +
           R"(,"B":{"Type":"Pass","Output":"{% $exists($states.input.y) %}","End":true})"},
      {"A12",
       R"("C":{"Type":"Choice","Choices":[{"Condition":"{% $states.input.a = 1 %}","Assign":{"v":1},"Next":"R"}],"Default":"R"},"R":{"Type":"Pass","Output":"{% $v %}","End":true})",
       R"("C":{"Type":"Choice","Assign":{"v":0},"Choices":[{"Condition":"{% $states.input.a = 1 %}","Assign":{"v":1},"Next":"R"}],"Default":"R"},"R":{"Type":"Pass","Output":"{% $v %}","End":true})"},
      {"A16", pass(R"("Output":"Hello {% $states.input.name %}","End":true)"),
       pass(R"("Output":"{% 'Hello ' & $states.input.name %}","End":true)")},
      {"A17",
       R"("Ask":{"Type":"Task","Resource":"arn:aws:states:::sqs:sendMessage.waitForTaskToken","Arguments":{"QueueUrl":"q","MessageBody":"m"},"TimeoutSeconds":9,"Retry":[],"End":true})",
       R"("Ask":{"Type":"Task","Resource":"arn:aws:states:::sqs:sendMessage.waitForTaskToken","Arguments":{"QueueUrl":"q","MessageBody":"{% $states.context.Task.Token %}"},"TimeoutSeconds":9,"Retry":[],"End":true})"},
      {"A19",
       R"("C":{"Type":"Choice","Choices":[{"Condition":"{% $states.input.a > 1 %}","Next":"Done"}]},)" +
           kDone,
       R"("C":{"Type":"Choice","Choices":[{"Condition":"{% $states.input.a > 1 %}","Next":"Done"},{"Condition":"{% $not($states.input.a > 1) %}","Next":"Done"}]},)" +
           kDone},
      {"A20", pass(R"("Assign":{"v":"{% 1 %}"},"End":true)"),
       pass(R"("Assign":{"v":"{% 1 %}"},"Next":"B")") +
           R"(,"B":{"Type":"Pass","Output":"{% $v + 1 %}","End":true})"},
  };
  for (FaultPair& pair : pairs) pair.language = "JSONata";
  return pairs;
}

class LintCodes : public testing::TestWithParam<FaultPair> {};

TEST_P(LintCodes, IsFoundWhereItIsAndNowhereElse) {
  const FaultPair& pair = GetParam();
  EXPECT_TRUE(fault_codes(pair.with, pair.language).contains(pair.code)) << pair.with;
  const std::set<std::string> without = fault_codes(pair.without, pair.language);
  EXPECT_TRUE(without.empty()) << join({without.begin(), without.end()}, " ") << " in " << pair.without;
}

INSTANTIATE_TEST_SUITE_P(Data, LintCodes, testing::ValuesIn(data_pairs()));
INSTANTIATE_TEST_SUITE_P(Flow, LintCodes, testing::ValuesIn(flow_pairs()));
INSTANTIATE_TEST_SUITE_P(Jsonata, LintCodes, testing::ValuesIn(jsonata_pairs()));

TEST(LintRules, ListEveryCode) {
  const std::vector<LintRule> rules = lint_rules();
  std::vector<FaultPair> pairs = data_pairs();
  for (FaultPair& pair : flow_pairs()) pairs.push_back(std::move(pair));
  for (const FaultPair& pair : pairs) {
    EXPECT_TRUE(std::any_of(rules.begin(), rules.end(),
                            [&](const LintRule& rule) { return rule.code == pair.code; }));
  }
  EXPECT_EQ(rules.size(), 20U);
}

}  // namespace
}  // namespace sortie::asl
