#pragma once
// YAML as people write configuration, playbooks and rules in it, read into json::Value with YAML 1.2 core
// schema rules: only true/false are booleans, "no" and "on" stay text, numbers are JSON-like (plus 0x and
// 0o). Anchors, aliases and "<<" merge keys work; alias bombs do not: the expanded size is bounded. JSON text
// is valid YAML and reads the same, except that repeated keys are refused here.
#include <map>
#include <string>
#include <string_view>

#include "base/result.h"
#include "json/text.h"
#include "json/value.h"

namespace sortie::json {

inline constexpr std::size_t kYamlBytesMax = 4 * 1024 * 1024;
inline constexpr std::size_t kYamlNodesMax = 400'000;  // Counted after aliases are expanded.

struct YamlDocument {
  Value value;
  std::map<std::string, Position> places;  // JSON pointer -> where the value begins.
};

// One document. Errors: code "InvalidYaml", place "line L, column C". An empty text is null.
Result<YamlDocument> parse_yaml(std::string_view text);

// "FILE:LINE:COLUMN" for an error's place "line L, column C" (of parse_yaml or json::parse); FILE where it
// has none.
std::string place_in_file(std::string_view file, std::string_view place);

}  // namespace sortie::json
