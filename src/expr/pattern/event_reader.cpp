#include "expr/pattern/event_reader.h"

#ifdef __SSE2__
#include <immintrin.h>
#endif

#include <bit>

#include "base/text.h"

namespace sortie::pattern {

namespace event_reader_detail {

// What 64 bytes of text hold, one bit for each byte.
struct Block {
  std::uint64_t quotes = 0;
  std::uint64_t backslashes = 0;
  std::uint64_t opening = 0;  // { and [
  std::uint64_t closing = 0;  // } and ]
};

constexpr std::size_t kBlockBytes = 64;

#ifdef __SSE2__

inline std::uint64_t bits_of(__m128i matches, int part) {
  return static_cast<std::uint64_t>(static_cast<std::uint32_t>(_mm_movemask_epi8(matches))) << (16 * part);
}

inline Block classify(const char* at) {
  Block block;
  for (int part = 0; part < 4; ++part) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at + 16 * part));
    // '[' and '{', and ']' and '}', differ only in this bit; no other characters become braces by it.
    const __m128i braces = _mm_or_si128(bytes, _mm_set1_epi8(0x20));
    block.quotes |= bits_of(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('"')), part);
    block.backslashes |= bits_of(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\')), part);
    block.opening |= bits_of(_mm_cmpeq_epi8(braces, _mm_set1_epi8('{')), part);
    block.closing |= bits_of(_mm_cmpeq_epi8(braces, _mm_set1_epi8('}')), part);
  }
  return block;
}

#else

inline Block classify(const char* at) {
  Block block;
  for (std::size_t i = 0; i < kBlockBytes; ++i) {
    const std::uint64_t bit = std::uint64_t{1} << i;
    const char c = at[i];
    if (c == '"') block.quotes |= bit;
    if (c == '\\') block.backslashes |= bit;
    if (c == '{' || c == '[') block.opening |= bit;
    if (c == '}' || c == ']') block.closing |= bit;
  }
  return block;
}

#endif

// Which bytes stand behind a backslash that is not escaped itself. `carry`: the first byte does.
inline std::uint64_t escaped_bytes(std::uint64_t backslashes, bool& carry) {
  std::uint64_t escaped = carry ? 1 : 0;
  carry = false;
  for (std::uint64_t left = backslashes & ~escaped; left != 0;) {
    const int i = std::countr_zero(left);
    if (i == 63) {
      carry = true;
      break;
    }
    escaped |= std::uint64_t{2} << i;
    left &= ~(std::uint64_t{3} << i);
  }
  return escaped;
}

// Each bit becomes the parity of itself and all bits below it.
inline std::uint64_t parity_below(std::uint64_t bits) {
  for (int shift = 1; shift < 64; shift *= 2) bits ^= bits << shift;
  return bits;
}

// `at` stands behind an opening bracket; moves it behind the bracket that closes it. `classify_block` gives
// the Block of 64 bytes.
template <typename Classify>
[[gnu::always_inline]] inline bool skip_blocks(const char*& at, const char* end,
                                               const Classify& classify_block) {
  std::uint64_t depth = 1;
  std::uint64_t in_string = 0;  // All ones, or none.
  bool escape = false;
  char tail[kBlockBytes];
  while (at < end) {
    const char* from = at;
    const auto left = static_cast<std::size_t>(end - at);
    if (left < kBlockBytes) {
      std::memset(tail, ' ', sizeof tail);
      std::memcpy(tail, at, left);
      from = tail;
    }
    Block block = classify_block(from);
    if (block.backslashes != 0 || escape) block.quotes &= ~escaped_bytes(block.backslashes, escape);
    const std::uint64_t strings = parity_below(block.quotes) ^ in_string;
    in_string = static_cast<std::uint64_t>(static_cast<std::int64_t>(strings) >> 63);
    block.opening &= ~strings;
    block.closing &= ~strings;
    const auto closings = static_cast<std::uint64_t>(std::popcount(block.closing));
    if (closings >= depth) {
      std::uint64_t closed = 0;
      for (std::uint64_t bits = block.closing; bits != 0; bits &= bits - 1) {
        const std::uint64_t below = (bits & -bits) - 1;
        ++closed;
        if (depth + static_cast<std::uint64_t>(std::popcount(block.opening & below)) == closed) {
          at += std::countr_zero(bits) + 1;
          return true;
        }
      }
    }
    depth += static_cast<std::uint64_t>(std::popcount(block.opening)) - closings;
    at += left < kBlockBytes ? left : kBlockBytes;
  }
  return false;
}

