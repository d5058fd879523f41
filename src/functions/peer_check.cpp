#include "functions/peer_check.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <unistd.h>

#include <charconv>
#include <cstdio>

#include "base/text.h"
#include "io/file.h"

namespace sortie::functions {

std::uint64_t find_loopback_socket(pid_t inside, std::string_view address, std::uint16_t port,
                                   std::uint16_t server_port) {
  in_addr numeric{};
  if (::inet_pton(AF_INET, std::string(address).c_str(), &numeric) != 1) return 0;
  // "  12: 0100007F:A3C4 0100007F:1F90 01 ...": addresses as the machine stores them, ports in plain hex.
  char ours[32], server[16];
  std::snprintf(ours, sizeof(ours), "%08X:%04X", static_cast<unsigned>(numeric.s_addr),
                static_cast<unsigned>(port));
  std::snprintf(server, sizeof(server), ":%04X", static_cast<unsigned>(server_port));
  const auto table = io::read_file("/proc/" + std::to_string(inside) + "/net/tcp", 64 * 1024 * 1024);
  if (!table) return 0;
  for (const std::string_view line : split(*table, '\n')) {
    std::vector<std::string_view> fields;
    for (const std::string_view field : split(line, ' ')) {
      if (!field.empty()) fields.push_back(field);
    }
    if (fields.size() < 10 || fields[1] != ours || !fields[2].ends_with(server)) continue;
    std::uint64_t inode = 0;
    std::from_chars(fields[9].data(), fields[9].data() + fields[9].size(), inode);
    return inode;
  }
  return 0;
}

bool holds_socket(const std::vector<pid_t>& processes, std::uint64_t inode) {
  if (inode == 0) return false;
  const std::string wanted = "socket:[" + std::to_string(inode) + "]";
  for (const pid_t pid : processes) {
    const std::string folder = "/proc/" + std::to_string(pid) + "/fd";
    DIR* descriptors = ::opendir(folder.c_str());
    if (descriptors == nullptr) continue;
    bool found = false;
    while (const dirent* entry = ::readdir(descriptors)) {
      char target[64];
      const ssize_t length = ::readlinkat(::dirfd(descriptors), entry->d_name, target, sizeof(target));
      found = found || (length > 0 && std::string_view(target, static_cast<std::size_t>(length)) == wanted);
    }
    ::closedir(descriptors);
    if (found) return true;
  }
  return false;
}

}  // namespace sortie::functions
