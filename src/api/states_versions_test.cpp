// Versions and aliases through the API.
#include "api/testing/states_fixture.h"

namespace sortie::api {
namespace {

using namespace api::testing;

struct VersionsApi : StatesApiTest {
  std::string other_definition(int n) {
    return R"({"StartAt":"A","States":{"A":{"Type":"Pass","Result":)" + std::to_string(n) +
           R"(,"End":true}}})";
  }
  json::Value update(const std::string& machine, const std::string& definition, bool publish) {
    const Result<json::Value> answer =
        call("UpdateStateMachine",
             json::Value::object(
                 {{"stateMachineArn", machine}, {"definition", definition}, {"publish", publish}}));
    EXPECT_TRUE(answer.ok());
    return answer.ok() ? *answer : json::Value();
  }
  std::string publish(const std::string& machine) {
    const Result<json::Value> answer =
        call("PublishStateMachineVersion", json::Value::object({{"stateMachineArn", machine}}));
    EXPECT_TRUE(answer.ok());
    return answer.ok() ? answer->get("stateMachineVersionArn").to_std_string() : "";
  }
  std::vector<std::string> versions(const std::string& machine) {
    std::vector<std::string> out;
    const Result<json::Value> answer =
        call("ListStateMachineVersions", json::Value::object({{"stateMachineArn", machine}}));
    for (const json::Value& item : answer->get("stateMachineVersions").items()) {
      out.push_back(item.get("stateMachineVersionArn").to_std_string());
    }
    return out;
  }
  static json::Value route(const std::string& version, int weight) {
    return json::Value::object({{"stateMachineVersionArn", version}, {"weight", weight}});
  }
  json::Value alias_input(const std::string& name, std::vector<json::Value> routes) {
    return json::Value::object(
        {{"name", name}, {"routingConfiguration", json::Value::array(std::move(routes))}});
  }
};

TEST_F(VersionsApi, OneRevisionIsPublishedOnceAndNumbersNeverComeBack) {
  const std::string machine = make_machine("m");
  EXPECT_EQ(publish(machine), machine + ":1");
  EXPECT_EQ(publish(machine), machine + ":1");
  const json::Value updated = update(machine, other_definition(1), true);
  EXPECT_EQ(updated.get("stateMachineVersionArn"), json::Value(machine + ":2"));
  EXPECT_EQ(text("DeleteStateMachineVersion", R"({"stateMachineVersionArn":")" + machine + R"(:2"})"), "{}");
  EXPECT_EQ(text("DeleteStateMachineVersion", R"({"stateMachineVersionArn":")" + machine + R"(:2"})"), "{}");
  EXPECT_EQ(publish(machine), machine + ":3");
  EXPECT_EQ(versions(machine), (std::vector<std::string>{machine + ":3", machine + ":1"}));
}

TEST_F(VersionsApi, AVersionKeepsWhatTheMachineWas) {
  const std::string machine = make_machine("m");
  publish(machine);
  const json::Value updated = update(machine, other_definition(1), false);
  EXPECT_FALSE(updated.has("stateMachineVersionArn"));
  const json::Value described =
      *call("DescribeStateMachine", json::Value::object({{"stateMachineArn", machine + ":1"}}));
  EXPECT_EQ(described.get("stateMachineArn"), json::Value(machine + ":1"));
  EXPECT_EQ(described.get("name"), json::Value("m"));
  EXPECT_EQ(described.get("definition"), json::Value(kPassDefinition));
  EXPECT_FALSE(described.has("revisionId"));
  // A listing of machines has no versions in it.
  EXPECT_EQ(call("ListStateMachines", "{}")->get("stateMachines").size(), 1u);
}

TEST_F(VersionsApi, PublishingNamesTheRevisionItExpects) {
  const std::string machine = make_machine("m");
  const std::string revision = update(machine, other_definition(1), false).get("revisionId").to_std_string();
  EXPECT_EQ(
      text("PublishStateMachineVersion",
           R"({"stateMachineArn":")" + machine + R"(","revisionId":"INITIAL"})"),
      "ConflictException: Failed to publish the State Machine version for revision INITIAL. The current "
      "State Machine revision is " +
          revision + ".");
  EXPECT_TRUE(call("PublishStateMachineVersion",
                   json::Value::object({{"stateMachineArn", machine}, {"revisionId", revision}}))
                  .ok());
}

TEST_F(VersionsApi, CreatingWithPublishIsIdempotentAndKeepsTheDescription) {
  const json::Value input =
      json::ObjectBuilder(machine_input("m")).set("publish", true).set("versionDescription", "first").build();
  for (int i = 0; i < 2; ++i) {
    const Result<json::Value> made = call("CreateStateMachine", input);
    ASSERT_TRUE(made.ok());
    EXPECT_EQ(made->get("stateMachineVersionArn"), json::Value(arn("m") + ":1"));
  }
  EXPECT_EQ(call("DescribeStateMachine", json::Value::object({{"stateMachineArn", arn("m") + ":1"}}))
                ->get("description"),
            json::Value("first"));
  EXPECT_EQ(text("UpdateStateMachine",
                 R"({"stateMachineArn":")" + arn("m") +
                     R"(","roleArn":"arn:aws:iam::123456789012:role/x","versionDescription":"d"})"),
            "ValidationException: Version description can only be set when publish is true");
}

TEST_F(VersionsApi, VersionsAreListedNewestFirstInPages) {
  const std::string machine = make_machine("m");
  for (int i = 1; i <= 12; ++i) update(machine, other_definition(i), true);
  json::Value page = *call("ListStateMachineVersions",
                           json::Value::object({{"stateMachineArn", machine}, {"maxResults", 5}}));
  EXPECT_EQ(page.get("stateMachineVersions").items()[0].get("stateMachineVersionArn"),
            json::Value(machine + ":12"));
  page = *call("ListStateMachineVersions",
               json::Value::object({{"stateMachineArn", machine}, {"nextToken", page.get("nextToken")}}));
  EXPECT_EQ(page.get("stateMachineVersions").size(), 7u);
  EXPECT_FALSE(page.has("nextToken"));
}

