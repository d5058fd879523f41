#pragma once
// The fixture of the tests that run real functions: a service on a data folder of its own, in the sandbox
// that this machine allows, with AWS's own Python runtime client.
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>

#include "base/text.h"
#include "functions/function_service.h"
#include "functions/zip_test_support.h"
#include "io/child_process.h"
#include "io/file.h"
#include "io/http_client.h"
#include "io/landlock.h"
#include "io/process_table.h"
#include "json/text.h"

namespace sortie::functions {
using testing::AllOf;
using testing::EndsWith;
using testing::HasSubstr;
using testing::MatchesRegex;
using testing::Not;
using testing::StartsWith;
using testing_zip::make_zip;

inline const std::string kPython = SORTIE_SOURCE_DIR "/build/venv/bin/python";

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

}  // namespace sortie::functions
