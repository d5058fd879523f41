#include "json/text.h"

#include <charconv>
#include <cmath>
#include <cstddef>
#include <cstring>
#include <memory_resource>

#include "base/text.h"

namespace sortie::json {
namespace {

Error syntax_error(std::string_view text, std::size_t offset, std::string message) {
  const Position at = position_at(text, std::min(offset, text.size()));
  return {"InvalidJson", std::move(message),
          "line " + std::to_string(at.line) + ", column " + std::to_string(at.column), ""};
}

bool is_number_text(std::string_view t) {
  std::size_t i = 0;
  const auto digits = [&] {
    const std::size_t first = i;
    while (i < t.size() && t[i] >= '0' && t[i] <= '9') ++i;
    return i - first;
  };
  if (i < t.size() && t[i] == '-') ++i;
  const std::size_t whole = i;
  const std::size_t count = digits();
  if (count == 0 || (count > 1 && t[whole] == '0')) return false;
  if (i < t.size() && t[i] == '.') {
    ++i;
    if (digits() == 0) return false;
  }
  if (i < t.size() && (t[i] == 'e' || t[i] == 'E')) {
    ++i;
    if (i < t.size() && (t[i] == '+' || t[i] == '-')) ++i;
    if (digits() == 0) return false;
  }
  return i == t.size();
}

template <typename Word>
std::uint64_t load(const char* bytes) {
  Word word = 0;
  std::memcpy(&word, bytes, sizeof(word));
  return word;
}

// All of 2 to 7 bytes in one word, some of them twice.
std::uint64_t load_short(const char* bytes, std::size_t count) {
  if (count >= 4) return load<std::uint32_t>(bytes) | load<std::uint32_t>(bytes + count - 4) << 32;
  const std::uint64_t ends = load<std::uint16_t>(bytes) | load<std::uint16_t>(bytes + count - 2) << 16;
  return ends | ends << 32;
}

// The place of the first byte from `at` on that cannot stand in a string as it is: a quote, a backslash or a
// control character; text.size() without one. Clears `*ascii` if a byte before that place is not ASCII. Eight
// bytes at a time; the lowest hit of the bit trick is exact, those above it may not be.
std::size_t find_special(std::string_view text, std::size_t at, bool* ascii = nullptr) {
  constexpr std::uint64_t kOnes = 0x0101010101010101, kHighs = 0x8080808080808080;
  const auto zero_bytes = [](std::uint64_t word) { return (word - kOnes) & ~word & kHighs; };
  const auto has_special = [&](std::uint64_t word) {
    return (zero_bytes(word ^ (kOnes * '"')) | zero_bytes(word ^ (kOnes * '\\')) |
            ((word - kOnes * 0x20) & ~word & kHighs)) != 0;
  };
  std::uint64_t seen = 0;
  const bool is_short = text.size() - at < 8;
  for (; text.size() - at >= 8; at += 8) {
    const auto word = load<std::uint64_t>(text.data() + at);
    if (has_special(word)) break;
    seen |= word;
  }
  if (const std::size_t rest = text.size() - at; rest < 8 && rest >= (is_short ? 2 : 1)) {
    // Of a longer text the last eight, some of which have been looked at before.
    const std::uint64_t word =
        is_short ? load_short(text.data() + at, rest) : load<std::uint64_t>(text.data() + text.size() - 8);
    if (!has_special(word)) {
      seen |= word;
      at = text.size();
    }
  }
  for (; at < text.size(); ++at) {
    const auto c = static_cast<unsigned char>(text[at]);
    if (c < 0x20 || c == '"' || c == '\\') break;
    seen |= c;
  }
  if (ascii != nullptr && (seen & kHighs) != 0) *ascii = false;
  return at;
}

// A plain recursive-descent reader. Debian's simdjson picks its on-demand kernel when it is compiled (the
// scalar one on baseline x86-64) and its DOM refuses integers beyond 64 bits, so it brings no speed here.
class Reader {
 public:
  explicit Reader(std::string_view text) : text_(text) {}

