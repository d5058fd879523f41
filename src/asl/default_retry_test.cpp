#include "asl/default_retry.h"

#include <gtest/gtest.h>

#include "json/text.h"

namespace sortie::asl {
namespace {

json::Value default_retry() {
  return *json::parse(
      R"([{"ErrorEquals":["Lambda.ServiceException","a b"],"IntervalSeconds":2,"MaxAttempts":6}])");
}

DefaultRetryText retried(const std::string& text) { return with_default_retry(text, default_retry()); }

TEST(DefaultRetry, StandsBeforeWhatEndsATaskInTheLayoutAroundIt) {
  const DefaultRetryText made = retried(R"({
    "StartAt": "A",
    "States": {
        "A": {
            "Type": "Task",
            "Resource": "arn:aws:lambda:us-east-1:123456789012:function:f",
            "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "B"}],
            "Next": "B"
        },
        "B": {"Type": "Task",   "Resource": "arn:aws:lambda:us-east-1:123456789012:function:f", "End": true}
    }
}
)");
  EXPECT_EQ(made.text, R"({
    "StartAt": "A",
    "States": {
        "A": {
            "Type": "Task",
            "Resource": "arn:aws:lambda:us-east-1:123456789012:function:f",
            "Retry": [
                {
                    "ErrorEquals": ["Lambda.ServiceException", "a b"],
                    "IntervalSeconds": 2,
                    "MaxAttempts": 6
                }
            ],
            "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "B"}],
            "Next": "B"
        },
        "B": {"Type": "Task",   "Resource": "arn:aws:lambda:us-east-1:123456789012:function:f", "Retry": [{"ErrorEquals":["Lambda.ServiceException","a b"],"IntervalSeconds":2,"MaxAttempts":6}], "End": true}
    }
}
)");
  EXPECT_EQ(made.states, (std::vector<std::string>{"A", "B"}));
  EXPECT_FALSE(made.is_reprinted);
  EXPECT_TRUE(compile(made.text).ok());
}

TEST(DefaultRetry, ReachesTheTasksOfBranchesAndProcessors) {
  const std::string task =
      R"({"Type":"Task","Resource":"arn:aws:lambda:us-east-1:123456789012:function:f","End":true})";
  const std::string text =
      R"({"StartAt":"P","States":{"P":{"Type":"Parallel","Next":"M","Branches":[{"StartAt":"A\"]","States":{"A\"]":)" +
      task + R"(}},{"StartAt":"B","States":{"B":)" + task +
      R"(}}]},"M":{"Type":"Map","End":true,"ItemProcessor":{"StartAt":"C","States":{"C":)" + task + "}}}}}";
  const DefaultRetryText made = retried(text);
  EXPECT_EQ(made.states, (std::vector<std::string>{"A\"]", "B", "C"}));
  EXPECT_FALSE(made.is_reprinted);
  EXPECT_TRUE(compile(made.text).ok()) << compile(made.text).error_text();
  EXPECT_EQ(made.text.find(": "), std::string::npos);  // As tight as its surroundings.
}

TEST(DefaultRetry, LeavesARetryAloneAnEmptyOneToo) {
  const std::string text =
      R"({"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:lambda:us-east-1:123456789012:function:f","Retry":[],"End":true},"W":{"Type":"Pass","End":true}}})";
  EXPECT_EQ(retried(text).text, text);
  EXPECT_TRUE(retried(text).states.empty());
  EXPECT_EQ(with_default_retry("{\"States\": {", default_retry()).text, "{\"States\": {");
  EXPECT_EQ(with_default_retry(text, json::Value()).text, text);
}

TEST(DefaultRetry, TwiceIsOnce) {
  const std::string json = R"({"StartAt":"A","States":{"A":{"End":true,"Type":"Task","Resource":"r"}}})";
  const std::string yaml = "StartAt: A\nStates:\n  A:\n    Type: Task\n    Resource: r\n    End: true\n";
  for (const std::string& text : {json, yaml}) {
    const std::string once = retried(text).text;
    EXPECT_NE(once, text);
    EXPECT_EQ(retried(once).text, once);
  }
}

