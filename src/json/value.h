#pragma once
// json::Value is the immutable JSON value that everything in Sortie passes around.
//
// It is 16 bytes: numbers, booleans and strings up to 14 bytes live inside it, everything else is a pointer
// to a reference-counted block that never changes after it was made: one piece of memory, a header with the
// content behind it. Copying is one increment, so passing a payload on, snapshotting it and fanning it out
// are free, and a block may be shared between threads.
// Edits go through ObjectBuilder or a fresh array and share all that did not change.
//
// Numbers keep what they are: integers that fit 64 bits are kInteger, everything with a fraction or exponent
// is kDouble, and integers beyond 64 bits are kBigInteger: their digits are kept as text, so they survive
// being passed through. Objects keep insertion order; a repeated key keeps its first place and its last
// value. Limits: depth() is known for every value in O(1), so a caller can refuse nesting before it recurses.
#include <algorithm>
#include <atomic>
#include <bit>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <new>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace sortie::json {

enum class Kind : std::uint8_t { kNull, kBool, kInteger, kDouble, kBigInteger, kString, kArray, kObject };

// "null", "boolean", "number", "string", "array", "object".
std::string_view kind_name(Kind kind);

struct Member;
class Value;

// A member's name made ready to be looked for in many objects: up to 14 bytes it compares as two words. The
// text has to outlive it.
class Key {
 public:
  explicit Key(std::string_view text = {}) noexcept;
  std::string_view text() const { return text_; }

 private:
  friend class Value;
  std::string_view text_;
  std::uint64_t words_[2] = {0, UINT64_MAX};  // Those of the equal Value; of none for a longer text.
};

class Value {
 public:
  Value() noexcept { set_tag(Tag::kNull); }
  Value(std::nullptr_t) noexcept : Value() {}
  Value(bool value) noexcept { set_tag(value ? Tag::kTrue : Tag::kFalse); }
  Value(int value) noexcept : Value(static_cast<std::int64_t>(value)) {}
  Value(unsigned value) noexcept : Value(static_cast<std::int64_t>(value)) {}
  Value(std::int64_t value) noexcept {
    std::memcpy(bytes_, &value, sizeof value);
    set_tag(Tag::kInteger);
  }
  Value(std::uint64_t value);  // Above INT64_MAX it becomes a big integer.
  // The caller guarantees a finite number: JSON has no other.
  Value(double value) noexcept {
    std::memcpy(bytes_, &value, sizeof value);
    set_tag(Tag::kDouble);
  }
  Value(std::string_view text);
  Value(const std::string& text) : Value(std::string_view(text)) {}
  Value(const char* text) : Value(std::string_view(text)) {}
  static Value array(std::vector<Value> items);
  static Value object(std::vector<Member> members);
  static Value object(std::initializer_list<Member> members);
  // The same of what stands in the caller's memory, which is left with nulls. Repeated keys of an object:
  // first place, last value.
  static Value take_array(std::span<Value> items);
  static Value take_object(std::span<Member> members);
  // The same of what `make` gives for 0, 1, ... count - 1, made in place.
  template <typename Make>
  static Value array_of(std::size_t count, Make&& make);
  template <typename Make>
  static Value object_of(std::size_t count, Make&& make);
  // The text again that some value's as_string() gave, whole: shares what can be shared instead of copying
  // it.
  static Value share_text(std::string_view whole) noexcept;
  // `digits` is an optional '-' and decimal digits; becomes kInteger where it fits.
  static Value big_integer(std::string_view digits);

  Value(const Value& other) noexcept {
    std::memcpy(bytes_, other.bytes_, sizeof bytes_);
    if (has_block()) block()->references.fetch_add(1, std::memory_order_relaxed);
  }
  Value(Value&& other) noexcept {
    std::memcpy(bytes_, other.bytes_, sizeof bytes_);
    other.set_tag(Tag::kNull);
  }
  Value& operator=(const Value& other) noexcept {
    Value copy(other);
    swap(copy);
    return *this;
  }
  Value& operator=(Value&& other) noexcept {
    Value taken(std::move(other));
    swap(taken);
    return *this;
  }
  ~Value() {
    if (has_block() && block()->let_go()) destroy(block(), tag());
  }

  Kind kind() const noexcept { return kKinds[static_cast<std::size_t>(bytes_[15])]; }
  bool is_null() const noexcept { return tag() == Tag::kNull; }
  bool is_bool() const noexcept { return tag() == Tag::kFalse || tag() == Tag::kTrue; }
  bool is_integer() const noexcept { return tag() == Tag::kInteger; }
  bool is_number() const noexcept {  // Integer, double or big integer.
    return tag() == Tag::kInteger || tag() == Tag::kDouble || tag() == Tag::kBigInteger;
  }
  bool is_string() const noexcept { return tag() == Tag::kInlineString || tag() == Tag::kString; }
  bool is_array() const noexcept { return tag() == Tag::kArray; }
  bool is_object() const noexcept { return tag() == Tag::kObject; }

