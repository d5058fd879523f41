#include "server_world.h"

#include <algorithm>

#include "server_world_parts.h"
#include "simulated_store.h"

namespace sortie::simulation {

namespace server_world {

World::World(const RunOptions& options, FaultTally& tally)
    : random_(options.seed), faults_(options.seed * 7919 + 1, tally, options.faults) {
  if (options.without_faults) faults_.end();
  const std::uint64_t intensity = 2 + options.seed % 5;
  disk_.set_plan([this, intensity](DiskOperation operation, const std::string&) {
    return faults_.of_disk(operation, intensity);
  });
  make_clients(options.clients);
}

World::~World() { close_all(); }

void World::problem(const std::string& text) {
  if (!is_over()) report_.problems.push_back(text);
}

void World::make_machines(std::uint64_t seed) {
  const auto input = [](std::int64_t n) {
    return json::Value::object({{"n", n}, {"list", json::Value::array({1, 2, 3})}});
  };
  for (const char* name : {"m0", "m1", "m2"}) {
    SeededRandom own(seed++);
    machines_[name] = make_machine(own, {input(2)});
  }
  SeededRandom own(seed);
  machines_["nest"] = nesting_machine(kArnPrefix + "stateMachine:m0");
  const json::Value processor = make_machine(own, {input(1), input(2), input(3), input(4), input(5)});
  machines_["each"] = map_machine(processor, own.next() % 2 == 0, own.next() % 3 != 0);
  machines_["mend"] = fragile_machine();
  machines_["mend-each"] = map_machine(*json::parse(fragile_flow()), own.next() % 2 == 0, false);
}

// Each client is the same whoever else is there.
void World::make_clients(const std::set<std::size_t>& chosen) {
  const std::uint64_t seed = random_.next();
  make_machines(seed);
  for (std::size_t i = 0; i < kClients; ++i) {
    if (!chosen.empty() && !chosen.contains(i)) continue;
    SeededRandom own(seed + 1000 + i);
    Client client;
    client.mark = "mark-" + std::to_string(i);
    client.machine = kMachineNames[own.next() % kMachineNames.size()];
    const std::string big = own.next() % 3 == 0 ? R"(,"big":")" + std::string(3000, 'x') + "\"" : "";
    const std::string n =
        client.machine == "mend" ? "3" : "2";  // 2 is what does not fail (function_answers).
    client.input_text = R"({"n":)" + n + R"(,"list":[1,2,3],"mark":")" + client.mark + "\"" + big + "}";
    client.by_event = own.next() % 2 == 0 && !is_redriven(client.machine);
    clients_.push_back(std::move(client));
  }
}

// --- Asking until it is acknowledged ---

void World::persist(Ask ask, std::int64_t after_ms) {
  auto call = std::make_shared<Call>();
  call->ask = std::move(ask);
  loop_.call_at(loop_.now().plus_ms(after_ms), [this, call] { try_call(call); });
}

Node* World::some_node() {
  std::vector<Node*> there;
  for (const auto& node : nodes_) {
    if (node->is_up() && !node->loop.is_paused()) there.push_back(node.get());
  }
  if (there.empty()) return nullptr;
  return chance(85) ? there.back() : there.front();
}

void World::try_call(const std::shared_ptr<Call>& call) {
  if (call->finished) return;
  const std::uint64_t mine = ++call->tries;
  const auto again = [this, call, mine](std::int64_t ms) {
    loop_.call_at(loop_.now().plus_ms(ms), [this, call, mine] {
      if (call->tries == mine) try_call(call);
    });
  };
  Node* node = some_node();
  if (node == nullptr) return again(100 + up_to(200));
  again(5'000 + up_to(1'000));  // Nobody answered: the process died, or is paused.
  call->ask(*node, [this, call, mine, again](bool finished) {
    if (finished) {
      call->finished = true;
    } else if (call->tries == mine) {
      again(50 + up_to(300));
    }
  });
}

