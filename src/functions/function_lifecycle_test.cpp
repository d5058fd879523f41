// Functions over time: changes, restarts, repeated attempts, keys, folders, and our own death.
#include "functions/service_test_support.h"

namespace sortie::functions {
namespace {

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
  write("Choice/function.yaml",
        "handler: app.main\nenvironment: {AA: \"env:SORTIE_TEST_VALUE?\", BB: "
        "\"env:SORTIE_TEST_NOWHERE?\", CC: \"file:none?\", DD: why?}\n");
  write("Choice/app.py",
        "import os\ndef main(e, c): return ' '.join(os.environ.get(2 * n, '-') for n in 'ABCD')\n");
  write("Needs/function.yaml", "handler: app.main\nenvironment: {AA: \"env:SORTIE_TEST_NOWHERE\"}\n");
  write("Needs/app.py", "def main(e, c): return 1\n");
  write("Broken/function.yaml", "timeout: soon\n");
  write("Plain/lambda_function.py", "def lambda_handler(e, c): return 1\n");
  const auto problems = service_->load_folder(project);
  ASSERT_EQ(problems.size(), 1u);
  EXPECT_EQ(problems[0].place, project + "/Broken/function.yaml:1:10");
  EXPECT_EQ(service_->list_functions("").size(), 5u);
  EXPECT_EQ(invoke("Choice").payload, "\"from outside - - why?\"") << "what may be missing is left out";
  EXPECT_THAT(invoke("Needs").error_message, HasSubstr("has no SORTIE_TEST_NOWHERE"));
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
