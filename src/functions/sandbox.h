#pragma once
// Where a worker runs: as little of the machine as it can do with.
//
// The best that an unprivileged process can have is bubblewrap: own user, mount, pid, ipc, uts and cgroup
// namespaces; the system read-only; the code at /var/task, the runtime at /var/lang, layers at /opt; a
// private /tmp of bounded size; nothing else of the disk. On top of it, always: a seccomp filter (no ptrace,
// mounts, namespaces, keys, bpf, io_uring, unusual socket families), resource limits, no new privileges.
// Where the kernel or a container refuses namespaces, what remains is seccomp, limits and, if the kernel has
// it, Landlock, which still keeps the worker out of the data folder; the report says so. The network is made
// elsewhere (worker_network.h).
//
// Which variant works is found out once, by running it. A worker dies with us in all of them.
#include <map>
#include <string>
#include <vector>

#include "base/result.h"
#include "functions/function_service.h"
#include "io/child_process.h"

namespace sortie::functions {

// The network to run in; empty: this machine's.
struct SandboxNetwork {
  std::vector<int> namespaces;  // io::NetworkNamespace::descriptors
  std::string resolv_conf;      // What /etc/resolv.conf says inside; "" leaves the machine's.
};

// What is to run. Paths are the machine's; Sandbox says where they appear inside.
struct SandboxLaunch {
  RuntimeKind runtime = RuntimeKind::kPython;
  std::string code_folder;
  std::vector<std::string> layer_folders;
  std::string handler;
  std::map<std::string, std::string> environment;  // Without the paths, which the sandbox adds.
  std::string scratch_folder;                      // An empty private folder, used where there is no tmpfs.
  std::uint64_t scratch_bytes = 512ULL * 1024 * 1024;
  std::string cgroup_procs_file;
  std::string marker;
  SandboxNetwork network;
};

struct SandboxOptions {
  SandboxMode mode = SandboxMode::kPreferred;
  std::string python;        // build/venv/bin/python
  std::string node;          // "" looks in PATH.
  std::string node_runtime;  // node.mjs
  std::vector<std::string> hidden_folders;
};

class Sandbox {
 public:
  // Tries the variants, best first; takes up to a few hundred milliseconds. Error "SandboxUnavailable" where
  // mode is required and the best cannot be had.
  static Result<Sandbox> probe(SandboxOptions options);

  bool is_complete() const { return level_ == Level::kNamespaces; }
  // One sentence for what protects, and one for each thing the machine refuses.
  const std::vector<std::string>& report() const { return report_; }

  // "" when programs can be run in this network, else what was refused. Only where the sandbox is complete.
  std::string try_network(const SandboxNetwork& network) const { return try_variant(network); }

  // Whether children run under bubblewrap, which reports a signal N of its child as exit status 128 + N.
  bool wraps() const { return level_ == Level::kNamespaces; }

  // Ready to spawn. Error "RuntimeMissing" where the interpreter is not there.
  Result<io::ChildOptions> prepare(const SandboxLaunch& launch) const;

 private:
  enum class Level { kNone, kLandlock, kNamespaces };

  std::vector<std::string> bubblewrap_arguments(const SandboxLaunch& launch,
                                                const std::map<std::string, std::string>& environment) const;
  void add_system(std::vector<std::string>& arguments, const SandboxNetwork& network) const;
  void add_descriptors(io::ChildOptions& child, std::string arguments, const SandboxNetwork& network) const;
  Result<std::vector<std::string>> command(const SandboxLaunch& launch, bool inside) const;
  std::map<std::string, std::string> environment(const SandboxLaunch& launch, bool inside) const;
  Status find_level();
  std::string try_variant(const SandboxNetwork& network) const;  // "" when it works, else what was refused.
  io::LandlockRules landlock_rules(const SandboxLaunch& launch) const;

  SandboxOptions options_;
  Level level_ = Level::kNone;
  bool user_namespace_ = true, own_proc_ = true, has_landlock_ = false;
  std::string bubblewrap_;
  std::string python_prefix_;  // The virtual environment's folder.
  std::string python_base_;    // Its interpreter's prefix, where that lies outside of /usr.
  std::string node_;
  std::string seccomp_program_;
  std::vector<std::string> report_;
};

// The seccomp program that every worker gets, as raw struct sock_filter[]; "" and a reason where it cannot be
// made on this machine.
std::string make_seccomp_program(std::string& reason);

}  // namespace sortie::functions
