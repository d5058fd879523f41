#include "events/event_bus.h"

#include <gtest/gtest.h>

#include "events/testing_world.h"

namespace sortie::events {
namespace {

const char* kMachine = "arn:aws:states:us-east-1:123456789012:stateMachine:respond";
const char* kQueue = "arn:aws:sqs:us-east-1:123456789012:findings";

void make_rule(World& world, std::string_view name, std::string_view pattern, std::string_view targets) {
  const json::Value request = json::Value::object({{"Name", name}, {"EventPattern", pattern}});
  EXPECT_FALSE(world.call("PutRule", request).has("error"));
  const json::Value put =
      json::ObjectBuilder().append("Rule", name).append("Targets", *json::parse(targets)).build();
  EXPECT_FALSE(world.call("PutTargets", put).has("error"));
}

std::string put(World& world, std::string_view detail, std::string_view source = "app",
                const Actor& actor = World::person()) {
  const json::Value entry =
      json::Value::object({{"Source", source}, {"DetailType", "T"}, {"Detail", detail}});
  const json::Value answer =
      world.call("PutEvents", json::Value::object({{"Entries", json::Value::array({entry})}}), actor);
  const json::Value& first = answer.get("Entries")[0];
  return first.has("EventId") ? first.get("EventId").to_std_string() : json::to_text(answer);
}

const char* kBothTargets = R"([{"Id":"m","Arn":"arn:aws:states:us-east-1:123456789012:stateMachine:respond"},
  {"Id":"q","Arn":"arn:aws:sqs:us-east-1:123456789012:findings","InputPath":"$.detail"}])";

TEST(EventBus, DeliversAMatchingEventToEveryTargetWithWhatItAskedFor) {
  World world;
  make_rule(world, "r", R"({"source":["app"]})", kBothTargets);
  const std::string id = put(world, R"({"n":1.50})");
  put(world, R"({"n":2})", "other");
  ASSERT_EQ(world.invoker.attempts.size(), 2u);
  const TargetOrder& machine = world.invoker.attempts[0];
  EXPECT_EQ(machine.kind, TargetKind::kStateMachine);
  EXPECT_EQ(json::parse(machine.payload)->get("id"), json::Value(id));
  EXPECT_EQ(json::parse(machine.payload)->get("time"), json::Value("2026-11-18T11:06:40Z"));
  EXPECT_TRUE(machine.delivery_id.starts_with(id + "_"));
  EXPECT_LE(machine.delivery_id.size(), 80u);
  EXPECT_EQ(to_text(machine.actor), "rule:r");
  EXPECT_EQ(machine.actor.on_behalf_of, "alice");
  EXPECT_EQ(world.invoker.attempts[1].payload, R"({"n":1.5})");

  const auto record = world.bus->find_event(id);
  ASSERT_TRUE(record.ok() && record->has_value());
  EXPECT_EQ((*record)->record.get("rules")[0].get("rule"), json::Value("r"));
  ASSERT_EQ((*record)->outcomes.size(), 2u);
  EXPECT_EQ((*record)->outcomes[0].get("outcome"), json::Value("delivered"));
  EXPECT_EQ(world.bus->figures().pending_deliveries, 0u);
  EXPECT_EQ(world.bus->list_events({})->size(), 2u);
  EventQuery query;
  query.source = "ap*";
  EXPECT_EQ(world.bus->list_events(query)->size(), 1u);
}

TEST(EventBus, AnswersOnlyWhenTheEventIsDurable) {
  World world;
  make_rule(world, "r", R"({"source":["app"]})", kBothTargets);
  world.crash_at = world.commits + 1;
  world.crash_fault = store::CommitFault::kStoreFull;
  EXPECT_NE(put(world, "{}").find("InternalException"), std::string::npos)
      << "a batch that could not be written is an error, not an event";
  EXPECT_TRUE(world.invoker.attempts.empty());
  EXPECT_EQ(put(world, "{}").size(), 36u);
  EXPECT_EQ(world.invoker.attempts.size(), 2u);
}

