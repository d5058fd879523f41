#include "asl/states/states.h"

namespace sortie::asl {
namespace {

constexpr FieldSpec kWaitFields[] = {
    {.name = "Seconds", .kind = FieldKind::kInteger, .min = 0, .max = kSecondsMax, .query = true},
    {.name = "SecondsPath", .kind = FieldKind::kString, .language = FieldLanguage::kJsonPath},
    {.name = "Timestamp", .kind = FieldKind::kString},
    {.name = "TimestampPath", .kind = FieldKind::kString, .language = FieldLanguage::kJsonPath},
};

void compile_wait(StateBuild& in) {
  Wait wait;
  in.fields.exactly_one({"Seconds", "SecondsPath", "Timestamp", "TimestampPath"});
  wait.seconds = in.fields.integer("Seconds");
  wait.seconds_path = compile_reference_path(in, "SecondsPath");
  wait.timestamp_path = compile_reference_path(in, "TimestampPath");
  wait.seconds_query = compile_expression(in.diagnostics(), in.fields, "Seconds");
  wait.timestamp_query = compile_expression(in.diagnostics(), in.fields, "Timestamp");
  const json::Value* text = in.fields.find("Timestamp");
  if (text != nullptr && !(in.is_jsonata() && is_jsonata_expression(*text))) {
    Result<Timestamp> time = parse_rfc3339(text->as_string());
    if (time.ok()) {
      wait.timestamp = *time;
    } else {
      in.diagnostics().schema(in.fields.at("Timestamp"), "String does not match RFC3339 timestamp");
    }
  }
  in.state.body = std::move(wait);
}

}  // namespace

const StateKind& wait_kind() {
  static const StateKind kKind{StateType::kWait, "Wait", kWaitFields, true, true, true, false, false,
                               compile_wait};
  return kKind;
}

}  // namespace sortie::asl
