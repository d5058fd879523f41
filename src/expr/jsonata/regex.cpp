#include "expr/jsonata/regex.h"

#include <re2/re2.h>

#include "expr/jsonata/failure.h"
#include "expr/jsonata/utf.h"

namespace sortie::jsonata {
namespace regexes {

[[noreturn]] void refuse(std::uint32_t position, const std::string& source, const std::string& why) {
  throw Failure{.code = "S0303",
                .position = position,
                .token = source,
                .message = "The regular expression /" + source + "/ cannot be used: " + why};
}

constexpr const char* kSpace =
    "\\t\\n\\v\\f\\r \\x{A0}\\x{1680}\\x{2000}-\\x{200A}\\x{2028}\\x{2029}"
    "\\x{202F}\\x{205F}\\x{3000}\\x{FEFF}";

class Translator {
 public:
  Translator(const std::string& source, std::uint32_t position) : source_(source), position_(position) {}

  std::string run() {
    for (; at_ < source_.size(); ++at_) {
      const char c = source_[at_];
      if (c == '\\') {
        escape();
      } else if (in_class_) {
        class_character(c);
      } else if (c == '[') {
        open_class();
      } else if (c == '.') {
        out_ += "[^\\n\\r\\x{2028}\\x{2029}]";
      } else if (c == '(' && peek(1) == '?') {
        group();
      } else {
        out_ += c;
      }
    }
    return out_;
  }

 private:
  char peek(std::size_t ahead) const { return at_ + ahead < source_.size() ? source_[at_ + ahead] : '\0'; }

  void open_class() {
    if (peek(1) == ']') {  // Matches nothing.
      out_ += "[^\\x{0}-\\x{10FFFF}]";
      ++at_;
    } else if (peek(1) == '^' && peek(2) == ']') {
      out_ += "[\\x{0}-\\x{10FFFF}]";
      at_ += 2;
    } else {
      in_class_ = true;
      out_ += '[';
      if (peek(1) == '^') {
        out_ += '^';
        ++at_;
      }
    }
  }

  void class_character(char c) {
    if (c == ']') {
      in_class_ = false;
      out_ += c;
    } else if (c == '[' || c == '&' || c == '~') {
      out_ += '\\';
      out_ += c;
    } else {
      out_ += c;
    }
  }

  void group() {
    if (peek(2) == '=' || peek(2) == '!') refuse(position_, source_, "look-ahead is not supported");
    if (peek(2) == '<' && (peek(3) == '=' || peek(3) == '!'))
      refuse(position_, source_, "look-behind is not supported");
    if (peek(2) == '<') {
      out_ += "(?P<";
      at_ += 2;
    } else {
      out_ += '(';
    }
  }

  // Appends a code point given by `digits` hexadecimal digits behind the escape's letter, if they are there.
  bool hexadecimal(std::size_t digits) {
    const std::string text = source_.substr(std::min(source_.size(), at_ + 1), digits);
    if (text.size() != digits || text.find_first_not_of("0123456789abcdefABCDEF") != std::string::npos)
      return false;
    out_ += "\\x{" + text + "}";
    at_ += digits;
    return true;
  }

  void escape() {
    if (++at_ >= source_.size()) refuse(position_, source_, "it ends in a backslash");
    const char c = source_[at_];
    if (c >= '1' && c <= '9' && !in_class_) refuse(position_, source_, "back references are not supported");
    if (c == 'k' && peek(1) == '<') refuse(position_, source_, "back references are not supported");
    if (c == 's') {
      out_ += in_class_ ? std::string(kSpace) : "[" + std::string(kSpace) + "]";
    } else if (c == 'S') {
      if (in_class_) refuse(position_, source_, "\\S within brackets is not supported");
      out_ += "[^" + std::string(kSpace) + "]";
    } else if (c == 'u' && hexadecimal(4)) {
    } else if (c == 'x' && hexadecimal(2)) {
    } else if (c == 'b' && in_class_) {
      out_ += "\\x08";
    } else if (c == '0') {
      out_ += "\\x00";
    } else if (std::string_view("dDwWbBnrtvf").find(c) != std::string_view::npos) {
      out_ += '\\';
      out_ += c;
    } else if (c == 'c' && std::isalpha(static_cast<unsigned char>(peek(1)))) {
      static constexpr char kHex[] = "0123456789abcdef";
      const int code = source_[++at_] & 31;
      out_ += std::string("\\x") + kHex[code / 16] + kHex[code % 16];
    } else {
      if (std::ispunct(static_cast<unsigned char>(c))) out_ += '\\';
      out_ += c;
    }
  }

