// Map runs under the same faults as everything else (simulation_test.cpp): the process dies before and after
// commits, the disk is full or fails, commits are slow. Items come from an object that is read in small
// pieces.
//
// What must hold: the run ends, its output is that of an undisturbed run, each item has exactly one child
// execution and no child is ever begun a second time, and the store's invariants hold after every crash. A
// run that is redriven ends like one that never failed: what succeeded is not run again, EXPRESS children
// that failed are other executions then.
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "base/hash.h"
#include "json/text.h"
#include "runtime/check.h"
#include "runtime/object_store.h"
#include "runtime/runtime.h"
#include "store/memory/memory_store.h"
#include "virtual_loop.h"

namespace sortie::simulation {
namespace map_runs {

constexpr int kItems = 300;
const std::string kMachine = "arn:aws:states:us-east-1:123456789012:stateMachine:m";
const std::string kExecution = "arn:aws:states:us-east-1:123456789012:execution:m:run";

struct Scenario {
  std::string definition;
  bool succeeds = true;
  int heals_after = 0;  // Redrives until nothing fails any more.
  bool express = false;
};

std::string definition(const std::string& fields, const std::string& function,
                       const std::string& type = "STANDARD") {
  return R"({"StartAt":"M","States":{"M":{"Type":"Map","End":true,"MaxConcurrency":40,)" + fields +
         R"("ItemReader":{"Resource":"arn:aws:states:::s3:getObject","ReaderConfig":{"InputType":"JSONL"},
             "Parameters":{"Bucket":"b","Key":"k"}},
           "ItemProcessor":{"ProcessorConfig":{"Mode":"DISTRIBUTED","ExecutionType":")" +
         type + R"("},
             "StartAt":"T","States":{"T":{"Type":"Task","End":true,
               "Resource":"arn:aws:lambda:us-east-1:123456789012:function:)" +
         function + R"("}}}}}})";
}

class World {
 public:
  explicit World(std::uint64_t seed, Scenario scenario) : random_(seed), scenario_(std::move(scenario)) {}

  void run();
  int crashes() const { return crashes_; }

 private:
  struct Process;
  bool chance(int percent) { return static_cast<int>(random_.next() % 100) < percent; }
  std::int64_t up_to(std::int64_t most) {
    return static_cast<std::int64_t>(random_.next() % static_cast<std::uint64_t>(most + 1));
  }
  store::CommitPlan plan_commit();
  void start_process();
  void check_invariants();
  void check_end();
  void check_children(const std::string& run, std::int64_t succeeded, std::int64_t lives);

  SeededRandom random_;
  Scenario scenario_;
  store::MemoryImage disk_;
  std::unique_ptr<Process> process_;
  Timestamp clock_{1'800'000'000'000};
  bool crashed_ = false, accepted_ = false;
  int crashes_ = 0;
  std::map<std::string, std::set<store::ExecutionNo>> begun_;  // Child -> the numbers it was seen under.
  std::map<std::string, std::set<std::string>> children_;      // Item -> the children it was seen in.
};

struct World::Process final : runtime::TaskDispatcher, runtime::ObjectStore {
  explicit Process(World& world)
      : world(world),
        loop(world.clock_),
        store(loop, world.disk_,
              {[&world](const store::Batch&) { return world.plan_commit(); },
               [&world] { world.crashed_ = true; }}),
        random(world.random_.next()) {
    runtime::Options options;
    options.objects = this;
    runtime = runtime::Runtime::make(loop, random, store, *this, options);
    for (int i = 0; i < kItems; ++i) text += std::to_string(i) + "\n";
  }

  void dispatch(runtime::TaskOrder order) override {
    world.begun_[order.origin->execution_arn].insert(order.key.execution);
    world.children_[json::to_text(order.parameters)].insert(order.origin->execution_arn);
    const bool is_odd = order.resource->text.ends_with(":odd") && order.parameters.as_integer() % 100 == 99;
    const bool fails = is_odd && !is_healed();
    loop.call_at(loop.now().plus_ms(world.up_to(300)), [this, order, fails] {
      if (fails) return runtime->task_failed(order.key, "Odd", "no");
      runtime->task_succeeded(order.key, order.parameters);
    });
  }
  void cancel(const runtime::AttemptKey&) override {}

