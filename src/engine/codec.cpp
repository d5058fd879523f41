#include "engine/codec.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "json/plain.h"
#include "json/text.h"

namespace sortie::engine {
namespace {

constexpr std::uint8_t kFormatVersion = 1;
// Positions in Phase.
constexpr std::size_t kReadyPhase = 0, kSleepingPhase = 1, kBackingOffPhase = 2, kTaskPhase = 3,
                      kJoiningPhase = 4, kMapRunPhase = 6;
constexpr std::size_t kRedrivenMapRun = 7;  // A kMapRunPhase that was redriven or is over.

// Stands for a value that the same image holds already, followed by its place among the inline values.
constexpr std::uint8_t kSameValue = 5;

class Writer {
 public:
  explicit Writer(std::size_t headroom = 0) {
    out_.reserve(kTypicalBytes);
    out_.append(headroom, '\0');
  }
  void byte(std::uint8_t value) {
    if (staged_count_ == sizeof(staged_)) flush();
    staged_[staged_count_++] = static_cast<char>(value);
  }
  // Several at once: most of an image is small numbers, and room for all of them is looked for once.
  template <typename... Numbers>
  void numbers(Numbers... values) {
    static_assert(sizeof...(values) * kNumberBytesMax <= kStagedBytes);
    if (staged_count_ > kStagedBytes - sizeof...(values) * kNumberBytesMax) flush();
    char* at = staged_ + staged_count_;
    ((at = put(at, values)), ...);
    staged_count_ = static_cast<std::size_t>(at - staged_);
  }
  void number(std::uint64_t value) { numbers(value); }
  // Zigzag, so that small negative numbers stay short.
  static std::uint64_t zigzag(std::int64_t value) {
    return (static_cast<std::uint64_t>(value) << 1) ^ static_cast<std::uint64_t>(value >> 63);
  }
  static std::uint64_t of_time(Timestamp time) { return zigzag(time == kNever ? -1 : time.ms); }
  void signed_number(std::int64_t value) { number(zigzag(value)); }
  void time(Timestamp time) { number(of_time(time)); }
  void text(std::string_view text) {
    number(text.size());
    bytes(text);
  }
  void bytes(std::string_view text) {
    if (text.size() > sizeof(staged_) - staged_count_) flush();
    if (text.size() > sizeof(staged_)) {
      out_ += text;
      return;
    }
    std::memcpy(staged_ + staged_count_, text.data(), text.size());
    staged_count_ += text.size();
  }
  void optional_text(const std::optional<std::string>& text_or_none) {
    byte(text_or_none.has_value() ? 1 : 0);
    if (text_or_none) text(*text_or_none);
  }
  void value(const json::Value& value, PayloadSink& payloads) {
    if (value.is_null()) return byte(0);
    const void* const identity = value.identity();
    if (identity != nullptr) {
      for (const Inline& earlier : inline_) {
        if (earlier.identity != identity) continue;
        byte(kSameValue);
        return number(earlier.number);
      }
      if (const auto known = payloads.find(value)) return reference(*known);
    }
    if (value.is_string()) {
      // Texts are quickly made, and each event has its own: names, ARNs, errors, most without any escapes.
      const std::string_view plain = value.as_string();
      if (plain.size() + 2 <= kInlineBytesMax && json::is_plain(plain)) {
        begin_inline(identity);
        number(plain.size() + 2);
        byte('"');
        bytes(plain);
        return byte('"');
      }
    }
    TextCache* const texts = identity != nullptr && !value.is_string() ? payloads.texts : nullptr;
    if (const std::string* known = texts != nullptr ? texts->find(identity) : nullptr) {
      begin_inline(identity);
      return text(*known);
    }
    // Written where it will stand; its length is put before it once it is known.
    flush();
    const std::size_t start = out_.size();
    json::append_text(out_, value);
    const std::string_view made = std::string_view(out_).substr(start);
    if (identity != nullptr && made.size() > kInlineBytesMax) {
      std::string long_text(made);
      out_.resize(start);
      return reference(payloads.keep(value, std::move(long_text)));
    }
    if (texts != nullptr) texts->keep(value, made);
    begin_inline(identity);
    number(made.size());
    out_.insert(start, staged_, staged_count_);
    staged_count_ = 0;
  }
  void detail(const Detail& detail, PayloadSink& payloads) {
    if (detail.text.empty()) return value(detail.value, payloads);
    if (detail.text.size() <= kInlineBytesMax) {
      byte(3);
      return text(detail.text);
    }
    byte(4);
    const auto known = payloads.find(detail.value);
    number(known ? *known : payloads.keep(detail.value, detail.text));
  }
  std::string take() {
    flush();
    return std::move(out_);
  }

