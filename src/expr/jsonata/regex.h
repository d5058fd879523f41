#pragma once
// A JavaScript regular expression on RE2: same choice of the leftmost match, linear time. The syntax is
// translated; what RE2 cannot do (look-around, back references, counts above 1000) is refused with S0303
// and a message that says so.
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

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
  ~Regex();

  // The first match at or behind byte `from`.
  bool find(std::string_view text, std::size_t from, Match& match) const;
  const std::string& source() const { return source_; }
  std::uint32_t position() const { return position_; }

 private:
  Regex() = default;

  std::string source_;
  std::uint32_t position_ = 0;
  std::unique_ptr<re2::RE2> re2_;
};

}  // namespace sortie::jsonata
