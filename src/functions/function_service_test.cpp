// What one invocation sees and what it gets: real processes in the sandbox.
#include "functions/service_test_support.h"

namespace sortie::functions {
namespace {

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

TEST_F(FunctionServiceTest, RunsEveryPythonRuntimeOnTheInterpreterThatIsThere) {
  for (const char* runtime : {"python3.9", "python3.12", "python3.13"}) {
    const std::string name = replace_all(runtime, ".", "");
    python(name, "def lambda_handler(e, c):\n    print('seen')\n    return {'text': '\xc3\xa4'}\n",
           [&](FunctionConfig& config) { config.runtime = runtime; });
    for (int i = 0; i < 3; ++i) {
      const InvokeResult result = invoke(name);
      EXPECT_EQ(field(result, "text"), "\xc3\xa4") << runtime << result.payload;
      EXPECT_THAT(result.log_tail, HasSubstr("seen\n"));
    }
  }
}

TEST_F(FunctionServiceTest, RunsNodeHandlersThroughOurOwnClient) {
  options_.node_runtime = SORTIE_SOURCE_DIR "/src/functions/runtimes/node.mjs";
  if (std::system("command -v node >/dev/null") != 0) GTEST_SKIP() << "SKIP: no node here";
  service_ = nullptr;
  start();
  FunctionConfig config;
  config.name = "Node";
  config.runtime = "nodejs20.x";
  config.handler = "index.handler";
  config.memory_mib = 256;
  config.timeout_s = 20;
  const std::string code = R"(
export const handler = async (event, context) => {
  console.log('seen', event.n);
  if (event.n === 2) throw new TypeError('two');
  if (event.n === 3) process.exit(7);
  return { n: event.n, id: context.awsRequestId };
};
)";
  ASSERT_TRUE(create(config, make_zip({{"index.mjs", code}})).ok());
  const InvokeResult fine = invoke("Node", R"({"n": 1})");
  EXPECT_EQ(field(fine, "id"), fine.request_id) << fine.payload << fine.log_tail;
  EXPECT_THAT(fine.log_tail, HasSubstr("seen 1"));
  const InvokeResult failed = invoke("Node", R"({"n": 2})");
  EXPECT_EQ(field(failed, "errorType"), "TypeError");
  EXPECT_EQ(field(failed, "errorMessage"), "two");
  const InvokeResult exited = invoke("Node", R"({"n": 3})");
  EXPECT_EQ(field(exited, "errorMessage"),
            "RequestId: " + exited.request_id + " Error: Runtime exited with error: exit status 7");
}

// Without bubblewrap in PATH, as in a container that lacks it.
TEST_F(FunctionServiceTest, FallsBackToLandlockAndSaysSo) {
  if (io::landlock_version() == 0) GTEST_SKIP() << "SKIP: this kernel has no Landlock";
  service_ = nullptr;
  const std::string path = ::getenv("PATH");
  ::setenv("PATH", "/nowhere", 1);
  options_.sandbox = SandboxMode::kRequired;
  const auto refused = FunctionService::make(loop_, random_, options_, nullptr);
  options_.sandbox = SandboxMode::kPreferred;
  start();
  ::setenv("PATH", path.c_str(), 1);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, "SandboxUnavailable");
  EXPECT_THAT(refused.error().message, HasSubstr("bwrap is missing"));
  EXPECT_FALSE(service_->sandbox_is_complete());
  EXPECT_THAT(join(service_->sandbox_report(), "\n"),
              AllOf(HasSubstr("WITHOUT namespaces"), HasSubstr("Landlock keeps")));
  ASSERT_TRUE(io::write_file_atomically(folder_ + "/secret", "s3cret", 0644).ok());
  python("Spy", R"(
import os, tempfile
def attempt(what):
    try: return str(what())
    except Exception as e: return type(e).__name__
def lambda_handler(event, context):
    with tempfile.NamedTemporaryFile() as f: f.write(b"x")
    return {"read": attempt(lambda: open(event).read()), "write": attempt(lambda: open(event + "2", "w")), "list": attempt(lambda: os.listdir("/root"))}
)");
  const InvokeResult result = invoke("Spy", "\"" + folder_ + "/secret\"");
  for (const char* what : {"read", "write", "list"})
    EXPECT_EQ(field(result, what), "PermissionError") << what << result.payload;
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

// The machine is full of one function's processes, none of which is ever idle.
TEST_F(FunctionServiceTest, ANoisyFunctionGivesAProcessUpForOneThatWaits) {
  options_.workers_max = 2;
  options_.function_concurrency_max = 2;
  service_ = nullptr;
  start();
  for (const char* name : {"Noisy", "Quiet"}) {
    python(name, "import time\ndef lambda_handler(e, c):\n    time.sleep(0.02)\n");
  }
  constexpr std::size_t kNoisy = 300;
  std::size_t done = 0;
  std::optional<std::size_t> quiet_after;
  const auto invoke = [&](const char* name) {
    InvokeRequest request;
    request.function = name;
    service_->invoke(std::move(request), [&, quiet = name[0] == 'Q'](const InvokeResult& result) {
      EXPECT_TRUE(result.error_code.empty() && result.function_error.empty()) << result.payload;
      ++done;
      if (quiet) quiet_after = done;
    });
  };
  for (std::size_t i = 0; i < kNoisy; ++i) invoke("Noisy");
  ASSERT_TRUE(loop_.run_until([&] { return done >= 2; }, 20'000));
  invoke("Quiet");
  ASSERT_TRUE(loop_.run_until([&] { return done == kNoisy + 1; }, 120'000));
  EXPECT_LT(*quiet_after, kNoisy) << "it waited until the noisy one was through";
}

}  // namespace
}  // namespace sortie::functions