 private:
  static char* put(char* at, std::uint64_t value) {
    for (; value >= 0x80; value >>= 7) *at++ = static_cast<char>(value | 0x80);
    *at++ = static_cast<char>(value);
    return at;
  }
  void flush() {
    out_.append(staged_, staged_count_);
    staged_count_ = 0;
  }
  void begin_inline(const void* identity) {
    if (identity != nullptr) inline_[inline_count_ % kInlineRemembered] = {identity, inline_count_};
    ++inline_count_;
    byte(1);
  }
  void reference(std::uint32_t payload) {
    byte(2);
    number(payload);
  }

  // The values written last, by the place they have among the inline values of this image. They are alive
  // for as long as they are being encoded, so an address names one value.
  static constexpr std::size_t kInlineRemembered = 8;
  static constexpr std::size_t kNumberBytesMax = 10;
  static constexpr std::size_t kStagedBytes = 256;
  static constexpr std::size_t kTypicalBytes =
      512;  // Most images fit, so that they are written without growing.
  struct Inline {
    const void* identity = nullptr;
    std::uint64_t number = 0;
  };

  std::string out_;
  char staged_[kStagedBytes];  // What comes in small pieces, gathered.
  std::size_t staged_count_ = 0;
  std::array<Inline, kInlineRemembered> inline_;
  std::uint64_t inline_count_ = 0;
};

// Reads past the end or out of shape set the failure flag and give zeros; the caller checks once at the end.
class Reader {
 public:
  Reader(std::string_view bytes, PayloadSource* payloads) : in_(bytes), payloads_(payloads) {}

  std::uint8_t byte() {
    if (at_ >= in_.size()) return fail(), 0;
    return static_cast<std::uint8_t>(in_[at_++]);
  }
  std::uint64_t number() {
    std::uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      const std::uint8_t next = byte();
      value |= static_cast<std::uint64_t>(next & 0x7F) << shift;
      if (next < 0x80) return value;
    }
    return fail(), 0;
  }
  std::uint32_t small() {
    const std::uint64_t value = number();
    if (value > UINT32_MAX) return fail(), 0;
    return static_cast<std::uint32_t>(value);
  }
  std::int64_t signed_number() {
    const std::uint64_t raw = number();
    return static_cast<std::int64_t>(raw >> 1) ^ -static_cast<std::int64_t>(raw & 1);
  }
  Timestamp time() {
    const std::int64_t ms = signed_number();
    return ms == -1 ? kNever : Timestamp{ms};
  }
  std::string text() {
    const std::uint64_t size = number();
    if (size > in_.size() - at_) return fail(), std::string();
    at_ += size;
    return std::string(in_.substr(at_ - size, size));
  }
  std::optional<std::string> optional_text() {
    if (byte() == 0) return std::nullopt;
    return text();
  }
  void detail(Detail& detail) {
    if (at_ >= in_.size() || (in_[at_] != 3 && in_[at_] != 4)) {
      detail.value = value();
      return;
    }
    Result<std::string> shown = byte() == 3 ? Result<std::string>(text()) : payloads_->load_text(small());
    const Result<json::Value> read = shown ? json::parse(*shown) : Result<json::Value>(shown.error());
    if (!read) return fail();
    detail.value = *read;
    detail.text = std::move(shown).value();
  }
  json::Value value() {
    const std::uint8_t tag = byte();
    if (tag == 0) return {};
    if (tag == kSameValue) {
      const std::uint64_t earlier = number();
      return earlier < inline_.size() ? inline_[earlier] : (fail(), json::Value());
    }
    Result<json::Value> read = tag == 1   ? json::parse(text())
                               : tag == 2 ? payloads_->load(small())
                                          : Error{"StoreCorrupt", "unknown value tag", "", ""};
    if (!read) {
      fail();
      if (error_.code.empty()) error_ = read.error();
      return {};
    }
    if (tag == 1) inline_.push_back(*read);
    return std::move(read).value();
  }
  void skip_value() {
    switch (byte()) {
      case 0:
        return;
      case 1: {
        const std::uint64_t size = number();
        if (size > in_.size() - at_) return fail();
        at_ += size;
        return;
      }
      case 2:
      case kSameValue:
        number();
        return;
      default:
        fail();
    }
  }
  bool version_is_known() {
    if (byte() == kFormatVersion) return true;
    fail();
    return false;
  }
  // How many elements may still follow: a hostile count must not reserve memory.
  std::size_t count() {
    const std::uint64_t value = number();
    if (value > in_.size() - at_) return fail(), 0;
    return value;
  }
  bool ok() const { return !failed_; }
  bool at_end() const { return at_ == in_.size(); }
  Error error(std::string_view what) const {
    if (!error_.code.empty() && error_.code != "InvalidJson") return error_;
    return {"StoreCorrupt", "the stored " + std::string(what) + " cannot be read", "",
            "restore a backup of the data folder"};
  }

