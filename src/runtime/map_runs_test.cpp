// Map runs whose process dies at bad moments: what was started before belongs to the run, whether or not the
// run has come by it again.
#include "runtime/map_runs.h"

#include <gtest/gtest.h>

#include "base/hash.h"
#include "json/text.h"
#include "runtime/check.h"
#include "store/memory/memory_store.h"
#include "store/testing/manual_loop.h"

namespace sortie::runtime {
namespace map_runs_test {

constexpr int kItems = 200;  // More than are come by in one turn.
const std::string kMachine = "arn:aws:states:us-east-1:123456789012:stateMachine:m";
const std::string kExecution = "arn:aws:states:us-east-1:123456789012:execution:m:run";

struct MapRunsTest : ::testing::Test {
  struct Desk final : TaskDispatcher {
    std::map<std::int64_t, AttemptKey> waiting;  // By item.
    void dispatch(TaskOrder order) override { waiting[order.parameters.as_integer()] = order.key; }
    void cancel(const AttemptKey&) override {}
  };

  ManualLoop loop;
  SeededRandom random{5};
  Desk desk;
  bool dies_at_next_end = false;
  bool is_dead = false;
  std::unique_ptr<store::MemoryStore> store;
  std::unique_ptr<Runtime> runtime;

  MapRunsTest() {
    open(store::MemoryImage());
    StateMachineRecord record;
    record.arn = kMachine;
    record.name = "m";
    record.role_arn = "arn:aws:iam::123456789012:role/r";
    record.definition =
        R"({"StartAt":"M","States":{"M":{"Type":"Map","End":true,"ItemProcessor":{"StartAt":"T",
             "ProcessorConfig":{"Mode":"DISTRIBUTED","ExecutionType":"STANDARD"},"States":{"T":{"Type":"Task",
               "Resource":"arn:aws:lambda:us-east-1:123456789012:function:f","End":true}}}}}})";
    runtime->put_state_machine(record, {}, [](const auto& kept) { ASSERT_TRUE(kept.ok()); });
    loop.run_until_idle();
    StartRequest request;
    request.state_machine_arn = kMachine;
    request.name = "run";
    std::vector<json::Value> items;
    for (int i = 0; i < kItems; ++i) items.emplace_back(i);
    request.input_text = json::to_text(json::Value::array(items));
    runtime->start_execution(request, [](const auto& started) { ASSERT_TRUE(started.ok()); });
    loop.run_until_idle();
  }

  void open(const store::MemoryImage& disk) {
    runtime.reset();
    desk.waiting.clear();
    is_dead = false;
    store::MemoryFaults faults;
    faults.plan = [this](const store::Batch& batch) {
      const bool dies = dies_at_next_end && !batch.ended.empty();
      if (dies) dies_at_next_end = false;
      return store::CommitPlan{dies ? store::CommitFault::kCrashAfter : store::CommitFault::kNone, 0};
    };
    faults.on_crash = [this] { is_dead = true; };
    store = std::make_unique<store::MemoryStore>(loop, disk, faults);
    runtime = Runtime::make(loop, random, *store, desk, {});
    ASSERT_TRUE(runtime->recover().ok());
    loop.run_until_idle();
  }
  // The process dies in the moment in which the end of this item's child has become durable.
  void fail_and_die(std::int64_t item) {
    dies_at_next_end = true;
    runtime->task_failed(desk.waiting.at(item), "Broken", "");
    while (!is_dead) loop.run_until_idle();
    open(store->image());
  }
  void succeed(std::int64_t item) {
    runtime->task_succeeded(desk.waiting.at(item), item);
    loop.run_until_idle();
  }
  void redrive() {
    runtime->redrive_execution(kExecution, "", {}, [](const auto& told) { ASSERT_TRUE(told.ok()); });
    loop.advance_to(loop.now().plus_ms(2'000));
  }
  MapRunCounts counts() {
    const auto runs = runtime->list_map_runs(kExecution, UINT64_MAX, 10);
    return runtime->describe_map_run(runs->front().arn)->executions;
  }
  void expect_over(store::ExecutionStatus status) {
    loop.advance_to(loop.now().plus_ms(2'000));
    EXPECT_EQ(runtime->describe_execution(kExecution)->status, status);
    store::ExecutionQuery running;
    running.status = store::ExecutionStatus::kRunning;
    EXPECT_TRUE(store->list_executions(running)->empty()) << "a child outlives its run";
    const auto findings = check_store(*store);
    for (const std::string& finding : *findings) ADD_FAILURE() << finding;
  }
};

TEST_F(MapRunsTest, ARunThatFailsAfterARestartStopsAllThatItHadStarted) {
  ASSERT_EQ(desk.waiting.size(), std::size_t{kItems});
  fail_and_die(0);
  expect_over(store::ExecutionStatus::kFailed);
  EXPECT_EQ(counts().failed, 1);
  EXPECT_EQ(counts().aborted, kItems - 1);
}

// What ended well in a life that failed after a restart is not counted as what it was in the life before.
TEST_F(MapRunsTest, EachChildIsCountedOnceHoweverOftenTheRunIsRedriven) {
  fail_and_die(0);
  expect_over(store::ExecutionStatus::kFailed);
  redrive();
  ASSERT_EQ(desk.waiting.size(), std::size_t{kItems});
  succeed(kItems - 1);
  fail_and_die(0);
  expect_over(store::ExecutionStatus::kFailed);
  EXPECT_EQ(counts().succeeded, 1);
  EXPECT_EQ(counts().failed, 1);
  EXPECT_EQ(counts().aborted, kItems - 2);
  desk.waiting.clear();
  redrive();
  ASSERT_EQ(desk.waiting.size(), std::size_t{kItems - 1});
  for (int item = 0; item < kItems - 1; ++item) succeed(item);
  expect_over(store::ExecutionStatus::kSucceeded);
  EXPECT_EQ(counts().succeeded, kItems);
  EXPECT_EQ(counts().aborted + counts().failed, 0);
}

}  // namespace map_runs_test
}  // namespace sortie::runtime
