#pragma once
// How frames, executions and history events become bytes for the store, and back. The form is ours alone: a
// version byte, then varints, length-prefixed text and JSON text for values. Values whose text is longer than
// kInlineBytesMax are kept once per execution as a payload and referred to by number: state inputs, outputs
// and results are mostly the same value passed on.
//
// Decoding treats bytes as hostile, too: a broken image is the error "StoreCorrupt", never a crash.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "engine/execution.h"
#include "engine/history_event.h"

namespace sortie::engine {

inline constexpr std::size_t kInlineBytesMax = 1024;

// Texts of small values by identity, the latest. The same few values go into a decision's events and frames,
// and what is passed on or waited with goes into those of the next decisions, too; making their text is most
// of the work of writing them. A value that is kept here stays alive, so an address names one value.
class TextCache {
 public:
  const std::string* find(const void* identity) const {
    if (entries_.empty()) return nullptr;
    const Entry& entry = entries_[place(identity)];
    return entry.value.identity() == identity ? &entry.text : nullptr;
  }
  // The value has an identity, and its text is short.
  void keep(const json::Value& value, std::string_view text) {
    if (entries_.empty()) entries_.resize(kEntries);
    Entry& entry = entries_[place(value.identity())];
    entry.value = value;
    entry.text.assign(text);
  }

 private:
  static constexpr std::size_t kEntries = 1024;  // Each may hold kInlineBytesMax and the value itself.
  struct Entry {
    json::Value value;
    std::string text;
  };
  static std::size_t place(const void* identity) {
    const auto address = static_cast<std::uint64_t>(reinterpret_cast<std::uintptr_t>(identity));
    return static_cast<std::size_t>((address * 0x9E3779B97F4A7C15ULL) >> 32) % kEntries;
  }

  std::vector<Entry> entries_;  // Made with the first.
};

// Where large values go. One per execution; the runtime writes what is new with the same batch.
class PayloadSink {
 public:
  virtual ~PayloadSink() = default;
  // The number of a value that was kept before; identity decides, so it is cheap.
  virtual std::optional<std::uint32_t> find(const json::Value& value) = 0;
  virtual std::uint32_t keep(const json::Value& value, std::string text) = 0;

  TextCache* texts = nullptr;  // May be null.
};

class PayloadSource {
 public:
  virtual ~PayloadSource() = default;
  virtual Result<json::Value> load(std::uint32_t number) = 0;
  virtual Result<std::string> load_text(std::uint32_t number) = 0;
};

// A frame's image also carries last_event_id and next_frame as they were when it was written: the highest
// over all frames of an execution are the execution's own, so its row needs no rewriting while it runs.
// It begins with `headroom` bytes that are the caller's.
std::string encode_frame(const Execution& execution, const Frame& frame, PayloadSink& payloads,
                         std::size_t headroom = 0);

struct DecodedFrame {
  Frame frame;
  std::int64_t last_event_id = 0;
  FrameNo next_frame = 1;
};
Result<DecodedFrame> decode_frame(std::string_view image, PayloadSource& payloads);

// What an image says without its values being read; for recovery and the audit.
struct FrameGlance {
  bool ready = false;    // Continue at once.
  bool in_task = false;  // An attempt to dispatch again, unless submitted (or, of an activity, started).
  bool submitted = false;
  bool started = false;
  bool in_map_run = false;  // A map run works for it.
  bool joining = false;     // Its children work for it.
  Timestamp due = kNever;  // Of its phase; the execution's own deadline, which frame 0 carries, is not in it.
};
Result<FrameGlance> glance_at_frame(std::string_view image);

// The part that the frames share, without last_event_id and next_frame. `extra` is the runtime's own.
struct ExecutionImage {
  std::string definition_key;  // Which definition it runs on.
  std::string role_arn;
  std::string input_text;  // Exactly as given.
  Timestamp deadline = kNever;
  std::optional<std::string> output_text;
  std::optional<std::string> error, cause;
  std::int64_t last_event_id = 0;  // Meaningful once it has ended.
  std::string extra;
  std::int64_t redrive_count = 0;
  Timestamp redriven_at;
  std::string left_behind;  // The runtime's own: what a redrive goes on from; "" when there is nothing.
};
std::string encode_execution(const ExecutionImage& image);
Result<ExecutionImage> decode_execution(std::string_view bytes);

std::string encode_events(const std::vector<HistoryEvent>& events, PayloadSink& payloads);
Result<std::vector<HistoryEvent>> decode_events(std::string_view bytes, PayloadSource& payloads);

}  // namespace sortie::engine
