#include "simulated_disk.h"

#include <sqlite3.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <set>

#include "base/result.h"

namespace sortie::simulation {

namespace {

constexpr std::size_t kSector = 512;

struct Pending {
  enum class Kind { kWrite, kTruncate } kind = Kind::kWrite;
  std::size_t offset = 0;  // Of a truncation: the new size.
  std::string bytes;
};

void write_at(std::string& content, std::size_t offset, std::string_view bytes) {
  if (content.size() < offset + bytes.size()) content.resize(offset + bytes.size());
  content.replace(offset, bytes.size(), bytes);
}

}  // namespace

struct SimulatedDisk::File {
  std::string cache, platter;
  std::vector<Pending> pending;    // In the cache and not on the platter, in order.
  bool exists = true;              // In the cache.
  bool is_linked = false;          // Its folder entry is on the platter.
  std::shared_ptr<File> replaced;  // What the folder's entry on the platter names instead.
  bool needs_link = false;  // Made by SQLite as a log or journal: its first sync writes the folder, too.
  // The locks that connections hold on it, and the memory that they share (the index of the log).
  std::set<const Handle*> shared, reserved, pending_lock, exclusive;
  std::map<const Handle*, std::uint32_t> shm_shared, shm_exclusive;
  std::map<const Handle*, bool> shm_users;
  std::vector<std::unique_ptr<char[]>> shm;
};

struct SimulatedDisk::Handle {
  sqlite3_file base{};  // First: SQLite casts.
  SimulatedDisk* disk = nullptr;
  std::shared_ptr<File>* file = nullptr;
  std::string* name = nullptr;
  int lock = SQLITE_LOCK_NONE;
  bool remove_on_close = false;
};

struct DiskVfs {
  sqlite3_vfs vfs{};
};

struct DiskCalls {
  using Handle = SimulatedDisk::Handle;
  using File = SimulatedDisk::File;

  static Handle& of(sqlite3_file* file) { return *reinterpret_cast<Handle*>(file); }
  static SimulatedDisk& disk_of(sqlite3_vfs* vfs) { return *static_cast<SimulatedDisk*>(vfs->pAppData); }
  // Temporary files of SQLite itself are not on this disk's conscience.
  static DiskFault ask(Handle& handle, DiskOperation operation) {
    if (handle.name->empty()) return handle.disk->has_power_ ? DiskFault::kNone : DiskFault::kPowerLoss;
    return handle.disk->ask(operation, *handle.name);
  }

  // --- A file ---

  static int close(sqlite3_file* raw) {
    Handle& handle = of(raw);
    unlock(raw, SQLITE_LOCK_NONE);
    shm_unmap(raw, 0);
    if (handle.remove_on_close && handle.disk->has_power_) remove(*handle.disk, *handle.name, false);
    delete handle.file;
    delete handle.name;
    --handle.disk->open_handles_;
    return SQLITE_OK;
  }

  static int read(sqlite3_file* raw, void* out, int count, sqlite3_int64 at) {
    Handle& handle = of(raw);
    if (ask(handle, DiskOperation::kRead) != DiskFault::kNone) return SQLITE_IOERR_READ;
    const std::string& cache = (*handle.file)->cache;
    const auto offset = std::min(static_cast<std::size_t>(at), cache.size());
    const std::size_t there = std::min(static_cast<std::size_t>(count), cache.size() - offset);
    std::memcpy(out, cache.data() + offset, there);
    if (there == static_cast<std::size_t>(count)) return SQLITE_OK;
    std::memset(static_cast<char*>(out) + there, 0, static_cast<std::size_t>(count) - there);
    return SQLITE_IOERR_SHORT_READ;
  }

  static void put(Handle& handle, const void* from, std::size_t count, sqlite3_int64 at) {
    ++handle.disk->figures_.writes;
    File& file = **handle.file;
    const std::string bytes(static_cast<const char*>(from), count);
    write_at(file.cache, static_cast<std::size_t>(at), bytes);
    file.pending.push_back({Pending::Kind::kWrite, static_cast<std::size_t>(at), bytes});
  }

