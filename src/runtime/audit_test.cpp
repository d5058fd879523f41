// The audit finds what nothing would have moved on, sets it going again, and leaves the healthy alone.
#include "runtime/audit.h"

#include <gtest/gtest.h>

#include "base/hash.h"
#include "store/memory/memory_store.h"
#include "store/testing/manual_loop.h"

namespace sortie::runtime {
namespace {

const std::string kPrefix = "arn:aws:states:us-east-1:123456789012:stateMachine:";
const std::string kLambda = R"("Type":"Task","Resource":"arn:aws:lambda:us-east-1:123456789012:function:f")";
const std::string kToken =
    R"("Type":"Task","Resource":"arn:aws:states:::sqs:sendMessage.waitForTaskToken","TimeoutSeconds":86400,)"
    R"("Parameters":{"QueueUrl":"q","MessageBody.$":"$$.Task.Token"})";
constexpr std::int64_t kHourMs = 3'600'000;

struct AuditTest : ::testing::Test {
  struct Desk final : TaskDispatcher {
    std::vector<TaskOrder> orders;
    bool has_forgotten = false;  // As if its calls had got lost.
    void dispatch(TaskOrder order) override {
      has_forgotten = false;
      orders.push_back(std::move(order));
    }
    void cancel(const AttemptKey&) override {}
    bool holds(const AttemptKey&) const override { return !has_forgotten; }
  };

  ManualLoop loop;
  SeededRandom random{3};
  Desk desk;
  std::vector<StuckFrame> stuck;
  std::unique_ptr<store::MemoryStore> store;
  std::unique_ptr<Runtime> runtime;

  AuditTest() { restart(store::MemoryImage()); }
  // The process ends; the next one finds what `disk` says.
  void restart(const store::MemoryImage& disk) {
    runtime.reset();
    store = std::make_unique<store::MemoryStore>(loop, disk);
    Options options;
    options.audit_step_ms = 100;
    options.on_stuck = [this](const StuckFrame& found) { stuck.push_back(found); };
    runtime = Runtime::make(loop, random, *store, desk, options);
    ASSERT_TRUE(runtime->recover().ok());
    loop.run_until_idle();
  }
  std::string start(const std::string& states, const std::string& members = "") {
    StateMachineRecord record;
    record.arn = kPrefix + std::to_string(++machines_);
    record.name = std::to_string(machines_);
    record.definition = "{" + members + R"("StartAt":"A","States":{)" + states + "}}";
    record.role_arn = "arn:aws:iam::123456789012:role/r";
    runtime->put_state_machine(record, {}, [](const auto& done) { ASSERT_TRUE(done.ok()); });
    loop.run_until_idle();
    std::string arn;
    StartRequest request;
    request.state_machine_arn = record.arn;
    runtime->start_execution(request, [&](const Result<StartReply>& done) {
      ASSERT_TRUE(done.ok());
      arn = done->execution_arn;
    });
    loop.run_until_idle();
    return arn;
  }
  void pass(std::int64_t ms) { loop.advance_to(loop.now().plus_ms(ms)); }
  store::ExecutionStatus status(const std::string& arn) { return runtime->describe_execution(arn)->status; }

