#pragma once
// Functions as folders of the project: DIR/NAME with a function.yaml and its code.
#include <string>
#include <vector>

#include "base/result.h"
#include "functions/function.h"

namespace sortie::functions {

inline constexpr std::size_t kFolderFilesMax = 20'000;

// Reads one folder. Without a function.yaml the runtime follows from the code: lambda_function.py, index.mjs
// or index.js, bootstrap. `layers` are folders DIR/../layers/NAME. Account, ARN and revision are left to the
// caller. Errors: "InvalidFunction" with place FILE:LINE:COLUMN and a hint.
Result<FunctionConfig> read_function_folder(const std::string& folder, const std::string& name);

// Changes whenever a file of the folder does: names, sizes, modes and times. Python's caches are left out.
std::string folder_fingerprint(const std::string& folder);
// Base64 of SHA-256 over names and contents, and the number of bytes.
std::string folder_code_sha256(const std::string& folder, std::uint64_t& bytes);

// What the handler gets for the values "env:NAME" and "file:PATH" (relative to the function's folder).
Result<std::map<std::string, std::string>> resolve_environment(const FunctionConfig& config);

}  // namespace sortie::functions