void World::begin(Client& client) {
  persist(
      [&client](Node& node, const std::function<void(bool)>& done) {
        runtime::StartRequest request;
        request.state_machine_arn = kArnPrefix + "stateMachine:" + client.machine;
        request.name = client.mark;
        request.input_text = client.input_text;
        request.actor = person("carol");
        node.runtime->start_execution(
            std::move(request), [&client, done](const Result<runtime::StartReply>& reply) {
              // One that has ended meanwhile, with only the answer lost, was accepted, too.
              const bool accepted = reply.ok() || reply.error().code == "ExecutionAlreadyExists";
              client.accepted = client.accepted || accepted;
              done(accepted);
            });
      },
      up_to(4'000));
  if (is_redriven(client.machine)) watch(client);
}

// Somebody who redrives the execution whenever it has failed.
void World::watch(Client& client) {
  loop_.call_at(loop_.now().plus_ms(5'000 + up_to(20'000)), [this, &client] {
    Node* node = some_node();
    const auto known = node == nullptr ? Error{} : node->runtime->describe_execution(arn_of(client));
    if (calm_ || (known.ok() && known->status == store::ExecutionStatus::kSucceeded)) return;
    if (known.ok() && known->status != store::ExecutionStatus::kRunning) {
      const std::int64_t next = known->redrive_count + 1;
      node->runtime->redrive_execution(arn_of(client), "redrive " + std::to_string(next), person("carol"),
                                       [&client, next](const Result<Timestamp>& told) {
                                         if (told) client.redrives = std::max(client.redrives, next);
                                       });
    }
    watch(client);
  });
}

void World::send(Client& client) {
  persist(
      [&client](Node& node, const std::function<void(bool)>& done) {
        // Before its rule is in force an event matches nothing.
        if (node.bus->find_rule("123456789012/default/" + client.machine) == nullptr) return done(false);
        events::PutEntry entry{"app", client.machine, client.input_text};
        node.bus->put_events({entry}, person("carol"),
                             [&client, done](const Result<std::vector<events::PutResult>>& put) {
                               const bool accepted = put.ok() && !put->front().event_id.empty();
                               if (accepted && !client.accepted) client.event_id = put->front().event_id;
                               client.accepted = client.accepted || accepted;
                               done(accepted);
                             });
      },
      up_to(4'000));
}

// --- Processes ---

bool World::open_store() {
  const Status opened = store_.open();
  if (!opened && opened.error().code == "StoreCorrupt") problem("at a start: " + opened.error().message);
  return opened.ok();
}

void World::close_all() {
  nodes_.clear();
  store_.close();
}

// What is in memory is gone; with the power goes what was not synced, too.
void World::end_processes(bool with_power) {
  disk_.lose_power();  // Nothing of a dying process reaches the disk.
  close_all();
  if (with_power) {
    disk_.restart_without_loss();
  } else {
    disk_.restore_power(random_);
  }
}

void World::boot() {
  for (int i = 0; i < 300 && !is_over(); ++i) {
    ++report_.starts;
    if (i == 200) faults_.end();
    if (store_.is_open() || open_store()) {
      check_start();
      nodes_.push_back(std::make_unique<Node>(loop_, *store_, *this, random_.next()));
      if (nodes_.back()->start() && disk_.has_power()) break;
      nodes_.pop_back();
      if (disk_.has_power()) continue;  // A read failed: the process ended and is started again.
    }
    end_processes(chance(30));
  }
  if (nodes_.empty()) return problem("the server does not start");
  publish();
  Node& node = *nodes_.back();
  for (auto& [key, answer] : std::exchange(late_, {})) {
    if (!chance(50)) continue;
    if (answer.error.empty()) {
      node.answer(key, answer.result);
    } else if (!answer.timed_out) {
      node.answer_failure(key, answer.error, answer.cause);
    }
  }
}

void World::publish() {
  // The one that starts another comes after it.
  std::vector<std::pair<std::string, std::string>> all{{kApprovalMachine, approval_machine()}};
  for (const auto& [name, machine] : machines_) all.emplace_back(name, json::to_text(machine));
  for (const auto& [name, definition] : all) {
    persist(
        [name = name, definition = definition](Node& node, const std::function<void(bool)>& done) {
          runtime::StateMachineRecord record;
          record.name = name;
          record.arn = kArnPrefix + "stateMachine:" + name;
          record.definition = definition;
          record.role_arn = "arn:aws:iam::123456789012:role/r";
          if (node.runtime->find_state_machine(record.arn)) return done(true);
          if (name == "nest" && !node.runtime->find_state_machine(kArnPrefix + "stateMachine:m0"))
            return done(false);
          node.runtime->put_state_machine(record, {}, [done](const auto& kept) { done(kept.ok()); });
        },
        0);
    persist(
        [name = name](Node& node, const std::function<void(bool)>& done) {
          const std::string arn = kArnPrefix + "stateMachine:" + name;
          if (!node.runtime->find_state_machine(arn)) return done(false);
          auto rule = events::parse_rule_file(
              *json::parse(R"({"EventPattern":{"source":["app"],"detail-type":[")" + name +
                           R"("]},"Targets":[{"Id":"t","Arn":")" + arn + R"(","InputPath":"$.detail"}]})"),
              name);
          rule->account = "123456789012";
          if (node.bus->find_rule(rule->key()) != nullptr) return done(true);
          node.bus->replace_rule(*rule, person("carol"), [done](const auto& kept) { done(kept.ok()); });
        },
        0);
  }
  for (const char* name : {"alice", "bob"}) {
    persist(
        [name](Node& node, const std::function<void(bool)>& done) {
          if (node.people->find(name) != nullptr) return done(true);
          node.people->add(name, {}, person("carol"), [done](const auto& made) { done(made.ok()); });
        },
        0);
  }
}

