#pragma once
// The Step Functions API on fakes, and calls to it as one line each. Included by *_test.cpp only.
#include <gtest/gtest.h>

#include "api/states_api.h"
#include "api/states_arn.h"
#include "api/testing/api_fakes.h"

namespace sortie::api::testing {

struct StatesApiTest : ::testing::Test {
  fakes::ManualLoop loop;
  SeededRandom random{7};
  RowStore store{loop};
  MapRuntime runtime{loop};
  std::optional<Error> refuse;
  StatesApi api{StatesServices{loop, random, runtime, store,
                               [this](store::Batch batch, std::function<void(Status)> done) {
                                 store.append(std::move(batch), std::move(done));
                               },
                               [this](std::string_view, const Actor&, std::string_view) { return refuse; }},
                StatesOptions{}};
  StatesApiTest() { runtime.rows = &store; }
  SigningKey caller = account_key();
  std::shared_ptr<FakeResponder> peer = std::make_shared<FakeResponder>();

  Result<json::Value> call(const std::string& operation, const std::string& input) {
    return call(operation, parse_json(input));
  }
  Result<json::Value> call(const std::string& operation, const char* input) {
    return call(operation, parse_json(input));
  }
  Result<json::Value> call(const std::string& operation, const json::Value& input) {
    std::vector<Result<json::Value>> answers = pending(operation, input);
    EXPECT_EQ(answers.size(), 1u) << operation;
    return answers.empty() ? Result<json::Value>(Error{"no answer", "", "", ""}) : answers[0];
  }
  std::vector<Result<json::Value>> pending(const std::string& operation, const json::Value& input) {
    auto answers = std::make_shared<std::vector<Result<json::Value>>>();
    api.handle({"states", operation, input, caller, peer},
               [answers](Result<json::Value> answer) { answers->push_back(std::move(answer)); });
    loop.run();
    return *answers;
  }
  // "Code: message", or the answer's text.
  std::string text(const std::string& operation, const std::string& input) {
    const Result<json::Value> answer = call(operation, input);
    return answer.ok() ? json::to_text(*answer) : answer.error().code + ": " + answer.error().message;
  }
  json::Value machine_input(const std::string& name, const std::string& definition = kPassDefinition) {
    return json::Value::object({{"name", name}, {"definition", definition}, {"roleArn", kRole}});
  }
  std::string arn(const std::string& name) { return state_machine_arn("us-east-1", kAccount, name); }
  std::string make_machine(const std::string& name) {
    EXPECT_TRUE(call("CreateStateMachine", machine_input(name)).ok());
    return arn(name);
  }
  std::string make_execution(store::ExecutionStatus status, const std::string& name = "e") {
    runtime::ExecutionDescription description;
    description.arn = "arn:aws:states:us-east-1:123456789012:execution:m:" + name;
    description.name = name;
    description.state_machine_arn = arn("m");
    description.role_arn = kRole;
    description.status = status;
    description.input_text = R"({"a":1})";
    description.started_at = loop.now();
    description.stopped_at = loop.now();
    description.definition = kPassDefinition;
    if (status == store::ExecutionStatus::kSucceeded) description.output_text = "2";
    if (status <= store::ExecutionStatus::kSucceeded) {
      description.redrive_obstacle =
          "Execution is " + std::string(status_name(status)) + " and cannot be redriven";
    }
    if (status == store::ExecutionStatus::kFailed) description.error = "Boom";
    runtime.executions[description.arn] = description;
    return description.arn;
  }
};

}  // namespace sortie::api::testing
