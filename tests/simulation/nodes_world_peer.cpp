#include <algorithm>

#include "nodes_world_parts.h"
#include "runtime/shard_map.h"

// What one node does: cli/fleet.cpp, with the world for a network.
namespace sortie::simulation::nodes_world {

Peer::Peer(World& world, PeerId id)
    : id(id), loop(world.loop()), store(world.store(), loop), random(world.number()), world_(world) {
  store.around_commits = [this] { world_.at_commit(*this); };
  runtime::Options options;
  options.is_shared = true;
  options.recovery_page = 1 + random.next() % 6;
  if (random.next() % 2 == 0) options.open_in_memory_max = random.next() % 7;
  options.audit_step_ms = 1'000 + static_cast<std::int64_t>(random.next() % 30'000);
  options.audit_grace_ms = kAuditGraceMs;
  options.audit_pause_ms = 3 * 3'600'000;
  options.on_stuck = [this](const runtime::StuckFrame& found) { world_.found_stuck(*this, found); };
  options.scan_frames = [this](store::ShardNo shard, store::ExecutionNo above, store::FrameKey after,
                               std::size_t limit) -> Result<std::vector<store::FrameRow>> {
    SORTIE_TRY(std::vector<store::FrameRow> rows, store.scan_frames(after, 100'000));
    const runtime::ShardMap map{runtime::kSharedShardCount, above};
    std::erase_if(rows, [&](const store::FrameRow& row) { return map.of(row.key.execution) != shard; });
    if (rows.size() > limit) rows.resize(limit);
    return rows;
  };
  options.on_note = [this](store::ShardNo shard) {
    world_.tell(world_.owner_of(shard), "note lost", [](Peer& owner) {
      if (owner.works()) owner.cluster().read_inbox();
    });
  };
  runtime = runtime::Runtime::make(loop, random, store, *this, options);
  dispatcher = std::make_unique<integrations::Dispatcher>(loop);
  nested = std::make_unique<integrations::StatesIntegration>(loop, store);
  dispatcher->add("states", *nested);
  dispatcher->attach(*runtime);
  observer_ = runtime->observe([this](const runtime::ExecutionChange& change) {
    if (leads_ || change.elsewhere) return;
    runtime::ExecutionChange told = change;
    told.elsewhere = true;
    told.logged = nullptr;
    world_.tell(world_.owner_of(0), "news lost", [told](Peer& leader) {
      if (leader.leads()) leader.cluster().hear(told);
    });
  });
  loop.call_at(loop.now(), [this] { look(); });
}

void Peer::look() {
  for (store::ShardNo no = 0; no < runtime::kSharedShardCount; ++no) {
    const bool owns = no == 0 ? leads_ : works_ && cluster().owns(no);
    if (owns && world_.owner_of(no) != id) return world_.shut_out(id);
  }
  loop.call_at(loop.now().plus_ms(kLookMs), [this] { look(); });
  world_.renew(id);
  if (!leads_ && !world_.is_held(0)) return lead();
  if (!works_) works_ = cluster().join().ok();
  if (!works_) return;
  balance();
  cluster().read_inbox();
  if (leads_) cluster().look_around();
  send_orders();
}

void Peer::lead() {
  const auto epoch = world_.claim(0, id);
  if (!epoch) return;
  leads_ = true;
  cluster().lead(*epoch);
  if (!runtime->recover())
    return world_.shut_out(id);  // As the program ends, where the store cannot be read.
  works_ = true;
  nested->attach(*runtime, [this, epoch = *epoch](store::Batch batch) {
    batch.epoch = epoch;
    store.append(std::move(batch), [](const Status&) {});
  });
  orders_.clear();
  for (auto& [key, order] : std::exchange(asked_, {})) dispatch(std::move(order));
}

void Peer::balance() {
  const std::size_t nodes = std::max<std::size_t>(world_.working(), 1);
  const std::size_t share = (runtime::kSharedShardCount - 1 + nodes - 1) / nodes;
  std::vector<store::ShardNo> own;
  for (store::ShardNo no = 1; no < runtime::kSharedShardCount; ++no) {
    if (cluster().owns(no) && !leaving_.contains(no)) own.push_back(no);
  }
  for (; own.size() > share; own.pop_back()) give_up(own.back());
  for (store::ShardNo no = 1; no < runtime::kSharedShardCount && own.size() < share; ++no) {
    if (cluster().owns(no) || world_.is_held(no)) continue;
    take(no);
    if (cluster().owns(no)) own.push_back(no);
  }
}

void Peer::take(store::ShardNo shard) {
  const auto epoch = world_.claim(shard, id);
  if (epoch && !cluster().own(shard, *epoch)) give_up(shard);
}

void Peer::give_up(store::ShardNo shard) {
  leaving_.insert(shard);
  world_.count_move();
  cluster().give_up(shard, [this, shard] {
    leaving_.erase(shard);
    const auto is_of = [shard](const auto& each) {
      return each.first.execution % runtime::kSharedShardCount == shard;
    };
    std::erase_if(orders_, is_of);
    std::erase_if(asked_, is_of);
    world_.release(shard, id);
  });
}

void Peer::send_orders() {
  const PeerId leader = world_.owner_of(0);
  std::vector<runtime::AttemptKey> keys;
  for (const auto& [key, heard] : orders_) {
    if (heard != leader) keys.push_back(key);
  }
  if (keys.empty() || leads_) return;
  world_.tell(leader, "order lost", [keys, id = id, &world = world_](Peer& other) {
    if (!other.hear(keys)) return;
    world.tell(id, "order's answer lost", [keys, from = other.id](Peer& self) {
      for (const runtime::AttemptKey& key : keys) {
        if (const auto found = self.orders_.find(key); found != self.orders_.end()) found->second = from;
      }
    });
  });
}

bool Peer::hear(const std::vector<runtime::AttemptKey>& orders) {
  if (!leads_ || !works_) return false;
  return std::all_of(orders.begin(), orders.end(),
                     [this](const runtime::AttemptKey& key) { return cluster().carry_out(key).ok(); });
}

void Peer::dispatch(runtime::TaskOrder order) {
  const bool is_nested = order.resource->resource_type == "states";
  const bool needs_leader = is_nested || order.resource->pattern == asl::TaskPattern::kWaitForTaskToken;
  if (leads_ || !needs_leader) {
    if (is_nested) return dispatcher->dispatch(std::move(order));
    under_way_.insert(order.key);
    return world_.answer(*this, order);
  }
  orders_.try_emplace(order.key, std::nullopt);
  asked_.insert_or_assign(order.key, std::move(order));
}

// What is not under way here may be with the leader, also when it has been submitted.
void Peer::cancel(const runtime::AttemptKey& key) {
  orders_.erase(key);
  asked_.erase(key);
  if (!leads_ && !under_way_.contains(key)) {
    world_.tell(world_.owner_of(0), "cancel lost", [key](Peer& leader) {
      if (leader.leads() && leader.works()) leader.cluster().call_off(key);
    });
  }
  dispatcher->cancel(key);
  under_way_.erase(key);
}

void Peer::answered(const runtime::AttemptKey& key) {
  orders_.erase(key);
  asked_.erase(key);
}

bool Peer::holds(const runtime::AttemptKey& key) const {
  return orders_.contains(key) || under_way_.contains(key) || dispatcher->holds(key);
}

bool Peer::holds_any(const std::function<bool(store::ExecutionNo)>& is_of) const {
  return std::any_of(under_way_.begin(), under_way_.end(),
                     [&](const runtime::AttemptKey& key) { return is_of(key.execution); });
}

}  // namespace sortie::simulation::nodes_world