  static int write(sqlite3_file* raw, const void* from, int count, sqlite3_int64 at) {
    Handle& handle = of(raw);
    const auto all = static_cast<std::size_t>(count);
    switch (ask(handle, DiskOperation::kWrite)) {
      case DiskFault::kNone:
        put(handle, from, all, at);
        return SQLITE_OK;
      case DiskFault::kPowerLossBehind:
        put(handle, from, all, at);
        return SQLITE_IOERR_WRITE;
      case DiskFault::kFull:
        return SQLITE_FULL;
      case DiskFault::kShortWrite:
        put(handle, from, all / 2, at);
        return SQLITE_FULL;
      case DiskFault::kError:
        put(handle, from, all / 3, at);
        return SQLITE_IOERR_WRITE;
      default:
        return SQLITE_IOERR_WRITE;
    }
  }

  static int truncate(sqlite3_file* raw, sqlite3_int64 size) {
    Handle& handle = of(raw);
    const DiskFault fault = ask(handle, DiskOperation::kTruncate);
    if (fault != DiskFault::kNone && fault != DiskFault::kPowerLossBehind) return SQLITE_IOERR_TRUNCATE;
    File& file = **handle.file;
    file.cache.resize(static_cast<std::size_t>(size));
    file.pending.push_back({Pending::Kind::kTruncate, static_cast<std::size_t>(size), ""});
    return fault == DiskFault::kNone ? SQLITE_OK : SQLITE_IOERR_TRUNCATE;
  }

  // A folder that is synced names what there is now.
  static void link_all(SimulatedDisk& disk) {
    for (auto each = disk.files_.begin(); each != disk.files_.end();) {
      each->second->is_linked = each->second->exists;
      each->second->replaced = nullptr;
      each = each->second->exists ? std::next(each) : disk.files_.erase(each);
    }
  }

  static void bring_to_platter(Handle& handle) {
    File& file = **handle.file;
    for (const Pending& each : file.pending) {
      if (each.kind == Pending::Kind::kTruncate) {
        file.platter.resize(each.offset);
      } else {
        write_at(file.platter, each.offset, each.bytes);
      }
    }
    file.pending.clear();
    if (!file.needs_link) return;
    link_all(*handle.disk);
  }

  static int sync(sqlite3_file* raw, int) {
    Handle& handle = of(raw);
    ++handle.disk->figures_.syncs;
    switch (ask(handle, DiskOperation::kSync)) {
      case DiskFault::kNone:
        bring_to_platter(handle);
        return SQLITE_OK;
      case DiskFault::kPowerLossBehind:
        bring_to_platter(handle);
        return SQLITE_IOERR_FSYNC;
      case DiskFault::kForgottenSync:
        (*handle.file)->pending.clear();
        return SQLITE_IOERR_FSYNC;
      default:
        return SQLITE_IOERR_FSYNC;
    }
  }

  static int file_size(sqlite3_file* raw, sqlite3_int64* size) {
    Handle& handle = of(raw);
    if (!handle.disk->has_power_) return SQLITE_IOERR_FSTAT;
    *size = static_cast<sqlite3_int64>((*handle.file)->cache.size());
    return SQLITE_OK;
  }

  // --- Locks between connections: one process, so only their bookkeeping ---

  static bool others(const std::set<const Handle*>& holders, const Handle* mine) {
    return std::any_of(holders.begin(), holders.end(), [mine](const Handle* each) { return each != mine; });
  }

  static int lock(sqlite3_file* raw, int level) {
    Handle& handle = of(raw);
    File& file = **handle.file;
    if (level <= handle.lock) return SQLITE_OK;
    if (level == SQLITE_LOCK_SHARED) {
      if (others(file.pending_lock, &handle) || others(file.exclusive, &handle)) return SQLITE_BUSY;
      file.shared.insert(&handle);
    }
    if (level >= SQLITE_LOCK_RESERVED) {
      if (others(file.reserved, &handle) || others(file.pending_lock, &handle)) return SQLITE_BUSY;
      file.reserved.insert(&handle);
    }
    if (level == SQLITE_LOCK_EXCLUSIVE) {
      file.pending_lock.insert(&handle);
      handle.lock = SQLITE_LOCK_PENDING;
      if (others(file.shared, &handle)) return SQLITE_BUSY;
      file.exclusive.insert(&handle);
    }
    handle.lock = level;
    return SQLITE_OK;
  }