  Result<Value> read_document() {
    skip_blanks();
    if (at_ == text_.size()) return fail("the text is empty, a JSON value is expected");
    SORTIE_TRY(Value value, read_value(0));
    skip_blanks();
    if (at_ != text_.size()) return fail("there is text after the JSON value");
    return value;
  }

  // Moves to where the value at `pointer` begins; false where it leads nowhere or the text is no JSON.
  bool seek(std::string_view pointer) {
    skip_blanks();
    while (!pointer.empty()) {
      pointer.remove_prefix(1);
      const std::size_t slash = pointer.find('/');
      const std::string step = replace_all(replace_all(pointer.substr(0, slash), "~1", "/"), "~0", "~");
      pointer = slash == std::string_view::npos ? std::string_view() : pointer.substr(slash);
      if (!(peek() == '{' ? enter_member(step) : peek() == '[' && enter_item(step))) return false;
    }
    return true;
  }

  std::size_t offset() const { return at_; }

 private:
  char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }

  void skip_blanks() {
    while (at_ < text_.size() &&
           (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\r' || text_[at_] == '\t')) {
      ++at_;
    }
  }

  Error fail(std::string message) const { return fail_at(at_, std::move(message)); }
  Error fail_at(std::size_t offset, std::string message) const {
    return syntax_error(text_, offset, std::move(message));
  }

  Result<Value> read_value(std::size_t depth) {
    switch (peek()) {
      case '{':
        return read_object(depth);
      case '[':
        return read_array(depth);
      case '"': {
        std::string_view text;
        SORTIE_TRY_STATUS(read_string(&text));
        return Value(text);
      }
      default:
        return read_scalar();
    }
  }

  Result<Value> read_array(std::size_t depth) {
    if (depth >= kDepthMax) return fail("the text is nested too deeply");
    ++at_;
    const std::size_t first = items_.size();
    skip_blanks();
    if (peek() == ']') return ++at_, Value::array({});
    while (true) {
      skip_blanks();
      SORTIE_TRY(Value item, read_value(depth + 1));
      items_.push_back(std::move(item));
      skip_blanks();
      if (peek() == ']') {
        ++at_;
        Value array = Value::take_array(std::span(items_).subspan(first));
        items_.resize(first);
        return array;
      }
      if (peek() != ',') return fail("',' or ']' is expected");
      ++at_;
    }
  }

  Result<Value> read_object(std::size_t depth) {
    if (depth >= kDepthMax) return fail("the text is nested too deeply");
    ++at_;
    const std::size_t first = members_.size();
    skip_blanks();
    if (peek() == '}') return ++at_, Value::object(std::vector<Member>());
    while (true) {
      skip_blanks();
      if (peek() != '"') return fail("a member name in double quotes is expected");
      std::string_view name;
      SORTIE_TRY_STATUS(read_string(&name));
      Value key(name);
      skip_blanks();
      if (peek() != ':') return fail("':' is expected");
      ++at_;
      skip_blanks();
      SORTIE_TRY(Value value, read_value(depth + 1));
      members_.push_back({std::move(key), std::move(value)});
      skip_blanks();
      if (peek() == '}') {
        ++at_;
        Value object = Value::take_object(std::span(members_).subspan(first));
        members_.resize(first);
        return object;
      }
      if (peek() != ',') return fail("',' or '}' is expected");
      ++at_;
    }
  }

  // `*out` lies in the text itself, or in the scratch buffer where there were escapes: copy it at once.
  Status read_string(std::string_view* out) {
    const std::size_t first = ++at_;
    bool ascii = true;
    at_ = find_special(text_, at_, &ascii);
    if (at_ < text_.size() && static_cast<unsigned char>(text_[at_]) < 0x20)
      return fail("a control character stands in a string; escape it");
    if (peek() == '"') {
      *out = text_.substr(first, at_ - first);
      ++at_;
    } else {
      scratch_.assign(text_.substr(first, at_ - first));
      SORTIE_TRY_STATUS(read_escaped(&ascii));
      *out = scratch_;
    }
    if (!ascii && !is_valid_utf8(*out)) return fail_at(first, "a string is not valid UTF-8");
    return {};
  }

  Status read_escaped(bool* ascii) {
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (c == '"') return ++at_, Status();
      if (static_cast<unsigned char>(c) < 0x20)
        return fail("a control character stands in a string; escape it");
      if (c != '\\') {
        *ascii = *ascii && static_cast<unsigned char>(c) < 0x80;
        scratch_ += c;
        ++at_;
        continue;
      }
      ++at_;
      static constexpr std::string_view kNames = "\"\\/bfnrt";
      static constexpr std::string_view kMeanings = "\"\\/\b\f\n\r\t";
      const std::size_t known = at_ < text_.size() ? kNames.find(text_[at_]) : std::string_view::npos;
      if (known != std::string_view::npos) {
        scratch_ += kMeanings[known];
        ++at_;
      } else if (peek() == 'u') {
        SORTIE_TRY_STATUS(read_unicode_escape());
      } else {
        return fail("unknown escape in a string");
      }
    }
    return fail("the string does not end");
  }

