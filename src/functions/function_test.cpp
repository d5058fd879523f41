#include "functions/function.h"

#include <gmock/gmock.h>

namespace sortie::functions {
namespace {

using testing::HasSubstr;

TEST(FunctionYaml, ReadsEveryKey) {
  const auto config = parse_function_yaml(R"(
description: isolates
runtime: python3.12
handler: app.main
timeout: 30
memory: 256
concurrency: 2
environment:
  TOPIC: arn:aws:sns:us-east-1:123456789012:alerts
  COUNT: 3
  TOKEN: env:TOKEN
role: arn:aws:iam::123456789012:role/x
layers: [shared]
actions: ["states:StartExecution", "events:*"]
behaviour: {idempotent: false, disruptive: true}
)",
                                          "functions/a/function.yaml");
  ASSERT_TRUE(config.ok()) << to_text(config.error());
  EXPECT_EQ(config->runtime, "python3.12");
  EXPECT_EQ(config->handler, "app.main");
  EXPECT_EQ(config->timeout_s, 30);
  EXPECT_EQ(config->memory_mib, 256);
  EXPECT_EQ(config->reserved_concurrency, 2);
  EXPECT_EQ(config->environment.at("COUNT"), "3");
  EXPECT_EQ(config->actions.size(), 2u);
  EXPECT_EQ(config->behaviour.is_idempotent, false);
  EXPECT_EQ(config->behaviour.is_disruptive, true);
  EXPECT_EQ(config->behaviour.records_undo, std::nullopt);
}

TEST(FunctionYaml, DefaultsFollowTheRuntime) {
  EXPECT_EQ(parse_function_yaml("", "f")->handler, "lambda_function.lambda_handler");
  EXPECT_EQ(parse_function_yaml("runtime: nodejs20.x", "f")->handler, "index.handler");
  EXPECT_EQ(parse_function_yaml("runtime: provided.al2023", "f")->runtime_kind(), RuntimeKind::kProvided);
  EXPECT_EQ(parse_function_yaml("", "f")->timeout_s, 3);
}

TEST(FunctionYaml, NamesFileLineAndCure) {
  const auto fails = [](const char* text) {
    const auto config = parse_function_yaml(text, "functions/a/function.yaml");
    EXPECT_FALSE(config.ok()) << text;
    return config.ok() ? Error{} : config.error();
  };
  EXPECT_EQ(fails("runtime: python3.11\ntimeout: 901\n").place, "functions/a/function.yaml:2:10");
  EXPECT_THAT(fails("timeout: 901").hint, HasSubstr("from 1 to 900"));
  EXPECT_THAT(fails("memory: lots").hint, HasSubstr("MiB"));
  EXPECT_THAT(fails("timeouts: 3").message, HasSubstr("unknown key \"timeouts\""));
  EXPECT_THAT(fails("timeouts: 3").hint, HasSubstr("timeout"));
  EXPECT_THAT(fails("runtime: java21").message, HasSubstr("not supported yet"));
  EXPECT_THAT(fails("runtime: cobol").message, HasSubstr("enum value set"));
  EXPECT_EQ(fails("a: [1").place.substr(0, 27), "functions/a/function.yaml:2");
  EXPECT_THAT(fails("- a").hint, HasSubstr("key: value"));
  EXPECT_THAT(fails("environment:\n  AA: 1\n  AWS_REGION: x").message, HasSubstr("reserved keys"));
  EXPECT_EQ(fails("behaviour:\n  idempotent: 1\n").place, "functions/a/function.yaml:2:15");
  EXPECT_THAT(fails("behaviour: {careful: true}").hint, HasSubstr("idempotent, records_undo"));
  EXPECT_EQ(fails("description: x\nenvironment:\n  NO: {a: 1}").place, "functions/a/function.yaml:3:7");
}

TEST(FunctionConfig, IsCheckedAsTheLambdaApiDoes) {
  FunctionConfig config;
  config.name = "a";
  config.runtime = "python3.11";
  config.handler = "a.b";
  EXPECT_TRUE(check_config(config).ok());
  const auto code = [&](auto change) {
    FunctionConfig changed = config;
    change(changed);
    const Status status = check_config(changed);
    return status.ok() ? std::string("fine") : status.error().code;
  };
  EXPECT_EQ(code([](auto& c) { c.name = "a b"; }), "ValidationException");
  EXPECT_EQ(code([](auto& c) { c.name = std::string(65, 'a'); }), "ValidationException");
  EXPECT_EQ(code([](auto& c) { c.timeout_s = 0; }), "ValidationException");
  EXPECT_EQ(code([](auto& c) { c.memory_mib = 127; }), "ValidationException");
  EXPECT_EQ(code([](auto& c) { c.memory_mib = 10'241; }), "ValidationException");
  EXPECT_EQ(code([](auto& c) { c.handler = ""; }), "InvalidParameterValueException");
  EXPECT_EQ(code([](auto& c) { c.runtime = "python2.7"; }), "InvalidParameterValueException");
  EXPECT_EQ(code([](auto& c) { c.role = "admin"; }), "ValidationException");
  EXPECT_EQ(code([](auto& c) { c.environment["BIG"] = std::string(4096, 'x'); }),
            "InvalidParameterValueException");
  EXPECT_EQ(code([](auto& c) { c.environment["AWS_LAMBDA_RUNTIME_API"] = "x"; }),
            "InvalidParameterValueException");
  EXPECT_EQ(code([](auto& c) { c.environment["1A"] = "x"; }), "ValidationException");
}

TEST(FunctionReference, TakesEveryFormThatAwsTakes) {
  const auto read = [](const char* text) {
    const auto reference = parse_function_reference(text);
    if (!reference) return reference.error().code;
    return reference->region + "|" + reference->account + "|" + reference->name + "|" + reference->qualifier;
  };
  EXPECT_EQ(read("Name"), "||Name|");
  EXPECT_EQ(read("Name:$LATEST"), "||Name|$LATEST");
  EXPECT_EQ(read("function:Name:prod"), "||Name|prod");
  EXPECT_EQ(read("123456789012:function:Name"), "|123456789012|Name|");
  EXPECT_EQ(read("arn:aws:lambda:us-east-1:123456789012:function:Name:1"), "us-east-1|123456789012|Name|1");
  for (const char* bad : {"", "a b", "arn:aws:sns:us-east-1:123456789012:x", "a:b:c:d",
                          "arn:aws:lambda:us-east-1:1:function:x", "x:"}) {
    EXPECT_EQ(read(bad), "ValidationException") << bad;
  }
}

TEST(FunctionConfig, SurvivesBeingKept) {
  FunctionConfig config;
  config.account = "123456789012";
  config.name = "a";
  config.runtime = "nodejs20.x";
  config.handler = "a.b";
  config.environment = {{"AA", "1"}};
  config.reserved_concurrency = 0;
  config.code_size = 12;
  config.last_modified = {1234};
  const auto back = config_from_json(config_to_json(config));
  ASSERT_TRUE(back.ok()) << to_text(back.error());
  EXPECT_EQ(config_to_json(*back), config_to_json(config));
  EXPECT_FALSE(config_from_json(json::Value()).ok());
}

}  // namespace
}  // namespace sortie::functions
