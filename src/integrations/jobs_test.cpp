// .sync jobs on a fake AWS worker: submitted, asked after, ended, stopped; and what a restart leaves of them.
#include "integrations/jobs.h"

#include <gtest/gtest.h>

#include "integrations/aws.h"
#include "integrations/testing/fake_processes.h"
#include "integrations/testing/fakes.h"

namespace sortie::integrations {
namespace {

constexpr const char* kExecution = "arn:aws:states:us-east-1:123456789012:execution:ir:run-1";

// A server's life: what it was wired of goes with it, store and runtime stay.
struct Server {
  Server(fakes::ManualLoop& loop, fakes::FakeStore& store, fakes::FakeRuntime& runtime)
      : pool(loop, processes.factory(), {.workers = 1}),
        aws(loop, pool, {.endpoint_url = "http://127.0.0.1:5000"}, nullptr),
        jobs(loop, pool, store, [this](SdkCall& call) { aws.complete(call); }),
        dispatcher(loop) {
    aws.set_jobs(jobs);
    dispatcher.add("*", aws);
    dispatcher.attach(runtime);
    jobs.attach(runtime,
                [&store](store::Batch batch) { store.append(std::move(batch), [](const Status&) {}); });
  }
  fakes::FakeProcesses processes;
  SdkPool pool;
  AwsIntegration aws;
  Jobs jobs;
  Dispatcher dispatcher;
};

class JobsTest : public testing::Test {
 protected:
  JobsTest() : store(loop), runtime(loop, store) {
    runtime.executions[kExecution].arn = kExecution;
    order.key = {4, 0, 2, 1};
    order.idempotency_key = "store-4-0-2-1";
    order.origin.edit().execution_arn = kExecution;
    order.origin.edit().execution_name = "run-1";
    order.resource.edit().text = "arn:aws:states:::batch:submitJob.sync";
    order.resource.edit().resource_type = "batch";
    order.resource.edit().resource = "submitJob.sync";
    order.resource.edit().pattern = asl::TaskPattern::kSync;
    order.parameters = json::Value::object({{"JobName", "n"}});
    order.credentials = json::Value::object({{"RoleArn", "arn:aws:iam::123456789012:role/jobs"}});
    restart();
  }
  void restart() {
    if (server != nullptr) server->dispatcher.stop();
    server.reset();
    server = std::make_unique<Server>(loop, store, runtime);
    loop.run();
  }
  void dispatch() {
    server->dispatcher.dispatch(order);
    loop.run();
  }
  const std::vector<json::Value>& asked() const {
    static const std::vector<json::Value> kNothing;
    return server->processes.all.empty() ? kNothing : server->processes.all[0]->requests;
  }
  std::string last_phase() const {
    return asked().empty() ? "" : asked().back().get("job").get("phase").to_std_string();
  }
  void reply(const std::string& rest) {
    server->processes.all[0]->events.on_frame("{\"id\":" + json::to_text(asked().back().get("id")) + "," +
                                              rest + "}");
    loop.run();
  }
  void start() {
    dispatch();
    reply(R"("result":{"answer":{"JobId":"j"},"job":{"describe":{"jobs":["j"]},"stop":{"jobId":"j"}}})");
  }

