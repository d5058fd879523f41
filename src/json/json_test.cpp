#include <gtest/gtest.h>

#include "json/text.h"
#include "json/value.h"

namespace sortie::json {
namespace {

std::string round_trip(std::string_view text) {
  const Result<Value> value = parse(text);
  return value.ok() ? to_text(*value) : "error: " + value.error().message;
}

TEST(Json, KeepsWhatItReads) {
  for (const char* text : {"null",
                           "true",
                           "false",
                           "0",
                           "-7",
                           "9223372036854775807",
                           "18446744073709551616",
                           "0.1",
                           "100.0",
                           "1e+21",
                           "\"\"",
                           "\"fourteen bytes\"",
                           "\"more than fourteen bytes\"",
                           "[]",
                           "{}",
                           "[1,[2,{\"a\":null}]]",
                           "{\"b\":1,\"a\":\"x\\ny\\u0001\"}",
                           "\"\xC3\xBC\"",
                           "-0.5",
                           "12345678901234567890123456789"}) {
    EXPECT_EQ(round_trip(text), text);
  }
  EXPECT_EQ(round_trip("{\"a\":1,\"b\":2,\"a\":3}"), "{\"a\":3,\"b\":2}");
  EXPECT_EQ(round_trip(" [ 1 , 2.50 ] \n"), "[1,2.5]");
}

TEST(Json, RefusesWhatIsNoJson) {
  for (const char* text :
       {"",         " ",           "{",        "[1,]",      "[1 2]", "{\"a\":1,}", "{a:1}",     "NaN",
        "nul",      "01",          "1.",       ".5",        "+1",    "1e400",      "[1]x",      "1 2",
        "\"\xff\"", "\"\\ud800\"", "\"a",      "{\"a\" 1}", "'x'",   "[\"a\"b]",   "tru",       "truex",
        "[1,NaN]",  "-",           "\"a\nb\"", "{\"a\":}",  "]",     "[}",         "\"a\"\"b\""}) {
    EXPECT_FALSE(parse(text).ok()) << text;
  }
}

TEST(Json, SaysWhereTheTextIsWrong) {
  EXPECT_EQ(parse("{\n  \"a\": tru\n}").error().place, "line 2, column 8");
}

TEST(Json, BoundsDepthAndDestroysDeepValuesWithoutRecursion) {
  EXPECT_TRUE(parse(std::string(kDepthMax, '[') + std::string(kDepthMax, ']')).ok());
  EXPECT_FALSE(parse(std::string(kDepthMax + 1, '[') + std::string(kDepthMax + 1, ']')).ok());
  EXPECT_FALSE(parse(std::string(5'000'000, '[')).ok());
  Value deep;
  for (int i = 0; i < 1'000'000; ++i) deep = Value::array({deep});
  EXPECT_EQ(deep.depth(), 1'000'000u);
  EXPECT_EQ(to_text(deep).size(), 2'000'004u);
}

TEST(Json, EditsShareAndNeverTouchTheOriginal) {
  const Value before = *parse("{\"a\":{\"deep\":[1,2,3]},\"b\":1}");
  const Value after = ObjectBuilder{before}.set("b", 2).erase("x").set("c", "new").build();
  EXPECT_EQ(to_text(before), "{\"a\":{\"deep\":[1,2,3]},\"b\":1}");
  EXPECT_EQ(to_text(after), "{\"a\":{\"deep\":[1,2,3]},\"b\":2,\"c\":\"new\"}");
  EXPECT_EQ(before.get("a").identity(), after.get("a").identity());
}

TEST(Json, ComparesNumbersByValueAndObjectsWithoutOrder) {
  EXPECT_TRUE(*parse("{\"a\":1,\"b\":[1.0]}") == *parse("{\"b\":[1],\"a\":1.0}"));
  EXPECT_FALSE(*parse("{\"a\":1}") == *parse("{\"a\":1,\"b\":1}"));
  EXPECT_FALSE(Value(1) == Value("1"));
}

TEST(Json, FindsMembersInLargeObjects) {
  ObjectBuilder builder;
  for (int i = 0; i < 1000; ++i) builder.append("key" + std::to_string(i), i);
  builder.append("key7", "again");
  const Value big = builder.build();
  EXPECT_EQ(big.size(), 1000u);
  EXPECT_EQ(big.get("key7").as_string(), "again");
  EXPECT_EQ(big.get("key999").as_integer(), 999);
  EXPECT_EQ(big.find("none"), nullptr);
}

TEST(Json, FindsThePlaceOfAPointer) {
  const auto at = find_position("{\n \"a\": [1,\n  {\"b\": 2}]}", "/a/1/b");
  ASSERT_TRUE(at.has_value());
  EXPECT_EQ(at->line, 3);
  EXPECT_FALSE(find_position("{}", "/a").has_value());
}

}  // namespace
}  // namespace sortie::json
