#include "io/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>

namespace sortie::io {

namespace {

class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  ~Descriptor() {
    if (number_ >= 0) ::close(number_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int number() const { return number_; }
  // Errors of close() matter where data was written (quotas, network file systems).
  int close_checked() { return ::close(std::exchange(number_, -1)); }

 private:
  int number_;
};

std::string parent_of(const std::string& path) {
  const std::size_t slash = path.find_last_not_of('/');
  const std::size_t cut = path.find_last_of('/', slash);
  if (cut == std::string::npos) return ".";
  return cut == 0 ? "/" : path.substr(0, cut);
}

Status sync_directory(const std::string& path) {
  const Descriptor folder(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (folder.number() < 0) return errno_error(errno, "cannot open", path);
  // Some file systems have no fsync for folders and say EINVAL; there is nothing more to be had there.
  if (::fsync(folder.number()) != 0 && errno != EINVAL) return errno_error(errno, "cannot write", path);
  return {};
}

Status write_all(int descriptor, std::string_view content, const std::string& path) {
  while (!content.empty()) {
    const ssize_t written = ::write(descriptor, content.data(), content.size());
    if (written < 0) {
      if (errno == EINTR) continue;
      return errno_error(errno, "cannot write", path);
    }
    content.remove_prefix(static_cast<std::size_t>(written));
  }
  return {};
}

Status write_new_file(const std::string& path, std::string_view content, unsigned mode) {
  Descriptor file(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode));
  if (file.number() < 0) return errno_error(errno, "cannot create", path);
  if (::fchmod(file.number(), mode) != 0) return errno_error(errno, "cannot set the mode of", path);
  SORTIE_TRY_STATUS(write_all(file.number(), content, path));
  if (::fsync(file.number()) != 0) return errno_error(errno, "cannot write", path);
  if (file.close_checked() != 0) return errno_error(errno, "cannot write", path);
  return {};
}

Status make_directory(const std::string& path, unsigned mode) {
  if (::mkdir(path.c_str(), mode) == 0) return {};
  const int reason = errno;
  if (reason == EEXIST && is_directory(path)) return {};
  if (reason == EEXIST)
    return Error{"NotADirectory", path + " exists and is no folder", path, "remove or rename it"};
  return errno_error(reason, "cannot create the folder", path);
}

}  // namespace

Error errno_error(int number, const std::string& what, const std::string& path) {
  const auto code_and_hint = [number]() -> std::pair<const char*, const char*> {
    switch (number) {
      case ENOENT:
        return {"NotFound", ""};
      case EEXIST:
        return {"AlreadyExists", ""};
      case EACCES:
      case EPERM:
        return {"PermissionDenied", "check the owner and the mode of the file and its folders"};
      case EROFS:
        return {"ReadOnly", "the file system is mounted read-only; use a folder that can be written"};
      case ENOSPC:
      case EDQUOT:
        return {"DiskFull", "free some space, or move the data folder to a larger disk"};
      case EFBIG:
        return {"TooLarge", ""};
      case ENOTDIR:
        return {"NotADirectory", ""};
      default:
        return {"IoError", ""};
    }
  };
  const auto [code, hint] = code_and_hint();
  char text[256];
  return {code, what + " " + path + ": " + strerror_r(number, text, sizeof(text)), path, hint};
}

Result<std::string> read_file(const std::string& path, std::size_t bytes_max) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (file.number() < 0) return errno_error(errno, "cannot read", path);
  struct stat status {};
  if (::fstat(file.number(), &status) != 0) return errno_error(errno, "cannot read", path);
  if (S_ISDIR(status.st_mode)) return errno_error(EISDIR, "cannot read", path);
  std::string content;
  // Files below /proc say they are empty, so the size is only a first guess.
  content.resize(std::min<std::size_t>(static_cast<std::size_t>(status.st_size) + 1, bytes_max + 1));
  if (content.size() < 4096) content.resize(std::min<std::size_t>(4096, bytes_max + 1));
  std::size_t length = 0;
  while (true) {
    const ssize_t got = ::read(file.number(), content.data() + length, content.size() - length);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return errno_error(errno, "cannot read", path);
    if (got == 0) break;
    length += static_cast<std::size_t>(got);
    if (length > bytes_max) {
      return Error{"TooLarge", path + " is larger than " + std::to_string(bytes_max) + " bytes", path, ""};
    }
    if (length == content.size()) content.resize(std::min(content.size() * 2, bytes_max + 1));
  }
  content.resize(length);
  return content;
}

Status write_file_atomically(const std::string& path, std::string_view content, unsigned mode) {
  static std::atomic<std::uint64_t> count{0};
  const std::string temporary =
      path + ".tmp-" + std::to_string(::getpid()) + "-" + std::to_string(count.fetch_add(1));
  if (Status status = write_new_file(temporary, content, mode); !status) {
    ::unlink(temporary.c_str());
    return status;
  }
  if (::rename(temporary.c_str(), path.c_str()) != 0) {
    const int reason = errno;
    ::unlink(temporary.c_str());
    return errno_error(reason, "cannot replace", path);
  }
  return sync_directory(parent_of(path));
}

Status make_directories(const std::string& path) {
  if (path.empty() || is_directory(path)) return {};
  const std::string parent = parent_of(path);
  if (parent != path) SORTIE_TRY_STATUS(make_directories(parent));
  return make_directory(path, 0755);
}

Status make_private_directory(const std::string& path) {
  SORTIE_TRY_STATUS(make_directories(parent_of(path)));
  SORTIE_TRY_STATUS(make_directory(path, 0700));
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return errno_error(errno, "cannot read", path);
  if (status.st_uid != ::geteuid() && ::geteuid() != 0) {
    return Error{"PermissionDenied", path + " belongs to another user", path, "choose another folder"};
  }
  if ((status.st_mode & 0777) != 0700 && ::chmod(path.c_str(), 0700) != 0) {
    return errno_error(errno, "cannot set the mode of", path);
  }
  return {};
}

Status rename_path(const std::string& from, const std::string& to) {
  if (::rename(from.c_str(), to.c_str()) != 0) return errno_error(errno, "cannot rename to", to);
  return sync_directory(parent_of(to));
}

Status remove_tree(const std::string& path) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) != 0) {
    if (errno == ENOENT) return {};
    return errno_error(errno, "cannot remove", path);
  }
  if (!S_ISDIR(status.st_mode)) {
    if (::unlink(path.c_str()) != 0 && errno != ENOENT) return errno_error(errno, "cannot remove", path);
    return {};
  }
  // A folder that came out of a package may forbid its owner to empty it.
  if ((status.st_mode & 0700) != 0700) ::chmod(path.c_str(), 0700);
  SORTIE_TRY(const std::vector<DirectoryEntry> entries, list_directory(path));
  for (const DirectoryEntry& entry : entries) SORTIE_TRY_STATUS(remove_tree(path + "/" + entry.name));
  if (::rmdir(path.c_str()) != 0 && errno != ENOENT) return errno_error(errno, "cannot remove", path);
  return {};
}

