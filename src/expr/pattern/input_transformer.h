#pragma once
// What a target receives: the whole event, a constant (Input), a part of it (InputPath), or a text made from
// parts of it (InputTransformer), as EventBridge makes them.
//
//   template that begins with '{' or '['     a placeholder outside quotes becomes the value's JSON text,
//   inside
//                                            quotes a scalar's characters; an object or array inside quotes
//                                            spoils the JSON and the event is not delivered
//   any other template (quoted strings)      placeholders become characters; objects and arrays lose all
//   their
//                                            double quotes: [HIGH,LOW]
//
// Paths that find nothing give "" outside quotes and nothing inside. Characters spliced into quotes are
// escaped: where EventBridge would not deliver because a value holds a quote, this does.
//
// All values here are immutable after compile and may be shared by threads.
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "json/value.h"

namespace sortie::pattern {

inline constexpr std::size_t kInputPathsMax = 100;
inline constexpr std::size_t kInputTemplateBytesMax = 8192;
inline constexpr std::size_t kInputPathStepsMax = 100;

// `$`, `$.detail.items[0].id`, `$.detail.items[*].id`: names by dots (letters, digits, '_', '-' and anything
// else that is no dot or bracket), indices, and `*`.
class InputPath {
 public:
  // Errors: code "ValidationException".
  static Result<InputPath> compile(std::string_view text);

  // The value; an array of all values where the path holds a `*`; nothing where it leads nowhere.
  std::optional<json::Value> find(const json::Value& envelope) const;

 private:
  struct Step {
    enum class Kind { kName, kIndex, kAll } kind = Kind::kName;
    std::string name;
    std::size_t index = 0;
  };
  std::vector<Step> steps_;
  bool many_ = false;
};

// What the predefined placeholders <aws.events...> stand for.
struct RuleContext {
  std::string rule_arn;
  std::string rule_name;
  std::string ingestion_time;  // ISO 8601
};

class InputTransformer {
 public:
  using Paths = std::vector<std::pair<std::string, std::string>>;

  // Errors: code "ValidationException", messages of PutTargets; `target_id` appears in them.
  static Result<InputTransformer> compile(const Paths& paths, std::string_view template_text,
                                          std::string_view target_id);

  // The text for the target; nothing where the result is no JSON: then nothing is delivered.
  std::optional<std::string> render(const json::Value& envelope, const RuleContext& context) const;

 private:
  struct Piece {
    std::string text;  // Literal, or the placeholder's name.
    bool placeholder = false;
    bool quoted = false;  // The placeholder stands inside double quotes.
  };
  json::Value value_of(const std::string& name, const json::Value& envelope, const RuleContext& context,
                       bool& found) const;

  std::vector<std::pair<std::string, InputPath>> paths_;
  std::vector<Piece> pieces_;
  bool json_ = false;  // The template is a JSON object or array.
};

}  // namespace sortie::pattern
