// Nested executions on the real runtime, engine and store: a parent starts a child and waits for it, and the
// process dies (or the disk fails) at every single commit on the way. The parent ends as if nothing had
// happened, and there is exactly one child.
#include <gtest/gtest.h>

#include "integrations/dispatcher.h"
#include "integrations/states.h"
#include "integrations/testing/fakes.h"
#include "json/text.h"
#include "runtime/runtime.h"
#include "store/memory/memory_store.h"

namespace sortie {
namespace {

using fakes::ManualLoop;

const std::string kPlace = "arn:aws:states:us-east-1:123456789012:";
const std::string kExecution = kPlace + "execution:parent:run-1";

constexpr const char* kChild = R"({
  "StartAt": "Pause",
  "States": {
    "Pause": {"Type": "Wait", "Seconds": 5, "Next": "Answer"},
    "Answer": {"Type": "Pass", "Result": {"from": "child"}, "End": true}
  }
})";

struct Nesting {
  const char* suffix;  // Of states:startExecution.
  const char* name;    // The child's; "" for none.
};

void PrintTo(const Nesting& nesting, std::ostream* out) { *out << nesting.suffix << " " << nesting.name; }

std::string parent_definition(const Nesting& nesting) {
  std::string name = nesting.name;
  if (!name.empty()) name = ",\"Name\":\"" + name + "\"";
  return R"({"StartAt":"Nest","States":{"Nest":{"Type":"Task","Resource":"arn:aws:states:::states:startExecution)" +
         std::string(nesting.suffix) + R"(","Parameters":{"StateMachineArn":")" + kPlace +
         R"(stateMachine:child","Input":{"a":1})" + name + R"(},"End":true}}})";
}

class Process {
 public:
  Process(ManualLoop& loop, store::MemoryImage disk, store::MemoryFaults faults)
      : random_(5),
        store_(loop, std::move(disk), std::move(faults)),
        epoch_(store_.acquire(0).value()),
        states_(loop, store_),
        dispatcher_(loop) {
    dispatcher_.add("states", states_);
    runtime::Options options;
    options.epoch = epoch_;
    runtime_ = runtime::Runtime::make(loop, random_, store_, dispatcher_, options);
    dispatcher_.attach(*runtime_);
    states_.attach(*runtime_, [this](store::Batch batch) {
      batch.epoch = epoch_;
      store_.append(std::move(batch), [](const Status&) {});
    });
    EXPECT_TRUE(runtime_->recover().ok());
  }

  bool go_on(const Nesting& nesting) {
    const bool has_both = put("child", kChild) && put("parent", parent_definition(nesting));
    if (!has_both) return false;
    const auto execution = runtime_->describe_execution(kExecution);
    if (execution.ok()) return execution->status != store::ExecutionStatus::kRunning;
    runtime::StartRequest request;
    request.state_machine_arn = kPlace + "stateMachine:parent";
    request.name = "run-1";
    runtime_->start_execution(request, [](const auto&) {});
    return false;
  }
  store::MemoryImage crash() { return store_.crash(); }

  void check_the_end(const Nesting& nesting) {
    const auto execution = runtime_->describe_execution(kExecution);
    ASSERT_TRUE(execution.ok());
    ASSERT_EQ(execution->status, store::ExecutionStatus::kSucceeded) << execution->cause.value_or("");
    const json::Value output = json::parse(*execution->output_text).value();
    const std::string suffix = nesting.suffix;
    if (suffix == ".sync:2") {
      EXPECT_EQ(json::to_text(output.get("Output")), R"({"from":"child"})");
    }
    if (suffix == ".sync") {
      EXPECT_EQ(output.get("Output"), json::Value(R"({"from":"child"})"));
    }
    store::ExecutionQuery query;
    query.state_machine_arn = kPlace + "stateMachine:child";
    EXPECT_EQ(store_.list_executions(query).value().size(), 1u) << "one child";
    EXPECT_EQ(output.get("ExecutionArn"), json::Value(store_.list_executions(query).value()[0].arn));
    EXPECT_EQ(runtime_->check().value(), std::vector<std::string>{});
  }

 private:
  bool put(const std::string& name, const std::string& definition) {
    const std::string arn = kPlace + "stateMachine:" + name;
    if (runtime_->find_state_machine(arn)) return true;
    runtime::StateMachineRecord record;
    record.arn = arn;
    record.name = name;
    record.definition = definition;
    record.role_arn = "arn:aws:iam::123456789012:role/x";
    runtime_->put_state_machine(record, Actor{}, [](const auto& made) {
      EXPECT_TRUE(made.ok() || made.error().code != "InvalidDefinition") << made.error().message;
    });
    return false;
  }

  SeededRandom random_;
  store::MemoryStore store_;
  store::Epoch epoch_;
  integrations::StatesIntegration states_;
  integrations::Dispatcher dispatcher_;
  std::unique_ptr<runtime::Runtime> runtime_;
};

class NestedStory : public testing::TestWithParam<Nesting> {
 protected:
  std::size_t run(std::size_t fault_at, store::CommitFault fault) {
    ManualLoop loop;
    std::size_t commits = 0;
    bool crashed = false;
    store::MemoryFaults faults;
    faults.plan = [&](const store::Batch&) {
      return store::CommitPlan{++commits == fault_at ? fault : store::CommitFault::kNone, 0};
    };
    faults.on_crash = [&crashed] { crashed = true; };
    auto process = std::make_unique<Process>(loop, store::MemoryImage{}, faults);
    bool ended = false;
    for (int i = 0; i < 200 && !ended; ++i) {
      loop.advance_ms(1'000);
      if (crashed) {
        crashed = false;
        store::MemoryImage disk = process->crash();
        process.reset();
        loop.forget_everything();
        process = std::make_unique<Process>(loop, std::move(disk), faults);
        continue;
      }
      ended = process->go_on(GetParam());
    }
    EXPECT_TRUE(ended) << "the story never ended";
    process->check_the_end(GetParam());
    return commits;
  }
};

TEST_P(NestedStory, HasOneChildWhateverFailsAtWhicheverCommit) {
  const std::size_t commits = run(0, store::CommitFault::kNone);
  ASSERT_GT(commits, 4u);
  for (const auto fault : {store::CommitFault::kCrashBefore, store::CommitFault::kCrashAfter,
                           store::CommitFault::kStoreUnavailable}) {
    for (std::size_t at = 1; at <= commits + 2 && !HasFailure(); ++at) {
      SCOPED_TRACE("fault " + std::to_string(static_cast<int>(fault)) + " at commit " + std::to_string(at));
      run(at, fault);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, NestedStory,
                         testing::Values(Nesting{"", ""}, Nesting{"", "named"}, Nesting{".sync", ""},
                                         Nesting{".sync", "named"}, Nesting{".sync:2", "named"}));

}  // namespace
}  // namespace sortie
