#include "runtime/history_pages.h"

#include <algorithm>

#include "runtime/live.h"

namespace sortie::runtime {
namespace {

constexpr std::size_t kPageEventsMax = 10'000;

Result<std::int64_t> last_event_id(store::Store& store, Definitions& definitions,
                                   const store::ExecutionRow& row) {
  if (row.status != store::ExecutionStatus::kRunning) {
    SORTIE_TRY(const engine::ExecutionImage image, engine::decode_execution(row.image));
    return image.last_event_id;
  }
  SORTIE_TRY(auto live,
             load_live(store, row.no, [&](const std::string& key) { return definitions.machine(key); }));
  return live->state.last_event_id;
}

Result<HistoryPage> load_events(store::Store& store, store::ExecutionNo no, std::int64_t first,
                                std::int64_t count) {
  SORTIE_TRY(const std::vector<store::HistoryChunk> chunks, store.load_history(no, first, count));
  StoredPayloads payloads(store, no, nullptr);
  HistoryPage page;
  for (const store::HistoryChunk& chunk : chunks) {
    SORTIE_TRY(std::vector<engine::HistoryEvent> events, engine::decode_events(chunk.body, payloads));
    for (engine::HistoryEvent& event : events) {
      if (event.id >= first && event.id < first + count) page.events.push_back(std::move(event));
    }
  }
  return page;
}

}  // namespace

Result<HistoryPage> read_history(store::Store& store, Definitions& definitions,
                                 const store::ExecutionRow& row, std::int64_t from, std::size_t limit,
                                 bool reverse) {
  const auto count = static_cast<std::int64_t>(std::min<std::size_t>(limit, kPageEventsMax));
  std::int64_t first = std::max<std::int64_t>(from, 1);
  if (reverse) {
    SORTIE_TRY(const std::int64_t last, last_event_id(store, definitions, row));
    const std::int64_t newest = from <= 0 ? last : std::min(from, last);
    first = std::max<std::int64_t>(newest - count + 1, 1);
    SORTIE_TRY(HistoryPage page, load_events(store, row.no, first, newest - first + 1));
    std::reverse(page.events.begin(), page.events.end());
    page.next_event_id.reset();
    if (first > 1) page.next_event_id = first - 1;
    return page;
  }
  SORTIE_TRY(HistoryPage page, load_events(store, row.no, first, count + 1));
  if (page.events.size() > static_cast<std::size_t>(count)) {
    page.events.resize(static_cast<std::size_t>(count));
    page.next_event_id = first + count;
  }
  return page;
}

}  // namespace sortie::runtime
