#include "expr/pattern/flat_event.h"

#include "base/text.h"
#include "expr/pattern/tokens.h"
#include "json/text.h"

namespace sortie::pattern {

// Walks the tokens of one event with the path and the coordinates of where it is.
class EventFlattener {
 public:
  explicit EventFlattener(std::string_view text) : reader_(text) {}

  Result<FlatEvent> run() {
    SORTIE_TRY(const Token first, reader_.next());
    if (first != Token::kStartObject) return Error{"", "Event must be a JSON object"};
    SORTIE_TRY_STATUS(read_object());
    SORTIE_TRY(const Token last, reader_.next());
    if (last != Token::kEnd) return Error{"", "Unexpected text after the end of the event"};
    return std::move(event_);
  }

 private:
  Status read_object() {
    while (true) {
      SORTIE_TRY(const Token token, reader_.next());
      if (token == Token::kEndObject) return {};
      SORTIE_TRY(const std::string name, reader_.token_text());
      const std::size_t length = path_.size();
      const bool root = depth_ == 0;
      if (!root) path_ += '.';
      path_ += name;
      ++depth_;
      SORTIE_TRY(const Token value, reader_.next());
      SORTIE_TRY_STATUS(read_value(value));
      --depth_;
      path_.resize(length);
    }
  }

  Status read_array() {
    const auto number = static_cast<std::uint32_t>(event_.arrays_.size());
    std::optional<Coordinate> parent;
    if (!coordinates_.empty()) parent = coordinates_.back();
    event_.arrays_.push_back(ArrayPlace{path_, parent});
    for (std::uint32_t index = 0;; ++index) {
      SORTIE_TRY(const Token token, reader_.next());
      if (token == Token::kEndArray) return {};
      const bool nested = token == Token::kStartObject || token == Token::kStartArray;
      if (nested) coordinates_.push_back(Coordinate{number, index});
      SORTIE_TRY_STATUS(read_value(token));
      if (nested) coordinates_.pop_back();
    }
  }

  Status read_value(Token token) {
    if (token == Token::kStartObject) return read_object();
    if (token == Token::kStartArray) return read_array();
    Field field;
    SORTIE_TRY(field.text, reader_.token_text());
    field.coordinates = coordinates_;
    switch (token) {
      case Token::kString:
        field.kind = FieldKind::kString;
        field.address = parse_address(field.text);
        break;
      case Token::kInteger:
      case Token::kFloat:
        field.kind = FieldKind::kNumber;
        field.number = comparable_number(field.text);
        break;
      case Token::kTrue:
        field.kind = FieldKind::kTrue;
        break;
      case Token::kFalse:
        field.kind = FieldKind::kFalse;
        break;
      default:
        field.kind = FieldKind::kNull;
        break;
    }
    event_.fields_[path_].push_back(std::move(field));
    return {};
  }

  TokenReader reader_;
  FlatEvent event_;
  std::string path_;
  std::size_t depth_ = 0;  // Member names on the way here; an empty name at the root counts, too.
  std::vector<Coordinate> coordinates_;
};

Result<FlatEvent> FlatEvent::parse(std::string_view event_text) {
  if (!is_valid_utf8(event_text)) return Error{"InvalidEvent", "The event is no valid UTF-8"};
  auto event = EventFlattener(event_text).run();
  if (!event) return Error{"InvalidEvent", event.error().message};
  return event;
}

Result<FlatEvent> FlatEvent::from_value(const json::Value& event) { return parse(json::to_text(event)); }

const std::vector<Field>* FlatEvent::find(std::string_view path) const {
  const auto found = fields_.find(path);
  return found == fields_.end() ? nullptr : &found->second;
}

}  // namespace sortie::pattern
