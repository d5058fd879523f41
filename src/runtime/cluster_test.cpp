// Executions of several nodes: who begins them, who runs them, how they move.
#include "runtime/testing_nodes.h"

namespace sortie::runtime {
namespace cluster_test {

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

TEST_F(ClusterTest, ALeaderThatHasASuccessorBeginsNothingInAShardThatIsStillItsOwn) {
  put("task", kTask);
  for (const store::ShardNo no : {1u, 2u, 3u, 4u, 5u, 6u, 7u, 8u}) own(leader, no);
  const auto begun = [this](const std::string& name) {
    StartRequest request;
    request.state_machine_arn = kPrefix + "task";
    request.name = name;
    std::string told;
    leader.runtime->start_execution(
        std::move(request), [&](const Result<StartReply>& done) { told = done ? "ok" : done.error().code; });
    loop.run_until_idle();
    return told;
  };
  for (int i = 0; i < 20; ++i) EXPECT_EQ(begun("before-" + std::to_string(i)), "ok");
  EXPECT_TRUE(store.acquire(0).ok());  // By another, who gives names and numbers from now on.
  for (int i = 0; i < 20; ++i) EXPECT_EQ(begun("after-" + std::to_string(i)), "ServiceUnavailable");
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
