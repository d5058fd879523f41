// What the runtime does beyond moving one execution on: versions and aliases, redrive, EXPRESS machines.
#include "runtime/runtime.h"

#include <gtest/gtest.h>

#include "base/hash.h"
#include "base/text.h"
#include "json/text.h"
#include "store/forwarding.h"
#include "store/memory/memory_store.h"
#include "store/search_terms.h"
#include "store/testing/manual_loop.h"
#include "store/testing/narrow_store.h"

namespace sortie::runtime {
namespace {

const std::string kMachine = "arn:aws:states:us-east-1:123456789012:stateMachine:m";
const std::string kTask =
    R"({"Type":"Task","Resource":"arn:aws:lambda:us-east-1:123456789012:function:f","End":true})";
const std::string kTaskMachine = R"({"StartAt":"T","States":{"T":)" + kTask + "}}";

struct RuntimeTest : ::testing::Test {
  // Keeps what is dispatched; the test answers.
  struct Desk final : TaskDispatcher {
    std::vector<TaskOrder> orders;
    void dispatch(TaskOrder order) override { orders.push_back(std::move(order)); }
    void cancel(const AttemptKey&) override {}
  };

  ManualLoop loop;
  SeededRandom random{3};
  Desk desk;
  std::unique_ptr<store::MemoryStore> store;
  std::unique_ptr<Runtime> runtime;
  Actor actor;

