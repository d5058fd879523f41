#pragma once
// Child processes on the loop: started without copying our memory, watched, bounded, and killed as a whole.
//
// A child is the leader of a session of its own and dies with us (the kernel sends it SIGKILL when our loop's
// thread ends, however it ends). kill_tree() kills it, its process group, and every descendant that can be
// found; processes that run in a PID namespace of their own (bubblewrap) cannot escape at all, others that
// leave the session *and* are orphaned are found because Sortie is their subreaper.
//
// Output is read line by line. A line longer than line_bytes_max is handed over in pieces. on_exit runs once,
// after the last output line and after the process was reaped.
#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "io/event_loop.h"
#include "io/landlock.h"

namespace sortie::io {

struct ChildLimit {
  int resource;  // RLIMIT_...
  std::uint64_t value;
};

struct ChildOptions {
  std::vector<std::string> argv;         // argv[0] is a path, or a name looked up in our own PATH.
  std::vector<std::string> environment;  // "NAME=value"; nothing is inherited.
  std::string working_directory;         // "": ours.
  bool with_stdin = false;               // Else /dev/null.
  bool join_output = false;              // stderr goes the way of stdout, so that the order of lines is kept.
  std::size_t line_bytes_max = 64 * 1024;
  std::vector<std::pair<int, int>> descriptors;  // (ours, number in the child), beside 0, 1, 2.
  // Text that the child can read from a descriptor of this number: for what its command line must not show.
  std::vector<std::pair<std::string, int>> texts;
  std::vector<ChildLimit> limits;
  bool no_new_privileges = false;
  LandlockRules landlock;       // Implies no_new_privileges.
  std::string seccomp_program;  // Raw struct sock_filter[]; implies no_new_privileges.
  // "NAME=value", added to the environment and different for each child: finds what left the session.
  std::string marker;
  std::vector<int> namespaces;    // Entered in this order before anything else is done.
  std::string cgroup_procs_file;  // Where set, the child joins this cgroup before it runs.
};

struct ChildExit {
  bool signalled = false;
  int code = 0;  // Exit status, or the signal's number.
  bool operator==(const ChildExit&) const = default;
};

enum class ChildOutput { kStdout, kStderr };

struct ChildEvents {
  std::function<void(ChildOutput, std::string_view line)> on_line;  // Without the line end.
  std::function<void(ChildExit)> on_exit;
};

class ChildProcess {
 public:
  // Errors: "SpawnFailed" with the system's reason and the program's name.
  static Result<std::unique_ptr<ChildProcess>> spawn(EventLoop& loop, ChildOptions options,
                                                     ChildEvents events);
  ~ChildProcess();  // Kills the tree; no callbacks any more.

  pid_t pid() const;
  bool is_running() const;  // Not reaped yet.
  // Queues text for the child's stdin; false when it is closed or more than 64 MiB wait.
  bool write_stdin(std::string_view text);
  void close_stdin();
  void kill_tree();            // SIGKILL to all of it.
  void signal(int number);     // To the child alone.
  void read_pending_output();  // Hands over now what already lies in the pipes.
  // The pids of the child and its living descendants; cheap.
  std::vector<pid_t> tree() const;
  // Those, and what left the session or was orphaned, as far as it can be seen; looks at every process.
  std::vector<pid_t> complete_tree() const;

  struct Impl;

 private:
  explicit ChildProcess(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
  std::shared_ptr<Impl> impl_;
};

// Kills every process of this user whose environment holds a variable that begins with `marker` ("NAME=va"),
// and waits until they are gone. For what a killed predecessor may have left behind. Returns how many there
// were.
std::size_t kill_processes_marked(const std::string& marker);

}  // namespace sortie::io