  // The caller has checked the kind; anything else is a bug (checked).
  bool as_bool() const {
    SORTIE_CHECK(is_bool());
    return tag() == Tag::kTrue;
  }
  std::int64_t as_integer() const {
    SORTIE_CHECK(tag() == Tag::kInteger);
    return read<std::int64_t>();
  }
  double as_double() const {  // Any number; big integers are rounded.
    if (tag() == Tag::kInteger) return static_cast<double>(read<std::int64_t>());
    if (tag() == Tag::kDouble) return read<double>();
    return round_big();
  }
  std::string_view as_string() const& {
    if (tag() == Tag::kInlineString) return {bytes_, static_cast<std::size_t>(bytes_[14])};
    SORTIE_CHECK(tag() == Tag::kString);
    return block()->text();
  }
  std::string_view as_string() && = delete;  // Short strings live in the value itself.
  std::string to_std_string() const { return std::string(as_string()); }
  std::string_view big_digits() const& {
    SORTIE_CHECK(tag() == Tag::kBigInteger);
    return block()->text();
  }

  std::span<const Value> items() const;     // Empty unless an array.
  std::span<const Member> members() const;  // Empty unless an object.
  std::size_t size() const {                // Items or members; 0 for everything else.
    return tag() >= Tag::kArray ? block()->size : 0;
  }
  bool empty() const { return size() == 0; }

  const Value* find(std::string_view key) const;  // nullptr: absent, or no object.
  const Value* find(const Key& key) const;        // The same.
  const Value& get(std::string_view key) const;   // null value where absent.
  bool has(std::string_view key) const { return find(key) != nullptr; }
  const Value& operator[](std::size_t index) const;  // null value where out of range or no array.

  // 0 for scalars, 1 + the deepest child for arrays and objects.
  std::uint32_t depth() const noexcept { return has_block() ? block()->depth : 0; }
  // The block's address for strings beyond 14 bytes, arrays, objects: equal addresses are the same value.
  // nullptr for values that have no block. Valid as long as some copy of the value lives.
  const void* identity() const noexcept { return has_block() ? block() : nullptr; }

  // Whether this is the text of `key`.
  bool is(const Key& key) const noexcept {
    std::uint64_t words[2];
    std::memcpy(words, bytes_, sizeof words);
    if (words[0] == key.words_[0] && words[1] == key.words_[1]) return true;
    return tag() == Tag::kString && block()->text() == key.text_;
  }

  // Deep equality; numbers compare by value (1 == 1.0), objects regardless of member order.
  friend bool operator==(const Value& a, const Value& b);

 private:
  friend class Key;
  static constexpr std::size_t kInlineTextMax = 14;
  enum class Tag : std::uint8_t {
    kNull,
    kFalse,
    kTrue,
    kInteger,
    kDouble,
    kInlineString,
    kString,
    kBigInteger,
    kArray,
    kObject
  };
  static constexpr Kind kKinds[] = {Kind::kNull,   Kind::kBool,   Kind::kBool,   Kind::kInteger,
                                    Kind::kDouble, Kind::kString, Kind::kString, Kind::kBigInteger,
                                    Kind::kArray,  Kind::kObject};
  // Behind it, in the same piece of memory: `size` characters, Values or Members; behind the members of a
  // large object its table of hashes.
  struct Block {
    std::atomic<std::uint32_t> references{1};
    std::uint32_t depth = 0;
    std::size_t size = 0;

    template <typename T>
    T* content() {
      return reinterpret_cast<T*>(this + 1);
    }
    std::string_view text() { return {content<char>(), size}; }
    // Gives one reference back; true if it was the last. An only owner need not be counted down.
    bool let_go() noexcept {
      return references.load(std::memory_order_acquire) == 1 ||
             references.fetch_sub(1, std::memory_order_acq_rel) == 1;
    }
  };

