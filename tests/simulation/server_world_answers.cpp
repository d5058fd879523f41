#include <algorithm>

#include "runtime/audit.h"
#include "server_world_parts.h"

// What the world answers to the server: results of functions, task tokens, people's decisions.
namespace sortie::simulation::server_world {

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
  const bool waits = order.resource->pattern == asl::TaskPattern::kWaitForTaskToken;
  if (order.resource->text.find("sqs:") != std::string::npos) return ask_people(node, order);
  if (!waits) return answer_function(node, order);
  const auto submit = [&node, key = order.key] {
    node.runtime->task_submitted(key, json::Value::object({}));
  };
  node.loop.call_at(loop_.now().plus_ms(up_to(50)), submit);
  answer_token(order);
}

reference::TaskAnswer World::function_answers(Node& node, const runtime::TaskOrder& order) {
  const runtime::AttemptKey& key = order.key;
  if (order.resource->text.ends_with(":echo")) return {.result = order.parameters};
  if (*order.state_name == kFragile && order.parameters.get("n") != json::Value(2) &&
      !is_mended(node, order.parameters.get("mark").to_std_string())) {
    return {.error = "EFragile"};
  }
  if (is_steady(*order.state_name)) return world_answers(*order.state_name, order.parameters, 1);
  // What an attempt was answered once it is answered whenever it is asked for again, because either answer
  // may arrive; and what the others are answered does not depend on dead workers.
  const auto [mine, is_new] = worker_died_.try_emplace(key, false);
  if (is_new) mine->second = faults_.strikes("worker death", 20'000);
  if (mine->second) return {.error = kWorkerDeath, .cause = "the worker died"};
  const auto first = worker_died_.lower_bound({key.execution, key.frame, key.entry, 0});
  const auto deaths = static_cast<std::uint32_t>(
      std::count_if(first, mine, [](const auto& attempt) { return attempt.second; }));
  return world_answers(*order.state_name, order.parameters, key.attempt - deaths);
}

// Whether the execution behind this mark has been redriven as often as it takes.
bool World::is_mended(Node& node, const std::string& mark) {
  for (const Client& client : clients_) {
    if (client.mark != mark) continue;
    const auto known = node.runtime->describe_execution(arn_of(client));
    return known.ok() && known->redrive_count > static_cast<std::int64_t>(mark.back() % 2);
  }
  return false;
}

void World::answer_function(Node& node, const runtime::TaskOrder& order) {
  const reference::TaskAnswer answer = function_answers(node, order);
  late_.emplace_back(order.key, answer);
  if (late_.size() > 12) late_.pop_front();
  const int times = faults_.strikes("result twice", 20'000) ? 2 : 1;
  std::int64_t delay = up_to(400);
  if (answer.timed_out) {
    faults_.count("result lost");
    if (chance(50)) return;
    for (int i = 0; i < times; ++i) answer_too_late(node, order.key, order.deadline.plus_ms(1'000'000));
    return;
  }
  if (faults_.strikes("result late", 20'000)) {
    delay = up_to(600'000);
  }
  for (int i = 0; i < times; ++i) {
    node.loop.call_at(loop_.now().plus_ms(delay + i * up_to(2'000)), [&node, key = order.key, answer] {
      if (answer.error.empty()) return node.answer(key, answer.result);
      node.answer_failure(key, answer.error, answer.cause);
    });
  }
}

// When nobody waits for it any more: clocks that were set back have put the deadline off.
void World::answer_too_late(Node& node, const runtime::AttemptKey& key, Timestamp at) {
  node.loop.call_at(at, [this, &node, key, at] {
    if (node.loop.now() < at) return answer_too_late(node, key, at);
    node.answer(key, json::Value("too late"));
  });
}

void World::answer_token(const runtime::TaskOrder& order) {
  const reference::TaskAnswer answer = world_answers(*order.state_name, order.parameters, order.key.attempt);
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

std::int64_t World::read_ms() { return up_to(faults_.strikes("slow object", 20'000) ? 60'000 : 40); }

// What it finds nobody else would have set going, unless the clock leapt over its last pause.
void World::found_stuck(Node& node, const runtime::StuckFrame& found) {
  if (loop_.since_leap_ms() < kAuditGraceMs / runtime::Audit::kLooksAgain) return;
  if (nodes_.empty() || &node != nodes_.back().get() || node.store.lost_the_lease()) return;
  problem("the audit found frame " + std::to_string(found.frame.frame) + " of " + found.execution_arn +
          " stuck: " + found.what);
}

}  // namespace sortie::simulation::server_world
