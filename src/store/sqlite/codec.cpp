#include "store/sqlite/codec.h"

#include <algorithm>
#include <cstring>

namespace sortie::store::sqlite {

namespace codec {

enum Tag : std::uint8_t {
  kExecution = 1,
  kFrame = 2,
  kFrameGone = 3,
  kPayload = 4,
  kHistory = 5,
  kEnded = 6,
  kTerms = 7,
};

// Where the name of a kTerms record stands.
enum NamePlace : std::uint8_t { kNoName = 0, kNameOfLastExecution = 1, kOwnName = 2 };

constexpr std::uint8_t kFormat = 1;
constexpr std::size_t kFingerprintBytes = 8;

std::uint64_t mix(std::uint64_t a, std::uint64_t b) {
  __extension__ using Wide = unsigned __int128;
  Wide product = static_cast<Wide>(a) * b;
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

std::uint64_t word(const char* bytes) {
  std::uint64_t value;
  std::memcpy(&value, bytes, sizeof(value));
  return value;  // Little-endian machines only, as everything this program is built for.
}

void put_fingerprint(std::string& body) {
  std::uint64_t value = fingerprint64(std::string_view(body).substr(kFingerprintBytes));
  std::memcpy(body.data(), &value, sizeof(value));
}

bool has_fingerprint(std::string_view body) {
  return body.size() > kFingerprintBytes &&
         word(body.data()) == fingerprint64(body.substr(kFingerprintBytes));
}

// "Never" is frequent, so it changes places with -1, which is short.
std::int64_t swap_never(std::int64_t ms) { return ms == kNever.ms ? -1 : ms == -1 ? kNever.ms : ms; }
std::int64_t from_time(Timestamp time) { return swap_never(time.ms); }
Timestamp to_time(std::int64_t value) { return Timestamp{swap_never(value)}; }

}  // namespace codec

std::uint64_t fingerprint64(std::string_view bytes) {
  constexpr std::uint64_t kA = 0xa0761d6478bd642fULL;
  constexpr std::uint64_t kB = 0xe7037ed1a0b428dbULL;
  std::uint64_t state = kA ^ codec::mix(bytes.size() + 1, kB);
  const char* at = bytes.data();
  std::size_t left = bytes.size();
  for (; left >= 16; at += 16, left -= 16) {
    state = codec::mix(codec::word(at) ^ kA, codec::word(at + 8) ^ state);
  }
  char tail[16] = {};
  if (left > 0) std::memcpy(tail, at, left);
  state = codec::mix(codec::word(tail) ^ kB, codec::word(tail + 8) ^ state);
  return codec::mix(state ^ kA, kB);
}

void ByteWriter::varint(std::uint64_t value) {
  char bytes[10];
  std::size_t count = 0;
  for (; value >= 0x80; value >>= 7) bytes[count++] = static_cast<char>(value | 0x80);
  bytes[count++] = static_cast<char>(value);
  out_.append(bytes, count);
}

void ByteWriter::zigzag(std::int64_t value) {
  varint((static_cast<std::uint64_t>(value) << 1) ^ static_cast<std::uint64_t>(value >> 63));
}

void ByteWriter::bytes(std::string_view value) {
  varint(value.size());
  out_.append(value);
}

std::uint8_t ByteReader::byte() {
  if (failed_ || position_ >= in_.size()) {
    failed_ = true;
    return 0;
  }
  return static_cast<std::uint8_t>(in_[position_++]);
}

std::uint64_t ByteReader::varint() {
  std::uint64_t value = 0;
  for (int shift = 0; shift < 70; shift += 7) {
    std::uint8_t next = byte();
    if (failed_) return 0;
    if (shift == 63 && next > 1) break;
    value |= static_cast<std::uint64_t>(next & 0x7f) << shift;
    if ((next & 0x80) == 0) return value;
  }
  failed_ = true;
  return 0;
}

std::int64_t ByteReader::zigzag() {
  std::uint64_t value = varint();
  return static_cast<std::int64_t>(value >> 1) ^ -static_cast<std::int64_t>(value & 1);
}

std::string_view ByteReader::bytes() {
  std::uint64_t length = varint();
  if (failed_ || length > in_.size() - position_) {
    failed_ = true;
    return {};
  }
  std::string_view value = in_.substr(position_, static_cast<std::size_t>(length));
  position_ += value.size();
  return value;
}

std::string ExecutionView::arn() const {
  std::string text(arn_prefix);
  text += arn_rest ? *arn_rest : name;
  return text;
}

bool ExecutionView::has_arn(std::string_view arn) const {
  std::string_view rest = arn_rest ? *arn_rest : name;
  return arn.size() == arn_prefix.size() + rest.size() && arn.starts_with(arn_prefix) && arn.ends_with(rest);
}

ExecutionRow ExecutionView::row(bool with_image) const {
  ExecutionRow row;
  row.no = no;
  row.arn = arn();
  row.state_machine_arn = state_machine_arn;
  row.name = name;
  row.status = status;
  row.started_at = started_at;
  row.stopped_at = stopped_at;
  if (with_image) row.image = image;
  return row;
}

ExecutionView view_of(const ExecutionRow& row) {
  ExecutionView view;
  view.no = row.no;
  view.status = row.status;
  view.started_at = row.started_at;
  view.stopped_at = row.stopped_at;
  view.state_machine_arn = row.state_machine_arn;
  view.name = row.name;
  view.image = row.image;
  std::string_view arn = row.arn;
  if (!row.name.empty() && arn.ends_with(row.name)) {
    view.arn_prefix = arn.substr(0, arn.size() - row.name.size());
  } else {
    view.arn_rest = arn;
  }
  return view;
}

GroupEncoder::GroupEncoder(std::size_t expected_bytes) : out_(body_) {
  body_.reserve(expected_bytes);
  body_.append(codec::kFingerprintBytes, '\0');
  out_.byte(codec::kFormat);
}

void GroupEncoder::record(std::uint8_t tag, ExecutionNo execution) {
  out_.byte(tag);
  out_.varint(execution);
  ++records_;
}

void GroupEncoder::text(std::string_view value) {
  // 0: a new text follows; n: the n-th text of this body.
  auto [entry, fresh] = texts_.try_emplace(value, texts_.size() + 1);
  out_.varint(fresh ? 0 : entry->second);
  if (fresh) out_.bytes(value);
}

void GroupEncoder::add(const Batch& batch) {
  for (const ExecutionRow& row : batch.executions) {
    highest_ = std::max(highest_, row.no);
    ExecutionView view = view_of(row);
    record(codec::kExecution, row.no);
    out_.byte(static_cast<std::uint8_t>(view.status));
    out_.zigzag(codec::from_time(view.started_at));
    out_.zigzag(codec::from_time(view.stopped_at));
    text(view.state_machine_arn);
    text(view.arn_prefix);
    out_.byte(view.arn_rest ? 1 : 0);
    if (view.arn_rest) out_.bytes(*view.arn_rest);
    out_.bytes(view.name);
    out_.bytes(view.image);
  }
  for (const FrameRow& row : batch.frames) {
    record(codec::kFrame, row.key.execution);
    out_.varint(row.key.frame);
    out_.zigzag(codec::from_time(row.wake_at));
    out_.bytes(row.image);
  }
  for (const FrameKey& key : batch.frames_gone) {
    record(codec::kFrameGone, key.execution);
    out_.varint(key.frame);
  }
  for (const PayloadRow& row : batch.payloads) {
    record(codec::kPayload, row.execution);
    out_.varint(row.payload);
    out_.bytes(row.body);
  }
  for (const HistoryChunk& chunk : batch.history) {
    record(codec::kHistory, chunk.execution);
    out_.zigzag(chunk.first_event_id);
    out_.zigzag(chunk.count);
    out_.bytes(chunk.body);
  }
  for (const TermRow& row : batch.terms) {
    record(codec::kTerms, row.execution);
    // An execution and its terms come in one batch, as a rule: its name is not told again.
    const bool is_known = !batch.executions.empty() && batch.executions.back().no == row.execution &&
                          batch.executions.back().name == row.name;
    out_.byte(row.name.empty() ? codec::kNoName : is_known ? codec::kNameOfLastExecution : codec::kOwnName);
    if (!row.name.empty() && !is_known) out_.bytes(row.name);
    out_.varint(row.terms.size() * kTermBytes);
    for (std::uint32_t term : row.terms) {
      for (std::size_t i = 0; i < kTermBytes; ++i) out_.byte(static_cast<std::uint8_t>(term >> (8 * i)));
    }
  }
  for (ExecutionNo no : batch.ended) record(codec::kEnded, no);
}

std::uint32_t term_at(std::string_view terms, std::size_t index) {
  std::uint32_t term = 0;
  std::memcpy(&term, terms.data() + index * kTermBytes, sizeof(term));
  return term;
}

std::string GroupEncoder::finish() {
  codec::put_fingerprint(body_);
  // The overlay keeps it for long.
  if (body_.capacity() > body_.size() + body_.size() / 2) body_.shrink_to_fit();
  return std::move(body_);
}

namespace codec {

class Decoder {
 public:
  Decoder(std::string_view body, GroupVisitor& visitor) : in_(body), visitor_(visitor) {}

