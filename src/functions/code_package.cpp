#include "functions/code_package.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <set>
#include <vector>

#include "base/hash.h"
#include "base/text.h"
#include "functions/function.h"
#include "io/file.h"

namespace sortie::functions {

namespace {

constexpr std::size_t kEndBytes = 22, kCentralBytes = 46, kLocalBytes = 30;
constexpr std::uint32_t kEndMark = 0x06054b50, kCentralMark = 0x02014b50, kLocalMark = 0x04034b50;
constexpr std::size_t kNameBytesMax = 1024, kNameDepthMax = 64;
constexpr std::uint64_t kRatioFreeBytes = 10 * 1024 * 1024;

struct ZipEntry {
  std::string name;  // Normalised: no leading "./", no empty parts, no trailing '/'.
  bool is_folder = false;
  bool is_executable = false;
  bool is_deflated = false;
  std::uint32_t crc = 0;
  std::uint64_t packed_bytes = 0, bytes = 0;
  std::uint64_t begin = 0;  // Of the local header.
  std::string_view packed;
};

Error refused(const std::string& reason) {
  return {"InvalidParameterValueException",
          "Could not unzip uploaded file. Please check your file, then try to upload again. (" + reason + ")",
          "", ""};
}

Error refused_entry(std::string_view name, const std::string& reason) {
  return refused("entry \"" + to_valid_utf8(truncate_utf8(name, 200)) + "\" " + reason);
}

// Little-endian numbers; the caller has checked that they are inside.
std::uint32_t number_at(std::string_view zip, std::size_t at, int bytes) {
  std::uint32_t number = 0;
  for (int i = bytes - 1; i >= 0; --i)
    number = number << 8 | static_cast<unsigned char>(zip[at + static_cast<std::size_t>(i)]);
  return number;
}

Result<std::string> normalise(std::string_view name) {
  if (name.empty() || name.size() > kNameBytesMax) return refused_entry(name, "has an empty or endless name");
  if (name.front() == '/') return refused_entry(name, "has an absolute path");
  const bool has_control =
      std::any_of(name.begin(), name.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20; });
  if (has_control) return refused_entry(name, "has control characters in its name");
  std::string path;
  std::size_t depth = 0;
  for (const std::string_view part : split(name, '/')) {
    if (part.empty() || part == ".") continue;
    if (part == "..") return refused_entry(name, "leads out of the package");
    if (part.size() > 255 || ++depth > kNameDepthMax)
      return refused_entry(name, "is nested too deeply or has too long a name");
    path += (path.empty() ? "" : "/") + std::string(part);
  }
  return path;
}

Result<std::size_t> find_end(std::string_view zip) {
  if (zip.size() < kEndBytes) return refused("it is no zip file");
  const std::size_t lowest = zip.size() > kEndBytes + 0xffff ? zip.size() - kEndBytes - 0xffff : 0;
  for (std::size_t at = zip.size() - kEndBytes;; --at) {
    if (number_at(zip, at, 4) == kEndMark && number_at(zip, at + 20, 2) == zip.size() - at - kEndBytes)
      return at;
    if (at == lowest) return refused("it is no zip file");
  }
}

// File type and permissions, where the zip was made on a system that has them.
Status read_mode(std::uint32_t made_by, std::uint32_t attributes, std::string_view name, ZipEntry& entry) {
  entry.is_folder = !name.empty() && name.back() == '/';
  const std::uint32_t system = made_by >> 8;
  if (system != 3 && system != 19) return {};
  const mode_t mode = attributes >> 16;
  const mode_t type = mode & S_IFMT;
  if (type == S_IFLNK) return refused_entry(name, "is a symbolic link");
  if (type != 0 && type != S_IFREG && type != S_IFDIR)
    return refused_entry(name, "is neither a file nor a folder");
  if (type == S_IFDIR) entry.is_folder = true;
  entry.is_executable = (mode & 0111) != 0;
  return {};
}

// Finds the entry's data behind its local header, which must tell the same story as the central directory.
Status locate(std::string_view zip, std::string_view name, std::size_t directory_begin, ZipEntry& entry) {
  if (entry.begin + kLocalBytes > directory_begin) return refused_entry(name, "lies outside of the file");
  const std::size_t at = entry.begin;
  if (number_at(zip, at, 4) != kLocalMark) return refused_entry(name, "has no local header");
  const std::size_t name_bytes = number_at(zip, at + 26, 2), extra_bytes = number_at(zip, at + 28, 2);
  const std::size_t data = at + kLocalBytes + name_bytes + extra_bytes;
  if (data > directory_begin || entry.packed_bytes > directory_begin - data)
    return refused_entry(name, "lies outside of the file");
  if (zip.substr(at + kLocalBytes, name_bytes) != name) return refused_entry(name, "has two different names");
  entry.packed = zip.substr(data, entry.packed_bytes);
  return {};
}

Result<ZipEntry> read_entry(std::string_view zip, std::size_t directory_begin, std::size_t end,
                            std::size_t& at) {
  if (at + kCentralBytes > end || number_at(zip, at, 4) != kCentralMark)
    return refused("its directory is broken");
  const std::size_t name_bytes = number_at(zip, at + 28, 2);
  const std::size_t next =
      at + kCentralBytes + name_bytes + number_at(zip, at + 30, 2) + number_at(zip, at + 32, 2);
  if (next > end) return refused("its directory is broken");
  const std::string_view name = zip.substr(at + kCentralBytes, name_bytes);
  const std::uint32_t flags = number_at(zip, at + 8, 2), method = number_at(zip, at + 10, 2);
  ZipEntry entry;
  SORTIE_TRY(entry.name, normalise(name));
  if ((flags & 1) != 0) return refused_entry(name, "is encrypted");
  if (method != 0 && method != 8) return refused_entry(name, "is packed in a way that is not supported");
  entry.is_deflated = method == 8;
  entry.crc = number_at(zip, at + 16, 4);
  entry.packed_bytes = number_at(zip, at + 20, 4);
  entry.bytes = number_at(zip, at + 24, 4);
  entry.begin = number_at(zip, at + 42, 4);
  if (entry.packed_bytes == 0xffffffff || entry.bytes == 0xffffffff || entry.begin == 0xffffffff) {
    return refused("it is a zip64 file, larger than any package may be");
  }
  SORTIE_TRY_STATUS(read_mode(number_at(zip, at + 4, 2), number_at(zip, at + 38, 4), name, entry));
  if (!entry.is_deflated && entry.packed_bytes != entry.bytes)
    return refused_entry(name, "has two different lengths");
  if (entry.is_folder && entry.bytes != 0) return refused_entry(name, "is a folder with content");
  if (entry.name.empty() && !entry.is_folder) return refused_entry(name, "has an empty name");
  SORTIE_TRY_STATUS(locate(zip, name, directory_begin, entry));
  at = next;
  return entry;
}

// What a single entry cannot tell: duplicates, files that are also folders, overlaps.
Status check_together(const std::vector<ZipEntry>& entries) {
  std::set<std::string> files, folders;
  for (const ZipEntry& entry : entries) {
    if (!entry.is_folder && !files.insert(entry.name).second)
      return refused_entry(entry.name, "is there twice");
    std::string folder = entry.is_folder ? entry.name + "/" : entry.name;
    for (std::size_t slash = folder.rfind('/'); slash != std::string::npos; slash = folder.rfind('/')) {
      folder.resize(slash);
      if (!folders.insert(folder).second) break;
    }
  }
  for (const std::string& folder : folders) {
    if (files.contains(folder)) return refused_entry(folder, "is a file and a folder");
  }
  std::vector<const ZipEntry*> by_place;
  for (const ZipEntry& entry : entries) by_place.push_back(&entry);
  std::sort(by_place.begin(), by_place.end(),
            [](const auto* a, const auto* b) { return a->begin < b->begin; });
  for (std::size_t i = 1; i < by_place.size(); ++i) {
    const ZipEntry& before = *by_place[i - 1];
    const auto before_end = before.begin + kLocalBytes + before.name.size() + before.packed_bytes;
    if (by_place[i]->begin < before_end ||
        by_place[i]->packed.data() < before.packed.data() + before.packed.size()) {
      return refused_entry(by_place[i]->name, "overlaps another entry");
    }
  }
  return {};
}

Result<std::vector<ZipEntry>> read_directory(std::string_view zip) {
  if (zip.size() > kZipBytesMax + kUnzippedBytesMax) return refused("it is too large");
  SORTIE_TRY(const std::size_t end, find_end(zip));
  const std::size_t count = number_at(zip, end + 10, 2), begin = number_at(zip, end + 16, 4);
  if (number_at(zip, end + 4, 2) != 0 || number_at(zip, end + 8, 2) != count)
    return refused("it is one part of several");
  if (count == 0xffff || begin == 0xffffffff)
    return refused("it is a zip64 file, larger than any package may be");
  if (begin > end) return refused("its directory is broken");
  std::vector<ZipEntry> entries;
  std::uint64_t total = 0;
  std::size_t at = begin;
  for (std::size_t i = 0; i < count; ++i) {
    SORTIE_TRY(ZipEntry entry, read_entry(zip, begin, end, at));
    total += entry.bytes;
    if (total > kUnzippedBytesMax) {
      return Error{"InvalidParameterValueException",
                   "Unzipped size must be smaller than " + std::to_string(kUnzippedBytesMax) + " bytes", "",
                   ""};
    }
    entries.push_back(std::move(entry));
  }
  if (entries.empty())
    return Error{"InvalidParameterValueException", "Uploaded file must be a non-empty zip", "", ""};
  if (total > kRatioFreeBytes && total / kRatioMax > zip.size())
    return refused("it unpacks to far more than a package could");
  SORTIE_TRY_STATUS(check_together(entries));
  return entries;
}

// Hands the entry's content to `sink` in pieces, never more than the length it declared.
template <typename Sink>
Status inflate_entry(const ZipEntry& entry, Sink sink) {
  uLong crc = crc32(0, nullptr, 0);
  std::uint64_t total = 0;
  const auto take = [&](const char* data, std::size_t bytes) -> Status {
    total += bytes;
    if (total > entry.bytes) return refused_entry(entry.name, "is longer than it says");
    crc = crc32(crc, reinterpret_cast<const Bytef*>(data), static_cast<uInt>(bytes));
    return sink(std::string_view(data, bytes));
  };
  if (!entry.is_deflated) {
    SORTIE_TRY_STATUS(take(entry.packed.data(), entry.packed.size()));
  } else {
    z_stream stream{};
    if (inflateInit2(&stream, -MAX_WBITS) != Z_OK) return refused("no memory to unpack it");
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(entry.packed.data()));
    stream.avail_in = static_cast<uInt>(entry.packed.size());
    std::vector<char> buffer(128 * 1024);
    int state = Z_OK;
    Status status;
    while (state == Z_OK && status.ok()) {
      stream.next_out = reinterpret_cast<Bytef*>(buffer.data());
      stream.avail_out = static_cast<uInt>(buffer.size());
      state = inflate(&stream, Z_NO_FLUSH);
      const std::size_t bytes = buffer.size() - stream.avail_out;
      if (state != Z_OK && state != Z_STREAM_END) break;
      if (bytes > 0) status = take(buffer.data(), bytes);
    }
    inflateEnd(&stream);
    if (!status) return status;
    if (state != Z_STREAM_END) return refused_entry(entry.name, "is damaged");
  }
  if (total != entry.bytes || crc != entry.crc) return refused_entry(entry.name, "is damaged");
  return {};
}