TEST(EventBus, LosesNoAcceptedEventAndDeliversNoneUnderTwoNamesWhereverItDies) {
  for (const auto fault : {store::CommitFault::kCrashBefore, store::CommitFault::kCrashAfter}) {
    for (int crash = 1;; ++crash) {
      World world;
      make_rule(world, "r", R"({"source":["app"]})", kBothTargets);
      world.crash_at = world.commits + crash;
      world.crash_fault = fault;
      std::set<std::string> accepted;
      for (int i = 0; i < 3; ++i) {
        const std::string id = put(world, R"({"i":)" + std::to_string(i) + "}");
        if (id.size() == 36) accepted.insert(id);
        if (world.crashed) world.restart();
      }
      const bool happened = world.commits >= world.crash_at;
      world.restart();
      world.advance_ms(5'000);
      for (const std::string& id : accepted) {
        for (const char* arn : {kMachine, kQueue}) {
          int names = 0;
          for (const auto& [key, payloads] : world.invoker.delivered) {
            names += key.starts_with(std::string(arn) + " " + id) ? 1 : 0;
          }
          EXPECT_EQ(names, 1) << id << " to " << arn << ", crash at commit " << crash;
        }
        EXPECT_TRUE(world.bus->find_event(id)->has_value());
      }
      EXPECT_EQ(world.bus->figures().pending_deliveries, 0u);
      EXPECT_TRUE(world.bus->check()->empty());
      if (!happened) {
        EXPECT_GT(crash, 8) << "the scenario has fewer commits than thought";
        break;
      }
    }
  }
}

TEST(EventBus, RetriesWithPausesAndThenGivesTheEventToTheDeadLetterQueue) {
  World world;
  make_rule(world, "r", R"({"source":["app"]})", R"([{"Id":"m",
    "Arn":"arn:aws:states:us-east-1:123456789012:stateMachine:respond","RetryPolicy":{"MaximumRetryAttempts":3},
    "DeadLetterConfig":{"Arn":"arn:aws:sqs:us-east-1:123456789012:dead"}}])");
  world.invoker.fail = [](const TargetOrder& order) -> std::optional<Error> {
    if (order.kind == TargetKind::kQueue) return std::nullopt;
    return Error{"ServiceUnavailable", "not now"};
  };
  const std::string id = put(world, "{}");
  EXPECT_EQ(world.invoker.attempts.size(), 1u);
  world.advance_ms(100);
  EXPECT_EQ(world.invoker.attempts.size(), 1u) << "a retry waits";
  world.restart();
  world.advance_ms(60'000);
  ASSERT_EQ(world.invoker.attempts.size(), 5u) << "one attempt, three retries, the dead-letter queue";
  const TargetOrder& dead = world.invoker.attempts.back();
  EXPECT_EQ(dead.arn, "arn:aws:sqs:us-east-1:123456789012:dead");
  EXPECT_EQ(dead.attributes.get("TARGET_ARN"), json::Value(kMachine));
  EXPECT_EQ(json::parse(dead.payload)->get("id"), json::Value(id));
  const auto outcomes = (*world.bus->find_event(id))->outcomes;
  ASSERT_EQ(outcomes.size(), 2u);
  EXPECT_EQ(outcomes[0].get("outcome"), json::Value("failed"));
  EXPECT_EQ(outcomes[1].get("outcome"), json::Value("dead-lettered"));
  EXPECT_EQ(world.bus->figures().pending_deliveries, 0u);
}

