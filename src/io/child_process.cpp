#include "io/child_process.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/write.hpp>
#include <set>
#include <thread>

#include "base/text.h"
#include "io/event_loop_impl.h"
#include "io/file.h"
#include "io/process_table.h"

namespace sortie::io {

namespace asio = boost::asio;
using boost::system::error_code;

namespace {

constexpr std::size_t kStdinBytesMax = 64 * 1024 * 1024;
constexpr std::size_t kPendingReadBytesMax = 4 * 1024 * 1024;
constexpr std::int64_t kOutputGraceMs = 200;  // For pipes that an orphan still holds after the child's end.
constexpr int kHighDescriptor = 200;

// Pids that a ChildProcess waits for itself. The loop's thread only.
std::set<pid_t>& watched_pids() {
  static std::set<pid_t> pids;
  return pids;
}

// Orphans come to us because we are their subreaper; a zombie of a foreign session is one of them.
void reap_orphans() {
  const pid_t self = ::getpid();
  const pid_t session = ::getsid(0);
  for (const ProcessEntry& process : list_processes()) {
    if (process.parent != self || !process.is_zombie || process.session == session) continue;
    if (!watched_pids().contains(process.pid)) ::waitpid(process.pid, nullptr, WNOHANG);
  }
}

std::string find_program(const std::string& name) {
  if (name.find('/') != std::string::npos) return name;
  const char* path = ::getenv("PATH");
  for (const std::string_view folder : split(path == nullptr ? "/usr/bin:/bin" : path, ':')) {
    const std::string candidate = std::string(folder) + "/" + name;
    if (::access(candidate.c_str(), X_OK) == 0) return candidate;
  }
  return "";
}

// Everything the child needs between vfork and exec, laid out beforehand: there it may not allocate.
struct Plan {
  const char* program = nullptr;
  std::vector<char*> argv, environment;
  const char* working_directory = nullptr;
  std::vector<std::pair<int, int>> descriptors;  // (high number, number in the child)
  std::vector<std::pair<int, rlimit>> limits;
  bool no_new_privileges = false;
  int landlock_ruleset = -1;
  sock_fprog seccomp{};
  int cgroup = -1;
  std::vector<int> namespaces;
  int error_pipe = -1;
  pid_t parent = 0;
};

[[noreturn]] void give_up(const Plan& plan, int number) {
  [[maybe_unused]] const ssize_t written = ::write(plan.error_pipe, &number, sizeof(number));
  ::_exit(127);
}

// Runs in the child, in the parent's memory: system calls only.
[[noreturn]] void become(const Plan& plan) {
  ::setsid();
  for (const int space : plan.namespaces) {
    if (::setns(space, 0) != 0) give_up(plan, errno);
  }
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != plan.parent) ::_exit(127);
  for (int signal = 1; signal < NSIG; ++signal) ::signal(signal, SIG_DFL);
  if (plan.cgroup >= 0 && ::write(plan.cgroup, "0", 1) != 1) give_up(plan, errno);
#ifdef SYS_close_range
  ::syscall(SYS_close_range, 3, ~0U, 4 /* CLOSE_RANGE_CLOEXEC */);
#endif
  for (const auto& [from, to] : plan.descriptors) {
    if (::dup2(from, to) < 0) give_up(plan, errno);
  }
  if (plan.working_directory != nullptr && ::chdir(plan.working_directory) != 0) give_up(plan, errno);
  for (const auto& [resource, limit] : plan.limits) {
    if (::setrlimit(static_cast<__rlimit_resource>(resource), &limit) != 0) give_up(plan, errno);
  }
  if (plan.no_new_privileges && ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) give_up(plan, errno);
  if (plan.landlock_ruleset >= 0 &&
      ::syscall(446 /* landlock_restrict_self */, plan.landlock_ruleset, 0) != 0) {
    give_up(plan, errno);
  }
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  if (plan.seccomp.len > 0 && ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &plan.seccomp) != 0) {
    give_up(plan, errno);
  }
  ::execve(plan.program, plan.argv.data(), plan.environment.data());
  give_up(plan, errno);
}

