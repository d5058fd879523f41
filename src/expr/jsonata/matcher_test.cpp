// Protects the regular-expression machine: it agrees with RE2 wherever both know a pattern, follows
// JavaScript where RE2 does not, and stays linear on patterns that make backtracking explode.
#include "expr/jsonata/matcher.h"

#include <gtest/gtest.h>
#include <re2/re2.h>

#include <string>

#include "base/hash.h"

namespace sortie::jsonata {
namespace {

// "begin-end" of the match and of each group, "-" for a group that took no part; "none"; "not ours".
std::string places(std::string_view pattern, std::string_view text, bool ignore_case = false,
                   bool multiline = false) {
  const auto matcher = Matcher::compile(pattern, ignore_case, multiline);
  if (!matcher) return "not ours";
  std::vector<std::size_t> found(2 * (matcher->groups() + 1));
  if (!matcher->find(text, 0, found)) return "none";
  std::string out;
  for (std::size_t i = 0; i < found.size(); i += 2) {
    if (i > 0) out += ' ';
    out += found[i] == Matcher::kNone ? "-" : std::to_string(found[i]) + "-" + std::to_string(found[i + 1]);
  }
  return out;
}

std::string places_by_re2(const std::string& pattern, const std::string& text) {
  const re2::RE2 regex(pattern, re2::RE2::Quiet);
  if (!regex.ok()) return "bad";
  std::vector<re2::StringPiece> parts(static_cast<std::size_t>(regex.NumberOfCapturingGroups()) + 1);
  if (!regex.Match(text, 0, text.size(), re2::RE2::UNANCHORED, parts.data(), static_cast<int>(parts.size())))
    return "none";
  std::string out;
  for (const auto& part : parts) {
    if (!out.empty()) out += ' ';
    const auto at = part.data() - text.data();
    out += part.data() == nullptr
               ? "-"
               : std::to_string(at) + "-" + std::to_string(at + static_cast<std::ptrdiff_t>(part.size()));
  }
  return out;
}

TEST(Matcher, TakesTheLeftmostMatchAndTheFirstAlternative) {
  EXPECT_EQ(places("i-[0-9a-f]+", "see i-12ab now"), "4-10");
  EXPECT_EQ(places("a|ab", "xab"), "1-2");
  EXPECT_EQ(places("(a+?)(b*)", "aabb"), "0-1 0-1 1-1");
  EXPECT_EQ(places("^(\\w+)\\s(\\d{2,3})$", "abc 123"), "0-7 0-3 4-7");
  EXPECT_EQ(places("\\bFOO\\b", "a foo!", true), "2-5");
  EXPECT_EQ(places("^b$", "a\nb\nc", false, true), "2-3");
}

TEST(Matcher, FollowsJavaScriptWhereRe2DoesNot) {
  EXPECT_EQ(places("(?:(a)|b)*", "ab"), "0-2 -");
  EXPECT_EQ(places("[^\\S]", "a b"), "1-2");
  EXPECT_EQ(places("k", "\u212A", true), "none");
}

TEST(Matcher, LeavesWhatItDoesNotKnow) {
  for (const char* pattern :
       {"(?=a)", "(a)\\1", "(?<n>a)", "(a*)*", "a**", "[b-a]", "(a", "a)", "\\p{L}", "x{2"})
    EXPECT_EQ(places(pattern, "a"), "not ours") << pattern;
}

TEST(Matcher, RemembersWhereAChoiceFailed) {
  const std::string text(20'000, 'a');
  EXPECT_EQ(places("a*a*a*a*a*b", text), "none");
  EXPECT_EQ(places("(?:a|a)+c", text), "none");
}

// Groups within loops are left out: there JavaScript differs on purpose.
TEST(Matcher, AgreesWithRe2OnGeneratedPatterns) {
  SeededRandom random(7);
  const auto below = [&random](std::uint64_t n) { return static_cast<std::size_t>(random.next() % n); };
  const std::vector<std::string> atoms = {"a",   "b",   "c",     ".",   "[ab]",   "[^a]",
                                          "\\d", "\\w", "(a|b)", "(b)", "(ab|a)", "x"};
  const std::vector<std::string> loops = {"a*",        "b+",       "c?", "[ab]+?", "(?:ab)*",
                                          "(?:a|bc)+", "\\w{1,2}", ".*", ".*?"};
  int both = 0;
  for (int round = 0; round < 3000; ++round) {
    std::string pattern = below(8) == 0 ? "^" : "";
    for (std::size_t i = 0, count = 1 + below(5); i < count; ++i)
      pattern += below(2) == 0 ? atoms[below(atoms.size())] : loops[below(loops.size())];
    if (below(4) == 0) pattern += "|" + atoms[below(atoms.size())] + "b";
    if (below(8) == 0) pattern += "$";
    std::string text;
    for (std::size_t i = 0, count = below(9); i < count; ++i) text += "abcx1"[below(5)];
    const std::string ours = places(pattern, text);
    if (ours == "not ours") continue;
    ++both;
    ASSERT_EQ(ours, places_by_re2(pattern, text)) << pattern << " on " << text;
  }
  EXPECT_GT(both, 2000);
}

}  // namespace
}  // namespace sortie::jsonata
