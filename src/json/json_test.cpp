#include <gtest/gtest.h>

#include <limits>

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

TEST(Json, RoundsIntegersBeyondEveryDoubleToTheLargest) {
  EXPECT_EQ(Value::big_integer(std::string(400, '9')).as_double(), std::numeric_limits<double>::max());
  EXPECT_EQ(Value::big_integer("-" + std::string(400, '9')).as_double(),
            std::numeric_limits<double>::lowest());
}

TEST(Json, KeepsTheFirstPlaceAndTheLastValueOfARepeatedKey) {
  const std::string longer = "a key of more than fourteen bytes";
  for (const int others : {0, 3, 40}) {
    std::vector<Member> members{{Value(longer), 1}, {Value("short"), 2}};
    for (int i = 0; i < others; ++i) members.push_back({Value("other" + std::to_string(i)), i});
    members.push_back({Value("short"), 3});
    members.push_back({Value(longer), Value(longer)});
    const Value made = Value::object(members);
    ASSERT_EQ(made.size(), 2u + static_cast<std::size_t>(others));
    EXPECT_EQ(made.members()[0].key.as_string(), longer);
    EXPECT_EQ(made.get(longer).as_string(), longer);
    EXPECT_EQ(made.get("short").as_integer(), 3);
  }
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

TEST(Json, ASharedTextIsTheSameValue) {
  for (const std::string& text :
       {std::string(), std::string("short"), std::string(14, 'x'), std::string(200, 'y')}) {
    Value original(text);
    const Value shared = Value::share_text(original.as_string());
    EXPECT_EQ(shared.identity(), original.identity());
    original = Value();
    EXPECT_EQ(shared.as_string(), text);
  }
}

TEST(Json, WhatIsMadeInPlaceIsGivenBackWhenMakingFails) {
  const auto item = [](std::size_t i) {
    if (i == 3) throw i;
    return Value(std::string(40, 'x'));
  };
  EXPECT_THROW(Value::array_of(5, item), std::size_t);
  EXPECT_THROW(Value::object_of(30,
                                [&](std::size_t i) {
                                  return Member{Value(std::to_string(i)), item(i)};
                                }),
               std::size_t);
  EXPECT_EQ(to_text(Value::array_of(3, [](std::size_t i) { return Value(static_cast<std::int64_t>(i)); })),
            "[0,1,2]");
  EXPECT_EQ(Value::array_of(0, item).depth(), 1u);
}

TEST(Json, TextsOfEveryShortLengthAreKeptToTheByteAndFound) {
  for (std::size_t size = 0; size < 40; ++size) {
    // As long as it is, so that a look beyond its end is seen.
    const std::vector<char> bytes(size, '\xc3');
    std::vector<char> text = bytes;
    for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>(0x80 + i);
    const std::string_view given(text.data(), size), other(bytes.data(), size);
    EXPECT_EQ(Value(given).to_std_string(), given) << size;
    EXPECT_EQ(Value(given) == Value(other), size == 0) << size;
    const Value object = Value::object({{std::string(given), 1}});
    EXPECT_NE(object.find(given), nullptr) << size;
    if (size > 0) {
      EXPECT_EQ(object.find(given.substr(1)), nullptr) << size;
      EXPECT_EQ(object.find(other), nullptr) << size;
    }
  }
}

TEST(Json, WhatNeedsAnEscapeIsFoundAtEveryPlaceOfAText) {
  const std::pair<char, std::string> specials[] = {{'"', "\\\""},       {'\\', "\\\\"}, {'\n', "\\n"},
                                                   {'\x01', "\\u0001"}, {'z', "z"},     {'\x7f', "\x7f"}};
  for (std::size_t size = 1; size <= 300; size += size < 40 ? 1 : 13) {
    for (std::size_t at = 0; at < size; ++at) {
      for (const auto& [special, escaped] : specials) {
        std::string text(size, 'a');
        text[at] = special;
        const std::string wanted =
            "[\"" + std::string(at, 'a') + escaped + std::string(size - at - 1, 'a') + "\"]";
        ASSERT_EQ(to_text(Value::array({Value(text)})), wanted) << size << " bytes, at " << at;
        ASSERT_EQ(round_trip(wanted), wanted) << size << " bytes, at " << at;
      }
    }
  }
}

TEST(Json, APreparedKeyIsExactlyTheEqualText) {
  const std::string texts[] = {"",     std::string("\0", 1),  "a",
                               "ab",   "fourteen bytes",      "fifteen bytes :",
                               "null", std::string(300, 'x'), std::string(13, 'x') + '\0'};
  for (const std::string& key : texts) {
    for (const std::string& text : texts)
      EXPECT_EQ(Value(text).is(Key(key)), key == text) << key << '/' << text;
    EXPECT_FALSE(Value().is(Key(key)));
    EXPECT_FALSE(Value(0).is(Key(key)));
    EXPECT_EQ(Value::object({{Value(key), 1}}).get(key).as_integer(), 1);
  }
}

TEST(Json, FindsThePlaceOfAPointer) {
  const auto at = find_position("{\n \"a\": [1,\n  {\"b\": 2}]}", "/a/1/b");
  ASSERT_TRUE(at.has_value());
  EXPECT_EQ(at->line, 3);
  EXPECT_FALSE(find_position("{}", "/a").has_value());
}

}  // namespace
}  // namespace sortie::json
