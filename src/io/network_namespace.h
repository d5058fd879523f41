#pragma once
// A network of its own for processes: nothing but a loopback interface, until somebody joins a way out to it.
//
// The namespace lives as long as this object or a process inside. Its loopback is up, and the addresses at
// which clouds hand out the machine's own credentials (kUnreachable: 169.254.0.0/16 with EC2's, ECS's and
// EKS's, fd00:ec2::/32, and those of Azure and Alibaba) answer "no route" for good: whoever is put inside has
// no right to change routes. As root a network namespace alone is enough; everybody else gets a user
// namespace around it in which the user keeps its number.
//
// We never enter it ourselves. A socket belongs to the network it was made in, wherever it is used, so
// listen() has a short-lived child make it there and hand it over: what listens on the namespace's 127.0.0.1
// is then served by our own loop.
#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"

namespace sortie::io {

class NetworkNamespace {
 public:
  // Error "NetworkNamespaceRefused" with what the kernel refuses.
  static Result<NetworkNamespace> make();
  ~NetworkNamespace();
  NetworkNamespace(NetworkNamespace&& other) noexcept;
  NetworkNamespace& operator=(NetworkNamespace&& other) noexcept;

  // To be entered in this order (ChildOptions::namespaces).
  std::vector<int> descriptors() const;
  int network() const { return network_; }
  int user() const { return user_; }  // -1 as root.

  // A listening TCP socket inside, on the loopback address `address`; the caller owns it. Port 0 picks one.
  Result<int> listen(const std::string& address, std::uint16_t port) const;

 private:
  NetworkNamespace(int user, int network) : user_(user), network_(network) {}

  int user_ = -1, network_ = -1;
};

// What listens in our own network on TCP at loopback or at every address; cheap (no established connection is
// looked at).
struct LoopbackListener {
  std::string address;  // "127.0.0.1" or "::1", or another of 127.0.0.0/8.
  std::uint16_t port = 0;
  auto operator<=>(const LoopbackListener&) const = default;
};
std::vector<LoopbackListener> list_loopback_listeners();

}  // namespace sortie::io
