// The pool of AWS workers on fake processes, and the AWS integration on the pool.
#include "integrations/sdk_worker.h"

#include <gtest/gtest.h>

#include "integrations/aws.h"
#include "integrations/testing/fake_processes.h"
#include "integrations/testing/fakes.h"

namespace sortie::integrations {
namespace {

using fakes::ManualLoop;

using fakes::FakeProcesses;

SdkCall a_call() {
  SdkCall call;
  call.service = "s3";
  call.action = "getObject";
  call.parameters = json::Value::object({{"Bucket", "b"}});
  call.region = "us-east-1";
  return call;
}

class SdkPoolTest : public testing::Test {
 protected:
  void make(SdkPoolOptions options) { pool = std::make_unique<SdkPool>(loop, processes.factory(), options); }
  SdkPool::CallNo call(const std::string& lane = "") {
    SdkCall made = a_call();
    made.lane = lane;
    if (!lane.empty()) made.action = "of " + lane;
    return pool->call(std::move(made), [this](const SdkAnswer& answer) {
      answers.push_back(answer.ok() ? json::to_text(answer.result) : answer.error);
      causes.push_back(answer.cause);
    });
  }
  void reply(std::size_t process, const json::Value& id, const std::string& rest) {
    processes.all[process]->events.on_frame("{\"id\":" + json::to_text(id) + "," + rest + "}");
    loop.run();
  }
  void die(std::size_t process) {
    processes.all[process]->events.on_closed("it ended");
    loop.run();
  }
  const json::Value& request(std::size_t process, std::size_t index) {
    return processes.all[process]->requests.at(index);
  }

