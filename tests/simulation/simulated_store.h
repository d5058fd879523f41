#pragma once
// The SQLite store on a simulated disk: its thread is the loop, its sizes are small, so that folds and
// checkpoints come often.
#include <memory>
#include <optional>

#include "base/hash.h"
#include "fault_plan.h"
#include "simulated_disk.h"
#include "store/sqlite/sqlite_store.h"
#include "virtual_loop.h"

namespace sortie::simulation {

class SimulatedStore {
 public:
  // What it is made of outlives it.
  SimulatedStore(SimulatedDisk& disk, VirtualLoop& world, FaultPlan& faults, SeededRandom& random)
      : disk_(disk), world_(world), faults_(faults), random_(random) {}

  Status open() {
    loop_.emplace(world_);
    SORTIE_TRY(store_, store::open_sqlite_store(options()));
    return {};
  }
  void close() {
    store_.reset();
    loop_.reset();
  }
  bool is_open() const { return store_ != nullptr; }
  store::Store& operator*() const { return *store_; }
  store::Store* operator->() const { return store_.get(); }

 private:
  store::SqliteOptions options();

  SimulatedDisk& disk_;
  VirtualLoop& world_;
  FaultPlan& faults_;
  SeededRandom& random_;
  std::optional<ProcessLoop> loop_;
  std::unique_ptr<store::Store> store_;
};

inline store::SqliteOptions SimulatedStore::options() {
  const auto up_to = [this](std::int64_t most) {
    return static_cast<std::int64_t>(random_.next() % static_cast<std::uint64_t>(most + 1));
  };
  store::SqliteOptions options;
  options.folder = "/disk";
  options.vfs = disk_.vfs();
  options.loop = &*loop_;
  options.run_work = [this, up_to](std::function<void()> work) {
    const bool slow = faults_.strikes("slow disk", 20'000);
    loop_->call_at(loop_->now().plus_ms(slow ? up_to(3'000) : up_to(3)), std::move(work));
  };
  options.idle_ms = 50 + up_to(500);
  options.overlay_bytes_max = 1 + static_cast<std::size_t>(up_to(80'000));
  options.checkpoint_bytes = 200'000;
  options.readers_max = 2;
  return options;
}

}  // namespace sortie::simulation
