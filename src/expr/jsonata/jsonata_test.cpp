// Protects the engine's contract: values, the singleton rule, tuples, functions, both modes, error codes with
// positions, and that every hostile expression ends in an error. Breadth comes from recorded answers.
#include "expr/jsonata/jsonata.h"

#include <gtest/gtest.h>

#include "base/hash.h"
#include "json/text.h"

namespace sortie::jsonata {
namespace {

constexpr std::string_view kOrders =
    R"({"order":{"id":7,"items":[{"sku":"a","price":10,"qty":2},{"sku":"b","price":5,"qty":1}]},"one":[5]})";

// The result as JSON text; "undefined", "function", "nonfinite", or the error's code and place.
std::string run(std::string_view expression, Mode mode = Mode::kStandard, Limits limits = {}) {
  const auto program = Program::compile(expression, mode);
  if (!program) return program.error().code + " at " + program.error().place;
  const json::Value input = *json::parse(kOrders);
  SeededRandom random(1);
  Inputs inputs{.input = &input, .now = {1521801216617}, .random = &random, .limits = limits};
  const json::Value bound = *json::parse(R"({"input":{"a":[1,2,3]}})");
  inputs.bindings.emplace_back("states", &bound);
  const auto outcome = program->evaluate(inputs);
  if (!outcome) return outcome.error().code;
  switch (outcome->kind) {
    case Outcome::Kind::kUndefined:
      return "undefined";
    case Outcome::Kind::kFunction:
      return "function";
    case Outcome::Kind::kNonFinite:
      return "nonfinite";
    default:
      return json::to_text(outcome->value);
  }
}

TEST(Jsonata, SequencesOfOneValueAreThatValueAndPlainArraysStay) {
  EXPECT_EQ(run("order.items[qty=1].sku"), R"("b")");
  EXPECT_EQ(run("order.items[qty=1].sku[]"), R"(["b"])");
  EXPECT_EQ(run("one"), "[5]");
  EXPECT_EQ(run("order.nothing"), "undefined");
  EXPECT_EQ(run("[1..1]"), "[1]");
}

TEST(Jsonata, PathsAggregateSortGroupAndBind) {
  EXPECT_EQ(run("$sum(order.items.(price*qty))"), "25");
  EXPECT_EQ(run("order.items^(price).sku"), R"(["b","a"])");
  EXPECT_EQ(run("order.items{sku: price}"), R"({"a":10,"b":5})");
  EXPECT_EQ(run("order.items#$i.($i & sku)"), R"(["0a","1b"])");
  EXPECT_EQ(run("order.items.(%.id & sku)"), R"(["7a","7b"])");
  EXPECT_EQ(run("order.items@$x.order.items@$y[$x.price > $y.price].($x.sku & $y.sku)"), "undefined");
  EXPECT_EQ(run("order ~> |items|{'n': price}, ['price','qty']|").find("price"), std::string::npos);
}

TEST(Jsonata, FunctionsCloseOverTheirFrameAndTailCallsDoNotNest) {
  EXPECT_EQ(run("($add := function($x){function($y){$x+$y}}; $add(2)(3))"), "5");
  EXPECT_EQ(run("($f := $substring(?, 0, 1); $f('xyz'))"), R"("x")");
  EXPECT_EQ(run("($n := function($i){$i > 20000 ? $i : $n($i + 1)}; $n(0))"), "20001");
  EXPECT_EQ(run("function($x)<s:s>{$x}(1)"), "T0410");
  EXPECT_EQ(run("$map"), "function");
  EXPECT_EQ(run("1/0"), "nonfinite");
}

TEST(Jsonata, AwsModeAddsAndRemovesWhatStepFunctionsDoes) {
  EXPECT_EQ(run("$partition($states.input.a, 2)", Mode::kAws), "[[1,2],[3]]");
  EXPECT_EQ(run("$range(0,10,3)", Mode::kAws), "[0,3,6,9]");
  EXPECT_EQ(run("$range(1,9,9)", Mode::kAws), "1");
  EXPECT_EQ(run("$hash('a','MD5')", Mode::kAws), R"("0cc175b9c0f1b6a831c399e269772661")");
  EXPECT_EQ(run("$parse('{\"a\":[1]}').a", Mode::kAws), "[1]");
  EXPECT_EQ(run("$random(5) = $random(5)", Mode::kAws), "true");
  EXPECT_EQ(run("$eval('1')", Mode::kAws), "T1006");
  EXPECT_EQ(run("$eval('order.id')"), "7");
  EXPECT_EQ(run("$partition([1],1)"), "T1006");
  EXPECT_EQ(run("no ?: 3"), "3");
  EXPECT_EQ(run("no ?: 3", Mode::kAws), "S0211 at offset 5");
}

TEST(Jsonata, RegularExpressionsThatNeedBacktrackingAreRefused) {
  EXPECT_EQ(run(R"($match('ab', /(a)(b)/).groups)"), R"(["a","b"])");
  EXPECT_EQ(run(R"($replace('john smith', /(\w+)\s(\w+)/, '$2, $1'))"), R"("smith, john")");
  EXPECT_EQ(run(R"($contains('a', /(?=a)/))").substr(0, 5), "S0303");
  EXPECT_EQ(run(R"($contains('a', /(a)\1/))").substr(0, 5), "S0303");
}

TEST(Jsonata, PicturesFormatNumbersAndDates) {
  EXPECT_EQ(run("$formatNumber(1234.5, '#,##0.00')"), R"("1,234.50")");
  EXPECT_EQ(run("$formatInteger(1234, 'w')"), R"("one thousand, two hundred and thirty-four")");
  EXPECT_EQ(run("$now()"), R"("2018-03-23T10:33:36.617Z")");
  EXPECT_EQ(run("$fromMillis(0, '[FNn] [D1o] [MNn] [Y]')"), R"("Thursday 1st January 1970")");
  EXPECT_EQ(run("$toMillis('2018-03-23T10:33:36.617Z')"), "1521801216617");
}

TEST(Jsonata, ErrorsSayWhere) {
  EXPECT_EQ(run("1 + "), "S0207 at offset 4");
  EXPECT_EQ(run("a ="), "S0207 at offset 3");
  EXPECT_EQ(run("(1"), "S0203 at offset 2");
  EXPECT_EQ(run("'a"), "S0101 at offset 2");
  EXPECT_EQ(run("1 + 'x'"), "T2002");
}

TEST(Jsonata, HostileExpressionsEndInAnError) {
  std::int64_t ticks = 0;
  Limits limits{.steps_max = 200'000, .bytes_max = 32 << 20, .time_ms_max = 1000};
  limits.elapsed_ms = [&ticks] { return ticks += 1; };
  const auto hostile = [&](std::string_view text) { return run(text, Mode::kStandard, limits); };
  EXPECT_EQ(hostile("($f := function($x){1 + $f($x)}; $f(1))"), "D1011");
  EXPECT_EQ(hostile("($f := function($x){$f($x)}; $f(1))"), "D1012");
  EXPECT_EQ(hostile("[1..1e9]"), "D2014");
  EXPECT_EQ(hostile("$pad('x', 2147483648)"), "D2015");
  EXPECT_EQ(hostile("($f := function($s){$f($s & $s)}; $f('xxxx'))"), "D2015");
  EXPECT_EQ(hostile("$map([1..9999999], function($x){$x})"), "D1012");
  EXPECT_EQ(hostile(std::string(50'000, '[')).substr(0, 5), "D1011");
  EXPECT_EQ(hostile(std::string(50'000, '-') + "1").substr(0, 5), "D1011");
  std::string chain = "1";
  for (int i = 0; i < 50'000; ++i) chain += "+1";
  EXPECT_EQ(hostile(chain).substr(0, 5), "D1011");
  EXPECT_EQ(hostile("'\xff'").substr(0, 5), "S0204");
}

}  // namespace
}  // namespace sortie::jsonata
