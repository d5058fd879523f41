#pragma once
// Folding: what brings a frozen generation into the tables, in slices of a size that the caller chooses.
//
// Three passes, each in the order of its tables' keys, so that a page is touched once: executions by number
// (row, frames, history and payloads), the ARN hashes of those that are new, and their terms as runs
// (term_run.h). How far it is stands in journal_state and is
// written by the slice's own transaction, so a slice is done once, whatever happens. Replaying the journal
// after a crash builds the same generation again.
#include <map>
#include <utility>
#include <vector>

#include "store/sqlite/overlay.h"
#include "store/sqlite/table_state.h"

namespace sortie::store::sqlite {

inline constexpr std::size_t kTermsPerUnit = 64;  // What a row costs.

class Fold {
 public:
  // Begins with `frozen`, or goes on with it where journal_state says (after recovery or a failed
  // transaction).
  void begin(const Generation& frozen, TableState& state);
  // Folds about `units` rows, inside the caller's transaction. Afterwards journal.frozen_group is 0 when all
  // is done.
  Status step(Connection& db, TableState& state, const Generation& frozen, std::size_t units);

  std::size_t units_done() const { return units_done_; }
  // About what all of it takes, from what has been done of it.
  std::size_t units_expected(const Generation& frozen) const;

 private:
  using Counts =
      std::map<std::pair<std::int64_t, std::int64_t>, std::int64_t>;  // (machine, status) to change

  Status fold_executions(Connection& db, TableState& state, const Generation& frozen, std::size_t* units);
  Status fold_hashes(Connection& db, TableState& state, std::size_t* units);
  Status fold_terms(Connection& db, TableState& state, const Generation& frozen);
  Status fold_row(Connection& db, TableState& state, const ExecutionView& row, const OverlayEntry& entry);
  Status fold_frames(Connection& db, TableState& state, ExecutionNo no, const OverlayEntry& entry,
                     std::size_t* units);
  Status save_counts(Connection& db);

  std::vector<std::pair<std::uint64_t, ExecutionNo>> fresh_;  // ARN hashes to write; may hold known ones.
  bool fresh_sorted_ = false;
  Counts counts_;
  std::size_t units_done_ = 0;
  std::size_t row_units_ = 0;  // Of these for entries_done_ executions, without their hashes and terms.
  std::size_t entries_done_ = 0;
};

}  // namespace sortie::store::sqlite