Status write_entry(const ZipEntry& entry, const std::string& folder) {
  const std::string path = folder + "/" + entry.name;
  if (entry.is_folder) return entry.name.empty() ? Status{} : io::make_directories(path);
  const std::size_t slash = path.rfind('/');
  SORTIE_TRY_STATUS(io::make_directories(path.substr(0, slash)));
  const mode_t mode = entry.is_executable ? 0755 : 0644;
  const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
  if (file < 0) return io::errno_error(errno, "cannot create", path);
  Status status = inflate_entry(entry, [&](std::string_view piece) -> Status {
    while (!piece.empty()) {
      const ssize_t written = ::write(file, piece.data(), piece.size());
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) return io::errno_error(errno, "cannot write", path);
      piece.remove_prefix(static_cast<std::size_t>(written));
    }
    return {};
  });
  if (status.ok() && ::fchmod(file, mode) != 0)
    status = io::errno_error(errno, "cannot set the mode of", path);
  if (::close(file) != 0 && status.ok()) status = io::errno_error(errno, "cannot write", path);
  return status;
}

Status write_entries(const std::vector<ZipEntry>& entries, const std::string& folder) {
  SORTIE_TRY_STATUS(io::make_directories(folder));
  for (const ZipEntry& entry : entries) SORTIE_TRY_STATUS(write_entry(entry, folder));
  // One sync for all of them: thousands of small files would otherwise wait for thousands of disk turns.
  const int descriptor = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) return io::errno_error(errno, "cannot open", folder);
  const bool synced = ::syncfs(descriptor) == 0;
  const int reason = errno;
  ::close(descriptor);
  if (!synced) return io::errno_error(reason, "cannot write", folder);
  return {};
}

