#include "expr/pattern/rule_set.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "base/hash.h"
#include "expr/pattern/range_tree.h"
#include "expr/pattern/testing_brute_force.h"

namespace sortie::pattern {
namespace {

using Ids = std::vector<RuleId>;

Pattern compiled(std::string_view text) { return *Pattern::compile(text, Mode::kStandard); }

Ids found(const RuleSet& rules, std::string_view event) {
  MatchScratch scratch;
  const auto ids = rules.match(event, scratch);
  EXPECT_TRUE(ids.ok()) << event;
  return ids ? Ids(ids->begin(), ids->end()) : Ids();
}

RuleSet set_of(const std::vector<std::string>& patterns) {
  RuleSet rules;
  for (std::size_t i = 0; i < patterns.size(); ++i) EXPECT_TRUE(rules.add(i, compiled(patterns[i])).ok());
  return rules;
}

// Patterns and events over a few names and values, so that they meet often; everything comes from the seed.
class Generator {
 public:
  explicit Generator(std::uint64_t seed) : random_(seed) {}

  std::uint64_t pick(std::uint64_t n) { return random_.next() % n; }

  std::string pattern(int depth = 3, bool inside_or = false) {
    std::string out = "{";
    for (std::uint64_t i = 0, n = 1 + pick(3); i < n; ++i) {
      if (i > 0) out += ",";
      if (depth > 1 && pick(8) == 0) {
        out += "\"$or\":[" + pattern(depth - 1, true) + "," + pattern(depth - 1, true) + "]";
        continue;
      }
      out += "\"" + name() + "\":";
      out += depth > 1 && pick(3) > 0 ? pattern(depth - 1, inside_or) : leaf();
    }
    return out + "}";
  }

  std::string event(int depth = 4) { return object(depth); }

 private:
  std::string one_of(std::initializer_list<const char*> texts) {
    return *(texts.begin() + pick(texts.size()));
  }
  std::string name() { return one_of({"a", "b", "a", "b", "a-", "a.b", "", "b.", "\\u0061"}); }
  std::string text() {
    return one_of({R"("x")", R"("xy")", R"("Xyz")", R"("")", R"("yzx")", R"("x\u0079")", R"("10.0.0.1")",
                   R"("10.0.1.01")", R"("::1")", R"("::ffff:a00:1")", R"("straße")", R"("STRASSE")", R"("1")",
                   R"("a\"b\\\/\n")", R"("\ud83d\ude00")", R"("\ud83d")",
                   R"("long enough to fill blocks, {[]}")"});
  }
  std::string number() {
    return one_of({"1", "1.0", "10e-1", "2", "0", "-0", "-1.5", "3e2", "300", "9007199254740993",
                   "9007199254740992", "0.1", "0.10000000000000000555", "1e309", "5e-324",
                   "-122.42916360922355"});
  }
  std::string scalar() {
    const std::uint64_t kind = pick(8);
    return kind < 4 ? text() : kind < 7 ? number() : one_of({"true", "false", "null"});
  }

  std::string leaf() {
    std::string out = "[" + entry();
    for (std::uint64_t i = 0, n = pick(3); i < n; ++i) out += "," + entry();
    return out + "]";
  }
  std::string entry() {
    switch (pick(12)) {
      case 0:
      case 1:
      case 2:
        return scalar();
      case 3:
        return one_of({R"({"exists":true})", R"({"exists":false})"});
      case 4:
        return "{\"prefix\":" + affix() + "}";
      case 5:
        return "{\"suffix\":" + affix() + "}";
      case 6:
        return "{\"equals-ignore-case\":" + text() + "}";
      case 7:
        return "{\"wildcard\":" + wildcard() + "}";
      case 8:
        return "{\"numeric\":" + range() + "}";
      case 9:
        return "{\"cidr\":" + one_of({R"("10.0.0.0/24")", R"("10.0.0.0/8")", R"("::/0")", R"("0.0.0.0/0")"}) +
               "}";
      case 10:
        return "{\"anything-but\":" + but() + "}";
      default:
        return "{\"exactly\":" + text() + "}";
    }
  }
  std::string affix() {
    return pick(3) == 0 ? "{\"equals-ignore-case\":" + text() + "}"
                        : one_of({R"("x")", R"("")", R"("xy")", R"("1")", R"("z")", R"("10.")"});
  }
  std::string wildcard() {
    return one_of({R"("*")", R"("x*")", R"("*z")", R"("*y*")", R"("")", R"("x*z")", R"("x")", R"("\\**")",
                   R"("*enough to*blocks*")", R"("long*{[]}")", R"("*0.1*")"});
  }
  std::string range() {
    return one_of({R"(["=",1])", R"([">",0])", R"([">=",0,"<",2])", R"(["<",0.1])",
                   R"([">",-122.5,"<=",300])", R"([">",1,"<",300])", R"(["<=",-1.5])",
                   R"([">",9007199254740991])"});
  }
  std::string but() {
    switch (pick(7)) {
      case 0:
        return text();
      case 1:
        return "[\"x\"," + text() + "]";
      case 2:
        return one_of({"1", "[1,2]", "[300]"});
      case 3:
        return R"({"prefix":["x","10."]})";
      case 4:
        return R"({"suffix":"z"})";
      case 5:
        return "{\"equals-ignore-case\":" + text() + "}";
      default:
        return "{\"wildcard\":" + wildcard() + "}";
    }
  }

