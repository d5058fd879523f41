#include "io/network_namespace.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <net/if.h>
#include <net/route.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <cstdio>
#include <utility>

#include "base/text.h"
#include "io/file.h"

namespace sortie::io {

namespace network_detail {
namespace {

constexpr int kBacklog = 256;

struct Route {
  const char* address;
  const char* mask;
};
constexpr Route kUnreachable[] = {{"169.254.0.0", "255.255.0.0"},
                                  {"168.63.129.16", "255.255.255.255"},
                                  {"100.100.100.200", "255.255.255.255"}};

// What a child between vfork and _exit is to do, and what it tells: it runs in our memory and may neither
// allocate nor return.
struct Errand {
  // In: make a namespace, or enter this one and listen.
  bool makes = false, with_user = false;
  char uid_map[64] = {}, gid_map[64] = {};
  int user = -1, network = -1;
  sockaddr_storage address{};
  socklen_t address_length = 0;
  int channel = -1;
  // Out.
  const char* failed_step = nullptr;
  int failure = 0;
};

bool write_text(const char* path, const char* text) {
  const int file = ::open(path, O_WRONLY | O_CLOEXEC);
  if (file < 0) return false;
  const auto length = static_cast<ssize_t>(strlen(text));
  const bool done = ::write(file, text, static_cast<std::size_t>(length)) == length;
  const int reason = errno;
  ::close(file);
  errno = reason;
  return done;
}

bool send_descriptors(int channel, const int* descriptors, std::size_t count) {
  char byte = 0;
  iovec data{&byte, 1};
  alignas(cmsghdr) char control[CMSG_SPACE(2 * sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = CMSG_SPACE(count * sizeof(int));
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(count * sizeof(int));
  memcpy(CMSG_DATA(header), descriptors, count * sizeof(int));
  return ::sendmsg(channel, &message, MSG_NOSIGNAL) == 1;
}

bool receive_descriptors(int channel, int* descriptors, std::size_t count) {
  char byte = 0;
  iovec data{&byte, 1};
  alignas(cmsghdr) char control[CMSG_SPACE(2 * sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof(control);
  if (::recvmsg(channel, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT) != 1) return false;
  const cmsghdr* header = CMSG_FIRSTHDR(&message);
  if (header == nullptr || header->cmsg_len != CMSG_LEN(count * sizeof(int))) return false;
  memcpy(descriptors, CMSG_DATA(header), count * sizeof(int));
  return true;
}

bool bring_loopback_up(int socket) {
  ifreq request{};
  memcpy(request.ifr_name, "lo", 3);
  if (::ioctl(socket, SIOCGIFFLAGS, &request) != 0) return false;
  request.ifr_flags = static_cast<short>(request.ifr_flags | IFF_UP);
  return ::ioctl(socket, SIOCSIFFLAGS, &request) == 0;
}

bool reject(int socket, const Route& route) {
  rtentry entry{};
  sockaddr_in address{};
  address.sin_family = AF_INET;
  if (::inet_pton(AF_INET, route.address, &address.sin_addr) != 1) return false;
  memcpy(&entry.rt_dst, &address, sizeof(address));
  if (::inet_pton(AF_INET, route.mask, &address.sin_addr) != 1) return false;
  memcpy(&entry.rt_genmask, &address, sizeof(address));
  entry.rt_flags = RTF_UP | RTF_REJECT;
  if (address.sin_addr.s_addr == INADDR_NONE) entry.rt_flags |= RTF_HOST;
  return ::ioctl(socket, SIOCADDRT, &entry) == 0;
}

// Without IPv6 in the kernel there is nothing to reject; no way out speaks it in any case.
void reject_ipv6() {
  const int socket = ::socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (socket < 0) return;
  in6_rtmsg route{};
  ::inet_pton(AF_INET6, "fd00:ec2::", &route.rtmsg_dst);
  route.rtmsg_dst_len = 32;
  route.rtmsg_metric = 1;
  route.rtmsg_flags = RTF_UP | RTF_REJECT;
  ::ioctl(socket, SIOCADDRT, &route);
  ::close(socket);
}

[[noreturn]] void give_up(Errand& errand, const char* step) {
  errand.failure = errno;
  errand.failed_step = step;
  ::_exit(1);
}

[[noreturn]] void make_inside(Errand& errand) {
  if (::unshare(CLONE_NEWNET | (errand.with_user ? CLONE_NEWUSER : 0)) != 0) give_up(errand, "unshare");
  if (errand.with_user) {
    write_text("/proc/self/setgroups", "deny");
    if (!write_text("/proc/self/uid_map", errand.uid_map)) give_up(errand, "uid_map");
    if (!write_text("/proc/self/gid_map", errand.gid_map)) give_up(errand, "gid_map");
  }
  const int socket = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (socket < 0 || !bring_loopback_up(socket)) give_up(errand, "loopback");
  for (const Route& route : kUnreachable) {
    if (!reject(socket, route)) give_up(errand, "reject route");
  }
  reject_ipv6();
  const int namespaces[2] = {::open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC),
                             ::open("/proc/self/ns/user", O_RDONLY | O_CLOEXEC)};
  if (namespaces[0] < 0 || namespaces[1] < 0) give_up(errand, "/proc/self/ns");
  if (!send_descriptors(errand.channel, namespaces, 2)) give_up(errand, "sendmsg");
  ::_exit(0);
}

[[noreturn]] void listen_inside(Errand& errand) {
  if (errand.user >= 0 && ::setns(errand.user, CLONE_NEWUSER) != 0) give_up(errand, "setns user");
  if (::setns(errand.network, CLONE_NEWNET) != 0) give_up(errand, "setns net");
  const auto* address = reinterpret_cast<const sockaddr*>(&errand.address);
  const int socket = ::socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (socket < 0) give_up(errand, "socket");
  const int on = 1;
  ::setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  if (address->sa_family == AF_INET6) ::setsockopt(socket, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
  if (::bind(socket, address, errand.address_length) != 0) give_up(errand, "bind");
  if (::listen(socket, kBacklog) != 0) give_up(errand, "listen");
  if (!send_descriptors(errand.channel, &socket, 1)) give_up(errand, "sendmsg");
  ::_exit(0);
}

// As for every other child: vfork, so that the size of our memory costs nothing, and no signal meanwhile.
__attribute__((noinline)) pid_t start_errand(Errand& errand) {
  sigset_t all, before;
  sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  const pid_t pid = ::vfork();
  if (pid == 0) {
    if (errand.makes) make_inside(errand);
    listen_inside(errand);
  }
  const int reason = errno;
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  errno = reason;
  return pid;
}

Status run(Errand& errand, int* descriptors, std::size_t count) {
  const auto refused = [](const char* step, int reason) {
    return Error{"NetworkNamespaceRefused", std::string(step) + ": " + strerror(reason), "", ""};
  };
  std::array<int, 2> channel{-1, -1};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, channel.data()) != 0)
    return refused("socketpair", errno);
  errand.channel = channel[1];
  const pid_t pid = start_errand(errand);
  const int reason = errno;
  Status status;
  if (pid < 0) {
    status = refused("vfork", reason);
  } else {
    ::waitpid(pid, nullptr, 0);
    if (errand.failed_step != nullptr) {
      status = refused(errand.failed_step, errand.failure);
    } else if (!receive_descriptors(channel[0], descriptors, count)) {
      status = refused("the child sent nothing", EPROTO);
    }
  }
  ::close(channel[0]);
  ::close(channel[1]);
  return status;
}

}  // namespace
}  // namespace network_detail

Result<NetworkNamespace> NetworkNamespace::make() {
  std::string refusals;
  for (const bool with_user : {false, true}) {
    if (!with_user && ::geteuid() != 0) continue;
    network_detail::Errand errand;
    errand.makes = true;
    errand.with_user = with_user;
    std::snprintf(errand.uid_map, sizeof(errand.uid_map), "%u %u 1", ::geteuid(), ::geteuid());
    std::snprintf(errand.gid_map, sizeof(errand.gid_map), "%u %u 1", ::getegid(), ::getegid());
    int descriptors[2] = {-1, -1};
    const Status made = network_detail::run(errand, descriptors, 2);
    if (!made) {
      refusals += (refusals.empty() ? "" : "; ") + std::string(with_user ? "in a user namespace: " : "") +
                  made.error().message;
      continue;
    }
    if (!with_user) ::close(std::exchange(descriptors[1], -1));
    return NetworkNamespace(descriptors[1], descriptors[0]);
  }
  return Error{"NetworkNamespaceRefused", refusals, "", ""};
}

NetworkNamespace::~NetworkNamespace() {
  if (network_ >= 0) ::close(network_);
  if (user_ >= 0) ::close(user_);
}

NetworkNamespace::NetworkNamespace(NetworkNamespace&& other) noexcept
    : user_(std::exchange(other.user_, -1)), network_(std::exchange(other.network_, -1)) {}

NetworkNamespace& NetworkNamespace::operator=(NetworkNamespace&& other) noexcept {
  std::swap(user_, other.user_);
  std::swap(network_, other.network_);
  return *this;
}

std::vector<int> NetworkNamespace::descriptors() const {
  if (user_ < 0) return {network_};
  return {user_, network_};
}

Result<int> NetworkNamespace::listen(const std::string& address, std::uint16_t port) const {
  network_detail::Errand errand;
  errand.user = user_;
  errand.network = network_;
  sockaddr_in v4{};
  sockaddr_in6 v6{};
  if (::inet_pton(AF_INET, address.c_str(), &v4.sin_addr) == 1) {
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
    memcpy(&errand.address, &v4, sizeof(v4));
    errand.address_length = sizeof(v4);
  } else if (::inet_pton(AF_INET6, address.c_str(), &v6.sin6_addr) == 1) {
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(port);
    memcpy(&errand.address, &v6, sizeof(v6));
    errand.address_length = sizeof(v6);
  } else {
    return Error{"NetworkNamespaceRefused", address + " is no address", "", ""};
  }
  int descriptor = -1;
  SORTIE_TRY_STATUS(network_detail::run(errand, &descriptor, 1));
  return descriptor;
}

namespace network_detail {
namespace {

// "" where the address is not of loopback; "every address" counts as loopback.
std::string loopback_address(const std::array<std::uint32_t, 4>& words, bool is_v6) {
  char shown[INET6_ADDRSTRLEN] = {};
  if (is_v6) {
    in6_addr address{};
    memcpy(&address, words.data(), sizeof(address));
    if (IN6_IS_ADDR_UNSPECIFIED(&address)) address = in6addr_loopback;
    if (!IN6_IS_ADDR_LOOPBACK(&address)) return "";
    ::inet_ntop(AF_INET6, &address, shown, sizeof(shown));
  } else {
    const in_addr address{words[0] == 0 ? htonl(INADDR_LOOPBACK) : words[0]};
    if ((ntohl(address.s_addr) >> 24) != 127) return "";
    ::inet_ntop(AF_INET, &address, shown, sizeof(shown));
  }
  return shown;
}

bool take_diagnosis(const nlmsghdr* header, std::vector<LoopbackListener>& out) {
  if (header->nlmsg_type != SOCK_DIAG_BY_FAMILY || header->nlmsg_len < NLMSG_LENGTH(sizeof(inet_diag_msg)))
    return false;
  inet_diag_msg found{};
  memcpy(&found, reinterpret_cast<const char*>(header) + NLMSG_HDRLEN, sizeof(found));
  std::array<std::uint32_t, 4> words{};
  memcpy(words.data(), found.id.idiag_src, sizeof(found.id.idiag_src));
  std::string address = loopback_address(words, found.idiag_family == AF_INET6);
  if (!address.empty()) out.push_back({std::move(address), ntohs(found.id.idiag_sport)});
  return true;
}

// /proc/net/tcp would walk through every connection's hash bucket, which takes milliseconds on a large
// machine; asked like this the kernel looks at listening sockets alone.
bool ask_for_listeners(std::uint8_t family, std::vector<LoopbackListener>& out) {
  const int socket = ::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
  if (socket < 0) return false;
  struct {
    nlmsghdr header;
    inet_diag_req_v2 request;
  } question{};
  question.header.nlmsg_len = sizeof(question);
  question.header.nlmsg_type = SOCK_DIAG_BY_FAMILY;
  question.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  question.request.sdiag_family = family;
  question.request.sdiag_protocol = IPPROTO_TCP;
  question.request.idiag_states = 1U << 10;  // TCP_LISTEN
  bool ended = ::send(socket, &question, sizeof(question), 0) != sizeof(question), done = false;
  alignas(nlmsghdr) char buffer[32 * 1024];
  while (!ended) {
    const ssize_t got = ::recv(socket, buffer, sizeof(buffer), 0);
    if (got <= 0) break;
    auto left = static_cast<unsigned>(got);
    for (auto* header = reinterpret_cast<nlmsghdr*>(buffer); NLMSG_OK(header, left) && !ended;
         header = NLMSG_NEXT(header, left)) {
      done = header->nlmsg_type == NLMSG_DONE;
      ended = done || !take_diagnosis(header, out);
    }
  }
  ::close(socket);
  return done;
}

// "0100007F:1F90": the address in words of 32 bits as the machine stores them, the port in plain hex.
void take_row(std::string_view text, std::vector<LoopbackListener>& out) {
  const std::size_t colon = text.find(':');
  if (colon != 8 && colon != 32) return;
  std::uint16_t port = 0;
  std::from_chars(text.data() + colon + 1, text.data() + text.size(), port, 16);
  std::array<std::uint32_t, 4> words{};
  for (std::size_t i = 0; i < colon / 8; ++i)
    std::from_chars(text.data() + i * 8, text.data() + i * 8 + 8, words[i], 16);
  std::string address = loopback_address(words, colon == 32);
  if (!address.empty()) out.push_back({std::move(address), port});
}

void read_listeners(const char* path, std::vector<LoopbackListener>& out) {
  const auto table = read_file(path, 64 * 1024 * 1024);
  if (!table) return;
  for (const std::string_view line : split(*table, '\n')) {
    std::vector<std::string_view> fields;
    for (const std::string_view field : split(line, ' ')) {
      if (!field.empty()) fields.push_back(field);
      if (fields.size() == 4) break;
    }
    if (fields.size() == 4 && fields[3] == "0A") take_row(fields[1], out);
  }
}

}  // namespace
}  // namespace network_detail

std::vector<LoopbackListener> list_loopback_listeners() {
  std::vector<LoopbackListener> out;
  if (!network_detail::ask_for_listeners(AF_INET, out)) network_detail::read_listeners("/proc/net/tcp", out);
  if (!network_detail::ask_for_listeners(AF_INET6, out))
    network_detail::read_listeners("/proc/net/tcp6", out);
  return out;
}

}  // namespace sortie::io