  bool run() {
    for (std::size_t i = 0; i < kFingerprintBytes; ++i) in_.byte();
    if (in_.byte() != kFormat) return false;
    while (!in_.done()) {
      if (!record()) return false;
    }
    return !in_.failed();
  }

 private:
  bool record() {
    std::uint8_t tag = in_.byte();
    ExecutionNo no = in_.varint();
    switch (tag) {
      case kExecution:
        return execution(no);
      case kFrame: {
        auto frame = static_cast<FrameNo>(in_.varint());
        Timestamp wake_at = to_time(in_.zigzag());
        std::string_view image = in_.bytes();
        if (!in_.failed()) visitor_.on_frame({no, frame}, wake_at, image);
        return !in_.failed();
      }
      case kFrameGone: {
        auto frame = static_cast<FrameNo>(in_.varint());
        if (!in_.failed()) visitor_.on_frame_gone({no, frame});
        return !in_.failed();
      }
      case kPayload: {
        auto payload = static_cast<PayloadNo>(in_.varint());
        std::string_view bytes = in_.bytes();
        if (!in_.failed()) visitor_.on_payload(no, payload, bytes);
        return !in_.failed();
      }
      case kHistory: {
        std::int64_t first = in_.zigzag();
        auto count = static_cast<std::int32_t>(in_.zigzag());
        std::string_view bytes = in_.bytes();
        if (!in_.failed()) visitor_.on_history(no, first, count, bytes);
        return !in_.failed();
      }
      case kTerms:
        return terms(no);
      case kEnded:
        if (!in_.failed()) visitor_.on_ended(no);
        return !in_.failed();
      default:
        return false;
    }
  }

