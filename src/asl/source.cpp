#include "asl/source.h"

#include "base/text.h"
#include "json/yaml.h"

namespace sortie::asl {

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
      return *found;
    }
    pointer = pointer.substr(0, pointer.rfind('/'));
  }
  return {};
}

}  // namespace sortie::asl
