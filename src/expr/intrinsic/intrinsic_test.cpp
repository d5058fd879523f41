#include "expr/intrinsic/intrinsic.h"

#include <gtest/gtest.h>

#include "base/hash.h"
#include "json/text.h"

namespace sortie::intrinsic {
namespace {

struct World {
  json::Value input;
  json::Value context = *json::parse(R"({"Execution":{"Id":"arn:1","Name":"n"}})");
  json::Value people = *json::parse(R"({"list":[10,20],"name":"Ann"})");
  std::function<const json::Value*(std::string_view)> variables = [this](std::string_view name) {
    return name == "people" || name == "größe_1" ? &people : nullptr;
  };
  SeededRandom random{7};

  explicit World(std::string_view text) : input(*json::parse(text)) {}
  Scope scope() { return {&input, &context, &variables, &random}; }
};

// The result's JSON text, or the error's code.
std::string ask(std::string_view expression, std::string_view input = "{}") {
  auto compiled = Expression::compile(expression);
  if (!compiled) return compiled.error().code;
  World world(input);
  auto value = compiled->evaluate(world.scope());
  return value ? json::to_text(*value) : value.error().code;
}

TEST(Intrinsic, EvaluatesBarePathsOverInputContextAndVariables) {
  EXPECT_EQ(ask("$", "[1]"), "[1]");
  EXPECT_EQ(ask("$.a.b", R"({"a":{"b":1}})"), "1");
  EXPECT_EQ(ask("$$.Execution.Id"), R"("arn:1")");
  EXPECT_EQ(ask("$$['Execution'].Name"), R"("n")");
  EXPECT_EQ(ask("$$"), R"({"Execution":{"Id":"arn:1","Name":"n"}})");
  EXPECT_EQ(ask("$people"), R"({"list":[10,20],"name":"Ann"})");
  EXPECT_EQ(ask("$people.list[1]"), "20");
  EXPECT_EQ(ask("$people['name']"), R"("Ann")");
  EXPECT_EQ(ask("$größe_1.name"), R"("Ann")");
}

TEST(Intrinsic, FailsABarePathWithThePathsOwnCode) {
  EXPECT_EQ(ask("$.x"), jsonpath::kPathNotFound);
  EXPECT_EQ(ask("$.a[0]", R"({"a":1})"), jsonpath::kInvalidPath);
  EXPECT_EQ(ask("$$.x"), jsonpath::kPathNotFound);
  EXPECT_EQ(ask("$nobody"), kVariableNotFound);
  EXPECT_EQ(ask("States.Array($nobody)"), kVariableNotFound);
}

TEST(Intrinsic, TellsWhatAnExpressionIs) {
  const auto input = Expression::compile("$.a");
  EXPECT_EQ(input->kind(), ExpressionKind::kInputPath);
  EXPECT_TRUE(input->is_path());
  EXPECT_EQ(input->path()->text(), "$.a");
  const auto context = Expression::compile("$$.a");
  EXPECT_EQ(context->kind(), ExpressionKind::kContextPath);
  EXPECT_EQ(context->path()->text(), "$.a");
  EXPECT_EQ(context->text(), "$$.a");
  EXPECT_TRUE(context->uses_context());
  const auto variable = Expression::compile("$v_1[0].a");
  EXPECT_EQ(variable->kind(), ExpressionKind::kVariablePath);
  EXPECT_EQ(variable->variable_name(), "v_1");
  EXPECT_EQ(variable->path()->text(), "$[0].a");
  const auto call = Expression::compile("States.Array($a, States.Array($b, $$.x), $a.c)");
  EXPECT_EQ(call->kind(), ExpressionKind::kCall);
  EXPECT_FALSE(call->is_path());
  EXPECT_EQ(call->path(), nullptr);
  EXPECT_EQ(call->function_name(), "States.Array");
  EXPECT_TRUE(call->uses_context());
  ASSERT_EQ(call->variable_names().size(), 2u);
  EXPECT_EQ(call->variable_names()[0], "a");
  EXPECT_EQ(call->variable_names()[1], "b");
}

TEST(Intrinsic, ReadsEveryKindOfArgument) {
  EXPECT_EQ(ask("States.Array()"), "[]");
  EXPECT_EQ(ask(" States.Array()"), kInvalidExpression);
  EXPECT_EQ(ask("States.Array( 1 , -2.5,1e2,true,false,null,'x' )"), R"([1,-2.5,100.0,true,false,null,"x"])");
  EXPECT_EQ(ask("States.Array($.a,$$.Execution.Id,$people.name,States.Array($.b[0]))", R"({"a":1,"b":[2]})"),
            R"([1,"arn:1","Ann",[2]])");
  EXPECT_EQ(ask("States.Array($.l[?(@.a == 'x,y)')].a, $['a,b'], $.f(1))",
                R"j({"l":[{"a":"x,y)"}],"a,b":1,"f(1)":2})j"),
            R"j([["x,y)"],1,2])j");
  EXPECT_EQ(ask("States.Array($ , $)", "5"), "[5,5]");
}