  fakes::ManualLoop loop;
  fakes::FakeStore store;
  fakes::FakeRuntime runtime;
  runtime::TaskOrder order;
  std::unique_ptr<Server> server;
  const std::string running = R"("result":{"state":"RUNNING"})";
  const std::string succeeded = R"("result":{"state":"SUCCEEDED","result":{"Status":"SUCCEEDED"}})";
};

TEST_F(JobsTest, AJobIsSubmittedThenAskedAfterUntilItEnds) {
  dispatch();
  EXPECT_EQ(asked().at(0).get("job"),
            json::Value::object({{"phase", "start"}, {"key", "store-4-0-2-1"}, {"facts", json::Value()}}));
  EXPECT_EQ(asked().at(0).get("role_arn"), json::Value("arn:aws:iam::123456789012:role/jobs"));
  reply(R"("result":{"answer":{"JobId":"j"},"job":{"describe":{"jobs":["j"]},"stop":null}})");
  EXPECT_EQ(runtime.answers_of("submitted").at(0).output, json::Value::object({{"JobId", "j"}}));
  EXPECT_EQ(asked().size(), 1u) << "not before a moment has passed";
  for (const std::int64_t wait_ms : {1'000, 2'000, 4'000, 8'000, 16'000, 20'000, 20'000}) {
    loop.advance_ms(wait_ms - 1);
    const std::size_t before = asked().size();
    loop.advance_ms(1);
    ASSERT_EQ(asked().size(), before + 1) << wait_ms;
    reply(running);
  }
  EXPECT_EQ(asked().back().get("job").get("facts").get("describe"), json::parse(R"({"jobs":["j"]})").value());
  loop.advance_ms(20'000);
  reply(succeeded);
  EXPECT_EQ(runtime.answers_of("succeeded").at(0).output, json::Value::object({{"Status", "SUCCEEDED"}}));
  loop.advance_ms(100'000);
  EXPECT_EQ(last_phase(), "poll");
  EXPECT_EQ(server->jobs.running(), 0u);
  runtime.end_execution(kExecution, store::ExecutionStatus::kSucceeded);
  loop.run();
  EXPECT_TRUE(store.documents.empty()) << "forgotten with its execution";
}

TEST_F(JobsTest, AJobThatFailsFailsTheTaskWithItsDescription) {
  start();
  loop.advance_ms(1'000);
  reply(R"("result":{"state":"FAILED","cause":"{\"Status\":\"FAILED\"}"})");
  EXPECT_EQ(runtime.answers_of("failed").at(0).error, "States.TaskFailed");
  EXPECT_EQ(runtime.answers_of("failed").at(0).cause, R"({"Status":"FAILED"})");
}

TEST_F(JobsTest, AStartThatIsRefusedIsTheTasksFailureAndLeavesNothing) {
  dispatch();
  reply(R"("error":{"name":"Batch.ClientException","cause":"no such queue"})");
  EXPECT_EQ(runtime.answers_of("failed").at(0).error, "Batch.ClientException");
  EXPECT_TRUE(store.documents.empty());
}

TEST_F(JobsTest, WhatMayPassIsAskedAgainAndWhatIsRefusedForGoodFails) {
  start();
  loop.advance_ms(1'000);
  reply(R"("error":{"name":"Batch.ServerException","cause":"c","retryable":true})");
  EXPECT_TRUE(runtime.answers_of("failed").empty());
  loop.advance_ms(2'000);
  reply(R"("error":{"name":"Batch.AccessDeniedException","cause":"c","retryable":false})");
  EXPECT_EQ(runtime.answers_of("failed").at(0).error, "Batch.AccessDeniedException");
}

TEST_F(JobsTest, AJobThatNobodyKnowsAnyMoreIsNotWaitedForForEver) {
  start();
  for (int i = 0; i < 15; ++i) {
    EXPECT_TRUE(runtime.answers_of("failed").empty()) << i;
    loop.advance_ms(20'000);
    reply(R"("result":{"state":"MISSING"})");
  }
  EXPECT_EQ(runtime.answers_of("failed").at(0).error, "States.TaskFailed");
}

TEST_F(JobsTest, ACancelledTaskStopsItsJob) {
  start();
  server->dispatcher.cancel(order.key);
  loop.run();
  EXPECT_EQ(last_phase(), "stop");
  EXPECT_EQ(asked().back().get("job").get("facts").get("stop"), json::parse(R"({"jobId":"j"})").value());
  EXPECT_TRUE(store.documents.empty());
  reply(R"("error":{"name":"Batch.ServerException","cause":"c","retryable":true})");
  const std::size_t before = asked().size();
  loop.advance_ms(1'000);
  EXPECT_EQ(asked().size(), before + 1) << "once more";
  reply(R"("result":{})");
  loop.advance_ms(100'000);
  EXPECT_EQ(asked().size(), before + 1) << "and nobody asks after it";
}

TEST_F(JobsTest, ATaskCancelledWhileItsJobStartsStopsItToo) {
  dispatch();
  server->dispatcher.cancel(order.key);
  reply(R"("result":{"answer":{"JobId":"j"},"job":{"describe":{"jobs":["j"]},"stop":{"jobId":"j"}}})");
  EXPECT_EQ(last_phase(), "stop");
  EXPECT_TRUE(store.documents.empty());
  EXPECT_TRUE(runtime.answers.empty());
}

TEST_F(JobsTest, AfterARestartAskingGoesOnInTheSameName) {
  start();
  restart();
  EXPECT_EQ(last_phase(), "poll") << "at once: nobody knows how long nobody asked";
  EXPECT_EQ(asked().back().get("role_arn"), json::Value("arn:aws:iam::123456789012:role/jobs"));
  EXPECT_EQ(asked().back().get("endpoint_url"), json::Value("http://127.0.0.1:5000"));
  reply(succeeded);
  ASSERT_EQ(runtime.answers_of("succeeded").size(), 1u);
  EXPECT_EQ(runtime.answers_of("succeeded")[0].key, order.key);
}

TEST_F(JobsTest, AnAttemptThatIsDispatchedAgainFindsItsJob) {
  start();
  runtime.answers.clear();
  restart();
  dispatch();
  ASSERT_EQ(asked().size(), 1u) << "one asks for both";
  EXPECT_EQ(last_phase(), "poll");
  EXPECT_EQ(runtime.answers_of("submitted").at(0).output, json::Value::object({{"JobId", "j"}}));
  reply(succeeded);
  EXPECT_EQ(runtime.answers_of("succeeded").size(), 1u);
}

TEST_F(JobsTest, AJobIsNotStartedTwiceWhenOnlyItsDocumentSurvived) {
  start();
  runtime.answers.clear();
  server->dispatcher.stop();
  server.reset();
  server = std::make_unique<Server>(loop, store, runtime);
  dispatch();  // Before the walk over what was left.
  EXPECT_EQ(runtime.answers_of("submitted").at(0).output, json::Value::object({{"JobId", "j"}}));
  EXPECT_EQ(last_phase(), "poll");
  reply(succeeded);
  EXPECT_EQ(runtime.answers_of("succeeded").size(), 1u);
}

TEST_F(JobsTest, AJobWhoseExecutionEndedMeanwhileIsStoppedAndForgotten) {
  start();
  server->dispatcher.stop();
  server.reset();
  runtime.executions[kExecution].status = store::ExecutionStatus::kAborted;
  restart();
  EXPECT_EQ(last_phase(), "stop");
  EXPECT_TRUE(store.documents.empty());
}

}  // namespace
}  // namespace sortie::integrations
