// Fuzzes: json
// What parses prints, and what prints parses to an equal value; YAML never crashes.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "json/text.h"
#include "json/yaml.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto value = sortie::json::parse(text);
  if (value) {
    const auto again = sortie::json::parse(sortie::json::to_text(*value));
    if (!again || !(*again == *value)) std::abort();
  }
  const auto yaml = sortie::json::parse_yaml(text);
  if (yaml && yaml->value.depth() < 900 && !sortie::json::parse(sortie::json::to_text(yaml->value)))
    std::abort();
  return 0;
}