bool skip_container(const char*& at, const char* end) {
  return skip_blocks(at, end, [](const char* from) { return classify(from); });
}

#if defined(__x86_64__) && defined(__GNUC__)

// The same for processors that have more than every x86-64 has; which one it is, is asked when it runs.
#define SORTIE_AVX2 [[gnu::target("avx2,bmi,popcnt")]]

SORTIE_AVX2 inline std::uint64_t wide_bits(__m256i low, __m256i high, char wanted) {
  const __m256i all = _mm256_set1_epi8(wanted);
  const auto lower = static_cast<std::uint32_t>(_mm256_movemask_epi8(_mm256_cmpeq_epi8(low, all)));
  const auto upper = static_cast<std::uint32_t>(_mm256_movemask_epi8(_mm256_cmpeq_epi8(high, all)));
  return lower | static_cast<std::uint64_t>(upper) << 32;
}

struct WideBlocks {
  SORTIE_AVX2 Block operator()(const char* from) const {
    const __m256i low = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
    const __m256i high = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from + 32));
    const __m256i bit = _mm256_set1_epi8(0x20);
    const __m256i low_braces = _mm256_or_si256(low, bit);
    const __m256i high_braces = _mm256_or_si256(high, bit);
    return Block{wide_bits(low, high, '"'), wide_bits(low, high, '\\'),
                 wide_bits(low_braces, high_braces, '{'), wide_bits(low_braces, high_braces, '}')};
  }
};

SORTIE_AVX2 bool skip_container_avx2(const char*& at, const char* end) {
  return skip_blocks(at, end, WideBlocks());
}

bool has_avx2() {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") && __builtin_cpu_supports("popcnt");
}

#undef SORTIE_AVX2

#else

bool skip_container_avx2(const char*& at, const char* end) { return skip_container(at, end); }
bool has_avx2() { return false; }

#endif

// A string or name as it stands in the text, between its quotes.
struct RawText {
  std::string_view text;
  bool escaped = false;
  bool dotted = false;
};

// `at` stands behind the opening quote; moves it behind the closing one.
inline bool read_raw(const char*& at, const char* end, RawText& out) {
  const char* const begin = at;
  while (at < end) {
#ifdef __SSE2__
    if (end - at >= 16) {
      const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
      const __m128i stops =
          _mm_or_si128(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('"')), _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\')));
      const auto stop = static_cast<std::uint32_t>(_mm_movemask_epi8(stops));
      const auto dots =
          static_cast<std::uint32_t>(_mm_movemask_epi8(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('.'))));
      out.dotted = out.dotted || (dots & ((stop & -stop) - 1)) != 0;
      if (stop == 0) {
        at += 16;
        continue;
      }
      at += std::countr_zero(stop);
    }
#endif
    if (*at == '"') {
      out.text = std::string_view(begin, static_cast<std::size_t>(at - begin));
      ++at;
      return true;
    }
    if (*at == '.') out.dotted = true;
    if (*at == '\\') {
      out.escaped = true;
      ++at;
    }
    ++at;
  }
  return false;
}

bool read_hex4(std::string_view text, std::size_t at, std::uint32_t& unit) {
  if (at + 4 > text.size()) return false;
  unit = 0;
  for (std::size_t i = at; i < at + 4; ++i) {
    const char c = text[i];
    const char lower = static_cast<char>(c | 0x20);
    if (c >= '0' && c <= '9') {
      unit = unit * 16 + static_cast<std::uint32_t>(c - '0');
    } else if (lower >= 'a' && lower <= 'f') {
      unit = unit * 16 + static_cast<std::uint32_t>(lower - 'a' + 10);
    } else {
      return false;
    }
  }
  return true;
}

char* write_utf8(char* out, std::uint32_t point) {
  if (point >= 0xD800 && point < 0xE000) point = 0xFFFD;  // A lone surrogate.
  if (point < 0x80) {
    *out++ = static_cast<char>(point);
  } else if (point < 0x800) {
    *out++ = static_cast<char>(0xC0 | (point >> 6));
    *out++ = static_cast<char>(0x80 | (point & 0x3F));
  } else {
    if (point < 0x10000) {
      *out++ = static_cast<char>(0xE0 | (point >> 12));
    } else {
      *out++ = static_cast<char>(0xF0 | (point >> 18));
      *out++ = static_cast<char>(0x80 | ((point >> 12) & 0x3F));
    }
    *out++ = static_cast<char>(0x80 | ((point >> 6) & 0x3F));
    *out++ = static_cast<char>(0x80 | (point & 0x3F));
  }
  return out;
}

