#include "runtime/timers.h"

#include <gtest/gtest.h>

#include <map>

namespace sortie::runtime {
namespace {

store::FrameKey frame(store::ExecutionNo no) { return {no, 0}; }

TEST(Timers, GiveWhatIsDueEarliestFirst) {
  Timers timers;
  timers.set(frame(1), {300});
  timers.set(frame(2), {100});
  timers.set(frame(3), {200});
  EXPECT_EQ(timers.next(), Timestamp{100});
  EXPECT_EQ(timers.take_due({99}), std::nullopt);
  EXPECT_EQ(timers.take_due({250}), frame(2));
  EXPECT_EQ(timers.take_due({250}), frame(3));
  EXPECT_EQ(timers.take_due({250}), std::nullopt);
  EXPECT_EQ(timers.size(), 1u);
}

TEST(Timers, AFrameHasOneTime) {
  Timers timers;
  timers.set(frame(1), {100});
  timers.set(frame(1), {500});
  EXPECT_EQ(timers.take_due({400}), std::nullopt);
  EXPECT_EQ(timers.take_due({500}), frame(1));
  timers.set(frame(1), {100});
  timers.set(frame(1), kNever);
  EXPECT_EQ(timers.next(), kNever);
  timers.set(frame(1), {100});
  timers.clear(frame(1));
  EXPECT_EQ(timers.take_due({1000}), std::nullopt);
}

TEST(Timers, SetAgainToTheSameTimeFiresOnce) {
  Timers timers;
  timers.set(frame(1), {100});
  timers.set(frame(1), {200});
  timers.set(frame(1), {100});
  EXPECT_EQ(timers.take_due({300}), frame(1));
  EXPECT_EQ(timers.take_due({300}), std::nullopt);
}

TEST(Timers, AgreeWithAPlainMapUnderManyChanges) {
  Timers timers;
  std::map<store::FrameKey, Timestamp> plain;
  std::uint64_t seed = 42;
  const auto random = [&seed](std::uint64_t below) {
    seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
    return (seed >> 33) % below;
  };
  for (int step = 0; step < 200'000; ++step) {
    const store::FrameKey key = frame(random(50));
    if (random(10) < 7) {
      const Timestamp due{static_cast<std::int64_t>(step + random(10'000))};
      timers.set(key, due);
      plain[key] = due;
    } else if (random(2) == 0) {
      timers.clear(key);
      plain.erase(key);
    } else if (const auto taken = timers.take_due({step})) {
      ASSERT_TRUE(plain.count(*taken) != 0 && plain[*taken].ms <= step);
      for (const auto& [other, due] : plain) ASSERT_GE(due, plain[*taken]);
      plain.erase(*taken);
    }
    ASSERT_EQ(timers.size(), plain.size());
  }
}

}  // namespace
}  // namespace sortie::runtime
