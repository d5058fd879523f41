#include "functions/memory_limit.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "base/text.h"
#include "io/file.h"
#include "io/process_table.h"

namespace sortie::functions {

namespace {

bool write_control(const std::string& path, std::string_view text) {
  const int file = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
  if (file < 0) return false;
  const bool done = ::write(file, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  ::close(file);
  return done;
}

bool has_word(const std::string& path, std::string_view word) {
  const auto text = io::read_file(path, 64 * 1024);
  if (!text) return false;
  for (const std::string_view found : split(trim(*text), ' ')) {
    if (found == word) return true;
  }
  return false;
}

// Our own cgroup, where the machine has the unified hierarchy.
std::string own_group() {
  const auto text = io::read_file("/proc/self/cgroup", 64 * 1024);
  if (!text || !io::path_exists("/sys/fs/cgroup/cgroup.controllers")) return "";
  for (const std::string_view line : split(*text, '\n')) {
    if (line.starts_with("0::/")) return "/sys/fs/cgroup" + std::string(line.substr(3));
  }
  return "";
}

// A group that holds processes cannot limit children, so we move one level down with our own children, but
// only where nobody else is.
std::string claim_group(std::string& report) {
  const std::string own = own_group();
  if (own.empty()) {
    report = "no unified cgroup hierarchy";
    return "";
  }
  const std::string parent = own.substr(0, own.rfind('/'));
  if (has_word(parent + "/cgroup.subtree_control", "memory") && ::access(parent.c_str(), W_OK) == 0 &&
      ::access((own + "/cgroup.procs").c_str(), W_OK) == 0 && own.ends_with("/main")) {
    return parent;
  }
  if (!has_word(own + "/cgroup.controllers", "memory") || ::access(own.c_str(), W_OK) != 0) {
    report = "no delegated cgroup (systemd: Delegate=memory)";
    return "";
  }
  const std::string main = own + "/main";
  ::mkdir(main.c_str(), 0755);
  const std::vector<pid_t> ours = io::descendants(::getpid());
  const auto members = io::read_file(own + "/cgroup.procs", 1024 * 1024);
  for (const std::string_view member : split(members ? trim(*members) : std::string_view(), '\n')) {
    const pid_t pid = std::atoi(std::string(member).c_str());
    if (std::find(ours.begin(), ours.end(), pid) == ours.end()) {
      report = "other programs share our cgroup " + own;
      ::rmdir(main.c_str());
      return "";
    }
    write_control(main + "/cgroup.procs", member);
  }
  if (!write_control(own + "/cgroup.subtree_control", "+memory")) {
    report = "the delegated cgroup could not be divided";
    return "";
  }
  return own;
}

}  // namespace

MemoryLimits::MemoryLimits(const std::string& folder) {
  std::string reason = "switched off";
  if (folder.empty()) {
    folder_ = claim_group(reason);
  } else if (folder != "none") {
    if (io::is_directory(folder) && ::access(folder.c_str(), W_OK) == 0) {
      folder_ = folder;
    } else {
      reason = folder + " cannot be written";
    }
  }
  report_ =
      available()
          ? "memory is bounded by the kernel (cgroup " + folder_ + "), and watched ten times a second"
          : "memory is watched ten times a second and processes above their limit are killed: " + reason;
}

std::string MemoryLimits::group(std::uint64_t worker) const {
  return folder_ + "/worker-" + std::to_string(worker);
}

std::string MemoryLimits::create(std::uint64_t worker, int memory_mib, int scratch_mib) {
  if (!available()) return "";
  const std::string group = this->group(worker);
  if (::mkdir(group.c_str(), 0755) != 0 && !io::is_directory(group)) return "";
  if (!write_control(group + "/memory.max",
                     std::to_string(static_cast<std::uint64_t>(memory_mib + scratch_mib) * 1024 * 1024))) {
    return "";
  }
  write_control(group + "/memory.swap.max", "0");
  write_control(group + "/memory.oom.group", "1");
  return group + "/cgroup.procs";
}

void MemoryLimits::remove(std::uint64_t worker) {
  if (available()) ::rmdir(group(worker).c_str());
}

}  // namespace sortie::functions
