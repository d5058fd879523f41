#pragma once
// How a group commit is written into one journal row, and read back.
//
// A body is an 8-byte fingerprint of the rest, a format byte, and records: a tag and fields. Numbers are
// varints (7 bits a byte, low first), times are zigzag varints, texts and bytes carry their length. ARNs
// repeat a lot; a text that the same body has already spelled is a reference to it. Records apply in the
// order in which they stand; what is decoded are views into the body, which must outlive them.
//
// decode_group trusts nothing: bounds are checked, and a wrong fingerprint is "StoreCorrupt".
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "store/store.h"

namespace sortie::store::sqlite {

using GroupNo = std::uint64_t;  // Ascending, one per journal row, from 1.

class ByteWriter {
 public:
  explicit ByteWriter(std::string& out) : out_(out) {}
  void byte(std::uint8_t value) { out_.push_back(static_cast<char>(value)); }
  void varint(std::uint64_t value);
  void zigzag(std::int64_t value);
  void bytes(std::string_view value);

 private:
  std::string& out_;
};

class ByteReader {
 public:
  explicit ByteReader(std::string_view in) : in_(in) {}
  std::uint8_t byte();
  std::uint64_t varint();
  std::int64_t zigzag();
  std::string_view bytes();
  std::size_t position() const { return position_; }
  bool done() const { return failed_ || position_ == in_.size(); }
  bool failed() const { return failed_; }  // Once set, everything reads as zero or empty.

 private:
  std::string_view in_;
  std::size_t position_ = 0;
  bool failed_ = false;
};

// An ExecutionRow as views. The ARN is prefix + (rest, or the name when there is no rest).
struct ExecutionView {
  ExecutionNo no = 0;
  ExecutionStatus status = ExecutionStatus::kRunning;
  Timestamp started_at;
  Timestamp stopped_at;
  std::string_view state_machine_arn;
  std::string_view arn_prefix;
  std::optional<std::string_view> arn_rest;
  std::string_view name;
  std::string_view image;

  std::string arn() const;
  bool has_arn(std::string_view arn) const;
  ExecutionRow row(bool with_image) const;
};
ExecutionView view_of(const ExecutionRow& row);

// What the records of a body are told to, in order.
class GroupVisitor {
 public:
  virtual ~GroupVisitor() = default;
  virtual void on_execution(const ExecutionView& execution) = 0;
  virtual void on_frame(FrameKey key, Timestamp wake_at, std::string_view image) = 0;
  virtual void on_frame_gone(FrameKey key) = 0;
  virtual void on_payload(ExecutionNo execution, PayloadNo payload, std::string_view body) = 0;
  virtual void on_history(ExecutionNo execution, std::int64_t first_event_id, std::int32_t count,
                          std::string_view body) = 0;
  virtual void on_ended(ExecutionNo execution) = 0;
  // `terms`: four bytes each, the low one first.
  virtual void on_terms(ExecutionNo execution, std::string_view name, std::string_view terms) = 0;
};
inline constexpr std::size_t kTermBytes = 4;
std::uint32_t term_at(std::string_view terms, std::size_t index);

class GroupEncoder {
 public:
  explicit GroupEncoder(std::size_t expected_bytes = 0);
  void add(const Batch& batch);  // The batch must outlive the encoder.
  bool empty() const { return records_ == 0; }
  std::size_t size() const { return body_.size(); }
  std::size_t records() const { return records_; }
  ExecutionNo highest_execution() const { return highest_; }
  std::string finish();  // Once; leaves the encoder empty-handed.

 private:
  void record(std::uint8_t tag, ExecutionNo execution);
  void text(std::string_view value);

  std::string body_;
  ByteWriter out_;
  std::size_t records_ = 0;
  ExecutionNo highest_ = 0;
  std::unordered_map<std::string_view, std::uint64_t> texts_;
};

// False when the body is not what GroupEncoder wrote.
bool decode_group(std::string_view body, GroupVisitor& visitor);
// The same of a body that this process has just made: its fingerprint need not be looked at.
bool decode_own_group(std::string_view body, GroupVisitor& visitor);

// history.body: chunks of one execution, behind a fingerprint.
class ChunkEncoder {
 public:
  ChunkEncoder();
  void add(std::int64_t first_event_id, std::int32_t count, std::string_view body);
  bool empty() const { return chunks_ == 0; }
  std::size_t size() const { return body_.size(); }
  std::int64_t first_event_id() const { return first_event_id_; }  // The lowest...
  std::int64_t last_event_id() const { return last_event_id_; }    // ... and the highest of all chunks.
  std::string finish();                                            // Once.

 private:
  std::string body_;
  std::size_t chunks_ = 0;
  std::int64_t first_event_id_ = INT64_MAX, last_event_id_ = 0;
};
bool decode_chunks(std::string_view bytes, ExecutionNo execution, std::vector<HistoryChunk>* chunks);

// Fast and well mixed, for finding damage and for hash keys; never for secrets. Its values are on disk.
std::uint64_t fingerprint64(std::string_view bytes);

}  // namespace sortie::store::sqlite
