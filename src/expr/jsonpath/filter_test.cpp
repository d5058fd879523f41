#include <gtest/gtest.h>

#include "expr/jsonpath/decimal.h"
#include "expr/jsonpath/jsonpath.h"
#include "json/text.h"

namespace sortie::jsonpath {
namespace {

constexpr std::string_view kList =
    R"({"l":[{"a":null},{"b":1},{"a":1},{"a":"1"},{"a":"x"},{"a":[1]},{"a":{}},{"a":true}],"n":[1,2,3],"big":2})";

// What the filter lets through, as JSON text, or the error's code.
std::string kept(std::string_view filter, std::string_view list) {
  auto path = Path::compile("$.l[?(" + std::string(filter) + ")]");
  if (!path) return path.error().code;
  auto value = path->evaluate(*json::parse(list));
  return value ? json::to_text(*value) : value.error().code;
}

std::string kept_a(std::string_view filter, std::string_view values) {
  std::vector<json::Value> items;
  const json::Value parsed = *json::parse(values);
  for (const json::Value& value : parsed.items()) {
    items.push_back(json::Value::object({{json::Value("a"), value}}));
  }
  const json::Value document =
      json::Value::object({{json::Value("l"), json::Value::array(std::move(items))}});
  auto path = Path::compile("$.l[?(" + std::string(filter) + ")].a");
  if (!path) return path.error().code;
  auto value = path->evaluate(document);
  return value ? json::to_text(*value) : value.error().code;
}

TEST(JsonPathFilter, ExistenceMeansPresentAndNotNull) {
  EXPECT_EQ(kept("@.a", kList), R"([{"a":1},{"a":"1"},{"a":"x"},{"a":[1]},{"a":{}},{"a":true}])");
  EXPECT_EQ(kept("!@.a", kList), R"([{"a":null},{"b":1}])");
  EXPECT_EQ(kept("@['a','b']", R"({"l":[{"a":1},{"a":1,"b":2}]})"), R"([{"a":1,"b":2}])");
  EXPECT_EQ(kept("@", R"({"l":[1,null]})"), "[1]");
  // Existence looks below the element even where the path begins at the document.
  EXPECT_EQ(kept("$.a", R"({"l":[{"a":1},{}],"b":1})"), R"([{"a":1}])");
}

TEST(JsonPathFilter, ComparesByTheTypeOfWhatTheDocumentHolds) {
  EXPECT_EQ(kept_a("@.a == 1", R"([1, 1.0, "1", "x", null, [1], {}])"), R"([1,1.0,"1"])");
  EXPECT_EQ(kept_a("@.a == '1'", R"([1, "1"])"), R"([1,"1"])");
  EXPECT_EQ(kept_a("@.a != 1", R"([1, 2, "1", "x", null, [1], {}, true])"), R"([2,"x",null,true])");
  EXPECT_EQ(kept_a("@.a > 0", R"(["x", "", 1, -1])"), R"(["x",1])");
  EXPECT_EQ(kept_a("@.a == true", R"([true, false])"), "[true]");
  EXPECT_EQ(kept_a("@.a == 'TRUE'", R"([true, false])"), "[true]");
  EXPECT_EQ(kept_a("@.a > false", R"([true, false])"), "[true]");
  EXPECT_EQ(kept_a("@.a == null", R"([null, "null", 0, ""])"), R"([null,"null"])");
  EXPECT_EQ(kept_a("@.a != null", R"([null, 0, ""])"), R"([0,""])");
  EXPECT_EQ(kept_a("@.a >= null", R"([null, "null"])"), R"(["null"])");
  EXPECT_EQ(kept_a("@.a == \"x\"", R"(["x"])"), "[]");
  EXPECT_EQ(kept_a("1 == @.a", R"([1, "1"])"), R"(["1"])");
  EXPECT_EQ(kept_a("@.a == 'it\\'s'", R"(["it's", "it\\'s"])"), R"(["it's"])");
}

TEST(JsonPathFilter, ComparesNumbersAsDecimals) {
  EXPECT_EQ(kept_a("@.a < 10", "[8.95, 12.99, 10, 9.99]"), "[8.95,9.99]");
  EXPECT_EQ(kept_a("@.a == 9007199254740993", "[9007199254740993, 9007199254740992]"), "[9007199254740993]");
  EXPECT_EQ(kept_a("@.a == 123456789012345678901234567890", "[123456789012345678901234567890, 1]"),
            "[123456789012345678901234567890]");
  EXPECT_EQ(kept_a("@.a == 1e2", "[100, 100.0, 10]"), "[100,100.0]");
  EXPECT_EQ(kept_a("@.a < 1e999999999", "[1]"), "[1]");
  EXPECT_EQ(kept_a("@.a > .5", "[0.6, 0.4]"), "[0.6]");
}

TEST(JsonPathFilter, DiesOnANumberAgainstTextThatIsNone) {
  EXPECT_EQ(kept_a("@.a == true", "[true, 1]"), kInvalidPath);
  EXPECT_EQ(kept_a("@.a < 'y'", "[1]"), kInvalidPath);
  // An earlier criterion, which is the one further right, shields it.
  EXPECT_EQ(kept_a("@.a < 'y' && @.b", "[1]"), "[]");
}

TEST(JsonPathFilter, OrdersTextByUtf16CodeUnits) {
  EXPECT_EQ(kept_a("@.a < '\uFF5E'", R"(["a", "\ud83d\ude00", "\uffee"])"), R"(["a","😀"])");
}

TEST(JsonPathFilter, ComparesTwoPlaces) {
  EXPECT_EQ(kept("@.p < $.big", R"({"l":[{"p":1},{"p":3}],"big":2})"), R"([{"p":1}])");
  EXPECT_EQ(
      kept("@.p == @.q", R"({"l":[{"p":1,"q":1.0},{"p":"a","q":"a"},{"p":[1],"q":[1]},{"p":1,"q":"1"}]})"),
      R"([{"p":1,"q":1.0},{"p":"a","q":"a"},{"p":1,"q":"1"}])");
  EXPECT_EQ(kept("@.q == @.p", R"({"l":[{"p":1,"q":"1"}]})"), "[]");
  EXPECT_EQ(kept("@.p == @.p", R"({"l":[{"p":[1]},{"p":{}},{"q":1}]})"), R"([{"p":[1]},{"p":{}}])");
  EXPECT_EQ(kept("@ > 1", R"({"l":[3,1,2]})"), "[3,2]");
  EXPECT_EQ(kept("@[(@.length-1)] == 3", R"({"l":[[1,3],[3,1]]})"), "[[1,3]]");
}

TEST(JsonPathFilter, JoinsCriteriaWithAndBeforeOrWhateverTheParentheses) {
  constexpr std::string_view kRows = R"({"l":[{"a":1},{"a":1,"b":1},{"b":1,"c":1},{"c":1}]})";
  EXPECT_EQ(kept("@.a && @.b", kRows), R"([{"a":1,"b":1}])");
  EXPECT_EQ(kept("@.a || @.c", kRows), R"([{"a":1},{"a":1,"b":1},{"b":1,"c":1},{"c":1}])");
  EXPECT_EQ(kept("@.a || @.b && @.c", kRows), R"([{"a":1},{"a":1,"b":1},{"b":1,"c":1}])");
  EXPECT_EQ(kept("(@.a || @.b) && @.c", kRows), R"([{"a":1},{"a":1,"b":1},{"b":1,"c":1}])");
  EXPECT_EQ(kept("!(@.a == 1)", kRows), "[]");
}

TEST(JsonPathFilter, MatchesRegularExpressionsWholly) {
  EXPECT_EQ(kept_a("@.a =~ /Nig.*/", R"(["Nigel", "x Nigel", null, 5])"), R"(["Nigel"])");
  EXPECT_EQ(kept_a("@.a =~ /nigel/i", R"(["Nigel"])"), R"(["Nigel"])");
  EXPECT_EQ(kept_a("@.a =~ /[0-9.]+/", R"([12, 1.5, "x"])"), "[12,1.5]");
  EXPECT_EQ(kept_a("/a+/ =~ @.a", R"(["aa", "b"])"), R"(["aa"])");
  EXPECT_EQ(kept_a("@.a =~ 'x'", R"(["x"])"), kInvalidPath);
  EXPECT_EQ(kept_a("@.a =~ /(?=x)/", R"(["x"])"), kInvalidPath);
  EXPECT_EQ(kept_a("@.a =~ /(a*)*b/", "[\"" + std::string(10'000, 'a') + "\"]"), "[]");
}

TEST(JsonPathFilter, RefusesWhatTheReferenceLibraryRefuses) {
  for (const std::string_view filter : {"", "()", "@.a in ['x']", "@.a subsetof ['x']", "@.a contains 'x'",
                                        "@.a ==  !@.b", "@.*", "@..a == 1", "@.a[?(@.b)]", "@.a &&", "&& @.a",
                                        "@.a && && @.b", "'a && b' == @.a", "@.a == '", "1", "@.a == /("}) {
    EXPECT_FALSE(Path::compile("$.l[?(" + std::string(filter) + ")]").ok()) << filter;
  }
}

TEST(Decimal, ComparesByValue) {
  const auto order = [](std::string_view a, std::string_view b) {
    return Decimal::parse(a)->compare(*Decimal::parse(b));
  };
  EXPECT_EQ(order("1", "1.000"), 0);
  EXPECT_EQ(order("-0", "0.0e5"), 0);
  EXPECT_EQ(order("0.1", "1e-1"), 0);
  EXPECT_EQ(order("100", "1E+2"), 0);
  EXPECT_LT(order("9", "10"), 0);
  EXPECT_LT(order("-10", "-9"), 0);
  EXPECT_GT(order("0.02", "0.0199"), 0);
  EXPECT_LT(order("1e-2000000000", "1e2000000000"), 0);
  EXPECT_GT(order("12", "1.1e1"), 0);
  EXPECT_GT(order("-1", "-1.5"), 0);
}

TEST(Decimal, RefusesWhatIsNoNumber) {
  for (const std::string_view text :
       {"", "-", ".", "1 ", "0x1", "1e", "1e+", "1.2.3", "e1", "1e99999999999", "--1"}) {
    EXPECT_FALSE(Decimal::parse(text).has_value()) << text;
  }
}

}  // namespace
}  // namespace sortie::jsonpath
