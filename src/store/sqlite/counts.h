#pragma once
// How many executions of each machine have each status, of tables and overlay together: counted once when the
// store is opened and kept up to date by every commit, so that telling it costs a look-up and not a walk over
// what the overlay holds. Not thread-safe; the View's lock guards it.
#include <algorithm>
#include <array>
#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "store/store.h"

namespace sortie::store::sqlite {

class ExecutionCounts {
 public:
  void add(std::string_view machine, ExecutionStatus status, std::int64_t n) {
    const auto at = static_cast<std::size_t>(status);
    all_[at] += n;
    auto found = by_machine_.find(machine);
    if (found == by_machine_.end()) found = by_machine_.emplace(std::string(machine), Counts{}).first;
    found->second[at] += n;
    // A map run has a machine of its own: what retention has emptied must not stay.
    if (n < 0 && found->second == Counts{}) by_machine_.erase(found);
  }
  StatusCounts of(std::string_view machine) const {  // Empty: all.
    if (machine.empty()) return told(all_);
    const auto found = by_machine_.find(machine);
    return found == by_machine_.end() ? StatusCounts{} : told(found->second);
  }
  std::map<std::string, std::uint64_t> running() const {
    std::map<std::string, std::uint64_t> out;
    for (const auto& [machine, counts] : by_machine_) {
      const StatusCounts those = told(counts);
      const std::uint64_t n = those.by_status[static_cast<std::size_t>(ExecutionStatus::kRunning)];
      if (n > 0) out.emplace(machine, n);
    }
    return out;
  }

 private:
  using Counts = std::array<std::int64_t, 5>;
  static StatusCounts told(const Counts& counts) {
    StatusCounts out;
    for (std::size_t i = 0; i < counts.size(); ++i) {
      out.by_status[i] = static_cast<std::uint64_t>(std::max<std::int64_t>(counts[i], 0));
    }
    return out;
  }

  Counts all_{};
  std::map<std::string, Counts, std::less<>> by_machine_;
};

}  // namespace sortie::store::sqlite