  ManualLoop loop;
  FakeProcesses processes;
  std::unique_ptr<SdkPool> pool;
  std::vector<std::string> answers, causes;
};

TEST_F(SdkPoolTest, SharesCallsAmongWorkersAndAnswersByNumber) {
  make({.workers = 2});
  call();
  call();
  ASSERT_EQ(processes.all.size(), 2u);
  EXPECT_EQ(request(0, 0).get("service"), json::Value("s3"));
  EXPECT_EQ(request(0, 0).get("style"), json::Value("aws-sdk"));
  EXPECT_TRUE(request(0, 0).get("credentials").is_null());
  EXPECT_TRUE(request(0, 0).get("role_arn").is_null());
  EXPECT_EQ(request(0, 0).get("timeout_s"), json::Value(300));
  reply(1, request(1, 0).get("id"), R"("result":{"n":2})");
  reply(0, request(0, 0).get("id"),
        R"("error":{"name":"S3.NoSuchBucketException","cause":"c","retryable":false})");
  EXPECT_EQ(answers, (std::vector<std::string>{"{\"n\":2}", "S3.NoSuchBucketException"}));
  EXPECT_EQ(causes[1], "c");
}

TEST_F(SdkPoolTest, APlaybookWithManyCallsDelaysTheOthersByOne) {
  make({.workers = 1, .in_flight_max = 1, .calls_max = 10});
  for (int i = 0; i < 9; ++i) call("noisy");
  call("quiet");
  loop.run();
  EXPECT_EQ(pool->figures().rejected, 4u) << "one playbook fills half of the room";
  reply(0, request(0, 0).get("id"), R"("result":1)");
  EXPECT_EQ(request(0, 0).get("action"), json::Value("of noisy"));
  EXPECT_EQ(request(0, 1).get("action"), json::Value("of quiet"));
}

TEST_F(SdkPoolTest, AWorkerThatDiesIsReplacedAndItsCallsAreMadeAgain) {
  make({.workers = 1});
  call();
  call();
  die(0);
  loop.advance_ms(0);
  ASSERT_EQ(processes.all.size(), 2u);
  EXPECT_FALSE(processes.all[0]->alive);
  ASSERT_EQ(processes.all[1]->requests.size(), 2u);
  EXPECT_EQ(request(1, 0), request(0, 0)) << "the same call, in the same order";
  reply(0, request(0, 0).get("id"), R"("result":"from the dead")");
  EXPECT_TRUE(answers.empty());
  reply(1, request(1, 0).get("id"), R"("result":1)");
  EXPECT_EQ(answers, std::vector<std::string>{"1"});
}

TEST_F(SdkPoolTest, ACallThatKillsEveryWorkerIsGivenUp) {
  make({.workers = 1, .deaths_max = 3});
  call();
  for (std::size_t i = 0; i < 3; ++i) {
    die(i);
    loop.advance_ms(60'000);
  }
  EXPECT_EQ(answers, std::vector<std::string>{"States.TaskFailed"});
  EXPECT_NE(causes[0].find("died 3 times"), std::string::npos);
  EXPECT_EQ(processes.all.size(), 4u) << "and the pool goes on";
}

TEST_F(SdkPoolTest, RestartsWaitLongerAndLonger) {
  make({.workers = 1, .restart_ms_min = 200, .restart_ms_max = 1'000});
  processes.broken = true;
  call();
  loop.run();
  std::vector<std::int64_t> figures;
  for (int i = 0; i < 6; ++i) {
    figures.push_back(static_cast<std::int64_t>(pool->figures().deaths));
    loop.advance_ms(500);
  }
  EXPECT_LT(figures.back(), 7);
  processes.broken = false;
  loop.advance_ms(1'000);
  ASSERT_EQ(processes.all.size(), 1u);
  EXPECT_EQ(processes.all[0]->requests.size(), 1u) << "the call waited";
}

TEST_F(SdkPoolTest, ACallWaitsOnlyForItsOwnTime) {
  make({.workers = 1, .grace_ms = 15'000});
  processes.broken = true;
  call();
  loop.advance_ms(314'999);
  EXPECT_TRUE(answers.empty());
  loop.advance_ms(1);
  EXPECT_EQ(answers, std::vector<std::string>{"States.TaskFailed"});
  EXPECT_EQ(causes[0], "The AWS worker does not run: SpawnFailed: no such program");
  EXPECT_EQ(pool->figures().waiting, 0u);
}

TEST_F(SdkPoolTest, AStuckWorkerIsReplaced) {
  make({.workers = 1, .in_flight_max = 4});
  for (int i = 0; i < 2; ++i) call();
  loop.advance_ms(400'000);
  EXPECT_EQ(answers.size(), 2u);
  EXPECT_EQ(processes.all.size(), 2u);
  EXPECT_FALSE(processes.all[0]->alive);
}

TEST_F(SdkPoolTest, WhatDoesNotFitWaitsAndWhatWaitsTooMuchIsRefused) {
  make({.workers = 1, .in_flight_max = 2, .calls_max = 3});
  for (int i = 0; i < 4; ++i) call();
  loop.run();
  EXPECT_EQ(processes.all[0]->requests.size(), 2u);
  EXPECT_EQ(answers, std::vector<std::string>{"States.TaskFailed"});
  reply(0, request(0, 0).get("id"), R"("result":1)");
  EXPECT_EQ(processes.all[0]->requests.size(), 3u);
  pool.reset();
  make({.workers = 1, .bytes_max = 10});
  call();
  loop.run();
  EXPECT_EQ(answers.back(), "States.TaskFailed");
}

TEST_F(SdkPoolTest, ACancelledCallIsForgottenAndItsSlotStaysTakenUntilItEnds) {
  make({.workers = 1, .in_flight_max = 1});
  const SdkPool::CallNo first = call();
  const SdkPool::CallNo second = call();
  call();
  pool->cancel(first);
  pool->cancel(second);
  pool->cancel(99);
  EXPECT_EQ(processes.all[0]->requests.size(), 1u);
  reply(0, request(0, 0).get("id"), R"("result":1)");
  EXPECT_TRUE(answers.empty());
  ASSERT_EQ(processes.all[0]->requests.size(), 2u);
  reply(0, request(0, 1).get("id"), R"("result":3)");
  EXPECT_EQ(answers, std::vector<std::string>{"3"});
}

TEST_F(SdkPoolTest, AnAnswerThatIsNoneIsADeath) {
  make({.workers = 1});
  call();
  processes.all[0]->events.on_frame("nonsense");
  loop.advance_ms(0);
  ASSERT_EQ(processes.all.size(), 2u);
  EXPECT_EQ(processes.all[1]->requests.size(), 1u);
}

TEST_F(SdkPoolTest, OurEndAnswersNothing) {
  make({.workers = 2});
  call();
  reply(0, request(0, 0).get("id"), R"("result":1)");
  call();
  const auto id = request(0, 1).get("id");
  pool->stop();
  EXPECT_FALSE(processes.all[0]->alive);
  reply(0, id, R"("result":1)");
  EXPECT_EQ(answers.size(), 1u);
  EXPECT_EQ(loop.timer_count(), 0u);
}

// --- AwsIntegration

class FakeDesk final : public ApprovalDesk {
 public:
  explicit FakeDesk(ManualLoop& loop) : loop_(loop) {}
  bool takes_queue(std::string_view queue) const override {
    return queue.find("approval-queue") != std::string_view::npos;
  }
  void open(const runtime::TaskOrder& order, std::string_view, const json::Value& message,
            std::function<void(Result<std::string>)> done) override {
    ++opened;
    token = order.task_token;
    last_message = message;
    if (error) return loop_.post([done, error = *error] { done(error); });
    loop_.post([done] { done(std::string("ap-1")); });
  }
  void close(const runtime::AttemptKey& key) override { closed.push_back(key); }
  int opened = 0;
  std::string token;
  json::Value last_message;
  std::optional<Error> error;
  std::vector<runtime::AttemptKey> closed;

 private:
  ManualLoop& loop_;
};

class AwsTest : public testing::Test {
 protected:
  AwsTest()
      : store(loop),
        runtime(loop, store),
        desk(loop),
        pool(loop, processes.factory(), {.workers = 1}),
        aws(loop, pool, {.endpoint_url = "http://127.0.0.1:5000"}, &desk),
        dispatcher(loop) {
    dispatcher.add("*", aws);
    dispatcher.attach(runtime);
    aws.set_own_endpoint("http://127.0.0.1:8420", [](std::string_view account) {
      return json::Value::object({{"access_key_id", "key of " + std::string(account)}});
    });
    order.key = {4, 0, 2, 1};
    order.idempotency_key = "store-4-0-2-1";
    order.origin.edit().execution_arn = "arn:aws:states:us-east-1:123456789012:execution:ir:run-1";
    order.origin.edit().execution_name = "run-1";
    order.origin.edit().role_arn = "arn:aws:iam::123456789012:role/ir";
  }
  void dispatch(const std::string& type, const std::string& action, const std::string& parameters) {
    order.resource.edit().text = "arn:aws:states:::" + type + ":" + action;
    order.resource.edit().resource_type = type;
    order.resource.edit().resource = action;
    if (action.find(".waitForTaskToken") != std::string::npos) {
      order.resource.edit().pattern = asl::TaskPattern::kWaitForTaskToken;
      order.task_token = "the-token";
    }
    if (action.find(".sync") != std::string::npos) order.resource.edit().pattern = asl::TaskPattern::kSync;
    order.parameters = json::parse(parameters).value();
    dispatcher.dispatch(order);
    loop.run();
  }
  json::Value sent() { return processes.all.empty() ? json::Value() : processes.all[0]->requests.at(0); }
  bool nothing_sent() const { return processes.all.empty() || processes.all[0]->requests.empty(); }
  void reply(const std::string& rest) {
    processes.all[0]->events.on_frame("{\"id\":1," + rest + "}");
    loop.run();
  }
  fakes::Answer answer() {
    loop.run();
    return runtime.answers.empty() ? fakes::Answer{} : runtime.answers.back();
  }

  ManualLoop loop;
  fakes::FakeStore store;
  fakes::FakeRuntime runtime;
  FakeProcesses processes;
  FakeDesk desk;
  SdkPool pool;
  AwsIntegration aws;
  Dispatcher dispatcher;
  runtime::TaskOrder order;
};

constexpr const char* kApproval =
    R"({"QueueUrl":"https://sqs.us-east-1.amazonaws.com/123456789012/approval-queue","MessageBody":{"title":"T"}})";

TEST_F(AwsTest, AnSdkCallGoesToTheConfiguredAccountAndItsAnswerIsTheResult) {
  order.credentials = json::Value::object({{"RoleArn", "arn:aws:iam::210987654321:role/x"}});
  order.deadline = loop.now().plus_ms(20'000);
  dispatch("aws-sdk:dynamodb", "putItem", R"({"TableName":"t"})");
  EXPECT_EQ(sent().get("service"), json::Value("dynamodb"));
  EXPECT_EQ(sent().get("action"), json::Value("putItem"));
  EXPECT_EQ(sent().get("style"), json::Value("aws-sdk"));
  EXPECT_EQ(sent().get("endpoint_url"), json::Value("http://127.0.0.1:5000"));
  EXPECT_EQ(sent().get("role_arn"), json::Value("arn:aws:iam::210987654321:role/x"));
  EXPECT_EQ(sent().get("role_session_name"), json::Value("run-1"));
  EXPECT_EQ(sent().get("timeout_s"), json::Value(20));
  reply(R"("result":{"Attributes":{}})");
  EXPECT_EQ(answer().kind, "succeeded");
  EXPECT_EQ(json::to_text(answer().output), "{\"Attributes\":{}}");
}

TEST_F(AwsTest, AnErrorKeepsItsNameAndCause) {
  dispatch("sns", "publish", R"({"TopicArn":"t"})");
  EXPECT_EQ(sent().get("style"), json::Value("optimized"));
  reply(R"("error":{"name":"SNS.NotFoundException","cause":"Topic does not exist","retryable":false})");
  EXPECT_EQ(answer().error, "SNS.NotFoundException");
  EXPECT_EQ(answer().cause, "Topic does not exist");
}

TEST_F(AwsTest, WithATaskTokenTheAnswerIsWhatWasSubmitted) {
  dispatch("sqs", "sendMessage.waitForTaskToken", R"({"QueueUrl":"https://x/1/other","MessageBody":"m"})");
  EXPECT_EQ(sent().get("action"), json::Value("sendMessage"));
  reply(R"("result":{"MessageId":"m-1"})");
  EXPECT_EQ(answer().kind, "submitted");
  EXPECT_EQ(desk.opened, 0);
}

TEST_F(AwsTest, SortiesOwnServicesAreAskedOfSortie) {
  dispatch("aws-sdk:sfn", "startExecution", R"({"StateMachineArn":"a"})");
  EXPECT_EQ(sent().get("endpoint_url"), json::Value("http://127.0.0.1:8420"));
  EXPECT_EQ(sent().get("credentials").get("access_key_id"), json::Value("key of 123456789012"));
}

TEST_F(AwsTest, ABareTopicGetsTheStatesInputAsItsMessage) {
  order.resource.edit().is_bare_topic = true;
  order.resource.edit().region = "eu-west-1";
  dispatch("sns", "publish", R"({"incident":1})");
  EXPECT_EQ(sent().get("region"), json::Value("eu-west-1"));
  EXPECT_EQ(sent().get("parameters").get("TopicArn"), json::Value(order.resource->text));
  EXPECT_EQ(sent().get("parameters").get("Message"), json::Value("{\"incident\":1}"));
}

TEST_F(AwsTest, AMessageToAnApprovalQueueIsAnApprovalAndNeverSent) {
  dispatch("sqs", "sendMessage.waitForTaskToken", kApproval);
  EXPECT_TRUE(nothing_sent());
  EXPECT_EQ(desk.opened, 1);
  EXPECT_EQ(desk.token, "the-token");
  EXPECT_EQ(answer().kind, "submitted");
  EXPECT_EQ(answer().output.get("MD5OfMessageBody"),
            json::Value(to_hex(digest(Digest::kMd5, "{\"title\":\"T\"}"))));
  EXPECT_EQ(answer().output.get("SdkHttpMetadata").get("HttpStatusCode"), json::Value(200));
  dispatcher.cancel(order.key);
  EXPECT_EQ(desk.closed.size(), 1u);
}

TEST_F(AwsTest, AnApprovalWithoutATokenIsRefusedNotSent) {
  dispatch("sqs", "sendMessage", kApproval);
  EXPECT_EQ(answer().error, "Sortie.ApprovalNeedsTaskToken");
  order.key.attempt = 2;
  dispatch("aws-sdk:sqs", "sendMessageBatch", kApproval);
  EXPECT_EQ(answer().error, "Sortie.ApprovalNeedsTaskToken");
  order.key.attempt = 3;
  order.resource.edit().is_bare_queue = true;
  order.resource.edit().region = "us-east-1";
  order.resource.edit().account = "123456789012";
  order.resource.edit().text = "arn:aws:sqs:us-east-1:123456789012:approval-queue";
  order.resource.edit().resource_type = "sqs";
  order.resource.edit().resource = "sendMessage";
  dispatcher.dispatch(order);
  EXPECT_EQ(answer().error, "Sortie.ApprovalNeedsTaskToken");
  EXPECT_TRUE(nothing_sent());
  EXPECT_EQ(desk.opened, 0);
}

TEST_F(AwsTest, AnApprovalIsAskedForAgainWhileTheStoreIsDown) {
  desk.error = Error{"ServiceUnavailable", "disk"};
  dispatch("sqs", "sendMessage.waitForTaskToken", kApproval);
  loop.advance_ms(3'500);
  EXPECT_EQ(desk.opened, 3);
  EXPECT_TRUE(runtime.answers.empty()) << "our trouble is not the task's";
  desk.error.reset();
  loop.advance_ms(30'000);
  EXPECT_EQ(answer().kind, "submitted");
}

TEST_F(AwsTest, AnApprovalThatCannotBeMadeFailsAndACancelledOneIsNotAskedAgain) {
  desk.error = Error{"PolicyDoesNotExist", "no policy"};
  dispatch("sqs", "sendMessage.waitForTaskToken", kApproval);
  EXPECT_EQ(answer().error, "Sortie.PolicyDoesNotExist");
  desk.error = Error{"ServiceUnavailable", "disk"};
  order.key.attempt = 2;
  dispatch("sqs", "sendMessage.waitForTaskToken", kApproval);
  dispatcher.cancel(order.key);
  const int opened = desk.opened;
  loop.advance_ms(60'000);
  EXPECT_EQ(desk.opened, opened);
}

TEST_F(AwsTest, ASlowServerHoldsUpHttpTasksAndNoCallsOfAws) {
  FakeProcesses http_processes;
  SdkPool http_pool(loop, http_processes.factory(), {.workers = 1});
  aws.set_http_pool(http_pool);
  std::uint32_t attempt = 1;
  for (const auto& [type, action] : std::vector<std::pair<std::string, std::string>>{
           {"http", "invoke"}, {"apigateway", "invoke"}, {"eks", "call"}, {"eks", "runJob"}}) {
    order.key.attempt = ++attempt;
    dispatch(type, action, "{}");
  }
  EXPECT_TRUE(processes.all.empty());
  ASSERT_EQ(http_processes.all.at(0)->requests.size(), 4u);
  dispatcher.cancel(order.key);
  EXPECT_EQ(http_pool.figures().in_flight, 3u) << "a cancel reaches the workers that have the call";
  order.key.attempt = ++attempt;
  dispatch("aws-sdk:s3", "getObject", "{}");
  EXPECT_EQ(sent().get("service"), json::Value("s3"));
  for (const auto& key : {2u, 3u, 4u}) {
    order.key.attempt = key;
    dispatcher.cancel(order.key);
  }
}

TEST_F(AwsTest, ATrialOfAnHttpTaskTellsWhatWentOverTheWireAndAnExecutionDoesNot) {
  dispatch("http", "invoke", "{}");
  EXPECT_FALSE(sent().has("trace"));
  std::vector<std::pair<std::string, json::Value>> ends;
  dispatcher.try_once(order, [&ends](const Result<json::Value>& end, const json::Value& trace) {
    ends.emplace_back(end.ok() ? "ok" : end.error().code, trace);
  });
  EXPECT_EQ(processes.all[0]->requests.at(1).get("trace"), json::Value(true));
  processes.all[0]->events.on_frame(
      R"({"id":2,"error":{"name":"States.Http.StatusCode.404","cause":"c"},"trace":{"request":{"method":"GET"}}})");
  loop.run();
  ASSERT_EQ(ends.size(), 1u);
  EXPECT_EQ(ends[0].first, "States.Http.StatusCode.404");
  EXPECT_EQ(ends[0].second.get("request").get("method"), json::Value("GET"));
}

TEST_F(AwsTest, ACancelledCallIsForgotten) {
  dispatch("aws-sdk:s3", "getObject", R"({"Bucket":"b"})");
  dispatcher.cancel(order.key);
  reply(R"("result":{})");
  EXPECT_TRUE(runtime.answers.empty());
}

}  // namespace
}  // namespace sortie::integrations