// vfork, so that a server with gigabytes of memory starts a child as fast as a small one. Signals are held
// back: a handler must not run in the shared memory of the child.
__attribute__((noinline)) pid_t start(const Plan& plan) {
  sigset_t all, before;
  sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  const pid_t pid = ::vfork();
  if (pid == 0) become(plan);
  const int reason = errno;
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  errno = reason;
  return pid;
}

struct Pipe {
  std::array<int, 2> ends{-1, -1};
  ~Pipe() {
    for (const int end : ends) {
      if (end >= 0) ::close(end);
    }
  }
  bool open() { return ::pipe2(ends.data(), O_CLOEXEC) == 0; }
  int release(std::size_t end) { return std::exchange(ends[end], -1); }
};

// Copies above every number that the child is to get, so that no dup2 overwrites the source of another.
class HighCopies {
 public:
  ~HighCopies() { close_all(); }
  void close_all() {
    for (const int copy : std::exchange(copies_, {})) ::close(copy);
  }
  int copy(int descriptor) {
    const int high = ::fcntl(descriptor, F_DUPFD_CLOEXEC, kHighDescriptor);
    if (high >= 0) copies_.push_back(high);
    return high;
  }

 private:
  std::vector<int> copies_;
};

}  // namespace

struct ChildProcess::Impl : std::enable_shared_from_this<ChildProcess::Impl> {
  struct Output {
    explicit Output(asio::io_context& context) : descriptor(context) {}
    asio::posix::stream_descriptor descriptor;
    std::array<char, 16 * 1024> buffer;
    std::string line;
    bool open = false;
  };

  explicit Impl(EventLoop& loop_in)
      : loop(loop_in),
        exit_watch(loop.impl().context),
        input(loop.impl().context),
        outputs{Output(loop.impl().context), Output(loop.impl().context)} {}

  Result<pid_t> start_child(ChildOptions& options, std::array<Pipe, 3>& pipes);
  void watch();
  void read(std::size_t index);
  void take(std::size_t index, std::string_view data);
  void end_output(std::size_t index);
  void write_more();
  void reap();
  void finish();
  void kill_tree();

  EventLoop& loop;
  ChildEvents events;
  std::size_t line_bytes_max = 0;
  std::string marker;
  pid_t pid = 0;
  bool running = false, reaped = false, finished = false;
  ChildExit exit;
  asio::posix::stream_descriptor exit_watch;
  asio::posix::stream_descriptor input;
  std::string input_pending, input_writing;
  bool input_open = false, input_closes = false;
  std::array<Output, 2> outputs;
  Loop::TimerId poll_timer = 0;
};

namespace {

// A plan and what it points into, until the child runs.
struct Launch {
  Plan plan;
  std::string program;
  std::vector<sock_filter> filter;
  HighCopies high;
  Pipe error_pipe, null, cgroup, ruleset;

