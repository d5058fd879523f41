#pragma once
// How commands print: data on stdout in the format that was asked for, everything else on stderr. No colour
// where the output is no terminal or NO_COLOR is set. Control characters in data never reach a terminal.
#include <string>
#include <vector>

#include "json/value.h"

namespace sortie::cli {

struct OutputOptions {
  std::string format = "text";       // text, wide, json, jsonl, name
  std::vector<std::string> columns;  // Empty: the command's own.
};

struct Column {
  std::string key;  // Member of a row.
  std::string title;
  bool wide_only = false;
};

// A list of objects. `name_key` is the member that -o name prints. Answers the exit code: 2 (usage) where a
// column is asked for that there is not.
int print_rows(const std::vector<json::Value>& rows, const std::vector<Column>& columns,
               const std::string& name_key, const OutputOptions& options);
// One object: "key  value" lines, or JSON.
void print_object(const json::Value& object, const std::string& name_key, const OutputOptions& options);
void print_line(const std::string& text);

bool is_terminal_output();
// Status words get a colour on a terminal, and nothing elsewhere.
std::string painted(const std::string& status);
// Text from events and errors, safe to show: control characters become visible.
std::string shown(std::string_view text);

}  // namespace sortie::cli
