#include "store/sqlite/overlay.h"

#include "store/matching.h"

namespace sortie::store::sqlite {

namespace overlay {

constexpr std::size_t kRecordBytes = 128;   // About what the index takes for one record.
constexpr std::size_t kEntryBytes = 256;    // ... and for an execution.
constexpr std::size_t kUsualDecisions = 4;  // Of one execution within a generation.

std::uint64_t head_of(std::string_view name) {
  const std::string folded = folded_name(name.substr(0, 8));
  std::uint64_t head = 0;
  for (std::size_t i = 0; i < 8; ++i) {
    head = head << 8 | (i < folded.size() ? static_cast<unsigned char>(folded[i]) : 0U);
  }
  return head;
}

}  // namespace overlay

bool Generation::apply(GroupNo group, std::shared_ptr<const std::string> body, From from) {
  last_group_ = group;
  bytes_ += body->size() + overlay::kRecordBytes;
  bodies_.push_back(body);
  return from == From::kDisk ? decode_group(*body, *this) : decode_own_group(*body, *this);
}

const OverlayEntry* Generation::find(ExecutionNo no) const {
  if (!filter_[filter_bit(no)]) return nullptr;
  auto found = entries_.find(no);
  return found == entries_.end() ? nullptr : &found->second;
}

const ExecutionView* Generation::find_arn(std::string_view arn) const {
  const ExecutionView* newest = nullptr;
  auto [from, to] = by_arn_.equal_range(fingerprint64(arn));
  for (auto each = from; each != to; ++each) {
    const OverlayEntry* entry = find(each->second);
    if (entry == nullptr || !entry->row || !entry->row->has_arn(arn)) continue;
    if (newest == nullptr || newest->no < entry->row->no) newest = &*entry->row;
  }
  return newest;
}

OverlayEntry& Generation::touch(ExecutionNo no) {
  bytes_ += overlay::kRecordBytes;
  if (touched_ != nullptr && touched_no_ == no) return *touched_;
  auto [entry, fresh] = entries_.try_emplace(no);
  if (fresh) bytes_ += overlay::kEntryBytes;
  filter_[filter_bit(no)] = true;
  highest_ = std::max(highest_, no);
  touched_no_ = no;
  touched_ = &entry->second;
  return entry->second;
}

void Generation::on_execution(const ExecutionView& execution) {
  OverlayEntry& entry = touch(execution.no);
  std::string arn = execution.arn();
  if (!entry.row || !entry.row->has_arn(arn)) by_arn_.emplace(fingerprint64(arn), execution.no);
  entry.row = execution;
  if (execution.status != ExecutionStatus::kRunning) {
    earliest_stop_ = std::min(earliest_stop_, execution.stopped_at);
  }
}

void Generation::on_frame(FrameKey key, Timestamp wake_at, std::string_view image) {
  touch(key.execution).frames[key.frame] = FrameSlot{false, wake_at, image};
}

void Generation::on_frame_gone(FrameKey key) {
  touch(key.execution).frames[key.frame] = FrameSlot{true, kNever, {}};
}

void Generation::on_payload(ExecutionNo execution, PayloadNo payload, std::string_view body) {
  piece_units_ += units_of(body);
  touch(execution).payloads.push_back({payload, body});
}

void Generation::on_history(ExecutionNo execution, std::int64_t first_event_id, std::int32_t count,
                            std::string_view body) {
  piece_units_ += units_of(body);
  std::vector<HistorySlot>& history = touch(execution).history;
  if (history.capacity() == 0) history.reserve(overlay::kUsualDecisions);
  history.push_back({first_event_id, count, body});
}

void Generation::on_ended(ExecutionNo execution) {
  OverlayEntry& entry = touch(execution);
  entry.frames.clear();
  entry.frames_cleared = true;
}

void Generation::on_terms(ExecutionNo execution, std::string_view name, std::string_view terms) {
  const std::size_t count = terms.size() / kTermBytes;
  for (std::size_t i = 0; i < count; ++i) terms_.push_back({execution, term_at(terms, i)});
  if (!name.empty()) names_.push_back({execution, overlay::head_of(name), name});
  bytes_ += count * sizeof(TermSlot) + sizeof(NameSlot);
}

void Generation::find_term(std::uint32_t term, std::vector<ExecutionNo>* found) const {
  for (const TermSlot& slot : terms_) {
    if (slot.term == term) found->push_back(slot.no);
  }
}

void Generation::find_name(std::string_view name, bool is_prefix, std::vector<ExecutionNo>* found) const {
  const std::string wanted = folded_name(name);
  const std::uint64_t head = overlay::head_of(wanted);
  // Of a shorter prefix only so many bits have to agree.
  const std::size_t bits = is_prefix && wanted.size() < 8 ? 8 * (8 - wanted.size()) : 0;
  for (const NameSlot& slot : names_) {
    if (bits == 64 || slot.head >> bits != head >> bits) continue;
    const std::string folded = folded_name(slot.name);
    if (is_prefix ? folded.starts_with(wanted) : folded == wanted) found->push_back(slot.no);
  }
}

void Overlay::freeze() {
  SORTIE_CHECK(frozen == nullptr);
  frozen = std::move(active);
  active = std::make_shared<Generation>();
}

const ExecutionView* OverlaySight::row() const {
  if (newer != nullptr && newer->row) return &*newer->row;
  return older != nullptr && older->row ? &*older->row : nullptr;
}

bool OverlaySight::frames_cleared() const {
  return (newer != nullptr && newer->frames_cleared) || (older != nullptr && older->frames_cleared);
}

std::map<FrameNo, FrameSlot> OverlaySight::frames() const {
  std::map<FrameNo, FrameSlot> merged;
  if (newer != nullptr) merged = newer->frames;
  if (older != nullptr && (newer == nullptr || !newer->frames_cleared)) {
    merged.insert(older->frames.begin(), older->frames.end());
  }
  return merged;
}

OverlaySight Overlay::look(ExecutionNo no) const {
  return {active->find(no), frozen ? frozen->find(no) : nullptr};
}

const ExecutionView* Overlay::find_execution(std::string_view arn) const {
  const ExecutionView* found = active->find_arn(arn);
  if (found == nullptr && frozen) found = frozen->find_arn(arn);
  // The active generation may know a newer image of what the frozen one found.
  return found != nullptr ? find_execution(found->no) : nullptr;
}

Answer<FrameRow> Overlay::find_frame(FrameKey key) const {
  for (const Generation* generation : {active.get(), frozen.get()}) {
    const OverlayEntry* entry = generation != nullptr ? generation->find(key.execution) : nullptr;
    if (entry == nullptr) continue;
    auto slot = entry->frames.find(key.frame);
    if (slot != entry->frames.end()) {
      if (slot->second.gone) return {true, std::nullopt};
      return {true, FrameRow{key, slot->second.wake_at, std::string(slot->second.image)}};
    }
    if (entry->frames_cleared) return {true, std::nullopt};
  }
  return {};
}

const PayloadSlot* Overlay::find_payload(ExecutionNo execution, PayloadNo payload) const {
  for (const Generation* generation : {active.get(), frozen.get()}) {
    const OverlayEntry* entry = generation != nullptr ? generation->find(execution) : nullptr;
    if (entry == nullptr) continue;
    for (auto slot = entry->payloads.rbegin(); slot != entry->payloads.rend(); ++slot) {
      if (slot->payload == payload) return &*slot;
    }
  }
  return nullptr;
}

ExecutionNo Overlay::next_from(ExecutionNo from) const {
  ExecutionNo next = UINT64_MAX;
  for (const Generation* generation : {active.get(), frozen.get()}) {
    if (generation == nullptr) continue;
    auto found = generation->entries().lower_bound(from);
    if (found != generation->entries().end()) next = std::min(next, found->first);
  }
  return next;
}

void Overlay::for_each(const std::function<bool(ExecutionNo)>& visit) const {
  for (ExecutionNo no = next_from(0); no != UINT64_MAX; no = next_from(no + 1)) {
    if (!visit(no)) return;
  }
}

ExecutionNo Overlay::previous_with_row(ExecutionNo before) const {
  ExecutionNo best = 0;
  for (const Generation* generation : {active.get(), frozen.get()}) {
    if (generation == nullptr) continue;
    const auto& entries = generation->entries();
    auto each = entries.lower_bound(before);
    while (each != entries.begin()) {
      --each;
      if (each->first <= best) break;
      if (each->second.row) {
        best = each->first;
        break;
      }
    }
  }
  return best;
}

}  // namespace sortie::store::sqlite
