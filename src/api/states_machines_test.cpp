// State machines through the API: answers, errors and their order as AWS has them.
#include "api/testing/states_fixture.h"

namespace sortie::api {
namespace {

using namespace api::testing;

using MachinesApi = StatesApiTest;

TEST_F(MachinesApi, CreatesAStateMachineAndDescribesItAsAwsDoes) {
  EXPECT_EQ(
      text("CreateStateMachine", json::to_text(machine_input("m"))),
      R"({"stateMachineArn":"arn:aws:states:us-east-1:123456789012:stateMachine:m","creationDate":1795392000.0})");
  const json::Value described = *call("DescribeStateMachine", R"({"stateMachineArn":")" + arn("m") + "\"}");
  EXPECT_EQ(described, json::Value::object({{"stateMachineArn", arn("m")},
                                            {"name", "m"},
                                            {"status", "ACTIVE"},
                                            {"definition", kPassDefinition},
                                            {"roleArn", kRole},
                                            {"type", "STANDARD"},
                                            {"creationDate", 1795392000.0},
                                            {"loggingConfiguration",
                                             parse_json(R"({"level":"OFF","includeExecutionData":false})")},
                                            {"tracingConfiguration", parse_json(R"({"enabled":false})")}}));
}

TEST_F(MachinesApi, AMachineWithVariablesIsDescribedWithWhoReadsThemAndWithItsEncryption) {
  ASSERT_TRUE(call("CreateStateMachine",
                   machine_input(
                       "m", R"({"StartAt":"A","States":{"A":{"Type":"Pass","Assign":{"x":1,"y":2},"Next":"B"},
    "B":{"Type":"Pass","Parameters":{"a.$":"$y","b.$":"$x"},"End":true}}})"))
                  .ok());
  const std::string where = R"({"stateMachineArn":")" + arn("m") + "\"}";
  EXPECT_EQ(call("DescribeStateMachine", where)->get("variableReferences"), parse_json(R"({"B":["x","y"]})"));
  EXPECT_EQ(call("DescribeStateMachine", where)->get("encryptionConfiguration"),
            parse_json(R"({"type":"AWS_OWNED_KEY"})"));
}

TEST_F(MachinesApi, AKeyOfTheCustomersOwnIsRefusedInsteadOfPromised) {
  for (const char* configuration : {R"({"type":"CUSTOMER_MANAGED_KMS_KEY","kmsKeyId":"k"})",
                                    R"({"type":"AWS_OWNED_KEY","kmsKeyId":"k"})"}) {
    json::ObjectBuilder input(machine_input("m"));
    input.set("encryptionConfiguration", parse_json(configuration));
    const auto refused = call("CreateStateMachine", input.build());
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.error().code, "InvalidEncryptionConfiguration");
  }
  make_machine("m");
  json::ObjectBuilder same(machine_input("m"));
  same.set("encryptionConfiguration", parse_json(R"({"type":"AWS_OWNED_KEY"})"));
  EXPECT_TRUE(call("CreateStateMachine", same.build()).ok()) << "the default, said aloud";
}

TEST_F(MachinesApi, CreatingTheSameMachineAgainAnswersTheFirstOneAndADifferentOneIsRefused) {
  make_machine("m");
  loop.advance_ms(5000);
  json::Value again = *call("CreateStateMachine", machine_input("m"));
  EXPECT_EQ(again.get("creationDate").as_double(), 1795392000.0);
  // Role and tags are not compared, as on AWS.
  json::ObjectBuilder other_role(machine_input("m"));
  EXPECT_TRUE(
      call("CreateStateMachine", other_role.set("roleArn", "arn:aws:iam::123456789012:role/x").build()).ok());
  EXPECT_EQ(runtime.machines[arn("m")].role_arn, kRole);
  const auto refused =
      call("CreateStateMachine", machine_input("m", R"({"StartAt":"B","States":{"B":{"Type":"Succeed"}}})"));
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, "StateMachineAlreadyExists");
  EXPECT_EQ(refused.error().message, "State Machine Already Exists: '" + arn("m") + "'");
}

