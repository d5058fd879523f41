#include "cli/output.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "base/text.h"
#include "cli/exit_code.h"
#include "json/text.h"

namespace sortie::cli {
namespace {

std::string cell(const json::Value& value) {
  if (value.is_null()) return "-";
  return shown(value.is_string() ? value.to_std_string() : json::to_text(value));
}

// The character at `at` as "\\u009b" if it is a C1 control or changes the direction of writing, which can
// rewrite a terminal's line as well; "" otherwise.
std::string named_if_unseen(std::string_view text, std::size_t at) {
  const auto byte = [&](std::size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U; };
  unsigned code = 0;
  if (byte(at) == 0xC2) code = byte(at + 1);
  if (byte(at) == 0xE2) code = 0x2000U | ((byte(at + 1) & 0x3FU) << 6U) | (byte(at + 2) & 0x3FU);
  const bool is_c1 = code >= 0x80 && code <= 0x9F;
  const bool is_direction = code == 0x200E || code == 0x200F || (code >= 0x2028 && code <= 0x202E) ||
                            (code >= 0x2066 && code <= 0x2069);
  if (!is_c1 && !is_direction) return "";
  return "\\u" + to_hex(std::string{static_cast<char>(code >> 8U), static_cast<char>(code & 0xFFU)});
}

void print_table(const std::vector<json::Value>& rows, const std::vector<Column>& columns) {
  std::vector<std::size_t> widths;
  for (const Column& column : columns) {
    std::size_t width = column.title.size();
    for (const json::Value& row : rows) width = std::max(width, count_code_points(cell(row.get(column.key))));
    widths.push_back(std::min<std::size_t>(width, 120));
  }
  const auto line = [&](const auto& text_of) {
    std::string out;
    for (std::size_t i = 0; i < columns.size(); ++i) {
      const auto [plain, painted_text] = text_of(columns[i]);
      out += painted_text;
      const std::size_t width = count_code_points(plain);
      if (i + 1 < columns.size()) out.append(widths[i] > width ? widths[i] - width + 2 : 2, ' ');
    }
    print_line(out);
  };
  line([](const Column& column) { return std::pair(column.title, column.title); });
  for (const json::Value& row : rows) {
    line([&](const Column& column) {
      const std::string plain = cell(row.get(column.key));
      return std::pair(plain, column.key == "status" ? painted(plain) : plain);
    });
  }
}

// Those of the command, or those that were asked for: by title, or any other member that the rows have.
Result<std::vector<Column>> wanted_columns(const std::vector<json::Value>& rows,
                                           const std::vector<Column>& columns, const OutputOptions& options) {
  std::vector<Column> wanted;
  for (const Column& column : columns) {
    if (options.columns.empty() && (!column.wide_only || options.format == "wide")) wanted.push_back(column);
  }
  for (const std::string& key : options.columns) {
    const auto known = std::find_if(columns.begin(), columns.end(), [&key](const Column& column) {
      return column.key == key || to_lower_ascii(column.title) == to_lower_ascii(key);
    });
    const bool is_member = std::any_of(rows.begin(), rows.end(),
                                       [&key](const json::Value& row) { return row.find(key) != nullptr; });
    if (known == columns.end() && !is_member && !rows.empty()) {
      std::string names;
      for (const Column& column : columns) names += (names.empty() ? "" : ", ") + column.key;
      return Error{"Usage", "there is no column '" + shown(key) + "'", "", "known: " + names};
    }
    wanted.push_back(known == columns.end() ? Column{key, key, false} : *known);
  }
  return wanted;
}

}  // namespace

bool is_terminal_output() { return isatty(STDOUT_FILENO) == 1; }

std::string painted(const std::string& status) {
  static const bool kColour = is_terminal_output() && std::getenv("NO_COLOR") == nullptr;
  if (!kColour) return status;
  const char* code = nullptr;
  if (status == "SUCCEEDED" || status == "APPROVED") code = "32";
  if (status == "FAILED" || status == "TIMED_OUT" || status == "ABORTED" || status == "REJECTED") code = "31";
  if (status == "RUNNING") code = "36";
  if (status == "PENDING") code = "33";
  return code == nullptr ? status : "\033[" + std::string(code) + "m" + status + "\033[0m";
}

std::string shown(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x80) {
      const std::string named = named_if_unseen(text, i);
      out += named.empty() ? std::string(1, c) : named;
      if (!named.empty()) i += byte == 0xC2 ? 1 : 2;
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\t') {
      out += "\\t";
    } else if (byte < 0x20 || byte == 0x7F) {
      out += "\\x" + to_hex(std::string_view(&c, 1));
    } else {
      out += c;
    }
  }
  return out;
}

void print_line(const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fputc('\n', stdout);
}

int print_rows(const std::vector<json::Value>& rows, const std::vector<Column>& columns,
               const std::string& name_key, const OutputOptions& options) {
  if (options.format == "json") {
    print_line(json::to_pretty_text(json::Value::array(rows)));
  } else if (options.format == "jsonl") {
    for (const json::Value& row : rows) print_line(json::to_text(row));
  } else if (options.format == "name") {
    for (const json::Value& row : rows) print_line(cell(row.get(name_key)));
  } else {
    const Result<std::vector<Column>> wanted = wanted_columns(rows, columns, options);
    if (!wanted) return report(wanted.error());
    print_table(rows, *wanted);
  }
  return kOk;
}

void print_object(const json::Value& object, const std::string& name_key, const OutputOptions& options) {
  if (options.format == "json") return print_line(json::to_pretty_text(object));
  if (options.format == "jsonl") return print_line(json::to_text(object));
  if (options.format == "name") return print_line(cell(object.get(name_key)));
  std::size_t width = 0;
  for (const json::Member& member : object.members()) width = std::max(width, member.key.as_string().size());
  for (const json::Member& member : object.members()) {
    const std::string key = member.key.to_std_string();
    if (!options.columns.empty() &&
        std::find(options.columns.begin(), options.columns.end(), key) == options.columns.end()) {
      continue;
    }
    if (member.value.is_null()) continue;
    const std::string value = cell(member.value);
    print_line(key + std::string(width - key.size() + 2, ' ') + (key == "status" ? painted(value) : value));
  }
}

}  // namespace sortie::cli
