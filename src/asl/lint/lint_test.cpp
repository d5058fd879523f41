#include "asl/lint/lint.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "asl/compile.h"

namespace sortie::asl {
namespace {

std::vector<Finding> findings_of(const std::string& text, const LintKnowledge& knowledge = {}) {
  const Compilation compilation = compile(text);
  EXPECT_TRUE(compilation.ok()) << compilation.error_text();
  return compilation.ok() ? lint(*compilation.machine, knowledge) : std::vector<Finding>{};
}

std::string codes(const std::vector<Finding>& findings) {
  std::vector<std::string> all;
  for (const Finding& finding : findings) all.push_back(finding.code);
  std::sort(all.begin(), all.end());
  std::string out;
  for (const std::string& code : all) out += (out.empty() ? "" : " ") + code;
  return out;
}

// Members of "States"; the first one starts. Without the Retry advice, which every Task would get.
std::string codes_of(const std::string& start, const std::string& states, LintKnowledge knowledge = {}) {
  knowledge.has_default_retry = true;
  return codes(findings_of(R"({"StartAt":")" + start + R"(","States":{)" + states + "}}", knowledge));
}

std::string task(const std::string& name, const std::string& function, const std::string& more) {
  return "\"" + name + R"(":{"Type":"Task","Resource":"arn:aws:lambda:us-east-1:123456789012:function:)" +
         function + "\"," + more + "}";
}

const std::string kAsk =
    R"("Ask":{"Type":"Task","Resource":"arn:aws:states:::sqs:sendMessage.waitForTaskToken",
  "Parameters":{"QueueUrl":"https://sqs/1/approval-queue","MessageBody":{"t.$":"$$.Task.Token"}},
  "TimeoutSeconds":60,"ResultPath":"$.answer","Next":)";

TEST(Lint, FindsTheNineFaultsOfTheArticlesMachine) {
  const std::filesystem::path file =
      std::filesystem::path(SORTIE_SOURCE_DIR) / ".." / "shared" / "seeds" / "incident_response.asl.json";
  if (!std::filesystem::exists(file)) GTEST_SKIP() << "SKIP: ../shared/seeds is not beside the repository";
  std::ifstream stream(file);
  std::stringstream text;
  text << stream.rdbuf();
  const std::vector<Finding> findings = findings_of(text.str());
  for (const Finding& finding : findings) {
    std::printf("%s %s %s (+%zu)\n", finding.pointer.c_str(), finding.code.c_str(), finding.message.c_str(),
                finding.related.size());
  }
  EXPECT_EQ(codes(findings), "A01 A02 A03 A04 A05 A06 A07 A08 A09");
}

TEST(Lint, LeavesACarefulMachineAlone) {
  EXPECT_EQ(
      codes_of(
          "Assess",
          task("Assess", "AssessSeverity", R"("ResultPath":"$.assessment","Next":"Ask")") + "," + kAsk +
              R"("Decide"},
     "Decide":{"Type":"Choice","Choices":[{"Variable":"$.answer.decision","StringEquals":"approved","Next":"Contain"}],"Default":"Done"},
     "Contain":{"Type":"Parallel","ResultPath":"$.containment","Next":"Tell",
       "Catch":[{"ErrorEquals":["States.ALL"],"ResultPath":"$.error","Next":"Tell"}],
       "Branches":[{"StartAt":"Isolate","States":{)" +
              task("Isolate", "IsolateInstance", R"("End":true)") + R"(}},
                   {"StartAt":"Revoke","States":{)" +
              task("Revoke", "RevokeCredentials", R"("End":true)") + R"(}}]},)" +
              task(
                  "Tell", "SendSlackAlert",
                  R"("Parameters":{"s.$":"$.assessment.severity","id.$":"$.id"},"ResultPath":null,"Next":"Done")") +
              R"(,"Done":{"Type":"Succeed"})"),
      "");
}

TEST(Lint, A01SeesPathsIntoTheArrayOfParallelAndMap) {
  const std::string parallel =
      R"("P":{"Type":"Parallel","Next":"R","Catch":[{"ErrorEquals":["States.ALL"],"Next":"X"}],
    "Branches":[{"StartAt":"A","States":{"A":{"Type":"Pass","End":true}}}]},"X":{"Type":"Fail"},)";
  EXPECT_EQ(codes_of("P", parallel + R"("R":{"Type":"Pass","Parameters":{"x.$":"$.field"},"End":true})"),
            "A01");
  EXPECT_EQ(codes_of("P", parallel + R"("R":{"Type":"Pass","Parameters":{"x.$":"$[0].field"},"End":true})"),
            "");
  EXPECT_EQ(
      codes_of("P",
               parallel +
                   R"j("R":{"Type":"Pass","Parameters":{"x.$":"States.Format('{}', $.field)"},"End":true})j"),
      "A01");
  EXPECT_EQ(codes_of("M", R"("M":{"Type":"Map","ItemsPath":"$.items","ResultPath":"$.all","Next":"C",
    "Iterator":{"StartAt":"A","States":{"A":{"Type":"Pass","End":true}}}},
    "C":{"Type":"Choice","Choices":[{"Variable":"$.all.count","NumericEquals":1,"Next":"D"}],"Default":"D"},"D":{"Type":"Succeed"})"),
            "A01");
}

TEST(Lint, A01FollowsOnlyTheWaysThatExist) {
  // One way brings the array, the other does not: still a fault.
  EXPECT_EQ(
      codes_of(
          "C",
          R"("C":{"Type":"Choice","Choices":[{"Variable":"$.a","IsPresent":true,"Next":"P"}],"Default":"R"},
    "P":{"Type":"Parallel","Next":"R","Branches":[{"StartAt":"A","States":{"A":{"Type":"Pass","End":true}}}]},
    "R":{"Type":"Pass","InputPath":"$.b","End":true})"),
      "A01");
}

TEST(Lint, A03WantsTheAnswerOfAnApprovalTested) {
  const std::string end = R"("Done":{"Type":"Succeed"})";
  EXPECT_EQ(codes_of("Ask", kAsk + R"("Done"},)" + end), "A03");
  EXPECT_EQ(
      codes_of(
          "Ask",
          kAsk +
              R"("C"},"C":{"Type":"Choice","Choices":[{"Variable":"$.answer.decision","StringEquals":"approve","Next":"Done"}],"Default":"Done"},)" +
              end),
      "");
  EXPECT_EQ(
      codes_of(
          "Ask",
          kAsk +
              R"("C"},"C":{"Type":"Choice","Choices":[{"Variable":"$.other","StringEquals":"approve","Next":"Done"}],"Default":"Done"},)" +
              end),
      "A03");
}

TEST(Lint, A04WantsAnApprovalOnEveryWay) {
  const std::string isolate = task("Act", "IsolateInstance", R"("ResultPath":null,"End":true)");
  EXPECT_EQ(codes_of("Act", isolate), "A04");
  const std::string decide =
      R"("C"},"C":{"Type":"Choice","Choices":[{"Variable":"$.answer.decision","StringEquals":")";
  EXPECT_EQ(
      codes_of("Ask", kAsk + decide + R"(approved","Next":"Act"}],"Default":"No"},"No":{"Type":"Succeed"},)" +
                          isolate),
      "");
  EXPECT_EQ(
      codes_of("Ask", kAsk + decide + R"(rejected","Next":"Act"}],"Default":"No"},"No":{"Type":"Succeed"},)" +
                          isolate),
      "A04");
  EXPECT_EQ(
      codes_of("Ask", kAsk + decide + R"(approved","Next":"No"}],"Default":"Act"},"No":{"Type":"Succeed"},)" +
                          isolate),
      "A04");
  EXPECT_EQ(
      codes_of("Act", task("Act", "IsolateInstance",
                           R"("Parameters":{"mode":"plan","id.$":"$.id"},"ResultPath":"$.plan","End":true)")),
      "");
  LintKnowledge knowledge;
  knowledge.functions["IsolateInstance"].is_disruptive = false;
  EXPECT_EQ(codes_of("Act", isolate, knowledge), "");
  EXPECT_EQ(
      codes_of(
          "Act",
          R"("Act":{"Type":"Task","Resource":"arn:aws:states:::aws-sdk:ec2:terminateInstances","Parameters":{"InstanceIds.$":"$.ids"},"ResultPath":null,"End":true})"),
      "A04");
}

