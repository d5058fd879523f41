// Protects that what the expression engines compile is immutable: programs and rule sets are shared between
// threads, also on their first use, when things that are made only on demand are made; and whoever matches
// against a snapshot of a rule set sees it whole while others change copies of it. Worth most under the
// thread sanitizer.
#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "expr/intrinsic/intrinsic.h"
#include "expr/jsonata/jsonata.h"
#include "expr/jsonpath/jsonpath.h"
#include "expr/pattern/rule_set.h"
#include "json/text.h"

namespace sortie {
namespace {

constexpr int kThreads = 4;

// Runs the work in all threads at once; each is told its number.
void in_threads(const std::function<void(int)>& work) {
  std::atomic<int> ready{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&, i] {
      ++ready;
      while (ready < kThreads) std::this_thread::yield();
      work(i);
    });
  }
  for (std::thread& thread : threads) thread.join();
}

json::Value document() {
  return *json::parse(R"({"name":"a text that does not fit into a value itself","id":"i-0abc","n":[3,1,2],
      "items":[{"k":"Owner","v":"alice and somebody else"},{"k":"Env","v":"prod"}]})");
}

TEST(ExprThreads, OneJsonataProgramIsEvaluatedInManyThreadsFromItsFirstUseOn) {
  const json::Value input = document();
  for (const char* text :
       {R"($replace(id, /(i)-[0-9a-f]+/, "<$1>") & $string($match(name, /t(\w)xt/).groups))",
        R"(items[k = "Owner"].{"v": v, "all": $$.n^($).($ * 2)})",
        R"(($f := function($n){$n > 500 ? name : $f($n + 1)}; $f(0)))",
        R"($fromMillis(0, "[Y]-[M01]-[D01]", "+0100") & $formatNumber(12.5, "#0.00") & $eval("id"))",
        R"($reduce([1..400], function($a, $x){$append($a, [$x, name])}, [])[[0..3]])"}) {
    const auto program = jsonata::Program::compile(text, jsonata::Mode::kStandard);
    ASSERT_TRUE(program.ok()) << text;
    std::vector<std::string> results(kThreads);
    in_threads([&](int thread) {
      for (int round = 0; round < 20; ++round) {
        const auto outcome = program->evaluate({.input = &input});
        results[static_cast<std::size_t>(thread)] =
            outcome ? json::to_text(outcome->value) : to_text(outcome.error());
      }
    });
    const auto alone = program->evaluate({.input = &input});
    ASSERT_TRUE(alone.ok()) << text << ": " << to_text(alone.error());
    for (const std::string& result : results) EXPECT_EQ(result, json::to_text(alone->value)) << text;
  }
}

TEST(ExprThreads, PathsAndIntrinsicFunctionsAreEvaluatedInManyThreads) {
  const json::Value input = document();
  const auto path = jsonpath::Path::compile("$.items[?(@.v =~ /al.*/i)].v");
  const auto plain = jsonpath::Path::compile("$.items[1]['v']");
  const auto function =
      intrinsic::Expression::compile("States.Format('{}-{}', $.id, States.ArrayLength($.n))");
  ASSERT_TRUE(path.ok() && plain.ok() && function.ok());
  in_threads([&](int) {
    for (int round = 0; round < 50; ++round) {
      EXPECT_EQ(json::to_text(*path->evaluate(input)), R"(["alice and somebody else"])");
      EXPECT_EQ(json::to_text(*plain->evaluate(input)), R"("prod")");
      const json::Value context;
      EXPECT_EQ(json::to_text(*function->evaluate({&input, &context, nullptr, nullptr})), R"("i-0abc-3")");
    }
  });
}

// Rules of one number come and go in pairs, so a snapshot that is whole never matches one of them alone.
TEST(ExprThreads, RuleSetsAreMatchedWhileTheirSnapshotsAreSwapped) {
  const auto pattern = [](int number) {
    return *pattern::Pattern::compile(
        R"({"source":["app"],"detail":{"n":[)" + std::to_string(number) +
            R"(],"name":[{"prefix":"na"},{"suffix":"x"}],"id":[{"anything-but":["none"]}]}})",
        pattern::Mode::kAws);
  };
  constexpr int kNumbers = 8;
  constexpr pattern::RuleId kFirstPair = 10;
  pattern::RuleSet rules;
  ASSERT_TRUE(rules.add(1, *pattern::Pattern::compile(R"({"source":["app"]})", pattern::Mode::kAws)).ok());
  std::mutex mutex;
  auto current = std::make_shared<const pattern::RuleSet>(rules);
  const auto snapshot = [&] {
    const std::lock_guard lock(mutex);
    return current;
  };
  in_threads([&](int thread) {
    pattern::MatchScratch scratch;
    for (int round = 0; round < 300; ++round) {
      const int number = (round * 5 + thread) % kNumbers;
      if (thread == 0) {
        auto next = std::make_shared<pattern::RuleSet>(*snapshot());
        const auto id = kFirstPair + static_cast<pattern::RuleId>(number) * 2;
        if (!next->remove(id)) {
          EXPECT_TRUE(next->add(id, pattern(number)).ok());
          EXPECT_TRUE(next->add(id + 1, pattern(number)).ok());
        } else {
          EXPECT_TRUE(next->remove(id + 1));
        }
        const std::lock_guard lock(mutex);
        current = std::move(next);
        continue;
      }
      const std::string event =
          R"({"source":"app","detail":{"n":)" + std::to_string(number) + R"(,"name":"name","id":"i"}})";
      const auto held = snapshot();
      const auto found = held->match(event, scratch);
      ASSERT_TRUE(found.ok());
      ASSERT_TRUE(found->size() == 1 || found->size() == 3) << found->size();
      EXPECT_EQ((*found)[0], 1u);
      if (found->size() == 3) {
        EXPECT_EQ((*found)[1] + 1, (*found)[2]);
      }
    }
  });
}

}  // namespace
}  // namespace sortie
