#include "store/sqlite/read_pool.h"

#include <algorithm>

namespace sortie::store::sqlite {

ReadPool::ReadPool(const SqliteOptions& options, std::string file, View& view)
    : file_(std::move(file)),
      vfs_(options.vfs),
      view_(view),
      connections_left_(std::max<std::size_t>(options.readers_max, 1)) {}

ReadPool::Lease::~Lease() {
  if (kept_.connection == nullptr) return;
  std::lock_guard lock(pool_->mutex_);
  // What went wrong may have to do with what the snapshot is or what is cached of it.
  const bool keeps = kept_.releases == pool_->releases_ && kept_.connection->in_good_snapshot();
  if (!keeps) kept_.snapshot.reset();
  pool_->idle_[static_cast<std::size_t>(use_)].push_back(std::move(kept_));
  pool_->returned_.notify_one();
}

Status ReadPool::Lease::settle() {
  const std::uint64_t tables = pool_->view_.tables;
  if (kept_.snapshot != nullptr && kept_.tables == tables) return {};
  kept_.snapshot.reset();
  kept_.tables = tables;
  kept_.releases = pool_->releases_;
  kept_.snapshot = std::make_unique<Transaction>(*kept_.connection);
  Status begun = kept_.snapshot->begin_read();
  if (!begun) kept_.snapshot.reset();
  return begun;
}

Result<ReadPool::Lease> ReadPool::lease(Use use) {
  auto& own = idle_[static_cast<std::size_t>(use)];
  auto& others = idle_[1 - static_cast<std::size_t>(use)];
  std::unique_lock lock(mutex_);
  returned_.wait(lock, [&] { return !own.empty() || connections_left_ > 0 || !others.empty(); });
  if (!own.empty() || connections_left_ == 0) {
    auto& from = own.empty() ? others : own;
    Kept kept = std::move(from.back());
    from.pop_back();
    lock.unlock();
    if (use == Use::kPlainTables) kept.snapshot.reset();
    return Lease(*this, use, std::move(kept));
  }
  --connections_left_;
  lock.unlock();
  Result<Kept> kept = open_connection();
  if (kept) return Lease(*this, use, *std::move(kept));
  lock.lock();
  ++connections_left_;
  returned_.notify_one();
  return std::move(kept).error();
}

Result<ReadPool::Kept> ReadPool::open_connection() {
  Kept kept;
  SORTIE_TRY(kept.connection, Connection::open(file_, OpenMode::kReadOnly, vfs_));
  SORTIE_TRY_STATUS(kept.connection->execute("PRAGMA cache_size=-8192"));
  return kept;
}

void ReadPool::release_snapshots() {
  std::lock_guard lock(mutex_);
  ++releases_;
  for (Kept& kept : idle_[static_cast<std::size_t>(Use::kBehindOverlay)]) kept.snapshot.reset();
}

}  // namespace sortie::store::sqlite