TEST(Lint, A05AcceptsBranchesThatCannotFail) {
  const auto parallel = [](const std::string& more) {
    return R"("P":{"Type":"Parallel","End":true,"Branches":[{"StartAt":"A","States":{)" +
           task("A", "Snapshot", more) +
           R"(,"Z":{"Type":"Succeed"}}},{"StartAt":"B","States":{"B":{"Type":"Pass","End":true}}}]})";
  };
  EXPECT_EQ(codes_of("P", parallel(R"("Next":"Z")")), "A05");
  EXPECT_EQ(codes_of("P", parallel(R"("Next":"Z","Catch":[{"ErrorEquals":["States.ALL"],"Next":"Z"}])")), "");
}

TEST(Lint, A06IsOneFindingForAllTasks) {
  const auto findings = findings_of(R"({"StartAt":"A","States":{)" + task("A", "f", R"("Next":"B")") + "," +
                                    task("B", "g", R"("End":true)") + "}}");
  ASSERT_EQ(findings.size(), 1U);
  EXPECT_EQ(findings[0].code, "A06");
  EXPECT_EQ(findings[0].pointer, "/States/A");
  EXPECT_EQ(findings[0].related, std::vector<std::string>{"/States/B"});
}

TEST(Lint, A07ComparesLiteralsWithTheChoiceThatLedThere) {
  const std::string choice =
      R"("C":{"Type":"Choice","Choices":[{"Variable":"$.f.severity","StringEquals":"HIGH","Next":"H"},
    {"Variable":"$.f.severity","StringEquals":"LOW","Next":"L"}],"Default":"L"},)";
  EXPECT_EQ(codes_of("C", choice + task("H", "f", R"("Parameters":{"severity":"LOW"},"End":true)") + "," +
                              task("L", "f", R"("Parameters":{"severity":"LOW"},"End":true)")),
            "A07");
  EXPECT_EQ(codes_of("C", choice + task("H", "f", R"("Parameters":{"severity":"HIGH"},"End":true)") + "," +
                              task("L", "f", R"("Parameters":{"severity":"info"},"End":true)")),
            "");
}

