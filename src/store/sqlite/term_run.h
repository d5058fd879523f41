#pragma once
// Term runs: the index behind find_by_terms. A run is a sorted list of (key, execution number), written once,
// in one piece, and never changed; folding writes one for each few ten thousand entries of a generation, so
// indexing costs sequential writes of some ten bytes an entry, wherever in the key space the entries lie. A
// plain table would touch a page for nearly every one of them.
//
// A look-up asks every run whose numbers are wanted, newest numbers first: one binary search in memory and
// one row of a KiB. Small runs, as an idle server writes them, are merged eight at a time as long as that
// is the work of one slice, so there are some hundred runs for a million executions. Retention drops a run
// when no execution within its numbers is left; until then it may name deleted ones.
//
// Keys: a byte that tells the kind, then four bytes of a term (high one first), or a folded name.
// A part of a run: entries of [bytes shared with the key before, the other bytes, number], as in codec.h.
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "store/sqlite/codec.h"
#include "store/sqlite/database.h"

namespace sortie::store::sqlite {

inline constexpr std::size_t kRunEntriesMax = 65'536;

std::string term_key(std::uint32_t term);
std::string name_key(std::string_view folded_name);

// Keys from `from` and below `to`.
struct KeyRange {
  std::string from, to;
};
KeyRange range_of_term(std::uint32_t term);
KeyRange range_of_name(std::string_view name, bool is_prefix);

struct TermRun {
  std::int64_t id = 0;  // Ascending.
  ExecutionNo first = 0, last = 0;
  std::uint64_t entries = 0;
  std::vector<std::string> part_starts;  // The first key of each part.
};
using TermRuns = std::vector<std::shared_ptr<const TermRun>>;  // By id.

struct TermEntry {
  std::string key;
  ExecutionNo no = 0;
  auto operator<=>(const TermEntry&) const = default;
};

Result<TermRuns> load_term_runs(Connection& db);
// Sorts the entries and writes them as the last run; at most kRunEntriesMax.
Status write_term_run(Connection& db, std::vector<TermEntry> entries, TermRuns* runs);
// Brings small runs at the end together; answers at once where there is nothing to gain.
Status merge_term_runs(Connection& db, TermRuns* runs);
// Looks at the run at `at` and drops it if none of its executions is left.
Status drop_dead_run(Connection& db, std::size_t at, TermRuns* runs);

// Appends the numbers of all entries of the run within the range, in no order.
Status collect(Connection& db, const TermRun& run, const KeyRange& range, std::vector<ExecutionNo>* found);

// Whether the run is sorted and holds as many entries, of such numbers, as it says. For the checker.
Result<bool> is_sound(Connection& db, const TermRun& run);

}  // namespace sortie::store::sqlite
