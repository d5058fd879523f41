#pragma once
// A JavaScript regular expression in linear time. Most run on our own machine (matcher.h); the rest, and long
// texts, on RE2, which makes the same choice of the leftmost match: for it the syntax is translated. What RE2
// cannot do (look-around, back references, counts above 1000) is refused with S0303 and a message that says
// so.
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "expr/jsonata/matcher.h"

namespace re2 {
class RE2;
}

namespace sortie::jsonata {

class Regex {
 public:
  struct Match {
    std::size_t begin = 0;  // Byte offsets.
    std::size_t end = 0;
    std::vector<std::optional<std::string_view>> groups{};
  };

  // Throws Failure.
  static std::shared_ptr<const Regex> compile(const std::string& source, std::string_view flags,
                                              std::uint32_t position);
  Regex();
  ~Regex();

  // The first match at or behind byte `from`.
  bool find(std::string_view text, std::size_t from, Match& match) const;
  // Whether a text of so many bytes is looked at unit by unit of UTF-16, as JavaScript does: then it has to
  // be given with its pairs split (utf.h), and `.` matches half of one.
  bool by_units(std::size_t text_bytes) const { return matcher_ && matcher_->takes(text_bytes); }
  const std::string& source() const { return source_; }
  std::uint32_t position() const { return position_; }

 private:
  const re2::RE2& automaton() const;

  std::string source_;
  bool ignore_case_ = false;
  bool multiline_ = false;
  std::uint32_t position_ = 0;
  std::unique_ptr<const Matcher> matcher_;
  // Made when it is needed first, by whichever thread needs it.
  mutable std::once_flag once_;
  mutable std::unique_ptr<re2::RE2> re2_;
};

}  // namespace sortie::jsonata
