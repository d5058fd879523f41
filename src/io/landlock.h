#pragma once
// Landlock: the kernel's way to let a process see only some folders without any privilege or namespace.
#include <string>
#include <vector>

#include "base/result.h"

namespace sortie::io {

struct LandlockRules {
  std::vector<std::string> readable;  // Read and execute, with everything below. Missing paths are skipped.
  std::vector<std::string> writable;  // The same, and everything else.
};

// The kernel's Landlock version; 0 where it has none.
int landlock_version();
// A ruleset descriptor that forbids every other path. Error "LandlockUnavailable".
Result<int> make_landlock_ruleset(const LandlockRules& rules);

}  // namespace sortie::io
