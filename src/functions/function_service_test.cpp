// Real processes: AWS's own Python runtime client and shell scripts, in the sandbox that this machine allows.
#include "functions/function_service.h"

#include <gmock/gmock.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>

#include "base/text.h"
#include "functions/zip_test_support.h"
#include "io/child_process.h"
#include "io/file.h"
#include "io/http_client.h"
#include "io/process_table.h"
#include "json/text.h"

namespace sortie::functions {
namespace {

using testing::AllOf;
using testing::EndsWith;
using testing::HasSubstr;
using testing::MatchesRegex;
using testing::Not;
using testing::StartsWith;
using testing_zip::make_zip;

const std::string kPython = SORTIE_SOURCE_DIR "/build/venv/bin/python";

class FunctionServiceTest : public testing::Test {
 protected:
  FunctionServiceTest() : folder_(testing::TempDir() + "/sortie-functions-" + std::to_string(::getpid())) {
    EXPECT_TRUE(io::remove_tree(folder_).ok());
    EXPECT_TRUE(io::make_private_directory(folder_).ok());
    options_.data_folder = folder_ + "/data";
    options_.python = kPython;
    options_.hidden_folders = {folder_};
    options_.cgroup_folder = "none";
    options_.async_retry_delays_ms = {1, 1};
  }
  ~FunctionServiceTest() override {
    service_ = nullptr;
    EXPECT_TRUE(io::remove_tree(folder_).ok());
  }

  void SetUp() override {
    if (needs_python_ && !io::path_exists(kPython))
      GTEST_SKIP() << "SKIP: no Python environment at " << kPython;
    start();
  }
  void start(std::unique_ptr<CredentialSource> credentials = nullptr) {
    auto service = FunctionService::make(loop_, random_, options_, std::move(credentials));
    ASSERT_TRUE(service.ok()) << to_text(service.error());
    service_ = std::move(*service);
  }

