#pragma once
// Which faults a simulated run meets, from a seed of their own: so a run with fewer faults meets the same
// ones up to the first that is left out, and a failing run can be made smaller by leaving out one after the
// other.
//
// Each time something could fail is a draw with a number. `only` names the draws that are let through; empty:
// all that the seed says. Counts by kind add up over runs in `FaultTally`.
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/hash.h"
#include "simulated_disk.h"

namespace sortie::simulation {

using FaultTally = std::map<std::string, std::uint64_t>;

inline std::string list_of(const FaultTally& tally) {
  std::string out;
  for (const auto& [kind, count] : tally) {
    out += (out.empty() ? "" : ", ") + kind + " " + std::to_string(count);
  }
  return out;
}

inline std::string to_text(const FaultTally& tally) {
  std::uint64_t all = 0;
  for (const auto& [kind, count] : tally) all += count;
  return std::to_string(all) + " faults injected (" + list_of(tally) + ")";
}

class FaultPlan {
 public:
  struct Injected {
    std::uint64_t draw = 0;
    std::string kind;
  };

  FaultPlan(std::uint64_t seed, FaultTally& tally, std::set<std::uint64_t> only = {})
      : random_(seed), tally_(tally), only_(std::move(only)) {}

  // True with the given chance (in a million): the fault happens.
  bool strikes(const char* kind, std::uint64_t per_million) {
    ++draws_;
    const bool drawn = random_.next() % 1'000'000 < per_million;
    if (!drawn || is_over_ || (!only_.empty() && !only_.contains(draws_))) return false;
    ++tally_[kind];
    injected_.push_back({draws_, kind});
    return true;
  }

  // What happens to an operation of the disk; `intensity` 1 is about a fault in 300 operations.
  DiskFault of_disk(DiskOperation operation, std::uint64_t intensity) {
    switch (operation) {
      case DiskOperation::kOpen:
        return strikes("open fails", 800 * intensity) ? DiskFault::kError : DiskFault::kNone;
      case DiskOperation::kRead:
        if (strikes("read EIO", 500 * intensity)) return DiskFault::kError;
        return strikes("power loss at a read", 150 * intensity) ? DiskFault::kPowerLoss : DiskFault::kNone;
      case DiskOperation::kWrite:
        if (strikes("write EIO", 600 * intensity)) return DiskFault::kError;
        if (strikes("disk full", 600 * intensity)) return DiskFault::kFull;
        if (strikes("short write", 500 * intensity)) return DiskFault::kShortWrite;
        if (strikes("power loss before a write", 500 * intensity)) return DiskFault::kPowerLoss;
        return strikes("power loss behind a write", 500 * intensity) ? DiskFault::kPowerLossBehind
                                                                     : DiskFault::kNone;
      case DiskOperation::kSync:
        if (strikes("sync EIO", 2000 * intensity)) return DiskFault::kError;
        if (strikes("sync EIO, forgotten", 2000 * intensity)) return DiskFault::kForgottenSync;
        if (strikes("power loss before a sync", 3000 * intensity)) return DiskFault::kPowerLoss;
        return strikes("power loss behind a sync", 3000 * intensity) ? DiskFault::kPowerLossBehind
                                                                     : DiskFault::kNone;
      case DiskOperation::kTruncate:
      case DiskOperation::kRemove:
        return strikes("truncate or remove EIO", 2000 * intensity) ? DiskFault::kError : DiskFault::kNone;
    }
    return DiskFault::kNone;
  }

  // One that the machine itself holds, whatever the plan says.
  void count(const char* kind) { ++tally_[kind]; }
  void end() { is_over_ = true; }  // Nothing fails any more.
  bool is_over() const { return is_over_; }
  const std::vector<Injected>& injected() const { return injected_; }

 private:
  SeededRandom random_;
  FaultTally& tally_;
  const std::set<std::uint64_t> only_;
  std::vector<Injected> injected_;
  std::uint64_t draws_ = 0;
  bool is_over_ = false;
};

}  // namespace sortie::simulation
