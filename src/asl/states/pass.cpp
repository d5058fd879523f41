#include "asl/states/states.h"

namespace sortie::asl {
namespace {

constexpr FieldSpec kPassFields[] = {
    {.name = "Result", .language = FieldLanguage::kJsonPath},
    {.name = "Parameters", .language = FieldLanguage::kJsonPath},
    {.name = "ResultPath", .kind = FieldKind::kStringOrNull, .language = FieldLanguage::kJsonPath},
};

// Result is data, not a template: "x.$" in it comes out as it is written.
void compile_pass(StateBuild& in) {
  Pass pass;
  if (const json::Value* result = in.fields.find("Result")) pass.result = *result;
  in.state.body = std::move(pass);
}

}  // namespace

const StateKind& pass_kind() {
  static const StateKind kKind{StateType::kPass, "Pass", kPassFields, true, true, true, false, false,
                               compile_pass};
  return kKind;
}

}  // namespace sortie::asl
