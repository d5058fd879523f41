#include "asl/source.h"

#include "base/text.h"
#include "json/yaml.h"

namespace sortie::asl {
namespace source {

// Columns are counted in bytes below; people and editors count characters.
json::Position in_characters(std::string_view text, json::Position position) {
  std::size_t start = 0;
  for (int line = 1; line < position.line; ++line) start = text.find('\n', start) + 1;
  const std::string_view before = text.substr(start, static_cast<std::size_t>(position.column - 1));
  position.column = static_cast<int>(count_code_points(before)) + 1;
  return position;
}

}  // namespace source

std::string escape_pointer(std::string_view name) {
  return replace_all(replace_all(name, "~", "~0"), "/", "~1");
}

DefinitionSource::DefinitionSource(std::string_view text) : text_(text) {
  is_yaml_ = !trim(text).starts_with('{');
  if (is_yaml_) {
    Result<json::YamlDocument> document = json::parse_yaml(text);
    if (!document.ok()) return;
    value_ = std::move(document->value);
    places_ = std::move(document->places);
    return;
  }
  Result<json::Value> value = json::parse(text);
  if (value.ok()) value_ = std::move(*value);
}

json::Position DefinitionSource::position(std::string_view pointer) const {
  while (!pointer.empty()) {
    if (is_yaml_) {
      const auto found = places_.find(std::string(pointer));
      if (found != places_.end()) return found->second;
    } else if (const auto found = json::find_position(text_, pointer)) {
      return source::in_characters(text_, *found);
    }
    pointer = pointer.substr(0, pointer.rfind('/'));
  }
  return {};
}

}  // namespace sortie::asl