CodePackage describe(std::string_view zip, const std::vector<ZipEntry>& entries) {
  CodePackage package;
  package.sha256_base64 = base64_encode(digest(Digest::kSha256, zip));
  package.zip_bytes = zip.size();
  for (const ZipEntry& entry : entries) {
    package.unzipped_bytes += entry.bytes;
    package.files += entry.is_folder ? 0 : 1;
  }
  return package;
}

}  // namespace

Result<CodePackage> inspect_code(std::string_view zip) {
  SORTIE_TRY(const std::vector<ZipEntry> entries, read_directory(zip));
  for (const ZipEntry& entry : entries) {
    if (entry.is_folder) continue;
    SORTIE_TRY_STATUS(inflate_entry(entry, [](std::string_view) { return Status{}; }));
  }
  return describe(zip, entries);
}

Result<CodePackage> unpack_code(std::string_view zip, const std::string& folder) {
  SORTIE_TRY(const std::vector<ZipEntry> entries, read_directory(zip));
  if (io::path_exists(folder)) return Error{"AlreadyExists", folder + " exists already", folder, ""};
  if (Status status = write_entries(entries, folder); !status) {
    (void)io::remove_tree(folder).ok();
    return status.error();
  }
  return describe(zip, entries);
}

}  // namespace sortie::functions
