#include <algorithm>

#include "runtime/check.h"
#include "server_world_parts.h"

namespace sortie::simulation::server_world {

// Faults rest while the invariants are looked at.
void World::check_start() {
  if (report_.starts % 4 != 0 && !calm_) return;
  disk_.rest(true);
  for (const auto& findings : {store_->check(), runtime::check_store(*store_)}) {
    if (!findings) problem("the check cannot be made: " + findings.error().message);
    if (findings) {
      for (const std::string& finding : *findings) problem("after a start: " + finding);
    }
  }
  disk_.rest(false);
}

// What somebody has read stays true: later reads begin with it.
void World::read_some_history() {
  Node* node = some_node();
  if (node == nullptr || clients_.empty()) return;
  const auto rows = node->store.list_executions({.limit = 20});
  if (!rows || rows->empty()) return;
  const std::string arn = (*rows)[random_.next() % rows->size()].arn;
  const Result<runtime::HistoryPage> page = node->runtime->history(arn, 1, 1000, false);
  if (!page) return;
  std::vector<std::string> lines;
  for (const engine::HistoryEvent& event : page->events) {
    lines.push_back(std::to_string(event.id) + " " + std::string(engine::event_type_name(event.type)) + " " +
                    std::to_string(event.time.ms));
  }
  std::vector<std::string>& seen = seen_[arn];
  const std::size_t common = std::min(seen.size(), lines.size());
  if (!std::equal(seen.begin(), seen.begin() + static_cast<std::ptrdiff_t>(common), lines.begin())) {
    problem(arn + " has a history that contradicts what was read before");
  }
  if (lines.size() < seen.size() && node == nodes_.back().get())
    problem(arn + " lost history that was read before");
  if (lines.size() > seen.size()) seen = std::move(lines);
}

void World::check_end() {
  end_processes(false);
  boot();
  if (is_over() || nodes_.empty()) return;
  Node& node = *nodes_.back();
  const auto rows = node.store.list_executions({.limit = 1000});
  if (!rows) return problem("executions cannot be listed: " + rows.error().message);
  Census census;
  for (const store::ExecutionRow& row : *rows) check_row(node, row, census);
  check_census(census);
  report_.decisions = decided_.size();
}

void World::check_row(Node& node, const store::ExecutionRow& row, Census& census) {
  ++report_.executions;
  if (row.status == store::ExecutionStatus::kRunning) {
    std::string why;
    if (const auto reasons = node.runtime->explain(row.arn)) {
      for (const auto& reason : *reasons) why += " " + reason.sentence;
    }
    return problem(row.arn + " is stuck:" + why);
  }
  if (row.arn.find(":mapRun:") != std::string::npos) return check_map_run(node, row);
  const auto described = node.runtime->describe_execution(row.arn);
  if (!described) return problem(row.arn + " cannot be described: " + described.error().message);
  const json::Value input = *json::parse(described->input_text);
  if (!described->map_run_arn.empty()) {  // A child of a distributed Map.
    const std::string& run = described->map_run_arn;
    const std::string name = run.substr(run.find(":mapRun:") + 8, run.rfind('/') - run.find(":mapRun:") - 8);
    const json::Value& each = machines_.at(name).get("States").get("Each");
    const bool may_be_stopped = each.get("ToleratedFailurePercentage").is_null() && !is_redriven(name);
    if (may_be_stopped && row.status == store::ExecutionStatus::kAborted) return;
    return check_one(node, row, *described, each.get("ItemProcessor"));
  }
  if (input.get("parent").is_string()) {  // Started by another execution.
    ++census.nested[input.get("parent").to_std_string()];
    return check_one(node, row, *described, machines_.at("m0"));
  }
  const std::string mark = input.get("mark").to_std_string();
  const auto client =
      std::find_if(clients_.begin(), clients_.end(), [&](const Client& each) { return each.mark == mark; });
  if (client == clients_.end()) return problem(row.arn + " belongs to nobody");
  // An event that was sent again without an answer is another event, and may start another execution.
  if (!client->by_event || row.name.find(client->event_id) != std::string::npos) ++census.of_clients[mark];
  if (client->machine == "nest") census.nested.try_emplace(row.name, 0);
  if (client->machine == kApprovalMachine) {
    if (row.status != store::ExecutionStatus::kSucceeded) {
      return problem(row.arn + " failed: " + described->error.value_or(""));
    }
    return check_approval(node, row, *json::parse(*described->output_text));
  }
  if (is_redriven(client->machine)) check_redriven(node, row, *client);
  check_one(node, row, *described, machines_.at(client->machine));
}

void World::check_one(Node& node, const store::ExecutionRow& row,
                      const runtime::ExecutionDescription& described, const json::Value& machine) {
  const std::string wrong = wrong_with(machines_, *node.runtime, row, described, machine);
  if (!wrong.empty()) problem(wrong);
}

void World::check_census(const Census& census) {
  for (const Client& client : clients_) {
    report_.events += client.by_event ? 1 : 0;
    if (!client.accepted) problem(client.mark + " was never accepted");
    const auto found = census.of_clients.find(client.mark);
    const int runs = found == census.of_clients.end() ? 0 : found->second;
    if (client.accepted && runs != 1) {
      problem(client.mark + (client.by_event ? " (event " + client.event_id + ")" : "") +
              " was accepted and has " + std::to_string(runs) + " executions");
    }
  }
  for (const auto& [name, children] : census.nested) {
    if (children != 1) problem(name + " started " + std::to_string(children) + " executions instead of one");
  }
}

// A run that is over has counted each of its items once, and each has an execution.
void World::check_map_run(Node& node, const store::ExecutionRow& row) {
  const auto run = node.runtime->describe_map_run(row.arn);
  if (!run) return problem(row.arn + " cannot be described: " + run.error().message);
  ++report_.map_runs;
  const runtime::MapRunCounts& items = run->items;
  const std::int64_t counted = items.succeeded + items.failed + items.timed_out + items.aborted;
  store::ExecutionQuery query;
  query.state_machine_arn = row.arn;
  const auto children = node.store.list_executions(query);
  if (!children) return problem("the children of " + row.arn + " cannot be listed");
  const bool succeeded = row.status == store::ExecutionStatus::kSucceeded;
  if (items.running != 0 || items.pending_redrive != 0 || (succeeded && counted != items.total)) {
    problem(row.arn + " is over and has items that are not: " + std::to_string(items.succeeded) +
            " succeeded, " + std::to_string(items.failed) + " failed, " + std::to_string(items.aborted) +
            " aborted, " + std::to_string(items.running) + " running, " +
            std::to_string(items.pending_redrive) + " to be redriven of " + std::to_string(items.total));
  }
  if (succeeded && static_cast<std::int64_t>(children->size()) != items.total) {
    problem(row.arn + " has " + std::to_string(children->size()) + " executions for " +
            std::to_string(items.total) + " items");
  }
}

// Each redrive that was acknowledged took place, and each stands in the history once.
void World::check_redriven(Node& node, const store::ExecutionRow& row, const Client& client) {
  const auto described = node.runtime->describe_execution(row.arn);
  const auto page = node.runtime->history(row.arn, 1, 5'000, false);
  if (!described || !page) return problem(row.arn + " cannot be read");
  report_.redrives += static_cast<std::uint64_t>(described->redrive_count);
  const auto redriven = std::count_if(
      page->events.begin(), page->events.end(),
      [](const engine::HistoryEvent& event) { return event.type == engine::EventType::kExecutionRedriven; });
  if (described->redrive_count < client.redrives || redriven != described->redrive_count) {
    problem(row.arn + " was redriven " + std::to_string(described->redrive_count) + " times, " +
            std::to_string(redriven) + " of them stand in its history and " +
            std::to_string(client.redrives) + " were acknowledged");
  }
}

void World::check_approval(Node& node, const store::ExecutionRow& row, const json::Value& output) {
  const json::Value& answer = output.get("answer");
  const std::string decision = answer.get("decision").to_std_string();
  const std::string id = answer.get("approval_id").to_std_string();
  if (output.get("acted").get("decision") != answer.get("decision")) {
    problem(row.arn + " acted on another decision than it got");
  }
  const auto told = decided_.find(id);
  if (told != decided_.end() && told->second != decision) {
    problem(row.arn + " went on with " + decision + ", and people were told " + told->second);
  }
  const auto approval = node.approvals->find(id);
  if (!approval || !approval->decision || approval->decision->outcome != decision) {
    problem(row.arn + " went on with " + decision + ", and its approval does not say so");
  }
  int lines = 0;
  for (const char* action : {"approval.decide", "approval.expire"}) {
    response::AuditQuery query;
    query.subject = id;
    query.action = action;
    query.limit = 1'000'000;  // What was refused is there, too.
    const auto entries = node.audit->query(query);
    if (!entries) return problem("the audit trail cannot be read: " + entries.error().message);
    lines += static_cast<int>(std::count_if(entries->begin(), entries->end(),
                                            [](const auto& entry) { return entry.outcome == "done"; }));
  }
  if (lines != 1) problem(id + " stands " + std::to_string(lines) + " times in the audit trail");
}

}  // namespace sortie::simulation::server_world
