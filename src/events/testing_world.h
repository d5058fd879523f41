#pragma once
// A whole event bus in virtual time for tests: a memory store whose commits can crash the process, and an
// invoker that remembers what it delivered. Restarting keeps the store's image and the world outside.
#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/hash.h"
#include "events/api.h"
#include "events/event_bus.h"
#include "json/text.h"
#include "store/memory/memory_store.h"
#include "store/testing/manual_loop.h"

namespace sortie::events {

class FakeInvoker final : public TargetInvoker {
 public:
  explicit FakeInvoker(Loop& loop) : loop_(loop) {}

  void deliver(TargetOrder order, Callback done) override {
    attempts.push_back(order);
    if (silent) return;
    Result<TargetReply> reply = TargetReply{"ok:" + order.delivery_id};
    if (fail) {
      if (auto error = fail(order)) reply = *error;
    }
    if (reply) delivered[order.arn + " " + order.delivery_id].push_back(order.payload);
    loop_.post([done = std::move(done), reply = std::move(reply)] { done(reply); });
  }

  std::size_t count(std::string_view arn) const {
    std::size_t sum = 0;
    for (const auto& [key, payloads] : delivered) sum += key.starts_with(std::string(arn) + " ") ? 1 : 0;
    return sum;
  }

  std::function<std::optional<Error>(const TargetOrder&)> fail;
  bool silent = false;  // Takes orders and never answers.
  std::vector<TargetOrder> attempts;
  std::map<std::string, std::vector<std::string>> delivered;  // "ARN DELIVERY_ID" -> payloads

 private:
  Loop& loop_;
};

class World {
 public:
  explicit World(BusOptions options = {}) : invoker(loop), options_(std::move(options)) { start(); }
  ~World() {
    bus.reset();
    store.reset();
  }

  void start() {
    crashed = false;
    store::MemoryFaults faults;
    faults.plan = [this](const store::Batch&) {
      store::CommitPlan plan;
      ++commits;
      if (commits == crash_at) plan.fault = crash_fault;
      return plan;
    };
    faults.on_crash = [this] { crashed = true; };
    store = std::make_unique<store::MemoryStore>(loop, image, faults);
    const auto epoch = store->acquire(0);
    bus = std::make_unique<EventBus>(loop, random, *store, invoker, options_);
    recovered = epoch ? bus->recover(Lease{0, *epoch}) : Status(epoch.error());
    api = std::make_unique<EventsApi>(*bus);
  }

  // The process dies and starts again on the same disk.
  void restart() {
    image = store->crash();
    bus.reset();
    store.reset();
    start();
  }

  void advance_ms(std::int64_t ms) { loop.advance_to(loop.now().plus_ms(ms)); }

  // The answer as JSON, or {"error": CODE, "message": ...}.
  json::Value call(std::string_view operation, const char* request, const Actor& actor = person()) {
    return call(operation, *json::parse(request), actor);
  }
  json::Value call(std::string_view operation, const json::Value& request, const Actor& actor = person()) {
    json::Value out("no answer");
    api->handle(operation, request, actor, [&out](Result<json::Value> result) {
      out = result
                ? *result
                : json::Value::object({{"error", result.error().code}, {"message", result.error().message}});
    });
    EXPECT_EQ(out, json::Value("no answer")) << "answered inside the call";
    loop.run_until_idle();
    return out;
  }

  static Actor person() {
    Actor actor;
    actor.kind = Actor::Kind::kPerson;
    actor.name = "alice";
    actor.account = "123456789012";
    actor.channel = "api";
    return actor;
  }

  ManualLoop loop{Timestamp{1'795'000'000'000}};  // 2026-11-18
  SeededRandom random{7};
  store::MemoryImage image;
  std::unique_ptr<store::MemoryStore> store;
  FakeInvoker invoker;
  std::unique_ptr<EventBus> bus;
  std::unique_ptr<EventsApi> api;
  Status recovered;
  int commits = 0;
  int crash_at = 0;
  store::CommitFault crash_fault = store::CommitFault::kNone;
  bool crashed = false;

 private:
  BusOptions options_;
};

}  // namespace sortie::events
