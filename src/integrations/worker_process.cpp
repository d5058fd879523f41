#include "integrations/worker_process.h"

#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "integrations/frame_channel.h"
#include "io/child_process.h"

namespace sortie::integrations {
namespace worker_process {

constexpr int kChildDescriptor = 3;

class ProcessLink final : public WorkerLink {
 public:
  ProcessLink(std::unique_ptr<io::ChildProcess> child, std::unique_ptr<FrameChannel> channel)
      : child_(std::move(child)), channel_(std::move(channel)) {}
  void send(std::string frame) override { channel_->send(std::move(frame)); }

 private:
  std::unique_ptr<io::ChildProcess> child_;
  std::unique_ptr<FrameChannel> channel_;
};

}  // namespace worker_process

WorkerFactory make_worker_factory(io::EventLoop& loop, WorkerProcessOptions options) {
  return [&loop, options = std::move(options)](WorkerEvents events) -> Result<std::unique_ptr<WorkerLink>> {
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
      return Error{"SpawnFailed", std::string("No socket pair for the AWS worker: ") + std::strerror(errno)};
    }
    io::ChildOptions child;
    // The shell puts the socket where the worker expects its streams, and is replaced by the worker.
    child.argv = {"/bin/sh", "-c", "exec \"$0\" \"$1\" <&3 >&3 3<&-", options.python, options.script};
    child.environment = options.environment;
    child.descriptors = {{pair[1], worker_process::kChildDescriptor}};
    io::ChildEvents child_events;
    child_events.on_line = [log = options.log](io::ChildOutput, std::string_view line) {
      if (log) log(line);
    };
    child_events.on_exit = [](io::ChildExit) {};  // Its end of the socket closes, which says the same.
    Result<std::unique_ptr<io::ChildProcess>> spawned =
        io::ChildProcess::spawn(loop, std::move(child), std::move(child_events));
    ::close(pair[1]);
    if (!spawned) {
      ::close(pair[0]);
      return spawned.error();
    }
    auto channel = std::make_unique<FrameChannel>(loop, pair[0], std::move(events.on_frame),
                                                  std::move(events.on_closed));
    return std::unique_ptr<WorkerLink>(
        std::make_unique<worker_process::ProcessLink>(std::move(*spawned), std::move(channel)));
  };
}

}  // namespace sortie::integrations