  static Error failed(int number, const ChildOptions& options) {
    Error error = errno_error(number, "cannot start", options.argv[0]);
    error.code = "SpawnFailed";
    return error;
  }
  void describe(ChildOptions& options);
  Status open(const ChildOptions& options, std::array<Pipe, 3>& pipes);
  Status add_texts(const ChildOptions& options);
};

void Launch::describe(ChildOptions& options) {
  plan.program = program.c_str();
  plan.parent = ::getpid();
  if (!options.marker.empty()) options.environment.push_back(options.marker);
  for (std::string& text : options.argv) plan.argv.push_back(text.data());
  for (std::string& text : options.environment) plan.environment.push_back(text.data());
  plan.argv.push_back(nullptr);
  plan.environment.push_back(nullptr);
  if (!options.working_directory.empty()) plan.working_directory = options.working_directory.c_str();
  for (const ChildLimit& limit : options.limits) {
    plan.limits.push_back({limit.resource, {limit.value, limit.value}});
  }
  filter.resize(options.seccomp_program.size() / sizeof(sock_filter));
  if (!filter.empty()) {
    memcpy(filter.data(), options.seccomp_program.data(), filter.size() * sizeof(sock_filter));
  }
  plan.seccomp = {static_cast<unsigned short>(filter.size()), filter.data()};
  plan.no_new_privileges = options.no_new_privileges || !filter.empty();
}

Status Launch::open(const ChildOptions& options, std::array<Pipe, 3>& pipes) {
  null.ends[0] = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (null.ends[0] < 0 || !error_pipe.open() || !pipes[1].open() || !pipes[2].open())
    return failed(errno, options);
  if (options.with_stdin && !pipes[0].open()) return failed(errno, options);
  if (!options.cgroup_procs_file.empty()) {
    cgroup.ends[0] = ::open(options.cgroup_procs_file.c_str(), O_WRONLY | O_CLOEXEC);
    if (cgroup.ends[0] < 0) return failed(errno, options);
    plan.cgroup = high.copy(cgroup.ends[0]);
  }
  if (!options.landlock.readable.empty() || !options.landlock.writable.empty()) {
    SORTIE_TRY(ruleset.ends[0], make_landlock_ruleset(options.landlock));
    plan.landlock_ruleset = high.copy(ruleset.ends[0]);
    plan.no_new_privileges = true;
  }
  for (const int space : options.namespaces) plan.namespaces.push_back(high.copy(space));
  plan.error_pipe = high.copy(error_pipe.ends[1]);
  plan.descriptors = {{high.copy(options.with_stdin ? pipes[0].ends[0] : null.ends[0]), 0},
                      {high.copy(pipes[1].ends[1]), 1},
                      {high.copy(pipes[options.join_output ? 1 : 2].ends[1]), 2}};
  for (const auto& [from, to] : options.descriptors) plan.descriptors.push_back({high.copy(from), to});
  return add_texts(options);
}

Status Launch::add_texts(const ChildOptions& options) {
  for (const auto& [text, to] : options.texts) {
    Pipe file;
    file.ends[0] = ::memfd_create("text", MFD_CLOEXEC);
    if (file.ends[0] < 0 ||
        ::write(file.ends[0], text.data(), text.size()) != static_cast<ssize_t>(text.size()) ||
        ::lseek(file.ends[0], 0, SEEK_SET) != 0) {
      return failed(errno, options);
    }
    plan.descriptors.push_back({high.copy(file.ends[0]), to});
  }
  return {};
}

}  // namespace

Result<pid_t> ChildProcess::Impl::start_child(ChildOptions& options, std::array<Pipe, 3>& pipes) {
  if (options.argv.empty()) return Error{"SpawnFailed", "there is no program to start", "", ""};
  Launch launch;
  launch.program = find_program(options.argv[0]);
  if (launch.program.empty()) {
    return Error{"SpawnFailed", "cannot start " + options.argv[0] + ": there is no such program in PATH", "",
                 ""};
  }
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  launch.describe(options);
  SORTIE_TRY_STATUS(launch.open(options, pipes));
  const pid_t child = start(launch.plan);
  if (child < 0) return Launch::failed(errno, options);
  launch.high.close_all();
  ::close(launch.error_pipe.release(1));
  int number = 0;
  if (::read(launch.error_pipe.ends[0], &number, sizeof(number)) == sizeof(number)) {
    ::waitpid(child, nullptr, 0);
    return Launch::failed(number, options);
  }
  return child;
}

void ChildProcess::Impl::watch() {
#ifdef SYS_pidfd_open
  const int pidfd = static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
  if (pidfd >= 0) {
    ::fcntl(pidfd, F_SETFD, FD_CLOEXEC);
    exit_watch.assign(pidfd);
    exit_watch.async_wait(asio::posix::stream_descriptor::wait_read,
                          [self = shared_from_this()](const error_code& error) {
                            if (!error) self->reap();
                          });
    return;
  }
#endif
  // Where the kernel or a container's filter has no pidfd, we ask now and then.
  poll_timer = loop.call_after(20, [self = shared_from_this()] { self->reap(); });
}

