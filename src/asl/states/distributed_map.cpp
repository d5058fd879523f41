// The fields that only a Map in DISTRIBUTED mode has: where items come from, how they are put together, where
// the results go.
#include "asl/states/states.h"
#include "base/text.h"

namespace sortie::asl {
namespace distributed {

constexpr std::string_view kFields[] = {"ItemReader", "ItemBatcher", "ResultWriter", "Label"};
constexpr std::size_t kLabelCharactersMax = 40;
constexpr std::int64_t kItemsMax = 100'000'000;
constexpr std::int64_t kBatchBytesMax = 262'144;

constexpr FieldSpec kResourceFields[] = {
    {.name = "Parameters", .language = FieldLanguage::kJsonPath},
    {.name = "Arguments", .language = FieldLanguage::kJsonata},
};
constexpr FieldSpec kReaderFields[] = {
    {.name = "Resource", .kind = FieldKind::kString, .required = true},
    {.name = "ReaderConfig", .kind = FieldKind::kObject},
};
constexpr FieldSpec kReaderConfigFields[] = {
    {.name = "InputType", .kind = FieldKind::kString},
    {.name = "Transformation", .kind = FieldKind::kString},
    {.name = "CSVHeaderLocation", .kind = FieldKind::kString},
    {.name = "CSVHeaders", .kind = FieldKind::kArray},
    {.name = "CSVDelimiter", .kind = FieldKind::kString},
    {.name = "ItemsPointer", .kind = FieldKind::kString},
    {.name = "ManifestType", .kind = FieldKind::kString},
    {.name = "MaxItems", .kind = FieldKind::kInteger, .min = 0, .query = true},
    {.name = "MaxItemsPath", .kind = FieldKind::kString, .language = FieldLanguage::kJsonPath},
};
constexpr FieldSpec kBatcherFields[] = {
    {.name = "MaxItemsPerBatch", .kind = FieldKind::kInteger, .min = 1, .max = kItemsMax, .query = true},
    {.name = "MaxItemsPerBatchPath", .kind = FieldKind::kString, .language = FieldLanguage::kJsonPath},
    {.name = "MaxInputBytesPerBatch",
     .kind = FieldKind::kInteger,
     .min = 1,
     .max = kBatchBytesMax,
     .query = true},
    {.name = "MaxInputBytesPerBatchPath", .kind = FieldKind::kString, .language = FieldLanguage::kJsonPath},
    {.name = "BatchInput"},
};
constexpr FieldSpec kWriterFields[] = {
    {.name = "Resource", .kind = FieldKind::kString},
    {.name = "WriterConfig", .kind = FieldKind::kObject},
};
constexpr FieldSpec kWriterConfigFields[] = {
    {.name = "OutputType", .kind = FieldKind::kString},
    {.name = "Transformation", .kind = FieldKind::kString},
};

// The value of a field that has one of a few words; reports anything else.
std::string one_of(Diagnostics& diagnostics, const Fields& fields, std::string_view name,
                   std::initializer_list<std::string_view> words, std::string_view fallback) {
  const std::optional<std::string> written = fields.text(name);
  if (!written) return std::string(fallback);
  for (const std::string_view word : words) {
    if (*written == word) return *written;
  }
  diagnostics.schema(fields.at(name), "Value must be one of: " + field_list(words));
  return std::string(fallback);
}

// "arn:aws:states:::s3:getObject" -> "getObject"; nothing (and a report) for any other resource.
std::optional<std::string> s3_action(Diagnostics& diagnostics, const Fields& fields,
                                     std::initializer_list<std::string_view> actions) {
  const std::optional<std::string> resource = fields.text("Resource");
  if (!resource) return std::nullopt;
  for (const std::string_view action : actions) {
    const std::string tail = ":states:::s3:" + std::string(action);
    if (resource->starts_with("arn:") && resource->ends_with(tail)) return std::string(action);
  }
  diagnostics.schema(fields.at("Resource"), "The resource '" + *resource + "' is not supported here");
  return std::nullopt;
}

std::string_view parameters_name(const StateBuild& in) {
  return in.is_jsonata() ? "Arguments" : "Parameters";
}

StateBuild with_fields(const StateBuild& in, const Fields& fields) {
  return {in.build, in.names, in.flow, in.index, fields, in.state};
}

void read_csv(Diagnostics& diagnostics, const Fields& config, ItemReader& reader) {
  const std::string location =
      one_of(diagnostics, config, "CSVHeaderLocation", {"FIRST_ROW", "GIVEN"}, "FIRST_ROW");
  reader.csv_first_row = location == "FIRST_ROW";
  if (!config.is_written("CSVHeaderLocation")) {
    diagnostics.schema(config.where(), "These fields are required: [CSVHeaderLocation]");
  }
  if (const json::Value* headers = config.find("CSVHeaders")) {
    for (std::size_t i = 0; i < headers->size(); ++i) {
      const json::Value& header = (*headers)[i];
      if (header.is_string()) {
        reader.csv_headers.push_back(header.to_std_string());
      } else {
        diagnostics.schema(config.at("CSVHeaders").item(i), "Expected value of type String");
      }
    }
  }
  if (!reader.csv_first_row && !config.is_written("CSVHeaders")) {
    diagnostics.schema(config.where(), "These fields are required: [CSVHeaders]");
  }
  const std::string delimiter =
      one_of(diagnostics, config, "CSVDelimiter", {"COMMA", "PIPE", "SEMICOLON", "SPACE", "TAB"}, "COMMA");
  reader.csv_delimiter = delimiter == "PIPE"        ? '|'
                         : delimiter == "SEMICOLON" ? ';'
                         : delimiter == "SPACE"     ? ' '
                         : delimiter == "TAB"       ? '\t'
                                                    : ',';
}

void read_format(StateBuild& in, const Fields& config, ItemReader& reader) {
  Diagnostics& diagnostics = in.diagnostics();
  reader.loads_listed = one_of(diagnostics, config, "Transformation", {"NONE", "LOAD_AND_FLATTEN"}, "NONE") ==
                            "LOAD_AND_FLATTEN" &&
                        reader.lists_objects;
  if (reader.lists_objects && !reader.loads_listed) return;
  const std::string manifest =
      one_of(diagnostics, config, "ManifestType", {"S3_INVENTORY", "ATHENA_DATA"}, "");
  if (manifest == "S3_INVENTORY" && !reader.lists_objects) {  // Its files are CSV, whatever InputType says.
    reader.format = ItemFormat::kManifest;
    return;
  }
  reader.athena_manifest = manifest == "ATHENA_DATA" && !reader.lists_objects;
  if (!config.is_written("InputType")) {
    diagnostics.schema(config.where(), "These fields are required: [InputType]");
  }
  const std::string type =
      one_of(diagnostics, config, "InputType", {"CSV", "JSON", "JSONL", "MANIFEST", "PARQUET"}, "JSON");
  if (type == "PARQUET") {
    diagnostics.unsupported(config.at("InputType"),
                            "The state '" + in.state.name + "' reads Parquet, which is not supported yet");
  }
  if (type == "CSV") reader.format = ItemFormat::kCsv;
  if (type == "JSONL") reader.format = ItemFormat::kJsonLines;
  if (type == "MANIFEST") reader.format = ItemFormat::kManifest;
  if (type == "CSV") read_csv(diagnostics, config, reader);
  if (type == "MANIFEST" && (reader.athena_manifest || reader.loads_listed)) {
    diagnostics.schema(config.at("InputType"),
                       "Value must be one of: " + field_list({"CSV", "JSONL", "PARQUET"}));
  }
}

ItemReader compile_reader(StateBuild& in, const json::Value& value) {
  const Where where = in.fields.at("ItemReader");
  const Fields fields(in.diagnostics(), value, where, {kReaderFields, kResourceFields},
                      in.state.query_language);
  ItemReader reader;
  reader.lists_objects =
      s3_action(in.diagnostics(), fields, {"getObject", "listObjectsV2"}) == "listObjectsV2";
  reader.parameters = compile_either(in.diagnostics(), fields, parameters_name(in));
  const json::Value* written = fields.find("ReaderConfig");
  if (written == nullptr) {
    if (!reader.lists_objects) in.diagnostics().schema(where, "These fields are required: [ReaderConfig]");
    return reader;
  }
  const Where place = fields.at("ReaderConfig");
  const Fields config(in.diagnostics(), *written, place, {kReaderConfigFields}, in.state.query_language);
  read_format(in, config, reader);
  reader.items_pointer = config.text("ItemsPointer").value_or("");
  if (!reader.items_pointer.empty() && reader.items_pointer[0] != '/') {
    in.diagnostics().schema(config.at("ItemsPointer"), "Value is not a JSON Pointer");
  }
  reader.max_items = compile_number(with_fields(in, config), "MaxItems", "MaxItemsPath");
  return reader;
}

ItemBatcher compile_batcher(StateBuild& in, const json::Value& value) {
  const Where where = in.fields.at("ItemBatcher");
  const Fields fields(in.diagnostics(), value, where, {kBatcherFields}, in.state.query_language);
  ItemBatcher batcher;
  const StateBuild inner = with_fields(in, fields);
  batcher.max_items = compile_number(inner, "MaxItemsPerBatch", "MaxItemsPerBatchPath");
  batcher.max_input_bytes = compile_number(inner, "MaxInputBytesPerBatch", "MaxInputBytesPerBatchPath");
  batcher.batch_input = compile_either(in.diagnostics(), fields, "BatchInput");
  if (!batcher.max_items.is_set() && !batcher.max_input_bytes.is_set()) {
    in.diagnostics().schema(
        where,
        "At least one of these fields is required: [MaxItemsPerBatch, MaxItemsPerBatchPath, "
        "MaxInputBytesPerBatch, MaxInputBytesPerBatchPath]");
  }
  return batcher;
}

ResultWriter compile_writer(StateBuild& in, const json::Value& value) {
  const Where where = in.fields.at("ResultWriter");
  const Fields fields(in.diagnostics(), value, where, {kWriterFields, kResourceFields},
                      in.state.query_language);
  ResultWriter writer;
  writer.to_s3 = s3_action(in.diagnostics(), fields, {"putObject"}).has_value();
  if (writer.to_s3) writer.parameters = compile_either(in.diagnostics(), fields, parameters_name(in));
  // What is written elsewhere is the whole record of each child; what stays in the output is its output.
  writer.transformation = writer.to_s3 ? ResultTransformation::kNone : ResultTransformation::kCompact;
  const json::Value* written = fields.find("WriterConfig");
  if (written == nullptr) {
    if (!fields.is_written("Resource"))
      in.diagnostics().schema(where, "At least one of these fields is required: [Resource, WriterConfig]");
    return writer;
  }
  const Where place = fields.at("WriterConfig");
  const Fields config(in.diagnostics(), *written, place, {kWriterConfigFields}, in.state.query_language);
  const std::string transformation =
      one_of(in.diagnostics(), config, "Transformation", {"NONE", "COMPACT", "FLATTEN"}, "");
  if (transformation == "NONE") writer.transformation = ResultTransformation::kNone;
  if (transformation == "COMPACT") writer.transformation = ResultTransformation::kCompact;
  if (transformation == "FLATTEN") writer.transformation = ResultTransformation::kFlatten;
  writer.json_lines = one_of(in.diagnostics(), config, "OutputType", {"JSON", "JSONL"}, "JSON") == "JSONL";
  return writer;
}

std::string compile_label(StateBuild& in) {
  const std::optional<std::string> label = in.fields.text("Label");
  if (!label) return "";
  const bool fits = !label->empty() && count_code_points(*label) <= kLabelCharactersMax;
  if (!fits) {
    in.diagnostics().schema(in.fields.at("Label"),
                            "Label must have 1 to " + std::to_string(kLabelCharactersMax) + " characters");
  }
  if (label->find_first_of(" \t\r\n<>{}[]?*\"#%\\^|~`$&,;:/") != std::string::npos) {
    in.diagnostics().schema(in.fields.at("Label"), "Label contains invalid characters");
  }
  return *label;
}

}  // namespace distributed

void compile_distributed(StateBuild& in, std::optional<DistributedMap>& map) {
  if (!map) {
    for (const std::string_view field : distributed::kFields) {
      if (!in.fields.is_written(field)) continue;
      in.diagnostics().schema(in.fields.at(field),
                              "Field is only supported by a Map state in DISTRIBUTED mode");
    }
    return;
  }
  if (const json::Value* reader = in.fields.find("ItemReader")) {
    map->reader = distributed::compile_reader(in, *reader);
  }
  if (const json::Value* batcher = in.fields.find("ItemBatcher")) {
    map->batcher = distributed::compile_batcher(in, *batcher);
  }
  if (const json::Value* writer = in.fields.find("ResultWriter")) {
    map->writer = distributed::compile_writer(in, *writer);
  }
  map->label = distributed::compile_label(in);
}

}  // namespace sortie::asl