bool path_exists(const std::string& path) {
  struct stat status {};
  return ::stat(path.c_str(), &status) == 0;
}

bool is_directory(const std::string& path) {
  struct stat status {};
  return ::stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
}

Result<std::string> real_path(const std::string& path) {
  char* resolved = ::realpath(path.c_str(), nullptr);
  if (resolved == nullptr) return errno_error(errno, "cannot find", path);
  std::string text = resolved;
  ::free(resolved);
  return text;
}

Result<std::vector<DirectoryEntry>> list_directory(const std::string& path) {
  DIR* folder = ::opendir(path.c_str());
  if (folder == nullptr) return errno_error(errno, "cannot list", path);
  std::vector<DirectoryEntry> entries;
  while (const dirent* found = ::readdir(folder)) {
    const std::string_view name = found->d_name;
    if (name == "." || name == "..") continue;
    struct stat status {};
    if (::fstatat(::dirfd(folder), found->d_name, &status, AT_SYMLINK_NOFOLLOW) != 0) continue;  // Just gone.
    DirectoryEntry entry;
    entry.name = std::string(name);
    entry.is_directory = S_ISDIR(status.st_mode);
    entry.is_link = S_ISLNK(status.st_mode);
    entry.modified_ns =
        static_cast<std::int64_t>(status.st_mtim.tv_sec) * 1'000'000'000 + status.st_mtim.tv_nsec;
    entry.size = static_cast<std::uint64_t>(status.st_size);
    entry.mode = status.st_mode & 07777;
    entries.push_back(std::move(entry));
  }
  ::closedir(folder);
  std::sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  return entries;
}

}  // namespace sortie::io
