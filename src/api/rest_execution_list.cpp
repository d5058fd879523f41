// The listing of executions, searched (execution_search.h), and their counts.
//
// A page costs what is looked at, not what there is: rows come newest first from the index that fits, and
// since numbers are given at the start, the bounds on the start time are found by halving and by stopping,
// not by reading everything that is newer or older.
#include <algorithm>
#include <map>

#include "api/execution_search.h"
#include "api/page_token.h"
#include "api/rest_routes.h"
#include "api/states_api.h"
#include "base/text.h"
#include "response/approvals.h"

namespace sortie::api {
namespace execution_list {

// Clocks may step back; numbers do not. Whoever started so much earlier than asked for ends the walk.
constexpr std::int64_t kClockSlackMs = 10 * 60 * 1000;
constexpr std::int64_t kLastEventsRead = 40;

// "running", "TIMED_OUT", "timed-out": people type it.
Result<std::optional<store::ExecutionStatus>> status_filter(const RestCall& call) {
  std::string text = replace_all(call.query("status"), "-", "_");
  if (text.empty()) return std::optional<store::ExecutionStatus>();
  for (char& c : text) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  const auto status = parse_status(text);
  if (!status) {
    return Error{"InvalidParameter", "'status' is none of an execution's", "",
                 "one of running, succeeded, failed, timed_out, aborted"};
  }
  return status;
}

std::size_t waiting_approvals(const RestServices& services, const std::string& arn) {
  return services.approvals == nullptr ? 0 : services.approvals->waiting_of(arn);
}

// Children of a map run are listed under its ARN; people know their state machine.
json::Value machine_json(const std::string& listed_under) {
  if (listed_under.find(":mapRun:") == std::string::npos) return listed_under;
  return replace_all(listed_under.substr(0, listed_under.rfind(':')), ":mapRun:", ":stateMachine:");
}

json::Value row_json(const RestServices& services, const store::ExecutionRow& row) {
  const bool running = row.status == store::ExecutionStatus::kRunning;
  const std::size_t waiting = running ? waiting_approvals(services, row.arn) : 0;
  return json::Value::object({{"arn", row.arn},
                              {"name", row.name},
                              {"state_machine", machine_json(row.state_machine_arn)},
                              {"status", status_name(row.status)},
                              {"started_at", time_json(row.started_at)},
                              {"stopped_at", running ? json::Value() : time_json(row.stopped_at)},
                              {"waiting_for_people", static_cast<std::int64_t>(waiting)}});
}

// What the store filters by itself, taken out of the search's words.
void push_down(const ExecutionSearch& search, const RestServices& services, const RestCall& call,
               store::ExecutionQuery& query) {
  using Key = ExecutionSearch::Term::Key;
  bool waits = false;
  for (const ExecutionSearch::Term& term : search.terms) {
    if (term.negated) continue;
    waits = waits || term.key == Key::kApproval ||
            (term.key == Key::kStatus && term.values == std::vector<std::string>{"WAITING"});
    if (term.values.size() != 1) continue;
    const std::string& value = term.values.front();
    const bool plain = value.find('*') == std::string::npos;
    if (term.key == Key::kStatus && !query.status) query.status = parse_status(value);
    if (term.key == Key::kPlaybook && plain && query.state_machine_arn.empty() &&
        services.runtime.find_state_machine(playbook_arn(call, services.region, value))) {
      query.state_machine_arn = playbook_arn(call, services.region, value);
    }
  }
  if (waits && !query.status) query.status = store::ExecutionStatus::kRunning;
}

// The number above all executions that started before `time`.
Result<store::ExecutionNo> first_not_before(store::Store& store, Timestamp time) {
  SORTIE_TRY(const store::ExecutionNo last, store.last_execution_no());
  store::ExecutionNo low = 0, high = last + 1;  // Below `low` all are older; from `high` on none is.
  while (low < high) {
    const store::ExecutionNo middle = low + (high - low) / 2;
    store::ExecutionQuery query;
    query.before = middle + 1;
    query.limit = 1;
    SORTIE_TRY(const std::vector<store::ExecutionRow> rows, store.list_executions(query));
    if (rows.empty() || rows.front().started_at < time) {
      low = middle + 1;
    } else {
      high = rows.front().no;
    }
  }
  return low;
}

// The states in which a running execution stands, or those that an ended one had entered and not left; where
// it left all, the last. Of a long history only the end is looked at.
std::vector<std::string> states_of(const RestServices& services, const store::ExecutionRow& row) {
  std::vector<std::string> states;
  if (row.status == store::ExecutionStatus::kRunning) {
    const auto reasons = services.runtime.explain(row.arn);
    if (!reasons) return states;
    for (const runtime::WaitingReason& reason : *reasons) states.push_back(reason.state_name);
    return states;
  }
  const auto page = services.runtime.history(row.arn, 0, kLastEventsRead, true);
  if (!page) return states;
  std::vector<std::string> left;  // Newest first.
  for (const engine::HistoryEvent& event : page->events) {
    const std::string_view type = engine::event_type_name(event.type);
    const json::Value* found = event.find(engine::Field::kName);
    const bool exits = type.ends_with("StateExited");
    if ((!exits && !type.ends_with("StateEntered")) || found == nullptr || !found->is_string()) continue;
    const std::string name = found->to_std_string();
    if (exits)
      left.push_back(name);
    else if (std::find(left.begin(), left.end(), name) == left.end())
      states.push_back(name);
  }
  if (states.empty() && !left.empty()) states.push_back(left.front());
  return states;
}

ExecutionFacts facts_of(const RestServices& services) {
  ExecutionFacts facts;
  facts.is_waiting = [&services](const store::ExecutionRow& row) {
    return waiting_approvals(services, row.arn) > 0;
  };
  const auto known = std::make_shared<std::map<std::string, json::Value>>();
  facts.tags = [&services, known](const store::ExecutionRow& row) {
    const auto found = known->find(row.state_machine_arn);
    if (found != known->end()) return found->second;
    const auto machine = services.runtime.find_state_machine(row.state_machine_arn);
    return (*known)[row.state_machine_arn] = machine ? machine->tags : json::Value();
  };
  facts.describe = [&services](const store::ExecutionRow& row) {
    return services.runtime.describe_execution(row.arn);
  };
  facts.states = [&services](const store::ExecutionRow& row) { return states_of(services, row); };
  return facts;
}

// Walks from query.before downwards until the page is full, the walk is over, or enough was looked at.
struct Walk {
  std::vector<json::Value> items;
  bool more = true;
  std::size_t rows = 0, looks = 0;
  Timestamp reached;  // The start of the last one that was looked at.
};
Result<Walk> walk_rows(const RestServices& services, const RestCall& call, const ExecutionSearch& search,
                       store::ExecutionQuery& query, std::size_t limit) {
  Walk walk;
  const ExecutionFacts facts = facts_of(services);
  const std::string own = ":" + call.actor.account + ":";
  const bool inside = search.looks_inside();
  while (walk.more && walk.items.size() < limit && walk.rows < kSearchRowsMax &&
         walk.looks < kSearchLooksMax) {
    query.limit = search.terms.empty() ? limit + 1 : 1000;
    SORTIE_TRY(const std::vector<store::ExecutionRow> rows, services.store.list_executions(query));
    walk.more = rows.size() == query.limit;
    for (const store::ExecutionRow& row : rows) {
      if (walk.items.size() == limit || walk.looks == kSearchLooksMax) {
        walk.more = true;
        break;
      }
      if (row.started_at.ms < search.started_from.ms &&
          search.started_from.ms - row.started_at.ms > kClockSlackMs) {
        walk.more = false;
        break;
      }
      query.before = row.no;
      walk.reached = row.started_at;
      ++walk.rows;
      if (row.started_at < search.started_from || row.started_at >= search.started_before) continue;
      // A map run is a row among the executions and no execution itself.
      if (row.arn.find(own) == std::string::npos || row.arn.find(":mapRun:") != std::string::npos) continue;
      if (!matches_row(search, row, facts)) continue;
      if (inside) ++walk.looks;
      if (!inside || matches_inside(search, row, facts)) walk.items.push_back(row_json(services, row));
    }
  }
  return walk;
}

}  // namespace execution_list

Result<json::Value> list_executions(const RestServices& services, const RestCall& call) {
  store::ExecutionQuery query;
  const std::string machine = call.query("state_machine");
  if (!machine.empty()) query.state_machine_arn = playbook_arn(call, services.region, machine);
  SORTIE_TRY(query.status, execution_list::status_filter(call));
  SORTIE_TRY(const std::uint64_t limit, query_number(call, "limit", 100, 1, 1000));
  SORTIE_TRY(ExecutionSearch search, parse_execution_search(call.query("q"), services.loop.now()));
  SORTIE_TRY(const Timestamp from, query_time(call, "from", search.started_from));
  SORTIE_TRY(const Timestamp before, query_time(call, "before", search.started_before));
  search.started_from = std::max(search.started_from, from);
  search.started_before = std::min(search.started_before, before);
  if (const std::string prefix = call.query("name"); !prefix.empty()) {
    ExecutionSearch::Term term;
    term.key = ExecutionSearch::Term::Key::kName;
    term.values = {prefix + "*"};
    search.terms.push_back(std::move(term));
  }
  const std::string listing = "executions " + query.state_machine_arn + " " + call.query("status") + " " +
                              call.query("name") + " " + call.query("from") + " " + call.query("before") +
                              " " + call.query("q");
  if (const std::string cursor = call.query("cursor"); !cursor.empty()) {
    SORTIE_TRY(query.before, read_page_number(listing, cursor));
  } else if (search.started_before != kNever) {
    const Timestamp late = search.started_before.plus_ms(execution_list::kClockSlackMs);
    SORTIE_TRY(query.before, execution_list::first_not_before(services.store, late));
  }
  execution_list::push_down(search, services, call, query);
  SORTIE_TRY(execution_list::Walk walk,
             execution_list::walk_rows(services, call, search, query, static_cast<std::size_t>(limit)));
  json::Value next, reached;
  if (walk.more) next = make_page_token(listing, std::to_string(query.before));
  if (walk.rows > 0) reached = time_json(walk.reached);
  return json::Value::object({{"executions", json::Value::array(std::move(walk.items))},
                              {"next", next},
                              {"looked_at", static_cast<std::int64_t>(walk.rows)},
                              {"reached", reached}});
}

// The distributed Maps of an execution, newest first, with how far each is.
Result<json::Value> list_map_runs(const RestServices& services, const RestCall& call) {
  SORTIE_TRY(const std::vector<runtime::MapRunDescription> runs,
             services.runtime.list_map_runs(call.parameter("arn"), UINT64_MAX, 100));
  const auto counts = [](const runtime::MapRunCounts& of) {
    return json::Value::object({{"total", of.total},
                                {"pending", of.pending},
                                {"running", of.running},
                                {"succeeded", of.succeeded},
                                {"failed", of.failed + of.timed_out},
                                {"aborted", of.aborted}});
  };
  std::vector<json::Value> items;
  for (const runtime::MapRunDescription& listed : runs) {
    SORTIE_TRY(const runtime::MapRunDescription run, services.runtime.describe_map_run(listed.arn));
    items.push_back(json::Value::object({{"arn", run.arn},
                                         {"status", status_name(run.status)},
                                         {"max_concurrency", run.max_concurrency},
                                         {"items", counts(run.items)},
                                         {"executions", counts(run.executions)}}));
  }
  return json::Value::object({{"map_runs", json::Value::array(std::move(items))}});
}

// How many there are, by status; `waiting` of the running ones wait for people.
Result<json::Value> count_executions(const RestServices& services, const RestCall& call) {
  const std::string machine = call.query("state_machine");
  SORTIE_TRY(
      const store::StatusCounts counts,
      services.store.count_executions(machine.empty() ? "" : playbook_arn(call, services.region, machine)));
  json::ObjectBuilder out;
  std::uint64_t total = 0;
  for (std::size_t i = 0; i < std::size(counts.by_status); ++i) {
    total += counts.by_status[i];
    out.append(status_name(static_cast<store::ExecutionStatus>(i)),
               static_cast<std::int64_t>(counts.by_status[i]));
  }
  std::size_t waiting = 0;
  if (services.approvals != nullptr) waiting = services.approvals->waiting_executions();
  out.append("WAITING", static_cast<std::int64_t>(waiting)).append("total", static_cast<std::int64_t>(total));
  return json::Value::object({{"counts", out.build()}});
}

}  // namespace sortie::api
