#pragma once
// Passes TCP connections on: what connects to a listening socket of ours is joined with an address.
//
// For sockets that listen in another network (network_namespace.h) and lead to a service of this one. Bytes
// are handed on as they are, each side's end is told to the other, and nothing is kept: 64 KiB a direction
// are all that is ever under way, so a slow reader slows its writer. A connection that cannot be joined
// within kForwardConnectMs is closed.
#include <cstdint>
#include <memory>
#include <string>

#include "base/result.h"
#include "io/event_loop.h"

namespace sortie::io {

inline constexpr int kForwardConnectMs = 10'000;
inline constexpr std::size_t kForwardConnectionsMax = 512;  // Of one forward; more are refused.

class PortForward {
 public:
  // Takes over the listening socket `listener`. `address` is numeric.
  static Result<std::unique_ptr<PortForward>> start(EventLoop& loop, int listener, const std::string& address,
                                                    std::uint16_t port);
  ~PortForward();  // Stops listening; what is joined stays joined until one side ends it.

  struct Impl;

 private:
  explicit PortForward(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
  std::shared_ptr<Impl> impl_;
};

}  // namespace sortie::io
