#pragma once
// Maps whose copies are free, and the counted pointers they are made of: what a RuleSet's snapshots share.
// Inside the folder only.
//
// A PersistentMap goes from 64-bit keys to values. It is a tree of nodes with up to 32 places each, chosen by
// five bits of the key a level, so keys are expected to be well mixed (mix_bits, hash_text). Copying a map
// shares the whole tree; editing one copies only the nodes on the way to the key, and only those that another
// copy can still see: a map that was never copied is edited in place, so building one costs what building a
// hash table costs, and changing one key of a shared map costs a few nodes, however large it is.
//
// Threads: copies may be read and edited by different threads at the same time; one map only by one.
#include <array>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <new>
#include <string_view>
#include <utility>

namespace sortie::pattern {

// Base of what Ref counts. A copy starts with no references of its own.
struct Counted {
  Counted() = default;
  Counted(const Counted&) {}
  Counted& operator=(const Counted&) { return *this; }
  mutable std::atomic<std::uint32_t> references{0};
};

template <typename T>
class Ref {
 public:
  Ref() = default;
  explicit Ref(T* target) : target_(target) { retain(); }
  Ref(const Ref& other) : target_(other.target_) { retain(); }
  Ref(Ref&& other) noexcept : target_(std::exchange(other.target_, nullptr)) {}
  Ref& operator=(Ref other) noexcept {
    std::swap(target_, other.target_);
    return *this;
  }
  ~Ref() {
    if (target_ != nullptr && target_->references.fetch_sub(1, std::memory_order_acq_rel) == 1)
      delete target_;
  }

  explicit operator bool() const { return target_ != nullptr; }
  T* operator->() const { return target_; }
  T& operator*() const { return *target_; }
  T* get() const { return target_; }

  // The target, for changing it: copied first where somebody else can see it.
  T& own() {
    if (target_->references.load(std::memory_order_acquire) != 1) *this = Ref(new T(*target_));
    return *target_;
  }