  Result<FunctionConfig> wait(const std::function<void(FunctionService::ConfigCallback)>& call) {
    std::optional<Result<FunctionConfig>> result;
    call([&](Result<FunctionConfig> got) { result = std::move(got); });
    EXPECT_TRUE(loop_.run_until([&] { return result.has_value(); }, 20'000));
    return std::move(*result);
  }
  Result<FunctionConfig> create(FunctionConfig config, const std::string& zip) {
    return wait([&](auto done) { service_->create_function(std::move(config), zip, std::move(done)); });
  }
  void python(const std::string& name, const std::string& code,
              const std::function<void(FunctionConfig&)>& change = nullptr) {
    FunctionConfig config;
    config.name = name;
    config.runtime = "python3.11";
    config.handler = "lambda_function.lambda_handler";
    if (change) change(config);
    const auto created = create(std::move(config), make_zip({{"lambda_function.py", code}}));
    ASSERT_TRUE(created.ok()) << to_text(created.error());
  }
  void shell(const std::string& name, const std::string& code,
             const std::function<void(FunctionConfig&)>& change = nullptr) {
    FunctionConfig config;
    config.name = name;
    config.runtime = "provided.al2023";
    if (change) change(config);
    const auto created = create(std::move(config), make_zip({{"bootstrap", "#!/bin/sh\n" + code, 0100755}}));
    ASSERT_TRUE(created.ok()) << to_text(created.error());
  }
  // A provided runtime without dependencies: python3 and its standard library.
  void provided(const std::string& name, const std::string& body,
                const std::function<void(FunctionConfig&)>& change = nullptr) {
    FunctionConfig config;
    config.name = name;
    config.runtime = "provided.al2023";
    if (change) change(config);
    const std::string code = R"(#!/usr/bin/python3
import os, sys, json, http.client
api = http.client.HTTPConnection(os.environ['AWS_LAMBDA_RUNTIME_API'])
def call(method, path, body=None, headers={}):
    api.request(method, '/2018-06-01/runtime/' + path, body, headers)
    reply = api.getresponse()
    return reply, reply.read()
while True:
    reply, event = call('GET', 'invocation/next')
    rid = reply.getheader('Lambda-Runtime-Aws-Request-Id')
)" + body;
    const auto created = create(std::move(config), make_zip({{"bootstrap", code, 0100755}}));
    ASSERT_TRUE(created.ok()) << to_text(created.error());
  }
  InvokeResult invoke(InvokeRequest request) {
    std::optional<InvokeResult> result;
    service_->invoke(std::move(request), [&](InvokeResult got) { result = std::move(got); });
    EXPECT_TRUE(loop_.run_until([&] { return result.has_value(); }, 30'000));
    return result ? std::move(*result) : InvokeResult{};
  }
  InvokeResult invoke(const std::string& name, const std::string& payload = "{}") {
    InvokeRequest request;
    request.function = name;
    request.payload = payload;
    return invoke(std::move(request));
  }
  static std::string field(const InvokeResult& result, const char* key) {
    const auto value = json::parse(result.payload);
    return value && value->get(key).is_string() ? value->get(key).to_std_string() : "";
  }
  std::string last_log(const std::string& name) {
    const auto logs = service_->logs("", name, {}, "");
    return logs.empty() ? "" : logs.back().text;
  }

  bool needs_python_ = true;
  io::EventLoop loop_;
  io::SystemRandom random_;
  std::string folder_;
  FunctionServiceOptions options_;
  std::unique_ptr<FunctionService> service_;
};

TEST_F(FunctionServiceTest, RunsAPythonHandlerWithItsEventAndContext) {
  python("Echo", R"(
import os
count = 0
def lambda_handler(event, context):
    global count
    count += 1
    print("hello", event["n"])
    return {"n": event["n"], "count": count, "id": context.aws_request_id, "arn": context.invoked_function_arn,
            "name": context.function_name, "memory": context.memory_limit_in_mb, "left": context.get_remaining_time_in_millis() > 1000,
            "task": os.environ["LAMBDA_TASK_ROOT"], "own": os.environ["OWN"], "region": os.environ["AWS_DEFAULT_REGION"]}
)",
         [](FunctionConfig& config) {
           config.environment = {{"OWN", "value"}};
         });
  const InvokeResult first = invoke("Echo", R"({"n": 12345678901234567})");
  EXPECT_EQ(first.function_error, "") << first.payload << first.log_tail;
  EXPECT_EQ(first.status_code, 200);
  const auto value = json::parse(first.payload).value();
  EXPECT_EQ(value.get("n").as_integer(), 12345678901234567);
  EXPECT_EQ(field(first, "id"), first.request_id);
  EXPECT_EQ(field(first, "arn"), "arn:aws:lambda:us-east-1:123456789012:function:Echo");
  EXPECT_EQ(field(first, "own"), "value");
  EXPECT_EQ(field(first, "region"), "us-east-1");
  EXPECT_TRUE(value.get("left").as_bool());
  const InvokeResult second =
      invoke("arn:aws:lambda:us-east-1:123456789012:function:Echo:$LATEST", R"({"n": 2})");
  EXPECT_EQ(json::parse(second.payload)->get("count").as_integer(), 2) << "the process stays warm";
  EXPECT_THAT(second.log_tail, StartsWith("START RequestId: " + second.request_id +
                                          " Version: $LATEST\nhello 2\nEND RequestId: " + second.request_id +
                                          "\nREPORT RequestId: " + second.request_id + "\tDuration: "));
  const auto logs = service_->logs("", "Echo", {}, "");
  ASSERT_EQ(logs.size(), 2u);
  EXPECT_THAT(logs[0].text, HasSubstr("Init Duration: "));
  EXPECT_EQ(service_->logs("", "Echo", {}, second.request_id).size(), 1u);
  EXPECT_EQ(service_->figures().cold_starts, 1u);
}

TEST_F(FunctionServiceTest, FailsAsLambdaDoes) {
  python("Fails", R"(
import os, sys, datetime
def lambda_handler(event, context):
    how = event["how"]
    if how == "raise": raise KeyError("volume")
    if how == "set": return {1, 2}
    if how == "exit": print("going"); sys.exit(3)
    if how == "exit0": os._exit(0)
    if how == "abort": os.abort()
    if how == "nan": return float("nan")
    if how == "large": return "x" * 6291556
    if how == "fits": return "x" * 6291000
    return how
)");
  const auto how = [&](const std::string& text) { return invoke("Fails", "{\"how\": \"" + text + "\"}"); };
  InvokeResult result = how("raise");
  EXPECT_EQ(result.function_error, "Unhandled");
  EXPECT_EQ(field(result, "errorType"), "KeyError");
  EXPECT_EQ(field(result, "errorMessage"), "'volume'");
  EXPECT_TRUE(json::parse(result.payload)->get("stackTrace").is_array());
  EXPECT_THAT(result.log_tail, HasSubstr("[ERROR] KeyError: 'volume'\n"));
  EXPECT_EQ(how("fine").payload, "\"fine\"") << "the worker lives on";
  EXPECT_EQ(service_->figures().cold_starts, 1u);
  result = how("set");
  EXPECT_EQ(field(result, "errorType"), "Runtime.MarshalError");
  EXPECT_EQ(field(result, "errorMessage"),
            "Unable to marshal response: Object of type set is not JSON serializable");
  result = how("large");
  EXPECT_EQ(field(result, "errorType"), "Function.ResponseSizeTooLarge");
  EXPECT_EQ(field(result, "errorMessage"),
            "Response payload size (6291558 bytes) exceeded maximum allowed payload size (6291556 bytes).");
  EXPECT_EQ(how("fits").payload.size(), 6291002u);
  EXPECT_EQ(service_->figures().cold_starts, 1u) << "a response that is too large leaves the worker alive";
  EXPECT_FALSE(how("nan").payload_is_json);

  result = how("exit");
  EXPECT_EQ(field(result, "errorType"), "Runtime.ExitError");
  EXPECT_EQ(field(result, "errorMessage"),
            "RequestId: " + result.request_id + " Error: Runtime exited with error: exit status 3");
  EXPECT_THAT(result.log_tail,
              AllOf(HasSubstr("going\n"), HasSubstr("Status: error\tError Type: Runtime.ExitError")));
  result = how("exit0");
  EXPECT_EQ(field(result, "errorMessage"),
            "RequestId: " + result.request_id + " Error: Runtime exited without providing a reason");
  result = how("abort");
  EXPECT_EQ(field(result, "errorMessage"),
            "RequestId: " + result.request_id + " Error: Runtime exited with error: signal: aborted");
  EXPECT_EQ(how("fine").payload, "\"fine\"") << "a crashed worker is replaced";
}

TEST_F(FunctionServiceTest, ReportsWhatGoesWrongWhileLoading) {
  python("NoModule", "import no_such_module\ndef lambda_handler(e, c): pass\n");
  InvokeResult result = invoke("NoModule");
  EXPECT_EQ(result.function_error, "Unhandled");
  EXPECT_EQ(field(result, "errorType"), "Runtime.ImportModuleError");
  EXPECT_EQ(field(result, "errorMessage"),
            "Unable to import module 'lambda_function': No module named 'no_such_module'");
  EXPECT_THAT(result.log_tail, AllOf(HasSubstr("START RequestId: " + result.request_id),
                                     HasSubstr("Runtime.ImportModuleError")));
  python("Syntax", "def lambda_handler(e, c) return 1\n");
  EXPECT_EQ(field(invoke("Syntax"), "errorType"), "Runtime.UserCodeSyntaxError");
  python("NoHandler", "x = 1\n");
  EXPECT_EQ(field(invoke("NoHandler"), "errorType"), "Runtime.HandlerNotFound");
  python("Exits", "import sys\nsys.exit(4)\n");
  result = invoke("Exits");
  EXPECT_EQ(field(result, "errorMessage"),
            "RequestId: " + result.request_id + " Error: Runtime exited with error: exit status 4");
  python("RaisesAtImport", "raise ValueError('no config')\n");
  EXPECT_EQ(field(invoke("RaisesAtImport"), "errorType"), "ValueError");
}

TEST_F(FunctionServiceTest, KillsWhatTakesTooLongWithAllItsProcesses) {
  options_.second_ms = 300;
  service_ = nullptr;
  start();
  python("Slow", R"(
import subprocess, time
def lambda_handler(event, context):
    if event.get("sleep"):
        p = subprocess.Popen(["sleep", "1000"])
        print("started")
        time.sleep(1000)
    return "quick"
)",
         [](FunctionConfig& config) { config.timeout_s = 2; });
  const InvokeResult result = invoke("Slow", R"({"sleep": true})");
  EXPECT_EQ(result.function_error, "Unhandled");
  EXPECT_EQ(field(result, "errorType"), "Sandbox.Timedout");
  EXPECT_EQ(field(result, "errorMessage"),
            "RequestId: " + result.request_id + " Error: Task timed out after 2.00 seconds");
  EXPECT_THAT(result.log_tail, AllOf(HasSubstr("started\n"), HasSubstr(" Task timed out after 2.00 seconds"),
                                     HasSubstr("Status: timeout")));
  EXPECT_EQ(invoke("Slow").payload, "\"quick\"");
  EXPECT_EQ(service_->figures().timeouts, 1u);
}

TEST_F(FunctionServiceTest, KillsWhatUsesTooMuchMemory) {
  python("Hungry", R"(
import time
def lambda_handler(event, context):
    if event.get("eat"):
        held = [bytearray(1024 * 1024) for _ in range(200)]
        time.sleep(1000)
    return "modest"
)",
         [](FunctionConfig& config) { config.timeout_s = 60; });
  const InvokeResult result = invoke("Hungry", R"({"eat": true})");
  EXPECT_EQ(field(result, "errorType"), "Runtime.ExitError");
  EXPECT_EQ(field(result, "errorMessage"),
            "RequestId: " + result.request_id + " Error: Runtime exited with error: signal: killed");
  EXPECT_EQ(invoke("Hungry").payload, "\"modest\"");
}

TEST_F(FunctionServiceTest, KeepsHandlersAwayFromOurFiles) {
  if (!service_->sandbox_is_complete()) GTEST_SKIP() << "SKIP: " << join(service_->sandbox_report(), "; ");
  ASSERT_TRUE(io::write_file_atomically(folder_ + "/secret", "s3cret").ok());
  python("Spy", R"(
import os, socket, ctypes, errno
def attempt(what):
    try: return str(what())
    except Exception as e: return type(e).__name__
def lambda_handler(event, context):
    libc = ctypes.CDLL(None, use_errno=True)
    def unshare():
        r = libc.unshare(0x10000000)
        return "done" if r == 0 else errno.errorcode[ctypes.get_errno()]
    open("/tmp/own", "w").write("x")
    return {"secret": attempt(lambda: open(event["secret"]).read()), "root": sorted(os.listdir("/")), "home": os.path.exists("/root") or os.path.exists("/home"),
            "write": attempt(lambda: open("/var/task/x", "w")), "usr": attempt(lambda: open("/usr/x", "w")), "top": attempt(lambda: os.mkdir("/x")),
            "etc": os.path.exists("/etc/shadow"), "pids": [p for p in os.listdir("/proc") if p.isdigit()], "tmp": os.listdir("/tmp"), "uid": os.getuid(),
            "unshare": unshare(), "packet": attempt(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW)), "task": os.listdir("/var/task"),
            "caps": [l for l in open("/proc/self/status") if l.startswith(("CapEff", "NoNewPrivs", "Seccomp:"))], "shm": attempt(lambda: open("/dev/shm/x", "w")),
            "environ": [open("/proc/%s/environ" % p, "rb").read().decode().count("SORTIE") for p in os.listdir("/proc") if p.isdigit() and p == str(os.getpid())]}
)",
         [](FunctionConfig& config) { config.timeout_s = 20; });
  const InvokeResult result = invoke("Spy", "{\"secret\": \"" + folder_ + "/secret\"}");
  ASSERT_EQ(result.function_error, "") << result.payload;
  const auto value = json::parse(result.payload).value();
  EXPECT_EQ(field(result, "secret"), "FileNotFoundError");
  EXPECT_FALSE(value.get("home").as_bool());
  EXPECT_FALSE(value.get("etc").as_bool());
  for (const char* read_only : {"write", "usr", "top", "shm"})
    EXPECT_EQ(field(result, read_only), "OSError") << read_only;
  EXPECT_LE(value.get("pids").size(), 4u);
  EXPECT_EQ(json::to_text(value.get("tmp")), R"(["own"])");
  EXPECT_EQ(json::to_text(value.get("task")), R"(["lambda_function.py"])");
  EXPECT_EQ(field(result, "unshare"), "EPERM");
  EXPECT_EQ(field(result, "packet"), "PermissionError");
  EXPECT_EQ(json::to_text(value.get("caps")),
            R"(["CapEff:\t0000000000000000\n","NoNewPrivs:\t1\n","Seccomp:\t2\n"])");
}

