#include "io/landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "io/file.h"

namespace sortie::io {

namespace {

constexpr std::uint64_t kReadRights =
    LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
constexpr std::uint64_t kFileRights =
    LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE;

// Version 1 has 13 rights; each of the next two added one (refer, truncate).
std::uint64_t all_rights(int version) {
  std::uint64_t rights = (1ULL << 13) - 1;
  if (version >= 2) rights |= 1ULL << 13;
  if (version >= 3) rights |= 1ULL << 14;
  return rights;
}

Status add_rule(int ruleset, const std::string& path, std::uint64_t rights) {
  landlock_path_beneath_attr rule{};
  rule.parent_fd = ::open(path.c_str(), O_PATH | O_CLOEXEC);
  if (rule.parent_fd < 0) return errno == ENOENT ? Status{} : errno_error(errno, "cannot open", path);
  struct stat status {};
  const bool is_folder = ::fstat(rule.parent_fd, &status) == 0 && S_ISDIR(status.st_mode);
  rule.allowed_access = is_folder ? rights : rights & (kFileRights | 1ULL << 14);
  const long done = ::syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
  const int reason = errno;
  ::close(rule.parent_fd);
  if (done != 0) return errno_error(reason, "cannot allow", path);
  return {};
}

}  // namespace

int landlock_version() {
  const long version = ::syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION);
  return version < 0 ? 0 : static_cast<int>(version);
}

Result<int> make_landlock_ruleset(const LandlockRules& rules) {
  const int version = landlock_version();
  if (version == 0) return Error{"LandlockUnavailable", "this kernel has no Landlock", "", ""};
  landlock_ruleset_attr attributes{};
  attributes.handled_access_fs = all_rights(version);
  const int ruleset = static_cast<int>(
      ::syscall(SYS_landlock_create_ruleset, &attributes, sizeof(attributes.handled_access_fs), 0));
  if (ruleset < 0) return Error{"LandlockUnavailable", "the kernel refuses Landlock", "", ""};
  ::fcntl(ruleset, F_SETFD, FD_CLOEXEC);
  Status status;
  for (const std::string& path : rules.readable) {
    if (status.ok()) status = add_rule(ruleset, path, kReadRights);
  }
  for (const std::string& path : rules.writable) {
    if (status.ok()) status = add_rule(ruleset, path, all_rights(version));
  }
  if (!status) {
    ::close(ruleset);
    return status.error();
  }
  return ruleset;
}

}  // namespace sortie::io
