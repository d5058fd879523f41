#include "expr/jsonata/val.h"

#include <algorithm>
#include <functional>

#include "expr/jsonata/failure.h"

namespace sortie::jsonata {
namespace values {

constexpr std::uint32_t kIndexedEntriesMin = 16;

// A key that JavaScript takes for an array index, or -1.
std::int64_t index_key(std::string_view key) {
  if (key.empty() || key.size() > 10 || (key[0] == '0' && key.size() > 1)) return -1;
  std::int64_t number = 0;
  for (const char c : key) {
    if (c < '0' || c > '9') return -1;
    number = number * 10 + (c - '0');
  }
  return number < 4294967295 ? number : -1;
}

}  // namespace values

Val Arena::text(std::string_view bytes) {
  char* copy = static_cast<char*>(allocate(bytes.size()));
  if (!bytes.empty()) std::memcpy(copy, bytes.data(), bytes.size());
  return Val::of_text({copy, bytes.size()});
}

Val Arena::concat(Val head, std::string_view tail) {
  constexpr std::size_t kGrowingMin = 256;
  const std::size_t size = head.size + tail.size();
  if (size > UINT32_MAX / 4)
    throw Failure{.code = "D2015", .message = "The evaluation needs more memory than it is allowed"};
  // Only one text may take the room behind it: the one that ends exactly there.
  const bool in_place = growing_end_ && head.text + head.size == growing_end_ &&
                        tail.size() <= static_cast<std::size_t>(growing_limit_ - growing_end_);
  if (in_place) {
    std::memcpy(growing_end_, tail.data(), tail.size());
    growing_end_ += tail.size();
    return Val::of_text({head.text, size});
  }
  const std::size_t room = size < kGrowingMin ? size : size * 2;
  char* copy = static_cast<char*>(allocate(room));
  if (head.size > 0) std::memcpy(copy, head.text, head.size);
  if (!tail.empty()) std::memcpy(copy + head.size, tail.data(), tail.size());
  if (room > size) {
    growing_end_ = copy + size;
    growing_limit_ = copy + room;
  }
  return Val::of_text({copy, size});
}

void Arena::check(double bytes) const {
  if (bytes + static_cast<double>(used_) > static_cast<double>(bytes_max_))
    throw Failure{.code = "D2015", .message = "The evaluation needs more memory than it is allowed"};
}

void Arena::grow(std::size_t bytes) {
  if (spare_.size >= bytes) {
    check(static_cast<double>(spare_.size));
    chunks_.push_back(std::move(spare_));
    spare_ = {};
  } else {
    // Close to the limit no more than what is asked for.
    const std::size_t size =
        std::max(bytes, std::min(chunk_bytes_, bytes_max_ - std::min(bytes_max_, used_)));
    check(static_cast<double>(size));
    chunks_.push_back({std::unique_ptr<char[]>(new char[size]), size});
    chunk_bytes_ = std::min(chunk_bytes_ * 2, kChunkBytesMax);
  }
  next_ = chunks_.back().memory.get();
  left_ = chunks_.back().size;
  used_ += left_;
}

// Memory on its way back to the allocator must not stay marked.
void Arena::release_chunks(const Mark& mark) {
  while (chunks_.size() > mark.chunks) {
    used_ -= chunks_.back().size;
    mark_used(chunks_.back().memory.get(), chunks_.back().size);
    if (chunks_.back().size > spare_.size && chunks_.back().size <= kChunkBytesMax)
      spare_ = std::move(chunks_.back());
    chunks_.pop_back();
  }
  mark_unused(mark.next, mark.left);
  next_ = mark.next;
  left_ = mark.left;
}

std::vector<Arena::Chunk> Arena::detach(const Mark& mark) {
  std::vector<Chunk> old(std::make_move_iterator(chunks_.begin() + static_cast<std::ptrdiff_t>(mark.chunks)),
                         std::make_move_iterator(chunks_.end()));
  chunks_.resize(mark.chunks);
  next_ = nullptr;
  left_ = 0;
  growing_end_ = nullptr;
  append_end_ = nullptr;
  return old;
}

void Arena::drop(std::vector<Chunk> chunks) {
  for (const Chunk& chunk : chunks) {
    mark_used(chunk.memory.get(), chunk.size);
    used_ -= chunk.size;
  }
}

Val* Arena::append_room(const Arr& head, std::size_t more) {
  constexpr std::size_t kGrowingMin = 16;
  const std::size_t size = head.size + more;
  if (head.items && head.items + head.size == append_end_ &&
      more <= static_cast<std::size_t>(append_limit_ - append_end_)) {
    append_end_ += more;
    return head.items;
  }
  const std::size_t room = size < kGrowingMin ? size : size * 2;
  Val* items = static_cast<Val*>(allocate(room * sizeof(Val)));
  for (std::size_t i = 0; i < head.size; ++i) items[i] = head.at(i);
  if (room > size) {
    append_end_ = items + size;
    append_limit_ = items + room;
  }
  return items;
}

void Arr::grow(Arena& arena, std::size_t least) {
  const std::size_t wanted = std::max<std::size_t>({least, std::size_t{capacity} * 2, 4});
  if (items && arena.extend(items + capacity, (wanted - capacity) * sizeof(Val))) {
    capacity = static_cast<std::uint32_t>(wanted);
    return;
  }
  Val* copy = static_cast<Val*>(arena.allocate(wanted * sizeof(Val)));
  for (std::size_t i = 0; i < size; ++i) copy[i] = at(i);
  items = copy;
  capacity = static_cast<std::uint32_t>(wanted);
}

Entry* Obj::find(std::string_view key) const {
  if (!slots) {
    for (std::uint32_t i = 0; i < size; ++i) {
      if (entries[i].key == key) return &entries[i];
    }
    return nullptr;
  }
  std::size_t slot = std::hash<std::string_view>{}(key) & (slot_count - 1);
  for (; slots[slot] != UINT32_MAX; slot = (slot + 1) & (slot_count - 1)) {
    if (entries[slots[slot]].key == key) return &entries[slots[slot]];
  }
  return nullptr;
}

void Obj::index(Arena& arena) {
  slot_count = 64;
  while (slot_count < capacity * 2) slot_count *= 2;
  slots = static_cast<std::uint32_t*>(arena.allocate(slot_count * sizeof(std::uint32_t)));
  std::fill_n(slots, slot_count, UINT32_MAX);
  for (std::uint32_t i = 0; i < size; ++i) {
    std::size_t slot = std::hash<std::string_view>{}(entries[i].key) & (slot_count - 1);
    while (slots[slot] != UINT32_MAX) slot = (slot + 1) & (slot_count - 1);
    slots[slot] = i;
  }
}

void Obj::set(Arena& arena, std::string_view key, Val value) {
  if (Entry* entry = find(key)) {
    entry->value = value;
    return;
  }
  if (size == capacity) {
    const std::uint32_t wanted = std::max<std::uint32_t>(capacity * 2, 4);
    auto* copy = static_cast<Entry*>(arena.allocate(wanted * sizeof(Entry)));
    std::copy_n(entries, size, copy);
    entries = copy;
    capacity = wanted;
    if (slots || size >= values::kIndexedEntriesMin) index(arena);
  }
  entries[size] = {key, value};
  if (slots) {
    std::size_t slot = std::hash<std::string_view>{}(key) & (slot_count - 1);
    while (slots[slot] != UINT32_MAX) slot = (slot + 1) & (slot_count - 1);
    slots[slot] = size;
  }
  ++size;
}

void Obj::erase(std::string_view key) {
  const Entry* entry = find(key);
  if (!entry) return;
  std::copy(entry + 1, static_cast<const Entry*>(entries + size), entries + (entry - entries));
  --size;
  slots = nullptr;  // Linear from now on; the next growth makes it anew.
}

void Frame::bind(Arena& arena, std::int32_t symbol, Val value) {
  if (Val* found = find(symbol)) {
    *found = value;
    return;
  }
  if (size == capacity) {
    const std::uint32_t wanted = std::max<std::uint32_t>(capacity * 2, 2);
    auto* copy = static_cast<Binding*>(arena.allocate(wanted * sizeof(Binding)));
    std::copy_n(bindings, size, copy);
    bindings = copy;
    capacity = wanted;
  }
  bindings[size++] = {symbol, value};
}

Val member(Val object, std::string_view key) {
  if (object.tag == Tag::kJsonObject) {
    const json::Value* found = object.json->find(key);
    return found ? Val::of_json(*found) : Val();
  }
  if (object.tag != Tag::kObject) return {};
  const Entry* entry = object.object->find(key);
  return entry ? entry->value : Val();
}

Val member_elsewhere(Val object, const json::Key& key, std::size_t& hint) {
  if (object.tag == Tag::kJsonObject) {
    const json::Value* const found = object.json->find(key);
    if (!found) return {};
    hint = static_cast<std::size_t>(reinterpret_cast<const char*>(found) -
                                    reinterpret_cast<const char*>(&object.json->members()[0].value)) /
           sizeof(json::Member);
    return Val::of_json(*found);
  }
  if (object.tag != Tag::kObject) return {};
  const Obj& obj = *object.object;
  if (hint < obj.size && obj.entries[hint].key == key.text()) return obj.entries[hint].value;
  const Entry* entry = obj.find(key.text());
  if (!entry) return {};
  hint = static_cast<std::size_t>(entry - obj.entries);
  return entry->value;
}

std::size_t member_count(Val object) {
  if (object.tag == Tag::kJsonObject) return object.json->size();
  return object.tag == Tag::kObject ? object.object->size : 0;
}

std::vector<Entry> ordered_entries(Val object) {
  std::vector<Entry> entries;
  bool indices = false;
  if (object.tag == Tag::kJsonObject) {
    for (const json::Member& m : object.json->members())
      entries.push_back({m.key.as_string(), Val::of_json(m.value)});
  } else if (object.tag == Tag::kObject) {
    entries.assign(object.object->entries, object.object->entries + object.object->size);
  }
  for (const Entry& entry : entries) indices = indices || values::index_key(entry.key) >= 0;
  if (indices) {
    std::stable_sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
      const std::int64_t x = values::index_key(a.key);
      const std::int64_t y = values::index_key(b.key);
      return x >= 0 && (y < 0 || x < y);
    });
  }
  return entries;
}

bool same_scalar(Val a, Val b) {
  if (a.tag != b.tag) return false;
  switch (a.tag) {
    case Tag::kBool:
      return a.boolean == b.boolean;
    case Tag::kNumber:
      return a.number == b.number;
    case Tag::kString:
      return a.str() == b.str();
    case Tag::kFunction:
      return a.function == b.function;
    case Tag::kTuple:
      return a.tuple == b.tuple;
    default:
      return true;
  }
}

}  // namespace sortie::jsonata
