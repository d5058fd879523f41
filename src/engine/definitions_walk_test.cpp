// Definitions of the kinds that people publish (tests/definitions) run in a world whose tasks answer at
// random: whatever comes, each execution ends, and its history is a history.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "engine/testing/driver.h"

namespace sortie::engine {
namespace {

using testing::Driver;
using testing::TaskCall;

// An answer in which the members that those definitions read are there, now and then wrong or missing.
json::Value plausible_answer(SeededRandom& random) {
  const char* kText = R"({"Payload":{"ok":true,"stock":"low","address":"a","phone":"p"},"ExecutionTime":5,
    "Crawler":{"State":"READY"},"ClusterId":"j-1","ModelArtifacts":{"S3ModelArtifacts":"s3://m"},
    "Body":{"completion":"c"},"QueryExecution":{"QueryExecutionId":"q"},"Output":{"a":1},"status":"ok",
    "logs":{"pods":{"pi":["3.14"]}},"Item":{"OrderId":{"S":"1"}},"Contents":[{"Key":"k"}]})";
  static const json::Value kAnswer = *json::parse(kText);
  switch (random.next() % 8) {
    case 0:
      return json::Value("SUCCEEDED");
    case 1:
      return json::Value::object({});
    default:
      return kAnswer;
  }
}

const char* kPlausibleInput =
    R"({"day":"2026-11-23","subnets":["s"],"guid":"g","wait_time":1,"bucket":"b","key":"k",
  "detail":{"shipped":[{"n":1},{"n":2}],"delivery-partner":"c"},"delivery-partner":"c","id":"1","total":12,
  "batchjob":{"parameters":{"a":"b"}},"concurrency":2,"tolerated":0,"user":"u","body":{"b":1},"tags":["a","a, b"],
  "type":"Public","value":30,"name":"log-1.txt","a":1,"b":1,"at":"2026-11-23T00:00:00Z","flag":false,"nothing":null,
  "foo":1,"expirydate":"2026-12-01T00:00:00Z","seconds":5,"message":"m","prompt":"p","prefix":"x","account":"1",
  "order":{"items":[{"name":"n","price":3,"quantity":2}]},"items":[{"name":"n","price":3,"quantity":2}],
  "größe":4,"error":{"Cause":"c"}})";

void walk_definition(const std::string& definition, std::uint64_t seed) {
  SeededRandom random(seed);
  Driver driver(
      definition, *json::parse(kPlausibleInput), [&](const TaskCall& call) -> std::optional<Stimulus> {
        if (random.next() % 4 != 0) return TaskSucceeded{call.attempt, plausible_answer(random)};
        return TaskFailed{call.attempt, random.next() % 2 == 0 ? "Lambda.ServiceException" : "Custom", "no"};
      });
  if (driver.execution.machine == nullptr) return;
  driver.run();
  for (int i = 0; i < 10 && driver.execution.outcome == Outcome::kRunning; ++i) {
    bool has_run = false;  // A map run is the runtime's: here it succeeds.
    for (const auto& [no, frame] : std::map(driver.execution.frames)) {
      if (!std::holds_alternative<InMapRun>(frame.phase)) continue;
      has_run = true;
      driver.send(MapRunEnded{{no, frame.entry, frame.attempt}, json::Value::object({}), std::nullopt, ""});
    }
    ASSERT_TRUE(has_run) << driver.lines();
    driver.go_on();
  }
  ASSERT_NE(driver.execution.outcome, Outcome::kRunning) << driver.lines();
  std::int64_t id = 0;
  for (const HistoryEvent& event : driver.events) {
    EXPECT_EQ(event.id, ++id);
    EXPECT_LT(event.previous_id, event.id);
  }
}

TEST(PublishedDefinitions, EndWhateverTheirTasksAnswer) {
  const std::filesystem::path folder = std::filesystem::path(SORTIE_SOURCE_DIR) / "tests" / "definitions";
  int walked = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    std::ifstream stream(entry.path());
    std::stringstream text;
    text << stream.rdbuf();
    for (std::uint64_t seed = 1; seed <= 20; ++seed, ++walked) {
      SCOPED_TRACE(entry.path().filename().string() + ", seed " + std::to_string(seed));
      walk_definition(text.str(), seed);
    }
  }
  EXPECT_GT(walked, 600);
}

}  // namespace
}  // namespace sortie::engine