TEST_F(MachinesApi, TwoCreationsOfOneNameAtOnceMakeOneMachine) {
  std::vector<Result<json::Value>> answers;
  const auto collect = [&](Result<json::Value> answer) { answers.push_back(std::move(answer)); };
  api.handle({"states", "CreateStateMachine", machine_input("m"), caller, peer}, collect);
  api.handle({"states", "CreateStateMachine",
              machine_input("m", R"({"StartAt":"B","States":{"B":{"Type":"Succeed"}}})"), caller, peer},
             collect);
  loop.run();
  ASSERT_EQ(answers.size(), 2u);
  EXPECT_TRUE(answers[0].ok());
  ASSERT_FALSE(answers[1].ok());
  EXPECT_EQ(answers[1].error().code, "StateMachineAlreadyExists");
}

TEST_F(MachinesApi, ThousandsOfChangesInOneLineNeedNoStack) {
  make_machine("m");
  int answered = 0;
  runtime.fail = Error{"ServiceUnavailable", "", "", ""};
  for (int i = 0; i < 5'000; ++i) {
    api.handle({"states", "CreateStateMachine", machine_input("m"), caller, peer},
               [&](const Result<json::Value>&) { ++answered; });
  }
  loop.run();
  EXPECT_EQ(answered, 5'000);
}

TEST_F(MachinesApi, ChecksNamesRolesAndDefinitionsInAwsOrder) {
  const std::string bad = R"({"name":"a b","definition":"{}","roleArn":"nope"})";
  EXPECT_EQ(text("CreateStateMachine", bad), "InvalidName: Invalid Name: 'a b'");
  EXPECT_EQ(text("CreateStateMachine", R"({"name":"a","definition":"{}","roleArn":"nope"})"),
            "InvalidArn: Invalid Role Arn: 'nope'");
  EXPECT_EQ(
      text("CreateStateMachine", json::to_text(machine_input("a", R"({"Comment":"x","StartAt":"State_1"})"))),
      "InvalidDefinition: Invalid State Machine Definition: 'SCHEMA_VALIDATION_FAILED: These fields are "
      "required: [States] at /'");
  EXPECT_TRUE(runtime.machines.empty());
}

TEST_F(MachinesApi, ReportsAllViolatedConstraintsTogether) {
  EXPECT_EQ(
      text("CreateStateMachine", "{}"),
      "ValidationException: 3 validation errors detected: Value null at 'name' failed to satisfy constraint: "
      "Member must not be null; Value null at 'definition' failed to satisfy constraint: Member must not be "
      "null; Value null at 'roleArn' failed to satisfy constraint: Member must not be null");
  EXPECT_EQ(text("ListExecutions", R"({"stateMachineArn":"x","statusFilter":"succeeded"})"),
            "ValidationException: 1 validation error detected: Value 'succeeded' at 'statusFilter' failed to "
            "satisfy "
            "constraint: Member must satisfy enum value set: [SUCCEEDED, TIMED_OUT, PENDING_REDRIVE, "
            "ABORTED, FAILED, "
            "RUNNING]");
  EXPECT_EQ(
      text("ListStateMachines", R"({"maxResults":1001})"),
      "ValidationException: 1 validation error detected: Value '1001' at 'maxResults' failed to satisfy "
      "constraint: Member must have value less than or equal to 1000");
  EXPECT_EQ(
      text("CreateStateMachineAlias",
           R"({"name":"123","routingConfiguration":[{"stateMachineVersionArn":"a","weight":100}]})"),
      "ValidationException: 1 validation error detected: Value '123' at 'name' failed to satisfy constraint: "
      "Member must satisfy regular expression pattern: ^(?=.*[a-zA-Z_\\-\\.])[a-zA-Z0-9_\\-\\.]+$");
  EXPECT_EQ(
      text("TagResource", R"({"resourceArn":"a","tags":[{"key":"","value":"v"}]})"),
      "ValidationException: 1 validation error detected: Value '' at 'tags.1.member.key' failed to satisfy "
      "constraint: Member must have length greater than or equal to 1");
}

TEST_F(MachinesApi, NeverRepeatsSensitiveValues) {
  const std::string long_input(262'145, 'x');
  const auto answer =
      call("StartExecution", json::Value::object({{"stateMachineArn", "a"}, {"input", long_input}}));
  ASSERT_FALSE(answer.ok());
  EXPECT_EQ(answer.error().message,
            "1 validation error detected: Value at 'input' failed to satisfy constraint: Member must have "
            "length less "
            "than or equal to 262144");
}

TEST_F(MachinesApi, WrongJsonTypesAreSerializationErrorsForEveryMember) {
  EXPECT_EQ(text("DescribeStateMachine", R"({"stateMachineArn":1})"),
            "SerializationException: NUMBER_VALUE can not be converted to a String");
  EXPECT_EQ(text("DescribeStateMachine", R"({"stateMachineArn":true})"),
            "SerializationException: TRUE_VALUE can not be converted to a String");
  EXPECT_EQ(text("DescribeStateMachine", R"({"stateMachineArn":{"a":1}})"),
            "SerializationException: Start of structure or map found where not expected.");
  EXPECT_EQ(text("ListStateMachines", R"({"maxResults":"10"})"),
            "SerializationException: STRING_VALUE can not be converted to an Integer");
  EXPECT_EQ(text("CreateActivity", R"({"name":"a","tags":"t"})"),
            "SerializationException: Expected list or null");
  EXPECT_EQ(text("GetExecutionHistory", R"({"executionArn":"a","reverseOrder":"yes"})"),
            "SerializationException: STRING_VALUE can not be converted to a Boolean");
  EXPECT_EQ(text("CreateStateMachine", R"({"name":"a","loggingConfiguration":[]})"),
            "SerializationException: Unexpected field type");
}

TEST_F(MachinesApi, UnknownOperationsAndThoseNotBuiltYetSaySo) {
  EXPECT_EQ(text("MakeCoffee", "{}"), "UnknownOperationException: ");
  EXPECT_EQ(
      text("CreateStateMachine",
           json::to_text(json::ObjectBuilder(machine_input("m")).set("versionDescription", "v").build())),
      "ValidationException: Version description can only be set when publish is true");
  EXPECT_TRUE(runtime.machines.empty());
}

TEST_F(MachinesApi, LoggingNeedsExactlyOneDestinationUnlessItIsOff) {
  const auto create = [&](const char* logging) {
    return text("CreateStateMachine", json::to_text(json::ObjectBuilder(machine_input("l"))
                                                        .set("loggingConfiguration", parse_json(logging))
                                                        .build()));
  };
  const std::string error =
      "InvalidLoggingConfiguration: Invalid Logging Configuration: Must specify exactly one Log Destination.";
  EXPECT_EQ(create(R"({"level":"FATAL"})"), error);
  EXPECT_EQ(create(R"({"level":"ALL","destinations":[{"cloudWatchLogsLogGroup":{"logGroupArn":"a"}},{}]})"),
            error);
  EXPECT_EQ(create(R"({"level":"ALL","destinations":[{"cloudWatchLogsLogGroup":{"logGroupArn":"a"}}]})"),
            "InvalidLoggingConfiguration: Invalid Logging Configuration: Log Destination not found.");
  EXPECT_NE(create("{}").find("stateMachineArn"), std::string::npos);
}

TEST_F(MachinesApi, AnUpdateChangesTheRevisionOnlyWhereItChangesSomething) {
  const std::string machine = make_machine("m");
  const std::string role = R"(,"roleArn":"arn:aws:iam::123456789012:role/other"})";
  const json::Value first = *call("UpdateStateMachine", R"({"stateMachineArn":")" + machine + "\"" + role);
  const std::string revision = first.get("revisionId").to_std_string();
  EXPECT_EQ(revision.size(), 36u);
  const json::Value second = *call("UpdateStateMachine", R"({"stateMachineArn":")" + machine + "\"" + role);
  EXPECT_EQ(second.get("revisionId").to_std_string(), revision);
  const json::Value described = *call("DescribeStateMachine", R"({"stateMachineArn":")" + machine + "\"}");
  EXPECT_EQ(described.get("revisionId").to_std_string(), revision);
  EXPECT_EQ(described.get("roleArn").to_std_string(), "arn:aws:iam::123456789012:role/other");
}

