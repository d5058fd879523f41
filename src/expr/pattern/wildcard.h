#pragma once
// The `wildcard` operator: '*' is any run of bytes, a backslash escapes '*' and itself.
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace sortie::pattern {

class Wildcard {
 public:
  // Errors: message as EventBridge words it (positions count the opening quote as 0), code empty.
  static Result<Wildcard> compile(std::string_view text);

  bool matches(std::string_view value) const;
  // The literal runs between the stars, in order. A run before the first star and one after the last are
  // always there, empty where the pattern begins or ends with a star; without a star there is one run.
  const std::vector<std::string>& runs() const { return runs_; }
  // How many places of this pattern one unlucky value can be at at once, or `bound` where it is at least
  // that. EventBridge refuses patterns for which this is large, because every such place costs on every byte.
  std::size_t complexity(std::size_t bound) const;

 private:
  std::string literals_;  // All literal bytes and one byte for each star.
  std::vector<std::string> runs_ = std::vector<std::string>(1);
  std::vector<bool> stars_;  // Which of them are stars.
};

}  // namespace sortie::pattern