  bool is_healed() const {
    const auto parent = runtime->describe_execution(kExecution);
    return world.scenario_.heals_after > 0 && parent && parent->redrive_count >= world.scenario_.heals_after;
  }
  // Somebody redrives the execution whenever it has failed.
  void watch() {
    const auto parent = runtime->describe_execution(kExecution);
    if (parent && parent->status == store::ExecutionStatus::kSucceeded) return;
    if (parent && parent->status != store::ExecutionStatus::kRunning) {
      runtime->redrive_execution(kExecution, "", {}, [](const Result<Timestamp>&) {});
    }
    loop.call_at(loop.now().plus_ms(700), [this] { watch(); });
  }

  void read(runtime::ReadObject request, std::function<void(Result<runtime::ObjectPiece>)> done) override {
    loop.call_at(loop.now().plus_ms(world.up_to(40)), [this, request, done] {
      const std::string bytes = text.substr(std::min<std::size_t>(request.offset, text.size()), 100);
      done(runtime::ObjectPiece{bytes, request.offset + bytes.size() >= text.size(), "etag"});
    });
  }
  void list(runtime::ListObjects, std::function<void(Result<runtime::ObjectPage>)>) override {}
  void write(runtime::WriteObject, std::function<void(Status)>) override {}

  void publish() {
    runtime::StateMachineRecord record;
    record.name = "m";
    record.arn = kMachine;
    record.definition = world.scenario_.definition;
    record.role_arn = "arn:aws:iam::123456789012:role/r";
    if (runtime->find_state_machine(kMachine)) return begin();
    runtime->put_state_machine(record, {}, [this](const Result<runtime::StateMachineRecord>& kept) {
      if (kept) return begin();
      loop.call_at(loop.now().plus_ms(100), [this] { publish(); });
    });
  }
  void begin() {
    if (world.scenario_.heals_after > 0) watch();
    if (world.accepted_) return;
    runtime::StartRequest request;
    request.state_machine_arn = kMachine;
    request.name = "run";
    runtime->start_execution(std::move(request), [this](const Result<runtime::StartReply>& reply) {
      if (reply.ok() || reply.error().code == "ExecutionAlreadyExists") {
        world.accepted_ = true;
      } else {
        loop.call_at(loop.now().plus_ms(200), [this] { begin(); });
      }
    });
  }

  World& world;
  VirtualLoop loop;
  store::MemoryStore store;
  SeededRandom random;
  std::string text;
  std::unique_ptr<runtime::Runtime> runtime;
};

store::CommitPlan World::plan_commit() {
  store::CommitPlan plan;
  plan.delay_ms = chance(20) ? up_to(50) : 0;
  if (crashes_ > 60) return plan;
  const int dice = static_cast<int>(random_.next() % 2000);
  if (dice < 12) plan.fault = store::CommitFault::kCrashBefore;
  if (dice >= 12 && dice < 24) plan.fault = store::CommitFault::kCrashAfter;
  if (dice >= 24 && dice < 34) plan.fault = store::CommitFault::kStoreFull;
  if (dice >= 34 && dice < 44) plan.fault = store::CommitFault::kStoreUnavailable;
  return plan;
}

void World::start_process() {
  process_ = std::make_unique<Process>(*this);
  crashed_ = false;
  const Status status = process_->runtime->recover();
  ASSERT_TRUE(status.ok()) << status.error().message;
  process_->publish();
}

void World::check_invariants() {
  VirtualLoop loop(clock_);
  store::MemoryStore store(loop, disk_);
  const Result<std::vector<std::string>> findings = runtime::check_store(store);
  ASSERT_TRUE(findings.ok()) << findings.error().message;
  for (const std::string& finding : *findings) ADD_FAILURE() << finding;
}

