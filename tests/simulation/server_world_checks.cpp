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
  std::map<std::string, int> runs;
  for (const store::ExecutionRow& row : *rows) {
    const auto described = node.runtime->describe_execution(row.arn);
    if (!described) {
      problem(row.arn + " cannot be described: " + described.error().message);
      continue;
    }
    const std::string mark = json::parse(described->input_text)->get("mark").to_std_string();
    const auto client =
        std::find_if(clients_.begin(), clients_.end(), [&](const Client& each) { return each.mark == mark; });
    if (client == clients_.end()) {
      problem(row.arn + " belongs to nobody");
      continue;
    }
    // An event that was sent again without an answer is another event, and may start another execution.
    const bool counts = !client->by_event || row.name.find(client->event_id) != std::string::npos;
    if (counts) ++runs[mark];
    ++report_.executions;
    check_one(node, row, *client);
  }
  for (const Client& client : clients_) {
    report_.events += client.by_event ? 1 : 0;
    if (!client.accepted) problem(client.mark + " was never accepted");
    if (client.accepted && runs[client.mark] != 1) {
      problem(client.mark + (client.by_event ? " (event " + client.event_id + ")" : "") +
              " was accepted and has " + std::to_string(runs[client.mark]) + " executions");
    }
  }
  report_.decisions = decided_.size();
}

void World::check_one(Node& node, const store::ExecutionRow& row, const Client& client) {
  const auto described = node.runtime->describe_execution(row.arn);
  if (row.status == store::ExecutionStatus::kRunning) {
    std::string why;
    if (const auto reasons = node.runtime->explain(row.arn)) {
      for (const auto& reason : *reasons) why += " " + reason.sentence;
    }
    return problem(row.arn + " is stuck:" + why);
  }
  const bool succeeded = row.status == store::ExecutionStatus::kSucceeded;
  const json::Value output = described->output_text ? *json::parse(*described->output_text) : json::Value();
  if (client.machine == kApprovalMachine) {
    if (!succeeded) return problem(row.arn + " failed: " + described->error.value_or(""));
    return check_approval(node, row, output);
  }
  const auto expected = reference::Interpreter(world_answers)
                            .run(machines_.at(client.machine), *json::parse(client.input_text));
  if (succeeded != expected.succeeded) {
    return problem(row.arn + (succeeded ? " succeeded" : " failed with " + described->error.value_or("")) +
                   ", unlike the interpreter");
  }
  if (!succeeded && described->error != expected.error) {
    return problem(row.arn + " failed with " + described->error.value_or("") + " instead of " +
                   expected.error);
  }
  if (succeeded &&
      reference::without_ids(reference::canonical(output)) != reference::canonical(expected.output)) {
    return problem(row.arn + " has the output " + *described->output_text + " instead of " +
                   reference::canonical(expected.output));
  }
  check_history(node, row, expected);
}

void World::check_history(Node& node, const store::ExecutionRow& row,
                          const reference::Interpreter::Run& expected) {
  const auto page = node.runtime->history(row.arn, 1, 5'000, false);
  if (!page) return problem(row.arn + " has no history: " + page.error().message);
  std::int64_t id = 0;
  for (const engine::HistoryEvent& event : page->events) {
    if (event.id != ++id || event.previous_id >= event.id) {
      return problem(row.arn + " has a gap in its history at " + std::to_string(event.id));
    }
  }
  std::vector<std::string> made = reference::lines_of(page->events);
  std::vector<std::string> wanted = expected.events;
  std::sort(made.begin(), made.end());
  std::sort(wanted.begin(), wanted.end());
  if (!expected.partial && made != wanted) problem(row.arn + " has another history than the interpreter's");
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
    const auto entries = node.audit->query(query);
    if (!entries) return problem("the audit trail cannot be read: " + entries.error().message);
    lines += static_cast<int>(std::count_if(entries->begin(), entries->end(),
                                            [](const auto& entry) { return entry.outcome == "done"; }));
  }
  if (lines != 1) problem(id + " stands " + std::to_string(lines) + " times in the audit trail");
}

}  // namespace sortie::simulation::server_world
