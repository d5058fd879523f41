// Two runtimes on one store, as two nodes: executions are begun by the leader and run where their shard is.
#include "runtime/cluster.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "base/hash.h"
#include "json/text.h"
#include "runtime/inbox.h"
#include "runtime/placement.h"
#include "store/memory/memory_store.h"
#include "store/testing/manual_loop.h"

namespace sortie::runtime {
namespace cluster_test {

using ::testing::IsEmpty;

const std::string kPrefix = "arn:aws:states:us-east-1:123456789012:stateMachine:";
const std::string kTask =
    R"({"StartAt":"T","States":{"T":{"Type":"Task","Resource":"arn:aws:lambda:us-east-1:123456789012:function:f",)"
    R"("End":true}}})";
const std::string kToken =
    R"({"StartAt":"T","States":{"T":{"Type":"Task","Resource":"arn:aws:states:::lambda:invoke.waitForTaskToken",)"
    R"("Parameters":{"FunctionName":"f","Payload":{"t.$":"$$.Task.Token"}},"End":true}}})";
const std::string kChild =
    R"({"StartAt":"T","States":{"T":{"Type":"Task","Resource":"arn:aws:states:::states:startExecution.sync",)"
    R"("Parameters":{"StateMachineArn":"x"},"End":true}}})";

struct Desk final : TaskDispatcher {
  std::vector<TaskOrder> orders;
  std::set<AttemptKey> open;
  void dispatch(TaskOrder order) override {
    open.insert(order.key);
    orders.push_back(std::move(order));
  }
  void cancel(const AttemptKey& key) override { open.erase(key); }
  bool holds_any(const std::function<bool(store::ExecutionNo)>& is_of) const override {
    return std::any_of(open.begin(), open.end(), [&](const AttemptKey& key) { return is_of(key.execution); });
  }
};

struct Node {
  SeededRandom random{3};
  Desk desk;
  std::set<store::ShardNo> noted;
  std::unique_ptr<Runtime> runtime;
  Cluster& cluster() { return *runtime->cluster(); }
};

struct ClusterTest : ::testing::Test {
  ManualLoop loop;
  store::MemoryStore store{loop};
  Node leader, worker;
  Actor actor;

