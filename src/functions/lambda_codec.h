#pragma once
// The wire shapes of the Lambda API, as pure functions: bodies in, FunctionConfig out, and back.
#include <string>
#include <string_view>

#include "base/result.h"
#include "functions/function.h"
#include "json/value.h"

namespace sortie::functions {

struct CreateFunctionBody {
  FunctionConfig config;  // `account` is left to the caller.
  std::string zip;
};
// Errors: the API's exceptions. What Sortie cannot do (images, S3 code, VPCs, versions) is refused by name.
Result<CreateFunctionBody> parse_create_function(std::string_view body);

struct UpdateCodeBody {
  std::string zip;
  bool dry_run = false;
  std::string revision_id;
};
Result<UpdateCodeBody> parse_update_code(std::string_view body);

// Only what the body names is changed.
Result<FunctionConfig> apply_update_configuration(FunctionConfig config, const json::Value& body);
Result<json::Value> parse_body(std::string_view body);

// The answer of GetFunctionConfiguration and its kin.
json::Value function_configuration(const FunctionConfig& config);

}  // namespace sortie::functions