void ChildProcess::Impl::reap() {
  int status = 0;
  const pid_t got = ::waitpid(pid, &status, WNOHANG);
  if (got == 0) return watch();
  running = false;
  reaped = true;
  watched_pids().erase(pid);
  if (got == pid) {
    exit.signalled = WIFSIGNALED(status);
    exit.code = exit.signalled ? WTERMSIG(status) : WEXITSTATUS(status);
  }
  error_code ignored;
  exit_watch.close(ignored);
  kill_tree();  // Whatever the child left behind in its session goes with it.
  if (!outputs[0].open && !outputs[1].open) return finish();
  loop.call_after(kOutputGraceMs, [self = shared_from_this()] { self->finish(); });
}

void ChildProcess::Impl::finish() {
  if (finished || !reaped) return;
  finished = true;
  for (std::size_t index = 0; index < 2; ++index) {
    if (outputs[index].open) end_output(index);
  }
  error_code ignored;
  input.close(ignored);
  input_open = false;
  reap_orphans();
  const auto callback = std::exchange(events.on_exit, nullptr);
  if (callback) callback(exit);
}

// Only the readiness is waited for: what was written stays in the pipe until somebody takes it, so that
// read_pending_output() finds it there and nothing lies in a callback that has not run yet.
void ChildProcess::Impl::read(std::size_t index) {
  outputs[index].descriptor.async_wait(
      asio::posix::stream_descriptor::wait_read, [self = shared_from_this(), index](const error_code& error) {
        if (error == asio::error::operation_aborted || !self->outputs[index].open) return;
        Output& output = self->outputs[index];
        const ssize_t got =
            ::read(output.descriptor.native_handle(), output.buffer.data(), output.buffer.size());
        if (got > 0) {
          self->take(index, {output.buffer.data(), static_cast<std::size_t>(got)});
        } else if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
          self->end_output(index);
          if (!self->outputs[1 - index].open) self->finish();
          return;
        }
        if (output.open) self->read(index);
      });
}

void ChildProcess::Impl::take(std::size_t index, std::string_view data) {
  Output& output = outputs[index];
  const auto which = index == 0 ? ChildOutput::kStdout : ChildOutput::kStderr;
  while (!data.empty()) {
    const std::size_t room = line_bytes_max - output.line.size();
    const std::size_t end = data.substr(0, room).find('\n');
    const bool whole = end != std::string_view::npos;
    output.line += data.substr(0, whole ? end : room);
    data.remove_prefix(whole ? end + 1 : std::min(room, data.size()));
    if (!whole && output.line.size() < line_bytes_max) return;
    if (events.on_line) events.on_line(which, output.line);
    output.line.clear();
  }
}

void ChildProcess::Impl::end_output(std::size_t index) {
  Output& output = outputs[index];
  output.open = false;
  if (!output.line.empty() && events.on_line) {
    events.on_line(index == 0 ? ChildOutput::kStdout : ChildOutput::kStderr, output.line);
  }
  output.line.clear();
  error_code ignored;
  output.descriptor.close(ignored);
}

void ChildProcess::Impl::write_more() {
  if (!input_open || !input_writing.empty()) return;
  if (input_pending.empty()) {
    if (!input_closes) return;
    error_code ignored;
    input.close(ignored);
    input_open = false;
    return;
  }
  input_writing.swap(input_pending);
  asio::async_write(input, asio::buffer(input_writing),
                    [self = shared_from_this()](const error_code& error, std::size_t) {
                      self->input_writing.clear();
                      if (error) {
                        error_code ignored;
                        self->input.close(ignored);
                        self->input_open = false;
                        return;
                      }
                      self->write_more();
                    });
}