  static int unlock(sqlite3_file* raw, int level) {
    Handle& handle = of(raw);
    File& file = **handle.file;
    if (level < SQLITE_LOCK_RESERVED) {
      file.reserved.erase(&handle);
      file.pending_lock.erase(&handle);
      file.exclusive.erase(&handle);
    }
    if (level < SQLITE_LOCK_SHARED) file.shared.erase(&handle);
    handle.lock = std::min(handle.lock, level);
    return SQLITE_OK;
  }

  static int check_reserved(sqlite3_file* raw, int* out) {
    const File& file = **of(raw).file;
    *out = !file.reserved.empty() || !file.exclusive.empty() ? 1 : 0;
    return SQLITE_OK;
  }

  static int shm_map(sqlite3_file* raw, int region, int size, int extend, void volatile** out) {
    Handle& handle = of(raw);
    File& file = **handle.file;
    file.shm_users[&handle] = true;
    *out = nullptr;
    while (extend != 0 && file.shm.size() <= static_cast<std::size_t>(region)) {
      file.shm.push_back(std::make_unique<char[]>(static_cast<std::size_t>(size)));
    }
    if (file.shm.size() > static_cast<std::size_t>(region)) {
      *out = file.shm[static_cast<std::size_t>(region)].get();
    }
    return SQLITE_OK;
  }

  static int shm_lock(sqlite3_file* raw, int offset, int count, int flags) {
    Handle& handle = of(raw);
    File& file = **handle.file;
    const std::uint32_t mask = ((1U << count) - 1U) << offset;
    if ((flags & SQLITE_SHM_UNLOCK) != 0) {
      file.shm_shared[&handle] &= ~mask;
      file.shm_exclusive[&handle] &= ~mask;
      return SQLITE_OK;
    }
    for (const auto& [other, held] : file.shm_exclusive) {
      if (other != &handle && (held & mask) != 0) return SQLITE_BUSY;
    }
    if ((flags & SQLITE_SHM_SHARED) != 0) {
      file.shm_shared[&handle] |= mask;
      return SQLITE_OK;
    }
    for (const auto& [other, held] : file.shm_shared) {
      if (other != &handle && (held & mask) != 0) return SQLITE_BUSY;
    }
    file.shm_exclusive[&handle] |= mask;
    return SQLITE_OK;
  }

  static void shm_barrier(sqlite3_file*) {}

  static int shm_unmap(sqlite3_file* raw, int) {
    Handle& handle = of(raw);
    File& file = **handle.file;
    file.shm_users.erase(&handle);
    file.shm_shared.erase(&handle);
    file.shm_exclusive.erase(&handle);
    if (file.shm_users.empty()) file.shm.clear();
    return SQLITE_OK;
  }

  static int file_control(sqlite3_file*, int, void*) { return SQLITE_NOTFOUND; }
  static int sector_size(sqlite3_file*) { return static_cast<int>(kSector); }
  static int characteristics(sqlite3_file*) { return SQLITE_IOCAP_POWERSAFE_OVERWRITE; }

  // --- The file system ---

  static const sqlite3_io_methods& methods() {
    static const sqlite3_io_methods all = {2,
                                           close,
                                           read,
                                           write,
                                           truncate,
                                           sync,
                                           file_size,
                                           lock,
                                           unlock,
                                           check_reserved,
                                           file_control,
                                           sector_size,
                                           characteristics,
                                           shm_map,
                                           shm_lock,
                                           shm_barrier,
                                           shm_unmap,
                                           nullptr,
                                           nullptr};
    return all;
  }

