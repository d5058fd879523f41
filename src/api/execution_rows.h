#pragma once
// Where a search takes its rows from, newest first: the narrowest place that has all of them.
//
//   has:approval, status:waiting       the executions that people are asked about at the moment
//   name:x, name:x*, resource:x, sev:x, actor:x, error:x
//                                      what the store finds by terms (store/search_terms.h), and below the
//                                      number from which all have their terms, everything
//   status:a,b  playbook:x,y           the ranges of the store's index, one for each pair, side by side;
//                                      beside terms the store looks only where both are
//   anything else                      all rows
//
// A place may hand out rows that the search does not want: the caller tries each. Patterns with a `*`
// elsewhere than at the end of a name, and negated words, narrow nothing down.
#include <functional>
#include <vector>

#include "api/execution_search.h"

namespace sortie::api {

struct RowPage {
  std::vector<store::ExecutionRow> rows;
  store::ExecutionNo reached = 0;  // Go on below it...
  bool more = true;                // ... if this is not the end.
};

struct RowPlan {
  store::ExecutionQuery all;                  // What every row has to fit.
  std::vector<store::ExecutionQuery> ranges;  // Not empty: rows of any of these.
  std::vector<store::ExecutionNo> chosen;     // With is_chosen: only these, descending.
  bool is_chosen = false;
  store::TermQuery terms;  // With has_terms: what they find from terms.from on, in any of the ranges.
  bool has_terms = false;
};

struct RowPlanner {
  std::function<std::string(const std::string& playbook)> machine_arn;  // "" where there is none of the name.
  std::function<std::vector<std::string>()>
      waiting;  // ARNs of executions that wait for people; may be absent.
};

// `all` holds what was asked for beside the search. An error is the store's.
Result<RowPlan> plan_rows(const ExecutionSearch& search, store::ExecutionQuery all, store::Store& store,
                          const RowPlanner& planner);
// Rows below `before`, about `most`.
Result<RowPage> next_rows(store::Store& store, const RowPlan& plan, store::ExecutionNo before,
                          std::size_t most);

}  // namespace sortie::api