// Writes `raw` without its escapes, which never makes it longer; nullptr where an escape is none.
char* unescape(std::string_view raw, char* out) {
  for (std::size_t i = 0; i < raw.size(); ++i) {
    if (raw[i] != '\\') {
      *out++ = raw[i];
      continue;
    }
    if (++i >= raw.size()) return nullptr;
    static constexpr std::string_view kNames = "\"\\/bfnrt";
    static constexpr std::string_view kValues = "\"\\/\b\f\n\r\t";
    const std::size_t simple = kNames.find(raw[i]);
    if (simple != std::string_view::npos) {
      *out++ = kValues[simple];
      continue;
    }
    std::uint32_t unit = 0;
    if (raw[i] != 'u' || !read_hex4(raw, i + 1, unit)) return nullptr;
    i += 4;
    std::uint32_t low = 0;
    if (unit >= 0xD800 && unit < 0xDC00 && raw.substr(i + 1, 2) == "\\u" && read_hex4(raw, i + 3, low) &&
        low >= 0xDC00 && low < 0xE000) {
      unit = 0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00);
      i += 6;
    }
    out = write_utf8(out, unit);
  }
  return out;
}

inline bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

inline bool ends_scalar(char c) { return c == ',' || c == '}' || c == ']' || is_blank(c); }

// The end of the number or literal that begins at `at`.
inline const char* end_of_bare(const char* at, const char* end) {
#ifdef __SSE2__
  for (; end - at >= 16; at += 16) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
    const __m128i blanks = _mm_cmpeq_epi8(_mm_min_epu8(bytes, _mm_set1_epi8(' ')), bytes);
    const __m128i closing = _mm_cmpeq_epi8(_mm_or_si128(bytes, _mm_set1_epi8(0x20)), _mm_set1_epi8('}'));
    const __m128i commas = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(','));
    const auto stop =
        static_cast<std::uint32_t>(_mm_movemask_epi8(_mm_or_si128(_mm_or_si128(blanks, closing), commas)));
    if (stop != 0) return at + std::countr_zero(stop);
  }
#endif
  while (at < end && !ends_scalar(*at)) ++at;
  return at;
}

char lower_ascii(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

}  // namespace event_reader_detail

using namespace event_reader_detail;

class EventReader {
 public:
  EventReader(std::string_view text, const RuleIndex& index, MatchState& state)
      : at_(text.data()), end_(text.data() + text.size()), size_(text.size()), index_(index), state_(state) {}

  bool run() {
    skip_blanks();
    if (at_ >= end_ || *at_++ != '{' || !read_object(kRootPath, index_.root_names, 0, 1)) return false;
    skip_blanks();
    return at_ == end_;
  }

 private:
  void skip_blanks() {
    while (at_ < end_ && static_cast<unsigned char>(*at_) <= ' ' && is_blank(*at_)) ++at_;
  }
  bool skip() { return wide_ ? skip_container_avx2(at_, end_) : skip_container(at_, end_); }
  bool take(char c) {
    skip_blanks();
    if (at_ >= end_ || *at_ != c) return false;
    ++at_;
    return true;
  }

  // Each reader begins behind the bracket that opens what it reads, and ends behind the one that closes it.
  // `names` is the NameMask of what rules know below `path`.
  bool read_object(std::uint32_t path, NameMask names, std::uint32_t scope, std::size_t depth) {
    if (depth > kEventDepthMax) return false;
    if (take('}')) return true;
    do {
      RawText name;
      if (!take('"') || !read_raw(at_, end_, name)) return false;
      const PathNode* node = nullptr;
      if (!name.escaped && !name.dotted) {
        if ((names & name_mask(name.text)) != 0) node = index_.find_path(path, name.text);
      } else if (!find_odd_name(path, name, node)) {
        return false;
      }
      if (!take(':') || !read_value(node, scope, depth)) return false;
    } while (take(','));
    return take('}');
  }

  // A name with escapes, or with dots: then it is several segments of the path.
  bool find_odd_name(std::uint32_t path, const RawText& name, const PathNode*& node) {
    std::string_view text = name.text;
    if (name.escaped && !plain(text)) return false;
    for (std::size_t dot = text.find('.'); dot != std::string_view::npos; dot = text.find('.')) {
      node = index_.find_path(path, text.substr(0, dot));
      if (node == nullptr) return true;
      path = node->id;
      text.remove_prefix(dot + 1);
    }
    node = index_.find_path(path, text);
    return true;
  }

