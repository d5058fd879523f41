// Answers to what executions of another node wait for: task tokens and activities.
#include "runtime/testing_nodes.h"

namespace sortie::runtime {
namespace cluster_test {

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

}  // namespace cluster_test
}  // namespace sortie::runtime
