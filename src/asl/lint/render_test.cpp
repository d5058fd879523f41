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
  EXPECT_EQ(yaml, "p/a b.asl.json:5:11 MISSING_TRANSITION_TARGET Missing 'Next' target: B\n");
}

TEST(LintRender, WritesJsonAndSarifThatReadBack) {
  const auto json = json::parse(render_lint_json(linted(kText)));
  ASSERT_TRUE(json.ok());
  EXPECT_EQ(json->get("errors"), json::Value(1));
  EXPECT_EQ(json->get("warnings"), json::Value(1));
  EXPECT_EQ(json->get("findings")[0].get("pointer"), json::Value("/States/é"));
  const auto sarif = json::parse(render_lint_sarif(linted(kText), "1.2.3"));
  ASSERT_TRUE(sarif.ok());
  const json::Value& run = sarif->get("runs")[0];
  EXPECT_EQ(run.get("tool").get("driver").get("rules").size(), lint_rules().size());
  EXPECT_EQ(run.get("results").size(), 2U);
  const json::Value& place = run.get("results")[1].get("locations")[0].get("physicalLocation");
  EXPECT_EQ(place.get("artifactLocation").get("uri"), json::Value("p/a%20b.asl.json"));
  EXPECT_EQ(place.get("region").get("startLine"), json::Value(4));
}

}  // namespace
}  // namespace sortie::asl
