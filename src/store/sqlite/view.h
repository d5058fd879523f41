#pragma once
// The View is what readers share with the writer: the overlay behind a lock. Readers take it shared and
// settle their snapshot of the file while they hold it (read_pool.h); the writer commits first and then
// changes the overlay under the exclusive lock. A slice writes only what the frozen generation already shows,
// so tables that are newer than the overlay never contradict it; term runs that are gone from the tables are
// the one exception, and the writer holds the lock while it commits that.
#include <atomic>
#include <shared_mutex>

#include "store/sqlite/counts.h"
#include "store/sqlite/overlay.h"
#include "store/sqlite/recent_rows.h"
#include "store/sqlite/term_run.h"

namespace sortie::store::sqlite {

struct View {
  std::shared_mutex mutex;
  Overlay overlay;
  ExecutionCounts counts;
  TermRuns runs;
  std::atomic<ExecutionNo> last_execution_no{0};
  // Changes with whatever leaves the overlay, with `runs`, and with what retention takes: a snapshot from
  // before lacks it, or has it still.
  std::atomic<std::uint64_t> tables{1};
  RecentRows recent;  // Has a lock of its own.
};

}  // namespace sortie::store::sqlite