void World::run() {
  start_process();
  for (int steps = 0; steps < 400'000 && !::testing::Test::HasFatalFailure(); ++steps) {
    if (crashed_) {
      ++crashes_;
      disk_ = process_->store.image();
      clock_ = process_->loop.now().plus_ms(up_to(2000));
      process_.reset();
      check_invariants();
      start_process();
    }
    if (!process_->loop.step()) break;
  }
  if (!::testing::Test::HasFatalFailure()) check_end();
}

// Each item that succeeded did so in one child only.
void World::check_children(const std::string& run, std::int64_t succeeded, std::int64_t lives) {
  std::int64_t found = 0;
  store::ExecutionQuery query;
  query.state_machine_arn = run;
  query.status = store::ExecutionStatus::kSucceeded;
  query.limit = 10 * kItems;
  const auto rows = process_->store.list_executions(query);
  ASSERT_TRUE(rows.ok());
  found += static_cast<std::int64_t>(rows->size());
  EXPECT_EQ(found, succeeded);
  for (const auto& [item, children] : children_) {
    EXPECT_LE(children.size(), scenario_.express ? 1 + static_cast<std::size_t>(lives) : 1) << item;
  }
}

void World::check_end() {
  const Result<runtime::ExecutionDescription> row = process_->runtime->describe_execution(kExecution);
  ASSERT_TRUE(row.ok());
  ASSERT_NE(row->status, store::ExecutionStatus::kRunning) << "it is stuck";
  const auto runs = process_->runtime->list_map_runs(kExecution, UINT64_MAX, 10);
  ASSERT_TRUE(runs.ok());
  ASSERT_EQ(runs->size(), 1u);
  const Result<runtime::MapRunDescription> run = process_->runtime->describe_map_run(runs->front().arn);
  ASSERT_TRUE(run.ok());
  for (const auto& [child, numbers] : begun_) EXPECT_EQ(numbers.size(), 1u) << child << " was begun twice";
  if (scenario_.succeeds) {
    ASSERT_EQ(row->status, store::ExecutionStatus::kSucceeded) << row->cause.value_or("");
    std::vector<json::Value> expected;
    for (int i = 0; i < kItems; ++i) {
      const bool is_odd = scenario_.definition.find(":odd") != std::string::npos && i % 100 == 99;
      const bool fails = is_odd && scenario_.heals_after == 0;
      if (!fails) expected.emplace_back(i);
    }
    EXPECT_EQ(*row->output_text, json::to_text(json::Value::array(expected)));
    EXPECT_GE(run->redrive_count, scenario_.heals_after);
    EXPECT_EQ(run->items.total, kItems);
    EXPECT_EQ(run->items.succeeded + run->items.failed, kItems);
    if (!scenario_.express) {
      EXPECT_EQ(begun_.size(), static_cast<std::size_t>(kItems));
    }
    check_children(runs->front().arn, run->items.succeeded, run->redrive_count);
  } else {
    EXPECT_EQ(row->error, "States.ExceedToleratedFailureThreshold");
    EXPECT_EQ(run->status, store::ExecutionStatus::kFailed);
    EXPECT_EQ(run->items.running, 0);
  }
  disk_ = process_->store.image();
  check_invariants();
}

TEST(MapRunSimulation, EachItemRunsOnceWhateverFails) {
  const std::vector<Scenario> scenarios = {
      {definition("", "echo"), true},
      {definition(R"("ToleratedFailureCount":5,)", "odd"), true},
      {definition(R"("ToleratedFailureCount":1,)", "odd"), false},
      {definition("", "odd"), true, 1},
      {definition(R"("ToleratedFailureCount":2,)", "odd"), true, 2},
      {definition(R"("ToleratedFailureCount":1,)", "odd", "EXPRESS"), true, 2, true},
  };
  int crashes = 0;
  for (std::uint64_t seed = 1; seed <= 24; ++seed) {
    World world(seed, scenarios[seed % scenarios.size()]);
    world.run();
    crashes += world.crashes();
    if (::testing::Test::HasFailure()) FAIL() << "seed " << seed << " fails";
  }
  std::printf("map runs: %d crashes\n", crashes);
  EXPECT_GT(crashes, 0);
}

}  // namespace map_runs
}  // namespace sortie::simulation
