#pragma once
// Every structural invariant of a sortie.db, checked on one snapshot of the file: the tables, and the
// journal's tail read again as recovery would. It needs nothing but the file, so it holds for a running store
// and for one that was killed.
//
//   - SQLite's own structure is sound, journal rows can be read, the tail is contiguous
//   - frames belong to running executions only, and none is there twice
//   - the history of every execution is contiguous from event 1, in the tables and in the tail
//   - counts by status, ARN hashes and rows agree; no ARN is there twice
//   - runs of terms are sorted, whole, and say rightly what they hold
//   - nothing belongs to an execution that does not exist
#include <string>
#include <vector>

#include "store/sqlite/database.h"
#include "store/sqlite/overlay.h"

namespace sortie::store::sqlite {

class Checker {
 public:
  // The connection must be inside a read transaction.
  explicit Checker(Connection& db) : db_(db) {}
  Result<std::vector<std::string>> run();

 private:
  Status check_file();
  Status replay_tail();
  Status check_frames();
  Status check_executions();
  Status check_owners();
  Status check_counts();
  Status check_arns();
  Status check_terms();
  Status check_frame(FrameKey key, const ExecutionView* row, std::int64_t table_status);
  Status check_history(ExecutionNo no);
  void report(std::string problem);

  Connection& db_;
  Generation tail_;
  std::vector<std::string> problems_;
};

}  // namespace sortie::store::sqlite
