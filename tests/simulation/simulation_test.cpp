// The runtime, the engine and the store in one thread on virtual time, from one seed, with injected faults:
// the process dies before and after commits, the disk is full or fails, commits are slow, results come twice,
// late, or are lost with the process that waited for them.
//
// What must hold, whatever happens: every accepted execution ends; its outcome and its history are those of
// an undisturbed run; an attempt in flight is dispatched again under the same key, and a recorded result is
// never asked for again; the store's invariants hold after every crash.
//
//   SORTIE_SIM_SEEDS=n   seeds 1..n (default 60)      SORTIE_SIM_SEED=x   one seed, to replay it
#include <gtest/gtest.h>

#include <cstdlib>
#include <set>

#include "base/hash.h"
#include "engine/testing/driver.h"
#include "json/text.h"
#include "runtime/check.h"
#include "runtime/runtime.h"
#include "store/memory/memory_store.h"
#include "virtual_loop.h"

namespace sortie::simulation {
namespace {

constexpr Timestamp kStart{1'800'000'000'000};
const std::string kMachinePrefix = "arn:aws:states:us-east-1:123456789012:stateMachine:";

std::string lambda(const std::string& name) {
  return "arn:aws:lambda:us-east-1:123456789012:function:" + name;
}

// Machines that between them use every way of waiting. Task "flaky" fails its first attempts.
std::vector<std::string> machines() {
  const auto task = [](const std::string& function, const std::string& rest) {
    return R"({"Type":"Task","Resource":")" + lambda(function) + R"(",)" + rest + "}";
  };
  const std::string retry =
      R"("Retry":[{"ErrorEquals":["Flaky"],"IntervalSeconds":2,"MaxAttempts":5,"BackoffRate":2}],)";
  const std::string caught =
      R"("Catch":[{"ErrorEquals":["States.ALL"],"ResultPath":"$.error","Next":"After"}],)";
  return {
      R"({"StartAt":"A","States":{"A":)" + task("echo", R"("ResultPath":"$.a","Next":"B")") + R"(,"B":)" +
          task("flaky", retry + R"("ResultPath":"$.b","Next":"C")") +
          R"(,"C":{"Type":"Wait","Seconds":5,"Next":"D"},"D":)" + task("echo", R"("End":true)") + "}}",
      R"({"StartAt":"P","States":{"P":{"Type":"Parallel","ResultPath":"$.p","Next":"Z","Branches":[{"StartAt":"X","States":{"X":)" +
          task("echo", R"("Next":"W")") +
          R"(,"W":{"Type":"Wait","Seconds":3,"End":true}}},{"StartAt":"Y","States":{"Y":)" +
          task("flaky", retry + R"("End":true)") + R"(}}]},"Z":{"Type":"Pass","End":true}}})",
      R"({"StartAt":"M","States":{"M":{"Type":"Map","ItemsPath":"$.items","MaxConcurrency":2,"ItemProcessor":{"StartAt":"I","States":{"I":)" +
          task("echo", R"("Next":"J")") +
          R"(,"J":{"Type":"Choice","Choices":[{"Variable":"$","NumericGreaterThan":2,"Next":"K"}],"Default":"L"},"K":)" +
          task("flaky", retry + R"("End":true)") + R"(,"L":{"Type":"Pass","End":true}}},"End":true}}})",
      R"({"StartAt":"F","States":{"F":)" + task("broken", caught + R"("Next":"After")") + R"(,"After":)" +
          task("echo", R"("End":true)") + "}}",
      R"({"StartAt":"N","States":{"N":{"Type":"Parallel","Next":"End","Catch":[{"ErrorEquals":["States.ALL"],"Next":"End"}],"Branches":[{"StartAt":"S","States":{"S":{"Type":"Wait","Seconds":30,"End":true}}},{"StartAt":"T","States":{"T":)" +
          task("broken", R"("End":true)") + R"(}}]},"End":{"Type":"Succeed"}}})",
      R"({"StartAt":"T","States":{"T":)" + task("broken", R"("End":true)") + "}}",
  };
}

// What the world answers depends on the attempt only, so an undisturbed run and a disturbed one see the same.
engine::Stimulus answer(const std::string& function, const engine::AttemptId& attempt,
                        const json::Value& parameters) {
  if (function == "broken") return engine::TaskFailed{attempt, "Broken", "always"};
  if (function == "flaky" && attempt.attempt < 3) return engine::TaskFailed{attempt, "Flaky", "not yet"};
  return engine::TaskSucceeded{attempt, parameters};
}

std::string function_of(const asl::TaskResource& resource) {
  return resource.text.substr(resource.text.rfind(':') + 1);
}

struct Reference {
  engine::Outcome outcome;
  std::string output;
  std::multiset<std::string> types;
};

Reference undisturbed(const std::string& definition, const json::Value& input) {
  engine::testing::Driver driver(definition, input, [](const engine::testing::TaskCall& call) {
    return std::optional(answer(function_of(call.task->resource), call.attempt, call.parameters));
  });
  EXPECT_EQ(driver.compile_error, "");
  driver.run();
  Reference reference{driver.execution.outcome, json::to_text(driver.execution.output), {}};
  for (const engine::HistoryEvent& event : driver.events) {
    reference.types.insert(std::string(engine::event_type_name(event.type)));
  }
  return reference;
}

struct Client {
  std::string name;
  std::size_t machine = 0;
  std::string input_text;
  bool accepted = false;  // It was told so.
};

class World {
 public:
  explicit World(std::uint64_t seed) : random_(seed) {}