void World::kill_node(std::size_t index) {
  nodes_.erase(nodes_.begin() + static_cast<std::ptrdiff_t>(index));
}

// Another process takes the shard, on the same store: the owner was silent for longer than its lease.
void World::take_over() {
  if (!store_.is_open() || nodes_.empty() || !disk_.has_power()) return;
  auto next = std::make_unique<Node>(loop_, *store_, *this, random_.next());
  ++report_.starts;
  if (!next->start()) return;
  if (nodes_.size() > 1) kill_node(0);
  nodes_.push_back(std::move(next));
}

// Just before a write or just behind it the lease is lost, and the owner does not know.
void World::at_commit(Node& node) {
  if (nodes_.size() != 1 || &node != nodes_.back().get() || !node.is_up() || !disk_.has_power()) return;
  if (!faults_.is_over() && faults_.strikes("lease lost at a commit", 2'000)) take_over();
}

void World::maybe_fail() {
  if (!disk_.has_power()) {
    loop_.jump(up_to(2'000));
    end_processes(false);
    return boot();
  }
  if (faults_.strikes("kill", 4'000)) {
    end_processes(true);
    return boot();
  }
  for (std::size_t i = 0; i + 1 < nodes_.size();
       ++i) {  // One that lost its lease ends itself, a little later.
    if ((nodes_[i]->store.lost_the_lease() || faults_.is_over()) && chance(5)) return kill_node(i);
  }
  // Whoever took the lease from the owner has died since: the owner ends itself, too, and starts anew.
  if (!nodes_.empty() && nodes_.back()->store.lost_the_lease()) {
    nodes_.clear();
    return boot();
  }
  if (nodes_.size() == 1 && faults_.strikes("paused beyond the lease", 4'000)) {
    Node* paused = nodes_.back().get();
    paused->loop.pause();
    loop_.call_at(loop_.now().plus_ms(2'000 + up_to(2'000)), [this] {
      if (!nodes_.empty() && nodes_.back()->loop.is_paused()) take_over();
    });
    loop_.call_at(loop_.now().plus_ms(1'000 + up_to(8'000)), [this, paused] {
      for (const auto& node : nodes_) {
        if (node.get() == paused) node->loop.resume();
      }
    });
  }
  if (faults_.strikes("clock forward", 1'500)) loop_.jump(up_to(900'000));
  if (faults_.strikes("clock back", 1'500)) loop_.jump(-up_to(900'000));
}

// --- The run ---

bool World::has_ended() {
  for (const Client& client : clients_) {
    if (!client.accepted) return false;
  }
  Node* node = some_node();
  if (node == nullptr || nodes_.size() != 1 || node->bus->figures().pending_deliveries > 0) return false;
  for (const Client& client : clients_) {
    if (!is_redriven(client.machine)) continue;
    const auto known = node->store.find_execution(arn_of(client));
    if (!known || !*known || (*known)->status != store::ExecutionStatus::kSucceeded) return false;
  }
  const auto running = node->store.list_executions({.status = store::ExecutionStatus::kRunning, .limit = 1});
  return running.ok() && running->empty();
}

RunReport World::run() {
  boot();
  for (Client& client : clients_) {
    if (client.by_event) {
      send(client);
    } else {
      begin(client);
    }
  }
  while (!is_over()) {
    if (++report_.steps > kStepsMax) {
      std::string open;
      for (const Client& client : clients_) {
        if (!client.accepted) open += " " + client.mark + " of " + client.machine + " not accepted;";
      }
      if (store_.is_open()) {
        const auto rows = store_->list_executions({.status = store::ExecutionStatus::kRunning});
        if (rows) {
          for (const auto& row : *rows) open += " " + row.arn + " runs;";
        }
      }
      problem("it does not end:" + open);
      break;
    }
    if (faults_.injected().size() >= kFaultsMax || loop_.now().ms > kStart.ms + 20LL * 86'400'000)
      faults_.end();
    if (!loop_.step()) break;
    maybe_fail();
    if (report_.steps % 40 == 0) read_some_history();
    if (report_.steps % 100 == 0 && has_ended()) break;
  }
  faults_.end();
  calm_ = true;
  if (!is_over()) check_end();
  close_all();
  report_.faults = faults_.injected();
  report_.writes_torn = disk_.figures().writes_torn;
  report_.sectors_lost = disk_.figures().sectors_lost;
  return report_;
}

}  // namespace server_world

RunReport run_server(const RunOptions& options, FaultTally& tally) {
  return server_world::World(options, tally).run();
}

}  // namespace sortie::simulation
