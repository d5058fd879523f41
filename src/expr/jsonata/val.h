#pragma once
// The values of a running evaluation: 16 bytes, copied freely, owning nothing. Arrays, objects and texts that
// are made on the way live in the evaluation's Arena and die with it; the input document is referenced in
// place (kJsonArray, kJsonObject, texts) and stays untouched.
//
// An Arr is a JSON array or, with `sequence`, JSONata's sequence, which disappears when it holds one value
// or none (Engine::settle). A range [1..9] stores only its first number until somebody asks for items.
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <string>
#include <string_view>
#include <vector>

#include "json/value.h"

#ifdef __has_feature
#if __has_feature(address_sanitizer)
#define SORTIE_JSONATA_POISON 1
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define SORTIE_JSONATA_POISON 1
#endif
#ifdef SORTIE_JSONATA_POISON
#include <sanitizer/asan_interface.h>
#endif

namespace sortie::jsonata {

// The address sanitizer is told what is given back and what is handed out anew within an Arena.
inline void mark_unused([[maybe_unused]] const void* start, [[maybe_unused]] std::size_t bytes) {
#ifdef SORTIE_JSONATA_POISON
  ASAN_POISON_MEMORY_REGION(start, bytes);
#endif
}
inline void mark_used([[maybe_unused]] const void* start, [[maybe_unused]] std::size_t bytes) {
#ifdef SORTIE_JSONATA_POISON
  ASAN_UNPOISON_MEMORY_REGION(start, bytes);
#endif
}

enum class Tag : std::uint8_t {
  kUndefined,
  kNull,
  kBool,
  kNumber,
  kString,
  kArray,
  kJsonArray,
  kObject,
  kJsonObject,
  kFunction,
  kTuple,  // One entry of a tuple stream; never leaves a path.
};

struct Arr;
struct Obj;
struct Fn;
struct Tuple;

struct Val {
  Tag tag = Tag::kUndefined;
  bool boolean = false;    // Of a function: it is or was an argument, so the reference has wrapped it.
  bool whole = false;      // A text that is all of a json::Value's: results share it instead of copying it.
  std::uint32_t size = 0;  // Of a text, in bytes.
  union {
    double number;
    const char* text;
    Arr* array;
    Obj* object;
    const json::Value* json;
    Fn* function;
    Tuple* tuple;
  };

  Val() : number(0) {}
  static Val null() { return of(Tag::kNull); }
  static Val of_bool(bool value) {
    Val v = of(Tag::kBool);
    v.boolean = value;
    return v;
  }
  static Val of_number(double value) {
    Val v = of(Tag::kNumber);
    v.number = value;
    return v;
  }
  // The bytes have to outlive the value.
  static Val of_text(std::string_view value) {
    Val v = of(Tag::kString);
    v.text = value.data();
    v.size = static_cast<std::uint32_t>(value.size());
    return v;
  }
  static Val of_array(Arr* value) {
    Val v = of(Tag::kArray);
    v.array = value;
    return v;
  }
  static Val of_object(Obj* value) {
    Val v = of(Tag::kObject);
    v.object = value;
    return v;
  }
  static Val of_function(Fn* value) {
    Val v = of(Tag::kFunction);
    v.function = value;
    return v;
  }
  static Val of_tuple(Tuple* value) {
    Val v = of(Tag::kTuple);
    v.tuple = value;
    return v;
  }
  static Val of_json(const json::Value& value) {
    switch (value.kind()) {
      case json::Kind::kNull:
        return null();
      case json::Kind::kBool:
        return of_bool(value.as_bool());
      case json::Kind::kInteger:
      case json::Kind::kDouble:
      case json::Kind::kBigInteger:
        return of_number(value.as_double());
      case json::Kind::kString: {
        Val v = of_text(value.as_string());
        v.whole = true;
        return v;
      }
      case json::Kind::kArray:
      case json::Kind::kObject: {
        Val v = of(value.is_array() ? Tag::kJsonArray : Tag::kJsonObject);
        v.json = &value;
        return v;
      }
    }
    return {};
  }

  bool undefined() const { return tag == Tag::kUndefined; }
  bool defined() const { return tag != Tag::kUndefined; }
  bool is_null() const { return tag == Tag::kNull; }
  bool is_bool() const { return tag == Tag::kBool; }
  bool is_number() const { return tag == Tag::kNumber; }
  bool is_string() const { return tag == Tag::kString; }
  bool is_array() const { return tag == Tag::kArray || tag == Tag::kJsonArray; }
  bool is_object() const { return tag == Tag::kObject || tag == Tag::kJsonObject; }
  bool is_function() const { return tag == Tag::kFunction; }
  std::string_view str() const { return {text, size}; }