  Status read_unicode_escape() {
    std::uint32_t unit = 0;
    SORTIE_TRY_STATUS(read_hex4(&unit));
    if (unit >= 0xDC00 && unit <= 0xDFFF) return fail("a lone surrogate stands in a string");
    if (unit >= 0xD800 && unit <= 0xDBFF) {
      std::uint32_t low = 0;
      if (text_.substr(at_, 2) != "\\u") return fail("a lone surrogate stands in a string");
      ++at_;
      SORTIE_TRY_STATUS(read_hex4(&low));
      if (low < 0xDC00 || low > 0xDFFF) return fail("a lone surrogate stands in a string");
      unit = 0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00);
    }
    append_utf8(scratch_, unit);
    return {};
  }

  // At the 'u' of \uXXXX; moves behind the digits.
  Status read_hex4(std::uint32_t* out) {
    const char* const first = text_.data() + at_ + 1;
    if (at_ + 5 > text_.size()) return fail("four hex digits are expected");
    const auto [end, error] = std::from_chars(first, first + 4, *out, 16);
    if (error != std::errc() || end != first + 4) return fail("four hex digits are expected");
    at_ += 5;
    return {};
  }

  Result<Value> read_scalar() {
    const std::size_t first = at_;
    static constexpr std::string_view kEnds = " \n\r\t,:]}[{\"";
    while (at_ < text_.size() && kEnds.find(text_[at_]) == std::string_view::npos) ++at_;
    const std::string_view token = text_.substr(first, at_ - first);
    if (token == "null") return Value();
    if (token == "true") return Value(true);
    if (token == "false") return Value(false);
    if (!is_number_text(token)) {
      return fail_at(first, token.empty() ? "a JSON value is expected"
                                          : "'" + to_valid_utf8(token.substr(0, 40)) + "' is no JSON value");
    }
    if (token.find_first_of(".eE") == std::string_view::npos) {
      if (token == "-0") return Value(std::int64_t{0});
      return Value::big_integer(token);
    }
    double number = 0;
    const auto [end, error] = std::from_chars(token.data(), token.data() + token.size(), number);
    // from_chars reports underflow as out of range, too; a vanishing number is zero.
    if (error == std::errc::result_out_of_range && is_tiny(token)) return Value(0.0);
    if (error != std::errc() || !std::isfinite(number)) {
      return fail_at(first, "the number is too large: " + std::string(token.substr(0, 40)));
    }
    return Value(number);
  }

  static bool is_tiny(std::string_view token) {
    const std::size_t exponent = token.find_first_of("eE");
    if (exponent != std::string_view::npos) return token[exponent + 1] == '-';
    return token.substr(token[0] == '-' ? 1 : 0, 2) == "0.";
  }

  bool enter_member(const std::string& name) {
    ++at_;
    std::optional<std::size_t> found;
    for (skip_blanks(); peek() == '"'; skip_blanks()) {
      std::string_view key;
      if (!read_string(&key)) return false;
      const bool wanted = key == name;
      skip_blanks();
      if (peek() != ':') return false;
      ++at_;
      skip_blanks();
      if (wanted) found = at_;
      if (!read_value(0)) return false;
      skip_blanks();
      if (peek() != ',') break;
      ++at_;
    }
    if (found) at_ = *found;
    return found.has_value();
  }

