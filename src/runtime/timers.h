#pragma once
// Timers knows when each open frame is due: at most one time a frame, the earliest first. Setting a frame's
// time again replaces it. A replaced or cleared entry stays in the heap until it comes up or until such
// entries outnumber the rest, so memory follows what is armed and not what ever was: a task that answers in a
// second leaves nothing behind of its timeout in 30 days. All operations are O(log n), amortised.
#include <optional>
#include <unordered_map>
#include <vector>

#include "base/time.h"
#include "store/store.h"

namespace sortie::runtime {

class Timers {
 public:
  // `due` kNever clears.
  void set(store::FrameKey key, Timestamp due);
  void clear(store::FrameKey key) { armed_.erase(key); }
  Timestamp due(store::FrameKey key) const {  // kNever: it is not armed.
    const auto found = armed_.find(key);
    return found == armed_.end() ? kNever : found->second;
  }
  Timestamp next();  // kNever: none.
  // The frame that is due first, if it is due at `now`; it is disarmed.
  std::optional<store::FrameKey> take_due(Timestamp now);
  std::size_t size() const { return armed_.size(); }

 private:
  struct Entry {
    Timestamp due;
    store::FrameKey key;
    bool operator<(const Entry& other) const {  // The standard heap keeps the greatest in front.
      return due != other.due ? due > other.due : key > other.key;
    }
  };
  struct Hash {
    std::size_t operator()(const store::FrameKey& key) const {
      return static_cast<std::size_t>((key.execution * 0x9E3779B97F4A7C15ULL) ^ key.frame);
    }
  };
  bool is_stale(const Entry& entry) const;
  void drop_stale_front();

  std::vector<Entry> heap_;
  std::unordered_map<store::FrameKey, Timestamp, Hash> armed_;
};

}  // namespace sortie::runtime
