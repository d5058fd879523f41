#include <unordered_map>

#include "expr/jsonata/functions.h"

namespace sortie::jsonata {
namespace builtins {

using Table = std::unordered_map<std::string_view, Builtin>;

Table make_table(Mode mode) {
  Table table;
  const auto add = [&](std::span<const Native> natives) {
    for (const Native& native : natives) table[native.name] = {&native, Signature::parse(native.signature)};
  };
  for (const auto natives : {string_functions(), regex_functions(), number_functions(), array_functions(),
                             object_functions(), time_functions()})
    add(natives);
  if (mode == Mode::kAws) {
    add(aws_functions());
    table.erase("eval");
  }
  return table;
}

}  // namespace builtins

const Builtin* find_builtin(std::string_view name, Mode mode) {
  static const builtins::Table kAws = builtins::make_table(Mode::kAws);
  static const builtins::Table kStandard = builtins::make_table(Mode::kStandard);
  const auto& table = mode == Mode::kAws ? kAws : kStandard;
  const auto found = table.find(name);
  return found == table.end() ? nullptr : &found->second;
}

}  // namespace sortie::jsonata