  bool enter_item(const std::string& index) {
    std::size_t wanted = 0;
    const auto [end, error] = std::from_chars(index.data(), index.data() + index.size(), wanted);
    if (error != std::errc() || end != index.data() + index.size()) return false;
    ++at_;
    for (std::size_t i = 0;; ++i) {
      skip_blanks();
      if (i == wanted) return peek() != ']' && peek() != '\0';
      if (!read_value(0)) return false;
      skip_blanks();
      if (peek() != ',') return false;
      ++at_;
    }
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::string scratch_;
  // What the arrays and objects that are open have so far, the innermost last.
  std::vector<Value> items_;
  std::vector<Member> members_;
};

// Short texts in two moves that may overlap; a call costs more than the bytes.
void copy_bytes(char* to, std::string_view text) {
  const std::size_t size = text.size();
  if (size > 16 || size < 2) {
    std::memcpy(to, text.data(), size);
  } else if (size >= 8) {
    const auto first = load<std::uint64_t>(text.data()), last = load<std::uint64_t>(text.data() + size - 8);
    std::memcpy(to, &first, 8);
    std::memcpy(to + size - 8, &last, 8);
  } else if (size >= 4) {
    const auto first = static_cast<std::uint32_t>(load<std::uint32_t>(text.data()));
    const auto last = static_cast<std::uint32_t>(load<std::uint32_t>(text.data() + size - 4));
    std::memcpy(to, &first, 4);
    std::memcpy(to + size - 4, &last, 4);
  } else {
    const auto first = static_cast<std::uint16_t>(load<std::uint16_t>(text.data()));
    const auto last = static_cast<std::uint16_t>(load<std::uint16_t>(text.data() + size - 2));
    std::memcpy(to, &first, 2);
    std::memcpy(to + size - 2, &last, 2);
  }
}

// Gathers what comes in small pieces: most of a document is names, short strings and punctuation.
class Staged {
 public:
  explicit Staged(std::string& out) : out_(out) {}
  Staged(const Staged&) = delete;
  Staged& operator=(const Staged&) = delete;
  ~Staged() { flush(); }
  void put(char c) {
    if (count_ == sizeof(bytes_)) flush();
    bytes_[count_++] = c;
  }
  void put(std::string_view text) {
    if (text.size() > sizeof(bytes_) - count_) flush();
    if (text.size() > sizeof(bytes_)) {
      out_.append(text);
      return;
    }
    std::memcpy(bytes_ + count_, text.data(), text.size());
    count_ += text.size();
  }
  void put_quoted(std::string_view text) {
    if (text.size() + 2 > sizeof(bytes_) || find_special(text, 0) != text.size()) {
      append_quoted(all(), text);
      return;
    }
    if (text.size() + 2 > sizeof(bytes_) - count_) flush();
    char* at = bytes_ + count_;
    *at = '"';
    copy_bytes(at + 1, text);
    at[text.size() + 1] = '"';
    count_ += text.size() + 2;
  }
  // What has been written so far, to be gone on with.
  std::string& all() {
    flush();
    return out_;
  }

 private:
  void flush() {
    out_.append(bytes_, count_);
    count_ = 0;
  }

