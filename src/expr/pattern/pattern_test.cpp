#include "expr/pattern/pattern.h"

#include <gtest/gtest.h>

#include "expr/pattern/wildcard.h"

namespace sortie::pattern {
namespace {

std::string answer(std::string_view pattern, std::string_view event, Mode mode = Mode::kAws) {
  auto compiled = Pattern::compile(pattern, mode);
  if (!compiled) return compiled.error().message;
  auto matches = compiled->matches(event);
  if (!matches) return matches.error().code;
  return *matches ? "match" : "no match";
}

std::string reason(std::string_view pattern, Mode mode = Mode::kAws) {
  auto compiled = Pattern::compile(pattern, mode);
  if (compiled) return "valid";
  EXPECT_EQ(compiled.error().code, "InvalidEventPatternException");
  const std::string prefix = "Event pattern is not valid. Reason: ";
  EXPECT_TRUE(compiled.error().message.starts_with(prefix));
  return compiled.error().message.substr(prefix.size(),
                                         compiled.error().message.find("\n at ") - prefix.size());
}

TEST(Pattern, PathsAreTheMemberNamesJoinedByDots) {
  EXPECT_EQ(answer(R"({"a":{"b":["x"]}})", R"({"a.b":"x"})"), "match");
  EXPECT_EQ(answer(R"({"a.b":["x"]})", R"({"a":{"b":"x"}})"), "match");
  EXPECT_EQ(answer(R"({"a":{"":["x"]}})", R"({"a":{"":"x"}})"), "match");
  EXPECT_EQ(answer(R"({"":["x"]})", R"({"":"x"})"), "match");
  EXPECT_EQ(answer(R"({"a":["x"]})", R"({"a":{"b":"x"}})"), "no match");
}

TEST(Pattern, NumbersAreEqualAsDoublesOrByTheirText) {
  EXPECT_EQ(answer(R"({"a":[300]})", R"({"a":3.0e2})"), "match");
  EXPECT_EQ(answer(R"({"a":[0]})", R"({"a":-0})"), "match");
  EXPECT_EQ(answer(R"({"a":[9007199254740993]})", R"({"a":9007199254740993})"), "match");
  EXPECT_EQ(answer(R"({"a":[9007199254740993]})", R"({"a":9007199254740992})"), "no match");
  EXPECT_EQ(answer(R"({"a":[{"anything-but":5}]})", R"({"a":5.0})"), "no match");
  EXPECT_EQ(answer(R"({"a":[{"numeric":[">",0]}]})", R"({"a":1e999999999999999999})"), "no match");
  EXPECT_EQ(reason(R"({"a":[{"numeric":["=",1e309]}]})"), "Cannot compare number : 1e309");
}

TEST(Pattern, AddressesMatchHoweverTheyAreSpelled) {
  EXPECT_EQ(answer(R"({"a":["10.0.0.1"]})", R"({"a":"10.0.0.01"})"), "match");
  EXPECT_EQ(answer(R"({"a":[{"cidr":"::/0"}]})", R"({"a":"10.0.0.1"})"), "no match");
  EXPECT_EQ(answer(R"({"a":[{"cidr":"0.0.0.0/0"}]})", R"({"a":"::1"})"), "no match");
  EXPECT_EQ(answer(R"({"a":[{"cidr":"2001:db8::/33"}]})", R"({"a":"2001:db8:7fff::"})"), "match");
  EXPECT_EQ(answer(R"({"a":[{"cidr":"2001:db8::/33"}]})", R"({"a":"2001:db8:8000::"})"), "no match");
  EXPECT_EQ(reason(R"({"a":[{"cidr":"10.0.0.0/-1"}]})"), "Malformed CIDR, mask bits must not be negative");
  EXPECT_EQ(reason(R"({"a":[{"cidr":"10.0.0.256/8"}]})"), "Invalid IP address: 10.0.0.256");
}

TEST(Pattern, ErrorsTellTheirPlace) {
  const auto place = [](std::string_view text) { return Pattern::compile(text, Mode::kAws).error().place; };
  EXPECT_EQ(place(R"({"resources": []})"), "line 1, column 17");
  EXPECT_EQ(place("{\n  \"a\": 1\n}"), "line 2, column 9");
  EXPECT_EQ(place(R"({"a":[{"cidr":"x"}]})"), "");
}

TEST(Pattern, CaseIsFoldedByThePatternsCharacters) {
  EXPECT_EQ(answer(R"({"a":[{"equals-ignore-case":"straße"}]})", R"({"a":"STRASSE"})"), "match");
  EXPECT_EQ(answer(R"({"a":[{"equals-ignore-case":"STRASSE"}]})", R"({"a":"straße"})"), "no match");
  EXPECT_EQ(answer(R"({"a":[{"prefix":{"equals-ignore-case":"ÉT"}}]})", R"({"a":"été"})"), "match");
  EXPECT_EQ(answer(R"({"a":[{"suffix":{"equals-ignore-case":".PNG"}}]})", R"({"a":"x.png"})"), "match");
  EXPECT_EQ(answer(R"({"a":[{"suffix":{"equals-ignore-case":"long"}}]})", R"({"a":"ng"})"), "no match");
}

TEST(Pattern, WildcardsThatAreTooComplexAreRefusedOnlyAsAwsDoes) {
  const std::string complex = R"({"a":[{"wildcard":"*:*:*:*:*:event-bus/*"}]})";
  EXPECT_EQ(
      reason(complex),
      "Rule is too complex - try using fewer wildcard characters or fewer repeating character sequences "
      "after a wildcard character");
  EXPECT_EQ(reason(complex, Mode::kStandard), "valid");
  EXPECT_EQ(reason(R"({"a":[{"wildcard":"arn:aws:events:us-east-1:*:event-bus/*"}]})"), "valid");
  EXPECT_EQ(reason(R"({"a":[{"wildcard":"/Users/*/dir/dir/dir/dir/dir/doc.txt"}]})"), "valid");
}

