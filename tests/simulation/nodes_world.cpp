#include "nodes_world.h"

#include <algorithm>

#include "json/text.h"
#include "nodes_world_parts.h"
#include "runtime/audit.h"
#include "runtime/check.h"
#include "runtime/inbox.h"
#include "runtime/shard_map.h"
#include "simulated_store.h"

namespace sortie::simulation {
namespace nodes_world {

constexpr Timestamp kBegin{1'800'000'000'000};
constexpr std::uint64_t kMostSteps = 400'000;
constexpr std::size_t kMostFaults = 120;
const std::vector<std::string> kMachineNames = {"m0", "m1", "nest", "token", "mend"};

// A machine whose tasks are all answered in time: the nodes look at the store too often for a virtual day.
json::Value prompt_machine(Random& random, const json::Value& input, bool with_tokens) {
  for (;;) {
    const json::Value machine = make_machine(random, {input}, with_tokens);
    bool waits = false;
    const auto answers = [&waits](const std::string& state, const json::Value& parameters, unsigned attempt) {
      const reference::TaskAnswer answer = world_answers(state, parameters, attempt);
      waits = waits || answer.timed_out;
      return answer;
    };
    reference::Interpreter(answers).run(machine, input);
    if (!waits) return machine;
  }
}

World::World(const RunOptions& options, FaultTally& tally)
    : random_(options.seed * 31 + 7), faults_(options.seed * 7919 + 5, tally, options.faults), loop_(kBegin) {
  if (options.without_faults) faults_.end();
  const std::uint64_t intensity = 1 + options.seed % 3;
  disk_.set_plan([this, intensity](DiskOperation operation, const std::string&) {
    return faults_.of_disk(operation, intensity);
  });
  const json::Value input = json::Value::object({{"n", 2}, {"list", json::Value::array({1, 2, 3})}});
  SeededRandom own(random_.next());
  machines_["m0"] = prompt_machine(own, input, false);
  machines_["m1"] = prompt_machine(own, input, false);
  machines_["token"] = prompt_machine(own, input, true);
  machines_["nest"] = nesting_machine(kArnPrefix + "stateMachine:m0");
  machines_["mend"] = *json::parse(fragile_flow());
  for (int i = 0; i < 16; ++i) {
    clients_.push_back({"run-" + std::to_string(i), kMachineNames[own.next() % kMachineNames.size()]});
  }
}

World::~World() { close_all(); }

void World::problem(const std::string& text) {
  if (!is_over()) report_.problems.push_back(text);
}

// --- Who has what ---

bool World::has_lease(PeerId id) const {
  const auto found = renewed_.find(id);
  return found != renewed_.end() && loop_.steady_ms() - found->second <= kLeaseMs;
}

bool World::is_held(store::ShardNo shard) const { return has_lease(owner_of(shard)); }

PeerId World::owner_of(store::ShardNo shard) const {
  const auto found = claims_.find(shard);
  return found == claims_.end() ? 0 : found->second.owner;
}

std::optional<store::Epoch> World::claim(store::ShardNo shard, PeerId id) {
  const Result<store::Epoch> epoch = store_->acquire(shard);
  if (!epoch) return std::nullopt;
  claims_[shard] = {id, *epoch};
  return *epoch;
}

void World::release(store::ShardNo shard, PeerId id) {
  if (owner_of(shard) == id) claims_.erase(shard);
}

std::size_t World::working() const {
  return static_cast<std::size_t>(std::count_if(peers_.begin(), peers_.end(), [this](const auto& peer) {
    return peer->works() && has_lease(peer->id);
  }));
}

Peer* World::find(PeerId id) {
  for (const auto& peer : peers_) {
    if (peer->id == id) return peer.get();
  }
  return nullptr;
}

// Whom a client asks: mostly the leader, now and then one that only thinks it is.
Peer* World::leader() {
  std::vector<Peer*> leading;
  for (const auto& peer : peers_) {
    if (peer->leads() && peer->works() && !peer->loop.is_paused()) leading.push_back(peer.get());
  }
  if (leading.empty()) return nullptr;
  return chance(85) ? leading.back() : leading.front();
}

void World::shut_out(PeerId id) {
  loop_.post([this, id] { std::erase_if(peers_, [id](const auto& peer) { return peer->id == id; }); });
}

void World::tell(PeerId to, const char* fault, std::function<void(Peer&)> what) {
  if (faults_.strikes(fault, 100'000)) return;
  const int times = faults_.strikes("told twice", 30'000) ? 2 : 1;
  for (int i = 0; i < times; ++i) {
    const std::int64_t delay = faults_.strikes("told late", 30'000) ? up_to(5'000) : up_to(5);
    loop_.call_at(loop_.now().plus_ms(delay), [this, to, what] {
      Peer* peer = find(to);
      if (peer == nullptr) return;
      peer->loop.post([peer, what] { what(*peer); });
    });
  }
}

// Just before a write or just behind it another takes one of the shards, and the owner does not know.
void World::at_commit(Peer& peer) {
  if (find(peer.id) == nullptr || !peer.works() || !disk_.has_power() || faults_.is_over()) return;
  if (!faults_.strikes("shard taken at a commit", 30'000)) return;
  std::vector<store::ShardNo> own;
  for (store::ShardNo no = 1; no < runtime::kSharedShardCount; ++no) {
    if (peer.cluster().owns(no)) own.push_back(no);
  }
  if (own.empty()) return;
  const store::ShardNo shard = own[random_.next() % own.size()];
  for (const auto& other : peers_) {
    // One that has it, too, has lost it itself, and has yet to see that.
    if (!other->works() || other->loop.is_paused() || other->cluster().owns(shard)) continue;
    return other->take(shard);
  }
}

// --- What the world answers ---

reference::TaskAnswer World::answer_of(Peer& peer, const runtime::TaskOrder& order) {
  if (*order.state_name == kFragile) {
    const std::string mark = order.parameters.get("mark").to_std_string();
    const auto client = std::find_if(clients_.begin(), clients_.end(),
                                     [&mark](const Client& each) { return each.name == mark; });
    const auto known = peer.runtime->describe_execution(arn_of(*client));
    const bool is_mended = known.ok() && known->redrive_count > static_cast<std::int64_t>(mark.back() % 2);
    if (!is_mended) return {.error = "EFragile"};
  }
  return world_answers(*order.state_name, order.parameters, order.key.attempt);
}

void World::answer(Peer& peer, const runtime::TaskOrder& order) {
  const reference::TaskAnswer answer = answer_of(peer, order);
  const std::int64_t delay = faults_.strikes("result late", 20'000) ? up_to(20'000) : up_to(400);
  if (order.resource->pattern == asl::TaskPattern::kWaitForTaskToken) {
    peer.loop.call_at(loop_.now().plus_ms(up_to(50)), [&peer, key = order.key] {
      peer.answered_by_world(key);
      peer.runtime->task_submitted(key, json::Value::object({}));
    });
    return send_token(order.task_token, answer, delay);
  }
  const int times = faults_.strikes("result twice", 20'000) ? 2 : 1;
  for (int i = 0; i < times; ++i) {
    peer.loop.call_at(loop_.now().plus_ms(delay + i * up_to(2'000)), [&peer, key = order.key, answer] {
      peer.answered_by_world(key);
      if (answer.error.empty()) return peer.runtime->task_succeeded(key, answer.result);
      peer.runtime->task_failed(key, answer.error, answer.cause);
    });
  }
}

// Until somebody says that it is over.
void World::send_token(const std::string& token, const reference::TaskAnswer& answer, std::int64_t delay_ms) {
  loop_.call_at(loop_.now().plus_ms(delay_ms), [this, token, answer] {
    auto is_over = std::make_shared<bool>(false);
    const auto told = [is_over](const Result<Unit>& result) {
      *is_over = result.ok() || result.error().code == "TaskTimedOut";
    };
    if (Peer* peer = leader(); peer != nullptr && answer.error.empty()) {
      peer->runtime->send_task_success(token, json::to_text(answer.result), person("carol"), {}, told);
    } else if (peer != nullptr) {
      peer->runtime->send_task_failure(token, answer.error, answer.cause, person("carol"), {}, told);
    }
    loop_.call_at(loop_.now().plus_ms(1'000 + up_to(3'000)), [this, token, answer, is_over] {
      if (!*is_over) send_token(token, answer, 0);
    });
  });
}

void World::found_stuck(Peer& peer, const runtime::StuckFrame& found) {
  if (loop_.since_leap_ms() < kAuditGraceMs / runtime::Audit::kLooksAgain) return;
  const runtime::ShardMap map{runtime::kSharedShardCount, 0};
  if (owner_of(map.of(found.frame.execution)) != peer.id) return;
  problem("an audit found frame " + std::to_string(found.frame.frame) + " of " + found.execution_arn +
          " stuck: " + found.what);
}

// --- Clients ---

void World::publish(const std::string& name) {
  if (Peer* peer = leader();
      peer != nullptr && !peer->runtime->find_state_machine(kArnPrefix + "stateMachine:" + name)) {
    runtime::StateMachineRecord record;
    record.name = name;
    record.arn = kArnPrefix + "stateMachine:" + name;
    record.definition = json::to_text(machines_.at(name));
    record.role_arn = "arn:aws:iam::123456789012:role/r";
    peer->runtime->put_state_machine(record, {}, [](const auto&) {});
  }
}

void World::begin(Client& client) {
  if (client.accepted) return;
  loop_.call_at(loop_.now().plus_ms(500 + up_to(3'000)), [this, &client] { begin(client); });
  Peer* peer = leader();
  if (peer == nullptr) return;
  publish("m0");
  publish(client.machine);
  runtime::StartRequest request;
  request.state_machine_arn = kArnPrefix + "stateMachine:" + client.machine;
  request.name = client.name;
  request.input_text = R"({"n":2,"list":[1,2,3],"mark":")" + client.name + "\"}";
  request.actor = person("carol");
  peer->runtime->start_execution(std::move(request), [&client](const Result<runtime::StartReply>& reply) {
    client.accepted = client.accepted || reply.ok() || reply.error().code == "ExecutionAlreadyExists";
  });
}

// Somebody who redrives the execution whenever it has failed.
void World::watch(Client& client) {
  loop_.call_at(loop_.now().plus_ms(1'000 + up_to(5'000)), [this, &client] { watch(client); });
  Peer* peer = leader();
  if (peer == nullptr) return;
  const auto known = peer->runtime->describe_execution(arn_of(client));
  if (!known.ok() || known->status == store::ExecutionStatus::kRunning ||
      known->status == store::ExecutionStatus::kSucceeded) {
    return;
  }
  const std::int64_t next = known->redrive_count + 1;
  peer->runtime->redrive_execution(arn_of(client), "redrive " + std::to_string(next), person("carol"),
                                   [&client, next](const Result<Timestamp>& told) {
                                     if (told) client.redrives = std::max(client.redrives, next);
                                   });
}

// --- Processes ---

bool World::open_store() {
  const Status opened = store_.open();
  if (!opened && opened.error().code == "StoreCorrupt") problem("at a start: " + opened.error().message);
  return opened.ok();
}

void World::close_all() {
  peers_.clear();
  store_.close();
}

void World::power_fails() {
  disk_.lose_power();
  close_all();
  disk_.restore_power(random_);
  renewed_.clear();
  claims_.clear();
  for (int i = 0; i < 300 && !open_store() && !is_over(); ++i) {
    if (i == 200) faults_.end();
    disk_.lose_power();
    close_all();
    disk_.restore_power(random_);
  }
  if (!store_.is_open()) return problem("the store does not open");
  if (++report_.starts % 4 == 0) check_store();
}

void World::check_store() {
  disk_.rest(true);
  const auto findings = runtime::check_store(*store_);
  if (!findings) problem("the check cannot be made: " + findings.error().message);
  if (findings) {
    for (const std::string& finding : *findings) problem("in the store: " + finding);
  }
  disk_.rest(false);
}

void World::add_peer() { peers_.push_back(std::make_unique<Peer>(*this, ++last_peer_)); }

void World::maybe_fail() {
  if (!disk_.has_power()) return power_fails();
  if (peers_.size() < kPeers && chance(2)) return add_peer();
  if (peers_.empty()) return;
  Peer& victim = *peers_[random_.next() % peers_.size()];
  if (faults_.strikes("a node killed", 6'000)) return shut_out(victim.id);
  if (!victim.loop.is_paused() && faults_.strikes("a node paused beyond its lease", 6'000)) {
    victim.loop.pause();
    loop_.call_at(loop_.now().plus_ms(500 + up_to(3 * kLeaseMs)), [this, id = victim.id] {
      if (Peer* paused = find(id)) paused->loop.resume();
    });
  }
  if (faults_.strikes("clock forward", 1'500)) loop_.jump(up_to(60'000));
  if (faults_.strikes("clock back", 1'500)) loop_.jump(-up_to(60'000));
}

// --- The run ---

bool World::has_ended() {
  Peer* peer = find(owner_of(0));
  if (peer == nullptr || !peer->leads() || !peer->works()) return false;
  for (const Client& client : clients_) {
    if (!client.accepted) return false;
    if (client.machine != "mend") continue;
    const auto known = store_->find_execution(arn_of(client));
    if (!known || !*known || (*known)->status != store::ExecutionStatus::kSucceeded) return false;
  }
  const auto notes = store_->list_documents(runtime::kInboxKind, "", 1);
  const auto running = store_->list_executions({.status = store::ExecutionStatus::kRunning, .limit = 1});
  return notes.ok() && notes->empty() && running.ok() && running->empty();
}

RunReport World::run() {
  power_fails();
  for (Client& client : clients_) {
    loop_.call_at(loop_.now().plus_ms(up_to(30'000)), [this, &client] { begin(client); });
    if (client.machine == "mend") watch(client);
  }
  while (!is_over()) {
    if (++report_.steps > kMostSteps) {
      std::string open;
      const auto rows =
          !store_.is_open() ? Error{} : store_->list_executions({.status = store::ExecutionStatus::kRunning});
      if (rows.ok()) {
        for (const auto& row : *rows) open += " " + row.arn;
      }
      problem("it does not end:" + open);
      break;
    }
    if (faults_.injected().size() >= kMostFaults) faults_.end();
    loop_.step();
    maybe_fail();
    if (report_.steps % 200 == 0 && has_ended()) break;
  }
  faults_.end();
  if (!is_over()) check_end();
  close_all();
  report_.faults = faults_.injected();
  report_.writes_torn = disk_.figures().writes_torn;
  report_.sectors_lost = disk_.figures().sectors_lost;
  return report_;
}

void World::check_end() {
  power_fails();
  if (is_over()) return;
  check_store();
  add_peer();
  Peer& peer = *peers_.back();
  for (int i = 0; i < 10'000 && !(peer.leads() && peer.works()); ++i) loop_.step();
  if (!peer.leads()) return problem("no node leads in the end");
  const auto rows = store_->list_executions({.limit = 1'000});
  if (!rows) return problem("executions cannot be listed");
  std::map<std::string, int> children;
  for (const store::ExecutionRow& row : *rows) check_row(peer, row, children);
  for (const Client& client : clients_) {
    const auto found = store_->find_execution(arn_of(client));
    if (!found || !*found) problem(client.name + " was accepted and is not there");
    if (client.machine == "nest" && children[client.name] != 1) {
      problem(client.name + " started " + std::to_string(children[client.name]) +
              " executions instead of one");
    }
  }
}

void World::check_row(Peer& peer, const store::ExecutionRow& row, std::map<std::string, int>& children) {
  ++report_.executions;
  const auto described = peer.runtime->describe_execution(row.arn);
  if (!described) return problem(row.arn + " cannot be described: " + described.error().message);
  const json::Value input = *json::parse(described->input_text);
  std::string machine = "m0";
  if (input.get("parent").is_string()) {
    ++children[input.get("parent").to_std_string()];
  } else {
    const auto client = std::find_if(clients_.begin(), clients_.end(),
                                     [&row](const Client& each) { return arn_of(each) == row.arn; });
    if (client == clients_.end()) return problem(row.arn + " belongs to nobody");
    machine = client->machine;
    report_.redrives += static_cast<std::uint64_t>(described->redrive_count);
    if (described->redrive_count < client->redrives) {
      problem(row.arn + " was redriven " + std::to_string(described->redrive_count) + " times of " +
              std::to_string(client->redrives));
    }
  }
  const std::string wrong = wrong_with(machines_, *peer.runtime, row, *described, machines_.at(machine));
  if (!wrong.empty()) problem(wrong);
}

}  // namespace nodes_world

RunReport run_nodes(const RunOptions& options, FaultTally& tally) {
  return nodes_world::World(options, tally).run();
}

}  // namespace sortie::simulation