TEST(Lint, A09SeesInputThatAResultHasReplaced) {
  EXPECT_EQ(codes_of("A", task("A", "f", R"("Parameters":{"x.$":"$.title"},"Next":"B")") + "," +
                              task("B", "g", R"("Parameters":{"x.$":"$.title"},"End":true)")),
            "A09");
  EXPECT_EQ(codes_of("A", task("A", "f", R"("Parameters":{"x.$":"$.title"},"ResultPath":"$.r","Next":"B")") +
                              "," + task("B", "g", R"("Parameters":{"x.$":"$.title"},"End":true)")),
            "");
  // A function that gets everything may give everything back.
  EXPECT_EQ(codes_of("A", task("A", "f", R"("Parameters":{"x.$":"$.title"},"ResultPath":null,"Next":"B")") +
                              "," + task("B", "g", R"("Next":"D")") + "," +
                              task("D", "g", R"("Parameters":{"x.$":"$.title"},"End":true)")),
            "");
  EXPECT_EQ(
      codes_of(
          "A",
          R"("A":{"Type":"Task","Resource":"arn:aws:states:::lambda:invoke","Parameters":{"FunctionName":"f","Payload.$":"$"},"Next":"B"},)" +
              task("B", "g", R"("Parameters":{"x.$":"$.title"},"End":true)")),
      "A09");
  EXPECT_EQ(
      codes_of("A",
               task("A", "f",
                    R"("Catch":[{"ErrorEquals":["States.ALL"],"Next":"B"}],"ResultPath":"$.r","Next":"B")") +
                   "," + task("B", "g", R"("Parameters":{"x.$":"$.title"},"End":true)")),
      "A09");
}

