// A wall clock that is set back delays nobody; one that is set forward makes due what it passed.
#include "base/loop_timers.h"

#include <gtest/gtest.h>

namespace sortie {
namespace {

constexpr Timestamp kNoon{1'800'000'000'000};
constexpr std::int64_t kHourMs = 3'600'000;

// Two clocks that go together except where one is set.
struct LoopTimersTest : ::testing::Test {
  LoopTimers timers;
  LoopTimers::Now now{kNoon, 5'000};
  std::vector<int> run;

  void pass(std::int64_t ms) { now = {now.wall.plus_ms(ms), now.steady_ms + ms}; }
  void set_clock(std::int64_t ms) { now.wall = now.wall.plus_ms(ms); }
  LoopTimers::TimerId in(std::int64_t ms, int name) {
    return timers.add(
        now.wall.plus_ms(ms), [this, name] { run.push_back(name); }, now);
  }
  std::vector<int> what_runs() {
    run.clear();
    for (const LoopTimers::TimerId id : timers.due(now)) {
      if (const auto callback = timers.take(id)) callback();
    }
    return run;
  }
};

TEST_F(LoopTimersTest, RunsInOrderOfTimeAndWhatIsCancelledNever) {
  in(20, 2);
  in(10, 1);
  timers.cancel(in(15, 9));
  timers.cancel(12345);
  EXPECT_EQ(timers.next(now), kNoon.plus_ms(10));
  EXPECT_EQ(what_runs(), std::vector<int>());
  pass(20);
  EXPECT_EQ(what_runs(), (std::vector<int>{1, 2}));
  EXPECT_EQ(timers.next(now), kNever);
  EXPECT_TRUE(timers.empty());
}

TEST_F(LoopTimersTest, AClockThatIsSetBackDelaysNobody) {
  in(500, 1);
  pass(100);
  set_clock(-kHourMs);
  EXPECT_EQ(timers.next(now), now.wall.plus_ms(400));
  pass(399);
  EXPECT_EQ(what_runs(), std::vector<int>());
  pass(1);
  EXPECT_EQ(what_runs(), std::vector<int>{1});
}

TEST_F(LoopTimersTest, AClockThatIsSetForwardMakesDueWhatItPassed) {
  in(kHourMs, 1);
  in(3 * kHourMs, 2);
  set_clock(2 * kHourMs);
  EXPECT_EQ(what_runs(), std::vector<int>{1});
}

TEST_F(LoopTimersTest, AClockThatIsPutRightAgainLeavesWhatItWas) {
  in(kHourMs, 1);
  set_clock(kHourMs / 2);
  in(kHourMs, 2);
  EXPECT_EQ(timers.next(now), now.wall.plus_ms(kHourMs / 2));
  set_clock(-kHourMs / 2);
  EXPECT_EQ(timers.next(now), now.wall.plus_ms(kHourMs));
  pass(kHourMs);
  EXPECT_EQ(what_runs(), (std::vector<int>{1, 2}));
}

// One that comes early and finds nothing due asks again for the same moment, and must not come at once.
TEST_F(LoopTimersTest, ASmallJumpMakesNobodyComeBeforeTheMomentThatWasAsked) {
  in(kHourMs, 1);
  for (const std::int64_t jump : {60, -60, -60, 60}) {
    set_clock(jump);
    const Timestamp asked = now.wall.plus_ms(1'000);
    in(1'000, 2);
    EXPECT_EQ(timers.next(now), asked);
    pass(1'000);
    EXPECT_EQ(what_runs(), std::vector<int>{2});
  }
}

}  // namespace
}  // namespace sortie
