#include "cli/output.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "base/text.h"
#include "json/text.h"

namespace sortie::cli {
namespace {

std::string cell(const json::Value& value) {
  if (value.is_null()) return "-";
  return shown(value.is_string() ? value.to_std_string() : json::to_text(value));
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
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '\n') {
      out += "\\n";
    } else if (c == '\t') {
      out += "\\t";
    } else if (byte < 0x20 || byte == 0x7F) {
      out += "\\x" + to_hex(std::string_view(&c, 1));
    } else {
      out += c;
    }
  }
  // C1 controls (U+0080 to U+009F) and direction overrides can rewrite a terminal's line, too.
  return replace_all(replace_all(out, "\xE2\x80\xAE", "\\u202e"), "\xC2\x9B", "\\u009b");
}

void print_line(const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fputc('\n', stdout);
}

void print_rows(const std::vector<json::Value>& rows, const std::vector<Column>& columns,
                const std::string& name_key, const OutputOptions& options) {
  if (options.format == "json") return print_line(json::to_pretty_text(json::Value::array(rows)));
  if (options.format == "jsonl") {
    for (const json::Value& row : rows) print_line(json::to_text(row));
    return;
  }
  if (options.format == "name") {
    for (const json::Value& row : rows) print_line(cell(row.get(name_key)));
    return;
  }
  std::vector<Column> wanted;
  for (const Column& column : columns) {
    if (options.columns.empty() && (!column.wide_only || options.format == "wide")) wanted.push_back(column);
  }
  for (const std::string& key : options.columns) {
    const auto known = std::find_if(columns.begin(), columns.end(), [&key](const Column& column) {
      return column.key == key || to_lower_ascii(column.title) == to_lower_ascii(key);
    });
    wanted.push_back(known == columns.end() ? Column{key, key, false} : *known);
  }
  print_table(rows, wanted);
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
