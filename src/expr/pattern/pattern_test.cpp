#include "expr/pattern/pattern.h"

#include <gtest/gtest.h>

#include <map>

#include "base/hash.h"
#include "expr/pattern/wildcard.h"
#include "json/text.h"

namespace sortie::pattern {
namespace {

std::string answer(std::string_view pattern, std::string_view event, Mode mode = Mode::kAws) {
  auto compiled = Pattern::compile(pattern, mode);
  if (!compiled) return compiled.error().message;
  auto flat = FlatEvent::parse(event);
  if (!flat) return flat.error().code;
  return compiled->matches(*flat) ? "match" : "no match";
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
  EXPECT_EQ(FlatEvent::parse(deep).error().code, "InvalidEvent");
  EXPECT_EQ(FlatEvent::parse(R"({"a":)" + std::string(100'000, '[')).error().code, "InvalidEvent");
  EXPECT_EQ(FlatEvent::parse("{\"a\":\"\xff\"}").error().code, "InvalidEvent");
  EXPECT_EQ(FlatEvent::parse("").error().code, "InvalidEvent");
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

// The rule of array consistency as it is written down, tried in full: paths in sorted order, every field.
class Naive {
 public:
  Naive(const json::Value& pattern, const FlatEvent& event) : event_(event) { flatten(pattern, ""); }
  bool matches() { return walk(tests_.begin(), {}); }

 private:
  using Chosen = std::map<std::uint32_t, std::uint32_t>;

  void flatten(const json::Value& object, const std::string& path) {
    for (const json::Member& member : object.members()) {
      const std::string full =
          path.empty() ? member.key.to_std_string() : path + "." + member.key.to_std_string();
      if (member.value.is_object()) {
        flatten(member.value, full);
      } else {
        tests_[full] = member.value;
      }
    }
  }
  static bool join(Chosen& chosen, const Field& field) {
    for (const Coordinate& c : field.coordinates) {
      if (!chosen.emplace(c.array, c.index).second && chosen[c.array] != c.index) return false;
    }
    return true;
  }
  bool walk(std::map<std::string, json::Value>::const_iterator test, const Chosen& chosen) {
    if (test == tests_.end()) return true;
    bool absent = true;
    const std::vector<Field>* fields = event_.find(test->first);
    for (std::size_t i = 0; fields != nullptr && i < fields->size(); ++i) {
      Chosen next = chosen;
      if (!join(next, (*fields)[i])) continue;
      absent = false;
      for (const json::Value& entry : test->second.items()) {
        const bool hit = entry.is_object() ? entry.get("exists") == json::Value(true)
                                           : json::to_text(entry) == (*fields)[i].text;
        if (hit && walk(std::next(test), next)) return true;
      }
    }
    for (const json::Value& entry : test->second.items()) {
      if (absent && entry.get("exists") == json::Value(false) && walk(std::next(test), chosen)) return true;
    }
    return false;
  }

  const FlatEvent& event_;
  std::map<std::string, json::Value> tests_;
};

class Generator {
 public:
  explicit Generator(std::uint64_t seed) : random_(seed) {}

  std::string event() { return object(3); }
  std::string pattern(int depth = 3) {
    std::string out = "{";
    const char* names[] = {"a", "b", "a-"};
    for (std::uint64_t i = 0, n = 1 + pick(3); i < n; ++i) {
      out += std::string(i == 0 ? "\"" : ",\"") + names[i] + "\":";
      out += depth > 1 && pick(3) > 0 ? pattern(depth - 1) : leaf();
    }
    return out + "}";
  }

 private:
  std::uint64_t pick(std::uint64_t n) { return random_.next() % n; }
  std::string leaf() {
    const std::string kinds[] = {
        "[1]", "[2]", "[1,2]", R"([{"exists":false}])", R"([{"exists":true}])", R"([1,{"exists":false}])"};
    return kinds[pick(6)];
  }
  std::string value(int depth) {
    const std::uint64_t kind = depth > 0 ? pick(5) : 4;
    if (kind < 2) return array(depth);
    if (kind < 4) return object(depth - 1);
    return std::to_string(1 + pick(3));
  }
  std::string array(int depth) {
    std::string out = "[";
    for (std::uint64_t i = 0, n = pick(6); i < n; ++i) out += (i == 0 ? "" : ",") + value(depth - 1);
    return out + "]";
  }
  std::string object(int depth) {
    const char* names[] = {"a", "b", "a-", "a", "a.b"};
    std::string out = "{";
    for (std::uint64_t i = 0, n = 1 + pick(4); i < n; ++i) {
      out += std::string(i == 0 ? "\"" : ",\"") + names[pick(5)] + "\":" + value(depth);
    }
    return out + "}";
  }

  SeededRandom random_;
};

TEST(Pattern, AgreesWithTheRuleOfArrayConsistencyTriedInFull) {
  int matches = 0;
  for (std::uint64_t seed = 1; seed <= 4000; ++seed) {
    Generator generator(seed);
    const std::string event_text = generator.event();
    const std::string pattern_text = generator.pattern();
    auto event = FlatEvent::parse(event_text);
    auto pattern = Pattern::compile(pattern_text, Mode::kStandard);
    ASSERT_TRUE(event.ok() && pattern.ok()) << seed << " " << event_text << " " << pattern_text;
    const bool want = Naive(*json::parse(pattern_text), *event).matches();
    ASSERT_EQ(pattern->matches(*event), want)
        << "seed " << seed << ": " << pattern_text << " on " << event_text;
    matches += want ? 1 : 0;
  }
  EXPECT_GT(matches, 200);
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
