// Seeded runs of the whole bus with everything that can go wrong going wrong: crashes at random commits, full
// disks, targets that refuse, answer late or never, and sources that send twice. A failure names its seed.
#include <gtest/gtest.h>

#include "events/event_bus.h"
#include "events/testing_world.h"

namespace sortie::events {
namespace {

BusOptions simulation_options() {
  BusOptions options;
  options.delivery.attempt_ms_max = 20'000;
  options.delivery.in_flight_max = 3;
  return options;
}

class Simulation {
 public:
  explicit Simulation(std::uint64_t seed) : chance_(seed), world_(simulation_options()) {}

  void run() {
    make_rules();
    world_.invoker.fail = [this](const TargetOrder&) -> std::optional<Error> {
      world_.invoker.silent = !calm_ && one_in(30);
      if (calm_ || !one_in(4)) return std::nullopt;
      return Error{"ServiceUnavailable", "not now"};
    };
    for (int step = 0; step < 60; ++step) {
      plan_fault();
      send();
      world_.advance_ms(static_cast<std::int64_t>(chance_.next() % 2'000));
      if (world_.crashed || one_in(15)) restart();
    }
    calm_ = true;
    world_.crash_at = 0;
    restart();
    world_.advance_ms(3 * 3'600'000);
    check();
  }

 private:
  bool one_in(std::uint64_t n) { return chance_.next() % n == 0; }

  void restart() {
    world_.invoker.silent = false;
    world_.restart();
    ASSERT_TRUE(world_.recovered.ok()) << to_text(world_.recovered.error());
  }

  void make_rules() {
    for (
        const char* text :
        {R"({"Name":"each","EventPattern":{"source":["app"]},"Targets":[{"Id":"a","Arn":"arn:aws:sqs:us-east-1:1:all"},
              {"Id":"b","Arn":"arn:aws:events:us-east-1:123456789012:event-bus/second"}]})",
         R"({"Name":"once","EventPattern":{"source":["app"]},"deduplicate":{"key":"$.detail.key","window":"1d"},
              "Targets":[{"Id":"a","Arn":"arn:aws:sqs:us-east-1:1:once"}]})",
         R"({"Name":"second","EventBusName":"second","EventPattern":{"source":["app"]},
              "Targets":[{"Id":"a","Arn":"arn:aws:sqs:us-east-1:1:second"}]})"}) {
      auto rule = parse_rule_file(*json::parse(text), "r");
      ASSERT_TRUE(rule.ok());
      world_.bus->replace_rule(*rule, World::person(),
                               [](Result<std::string> arn) { ASSERT_TRUE(arn.ok()); });
      world_.loop.run_until_idle();
    }
  }

  void plan_fault() {
    static constexpr store::CommitFault kFaults[] = {
        store::CommitFault::kStoreFull, store::CommitFault::kCrashBefore, store::CommitFault::kCrashAfter};
    if (!one_in(3)) return;
    world_.crash_at = world_.commits + 1 + static_cast<int>(chance_.next() % 6);
    world_.crash_fault = kFaults[chance_.next() % 3];
  }

  void send() {
    const std::string key = std::to_string(chance_.next() % 8);
    const std::string detail = R"({"key":")" + key + R"(","n":)" + std::to_string(++sent_) + "}";
    world_.bus->put_events({PutEntry{"app", "T", detail}}, World::person(),
                           [this, key](Result<std::vector<PutResult>> results) {
                             if (results) accepted_[results->front().event_id] = key;
                           });
  }

  std::map<std::string, int> names_by_event(const std::string& queue) const {
    std::map<std::string, int> names;
    for (const auto& [key, payloads] : world_.invoker.delivered) {
      const std::string prefix = "arn:aws:sqs:us-east-1:1:" + queue + " ";
      if (!key.starts_with(prefix)) continue;
      ++names[key.substr(prefix.size(), 36)];
      for (const std::string& payload : payloads)
        EXPECT_EQ(payload, payloads.front()) << "a repetition differs";
    }
    return names;
  }

  std::string told(const std::string& id) {
    const auto record = world_.bus->find_event(id);
    if (!record || !*record) return "not recorded";
    return json::to_text((*record)->record) + " " + json::to_text(json::Value::array((*record)->outcomes));
  }

  void check() {
    EXPECT_EQ(world_.bus->figures().pending_deliveries, 0u);
    EXPECT_TRUE(world_.bus->check()->empty());
    EXPECT_GT(accepted_.size(), 10u);
    for (const char* queue : {"all", "second"}) {
      const auto names = names_by_event(queue);
      for (const auto& [id, key] : accepted_) {
        EXPECT_EQ(names.contains(id) ? names.at(id) : 0, 1) << id << " to " << queue << ": " << told(id);
      }
      for (const auto& [id, count] : names) {
        EXPECT_EQ(count, 1) << id << " under two names";
        EXPECT_TRUE(world_.bus->find_event(id)->has_value()) << "delivered and not recorded";
      }
    }
    // Of all events with one key, one alone was delivered by the rule that deduplicates.
    std::map<std::string, std::set<std::string>> once;
    for (const auto& [id, count] : names_by_event("once")) {
      const auto record = (*world_.bus->find_event(id))->record;
      once[record.get("event").get("detail").get("key").to_std_string()].insert(id);
    }
    for (const auto& [id, key] : accepted_) EXPECT_EQ(once[key].size(), 1u) << "key " << key;
  }

  SeededRandom chance_;
  World world_;
  std::map<std::string, std::string> accepted_;  // Event id -> key.
  int sent_ = 0;
  bool calm_ = false;
};

TEST(EventBusSimulation, NoAcceptedEventIsLostAndNoDeliveryHasTwoNames) {
  for (std::uint64_t seed = 1; seed <= 8; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Simulation(seed).run();
    if (testing::Test::HasFailure()) return;
  }
}

}  // namespace
}  // namespace sortie::events
