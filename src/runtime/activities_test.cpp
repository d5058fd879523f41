#include "runtime/activities.h"

#include <gtest/gtest.h>

#include <vector>

#include "store/testing/manual_loop.h"

namespace sortie::runtime {
namespace {

using Taken = Activities::Taken;

// One activity, "a"; the answer to each task that a worker takes is given by the test.
class ActivitiesTest : public testing::Test {
 protected:
  static AttemptKey key(store::ExecutionNo no) { return {no, 0, 1, 1}; }
  void offer(store::ExecutionNo no) { activities.offer("a", {key(no), "token" + std::to_string(no), "{}"}); }
  void poll() {
    polls.push_back(activities.poll("a", "worker", 1000,
                                    [this](const ActivityTask& task) { given.push_back(task.task_token); }));
    loop.run_until_idle();
  }
  void answer(Taken taken) {
    const auto done = std::move(taking.front().second);
    taking.erase(taking.begin());
    done(taken);
  }

  ManualLoop loop;
  std::vector<std::pair<AttemptKey, std::function<void(Taken)>>> taking;
  std::vector<std::string> given;
  std::vector<std::shared_ptr<void>> polls;
  Activities activities{
      loop, [this](const AttemptKey& attempt, const std::string&, std::function<void(Taken)> done) {
        taking.emplace_back(attempt, std::move(done));
      }};
};

TEST_F(ActivitiesTest, GivesTasksInTheOrderTheyWereOffered) {
  offer(1);
  offer(2);
  poll();
  poll();
  answer(Taken::kYes);
  answer(Taken::kYes);
  EXPECT_EQ(given, (std::vector<std::string>{"token1", "token2"}));
}

TEST_F(ActivitiesTest, AWithdrawnTaskIsGivenToNobody) {
  offer(1);
  offer(2);
  activities.withdraw(key(1));
  activities.withdraw(key(7));
  poll();
  answer(Taken::kYes);
  poll();
  EXPECT_TRUE(taking.empty());
  EXPECT_EQ(given, std::vector<std::string>{"token2"});
}

TEST_F(ActivitiesTest, ATaskThatCouldNotBeRecordedKeepsItsPlace) {
  offer(1);
  offer(2);
  poll();
  answer(Taken::kTryAgain);
  poll();
  EXPECT_EQ(taking.front().first, key(1));
  answer(Taken::kYes);
  EXPECT_EQ(given, (std::vector<std::string>{"", "token1"}));
}

TEST_F(ActivitiesTest, ATaskOfferedTwiceIsGivenOnce) {
  offer(1);
  offer(1);
  poll();
  answer(Taken::kYes);
  poll();
  EXPECT_TRUE(taking.empty());
}

}  // namespace
}  // namespace sortie::runtime