TEST_F(MachinesApi, AnUpdateSaysWhatIsMissingOrWrong) {
  const std::string machine = make_machine("m");
  EXPECT_EQ(text("UpdateStateMachine", R"({"stateMachineArn":")" + machine + "\"}").substr(0, 24),
            "MissingRequiredParameter");
  EXPECT_EQ(text("UpdateStateMachine", R"({"stateMachineArn":")" + machine + R"(:2","definition":"{}"})"),
            "StateMachineDoesNotExist: State Machine Does Not Exist: '" + machine + ":2'");
  EXPECT_EQ(text("UpdateStateMachine", R"({"stateMachineArn":")" + machine + R"(","definition":"nonsense"})")
                .substr(0, 17),
            "InvalidDefinition");
  EXPECT_EQ(runtime.machines[machine].definition, kPassDefinition);
}

TEST_F(MachinesApi, DeletingIsIdempotentAndTheMachineIsGoneAtOnce) {
  const std::string machine = make_machine("m");
  EXPECT_EQ(text("DeleteStateMachine", R"({"stateMachineArn":")" + machine + "\"}"), "{}");
  EXPECT_EQ(text("DeleteStateMachine", R"({"stateMachineArn":")" + machine + "\"}"), "{}");
  EXPECT_EQ(text("ListStateMachines", "{}"), R"({"stateMachines":[]})");
  EXPECT_EQ(text("DescribeStateMachine", R"({"stateMachineArn":")" + machine + "\"}"),
            "StateMachineDoesNotExist: State Machine Does Not Exist: '" + machine + "'");
}

