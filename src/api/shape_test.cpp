// Every operation against every kind of wrong value in every place, and hostile signatures: clear errors, no
// crash.
#include "api/shape.h"

#include "api/sigv4.h"
#include "api/states_shapes.h"
#include "api/testing/states_fixture.h"

namespace sortie::api {
namespace {

using namespace api::testing;

using WrongValues = StatesApiTest;

constexpr const char* kOperations[] = {"CreateActivity",
                                       "CreateStateMachine",
                                       "CreateStateMachineAlias",
                                       "DeleteActivity",
                                       "DeleteStateMachine",
                                       "DeleteStateMachineAlias",
                                       "DeleteStateMachineVersion",
                                       "DescribeActivity",
                                       "DescribeExecution",
                                       "DescribeMapRun",
                                       "DescribeStateMachine",
                                       "DescribeStateMachineAlias",
                                       "DescribeStateMachineForExecution",
                                       "GetActivityTask",
                                       "GetExecutionHistory",
                                       "ListActivities",
                                       "ListExecutions",
                                       "ListMapRuns",
                                       "ListStateMachineAliases",
                                       "ListStateMachineVersions",
                                       "ListStateMachines",
                                       "ListTagsForResource",
                                       "PublishStateMachineVersion",
                                       "RedriveExecution",
                                       "SendTaskFailure",
                                       "SendTaskHeartbeat",
                                       "SendTaskSuccess",
                                       "StartExecution",
                                       "StartSyncExecution",
                                       "StopExecution",
                                       "TagResource",
                                       "TestState",
                                       "UntagResource",
                                       "UpdateMapRun",
                                       "UpdateStateMachine",
                                       "UpdateStateMachineAlias",
                                       "ValidateStateMachineDefinition"};

bool fits(Shape::Type type, const json::Value& value) {
  switch (type) {
    case Shape::Type::kString:
      return value.is_string();
    case Shape::Type::kInteger:
    case Shape::Type::kNumber:
      return value.is_number();
    case Shape::Type::kBoolean:
      return value.is_bool();
    case Shape::Type::kList:
      return value.is_array();
    case Shape::Type::kStructure:
      return value.is_object();
  }
  return false;
}

TEST_F(WrongValues, InAnyMemberOfAnyOperationAreSerializationErrors) {
  const json::Value values[] = {parse_json("1"),
                                parse_json("1.5"),
                                parse_json("\"text\""),
                                parse_json("true"),
                                parse_json("[1]"),
                                parse_json("{\"a\":1}"),
                                parse_json("123456789012345678901234567890")};
  int tried = 0;
  for (const char* operation : kOperations) {
    const Shape* shape = find_states_shape(operation);
    ASSERT_NE(shape, nullptr) << operation;
    for (const ShapeMember& member : shape->members) {
      for (const json::Value& value : values) {
        if (fits(member.shape->type, value)) continue;
        const auto answers = pending(operation, json::Value::object({{member.name, value}}));
        ASSERT_EQ(answers.size(), 1u) << operation;
        ASSERT_FALSE(answers[0].ok());
        EXPECT_EQ(answers[0].error().code, "SerializationException") << operation << " " << member.name;
        ++tried;
      }
    }
  }
  EXPECT_GT(tried, 400);
  EXPECT_TRUE(runtime.machines.empty());
  EXPECT_TRUE(runtime.calls.empty());
  EXPECT_EQ(store.inner.commits, 0u);
}

TEST_F(WrongValues, MissingMembersAreNamedForEveryOperation) {
  for (const char* operation : kOperations) {
    bool has_required = false;
    for (const ShapeMember& member : find_states_shape(operation)->members) has_required |= member.required;
    if (!has_required) continue;
    const auto answers = pending(operation, json::Value::object({}));
    ASSERT_EQ(answers.size(), 1u) << operation;
    ASSERT_FALSE(answers[0].ok());
    EXPECT_EQ(answers[0].error().code, "ValidationException") << operation;
    EXPECT_NE(answers[0].error().message.find("Member must not be null"), std::string::npos) << operation;
  }
}

TEST_F(WrongValues, AThousandBadItemsMakeAShortAnswer) {
  std::vector<json::Value> tags(1000, json::Value::object({{"key", ""}, {"value", std::string(300, 'v')}}));
  const auto answer =
      call("TagResource",
           json::Value::object({{"resourceArn", "a"}, {"tags", json::Value::array(std::move(tags))}}));
  ASSERT_FALSE(answer.ok());
  EXPECT_LT(answer.error().message.size(), 10'000u);
}

TEST(HostileSignatures, NeitherPassNorCrash) {
  SeededRandom random(11);
  const SigningKey key = account_key();
  FixedKeyRing ring;
  ring.add(key);
  const Timestamp now{1'795'392'000'000};
  io::HttpRequest good;
  good.method = "POST";
  good.path = "/a%20b";
  good.query = "x=1&y=%2F";
  good.headers = {{"Host", "h"}, {"X-Amz-Target", "AWSStepFunctions.ListStateMachines"}};
  good.body = "{}";
  sign_request(good, {key.access_key_id, key.secret_access_key, "", "states", "us-east-1"}, now);
  ASSERT_TRUE(verify_signature(good, ring, now).ok());
  const std::string header(good.headers.get("authorization"));
  for (int round = 0; round < 3000; ++round) {
    std::string bad = header;
    for (std::uint64_t edits = 1 + random.next() % 4; edits > 0; --edits) {
      const std::size_t at = random.next() % bad.size();
      switch (random.next() % 3) {
        case 0:
          bad[at] = static_cast<char>(random.next());
          break;
        case 1:
          bad.erase(at, 1 + random.next() % 20);
          break;
        default:
          bad.insert(at, std::string(random.next() % 5, "=,;/ \xff"[random.next() % 6]));
      }
      if (bad.empty()) bad = "A";
    }
    // What means the same (blanks, case, repeated commas) is no change.
    io::HttpRequest request = good;
    request.headers.set("Authorization", bad);
    const Result<Verified> verified = verify_signature(request, ring, now);
    EXPECT_TRUE(!verified.ok() || verified->key.access_key_id == key.access_key_id) << bad;
    request = good;
    std::string& part = round % 2 == 0 ? request.path : request.query;
    part[random.next() % part.size()] ^= static_cast<char>(1 + random.next() % 255);
    static_cast<void>(verify_signature(request, ring, now));
  }
}

}  // namespace
}  // namespace sortie::api
