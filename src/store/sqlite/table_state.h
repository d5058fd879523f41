#pragma once
// What the writer keeps in memory of the small tables, and writes back in the transaction that changed it:
// journal_state and word. After a failed transaction `load` brings memory back to what the file
// says.
#include <string>
#include <unordered_map>

#include "store/sqlite/codec.h"
#include "store/sqlite/database.h"
#include "store/sqlite/term_run.h"

namespace sortie::store::sqlite {

enum class FoldStage : std::int64_t { kExecutions = 0, kHashes = 1, kTerms = 2 };

// The row of journal_state.
struct JournalState {
  GroupNo applied_group = 0;  // Everything up to here is in the tables; recovery reads the journal behind it.
  GroupNo frozen_group = 0;   // The last group of the generation being folded; 0: none has been begun.
  FoldStage stage = FoldStage::kExecutions;
  std::uint64_t cursor_execution =
      0;  // Everything below is folded. In kHashes: a hash. In kTerms: how many are done.
  std::uint64_t cursor_frame = 0;     // Within cursor_execution: frames below are folded; 0: not begun.
  ExecutionNo last_execution_no = 0;  // Ever given, so that deleting the newest does not give it again.
  std::uint64_t last_log_sequence = 0;
};

class TableState {
 public:
  JournalState journal;
  TermRuns runs;

  Status load(Connection& db);
  Status save(Connection& db);

  Result<std::int64_t> word(Connection& db, std::string_view text);  // Its number; written when it is new.

  // Deletes journal rows that are in the tables, about `bytes` of them; answers whether more are left.
  Result<bool> drop_some(Connection& db, std::uint64_t bytes);

 private:
  std::unordered_map<std::string, std::int64_t> words_;
};

}  // namespace sortie::store::sqlite
