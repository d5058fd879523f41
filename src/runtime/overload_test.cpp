// Beyond what it can take the runtime refuses, and completes what it has taken.
#include <gtest/gtest.h>

#include "base/hash.h"
#include "json/text.h"
#include "runtime/runtime.h"
#include "store/memory/memory_store.h"
#include "store/testing/manual_loop.h"

namespace sortie::runtime {
namespace {

const std::string kMachines = "arn:aws:states:us-east-1:123456789012:stateMachine:";
const std::string kCall =
    R"("Type":"Task","Resource":"arn:aws:lambda:us-east-1:123456789012:function:f","End":true)";

struct OverloadTest : ::testing::Test {
  // Every task succeeds with its input, a little later.
  struct Desk final : TaskDispatcher {
    explicit Desk(OverloadTest& test) : test(test) {}
    OverloadTest& test;
    std::size_t calls = 0;
    void dispatch(TaskOrder order) override {
      ++calls;
      test.loop.call_at(test.loop.now().plus_ms(5), [this, key = order.key, parameters = order.parameters] {
        test.runtime->task_succeeded(key, parameters);
      });
    }
    void cancel(const AttemptKey&) override {}
  };
  struct Starts {
    std::size_t taken = 0, throttled = 0, others = 0;
  };

  ManualLoop loop;
  SeededRandom random{3};
  Desk desk{*this};
  store::MemoryStore store{loop, {}, {[](const store::Batch&) { return store::CommitPlan{{}, 1}; }, nullptr}};
  std::unique_ptr<Runtime> runtime;

  void begin(std::size_t mailbox_max) {
    Options options;
    options.mailbox_max = mailbox_max;
    runtime = Runtime::make(loop, random, store, desk, options);
    ASSERT_TRUE(runtime->recover().ok());
  }
  void pass(std::int64_t ms) { loop.advance_to(loop.now().plus_ms(ms)); }
  void put(const std::string& name, const std::string& definition) {
    StateMachineRecord record;
    record.arn = kMachines + name;
    record.name = name;
    record.definition = definition;
    record.role_arn = "arn:aws:iam::123456789012:role/r";
    runtime->put_state_machine(record, {}, [](const auto& done) { ASSERT_TRUE(done.ok()); });
    pass(10);
  }
  void start(const std::string& name, std::size_t count, Starts& starts) {
    for (std::size_t i = 0; i < count; ++i) {
      StartRequest request;
      request.state_machine_arn = kMachines + name;
      runtime->start_execution(std::move(request), [&starts](const Result<StartReply>& done) {
        const bool throttled = !done && done.error().code == "ThrottlingException";
        ++(done ? starts.taken : throttled ? starts.throttled : starts.others);
      });
    }
  }
  std::uint64_t succeeded() { return store.count_executions("")->by_status[1]; }
};

TEST_F(OverloadTest, WhatIsBeyondCapacityIsThrottledAndWhatWasTakenCompletes) {
  begin(100);
  put("m", R"({"StartAt":"T","States":{"T":{)" + kCall + "}}}");
  Starts starts;
  start("m", 500, starts);
  pass(60'000);
  EXPECT_EQ(starts.others, 0u);
  EXPECT_EQ(starts.taken + starts.throttled, 500u);
  EXPECT_GT(starts.throttled, 0u);
  EXPECT_GE(starts.taken, 50u);
  EXPECT_EQ(succeeded(), starts.taken);
  // It has recovered: the same number comes in a little at a time.
  Starts later;
  for (int i = 0; i < 50; ++i) {
    start("m", 10, later);
    pass(1'000);
  }
  EXPECT_EQ(later.taken, 500u);
  EXPECT_EQ(runtime->figures().mailbox, 0u);
}

TEST_F(OverloadTest, OneNoisyPlaybookLeavesRoomForTheOthers) {
  begin(100);
  put("noisy", R"({"StartAt":"T","States":{"T":{)" + kCall + "}}}");
  put("quiet", R"({"StartAt":"T","States":{"T":{)" + kCall + "}}}");
  Starts noisy, quiet;
  for (int i = 0; i < 1'000; ++i) {
    start("noisy", 100, noisy);
    if (i % 10 == 0) start("quiet", 1, quiet);
    pass(1);
  }
  pass(60'000);
  EXPECT_GT(noisy.throttled, 0u);
  EXPECT_EQ(quiet.taken, 100u) << quiet.throttled << " starts of the quiet playbook were throttled";
  EXPECT_EQ(succeeded(), noisy.taken + quiet.taken);
}

// A worm: a thousand critical findings in one second, each contained by four actions at once.
TEST_F(OverloadTest, AThousandSimultaneousIncidentsWithFourActionsEachAllComplete) {
  begin(100'000);
  std::string branches;
  for (const char* name : {"A", "B", "C", "D"}) {
    branches += std::string(branches.empty() ? "" : ",") + R"({"StartAt":")" + name + R"(","States":{")" +
                name + R"(":{)" + kCall + "}}}";
  }
  put("incident",
      R"({"StartAt":"P","States":{"P":{"Type":"Parallel","End":true,"Branches":[)" + branches + "]}}}");
  Starts starts;
  start("incident", 1'000, starts);
  pass(60'000);
  EXPECT_EQ(starts.taken, 1'000u);
  EXPECT_EQ(desk.calls, 4'000u);
  EXPECT_EQ(succeeded(), 1'000u);
  EXPECT_EQ(*runtime->check(), std::vector<std::string>());
}

}  // namespace
}  // namespace sortie::runtime