void ChildProcess::Impl::kill_tree() {
  if (pid <= 0) return;
  // Twice, because a fork may slip in between looking and killing.
  for (int round = 0; round < 2; ++round) {
    if (!reaped) ::kill(pid, SIGKILL);
    ::kill(-pid, SIGKILL);
    bool found = false;
    for (const pid_t member : process_tree(pid, ::getpid(), marker)) {
      if (member == pid) continue;  // Done, or reaped: its number may be somebody else's by now.
      found = true;
      ::kill(member, SIGKILL);
    }
    if (!found) return;
  }
}

Result<std::unique_ptr<ChildProcess>> ChildProcess::spawn(EventLoop& loop, ChildOptions options,
                                                          ChildEvents events) {
  auto impl = std::make_shared<Impl>(loop);
  impl->line_bytes_max = std::max<std::size_t>(options.line_bytes_max, 1);
  impl->marker = options.marker;
  std::array<Pipe, 3> pipes;
  SORTIE_TRY(impl->pid, impl->start_child(options, pipes));
  impl->events = std::move(events);
  impl->running = true;
  watched_pids().insert(impl->pid);
  for (std::size_t index = 0; index < 2; ++index) {
    auto& output = impl->outputs[index];
    output.descriptor.assign(pipes[index + 1].release(0));
    output.descriptor.non_blocking(true);
    output.open = true;
    impl->read(index);
  }
  if (options.with_stdin) {
    impl->input.assign(pipes[0].release(1));
    impl->input.non_blocking(true);
    impl->input_open = true;
  }
  impl->watch();
  return std::unique_ptr<ChildProcess>(new ChildProcess(std::move(impl)));
}

ChildProcess::~ChildProcess() {
  impl_->events = {};
  if (impl_->running) impl_->kill_tree();
  error_code ignored;
  for (auto& output : impl_->outputs) {
    output.open = false;
    output.descriptor.close(ignored);
  }
  impl_->input.close(ignored);
  impl_->input_open = false;
}

pid_t ChildProcess::pid() const { return impl_->pid; }
bool ChildProcess::is_running() const { return impl_->running; }
void ChildProcess::kill_tree() {
  if (impl_->running) impl_->kill_tree();
}
void ChildProcess::signal(int number) {
  if (impl_->running) ::kill(impl_->pid, number);
}

bool ChildProcess::write_stdin(std::string_view text) {
  if (!impl_->input_open || impl_->input_closes) return false;
  if (impl_->input_pending.size() + text.size() > kStdinBytesMax) return false;
  impl_->input_pending += text;
  impl_->write_more();
  return true;
}

void ChildProcess::close_stdin() {
  impl_->input_closes = true;
  impl_->write_more();
}

void ChildProcess::read_pending_output() {
  char buffer[16 * 1024];
  for (std::size_t index = 0; index < 2; ++index) {
    std::size_t total = 0;
    while (impl_->outputs[index].open && total < kPendingReadBytesMax) {
      const ssize_t got = ::read(impl_->outputs[index].descriptor.native_handle(), buffer, sizeof(buffer));
      if (got <= 0) break;  // The end is left to the loop.
      total += static_cast<std::size_t>(got);
      impl_->take(index, {buffer, static_cast<std::size_t>(got)});
    }
  }
}

std::vector<pid_t> ChildProcess::tree() const {
  if (!impl_->running) return {};
  return descendants(impl_->pid);
}

std::vector<pid_t> ChildProcess::complete_tree() const {
  if (!impl_->running) return {};
  return process_tree(impl_->pid, ::getpid(), impl_->marker);
}

std::size_t kill_processes_marked(const std::string& marker) {
  std::set<pid_t> seen;
  for (int round = 0; round < 100; ++round) {
    bool found = false;
    for (const ProcessEntry& process : list_processes()) {
      if (process.pid == ::getpid() || process.is_zombie || !has_in_environment(process.pid, marker))
        continue;
      found = true;
      seen.insert(process.pid);
      ::kill(process.pid, SIGKILL);
    }
    if (!found) break;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return seen.size();
}

}  // namespace sortie::io
