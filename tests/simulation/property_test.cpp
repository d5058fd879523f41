// Random machines through the engine, which loses its memory after every stimulus, and through an interpreter
// that shares nothing with it: same output, same error, same history. SORTIE_SIM_SEED replays one machine,
// SORTIE_SIM_SEEDS says how many.
#include <gtest/gtest.h>

#include <cstdlib>

#include "engine/codec.h"
#include "engine/testing/driver.h"
#include "history_lines.h"
#include "random_machine.h"
#include "reference_interpreter.h"

namespace sortie::reference {
namespace {

// Deterministic: one answer for one attempt of one state with these parameters.
TaskAnswer answer_of(const std::string& state, const Value& parameters, unsigned attempt) {
  const std::size_t dice = std::hash<std::string>{}(state + canonical(parameters) + std::to_string(attempt));
  if (dice % 3 == 0) return {.error = "E" + std::to_string(dice / 3 % 2)};
  return {.result = Value::object({{"got", static_cast<std::int64_t>(dice % 7)}})};
}

// Everything is written out, nothing is shared: what a restart leaves.
class Paper final : public engine::PayloadSink, public engine::PayloadSource {
 public:
  std::optional<std::uint32_t> find(const Value&) override { return std::nullopt; }
  std::uint32_t keep(const Value&, std::string text) override {
    texts_.push_back(std::move(text));
    return static_cast<std::uint32_t>(texts_.size() - 1);
  }
  Result<Value> load(std::uint32_t number) override { return json::parse(texts_.at(number)); }
  Result<std::string> load_text(std::uint32_t number) override { return texts_.at(number); }

 private:
  std::vector<std::string> texts_;
};

void crash(engine::Execution& execution) {
  Paper paper;
  std::map<engine::FrameNo, engine::Frame> frames;
  for (const auto& [no, frame] : execution.frames) {
    Result<engine::DecodedFrame> back =
        engine::decode_frame(engine::encode_frame(execution, frame, paper), paper);
    ASSERT_TRUE(back.ok()) << back.error().message;
    frames.emplace(no, std::move(back->frame));
  }
  execution.frames = std::move(frames);
  execution.input = *json::parse(json::to_text(execution.input));
}

struct Tally {
  int compared = 0, partial = 0, ambiguous = 0, succeeded = 0;
};

void compare(std::uint64_t seed, Tally& tally) {
  SeededRandom random(seed);
  const Value machine = RandomMachine(random).make();
  const Value input = *json::parse(R"({"n":2,"list":[1,2,3]})");
  const std::string text = json::to_text(machine);
  SCOPED_TRACE("SEED=" + std::to_string(seed) + " " + text);
  Interpreter::Run expected = Interpreter(answer_of).run(machine, input);
  if (expected.ambiguous) {
    ++tally.ambiguous;
    return;
  }
  engine::testing::Driver driver(text, input, [](const engine::testing::TaskCall& call) {
    const TaskAnswer answer = answer_of(call.state_name, call.parameters, call.attempt.attempt);
    if (answer.error.empty()) {
      return std::optional<engine::Stimulus>(engine::TaskSucceeded{call.attempt, answer.result});
    }
    return std::optional<engine::Stimulus>(engine::TaskFailed{call.attempt, answer.error, "why"});
  });
  driver.after_each = crash;
  driver.run();
  ASSERT_EQ(driver.compile_error, "");
  const bool succeeded = driver.execution.outcome == engine::Outcome::kSucceeded;
  ASSERT_NE(driver.execution.outcome, engine::Outcome::kRunning);
  ASSERT_EQ(succeeded, expected.succeeded) << driver.execution.cause.value_or("");
  ++tally.compared;
  tally.succeeded += succeeded ? 1 : 0;
  if (succeeded) {
    ASSERT_EQ(without_ids(canonical(driver.execution.output)), canonical(expected.output));
  } else {
    ASSERT_EQ(driver.execution.error, expected.error);
  }
  if (expected.partial) {
    ++tally.partial;
    return;
  }
  std::vector<std::string> made = lines_of(driver.events);
  std::sort(made.begin(), made.end());
  std::sort(expected.events.begin(), expected.events.end());
  ASSERT_EQ(made, expected.events);
}

TEST(Property, TheEngineDoesWhatAnInterpreterThatSharesNothingWithItDoes) {
  Tally tally;
  const auto setting = [](const char* name) -> std::uint64_t {
    const char* text = std::getenv(name);
    return text == nullptr ? 0 : std::strtoull(text, nullptr, 0);
  };
  if (const std::uint64_t seed = setting("SORTIE_SIM_SEED"); seed != 0) return compare(seed, tally);
  const std::uint64_t seeds = setting("SORTIE_SIM_SEEDS");
  const std::uint64_t count = seeds == 0 ? 400 : seeds;
  for (std::uint64_t seed = 1; seed <= count && !HasFatalFailure(); ++seed) compare(seed, tally);
  std::printf("property: %d machines agree, %d of them succeed, %d without events, %d ambiguous\n",
              tally.compared, tally.succeeded, tally.partial, tally.ambiguous);
  if (seeds == 0) {
    EXPECT_GT(tally.compared, 300);
    EXPECT_GT(tally.succeeded, 50);
    EXPECT_LT(tally.partial, tally.compared / 2);
  }
}

}  // namespace
}  // namespace sortie::reference
