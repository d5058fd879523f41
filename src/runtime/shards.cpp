#include "runtime/shards.h"

#include <utility>

namespace sortie::runtime {
namespace shards {

constexpr std::size_t kNotesPerPage = 512;

void add(Runtime::Figures& sum, const Runtime::Figures& each) {
  sum.in_memory += each.in_memory;
  sum.transitions += each.transitions;
  sum.started += each.started;
  sum.ended += each.ended;
  sum.timers += each.timers;
  sum.commit_failures += each.commit_failures;
  sum.mailbox += each.mailbox;
  sum.unreadable_frames += each.unreadable_frames;
  sum.frames_audited += each.frames_audited;
  sum.audit_cycles += each.audit_cycles;
  sum.frames_stuck += each.frames_stuck;
}

}  // namespace shards

Shards::Shards(Shard::Parts parts, ShardMap map) : parts_(std::move(parts)), map_(map), shards_(map.count) {}

Status Shards::own(store::ShardNo no, store::Epoch epoch) {
  if (no == 0) {
    SORTIE_TRY(numbers_.last, parts_.store.last_execution_no());
  }
  shards_[no] = std::make_unique<Shard>(Shard::Wiring{parts_, map_, numbers_, no, epoch});
  return shards_[no]->recover();
}

void Shards::give_up(store::ShardNo no, std::function<void()> done) {
  shards_[no]->give_up([this, no, done = std::move(done)] {
    shells_.push_back(std::move(shards_[no]));
    done();
  });
}

// In one read while there is little, else shard by shard.
void Shards::read_inbox() {
  if (read_page("", "")) return;
  for (store::ShardNo no = 0; no < map_.count; ++no) {
    const std::string prefix = inbox_prefix(no);
    if (shards_[no] != nullptr) static_cast<void>(read_page(prefix, prefix));
  }
}

// True: there was no more, or nothing can be read now.
bool Shards::read_page(std::string_view after, std::string_view prefix) {
  const auto page = parts_.store.list_documents(kInboxKind, after, shards::kNotesPerPage);
  if (!page) return true;
  if (prefix.empty() && page->size() == shards::kNotesPerPage) return false;
  for (const store::Document& document : *page) {
    if (!document.key.starts_with(prefix)) break;
    const std::optional<InboxNote> note = read_inbox_note(document);
    if (note && note->shard < map_.count && shards_[note->shard] != nullptr)
      shards_[note->shard]->take(*note);
  }
  return true;
}

void Shards::drain(std::function<void()> done) {
  auto left = std::make_shared<std::size_t>(1);
  const auto one = [left, done = std::move(done)] {
    if (--*left == 0) done();
  };
  for (const std::unique_ptr<Shard>& shard : shards_) {
    if (shard == nullptr) continue;
    ++*left;
    shard->drain(one);
  }
  parts_.loop.post(one);
}

Runtime::Figures Shards::figures() const {
  Runtime::Figures sum;
  for (const auto* list : {&shards_, &shells_}) {
    for (const std::unique_ptr<Shard>& shard : *list) {
      if (shard != nullptr) shards::add(sum, shard->figures());
    }
  }
  return sum;
}

}  // namespace sortie::runtime