TEST(Intrinsic, ReadsTheFourEscapesAndRefusesOthers) {
  EXPECT_EQ(ask(R"j(States.Array('it\'s \{\} \\ {x}'))j"), R"j(["it's {} \\ {x}"])j");
  EXPECT_EQ(ask("States.Array('two\nlines')"), R"(["two\nlines"])");
  EXPECT_EQ(ask(R"(States.StringToJson('{"text":"An \"escaped\" one"}'))"), kInvalidExpression);
  EXPECT_EQ(ask(R"(States.Array('\n'))"), kInvalidExpression);
  EXPECT_EQ(ask(R"(States.Array('a\))"), kInvalidExpression);
}

TEST(Intrinsic, RefusesAtDefinitionTimeWhatIsNoExpression) {
  for (const std::string_view text : {"",
                                      " ",
                                      "x",
                                      "States",
                                      "States.Array",
                                      "States.Array(",
                                      "States.Array(1",
                                      "States.Array(1,",
                                      "States.Array(,)",
                                      "States.Array(1 2)",
                                      "States.Array(1))",
                                      "States.Array(1) ",
                                      "States.Array(1) x",
                                      "States.array(1)",
                                      "States.Nope(1)",
                                      "Array(1)",
                                      "States.Array(\"x\")",
                                      "States.Array('x)",
                                      "States.Array(+1)",
                                      "States.Array(01)",
                                      "States.Array(nul)",
                                      "States.Array(truex)",
                                      "States.Array($..)",
                                      "States.Array(@.a)",
                                      "States.Array($.a b)",
                                      "States.UUID(1)",
                                      "States.ArrayLength()",
                                      "States.ArrayLength($,$)",
                                      "States.MathRandom(1)",
                                      "States.Format()",
                                      "States.JsonMerge($,$)",
                                      "States.Hash('x')",
                                      "$.",
                                      "$..",
                                      "$1",
                                      "$$$",
                                      "$$x",
                                      "$a b",
                                      "$*",
                                      "{% $x %}",
                                      "ConditionTrue"}) {
    const auto compiled = Expression::compile(text);
    ASSERT_FALSE(compiled.ok()) << text;
    EXPECT_EQ(compiled.error().code, kInvalidExpression) << text;
  }
  EXPECT_EQ(Expression::compile("States.Array(1, @)").error().place, "offset 16");
}

TEST(Intrinsic, NestsTenLevelsDeepAndNoMore) {
  const auto nested = [](int levels) {
    std::string text = "1";
    for (int i = 0; i < levels; ++i) text = "States.Array(" + text + ")";
    return text;
  };
  EXPECT_EQ(ask(nested(10)), "[[[[[[[[[[1]]]]]]]]]]");
  EXPECT_EQ(ask(nested(11)), kInvalidExpression);
  EXPECT_EQ(ask(nested(10'000)), kInvalidExpression);
}

TEST(Intrinsic, WordsAFailureWithTheCallThatFailed) {
  World world(R"({"b":1})");
  const auto compiled = Expression::compile("States.Format('{}', $.a)");
  EXPECT_EQ(
      compiled->evaluate(world.scope()).error(),
      (Error{"States.IntrinsicFailure",
             "The function 'States.Format('{}', $.a)' had the following error: The JsonPath argument for the "
             "field '$.a' could not be found in the input '{\"b\":1}'",
             "", ""}));
  EXPECT_EQ(Expression::compile("States.ArrayLength($.b)")->evaluate(world.scope()).error().message,
            "The function 'States.ArrayLength($.b)' had the following error: States.ArrayLength: argument 1 "
            "must be "
            "an array, not number");
}

TEST(Intrinsic, WorksWithAnEmptyScope) {
  EXPECT_EQ(json::to_text(*Expression::compile("$")->evaluate({})), "{}");
  EXPECT_EQ(json::to_text(*Expression::compile("$$")->evaluate({})), "{}");
  EXPECT_EQ(Expression::compile("$v")->evaluate({}).error().code, kVariableNotFound);
  EXPECT_EQ(Expression::compile("States.UUID()")->evaluate({}).error().code, kIntrinsicFailure);
  EXPECT_EQ(Expression::compile("States.MathRandom(1,5)")->evaluate({}).error().code, kIntrinsicFailure);
}

TEST(Intrinsic, BoundsTheTextOfAnExpression) {
  const std::string long_text = "States.Array('" + std::string(1 << 20, 'x') + "')";
  EXPECT_EQ(ask(long_text), kInvalidExpression);
  std::string wide = "States.Array(1";
  for (int i = 0; i < 100'000; ++i) wide += ",1";
  EXPECT_TRUE(ask(wide + ")").starts_with("[1,1,"));
  EXPECT_EQ(ask("States.Array($.\xff)"), kInvalidExpression);
}

TEST(Intrinsic, BoundsTheTextOfAResult) {
  const std::string input = "\"" + std::string(1 << 20, 'x') + "\"";
  std::string placeholders;
  std::string values;
  for (int i = 0; i < 100; ++i) {
    placeholders += "{}";
    values += ",$";
  }
  const std::string array = "States.Array($" + values + ")";
  EXPECT_EQ(ask("States.Format('" + placeholders + "'" + values + ")", input), kIntrinsicFailure);
  EXPECT_EQ(ask("States.JsonToString(" + array + ")", input), kIntrinsicFailure);
  EXPECT_EQ(ask("States.ArrayUnique(" + array + ")", input), kIntrinsicFailure);
  EXPECT_EQ(ask("States.ArrayLength(" + array + ")", input), "101");
}

}  // namespace
}  // namespace sortie::intrinsic
