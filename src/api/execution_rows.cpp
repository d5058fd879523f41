#include "api/execution_rows.h"

#include <algorithm>

#include "api/states_api.h"
#include "store/search_terms.h"

namespace sortie::api {
namespace execution_rows {

using Term = ExecutionSearch::Term;
using Key = Term::Key;

constexpr std::size_t kRangesMax = 16;
constexpr std::size_t kWaitingMax = 1'000;

bool is_plain(const std::string& value) { return value.find('*') == std::string::npos; }
bool are_plain(const Term& term) { return std::all_of(term.values.begin(), term.values.end(), is_plain); }

// Any of the values, and whatever has more texts than are terms.
std::vector<std::uint32_t> any_of(store::TermKind kind, const std::vector<std::string>& values) {
  std::vector<std::uint32_t> terms;
  for (const std::string& value : values) terms.push_back(store::term_of(kind, value));
  terms.push_back(store::kTermMore);
  return terms;
}

void add_name(const std::string& value, store::TermQuery& query) {
  const std::size_t star = value.find('*');
  if (!query.name.empty() || star == 0 || (star != std::string::npos && star + 1 != value.size())) return;
  query.name = value.substr(0, star);
  query.name_is_prefix = star != std::string::npos;
}

// All words of one value; of several values, each of one word, any.
void add_error(const Term& term, store::TermQuery& query) {
  std::vector<std::string> words = store::search_words(term.values.front());
  if (term.values.size() == 1) {
    for (const std::string& word : words) query.terms.push_back(any_of(store::TermKind::kError, {word}));
    return;
  }
  words.clear();
  for (const std::string& value : term.values) {
    const std::vector<std::string> own = store::search_words(value);
    if (own.size() != 1) return;
    words.push_back(own.front());
  }
  query.terms.push_back(any_of(store::TermKind::kError, words));
}

void add_term(const Term& term, store::TermQuery& query) {
  if (term.key == Key::kName && term.values.size() == 1) add_name(term.values.front(), query);
  if (!are_plain(term)) return;
  if (term.key == Key::kResource) query.terms.push_back(any_of(store::TermKind::kText, term.values));
  if (term.key == Key::kSeverity) query.terms.push_back(any_of(store::TermKind::kSeverity, term.values));
  if (term.key == Key::kActor) query.terms.push_back(any_of(store::TermKind::kActor, term.values));
  if (term.key == Key::kError) add_error(term, query);
}

// Nothing where one of the values is no status of a row.
std::vector<store::ExecutionStatus> statuses_of(const Term& term) {
  std::vector<store::ExecutionStatus> statuses;
  for (const std::string& value : term.values) {
    const auto status = value == "WAITING" ? store::ExecutionStatus::kRunning : parse_status(value);
    if (!status) return {};
    if (std::find(statuses.begin(), statuses.end(), *status) == statuses.end()) statuses.push_back(*status);
  }
  return statuses;
}

std::vector<std::string> machines_of(const Term& term, const RowPlanner& planner) {
  std::vector<std::string> machines;
  for (const std::string& value : term.values) {
    std::string arn = is_plain(value) ? planner.machine_arn(value) : "";
    if (arn.empty()) return {};
    if (std::find(machines.begin(), machines.end(), arn) == machines.end())
      machines.push_back(std::move(arn));
  }
  return machines;
}

// Every pair of a status and a machine that is asked for.
void add_ranges(const ExecutionSearch& search, const RowPlanner& planner, RowPlan& plan) {
  std::vector<store::ExecutionStatus> statuses;
  std::vector<std::string> machines;
  for (const Term& term : search.terms) {
    if (term.negated) continue;
    if (term.key == Key::kStatus && statuses.empty() && !plan.all.status) statuses = statuses_of(term);
    if (term.key == Key::kPlaybook && machines.empty() && plan.all.state_machine_arn.empty()) {
      machines = machines_of(term, planner);
    }
    // Only what failed has an error.
    if (term.key == Key::kError && statuses.empty() && !plan.all.status) {
      statuses = {store::ExecutionStatus::kFailed, store::ExecutionStatus::kTimedOut,
                  store::ExecutionStatus::kAborted};
    }
  }
  if (std::max<std::size_t>(statuses.size(), 1) * std::max<std::size_t>(machines.size(), 1) > kRangesMax)
    return;
  for (std::size_t s = 0; s < std::max<std::size_t>(statuses.size(), 1); ++s) {
    for (std::size_t m = 0; m < std::max<std::size_t>(machines.size(), 1); ++m) {
      store::ExecutionQuery range = plan.all;
      if (!statuses.empty()) range.status = statuses[s];
      if (!machines.empty()) range.state_machine_arn = machines[m];
      plan.ranges.push_back(std::move(range));
    }
  }
}

bool asks_for_waiting(const Term& term) {
  return !term.negated && (term.key == Key::kApproval ||
                           (term.key == Key::kStatus && term.values == std::vector<std::string>{"WAITING"}));
}

Result<bool> choose_waiting(store::Store& store, const RowPlanner& planner, RowPlan& plan) {
  const std::vector<std::string> arns = planner.waiting();
  if (arns.size() > kWaitingMax) return false;
  for (const std::string& arn : arns) {
    SORTIE_TRY(const std::optional<store::ExecutionRow> row, store.find_execution(arn));
    if (row) plan.chosen.push_back(row->no);
  }
  std::sort(plan.chosen.rbegin(), plan.chosen.rend());
  plan.is_chosen = true;
  return true;
}

bool fits_query(const store::ExecutionQuery& query, const store::ExecutionRow& row) {
  return (query.state_machine_arn.empty() || query.state_machine_arn == row.state_machine_arn) &&
         (!query.status || *query.status == row.status);
}

Result<RowPage> rows_of(store::Store& store, const RowPlan& plan,
                        const std::vector<store::ExecutionNo>& numbers, std::size_t most) {
  RowPage page;
  SORTIE_TRY(page.rows, store.find_executions(numbers));
  std::erase_if(page.rows, [&](const store::ExecutionRow& row) {  // What has changed since it was found, too.
    const auto fits = [&](const store::ExecutionQuery& range) { return fits_query(range, row); };
    return std::none_of(plan.ranges.begin(), plan.ranges.end(), fits);
  });
  if (!numbers.empty()) page.reached = numbers.back();
  page.more = numbers.size() == most;
  return page;
}

Result<RowPage> rows_of_ranges(store::Store& store, const RowPlan& plan, store::ExecutionNo before,
                               std::size_t most) {
  RowPage page;
  page.more = false;
  for (store::ExecutionQuery query : plan.ranges) {
    query.before = before;
    query.limit = most;
    SORTIE_TRY(std::vector<store::ExecutionRow> rows, store.list_executions(query));
    page.more = page.more || rows.size() == most;
    std::move(rows.begin(), rows.end(), std::back_inserter(page.rows));
  }
  if (plan.ranges.size() > 1) {
    std::sort(page.rows.begin(), page.rows.end(), [](const auto& a, const auto& b) { return a.no > b.no; });
    page.more = page.more || page.rows.size() > most;
    if (page.rows.size() > most) page.rows.resize(most);
  }
  if (!page.rows.empty()) page.reached = page.rows.back().no;
  return page;
}

}  // namespace execution_rows

Result<RowPlan> plan_rows(const ExecutionSearch& search, store::ExecutionQuery all, store::Store& store,
                          const RowPlanner& planner) {
  RowPlan plan;
  plan.all = std::move(all);
  execution_rows::add_ranges(search, planner, plan);
  if (plan.ranges.empty()) plan.ranges.push_back(plan.all);
  const bool waits = std::any_of(search.terms.begin(), search.terms.end(), execution_rows::asks_for_waiting);
  if (waits && planner.waiting) {
    SORTIE_TRY(const bool chosen, execution_rows::choose_waiting(store, planner, plan));
    if (chosen) return plan;
  }
  if (!store.keeps_terms()) return plan;
  const auto is_open = [](const store::ExecutionQuery& range) {
    return range.state_machine_arn.empty() && !range.status;
  };
  if (std::none_of(plan.ranges.begin(), plan.ranges.end(), is_open)) {
    for (const store::ExecutionQuery& range : plan.ranges) {
      plan.terms.rows.push_back({range.state_machine_arn, range.status});
    }
  }
  for (const ExecutionSearch::Term& term : search.terms) {
    if (!term.negated) execution_rows::add_term(term, plan.terms);
  }
  if (plan.terms.terms.empty() && plan.terms.name.empty()) {
    plan.has_terms = plan.ranges.size() > 1;  // One alone is listed as it is.
    return plan;
  }
  SORTIE_TRY(const std::optional<store::ExecutionNo> from, store::find_terms_from(store));
  if (!from) return plan;
  plan.terms.from = *from;
  plan.has_terms = true;
  return plan;
}

Result<RowPage> next_rows(store::Store& store, const RowPlan& plan, store::ExecutionNo before,
                          std::size_t most) {
  if (plan.is_chosen) {
    const auto from =
        std::lower_bound(plan.chosen.begin(), plan.chosen.end(), before,
                         [](store::ExecutionNo no, store::ExecutionNo limit) { return no >= limit; });
    const auto left = static_cast<std::size_t>(plan.chosen.end() - from);
    const auto to = from + static_cast<std::ptrdiff_t>(std::min(left, most));
    return execution_rows::rows_of(store, plan, {from, to}, most);
  }
  if (!plan.has_terms || before <= plan.terms.from) {
    return execution_rows::rows_of_ranges(store, plan, before, most);
  }
  store::TermQuery query = plan.terms;
  query.before = before;
  query.limit = most;
  SORTIE_TRY(const std::vector<store::ExecutionNo> numbers, store.find_by_terms(query));
  SORTIE_TRY(RowPage page, execution_rows::rows_of(store, plan, numbers, most));
  if (!page.more && plan.terms.from > 1) {  // On with what has no terms yet.
    page.more = true;
    page.reached = plan.terms.from;
  }
  return page;
}

}  // namespace sortie::api