 private:
  static Val of(Tag tag) {
    Val v;
    v.tag = tag;
    return v;
  }
};

// Memory of one evaluation; more than `bytes_max` throws Failure. It is given back all at once at the end,
// and in between from the top: what was allocated since a Mark goes when nothing that lives on refers to it.
// Nothing allocated before a Mark ever refers to what came after it, with one exception that Engine counts
// (Engine::bind_variable), so only the values in hand have to be looked at.
class Arena {
 public:
  struct Mark {
    std::size_t chunks = 0;
    char* next = nullptr;
    std::size_t left = 0;
    std::size_t used = 0;
  };

  explicit Arena(std::size_t bytes_max) : next_(first_), left_(sizeof first_), bytes_max_(bytes_max) {}
  ~Arena() { mark_used(first_, sizeof first_); }
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  void* allocate(std::size_t bytes) {
    bytes = (bytes + 15) & ~std::size_t{15};
    if (bytes > left_) grow(bytes);
    char* result = next_;
    mark_used(result, bytes);
    next_ += bytes;
    left_ -= bytes;
    return result;
  }
  // Makes the latest allocation, which ends at `end`, longer where it is.
  bool extend(const void* end, std::size_t bytes) {
    bytes = (bytes + 15) & ~std::size_t{15};
    if (end != next_ || bytes > left_) return false;
    mark_used(next_, bytes);
    next_ += bytes;
    left_ -= bytes;
    return true;
  }
  template <typename T, typename... Arguments>
  T* make(Arguments&&... arguments) {
    static_assert(std::is_trivially_destructible_v<T>);
    return new (allocate(sizeof(T))) T{std::forward<Arguments>(arguments)...};
  }
  template <typename T>
  T* make_many(std::size_t count) {
    T* items = static_cast<T*>(allocate(count * sizeof(T)));
    for (std::size_t i = 0; i < count; ++i) new (items + i) T();
    return items;
  }
  Val text(std::string_view bytes);
  // `head` followed by `tail`. A text that grows piece by piece is extended in place.
  Val concat(Val head, std::string_view tail);
  // Likewise an array that grows by appending: room for `more` items behind those of `head`, in which
  // `head`'s items stand already.
  Val* append_room(const Arr& head, std::size_t more);
  // Whether so many more bytes would fit; throws Failure if not.
  void check(double bytes) const;

  Mark mark() const { return {chunks_.size(), next_, left_, used_}; }
  bool newer(const void* pointer, const Mark& mark) const {
    const auto at = reinterpret_cast<std::uintptr_t>(pointer);
    const auto from = reinterpret_cast<std::uintptr_t>(mark.next);
    if (at >= from && at <= from + mark.left) return true;
    for (std::size_t i = chunks_.size(); i > mark.chunks; --i) {
      const auto start = reinterpret_cast<std::uintptr_t>(chunks_[i - 1].memory.get());
      if (at >= start && at <= start + chunks_[i - 1].size) return true;
    }
    return false;
  }
  void release(const Mark& mark) {
    if (growing_end_ && newer(growing_end_, mark)) growing_end_ = nullptr;
    if (append_end_ && newer(append_end_, mark)) append_end_ = nullptr;
    if (chunks_.size() == mark.chunks) {
      mark_unused(mark.next, static_cast<std::size_t>(next_ - mark.next));
      next_ = mark.next;
      left_ = mark.left;
    } else {
      release_chunks(mark);
    }
  }
  std::size_t bytes_since(const Mark& mark) const { return (used_ - left_) - (mark.used - mark.left); }

  struct Chunk {
    std::unique_ptr<char[]> memory;
    std::size_t size = 0;
  };
  // Takes the chunks made since the mark away, to be copied out of; they still count until drop().
  std::vector<Chunk> detach(const Mark& mark);
  void drop(std::vector<Chunk> chunks);

 private:
  // Each chunk is twice the one before: what malloc keeps back after a large piece was freed is measured by
  // that piece, so all of an evaluation's memory stays for the next one instead of going to the kernel and
  // back.
  static constexpr std::size_t kChunkBytesMax = 4 << 20;

