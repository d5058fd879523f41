#pragma once
// Files, with errors that a person can act on. Codes: "NotFound", "AlreadyExists", "PermissionDenied",
// "ReadOnly", "DiskFull", "TooLarge", "NotADirectory", "IoError"; the message names the path and the
// system's reason.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace sortie::io {

inline constexpr std::size_t kFileBytesMax = 256 * 1024 * 1024;

Result<std::string> read_file(const std::string& path, std::size_t bytes_max = kFileBytesMax);

// The file has either its old or its new content, whatever happens: temporary file beside it, fsync, rename,
// fsync of the folder. `mode` is the file's permission bits.
Status write_file_atomically(const std::string& path, std::string_view content, unsigned mode = 0600);

// The folder and its missing parents; the folder itself gets mode 0700. Fine if it exists (the mode is set
// again); "PermissionDenied" if somebody else owns it.
Status make_private_directory(const std::string& path);
Status make_directories(const std::string& path);  // Mode 0755 minus umask.

// Removes a file or a whole tree without following links; fine if it does not exist.
Status remove_tree(const std::string& path);
Status rename_path(const std::string& from, const std::string& to);  // With fsync of the target's folder.

bool path_exists(const std::string& path);
bool is_directory(const std::string& path);
// The absolute, link-free form of an existing path.
Result<std::string> real_path(const std::string& path);

struct DirectoryEntry {
  std::string name;
  bool is_directory = false;
  bool is_link = false;
  std::int64_t modified_ns = 0;
  std::uint64_t size = 0;
  std::uint32_t mode = 0;
};
// Without "." and "..", sorted by name; links are described, not followed.
Result<std::vector<DirectoryEntry>> list_directory(const std::string& path);

Error errno_error(int number, const std::string& what, const std::string& path);

}  // namespace sortie::io
