#include "base/result.h"

#include <cstdio>
#include <cstdlib>

namespace sortie {

std::string to_text(const Error& error) {
  std::string text = error.code.empty() ? error.message : error.code + ": " + error.message;
  if (!error.place.empty()) text += " (at " + error.place + ")";
  if (!error.hint.empty()) text += ". " + error.hint;
  return text;
}

void fail_check(const char* expression, const char* file, int line) {
  std::fprintf(stderr, "sortie: internal check failed: %s (%s:%d)\n", expression, file, line);
  std::abort();
}

}  // namespace sortie
