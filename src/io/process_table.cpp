#include "io/process_table.h"

#include <charconv>
#include <set>

#include "base/text.h"
#include "io/file.h"

namespace sortie::io {

namespace {

constexpr std::size_t kTreeMax = 10'000;

pid_t to_pid(std::string_view text) {
  pid_t pid = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), pid);
  return error == std::errc() && end == text.data() + text.size() ? pid : 0;
}

// "PID (NAME) STATE PPID PGRP SESSION ...": the name may hold anything, so it is cut at the last ')'.
bool read_stat(ProcessEntry& entry) {
  const auto text = read_file("/proc/" + std::to_string(entry.pid) + "/stat", 4096);
  if (!text) return false;
  const std::size_t name_end = text->rfind(')');
  if (name_end == std::string::npos || name_end + 2 > text->size()) return false;
  const auto fields = split(std::string_view(*text).substr(name_end + 2), ' ');
  if (fields.size() < 4) return false;
  entry.is_zombie = fields[0] == "Z" || fields[0] == "X";
  entry.parent = to_pid(fields[1]);
  entry.group = to_pid(fields[2]);
  entry.session = to_pid(fields[3]);
  return true;
}

}  // namespace

std::vector<ProcessEntry> list_processes() {
  std::vector<ProcessEntry> processes;
  const auto entries = list_directory("/proc");
  if (!entries) return processes;
  for (const DirectoryEntry& entry : *entries) {
    ProcessEntry process;
    process.pid = to_pid(entry.name);
    if (process.pid > 0 && read_stat(process)) processes.push_back(process);
  }
  return processes;
}

bool has_in_environment(pid_t pid, std::string_view marker) {
  if (marker.empty()) return false;
  const auto environment = read_file("/proc/" + std::to_string(pid) + "/environ", 4 * 1024 * 1024);
  if (!environment) return false;
  for (const std::string_view variable : split(*environment, '\0')) {
    if (variable.starts_with(marker)) return true;
  }
  return false;
}

std::vector<pid_t> descendants(pid_t root) {
  static const bool has_lists = path_exists("/proc/thread-self/children");
  if (!has_lists) return process_tree(root, 0, "");
  std::vector<pid_t> found = {root};
  for (std::size_t at = 0; at < found.size() && found.size() < kTreeMax; ++at) {
    const std::string tasks = "/proc/" + std::to_string(found[at]) + "/task";
    const auto threads = list_directory(tasks);
    if (!threads) continue;
    for (const DirectoryEntry& thread : *threads) {
      const auto children = read_file(tasks + "/" + thread.name + "/children", 1024 * 1024);
      if (!children) continue;
      for (const std::string_view text : split(*children, ' ')) {
        if (const pid_t pid = to_pid(text); pid > 0) found.push_back(pid);
      }
    }
  }
  return found;
}

std::vector<pid_t> process_tree(pid_t root, pid_t orphans_of, std::string_view marker) {
  const std::vector<ProcessEntry> processes = list_processes();
  std::set<pid_t> found;
  for (const ProcessEntry& process : processes) {
    const bool member = process.pid == root || process.session == root;
    const bool orphan = orphans_of != 0 && process.parent == orphans_of && !process.is_zombie &&
                        has_in_environment(process.pid, marker);
    if (member || orphan) found.insert(process.pid);
  }
  // Pids are not ordered by age once they wrap round, so children are added until nothing is new.
  for (bool grows = true; grows;) {
    grows = false;
    for (const ProcessEntry& process : processes) {
      if (found.contains(process.parent) && found.insert(process.pid).second) grows = true;
    }
  }
  return {found.begin(), found.end()};
}

}  // namespace sortie::io
