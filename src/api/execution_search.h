#pragma once
// The search language of the executions page and `run list -q`: words with AND between them, alternatives
// with commas, `*` for any run of characters, quotes around what holds blanks, a leading - negates.
//
//   status:failed,timed_out   running, waiting (for people), succeeded, failed, timed_out, aborted
//   playbook:ir-*  name:2026-*                  whole names; ASCII case never matters
//   started:>-2h   started:<2026-11-01T00:00:00Z        and stopped: in the same way
//   error:"States.Timeout"                      the error's name, or words of its cause
//   state:WaitForApproval                       where it stands, or where it stopped
//   sev:CRITICAL                                the severity of its input; numbers are read as GuardDuty's
//   resource:i-0abc*                            any text in its input
//   actor:jo                                    who started it, or on whose behalf
//   label:team=ir                               a tag of its playbook: key, value or key=value
//   has:approval                                people are asked at the moment
//   word                                        occurs in the name or the playbook
//
// What the store can filter goes into its query; the rest is tried row by row, what the row itself tells
// first. Then come the terms that have to look into the execution, and each of those looks costs. A search
// looks at no more than kSearchRowsMax rows, and into kSearchLooksMax executions, before it answers with what
// it found and where to go on, so a search that matches nothing among a million is many short requests, never
// a long one. Error "InvalidSearch" names the word and what is known.
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "json/value.h"
#include "runtime/runtime.h"
#include "store/store.h"

namespace sortie::api {

inline constexpr std::size_t kSearchRowsMax = 5'000;
inline constexpr std::size_t kSearchLooksMax = 250;
inline constexpr std::size_t kSearchBytesMax = 1'000;

struct ExecutionSearch {
  struct Term {
    enum class Key {
      kStatus,
      kPlaybook,
      kName,
      kText,
      kApproval,
      kLabel,
      // These look into the execution.
      kError,
      kState,
      kSeverity,
      kResource,
      kActor
    } key = Key::kText;
    bool negated = false;
    std::vector<std::string> values;  // Any of them.
    bool looks_inside() const { return key >= Key::kError; }
  };
  std::vector<Term> terms;
  Timestamp started_from{INT64_MIN};
  Timestamp started_before = kNever;
  Timestamp stopped_from{INT64_MIN};
  Timestamp stopped_before = kNever;

  bool looks_inside() const;
  bool fits_times(const store::ExecutionRow& row) const;
};

Result<ExecutionSearch> parse_execution_search(std::string_view text, Timestamp now);

// What a search asks about an execution besides its row. A function that is absent knows nothing.
struct ExecutionFacts {
  std::function<bool(const store::ExecutionRow&)> is_waiting;   // Are people asked at the moment?
  std::function<json::Value(const store::ExecutionRow&)> tags;  // Of the playbook: [{key, value}].
  std::function<Result<runtime::ExecutionDescription>(const store::ExecutionRow&)> describe;
  std::function<std::vector<std::string>(const store::ExecutionRow&)> states;  // Where it stands or stopped.
};
// Whether the terms that the row tells hold; then those that look inside.
bool matches_row(const ExecutionSearch& search, const store::ExecutionRow& row, const ExecutionFacts& facts);
bool matches_inside(const ExecutionSearch& search, const store::ExecutionRow& row,
                    const ExecutionFacts& facts);

// Whether `text` fits `pattern`, where `*` is any run of characters; ASCII case does not matter.
bool fits(std::string_view pattern, std::string_view text);

}  // namespace sortie::api
