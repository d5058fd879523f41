#pragma once
// The network that functions have: a way out, and of this machine only what is meant for them.
//
// All workers share one network namespace (io/network_namespace.h). The addresses where clouds hand out the
// machine's own credentials (169.254.169.254 and its like) cannot be reached from it, and workers have no
// right to change that. The way out is slirp4netns, an ordinary program with a tap interface inside and
// ordinary connections outside; it answers name look-ups with this machine's resolver and does not lead to
// this machine's loopback. Its end is noticed and it is started again.
//
// This machine's loopback is another one. What functions need of it is joined by forwards (io/port_forward.h)
// at the same address and port: always Sortie itself and aws.endpoint_url, then either what the configuration
// lists, or, with whole_loopback, whatever listens there: the list is looked at when a worker starts and when
// it gets an event, so a service is there as soon as it can be asked for. The Runtime API needs no forward:
// its socket is made inside.
//
// Where the kernel refuses (no bubblewrap, no namespaces, no /dev/net/tun), functions have this machine's
// network, and report() says so; where the sandbox is required that is an error.
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "functions/function_service.h"
#include "functions/sandbox.h"
#include "io/child_process.h"
#include "io/network_namespace.h"
#include "io/port_forward.h"

namespace sortie::functions {

class WorkerNetwork {
 public:
  // Takes some 50 ms, blocking. Error "SandboxUnavailable" where `sandbox_mode` requires what cannot be had.
  static Result<std::unique_ptr<WorkerNetwork>> make(io::EventLoop& loop, const Sandbox& sandbox,
                                                     NetworkOptions options, SandboxMode sandbox_mode);
  ~WorkerNetwork();

  bool is_private() const { return inside_.has_value(); }
  std::vector<std::string> report() const;  // One sentence each.

  // What names a port of this machine's loopback (HOST:PORT or URL) can be reached from now on; anything else
  // needs no leave and is ignored.
  void allow(const std::string& place);
  // Forwards appear and go as services do. Cheap: at most one look in a millisecond.
  void follow_loopback();

  SandboxNetwork launch() const;      // For Sandbox::prepare; only if private.
  Result<int> listen_inside() const;  // A listening socket on the workers' own 127.0.0.1.

 private:
  WorkerNetwork(io::EventLoop& loop, NetworkOptions options) : loop_(loop), options_(std::move(options)) {}

  Status open(const Sandbox& sandbox);
  Status start_way_out(bool sandboxed);
  void way_out_ended();
  std::unique_ptr<io::PortForward> forward(const io::LoopbackListener& place);

  io::EventLoop& loop_;
  NetworkOptions options_;
  std::optional<io::NetworkNamespace> inside_;
  std::unique_ptr<io::ChildProcess> way_out_;
  bool way_out_sandboxed_ = true;
  int exit_pipe_ = -1;  // Closed by our end, however it comes: then slirp4netns ends, too.
  int restarts_ = 0;
  Loop::TimerId restart_timer_ = 0;
  std::string refusal_, said_;
  std::map<io::LoopbackListener, std::unique_ptr<io::PortForward>> allowed_, followed_;
  std::int64_t followed_at_us_ = 0;
};

}  // namespace sortie::functions
