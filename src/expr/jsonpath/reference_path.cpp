#include "expr/jsonpath/reference_path.h"

#include <utility>
#include <vector>

#include "base/text.h"
#include "expr/jsonpath/program.h"
#include "json/text.h"

namespace sortie::jsonpath {
namespace {

constexpr std::size_t kInputShownBytesMax = 4096;

Error mismatch(const json::Value& root, const Path& path) {
  std::string input = json::to_text(root);
  if (input.size() > kInputShownBytesMax) {
    input = std::string(truncate_utf8(input, kInputShownBytesMax)) + "...";
  }
  return {std::string(kResultPathMatchFailure),
          "Unable to apply ReferencePath " + path.text() + " to input " + input, "", ""};
}

json::Value replaced(const json::Value& container, const Step& step, json::Value value) {
  if (step.kind == StepKind::kName) {
    return json::ObjectBuilder(container).set(step.name.text(), std::move(value)).build();
  }
  std::vector<json::Value> items(container.items().begin(), container.items().end());
  items[static_cast<std::size_t>(step.index)] = std::move(value);
  return json::Value::array(std::move(items));
}

}  // namespace

Result<json::Value> set_at(const json::Value& root, const Path& reference, json::Value value) {
  if (!reference.is_reference()) return invalid_path("'" + reference.text() + "' is no reference path");
  const Steps& steps = reference.program_->steps;
  if (steps.empty()) return value;
  // Down to the place, checking that each step fits; nullptr is an object that is yet to be made.
  std::vector<const json::Value*> spine;
  const json::Value* at = &root;
  for (std::size_t i = 0; i < steps.size(); ++i) {
    spine.push_back(at);
    if (steps[i].kind == StepKind::kName) {
      if (at != nullptr && !at->is_object()) return mismatch(root, reference);
      at = at != nullptr ? at->find(steps[i].name) : nullptr;
    } else {
      const auto index = static_cast<std::size_t>(steps[i].index);
      if (at == nullptr || !at->is_array() || index >= at->size()) return mismatch(root, reference);
      at = &at->items()[index];
    }
  }
  static const json::Value kNothing;
  for (std::size_t i = steps.size(); i-- > 0;) {
    value = replaced(spine[i] != nullptr ? *spine[i] : kNothing, steps[i], std::move(value));
  }
  return value;
}

}  // namespace sortie::jsonpath