 private:
  void retain() {
    if (target_ != nullptr) target_->references.fetch_add(1, std::memory_order_relaxed);
  }
  T* target_ = nullptr;
};

__extension__ typedef unsigned __int128 Wide;

inline std::uint64_t multiply_fold(std::uint64_t a, std::uint64_t b) {
  const Wide product = static_cast<Wide>(a) * b;
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

// A bijection: different numbers stay different.
inline std::uint64_t mix_bits(std::uint64_t bits) {
  bits = (bits ^ (bits >> 30)) * 0xBF58476D1CE4E5B9ULL;
  bits = (bits ^ (bits >> 27)) * 0x94D049BB133111EBULL;
  return bits ^ (bits >> 31);
}

inline std::uint64_t load_word(const char* from) {
  std::uint64_t word;
  std::memcpy(&word, from, sizeof word);
  return word;
}

inline std::uint64_t load_half(const char* from) {
  std::uint32_t half;
  std::memcpy(&half, from, sizeof half);
  return half;
}

inline std::uint64_t hash_text(std::string_view text, std::uint64_t seed) {
  constexpr std::uint64_t kFirst = 0xA0761D6478BD642FULL;
  constexpr std::uint64_t kSecond = 0xE7037ED1A0B428DBULL;
  const char* at = text.data();
  std::size_t left = text.size();
  seed ^= kFirst;
  while (left > 16) {
    seed = multiply_fold(load_word(at) ^ kSecond, load_word(at + 8) ^ seed);
    at += 16;
    left -= 16;
  }
  std::uint64_t low = 0;
  std::uint64_t high = 0;
  if (left >= 8) {
    low = load_word(at);
    high = load_word(at + left - 8);
  } else if (left >= 4) {
    low = load_half(at);
    high = load_half(at + left - 4);
  } else if (left > 0) {
    low = static_cast<unsigned char>(at[0]) |
          static_cast<std::uint64_t>(static_cast<unsigned char>(at[left / 2])) << 8 |
          static_cast<std::uint64_t>(static_cast<unsigned char>(at[left - 1])) << 16;
  }
  return multiply_fold(kSecond ^ text.size(), multiply_fold(low ^ kSecond, high ^ seed));
}

template <typename T>
class PersistentMap {
 public:
  PersistentMap() = default;
  PersistentMap(const PersistentMap& other) : root_(other.root_), size_(other.size_) { retain(root_); }
  PersistentMap(PersistentMap&& other) noexcept
      : root_(std::exchange(other.root_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  PersistentMap& operator=(PersistentMap other) noexcept {
    std::swap(root_, other.root_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~PersistentMap() { release(root_); }

  std::size_t size() const { return size_; }

  const T* find(std::uint64_t key) const {
    const Node* node = root_;
    for (unsigned shift = 0; node != nullptr; shift += kBits) {
      const std::uint8_t place = node->places[slot_of(key, shift)];
      if (place == 0) return nullptr;
      if ((place & kChild) == 0) {
        const Entry& entry = node->entries()[place - 1];
        return entry.key == key ? &entry.value : nullptr;
      }
      node = node->children()[place & ~kChild];
    }
    return nullptr;
  }

  // The value under `key`, for changing it; made by default where there is none.
  T& edit(std::uint64_t key) {
    T* found = nullptr;
    root_ = edit_below(root_, key, 0, found);
    return *found;
  }

  void erase(std::uint64_t key) {
    if (find(key) != nullptr) {
      root_ = erase_below(root_, key, 0);
      --size_;
    }
  }

 private:
  static constexpr unsigned kBits = 5;
  static constexpr unsigned kSlots = 32;
  static constexpr std::uint8_t kChild = 0x80;  // A place is 0, 1 + an entry's number, or kChild + a child's.

  struct Entry {
    std::uint64_t key = 0;
    T value{};
  };
  // Entries and children follow the node in the same allocation.
  struct alignas(8) Node {
    std::atomic<std::uint32_t> references{1};
    std::uint16_t entry_count = 0;
    std::uint16_t child_count = 0;
    std::array<std::uint8_t, kSlots> places{};

    Entry* entries() { return reinterpret_cast<Entry*>(this + 1); }
    const Entry* entries() const { return reinterpret_cast<const Entry*>(this + 1); }
    Node** children() { return reinterpret_cast<Node**>(entries() + entry_count); }
    Node* const* children() const { return reinterpret_cast<Node* const*>(entries() + entry_count); }
  };
  static_assert(alignof(Entry) <= alignof(Node));

  static unsigned slot_of(std::uint64_t key, unsigned shift) { return (key >> shift) & (kSlots - 1); }
  static void retain(Node* node) {
    if (node != nullptr) node->references.fetch_add(1, std::memory_order_relaxed);
  }
  static bool is_shared(const Node* node) { return node->references.load(std::memory_order_acquire) != 1; }

  static Node* allocate(std::size_t entry_count, std::size_t child_count) {
    void* memory = ::operator new(sizeof(Node) + entry_count * sizeof(Entry) + child_count * sizeof(Node*));
    auto* node = new (memory) Node;
    node->entry_count = static_cast<std::uint16_t>(entry_count);
    node->child_count = static_cast<std::uint16_t>(child_count);
    return node;
  }
  static void dismantle(Node* node) {
    for (std::size_t i = 0; i < node->entry_count; ++i) node->entries()[i].~Entry();
    node->~Node();
    ::operator delete(node);
  }
  // Recursion is as deep as the tree: thirteen levels at most.
  static void release(Node* node) {
    if (node == nullptr || node->references.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
    for (std::size_t i = 0; i < node->child_count; ++i) release(node->children()[i]);
    dismantle(node);
  }

  // A node like `old` whose `slot` holds `entry`, or `child`, or nothing. Takes over the caller's references
  // to `old` and `child`.
  static Node* remake(Node* old, unsigned slot, Entry* entry, Node* child) {
    const std::uint8_t before = old == nullptr ? 0 : old->places[slot];
    const bool lost_entry = before != 0 && (before & kChild) == 0;
    const bool lost_child = (before & kChild) != 0;
    const std::size_t entry_count =
        (old == nullptr ? 0u : old->entry_count) - (lost_entry ? 1u : 0u) + (entry != nullptr ? 1u : 0u);
    const std::size_t child_count =
        (old == nullptr ? 0u : old->child_count) - (lost_child ? 1u : 0u) + (child != nullptr ? 1u : 0u);
    const bool move = old != nullptr && !is_shared(old);
    Node* made = allocate(entry_count, child_count);
    std::uint8_t entries = 0;
    std::uint8_t children = 0;
    const auto add_entry = [&](unsigned s, Entry& from, bool taken) {
      if (taken) {
        new (made->entries() + entries) Entry(std::move(from));
      } else {
        new (made->entries() + entries) Entry(from);
      }
      made->places[s] = ++entries;
    };
    const auto add_child = [&](unsigned s, Node* from) {
      made->children()[children] = from;
      made->places[s] = static_cast<std::uint8_t>(kChild + children++);
    };
    for (unsigned s = 0; s < kSlots; ++s) {
      const std::uint8_t place = old == nullptr ? 0 : old->places[s];
      if (s == slot) {
        if (entry != nullptr) add_entry(s, *entry, true);
        if (child != nullptr) add_child(s, child);
      } else if ((place & kChild) != 0) {
        Node* const kept = old->children()[place & ~kChild];
        if (!move) retain(kept);
        add_child(s, kept);
      } else if (place != 0) {
        add_entry(s, old->entries()[place - 1], move);
      }
    }
    if (move) {
      dismantle(old);
    } else {
      release(old);
    }
    return made;
  }

  // Takes over the caller's reference and gives one back, of a node that nobody else sees.
  static Node* own(Node* node) {
    if (!is_shared(node)) return node;
    Node* made = allocate(node->entry_count, node->child_count);
    made->places = node->places;
    for (std::size_t i = 0; i < node->entry_count; ++i) new (made->entries() + i) Entry(node->entries()[i]);
    for (std::size_t i = 0; i < node->child_count; ++i) {
      made->children()[i] = node->children()[i];
      retain(made->children()[i]);
    }
    release(node);
    return made;
  }

  Node* edit_below(Node* node, std::uint64_t key, unsigned shift, T*& found) {
    const unsigned slot = slot_of(key, shift);
    const std::uint8_t place = node == nullptr ? 0 : node->places[slot];
    if (place == 0) {
      Entry fresh{key, T{}};
      node = remake(node, slot, &fresh, nullptr);
      found = &node->entries()[node->places[slot] - 1].value;
      ++size_;
      return node;
    }
    if ((place & kChild) != 0) {
      node = own(node);
      Node*& child = node->children()[place & ~kChild];
      child = edit_below(child, key, shift + kBits, found);
      return node;
    }
    if (node->entries()[place - 1].key == key) {
      node = own(node);
      found = &node->entries()[place - 1].value;
      return node;
    }
    Entry other = node->entries()[place - 1];
    const unsigned below = slot_of(other.key, shift + kBits);
    Node* child = remake(nullptr, below, &other, nullptr);
    child = edit_below(child, key, shift + kBits, found);
    return remake(node, slot, nullptr, child);
  }

  // The key is there.
  static Node* erase_below(Node* node, std::uint64_t key, unsigned shift) {
    const unsigned slot = slot_of(key, shift);
    const std::uint8_t place = node->places[slot];
    if ((place & kChild) != 0) {
      node = own(node);
      Node*& child = node->children()[place & ~kChild];
      child = erase_below(child, key, shift + kBits);
      return child != nullptr ? node : remake_or_nothing(node, slot);
    }
    return remake_or_nothing(node, slot);
  }
  static Node* remake_or_nothing(Node* node, unsigned slot) {
    if (node->entry_count + node->child_count > 1) return remake(node, slot, nullptr, nullptr);
    if (node->child_count == 1) node->child_count = 0;  // It was erased to nothing.
    release(node);
    return nullptr;
  }

  Node* root_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace sortie::pattern
