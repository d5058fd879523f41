#pragma once
// For tests: two runtimes on one store, as two nodes. Executions are begun by the leader and run where their
// shard is; nothing passes between the two but what the store holds and what a test hands over.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "json/text.h"
#include "runtime/cluster.h"
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

}  // namespace cluster_test
}  // namespace sortie::runtime
