#pragma once
// Who is at the other end of a loopback connection: the kernel's own tables tell.
//
// The Runtime API of a worker may only be reached by that worker's processes. A connection's inode stands in
// /proc/PID/net/tcp, and the process that holds it shows it among its descriptors; so an accepted connection
// is traced to its process before the first byte is read. Works for processes in namespaces of their own,
// too, because they remain our descendants.
#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace sortie::functions {

// The inode of the IPv4 socket 127.x:`port` that is connected to `server_port`, in the network that process
// `inside` is in; 0 where there is none.
std::uint64_t find_loopback_socket(pid_t inside, std::string_view address, std::uint16_t port,
                                   std::uint16_t server_port);
// One of the processes holds a socket with this inode.
bool holds_socket(const std::vector<pid_t>& processes, std::uint64_t inode);

}  // namespace sortie::functions
