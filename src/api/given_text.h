#pragma once
// Remembers JSON texts as callers gave them, and finds the text of any part of them again: answers show what
// was passed through with its own blanks, as AWS does.
#include <string>
#include <string_view>
#include <vector>

#include "json/value.h"

namespace sortie::api {

class GivenTexts {
 public:
  // `value` is what `text` was parsed to.
  void add(std::string text, json::Value value);
  // The text of the part that this value is (the same block, not an equal one); else its compact form.
  std::string text_of(const json::Value& value) const;

 private:
  struct Given {
    std::string text;
    json::Value value;
  };
  std::vector<Given> given_;
};

}  // namespace sortie::api