  bool chance(int percent) { return static_cast<int>(random_.next() % 100) < percent; }
  std::int64_t up_to(std::int64_t most) {
    return static_cast<std::int64_t>(random_.next() % static_cast<std::uint64_t>(most + 1));
  }

  void run();
  int crashes() const { return crashes_; }
  int faults() const { return failures_; }

 private:
  struct Process;  // Everything that dies with a crash.
  void start_process();
  store::CommitPlan plan_commit();
  void check_end();
  void check_one(const Client& client, const runtime::ExecutionDescription& row);
  void check_invariants(const char* when);

  SeededRandom random_;
  store::MemoryImage disk_;
  std::unique_ptr<Process> process_;
  std::vector<Client> clients_;
  Timestamp clock_ = kStart;
  bool faults_on_ = true;
  bool crashed_ = false;
  int crashes_ = 0;
  int failures_ = 0;
  std::map<std::string, int> dispatched_;  // By idempotency key.
  // What workers that outlive a crash may report to the next process, before it has read much.
  std::deque<std::pair<runtime::AttemptKey, engine::Stimulus>> late_;
};

struct World::Process final : runtime::TaskDispatcher {
  explicit Process(World& world)
      : world(world),
        loop(world.clock_),
        store(loop, world.disk_,
              {[&world](const store::Batch&) { return world.plan_commit(); },
               [&world] { world.crashed_ = true; }}),
        random(world.random_.next()),
        runtime(runtime::Runtime::make(loop, random, store, *this, options(world))) {}

  // Small enough that executions are recovered early, in several slices, and dropped from memory.
  static runtime::Options options(World& world) {
    runtime::Options small;
    small.recovery_page = static_cast<std::size_t>(1 + world.up_to(5));
    small.open_in_memory_max = world.chance(50) ? 20'000 : static_cast<std::size_t>(world.up_to(6));
    return small;
  }

