#include "expr/jsonpath/reference_path.h"

#include <gtest/gtest.h>

#include "json/text.h"

namespace sortie::jsonpath {
namespace {

std::string stored(std::string_view document, std::string_view path, std::string_view value = "9") {
  auto reference = Path::compile_reference(path);
  if (!reference) return reference.error().code;
  auto result = set_at(*json::parse(document), *reference, *json::parse(value));
  return result ? json::to_text(*result) : result.error().code;
}

TEST(ReferencePath, ReadsTheSpellingsOfTheSpecification) {
  const auto steps = [](std::string_view text) {
    std::string out;
    const auto path = Path::compile_reference(text);
    if (!path) return path.error().message;
    for (const ReferenceStep& step : path->reference_steps()) {
      const auto* name = std::get_if<std::string>(&step);
      out += name != nullptr ? "<" + *name + ">" : std::to_string(std::get<std::uint32_t>(step));
    }
    return out;
  };
  EXPECT_EQ(steps("$"), "");
  EXPECT_EQ(steps("$.store.book"), "<store><book>");
  EXPECT_EQ(steps(R"($.store\.book)"), "<store.book>");
  EXPECT_EQ(steps(R"($.\stor\e.boo\k)"), "<store><book>");
  EXPECT_EQ(steps(R"($.foo\@bar.baz\[\[.\?pretty)"), "<foo@bar><baz[[><?pretty>");
  EXPECT_EQ(steps("$.&Ж中.𐍆"), "<&Ж中><𐍆>");
  EXPECT_EQ(steps("$.ledgers[0][22].bar[5]"), "<ledgers>022<bar>5");
  EXPECT_EQ(steps("$['store'][0]['book']"), "<store>0<book>");
  EXPECT_EQ(steps("$['a.b*']"), "<a.b*>");
}

TEST(ReferencePath, RefusesPathsThatMayNameMoreThanOneNode) {
  for (const std::string_view text : {"",      "a",         "$a",
                                      "$.",    "$..a",      "$.*",
                                      "$[*]",  "$[0,1]",    "$[1:]",
                                      "$[-1]", "$[?(@.a)]", "$.a[(@.length-1)]",
                                      "$.a@b", "$.a,b",     "$.a:b",
                                      "$.a?",  "$.a b",     "$['a','b']",
                                      "$['a'", "$.a\\",     "$[99999999999]",
                                      "$$.a"}) {
    EXPECT_FALSE(Path::compile_reference(text).ok()) << text;
  }
}

TEST(ReferencePath, IsRecognisedAmongFullPaths) {
  for (const std::string_view text : {"$", "$.a", "$.a[0]['b']", "$.a-b"}) {
    EXPECT_TRUE(Path::compile(text)->is_reference()) << text;
  }
  for (const std::string_view text :
       {"$.*", "$[-1]", "$.a[1:]", "$['a','b']", "$..a", "@.a", "$.quo'te", "a"}) {
    EXPECT_FALSE(Path::compile(text)->is_reference()) << text;
  }
}

TEST(ReferencePath, EvaluatesLikeAnyPath) {
  const json::Value document = *json::parse(R"({"a.b":[1,{"c":2}]})");
  EXPECT_EQ(Path::compile_reference(R"($.a\.b[1].c)")->evaluate(document)->as_integer(), 2);
  EXPECT_EQ(Path::compile_reference("$.x")->evaluate(document).error().message,
            "No results for path: $['x']");
}

TEST(ReferencePath, StoresOverAndBesideWhatIsThere) {
  EXPECT_EQ(stored(R"({"a":1})", "$"), "9");
  EXPECT_EQ(stored(R"({"a":1,"b":2})", "$.a"), R"({"a":9,"b":2})");
  EXPECT_EQ(stored(R"({"a":1})", "$.b"), R"({"a":1,"b":9})");
  EXPECT_EQ(stored(R"({"a":{"b":{"c":1},"d":2}})", "$.a.b.c"), R"({"a":{"b":{"c":9},"d":2}})");
  EXPECT_EQ(stored(R"({"a":[1,{"b":2}]})", "$.a[1].b"), R"({"a":[1,{"b":9}]})");
  EXPECT_EQ(stored(R"([1,2])", "$[0]"), "[9,2]");
}

TEST(ReferencePath, CreatesMissingMembersOnTheWay) {
  EXPECT_EQ(stored("{}", "$.a.b.c"), R"({"a":{"b":{"c":9}}})");
  EXPECT_EQ(stored(R"({"a":{"x":1}})", "$.a.b"), R"({"a":{"x":1,"b":9}})");
}

TEST(ReferencePath, RefusesAPlaceThatDoesNotFit) {
  for (const auto& [document, path] : std::initializer_list<std::pair<std::string_view, std::string_view>>{
           {"[]", "$.a"},
           {"1", "$.a"},
           {"null", "$.a"},
           {R"({"a":1})", "$.a.b"},
           {R"({"a":[1]})", "$.a.b"},
           {R"({"a":null})", "$.a.b"},
           {R"({"a":[1]})", "$.a[1]"},
           {R"({"a":{}})", "$.a[0]"},
           {"{}", "$.a[0]"},
       }) {
    EXPECT_EQ(stored(document, path), kResultPathMatchFailure) << document << " " << path;
  }
  const auto result = set_at(*json::parse("[1]"), *Path::compile("$.a"), json::Value(1));
  EXPECT_EQ(result.error().message, "Unable to apply ReferencePath $.a to input [1]");
  EXPECT_EQ(set_at(json::Value(), *Path::compile("$.*"), json::Value(1)).error().code, kInvalidPath);
}

TEST(ReferencePath, RebuildsOnlyTheSpine) {
  const json::Value document = *json::parse(R"({"keep":{"x":[1]},"way":{"keep":[1,2],"in":{}}})");
  const json::Value result = *set_at(document, *Path::compile("$.way.in.new"), json::Value(1));
  EXPECT_EQ(result.find("keep")->identity(), document.find("keep")->identity());
  EXPECT_EQ(result.find("way")->find("keep")->identity(), document.find("way")->find("keep")->identity());
  EXPECT_NE(result.find("way")->identity(), document.find("way")->identity());
  EXPECT_EQ(json::to_text(document), R"({"keep":{"x":[1]},"way":{"keep":[1,2],"in":{}}})");
}

}  // namespace
}  // namespace sortie::jsonpath