  ClusterTest() {
    open(leader);
    leader.cluster().lead(*store.acquire(0));
    EXPECT_TRUE(leader.runtime->recover().ok());
    loop.run_until_idle();
    open(worker);
    EXPECT_TRUE(worker.cluster().join().ok());
    for (store::ShardNo no = 1; no < kSharedShardCount; ++no) own(worker, no);
    put("task", kTask);
  }
  void open(Node& node) {
    Options options;
    options.is_shared = true;
    options.scan_frames = [this](store::ShardNo shard, store::ExecutionNo above, store::FrameKey after,
                                 std::size_t limit) -> Result<std::vector<store::FrameRow>> {
      SORTIE_TRY(std::vector<store::FrameRow> rows, store.scan_frames(after, 100'000));
      const ShardMap map{kSharedShardCount, above};
      std::erase_if(rows, [&](const store::FrameRow& row) { return map.of(row.key.execution) != shard; });
      if (rows.size() > limit) rows.resize(limit);
      return rows;
    };
    options.on_note = [&node](store::ShardNo shard) { node.noted.insert(shard); };
    node.runtime = Runtime::make(loop, node.random, store, node.desk, options);
  }
  void own(Node& node, store::ShardNo no) {
    EXPECT_TRUE(node.cluster().own(no, *store.acquire(no)).ok());
    loop.run_until_idle();
  }
  void put(const std::string& name, const std::string& definition) {
    StateMachineRecord record;
    record.arn = kPrefix + name;
    record.name = name;
    record.definition = definition;
    record.role_arn = "arn:aws:iam::123456789012:role/r";
    bool ok = false;
    leader.runtime->put_state_machine(record, actor,
                                      [&](const Result<StateMachineRecord>& done) { ok = done.ok(); });
    loop.run_until_idle();
    ASSERT_TRUE(ok);
  }
  std::string start(const std::string& machine, const std::string& name, store::Batch with = {}) {
    std::string answer;
    StartRequest request;
    request.state_machine_arn = kPrefix + machine;
    request.name = name;
    request.input_text = R"({ "a":1 })";
    request.with = std::move(with);
    leader.runtime->start_execution(std::move(request), [&](const Result<StartReply>& done) {
      answer = done ? done->execution_arn : done.error().code;
    });
    loop.run_until_idle();
    return answer;
  }
  void settle() {
    worker.cluster().read_inbox();
    loop.run_until_idle();
  }
  store::ExecutionStatus status(const std::string& arn) { return (*store.find_execution(arn))->status; }
  std::size_t events(const std::string& arn) {
    return leader.runtime->history(arn, 1, 1'000, false)->events.size();
  }
  std::size_t notes() { return store.list_documents(kInboxKind, "", 100)->size(); }
};

TEST_F(ClusterTest, AnExecutionIsAcceptedByTheLeaderAndRunsWhereItsShardIs) {
  store::Batch with;
  with.documents.push_back({"delivery", "d", "1"});
  const std::string arn = start("task", "one", with);
  EXPECT_EQ(status(arn), store::ExecutionStatus::kRunning);
  EXPECT_TRUE(store.find_document("delivery", "d")->has_value()) << "in the transaction of the start";
  EXPECT_EQ(leader.noted.size(), 1u);
  EXPECT_EQ(notes(), 1u);
  EXPECT_THAT(*leader.runtime->check(), IsEmpty()) << "what waits in an inbox is not stuck";
  EXPECT_EQ(leader.runtime->explain(arn)->at(0).kind, "ready");
  settle();
  EXPECT_EQ(notes(), 0u);
  EXPECT_TRUE(leader.desk.orders.empty());
  ASSERT_EQ(worker.desk.orders.size(), 1u);
  worker.runtime->task_succeeded(worker.desk.orders[0].key, json::Value("done"));
  loop.run_until_idle();
  EXPECT_EQ(status(arn), store::ExecutionStatus::kSucceeded);
  EXPECT_EQ(leader.runtime->describe_execution(arn)->output_text, "\"done\"");
  EXPECT_EQ(leader.runtime->describe_execution(arn)->input_text, R"({ "a":1 })");
  EXPECT_EQ(events(arn), 7u);
  EXPECT_EQ(worker.runtime->figures().ended, 1u);
  EXPECT_EQ(leader.runtime->figures().ended, 0u);
  EXPECT_THAT(*leader.runtime->check(), IsEmpty());
}

TEST_F(ClusterTest, ANameIsGivenOnceWhereverItRuns) {
  const std::string arn = start("task", "one");
  EXPECT_EQ(start("task", "one"), arn) << "the same name and input while it runs";
  settle();
  settle();
  EXPECT_EQ(worker.desk.orders.size(), 1u);
  // Two at once, before the first is durable.
  std::vector<std::string> answers;
  for (int i = 0; i < 2; ++i) {
    StartRequest request;
    request.state_machine_arn = kPrefix + "task";
    request.name = "two";
    request.input_text = i == 0 ? "{}" : "[]";
    leader.runtime->start_execution(std::move(request), [&](const Result<StartReply>& done) {
      answers.push_back(done ? "ok" : done.error().code);
    });
  }
  loop.run_until_idle();
  EXPECT_EQ(answers, (std::vector<std::string>{"ok", "ExecutionAlreadyExists"}));
}

TEST_F(ClusterTest, WhatNeedsTheLeaderStaysWithTheLeader) {
  put("token", kToken);
  start("token", "one");
  settle();
  EXPECT_EQ(leader.desk.orders.size(), 1u);
  EXPECT_TRUE(worker.desk.orders.empty());
  bool answered = false;
  leader.runtime->send_task_success(leader.desk.orders[0].task_token, "1", actor, {},
                                    [&](const Result<Unit>& done) { answered = done.ok(); });
  loop.run_until_idle();
  EXPECT_TRUE(answered);
}

TEST_F(ClusterTest, AStopReachesTheOwnerAndIsAnsweredWhenItHasDecided) {
  const std::string arn = start("task", "one");
  settle();
  std::optional<Result<Timestamp>> answer;
  leader.runtime->stop_execution(arn, "E", "why", actor,
                                 [&](const Result<Timestamp>& done) { answer = done; });
  loop.run_until_idle();
  EXPECT_FALSE(answer.has_value());
  settle();
  leader.cluster().look_around();
  ASSERT_TRUE(answer.has_value());
  EXPECT_TRUE(answer->ok());
  EXPECT_EQ(status(arn), store::ExecutionStatus::kAborted);
  EXPECT_EQ(notes(), 0u);
  // Also one that has not begun; and an owner that does not answer is told in time.
  const std::string other = start("task", "two");
  answer.reset();
  leader.runtime->stop_execution(other, "E", "why", actor,
                                 [&](const Result<Timestamp>& done) { answer = done; });
  loop.run_until_idle();
  loop.advance_to(loop.now().plus_ms(10'000));
  leader.cluster().look_around();
  ASSERT_TRUE(answer.has_value());
  EXPECT_EQ(answer->error().code, "ServiceUnavailable");
  settle();
  EXPECT_EQ(status(other), store::ExecutionStatus::kAborted) << "it happens all the same";
  EXPECT_THAT(*leader.runtime->check(), IsEmpty());
}

TEST_F(ClusterTest, ARedriveRunsWhereTheExecutionRan) {
  const std::string arn = start("task", "one");
  settle();
  worker.runtime->task_failed(worker.desk.orders[0].key, "E", "why");
  loop.run_until_idle();
  ASSERT_EQ(status(arn), store::ExecutionStatus::kFailed);
  loop.advance_to(loop.now().plus_ms(1'000));
  std::optional<Result<Timestamp>> answer;
  leader.runtime->redrive_execution(arn, "t", actor, [&](const Result<Timestamp>& done) { answer = done; });
  loop.run_until_idle();
  settle();
  leader.cluster().look_around();
  ASSERT_TRUE(answer.has_value());
  EXPECT_TRUE(answer->ok());
  ASSERT_EQ(worker.desk.orders.size(), 2u);
  worker.runtime->task_succeeded(worker.desk.orders[1].key, {});
  loop.run_until_idle();
  EXPECT_EQ(status(arn), store::ExecutionStatus::kSucceeded);
}

TEST_F(ClusterTest, TheLeaderCarriesOutWhatOnlyItCanAndItsResultGoesThroughTheInbox) {
  put("child", kChild);
  const std::string arn = start("child", "one");
  settle();
  const AttemptKey key = worker.desk.orders.at(0).key;
  ASSERT_TRUE(leader.cluster().carry_out(key).ok());
  ASSERT_EQ(leader.desk.orders.size(), 1u);
  EXPECT_EQ(leader.desk.orders[0].idempotency_key, worker.desk.orders[0].idempotency_key);
  leader.runtime->task_submitted(key, json::Value::object({{"ExecutionArn", "x"}}));
  leader.runtime->task_succeeded(key, json::Value::object({{"Status", "SUCCEEDED"}}));
  loop.run_until_idle();
  EXPECT_EQ(notes(), 2u);
  bool told = false;
  const auto waiter = leader.runtime->when_ended(arn, [&](const ExecutionDescription&) { told = true; });
  settle();
  EXPECT_EQ(status(arn), store::ExecutionStatus::kSucceeded);
  EXPECT_EQ(notes(), 0u);
  EXPECT_FALSE(told);
  leader.cluster().look_around();
  EXPECT_TRUE(told) << "the store is the truth where nobody tells";
  // Late, and for an attempt that nobody waits for.
  EXPECT_TRUE(leader.cluster().carry_out(key).ok());
  EXPECT_EQ(leader.desk.orders.size(), 1u);
  leader.runtime->task_succeeded(key, {});
  loop.run_until_idle();
  settle();
  EXPECT_EQ(notes(), 0u);
}

TEST_F(ClusterTest, AShardMovesWithItsExecutionsAndCallsThatEndInTimeAreNotMadeAgain) {
  std::vector<std::string> arns;
  for (int i = 0; i < 40; ++i) arns.push_back(start("task", "run-" + std::to_string(i)));
  settle();
  ASSERT_EQ(worker.desk.orders.size(), 40u);
  // All of shard 1 answers while the shard is given up, but for one.
  std::vector<AttemptKey> of_one;
  for (const AttemptKey& key : std::set<AttemptKey>(worker.desk.open)) {
    if (key.execution % kSharedShardCount == 1) of_one.push_back(key);
  }
  ASSERT_GE(of_one.size(), 2u);
  bool gone = false;
  worker.cluster().give_up(1, [&] { gone = true; });
  loop.run_until_idle();
  EXPECT_FALSE(gone);
  for (std::size_t i = 1; i < of_one.size(); ++i) {
    worker.desk.open.erase(of_one[i]);
    worker.runtime->task_succeeded(of_one[i], {});
  }
  loop.run_until_idle();
  EXPECT_FALSE(gone);
  loop.advance_to(loop.now().plus_ms(5'000));
  loop.run_until_idle();
  EXPECT_TRUE(gone);
  EXPECT_FALSE(worker.cluster().owns(1));
  own(leader, 1);
  ASSERT_EQ(leader.desk.orders.size(), 1u) << "only what had not ended is called again";
  EXPECT_EQ(leader.desk.orders[0].key, of_one[0]);
  // What the old owner still hears is no longer its business.
  worker.runtime->task_succeeded(of_one[0], {});
  leader.runtime->task_succeeded(of_one[0], {});
  for (const AttemptKey& key : std::set<AttemptKey>(worker.desk.open))
    worker.runtime->task_succeeded(key, {});
  loop.run_until_idle();
  for (const std::string& arn : arns) EXPECT_EQ(status(arn), store::ExecutionStatus::kSucceeded) << arn;
  EXPECT_THAT(*leader.runtime->check(), IsEmpty());
}

TEST_F(ClusterTest, WhatLiesInAnInboxIsTakenByTheNextOwnerAndAStaleOneWritesNothing) {
  const std::string arn = start("task", "one");
  // The worker is cut off: its shards go to the leader, the worker has not heard of it.
  for (store::ShardNo no = 1; no < kSharedShardCount; ++no) own(leader, no);
  settle();
  EXPECT_TRUE(worker.desk.orders.empty()) << "its decision was refused";
  leader.cluster().read_inbox();
  loop.run_until_idle();
  ASSERT_EQ(leader.desk.orders.size(), 1u);
  leader.runtime->task_succeeded(leader.desk.orders[0].key, {});
  loop.run_until_idle();
  EXPECT_EQ(status(arn), store::ExecutionStatus::kSucceeded);
  EXPECT_EQ(events(arn), 7u);
  // Own shards need no inbox.
  start("task", "two");
  EXPECT_EQ(notes(), 0u);
  EXPECT_EQ(leader.desk.orders.size(), 2u);
}

TEST_F(ClusterTest, AWorkerThatBecomesTheLeaderGoesOnWithEverything) {
  put("token", kToken);
  start("token", "pinned");
  const std::string arn = start("task", "one");
  settle();
  leader.runtime.reset();
  worker.cluster().lead(*store.acquire(0));
  ASSERT_TRUE(worker.runtime->recover().ok());
  loop.run_until_idle();
  ASSERT_EQ(worker.desk.orders.size(), 2u);
  EXPECT_TRUE(worker.runtime->find_state_machine(kPrefix + "token").has_value());
  for (const AttemptKey& key : std::set<AttemptKey>(worker.desk.open))
    worker.runtime->task_succeeded(key, {});
  loop.run_until_idle();
  EXPECT_EQ(status(arn), store::ExecutionStatus::kSucceeded);
}

TEST_F(ClusterTest, NumbersAscendOverAllShardsAndWhatIsOlderIsShardZeros) {
  const ShardMap map{16, 100};
  ExecutionNumbers numbers{100};
  store::ExecutionNo last = 100;
  for (const store::ShardNo shard : {3u, 3u, 2u, 0u, 15u, 1u, 1u}) {
    const store::ExecutionNo no = numbers.next(map, shard);
    EXPECT_GT(no, last);
    EXPECT_EQ(map.of(no), shard);
    last = no;
  }
  EXPECT_EQ(map.of(99), 0u);
  EXPECT_EQ(map.of(ShardMap::kInMemoryOnly + 5), 0u);
  EXPECT_EQ(ShardMap{}.of(7), 0u);
}

}  // namespace cluster_test
}  // namespace sortie::runtime
