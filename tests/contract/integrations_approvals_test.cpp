// Approvals on the real runtime, engine and store: an execution asks, people answer, and the process dies (or
// the disk fails) at every single commit on the way. Whatever happens, the execution ends with exactly one
// answer, the approval and the audit trail tell the same, and nothing is left waiting.
#include <gtest/gtest.h>

#include "integrations/aws.h"
#include "json/text.h"
#include "response/approvals.h"
#include "story.h"

namespace sortie {
namespace {

using story::ManualLoop;

constexpr const char* kMachine = "arn:aws:states:us-east-1:123456789012:stateMachine:ir";
constexpr const char* kExecution = "arn:aws:states:us-east-1:123456789012:execution:ir:run-1";

constexpr const char* kDefinition = R"({
  "StartAt": "Ask",
  "States": {
    "Ask": {
      "Type": "Task",
      "Resource": "arn:aws:states:::sqs:sendMessage.waitForTaskToken",
      "Parameters": {
        "QueueUrl": "https://sqs.us-east-1.amazonaws.com/123456789012/approval-queue",
        "MessageBody": {"title": "Isolate i-0abc", "taskToken.$": "$$.Task.Token"}
      },
      "TimeoutSeconds": 600,
      "Catch": [{"ErrorEquals": ["States.Timeout"], "Next": "NobodyAnswered"}],
      "End": true
    },
    "NobodyAnswered": {"Type": "Pass", "Result": {"decision": "nobody"}, "End": true}
  }
})";

Actor person(const std::string& name) { return {Actor::Kind::kPerson, name}; }

// What makes a run: who answers, under which policy, and how it must end.
struct Scenario {
  const char* name;
  bool people_answer;
  response::Policy policy;
  std::vector<std::string> decisions;  // Each of these is a good end.
  std::vector<response::ApprovalStatus> statuses;
};

void PrintTo(const Scenario& scenario, std::ostream* out) { *out << scenario.name; }

// One life of the server on what the disk holds.
class Process : public story::StoryProcess {
 public:
  Process(ManualLoop& loop, store::MemoryImage disk, store::MemoryFaults faults, const Scenario& scenario)
      : StoryProcess(loop, 11, std::move(disk), std::move(faults)),
        audit_(loop, store_, response::Lease{0, epoch_}),
        people_(loop, random_, store_, audit_),
        approvals_(loop, store_, audit_, people_),
        pool_(loop, [](const integrations::WorkerEvents&) { return no_worker(); }),
        aws_(loop, pool_, {}, &approvals_) {
    dispatcher_.add("*", aws_);
    make_runtime(loop);
    approvals_.configure({{scenario.policy}, {{"approval-queue", scenario.policy.name}}, {}});
    EXPECT_TRUE(people_.load().ok());
    EXPECT_TRUE(approvals_.load().ok());
    EXPECT_TRUE(runtime_->recover().ok());
    approvals_.start(*runtime_);
  }

  ~Process() { end_runtime(); }

  bool go_on(const Scenario& scenario) {
    for (const char* name : {"alice", "bob"}) {
      if (people_.find(name) == nullptr) people_.add(name, {}, Actor{}, [](const auto&) {});
    }
    if (!put(kMachine, kDefinition)) return false;
    const auto execution = runtime_->describe_execution(kExecution);
    if (!execution.ok()) {
      runtime::StartRequest request;
      request.state_machine_arn = kMachine;
      request.name = "run-1";
      request.actor = {Actor::Kind::kRule, "guardduty"};
      runtime_->start_execution(request, [](const auto&) {});
      return false;
    }
    const auto pending = approvals_.list({.status = response::ApprovalStatus::kPending});
    if (pending.ok() && scenario.people_answer) {
      for (const response::Approval& approval : *pending) {
        approvals_.decide({approval.id, person("alice"), true, "contain it", {}, "cli"}, [](const auto&) {});
        approvals_.decide({approval.id, person("bob"), false, "too early", {}, "api"}, [](const auto&) {});
      }
    }
    return execution->status != store::ExecutionStatus::kRunning && pending.ok() && pending->empty();
  }

  void check_the_end(const Scenario& scenario) {
    const auto execution = runtime_->describe_execution(kExecution);
    ASSERT_TRUE(execution.ok());
    ASSERT_EQ(execution->status, store::ExecutionStatus::kSucceeded) << execution->error.value_or("");
    const json::Value output = json::parse(*execution->output_text).value();
    const std::string decision = output.get("decision").to_std_string();
    EXPECT_NE(std::find(scenario.decisions.begin(), scenario.decisions.end(), decision),
              scenario.decisions.end())
        << decision;
    const std::vector<response::Approval> all = approvals_.list({}).value();
    ASSERT_EQ(all.size(), 1u);
    EXPECT_NE(std::find(scenario.statuses.begin(), scenario.statuses.end(), all[0].status),
              scenario.statuses.end())
        << response::status_name(all[0].status);
    EXPECT_EQ(count("approval.request"), 1u);
    if (all[0].decision) {
      EXPECT_EQ(all[0].decision->outcome, decision) << "record and task tell the same";
      if (!all[0].decision->by.empty()) {
        EXPECT_EQ(output.get("by"), json::Value(all[0].decision->by));
      }
    }
    EXPECT_EQ(count("approval.decide"), scenario.people_answer ? 1u : 0u) << "decided once, recorded once";
    EXPECT_EQ(runtime_->check().value(), std::vector<std::string>{});
    EXPECT_EQ(dispatcher_.in_flight(), 0u);
  }

 private:
  static Result<std::unique_ptr<integrations::WorkerLink>> no_worker() {
    ADD_FAILURE() << "a message to an approval queue must not reach AWS";
    return Error{"SpawnFailed", "none"};
  }
  std::size_t count(const std::string& action) {
    const auto entries = audit_.query({.action = action}).value();
    return static_cast<std::size_t>(std::count_if(entries.begin(), entries.end(),
                                                  [](const auto& entry) { return entry.outcome == "done"; }));
  }

  response::Audit audit_;
  response::People people_;
  response::Approvals approvals_;
  integrations::SdkPool pool_;
  integrations::AwsIntegration aws_;
};

class ApprovalStory : public testing::TestWithParam<Scenario> {};

TEST_P(ApprovalStory, EndsWithOneAnswerWhateverFailsAtWhicheverCommit) {
  story::StoryTeller<Process, Scenario>{2'000}.tell_with_every_fault(GetParam(), 5);
}

const response::Policy kPlain{.name = "plain"};
const response::Policy kTwoPeople{.name = "two", .quorum = 2, .veto = false};
const response::Policy kExpiresAsTimeout{.name = "short", .expires_after_ms = 60'000};
const response::Policy kExpiresAsAnswer{
    .name = "answer", .expires_after_ms = 60'000, .on_expire = response::Policy::OnExpire::kReject};

using response::ApprovalStatus;

INSTANTIATE_TEST_SUITE_P(
    All, ApprovalStory,
    testing::Values(
        Scenario{"two people answer at once",
                 true,
                 kPlain,
                 {"approved", "rejected"},
                 {ApprovalStatus::kApproved, ApprovalStatus::kRejected}},
        Scenario{
            "the policy's time runs out", false, kExpiresAsTimeout, {"nobody"}, {ApprovalStatus::kExpired}},
        Scenario{"the time runs out and that is an answer",
                 false,
                 kExpiresAsAnswer,
                 {"expired"},
                 {ApprovalStatus::kExpired}},
        Scenario{"the task's time runs out", false, kTwoPeople, {"nobody"}, {ApprovalStatus::kExpired}}));

}  // namespace
}  // namespace sortie
