#pragma once
// What the tables said a moment ago of executions that somebody read: whoever reads one to go on with it
// commits it next, and the writer has to know what it was counted as. A row of the tables changes only while
// the overlay shows it or when retention takes it, so what was read is right as long as View::tables says the
// same and the overlay nothing. Holds few, and forgets silently.
#include <array>
#include <mutex>
#include <optional>
#include <string>

#include "store/store.h"

namespace sortie::store::sqlite {

class RecentRows {
 public:
  struct Row {
    std::string state_machine_arn;
    ExecutionStatus status = ExecutionStatus::kRunning;
  };
  // `tables`: of the snapshot in which it was read.
  void remember(ExecutionNo no, std::uint64_t tables, const ExecutionRow& row) {
    std::lock_guard lock(mutex_);
    Slot& slot = slots_[no % kSlots];
    slot.no = no;
    slot.tables = tables;
    slot.row.state_machine_arn = row.state_machine_arn;
    slot.row.status = row.status;
  }
  std::optional<Row> find(ExecutionNo no, std::uint64_t tables) const {
    std::lock_guard lock(mutex_);
    const Slot& slot = slots_[no % kSlots];
    return slot.no == no && slot.tables == tables ? std::optional(slot.row) : std::nullopt;
  }

 private:
  static constexpr std::size_t kSlots = 1'024;
  struct Slot {
    ExecutionNo no = 0;
    std::uint64_t tables = 0;
    Row row;
  };

  mutable std::mutex mutex_;
  std::array<Slot, kSlots> slots_;
};

}  // namespace sortie::store::sqlite
