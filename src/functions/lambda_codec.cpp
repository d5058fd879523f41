#include "functions/lambda_codec.h"

#include "base/text.h"
#include "json/text.h"

namespace sortie::functions {

namespace {

Error unsupported(const std::string& what) {
  return {"InvalidParameterValueException", what + " is not supported yet by this server", "", ""};
}

Error wrong_type(std::string_view field, std::string_view expected) {
  return {"SerializationException", "the value of " + std::string(field) + " is no " + std::string(expected),
          "", ""};
}

Error missing(std::string_view field) {
  return {"ValidationException",
          "1 validation error detected: Value null at '" + std::string(field) +
              "' failed to satisfy constraint: Member must not be null",
          "", ""};
}

Status read_text(const json::Value& body, const char* field, std::string& into) {
  const json::Value& value = body.get(field);
  if (value.is_null()) return {};
  if (!value.is_string()) return wrong_type(field, "string");
  into = value.to_std_string();
  return {};
}

Status read_number(const json::Value& body, const char* field, int& into) {
  const json::Value& value = body.get(field);
  if (value.is_null()) return {};
  if (!value.is_integer() || value.as_integer() < INT32_MIN || value.as_integer() > INT32_MAX) {
    return wrong_type(field, "32-bit integer");
  }
  into = static_cast<int>(value.as_integer());
  return {};
}

Status read_texts(const json::Value& value, const char* field, std::map<std::string, std::string>& into) {
  if (value.is_null()) return {};
  if (!value.is_object()) return wrong_type(field, "structure");
  into.clear();
  for (const json::Member& member : value.members()) {
    if (!member.value.is_string()) return wrong_type(field, "map of strings");
    into[member.key.to_std_string()] = member.value.to_std_string();
  }
  return {};
}

// Refuses what would change how a function runs and cannot be had here; the rest is harmless and ignored.
Status check_unsupported(const json::Value& body) {
  if (body.get("Publish").is_bool() && body.get("Publish").as_bool())
    return unsupported("Publish (function versions)");
  if (!body.get("VpcConfig").get("SubnetIds").empty()) return unsupported("VpcConfig");
  if (!body.get("FileSystemConfigs").empty()) return unsupported("FileSystemConfigs");
  if (!body.get("ImageConfig").empty()) return unsupported("ImageConfig");
  const json::Value& dead_letter = body.get("DeadLetterConfig").get("TargetArn");
  if (dead_letter.is_string() && !dead_letter.as_string().empty()) return unsupported("DeadLetterConfig");
  const json::Value& package = body.get("PackageType");
  if (package.is_string() && package.as_string() == "Image") return unsupported("the package type Image");
  const json::Value& snap_start = body.get("SnapStart").get("ApplyOn");
  if (snap_start.is_string() && snap_start.as_string() == "PublishedVersions")
    return unsupported("SnapStart");
  if (!body.get("Layers").empty()) {
    return unsupported("Layers (a project folder's function.yaml may name them)");
  }
  return {};
}

// Fields that CreateFunction and UpdateFunctionConfiguration share.
Status read_common(const json::Value& body, FunctionConfig& config) {
  SORTIE_TRY_STATUS(check_unsupported(body));
  SORTIE_TRY_STATUS(read_text(body, "Runtime", config.runtime));
  SORTIE_TRY_STATUS(read_text(body, "Role", config.role));
  SORTIE_TRY_STATUS(read_text(body, "Handler", config.handler));
  SORTIE_TRY_STATUS(read_text(body, "Description", config.description));
  SORTIE_TRY_STATUS(read_number(body, "Timeout", config.timeout_s));
  SORTIE_TRY_STATUS(read_number(body, "MemorySize", config.memory_mib));
  SORTIE_TRY_STATUS(read_number(body.get("EphemeralStorage"), "Size", config.ephemeral_storage_mib));
  if (body.get("Environment").is_object() && body.get("Environment").get("Variables").is_null())
    config.environment.clear();
  return read_texts(body.get("Environment").get("Variables"), "Environment.Variables", config.environment);
}

Result<std::string> read_zip(const json::Value& code) {
  for (const char* field : {"S3Bucket", "S3Key", "ImageUri"}) {
    if (code.get(field).is_string())
      return unsupported("code from " + std::string(field) + " (send ZipFile)");
  }
  const json::Value& text = code.get("ZipFile");
  if (!text.is_string()) {
    return Error{"InvalidParameterValueException", "Please provide a source for function code.", "", ""};
  }
  auto zip = base64_decode(text.as_string());
  if (!zip) return wrong_type("ZipFile", "base64 text");
  if (zip->size() > kZipBytesMax) {
    return Error{"RequestEntityTooLargeException",
                 "Request must be smaller than 70167211 bytes for this operation", "", ""};
  }
  return std::move(*zip);
}

}  // namespace

Result<json::Value> parse_body(std::string_view body) {
  if (body.empty()) return json::Value::object({});
  auto value = json::parse(body);
  if (!value || !value->is_object()) {
    const std::string detail = value ? "it is no object" : value.error().message;
    return Error{"InvalidRequestContentException", "Could not parse request body into json: " + detail, "",
                 ""};
  }
  return std::move(*value);
}

Result<CreateFunctionBody> parse_create_function(std::string_view body) {
  SORTIE_TRY(const json::Value value, parse_body(body));
  CreateFunctionBody create;
  FunctionConfig& config = create.config;
  if (value.get("FunctionName").is_null()) return missing("functionName");
  if (value.get("Role").is_null()) return missing("role");
  if (value.get("Code").is_null()) return missing("code");
  SORTIE_TRY_STATUS(read_text(value, "FunctionName", config.name));
  SORTIE_TRY_STATUS(read_common(value, config));
  SORTIE_TRY_STATUS(read_texts(value.get("Tags"), "Tags", config.tags));
  if (const json::Value& architecture = value.get("Architectures")[0]; architecture.is_string()) {
    config.architecture = architecture.to_std_string();
    if (config.architecture != "x86_64" && config.architecture != "arm64") {
      return Error{"ValidationException",
                   "1 validation error detected: Value '[" + config.architecture +
                       "]' at 'architectures' failed to satisfy constraint: Member must satisfy enum value "
                       "set: [x86_64, arm64]",
                   "", ""};
    }
  }
  if (config.runtime.empty()) {
    return Error{
        "InvalidParameterValueException",
        "Runtime and Handler are mandatory parameters for functions created with deployment packages.", "",
        ""};
  }
  SORTIE_TRY(create.zip, read_zip(value.get("Code")));
  return create;
}

Result<UpdateCodeBody> parse_update_code(std::string_view body) {
  SORTIE_TRY(const json::Value value, parse_body(body));
  UpdateCodeBody update;
  if (value.get("Publish").is_bool() && value.get("Publish").as_bool())
    return unsupported("Publish (function versions)");
  SORTIE_TRY_STATUS(read_text(value, "RevisionId", update.revision_id));
  update.dry_run = value.get("DryRun").is_bool() && value.get("DryRun").as_bool();
  SORTIE_TRY(update.zip, read_zip(value));
  return update;
}

Result<FunctionConfig> apply_update_configuration(FunctionConfig config, const json::Value& body) {
  SORTIE_TRY_STATUS(read_common(body, config));
  return config;
}

json::Value function_configuration(const FunctionConfig& config) {
  json::ObjectBuilder out;
  out.append("FunctionName", config.name).append("FunctionArn", config.arn).append("Runtime", config.runtime);
  out.append("Role", config.role).append("Handler", config.handler);
  out.append("CodeSize", static_cast<std::int64_t>(config.code_size))
      .append("Description", config.description);
  out.append("Timeout", config.timeout_s).append("MemorySize", config.memory_mib);
  // "...831Z" becomes "...831+0000", as Lambda writes it.
  const std::string time = to_iso8601(config.last_modified);
  out.append("LastModified", time.substr(0, time.size() - 1) + "+0000");
  out.append("CodeSha256", config.code_sha256).append("Version", config.version);
  if (!config.environment.empty()) {
    json::ObjectBuilder variables;
    for (const auto& [name, value] : config.environment) variables.append(name, value);
    out.append("Environment", json::Value::object({{"Variables", variables.build()}}));
  }
  out.append("TracingConfig", json::Value::object({{"Mode", "PassThrough"}}))
      .append("RevisionId", config.revision_id);
  if (!config.layers.empty()) {
    std::vector<json::Value> layers;
    for (const std::string& layer : config.layers) {
      layers.push_back(json::Value::object({{"Arn", layer.substr(layer.rfind('/') + 1)}}));
    }
    out.append("Layers", json::Value::array(std::move(layers)));
  }
  const bool works = config.problem.empty();
  out.append("State", works ? "Active" : "Failed");
  if (!works) out.append("StateReason", config.problem).append("StateReasonCode", "InvalidConfiguration");
  out.append("LastUpdateStatus", works ? "Successful" : "Failed");
  if (!works)
    out.append("LastUpdateStatusReason", config.problem)
        .append("LastUpdateStatusReasonCode", "InvalidConfiguration");
  out.append("PackageType", config.package_type);
  out.append("Architectures", json::Value::array({json::Value(config.architecture)}));
  out.append("EphemeralStorage", json::Value::object({{"Size", config.ephemeral_storage_mib}}));
  out.append("SnapStart", json::Value::object({{"ApplyOn", "None"}, {"OptimizationStatus", "Off"}}));
  out.append("LoggingConfig",
             json::Value::object({{"LogFormat", "Text"}, {"LogGroup", "/aws/lambda/" + config.name}}));
  return out.build();
}

}  // namespace sortie::functions