  RuntimeTest() { restart(); }
  void restart() { restart(store ? store->image() : store::MemoryImage()); }
  void restart(const store::MemoryImage& disk) {
    runtime.reset();
    store = std::make_unique<store::MemoryStore>(loop, disk);
    desk.orders.clear();
    runtime = Runtime::make(loop, random, *store, desk, {});
    EXPECT_TRUE(runtime->recover().ok());
    loop.run_until_idle();
  }
  StateMachineRecord record(const std::string& definition, const std::string& type = "STANDARD") {
    StateMachineRecord out;
    out.arn = kMachine;
    out.name = "m";
    out.definition = definition;
    out.role_arn = "arn:aws:iam::123456789012:role/r";
    out.type = type;
    return out;
  }
  void put(const StateMachineRecord& machine) {
    bool ok = false;
    runtime->put_state_machine(machine, actor,
                               [&](const Result<StateMachineRecord>& done) { ok = done.ok(); });
    loop.run_until_idle();
    ASSERT_TRUE(ok);
  }
  void publish(StateMachineRecord machine, int number) {
    StateMachineRecord version = machine;
    version.arn += ":" + std::to_string(number);
    machine.last_version = number;
    bool ok = false;
    runtime->publish_version(machine, version, actor,
                             [&](const Result<StateMachineRecord>& done) { ok = done.ok(); });
    loop.run_until_idle();
    ASSERT_TRUE(ok);
  }
  std::string start(const std::string& arn, const std::string& name = "") {
    std::string started;
    runtime->start_execution(
        {.state_machine_arn = arn, .name = name, .input_text = R"({"a":1})"},
        [&](const Result<StartReply>& done) { started = done ? done->execution_arn : done.error().code; });
    loop.run_until_idle();
    return started;
  }
  std::string redrive(const std::string& arn, const std::string& token = "") {
    std::string answer;
    runtime->redrive_execution(arn, token, actor, [&](const Result<Timestamp>& done) {
      answer = done ? "redriven" : done.error().code + ": " + done.error().message;
    });
    loop.run_until_idle();
    return answer;
  }
  void fail_last() {
    runtime->task_failed(desk.orders.back().key, "Broken", "yet");
    loop.run_until_idle();
  }
  void succeed_last() {
    runtime->task_succeeded(desk.orders.back().key, json::Value("done"));
    loop.run_until_idle();
  }
  std::string history(const std::string& arn) {
    std::string types;
    const Result<HistoryPage> page = runtime->history(arn, 1, 100, false);
    for (const engine::HistoryEvent& event : page->events) {
      types += (types.empty() ? "" : " ") + std::string(engine::event_type_name(event.type));
    }
    return types;
  }
};

TEST_F(RuntimeTest, AnAliasStartsItsVersionsByWeightAndTheExecutionRemembersBoth) {
  const std::string pass = R"({"StartAt":"A","States":{"A":{"Type":"Pass","Result":N,"End":true}}})";
  StateMachineRecord machine = record(replace_all(pass, "N", "1"));
  put(machine);
  publish(machine, 1);
  machine.definition = replace_all(pass, "N", "2");
  publish(machine, 2);
  AliasRecord alias{kMachine + ":live", "live", "", {{kMachine + ":1", 25}, {kMachine + ":2", 75}}, {}, {}};
  runtime->put_alias(alias, actor, [](const Result<Unit>&) {});
  loop.run_until_idle();
  restart();  // All of it is durable.
  std::map<std::string, int> drawn;
  for (int i = 0; i < 400; ++i) {
    const ExecutionDescription described = *runtime->describe_execution(start(kMachine + ":live"));
    EXPECT_EQ(described.state_machine_arn, kMachine);
    EXPECT_EQ(described.alias_arn, kMachine + ":live");
    EXPECT_EQ(*described.output_text, described.version_arn.substr(described.version_arn.size() - 1));
    ++drawn[described.version_arn];
  }
  EXPECT_NEAR(drawn[kMachine + ":1"], 100, 40);
  EXPECT_EQ(start(kMachine + ":gone"), "StateMachineDoesNotExist");
  EXPECT_EQ(start(kMachine + ":9"), "StateMachineDoesNotExist");
  const auto listed = *runtime->list_executions({.state_machine_arn = kMachine, .limit = 3});
  ASSERT_EQ(listed.size(), 3u);
  EXPECT_EQ(listed[0].alias_arn, kMachine + ":live");
}

TEST_F(RuntimeTest, WithAMachineGoItsVersionsAndAliases) {
  const StateMachineRecord machine = record(kTaskMachine);
  put(machine);
  publish(machine, 1);
  runtime->put_alias({kMachine + ":live", "live", "", {{kMachine + ":1", 100}}, {}, {}}, actor,
                     [](const Result<Unit>&) {});
  loop.run_until_idle();
  const std::string running = start(kMachine + ":live");
  runtime->delete_state_machine(kMachine, actor, [](const Result<Unit>&) {});
  loop.run_until_idle();
  restart();
  EXPECT_TRUE(runtime->list_state_machines().empty());
  EXPECT_TRUE(runtime->list_versions(kMachine).empty());
  EXPECT_TRUE(runtime->list_aliases(kMachine).empty());
  ASSERT_EQ(desk.orders.size(), 1u) << "what runs goes on";
  succeed_last();
  EXPECT_EQ(runtime->describe_execution(running)->status, store::ExecutionStatus::kSucceeded);
}

TEST_F(RuntimeTest, ARedriveGoesOnAfterARestartUnderTheDefinitionOfTheStart) {
  put(record(kTaskMachine));
  const std::string arn = start(kMachine, "e");
  const std::string first_key = desk.orders.back().idempotency_key;
  EXPECT_EQ(redrive(arn), "ExecutionNotRedrivable: Execution is RUNNING and cannot be redriven");
  fail_last();
  EXPECT_FALSE(runtime->describe_execution(arn)->redrive_obstacle);
  put(record(R"({"StartAt":"T","States":{"T":{"Type":"Fail"}}})"));
  restart();
  EXPECT_EQ(redrive(arn, "token"), "redriven");
  EXPECT_EQ(redrive(arn, "token"), "redriven") << "the same token asks for the same redrive";
  EXPECT_EQ(redrive(arn, "other").substr(0, 22), "ExecutionNotRedrivable");
  restart();
  ASSERT_EQ(desk.orders.size(), 1u);
  EXPECT_NE(desk.orders.back().idempotency_key, first_key);
  succeed_last();
  const ExecutionDescription ended = *runtime->describe_execution(arn);
  EXPECT_EQ(ended.status, store::ExecutionStatus::kSucceeded);
  EXPECT_EQ(ended.redrive_count, 1);
  EXPECT_EQ(*ended.redrive_obstacle, "Execution is SUCCEEDED and cannot be redriven");
  EXPECT_EQ(history(arn),
            "ExecutionStarted TaskStateEntered LambdaFunctionScheduled LambdaFunctionStarted "
            "LambdaFunctionFailed ExecutionFailed ExecutionRedriven LambdaFunctionScheduled "
            "LambdaFunctionStarted LambdaFunctionSucceeded TaskStateExited ExecutionSucceeded");
  EXPECT_TRUE(runtime->check()->empty());
}

TEST_F(RuntimeTest, ARepeatedRedriveRunsOnceAlsoWhenItHasFailedAgain) {
  put(record(kTaskMachine));
  const std::string arn = start(kMachine, "e");
  for (const char* token : {"one", "two"}) {
    fail_last();
    EXPECT_EQ(redrive(arn, token), "redriven");
  }
  fail_last();
  restart();
  for (const char* token : {"one", "two", "one"}) EXPECT_EQ(redrive(arn, token), "redriven");
  EXPECT_EQ(runtime->describe_execution(arn)->redrive_count, 2)
      << "a client that never heard the answer asks again";
  loop.advance_to(loop.now().plus_ms(15LL * 60 * 1000));
  EXPECT_EQ(redrive(arn, "one"), "redriven");
  EXPECT_EQ(runtime->describe_execution(arn)->redrive_count, 3);
}

TEST_F(RuntimeTest, ARedriveIsPossibleForFourteenDays) {
  put(record(kTaskMachine));
  const std::string arn = start(kMachine, "e");
  runtime->stop_execution(arn, "", "", actor, [](const Result<Timestamp>&) {});
  loop.run_until_idle();
  loop.advance_to(loop.now().plus_ms(15LL * 24 * 3600 * 1000));
  EXPECT_TRUE(redrive(arn).starts_with("ExecutionNotRedrivable: Execution exceeded the redrivable period"));
  EXPECT_EQ(redrive(arn + "x").substr(0, 21), "ExecutionDoesNotExist");
}

TEST_F(RuntimeTest, ASynchronousExpressExecutionWritesNothingAndTellsItsEnd) {
  put(record(kTaskMachine, "EXPRESS"));
  const std::size_t documents = store->image().documents.size();
  std::optional<ExecutionDescription> ended;
  runtime->start_sync_execution({.state_machine_arn = kMachine, .name = "n", .input_text = "{}"},
                                [&](const Result<ExecutionDescription>& done) { ended = *done; });
  loop.run_until_idle();
  ASSERT_EQ(desk.orders.size(), 1u);
  EXPECT_FALSE(ended);
  succeed_last();
  ASSERT_TRUE(ended);
  EXPECT_EQ(ended->status, store::ExecutionStatus::kSucceeded);
  EXPECT_EQ(*ended->output_text, "\"done\"");
  EXPECT_TRUE(ended->arn.starts_with("arn:aws:states:us-east-1:123456789012:express:m:n:")) << ended->arn;
  const store::MemoryImage disk = store->image();
  EXPECT_TRUE(disk.executions.empty());
  EXPECT_TRUE(disk.frames.empty());
  EXPECT_TRUE(disk.history.empty());
  EXPECT_EQ(disk.documents.size(), documents);
}

TEST_F(RuntimeTest, AnExpressExecutionEndsAfterFiveMinutesAtLatest) {
  put(record(kTaskMachine, "EXPRESS"));
  std::optional<ExecutionDescription> ended;
  runtime->start_sync_execution({.state_machine_arn = kMachine},
                                [&](const Result<ExecutionDescription>& done) { ended = *done; });
  loop.run_until_idle();
  loop.advance_to(loop.now().plus_ms(5 * 60 * 1000 - 1));
  EXPECT_FALSE(ended);
  loop.advance_to(loop.now().plus_ms(1));
  ASSERT_TRUE(ended);
  EXPECT_EQ(ended->status, store::ExecutionStatus::kTimedOut);
}

TEST_F(RuntimeTest, AnAsynchronousExpressExecutionOutlivesTheProcessAndItsNameMayComeAgain) {
  put(record(kTaskMachine, "EXPRESS"));
  const std::string one = start(kMachine, "n"), two = start(kMachine, "n");
  EXPECT_NE(one, two);
  restart();
  EXPECT_EQ(desk.orders.size(), 2u);
  succeed_last();
}

TEST_F(RuntimeTest, WhatTheStoreWillNeverTakeFailsItsExecutionAndIsNotTriedForEver) {
  store::NarrowStore narrow{*store, loop, 20'000};
  runtime = Runtime::make(loop, random, narrow, desk, {});
  ASSERT_TRUE(runtime->recover().ok());
  put(record(kTaskMachine));
  const std::string arn = start(kMachine, "one");
  runtime->task_succeeded(desk.orders.back().key, json::Value(std::string(50'000, 'x')));
  loop.advance_to(loop.now().plus_ms(5'000));
  EXPECT_EQ(runtime->describe_execution(arn)->status, store::ExecutionStatus::kFailed);
  EXPECT_EQ(history(arn).substr(history(arn).rfind(' ') + 1), "ExecutionFailed");
  EXPECT_EQ(runtime->figures().commit_failures, 1u);
  runtime.reset();
}

// Those in whose input the text stands, as a search finds them.
std::vector<store::ExecutionNo> found_by_text(store::Store& store, const std::string& text) {
  return *store.find_by_terms({.terms = {{store::term_of(store::TermKind::kText, text)}}});
}

TEST_F(RuntimeTest, AnExecutionIsFoundByItsTextsItsNameAndTheWordsOfItsError) {
  put(record(R"({"StartAt":"F","States":{"F":{"Type":"Fail","Error":"No.Host","Cause":"it is i-7."}}})"));
  EXPECT_EQ(**store::find_terms_from(*store), 1u) << "all that there will be have their terms";
  runtime->start_execution(
      {.state_machine_arn = kMachine, .name = "Night-1", .input_text = R"({"id":["F-1"]})"},
      [](const Result<StartReply>& started) { EXPECT_TRUE(started.ok()); });
  loop.run_until_idle();
  EXPECT_EQ(found_by_text(*store, "f-1"), std::vector<store::ExecutionNo>{1});
  EXPECT_EQ(store->find_by_terms({.name = "night-", .name_is_prefix = true})->size(), 1u);
  for (const char* word : {"no.host", "i-7"}) {
    EXPECT_EQ(store->find_by_terms({.terms = {{store::term_of(store::TermKind::kError, word)}}})->size(), 1u)
        << word;
  }
}

TEST_F(RuntimeTest, ExecutionsFromBeforeThereWereTermsAreBroughtUpToDateInSteps) {
  put(record(R"({"StartAt":"P","States":{"P":{"Type":"Pass","End":true}}})"));
  constexpr int kAll = 120;
  for (int i = 1; i <= kAll; ++i) start(kMachine, "old-" + std::to_string(i));
  store::MemoryImage disk = store->image();
  disk.terms.clear();
  disk.term_names.clear();
  disk.documents.erase({store::kSearchKind, store::kSearchFromKey});
  restart(disk);
  EXPECT_EQ(**store::find_terms_from(*store), kAll + 1u);
  const auto found = [&] {
    return store->find_by_terms({.name = "old-", .name_is_prefix = true, .limit = 1'000})->size();
  };
  EXPECT_EQ(found(), 0u);
  loop.advance_to(loop.now().plus_ms(25));
  EXPECT_EQ(found(), 50u) << "one step, from the newest downwards";
  EXPECT_EQ(**store::find_terms_from(*store), kAll - 50u + 1);
  restart();  // It goes on where it was.
  loop.advance_to(loop.now().plus_ms(1'000));
  EXPECT_EQ(found(), static_cast<std::size_t>(kAll));
  EXPECT_EQ(**store::find_terms_from(*store), 1u);
}

// A store whose answers come when they are let through, and whose reads may fail.
struct LateStore final : store::ForwardingStore {
  explicit LateStore(store::Store& below) : ForwardingStore(below) {}
  void append(store::Batch batch, Done done) override {
    ForwardingStore::append(std::move(batch), [this, done = std::move(done)](const Status& status) {
      if (!holding) return done(status);
      held.push_back([done, status] { done(status); });
    });
  }
  Result<std::optional<store::ExecutionRow>> find_execution(std::string_view arn) override {
    if (failing) return Error{"StoreUnavailable", "I/O error", "", ""};
    return ForwardingStore::find_execution(arn);
  }
  void let_through() {
    holding = false;
    for (const auto& done : std::exchange(held, {})) done();
  }
  bool holding = false, failing = false;
  std::vector<std::function<void()>> held;
};

struct LateStoreTest : RuntimeTest {
  LateStoreTest() {
    runtime = Runtime::make(loop, random, late, desk, {});
    EXPECT_TRUE(runtime->recover().ok());
  }
  ~LateStoreTest() override { runtime.reset(); }
  LateStore late{*store};
};

TEST_F(LateStoreTest, ARedriveWaitsForAnEndThatTheStoreShowsAlready) {
  put(record(kTaskMachine));
  const std::string arn = start(kMachine, "one");
  late.holding = true;
  fail_last();
  ASSERT_EQ(runtime->describe_execution(arn)->status, store::ExecutionStatus::kFailed);
  std::string answer;
  runtime->redrive_execution(
      arn, "", actor, [&](const Result<Timestamp>& done) { answer = done ? "redriven" : done.error().code; });
  loop.run_until_idle();
  EXPECT_EQ(answer, "") << "the end has yet to be told";
  late.let_through();
  loop.run_until_idle();
  EXPECT_EQ(answer, "redriven");
  succeed_last();
  EXPECT_EQ(runtime->describe_execution(arn)->status, store::ExecutionStatus::kSucceeded);
}

TEST_F(LateStoreTest, WhoWaitsForAnEndHearsOfItAlthoughAReadFailed) {
  put(record(kTaskMachine));
  const std::string arn = start(kMachine, "one");
  int told = 0;
  const auto waiter = runtime->when_ended(arn, [&](const ExecutionDescription&) { ++told; });
  loop.run_until_idle();
  late.holding = true;
  succeed_last();
  late.failing = true;
  late.let_through();
  loop.run_until_idle();
  EXPECT_EQ(told, 0);
  late.failing = false;
  loop.advance_to(loop.now().plus_ms(5'000));
  EXPECT_EQ(told, 1);
}

TEST_F(LateStoreTest, ChildrenThatAllFailedBeforeTheirMapRunWasLoadedAgainFailIt) {
  put(record(R"({"StartAt":"M","States":{"M":{"Type":"Map","End":true,"ItemsPath":"$.items",
    "ItemProcessor":{"ProcessorConfig":{"Mode":"DISTRIBUTED","ExecutionType":"STANDARD"},
    "StartAt":"T","States":{"T":)" +
             kTask + "}}}}}"));
  std::string arn;
  runtime->start_execution({.state_machine_arn = kMachine, .name = "one", .input_text = R"({"items":[1,2]})"},
                           [&](const Result<StartReply>& done) { arn = done->execution_arn; });
  loop.run_until_idle();
  ASSERT_EQ(desk.orders.size(), 2u);
  late.holding = true;
  for (const TaskOrder& order : desk.orders) runtime->task_failed(order.key, "Broken", "both");
  loop.run_until_idle();
  restart();  // Nobody had counted them.
  loop.advance_to(loop.now().plus_ms(5'000));
  const Result<ExecutionDescription> ended = runtime->describe_execution(arn);
  EXPECT_EQ(ended->status, store::ExecutionStatus::kFailed);
  EXPECT_EQ(ended->error, "States.ExceedToleratedFailureThreshold");
}

TEST_F(RuntimeTest, OneThatLostTheShardRefusesNoTokenThatItsSuccessorWaitsFor) {
  const std::string token_task =
      R"({"Type":"Task","Resource":"arn:aws:states:::lambda:invoke.waitForTaskToken",
          "Parameters":{"FunctionName":"f"},)";
  put(record(R"({"StartAt":"A","States":{"A":)" + token_task + R"("Next":"B"},"B":)" + token_task +
             R"("End":true}}})"));
  const std::string arn = start(kMachine, "one");
  Desk desk_of_next;
  const auto next = Runtime::make(loop, random, *store, desk_of_next, {});
  ASSERT_TRUE(next->recover().ok());
  loop.run_until_idle();
  std::string answer;
  const auto tell = [&](Runtime& who, const std::string& token) {
    who.send_task_success(token, "1", actor, {},
                          [&](const Result<Unit>& told) { answer = told ? "ok" : told.error().code; });
    loop.run_until_idle();
    return answer;
  };
  ASSERT_EQ(tell(*next, desk_of_next.orders.back().task_token), "ok");
  ASSERT_EQ(*desk_of_next.orders.back().state_name, "B");
  EXPECT_EQ(tell(*runtime, desk_of_next.orders.back().task_token), "ServiceUnavailable");
  EXPECT_EQ(tell(*next, desk_of_next.orders.back().task_token), "ok");
  EXPECT_EQ(next->describe_execution(arn)->status, store::ExecutionStatus::kSucceeded);
}

}  // namespace
}  // namespace sortie::runtime