  static int open(sqlite3_vfs* vfs, const char* path, sqlite3_file* raw, int flags, int* out_flags) {
    SimulatedDisk& disk = disk_of(vfs);
    raw->pMethods = nullptr;
    const std::string name = path == nullptr ? "" : path;
    if (!name.empty() && disk.ask(DiskOperation::kOpen, name) != DiskFault::kNone) return SQLITE_CANTOPEN;
    std::shared_ptr<File> file;
    const auto found = disk.files_.find(name);
    if (!name.empty() && found != disk.files_.end() && found->second->exists) file = found->second;
    if (file == nullptr) {
      // The store makes its database file before SQLite opens it; this disk makes it here.
      const bool may_make = (flags & (SQLITE_OPEN_CREATE | SQLITE_OPEN_MAIN_DB)) != 0;
      if (!may_make || (flags & SQLITE_OPEN_READONLY) != 0) return SQLITE_CANTOPEN;
      file = std::make_shared<File>();
      file->needs_link = (flags & (SQLITE_OPEN_WAL | SQLITE_OPEN_MAIN_JOURNAL)) != 0;
      if (!name.empty()) {
        // Removed, and the removal is not on the platter yet: two files compete for one name.
        if (found != disk.files_.end() && found->second->is_linked) file->replaced = found->second;
        disk.files_[name] = file;
      }
    }
    auto* handle = new (raw) Handle;
    handle->base.pMethods = &methods();
    handle->disk = &disk;
    handle->file = new std::shared_ptr<File>(std::move(file));
    handle->name = new std::string(name);
    handle->remove_on_close = (flags & SQLITE_OPEN_DELETEONCLOSE) != 0 && !name.empty();
    ++disk.open_handles_;
    if (out_flags != nullptr) *out_flags = flags;
    return SQLITE_OK;
  }

  static void remove(SimulatedDisk& disk, const std::string& name, bool synced) {
    const auto found = disk.files_.find(name);
    if (found == disk.files_.end()) return;
    found->second->exists = false;
    if (synced) link_all(disk);
  }

  static int remove_file(sqlite3_vfs* vfs, const char* path, int sync_folder) {
    SimulatedDisk& disk = disk_of(vfs);
    const auto found = disk.files_.find(path);
    if (found == disk.files_.end() || !found->second->exists) return SQLITE_IOERR_DELETE_NOENT;
    const DiskFault fault = disk.ask(DiskOperation::kRemove, path);
    if (fault != DiskFault::kNone && fault != DiskFault::kPowerLossBehind) return SQLITE_IOERR_DELETE;
    remove(disk, path, sync_folder != 0);
    return fault == DiskFault::kNone ? SQLITE_OK : SQLITE_IOERR_DELETE;
  }

  static int access(sqlite3_vfs* vfs, const char* path, int, int* out) {
    SimulatedDisk& disk = disk_of(vfs);
    if (!disk.has_power_) return SQLITE_IOERR_ACCESS;
    const auto found = disk.files_.find(path);
    // SQLite takes an empty log or journal for none.
    *out = found != disk.files_.end() && found->second->exists ? 1 : 0;
    return SQLITE_OK;
  }

