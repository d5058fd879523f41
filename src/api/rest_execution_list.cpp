// The listing of executions, searched (execution_search.h), and their counts.
//
// A page costs what is looked at, not what there is: rows come newest first from the index that fits, and
// since numbers are given at the start, the bounds on the start time are found by halving and by stopping,
// not by reading everything that is newer or older.
#include <algorithm>
#include <map>

#include "api/execution_rows.h"
#include "api/page_token.h"
#include "api/rest_routes.h"
#include "api/states_api.h"
#include "base/text.h"
#include "response/approvals.h"

namespace sortie::api {
namespace execution_list {

// Clocks may step back; numbers do not. Who started so much earlier than asked for ends the walk, and so do
// so many in a row that started any earlier: on a busy server ten minutes are more than a request can look
// at.
constexpr std::int64_t kClockSlackMs = 10 * 60 * 1000;
constexpr std::uint64_t kClockSlackRows = 500;
constexpr std::size_t kLooksBetweenClocks = 16;
constexpr std::int64_t kLastEventsRead = 40;
constexpr std::int64_t kSearchMs = 8;  // After so long a request answers with what it has.
constexpr std::size_t kRowsAtOnceMax = 1'000;

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

RowPlanner planner_of(const RestServices& services, const RestCall& call) {
  RowPlanner planner;
  planner.machine_arn = [&services, &call](const std::string& playbook) {
    std::string arn = playbook_arn(call, services.region, playbook);
    return services.runtime.find_state_machine(arn) ? arn : std::string();
  };
  if (services.approvals != nullptr) {
    planner.waiting = [&services] { return services.approvals->executions_waiting(); };
  }
  return planner;
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

// Walks from `before` downwards until the page is full, the walk is over, or enough was looked at.
struct Walk {
  std::vector<json::Value> items;
  bool more = true;
  std::size_t rows = 0, looks = 0;
  Timestamp reached;  // The start of the last one that was looked at.
};

class Walker {
 public:
  Walker(const RestServices& services, const RestCall& call, const ExecutionSearch& search, std::size_t limit)
      : services_(services),
        search_(search),
        limit_(limit),
        facts_(facts_of(services)),
        own_(":" + call.actor.account + ":"),
        until_(services.loop.now().plus_ms(kSearchMs)) {}

  Result<Walk> run(const RowPlan& plan, store::ExecutionNo& before) {
    std::size_t most = limit_ + 1;
    while (walk_.more && !is_full() && !is_late()) {
      SORTIE_TRY(const RowPage page, next_rows(services_.store, plan, before, most));
      walk_.more = page.more;
      for (const store::ExecutionRow& row : page.rows) {
        // What is read is tried, except where trying costs.
        const bool is_time_to_look =
            search_.looks_inside() && walk_.looks % kLooksBetweenClocks == kLooksBetweenClocks - 1;
        if (is_full() || (is_time_to_look && is_late())) {
          walk_.more = true;
          return std::move(walk_);
        }
        if (is_too_old(row)) {
          walk_.more = false;
          return std::move(walk_);
        }
        before = row.no;
        take(row);
      }
      if (page.reached != 0) before = page.reached;
      most = std::min<std::size_t>(2 * most, kRowsAtOnceMax);
    }
    return std::move(walk_);
  }

 private:
  bool is_full() const {
    return walk_.items.size() >= limit_ || walk_.rows >= kSearchRowsMax || walk_.looks >= kSearchLooksMax;
  }
  bool is_late() const { return walk_.rows > 0 && services_.loop.now() >= until_; }
  bool is_too_old(const store::ExecutionRow& row) {
    older_ = row.started_at < search_.started_from ? older_ + 1 : 0;
    return older_ > kClockSlackRows ||
           (older_ > 0 && search_.started_from.ms - row.started_at.ms > kClockSlackMs);
  }
  void take(const store::ExecutionRow& row) {
    walk_.reached = row.started_at;
    ++walk_.rows;
    if (!search_.fits_times(row)) return;
    // A map run is a row among the executions and no execution itself.
    if (row.arn.find(own_) == std::string::npos || row.arn.find(":mapRun:") != std::string::npos) return;
    if (!matches_row(search_, row, facts_)) return;
    if (search_.looks_inside()) {
      ++walk_.looks;
      if (!matches_inside(search_, row, facts_)) return;
    }
    walk_.items.push_back(row_json(services_, row));
  }

  const RestServices& services_;
  const ExecutionSearch& search_;
  const std::size_t limit_;
  const ExecutionFacts facts_;
  const std::string own_;
  const Timestamp until_;
  std::uint64_t older_ = 0;  // Rows in a row that started before what is asked for.
  Walk walk_;
};

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
  } else if (const Timestamp end = std::min(search.started_before, search.stopped_before); end != kNever) {
    // What stopped before then has started before then, too.
    SORTIE_TRY(const store::ExecutionNo exact, execution_list::first_not_before(services.store, end));
    SORTIE_TRY(query.before,
               execution_list::first_not_before(services.store, end.plus_ms(execution_list::kClockSlackMs)));
    query.before = std::min(query.before, exact + execution_list::kClockSlackRows);
  }
  store::ExecutionNo below = query.before;
  SORTIE_TRY(const RowPlan plan,
             plan_rows(search, query, services.store, execution_list::planner_of(services, call)));
  SORTIE_TRY(
      execution_list::Walk walk,
      execution_list::Walker(services, call, search, static_cast<std::size_t>(limit)).run(plan, below));
  json::Value next, reached;
  if (walk.more) next = make_page_token(listing, std::to_string(below));
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