 private:
  void fail() {
    failed_ = true;
    at_ = in_.size();
  }

  std::string_view in_;
  PayloadSource* payloads_;
  std::size_t at_ = 0;
  std::vector<json::Value> inline_;  // In the order in which they stand in the image.
  bool failed_ = false;
  Error error_;
};

void write_phase(Writer& out, const Phase& phase, PayloadSink& payloads) {
  const auto* map_run = std::get_if<InMapRun>(&phase);
  const bool is_redriven = map_run != nullptr && (map_run->redrives > 0 || map_run->is_over);
  out.byte(static_cast<std::uint8_t>(is_redriven ? kRedrivenMapRun : phase.index()));
  if (const auto* sleeping = std::get_if<Sleeping>(&phase)) return out.time(sleeping->until);
  if (const auto* backing_off = std::get_if<BackingOff>(&phase)) return out.time(backing_off->until);
  if (const auto* task = std::get_if<InTask>(&phase)) {
    out.byte(static_cast<std::uint8_t>((task->submitted ? 1 : 0) | (task->started ? 2 : 0)));
    out.value(task->parameters, payloads);
    out.value(task->credentials, payloads);
    out.numbers(Writer::of_time(task->scheduled_at), Writer::of_time(task->deadline),
                Writer::of_time(task->heartbeat_deadline), Writer::zigzag(task->heartbeat_seconds),
                Writer::zigzag(task->timeout_seconds));
  } else if (const auto* join = std::get_if<Joining>(&phase)) {
    out.value(join->input, payloads);
    out.value(join->items, payloads);
    out.number(join->first_child);
    out.number(join->total);
    out.number(join->started);
    out.number(join->succeeded);
    out.number(join->concurrency);
  } else if (const auto* finished = std::get_if<Finished>(&phase)) {
    out.value(finished->output, payloads);
  } else if (map_run != nullptr) {
    out.text(map_run->run);
    for (const json::Value* value : {&map_run->input, &map_run->items, &map_run->reader, &map_run->writer,
                                     &map_run->batch_input, &map_run->limits}) {
      out.value(*value, payloads);
    }
    if (is_redriven) {
      out.number(map_run->redrives);
      out.byte(map_run->is_over ? 1 : 0);
    }
  }
}

Phase read_phase(Reader& in) {
  const std::uint8_t kind = in.byte();
  switch (kind) {
    case kSleepingPhase:
      return Sleeping{in.time()};
    case kBackingOffPhase:
      return BackingOff{in.time()};
    case kTaskPhase: {
      InTask task;
      const std::uint8_t flags = in.byte();
      task.submitted = (flags & 1) != 0;
      task.started = (flags & 2) != 0;
      task.parameters = in.value();
      task.credentials = in.value();
      task.scheduled_at = in.time();
      task.deadline = in.time();
      task.heartbeat_deadline = in.time();
      task.heartbeat_seconds = in.signed_number();
      task.timeout_seconds = in.signed_number();
      return task;
    }
    case kJoiningPhase: {
      Joining join;
      join.input = in.value();
      join.items = in.value();
      join.first_child = in.small();
      join.total = in.small();
      join.started = in.small();
      join.succeeded = in.small();
      join.concurrency = in.small();
      return join;
    }
    case 5:
      return Finished{in.value()};
    case kMapRunPhase:
    case kRedrivenMapRun: {
      InMapRun run;
      run.run = in.text();
      for (json::Value* value :
           {&run.input, &run.items, &run.reader, &run.writer, &run.batch_input, &run.limits}) {
        *value = in.value();
      }
      if (kind == kRedrivenMapRun) {
        run.redrives = in.number();
        run.is_over = in.byte() != 0;
      }
      return run;
    }
    default:
      return Ready{};
  }
}

}  // namespace

