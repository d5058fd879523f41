// The AWS worker for real: frames over sockets, a child process that dies, and, where the private Python
// environment is built, boto3 against the stand-in account.
#include "integrations/worker_process.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "integrations/frame_channel.h"
#include "io/child_process.h"
#include "json/text.h"

namespace sortie::integrations {
namespace {

constexpr int kPatienceMs = 60'000;

// Both ends of a connection, each with what it received.
struct ChannelEnd {
  std::unique_ptr<FrameChannel> channel;
  std::vector<std::string> frames;
  std::string closed;
};

class FrameChannelTest : public testing::Test {
 protected:
  void SetUp() override { ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, descriptors), 0); }
  void open(ChannelEnd& end, int descriptor) {
    end.channel = std::make_unique<FrameChannel>(
        loop, descriptor, [&end](std::string frame) { end.frames.push_back(std::move(frame)); },
        [&end](const std::string& why) { end.closed = why; });
  }
  io::EventLoop loop;
  int descriptors[2] = {-1, -1};
  ChannelEnd left, right;
};

TEST_F(FrameChannelTest, FramesOfAnySizeArriveWholeAndInOrder) {
  open(left, descriptors[0]);
  open(right, descriptors[1]);
  std::vector<std::string> sent = {"", "a", std::string(3'000'000, 'b'), "c\n\r\0d",
                                   std::string(70'000, 'e')};
  for (const std::string& frame : sent) left.channel->send(frame);
  right.channel->send("back");
  EXPECT_TRUE(loop.run_until([&] { return right.frames.size() == sent.size() && left.frames.size() == 1; },
                             kPatienceMs));
  EXPECT_EQ(right.frames, sent);
  EXPECT_EQ(left.frames[0], "back");
}

TEST_F(FrameChannelTest, TheOtherEndsEndIsTold) {
  open(left, descriptors[0]);
  ::close(descriptors[1]);
  EXPECT_TRUE(loop.run_until([&] { return !left.closed.empty(); }, kPatienceMs));
}

TEST_F(FrameChannelTest, ALengthThatCannotBeTrueEndsIt) {
  open(left, descriptors[0]);
  ASSERT_EQ(::write(descriptors[1], "\xff\xff\xff\xff", 4), 4);
  EXPECT_TRUE(loop.run_until([&] { return !left.closed.empty(); }, kPatienceMs));
  EXPECT_NE(left.closed.find("4294967295"), std::string::npos);
  ::close(descriptors[1]);
}

TEST_F(FrameChannelTest, MayBeDroppedWithFramesUnderWay) {
  open(left, descriptors[0]);
  open(right, descriptors[1]);
  for (int i = 0; i < 100; ++i) left.channel->send(std::string(100'000, 'x'));
  right.channel.reset();
  left.channel.reset();
  bool turned = false;
  loop.post([&turned] { turned = true; });
  loop.run_until([&turned] { return turned; }, kPatienceMs);
  EXPECT_EQ(left.closed, "");
}

// --- A child process that speaks the protocol without any AWS

constexpr const char* kFakeWorker = R"(
import json, os, struct, sys
print("worker is up", file=sys.stderr, flush=True)
while True:
    head = sys.stdin.buffer.read(4)
    if len(head) < 4:
        break
    request = json.loads(sys.stdin.buffer.read(struct.unpack(">I", head)[0]))
    marker = request["parameters"].get("die_unless")
    if marker and not os.path.exists(marker):
        open(marker, "w").close()
        os._exit(9)
    answer = {"id": request["id"], "result": {"pid": os.getpid(), "echo": request["parameters"]}}
    body = json.dumps(answer).encode()
    sys.stdout.buffer.write(struct.pack(">I", len(body)) + body)
    sys.stdout.buffer.flush()
)";

std::string find_python() {
  for (const char* path :
       {SORTIE_SOURCE_DIR "/build/venv/bin/python", "/usr/bin/python3", "/usr/local/bin/python3"}) {
    if (::access(path, X_OK) == 0) return path;
  }
  return "";
}

class WorkerProcessTest : public testing::Test {
 protected:
  void SetUp() override {
    python = find_python();
    if (python.empty()) GTEST_SKIP() << "SKIP: no python3 on this machine";
    char pattern[] = "/tmp/sortie-worker-XXXXXX";
    folder = mkdtemp(pattern);
    std::ofstream(folder + "/worker.py") << kFakeWorker;
  }
  void TearDown() override {
    pool.reset();
    if (!folder.empty()) std::filesystem::remove_all(folder);
  }
  void make(const std::string& program, std::size_t workers) {
    WorkerProcessOptions options;
    options.python = program;
    options.script = folder + "/worker.py";
    options.environment = {"PATH=/usr/bin:/bin"};
    options.log = [this](std::string_view line) { log.emplace_back(line); };
    pool = std::make_unique<SdkPool>(loop, make_worker_factory(loop, std::move(options)),
                                     SdkPoolOptions{.workers = workers, .restart_ms_min = 10});
  }
  SdkAnswer call(json::Value parameters) {
    SdkCall call;
    call.service = "s3";
    call.action = "getObject";
    call.parameters = std::move(parameters);
    std::optional<SdkAnswer> got;
    pool->call(std::move(call), [&got](const SdkAnswer& answer) { got = answer; });
    EXPECT_TRUE(loop.run_until([&got] { return got.has_value(); }, kPatienceMs));
    return got.value_or(SdkAnswer{{}, "no answer", "", false});
  }
  io::EventLoop loop;
  std::string python, folder;
  std::vector<std::string> log;
  std::unique_ptr<SdkPool> pool;
};

TEST_F(WorkerProcessTest, CallsCrossTheProcessAndItsStderrIsOurLog) {
  make(python, 1);
  const json::Value large = json::Value::object({{"text", std::string(1'000'000, 'x')}});
  const SdkAnswer answer = call(large);
  EXPECT_EQ(answer.result.get("echo"), large);
  EXPECT_TRUE(loop.run_until([this] { return !log.empty(); }, kPatienceMs));
  EXPECT_EQ(log[0], "worker is up");
}

TEST_F(WorkerProcessTest, AWorkerThatDiesDuringACallIsReplacedAndTheCallIsAnswered) {
  make(python, 1);
  const json::Value before = call(json::Value::object({})).result.get("pid");
  const SdkAnswer answer = call(json::Value::object({{"die_unless", folder + "/died-once"}}));
  EXPECT_TRUE(answer.ok()) << answer.cause;
  EXPECT_NE(answer.result.get("pid"), before);
  EXPECT_EQ(pool->figures().deaths, 1u);
}

TEST_F(WorkerProcessTest, TheProcessEndsWithThePool) {
  make(python, 1);
  const auto pid = static_cast<pid_t>(call(json::Value::object({})).result.get("pid").as_integer());
  EXPECT_EQ(::kill(pid, 0), 0);
  pool.reset();
  EXPECT_TRUE(loop.run_until([pid] { return ::kill(pid, 0) != 0; }, kPatienceMs));
}

TEST_F(WorkerProcessTest, AProgramThatIsNotThereKeepsCallsWaitingAndCounts) {
  make("/nonexistent/python", 1);
  SdkCall waiting;
  waiting.parameters = json::Value::object({});
  pool->call(std::move(waiting), [](const SdkAnswer&) { ADD_FAILURE() << "it should wait"; });
  EXPECT_TRUE(loop.run_until([this] { return pool->figures().deaths >= 2; }, kPatienceMs));
  EXPECT_EQ(pool->figures().waiting, 1u);
}

// --- boto3 against the stand-in account

class MotoTest : public WorkerProcessTest {
 protected:
  void SetUp() override {
    const std::string root = SORTIE_SOURCE_DIR;
    python = root + "/build/venv/bin/python";
    const std::string account_script = root + "/demo/account.py";
    if (::access(python.c_str(), X_OK) != 0) GTEST_SKIP() << "SKIP: build/venv is not built (make build)";
    if (::access(account_script.c_str(), R_OK) != 0) GTEST_SKIP() << "SKIP: no stand-in account";
    start_account(account_script);
    WorkerProcessOptions options;
    options.python = python;
    options.script = root + "/src/integrations/sdk_worker/worker.py";
    options.environment = {"PATH=/usr/bin:/bin", "AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test",
                           "AWS_DEFAULT_REGION=us-east-1", "AWS_EC2_METADATA_DISABLED=true"};
    pool = std::make_unique<SdkPool>(loop, make_worker_factory(loop, std::move(options)));
  }
  void TearDown() override {
    WorkerProcessTest::TearDown();
    account.reset();
  }
  void start_account(const std::string& script) {
    io::ChildOptions options;
    options.argv = {python, script, "--port", "0"};
    options.environment = {"PATH=/usr/bin:/bin", "PYTHONUNBUFFERED=1"};
    io::ChildEvents events;
    events.on_line = [this](io::ChildOutput, std::string_view line) {
      const std::size_t at = line.find("http://");
      if (at != std::string_view::npos) endpoint = std::string(line.substr(at));
    };
    auto spawned = io::ChildProcess::spawn(loop, std::move(options), std::move(events));
    ASSERT_TRUE(spawned.ok());
    account = std::move(*spawned);
    ASSERT_TRUE(loop.run_until([this] { return !endpoint.empty(); }, kPatienceMs));
  }
  SdkAnswer ask(const std::string& service, const std::string& action, bool optimized,
                const std::string& parameters) {
    SdkCall call;
    call.service = service;
    call.action = action;
    call.is_optimized = optimized;
    call.parameters = json::parse(parameters).value();
    call.region = "us-east-1";
    call.endpoint_url = endpoint;
    std::optional<SdkAnswer> got;
    pool->call(std::move(call), [&got](const SdkAnswer& answer) { got = answer; });
    EXPECT_TRUE(loop.run_until([&got] { return got.has_value(); }, kPatienceMs));
    return got.value_or(SdkAnswer{{}, "no answer", "", false});
  }
  std::unique_ptr<io::ChildProcess> account;
  std::string endpoint;
};

TEST_F(MotoTest, OptimisedAndSdkCallsHaveTheirOwnShapesAndErrorNames) {
  const SdkAnswer queue = ask("sqs", "createQueue", false, R"({"QueueName":"q"})");
  ASSERT_TRUE(queue.ok()) << queue.error << ": " << queue.cause;
  const std::string url = queue.result.get("QueueUrl").to_std_string();
  const SdkAnswer sent = ask("sqs", "sendMessage", true,
                             json::to_text(json::Value::object(
                                 {{"QueueUrl", url}, {"MessageBody", json::Value::object({{"a", 1}})}})));
  ASSERT_TRUE(sent.ok()) << sent.error << ": " << sent.cause;
  EXPECT_TRUE(sent.result.has("MD5OfMessageBody"));
  EXPECT_EQ(sent.result.get("SdkHttpMetadata").get("HttpStatusCode"), json::Value(200));
  const SdkAnswer missing = ask("s3", "listObjectsV2", false, R"({"Bucket":"no-such-bucket"})");
  EXPECT_EQ(missing.error, "S3.NoSuchBucketException");
  const SdkAnswer topic =
      ask("sns", "publish", true, R"({"TopicArn":"arn:aws:sns:us-east-1:123456789012:none","Message":"m"})");
  EXPECT_EQ(topic.error, "SNS.NotFoundException");
  const SdkAnswer unknown = ask("s3", "makeCoffee", false, "{}");
  EXPECT_EQ(unknown.error, "States.Runtime");
}

TEST_F(MotoTest, ManyCallsAtOnceAreAllAnswered) {
  ASSERT_TRUE(ask("sns", "createTopic", false, R"({"Name":"t"})").ok());
  std::size_t answered = 0, failed = 0;
  for (int i = 0; i < 200; ++i) {
    SdkCall call;
    call.service = "sns";
    call.action = "publish";
    call.is_optimized = true;
    call.parameters = json::Value::object(
        {{"TopicArn", "arn:aws:sns:us-east-1:123456789012:t"}, {"Message", "m" + std::to_string(i)}});
    call.region = "us-east-1";
    call.endpoint_url = endpoint;
    pool->call(std::move(call), [&](const SdkAnswer& answer) {
      ++answered;
      failed += answer.ok() ? 0 : 1;
    });
  }
  EXPECT_TRUE(loop.run_until([&answered] { return answered == 200; }, kPatienceMs));
  EXPECT_EQ(failed, 0u);
}

}  // namespace
}  // namespace sortie::integrations
