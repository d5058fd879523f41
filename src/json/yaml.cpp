#include "json/yaml.h"

#include <yaml.h>

#include <charconv>
#include <cmath>
#include <memory>

#include "base/text.h"

namespace sortie::json {
namespace {

constexpr std::size_t kYamlDepthMax = 100;

struct ParserDeleter {
  void operator()(yaml_parser_t* parser) const {
    yaml_parser_delete(parser);
    delete parser;
  }
};

// One libyaml event that frees itself.
struct YamlEvent {
  yaml_event_t raw{};
  YamlEvent() = default;
  YamlEvent(const YamlEvent&) = delete;
  YamlEvent& operator=(const YamlEvent&) = delete;
  ~YamlEvent() { yaml_event_delete(&raw); }
};

struct Anchored {
  Value value;
  std::size_t nodes;
};

std::string escape_pointer(std::string_view key) {
  return replace_all(replace_all(key, "~", "~0"), "/", "~1");
}

Value plain_scalar(std::string_view text) {
  if (text.empty() || text == "~" || text == "null" || text == "Null" || text == "NULL") return Value();
  if (text == "true" || text == "True" || text == "TRUE") return Value(true);
  if (text == "false" || text == "False" || text == "FALSE") return Value(false);
  if (text.size() > 2 && text[0] == '0' && (text[1] == 'x' || text[1] == 'o')) {
    std::int64_t number = 0;
    const auto [end, error] =
        std::from_chars(text.data() + 2, text.data() + text.size(), number, text[1] == 'x' ? 16 : 8);
    if (error == std::errc() && end == text.data() + text.size()) return Value(number);
    return Value(text);
  }
  const std::string_view unsigned_text = text[0] == '+' ? text.substr(1) : text;
  const bool numeric = unsigned_text.find_first_not_of("0123456789+-.eE") == std::string_view::npos &&
                       unsigned_text.find_first_of("0123456789") != std::string_view::npos;
  if (numeric) {
    const Result<Value> number = parse(unsigned_text);
    if (number.ok() && number->is_number()) return *number;
  }
  return Value(text);
}

class YamlReader {
 public:
  explicit YamlReader(std::string_view text) : parser_(new yaml_parser_t) {
    yaml_parser_initialize(parser_.get());
    yaml_parser_set_encoding(parser_.get(), YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(parser_.get(), reinterpret_cast<const unsigned char*>(text.data()),
                                 text.size());
  }

  Result<YamlDocument> read() {
    YamlDocument document;
    while (true) {
      YamlEvent event;
      SORTIE_TRY_STATUS(next(event));
      if (event.raw.type == YAML_STREAM_END_EVENT) return document;
      if (event.raw.type == YAML_STREAM_START_EVENT || event.raw.type == YAML_DOCUMENT_END_EVENT) continue;
      if (event.raw.type == YAML_DOCUMENT_START_EVENT) {
        if (seen_document_) return fail(event, "only one YAML document is expected in a file");
        seen_document_ = true;
        continue;
      }
      places_ = &document.places;
      SORTIE_TRY(document.value, node(event, "", 0));
    }
  }

 private:
  Status next(YamlEvent& event) {
    if (yaml_parser_parse(parser_.get(), &event.raw) != 0) return {};
    const char* problem = parser_->problem != nullptr ? parser_->problem : "unreadable YAML";
    const std::size_t line = parser_->problem_mark.line + 1, column = parser_->problem_mark.column + 1;
    return Error{"InvalidYaml", problem,
                 "line " + std::to_string(line) + ", column " + std::to_string(column), ""};
  }

  Error fail(const YamlEvent& event, std::string message) const {
    const yaml_mark_t& mark = event.raw.start_mark;
    return {"InvalidYaml", std::move(message),
            "line " + std::to_string(mark.line + 1) + ", column " + std::to_string(mark.column + 1), ""};
  }

  Result<Value> node(const YamlEvent& event, const std::string& pointer, std::size_t depth) {
    if (depth > kYamlDepthMax) return fail(event, "the YAML is nested too deeply");
    if (++nodes_ > kYamlNodesMax) return fail(event, "the YAML holds too many values");
    places_->emplace(pointer, Position{static_cast<int>(event.raw.start_mark.line + 1),
                                       static_cast<int>(event.raw.start_mark.column + 1)});
    const std::size_t nodes_before = nodes_;
    std::string anchor;
    Value value;
    switch (event.raw.type) {
      case YAML_ALIAS_EVENT:
        return alias(event);
      case YAML_SCALAR_EVENT: {
        if (event.raw.data.scalar.anchor) anchor = reinterpret_cast<char*>(event.raw.data.scalar.anchor);
        value = scalar(event);
        break;
      }
      case YAML_SEQUENCE_START_EVENT: {
        if (event.raw.data.sequence_start.anchor) {
          anchor = reinterpret_cast<char*>(event.raw.data.sequence_start.anchor);
        }
        SORTIE_TRY(value, sequence(pointer, depth));
        break;
      }
      case YAML_MAPPING_START_EVENT: {
        if (event.raw.data.mapping_start.anchor) {
          anchor = reinterpret_cast<char*>(event.raw.data.mapping_start.anchor);
        }
        SORTIE_TRY(value, mapping(pointer, depth));
        break;
      }
      default:
        return fail(event, "unexpected YAML structure");
    }
    if (!anchor.empty()) anchors_.insert_or_assign(anchor, Anchored{value, nodes_ - nodes_before + 1});
    return value;
  }

  Result<Value> alias(const YamlEvent& event) {
    const std::string name = reinterpret_cast<char*>(event.raw.data.alias.anchor);
    const auto found = anchors_.find(name);
    if (found == anchors_.end()) return fail(event, "unknown alias *" + name);
    nodes_ += found->second.nodes;
    if (nodes_ > kYamlNodesMax) return fail(event, "the aliases expand to too many values");
    return found->second.value;
  }

  static Value scalar(const YamlEvent& event) {
    const auto& raw = event.raw.data.scalar;
    const std::string_view text(reinterpret_cast<const char*>(raw.value), raw.length);
    const std::string_view tag = raw.tag ? reinterpret_cast<const char*>(raw.tag) : "";
    if (raw.style != YAML_PLAIN_SCALAR_STYLE || tag == "tag:yaml.org,2002:str") return Value(text);
    return plain_scalar(text);
  }

  Result<Value> sequence(const std::string& pointer, std::size_t depth) {
    std::vector<Value> items;
    while (true) {
      YamlEvent event;
      SORTIE_TRY_STATUS(next(event));
      if (event.raw.type == YAML_SEQUENCE_END_EVENT) return Value::array(std::move(items));
      SORTIE_TRY(Value item, node(event, pointer + "/" + std::to_string(items.size()), depth + 1));
      items.push_back(std::move(item));
    }
  }

  Result<Value> mapping(const std::string& pointer, std::size_t depth) {
    ObjectBuilder own;
    std::vector<Value> merged;
    std::map<std::string, bool, std::less<>> seen;
    while (true) {
      YamlEvent key_event;
      SORTIE_TRY_STATUS(next(key_event));
      if (key_event.raw.type == YAML_MAPPING_END_EVENT) break;
      if (key_event.raw.type != YAML_SCALAR_EVENT) return fail(key_event, "a key has to be plain text");
      const auto& raw = key_event.raw.data.scalar;
      const std::string key(reinterpret_cast<const char*>(raw.value), raw.length);
      YamlEvent event;
      SORTIE_TRY_STATUS(next(event));
      SORTIE_TRY(Value value, node(event, pointer + "/" + escape_pointer(key), depth + 1));
      if (key == "<<" && raw.style == YAML_PLAIN_SCALAR_STYLE) {
        merged.push_back(std::move(value));
        continue;
      }
      if (!seen.emplace(key, true).second) return fail(key_event, "the key '" + key + "' stands here twice");
      own.append(key, std::move(value));
    }
    for (const Value& source : merged) {
      const auto add = [&](const Value& object) {
        for (const Member& member : object.members()) {
          const std::string key = member.key.to_std_string();
          if (seen.emplace(key, true).second) own.append(key, member.value);
        }
      };
      add(source);
      for (const Value& object : source.items()) add(object);
    }
    return own.build();
  }

  std::unique_ptr<yaml_parser_t, ParserDeleter> parser_;
  std::map<std::string, Anchored> anchors_;
  std::map<std::string, Position>* places_ = nullptr;
  std::size_t nodes_ = 0;
  bool seen_document_ = false;
};

}  // namespace

std::string place_in_file(std::string_view file, std::string_view place) {
  if (!place.starts_with("line ")) return std::string(file);
  return std::string(file) + replace_all(replace_all(place, "line ", ":"), ", column ", ":");
}

Result<YamlDocument> parse_yaml(std::string_view text) {
  if (text.size() > kYamlBytesMax) {
    return Error{"InvalidYaml", "the file is larger than " + std::to_string(kYamlBytesMax) + " bytes", "",
                 ""};
  }
  if (!is_valid_utf8(text))
    return Error{"InvalidYaml", "the file is not valid UTF-8", "", "save it as UTF-8"};
  return YamlReader(text).read();
}

}  // namespace sortie::json