// The phase comes first, so that glance_at_frame needs only the first bytes.
std::string encode_frame(const Execution& execution, const Frame& frame, PayloadSink& payloads,
                         std::size_t headroom) {
  Writer out(headroom);
  out.byte(kFormatVersion);
  write_phase(out, frame.phase, payloads);
  out.numbers(Writer::zigzag(execution.last_event_id), execution.next_frame, frame.no, frame.parent,
              frame.slot, frame.flow, frame.state);
  out.value(frame.state_input, payloads);
  out.value(frame.variables, payloads);
  out.byte(frame.map_item.has_value() ? 1 : 0);
  if (frame.map_item) {
    out.number(frame.map_item->index);
    out.value(frame.map_item->value, payloads);
  }
  out.numbers(Writer::zigzag(frame.previous_event), Writer::zigzag(frame.entered_event),
              Writer::of_time(frame.entered_at), frame.entry, frame.attempt, frame.retry_count,
              frame.retries.size());
  for (const std::uint32_t count : frame.retries) out.number(count);
  out.time(frame.waiting_since);
  return out.take();
}

Result<DecodedFrame> decode_frame(std::string_view image, PayloadSource& payloads) {
  Reader in(image, &payloads);
  DecodedFrame out;
  in.version_is_known();
  Frame& frame = out.frame;
  frame.phase = read_phase(in);
  out.last_event_id = in.signed_number();
  out.next_frame = in.small();
  frame.no = in.small();
  frame.parent = in.small();
  frame.slot = in.small();
  frame.flow = in.small();
  frame.state = in.small();
  frame.state_input = in.value();
  frame.variables = in.value();
  if (in.byte() != 0) {
    frame.map_item.emplace();
    frame.map_item->index = in.small();
    frame.map_item->value = in.value();
  }
  frame.previous_event = in.signed_number();
  frame.entered_event = in.signed_number();
  frame.entered_at = in.time();
  frame.entry = in.small();
  frame.attempt = in.small();
  frame.retry_count = in.small();
  const std::size_t retriers = in.count();
  for (std::size_t i = 0; i < retriers && in.ok(); ++i) frame.retries.push_back(in.small());
  frame.waiting_since = in.time();
  if (!in.ok() || !in.at_end()) return in.error("frame");
  return out;
}

