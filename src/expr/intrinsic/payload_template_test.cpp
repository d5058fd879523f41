#include "expr/intrinsic/payload_template.h"

#include <gtest/gtest.h>

#include "json/text.h"

namespace sortie::intrinsic {
namespace {

std::string filled(std::string_view text, std::string_view input) {
  auto compiled = PayloadTemplate::compile(*json::parse(text));
  if (!compiled) return compiled.error().message;
  const json::Value document = *json::parse(input);
  auto value = compiled->evaluate({.input = &document});
  return value ? json::to_text(*value) : value.error().code;
}

TEST(PayloadTemplate, EvaluatesMembersWithTheSuffixAtAnyDepth) {
  EXPECT_EQ(
      filled(R"j({"a.$":"$.x","b":{"c.$":"States.Array($.x)"},"d":[{"e.$":"$.x"},1]})j", R"j({"x":5})j"),
      R"j({"a":5,"b":{"c":[5]},"d":[{"e":5},1]})j");
  EXPECT_EQ(filled(R"j({".$":"$.x"})j", R"j({"x":5})j"), R"j({"":5})j");
}

TEST(PayloadTemplate, LeavesEverythingElseLiteral) {
  constexpr std::string_view kConstant =
      R"j({"a":"$.x","b":["$.x","$$"],"c":"States.Array(1)","d":"{% 1 %}","$":"$","e.$f":"$.x","n":null})j";
  EXPECT_EQ(filled(kConstant, "{}"), json::to_text(*json::parse(kConstant)));
  EXPECT_TRUE(PayloadTemplate::compile(*json::parse(kConstant))->is_constant());
  EXPECT_EQ(filled(R"j("$.x")j", "{}"), R"j("$.x")j");
  EXPECT_EQ(filled("[]", "{}"), "[]");
}

TEST(PayloadTemplate, SharesConstantSubTreesWithTheTemplate) {
  const json::Value tree = *json::parse(R"j({"fixed":{"x":[1]},"k.$":"$"})j");
  const auto compiled = PayloadTemplate::compile(tree);
  EXPECT_FALSE(compiled->is_constant());
  EXPECT_EQ(compiled->evaluate({})->find("fixed")->identity(), tree.find("fixed")->identity());
  const json::Value constant = *json::parse(R"j({"fixed":{"x":[1]}})j");
  EXPECT_EQ(PayloadTemplate::compile(constant)->evaluate({})->identity(), constant.identity());
}

TEST(PayloadTemplate, SaysWhichFieldIsNoExpressionAndWhereItStands) {
  const auto refused = [](std::string_view text) {
    return PayloadTemplate::compile(*json::parse(text)).error();
  };
  const Error nested = refused(R"j({"a":[{},{"b/c":{"k.$":"nonsense"}}]})j");
  EXPECT_EQ(nested.code, kInvalidExpression);
  EXPECT_EQ(nested.message,
            "The value for the field 'k.$' must be a valid JSONPath or a valid intrinsic function call");
  EXPECT_EQ(nested.place, "/a/1/b~1c");
  EXPECT_EQ(refused(R"j({"k.$":5})j").message, nested.message);
  EXPECT_EQ(refused(R"j({"k.$":{"x":1}})j").place, "");
  EXPECT_EQ(refused(R"j({"k.$":"States.Array("})j").message, nested.message);
  EXPECT_FALSE(refused(R"j({"k":1,"k.$":"$"})j").message.empty());
}

TEST(PayloadTemplate, CarriesWhatATextAboutTheFailureNeeds) {
  const auto compiled =
      PayloadTemplate::compile(*json::parse(R"j({"a":[{"k.$":"$.x"}],"z.$":"States.UUID()"})j"));
  const json::Value input = *json::parse("{}");
  TemplateFailure failure;
  const auto result = compiled->evaluate({.input = &input}, &failure);
  EXPECT_EQ(result.error().code, jsonpath::kPathNotFound);
  EXPECT_EQ(result.error().message, "No results for path: $['x']");
  EXPECT_EQ(result.error().place, "/a/0/k.$");
  EXPECT_EQ(failure.field, "k.$");
  EXPECT_EQ(failure.expression, "$.x");
  EXPECT_TRUE(failure.is_path);
  const json::Value found = *json::parse(R"j({"x":1})j");
  EXPECT_EQ(compiled->evaluate({.input = &found}, &failure).error().place, "/z.$");
  EXPECT_FALSE(failure.is_path);
}

TEST(PayloadTemplate, ListsTheVariablesItUses) {
  const auto compiled =
      PayloadTemplate::compile(*json::parse(R"j({"a.$":"$b","c":[{"d.$":"States.Array($e, $b.x)"}],"f":"$g"
})j"));
  ASSERT_EQ(compiled->variable_names().size(), 2u);
  EXPECT_EQ(compiled->variable_names()[0], "b");
  EXPECT_EQ(compiled->variable_names()[1], "e");
}

TEST(PayloadTemplate, BoundsItsDepth) {
  json::Value deep = json::Value::object({{json::Value("k.$"), json::Value("$")}});
  for (int i = 0; i < 900; ++i) deep = json::Value::array({deep});
  EXPECT_FALSE(PayloadTemplate::compile(deep).ok());
  json::Value wide = json::Value::object({{json::Value("k.$"), json::Value("$")}});
  for (int i = 0; i < 150; ++i) wide = json::Value::array({wide});
  EXPECT_TRUE(PayloadTemplate::compile(wide)->evaluate({}).ok());
}

}  // namespace
}  // namespace sortie::intrinsic
