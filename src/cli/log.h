#pragma once
// What the server tells its operator: one line on stderr, text on a terminal, JSON elsewhere. Never secrets:
// callers log names, codes and counts, not payloads.
#include <string_view>

#include "base/result.h"

namespace sortie::cli {

enum class LogLevel { kInfo, kWarning, kError };

void log(LogLevel level, std::string_view message);
void log(LogLevel level, std::string_view message, const Error& error);

}  // namespace sortie::cli
