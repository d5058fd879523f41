#pragma once
// Deployment packages: a zip from a stranger, unpacked safely.
//
// The central directory is the truth; each local header has to agree with it. Refused are names that lead out
// of the folder (absolute, ".."), links and devices, duplicate names, a file that is another entry's folder,
// encrypted entries, overlapping entries, unknown methods, wrong lengths or checksums, and bombs: more than
// 250 MiB unzipped, more than kEntriesMax entries, or more than kRatioMax times the zip's own size (above
// 10 MiB). Everything is judged before the first byte is written. Modes become 0755 or 0644.
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace sortie::functions {

inline constexpr std::size_t kEntriesMax = 100'000;
inline constexpr std::uint64_t kRatioMax = 200;

struct CodePackage {
  std::string sha256_base64;
  std::uint64_t zip_bytes = 0;
  std::uint64_t unzipped_bytes = 0;
  std::size_t files = 0;
};

// Unpacks into `folder`, which must not exist; nothing is left of it after an error. The content is on disk
// when this returns. Errors: "InvalidParameterValueException" with AWS's words and the reason, and file
// errors.
Result<CodePackage> unpack_code(std::string_view zip, const std::string& folder);
// The same checks and figures without writing anything.
Result<CodePackage> inspect_code(std::string_view zip);

}  // namespace sortie::functions
