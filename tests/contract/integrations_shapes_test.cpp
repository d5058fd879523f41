// What integrations answer, held against what real AWS recorded: every member of every recorded result, and
// every error name. Values that AWS makes up (ids, dates) differ; the shape may not. Reads ../shared beside
// the repository and skips visibly where it is absent.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include "asl/compile.h"
#include "integrations/aws.h"
#include "integrations/events.h"
#include "integrations/lambda.h"
#include "integrations/states.h"
#include "integrations/testing/fakes.h"

namespace sortie::integrations {
namespace {

namespace fs = std::filesystem;

// One task of a recorded history: what was scheduled and what came of it.
struct Recorded {
  std::string where, service, action;
  json::Value parameters, submitted, succeeded, failed;
};

const json::Value* details_of(const json::Value& event, const char* name) { return event.find(name); }

void read_history(const std::string& where, const json::Value& events, std::vector<Recorded>& tasks) {
  for (const json::Value& event : events.items()) {
    if (const auto* scheduled = details_of(event, "taskScheduledEventDetails")) {
      tasks.push_back({where,
                       scheduled->get("resourceType").to_std_string(),
                       scheduled->get("resource").to_std_string(),
                       scheduled->get("parameters"),
                       {},
                       {},
                       {}});
    }
    if (tasks.empty()) continue;
    if (const auto* details = details_of(event, "taskSubmittedEventDetails")) {
      tasks.back().submitted = details->get("output");
    }
    if (const auto* details = details_of(event, "taskSucceededEventDetails")) {
      tasks.back().succeeded = details->get("output");
    }
    if (const auto* details = details_of(event, "taskFailedEventDetails")) tasks.back().failed = *details;
  }
}

std::vector<Recorded> read_corpus() {
  std::vector<Recorded> tasks;
  const fs::path root = fs::path(SORTIE_SOURCE_DIR) / "../shared/corpus/asl";
  for (const char* group : {"services", "callback", "error_handling"}) {
    if (!fs::exists(root / group)) continue;
    for (const auto& entry : fs::directory_iterator(root / group)) {
      std::ifstream file(entry.path());
      std::stringstream text;
      text << file.rdbuf();
      const Result<json::Value> recorded = json::parse(text.str());
      if (!recorded || recorded->get("query_language") != json::Value("JSONPath")) continue;
      for (const json::Member& answer : recorded->get("expected").members()) {
        std::vector<Recorded> found;
        read_history(entry.path().filename(), answer.value.get("events"), found);
        tasks.insert(tasks.end(), found.begin(), found.end());
      }
    }
  }
  return tasks;
}

// Every path to a leaf; what hangs below `opaque` members is the user's own.
void collect_paths(const json::Value& value, const std::string& at, std::set<std::string>& paths) {
  static const std::set<std::string_view> kOpaque = {"Payload", "Input", "Output"};
  if (!value.is_object() || kOpaque.count(at.substr(at.rfind('/') + 1)) != 0) {
    paths.insert(at);
    return;
  }
  for (const json::Member& member : value.members()) {
    collect_paths(member.value, at + "/" + member.key.to_std_string(), paths);
  }
}

std::set<std::string> shape_of(const json::Value& value) {
  std::set<std::string> paths;
  collect_paths(value, "", paths);
  return paths;
}

class EchoFunctions final : public functions::FunctionInvoker {
 public:
  void invoke(functions::InvokeRequest, functions::InvokeCallback done) override { done(result); }
  functions::InvokeResult result;
};

class OneDesk final : public ApprovalDesk {
 public:
  bool takes_queue(std::string_view) const override { return true; }
  void open(const runtime::TaskOrder&, std::string_view, const json::Value&,
            std::function<void(Result<std::string>)> done) override {
    done(std::string("ap-1"));
  }
  void close(const runtime::AttemptKey&) override {}
};

class ShapesTest : public testing::Test {
 protected:
  ShapesTest()
      : store(loop),
        runtime(loop, store),
        lambda(loop, functions),
        states(loop, store),
        pool(loop,
             [](const WorkerEvents&) -> Result<std::unique_ptr<WorkerLink>> {
               return Error{"SpawnFailed", ""};
             }),
        aws(loop, pool, {}, &desk),
        dispatcher(loop) {
    dispatcher.add("lambda", lambda);
    dispatcher.add("states", states);
    dispatcher.add("sqs", aws);
    dispatcher.attach(runtime);
    states.attach(runtime);
  }
  void SetUp() override {
    corpus = read_corpus();
    if (corpus.empty()) GTEST_SKIP() << "SKIP: no recordings beside the repository";
  }
  // Every answer that the runtime got for the recorded task.
  std::map<std::string, fakes::Answer> run(const Recorded& task) {
    runtime.answers.clear();
    runtime::TaskOrder order;
    order.key = {4, 0, 1, ++attempts};
    order.idempotency_key = "store-" + std::to_string(attempts);
    order.origin.edit().execution_arn = "arn:aws:states:us-east-1:111111111111:execution:m:e";
    order.origin.edit().state_machine_arn = "arn:aws:states:us-east-1:111111111111:stateMachine:m";
    order.task_token = "token";
    const auto resource = asl::parse_task_resource("arn:aws:states:::" + task.service + ":" + task.action);
    EXPECT_TRUE(resource.has_value()) << task.action;
    if (resource) order.resource = *resource;
    order.parameters = task.parameters;
    dispatcher.dispatch(order);
    loop.run();
    for (auto& [arn, execution] : runtime.executions) {
      if (execution.status == store::ExecutionStatus::kRunning) end_child(arn, task);
    }
    loop.run();
    runtime.executions.clear();
    std::map<std::string, fakes::Answer> answers;
    for (const fakes::Answer& answer : runtime.answers) answers[answer.kind] = answer;
    return answers;
  }
  void end_child(const std::string& arn, const Recorded& task) {
    runtime::ExecutionDescription& child = runtime.executions[arn];
    const json::Value cause = task.failed.get("cause");
    if (cause.is_null()) {
      child.output_text = "{}";
      return runtime.end_execution(arn, store::ExecutionStatus::kSucceeded);
    }
    if (cause.has("Error")) child.error = "SomeFailure";
    if (cause.has("Cause")) child.cause = "because";
    runtime.end_execution(arn, store::ExecutionStatus::kFailed);
  }