  std::string blanks() { return pick(12) == 0 ? one_of({" ", "\n\t", "  \r\n   "}) : std::string(); }
  std::string value(int depth) {
    const std::uint64_t kind = depth > 0 ? pick(6) : 5;
    if (kind < 2) return array(depth);
    if (kind < 4) return object(depth - 1);
    return scalar();
  }
  std::string array(int depth) {
    std::string out = "[" + blanks();
    for (std::uint64_t i = 0, n = pick(5); i < n; ++i)
      out += (i == 0 ? "" : ",") + blanks() + value(depth - 1);
    return out + blanks() + "]";
  }
  std::string object(int depth) {
    std::string out = "{" + blanks();
    for (std::uint64_t i = 0, n = 1 + pick(5); i < n; ++i) {
      const std::string key = pick(6) == 0 ? one_of({"zz", "aa", "z\\\"{"}) : name();
      out += (i == 0 ? "\"" : ",\"") + key + "\"" + blanks() + ":" + blanks() + value(depth) + blanks();
    }
    return out + "}";
  }

  SeededRandom random_;
};

struct Known {
  std::string text;
  Pattern pattern;
};
using KnownRules = std::map<RuleId, Known>;

// Both matchers' answers, which have to be the same; the number of matches.
std::size_t compare(const RuleSet& rules, const KnownRules& known, const std::string& event) {
  BruteForce brute(event);
  const Ids got = found(rules, event);
  std::size_t matches = 0;
  for (const auto& [id, rule] : known) {
    const bool wanted = brute.matches(rule.pattern);
    EXPECT_EQ(std::find(got.begin(), got.end(), id) != got.end(), wanted) << rule.text << " on " << event;
    matches += wanted ? 1 : 0;
  }
  EXPECT_EQ(got.size(), matches) << event;
  return matches;
}

TEST(RuleSet, AgreesWithTheObviousMatcherOnGeneratedRulesAndEvents) {
  std::size_t matches = 0;
  std::size_t patterns = 0;
  for (std::uint64_t seed = 1; seed <= 250; ++seed) {
    Generator generator(seed);
    RuleSet rules;
    KnownRules known;
    for (std::uint64_t i = 0, n = 1 + generator.pick(16); i < n; ++i) {
      const std::string text = generator.pattern(1 + static_cast<int>(generator.pick(3)));
      const auto pattern = Pattern::compile(text, Mode::kStandard);
      if (!pattern) continue;  // An anything-but of nothing but an empty prefix, and the like.
      ASSERT_TRUE(rules.add(i, *pattern).ok());
      known.emplace(i, Known{text, *pattern});
    }
    patterns += known.size();
    for (int round = 0; round < 8; ++round) {
      const std::string event = generator.event();
      ASSERT_TRUE(check_event(event).ok()) << event;
      matches += compare(rules, known, event);
      ASSERT_FALSE(HasFailure()) << "seed " << seed;
    }
  }
  EXPECT_GT(patterns, 1'500u);
  EXPECT_GT(matches, 700u);
}

TEST(RuleSet, ForgetsARuleThatIsRemovedAndSharesNothingVisibleWithItsCopies) {
  Generator generator(7);
  RuleSet rules;
  KnownRules live;
  std::vector<std::pair<RuleSet, KnownRules>> snapshots;
  for (int step = 0; step < 1500; ++step) {
    const RuleId id = generator.pick(40);
    if (generator.pick(3) == 0) {
      EXPECT_EQ(rules.remove(id), live.erase(id) == 1);
    } else {
      const std::string text = generator.pattern();
      const auto pattern = Pattern::compile(text, Mode::kStandard);
      if (!pattern) continue;
      ASSERT_TRUE(rules.add(id, *pattern).ok());
      live.insert_or_assign(id, Known{text, *pattern});
    }
    if (step % 100 == 99) snapshots.emplace_back(rules, live);
  }
  for (const auto& [snapshot, known] : snapshots) {
    EXPECT_EQ(snapshot.size(), known.size());
    for (int round = 0; round < 10; ++round) compare(snapshot, known, generator.event());
    ASSERT_FALSE(HasFailure());
  }
  for (RuleId id = 0; id < 40; ++id) rules.remove(id);
  EXPECT_EQ(rules.size(), 0u);
  EXPECT_EQ(rules.bytes(), 0u);
}

TEST(RuleSet, FindsOneOfManyRulesOfEveryKind) {
  RuleSet rules;
  constexpr int kRules = 400;
  const std::vector<std::string> shapes = {R"({"a":["v@"]})",
                                           R"({"a":[{"prefix":"v@/"}]})",
                                           R"({"a":[{"suffix":"/v@"}]})",
                                           R"({"a":[{"equals-ignore-case":"V@"}]})",
                                           R"({"a":[{"wildcard":"*/w@/*"}]})",
                                           R"({"n":[{"numeric":[">=",@,"<",@.5]}]})",
                                           R"({"n":[@]})",
                                           R"({"a":[{"cidr":"10.@.0.0/17"}]})",
                                           R"({"s":["x"],"d":{"b":["v@"]}})",
                                           R"({"f@":["x"]})",
                                           R"({"s":["x"],"d":{"g":["v@"],"h":[{"anything-but":"q"}]}})"};
  for (int i = 0; i < kRules; ++i) {
    for (std::size_t shape = 0; shape < shapes.size(); ++shape) {
      std::string text = shapes[shape];
      const std::string number = std::to_string(shape == 7 ? i % 256 : i);
      for (auto at = text.find('@'); at != std::string::npos; at = text.find('@'))
        text.replace(at, 1, number);
      ASSERT_TRUE(rules.add(static_cast<RuleId>(i) * 100 + shape, compiled(text)).ok());
    }
  }
  EXPECT_EQ(found(rules, R"({"a":"v123"})"), (Ids{12300, 12303}));
  EXPECT_EQ(found(rules, R"({"a":"v123/x"})"), Ids{12301});
  EXPECT_EQ(found(rules, R"({"a":"x/v123"})"), Ids{12302});
  EXPECT_EQ(found(rules, R"({"a":"some/w123/thing"})"), Ids{12304});
  EXPECT_EQ(found(rules, R"({"n":123.25})"), Ids{12305});
  EXPECT_EQ(found(rules, R"({"n":1.23e2})"), (Ids{12305, 12306}));
  EXPECT_EQ(found(rules, R"({"a":"10.200.127.255"})"), (Ids{20007}));
  EXPECT_EQ(found(rules, R"({"s":"x","d":{"b":"v399"}})"), Ids{39908});
  EXPECT_EQ(found(rules, R"({"s":"y","d":{"b":"v399"}})"), Ids{});
  EXPECT_EQ(found(rules, R"({"f17":"x"})"), Ids{1709});
  EXPECT_EQ(found(rules, R"({"s":"x","d":{"g":"v5","h":"r"}})"), Ids{510});
  EXPECT_EQ(found(rules, R"({"s":"x","d":{"g":"v5","h":"q"}})"), Ids{});
}

TEST(RuleSet, FindsTheOneRuleWhereEveryFieldIsSharedByManyOthers) {
  RuleSet rules;
  for (int a = 0; a < 30; ++a) {
    for (int b = 0; b < 30; ++b) {
      for (int c = 0; c < 3; ++c) {
        const auto id = static_cast<RuleId>(a * 10'000 + b * 100 + c);
        const std::string text = R"({"a":["a)" + std::to_string(a) + R"("],"b":["b)" + std::to_string(b) +
                                 R"("],"c":["c)" + std::to_string(c) + R"("]})";
        ASSERT_TRUE(rules.add(id, compiled(text)).ok());
      }
    }
  }
  EXPECT_EQ(found(rules, R"({"c":"c2","b":"b29","a":"a17"})"), Ids{172902});
  EXPECT_EQ(found(rules, R"({"c":["c0","c2"],"b":"b29","a":["a17","a18"]})"),
            (Ids{172900, 172902, 182900, 182902}));
  EXPECT_EQ(found(rules, R"({"c":"c2","b":"b29"})"), Ids{});
  for (int b = 0; b < 30; ++b) EXPECT_TRUE(rules.remove(static_cast<RuleId>(170'002 + b * 100)));
  EXPECT_EQ(found(rules, R"({"c":["c1","c2"],"b":"b29","a":"a17"})"), Ids{172901});
}

TEST(RuleSet, SkipsWhatNoRuleNamesWhateverItHolds) {
  const RuleSet rules = set_of({R"({"wanted":["yes"]})"});
  for (std::size_t length = 0; length < 300; ++length) {
    const std::string filler(length, 'f');
    const std::string events[] = {
        R"({"skip":{"t":")" + filler + R"(\\","u":[1,{"v":"}]\"{["}]},"wanted":"yes"})",
        R"({"skip":[[")" + filler + R"("],{"a":")" + filler + R"(\\\""},"]"],"wanted":"yes"})",
        R"({")" + filler + R"(":")" + filler + R"(\"","wanted":"yes"})",
        R"({"skip":")" + std::string(length, '\\') + (length % 2 == 0 ? "" : "\\") + R"(","wanted":"yes"})"};
    for (const std::string& event : events) ASSERT_EQ(found(rules, event), Ids{0}) << event;
  }
}

TEST(RuleSet, RefusesBrokenTextsAndNeverReadsBeyondTheEnd) {
  const RuleSet rules = set_of({R"({"a":{"b":["x",1,{"prefix":"y"}]}})"});
  const std::string event = R"({"z":[{"q":"\\\"}]"}],"a":[{"b":"\u0078"},{"b":[1.5e3,true,null]}]})";
  MatchScratch scratch;
  EXPECT_EQ(found(rules, event), Ids{0});
  for (std::size_t size = 0; size < event.size(); ++size) {
    const auto cut = std::make_unique<char[]>(size);  // An own block, so that a sanitizer sees its end.
    std::copy_n(event.begin(), size, cut.get());
    EXPECT_FALSE(rules.match(std::string_view(cut.get(), size), scratch).ok()) << event.substr(0, size);
  }
  for (const char* text :
       {"[]", "1", "", " ", "{} x", R"({"a":})", R"({"a":{"b":tru}})", R"({"a":{"b":"\x"}})",
        R"({"a":{"b":"\u12"}})", R"({"a":1,})", R"({"a" 1})", R"({1:1})"}) {
    EXPECT_FALSE(rules.match(text, scratch).ok()) << text;
  }
  std::string deep = R"({"a":)" + std::string(100'000, '[');
  EXPECT_FALSE(rules.match(deep, scratch).ok());
  EXPECT_EQ(rules.match(deep, scratch).error().code, "InvalidEvent");
}

TEST(RuleSet, RefusesMoreThanItsLimits) {
  RuleSet::Limits limits;
  limits.rules_max = 2;
  RuleSet rules(limits);
  EXPECT_TRUE(rules.add(1, compiled(R"({"a":[1]})")).ok());
  EXPECT_TRUE(rules.add(2, compiled(R"({"a":[1]})")).ok());
  EXPECT_EQ(rules.add(3, compiled(R"({"a":[1]})")).error().code, "LimitExceeded");
  EXPECT_TRUE(rules.add(2, compiled(R"({"a":[2]})")).ok());
  EXPECT_EQ(found(rules, R"({"a":1})"), Ids{1});
  limits.rules_max = 1000;
  limits.bytes_max = 10'000;
  RuleSet small(limits);
  RuleId id = 0;
  while (small.add(id, compiled(R"({"a":["a value of some length )" + std::to_string(id) + R"("]})")).ok())
    ++id;
  EXPECT_GT(id, 5u);
  EXPECT_LT(id, 30u);
  EXPECT_EQ(small.size(), id);
}

TEST(RuleSet, ABigArrayOfCandidatesIsDecidedInTimeThatGrowsWithItsSize) {
  std::string event = R"({"a":[)";
  for (int i = 0; i < 20'000; ++i) event += R"({"b":1,"c":[{"d":1},{"e":2}]},)";
  event += R"({"b":1,"c":[{"d":1,"e":2}]}]})";
  EXPECT_EQ(
      found(set_of({R"({"a":{"b":[1],"c":{"d":[1],"e":[2]}}})", R"({"a":{"b":[1],"c":{"d":[1],"e":[3]}}})",
                    R"({"a":{"b":[1],"c":{"d":[1],"f":[{"exists":false}]}}})"}),
            event),
      (Ids{0, 2}));
}

TEST(RangeTree, FindsTheRangesThatHoldANumberAfterAnyChanges) {
  SeededRandom random(3);
  RangeTree tree;
  std::map<NumberRange, std::uint32_t> ranges;
  for (std::uint32_t step = 1; step < 2000; ++step) {
    NumberRange range;
    range.low = static_cast<double>(random.next() % 100);
    range.high = range.low + static_cast<double>(random.next() % 30);
    const RangeTree before = tree;
    if (ranges.contains(range)) {
      tree.erase(range);
      ranges.erase(range);
    } else {
      tree.insert(range, step);
      ranges[range] = step;
    }
    const double number = static_cast<double>(random.next() % 260) / 2;
    std::set<std::uint32_t> want;
    for (const auto& [one, id] : ranges) {
      if (one.low <= number && number <= one.high) want.insert(id);
    }
    std::set<std::uint32_t> got;
    tree.visit(number, [&](std::uint32_t id) { got.insert(id); });
    ASSERT_EQ(got, want);
  }
}

}  // namespace
}  // namespace sortie::pattern