TEST(DefaultRetry, KeepsYamlWithItsCommentsAsItIs) {
  const DefaultRetryText made = retried(R"(# What happens when
StartAt: "é"
States:
  "é":   # the first
    Type: Task
    Resource: arn:aws:lambda:us-east-1:123456789012:function:f
    # Then the second,
    # which is in JSON's style.
    Next: B
  B: {Type: Task, Resource: r, Next: C}  # short
  C: {Type: Task, Resource: "é",
      End: true}
)");
  EXPECT_EQ(made.text, R"(# What happens when
StartAt: "é"
States:
  "é":   # the first
    Type: Task
    Resource: arn:aws:lambda:us-east-1:123456789012:function:f
    Retry:
      - ErrorEquals: [Lambda.ServiceException, "a b"]
        IntervalSeconds: 2
        MaxAttempts: 6
    # Then the second,
    # which is in JSON's style.
    Next: B
  B: {Type: Task, Resource: r, "Retry": [{"ErrorEquals":["Lambda.ServiceException","a b"],"IntervalSeconds":2,"MaxAttempts":6}], Next: C}  # short
  C: {Type: Task, Resource: "é",
      "Retry": [
          {
              "ErrorEquals": ["Lambda.ServiceException", "a b"],
              "IntervalSeconds": 2,
              "MaxAttempts": 6
          }
      ],
      End: true}
)");
  EXPECT_FALSE(made.is_reprinted);
}

TEST(DefaultRetry, WritesAYamlAnchorOnceForAllItsAliases) {
  const std::string text =
      "StartAt: A\nStates:\n  A: &task\n    Type: Task\n    Resource: r\n    End: true\n  B: *task\n  C:\n   "
      " <<: *task\n"
      "    Resource: s\n";
  const DefaultRetryText made = retried(text);
  EXPECT_EQ(made.states, (std::vector<std::string>{"A", "B", "C"}));
  EXPECT_FALSE(made.is_reprinted);
  EXPECT_TRUE(retried(made.text).states.empty());
  EXPECT_EQ(made.text.size() - text.size(), made.text.find("    End: true") - text.find("    End: true"));
}

TEST(DefaultRetry, PrintsAnewWhatCannotBeEdited) {
  // Only a Task by its alias is one: the anchor is a Pass of another name.
  const DefaultRetryText made = retried(
      "StartAt: A\nStates:\n  A: &base\n    Type: Pass\n    End: true\n  B:\n    <<: *base\n    Type: Task\n "
      "   Resource: r\n");
  EXPECT_TRUE(made.is_reprinted);
  EXPECT_EQ(made.text[0], '{');
  EXPECT_TRUE(json::parse(made.text)->get("States").get("B").has("Retry"));
  EXPECT_FALSE(json::parse(made.text)->get("States").get("A").has("Retry"));
}

TEST(DefaultRetry, KeepsLineEnds) {
  const DefaultRetryText json =
      retried("{\r\n \"StartAt\":\"A\",\r\n \"States\":{\"A\":{\"Type\":\"Task\",\r\n  \"End\":true}}}");
  EXPECT_NE(json.text.find("\"Retry\": [\r\n"), std::string::npos) << json.text;
  EXPECT_EQ(json.text.find("[\n"), std::string::npos) << json.text;
  const DefaultRetryText yaml = retried("States:\r\n  A:\r\n    Type: Task\r\n    End: true\r\n");
  EXPECT_NE(yaml.text.find("    Retry:\r\n      - ErrorEquals"), std::string::npos) << yaml.text;
  EXPECT_FALSE(json.is_reprinted || yaml.is_reprinted);
}

TEST(DefaultRetry, IsCheckedLikeAnyRetry) {
  EXPECT_TRUE(check_retry(default_retry()).empty());
  const auto wrong = check_retry(*json::parse(R"([{"ErrorEquals":["States.ALL"],"MaxAttempts":-1}])"));
  ASSERT_EQ(wrong.size(), 1U);
  EXPECT_EQ(wrong[0].pointer, "/0/MaxAttempts");
  EXPECT_FALSE(check_retry(json::Value("often")).empty());
  EXPECT_FALSE(
      check_retry(*json::parse(R"([{"ErrorEquals":["States.ALL"]},{"ErrorEquals":["x"]}])")).empty());
}

}  // namespace
}  // namespace sortie::asl
