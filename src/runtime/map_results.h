#pragma once
// MapResults puts the results of a map run together when its children have ended: as the Map's output, or as
// files in S3 and a manifest, laid out as Step Functions does:
//
//   PREFIX/RUN/manifest.json      {DestinationBucket, MapRunArn, ResultFiles: {FAILED, PENDING, SUCCEEDED}}
//   PREFIX/RUN/SUCCEEDED_0.json   an array (or with OutputType JSONL lines) of what became of each child
//   PREFIX/RUN/FAILED_0.json      failed, timed out and aborted children
//   PREFIX/RUN/PENDING_0.json     what was never started, of a run that failed or was aborted
//
// A child is read from the store by its number, in slices, so memory is bounded by one file of each kind; a
// file ends when it has kFileBytes. Writing is repeatable: a run that is interrupted here writes the same
// files again.
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "asl/state_machine.h"
#include "base/clock.h"
#include "runtime/object_store.h"
#include "store/store.h"

namespace sortie::runtime {

class MapResults {
 public:
  static constexpr std::size_t kFileBytes = 4 * 1024 * 1024;

  struct Wiring {
    Loop& loop;
    store::Store& store;
    ObjectStore* objects;  // May be null: then writing to S3 is an error.
  };
  struct Plan {
    std::string map_run_arn;
    std::uint64_t children = 0;
    std::function<std::string(std::uint64_t child)> arn_of;
    std::string state_name;    // For the cause of what is too large.
    asl::ResultWriter writer;  // Without one: compact, in the output.
    json::Value destination;   // Bucket, Prefix.
    ObjectCaller caller;
  };

  MapResults(Wiring wiring, Plan plan);

  bool writes_files() const { return plan_.writer.to_s3; }
  // What was never started, before collect(); answers whether there is room for more now (else wait for it).
  void add_pending(std::uint64_t child, const std::string& input_text, std::function<void(Status)> done);
  // The Map's output. Errors: "States.ResultWriterFailed", "States.DataLimitExceeded", and the store's.
  void collect(std::function<void(Result<json::Value>)> done);

 private:
  enum Kind : std::size_t { kFailed, kPendingKind, kSucceeded };
  struct File {
    std::string text;
    std::vector<json::Value> written;  // {Key, Size}
  };

  void step();
  Status take(std::uint64_t child);
  void append(File& file, const std::string& entry) const;
  void append_succeeded(const json::Value& entry, const std::string& output_text);
  std::string end_of(const File& file) const;
  std::string folder() const;
  void flush(Kind kind, std::function<void(Status)> done);
  void flush_all(std::size_t kind);
  void write_manifest();
  void finish_output();
  void answer(Result<json::Value> result);

  Wiring wiring_;
  Plan plan_;
  File files_[3];
  std::uint64_t next_ = 0;
  std::function<void(Result<json::Value>)> done_;
  std::shared_ptr<int> alive_ = std::make_shared<int>(0);
};

}  // namespace sortie::runtime