TEST(EventBus, ATargetThatNeverAnswersIsTriedAgain) {
  BusOptions options;
  options.delivery.attempt_ms_max = 10'000;
  World world(options);
  make_rule(world, "r", R"({"source":["app"]})", kBothTargets);
  world.invoker.silent = true;
  const std::string id = put(world, "{}");
  world.advance_ms(5'000);
  world.invoker.silent = false;
  EXPECT_EQ(world.invoker.attempts.size(), 2u);
  world.advance_ms(10'000);
  EXPECT_EQ(world.invoker.attempts.size(), 4u);
  EXPECT_EQ((*world.bus->find_event(id))->outcomes.size(), 2u);
  EXPECT_EQ(world.bus->figures().pending_deliveries, 0u);
}

TEST(EventBus, DoesNotRetryWhatCannotSucceedAndStopsWhenTheEventIsTooOld) {
  World world;
  make_rule(world, "r", R"({"source":["app"]})", R"([{"Id":"m",
    "Arn":"arn:aws:states:us-east-1:123456789012:stateMachine:respond","RetryPolicy":{"MaximumEventAgeInSeconds":60}}])");
  world.invoker.fail = [](const TargetOrder&) { return Error{"StateMachineDoesNotExist", "gone"}; };
  const std::string first = put(world, "{}");
  EXPECT_EQ(world.invoker.attempts.size(), 1u);
  EXPECT_EQ((*world.bus->find_event(first))->outcomes[0].get("outcome"), json::Value("failed"));
  world.invoker.fail = [](const TargetOrder&) { return Error{"ServiceUnavailable", "not now"}; };
  const std::string second = put(world, "{}");
  world.advance_ms(3'600'000);
  EXPECT_LT(world.invoker.attempts.size(), 10u);
  EXPECT_EQ((*world.bus->find_event(second))->outcomes.size(), 1u);
  world.invoker.fail = [](const TargetOrder&) { return Error{"ExecutionAlreadyExists", "it runs"}; };
  const std::string third = put(world, "{}");
  EXPECT_EQ((*world.bus->find_event(third))->outcomes[0].get("outcome"), json::Value("delivered"));
}

TEST(EventBus, ADuplicateWithinTheWindowStartsNothingAndShowsTheFirst) {
  World world;
  auto rule = parse_rule_file(*json::parse(R"({"EventPattern":{"source":["aws.guardduty"]},
    "deduplicate":{"key":"$.detail.id","window":"1h"},
    "Targets":[{"Id":"m","Arn":"arn:aws:states:us-east-1:123456789012:stateMachine:respond"}]})"),
                              "findings");
  ASSERT_TRUE(rule.ok()) << to_text(rule.error());
  world.bus->replace_rule(*rule, World::person(), [](Result<std::string> arn) { EXPECT_TRUE(arn.ok()); });
  world.loop.run_until_idle();
  const std::string first = put(world, R"({"id":"f1","count":1})", "aws.guardduty");
  const std::string again = put(world, R"({"id":"f1","count":2})", "aws.guardduty");
  put(world, R"({"id":"f2"})", "aws.guardduty");
  put(world, R"({"noid":1})", "aws.guardduty");
  EXPECT_EQ(world.invoker.attempts.size(), 3u);
  EXPECT_EQ((*world.bus->find_event(again))->record.get("rules")[0].get("duplicateOf"), json::Value(first));
  world.restart();
  put(world, R"({"id":"f1","count":3})", "aws.guardduty");
  EXPECT_EQ(world.invoker.attempts.size(), 3u) << "the key survives a restart";
  world.advance_ms(3'600'001);
  put(world, R"({"id":"f1","count":4})", "aws.guardduty");
  EXPECT_EQ(world.invoker.attempts.size(), 4u) << "the window is over";
  EXPECT_EQ(world.bus->figures().duplicates, 1u);
}

TEST(EventBus, AKeyOfABatchThatFailedIsFreeAgain) {
  World world;
  auto rule = parse_rule_file(*json::parse(R"({"EventPattern":{"source":["app"]},
    "deduplicate":{"key":"$.detail.id","window":"1h"},"Targets":[{"Id":"q","Arn":"arn:aws:sqs:us-east-1:1:q"}]})"),
                              "r");
  world.bus->replace_rule(*rule, World::person(), [](Result<std::string>) {});
  world.loop.run_until_idle();
  world.crash_at = world.commits + 1;
  world.crash_fault = store::CommitFault::kStoreUnavailable;
  EXPECT_NE(put(world, R"({"id":"x"})").size(), 36u);
  EXPECT_EQ(put(world, R"({"id":"x"})").size(), 36u);
  EXPECT_EQ(world.invoker.attempts.size(), 1u);
}

