#pragma once
// The search language of the executions page and `run list -q`: words with AND between them, alternatives
// with commas.
//
//   status:failed,timed_out   playbook:ir-*   name:2026-*   started:>-2h   started:<2026-11-01T00:00:00Z
//   has:approval -playbook:test*   word        (a bare word occurs in the name or the playbook; a leading -
//   negates)
//
// What the store can filter goes into its query; the rest is tried row by row. A search looks at no more than
// kSearchRowsMax rows before it answers with what it found and where to go on, so a search that matches
// nothing among a million is a few short requests, never a long one. Error "InvalidSearch" names the word and
// what is known.
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "store/store.h"

namespace sortie::api {

inline constexpr std::size_t kSearchRowsMax = 5'000;
inline constexpr std::size_t kSearchBytesMax = 1'000;

struct ExecutionSearch {
  struct Term {
    enum class Key { kStatus, kPlaybook, kName, kText, kApproval } key = Key::kText;
    bool negated = false;
    std::vector<std::string> values;  // Any of them; `*` matches any run of characters.
  };
  std::vector<Term> terms;
  Timestamp started_from{INT64_MIN};
  Timestamp started_before = kNever;

  bool asks_rows() const { return !terms.empty(); }
};

Result<ExecutionSearch> parse_execution_search(std::string_view text, Timestamp now);
// `is_waiting`: whether people are asked by this execution at the moment.
bool matches(const ExecutionSearch& search, const store::ExecutionRow& row,
             const std::function<bool(const std::string& arn)>& is_waiting);

// Whether `text` fits `pattern`, where `*` is any run of characters; ASCII case does not matter.
bool fits(std::string_view pattern, std::string_view text);

}  // namespace sortie::api
