#include "expr/pattern/input_transformer.h"

#include <gtest/gtest.h>

#include "json/text.h"

namespace sortie::pattern {
namespace {

const char* kEvent = R"({"version":"0","id":"1","detail-type":"T","source":"s","detail":{
  "quote":"say \"hi\"\n","n":12345678901234567890,"list":[{"id":"a"},{"id":"b"}],"flag":true,"nothing":null}})";

const RuleContext kContext{"arn:aws:events:us-east-1:1:rule/r", "r", "2026-11-22T21:26:59Z"};

std::string render(const InputTransformer::Paths& paths, std::string_view text) {
  auto transformer = InputTransformer::compile(paths, text, "T1");
  if (!transformer) return transformer.error().message;
  return transformer->render(*json::parse(kEvent), kContext).value_or("not delivered");
}

TEST(InputPath, FindsMembersItemsAndAllOfThem) {
  const auto find = [](std::string_view path) {
    const auto value = InputPath::compile(path)->find(*json::parse(kEvent));
    return value ? json::to_text(*value) : "nothing";
  };
  EXPECT_EQ(find("$.detail-type"), R"("T")");
  EXPECT_EQ(find("$.detail.list[1].id"), R"("b")");
  EXPECT_EQ(find("$.detail.list[*].id"), R"(["a","b"])");
  EXPECT_EQ(find("$.detail.list[7]"), "nothing");
  EXPECT_EQ(find("$.detail.nothing"), "null");
  EXPECT_EQ(find("$.detail.n"), "12345678901234567890");
  for (const char* bad :
       {"", "detail", "$detail", "$.", "$..a", "$.a[", "$.a[]", "$.a[x]", "$.a[?(@.b)]", "$['a']"}) {
    EXPECT_FALSE(InputPath::compile(bad).ok()) << bad;
  }
}

TEST(InputTransformer, PutsJsonOutsideQuotesAndCharactersInside) {
  const InputTransformer::Paths paths{{"q", "$.detail.quote"},
                                      {"l", "$.detail.list"},
                                      {"n", "$.detail.n"},
                                      {"x", "$.detail.x"},
                                      {"f", "$.detail.flag"}};
  EXPECT_EQ(render(paths, R"({"a": <q>, "b": "<q>"})"), R"({"a": "say \"hi\"\n", "b": "say \"hi\"\n"})");
  EXPECT_EQ(render(paths, R"({"n": <n>, "x": <x>, "y": "<x>", "f": "<f>"})"),
            R"({"n": 12345678901234567890, "x": "", "y": "", "f": "true"})");
  EXPECT_EQ(render(paths, R"({"l": "<l>"})"), "not delivered");
  EXPECT_EQ(render(paths, "\"<l> and <n>\"\n\"<f>\""),
            "\"[{id:a},{id:b}] and 12345678901234567890\"\n\"true\"");
  EXPECT_EQ(render(paths, R"({"less": "1 < 2 and \"<f>\""})"), R"({"less": "1 < 2 and \"true\""})");
}

TEST(InputTransformer, KnowsThePredefinedVariables) {
  EXPECT_EQ(render({}, R"({"r": "<aws.events.rule-name>", "a": <aws.events.rule-arn>})"),
            R"({"r": "r", "a": "arn:aws:events:us-east-1:1:rule/r"})");
  EXPECT_EQ(render({}, "{\"e\": <aws.events.event>}"),
            R"({"e": {"version":"0","id":"1","detailType":"T","source":"s"}})");
  EXPECT_EQ(render({}, "<aws.events.event.json>"), json::to_text(*json::parse(kEvent)));
  EXPECT_EQ(render({}, R"("at <aws.events.event.ingestion-time>")"), R"("at 2026-11-22T21:26:59Z")");
}

TEST(InputTransformer, RefusesWhatPutTargetsRefuses) {
  EXPECT_EQ(render({}, R"("<missing>")"),
            "InputTemplate for target T1 contains invalid placeholder missing.");
  EXPECT_EQ(render({{"AWS.x", "$.a"}}, "\"x\""), "InputPathsMap for target T1 contains invalid key AWS.x.");
  EXPECT_EQ(render({{"x", "a"}}, "\"x\""), "InputPathsMap for target T1 contains invalid path for key x.");
  EXPECT_NE(render({}, "").find("InputTemplate"), std::string::npos);
  EXPECT_NE(render({}, std::string(8193, 'x')).find("8192"), std::string::npos);
}

}  // namespace
}  // namespace sortie::pattern
