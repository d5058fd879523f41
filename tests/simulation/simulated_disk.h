#pragma once
// A disk in memory, as SQLite sees it through a file system (VFS) of its own: what was written and what would
// survive a loss of power are two things. One thread, one store at a time.
//
// Writes, truncations and removals of files go to the cache at once and to the platter with a sync of their
// file. Whoever drives the disk is asked before each operation what becomes of it (`Plan`): an error (EIO),
// no space, half a write, a sync that fails and is forgotten (the cache keeps the bytes and believes them
// written, as some kernels do), or the loss of power, before the operation or right behind it. Without power
// every operation fails until `restore_power`, which decides what the platter holds: of what was not synced
// any part, in sectors of 512 bytes and in any order. A file whose folder entry was never synced may be gone,
// one that was removed without a sync may be back.
//
// What was synced always survives: this disk does not lie about that, it only tells failures.
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"

namespace sortie::simulation {

enum class DiskOperation { kOpen, kRead, kWrite, kTruncate, kSync, kRemove };

enum class DiskFault {
  kNone,
  kError,            // EIO; a write that fails so may still have reached the cache in part.
  kFull,             // ENOSPC, nothing written.
  kShortWrite,       // ENOSPC after a part.
  kForgottenSync,    // The sync fails, and what it was for is never tried again.
  kPowerLoss,        // Before the operation.
  kPowerLossBehind,  // The operation was done, but nobody hears of it.
};

class SimulatedDisk {
 public:
  using Plan = std::function<DiskFault(DiskOperation operation, const std::string& file)>;

  SimulatedDisk();  // Registers a file system with SQLite, under a name of its own.
  ~SimulatedDisk();
  SimulatedDisk(const SimulatedDisk&) = delete;
  SimulatedDisk& operator=(const SimulatedDisk&) = delete;

  const std::string& vfs() const { return name_; }
  void set_plan(Plan plan) { plan_ = std::move(plan); }
  // While it rests nothing fails, and nobody is asked.
  void rest(bool resting) { resting_ = resting; }
  bool has_power() const { return has_power_; }
  void lose_power() { has_power_ = false; }
  // All files must be closed by now.
  void restore_power(Random& random);
  // The same after a process died and the machine went on: the cache is as it was.
  void restart_without_loss() { has_power_ = true; }

  struct Figures {
    std::uint64_t writes = 0, syncs = 0;
    std::uint64_t sectors_lost = 0;  // Written, not synced, gone after a loss of power.
    std::uint64_t writes_torn = 0;   // Of which one part stayed and another went.
  };
  const Figures& figures() const { return figures_; }
  // For tests of damage: flips a bit of what is on the platter and in the cache.
  void damage(const std::string& file, std::size_t offset);
  std::size_t size_of(const std::string& file) const;

  struct File;    // What is on the disk; simulated_disk.cpp.
  struct Handle;  // One that is open.

 private:
  friend struct DiskCalls;
  DiskFault ask(DiskOperation operation, const std::string& file);

  std::string name_;
  std::unique_ptr<struct DiskVfs> registered_;
  std::map<std::string, std::shared_ptr<File>> files_;
  Plan plan_;
  bool has_power_ = true, resting_ = false;
  int open_handles_ = 0;
  Figures figures_;
};

}  // namespace sortie::simulation
