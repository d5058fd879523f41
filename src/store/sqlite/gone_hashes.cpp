#include "store/sqlite/gone_hashes.h"

#include <algorithm>

namespace sortie::store::sqlite {

namespace gone_hashes {

constexpr std::size_t kEnough = 16'384;
constexpr std::size_t kStep = 256;

}  // namespace gone_hashes

Status GoneHashes::load(Connection& db) {
  SORTIE_TRY(const std::int64_t count, db.integer("SELECT count(*) FROM hash_gone"));
  noted_ = static_cast<std::size_t>(count);
  going_.clear();
  return {};
}

Status GoneHashes::note(Connection& db, std::uint64_t hash, ExecutionNo no) {
  return db.query("INSERT INTO hash_gone(hash, no) VALUES(?, ?)")
      .bind(1, static_cast<std::int64_t>(hash))
      .bind(2, static_cast<std::int64_t>(no))
      .run();
}

Result<bool> GoneHashes::step(Connection& db, bool all) {
  if (going_.empty()) {
    if (noted_ == 0 || (!all && noted_ < gone_hashes::kEnough)) return false;
    Query q = db.query("SELECT hash, no, id FROM hash_gone");
    for (;;) {
      SORTIE_TRY(const bool row, q.step());
      if (!row) break;
      going_.emplace_back(q.integer(0), q.integer(1));
      going_to_ = std::max(going_to_, q.integer(2));
    }
    std::sort(going_.rbegin(), going_.rend());
    noted_ = 0;
    if (going_.empty()) return false;
  }
  const auto some = static_cast<std::ptrdiff_t>(std::min(going_.size(), gone_hashes::kStep));
  const auto from = going_.end() - some;
  Transaction transaction(db);
  SORTIE_TRY_STATUS(transaction.begin_write());
  for (auto each = from; each != going_.end(); ++each) {
    SORTIE_TRY_STATUS(db.query("DELETE FROM execution_hash WHERE hash=? AND no=?")
                          .bind(1, each->first)
                          .bind(2, each->second)
                          .run());
  }
  // After a crash before this all of them go once more: what is gone is gone, and no number is given twice.
  if (from == going_.begin()) {
    SORTIE_TRY_STATUS(db.query("DELETE FROM hash_gone WHERE id <= ?").bind(1, going_to_).run());
  }
  SORTIE_TRY_STATUS(transaction.commit());
  going_.erase(from, going_.end());
  return true;
}

}  // namespace sortie::store::sqlite