 private:
  int machines_ = 0;
};

TEST_F(AuditTest, ATimerThatTheStoreHasLostIsReportedAndFires) {
  const std::string arn = start(R"("A":{"Type":"Wait","Seconds":600,"End":true})");
  store::MemoryImage disk = store->image();
  disk.frames.begin()->second.wake_at = kNever;
  restart(disk);
  pass(kHourMs);
  ASSERT_EQ(stuck.size(), 1u);
  EXPECT_EQ(stuck[0].execution_arn, arn);
  EXPECT_TRUE(stuck[0].set_going);
  EXPECT_EQ(stuck[0].what, "it was due at a time that the store did not say");
  EXPECT_EQ(status(arn), store::ExecutionStatus::kSucceeded);
  EXPECT_EQ(runtime->figures().frames_stuck, 1u);
}

TEST_F(AuditTest, TheDeadlineOfAnExecutionThatTheStoreHasLostIsFoundToo) {
  const std::string arn = start(R"("A":{)" + kLambda + R"(,"End":true})", R"("TimeoutSeconds":600,)");
  store::MemoryImage disk = store->image();
  disk.frames.begin()->second.wake_at = kNever;
  restart(disk);
  pass(kHourMs);
  ASSERT_EQ(stuck.size(), 1u);
  EXPECT_EQ(status(arn), store::ExecutionStatus::kTimedOut);
}

TEST_F(AuditTest, ACallThatGotLostIsMadeAgainUnderTheSameKey) {
  start(R"("A":{)" + kLambda + R"(,"End":true})");
  ASSERT_EQ(desk.orders.size(), 1u);
  desk.has_forgotten = true;
  pass(kHourMs);
  ASSERT_EQ(desk.orders.size(), 2u);
  EXPECT_EQ(desk.orders[1].idempotency_key, desk.orders[0].idempotency_key);
  ASSERT_EQ(stuck.size(), 1u);
  EXPECT_EQ(stuck[0].what, "it waited for a call that was not under way");
  EXPECT_TRUE(stuck[0].set_going);
}

TEST_F(AuditTest, AnExecutionWithoutAFrameIsReportedEveryTime) {
  const std::string arn = start(R"("A":{"Type":"Wait","Seconds":600,"End":true})");
  store::MemoryImage disk = store->image();
  disk.frames.clear();
  restart(disk);
  pass(60'000);
  ASSERT_FALSE(stuck.empty());
  EXPECT_EQ(stuck[0].execution_arn, arn);
  EXPECT_FALSE(stuck[0].set_going);
  const std::size_t before = stuck.size();
  pass(kHourMs);
  EXPECT_GT(stuck.size(), before) << "nothing can be done about it here, so it must not be forgotten";
}

TEST_F(AuditTest, AFrameThatCannotBeReadIsReported) {
  const std::string arn = start(R"("A":{"Type":"Wait","Seconds":600,"End":true})");
  store::MemoryImage disk = store->image();
  disk.frames.begin()->second.image = "no frame";
  restart(disk);
  pass(60'000);
  ASSERT_FALSE(stuck.empty());
  EXPECT_EQ(stuck[0].execution_arn, arn);
  EXPECT_FALSE(stuck[0].set_going);
}

TEST_F(AuditTest, AParallelWithoutARunningBranchIsReported) {
  const std::string arn =
      start(R"("A":{"Type":"Parallel","End":true,"Branches":[)"
            R"({"StartAt":"B","States":{"B":{"Type":"Wait","Seconds":600,"End":true}}}]})");
  store::MemoryImage disk = store->image();
  ASSERT_EQ(disk.frames.size(), 2u);
  disk.frames.erase(std::prev(disk.frames.end()));
  restart(disk);
  pass(60'000);
  ASSERT_FALSE(stuck.empty());
  EXPECT_EQ(stuck[0].execution_arn, arn);
  EXPECT_EQ(stuck[0].what, "it waits for branches of which none runs; stop the execution");
}

// Every phase at once, before and after a restart: nothing is reported, nothing is called twice, and not one
// byte of the store changes.
TEST_F(AuditTest, WhatWaitsForAReasonIsLeftAlone) {
  start(R"("A":{"Type":"Wait","Seconds":86400,"End":true})");
  start(R"("A":{)" + kLambda + R"(,"TimeoutSeconds":86400,"End":true})");
  start(R"("A":{)" + kToken + R"(,"End":true})");
  start(R"("A":{)" + kLambda +
        R"(,"End":true,"Retry":[{"ErrorEquals":["States.ALL"],"IntervalSeconds":86400}]})");
  start(R"("A":{"Type":"Parallel","End":true,"Branches":[{"StartAt":"B","States":{"B":{)" + kLambda +
        R"(,"End":true}}},{"StartAt":"C","States":{"C":{"Type":"Wait","Seconds":86400,"End":true}}}]})");
  start(R"("A":{"Type":"Task","Resource":"arn:aws:states:us-east-1:123456789012:activity:a","End":true})");
  runtime->task_submitted(desk.orders[1].key, {});
  runtime->task_failed(desk.orders[2].key, "Broken", "yet");
  loop.run_until_idle();
  for (int round = 0; round < 2; ++round) {
    const std::size_t calls = desk.orders.size();
    const std::uint64_t commits = store->figures().commits;
    pass(600'000);
    EXPECT_TRUE(stuck.empty()) << stuck[0].execution_arn << ": " << stuck[0].what;
    EXPECT_EQ(desk.orders.size(), calls);
    EXPECT_EQ(store->figures().commits, commits);
    EXPECT_GT(runtime->figures().frames_audited, 40u);
    EXPECT_GT(runtime->figures().audit_cycles, 4u);
    restart(store->image());
  }
}

}  // namespace
}  // namespace sortie::runtime
