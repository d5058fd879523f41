#include "functions/worker_network.h"

#include <fcntl.h>
#include <poll.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <set>

#include "base/text.h"
#include "io/file.h"

namespace sortie::functions {

namespace network_detail {
namespace {

constexpr int kReadyMs = 5'000;
constexpr std::int64_t kFollowUs = 1'000;  // A look costs some 30.
constexpr std::size_t kFollowedMax = 256;
constexpr std::int64_t kRestartMs = 200, kRestartMsMax = 30'000;
constexpr int kNetworkDescriptor = 12, kUserDescriptor = 13, kReadyDescriptor = 14, kExitDescriptor = 15;
constexpr const char* kResolver = "10.0.2.3";  // slirp4netns's own name.

std::int64_t steady_us() {
  timespec time{};
  clock_gettime(CLOCK_MONOTONIC, &time);
  return static_cast<std::int64_t>(time.tv_sec) * 1'000'000 + time.tv_nsec / 1'000;
}

struct Pipe {
  std::array<int, 2> ends{-1, -1};
  ~Pipe() {
    for (const int end : ends) {
      if (end >= 0) ::close(end);
    }
  }
};

// "HOST:PORT", "[::1]:PORT" or a URL to the loopback addresses it means; none where it leads elsewhere.
std::vector<io::LoopbackListener> loopback_places(std::string_view place) {
  std::uint16_t port = 0;
  if (const std::size_t scheme = place.find("://"); scheme != std::string_view::npos) {
    port = place.substr(0, scheme) == "https" ? 443 : 80;
    place.remove_prefix(scheme + 3);
    place = place.substr(0, place.find_first_of("/?#"));
    if (const std::size_t at = place.rfind('@'); at != std::string_view::npos) place.remove_prefix(at + 1);
  }
  const std::size_t colon = place.rfind(':');
  if (colon != std::string_view::npos && place.find(']', colon) == std::string_view::npos) {
    const auto [end, error] = std::from_chars(place.data() + colon + 1, place.data() + place.size(), port);
    if (error != std::errc() || end != place.data() + place.size()) return {};
    place = place.substr(0, colon);
  }
  if (port == 0) return {};
  if (place == "localhost") {
    // Both only where both listen: a client that got as far as a connection does not try the other one.
    std::vector<io::LoopbackListener> out = {{"127.0.0.1", port}};
    for (const io::LoopbackListener& found : io::list_loopback_listeners()) {
      if (found == io::LoopbackListener{"::1", port}) out.push_back(found);
    }
    return out;
  }
  if (place == "[::1]" || place == "::1") return {{"::1", port}};
  if (place.starts_with("127.")) return {{std::string(place), port}};
  return {};
}

// The machine's own file with another resolver: search list and options stay.
std::string resolv_conf() {
  std::string out = "nameserver " + std::string(kResolver) + "\n";
  const auto text = io::read_file("/etc/resolv.conf", 64 * 1024);
  if (!text) return out;
  for (const std::string_view line : split(*text, '\n')) {
    if (line.starts_with("search ") || line.starts_with("domain ") || line.starts_with("options "))
      out += std::string(line) + "\n";
  }
  return out;
}

}  // namespace
}  // namespace network_detail

namespace nd = network_detail;

Result<std::unique_ptr<WorkerNetwork>> WorkerNetwork::make(io::EventLoop& loop, const Sandbox& sandbox,
                                                           NetworkOptions options, SandboxMode sandbox_mode) {
  std::unique_ptr<WorkerNetwork> network(new WorkerNetwork(loop, std::move(options)));
  const NetworkOptions& wanted = network->options_;
  if (wanted.mode == NetworkOptions::Mode::kHost || sandbox_mode == SandboxMode::kOff) return network;
  if (const Status opened = network->open(sandbox); !opened) {
    network->inside_.reset();
    network->refusal_ = opened.error().message;
    if (sandbox_mode == SandboxMode::kRequired) {
      return Error{"SandboxUnavailable",
                   "functions.sandbox is required, and functions cannot have a network of their own here: " +
                       network->refusal_,
                   "",
                   "install slirp4netns and allow network namespaces and /dev/net/tun; or accept this "
                   "machine's network with functions.network.mode: host, or functions.sandbox: preferred"};
    }
    return network;
  }
  for (const std::string& place : wanted.allow) network->allow(place);
  return network;
}

WorkerNetwork::~WorkerNetwork() {
  loop_.cancel(restart_timer_);
  way_out_ = nullptr;
  if (exit_pipe_ >= 0) ::close(exit_pipe_);
}

Status WorkerNetwork::open(const Sandbox& sandbox) {
  if (!sandbox.is_complete()) return Error{"Refused", "bubblewrap cannot run", "", ""};
  SORTIE_TRY(inside_, io::NetworkNamespace::make());
  if (const std::string refused = sandbox.try_network(launch()); !refused.empty())
    return Error{"Refused", refused, "", ""};
  if (options_.mode == NetworkOptions::Mode::kIsolated) return {};
  // Its own sandbox needs mounts, which a container may refuse; without it, it still has no capabilities.
  if (const Status started = start_way_out(true); started) return {};
  return start_way_out(false);
}

Status WorkerNetwork::start_way_out(bool sandboxed) {
  nd::Pipe ready, exit;
  if (::pipe2(ready.ends.data(), O_CLOEXEC) != 0 || ::pipe2(exit.ends.data(), O_CLOEXEC) != 0)
    return Error{"Refused", "no pipes", "", ""};
  const auto path = [](int descriptor) { return "/proc/self/fd/" + std::to_string(descriptor); };
  io::ChildOptions child;
  child.argv = {"slirp4netns",
                "--configure",
                "--mtu=65520",
                "--disable-host-loopback",
                "--ready-fd=" + std::to_string(nd::kReadyDescriptor),
                "--exit-fd=" + std::to_string(nd::kExitDescriptor),
                "--netns-type=path"};
  if (sandboxed) child.argv.emplace_back("--enable-sandbox");
  child.descriptors = {{inside_->network(), nd::kNetworkDescriptor},
                       {ready.ends[1], nd::kReadyDescriptor},
                       {exit.ends[0], nd::kExitDescriptor}};
  if (inside_->user() >= 0) {
    child.argv.push_back("--userns-path=" + path(nd::kUserDescriptor));
    child.descriptors.emplace_back(inside_->user(), nd::kUserDescriptor);
  }
  child.argv.push_back(path(nd::kNetworkDescriptor));
  child.argv.emplace_back("tap0");
  child.environment = {"PATH=/usr/bin:/bin"};
  child.join_output = true;
  child.line_bytes_max = 512;
  said_.clear();
  auto started = io::ChildProcess::spawn(
      loop_, std::move(child),
      {.on_line = [this](io::ChildOutput, std::string_view line) { said_ = std::string(line); },
       .on_exit = [this](io::ChildExit) { way_out_ended(); }});
  if (!started) {
    const bool missing = started.error().message.find("no such program") != std::string::npos;
    return Error{
        "Refused",
        missing ? "the program slirp4netns is missing (Debian package slirp4netns)" : started.error().message,
        "", ""};
  }
  ::close(std::exchange(ready.ends[1], -1));
  pollfd wait{ready.ends[0], POLLIN, 0};
  char mark = 0;
  if (::poll(&wait, 1, nd::kReadyMs) == 1 && ::read(ready.ends[0], &mark, 1) == 1) {
    way_out_ = std::move(*started);
    way_out_sandboxed_ = sandboxed;
    if (exit_pipe_ >= 0) ::close(exit_pipe_);
    exit_pipe_ = std::exchange(exit.ends[1], -1);
    return {};
  }
  (*started)->read_pending_output();
  return Error{"Refused",
               "slirp4netns: " + (said_.empty() ? "it is not ready in time"
                                                : std::string(truncate_utf8(to_valid_utf8(said_), 300))),
               "", ""};
}

// The namespace and those in it live on; until the new one is ready they have no way out.
void WorkerNetwork::way_out_ended() {
  const std::int64_t delay = std::min(nd::kRestartMs << std::min(restarts_, 10), nd::kRestartMsMax);
  ++restarts_;
  restart_timer_ = loop_.call_after(delay, [this] {
    restart_timer_ = 0;
    way_out_ = nullptr;
    if (const Status started = start_way_out(way_out_sandboxed_); !started) way_out_ended();
  });
}

std::vector<std::string> WorkerNetwork::report() const {
  constexpr const char* kShared =
      "the network is shared with this machine: 169.254.169.254 (instance metadata) is not blocked";
  if (!inside_) return {refusal_.empty() ? kShared : kShared + (": " + refusal_)};
  std::vector<std::string> lines = {
      std::string("functions have a network of their own: ") +
      (options_.mode == NetworkOptions::Mode::kIsolated ? "no way out" : "a way out through slirp4netns") +
      ", no instance metadata (169.254.0.0/16)"};
  if (options_.whole_loopback)
    lines.emplace_back(
        "functions reach what listens on this machine's loopback (functions.network.loopback: open)");
  if (restart_timer_ != 0) lines.push_back("slirp4netns has ended and is started again: " + said_);
  return lines;
}

void WorkerNetwork::allow(const std::string& place) {
  if (!inside_) return;
  for (const io::LoopbackListener& found : nd::loopback_places(place)) {
    if (allowed_.contains(found)) continue;
    followed_.erase(found);
    if (auto started = forward(found)) allowed_[found] = std::move(started);
  }
}

// Nothing where a worker itself listens inside: the port is its own then.
std::unique_ptr<io::PortForward> WorkerNetwork::forward(const io::LoopbackListener& place) {
  const auto listener = inside_->listen(place.address, place.port);
  if (!listener) return nullptr;
  auto started = io::PortForward::start(loop_, *listener, place.address, place.port);
  return started ? std::move(*started) : nullptr;
}

void WorkerNetwork::follow_loopback() {
  if (!inside_ || !options_.whole_loopback) return;
  const std::int64_t now = nd::steady_us();
  if (now - followed_at_us_ < nd::kFollowUs) return;
  followed_at_us_ = now;
  const std::vector<io::LoopbackListener> listeners = io::list_loopback_listeners();
  const std::set<io::LoopbackListener> there(listeners.begin(), listeners.end());
  std::erase_if(followed_, [&](const auto& entry) { return !there.contains(entry.first); });
  for (const io::LoopbackListener& found : there) {
    if (allowed_.contains(found) || followed_.contains(found) || followed_.size() >= nd::kFollowedMax)
      continue;
    followed_[found] = forward(found);
  }
}

SandboxNetwork WorkerNetwork::launch() const {
  return {inside_->descriptors(),
          options_.mode == NetworkOptions::Mode::kPrivate ? nd::resolv_conf() : std::string()};
}

Result<int> WorkerNetwork::listen_inside() const { return inside_->listen("127.0.0.1", 0); }

}  // namespace sortie::functions
