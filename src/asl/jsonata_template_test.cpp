// JSONata fields: what counts as an expression, what it may reach, and what is refused beforehand.
#include "asl/jsonata_template.h"

#include <gtest/gtest.h>

#include "asl/compile.h"
#include "asl/jsonata_names.h"
#include "asl/variable_references.h"
#include "json/text.h"

namespace sortie::asl {
namespace jsonata_template_test {

std::string evaluated(const std::string& tree, const std::string& states = "{}") {
  const Result<JsonataTemplate> made = JsonataTemplate::compile(*json::parse(tree));
  if (!made.ok()) return made.error().message;
  const json::Value bound = *json::parse(states);
  const auto result = made->evaluate({.states = &bound, .now = {}});
  if (const auto* failure = std::get_if<QueryFailure>(&result)) return "failed at " + failure->path;
  return json::to_text(std::get<json::Value>(result));
}

TEST(JsonataTemplate, OnlyAStringThatIsBracedFromEndToEndIsAnExpression) {
  EXPECT_EQ(evaluated(R"(["{% 1+1 %}","{%2%}"," {% 1 %}","{% 1 %} ","$states.input","{%}"])"),
            R"([2,2," {% 1 %}","{% 1 %} ","$states.input","{%}"])");
  EXPECT_EQ(evaluated(R"({"{% 1 %}":{"a.$":"$.b"}})"), R"({"{% 1 %}":{"a.$":"$.b"}})");
}

TEST(JsonataTemplate, AnUndefinedMemberOfAnObjectIsAbsentAnUndefinedExpressionFails) {
  EXPECT_EQ(evaluated(R"("{% {'a': $states.input.no, 'b': 1} %}")"), R"({"b":1})");
  EXPECT_EQ(evaluated(R"({"x":[{"y":"{% $states.input.no %}"}]})"), "failed at /x[0]/y");
}

TEST(JsonataTemplate, AnEndlessExpressionEnds) {
  EXPECT_EQ(evaluated(R"("{% ($f := function($n){ $f($n + 1) }; $f(0)) %}")"), "failed at ");
}

TEST(JsonataNames, KnowsFreeVariablesFromBoundOnesAndFromText) {
  const JsonataNames names = scan_jsonata_names(
      R"(($local := $outer; $map($list, function($v, $i){ $v & '$quoted' & $local }) ~> $join("x") /* $no */))");
  EXPECT_EQ(names.free, (std::set<std::string>{"outer", "list"}));
  EXPECT_EQ(scan_jsonata_names(R"($match($text, /'$a/) / $b)").free, (std::set<std::string>{"text", "b"}));
}

TEST(JsonataNames, KnowsWhichMembersOfStatesCanBeReached) {
  EXPECT_EQ(scan_jsonata_names("$states.input.a & $states . result").reached, kStatesInput | kStatesResult);
  EXPECT_EQ(scan_jsonata_names("$keys($states)").reached, 15);
  EXPECT_EQ(scan_jsonata_names("$keys($states)").named, 0);
  EXPECT_EQ(scan_jsonata_names("'$states.result'").named, 0);
}

// What compile() finds wrong with a state "A" with these members.
std::string refusal(const std::string& members) {
  return compile(R"({"QueryLanguage":"JSONata","StartAt":"A","States":{"A":{)" + members +
                 R"(,"End":true}}})")
      .error_text();
}

TEST(JsonataTemplate, NamingWhatAFieldCannotSeeIsRefusedWhenTheMachineIsCreated) {
  const std::string task = R"("Type":"Task","Resource":"arn:aws:lambda:us-east-1:123456789012:function:f",)";
  EXPECT_NE(refusal(task + R"("Arguments":"{% $states.result %}")").find("'$states.result', which is not"),
            std::string::npos);
  EXPECT_EQ(refusal(task + R"("Output":"{% $states.result %}")"), "");
  EXPECT_NE(refusal(task + R"("Output":"{% $states.errorOutput %}")").find("at /States/A/Output"),
            std::string::npos);
  EXPECT_NE(refusal(R"("Type":"Pass","Output":"{% $states.result %}")").find("$states.result"),
            std::string::npos);
}

TEST(JsonataTemplate, AnExpressionThatDoesNotCompileIsRefusedWithItsReason) {
  const std::string text = refusal(R"("Type":"Pass","Output":{"a":["{% $states.input. %}"]})");
  EXPECT_NE(text.find("The JSONata expression '$states.input.' specified for the field 'Output/a[0]' is not "
                      "valid. S0"),
            std::string::npos)
      << text;
}

TEST(JsonataTemplate, AnExpressionStandsOnlyWhereAFieldMayBeComputed) {
  EXPECT_EQ(refusal(R"("Type":"Wait","Seconds":"{% 1 %}")"), "");
  EXPECT_NE(refusal(R"("Type":"Wait","Seconds":"1")").find("Expected value of type Integer"),
            std::string::npos);
  EXPECT_NE(refusal(R"("Type":"Pass","Assign":"{% {} %}")").find("Expected value of type"),
            std::string::npos);
}

TEST(JsonataTemplate, VariablesOfExpressionsAreListedForDescribe) {
  const Compilation made = compile(R"({"QueryLanguage":"JSONata","StartAt":"A","States":{
      "A":{"Type":"Pass","Output":"{% $map($list, $uppercase) %}","Assign":{"x":"{% $sum($n) + $y %}"},
      "End":true}}})");
  ASSERT_TRUE(made.ok()) << made.error_text();
  EXPECT_EQ(variable_references(*made.machine).at("A"), (std::set<std::string>{"list", "n", "y"}));
}

}  // namespace jsonata_template_test
}  // namespace sortie::asl
