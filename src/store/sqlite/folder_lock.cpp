#include "store/sqlite/folder_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <system_error>
#include <thread>

namespace sortie::store::sqlite {

namespace folder_lock {

constexpr int kDeadOwnerMs = 3'000;
constexpr int kPollMs = 10;

Error unavailable(const std::string& what, const std::string& path, int code) {
  std::string reason = std::error_code(code, std::generic_category()).message();
  return Error{"StoreUnavailable", what + " " + path + ": " + reason, path,
               "check that the folder exists, is writable for this user and has space"};
}

std::string read_owner(int descriptor) {
  char text[32] = {};
  ssize_t size = pread(descriptor, text, sizeof(text) - 1, 0);
  std::string owner;
  for (ssize_t i = 0; i < size && text[i] >= '0' && text[i] <= '9'; ++i) owner.push_back(text[i]);
  return owner.empty() ? "unknown" : owner;
}

bool is_dead(const std::string& owner) {
  pid_t process = 0;
  const auto read = std::from_chars(owner.data(), owner.data() + owner.size(), process);
  return read.ec == std::errc() && process > 0 && ::kill(process, 0) != 0 && errno == ESRCH;
}

// 0 or an error number. A child of a process that was killed holds the lock, too, until it has come to its
// exec: it is waited for.
int lock(int descriptor) {
  for (int waited_ms = 0;; waited_ms += kPollMs) {
    if (flock(descriptor, LOCK_EX | LOCK_NB) == 0) return 0;
    if (errno != EWOULDBLOCK || waited_ms >= kDeadOwnerMs) return errno;
    if (!is_dead(read_owner(descriptor))) return EWOULDBLOCK;
    std::this_thread::sleep_for(std::chrono::milliseconds(kPollMs));
  }
}

}  // namespace folder_lock

Result<FolderLock> FolderLock::take(const std::string& folder) {
  std::error_code failed;
  std::filesystem::path parent = std::filesystem::path(folder).parent_path();
  if (!parent.empty()) std::filesystem::create_directories(parent, failed);
  if (mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) {
    return folder_lock::unavailable("cannot make the data folder", folder, errno);
  }
  std::string file = folder + "/lock";
  int descriptor = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (descriptor < 0) return folder_lock::unavailable("cannot open", file, errno);
  if (const int code = folder_lock::lock(descriptor); code != 0) {
    std::string owner = folder_lock::read_owner(descriptor);
    ::close(descriptor);
    if (code != EWOULDBLOCK) return folder_lock::unavailable("cannot lock", file, code);
    return Error{"StoreInUse", "the data folder " + folder + " is in use by process " + owner, folder,
                 "stop that process, or name another folder with --data"};
  }
  std::string owner = std::to_string(getpid()) + "\n";
  if (ftruncate(descriptor, 0) != 0 ||
      pwrite(descriptor, owner.data(), owner.size(), 0) != static_cast<ssize_t>(owner.size())) {
    int code = errno;
    ::close(descriptor);
    return folder_lock::unavailable("cannot write", file, code);
  }
  return FolderLock(descriptor);
}

FolderLock::~FolderLock() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

Status make_private_file(const std::string& file) {
  int descriptor = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (descriptor < 0) return folder_lock::unavailable("cannot open", file, errno);
  ::close(descriptor);
  return {};
}

Status sync_file(const std::string& file) {
  int descriptor = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
  bool synced = descriptor >= 0 && ::fsync(descriptor) == 0;
  int code = errno;
  if (descriptor >= 0) ::close(descriptor);
  if (synced) return {};
  return Error{"StoreUnavailable",
               "cannot write " + file + ": " + std::error_code(code, std::generic_category()).message(), file,
               ""};
}

std::uint64_t file_size(const std::string& file) {
  struct stat found {};
  return stat(file.c_str(), &found) == 0 ? static_cast<std::uint64_t>(found.st_size) : 0;
}

}  // namespace sortie::store::sqlite
