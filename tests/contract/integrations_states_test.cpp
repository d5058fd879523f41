// Nested executions on the real runtime, engine and store: a parent starts a child and waits for it, and the
// process dies (or the disk fails) at every single commit on the way. The parent ends as if nothing had
// happened, and there is exactly one child.
#include <gtest/gtest.h>

#include "integrations/states.h"
#include "json/text.h"
#include "story.h"

namespace sortie {
namespace {

using story::ManualLoop;

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

class Process : public story::StoryProcess {
 public:
  Process(ManualLoop& loop, store::MemoryImage disk, store::MemoryFaults faults, const Nesting&)
      : StoryProcess(loop, 5, std::move(disk), std::move(faults)), states_(loop, store_) {
    dispatcher_.add("states", states_);
    make_runtime(loop);
    states_.attach(*runtime_, [this](store::Batch batch) {
      batch.epoch = epoch_;
      store_.append(std::move(batch), [](const Status&) {});
    });
    EXPECT_TRUE(runtime_->recover().ok());
  }

  ~Process() { end_runtime(); }

  bool go_on(const Nesting& nesting) {
    const bool has_both = put(kPlace + "stateMachine:child", kChild) &&
                          put(kPlace + "stateMachine:parent", parent_definition(nesting));
    if (!has_both) return false;
    const auto execution = runtime_->describe_execution(kExecution);
    if (execution.ok()) return execution->status != store::ExecutionStatus::kRunning;
    runtime::StartRequest request;
    request.state_machine_arn = kPlace + "stateMachine:parent";
    request.name = "run-1";
    runtime_->start_execution(request, [](const auto&) {});
    return false;
  }
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
  integrations::StatesIntegration states_;
};

class NestedStory : public testing::TestWithParam<Nesting> {};

TEST_P(NestedStory, HasOneChildWhateverFailsAtWhicheverCommit) {
  story::StoryTeller<Process, Nesting>{1'000}.tell_with_every_fault(GetParam(), 4);
}

INSTANTIATE_TEST_SUITE_P(All, NestedStory,
                         testing::Values(Nesting{"", ""}, Nesting{"", "named"}, Nesting{".sync", ""},
                                         Nesting{".sync", "named"}, Nesting{".sync:2", "named"}));

}  // namespace
}  // namespace sortie