TEST_F(VersionsApi, AnAliasRoutesToDifferentVersionsOfOneMachineWithAllTheWeight) {
  const std::string machine = make_machine("m"), other = make_machine("n");
  const std::string one = publish(machine);
  const std::string two =
      update(machine, other_definition(1), true).get("stateMachineVersionArn").to_std_string();
  const auto code = [&](std::vector<json::Value> routes) {
    const std::string answer =
        text("CreateStateMachineAlias", json::to_text(alias_input("live", std::move(routes))));
    return answer.substr(0, answer.find(" Received"));
  };
  EXPECT_EQ(code({route(machine, 100)}),
            "ValidationException: Routing configuration must contain state machine version ARNs.");
  EXPECT_EQ(code({route(one, 50), route(one, 50)}),
            "ValidationException: Routing configuration must contain distinct state machine version ARNs.");
  EXPECT_EQ(code({route(one, 50), route(two, 40)}),
            "ValidationException: Sum of routing configuration weights must equal 100.");
  EXPECT_EQ(code({route(one, 50), route(publish(other), 50)}),
            "ValidationException: Routing configuration must contain versions of the same state machine.");
  EXPECT_TRUE(code({route(machine + ":9", 100)}).starts_with("ResourceNotFound: "));
  EXPECT_TRUE(runtime.aliases.empty());
  EXPECT_TRUE(call("CreateStateMachineAlias", alias_input("live", {route(one, 30), route(two, 70)})).ok());
}

TEST_F(VersionsApi, AnAliasLivesUntilItIsDeletedAndProtectsItsVersions) {
  const std::string machine = make_machine("m");
  const std::string one = publish(machine);
  const json::Value created = *call("CreateStateMachineAlias", alias_input("live", {route(one, 100)}));
  const std::string alias = created.get("stateMachineAliasArn").to_std_string();
  EXPECT_EQ(alias, machine + ":live");
  EXPECT_EQ(*call("CreateStateMachineAlias", alias_input("live", {route(one, 100)})), created);
  EXPECT_EQ(
      text("DeleteStateMachineVersion", R"({"stateMachineVersionArn":")" + one + "\"}"),
      "ConflictException: Version to be deleted must not be referenced by an alias. Current list of aliases "
      "referencing this version: [live]");
  loop.advance_ms(1000);
  EXPECT_TRUE(call("UpdateStateMachineAlias",
                   json::Value::object({{"stateMachineAliasArn", alias}, {"description", "d"}}))
                  .ok());
  const json::Value described =
      *call("DescribeStateMachineAlias", json::Value::object({{"stateMachineAliasArn", alias}}));
  EXPECT_EQ(described.get("description"), json::Value("d"));
  EXPECT_EQ(described.get("routingConfiguration"), json::Value::array({route(one, 100)}));
  EXPECT_LT(described.get("creationDate").as_double(), described.get("updateDate").as_double());
  EXPECT_EQ(call("ListStateMachineAliases", json::Value::object({{"stateMachineArn", one}}))
                ->get("stateMachineAliases")
                .size(),
            1u);
  EXPECT_TRUE(call("DeleteStateMachineAlias", json::Value::object({{"stateMachineAliasArn", alias}})).ok());
  EXPECT_EQ(
      call("DescribeStateMachineAlias", json::Value::object({{"stateMachineAliasArn", alias}})).error().code,
      "ResourceNotFound");
  EXPECT_TRUE(call("DeleteStateMachineVersion", json::Value::object({{"stateMachineVersionArn", one}})).ok());
}

TEST_F(VersionsApi, ExecutionsStartByVersionAndAliasAndAreListedByThem) {
  const std::string machine = make_machine("m");
  const std::string one = publish(machine);
  EXPECT_TRUE(call("CreateStateMachineAlias", alias_input("live", {route(one, 100)})).ok());
  EXPECT_TRUE(call("StartExecution", json::Value::object({{"stateMachineArn", one}})).ok());
  EXPECT_TRUE(call("StartExecution", json::Value::object({{"stateMachineArn", machine + ":live"}})).ok());
  EXPECT_EQ(
      call("StartExecution", json::Value::object({{"stateMachineArn", machine + ":gone"}})).error().code,
      "StateMachineDoesNotExist");
  const std::string by_alias = make_execution(store::ExecutionStatus::kSucceeded, "a");
  runtime.executions[by_alias].version_arn = one;
  runtime.executions[by_alias].alias_arn = machine + ":live";
  const std::string plain = make_execution(store::ExecutionStatus::kSucceeded, "p");
  store.rows = {{1, by_alias, machine, "a", store::ExecutionStatus::kSucceeded, loop.now(), loop.now(), ""},
                {2, plain, machine, "p", store::ExecutionStatus::kSucceeded, loop.now(), loop.now(), ""}};
  for (const std::string& arn : {one, machine + ":live"}) {
    const json::Value listed = *call("ListExecutions", json::Value::object({{"stateMachineArn", arn}}));
    ASSERT_EQ(listed.get("executions").size(), 1u);
    EXPECT_EQ(listed.get("executions").items()[0].get("stateMachineVersionArn"), json::Value(one));
  }
  EXPECT_EQ(
      call("ListExecutions", json::Value::object({{"stateMachineArn", machine}}))->get("executions").size(),
      2u);
}

}  // namespace
}  // namespace sortie::api