  bool execution(ExecutionNo no) {
    ExecutionView view;
    view.no = no;
    std::uint8_t status = in_.byte();
    if (status > static_cast<std::uint8_t>(ExecutionStatus::kAborted)) return false;
    view.status = static_cast<ExecutionStatus>(status);
    view.started_at = to_time(in_.zigzag());
    view.stopped_at = to_time(in_.zigzag());
    if (!text(&view.state_machine_arn) || !text(&view.arn_prefix)) return false;
    if (in_.byte() != 0) view.arn_rest = in_.bytes();
    view.name = in_.bytes();
    view.image = in_.bytes();
    last_name_ = view.name;
    if (!in_.failed()) visitor_.on_execution(view);
    return !in_.failed();
  }

  bool terms(ExecutionNo no) {
    const std::uint8_t place = in_.byte();
    if (place > kOwnName) return false;
    std::string_view name;
    if (place == kNameOfLastExecution) name = last_name_;
    if (place == kOwnName) name = in_.bytes();
    const std::string_view terms = in_.bytes();
    if (in_.failed() || terms.size() % kTermBytes != 0) return false;
    visitor_.on_terms(no, name, terms);
    return true;
  }

  bool text(std::string_view* value) {
    std::uint64_t index = in_.varint();
    if (in_.failed() || index > texts_.size()) return false;
    if (index == 0) texts_.push_back(in_.bytes());
    *value = index == 0 ? texts_.back() : texts_[index - 1];
    return !in_.failed();
  }

  ByteReader in_;
  GroupVisitor& visitor_;
  std::vector<std::string_view> texts_;
  std::string_view last_name_;  // Of the last execution.
};

}  // namespace codec

bool decode_group(std::string_view body, GroupVisitor& visitor) {
  return codec::has_fingerprint(body) && decode_own_group(body, visitor);
}

bool decode_own_group(std::string_view body, GroupVisitor& visitor) {
  return codec::Decoder(body, visitor).run();
}

ChunkEncoder::ChunkEncoder() : body_(codec::kFingerprintBytes, '\0') {}

void ChunkEncoder::add(std::int64_t first_event_id, std::int32_t count, std::string_view body) {
  ByteWriter out(body_);
  out.zigzag(first_event_id);
  out.zigzag(count);
  out.bytes(body);
  ++chunks_;
  first_event_id_ = std::min(first_event_id_, first_event_id);
  last_event_id_ = std::max(last_event_id_, first_event_id + count - 1);
}

std::string ChunkEncoder::finish() {
  codec::put_fingerprint(body_);
  return std::move(body_);
}

bool decode_chunks(std::string_view bytes, ExecutionNo execution, std::vector<HistoryChunk>* chunks) {
  if (!codec::has_fingerprint(bytes)) return false;
  ByteReader in(bytes.substr(codec::kFingerprintBytes));
  while (!in.done()) {
    HistoryChunk chunk;
    chunk.execution = execution;
    chunk.first_event_id = in.zigzag();
    chunk.count = static_cast<std::int32_t>(in.zigzag());
    chunk.body = in.bytes();
    if (in.failed()) return false;
    chunks->push_back(std::move(chunk));
  }
  return !in.failed();
}

}  // namespace sortie::store::sqlite