  void grow(std::size_t bytes);
  void release_chunks(const Mark& mark);

  alignas(16) char first_[4 * 1024];
  std::vector<Chunk> chunks_;
  Chunk spare_;  // A loop that crosses the end of a chunk does not ask for memory each time.
  char* next_ = nullptr;
  std::size_t left_ = 0;
  std::size_t chunk_bytes_ = 32 * 1024;
  std::size_t used_ = 0;
  std::size_t bytes_max_;
  char* growing_end_ = nullptr;  // Where the latest large text ends and how far it may grow.
  char* growing_limit_ = nullptr;
  Val* append_end_ = nullptr;  // The same of the latest array that was appended to.
  Val* append_limit_ = nullptr;
};

struct Arr {
  Val* items = nullptr;  // nullptr with size > 0: a range.
  std::uint32_t size = 0;
  std::uint32_t capacity = 0;
  double first = 0;
  bool sequence = false;
  bool keep_singleton = false;
  bool cons = false;
  bool outer = false;  // The wrapper put round an array input.
  bool tuples = false;

  Val at(std::size_t index) const {
    return items ? items[index] : Val::of_number(first + static_cast<double>(index));
  }
  void push(Arena& arena, Val value) {
    if (size == capacity) grow(arena, size + 1);
    items[size++] = value;
  }
  void grow(Arena& arena, std::size_t least);
};

// A view of either kind of array.
struct Items {
  const Arr* array = nullptr;
  const json::Value* json = nullptr;
  std::size_t size = 0;

  explicit Items(Val value) {
    if (value.tag == Tag::kArray) {
      array = value.array;
      size = array->size;
    } else if (value.tag == Tag::kJsonArray) {
      json = value.json->items().data();
      size = value.json->size();
    }
  }
  Val operator[](std::size_t index) const { return array ? array->at(index) : Val::of_json(json[index]); }
  // For a walk over all items: the elements of a document lie all over the memory, so that of a later one is
  // fetched while this one is looked at; `offset` is where in it.
  void fetch_ahead(std::size_t index, std::size_t offset = 0) const {
    constexpr std::size_t kAhead = 8;
    if (!json || index + kAhead >= size) return;
    const char* const block = static_cast<const char*>(json[index + kAhead].identity());
    __builtin_prefetch(block);
    if (offset >= 64) __builtin_prefetch(block + offset);
  }
};

struct Entry {
  std::string_view key;
  Val value;
};

struct Obj {
  Entry* entries = nullptr;
  std::uint32_t size = 0;
  std::uint32_t capacity = 0;
  std::uint32_t* slots = nullptr;  // Open addressing over entries; made for large objects.
  std::uint32_t slot_count = 0;

  Entry* find(std::string_view key) const;
  void set(Arena& arena, std::string_view key, Val value);
  void erase(std::string_view key);

 private:
  void index(Arena& arena);
};

// Variables of one scope; the ones in force first.
struct Binding {
  std::int32_t symbol = -1;
  Val value{};
};

struct Frame {
  Frame* parent = nullptr;
  Binding* bindings = nullptr;
  std::uint32_t size = 0;
  std::uint32_t capacity = 0;
  std::uint64_t region = 0;  // Engine::Region in which it was made.

  Val* find(std::int32_t symbol) {
    for (std::uint32_t i = 0; i < size; ++i) {
      if (bindings[i].symbol == symbol) return &bindings[i].value;
    }
    return nullptr;
  }
  void bind(Arena& arena, std::int32_t symbol, Val value);
};

struct Tuple {
  Val context{};
  Frame bindings{};  // Without a parent.
};

// Member of an object of either kind; undefined where absent.
Val member(Val object, std::string_view key);
// The same for many objects in a row: `hint` says where the key was in the one before.
Val member_elsewhere(Val object, const json::Key& key, std::size_t& hint);
inline Val member_near(Val object, const json::Key& key, std::size_t& hint) {
  if (object.tag == Tag::kJsonObject) {
    const auto members = object.json->members();
    if (hint < members.size() && members[hint].key.is(key)) return Val::of_json(members[hint].value);
  }
  return member_elsewhere(object, key, hint);
}
std::size_t member_count(Val object);
// In JavaScript's order: keys that are array indices first, ascending, then the others as they came.
std::vector<Entry> ordered_entries(Val object);

// For what is no array and no object; functions are equal to themselves only.
bool same_scalar(Val a, Val b);

}  // namespace sortie::jsonata
