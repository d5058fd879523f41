#pragma once
// Checks of request members worded as AWS's services word them: "1 validation error detected: Value 'x' at
// 'name' failed to satisfy constraint: Member must ...". Several violations are told in one message.
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "json/value.h"

namespace sortie::events {

class Constraints {
 public:
  // Each reads `request[member]`, checks it if it is there, and names it `path` in messages. A value of
  // another JSON type than the wanted one is a SerializationException, as AWS's protocol layer gives.
  std::string text(const json::Value& request, std::string_view member, std::size_t min, std::size_t max,
                   bool required = false);
  std::string name(const json::Value& request, std::string_view member, std::size_t max,
                   bool required = false,
                   std::string_view also = "");  // [\.\-_A-Za-z0-9]+ and the characters of `also`.
  std::string one_of(const json::Value& request, std::string_view member,
                     std::initializer_list<std::string_view> values);
  std::int64_t integer(const json::Value& request, std::string_view member, std::int64_t min,
                       std::int64_t max, std::int64_t otherwise);
  void items(const json::Value& request, std::string_view member, std::size_t min, std::size_t max);
  void violated(std::string_view shown_value, std::string_view path, std::string_view constraint);

  void set_prefix(std::string prefix) { prefix_ = std::move(prefix); }  // "targets.1.member."
  Status result() const;

 private:
  std::string path_of(std::string_view member) const;
  void mistyped(std::string_view member);
  const json::Value* given(const json::Value& request, std::string_view member, bool required);
  void length(const std::string& value, std::string_view member, std::size_t min, std::size_t max);

  std::string prefix_;
  std::vector<std::string> violations_;
  std::string mistyped_;
};

}  // namespace sortie::events
