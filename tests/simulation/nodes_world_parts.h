#pragma once
// The nodes of nodes_world.h from inside.
#include <map>
#include <memory>
#include <optional>
#include <set>

#include "integrations/dispatcher.h"
#include "integrations/states.h"
#include "nodes_world.h"
#include "outcomes.h"
#include "runtime/cluster.h"
#include "server_node.h"
#include "simulated_store.h"

namespace sortie::simulation::nodes_world {

using PeerId = int;

inline constexpr std::size_t kPeers = 3;
inline constexpr std::int64_t kLookMs = 250;  // Longer than the program's, so that a run has fewer steps.
inline constexpr std::int64_t kLeaseMs = 1'500;

class World;

// One process: a runtime, and what it asks of the others.
class Peer final : public runtime::TaskDispatcher {
 public:
  Peer(World& world, PeerId id);

  void look();
  bool leads() const { return leads_; }
  bool works() const { return works_; }
  // Takes a shard from whoever has it.
  void take(store::ShardNo shard);
  // The leader: carries these out for another; true: it has them.
  bool hear(const std::vector<runtime::AttemptKey>& orders);

  const PeerId id;
  ProcessLoop loop;
  StoreHandle store;
  SeededRandom random;
  std::unique_ptr<integrations::Dispatcher> dispatcher;
  std::unique_ptr<runtime::Runtime> runtime;
  std::unique_ptr<integrations::StatesIntegration> nested;
  runtime::Cluster& cluster() const { return *runtime->cluster(); }
  void answered_by_world(const runtime::AttemptKey& key) { under_way_.erase(key); }

 private:
  void lead();
  void balance();
  void give_up(store::ShardNo shard);
  void send_orders();
  void dispatch(runtime::TaskOrder order) override;
  void cancel(const runtime::AttemptKey& key) override;
  bool holds(const runtime::AttemptKey& key) const override;
  bool holds_any(const std::function<bool(store::ExecutionNo)>& is_of) const override;
  void answered(const runtime::AttemptKey& key) override;

  World& world_;
  bool leads_ = false, works_ = false;
  std::set<store::ShardNo> leaving_;
  std::map<runtime::AttemptKey, std::optional<PeerId>>
      orders_;                                               // Of the leader's, and which one has heard it.
  std::map<runtime::AttemptKey, runtime::TaskOrder> asked_;  // What they are, for when we lead.
  std::set<runtime::AttemptKey> under_way_;                  // With the world, which has not answered.
  std::shared_ptr<void> observer_;
};

struct Client {
  std::string name, machine;
  bool accepted = false;
  std::int64_t redrives = 0;  // That were acknowledged.
};
inline std::string arn_of(const Client& client) {
  return kArnPrefix + "execution:" + client.machine + ":" + client.name;
}

class World {
 public:
  World(const RunOptions& options, FaultTally& tally);
  ~World();
  RunReport run();

  // Of the peers.
  struct Claim {
    PeerId owner = 0;
    store::Epoch epoch = 0;
  };
  VirtualLoop& loop() { return loop_; }
  store::Store& store() { return *store_; }
  std::uint64_t number() { return random_.next(); }
  void count_move() { ++report_.shards_moved; }
  void renew(PeerId id) { renewed_[id] = loop_.steady_ms(); }
  bool has_lease(PeerId id) const;
  bool is_held(store::ShardNo shard) const;  // By one whose lease has not run out.
  PeerId owner_of(store::ShardNo shard) const;
  std::optional<store::Epoch> claim(store::ShardNo shard, PeerId id);
  void release(store::ShardNo shard, PeerId id);
  std::size_t working() const;
  Peer* find(PeerId id);
  Peer* leader();
  void shut_out(PeerId id);
  void tell(PeerId to, const char* fault, std::function<void(Peer&)> what);  // Maybe late, twice, or never.
  void at_commit(Peer& peer);
  void answer(Peer& peer, const runtime::TaskOrder& order);
  void found_stuck(Peer& peer, const runtime::StuckFrame& found);

 private:
  bool chance(int percent) { return static_cast<int>(random_.next() % 100) < percent; }
  std::int64_t up_to(std::int64_t most) {
    return static_cast<std::int64_t>(random_.next() % static_cast<std::uint64_t>(most + 1));
  }
  void problem(const std::string& text);
  bool is_over() const { return report_.problems.size() >= 5; }
  bool open_store();
  void power_fails();  // And is there again: the store is open, and no node runs.
  void close_all();
  void add_peer();
  void maybe_fail();
  void publish(const std::string& name);
  void begin(Client& client);
  void watch(Client& client);
  void send_token(const std::string& token, const reference::TaskAnswer& answer, std::int64_t delay_ms);
  reference::TaskAnswer answer_of(Peer& peer, const runtime::TaskOrder& order);
  void check_store();
  bool has_ended();
  void check_end();
  void check_row(Peer& peer, const store::ExecutionRow& row, std::map<std::string, int>& children);

  SeededRandom random_;
  FaultPlan faults_;
  RunReport report_;
  SimulatedDisk disk_;
  VirtualLoop loop_;
  SimulatedStore store_{disk_, loop_, faults_, random_};
  std::vector<std::unique_ptr<Peer>> peers_;
  PeerId last_peer_ = 0;
  std::map<PeerId, std::int64_t> renewed_;
  std::map<store::ShardNo, Claim> claims_;
  std::vector<Client> clients_;
  Machines machines_;
};

}  // namespace sortie::simulation::nodes_world
