#pragma once
// What invocations wrote, kept by function and bounded.
//
// One invocation keeps at most kInvocationLogBytesMax: its beginning and its end, with a line between them
// that says how much is missing. A function keeps the newest kInvocationsKept invocations and
// kFunctionLogBytesMax bytes. With a folder, ended invocations are also appended to FOLDER/ACCOUNT.NAME.jsonl
// (two files that take turns at kLogFileBytesMax), so that logs are there after a restart.
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "functions/function_service.h"

namespace sortie::functions {

inline constexpr std::size_t kInvocationLogBytesMax = 256 * 1024;
inline constexpr std::size_t kFunctionLogBytesMax = 8 * 1024 * 1024;
inline constexpr std::size_t kInvocationsKept = 1'000;
inline constexpr std::size_t kLogFileBytesMax = 4 * 1024 * 1024;

// The text of one invocation while it grows.
class LogText {
 public:
  void append_line(std::string_view line);
  std::string text() const;
  std::string tail(std::size_t bytes_max) const;  // Whole lines where possible.
  bool empty() const { return head_.empty(); }

 private:
  std::string head_, tail_;
  std::size_t cut_ = 0;
};

class LogStore {
 public:
  explicit LogStore(std::string folder) : folder_(std::move(folder)) {}

  // `key` is ACCOUNT/NAME. Errors of the disk are swallowed: a full disk must not fail an invocation.
  void add(const std::string& key, InvocationLog log);
  std::vector<InvocationLog> find(const std::string& key, Timestamp since, std::string_view request_id) const;
  void remove(const std::string& key);

 private:
  // Stays open between invocations, which come by the thousand a second.
  class OpenFile {
   public:
    OpenFile() = default;
    OpenFile(const OpenFile&) = delete;
    OpenFile& operator=(const OpenFile&) = delete;
    ~OpenFile() { close(); }
    void append(const std::string& path, std::string_view text);  // Begun again where somebody removed it.
    void close();

   private:
    int descriptor_ = -1;
  };
  struct Kept {
    std::deque<InvocationLog> logs;
    std::size_t bytes = 0;
    std::size_t file_bytes = 0;
    OpenFile file;
  };
  Kept& kept(const std::string& key) const;
  std::string file(const std::string& key, const char* ending) const;

  std::string folder_;
  mutable std::map<std::string, Kept> kept_;  // Filled from the files when first asked for.
};

}  // namespace sortie::functions