  fakes::ManualLoop loop;
  fakes::FakeStore store;
  fakes::FakeRuntime runtime;
  EchoFunctions functions;
  OneDesk desk;
  LambdaIntegration lambda;
  StatesIntegration states;
  SdkPool pool;
  AwsIntegration aws;
  Dispatcher dispatcher;
  std::vector<Recorded> corpus;
  std::uint32_t attempts = 0;
};

TEST_F(ShapesTest, LambdaInvokeAnswersWithTheRecordedMembersAndErrorNames) {
  int compared = 0;
  for (const Recorded& task : corpus) {
    if (task.service != "lambda") continue;
    functions.result = {};
    functions.result.request_id = "r";
    functions.result.payload = "{}";
    const std::string error =
        task.failed.get("error").is_string() ? task.failed.get("error").to_std_string() : "";
    if (error == "States.DataLimitExceeded") continue;  // The engine's own check.
    if (error.rfind("Lambda.", 0) == 0) {
      functions.result.error_code = error.substr(7);
      functions.result.status_code = 404;
    } else if (!error.empty()) {
      functions.result.function_error = "Unhandled";
      functions.result.payload = json::to_text(task.failed.get("cause"));
    }
    SCOPED_TRACE(task.where);
    auto answers = run(task);
    if (!error.empty()) {
      EXPECT_EQ(answers["failed"].error, error);
    } else if (!task.succeeded.is_null()) {
      EXPECT_EQ(shape_of(answers["succeeded"].output), shape_of(task.succeeded));
    }
    ++compared;
  }
  EXPECT_GT(compared, 10);
}

TEST_F(ShapesTest, NestedExecutionsAnswerWithTheRecordedMembersAndErrorNames) {
  int compared = 0;
  for (const Recorded& task : corpus) {
    if (task.service != "states") continue;
    SCOPED_TRACE(task.where);
    const std::string error =
        task.failed.get("error").is_string() ? task.failed.get("error").to_std_string() : "";
    if (error.rfind("StepFunctions.", 0) == 0) {
      runtime.start_error = Error{"StateMachineDoesNotExist", "State Machine Does Not Exist: 'x'"};
    }
    auto answers = run(task);
    runtime.start_error.reset();
    if (!task.submitted.is_null()) {
      EXPECT_EQ(shape_of(answers["submitted"].output), shape_of(task.submitted));
    }
    if (!task.succeeded.is_null()) {
      EXPECT_EQ(shape_of(answers["succeeded"].output), shape_of(task.succeeded));
    }
    if (!error.empty()) {
      EXPECT_EQ(answers["failed"].error, error);
    }
    if (task.failed.get("cause").is_object()) {
      EXPECT_EQ(shape_of(json::parse(answers["failed"].cause).value()), shape_of(task.failed.get("cause")));
    }
    ++compared;
  }
  EXPECT_GT(compared, 4);
}

TEST_F(ShapesTest, AnApprovalAnswersAsTheQueueWouldHave) {
  int compared = 0;
  for (const Recorded& task : corpus) {
    if (task.service != "sqs" || task.submitted.is_null()) continue;
    SCOPED_TRACE(task.where);
    EXPECT_EQ(shape_of(run(task)["submitted"].output), shape_of(task.submitted));
    ++compared;
  }
  EXPECT_GT(compared, 2);
}

}  // namespace
}  // namespace sortie::integrations
