#include "io/event_loop.h"

#include <gmock/gmock.h>
#include <signal.h>

#include <thread>

namespace sortie::io {
namespace {

TEST(EventLoop, RunsTimersInOrderOfTimeAndNeverInsideTheCall) {
  EventLoop loop;
  std::vector<int> order;
  const Timestamp start = loop.now();
  loop.call_at(start.plus_ms(2), [&] { order.push_back(2); });
  loop.call_at(start.plus_ms(1), [&] { order.push_back(1); });
  loop.call_at({0}, [&] { order.push_back(0); });
  const auto cancelled = loop.call_at(start.plus_ms(1), [&] { order.push_back(9); });
  loop.cancel(cancelled);
  loop.cancel(12345);
  EXPECT_TRUE(order.empty());
  EXPECT_TRUE(loop.run_until([&] { return order.size() == 3; }, 5'000));
  EXPECT_THAT(order, testing::ElementsAre(0, 1, 2));
}

TEST(EventLoop, ATimerMayCancelAnotherThatIsDueInTheSameRound) {
  EventLoop loop;
  bool wrong = false, done = false;
  Loop::TimerId second = 0;
  loop.call_at({1}, [&] { loop.cancel(second); });
  second = loop.call_at({2}, [&] { wrong = true; });
  loop.call_at({3}, [&] { done = true; });
  EXPECT_TRUE(loop.run_until([&] { return done; }, 5'000));
  EXPECT_FALSE(wrong);
}

TEST(EventLoop, TakesWorkFromOtherThreadsAndStops) {
  EventLoop loop;
  int count = 0;
  std::thread thread([&] {
    for (int i = 0; i < 1000; ++i) loop.post([&] { ++count; });
    loop.post([&] { loop.stop(); });
  });
  loop.run();
  thread.join();
  EXPECT_EQ(count, 1000);
}

TEST(EventLoop, DoesWorkBesideTheLoopInOrder) {
  EventLoop loop;
  std::vector<int> worked, done;
  for (int i = 0; i < 3; ++i) {
    loop.run_in_background([&worked, i] { worked.push_back(i); }, [&done, i] { done.push_back(i); });
  }
  EXPECT_TRUE(loop.run_until([&] { return done.size() == 3; }, 5'000));
  EXPECT_EQ(worked, done);
}

TEST(EventLoop, TellsOfSignals) {
  EventLoop loop;
  int got = 0;
  loop.on_signals({SIGUSR1}, [&](int signal) { got = signal; });
  ::raise(SIGUSR1);
  EXPECT_TRUE(loop.run_until([&] { return got == SIGUSR1; }, 5'000));
}

TEST(SystemRandom, DoesNotRepeatItself) {
  SystemRandom random;
  EXPECT_NE(random.next(), random.next());
}

}  // namespace
}  // namespace sortie::io
