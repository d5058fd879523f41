#include "functions/lambda_api.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include "base/text.h"
#include "functions/lambda_codec.h"
#include "functions/zip_test_support.h"
#include "io/child_process.h"
#include "io/file.h"
#include "io/http_server.h"
#include "json/text.h"

namespace sortie::functions {
namespace {

using testing::HasSubstr;

io::HttpRequest request_to(std::string method, std::string path, std::string body = "",
                           io::HttpHeaders headers = {}) {
  io::HttpRequest request;
  request.method = std::move(method);
  const std::size_t question = path.find('?');
  request.path = path.substr(0, question);
  if (question != std::string::npos) request.query = path.substr(question + 1);
  request.body = std::move(body);
  request.headers = std::move(headers);
  return request;
}

class LambdaApiTest : public testing::Test {
 protected:
  LambdaApiTest() {
    options_.python = SORTIE_SOURCE_DIR "/build/venv/bin/python";
    options_.cgroup_folder = "none";
    service_ = std::move(FunctionService::make(loop_, random_, options_, nullptr).value());
  }
  io::HttpResponse call(io::HttpRequest request) {
    std::optional<io::HttpResponse> response;
    handle_lambda_request(*service_, request, "123456789012",
                          [&](io::HttpResponse got) { response = std::move(got); });
    EXPECT_TRUE(loop_.run_until([&] { return response.has_value(); }, 20'000));
    return response.value_or(io::HttpResponse{});
  }
  static std::string create_body(const std::string& extra = "") {
    const std::string zip = testing_zip::make_zip({{"bootstrap", "#!/bin/sh\nexit 3\n", 0100755}});
    return R"({"FunctionName":"F","Runtime":"provided.al2023","Role":"arn:aws:iam::123456789012:role/r","Handler":"x","Code":{"ZipFile":")" +
           base64_encode(zip) + "\"}" + extra + "}";
  }
  static std::string error_of(const io::HttpResponse& response) {
    return std::to_string(response.status) + " " + std::string(response.headers.get("x-amzn-errortype"));
  }

  io::EventLoop loop_;
  io::SystemRandom random_;
  FunctionServiceOptions options_;
  std::unique_ptr<FunctionService> service_;
};

TEST_F(LambdaApiTest, KnowsItsPathsAndWhatTheyNeed) {
  EXPECT_TRUE(is_lambda_path("/2015-03-31/functions/"));
  EXPECT_TRUE(is_lambda_path("/2015-03-31/functions/a/invocations"));
  EXPECT_FALSE(is_lambda_path("/v1/functions"));
  EXPECT_FALSE(is_lambda_path("/2015-03-31/other"));
  const auto invoke = required_permission(
      request_to("POST",
                 "/2015-03-31/functions/"
                 "arn%3Aaws%3Alambda%3Aus-east-1%3A123456789012%3Afunction%3AF%3A%24LATEST/invocations"),
      "123456789012", "us-east-1");
  ASSERT_TRUE(invoke.has_value());
  EXPECT_EQ(invoke->action, "lambda:InvokeFunction");
  EXPECT_EQ(invoke->resource, "arn:aws:lambda:us-east-1:123456789012:function:F");
  EXPECT_EQ(required_permission(request_to("GET", "/2015-03-31/functions/"), "1", "r")->resource, "*");
  EXPECT_FALSE(required_permission(request_to("PATCH", "/2015-03-31/functions/"), "1", "r").has_value());
}

TEST_F(LambdaApiTest, CreatesShowsChangesAndDeletes) {
  const auto created = call(
      request_to("POST", "/2015-03-31/functions",
                 create_body(R"(,"Timeout":9,"Environment":{"Variables":{"AB":"1"}},"Tags":{"t":"u"})")));
  ASSERT_EQ(created.status, 201) << created.body;
  const auto value = json::parse(created.body).value();
  EXPECT_EQ(value.get("FunctionArn").as_string(), "arn:aws:lambda:us-east-1:123456789012:function:F");
  EXPECT_EQ(value.get("State").as_string(), "Active");
  EXPECT_EQ(value.get("Environment").get("Variables").get("AB").as_string(), "1");
  EXPECT_THAT(value.get("LastModified").to_std_string(), testing::EndsWith("+0000"));
  EXPECT_EQ(error_of(call(request_to("POST", "/2015-03-31/functions", create_body()))),
            "409 ResourceConflictException");

  const auto updated = call(
      request_to("PUT", "/2015-03-31/functions/F/configuration", R"({"MemorySize":256,"Environment":{}})"));
  EXPECT_EQ(json::parse(updated.body)->get("MemorySize").as_integer(), 256);
  EXPECT_EQ(json::parse(updated.body)->get("Timeout").as_integer(), 9) << "what is not named stays";
  EXPECT_FALSE(json::parse(updated.body)->has("Environment"));
  EXPECT_EQ(
      call(request_to("PUT", "/2017-10-31/functions/F/concurrency", R"({"ReservedConcurrentExecutions":5})"))
          .status,
      200);
  const auto shown = json::parse(call(request_to("GET", "/2015-03-31/functions/F")).body).value();
  EXPECT_EQ(shown.get("Concurrency").get("ReservedConcurrentExecutions").as_integer(), 5);
  EXPECT_EQ(shown.get("Tags").get("t").as_string(), "u");
  EXPECT_EQ(call(request_to("DELETE", "/2017-10-31/functions/F/concurrency")).status, 204);
  EXPECT_EQ(call(request_to("GET", "/2019-09-30/functions/F/concurrency")).body, "{}");
  EXPECT_EQ(call(request_to("DELETE", "/2015-03-31/functions/F")).status, 204);
  EXPECT_EQ(error_of(call(request_to("GET", "/2015-03-31/functions/F"))), "404 ResourceNotFoundException");
}

TEST_F(LambdaApiTest, SaysWhatIsWrong) {
  const auto create = [&](const std::string& body) {
    return error_of(call(request_to("POST", "/2015-03-31/functions", body)));
  };
  EXPECT_EQ(create("{nonsense"), "400 InvalidRequestContentException");
  EXPECT_EQ(create("[]"), "400 InvalidRequestContentException");
  EXPECT_EQ(create("{}"), "400 ValidationException");
  EXPECT_EQ(create(create_body(R"(,"Timeout":901)")), "400 ValidationException");
  EXPECT_EQ(create(create_body(R"(,"Timeout":"3")")), "400 SerializationException");
  EXPECT_EQ(create(create_body(R"(,"Publish":true)")), "400 InvalidParameterValueException");
  EXPECT_EQ(create(create_body(R"(,"VpcConfig":{"SubnetIds":["s"]})")), "400 InvalidParameterValueException");
  EXPECT_EQ(create(replace_all(create_body(), "UEs", "AAA")), "400 InvalidParameterValueException");
  EXPECT_TRUE(service_->list_functions("").empty()) << "a function whose package is refused does not exist";
  const auto unknown = call(request_to("POST", "/2015-03-31/functions/F/policy"));
  EXPECT_EQ(error_of(unknown), "501 UnsupportedOperationException");
  EXPECT_THAT(unknown.body, HasSubstr("not supported yet"));
}

TEST_F(LambdaApiTest, InvokesWithHeadersAsAwsSendsThem) {
  ASSERT_EQ(call(request_to("POST", "/2015-03-31/functions", create_body())).status, 201);
  const auto failed =
      call(request_to("POST", "/2015-03-31/functions/F/invocations", "{}", {{"X-Amz-Log-Type", "Tail"}}));
  EXPECT_EQ(failed.status, 200);
  EXPECT_EQ(failed.headers.get("X-Amz-Function-Error"), "Unhandled");
  EXPECT_EQ(failed.headers.get("X-Amz-Executed-Version"), "$LATEST");
  EXPECT_THAT(base64_decode(failed.headers.get("X-Amz-Log-Result")).value(), HasSubstr("REPORT RequestId: "));
  EXPECT_THAT(failed.body, HasSubstr("exit status 3"));
  EXPECT_EQ(call(request_to("POST", "/2015-03-31/functions/F/invocations", "{}",
                            {{"X-Amz-Invocation-Type", "DryRun"}}))
                .status,
            204);
  const auto event = call(
      request_to("POST", "/2015-03-31/functions/F/invocations", "{}", {{"X-Amz-Invocation-Type", "Event"}}));
  EXPECT_EQ(event.status, 202);
  EXPECT_EQ(event.body, "");
  EXPECT_EQ(error_of(call(request_to("POST", "/2015-03-31/functions/F/invocations", "{}",
                                     {{"X-Amz-Invocation-Type", "Maybe"}}))),
            "400 InvalidParameterValueException");
  EXPECT_EQ(error_of(call(request_to("POST", "/2015-03-31/functions/F/invocations?Qualifier=1", "{}"))),
            "404 ResourceNotFoundException");
  EXPECT_EQ(error_of(call(request_to("POST", "/2015-03-31/functions/F/invocations", "{x"))),
            "400 InvalidRequestContentException");
}

// The SDK as people use it, against a server that does nothing but hand requests over.
TEST_F(LambdaApiTest, WorksWithBoto3) {
  if (!io::path_exists(options_.python)) GTEST_SKIP() << "SKIP: no Python environment at " << options_.python;
  auto server = io::HttpServer::listen(
      loop_, {}, [this](io::HttpRequest request, std::shared_ptr<io::Responder> responder) {
        handle_lambda_request(*service_, request, "123456789012", [responder](io::HttpResponse response) {
          responder->send(std::move(response));
        });
      });
  ASSERT_TRUE(server.ok());
  const std::string script = R"(
import base64, boto3, io, json, zipfile
def package(source):
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as z: z.writestr("lambda_function.py", source)
    return data.getvalue()
client = boto3.client("lambda")
role = "arn:aws:iam::123456789012:role/lambda"
arn = client.create_function(FunctionName="Hello", Runtime="python3.11", Role=role, Handler="lambda_function.lambda_handler", Timeout=20,
    Code={"ZipFile": package("def lambda_handler(e, c):\n    print('in', e)\n    return {'got': e, 'ctx': c.client_context.custom if c.client_context else None}\n")})["FunctionArn"]
client.get_waiter("function_active_v2").wait(FunctionName="Hello")
context = base64.b64encode(json.dumps({"custom": {"k": "v"}}).encode()).decode()
r = client.invoke(FunctionName=arn, Payload=json.dumps({"a": "\u00e4"}), LogType="Tail", ClientContext=context)
assert json.load(r["Payload"]) == {"got": {"a": "\u00e4"}, "ctx": {"k": "v"}}, r
assert "in {'a': '\u00e4'}" in base64.b64decode(r["LogResult"]).decode()
assert r["StatusCode"] == 200 and "FunctionError" not in r and r["ExecutedVersion"] == "$LATEST"
assert client.invoke(FunctionName="Hello", InvocationType="Event")["StatusCode"] == 202
assert client.invoke(FunctionName="Hello", InvocationType="DryRun")["StatusCode"] == 204
client.update_function_code(FunctionName="Hello", ZipFile=package("def lambda_handler(e, c):\n    raise ValueError('v2')\n"))
client.get_waiter("function_updated_v2").wait(FunctionName="Hello")
r = client.invoke(FunctionName="Hello")
assert r["FunctionError"] == "Unhandled" and json.load(r["Payload"])["errorType"] == "ValueError"
client.update_function_configuration(FunctionName="Hello", Timeout=5, Environment={"Variables": {"AA": "b"}})
assert client.get_function_configuration(FunctionName="Hello")["Timeout"] == 5
assert [f["FunctionName"] for p in client.get_paginator("list_functions").paginate() for f in p["Functions"]] == ["Hello"]
assert client.get_function(FunctionName="Hello")["Configuration"]["Environment"]["Variables"] == {"AA": "b"}
client.delete_function(FunctionName="Hello")
try: client.get_function(FunctionName="Hello")
except client.exceptions.ResourceNotFoundException as e: assert "Function not found: arn:aws:lambda" in str(e)
else: raise AssertionError("still there")
try: client.create_function(FunctionName="Bad", Runtime="python3.11", Role=role, Handler="a.b", Code={"ZipFile": b"no zip"})
except client.exceptions.InvalidParameterValueException as e: assert "Could not unzip uploaded file" in str(e)
else: raise AssertionError("no zip was taken")
print("all well")
)";
  std::string output;
  std::optional<io::ChildExit> exit;
  const auto child = io::ChildProcess::spawn(
      loop_,
      {.argv = {options_.python, "-c", script},
       .environment = {"AWS_ENDPOINT_URL_LAMBDA=http://127.0.0.1:" + std::to_string((*server)->port()),
                       "AWS_ACCESS_KEY_ID=a", "AWS_SECRET_ACCESS_KEY=b", "AWS_DEFAULT_REGION=us-east-1",
                       "PATH=/usr/bin:/bin"}},
      {.on_line = [&](io::ChildOutput, std::string_view line) { output += std::string(line) + "\n"; },
       .on_exit = [&](io::ChildExit ended) { exit = ended; }});
  ASSERT_TRUE(child.ok());
  ASSERT_TRUE(loop_.run_until([&] { return exit.has_value(); }, 60'000)) << output;
  EXPECT_EQ(output, "all well\n");
}

}  // namespace
}  // namespace sortie::functions
