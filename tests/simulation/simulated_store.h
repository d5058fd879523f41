#pragma once
// The SQLite store on a simulated disk: its thread is the loop, its sizes are small, so that folds, segments
// and checkpoints come often.
#include "base/hash.h"
#include "fault_plan.h"
#include "simulated_disk.h"
#include "store/sqlite/sqlite_store.h"
#include "virtual_loop.h"

namespace sortie::simulation {

inline store::SqliteOptions simulated_store_options(SimulatedDisk& disk, ProcessLoop& loop, FaultPlan& faults,
                                                    SeededRandom& random) {
  const auto up_to = [&random](std::int64_t most) {
    return static_cast<std::int64_t>(random.next() % static_cast<std::uint64_t>(most + 1));
  };
  store::SqliteOptions options;
  options.folder = "/disk";
  options.vfs = disk.vfs();
  options.loop = &loop;
  options.run_work = [&loop, &faults, up_to](std::function<void()> work) {
    const bool slow = faults.strikes("slow disk", 20'000);
    loop.call_at(loop.now().plus_ms(slow ? up_to(3'000) : up_to(3)), std::move(work));
  };
  options.idle_ms = 50 + up_to(500);
  options.overlay_bytes_max = 1 + static_cast<std::size_t>(up_to(80'000));
  options.segment_bytes = 10'000;
  options.checkpoint_bytes = 200'000;
  options.readers_max = 2;
  return options;
}

}  // namespace sortie::simulation
