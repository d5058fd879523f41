// What the server does by itself from time to time: old executions go, and failed commits are told.
#include <filesystem>

#include "cli/log.h"
#include "cli/server_app.h"

namespace sortie::cli {

namespace {

constexpr std::int64_t kRetentionMs = 60'000;
constexpr std::int64_t kRetentionGapMs = 50;  // Between steps, as long as there is something to delete.
constexpr std::size_t kRetentionStep = 200;
constexpr std::int64_t kCommitWatchMs = 1'000;
constexpr std::uintmax_t kDiskFullBytes = 8ULL * 1024 * 1024;

}  // namespace

// Not on the loop's thread: a step waits for the disk. The store may be gone when it is its turn.
void ServerApp::keep_retention(bool has_more) {
  loop_.call_after(has_more ? kRetentionGapMs : kRetentionMs, [this] {
    auto gone = std::make_shared<Result<std::size_t>>(std::size_t{0});
    loop_.run_in_background(
        [gone, reach = store_reach_, before = loop_.now().plus_ms(-config_.keep_executions_ms)] {
          const std::lock_guard lock(reach->mutex);
          if (reach->store != nullptr) *gone = reach->store->delete_ended_before(before, kRetentionStep);
        },
        [this, gone, reach = store_reach_] {
          if (reach->store == nullptr) return;
          if (!*gone) log(LogLevel::kError, "retention", gone->error());
          keep_retention(gone->ok() && gone->value() == kRetentionStep);
        });
  });
}

// Callers are told one by one that nothing could be written; the operator has to know it, too.
void ServerApp::watch_commits(std::uint64_t failures_told) {
  loop_.call_after(kCommitWatchMs, [this, failures_told] {
    const std::uint64_t failures = runtime_->figures().commit_failures;
    if (failures != failures_told) {
      std::error_code ignored;
      const auto space = std::filesystem::space(data_folder_, ignored);
      const std::string told =
          "the store could not write " + std::to_string(failures - failures_told) + " changes";
      log(LogLevel::kError, uses_postgres()
                                ? told
                                : told + "; " + std::to_string(space.available / 1024) + " KB are free at " +
                                      data_folder_ +
                                      (space.available < kDiskFullBytes ? ": the disk is full" : ""));
    }
    watch_commits(failures);
  });
}

}  // namespace sortie::cli
