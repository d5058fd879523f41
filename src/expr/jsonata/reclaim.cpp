// Memory that an evaluation does not need any more: regions, and the copying of what lives on in loops whose
// live values are all at hand (tail calls, $reduce). See Arena for the rule that makes both safe.
#include <algorithm>
#include <unordered_map>

#include "expr/jsonata/engine.h"

namespace sortie::jsonata {
namespace reclaiming {

// Copies all that the roots reach, level by level: values may nest deeper than any stack.
class Evacuation {
 public:
  Evacuation(Engine& engine, const Arena::Mark& mark)
      : engine_(engine), arena_(engine.arena()), chunks_(arena_.detach(mark)) {
    add_range(mark.next, mark.left);
    for (const Arena::Chunk& chunk : chunks_) add_range(chunk.memory.get(), chunk.size);
    std::sort(ranges_.begin(), ranges_.end());
  }

  void run(std::span<Val> roots) {
    for (Val& root : roots) root = moved(root);
    while (!open_.empty()) {
      const Item item = open_.back();
      open_.pop_back();
      finish(item);
    }
    arena_.drop(std::move(chunks_));
  }

 private:
  enum class Kind : std::uint8_t { kArray, kObject, kFunction, kFrame, kTuple };
  struct Item {
    Kind kind;
    void* copy;
  };

  void add_range(const char* start, std::size_t size) {
    const auto at = reinterpret_cast<std::uintptr_t>(start);
    ranges_.emplace_back(at, at + size);
  }

  bool is_old(const void* pointer) const {
    const auto at = reinterpret_cast<std::uintptr_t>(pointer);
    const auto next = std::upper_bound(ranges_.begin(), ranges_.end(), std::pair(at, UINTPTR_MAX));
    return next != ranges_.begin() && at <= (next - 1)->second;
  }

  template <typename T>
  T* moved_block(T* old, Kind kind) {
    if (!old || !is_old(old)) return old;
    const auto [found, added] = copies_.try_emplace(old, nullptr);
    if (!added) return static_cast<T*>(found->second);
    T* const copy = arena_.make<T>(*old);
    found->second = copy;
    open_.push_back({kind, copy});
    return copy;
  }

  template <typename T>
  T* moved_items(T* old, std::size_t count) {
    if (!old || !is_old(old)) return old;
    T* const copy = static_cast<T*>(arena_.allocate(count * sizeof(T)));
    std::copy_n(old, count, copy);
    engine_.work(count / 8 + 1);
    return copy;
  }

  std::string_view moved_text(std::string_view text) {
    if (text.empty() || !is_old(text.data())) return text;
    return arena_.text(text).str();
  }

  Val moved(Val value) {
    switch (value.tag) {
      case Tag::kString:
        return Val::of_text(moved_text(value.str()));
      case Tag::kArray:
        value.array = moved_block(value.array, Kind::kArray);
        return value;
      case Tag::kObject:
        value.object = moved_block(value.object, Kind::kObject);
        return value;
      case Tag::kFunction:
        value.function = moved_block(value.function, Kind::kFunction);
        return value;
      case Tag::kTuple:
        value.tuple = moved_block(value.tuple, Kind::kTuple);
        return value;
      default:
        return value;
    }
  }

  void finish_frame(Frame& frame) {
    frame.parent = moved_block(frame.parent, Kind::kFrame);
    frame.bindings = moved_items(frame.bindings, frame.size);
    frame.capacity = frame.size;
    for (std::uint32_t i = 0; i < frame.size; ++i) frame.bindings[i].value = moved(frame.bindings[i].value);
  }

  void finish(const Item& item) {
    switch (item.kind) {
      case Kind::kArray: {
        Arr& array = *static_cast<Arr*>(item.copy);
        if (!array.items || !is_old(array.items)) return;
        array.items = moved_items(array.items, array.size);
        array.capacity = array.size;
        for (std::uint32_t i = 0; i < array.size; ++i) array.items[i] = moved(array.items[i]);
        return;
      }
      case Kind::kObject: {
        Obj& object = *static_cast<Obj*>(item.copy);
        object.entries = moved_items(object.entries, object.size);
        object.capacity = object.size;
        object.slots = moved_items(object.slots, object.slot_count);
        for (std::uint32_t i = 0; i < object.size; ++i)
          object.entries[i] = {moved_text(object.entries[i].key), moved(object.entries[i].value)};
        return;
      }
      case Kind::kFunction: {
        Fn& fn = *static_cast<Fn*>(item.copy);
        fn.input = moved(fn.input);
        fn.frame = moved_block(fn.frame, Kind::kFrame);
        fn.first = moved_block(fn.first, Kind::kFunction);
        fn.second = moved_block(fn.second, Kind::kFunction);
        fn.arguments = moved_items(fn.arguments, fn.count);
        fn.holes = moved_items(fn.holes, fn.count);
        for (std::uint32_t i = 0; i < fn.count; ++i) fn.arguments[i] = moved(fn.arguments[i]);
        return;
      }
      case Kind::kFrame:
        return finish_frame(*static_cast<Frame*>(item.copy));
      case Kind::kTuple: {
        Tuple& tuple = *static_cast<Tuple*>(item.copy);
        tuple.context = moved(tuple.context);
        return finish_frame(tuple.bindings);
      }
    }
  }

  Engine& engine_;
  Arena& arena_;
  std::vector<Arena::Chunk> chunks_;
  std::vector<std::pair<std::uintptr_t, std::uintptr_t>> ranges_;
  std::unordered_map<const void*, void*> copies_;
  std::vector<Item> open_;
};

}  // namespace reclaiming

const void* address_of(Val value) {
  switch (value.tag) {
    case Tag::kString:
      return value.text;
    case Tag::kArray:
    case Tag::kObject:
    case Tag::kFunction:
    case Tag::kTuple:
      return value.array;
    default:
      return nullptr;
  }
}

Val Engine::leave(const Region& region, Val result) {
  region_ = region.outer;
  if (region.pins != pins_) return result;
  const void* const address = address_of(result);
  if (!address || !arena_.newer(address, region.mark)) {
    arena_.release(region.mark);
    return result;
  }
  constexpr std::size_t kCopiedMax = 256;
  if (!result.is_string() || result.size > kCopiedMax) return result;
  char copy[kCopiedMax];
  if (result.size > 0) std::memcpy(copy, result.text, result.size);
  arena_.release(region.mark);
  return arena_.text({copy, result.size});
}

void Engine::reclaim(const Region& region, std::span<Val> live) {
  if (region.pins != pins_) return;
  const auto lies_within = [&](Val value) {
    const void* const address = address_of(value);
    return address && arena_.newer(address, region.mark);
  };
  if (std::none_of(live.begin(), live.end(), lies_within)) return arena_.release(region.mark);
  if (arena_.bytes_since(region.mark) < reclaim_at_) return;
  reclaiming::Evacuation(*this, region.mark).run(live);
  // An array that goes on growing takes twice its size at once: that alone must not bring the next round.
  reclaim_at_ = kReclaimBytesMin + 4 * arena_.bytes_since(region.mark);
}

}  // namespace sortie::jsonata