TEST(Lint, A10AndA11NeedFactsAboutFunctions) {
  LintKnowledge knowledge;
  knowledge.functions["f"] = {.swallows_errors = true, .is_idempotent = false};
  EXPECT_EQ(codes_of("A", task("A", "f", R"("End":true)"), knowledge), "A10 A11");
  EXPECT_EQ(
      codes_of(
          "A",
          task("A", "f", R"("Next":"C")") +
              R"(,"C":{"Type":"Choice","Choices":[{"Variable":"$.statusCode","NumericEquals":500,"Next":"F"}],"Default":"S"},"F":{"Type":"Fail"},"S":{"Type":"Succeed"})",
          knowledge),
      "A11");
  knowledge.has_all_functions = true;
  EXPECT_EQ(codes_of("A", task("A", "missing", R"("End":true)"), knowledge), "A08");
}

TEST(Lint, A12SeesWhatCannotBeThere) {
  EXPECT_EQ(
      codes_of(
          "A",
          R"("A":{"Type":"Pass","Parameters":{"x":{"y":1}},"Next":"B"},"B":{"Type":"Pass","InputPath":"$.x.z","End":true})"),
      "A12");
  EXPECT_EQ(
      codes_of(
          "A",
          R"("A":{"Type":"Pass","Result":{"x":{"y":1}},"Next":"B"},"B":{"Type":"Pass","InputPath":"$.x.y.z","End":true})"),
      "A12");
  EXPECT_EQ(
      codes_of(
          "A",
          R"("A":{"Type":"Pass","Result":{"x":{"y":1}},"Next":"B"},"B":{"Type":"Pass","InputPath":"$.x.y","End":true})"),
      "");
  EXPECT_EQ(codes_of("A", R"("A":{"Type":"Pass","Parameters":{"x.$":"$never"},"End":true})"), "A12");
  EXPECT_EQ(
      codes_of(
          "A",
          R"("A":{"Type":"Pass","Assign":{"v.$":"$.a"},"Next":"B"},"B":{"Type":"Pass","Parameters":{"x.$":"$v.q[*].r"},"End":true})"),
      "");
  EXPECT_EQ(
      codes_of(
          "C",
          R"("C":{"Type":"Choice","Choices":[{"And":[{"Variable":"$.x","IsPresent":true},{"Variable":"$.x.y","IsNull":true}],"Next":"D"}],"Default":"D"},"D":{"Type":"Succeed"})"),
      "");
}

TEST(Lint, A13KnowsTheErrorNames) {
  EXPECT_EQ(
      codes_of(
          "A",
          task(
              "A", "f",
              R"("Retry":[{"ErrorEquals":["State.ALL"]},{"ErrorEquals":["States.TaskFailed","My.Error"]}],"End":true)")),
      "A13");
}

TEST(Lint, EndsOnLoopsAndOnDoublingData) {
  EXPECT_EQ(
      codes_of(
          "A",
          R"("A":{"Type":"Pass","Parameters":{"p.$":"$","q.$":"$"},"Next":"B"},"B":{"Type":"Choice","Choices":[{"Variable":"$.p","IsPresent":true,"Next":"A"}],"Default":"D"},"D":{"Type":"Succeed"})"),
      "");
  std::string states;
  for (int i = 0; i < 200; ++i) {
    const std::string name = "s" + std::to_string(i);
    states += "\"" + name + R"(":{"Type":"Choice","Choices":[{"Variable":"$.k)" + name +
              R"(","StringEquals":"x","Next":"p)" + name + R"("}],"Default":"p)" + name + "\"},";
    states += "\"p" + name + R"(":{"Type":"Pass","Parameters":{"a.$":"$","b.$":"$"},"Next":"s)" +
              std::to_string(i + 1) + "\"},";
  }
  EXPECT_NO_FATAL_FAILURE(codes_of("s0", states + R"("s200":{"Type":"Succeed"})"));
  std::string nested = R"({"StartAt":"n","States":{"n":{"Type":"Pass","End":true}}})";
  for (int i = 0; i < 40; ++i) {
    const std::string name = "n" + std::to_string(i);
    nested = R"({"StartAt":"c)" + name + R"(","States":{"c)" + name +
             R"(":{"Type":"Choice","Choices":[{"Variable":"$.a","IsNull":true,"Next":")" + name +
             R"("}],"Default":")" + name + R"("},")" + name +
             R"(":{"Type":"Parallel","End":true,"Branches":[)" + nested + "]}}}";
  }
  EXPECT_NO_FATAL_FAILURE(findings_of(nested));
}

}  // namespace
}  // namespace sortie::asl