  // Replaces `text` by itself without its escapes.
  bool plain(std::string_view& text) {
    char* const out = state_.texts.reserve(size_);
    const char* const end = unescape(text, out);
    if (end == nullptr) return false;
    text = std::string_view(out, static_cast<std::size_t>(end - out));
    state_.texts.take(text.size());
    return true;
  }

  bool read_array(const PathNode& node, std::uint32_t scope, std::size_t depth) {
    if (depth > kEventDepthMax) return false;
    if (take(']')) return true;
    const auto array = static_cast<std::uint32_t>(state_.arrays.size());
    const auto first = static_cast<std::uint32_t>(state_.scopes.size());
    state_.arrays.push_back({node.id, node.depth, first, first});
    const std::uint32_t scope_depth = state_.scopes[scope].depth + 1;
    do {
      skip_blanks();
      const bool nested = at_ < end_ && (*at_ == '{' || *at_ == '[');
      if (!nested) {
        if (!read_value(&node, scope, depth)) return false;
        continue;
      }
      const auto element = static_cast<std::uint32_t>(state_.scopes.size());
      state_.scopes.push_back({scope, array, scope_depth, element});
      if (!read_value(&node, element, depth)) return false;
      state_.scopes[element].last = static_cast<std::uint32_t>(state_.scopes.size() - 1);
    } while (take(','));
    state_.arrays[array].last = static_cast<std::uint32_t>(state_.scopes.size() - 1);
    return take(']');
  }

  // `node`: what rules say about this place; nullptr: nothing.
  bool read_value(const PathNode* node, std::uint32_t scope, std::size_t depth) {
    skip_blanks();
    if (at_ >= end_) return false;
    switch (*at_) {
      case '"': {
        ++at_;
        RawText string;
        if (!read_raw(at_, end_, string)) return false;
        if (node == nullptr || node->conditions == 0) return true;
        if (string.escaped && !plain(string.text)) return false;
        add_string(*node, string.text, scope);
        return true;
      }
      case '{':
        ++at_;
        if (node == nullptr || node->children == 0) return skip();
        return read_object(node->id, node->names, scope, depth + 1);
      case '[':
        ++at_;
        return node == nullptr ? skip() : read_array(*node, scope, depth + 1);
      default:
        return read_bare(node, scope);
    }
  }

  // A number or literal.
  bool read_bare(const PathNode* node, std::uint32_t scope) {
    const char* const begin = at_;
    at_ = end_of_bare(at_, end_);
    const std::string_view text(begin, static_cast<std::size_t>(at_ - begin));
    if (text.empty()) return false;
    if (node == nullptr || node->conditions == 0) return true;
    if (text[0] == '-' || (text[0] >= '0' && text[0] <= '9')) {
      add_number(*node, text, scope);
    } else if (text == "true") {
      add_literal(*node, FieldKind::kTrue, text, scope);
    } else if (text == "false") {
      add_literal(*node, FieldKind::kFalse, text, scope);
    } else if (text == "null") {
      add_literal(*node, FieldKind::kNull, text, scope);
    } else {
      return false;
    }
    return true;
  }

  Field& add_field(const PathNode& node, FieldKind kind, std::string_view text, std::uint32_t scope) {
    const auto number = static_cast<std::uint32_t>(state_.fields.size());
    Field& field = state_.fields.emplace_back();
    field.kind = kind;
    field.text = text;
    field.scope = scope;
    if (!state_.seen_paths.add(node.id)) field.next = state_.newest_field[node.id];
    state_.newest_field[node.id] = number;
    return field;
  }

  void note(std::uint32_t atom) {
    if (state_.seen_atoms.add(atom)) state_.atoms.push_back(atom);
  }
  void look_up(const Probe& probe, const PathNode& node, std::string_view operand) {
    if (const Atom* atom = index_.find_atom(probe, node.id, operand)) note(atom->id);
  }

  void add_literal(const PathNode& node, FieldKind kind, std::string_view text, std::uint32_t scope) {
    add_field(node, kind, text, scope);
    for (const Probe& probe : node.probes) {
      if (probe.kind == AtomKind::kAny) look_up(probe, node, "");
      if (probe.kind == AtomKind::kLiteral) look_up(probe, node, text);
    }
  }