  const std::string& source_;
  std::uint32_t position_;
  std::size_t at_ = 0;
  bool in_class_ = false;
  std::string out_;
};

}  // namespace regexes

Regex::Regex() = default;
Regex::~Regex() = default;

std::shared_ptr<const Regex> Regex::compile(const std::string& source, std::string_view flags,
                                            std::uint32_t position) {
  auto regex = std::make_shared<Regex>();
  regex->source_ = source;
  regex->position_ = position;
  regex->ignore_case_ = flags.find('i') != std::string_view::npos;
  regex->multiline_ = flags.find('m') != std::string_view::npos;
  regex->matcher_ = Matcher::compile(has_pairs(source) ? split_pairs(source) : source, regex->ignore_case_,
                                     regex->multiline_);
  if (!regex->matcher_) regex->automaton();
  return regex;
}

const re2::RE2& Regex::automaton() const {
  std::call_once(once_, [this] {
    std::string pattern = regexes::Translator(source_, position_).run();
    if (multiline_) pattern = "(?m)" + pattern;
    re2::RE2::Options options;
    options.set_log_errors(false);
    options.set_case_sensitive(!ignore_case_);
    options.set_max_mem(8 << 20);
    re2_ = std::make_unique<re2::RE2>(pattern, options);
  });
  if (!re2_->ok()) regexes::refuse(position_, source_, re2_->error());
  return *re2_;
}

bool Regex::find(std::string_view text, std::size_t from, Match& match) const {
  if (from > text.size()) return false;
  match.groups.clear();
  if (matcher_ && matcher_->takes(text.size())) {
    constexpr std::size_t kFew = 16;
    std::size_t few[kFew];
    std::vector<std::size_t> many;
    const std::size_t count = 2 * (matcher_->groups() + 1);
    if (count > kFew) many.resize(count);
    const std::span<std::size_t> places(count > kFew ? many.data() : few, count);
    if (!matcher_->find(text, from, places)) return false;
    match.begin = places[0];
    match.end = places[1];
    for (std::size_t i = 2; i < count; i += 2) {
      if (places[i] == Matcher::kNone || places[i + 1] == Matcher::kNone) {
        match.groups.emplace_back();
      } else {
        match.groups.emplace_back(text.substr(places[i], places[i + 1] - places[i]));
      }
    }
    return true;
  }
  const re2::RE2& regex = automaton();
  std::vector<re2::StringPiece> parts(static_cast<std::size_t>(regex.NumberOfCapturingGroups()) + 1);
  if (!regex.Match(re2::StringPiece(text.data(), text.size()), from, text.size(), re2::RE2::UNANCHORED,
                   parts.data(), static_cast<int>(parts.size())))
    return false;
  match.begin = static_cast<std::size_t>(parts[0].data() - text.data());
  match.end = match.begin + parts[0].size();
  for (std::size_t i = 1; i < parts.size(); ++i) {
    if (parts[i].data() == nullptr) {
      match.groups.emplace_back();
    } else {
      match.groups.emplace_back(std::string_view(parts[i].data(), parts[i].size()));
    }
  }
  return true;
}

}  // namespace sortie::jsonata