TEST_F(FunctionServiceTest, LetsNobodyElseSpeakToAWorkersRuntimeApi) {
  python("Victim", R"(
import os, time
def lambda_handler(event, context):
    if event.get("where"): return os.environ["AWS_LAMBDA_RUNTIME_API"]
    return "own"
)");
  python("Thief", R"(
import http.client
def lambda_handler(event, context):
    try:
        c = http.client.HTTPConnection(event["api"], timeout=2)
        c.request("GET", "/2018-06-01/runtime/invocation/next")
        return c.getresponse().status
    except Exception as e:
        return type(e).__name__
)");
  const std::string api = json::parse(invoke("Victim", R"({"where": 1})").payload)->to_std_string();
  EXPECT_THAT(invoke("Thief", "{\"api\": \"" + api + "\"}").payload,
              testing::AnyOf("\"RemoteDisconnected\"", "\"ConnectionResetError\""));
  EXPECT_EQ(invoke("Victim").payload, "\"own\"");
  io::HttpClient client(loop_);
  std::optional<Result<io::HttpResponse>> reply;
  client.fetch({.url = "http://" + api + "/2018-06-01/runtime/invocation/next", .timeout_ms = 5'000},
               [&](Result<io::HttpResponse> got) { reply = std::move(got); });
  ASSERT_TRUE(loop_.run_until([&] { return reply.has_value(); }, 10'000));
  EXPECT_FALSE(reply->ok());
}

TEST_F(FunctionServiceTest, RunsProvidedRuntimesOfAnyKind) {
  shell("Curl", R"(
set -eu
while true; do
  headers=$(mktemp)
  event=$(curl -sS -LD "$headers" "http://${AWS_LAMBDA_RUNTIME_API}/2018-06-01/runtime/invocation/next")
  id=$(grep -Fi Lambda-Runtime-Aws-Request-Id "$headers" | tr -d '[:space:]' | cut -d: -f2)
  curl -sS "http://${AWS_LAMBDA_RUNTIME_API}/2018-06-01/runtime/invocation/$id/response" -d "Echoing request: '$event'" > /dev/null
done
)",
        [](FunctionConfig& config) { config.timeout_s = 20; });
  if (std::system("command -v curl >/dev/null") == 0) {
    const InvokeResult result = invoke("Curl", R"({"text":"Hello"})");
    EXPECT_EQ(result.payload, R"(Echoing request: '{"text":"Hello"}')") << result.log_tail;
    EXPECT_FALSE(result.payload_is_json);
    EXPECT_EQ(invoke("Curl", "2").payload, "Echoing request: '2'");
  }
  provided("Raw", R"(
    how = json.loads(event)
    if how == "bytes": call('POST', f'invocation/{rid}/response', b'\xff\xfe')
    elif how == "error": call('POST', f'invocation/{rid}/error', b'{"errorType":"Custom.Kind","errorMessage":"no"}')
    elif how == "bare": call('POST', f'invocation/{rid}/error', b'went wrong', {'Lambda-Runtime-Function-Error-Type': 'Custom.Bare'})
    elif how == "wrong": call('POST', f'invocation/{rid}/response', json.dumps(call('POST', 'invocation/nobody/response', b'1')[0].status))
    else: call('POST', f'invocation/{rid}/response', event)
)");
  EXPECT_EQ(invoke("Raw", "\"x\"").payload, "\"x\"");
  EXPECT_EQ(invoke("Raw", "\"bytes\"").payload, "\xff\xfe");
  EXPECT_EQ(field(invoke("Raw", "\"error\""), "errorType"), "Custom.Kind");
  EXPECT_EQ(field(invoke("Raw", "\"bare\""), "errorType"), "Custom.Bare");
  EXPECT_EQ(invoke("Raw", "\"wrong\"").payload, "400");
  shell("InitError",
        "curl -sS -X POST http://${AWS_LAMBDA_RUNTIME_API}/2018-06-01/runtime/init/error -d "
        "'{\"errorType\":\"My.Init\",\"errorMessage\":\"m\"}'; exit 1\n");
  EXPECT_EQ(field(invoke("InitError"), "errorType"), "My.Init");
  FunctionConfig config;
  config.name = "NoBootstrap";
  config.runtime = "provided.al2";
  ASSERT_TRUE(create(config, make_zip({{"a", "x"}})).ok());
  EXPECT_EQ(field(invoke("NoBootstrap"), "errorType"), "Runtime.InvalidEntrypoint");
}

TEST_F(FunctionServiceTest, RunsSeveralAtOnceUpToTheReservedConcurrency) {
  python("Two", "import time\ndef lambda_handler(e, c):\n    time.sleep(e)\n    return e\n",
         [](FunctionConfig& config) {
           config.reserved_concurrency = 2;
           config.timeout_s = 20;
         });
  std::vector<InvokeResult> results;
  for (int i = 0; i < 3; ++i) {
    InvokeRequest request;
    request.function = "Two";
    request.payload = "0.2";
    service_->invoke(std::move(request), [&](InvokeResult result) { results.push_back(std::move(result)); });
  }
  ASSERT_TRUE(loop_.run_until([&] { return results.size() == 3; }, 20'000));
  EXPECT_EQ(results[0].error_code, "TooManyRequestsException");
  EXPECT_EQ(results[0].status_code, 429);
  EXPECT_EQ(results[1].payload + results[2].payload, "0.20.2");
  EXPECT_EQ(service_->figures().workers, 2u);
}

TEST_F(FunctionServiceTest, LetsMoreWaitWhereNothingIsReserved) {
  options_.workers_max = 3;
  options_.function_concurrency_max = 2;
  service_ = nullptr;
  start();
  for (const char* name : {"A", "B"}) {
    python(name,
           "import os, time\ndef lambda_handler(e, c):\n    time.sleep(0.01)\n    return os.getpid()\n");
  }
  std::size_t done = 0, failed = 0;
  for (int i = 0; i < 40; ++i) {
    InvokeRequest request;
    request.function = i % 2 == 0 ? "A" : "B";
    service_->invoke(std::move(request), [&](const InvokeResult& result) {
      ++done;
      failed += result.error_code.empty() && result.function_error.empty() ? 0 : 1;
    });
  }
  ASSERT_TRUE(loop_.run_until([&] { return done == 40; }, 30'000));
  EXPECT_EQ(failed, 0u);
  EXPECT_LE(service_->figures().workers, 4u);
}

TEST_F(FunctionServiceTest, ReplacesWorkersWhenCodeOrConfigurationChanges) {
  python("Changes",
         "import os, time\ndef lambda_handler(e, c):\n    time.sleep(e)\n    return 'one ' + "
         "os.environ.get('WHO', '-')\n");
  EXPECT_EQ(invoke("Changes", "0").payload, "\"one -\"");
  std::optional<InvokeResult> in_flight;
  InvokeRequest request;
  request.function = "Changes";
  request.payload = "0.5";
  service_->invoke(std::move(request), [&](InvokeResult result) { in_flight = std::move(result); });
  const std::string code =
      "import os\ndef lambda_handler(e, c):\n    return 'two ' + os.environ.get('WHO', '-')\n";
  const auto updated = wait([&](auto done) {
    service_->update_code("", "Changes", {make_zip({{"lambda_function.py", code}}), false, ""},
                          std::move(done));
  });
  ASSERT_TRUE(updated.ok());
  EXPECT_EQ(invoke("Changes", "0").payload, "\"two -\"");
  ASSERT_TRUE(loop_.run_until([&] { return in_flight.has_value(); }, 20'000));
  EXPECT_EQ(in_flight->payload, "\"one -\"") << "what was in flight ends on the old code";
  const auto configured = wait([&](auto done) {
    service_->update_configuration(
        "", "Changes", "", [](FunctionConfig& config) { config.environment["WHO"] = "you"; },
        std::move(done));
  });
  ASSERT_TRUE(configured.ok());
  EXPECT_NE(configured->revision_id, updated->revision_id);
  EXPECT_EQ(invoke("Changes", "0").payload, "\"two you\"");
  const auto stale = wait([&](auto done) {
    service_->update_code("", "Changes", {"zip", false, updated->revision_id}, std::move(done));
  });
  EXPECT_EQ(stale.error().code, "PreconditionFailedException");
  const std::string functions = options_.data_folder + "/functions/123456789012/Changes";
  EXPECT_TRUE(loop_.run_until([&] { return io::list_directory(functions).value().size() == 2; }, 10'000))
      << "old code is removed";
  ASSERT_TRUE(service_->delete_function("", "Changes").ok());
  EXPECT_EQ(invoke("Changes").error_code, "ResourceNotFoundException");
  EXPECT_EQ(service_->delete_function("", "Changes").error().code, "ResourceNotFoundException");
}

TEST_F(FunctionServiceTest, KeepsFunctionsAndTheirLogsOverARestart) {
  python("Kept", "def lambda_handler(e, c):\n    print('said')\n    return 'kept'\n",
         [](FunctionConfig& config) { config.description = "d"; });
  EXPECT_EQ(invoke("Kept").payload, "\"kept\"");
  const auto before = service_->get_function("", "Kept").value();
  service_ = nullptr;
  start();
  const auto after = service_->get_function("", "Kept").value();
  EXPECT_EQ(config_to_json(before), config_to_json(after));
  EXPECT_THAT(last_log("Kept"), HasSubstr("said\n"));
  EXPECT_EQ(invoke("Kept").payload, "\"kept\"");
  EXPECT_EQ(create(after, make_zip({{"lambda_function.py", "x"}})).error().code, "ResourceConflictException");
}

TEST_F(FunctionServiceTest, TriesAsynchronousInvocationsAgain) {
  // Nothing of the sandbox lasts, so the attempts are counted by the log.
  python("Twice", "def lambda_handler(e, c):\n    print('attempt')\n    raise ValueError('no')\n");
  InvokeRequest request;
  request.function = "Twice";
  request.type = InvocationType::kEvent;
  const InvokeResult accepted = invoke(std::move(request));
  EXPECT_EQ(accepted.status_code, 202);
  EXPECT_EQ(accepted.payload, "");
  ASSERT_TRUE(loop_.run_until(
      [&] { return service_->logs("", "Twice", {}, accepted.request_id).size() == 3; }, 20'000));
  EXPECT_TRUE(loop_.run_until([&] { return service_->figures().async_waiting == 0; }, 10'000));
  EXPECT_TRUE(io::list_directory(options_.data_folder + "/functions/async").value().empty());
}

TEST_F(FunctionServiceTest, TakesUpAcceptedInvocationsAfterARestart) {
  python("Later", "def lambda_handler(e, c):\n    print('ran', e)\n");
  InvokeRequest request;
  request.function = "Later";
  request.payload = "7";
  request.type = InvocationType::kEvent;
  service_->invoke(std::move(request), [](const InvokeResult&) {});
  service_ = nullptr;  // Dies before anything ran.
  start();
  EXPECT_TRUE(loop_.run_until([&] { return last_log("Later").find("ran 7") != std::string::npos; }, 20'000));
}

TEST_F(FunctionServiceTest, GivesTheSameRequestIdToTheSameAttempt) {
  python("Id", "def lambda_handler(e, c):\n    return c.aws_request_id\n");
  const auto with = [&](const std::string& key) {
    InvokeRequest request;
    request.function = "Id";
    request.idempotency_key = key;
    return invoke(std::move(request)).payload;
  };
  EXPECT_EQ(with("a/1"), with("a/1"));
  EXPECT_NE(with("a/1"), with("a/2"));
  EXPECT_THAT(with("a/1"),
              MatchesRegex("\"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-8[0-9a-f]{3}-[0-9a-f]{12}\""));
}

TEST_F(FunctionServiceTest, AnswersWhatCannotBeRun) {
  EXPECT_EQ(invoke("Nobody").error_code, "ResourceNotFoundException");
  EXPECT_EQ(invoke("Nobody").error_message,
            "Function not found: arn:aws:lambda:us-east-1:123456789012:function:Nobody");
  EXPECT_EQ(invoke("arn:aws:lambda:eu-west-1:123456789012:function:Nobody").error_code,
            "ResourceNotFoundException");
  EXPECT_EQ(invoke("a b").error_code, "ValidationException");
  python("There", "def lambda_handler(e, c): return 1\n");
  EXPECT_EQ(invoke("There:prod").error_code, "ResourceNotFoundException");
  EXPECT_EQ(invoke("There", "{nonsense").error_code, "InvalidRequestContentException");
  EXPECT_EQ(invoke("There", "\"\xff\"").error_code, "InvalidRequestContentException");
  EXPECT_EQ(invoke("There", "\"" + std::string(kPayloadBytesMax, 'x') + "\"").status_code, 413);
  InvokeRequest request;
  request.function = "There";
  request.type = InvocationType::kDryRun;
  EXPECT_EQ(invoke(request).status_code, 204);
  request.account = "999999999999";
  EXPECT_EQ(invoke(request).error_code, "ResourceNotFoundException");
}

TEST_F(FunctionServiceTest, KnowsWhoHoldsAKeyAndWhichTokensItWasHanded) {
  python("Who",
         "import os\ndef lambda_handler(e, c):\n    return os.environ['AWS_ACCESS_KEY_ID'] + ' ' + "
         "os.environ['AWS_ENDPOINT_URL_SFN']\n");
  service_->set_server_url("http://127.0.0.1:1");
  InvokeRequest request;
  request.function = "Who";
  request.task_token = "token-1";
  const std::string text = json::parse(invoke(request).payload)->to_std_string();
  const std::string key = text.substr(0, text.find(' '));
  EXPECT_THAT(text, EndsWith(" http://127.0.0.1:1"));
  const auto identity = service_->find_worker(key);
  ASSERT_TRUE(identity.has_value());
  EXPECT_EQ(identity->function, "Who");
  EXPECT_FALSE(identity->may_call("states:StartExecution"));
  EXPECT_FALSE(service_->find_worker("AKIAUNKNOWN").has_value());
  EXPECT_TRUE(service_->was_handed("", "Who", "token-1"));
  EXPECT_FALSE(service_->was_handed("", "Who", "token-2"));
  EXPECT_FALSE(service_->was_handed("", "Other", "token-1"));
  service_ = nullptr;
  start();
  EXPECT_FALSE(service_->find_worker(key).has_value()) << "a key dies with its worker";
  EXPECT_TRUE(service_->was_handed("", "Who", "token-1")) << "a token outlives us, as the wait for it does";
}

TEST_F(FunctionServiceTest, ASharedKeyIsNobodyOnceTwoFunctionsHoldIt) {
  service_ = nullptr;
  start(make_shared_credential_source({"AKIASHARED", "secret", ""}));
  for (const char* name : {"One", "Other"})
    python(name, "import os\ndef lambda_handler(e, c):\n    return os.environ['AWS_ACCESS_KEY_ID']\n");
  EXPECT_EQ(invoke("One").payload, "\"AKIASHARED\"");
  EXPECT_EQ(service_->find_worker("AKIASHARED")->function, "One");
  EXPECT_EQ(invoke("Other").payload, "\"AKIASHARED\"");
  EXPECT_FALSE(service_->find_worker("AKIASHARED").has_value());
}

TEST_F(FunctionServiceTest, ReadsFoldersAndFollowsTheirChanges) {
  const std::string project = folder_ + "/project/functions";
  const auto write = [&](const std::string& path, const std::string& text) {
    ASSERT_TRUE(io::make_directories(project + "/" + path.substr(0, path.find('/'))).ok());
    ASSERT_TRUE(io::write_file_atomically(project + "/" + path, text, 0644).ok());
  };
  ::setenv("SORTIE_TEST_VALUE", "from outside", 1);
  write("Good/function.yaml",
        "handler: app.main\nenvironment:\n  VALUE: env:SORTIE_TEST_VALUE\n  SECRET: "
        "file:secret.txt\nactions: [\"states:*\"]\n");
  write("Good/app.py",
        "import os\ndef main(e, c): return os.environ['VALUE'] + ', ' + os.environ['SECRET']\n");
  write("Good/secret.txt", "in a file\n");
  write("Broken/function.yaml", "timeout: soon\n");
  write("Plain/lambda_function.py", "def lambda_handler(e, c): return 1\n");
  const auto problems = service_->load_folder(project);
  ASSERT_EQ(problems.size(), 1u);
  EXPECT_EQ(problems[0].place, project + "/Broken/function.yaml:1:10");
  EXPECT_EQ(service_->list_functions("").size(), 3u);
  EXPECT_EQ(invoke("Good").payload, "\"from outside, in a file\"");
  EXPECT_EQ(service_->get_function("", "Good")->environment.at("VALUE"), "env:SORTIE_TEST_VALUE")
      << "secrets are never shown";
  EXPECT_EQ(invoke("Plain").payload, "1");
  EXPECT_EQ(invoke("Broken").error_code, "InvalidRuntimeException");
  EXPECT_THAT(invoke("Broken").error_message, HasSubstr("function.yaml:1:10"));
  EXPECT_EQ(service_->delete_function("", "Plain").error().code, "InvalidParameterValueException");

  std::vector<std::string> changed;
  service_->watch_folder(project, 10, [&](std::vector<std::string> names, const std::vector<Error>&) {
    changed.insert(changed.end(), names.begin(), names.end());
  });
  const auto before = service_->get_function("", "Good").value().revision_id;
  write("Plain/lambda_function.py", "def lambda_handler(e, c): return 22\n");
  ASSERT_TRUE(loop_.run_until([&] { return !changed.empty(); }, 10'000));
  EXPECT_EQ(invoke("Plain").payload, "22");
  changed.clear();
  ASSERT_TRUE(io::remove_tree(project + "/Plain").ok());
  ASSERT_TRUE(loop_.run_until([&] { return !changed.empty(); }, 10'000));
  EXPECT_EQ(invoke("Plain").error_code, "ResourceNotFoundException");
  EXPECT_EQ(service_->get_function("", "Good").value().revision_id, before)
      << "what did not change keeps its workers";
}

TEST_F(FunctionServiceTest, LeavesNothingBehindWhenItEnds) {
  python("Sleeper", "import time\ndef lambda_handler(e, c):\n    time.sleep(1000)\n",
         [](FunctionConfig& config) { config.timeout_s = 900; });
  InvokeRequest request;
  request.function = "Sleeper";
  service_->invoke(std::move(request), [](const InvokeResult&) {});
  ASSERT_TRUE(loop_.run_until([&] { return service_->figures().busy_workers == 1; }, 10'000));
  const std::string marker =
      "SORTIE_WORKER=" + io::read_file(options_.data_folder + "/functions/instance").value();
  bool drained = false;
  service_->drain(50, [&] { drained = true; });
  EXPECT_TRUE(loop_.run_until([&] { return drained; }, 20'000));
  EXPECT_EQ(service_->figures().workers, 0u);
  EXPECT_EQ(io::kill_processes_marked(marker), 0u);
}

// kill -9 gives us no chance to clean up: the kernel has to end the workers.
TEST_F(FunctionServiceTest, WorkersDieWhenTheServerIsKilled) {
  python("Sleeper",
         "import subprocess, time\ndef lambda_handler(e, c):\n    subprocess.Popen(['sleep', '1000'])\n    "
         "time.sleep(1000)\n",
         [](FunctionConfig& config) { config.timeout_s = 900; });
  service_ = nullptr;
  const std::string marker =
      "SORTIE_WORKER=" + io::read_file(options_.data_folder + "/functions/instance").value();
  int ready[2];
  ASSERT_EQ(::pipe(ready), 0);
  const pid_t server = ::fork();
  if (server == 0) {
    io::EventLoop loop;
    auto service = FunctionService::make(loop, random_, options_, nullptr);
    if (!service) ::_exit(1);
    InvokeRequest request;
    request.function = "Sleeper";
    (*service)->invoke(std::move(request), [](const InvokeResult&) {});
    loop.run_until([&] { return (*service)->figures().busy_workers == 1; }, 20'000);
    loop.run_until([] { return false; }, 500);
    if (::write(ready[1], "x", 1) != 1) ::_exit(1);
    loop.run();
  }
  ::close(ready[1]);
  char mark = 0;
  EXPECT_EQ(::read(ready[0], &mark, 1), 1);
  ::close(ready[0]);
  const auto alive = [&] {
    std::size_t count = 0;
    for (const auto& process : io::list_processes())
      count += !process.is_zombie && io::has_in_environment(process.pid, marker) ? 1 : 0;
    return count;
  };
  EXPECT_GE(alive(), 1u);
  ::kill(server, SIGKILL);
  ::waitpid(server, nullptr, 0);
  for (int i = 0; i < 1'000 && alive() > 0; ++i) ::usleep(10'000);
  EXPECT_EQ(alive(), 0u);
  start();
  EXPECT_EQ(service_->list_functions("").size(), 1u);
}

TEST_F(FunctionServiceTest, RunsWithoutASandboxWhereToldTo) {
  options_.sandbox = SandboxMode::kOff;
  service_ = nullptr;
  start();
  EXPECT_FALSE(service_->sandbox_is_complete());
  python("Bare",
         "import tempfile, subprocess\ndef lambda_handler(e, c):\n    subprocess.Popen(['sleep', '1000'], "
         "start_new_session=True)\n    return tempfile.gettempdir()\n");
  EXPECT_THAT(invoke("Bare").payload, HasSubstr("scratch"));
  const std::string marker =
      "SORTIE_WORKER=" + io::read_file(options_.data_folder + "/functions/instance").value();
  service_ = nullptr;
  EXPECT_EQ(io::kill_processes_marked(marker), 0u) << "grandchildren that left the session are killed, too";
}

}  // namespace
}  // namespace sortie::functions
