#pragma once
// ARN hashes of executions that retention has deleted. What ended one after the other lies together in most
// tables, but its hash lies anywhere in execution_hash: taking it out at once would write a page for each. So
// it is noted first, in the order in which it comes, and when there are many they are taken out in the order
// of their table, some a step. Until then they lead to no execution, which whoever follows them finds.
#include <cstdint>
#include <utility>
#include <vector>

#include "store/sqlite/database.h"
#include "store/store.h"

namespace sortie::store::sqlite {

class GoneHashes {
 public:
  Status load(Connection& db);  // How many are noted.
  Status note(Connection& db, std::uint64_t hash, ExecutionNo no);
  void noted(std::size_t count) { noted_ += count; }  // Their transaction is committed.
  // Takes some out in a transaction of its own, where that has begun, there are enough of them, or `all`.
  // Answers whether it did anything.
  Result<bool> step(Connection& db, bool all);

 private:
  std::size_t noted_ = 0;                                     // In the table, and not going.
  std::vector<std::pair<std::int64_t, std::int64_t>> going_;  // (hash, no), descending.
  std::int64_t going_to_ = 0;                                 // The last note of those.
};

}  // namespace sortie::store::sqlite
