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
#include "store/testing/narrow_store.h"

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

const std::string kActivityArn = "arn:aws:states:us-east-1:123456789012:activity:a";
const std::string kActivity =
    R"({"StartAt":"T","States":{"T":{"Type":"Task","Resource":")" + kActivityArn + R"(","End":true}}})";
const std::string kMapRun =
    R"({"StartAt":"M","States":{"M":{"Type":"Map","ItemProcessor":{"ProcessorConfig":{"Mode":"DISTRIBUTED",)"
    R"("ExecutionType":"STANDARD"},"StartAt":"P","States":{"P":{"Type":"Pass","End":true}}},"End":true}}})";

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
  void open(Node& node) { open(node, store); }
  void open(Node& node, store::Store& behind) {
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
    node.runtime = Runtime::make(loop, node.random, behind, node.desk, options);
  }
  void own(Node& node, store::ShardNo no) {
    EXPECT_TRUE(node.cluster().own(no, *store.acquire(no)).ok());
    loop.run_until_idle();
  }
  void put(const std::string& name, const std::string& definition, json::Value logging = {}) {
    StateMachineRecord record;
    record.logging_configuration = std::move(logging);
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
  // The leader carries out what the worker asks it to.
  TaskOrder carried_out(const TaskOrder& order) {
    EXPECT_TRUE(leader.cluster().carry_out(order.key).ok());
    return leader.desk.orders.back();
  }
  // What becomes of an answer to a token: "" until that is known, then "ok" or the error's code.
  std::shared_ptr<std::string> answer(const std::string& token, store::Batch with = {}) {
    auto told = std::make_shared<std::string>();
    leader.runtime->send_task_success(token, "1", actor, std::move(with), [told](const Result<Unit>& done) {
      *told = done ? "ok" : done.error().code;
    });
    loop.run_until_idle();
    return told;
  }
  static store::Batch decision(const std::string& key) {
    store::Batch with;
    with.documents.push_back({"decision", key, R"({"by":"\u00e4"})"});
    with.documents_gone.emplace_back("draft", key);
    with.log.push_back({"audit", {7}, "person", "decide", key, "{}"});
    return with;
  }
  void let_owner_decide() {
    settle();
    leader.cluster().look_around();
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
  put("map", kMapRun);
  start("map", "one");
  EXPECT_EQ(notes(), 0u);
  EXPECT_EQ(leader.runtime->figures().started, 1u);
}

TEST_F(ClusterTest, AnAnswerToATaskTokenIsDecidedWhereTheExecutionRunsWithAllThatBelongsToIt) {
  put("token", kToken);
  const std::string arn = start("token", "one");
  settle();
  ASSERT_EQ(worker.desk.orders.size(), 1u);
  const TaskOrder order = carried_out(worker.desk.orders[0]);
  EXPECT_EQ(order.task_token, worker.desk.orders[0].task_token);
  leader.runtime->task_submitted(order.key, json::Value("sent"));
  store::Batch draft;
  draft.epoch = 1;
  draft.documents.push_back({"draft", "d", "{}"});
  store.append(std::move(draft), [](const Status& status) { EXPECT_TRUE(status.ok()); });
  const auto told = answer(order.task_token, decision("d"));
  const auto second = answer(order.task_token, decision("second"));
  EXPECT_EQ(*told, "") << "it is not known before the owner has decided";
  EXPECT_TRUE(leader.cluster().is_being_answered(order.key));
  let_owner_decide();
  EXPECT_EQ(*told, "ok");
  EXPECT_EQ(*second, "TaskTimedOut") << "it was answered already";
  EXPECT_FALSE(leader.cluster().is_being_answered(order.key));
  EXPECT_EQ(status(arn), store::ExecutionStatus::kSucceeded);
  EXPECT_EQ(events(arn), 8u) << "submitted, then succeeded";
  EXPECT_EQ(*store.find_document("decision", "d"), R"({"by":"\u00e4"})");
  EXPECT_FALSE(store.find_document("draft", "d")->has_value());
  EXPECT_FALSE(store.find_document("decision", "second")->has_value()) << "nothing of what was refused";
  const auto logged = store.search_log({.stream = "audit", .source = "person"});
  ASSERT_EQ(logged->size(), 1u);
  EXPECT_EQ(logged->front().subject, "d");
  EXPECT_EQ(logged->front().time.ms, 7);
  EXPECT_EQ(notes(), 0u);
  EXPECT_THAT(*store.list_documents(kRefusedKind, "", 10), IsEmpty());
  EXPECT_EQ(*answer(order.task_token), "TaskTimedOut") << "no note for an execution that is over";
  EXPECT_EQ(notes(), 0u);
}

TEST_F(ClusterTest, AnAnswerThatTheOwnerDoesNotTakeInTimeIsToldSoAndStillCounts) {
  put("token", kToken);
  const std::string arn = start("token", "one");
  settle();
  const TaskOrder order = carried_out(worker.desk.orders[0]);
  const auto told = answer(order.task_token, decision("d"));
  loop.advance_to(loop.now().plus_ms(10'000));
  leader.cluster().look_around();
  EXPECT_EQ(*told, "ServiceUnavailable");
  EXPECT_TRUE(leader.cluster().is_being_answered(order.key));
  // The leader dies; the next one knows that it may still be decided, and sees when it is.
  leader.runtime.reset();
  open(leader);
  leader.cluster().lead(*store.acquire(0));
  ASSERT_TRUE(leader.runtime->recover().ok());
  EXPECT_TRUE(leader.cluster().is_being_answered(order.key));
  const auto again = answer(order.task_token, decision("again"));
  let_owner_decide();
  EXPECT_FALSE(leader.cluster().is_being_answered(order.key));
  EXPECT_TRUE(store.find_document("decision", "d")->has_value());
  EXPECT_EQ(*again, "TaskTimedOut");
  EXPECT_EQ(status(arn), store::ExecutionStatus::kSucceeded);
}

TEST_F(ClusterTest, WhatHasBeenAnsweredIsNotCalledAgainByWhoeverTakesOver) {
  put("child", kChild);
  const std::string arn = start("child", "one");
  settle();
  const AttemptKey key = carried_out(worker.desk.orders.at(0)).key;
  leader.runtime->task_succeeded(key, json::Value("done"));
  loop.run_until_idle();
  EXPECT_EQ(notes(), 1u);
  // The owner dies before it takes the note; it asks the next leader first, and is owned anew.
  const std::size_t carried = leader.desk.orders.size();
  EXPECT_TRUE(leader.cluster().carry_out(key).ok());
  EXPECT_EQ(leader.desk.orders.size(), carried) << "its result is there";
  worker.runtime.reset();
  worker.desk.orders.clear();
  open(worker);
  EXPECT_TRUE(worker.cluster().join().ok());
  for (store::ShardNo no = 1; no < kSharedShardCount; ++no) own(worker, no);
  EXPECT_THAT(worker.desk.orders, IsEmpty());
  EXPECT_EQ(status(arn), store::ExecutionStatus::kSucceeded);
  EXPECT_EQ(notes(), 0u);
}

TEST_F(ClusterTest, AHeartbeatReachesTheOwner) {
  std::string definition = kToken;
  definition.insert(definition.find(R"("End")"), R"("HeartbeatSeconds":10,)");
  put("token", definition);
  const std::string arn = start("token", "one");
  settle();
  const TaskOrder order = carried_out(worker.desk.orders[0]);
  for (int i = 0; i < 4; ++i) {
    loop.advance_to(loop.now().plus_ms(6'000));
    std::string told;
    leader.runtime->send_task_heartbeat(
        order.task_token, [&](const Result<Unit>& done) { told = done ? "ok" : done.error().code; });
    loop.run_until_idle();
    let_owner_decide();
    EXPECT_EQ(told, "ok");
    EXPECT_EQ(status(arn), store::ExecutionStatus::kRunning);
  }
  loop.advance_to(loop.now().plus_ms(11'000));
  EXPECT_NE(status(arn), store::ExecutionStatus::kRunning) << "and then none came";
}

TEST_F(ClusterTest, AWorkerThatPollsAtTheLeaderTakesATaskOfAnotherNodesExecutionOnce) {
  put("activity", kActivity);
  const std::string arn = start("activity", "one");
  settle();
  ASSERT_EQ(worker.desk.orders.size(), 1u) << "the leader has to be told";
  const AttemptKey key = worker.desk.orders[0].key;
  std::vector<ActivityTask> given;
  std::vector<std::shared_ptr<void>> polls;
  const auto poll = [&] {
    polls.push_back(leader.runtime->poll_activity(kActivityArn, "w", 60'000,
                                                  [&](const ActivityTask& task) { given.push_back(task); }));
    loop.run_until_idle();
  };
  ASSERT_TRUE(leader.cluster().carry_out(key).ok());
  poll();
  EXPECT_THAT(given, IsEmpty()) << "that it was taken is not durable yet";
  // The order is repeated, and another worker polls meanwhile.
  ASSERT_TRUE(leader.cluster().carry_out(key).ok());
  poll();
  let_owner_decide();
  ASSERT_EQ(given.size(), 1u) << "a task is given once";
  EXPECT_EQ(given[0].input_text, R"({"a":1})");
  ASSERT_TRUE(leader.cluster().carry_out(key).ok());
  poll();
  EXPECT_EQ(given.size(), 1u) << "also when the owner asks again";
  polls.clear();
  const auto told = answer(given[0].task_token);
  let_owner_decide();
  EXPECT_EQ(*told, "ok");
  EXPECT_EQ(status(arn), store::ExecutionStatus::kSucceeded);
  EXPECT_EQ(leader.runtime->history(arn, 4, 1, false)->events[0].type, engine::EventType::kActivityStarted);
  // Called off before anybody took it.
  const std::string other = start("activity", "two");
  settle();
  ASSERT_TRUE(leader.cluster().carry_out(worker.desk.orders[1].key).ok());
  leader.cluster().call_off(worker.desk.orders[1].key);
  poll();
  EXPECT_EQ(given.size(), 1u);
  // The owner becomes the leader: what it waits for is there to be polled.
  leader.runtime.reset();
  worker.cluster().lead(*store.acquire(0));
  ASSERT_TRUE(worker.runtime->recover().ok());
  loop.run_until_idle();
  std::string token;
  const auto last = worker.runtime->poll_activity(kActivityArn, "w", 60'000,
                                                  [&](const ActivityTask& task) { token = task.task_token; });
  loop.run_until_idle();
  EXPECT_EQ(token, worker.desk.orders[1].task_token);
}

TEST_F(ClusterTest, AStartThatTheStoreWillNeverTakeFailsItsExecution) {
  store::NarrowStore narrow{store, loop, 20'000};
  worker.runtime.reset();
  open(worker, narrow);
  EXPECT_TRUE(worker.cluster().join().ok());
  for (store::ShardNo no = 1; no < kSharedShardCount; ++no) own(worker, no);
  std::string large(30'000, 'x');
  put("large", R"({"StartAt":"P","States":{"P":{"Type":"Pass","Result":")" + large +
                   R"(","Next":"T"},"T":{"Type":"Wait","Seconds":600,"End":true}}})");
  const std::string arn = start("large", "one");
  for (int i = 0; i < 3; ++i) settle();
  EXPECT_EQ(notes(), 0u);
  const auto told = leader.runtime->describe_execution(arn);
  EXPECT_EQ(told->status, store::ExecutionStatus::kFailed);
  EXPECT_EQ(told->error, "States.Runtime");
  EXPECT_EQ(told->cause, "the start could not be written: a change is too large");
  const auto page = leader.runtime->history(arn, 1, 10, false);
  ASSERT_EQ(page->events.size(), 2u);
  EXPECT_EQ(page->events[0].type, engine::EventType::kExecutionStarted);
  EXPECT_EQ(page->events[1].type, engine::EventType::kExecutionFailed);
  EXPECT_EQ(worker.runtime->figures().commit_failures, 1u);
  // A redrive that comes to the same is refused, not tried for ever.
  loop.advance_to(loop.now().plus_ms(1'000));
  leader.runtime->redrive_execution(arn, "", actor, [](const Result<Timestamp>&) {});
  loop.run_until_idle();
  for (int i = 0; i < 3; ++i) let_owner_decide();
  EXPECT_EQ(notes(), 0u);
  EXPECT_EQ(status(arn), store::ExecutionStatus::kFailed);
  EXPECT_EQ(worker.runtime->figures().commit_failures, 2u);
  worker.runtime.reset();
}

TEST_F(ClusterTest, WhatIsLoggedFollowsTheRecordWhereTheExecutionRuns) {
  const auto logging = [](const char* level) {
    return json::Value::object({{"level", level}, {"destinations", json::Value::array({})}});
  };
  std::size_t logged = 0;
  const auto watching = worker.runtime->observe(
      [&](const ExecutionChange& change) { logged += change.logged ? change.logged->events.size() : 0; });
  put("logged", kTask, logging("ALL"));  // The worker joined before.
  start("logged", "one");
  settle();
  EXPECT_EQ(logged, 4u);
  put("logged", kTask);
  start("logged", "two");
  settle();
  EXPECT_EQ(logged, 4u);
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

// The second leader gives the same numbers as the first, which goes on until it hears that it is none.
TEST_F(ClusterTest, ALeaderThatHasASuccessorBeginsNothingOverWhatThatOneBegan) {
  put("later", R"({"StartAt":"W","States":{"W":{"Type":"Wait","Seconds":600,"Next":"M"},)" +
                   kMapRun.substr(kMapRun.find("\"M\":{")));
  worker.cluster().lead(*store.acquire(0));
  ASSERT_TRUE(worker.runtime->recover().ok());
  loop.run_until_idle();
  std::vector<std::string> answers;
  const auto ask = [&](Node& node, const std::string& name) {
    StartRequest request;
    request.state_machine_arn = kPrefix + "later";
    request.name = name;
    node.runtime->start_execution(std::move(request), [&](const Result<StartReply>& done) {
      answers.push_back(done ? done->execution_arn : done.error().code);
    });
  };
  ask(worker, "one");
  loop.run_until_idle();
  ASSERT_EQ(answers.size(), 1u);
  leader.runtime->stop_execution(answers[0], "E", "why", actor, [](const Result<Timestamp>&) {});
  ask(leader, "two");
  loop.run_until_idle();
  ASSERT_EQ(answers.size(), 2u);
  EXPECT_EQ(answers[1], "ServiceUnavailable");
  EXPECT_EQ(status(answers[0]), store::ExecutionStatus::kRunning);
  worker.runtime->stop_execution(answers[0], "E", "why", actor, [](const Result<Timestamp>&) {});
  loop.run_until_idle();
  EXPECT_EQ(status(answers[0]), store::ExecutionStatus::kAborted);
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
