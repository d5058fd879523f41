#include "cli/log.h"

#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <string>

#include "base/time.h"
#include "cli/output.h"
#include "json/text.h"

namespace sortie::cli {
namespace {

std::string_view level_name(LogLevel level) {
  return level == LogLevel::kInfo ? "info" : level == LogLevel::kWarning ? "warning" : "error";
}

void write_line(LogLevel level, std::string_view message, const Error* error) {
  static const bool kTerminal = isatty(STDERR_FILENO) == 1;
  const auto now = std::chrono::duration_cast<std::chrono::milliseconds>(
      std::chrono::system_clock::now().time_since_epoch());
  const std::string time = to_iso8601({now.count()});
  std::string line;
  if (kTerminal) {
    line = time.substr(11, 8) + " " + std::string(level_name(level)) + " " + shown(message);
    if (error != nullptr) line += ": " + shown(to_text(*error));
  } else {
    json::ObjectBuilder out;
    out.append("time", time);
    out.append("level", level_name(level));
    out.append("message", message);
    if (error != nullptr) {
      out.append("code", error->code);
      out.append("error", error->message);
      if (!error->place.empty()) out.append("place", error->place);
      if (!error->hint.empty()) out.append("hint", error->hint);
    }
    line = json::to_text(out.build());
  }
  line += '\n';
  // One write a line, so that lines of several threads and processes do not mix.
  if (::write(STDERR_FILENO, line.data(), line.size()) < 0) return;
}

}  // namespace

void log(LogLevel level, std::string_view message) { write_line(level, message, nullptr); }
void log(LogLevel level, std::string_view message, const Error& error) { write_line(level, message, &error); }

}  // namespace sortie::cli
