#pragma once
// Memory limits by the kernel, where a cgroup v2 folder is ours to use (systemd: Delegate=memory).
//
// Each worker gets a cgroup with memory.max; above it the kernel kills the whole group at once, however fast
// it got there. What lies in a worker's /tmp is memory to the kernel, and none of the function's on AWS, so
// the kernel's limit is the sum of both, and the function's own is watched: ten times a second WorkerPool
// reads the resident memory and kills what is above. Where no such folder can be had only that remains.
#include <cstdint>
#include <string>

#include "base/result.h"

namespace sortie::functions {

class MemoryLimits {
 public:
  // `folder`: a delegated cgroup whose children may have memory limits; "" looks for our own; "none" gives
  // up.
  explicit MemoryLimits(const std::string& folder);

  bool available() const { return !folder_.empty(); }
  const std::string& report() const { return report_; }
  // The new cgroup's cgroup.procs, to be joined by the child; "" where that failed.
  std::string create(std::uint64_t worker, int memory_mib, int scratch_mib);
  void remove(std::uint64_t worker);  // After its processes are gone.

 private:
  std::string group(std::uint64_t worker) const;

  std::string folder_, report_;
};

}  // namespace sortie::functions
