#include "expr/jsonpath/jsonpath.h"

#include <gtest/gtest.h>

#include "expr/jsonpath/java_text.h"
#include "json/text.h"

namespace sortie::jsonpath {
namespace {

// The result's JSON text, or "CODE: message".
std::string ask_value(std::string_view selector, const json::Value& document) {
  auto path = Path::compile(selector);
  if (!path) return path.error().code + ": " + path.error().message;
  auto value = path->evaluate(document);
  if (!value) return value.error().code + ": " + value.error().message;
  return json::to_text(*value);
}

std::string ask(std::string_view selector, std::string_view document) {
  return ask_value(selector, *json::parse(document));
}

struct Row {
  std::string_view selector;
  std::string_view document;
  std::string_view want;  // The result's text; an error's code and message; or its code alone.
};

void check(std::initializer_list<Row> rows) {
  for (const Row& row : rows) {
    const std::string got = ask(row.selector, row.document);
    if (row.want.starts_with('I') || row.want.starts_with("PathLimit")) {
      EXPECT_TRUE(got.starts_with(row.want)) << row.selector << " gave " << got;
    } else {
      EXPECT_EQ(got, row.want) << row.selector << " over " << row.document;
    }
  }
}

constexpr std::string_view kItems =
    R"({"a":{"b":[1,2,3]},"e":[],"n":null,"s":"x","o":{"p":{"a":1},"q":{"b":2},"r":3}})";

TEST(JsonPath, FollowsNamesAndIndices) {
  check({
      {"$", "[1]", "[1]"},
      {"$.a.b", kItems, "[1,2,3]"},
      {"$['a']['b'][1]", kItems, "2"},
      {"$.a.b[0]", kItems, "1"},
      {"@.s", kItems, R"("x")"},
      {"s", kItems, R"("x")"},
      {" $.s ", kItems, R"("x")"},
      {"$.a.['b'].[2]", kItems, "3"},
      {"$.n", kItems, "null"},
      {"$['a'][ 'b' ]", kItems, "[1,2,3]"},
      {"$.a.b[(@.length-1)]", kItems, "3"},
      {"$.a.b[(@.size() - 3)]", kItems, "1"},
      {"$['s','n','zz']", kItems, R"({"s":"x","n":null})"},
  });
}

TEST(JsonPath, WordsAbsenceAsTheReferenceLibraryDoes) {
  check({
      {"$.x", kItems, "PathNotFound: No results for path: $['x']"},
      {"$.no.such", kItems, "PathNotFound: Missing property in path $['no']"},
      {"$.a.x", kItems, "PathNotFound: No results for path: $['a']['x']"},
      {"$.s.x", kItems, "PathNotFound: Property ['x'] not found in path $['s']"},
      {"$.a.b.length()", kItems, "PathNotFound: Property ['length()'] not found in path $['a']['b']"},
      {"$.e[0]", kItems, "PathNotFound: Index out of bounds when evaluating path $['e'][0]"},
      {"$.a.b[-1]", kItems, "PathNotFound: Index out of bounds when evaluating path $['a']['b'][-1]"},
      {"$.a.b[0,9]", kItems, "PathNotFound: Index out of bounds when evaluating path $['a']['b'][9]"},
      {"$.n[0]", kItems, "PathNotFound: The path $['n'] is null"},
      {"$.s[0]", kItems, "InvalidPath: Filter: [0] can only be applied to arrays. Current context is: x"},
      {"$.o[1:].z", kItems,
       "InvalidPath: Filter: [1:]['z'] can only be applied to arrays. Current context is: {p={a=1}, q={b=2}, "
       "r=3}"},
      {"$.s[?(@.x)]", kItems,
       "InvalidPath: Filter: [?] can not be applied to primitives. Current context is: x"},
      {"$['a','s'].x", kItems, "InvalidPath: Multi properties can only be used as path leafs: $['a', 's']"},
  });
}

TEST(JsonPath, SlicesClipTheirBoundsAndCountFromTheEndOnlyOnOneSide) {
  check({
      {"$.a.b[1:]", kItems, "[2,3]"},
      {"$.a.b[-2:]", kItems, "[2,3]"},
      {"$.a.b[-9:]", kItems, "[1,2,3]"},
      {"$.a.b[9:]", kItems, "[]"},
      {"$.a.b[:2]", kItems, "[1,2]"},
      {"$.a.b[:-1]", kItems, "[1,2]"},
      {"$.a.b[:9]", kItems, "[1,2,3]"},
      {"$.a.b[0:2]", kItems, "[1,2]"},
      {"$.a.b[1:-1]", kItems, "[]"},
      {"$.a.b[-3:-1]", kItems, "PathNotFound: Index out of bounds when evaluating path $['a']['b'][-3]"},
      {"$.a.b[0:3:2]", kItems, "[1,2,3]"},
      {"$.a.b[::2]", kItems, "InvalidPath"},
      {"$.a.b[0,2]", kItems, "[1,3]"},
      {"$.a.b[1,]", kItems, "2"},
      {"$.e[0:1]", kItems, "[]"},
  });
}

TEST(JsonPath, AnIndefinitePathDropsBranchesThatMissAMemberInTheMiddle) {
  check({
      {"$.items[*]", "{}", "[]"},
      {"$.items[1:].v", "{}", "[]"},
      {"$.item.items[:1]", "{}", "[]"},
      {"$.zz..a", kItems, "[]"},
      {"$.a.zz[*]", kItems, "[]"},
      {"$.zz.b[*]", kItems, "[]"},
      {"$.zz.b", kItems, "PathNotFound: Missing property in path $['zz']"},
  });
}

TEST(JsonPath, OnlyTheWildcardOfAnArrayForgivesWhatIsMissingBelowIt) {
  constexpr std::string_view kList = R"({"l":[{"a":1},{"b":2},5,null,[1]],"o":{"p":{"a":1},"q":{"b":1}}})";
  check({
      {"$.l[*].a", kList, "[1]"},
      {"$.l[*][0,5]", kList, "InvalidPath"},
      {"$.l[0:2].a", kList, "PathNotFound: No results for path: $['l'][1]['a']"},
      {"$.l[0,1].a", kList, "PathNotFound: No results for path: $['l'][1]['a']"},
      {"$.l[?(@.a)].zz", kList, "PathNotFound: No results for path: $['l'][0]['zz']"},
      {"$.o.*.a", kList, "PathNotFound: No results for path: $['o']['q']['a']"},
      {"$.o.*", kList, R"([{"a":1},{"b":1}])"},
      {"$.l[2][*]", kList, "[]"},
      {"$[*][*]", "[[1,2],[3]]", "[1,2,3]"},
  });
}

TEST(JsonPath, ScansFromTheOutsideInAndInDocumentOrder) {
  constexpr std::string_view kTree = R"({"a":{"a":{"b":1},"c":[{"a":2},{"a":[3]}]}})";
  check({
      {"$..a", kTree, R"([{"a":{"b":1},"c":[{"a":2},{"a":[3]}]},{"b":1},2,[3]])"},
      {"$..b", kTree, "[1]"},
      {"$..zz", kTree, "[]"},
      {"$..[0]", kTree, R"([{"a":2},3])"},
      {"$..c[0].a", kTree, "[2]"},
      {"$..*", "[[1],2]", "[[1],2,1]"},
      {"$..['a','b']", R"({"a":1,"b":2,"c":{"a":3}})", R"([{"a":1,"b":2}])"},
      {"$..[?(@.x == 1)]", R"({"q":[{"x":1},{"y":{"x":1,"z":2}}]})", R"([{"x":1},{"x":1,"z":2}])"},
      // On an array the step after `..` is skipped when more steps follow.
      {"$..[0].a", R"([{"a":1},{"a":2}])", "[1,2]"},
      {"$..tags[0]", R"([{"tags":[1]},{"tags":[]}])",
       "PathNotFound: Index out of bounds when evaluating path $[1]['tags'][0]"},
      {"$..a..b", R"({"a":{"x":{"b":1}}})", "[1]"},
      {"$....a", R"({"a":1})", "[]"},
      {"$..$", R"({"a":1})", "[]"},
  });
}

TEST(JsonPath, ReadsOddSpellingsAsTheReferenceLibraryDoes) {
  check({
      {"$.$x", R"({"$x":1})", "1"},
      {"$.-", R"({"-":1})", "1"},
      {"$.0", R"({"0":1})", "1"},
      {"$.a-b", R"({"a-b":1})", "1"},
      {"$[0]$.a", R"([{"a":1}])", "1"},
      {"$[0]$.b", R"([{"a":1}])", "PathNotFound: No results for path: $['b']"},
      {R"($['back\slash'])", R"({"back\\slash":1})", "1"},
      {R"($['Test\""Name"'])", R"({"Test\\\"\"Name\"":1})", "1"},
      {"$['ü']", R"({"ü":1})", "1"},
      // Quotes and brackets inside names are cut off, and an index hides in any bracket.
      {"$.quo'te", R"({"quo":1})", "1"},
      {"$['a]']", R"({"x":1})", "InvalidPath: Multi properties can only be used as path leafs: $[]"},
      {"$['a]b'", R"({"x":1})", "InvalidPath: Multi properties can only be used as path leafs: $[]"},
      {"$[x1]", "[5,6]", "6"},
      {"$[\"a1\"]", "[5,6]", "6"},
      {"$[1\n:5:2]", "[5,6]", "6"},
      {"$[ 1 ]", "[5,6]", "6"},
      {"$[1 :5:2]", "[5,6,7]", "[6,7]"},
      {"$[\t'a']", R"({"a":1})", "1"},
      {"$[?]", "[]", "[]"},
      {"$[?]", "[1]", "InvalidPath"},
      {".a", R"({"b":{"a":1}})", "[1]"},
  });
}

TEST(JsonPath, RefusesWhatIsNoPath) {
  for (const std::string_view selector : {"",
                                          " ",
                                          "$..",
                                          "$.",
                                          "$*",
                                          "$a",
                                          "$[",
                                          "$.a[",
                                          "$.a[]",
                                          "$['a'",
                                          "$.a b",
                                          "$ .a",
                                          "$['a'] ['b']",
                                          "$[\"a\"]",
                                          "$[ * ]",
                                          "$[abc]",
                                          "$.a[--1]",
                                          "$.a[1-2]",
                                          "$.a[99999999999]",
                                          "$[?(@.a]",
                                          "$[?@.a == 1]",
                                          "$[(@.width-1)]",
                                          "$[(@.length)]",
                                          "@..",
                                          "$[:]",
                                          "$[1,,2]",
                                          "\xff\xfe"}) {
    const auto path = Path::compile(selector);
    ASSERT_FALSE(path.ok()) << selector;
    EXPECT_EQ(path.error().code, kInvalidPath) << selector;
  }
}

TEST(JsonPath, TellsDefiniteFromIndefinite) {
  for (const std::string_view selector : {"$", "$.a", "$['a','b']", "$[0]", "$[(@.length-1)]", "$.a[1,]"}) {
    EXPECT_TRUE(Path::compile(selector)->is_definite()) << selector;
  }
  for (const std::string_view selector : {"$..a", "$.*", "$[*]", "$[0,1]", "$[1:]", "$[?(@.a)]", "$[?]"}) {
    EXPECT_FALSE(Path::compile(selector)->is_definite()) << selector;
  }
}

TEST(JsonPath, FindsWithoutWordingAnError) {
  const json::Value document = *json::parse(kItems);
  EXPECT_EQ(Path::compile("$.a.b[1]")->find(document), &document.find("a")->find("b")->items()[1]);
  EXPECT_EQ(Path::compile("$")->find(document), &document);
  EXPECT_EQ(Path::compile("$.zz")->find(document), nullptr);
  EXPECT_EQ(Path::compile("$.s[0]")->find(document), nullptr);
  EXPECT_EQ(Path::compile("$.a[*]")->find(document), nullptr);
}

TEST(JsonPath, SharesItsResultWithTheDocument) {
  const json::Value document = *json::parse(kItems);
  const auto value = Path::compile("$.a")->evaluate(document);
  EXPECT_EQ(value->identity(), document.find("a")->identity());
}

TEST(JsonPath, TakesTheRootItselfFromANullDocumentAndNothingElse) {
  EXPECT_EQ(ask("$", "null"), "null");
  EXPECT_TRUE(ask("$.a", "null").starts_with("PathNotFound"));
  EXPECT_TRUE(ask("$[*]", "null").starts_with("PathNotFound"));
}

TEST(JsonPath, EndsAnExplosionOfScansWithinItsBudget) {
  json::Value document = json::Value::array({json::Value(1), json::Value(2)});
  for (int i = 0; i < 600; ++i) document = json::Value::array({document});
  EXPECT_TRUE(ask_value("$..*..*..*", document).starts_with("PathLimitExceeded"));
}

TEST(JsonPath, WalksDocumentsAsDeepAsTheyGet) {
  json::Value deep(1);
  for (int i = 0; i < 100'000; ++i) deep = json::Value::array({deep});
  EXPECT_EQ(ask_value("$..a", deep), "[]");
  json::Value object(1);
  std::string selector = "$";
  for (int i = 0; i < 1000; ++i) {
    object = json::Value::object({{json::Value("a"), object}});
    selector += ".a";
  }
  EXPECT_EQ(ask_value(selector, object), "1");
}

TEST(JsonPath, WalksWideDocuments) {
  std::vector<json::Value> items;
  for (int i = 0; i < 100'000; ++i)
    items.push_back(json::Value::object({{json::Value("v"), json::Value(i)}}));
  const json::Value document =
      json::Value::object({{json::Value("l"), json::Value::array(std::move(items))}});
  EXPECT_EQ(Path::compile("$.l[*].v")->evaluate(document)->size(), 100'000u);
  EXPECT_EQ(Path::compile("$..v")->evaluate(document)->size(), 100'000u);
  EXPECT_EQ(ask_value("$.l[?(@.v >= 99998)].v", document), "[99998,99999]");
  EXPECT_EQ(ask_value("$.l[99999].v", document), "99999");
}

TEST(JsonPath, BoundsTheTextTheStepsAndTheNesting) {
  const auto repeated = [](std::string_view unit, std::size_t count) {
    std::string text = "$";
    for (std::size_t i = 0; i < count; ++i) text += unit;
    return text;
  };
  const auto code = [](const std::string& text) {
    const auto path = Path::compile(text);
    return path ? std::string() : path.error().code;
  };
  EXPECT_EQ(code(repeated(".a", 500'000)), kLimitExceeded);
  EXPECT_EQ(code(repeated(".a", 20'000)), kLimitExceeded);
  EXPECT_EQ(code(repeated("[*]", 10'000)), kLimitExceeded);
  EXPECT_EQ(code(repeated("..a", 10'000)), kLimitExceeded);
  EXPECT_EQ(code(repeated("[?(@", 10'000)), kInvalidPath);
  EXPECT_EQ(code(repeated("[", 50'000)), kInvalidPath);
  EXPECT_EQ(code("$[?(@.a" + repeated(" && @.a", 5'000).substr(1) + ")]"), kLimitExceeded);
  EXPECT_EQ(code(repeated(".a", 1000)), "");
}

TEST(JavaText, SpellsNumbersAsJavaDoes) {
  EXPECT_EQ(java_double_text(1), "1.0");
  EXPECT_EQ(java_double_text(0.1), "0.1");
  EXPECT_EQ(java_double_text(-0.001), "-0.001");
  EXPECT_EQ(java_double_text(0.00015), "1.5E-4");
  EXPECT_EQ(java_double_text(9999999), "9999999.0");
  EXPECT_EQ(java_double_text(1e7), "1.0E7");
  EXPECT_EQ(java_double_text(1.25e300), "1.25E300");
  EXPECT_EQ(java_double_text(0), "0.0");
}

TEST(JavaText, SpellsObjectsAndArraysAsMapsAndLists) {
  EXPECT_EQ(java_text(*json::parse(R"({"a":1,"b":[true,null,"x",{}],"c":[]})")),
            "{a=1, b=[true, null, x, {}], c=[]}");
  EXPECT_EQ(java_text(*json::parse("12345678901234567890123")), "12345678901234567890123");
}

}  // namespace
}  // namespace sortie::jsonpath