  std::string& out_;
  char bytes_[256];
  std::size_t count_ = 0;
};

void append_number(std::string& out, const Value& value) {
  char buffer[32];
  if (value.kind() == Kind::kInteger) {
    const auto [end, error] = std::to_chars(buffer, buffer + sizeof buffer, value.as_integer());
    out.append(buffer, end);
  } else if (value.kind() == Kind::kBigInteger) {
    out.append(value.big_digits());
  } else {
    out.append(number_text(value.as_double()));
  }
}

// Walks iteratively: a value may be nested deeper than the stack is long.
void write(std::string& whole, const Value& root, bool pretty) {
  Staged out(whole);
  struct Level {
    const Value* container;
    std::size_t next;
  };
  // Deeper ones go to the heap.
  alignas(Level) std::byte near[32 * sizeof(Level)];
  std::pmr::monotonic_buffer_resource memory(near, sizeof near);
  std::pmr::vector<Level> levels(&memory);
  levels.reserve(16);
  const auto line = [&] {
    if (!pretty) return;
    out.put('\n');
    out.all().append(levels.size() * 2, ' ');
  };
  const auto begin = [&](const Value& value) {
    switch (value.kind()) {
      case Kind::kNull:
        out.put("null");
        break;
      case Kind::kBool:
        out.put(value.as_bool() ? std::string_view("true") : std::string_view("false"));
        break;
      case Kind::kString:
        out.put_quoted(value.as_string());
        break;
      case Kind::kArray:
      case Kind::kObject:
        out.put(value.is_array() ? '[' : '{');
        if (value.empty()) {
          out.put(value.is_array() ? ']' : '}');
        } else {
          levels.push_back({&value, 0});
        }
        break;
      default:
        append_number(out.all(), value);
    }
  };
  begin(root);
  while (!levels.empty()) {
    Level& level = levels.back();
    const Value& container = *level.container;
    if (level.next == container.size()) {
      levels.pop_back();
      line();
      out.put(container.is_array() ? ']' : '}');
      continue;
    }
    if (level.next != 0) out.put(',');
    line();
    const std::size_t index = level.next++;
    if (container.is_array()) {
      begin(container.items()[index]);
    } else {
      const Member& member = container.members()[index];
      out.put_quoted(member.key.as_string());
      out.put(':');
      if (pretty) out.put(' ');
      begin(member.value);
    }
  }
}

}  // namespace

Result<Value> parse(std::string_view text) {
  if (text.size() > kTextBytesMax) {
    return Error{"InvalidJson", "the text is larger than " + std::to_string(kTextBytesMax) + " bytes", "",
                 ""};
  }
  return Reader(text).read_document();
}

std::string number_text(double number) {
  char buffer[400];
  const double size = std::abs(number);
  const bool plain = number == 0 || (size >= 1e-7 && size < 1e21);
  const auto format = plain ? std::chars_format::fixed : std::chars_format::scientific;
  const auto [end, error] = std::to_chars(buffer, buffer + sizeof buffer, number, format);
  std::string out(buffer, end);
  if (plain && out.find('.') == std::string::npos) out += ".0";
  return out;
}

bool is_plain(std::string_view text) { return find_special(text, 0) == text.size(); }

void append_quoted(std::string& out, std::string_view text) {
  static constexpr char kHex[] = "0123456789abcdef";
  out += '"';
  std::size_t plain = 0;
  for (std::size_t i = find_special(text, 0); i < text.size(); i = find_special(text, i + 1)) {
    const auto c = static_cast<unsigned char>(text[i]);
    out.append(text.substr(plain, i - plain));
    plain = i + 1;
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      case '\b':
        out += "\\b";
        break;
      case '\f':
        out += "\\f";
        break;
      default:
        out += "\\u00";
        out += kHex[c >> 4];
        out += kHex[c & 15];
    }
  }
  out.append(text.substr(plain));
  out += '"';
}

void append_text(std::string& out, const Value& value) { write(out, value, false); }

std::string to_text(const Value& value) {
  std::string out;
  write(out, value, false);
  return out;
}

std::string to_pretty_text(const Value& value) {
  std::string out;
  write(out, value, true);
  return out;
}

Position position_at(std::string_view text, std::size_t offset) {
  Position at;
  for (std::size_t i = 0; i < offset && i < text.size(); ++i) {
    if (text[i] == '\n') {
      ++at.line;
      at.column = 1;
    } else {
      ++at.column;
    }
  }
  return at;
}

std::optional<Position> find_position(std::string_view text, std::string_view pointer) {
  if (!pointer.empty() && pointer[0] != '/') return std::nullopt;
  Reader reader(text);
  if (!reader.seek(pointer)) return std::nullopt;
  return position_at(text, reader.offset());
}

}  // namespace sortie::json
