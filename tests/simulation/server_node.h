#pragma once
// One process of the simulated server: everything that a kill takes away, wired as the program wires it. The
// store may be shared with another process; what comes back from it reaches only a process that lives.
#include <functional>
#include <memory>
#include <set>
#include <string>

#include "base/hash.h"
#include "events/event_bus.h"
#include "integrations/dispatcher.h"
#include "integrations/states.h"
#include "outcomes.h"
#include "response/approvals.h"
#include "runtime/object_store.h"
#include "runtime/runtime.h"
#include "store/forwarding.h"
#include "virtual_loop.h"

namespace sortie::simulation {

inline Actor person(const std::string& name) {
  Actor actor;
  actor.kind = Actor::Kind::kPerson;
  actor.name = name;
  actor.account = "123456789012";
  actor.channel = "api";
  return actor;
}

inline constexpr std::int64_t kAuditGraceMs = 60'000;

// A process's connection to the store. It keeps answers from a process that is paused or gone, and notes when
// the store says that somebody else owns the shard.
class StoreHandle final : public store::ForwardingStore {
 public:
  StoreHandle(store::Store& store, ProcessLoop& loop) : ForwardingStore(store), loop_(loop) {}
  ~StoreHandle() override { *alive_ = false; }

  bool lost_the_lease() const { return *lost_; }
  // Asked before and after each append: the moments at which somebody else may take the shard.
  std::function<void()> around_commits;

  void append(store::Batch batch, Done done) override {
    if (around_commits) around_commits();
    ForwardingStore::append(std::move(batch),
                            [this, alive = alive_, lost = lost_, done = std::move(done)](Status status) {
                              if (!*alive) return;
                              if (!status && status.error().code == "StaleEpoch") *lost = true;
                              if (done) loop_.post([done, status] { done(status); });
                            });
    if (around_commits) around_commits();
  }

 private:
  ProcessLoop& loop_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  std::shared_ptr<bool> lost_ = std::make_shared<bool>(false);
};

// What the world does with what leaves a process.
class Outside {
 public:
  virtual ~Outside() = default;
  virtual void dispatched(class Node& node, const runtime::TaskOrder& order) = 0;
  // The process is about to write, or has just asked the store to.
  virtual void at_commit(class Node& node) = 0;
  // How long reading an object takes.
  virtual std::int64_t read_ms() = 0;
  virtual void found_stuck(class Node& node, const runtime::StuckFrame& found) = 0;
};

class Node final : public runtime::TaskDispatcher, public events::TargetInvoker, public runtime::ObjectStore {
 public:
  Node(VirtualLoop& world, store::Store& shared, Outside& outside, std::uint64_t seed);

  // Takes the shard and recovers; an error ends the process, as it ends the program.
  Status start();
  bool is_up() const { return up_; }
  // The world's answer to an attempt reaches this process.
  void answer(const runtime::AttemptKey& key, const json::Value& result);
  void answer_failure(const runtime::AttemptKey& key, const std::string& error, const std::string& cause);

  ProcessLoop loop;
  StoreHandle store;
  SeededRandom random;
  std::unique_ptr<response::Audit> audit;
  std::unique_ptr<response::People> people;
  std::unique_ptr<response::Approvals> approvals;
  std::unique_ptr<integrations::Dispatcher> dispatcher;
  std::unique_ptr<runtime::Runtime> runtime;
  std::unique_ptr<integrations::StatesIntegration> nested;
  std::unique_ptr<events::EventBus> bus;

 private:
  void make_runtime(store::Epoch epoch);
  void dispatch(runtime::TaskOrder order) override;
  void cancel(const runtime::AttemptKey& key) override;
  bool holds(const runtime::AttemptKey& key) const override;
  void deliver(events::TargetOrder order, Callback done) override;
  void read(runtime::ReadObject request, std::function<void(Result<runtime::ObjectPiece>)> done) override;
  void list(runtime::ListObjects, std::function<void(Result<runtime::ObjectPage>)>) override {}
  void write(runtime::WriteObject, std::function<void(Status)>) override {}

  Outside& outside_;
  std::set<runtime::AttemptKey> under_way_;  // With the world, which has not answered.
  bool up_ = false;
};

}  // namespace sortie::simulation
