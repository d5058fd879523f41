#pragma once
// Which deduplication keys were seen, by which event, until when. Mirrored in memory and kept as documents of
// kind "event_dedup", written in the batch that accepts the event; a key is taken from the moment its event
// is accepted, so that two events on their way to the disk together do not both start something.
#include <cstddef>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "store/store.h"

namespace sortie::events {

inline constexpr std::string_view kDedupKind = "event_dedup";
inline constexpr std::size_t kDedupKeysMax = 1'000'000;  // Beyond it the oldest keys are forgotten early.

class DedupTable {
 public:
  struct Entry {
    std::string event_id;  // The first event with this key.
    Timestamp expires;
  };

  Status recover(store::Store& store);

  // `scope` keeps the keys of rules and hooks apart.
  static std::string hash(std::string_view scope, std::string_view key);

  std::optional<std::string> find(const std::string& hash, Timestamp now) const;
  // Takes the key; the document goes into the event's batch. `undo` gets what restores the table should the
  // batch fail.
  struct Undo {
    std::string hash;
    std::optional<Entry> before;
  };
  store::Document take(const std::string& hash, std::string event_id, Timestamp expires, Undo& undo);
  void restore(const Undo& undo);

  // Forgets up to `limit` keys that have expired, or are too many; for the documents to be removed.
  std::vector<std::string> sweep(Timestamp now, std::size_t limit);
  std::optional<Timestamp> next_expiry() const;
  std::size_t size() const { return entries_.size(); }

 private:
  void set(const std::string& hash, Entry entry);

  std::unordered_map<std::string, Entry> entries_;
  std::set<std::pair<Timestamp, std::string>> by_expiry_;
};

}  // namespace sortie::events
