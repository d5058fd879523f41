#include "asl/states/states.h"

namespace sortie::asl {
namespace {

constexpr FieldSpec kMapFields[] = {
    {.name = "ItemProcessor", .kind = FieldKind::kObject},
    {.name = "Iterator", .kind = FieldKind::kObject},  // The older name.
    {.name = "ItemsPath", .kind = FieldKind::kString, .language = FieldLanguage::kJsonPath},
    {.name = "Items", .kind = FieldKind::kArray, .language = FieldLanguage::kJsonata, .query = true},
    {.name = "ItemSelector"},
    {.name = "ItemReader", .kind = FieldKind::kObject},
    {.name = "ItemBatcher", .kind = FieldKind::kObject},
    {.name = "ResultWriter", .kind = FieldKind::kObject},
    {.name = "Label", .kind = FieldKind::kString},
    {.name = "MaxConcurrency", .kind = FieldKind::kInteger, .min = 0, .query = true},
    {.name = "MaxConcurrencyPath", .kind = FieldKind::kString, .language = FieldLanguage::kJsonPath},
    {.name = "ToleratedFailureCount", .kind = FieldKind::kInteger, .min = 0, .query = true},
    {.name = "ToleratedFailureCountPath", .kind = FieldKind::kString, .language = FieldLanguage::kJsonPath},
    {.name = "ToleratedFailurePercentage", .kind = FieldKind::kNumber, .min = 0, .max = 100, .query = true},
    {.name = "ToleratedFailurePercentagePath",
     .kind = FieldKind::kString,
     .language = FieldLanguage::kJsonPath},
};

constexpr FieldSpec kProcessorFields[] = {
    {.name = "ProcessorConfig", .kind = FieldKind::kObject},
};

constexpr FieldSpec kProcessorConfigFields[] = {
    {.name = "Mode", .kind = FieldKind::kString},
    {.name = "ExecutionType", .kind = FieldKind::kString},
};

// Whether ProcessorConfig asks for a distributed Map.
std::optional<DistributedMap> read_processor_config(StateBuild& in, const json::Value& processor,
                                                    const Where& where) {
  const json::Value* config = processor.find("ProcessorConfig");
  if (config == nullptr) return std::nullopt;
  const Where place = where.member("ProcessorConfig");
  const Fields fields(in.diagnostics(), *config, place, {kProcessorConfigFields});
  const std::string mode = fields.text("Mode").value_or("INLINE");
  if (mode != "INLINE" && mode != "DISTRIBUTED") {
    in.diagnostics().schema(fields.at("Mode"), "Value must be one of: [INLINE, DISTRIBUTED]");
  }
  const auto execution_type = fields.text("ExecutionType");
  if (execution_type && *execution_type != "STANDARD" && *execution_type != "EXPRESS") {
    in.diagnostics().schema(fields.at("ExecutionType"), "Value must be one of: [STANDARD, EXPRESS]");
  }
  if (mode != "DISTRIBUTED") return std::nullopt;
  if (!execution_type) in.diagnostics().schema(place, "These fields are required: [ExecutionType]");
  if (in.build.options.type == MachineType::kExpress) {
    in.diagnostics().schema(place, "Express state machine does not support Map state in DISTRIBUTED mode");
  }
  DistributedMap map;
  map.express = execution_type == "EXPRESS";
  return map;
}

void compile_processor(StateBuild& in, Map& map) {
  if (!in.fields.exactly_one({"ItemProcessor", "Iterator"})) return;
  for (const std::string_view name : {"ItemProcessor", "Iterator"}) {
    const json::Value* processor = in.fields.find(name);
    if (processor == nullptr || !processor->is_object()) continue;
    const Where where = in.fields.at(name);
    map.distributed = read_processor_config(in, *processor, where);
    map.processor = compile_flow(in.build, *processor, where, kProcessorFields, in.flow, in.index);
  }
}

void compile_item_selector(StateBuild& in, Map& map) {
  const bool has_both = in.fields.is_written("ItemSelector") && in.fields.is_written("Parameters");
  if (has_both) in.fields.exactly_one({"ItemSelector", "Parameters"}, false);
  const std::string_view name = in.fields.is_written("ItemSelector") ? "ItemSelector" : "Parameters";
  map.item_selector = compile_either(in.diagnostics(), in.fields, name);
  in.state.parameters.reset();  // Map's Parameters shape each item, not the state's input.
}

void compile_map(StateBuild& in) {
  Map map;
  compile_processor(in, map);
  const json::Value* items = in.fields.find("ItemsPath");
  if (items != nullptr && !in.is_jsonata() && items->as_string() != "$") {
    map.items_path.path = compile_reference_path(in, "ItemsPath");
  }
  map.items = compile_query(in.diagnostics(), in.fields, "Items");
  compile_item_selector(in, map);
  map.max_concurrency = compile_number(in, "MaxConcurrency", "MaxConcurrencyPath");
  map.tolerated_failure_count = compile_number(in, "ToleratedFailureCount", "ToleratedFailureCountPath");
  map.tolerated_failure_percentage =
      compile_number(in, "ToleratedFailurePercentage", "ToleratedFailurePercentagePath");
  compile_distributed(in, map.distributed);
  in.state.body = std::move(map);
}

}  // namespace

const StateKind& map_kind() {
  static const StateKind kKind{StateType::kMap, "Map", kMapFields, true, true, true, true, true, compile_map};
  return kKind;
}

}  // namespace sortie::asl
