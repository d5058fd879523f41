#pragma once
// What the files that implement EventBus share. Inside the folder only.
#include "events/event_bus.h"

namespace sortie::events {

// One batch on its way, with what to do when it is durable and what to take back when it fails.
struct EventBus::Acceptance {
  store::Batch batch;
  std::vector<std::string> delivery_ids;
  std::vector<DedupTable::Undo> undos;
  std::vector<EventRecord> records;
  std::uint64_t matched = 0;
  std::uint64_t duplicates = 0;
};

struct EventBus::Observer {
  std::function<void(const EventRecord&)> callback;
};

// Runs `done` from the loop, never inside the call.
template <typename T>
void EventBus::answer(const Callback<T>& done, Result<T> result) {
  if (!done) return;
  loop_.post([done, result = std::move(result)] { done(result); });
}

inline Error store_failure() {
  return Error{"InternalException", "The change could not be written. Nothing was changed; try again."};
}

}  // namespace sortie::events