TEST(EventBus, ARepeatedDeliveryOfASourceIsAnsweredWithTheFirstEvent) {
  World world;
  make_rule(world, "r", R"({"source":["app"]})", kBothTargets);
  std::vector<PutResult> results;
  const auto send = [&] {
    world.bus->put_events(
        {PutEntry{"app", "T", "{}"}}, World::person(),
        [&](Result<std::vector<PutResult>> result) { results.push_back(result->front()); },
        SourceDedup{"hook/h", "d1"});
  };
  send();
  send();  // On its way to the disk together with the first.
  world.loop.run_until_idle();
  send();
  world.loop.run_until_idle();
  ASSERT_EQ(results.size(), 3u);
  EXPECT_EQ(results[1].duplicate_of, results[0].event_id);
  EXPECT_EQ(results[2].event_id, results[0].event_id);
  EXPECT_EQ(world.invoker.attempts.size(), 2u);
  EXPECT_EQ(world.bus->list_events({})->size(), 3u);
}

TEST(EventBus, AwsSourcesComeOnlyFromPeopleAndConfiguredActors) {
  BusOptions options;
  options.trusted_sources = {
      {"hook:gd", "aws.guardduty"}, {"account:123456789012", "aws.*"}, {"function:f", "aws.*"}};
  World world(options);
  const auto by = [&](Actor::Kind kind, std::string name, std::string_view source) {
    Actor actor;
    actor.kind = kind;
    actor.name = std::move(name);
    return put(world, "{}", source, actor).size() == 36;
  };
  EXPECT_TRUE(put(world, "{}", "aws.guardduty").size() == 36);
  EXPECT_TRUE(by(Actor::Kind::kHook, "gd", "aws.guardduty"));
  EXPECT_FALSE(by(Actor::Kind::kHook, "gd", "aws.config"));
  EXPECT_FALSE(by(Actor::Kind::kHook, "other", "aws.guardduty"));
  EXPECT_TRUE(by(Actor::Kind::kAccountKey, "123456789012", "aws.config"));
  EXPECT_FALSE(by(Actor::Kind::kFunction, "f", "aws.config")) << "a function never may";
  EXPECT_FALSE(by(Actor::Kind::kUnknown, "", "aws.config"));
  EXPECT_TRUE(by(Actor::Kind::kFunction, "f", "awsome.app"));
  EXPECT_EQ(put(world, "{}", "aws.x", Actor{}),
            R"({"FailedEntryCount":1,"Entries":[{"ErrorCode":"NotAuthorizedForSourceException",)"
            R"("ErrorMessage":"Not authorized for the source."}]})");
}