TEST(Pattern, OrIsExpandedWithinALimit) {
  EXPECT_EQ(answer(R"({"a":[1],"$or":[{"b":[1]},{"c":[1]}]})", R"({"a":1,"c":1})"), "match");
  EXPECT_EQ(answer(R"({"a":["z"],"$or":[{"a":["x"]},{"b":["y"]}]})", R"({"a":"x"})"), "match");
  EXPECT_EQ(Pattern::compile(R"({"$or":[{"a":[1]},{"b":[1]}],"c":{"$or":[{"d":[1]},{"e":[1]}]}})", Mode::kAws)
                ->combination_count(),
            4u);
  std::string bomb = "{";
  for (int i = 0; i < 40; ++i) {
    const std::string n = std::to_string(i);
    bomb += std::string(i == 0 ? "" : ",") + "\"x" + n + R"(":{"$or":[{"a":[1]},{"b":[1]},{"c":[1]}]})";
  }
  EXPECT_EQ(reason(bomb + "}"), "Rule is too complex - try using fewer combinations of $or");
  EXPECT_EQ(reason(bomb + "}", Mode::kStandard), "Rule is too complex - try using fewer combinations of $or");
}

TEST(Pattern, HostileTextsAreRefusedAndNeverCrash) {
  EXPECT_NE(reason(std::string(2'000'000, '[')), "valid");
  EXPECT_NE(reason(R"({"a":)" + std::string(100'000, '[')), "valid");
  std::string deep;
  for (int i = 0; i < 100'000; ++i) deep += R"({"a":)";
  EXPECT_NE(reason(deep), "valid");
  EXPECT_EQ(check_event(deep).error().code, "InvalidEvent");
  EXPECT_EQ(check_event(R"({"a":)" + std::string(100'000, '[')).error().code, "InvalidEvent");
  EXPECT_EQ(check_event("{\"a\":\"\xff\"}").error().code, "InvalidEvent");
  for (const char* text : {"", " ", "1", "[]", "{", "{} {}", "{}{}", "{} 1", "{} x", "{}]"}) {
    EXPECT_EQ(check_event(text).error().code, "InvalidEvent") << text;
  }
  EXPECT_TRUE(check_event(" {\"a\":[{}]} ").ok());
  EXPECT_NE(reason("{\"a\":[\"\xff\"]}"), "valid");
  EXPECT_NE(reason(""), "valid");
  EXPECT_NE(reason(R"({"a":["x"]} trailing)"), "valid");
  EXPECT_EQ(answer(R"({"a":["\ud83d"]})", R"({"a":"\ud83d"})"), "match");
}

TEST(Pattern, ABigArrayIsMatchedInTimeThatGrowsWithItsSize) {
  std::string event = R"({"a":[)";
  for (int i = 0; i < 20'000; ++i) event += R"({"b":1,"c":[{"d":1},{"e":2}]},)";
  event += R"({"b":1,"c":[{"d":1,"e":2}]}]})";
  EXPECT_EQ(answer(R"({"a":{"b":[1],"c":{"d":[1],"e":[2]}}})", event), "match");
  EXPECT_EQ(answer(R"({"a":{"b":[1],"c":{"d":[1],"e":[3]}}})", event), "no match");
}

TEST(Wildcard, MatchesRunsOfBytes) {
  const auto match = [](std::string_view pattern, std::string_view value) {
    return Wildcard::compile(pattern)->matches(value);
  };
  EXPECT_TRUE(match("", ""));
  EXPECT_TRUE(match("*", ""));
  EXPECT_TRUE(match("a*b*c", "abbbcc"));
  EXPECT_FALSE(match("a*b*c", "acb"));
  EXPECT_TRUE(match("\\**", "*x"));
  EXPECT_FALSE(match("\\*", "x"));
  EXPECT_TRUE(match("*aab", "aaaaaaaaab"));
}

}  // namespace
}  // namespace sortie::pattern
