#include "runtime/map_results.h"

#include "base/text.h"
#include "engine/codec.h"
#include "engine/map_run.h"
#include "json/members.h"
#include "json/text.h"

namespace sortie::runtime {
namespace map_results {

constexpr std::uint64_t kChildrenPerStep = 200;
constexpr std::string_view kKindNames[] = {"FAILED", "PENDING", "SUCCEEDED"};

std::string_view status_name(store::ExecutionStatus status) {
  static constexpr std::string_view kNames[] = {"RUNNING", "SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED"};
  return kNames[static_cast<std::size_t>(status)];
}

json::Value entry_of(const store::ExecutionRow& row, const engine::ExecutionImage& image,
                     const std::string& machine_arn) {
  const json::Value included = json::Value::object({{"Included", true}});
  json::ObjectBuilder out;
  if (image.cause) out.append("Cause", *image.cause);
  if (image.error) out.append("Error", *image.error);
  out.append("ExecutionArn", row.arn).append("Input", image.input_text).append("InputDetails", included);
  out.append("Name", row.name);
  if (image.output_text) out.append("Output", *image.output_text);
  out.append("OutputDetails", included);
  out.append("StartDate", to_iso8601(row.started_at)).append("StateMachineArn", machine_arn);
  out.append("Status", status_name(row.status)).append("StopDate", to_iso8601(row.stopped_at));
  return out.build();
}

}  // namespace map_results

MapResults::MapResults(Wiring wiring, Plan plan) : wiring_(wiring), plan_(std::move(plan)) {}

// An array grows as "[a,b"; lines as "a\nb\n".
void MapResults::append(File& file, const std::string& entry) const {
  if (plan_.writer.json_lines && plan_.writer.to_s3) {
    file.text += entry + "\n";
  } else {
    file.text += (file.text.empty() ? "[" : ",") + entry;
  }
}

std::string MapResults::end_of(const File& file) const {
  if (plan_.writer.json_lines && plan_.writer.to_s3) return file.text;
  return (file.text.empty() ? "[" : file.text) + "]";
}

std::string MapResults::folder() const {
  std::string prefix = json::text_member(plan_.destination, "Prefix");
  if (!prefix.empty() && prefix.back() != '/') prefix += '/';
  return prefix + plan_.map_run_arn.substr(plan_.map_run_arn.rfind(':') + 1) + "/";
}

void MapResults::add_pending(std::uint64_t child, const std::string& input_text,
                             std::function<void(Status)> done) {
  const std::string arn = plan_.arn_of(child);
  json::ObjectBuilder out;
  out.append("ExecutionArn", arn).append("Input", input_text);
  out.append("InputDetails", json::Value::object({{"Included", true}}));
  out.append("StateMachineArn", engine::map_child_machine_arn(plan_.map_run_arn)).append("Status", "PENDING");
  append(files_[kPendingKind], json::to_text(out.build()));
  if (files_[kPendingKind].text.size() < kFileBytes) return done({});
  flush(kPendingKind, std::move(done));
}

void MapResults::collect(std::function<void(Result<json::Value>)> done) {
  done_ = std::move(done);
  wiring_.loop.post([this, alive = std::weak_ptr<int>(alive_)] {
    if (!alive.expired()) step();
  });
}

void MapResults::answer(Result<json::Value> result) {
  const auto done = std::move(done_);  // It may end this object.
  done(std::move(result));
}

void MapResults::step() {
  const auto again = [this, alive = std::weak_ptr<int>(alive_)](const Status& status) {
    if (alive.expired()) return;
    if (!status) return answer(status.error());
    wiring_.loop.post([this, alive] {
      if (!alive.expired()) step();
    });
  };
  for (std::uint64_t i = 0; i < map_results::kChildrenPerStep && next_ < plan_.children; ++i) {
    if (Status status = take(next_++); !status) return answer(status.error());
    for (const Kind kind : {kFailed, kSucceeded}) {
      if (writes_files() && files_[kind].text.size() >= kFileBytes) return flush(kind, again);
    }
  }
  if (next_ < plan_.children) return again({});
  if (!writes_files()) return finish_output();
  flush_all(0);
}

Status MapResults::take(std::uint64_t child) {
  SORTIE_TRY(const std::optional<store::ExecutionRow> row, wiring_.store.find_execution(plan_.arn_of(child)));
  if (!row) return {};  // Its execution was deleted meanwhile.
  const bool succeeded = row->status == store::ExecutionStatus::kSucceeded;
  if (!succeeded && !writes_files()) return {};
  SORTIE_TRY(const engine::ExecutionImage image, engine::decode_execution(row->image));
  if (!succeeded) {
    append(files_[kFailed], json::to_text(map_results::entry_of(
                                *row, image, engine::map_child_machine_arn(plan_.map_run_arn))));
    return {};
  }
  const std::string output = image.output_text.value_or("null");
  if (plan_.writer.transformation == asl::ResultTransformation::kNone) {
    append(files_[kSucceeded], json::to_text(map_results::entry_of(
                                   *row, image, engine::map_child_machine_arn(plan_.map_run_arn))));
  } else {
    SORTIE_TRY(const json::Value value, json::parse(output));
    if (plan_.writer.transformation == asl::ResultTransformation::kFlatten && value.is_array()) {
      for (const json::Value& item : value.items()) append(files_[kSucceeded], json::to_text(item));
    } else {
      append(files_[kSucceeded], json::to_text(value));
    }
  }
  if (!writes_files() && files_[kSucceeded].text.size() > engine::kPayloadBytesMax) {
    return Error{"States.DataLimitExceeded",
                 "The state/task '" + plan_.state_name +
                     "' returned a result with a size exceeding the maximum number of bytes service limit.",
                 "", ""};
  }
  return {};
}

void MapResults::finish_output() {
  Result<json::Value> output = json::parse(end_of(files_[kSucceeded]));
  answer(std::move(output));
}

void MapResults::flush(Kind kind, std::function<void(Status)> done) {
  File& file = files_[kind];
  if (wiring_.objects == nullptr) {
    return wiring_.loop.post([done = std::move(done)] {
      done(Error{"States.ResultWriterFailed", "This server has no connection to S3.", "", ""});
    });
  }
  const std::string key = folder() + std::string(map_results::kKindNames[kind]) + "_" +
                          std::to_string(file.written.size()) +
                          (plan_.writer.json_lines ? ".jsonl" : ".json");
  std::string body = end_of(file);
  file.text.clear();
  file.written.push_back(
      json::Value::object({{"Key", key}, {"Size", static_cast<std::int64_t>(body.size())}}));
  WriteObject request{plan_.caller, json::text_member(plan_.destination, "Bucket"), key, std::move(body)};
  wiring_.objects->write(std::move(request),
                         [done = std::move(done), alive = std::weak_ptr<int>(alive_)](const Status& status) {
                           if (alive.expired()) return;
                           if (status) return done({});
                           done(Error{"States.ResultWriterFailed", status.error().message, "", ""});
                         });
}

void MapResults::flush_all(std::size_t kind) {
  if (kind == 3) return write_manifest();
  if (files_[kind].text.empty()) return flush_all(kind + 1);
  flush(static_cast<Kind>(kind), [this, kind](const Status& status) {
    if (!status) return answer(status.error());
    flush_all(kind + 1);
  });
}

void MapResults::write_manifest() {
  if (wiring_.objects == nullptr) {
    return answer(Error{"States.ResultWriterFailed", "This server has no connection to S3.", "", ""});
  }
  json::ObjectBuilder files;
  for (const Kind kind : {kFailed, kPendingKind, kSucceeded}) {
    files.append(map_results::kKindNames[kind], json::Value::array(files_[kind].written));
  }
  const std::string bucket = json::text_member(plan_.destination, "Bucket");
  const json::Value manifest = json::Value::object(
      {{"DestinationBucket", bucket}, {"MapRunArn", plan_.map_run_arn}, {"ResultFiles", files.build()}});
  const std::string key = folder() + "manifest.json";
  wiring_.objects->write(
      {plan_.caller, bucket, key, json::to_text(manifest)},
      [this, bucket, key, alive = std::weak_ptr<int>(alive_)](const Status& status) {
        if (alive.expired()) return;
        if (!status) return answer(Error{"States.ResultWriterFailed", status.error().message, "", ""});
        const json::Value where = json::Value::object({{"Bucket", bucket}, {"Key", key}});
        answer(json::Value::object({{"MapRunArn", plan_.map_run_arn}, {"ResultWriterDetails", where}}));
      });
}

}  // namespace sortie::runtime