Result<FrameGlance> glance_at_frame(std::string_view image) {
  Reader in(image, nullptr);
  in.version_is_known();
  const std::uint8_t phase = in.byte();
  FrameGlance glance;
  glance.ready = phase == kReadyPhase;
  glance.in_task = phase == kTaskPhase;
  glance.in_map_run = phase == kMapRunPhase || phase == kRedrivenMapRun;
  glance.joining = phase == kJoiningPhase;
  if (phase == kSleepingPhase || phase == kBackingOffPhase) glance.due = in.time();
  if (glance.in_task) {
    const std::uint8_t flags = in.byte();
    glance.submitted = (flags & 1) != 0;
    glance.started = (flags & 2) != 0;
    in.skip_value();
    in.skip_value();
    in.time();
    const Timestamp deadline = in.time();
    glance.due = std::min(deadline, in.time());
  }
  if (!in.ok()) return in.error("frame");
  return glance;
}

std::string encode_execution(const ExecutionImage& image) {
  Writer out;
  out.byte(kFormatVersion);
  out.text(image.definition_key);
  out.text(image.role_arn);
  out.text(image.input_text);
  out.time(image.deadline);
  out.optional_text(image.output_text);
  out.optional_text(image.error);
  out.optional_text(image.cause);
  out.signed_number(image.last_event_id);
  out.text(image.extra);
  out.signed_number(image.redrive_count);
  out.time(image.redriven_at);
  out.text(image.left_behind);
  return out.take();
}

Result<ExecutionImage> decode_execution(std::string_view bytes) {
  Reader in(bytes, nullptr);
  in.version_is_known();
  ExecutionImage image;
  image.definition_key = in.text();
  image.role_arn = in.text();
  image.input_text = in.text();
  image.deadline = in.time();
  image.output_text = in.optional_text();
  image.error = in.optional_text();
  image.cause = in.optional_text();
  image.last_event_id = in.signed_number();
  image.extra = in.text();
  if (!in.at_end()) {  // Images of before there were redrives end here.
    image.redrive_count = in.signed_number();
    image.redriven_at = in.time();
    image.left_behind = in.text();
  }
  if (!in.ok() || !in.at_end()) return in.error("execution");
  return image;
}

std::string encode_events(const std::vector<HistoryEvent>& events, PayloadSink& payloads) {
  Writer out;
  out.byte(kFormatVersion);
  out.number(events.size());
  std::int64_t last_id = 0, last_ms = 0;
  for (const HistoryEvent& event : events) {
    static_assert(static_cast<std::uint8_t>(EventType::kMapRunRedriven) < 0x80, "a number of one byte");
    out.numbers(Writer::zigzag(event.id - last_id), Writer::zigzag(event.id - event.previous_id),
                Writer::zigzag(event.time.ms - last_ms), static_cast<std::uint8_t>(event.type),
                event.details.size());
    last_id = event.id;
    last_ms = event.time.ms;
    for (const Detail& detail : event.details) {
      out.byte(static_cast<std::uint8_t>(detail.field));
      out.detail(detail, payloads);
    }
  }
  return out.take();
}

Result<std::vector<HistoryEvent>> decode_events(std::string_view bytes, PayloadSource& payloads) {
  Reader in(bytes, &payloads);
  in.version_is_known();
  std::vector<HistoryEvent> events;
  const std::size_t count = in.count();
  std::int64_t last_id = 0, last_ms = 0;
  for (std::size_t i = 0; i < count && in.ok(); ++i) {
    HistoryEvent event;
    event.id = last_id += in.signed_number();
    event.previous_id = event.id - in.signed_number();
    event.time.ms = last_ms += in.signed_number();
    const std::uint8_t type = in.byte();
    if (type > static_cast<std::uint8_t>(EventType::kMapRunRedriven)) return in.error("history");
    event.type = static_cast<EventType>(type);
    const std::size_t details = in.count();
    for (std::size_t k = 0; k < details && in.ok(); ++k) {
      const std::uint8_t field = in.byte();
      if (field > static_cast<std::uint8_t>(Field::kAssignedVariables)) return in.error("history");
      Detail detail{static_cast<Field>(field), {}};
      in.detail(detail);
      event.details.push_back(std::move(detail));
    }
    events.push_back(std::move(event));
  }
  if (!in.ok() || !in.at_end()) return in.error("history");
  return events;
}

}  // namespace sortie::engine
