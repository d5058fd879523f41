#include "runtime/shards.h"

#include <cstdlib>
#include <utility>

#include "base/hash.h"

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

// A document of kind "meta" that is made once per store: what it says, or a new one, added to `made`.
Result<std::string> find_or_make(store::Store& store, const std::string& key, std::string value,
                                 store::Batch* made) {
  SORTIE_TRY(const std::optional<std::string> known, store.find_document("meta", key));
  if (known) return *known;
  made->documents.push_back({"meta", key, value});
  return value;
}

}  // namespace shards

Result<Identity> read_identity(store::Store& store, Random& random, bool is_shared, store::Batch* made) {
  store::Batch fresh;
  Identity found;
  SORTIE_TRY(found.token_key, shards::find_or_make(store, "token_key", random_hex(random, 32), &fresh));
  SORTIE_TRY(found.store_id, shards::find_or_make(store, "store_id", random_hex(random, 6), &fresh));
  if (is_shared) {
    SORTIE_TRY(found.map.above, store.last_execution_no());
    SORTIE_TRY(const std::string above, shards::find_or_make(store, std::string(kShardsAboveKey),
                                                             std::to_string(found.map.above), &fresh));
    found.map.count = kSharedShardCount;
    found.map.above = std::strtoull(above.c_str(), nullptr, 10);
  }
  if (!fresh.empty() && made == nullptr) {
    return Error{"NotReady", "no node has written the identity of this store yet", "", ""};
  }
  if (made != nullptr) merge(*made, std::move(fresh));
  return found;
}

Shards::Shards(Shard::Parts parts, ShardMap map) : parts_(std::move(parts)), map_(map), shards_(map.count) {}

Status Shards::own(store::ShardNo no, store::Epoch epoch) {
  if (no == 0) {
    SORTIE_TRY(numbers_.last, parts_.store.last_execution_no());
  }
  shards_[no] = std::make_unique<Shard>(Shard::Wiring{parts_, map_, numbers_, no, epoch});
  SORTIE_TRY_STATUS(shards_[no]->recover());
  // Before recovery comes by: what has been answered is not called again.
  if (map_.count > 1) static_cast<void>(read_page(inbox_prefix(no), inbox_prefix(no)));
  return {};
}

void Shards::give_up(store::ShardNo no, std::function<void()> done) {
  if (shards_[no] == nullptr) return parts_.loop.post(std::move(done));  // It could not be read when taken.
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
