// Protects the engine's contract: values, the singleton rule, tuples, functions, both modes, error codes with
// positions, and that every hostile expression ends in an error. Breadth comes from recorded answers.
#include "expr/jsonata/jsonata.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/hash.h"
#include "json/text.h"

namespace sortie::jsonata {
namespace {

constexpr std::string_view kOrders =
    R"({"order":{"id":7,"items":[{"sku":"a","price":10,"qty":2},{"sku":"b","price":5,"qty":1}]},"one":[5]})";

// The result as JSON text; "undefined", "function", "nonfinite", or the error's code and place.
std::string run(std::string_view expression, Mode mode = Mode::kStandard, Limits limits = {},
                bool over_document = true) {
  const auto program = Program::compile(expression, mode);
  if (!program) return program.error().code + " at " + program.error().place;
  const json::Value input = *json::parse(kOrders);
  SeededRandom random(1);
  Inputs inputs{
      .input = over_document ? &input : nullptr, .now = {1521801216617}, .random = &random, .limits = limits};
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
  EXPECT_EQ(run("$random(5) = $random(5)", Mode::kAws, {}, false), "true");
  EXPECT_EQ(run("$random(5)", Mode::kAws), "T0410");
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

TEST(Jsonata, ZonesThatAreNoNumbersMakeEverythingNotANumber) {
  EXPECT_EQ(run(R"($fromMillis(0, "[Y]-[M01]T[H01] [Z] [z] [P] [Yi]", "Z"))"),
            R"("NaN-NaNTNaN 0N:aN GMT0N:aN am ")");
  EXPECT_EQ(run(R"($fromMillis(0, "[Z0]", "abc"))"), R"("NaN:NaN")");
  EXPECT_EQ(run(R"($fromMillis(0, "[MNn] [FNn]", ""))"), R"("undefined undefined")");
  EXPECT_EQ(run(R"($fromMillis(0, "[FN]", "x"))"), "D3110");
  EXPECT_EQ(run(R"($fromMillis(0, "[Yw]", "x"))"), "D1001");
  EXPECT_EQ(run(R"($fromMillis(1e20, "[D] [Z]"))"), R"("NaN +00:00")");
  EXPECT_EQ(run(R"($fromMillis(0, "[H01]:[m01]", " +0530x"))"), R"("05:30")");
}

TEST(Jsonata, AFunctionForATextIsInsertedAsItsSource) {
  EXPECT_EQ(run(R"($substring($replace("abc", "b", function($x){$x}), 0, 17))"), R"("aasync function (")");
  EXPECT_EQ(run(R"(function($v){$replace($v, "a", $trim)}("xa"))"), R"("x[object Object]")");
  EXPECT_EQ(run(R"($substring(function($v, $f){$replace($v, "a", $f)}("a", $trim), 0, 5))"), R"("async")");
  EXPECT_EQ(run(R"($length($replace("b", "b", $uppercase)) = $length("b" ~> $replace("b", $trim)))"), "true");
}

TEST(Jsonata, HalvesOfPairsLeaveTheEngineOnlyWhereTheyAreAskedFor) {
  const auto program = Program::compile(R"({"\uD83D": $split("\uD83D\uDE00!", "")})", Mode::kStandard);
  EXPECT_EQ(json::to_text(program->evaluate({})->value),
            "{\"\xEF\xBF\xBD\":[\"\xEF\xBF\xBD\",\"\xEF\xBF\xBD\",\"!\"]}");
  const auto kept = program->evaluate({.keep_halves = true});
  EXPECT_EQ(to_text_with_halves(kept->value), R"({"\ud83d":["\ud83d","\ude00","!"]})");
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

TEST(Jsonata, ABigArrayIsWorkedOnInStepsThatGrowWithItsSize) {
  std::string text = "[";
  for (int i = 0; i < 100'000; ++i) {
    text += i == 0 ? "" : ",";
    text +=
        R"({"n":)" + std::to_string(i % 50'000) + R"(,"at":{"k":)" + std::to_string(i % 50'000 / 2) + "}}";
  }
  const json::Value input = *json::parse(text + "]");
  const auto result = [&input](std::string_view expression) {
    const Inputs inputs{.input = &input, .limits = {.steps_max = 2'000'000, .bytes_max = 64 << 20}};
    const auto outcome = Program::compile(expression, Mode::kStandard)->evaluate(inputs);
    return outcome ? json::to_text(outcome->value) : outcome.error().code;
  };
  EXPECT_EQ(result("$count($distinct($))"), "50000");
  EXPECT_EQ(result("$sum(at.k)"), "1249950000");
  EXPECT_EQ(result("$[n = 49999][0].at.k"), "24999");
  EXPECT_EQ(result("$count($@$x[$$[n = $x.n]])"), "D1012");
}

TEST(Jsonata, DistinctTakesEqualValuesForOne) {
  EXPECT_EQ(run(R"($distinct([{"a":1,"b":[2]},{"b":[2],"a":1},{"a":1},[1],[1],null,null,true,-0,0]))"),
            R"([{"a":1,"b":[2]},{"a":1},[1],null,true,0])");
}

TEST(Jsonata, SequencesThatAPathTakesOverAreStillSequences) {
  EXPECT_EQ(run("one^(<$)"), "5");
  EXPECT_EQ(run("order.items^(price)[0].sku"), R"("b")");
  EXPECT_EQ(run("($x := order.items; $x.sku)"), R"(["a","b"])");
  EXPECT_EQ(run("nothing#$i{'a': 1}"), "{}");
}

TEST(Jsonata, LettersChangeCaseAsInUnicode) {
  EXPECT_EQ(run("$uppercase('stra\u00DFe \uFB01')"), R"("STRASSE FI")");
  EXPECT_EQ(run("$lowercase('\u039F\u03A3 \u03A3\u0391')"), "\"\u03BF\u03C2 \u03C3\u03B1\"");
  EXPECT_EQ(run("$uppercase('\U00010428')"), "\"\U00010400\"");
}

TEST(Jsonata, RegularExpressionsSeeUnitsOfUtf16) {
  EXPECT_EQ(run("$replace('a\U0001F600', /./, 'x')"), R"("xxx")");
  EXPECT_EQ(run("$replace('a\U0001F600b', /[^b]+/, '<$0>')"), "\"<a\U0001F600>b\"");
  EXPECT_EQ(run("$split('\U0001F600,\U0001F601', /,/)"), "[\"\U0001F600\",\"\U0001F601\"]");
  EXPECT_EQ(run("$match('\U0001F600b', /b/).index"), "2");
  EXPECT_EQ(run("$split('\U0001F600', '')"), "[\"\uFFFD\",\"\uFFFD\"]");
}

TEST(Jsonata, DatesAreReadInEveryFormOfIso8601) {
  EXPECT_EQ(run("$toMillis('1970')"), "0");
  EXPECT_EQ(run("$toMillis('1970-01-02T00:00:00.0009+01:00')"), "82800000");
  EXPECT_EQ(run("$toMillis('1970-0100')"), "3600000");  // A month cannot be followed by digits: a zone.
  EXPECT_EQ(run("$toMillis('1970-01-01T00:00')"), "D3110");
  EXPECT_EQ(run("$fromMillis(-1)"), R"("1969-12-31T23:59:59.999Z")");
}

// Twelve megabytes would not hold what these loops allocate in all.
TEST(Jsonata, MemoryThatIsNotNeededAnyMoreDoesNotCount) {
  const Limits limits{.bytes_max = 12 << 20};
  const auto small = [&](std::string_view text) { return run(text, Mode::kStandard, limits); };
  EXPECT_EQ(small("($f := function($n){$n = 0 ? 'done' : $f($n - 1)}; $f(100000))"), R"("done")");
  EXPECT_EQ(
      small("($f := function($n, $v){$n = 0 ? $v.a : $f($n - 1, {'a': $n, 'b': [$v.a]})}; $f(50000, {}))"),
      "1");
  EXPECT_EQ(small("$sum($map([1..30000], function($x){$count($split($pad('', 50, 'ab'), 'a'))}))"), "780000");
  EXPECT_EQ(small("$count($reduce([1..50000], function($a, $x){$append($a, $x)}, []))"), "50000");
  EXPECT_EQ(small("$reduce([1..3000], function($a, $x){[$x, $a[[0..50]]]}, [])[0]"), "3000");
  EXPECT_EQ(small("$count([1..50000][($s := $string($) & 'x'; $length($s) > 0)])"), "50000");
}

TEST(Jsonata, WhatClosuresAndOuterScopesHoldSurvivesTheEndOfACall) {
  EXPECT_EQ(run("($g := function($x){($t := 'v' & $x; function(){$t})}; $h := $map([1..3], $g); $h[1]())"),
            R"("v2")");
  EXPECT_EQ(run("($a := 'none'; [1..3][($a := 'kept' & $string($); true)]; $a)"), R"("none")");
  EXPECT_EQ(run("([1..3][$a := 'kept' & $string($)]; $a)"), R"("kept3")");
  EXPECT_EQ(
      run("($f := function($n, $g){$n = 0 ? $g(1) : $f($n - 1, function($x){$x + $n})}; $f(20000, $abs))"),
      "2");
}

TEST(Jsonata, ValuesNestedDeeperThanTheStackAreAnError) {
  const Limits limits{.stack_bytes_max = 512 << 10};
  const std::string nest =
      "($n := function($i, $v){$i = 0 ? $v : $n($i - 1, [[$v]])}; $v := $n(20000, [[1]]); ";
  // An optimizing compiler makes a loop of the recursion in $boolean; then there is an answer.
  EXPECT_THAT(run(nest + "$boolean($v))", Mode::kStandard, limits), testing::AnyOf("D1011", "true"));
  for (const char* use : {"$v = $v", "$distinct([$v, $v])", "$v.*", "$keys($v)", "$spread($v)", "$v.a",
                          "$string($v)", "$clone($v)", "$count($v.**)", "$v"})
    EXPECT_EQ(run(nest + use + ")", Mode::kStandard, limits), "D1011") << use;
  const std::string chain =
      "($c := function($i, $f){$i = 0 ? $f(1) : $c($i - 1, $f ~> $abs)}; $c(20000, $abs))";
  EXPECT_EQ(run(chain, Mode::kStandard, limits), "D1011");
}

}  // namespace
}  // namespace sortie::jsonata
