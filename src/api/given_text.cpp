#include "api/given_text.h"

#include "json/text.h"

namespace sortie::api {
namespace given_text {

// Walks a valid text and its value side by side until it meets the part that is looked for. The text says
// what comes next, the value only which block that is. Depth is bounded by the parser that made the value.
class Search {
 public:
  Search(std::string_view text, const void* wanted) : text_(text), wanted_(wanted) {}

  bool walk(const json::Value& value) {
    skip_blanks();
    const std::size_t start = at_;
    const char first = peek();
    if (first == '{' || first == '[') {
      if (walk_inside(value, first == '{' ? '}' : ']')) return true;
    } else if (first == '"') {
      skip_string();
    } else {
      while (at_ < text_.size() && std::string_view(",]} \t\r\n").find(text_[at_]) == std::string_view::npos)
        ++at_;
    }
    if (value.identity() != wanted_) return false;
    found_ = text_.substr(start, at_ - start);
    return true;
  }

  std::string_view found() const { return found_; }

 private:
  char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  void skip_blanks() {
    while (at_ < text_.size() && std::string_view(" \t\r\n").find(text_[at_]) != std::string_view::npos)
      ++at_;
  }
  void skip_string() {
    for (++at_; at_ < text_.size() && text_[at_] != '"'; ++at_) at_ += text_[at_] == '\\' ? 1 : 0;
    ++at_;
  }

  bool walk_inside(const json::Value& value, char end) {
    ++at_;
    for (std::size_t i = 0; at_ < text_.size(); ++i) {
      skip_blanks();
      if (peek() == end) break;
      const json::Value* inner = &value[i];
      if (end == '}') {
        const std::size_t start = at_;
        skip_string();
        const Result<json::Value> key = json::parse(text_.substr(start, at_ - start));
        inner = key.ok() && key->is_string() ? &value.get(key->as_string()) : &value[i];
        skip_blanks();
        ++at_;  // The colon.
      }
      if (walk(*inner)) return true;
      skip_blanks();
      if (peek() == ',') ++at_;
    }
    ++at_;
    return false;
  }

  std::string_view text_;
  const void* wanted_;
  std::size_t at_ = 0;
  std::string_view found_;
};

}  // namespace given_text

void GivenTexts::add(std::string text, json::Value value) {
  given_.push_back({std::move(text), std::move(value)});
}

std::string GivenTexts::text_of(const json::Value& value) const {
  if (value.identity() != nullptr) {
    for (const Given& given : given_) {
      given_text::Search search(given.text, value.identity());
      if (search.walk(given.value)) return std::string(search.found());
    }
  }
  return json::to_text(value);
}

}  // namespace sortie::api
