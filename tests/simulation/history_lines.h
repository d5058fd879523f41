#pragma once
// An execution's history as the reference interpreter tells it: what was entered and left with which data.
#include <string>
#include <vector>

#include "engine/history_event.h"
#include "reference_interpreter.h"

namespace sortie::reference {

// The interpreter has no event ids: "#12" in a cause becomes "#N".
inline std::string without_ids(std::string text) {
  const std::string kMark = "entered at the event id #";
  for (std::size_t at = text.find(kMark); at != std::string::npos; at = text.find(kMark, at + 1)) {
    const std::size_t first = at + kMark.size();
    text.replace(first, text.find_first_not_of("0123456789", first) - first, "N");
  }
  return text;
}

inline std::vector<std::string> lines_of(const std::vector<engine::HistoryEvent>& events) {
  std::vector<std::string> lines;
  for (const engine::HistoryEvent& event : events) {
    const std::string type(engine::event_type_name(event.type));
    const Value* name = event.find(engine::Field::kName);
    if (name == nullptr || type.find("Aborted") != std::string::npos) continue;
    std::string line = type + " " + name->to_std_string();
    if (type.starts_with("MapIteration")) {
      lines.push_back(line);
      continue;
    }
    const bool entered = type.ends_with("Entered");
    line += " " + canonical(*event.find(entered ? engine::Field::kInput : engine::Field::kOutput));
    lines.push_back(without_ids(line));
  }
  return lines;
}

}  // namespace sortie::reference
