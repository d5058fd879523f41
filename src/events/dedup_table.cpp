#include "events/dedup_table.h"

#include "base/hash.h"
#include "json/text.h"

namespace sortie::events {

Status DedupTable::recover(store::Store& store) {
  std::string after;
  while (true) {
    SORTIE_TRY(const auto page, store.list_documents(kDedupKind, after, 1000));
    for (const store::Document& document : page) {
      const auto value = json::parse(document.value);
      if (!value || !value->get("expiresMs").is_integer() || !value->get("eventId").is_string()) {
        return Error{"StoreCorrupt", "A stored deduplication key cannot be read"};
      }
      set(document.key,
          Entry{value->get("eventId").to_std_string(), Timestamp{value->get("expiresMs").as_integer()}});
      after = document.key;
    }
    if (page.size() < 1000) return {};
  }
}

std::string DedupTable::hash(std::string_view scope, std::string_view key) {
  return sha256_hex(std::string(scope) + "\n" + std::string(key));
}

std::optional<std::string> DedupTable::find(const std::string& hash, Timestamp now) const {
  const auto found = entries_.find(hash);
  if (found == entries_.end() || found->second.expires <= now) return std::nullopt;
  return found->second.event_id;
}

void DedupTable::set(const std::string& hash, Entry entry) {
  const auto found = entries_.find(hash);
  if (found != entries_.end()) by_expiry_.erase({found->second.expires, hash});
  by_expiry_.emplace(entry.expires, hash);
  entries_[hash] = std::move(entry);
}

store::Document DedupTable::take(const std::string& hash, std::string event_id, Timestamp expires,
                                 Undo& undo) {
  undo.hash = hash;
  const auto found = entries_.find(hash);
  if (found != entries_.end()) undo.before = found->second;
  const std::string text =
      json::to_text(json::Value::object({{"eventId", event_id}, {"expiresMs", expires.ms}}));
  set(hash, Entry{std::move(event_id), expires});
  return store::Document{std::string(kDedupKind), hash, text};
}

void DedupTable::restore(const Undo& undo) {
  const auto found = entries_.find(undo.hash);
  if (found != entries_.end()) {
    by_expiry_.erase({found->second.expires, undo.hash});
    entries_.erase(found);
  }
  if (undo.before) set(undo.hash, *undo.before);
}

std::vector<std::string> DedupTable::sweep(Timestamp now, std::size_t limit) {
  std::vector<std::string> gone;
  while (!by_expiry_.empty() && gone.size() < limit &&
         (by_expiry_.begin()->first <= now || entries_.size() > kDedupKeysMax)) {
    const std::string hash = by_expiry_.begin()->second;
    by_expiry_.erase(by_expiry_.begin());
    entries_.erase(hash);
    gone.push_back(hash);
  }
  return gone;
}

std::optional<Timestamp> DedupTable::next_expiry() const {
  if (by_expiry_.empty()) return std::nullopt;
  return by_expiry_.begin()->first;
}

}  // namespace sortie::events