TEST(EventBus, SchedulesFireOnTimeOnceAndOnceForWhatWasMissed) {
  World world;
  world.call("PutRule", R"j({"Name":"tick","ScheduleExpression":"rate(5 minutes)"})j");
  world.call("PutTargets",
             R"({"Rule":"tick","Targets":[{"Id":"q","Arn":"arn:aws:sqs:us-east-1:123456789012:findings"}]})");
  world.advance_ms(15 * 60'000);
  EXPECT_EQ(world.invoker.attempts.size(), 3u);
  const auto event = *json::parse(world.invoker.attempts[0].payload);
  EXPECT_EQ(event.get("detail-type"), json::Value("Scheduled Event"));
  EXPECT_EQ(event.get("source"), json::Value("aws.events"));
  EXPECT_EQ(event.get("resources")[0], json::Value("arn:aws:events:us-east-1:123456789012:rule/tick"));
  EXPECT_EQ(event.get("time"), json::Value("2026-11-18T11:11:40Z"));
  world.image = world.store->crash();
  world.bus.reset();
  world.loop.advance_to(world.loop.now().plus_ms(62 * 60'000));
  world.start();
  world.advance_ms(1);
  EXPECT_EQ(world.invoker.attempts.size(), 4u) << "twelve missed ticks fire once";
  world.advance_ms(3 * 60'000);
  EXPECT_EQ(world.invoker.attempts.size(), 5u) << "then the schedule goes on";
  world.call("DisableRule", R"({"Name":"tick"})");
  world.advance_ms(60 * 60'000);
  EXPECT_EQ(world.invoker.attempts.size(), 5u);
  world.call("EnableRule", R"({"Name":"tick"})");
  world.advance_ms(5 * 60'000);
  EXPECT_EQ(world.invoker.attempts.size(), 6u);
}

TEST(EventBus, ATickIsNeitherLostNorRepeatedByACrash) {
  for (const auto fault : {store::CommitFault::kCrashBefore, store::CommitFault::kCrashAfter}) {
    for (int crash = 1; crash <= 4; ++crash) {
      World world;
      world.call("PutRule", R"j({"Name":"tick","ScheduleExpression":"cron(0/10 * * * ? *)"})j");
      world.call(
          "PutTargets",
          R"({"Rule":"tick","Targets":[{"Id":"q","Arn":"arn:aws:sqs:us-east-1:123456789012:findings"}]})");
      world.crash_at = world.commits + crash;
      world.crash_fault = fault;
      for (int minute = 0; minute < 14; ++minute) {  // 11:06:40 to 11:20:40: two ticks.
        world.advance_ms(60'000);
        if (world.crashed) world.restart();
      }
      world.restart();
      world.advance_ms(1'000);
      EXPECT_EQ(world.invoker.count(kQueue), 2u) << crash;
      EXPECT_EQ(world.bus->list_events({})->size(), 2u) << crash;
    }
  }
}

TEST(EventBus, ForwardsToAnotherBusInOneBatch) {
  World world;
  world.call("CreateEventBus", R"({"Name":"security"})");
  make_rule(world, "fan", R"({"source":["app"]})",
            R"([{"Id":"b","Arn":"arn:aws:events:us-east-1:123456789012:event-bus/security"}])");
  world.call("PutRule", R"({"Name":"in","EventBusName":"security","EventPattern":"{\"source\":[\"app\"]}"})");
  world.call("PutTargets", R"({"Rule":"in","EventBusName":"security","Targets":[{"Id":"q",
    "Arn":"arn:aws:sqs:us-east-1:123456789012:findings"},{"Id":"loop",
    "Arn":"arn:aws:events:us-east-1:123456789012:event-bus/security"}]})");
  const std::string id = put(world, "{}");
  world.advance_ms(1'000);
  ASSERT_GE(world.invoker.attempts.size(), 1u);
  EXPECT_EQ(json::parse(world.invoker.attempts[0].payload)->get("id"), json::Value(id));
  EXPECT_LE(world.invoker.attempts.size(), static_cast<std::size_t>(kBusHopsMax)) << "a loop of buses ends";
  EXPECT_EQ(world.bus->figures().pending_deliveries, 0u);
}

TEST(EventBus, OldEventsGoWhenTheirRetentionIsOver) {
  BusOptions options;
  options.retention_ms = 86'400'000;
  World world(options);
  put(world, "{}");
  world.advance_ms(2 * 86'400'000);
  EXPECT_TRUE(world.bus->list_events({})->empty());
}

TEST(EventBus, RefusesMoreThanItCanHold) {
  BusOptions options;
  options.pending_deliveries_max = 4;
  World world(options);
  make_rule(world, "r", R"({"source":["app"]})", kBothTargets);
  world.invoker.fail = [](const TargetOrder&) { return Error{"ServiceUnavailable", "not now"}; };
  EXPECT_EQ(put(world, "{}").size(), 36u);
  EXPECT_EQ(put(world, "{}").size(), 36u);
  EXPECT_NE(put(world, "{}").find("ThrottlingException"), std::string::npos);
}

}  // namespace
}  // namespace sortie::events
