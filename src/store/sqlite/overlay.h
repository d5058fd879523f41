#pragma once
// The overlay: what the journal holds and the tables do not yet.
//
// A Generation indexes a run of journal groups by execution: the last image of each row and frame, history
// and payloads. Everything it hands out are views into the group bodies that it keeps, so a transition is
// encoded once and never copied. It is built by decoding journal bodies, the same code after a commit and
// after a crash: what recovery sees is what the running store saw.
//
// The Overlay has two of them. `active` takes new groups; when it has grown enough it becomes `frozen`, no
// longer changes, and is folded into the tables in slices (fold.h) while the next active one fills. Looking
// something up asks active, then frozen, then the tables; only `gone` and `cleared` say that the tables are
// out of date without replacing what they hold.
//
// Not thread-safe; the store guards it.
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "store/sqlite/codec.h"

namespace sortie::store::sqlite {

struct FrameSlot {
  bool gone = false;
  Timestamp wake_at = kNever;
  std::string_view image;
};

struct HistorySlot {
  std::int64_t first_event_id = 0;
  std::int32_t count = 0;
  std::string_view body;
};

struct PayloadSlot {
  PayloadNo payload = 0;
  std::string_view body;
};

// What writing a piece of history or a payload costs, in what a row costs: large ones fill pages alone.
inline std::size_t units_of(std::string_view body) { return 1 + body.size() / 4096; }

// What a generation knows of one execution.
struct OverlayEntry {
  std::optional<ExecutionView> row;
  bool frames_cleared = false;          // Frames of the tables and of older generations are gone...
  std::map<FrameNo, FrameSlot> frames;  // ... except these.
  std::vector<HistorySlot> history;
  std::vector<PayloadSlot> payloads;
};

// A term, or the name, of an execution.
struct TermSlot {
  ExecutionNo no = 0;
  std::uint32_t term = 0;
  bool operator<(const TermSlot& other) const {
    return term != other.term ? term < other.term : no < other.no;
  }
};
struct NameSlot {
  ExecutionNo no = 0;
  std::uint64_t head = 0;  // The first eight bytes, folded, the first one highest: most differ in them.
  std::string_view name;
};

class Generation final : private GroupVisitor {
 public:
  // False when the body is damaged; then the generation must be thrown away.
  enum class From : std::uint8_t { kDisk, kThisProcess };
  bool apply(GroupNo group, std::shared_ptr<const std::string> body, From from = From::kDisk);

  bool empty() const { return bodies_.empty(); }
  // Memory it takes, about: bodies and index.
  std::size_t bytes() const { return bytes_; }
  // Of all its history and payloads.
  std::size_t piece_units() const { return piece_units_; }
  GroupNo last_group() const { return last_group_; }
  ExecutionNo highest_execution() const { return highest_; }
  // Of the executions that it has ever seen to end; one may have gone on since. kNever: none.
  Timestamp earliest_stop() const { return earliest_stop_; }

  const std::map<ExecutionNo, OverlayEntry>& entries() const { return entries_; }
  // As they came: a look-up reads all of them, which is fast because they lie close together.
  const std::vector<TermSlot>& terms() const { return terms_; }
  const std::vector<NameSlot>& names() const { return names_; }
  void find_term(std::uint32_t term, std::vector<ExecutionNo>* found) const;
  void find_name(std::string_view name, bool is_prefix, std::vector<ExecutionNo>* found) const;
  const OverlayEntry* find(ExecutionNo no) const;
  const ExecutionView* find_arn(std::string_view arn) const;  // The newest with it.

 private:
  void on_execution(const ExecutionView& execution) override;
  void on_frame(FrameKey key, Timestamp wake_at, std::string_view image) override;
  void on_frame_gone(FrameKey key) override;
  void on_payload(ExecutionNo execution, PayloadNo payload, std::string_view body) override;
  void on_history(ExecutionNo execution, std::int64_t first_event_id, std::int32_t count,
                  std::string_view body) override;
  void on_ended(ExecutionNo execution) override;
  void on_terms(ExecutionNo execution, std::string_view name, std::string_view terms) override;
  OverlayEntry& touch(ExecutionNo no);

  // Whose record came last: the next one is mostly of the same execution.
  ExecutionNo touched_no_ = 0;
  OverlayEntry* touched_ = nullptr;

  // Most that are asked for are not there: a bit that is not set says so without a walk down the tree.
  static constexpr std::size_t kFilterBits = std::size_t{1} << 20;
  static std::size_t filter_bit(ExecutionNo no) { return no * 0x9E3779B97F4A7C15 >> 44; }

  std::vector<std::shared_ptr<const std::string>> bodies_;
  std::map<ExecutionNo, OverlayEntry> entries_;
  std::vector<bool> filter_ = std::vector<bool>(kFilterBits);
  std::unordered_multimap<std::uint64_t, ExecutionNo> by_arn_;
  std::vector<TermSlot> terms_;
  std::vector<NameSlot> names_;
  std::size_t bytes_ = 0;
  std::size_t piece_units_ = 0;
  GroupNo last_group_ = 0;
  ExecutionNo highest_ = 0;
  Timestamp earliest_stop_ = kNever;
};

// What the overlay says about something: nothing (ask the tables), that it is not there, or what it is.
template <typename T>
struct Answer {
  bool known = false;
  std::optional<T> value;
};

// What both generations know of one execution, looked up once. Of one moment: the caller keeps the lock.
struct OverlaySight {
  const OverlayEntry* newer = nullptr;  // Null: nothing.
  const OverlayEntry* older = nullptr;

  const ExecutionView* row() const;
  // True: frames of this execution that only the tables know are gone.
  bool frames_cleared() const;
  // Its frames, with the gone ones; the newer generation wins over the older one.
  std::map<FrameNo, FrameSlot> frames() const;
};

class Overlay {
 public:
  std::shared_ptr<Generation> active = std::make_shared<Generation>();
  std::shared_ptr<Generation> frozen;  // Null: none is being folded.

  std::size_t bytes() const { return active->bytes() + (frozen ? frozen->bytes() : 0); }
  void freeze();  // There must be no frozen one.

  OverlaySight look(ExecutionNo no) const;
  const ExecutionView* find_execution(ExecutionNo no) const { return look(no).row(); }
  const ExecutionView* find_execution(std::string_view arn) const;
  Answer<FrameRow> find_frame(FrameKey key) const;
  const PayloadSlot* find_payload(ExecutionNo execution, PayloadNo payload) const;
  // The lowest execution number from `from` that either generation knows; UINT64_MAX: none.
  ExecutionNo next_from(ExecutionNo from) const;
  // Calls `visit` with each execution number that either generation knows, ascending, until it answers false.
  void for_each(const std::function<bool(ExecutionNo)>& visit) const;
  // The highest execution number below `before` that has a row here; 0: none.
  ExecutionNo previous_with_row(ExecutionNo before) const;
};

}  // namespace sortie::store::sqlite