TEST_F(MachinesApi, MalformedArnsAreToldAsAwsTellsThem) {
  EXPECT_EQ(text("ListExecutions", R"({"stateMachineArn":"invalid_state_machine_arn"})"),
            "InvalidArn: Invalid Arn: 'Invalid ARN prefix: invalid_state_machine_arn'");
  EXPECT_EQ(
      text("DescribeExecution", R"({"executionArn":"arn:aws:states:us-east-1:123456789012:express:m:a:b"})"),
      "InvalidArn: Invalid Arn: 'Resource type not valid in this context: express'");
  for (const char* arn : {"arn:", "arn:aws:states", "arn:aws:states:us-east-1:1:stateMachine:m",
                          "arn:aws:lambda:us-east-1:123456789012:function:f",
                          "arn:aws:states:us-east-1:123456789012:stateMachine:"}) {
    const auto answer = call("DescribeStateMachine", json::Value::object({{"stateMachineArn", arn}}));
    ASSERT_FALSE(answer.ok());
    EXPECT_EQ(answer.error().code, "InvalidArn") << arn;
  }
}

TEST_F(MachinesApi, ListsPageByPageInOrderOfCreation) {
  for (int i = 0; i < 5; ++i) {
    make_machine("m" + std::to_string(9 - i));
    loop.advance_ms(1);
  }
  std::vector<std::string> names;
  std::string token;
  do {
    json::ObjectBuilder input;
    input.set("maxResults", 2);
    if (!token.empty()) input.set("nextToken", token);
    const json::Value page = *call("ListStateMachines", input.build());
    EXPECT_LE(page.get("stateMachines").size(), 2u);
    for (const json::Value& item : page.get("stateMachines").items())
      names.push_back(item.get("name").to_std_string());
    token = text_member(page, "nextToken");
  } while (!token.empty());
  EXPECT_EQ(names, (std::vector<std::string>{"m9", "m8", "m7", "m6", "m5"}));
}

TEST_F(MachinesApi, PageTokensOfOtherListingsAndNonsenseAreRefused) {
  make_machine("a");
  make_machine("b");
  const std::string token = text_member(*call("ListStateMachines", R"({"maxResults":1})"), "nextToken");
  ASSERT_FALSE(token.empty());
  for (const std::string& bad : {std::string("x"), token + "A", token.substr(0, 10), std::string("!!!!")}) {
    EXPECT_EQ(text("ListStateMachines", json::to_text(json::Value::object({{"nextToken", bad}}))),
              "InvalidToken: Invalid Token: 'Invalid token'");
  }
  EXPECT_EQ(text("ListActivities", json::to_text(json::Value::object({{"nextToken", token}}))).substr(0, 12),
            "InvalidToken");
}

TEST_F(MachinesApi, ValidateAnswersDiagnosticsAndCreatesNothing) {
  EXPECT_EQ(text("ValidateStateMachineDefinition",
                 json::to_text(json::Value::object({{"definition", kPassDefinition}}))),
            R"({"result":"OK","diagnostics":[],"truncated":false})");
  EXPECT_EQ(text("ValidateStateMachineDefinition", R"({"definition":" "})"),
            R"({"result":"FAIL","diagnostics":[{"severity":"ERROR","code":"SCHEMA_VALIDATION_FAILED",)"
            R"("message":"Definition must be a valid JSON object"}],"truncated":false})");
  const json::Value cut =
      *call("ValidateStateMachineDefinition",
            json::Value::object(
                {{"definition", R"({"StartAt":"A","States":{"A":{},"B":{},"C":{}}})"}, {"maxResults", 1}}));
  EXPECT_EQ(cut.get("diagnostics").size(), 1u);
  EXPECT_EQ(cut.get("truncated"), json::Value(true));
}

}  // namespace
}  // namespace sortie::api
