#include "asl/lint/render.h"

#include <gtest/gtest.h>

#include "json/text.h"

namespace sortie::asl {
namespace {

const std::string kText = R"({
  "StartAt": "é",
  "States": {
    "é": {"Type": "Task", "Resource": "arn:aws:sns:us-east-1:123456789012:alerts", "End": true}
  }
})";

std::vector<LintedFile> linted(const std::string& text) {
  return {lint_file("p/a b.asl.json", text, {}, {})};
}

TEST(LintRender, WritesOneLineForEachFindingWithItsPlace) {
  const std::string text = render_lint_text(linted(kText));
  EXPECT_NE(text.find("p/a b.asl.json:4:10 A06 1 Task has no Retry: é\n"), std::string::npos) << text;
  EXPECT_NE(text.find("p/a b.asl.json:4:39 A08 "), std::string::npos) << text;
}

TEST(LintRender, PointsIntoTextThatDoesNotCompile) {
  EXPECT_NE(render_lint_text(linted("{\n \"StartAt\": x\n}"))
                .find(":2:14 INVALID_JSON_DESCRIPTION Unrecognized token 'x'"),
            std::string::npos)
      << render_lint_text(linted("{\n \"StartAt\": x\n}"));
  const std::string yaml =
      render_lint_text(linted("StartAt: A\nStates:\n  A:\n    Type: Pass\n    Next: B\n"));
  EXPECT_EQ(yaml,
            "p/a b.asl.json:5:11 MISSING_TRANSITION_TARGET Missing 'Next' target: B\n"
            "    /States/A/Next: Name a state of the same States object; branches and processors have their "
            "own.\n");
}

TEST(LintRender, CountsColumnsInCharactersInYamlToo) {
  const std::string text = "StartAt: é\nStates:\n  é: {Type: Pass, Comment: ééé, Next: B}\n";
  EXPECT_TRUE(render_lint_text(linted(text)).starts_with("p/a b.asl.json:3:39 MISSING"))
      << render_lint_text(linted(text));
}

TEST(LintRender, FollowsYamlThroughItsLayout) {
  const std::string text =
      "# Comment\nStartAt: A\nStates:\n  A:\n    Type: Task\n    # more\n    Resource: >-\n"
      "      arn:aws:sns:us-east-1:123456789012:alerts\n    Retry: []\n    End: true\n";
  EXPECT_TRUE(render_lint_text(linted(text)).starts_with("p/a b.asl.json:7:15 A08 "))
      << render_lint_text(linted(text));
}

TEST(LintRender, WritesJsonWithPlaceCodeAndCure) {
  const auto json = json::parse(render_lint_json(linted(kText)));
  ASSERT_TRUE(json.ok());
  EXPECT_EQ(json->get("errors"), json::Value(1));
  EXPECT_EQ(json->get("warnings"), json::Value(1));
  const json::Value& first = json->get("findings")[0];
  EXPECT_EQ(first.get("pointer"), json::Value("/States/é"));
  EXPECT_EQ(first.get("code"), json::Value("A06"));
  EXPECT_FALSE(first.get("cure").as_string().empty());
}

// What SARIF 2.1.0 requires, and what GitHub code scanning shows nothing without.
TEST(LintRender, WritesSarifThatCodeScanningTakes) {
  const std::string two = R"({"StartAt":"A","States":{
    "A":{"Type":"Task","Resource":"arn:aws:lambda:us-east-1:123456789012:function:f","Next":"B"},
    "B":{"Type":"Task","Resource":"arn:aws:lambda:us-east-1:123456789012:function:f","End":true}}})";
  std::vector<LintedFile> files = linted(kText);
  files.push_back(lint_file("/abs/two.json", two, {}, {}));
  files.push_back(lint_file("broken.json", "{", {}, {}));
  const json::Value sarif = *json::parse(render_lint_sarif(files, "1.2.3"));
  EXPECT_EQ(sarif.get("version"), json::Value("2.1.0"));
  EXPECT_TRUE(sarif.get("$schema").is_string());
  ASSERT_EQ(sarif.get("runs").size(), 1U);
  const json::Value& run = sarif.get("runs")[0];
  const json::Value& rules = run.get("tool").get("driver").get("rules");
  EXPECT_EQ(run.get("tool").get("driver").get("name"), json::Value("sortie"));
  for (const json::Value& rule : rules.items()) {
    EXPECT_TRUE(rule.get("id").is_string());
    for (const char* text : {"shortDescription", "fullDescription", "help"}) {
      EXPECT_FALSE(rule.get(text).get("text").as_string().empty()) << text;
    }
  }
  ASSERT_EQ(run.get("results").size(), 4U);
  for (const json::Value& result : run.get("results").items()) {
    EXPECT_TRUE(result.get("level") == json::Value("error") || result.get("level") == json::Value("warning"));
    EXPECT_FALSE(result.get("message").get("text").as_string().empty());
    const json::Value& rule = rules[static_cast<std::size_t>(result.get("ruleIndex").as_integer())];
    EXPECT_EQ(rule.get("id"), result.get("ruleId"));
    const json::Value& place = result.get("locations")[0].get("physicalLocation");
    EXPECT_GE(place.get("region").get("startLine").as_integer(), 1);
    EXPECT_GE(place.get("region").get("startColumn").as_integer(), 1);
  }
  const json::Value& second = run.get("results")[1].get("locations")[0].get("physicalLocation");
  EXPECT_EQ(second.get("artifactLocation").get("uri"), json::Value("p/a%20b.asl.json"));
  EXPECT_EQ(second.get("region").get("startLine"), json::Value(4));
  EXPECT_EQ(
      run.get("results")[2].get("locations")[0].get("physicalLocation").get("artifactLocation").get("uri"),
      json::Value("file:///abs/two.json"));
  const json::Value& related = run.get("results")[2].get("relatedLocations")[0];
  EXPECT_EQ(related.get("physicalLocation").get("region").get("startLine"), json::Value(3));
  EXPECT_FALSE(related.get("message").get("text").as_string().empty());
}

}  // namespace
}  // namespace sortie::asl