  static int full_path(sqlite3_vfs*, const char* path, int size, char* out) {
    sqlite3_snprintf(size, out, "%s", path);
    return SQLITE_OK;
  }
  static int randomness(sqlite3_vfs*, int size, char* out) {
    std::fill(out, out + size, 'r');
    return size;
  }
  static int sleep(sqlite3_vfs*, int microseconds) {
    return microseconds;
  }  // Nobody else would move meanwhile.
  static int current_time(sqlite3_vfs*, double* out) {
    *out = 2'461'000.5;
    return SQLITE_OK;
  }
  static int last_error(sqlite3_vfs*, int, char*) { return 0; }
};

SimulatedDisk::SimulatedDisk() : registered_(std::make_unique<DiskVfs>()) {
  static int last = 0;
  name_ = "simulated-disk-" + std::to_string(++last);
  sqlite3_vfs& vfs = registered_->vfs;
  vfs.iVersion = 1;
  vfs.szOsFile = sizeof(Handle);
  vfs.mxPathname = 512;
  vfs.zName = name_.c_str();
  vfs.pAppData = this;
  vfs.xOpen = DiskCalls::open;
  vfs.xDelete = DiskCalls::remove_file;
  vfs.xAccess = DiskCalls::access;
  vfs.xFullPathname = DiskCalls::full_path;
  vfs.xRandomness = DiskCalls::randomness;
  vfs.xSleep = DiskCalls::sleep;
  vfs.xCurrentTime = DiskCalls::current_time;
  vfs.xGetLastError = DiskCalls::last_error;
  SORTIE_CHECK(sqlite3_vfs_register(&vfs, 0) == SQLITE_OK);
  sqlite3_test_control(SQLITE_TESTCTRL_PRNG_SEED, 4711, nullptr);  // Salts of the log: the same in a replay.
}

SimulatedDisk::~SimulatedDisk() { sqlite3_vfs_unregister(&registered_->vfs); }

DiskFault SimulatedDisk::ask(DiskOperation operation, const std::string& file) {
  if (!has_power_) return DiskFault::kPowerLoss;
  const DiskFault fault = plan_ && !resting_ ? plan_(operation, file) : DiskFault::kNone;
  if (fault == DiskFault::kPowerLoss || fault == DiskFault::kPowerLossBehind) has_power_ = false;
  return fault;
}

namespace {

enum class Fate { kAll, kNothing, kFirst, kWrites, kSectors };

// Applies to the platter what of one write survives; answers whether a part stayed and another went.
bool keep_sectors(std::string& platter, const Pending& write, Random& random, std::uint64_t* lost) {
  bool kept = false, dropped = false;
  for (std::size_t from = 0; from < write.bytes.size();) {
    const std::size_t in_sector = kSector - (write.offset + from) % kSector;
    const std::size_t length = std::min(in_sector, write.bytes.size() - from);
    if (random.next() % 2 == 0) {
      write_at(platter, write.offset + from, std::string_view(write.bytes).substr(from, length));
      kept = true;
    } else {
      ++*lost;
      dropped = true;
    }
    from += length;
  }
  return kept && dropped;
}

}  // namespace

void SimulatedDisk::restore_power(Random& random) {
  SORTIE_CHECK(open_handles_ == 0);
  const auto fate = static_cast<Fate>(random.next() % 5);
  for (auto each = files_.begin(); each != files_.end();) {
    const std::shared_ptr<File> replaced = each->second->replaced;
    if (replaced != nullptr && random.next() % 2 == 0) each->second = replaced;
    File& file = *each->second;
    if (replaced != nullptr) file.exists = file.is_linked = true;
    std::size_t first =
        fate == Fate::kFirst && !file.pending.empty() ? random.next() % file.pending.size() : 0;
    for (std::size_t i = 0; i < file.pending.size(); ++i) {
      const Pending& pending = file.pending[i];
      const bool whole = fate == Fate::kAll || (fate == Fate::kFirst && i < first) ||
                         (fate == Fate::kWrites && random.next() % 2 == 0);
      const bool torn = fate == Fate::kSectors || (fate == Fate::kFirst && i == first);
      if (pending.kind == Pending::Kind::kTruncate) {
        if (whole || (torn && random.next() % 2 == 0)) file.platter.resize(pending.offset);
      } else if (whole) {
        write_at(file.platter, pending.offset, pending.bytes);
      } else if (torn) {
        figures_.writes_torn += keep_sectors(file.platter, pending, random, &figures_.sectors_lost) ? 1 : 0;
      } else {
        figures_.sectors_lost += (pending.bytes.size() + kSector - 1) / kSector;
      }
    }
    const bool entry_changed = file.exists != file.is_linked;
    const bool there = entry_changed ? random.next() % 2 == 0 : file.exists;
    if (!there) {
      each = files_.erase(each);
      continue;
    }
    auto after = std::make_shared<File>();
    after->platter = std::move(file.platter);
    after->cache = after->platter;
    after->is_linked = true;
    after->needs_link = file.needs_link;
    each->second = std::move(after);
    ++each;
  }
  has_power_ = true;
}

void SimulatedDisk::damage(const std::string& name, std::size_t offset) {
  File& file = *files_.at(name);
  for (std::string* content : {&file.cache, &file.platter}) {
    if (offset < content->size()) (*content)[offset] = static_cast<char>((*content)[offset] ^ 0x10);
  }
}

std::size_t SimulatedDisk::size_of(const std::string& name) const {
  const auto found = files_.find(name);
  return found == files_.end() ? 0 : found->second->cache.size();
}

}  // namespace sortie::simulation