  void add_number(const PathNode& node, std::string_view text, std::uint32_t scope) {
    Field& field = add_field(node, FieldKind::kNumber, text, scope);
    for (const Probe& probe : node.probes) {
      if (probe.kind == AtomKind::kAny) look_up(probe, node, "");
      if (probe.kind == AtomKind::kNumberText) look_up(probe, node, text);
      if (probe.kind != AtomKind::kNumber && probe.kind != AtomKind::kRange) continue;
      const double* number = field.number();
      if (number == nullptr) continue;
      if (probe.kind == AtomKind::kNumber) {
        char bytes[sizeof *number];
        std::memcpy(bytes, number, sizeof bytes);
        const Atom* atom = index_.find_atom(probe, node.id, std::string_view(bytes, sizeof bytes));
        if (atom != nullptr && field.comparable()) note(atom->id);
      } else {
        node.ranges.visit(*number, [&](std::uint32_t atom) {
          if (!state_.seen_atoms.has(atom) && field.comparable()) note(atom);
        });
      }
    }
  }

  void add_string(const PathNode& node, std::string_view text, std::uint32_t scope) {
    add_field(node, FieldKind::kString, text, scope);
    state_.folded.clear();
    for (const Probe& probe : node.probes) {
      switch (probe.kind) {
        case AtomKind::kAny:
          look_up(probe, node, "");
          break;
        case AtomKind::kText:
          look_up(probe, node, text);
          break;
        case AtomKind::kPrefix:
          if (probe.length <= text.size()) look_up(probe, node, text.substr(0, probe.length));
          break;
        case AtomKind::kSuffix:
          if (probe.length <= text.size()) look_up(probe, node, text.substr(text.size() - probe.length));
          break;
        case AtomKind::kFoldedText:
        case AtomKind::kFoldedPrefix:
        case AtomKind::kFoldedSuffix:
          look_up_folded(probe, node, text);
          break;
        case AtomKind::kGram:
          for (std::size_t i = 0; i + kGramBytes <= text.size(); ++i) {
            look_up(probe, node, text.substr(i, kGramBytes));
          }
          break;
        case AtomKind::kAddress4:
        case AtomKind::kAddress6:
          look_up_address(probe, node, text);
          break;
        default:
          break;
      }
    }
  }

  void look_up_folded(const Probe& probe, const PathNode& node, std::string_view text) {
    if (state_.folded.size() != text.size()) {
      state_.folded.resize(text.size());
      for (std::size_t i = 0; i < text.size(); ++i) state_.folded[i] = lower_ascii(text[i]);
    }
    const std::string_view folded = state_.folded;
    if (probe.kind == AtomKind::kFoldedText) return look_up(probe, node, folded);
    if (probe.length > folded.size()) return;
    const std::size_t start = probe.kind == AtomKind::kFoldedPrefix ? 0 : folded.size() - probe.length;
    look_up(probe, node, folded.substr(start, probe.length));
  }

  void look_up_address(const Probe& probe, const PathNode& node, std::string_view text) {
    const std::optional<Address> address = parse_address(text);
    if (!address || (address->length == 4) != (probe.kind == AtomKind::kAddress4)) return;
    char masked[16];
    const std::size_t bytes = address->length;
    for (std::size_t i = 0; i < bytes; ++i) {
      const int kept = std::clamp(static_cast<int>(probe.length) - static_cast<int>(8 * i), 0, 8);
      masked[i] = static_cast<char>(address->bytes[i] & (0xFF00u >> kept));
    }
    look_up(probe, node, std::string_view(masked, bytes));
  }

  const char* at_;
  const char* end_;
  const bool wide_ = has_avx2();
  std::size_t size_;
  const RuleIndex& index_;
  MatchState& state_;
};

bool read_event(std::string_view text, const RuleIndex& index, MatchState& state) {
  state.atoms.clear();
  state.fields.clear();
  state.scopes.assign(1, Scope{});
  state.arrays.clear();
  state.texts.clear();
  state.seen_atoms.clear(index.atom_ids.end());
  state.seen_paths.clear(index.path_ids.end());
  if (state.newest_field.size() < index.path_ids.end()) state.newest_field.resize(index.path_ids.end() * 2);
  if (!EventReader(text, index, state).run()) return false;
  state.scopes[0].last = static_cast<std::uint32_t>(state.scopes.size() - 1);
  return true;
}

}  // namespace sortie::pattern