  void dispatch(runtime::TaskOrder order) override {
    ++world.dispatched_[order.idempotency_key];
    const engine::AttemptId attempt{order.key.frame, order.key.entry, order.key.attempt};
    const engine::Stimulus result = answer(function_of(order.resource), attempt, order.parameters);
    const int times = world.chance(10) ? 2 : 1;  // At least once means sometimes twice.
    for (int i = 0; i < times; ++i) {
      loop.call_at(loop.now().plus_ms(world.up_to(400)),
                   [this, key = order.key, result] { report(key, result); });
    }
    world.late_.emplace_back(order.key, result);
    if (world.late_.size() > 12) world.late_.pop_front();
  }
  void report(const runtime::AttemptKey& key, const engine::Stimulus& result) {
    if (const auto* good = std::get_if<engine::TaskSucceeded>(&result)) {
      runtime->task_succeeded(key, good->output);
    } else {
      const auto& bad = std::get<engine::TaskFailed>(result);
      runtime->task_failed(key, bad.error, bad.cause);
    }
  }
  void cancel(const runtime::AttemptKey&) override {}

  // Until it is there: the disk may be full for a moment.
  void publish(std::size_t machine) {
    runtime::StateMachineRecord record;
    record.name = std::to_string(machine);
    record.arn = kMachinePrefix + record.name;
    record.definition = machines()[machine];
    record.role_arn = "arn:aws:iam::123456789012:role/r";
    if (runtime->find_state_machine(record.arn)) return;
    runtime->put_state_machine(record, {}, [this, machine](const Result<runtime::StateMachineRecord>& kept) {
      if (!kept) loop.call_at(loop.now().plus_ms(100), [this, machine] { publish(machine); });
    });
  }

  void start(Client& client) {
    runtime::StartRequest request;
    request.state_machine_arn = kMachinePrefix + std::to_string(client.machine);
    request.name = client.name;
    request.input_text = client.input_text;
    runtime->start_execution(std::move(request), [this, &client](Result<runtime::StartReply> reply) {
      // An execution that has ended meanwhile, with only the answer lost, was accepted, too.
      if (reply.ok() || reply.error().code == "ExecutionAlreadyExists") {
        client.accepted = true;
      } else {
        loop.call_at(loop.now().plus_ms(200), [this, &client] { start(client); });
      }
    });
  }

