#pragma once
// Exit codes are promises: scripts test them.
#include "base/result.h"

namespace sortie::cli {

inline constexpr int kOk = 0;
inline constexpr int kFailed = 1;
inline constexpr int kUsage = 2;
inline constexpr int kExecutionFailed = 3;
inline constexpr int kNotAuthorised = 4;
inline constexpr int kTimedOut = 5;
inline constexpr int kRejected = 6;
inline constexpr int kStillPending = 7;
inline constexpr int kNotFound = 8;
inline constexpr int kPlanChanged = 9;
inline constexpr int kFindings = 10;
inline constexpr int kInterrupted = 130;

int exit_code_of(const Error& error);
// Prints "sortie: message" and the hint to stderr; returns the exit code that fits.
int report(const Error& error);

}  // namespace sortie::cli
