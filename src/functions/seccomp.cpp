#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>

#include "functions/sandbox.h"

namespace sortie::functions {

namespace {

// What no Lambda handler needs and what has helped people out of sandboxes before. Lambda refuses most of
// these as well. Names that the machine's libseccomp does not know are skipped.
constexpr std::array kRefusedCalls = {"ptrace",
                                      "process_vm_readv",
                                      "process_vm_writev",
                                      "process_madvise",
                                      "kcmp",
                                      "pidfd_getfd",
                                      "mount",
                                      "umount",
                                      "umount2",
                                      "mount_setattr",
                                      "move_mount",
                                      "open_tree",
                                      "fsopen",
                                      "fsconfig",
                                      "fsmount",
                                      "fspick",
                                      "pivot_root",
                                      "chroot",
                                      "unshare",
                                      "setns",
                                      "add_key",
                                      "request_key",
                                      "keyctl",
                                      "bpf",
                                      "perf_event_open",
                                      "userfaultfd",
                                      "io_uring_setup",
                                      "io_uring_enter",
                                      "io_uring_register",
                                      "open_by_handle_at",
                                      "name_to_handle_at",
                                      "kexec_load",
                                      "kexec_file_load",
                                      "init_module",
                                      "finit_module",
                                      "delete_module",
                                      "create_module",
                                      "query_module",
                                      "reboot",
                                      "swapon",
                                      "swapoff",
                                      "syslog",
                                      "acct",
                                      "quotactl",
                                      "quotactl_fd",
                                      "settimeofday",
                                      "clock_settime",
                                      "clock_adjtime",
                                      "adjtimex",
                                      "sethostname",
                                      "setdomainname",
                                      "iopl",
                                      "ioperm",
                                      "lookup_dcookie",
                                      "nfsservctl",
                                      "vhangup",
                                      "fanotify_init",
                                      "uselib",
                                      "ustat",
                                      "sysfs",
                                      "_sysctl",
                                      "personality",
                                      "move_pages",
                                      "migrate_pages",
                                      "mbind",
                                      "set_mempolicy",
                                      "vm86",
                                      "vm86old",
                                      "modify_ldt"};

class Filter {
 public:
  Filter() : context_(seccomp_init(SCMP_ACT_ALLOW)) {}
  ~Filter() {
    if (context_ != nullptr) seccomp_release(context_);
  }
  Filter(const Filter&) = delete;
  Filter& operator=(const Filter&) = delete;
  scmp_filter_ctx get() const { return context_; }

 private:
  scmp_filter_ctx context_;
};

bool add_rules(scmp_filter_ctx filter) {
  const std::uint32_t refuse = SCMP_ACT_ERRNO(EPERM);
  bool ok = true;
  for (const char* name : kRefusedCalls) {
    const int call = seccomp_syscall_resolve_name(name);
    if (call != __NR_SCMP_ERROR) ok = ok && seccomp_rule_add(filter, refuse, call, 0) == 0;
  }
  // clone3 hides its flags in memory; without it the C library falls back to clone, whose flags can be seen.
  ok = ok && seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0) == 0;
  for (const unsigned flag : {CLONE_NEWUSER, CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWNET, CLONE_NEWIPC,
                              CLONE_NEWUTS, CLONE_NEWCGROUP}) {
    ok = ok &&
         seccomp_rule_add(filter, refuse, SCMP_SYS(clone), 1, SCMP_A0(SCMP_CMP_MASKED_EQ, flag, flag)) == 0;
  }
  // Pushing characters into a terminal's input.
  ok = ok && seccomp_rule_add(filter, refuse, SCMP_SYS(ioctl), 1,
                              SCMP_A1(SCMP_CMP_MASKED_EQ, 0xffffffffU, TIOCSTI)) == 0;
  // Sockets: local, IPv4, IPv6, and netlink for routes only (name lookup asks it).
  ok = ok && seccomp_rule_add(filter, refuse, SCMP_SYS(socket), 1, SCMP_A0(SCMP_CMP_GT, AF_NETLINK)) == 0;
  for (int family = 0; family < AF_NETLINK; ++family) {
    if (family == AF_UNIX || family == AF_INET || family == AF_INET6) continue;
    ok = ok && seccomp_rule_add(filter, refuse, SCMP_SYS(socket), 1,
                                SCMP_A0(SCMP_CMP_EQ, static_cast<scmp_datum_t>(family))) == 0;
  }
  ok = ok && seccomp_rule_add(filter, refuse, SCMP_SYS(socket), 2, SCMP_A0(SCMP_CMP_EQ, AF_NETLINK),
                              SCMP_A2(SCMP_CMP_NE, NETLINK_ROUTE)) == 0;
  return ok;
}

}  // namespace

std::string make_seccomp_program(std::string& reason) {
  const Filter filter;
  if (filter.get() == nullptr || !add_rules(filter.get())) {
    reason = "libseccomp could not build the filter";
    return "";
  }
  const int file = ::memfd_create("seccomp", MFD_CLOEXEC);
  if (file < 0 || seccomp_export_bpf(filter.get(), file) != 0) {
    reason = "libseccomp could not write the filter";
    if (file >= 0) ::close(file);
    return "";
  }
  std::string program(static_cast<std::size_t>(::lseek(file, 0, SEEK_END)), '\0');
  const bool complete =
      ::pread(file, program.data(), program.size(), 0) == static_cast<ssize_t>(program.size());
  ::close(file);
  if (!complete) program.clear();
  return program;
}

}  // namespace sortie::functions