  Tag tag() const noexcept { return static_cast<Tag>(bytes_[15]); }
  void set_tag(Tag tag) noexcept { bytes_[15] = static_cast<char>(tag); }
  bool has_block() const noexcept { return tag() >= Tag::kString; }
  template <typename T>
  T read() const noexcept {
    T result;
    std::memcpy(&result, bytes_, sizeof result);
    return result;
  }
  Block* block() const noexcept { return read<Block*>(); }
  void set_block(Block* block, Tag tag) noexcept {
    std::memcpy(bytes_, &block, sizeof block);
    set_tag(tag);
  }
  void swap(Value& other) noexcept {
    char mine[sizeof bytes_];
    std::memcpy(mine, bytes_, sizeof bytes_);
    std::memcpy(bytes_, other.bytes_, sizeof bytes_);
    std::memcpy(other.bytes_, mine, sizeof bytes_);
  }
  static Block* make_block(std::size_t size, std::size_t bytes);
  static Value make_text(std::string_view text, Tag tag);
  static void destroy(Block* block, Tag tag) noexcept;
  double round_big() const;
  // A short text as the two words that hold it. What is not used of them is zero, so that equal texts are
  // equal words. Loads that overlap instead of a copy of so many bytes: what a store of unknown length wrote
  // cannot be read as words right after it without a stall.
  struct Words {
    std::uint64_t low = 0, high = 0;
  };
  static Words words_of(std::string_view text) noexcept {
    static_assert(std::endian::native == std::endian::little);
    const char* bytes = text.data();
    const std::size_t size = text.size();
    Words words;
    if (size >= 8) {
      words.low = load<std::uint64_t>(bytes);
      if (size > 8) words.high = load<std::uint64_t>(bytes + size - 8) >> (8 * (16 - size));
    } else if (size >= 4) {
      words.low = load<std::uint32_t>(bytes) |
                  static_cast<std::uint64_t>(load<std::uint32_t>(bytes + size - 4)) << (8 * (size - 4));
    } else {
      for (std::size_t i = 0; i < size; ++i) {
        words.low |= static_cast<std::uint64_t>(static_cast<unsigned char>(bytes[i])) << (8 * i);
      }
    }
    words.high |= static_cast<std::uint64_t>(size) << 48 | static_cast<std::uint64_t>(Tag::kInlineString)
                                                               << 56;
    return words;
  }
  template <typename Word>
  static Word load(const char* bytes) noexcept {
    Word word;
    std::memcpy(&word, bytes, sizeof word);
    return word;
  }
  void set_inline_text(std::string_view text) noexcept {
    const Words words = words_of(text);
    std::memcpy(bytes_, &words, sizeof bytes_);
  }
  static bool same_key(const Value& a, const Value& b) noexcept;
  static Value settle_object(Value object);
  static std::size_t slots_of(std::size_t members) noexcept;
  static void build_slots(Block* object) noexcept;
  static const Value* find_member(Block* object, const Key& key) noexcept;
  static bool repeats_a_key(Block* object) noexcept;

  alignas(8) char bytes_[16];  // [0..7] number or pointer, [0..13] inline text, [14] its length, [15] tag
};

struct Member {
  Value key;  // Always a string.
  Value value;
};

template <typename Make>
Value Value::array_of(std::size_t count, Make&& make) {
  Value array;
  array.set_block(make_block(0, count * sizeof(Value)), Tag::kArray);
  Block& block = *array.block();
  for (Value* place = block.content<Value>(); block.size < count; ++block.size, ++place)
    block.depth = std::max(block.depth, (new (place) Value(make(block.size)))->depth());
  ++block.depth;
  return array;
}

template <typename Make>
Value Value::object_of(std::size_t count, Make&& make) {
  Value object;
  object.set_block(make_block(0, count * sizeof(Member) + slots_of(count) * sizeof(std::uint32_t)),
                   Tag::kObject);
  Block& block = *object.block();
  for (Member* place = block.content<Member>(); block.size < count; ++block.size, ++place)
    block.depth = std::max(block.depth, (new (place) Member(make(block.size)))->value.depth());
  ++block.depth;
  return settle_object(std::move(object));
}

inline Value Value::take_array(std::span<Value> items) {
  return array_of(items.size(), [items](std::size_t i) { return std::move(items[i]); });
}

inline Value Value::take_object(std::span<Member> members) {
  return object_of(members.size(), [members](std::size_t i) { return std::move(members[i]); });
}

inline Value Value::share_text(std::string_view whole) noexcept {
  // A short text lies in its value, at its beginning; a longer one right behind its block's header.
  if (whole.size() <= kInlineTextMax) return *reinterpret_cast<const Value*>(whole.data());
  auto* const block = reinterpret_cast<Block*>(const_cast<char*>(whole.data())) - 1;
  block->references.fetch_add(1, std::memory_order_relaxed);
  Value text;
  text.set_block(block, Tag::kString);
  return text;
}

inline Value Value::array(std::vector<Value> items) { return take_array(items); }

inline Value Value::object(std::vector<Member> members) { return take_object(members); }

inline std::span<const Value> Value::items() const {
  if (tag() != Tag::kArray) return {};
  return {block()->content<const Value>(), block()->size};
}

inline std::span<const Member> Value::members() const {
  if (tag() != Tag::kObject) return {};
  return {block()->content<const Member>(), block()->size};
}

inline Key::Key(std::string_view text) noexcept : text_(text) {
  if (text.size() > Value::kInlineTextMax) return;
  const Value::Words words = Value::words_of(text);
  words_[0] = words.low;
  words_[1] = words.high;
}

inline const Value* Value::find(std::string_view key) const { return find(Key(key)); }

inline const Value* Value::find(const Key& key) const {
  return tag() == Tag::kObject ? find_member(block(), key) : nullptr;
}

// Edits an object without touching the original: ObjectBuilder{value}.set("attempt", 2).build().
// Starting from a value that is no object starts empty.
class ObjectBuilder {
 public:
  ObjectBuilder() = default;
  explicit ObjectBuilder(const Value& object);
  ObjectBuilder& set(std::string_view key, Value value);
  ObjectBuilder& erase(std::string_view key);
  // Appends without looking for the key: O(1); build() settles repeated keys.
  ObjectBuilder& append(std::string_view key, Value value);
  Value build();  // Leaves the builder empty.

 private:
  std::vector<Member> members_;
};

}  // namespace sortie::json
