// What counts as waiting too long, and that every running execution gets its look.
#include "api/waiting_watch.h"

#include <gtest/gtest.h>

#include "api/testing/api_fakes.h"

namespace sortie::api {
namespace {

using namespace api::testing;

struct WaitingWatchTest : ::testing::Test {
  fakes::ManualLoop loop;
  RowStore store{loop};
  MapRuntime runtime{loop};

  void add(store::ExecutionNo no, Timestamp started) {
    const std::string name = "run-" + std::to_string(no);
    store.rows.push_back(
        {no, "arn:" + name, "arn:m", name, store::ExecutionStatus::kRunning, started, {}, ""});
  }
  runtime::WaitingReason waits(const char* kind, std::int64_t ms, std::optional<std::int64_t> left = {}) {
    runtime::WaitingReason reason{0, "Ask", kind, loop.now().plus_ms(-ms), std::nullopt, "Ask waits."};
    if (left) reason.until = loop.now().plus_ms(*left);
    return reason;
  }
};

TEST_F(WaitingWatchTest, WhatHasNoLimitOrIsOverdueIsStuckAndWhatWaitsByItsPlaybookIsNot) {
  const std::int64_t hour = 3'600'000;
  EXPECT_FALSE(waits_too_long(waits("token", 20 * hour, hour), loop.now())) << "people have time until then";
  EXPECT_FALSE(waits_too_long(waits("timer", 20 * hour, hour), loop.now()));
  EXPECT_FALSE(waits_too_long(waits("children", 20 * hour), loop.now()));
  EXPECT_FALSE(waits_too_long(waits("task", 60'000), loop.now()));
  EXPECT_TRUE(waits_too_long(waits("task", hour), loop.now()));
  EXPECT_TRUE(waits_too_long(waits("token", 2 * hour), loop.now()));
  EXPECT_FALSE(waits_too_long(waits("activity", hour / 2), loop.now()));
  EXPECT_TRUE(waits_too_long(waits("timer", hour, -61'000), loop.now())) << "it was due a minute ago";
  EXPECT_TRUE(waits_too_long(waits("ready", 61'000), loop.now()));
}

TEST_F(WaitingWatchTest, GoesRoundAllRunningExecutionsInSteps) {
  const std::size_t count = WaitingWatch::kLooksPerStep * 2 + 7;
  for (std::size_t no = 1; no <= count; ++no) add(no, loop.now().plus_ms(-7'200'000));
  runtime.reasons = {waits("children", 7'200'000), waits("task", 7'200'000)};
  WaitingWatch watch(loop, runtime, store);
  loop.advance_ms(WaitingWatch::kStepMs);
  EXPECT_TRUE(watch.stuck().empty()) << "a round that is not over tells nothing";
  loop.advance_ms(WaitingWatch::kStepMs);
  loop.advance_ms(WaitingWatch::kStepMs);
  EXPECT_EQ(watch.stuck().size(), WaitingWatch::kToldMax);
  EXPECT_EQ(watch.stuck().front().reason.kind, "task");
  store.rows.clear();
  loop.advance_ms(WaitingWatch::kPauseMs);
  EXPECT_TRUE(watch.stuck().empty());
}

TEST_F(WaitingWatchTest, ARoundThatCannotReadKeepsWhatIsKnown) {
  add(1, loop.now().plus_ms(-7'200'000));
  runtime.reasons = {waits("task", 7'200'000)};
  WaitingWatch watch(loop, runtime, store);
  loop.advance_ms(WaitingWatch::kStepMs);
  EXPECT_EQ(watch.stuck().size(), 1u);
  store.list_error = Error{"StoreUnavailable", "I/O error", "", ""};
  loop.advance_ms(WaitingWatch::kPauseMs);
  EXPECT_EQ(watch.stuck().size(), 1u);
}

}  // namespace
}  // namespace sortie::api
