#include "server_world.h"

#include <algorithm>

#include "server_world_parts.h"
#include "store/sqlite/sqlite_store.h"

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

// Each client is the same whoever else is there.
void World::make_clients(const std::set<std::size_t>& chosen) {
  const json::Value sample = *json::parse(R"({"n":2,"list":[1,2,3]})");
  const std::uint64_t seed = random_.next();
  for (std::size_t i = 0; i < kMachines; ++i) {
    SeededRandom own(seed + i);
    machines_["m" + std::to_string(i)] = make_machine(own, sample);
  }
  for (std::size_t i = 0; i < kClients; ++i) {
    if (!chosen.empty() && !chosen.contains(i)) continue;
    SeededRandom own(seed + 1000 + i);
    Client client;
    client.mark = "mark-" + std::to_string(i);
    const std::size_t machine = own.next() % (kMachines + 1);
    client.machine = machine == kMachines ? kApprovalMachine : "m" + std::to_string(machine);
    const std::string big = own.next() % 3 == 0 ? R"(,"big":")" + std::string(3000, 'x') + "\"" : "";
    client.input_text = R"({"n":2,"list":[1,2,3],"mark":")" + client.mark + "\"" + big + "}";
    client.by_event = own.next() % 2 == 0;
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
  store_loop_.emplace(loop_);
  store::SqliteOptions options;
  options.folder = "/disk";
  options.vfs = disk_.vfs();
  options.loop = &*store_loop_;
  options.run_work = [this](std::function<void()> work) {
    const bool slow = faults_.strikes("slow disk", 20'000);
    store_loop_->call_at(loop_.now().plus_ms(slow ? up_to(3'000) : up_to(3)), std::move(work));
  };
  options.idle_ms = 50 + up_to(500);
  options.overlay_bytes_max = 1 + static_cast<std::size_t>(up_to(80'000));
  options.segment_bytes = 10'000;
  options.checkpoint_bytes = 200'000;
  options.readers_max = 2;
  auto opened = store::open_sqlite_store(options);
  if (!opened) {
    if (opened.error().code == "StoreCorrupt") problem("at a start: " + opened.error().message);
    return false;
  }
  store_ = std::move(opened).value();
  return true;
}

void World::close_all() {
  nodes_.clear();
  store_.reset();
  store_loop_.reset();
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
    if (store_ != nullptr || open_store()) {
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
      node.runtime->task_succeeded(key, answer.result);
    } else if (!answer.timed_out) {
      node.runtime->task_failed(key, answer.error, answer.cause);
    }
  }
}

void World::publish() {
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

// The owner is silent for longer than its lease: another process takes the shard, on the same store.
void World::take_over() {
  if (store_ == nullptr || nodes_.empty() || !nodes_.back()->loop.is_paused() || !disk_.has_power()) return;
  auto next = std::make_unique<Node>(loop_, *store_, *this, random_.next());
  ++report_.starts;
  if (!next->start()) return;
  if (nodes_.size() > 1) kill_node(0);
  nodes_.push_back(std::move(next));
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
    if (nodes_[i]->store.lost_the_lease() && chance(5)) return kill_node(i);
  }
  // Whoever took the lease from the owner has died since: the owner ends itself, too, and starts anew.
  if (!nodes_.empty() && nodes_.back()->store.lost_the_lease()) {
    nodes_.clear();
    return boot();
  }
  if (nodes_.size() == 1 && faults_.strikes("paused beyond the lease", 4'000)) {
    Node* paused = nodes_.back().get();
    paused->loop.pause();
    loop_.call_at(loop_.now().plus_ms(2'000 + up_to(2'000)), [this] { take_over(); });
    loop_.call_at(loop_.now().plus_ms(1'000 + up_to(8'000)), [this, paused] {
      for (const auto& node : nodes_) {
        if (node.get() == paused) node->loop.resume();
      }
    });
  }
  if (faults_.strikes("clock forward", 1'500)) loop_.jump(up_to(900'000));
  if (faults_.strikes("clock back", 1'500)) loop_.jump(-up_to(900'000));
}

// --- The world answers ---

void World::dispatched(Node& node, const runtime::TaskOrder& order) {
  // One that went on after its lease may still send what it had committed: effects are at least once. What
  // the owner sends is wanted, and its frame waits for it, durably: nothing leaves before that.
  const bool owns = !nodes_.empty() && &node == nodes_.back().get();
  if (owns && recorded_.contains(order.idempotency_key)) {
    problem(order.idempotency_key + " is asked for again, and its result was acknowledged");
  }
  const auto frame = node.store.find_frame({order.key.execution, order.key.frame});
  if (owns && frame.ok() && !frame->has_value()) {
    problem(order.idempotency_key + " left before its frame was durable");
  }
  const bool waits = order.resource.pattern == asl::TaskPattern::kWaitForTaskToken;
  if (order.resource.text.find("sqs:") != std::string::npos) return ask_people(node, order);
  if (!waits) return answer_function(node, order);
  const auto submit = [&node, key = order.key] {
    node.runtime->task_submitted(key, json::Value::object({}));
  };
  node.loop.call_at(loop_.now().plus_ms(up_to(50)), submit);
  answer_token(order);
}

void World::answer_function(Node& node, const runtime::TaskOrder& order) {
  const bool echoes = order.resource.text.ends_with(":echo");
  const reference::TaskAnswer answer =
      echoes ? reference::TaskAnswer{.result = order.parameters}
             : world_answers(order.state_name, order.parameters, order.key.attempt);
  late_.emplace_back(order.key, answer);
  if (late_.size() > 12) late_.pop_front();
  int times = faults_.strikes("result twice", 20'000) ? 2 : 1;
  std::int64_t delay = up_to(400);
  if (answer.timed_out) {  // It comes after its time, when nobody waits for it, or never.
    faults_.count("result lost");
    if (chance(50)) times = 0;
    delay = (kTaskTimeoutSeconds + 1'000) * 1'000;
  } else if (faults_.strikes("result late", 20'000)) {
    delay = up_to(600'000);
  }
  for (int i = 0; i < times; ++i) {
    node.loop.call_at(loop_.now().plus_ms(delay + i * up_to(2'000)), [&node, key = order.key, answer] {
      if (answer.timed_out) return node.runtime->task_succeeded(key, json::Value("too late"));
      if (answer.error.empty()) return node.runtime->task_succeeded(key, answer.result);
      node.runtime->task_failed(key, answer.error, answer.cause);
    });
  }
}

void World::answer_token(const runtime::TaskOrder& order) {
  const reference::TaskAnswer answer = world_answers(order.state_name, order.parameters, order.key.attempt);
  if (answer.timed_out) return faults_.count("token never answered");
  const std::int64_t delay = faults_.strikes("answer late", 20'000) ? up_to(600'000) : up_to(600);
  const int times = faults_.strikes("answer twice", 20'000) ? 2 : 1;
  for (int i = 0; i < times; ++i) {
    persist(
        [this, token = order.task_token, key = order.idempotency_key, answer](
            Node& node, const std::function<void(bool)>& done) {
          const auto told = [this, key, done](const Result<Unit>& result) {
            if (result) recorded_.insert(key);
            const std::string code = result ? "" : result.error().code;
            if (code == "InvalidToken") problem("a token of ours is refused: " + result.error().message);
            done(result.ok() || code == "TaskTimedOut" || code == "TaskDoesNotExist" ||
                 code == "InvalidToken");
          };
          if (answer.error.empty()) {
            node.runtime->send_task_success(token, json::to_text(answer.result), person("dave"), {}, told);
          } else {
            node.runtime->send_task_failure(token, answer.error, answer.cause, person("dave"), {}, told);
          }
        },
        delay);
  }
}

void World::ask_people(Node& node, const runtime::TaskOrder& order) {
  json::Value message = order.parameters.get("MessageBody");
  node.approvals->open(order, "approval-queue", message, [this, &node, order](const Result<std::string>& id) {
    if (!id) {
      if (id.error().code != "ServiceUnavailable")
        return problem("an approval is refused: " + id.error().message);
      node.loop.call_at(loop_.now().plus_ms(500), [this, &node, order] { ask_people(node, order); });
      return;
    }
    node.runtime->task_submitted(order.key, json::Value::object({}));
    if (asked_.insert(*id).second && chance(85)) decide(*id);  // Some nobody answers: they expire.
  });
}

void World::decide(const std::string& id) {
  const bool approve = chance(70);
  for (const char* name : {"alice", "bob", "alice"}) {
    persist(
        [this, id, name, approve](Node& node, const std::function<void(bool)>& done) {
          response::DecideRequest request{id, person(name), approve, "because it is right", {}, "api"};
          node.approvals->decide(request, [this, id, done](const Result<response::Approval>& told) {
            if (told && told->decision) {
              const auto [known, is_new] = decided_.emplace(id, told->decision->outcome);
              if (!is_new && known->second != told->decision->outcome) problem(id + " was decided twice");
            }
            const std::string code = told ? "" : told.error().code;
            done(told.ok() || code == "AlreadyDecided" || code == "AlreadyVoted");
          });
        },
        up_to(200'000));
  }
}

// --- The run ---

bool World::has_ended() {
  for (const Client& client : clients_) {
    if (!client.accepted) return false;
  }
  Node* node = some_node();
  if (node == nullptr || nodes_.size() != 1 || node->bus->figures().pending_deliveries > 0) return false;
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
      problem("it does not end");
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
  return report_;
}

}  // namespace server_world

RunReport run_server(const RunOptions& options, FaultTally& tally) {
  return server_world::World(options, tally).run();
}

}  // namespace sortie::simulation
