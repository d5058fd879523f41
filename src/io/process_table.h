#pragma once
// What /proc tells about processes: who descends from whom, and whose environment holds what.
#include <sys/types.h>

#include <string>
#include <string_view>
#include <vector>

namespace sortie::io {

struct ProcessEntry {
  pid_t pid = 0;
  pid_t parent = 0;
  pid_t group = 0;
  pid_t session = 0;
  bool is_zombie = false;
};

// All processes that can be seen.
std::vector<ProcessEntry> list_processes();
// `root` and everything below it or in its session. `orphans_of`, if not 0, adds that process's children
// whose environment holds `marker`: they left the session, and their parents are gone.
std::vector<pid_t> process_tree(pid_t root, pid_t orphans_of, std::string_view marker);
// `root` and its descendants, by the kernel's own lists of children: microseconds instead of a look at every
// process. Where the kernel has no such lists it does look at every one.
std::vector<pid_t> descendants(pid_t root);
// A variable of the process begins with `marker`.
bool has_in_environment(pid_t pid, std::string_view marker);

}  // namespace sortie::io
