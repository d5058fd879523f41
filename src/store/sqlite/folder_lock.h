#pragma once
// One process owns a data folder: an flock on `<folder>/lock`, which the kernel gives back when the process
// dies, however it dies. The file holds the owner's process id for the message that the second one gets.
#include <cstdint>
#include <string>

#include "base/result.h"

namespace sortie::store::sqlite {

class FolderLock {
 public:
  // Makes the folder (mode 0700) when it is not there. Errors: "StoreInUse", "StoreUnavailable".
  static Result<FolderLock> take(const std::string& folder);
  FolderLock(FolderLock&& other) noexcept : descriptor_(other.descriptor_) { other.descriptor_ = -1; }
  FolderLock& operator=(FolderLock&&) = delete;
  ~FolderLock();

 private:
  explicit FolderLock(int descriptor) : descriptor_(descriptor) {}
  int descriptor_;
};

// Makes an empty file with mode 0600 unless it is there: SQLite's own files take its mode.
Status make_private_file(const std::string& file);
Status sync_file(const std::string& file);
std::uint64_t file_size(const std::string& file);  // 0 when it is not there.

}  // namespace sortie::store::sqlite