  World& world;
  VirtualLoop loop;
  store::MemoryStore store;
  SeededRandom random;
  std::unique_ptr<runtime::Runtime> runtime;
};

store::CommitPlan World::plan_commit() {
  store::CommitPlan plan;
  plan.delay_ms = chance(20) ? up_to(50) : 0;
  if (!faults_on_) return plan;
  const int dice = static_cast<int>(random_.next() % 1000);
  if (dice < 12) plan.fault = store::CommitFault::kCrashBefore;
  if (dice >= 12 && dice < 24) plan.fault = store::CommitFault::kCrashAfter;
  if (dice >= 24 && dice < 34) plan.fault = store::CommitFault::kStoreFull;
  if (dice >= 34 && dice < 44) plan.fault = store::CommitFault::kStoreUnavailable;
  if (plan.fault != store::CommitFault::kNone) ++failures_;
  return plan;
}

void World::check_invariants(const char* when) {
  VirtualLoop loop(clock_);
  store::MemoryStore store(loop, disk_);
  const Result<std::vector<std::string>> findings = runtime::check_store(store);
  ASSERT_TRUE(findings.ok()) << findings.error().message;
  for (const std::string& finding : *findings) ADD_FAILURE() << when << ": " << finding;
}

void World::start_process() {
  process_ = std::make_unique<Process>(*this);
  crashed_ = false;
  const Status status = process_->runtime->recover();
  ASSERT_TRUE(status.ok()) << status.error().message;
  for (const auto& [key, result] : std::exchange(late_, {})) {
    if (chance(40)) process_->report(key, result);
  }
  for (std::size_t i = 0; i < machines().size(); ++i) process_->publish(i);
  for (Client& client : clients_) {
    if (client.accepted) continue;
    process_->loop.call_at(process_->loop.now().plus_ms(up_to(3000)),
                           [this, &client] { process_->start(client); });
  }
}

void World::run() {
  const std::size_t count = 12;
  for (std::size_t i = 0; i < count; ++i) {
    Client client;
    client.name = "run-" + std::to_string(i);
    client.machine = static_cast<std::size_t>(up_to(static_cast<std::int64_t>(machines().size()) - 1));
    client.input_text = R"({"n":)" + std::to_string(i) + R"(,"items":[1,2,3,4]})";
    if (chance(30)) client.input_text.insert(1, "\"big\":\"" + std::string(3000, 'x') + "\",");
    clients_.push_back(client);
  }
  start_process();
  for (int steps = 0; steps < 400'000; ++steps) {
    if (crashed_) {
      ++crashes_;
      disk_ = process_->store.image();
      clock_ =
          process_->loop.now().plus_ms(up_to(2000) - (chance(10) ? 5000 : 0));  // The clock may jump back.
      process_.reset();
      check_invariants("after a crash");
      if (::testing::Test::HasFatalFailure()) return;
      if (crashes_ > 150) faults_on_ = false;
      start_process();
      if (::testing::Test::HasFatalFailure()) return;
    }
    if (!process_->loop.step()) break;
  }
  check_end();
}

void World::check_end() {
  for (const Client& client : clients_) {
    ASSERT_TRUE(client.accepted) << client.name << " was never accepted";
    const std::string arn =
        "arn:aws:states:us-east-1:123456789012:execution:" + std::to_string(client.machine) + ":" +
        client.name;
    const Result<runtime::ExecutionDescription> row = process_->runtime->describe_execution(arn);
    ASSERT_TRUE(row.ok()) << client.name << " was accepted and is lost: " << row.error().message;
    check_one(client, *row);
  }
  disk_ = process_->store.image();
  check_invariants("at the end");
}

void World::check_one(const Client& client, const runtime::ExecutionDescription& row) {
  const Reference reference = undisturbed(machines()[client.machine], *json::parse(client.input_text));
  const bool wanted = reference.outcome == engine::Outcome::kSucceeded;
  ASSERT_NE(row.status, store::ExecutionStatus::kRunning) << client.name << " is stuck";
  EXPECT_EQ(row.status == store::ExecutionStatus::kSucceeded, wanted) << client.name;
  if (wanted) {
    EXPECT_EQ(*json::parse(*row.output_text), *json::parse(reference.output)) << client.name;
  }
  const Result<runtime::HistoryPage> history = process_->runtime->history(row.arn, 1, 1000, false);
  ASSERT_TRUE(history.ok());
  std::multiset<std::string> types;
  std::int64_t id = 0;
  for (const engine::HistoryEvent& event : history->events) {
    EXPECT_EQ(event.id, ++id) << client.name << ": history has a gap";
    EXPECT_LT(event.previous_id, event.id);
    types.insert(std::string(engine::event_type_name(event.type)));
  }
  EXPECT_EQ(types, reference.types) << client.name << ": not the history of an undisturbed run";
}

std::uint64_t number_from(const char* name, std::uint64_t fallback) {
  const char* text = std::getenv(name);
  return text == nullptr || *text == '\0' ? fallback : std::strtoull(text, nullptr, 0);
}

TEST(Simulation, NothingIsLostRepeatedOrStuckWhateverFails) {
  const std::uint64_t one = number_from("SORTIE_SIM_SEED", 0);
  const std::uint64_t last = one != 0 ? one : number_from("SORTIE_SIM_SEEDS", 60);
  int crashes = 0, faults = 0;
  for (std::uint64_t seed = one != 0 ? one : 1; seed <= last; ++seed) {
    World world(seed);
    world.run();
    crashes += world.crashes();
    faults += world.faults();
    if (::testing::Test::HasFailure()) {
      FAIL() << "seed " << seed << " fails; replay it with: make sim SEED=" << seed;
    }
  }
  std::printf("simulation: %d faults injected, %d of them crashes\n", faults, crashes);
  EXPECT_GT(crashes, 0);
}

}  // namespace
}  // namespace sortie::simulation
