#include "expr/jsonata/utf.h"

#include <algorithm>
#include <cstdio>
#include <cstring>

namespace sortie::jsonata {
namespace utf {

unsigned byte(std::string_view text, std::size_t at) { return static_cast<unsigned char>(text[at]); }

bool is_half(std::string_view text, std::size_t at, unsigned low, unsigned high) {
  return at + 2 < text.size() && byte(text, at) == 0xED && byte(text, at + 1) >= low &&
         byte(text, at + 1) <= high;
}

}  // namespace utf

void append_wtf8(std::string& out, std::uint32_t c) {
  if (c < 0x80) {
    out += static_cast<char>(c);
  } else if (c < 0x800) {
    out += static_cast<char>(0xC0 | (c >> 6));
    out += static_cast<char>(0x80 | (c & 0x3F));
  } else if (c < 0x10000) {
    out += static_cast<char>(0xE0 | (c >> 12));
    out += static_cast<char>(0x80 | ((c >> 6) & 0x3F));
    out += static_cast<char>(0x80 | (c & 0x3F));
  } else {
    out += static_cast<char>(0xF0 | (c >> 18));
    out += static_cast<char>(0x80 | ((c >> 12) & 0x3F));
    out += static_cast<char>(0x80 | ((c >> 6) & 0x3F));
    out += static_cast<char>(0x80 | (c & 0x3F));
  }
}

void append_joining(std::string& out, std::string_view text) {
  if (out.size() >= 3 && text.size() >= 3 && utf::is_half(out, out.size() - 3, 0xA0, 0xAF) &&
      utf::is_half(text, 0, 0xB0, 0xBF)) {
    std::size_t at = out.size() - 3;
    const std::uint32_t high = next_code_point(out, at);
    at = 0;
    const std::uint32_t low = next_code_point(text, at);
    out.resize(out.size() - 3);
    append_wtf8(out, 0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00));
    text.remove_prefix(3);
  }
  out += text;
}

void append_half_escape(std::string& out, std::uint32_t half) {
  char escape[8];
  std::snprintf(escape, sizeof escape, "\\u%04x", half);
  out += escape;
}

std::uint32_t next_code_point(std::string_view text, std::size_t& at) {
  const std::uint32_t first = utf::byte(text, at++);
  const int more = first >= 0xF0 ? 3 : first >= 0xE0 ? 2 : first >= 0xC0 ? 1 : 0;
  if (more == 0) return first;
  std::uint32_t value = first & (0x3Fu >> more);
  for (int i = 0; i < more; ++i) {
    if (at >= text.size() || (utf::byte(text, at) & 0xC0) != 0x80) return first;
    value = (value << 6) | (utf::byte(text, at++) & 0x3F);
  }
  return value;
}

std::size_t code_points(std::string_view text) {
  std::size_t count = 0;
  for (const char c : text) count += (c & 0xC0) != 0x80;
  return count;
}

std::size_t utf16_length(std::string_view text) {
  std::size_t count = 0;
  for (const char c : text) {
    count += (c & 0xC0) != 0x80;
    count += static_cast<unsigned char>(c) >= 0xF0;
  }
  return count;
}

bool is_ascii(std::string_view text) {
  return std::none_of(text.begin(), text.end(), [](char c) { return (c & 0x80) != 0; });
}

bool has_surrogate(std::string_view text) {
  for (std::size_t at = text.find('\xED'); at != std::string_view::npos; at = text.find('\xED', at + 1)) {
    if (utf::is_half(text, at, 0xA0, 0xBF)) return true;
  }
  return false;
}

std::size_t byte_offset(std::string_view text, std::size_t utf16_offset) {
  std::size_t at = 0;
  std::size_t units = 0;
  while (at < text.size()) {
    std::size_t next = at;
    const std::size_t width = next_code_point(text, next) >= 0x10000 ? 2 : 1;
    if (units + width > utf16_offset) return at;
    units += width;
    at = next;
  }
  return at;
}

bool has_pairs(std::string_view text) {
  constexpr std::uint64_t kHighBits = 0x8080808080808080;
  std::size_t at = 0;
  while (at < text.size()) {
    std::uint64_t word = 0;
    for (; at + sizeof word <= text.size(); at += sizeof word) {
      std::memcpy(&word, text.data() + at, sizeof word);
      if ((word & kHighBits) != 0) break;
    }
    for (const std::size_t end = std::min(at + sizeof word, text.size()); at < end; ++at) {
      if (utf::byte(text, at) >= 0xF0) return true;
    }
  }
  return false;
}

std::string split_pairs(std::string_view text) {
  std::string out;
  out.reserve(text.size() + text.size() / 4);
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t start = at;
    const std::uint32_t c = next_code_point(text, at);
    if (c < 0x10000) {
      out += text.substr(start, at - start);
      continue;
    }
    append_wtf8(out, 0xD800 + ((c - 0x10000) >> 10));
    append_wtf8(out, 0xDC00 + ((c - 0x10000) & 0x3FF));
  }
  return out;
}

std::string join_pairs(std::string_view text) {
  if (!has_surrogate(text)) return std::string(text);
  std::string out;
  out.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t start = at;
    next_code_point(text, at);
    append_joining(out, text.substr(start, at - start));
  }
  return out;
}

int compare_utf16(std::string_view a, std::string_view b) {
  const std::size_t common = std::min(a.size(), b.size());
  std::size_t at = 0;
  while (at < common && a[at] == b[at]) ++at;
  if (at == common) return a.size() == b.size() ? 0 : a.size() < b.size() ? -1 : 1;
  // UTF-8 sorts by code point; UTF-16 sorts the astral planes before U+E000..U+FFFF.
  const unsigned x = utf::byte(a, at);
  const unsigned y = utf::byte(b, at);
  if (x >= 0xEE && y >= 0xEE && (x >= 0xF0) != (y >= 0xF0)) return x >= 0xF0 ? -1 : 1;
  return x < y ? -1 : 1;
}

}  // namespace sortie::jsonata
