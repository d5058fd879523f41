#include "functions/invocation_log.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <utility>

#include "base/text.h"
#include "io/file.h"
#include "json/text.h"

namespace sortie::functions {

namespace {

constexpr std::size_t kHeadBytes = kInvocationLogBytesMax * 3 / 4;
constexpr std::size_t kTailBytes = kInvocationLogBytesMax - kHeadBytes;

std::string_view cut_to_line(std::string_view text, std::size_t bytes_max) {
  if (text.size() <= bytes_max) return text;
  text.remove_prefix(text.size() - bytes_max);
  const std::size_t line = text.find('\n');
  if (line != std::string_view::npos && line + 1 < text.size()) return text.substr(line + 1);
  while (!text.empty() && (static_cast<unsigned char>(text[0]) & 0xc0) == 0x80) text.remove_prefix(1);
  return text;
}

json::Value to_json(const InvocationLog& log) {
  return json::Value::object({{"request_id", log.request_id},
                              {"function", log.function},
                              {"started_at_ms", log.started_at.ms},
                              {"duration_ms", log.duration_ms},
                              {"outcome", log.outcome},
                              {"cold_start", log.cold_start},
                              {"text", log.text}});
}

std::optional<InvocationLog> from_json(std::string_view line) {
  const auto value = json::parse(line);
  if (!value || !value->get("request_id").is_string() || !value->get("text").is_string() ||
      !value->get("started_at_ms").is_integer() || !value->get("duration_ms").is_integer()) {
    return std::nullopt;
  }
  const auto text = [&](const char* key) {
    return value->get(key).is_string() ? value->get(key).to_std_string() : std::string();
  };
  return InvocationLog{text("request_id"),
                       text("function"),
                       {value->get("started_at_ms").as_integer()},
                       value->get("duration_ms").as_integer(),
                       text("outcome"),
                       text("cold_start"),
                       text("text")};
}

}  // namespace

void LogText::append_line(std::string_view line) {
  std::string text = to_valid_utf8(line);
  for (char& c : text) {
    if (c == '\r') c = '\n';  // Python's runtime writes a traceback as one line with carriage returns.
  }
  text += '\n';
  if (tail_.empty() && cut_ == 0 && head_.size() + text.size() <= kHeadBytes) {
    head_ += text;
    return;
  }
  tail_ += text;
  if (tail_.size() > kTailBytes * 2) {
    const std::string_view rest = cut_to_line(tail_, kTailBytes);
    cut_ += tail_.size() - rest.size();
    tail_ = std::string(rest);
  }
}

std::string LogText::text() const {
  const std::string_view rest = cut_to_line(tail_, kTailBytes);
  const std::size_t missing = cut_ + tail_.size() - rest.size();
  std::string text = head_;
  if (missing > 0) text += "[" + std::to_string(missing) + " bytes of this log were not kept]\n";
  text += rest;
  return text;
}

std::string LogText::tail(std::size_t bytes_max) const {
  if (tail_.size() >= bytes_max) return std::string(cut_to_line(tail_, bytes_max));
  return std::string(cut_to_line(head_ + tail_, bytes_max));
}

std::string LogStore::file(const std::string& key, const char* ending) const {
  return folder_ + "/" + replace_all(key, "/", ".") + ending;
}

LogStore::Kept& LogStore::kept(const std::string& key) const {
  const auto [found, is_new] = kept_.try_emplace(key);
  Kept& kept = found->second;
  if (!is_new || folder_.empty()) return kept;
  for (const char* ending : {".old.jsonl", ".jsonl"}) {
    const auto text = io::read_file(file(key, ending), kLogFileBytesMax * 4);
    if (!text) continue;
    kept.file_bytes = text->size();
    for (const std::string_view line : split(*text, '\n')) {
      if (line.empty()) continue;
      if (auto log = from_json(line)) {
        kept.bytes += log->text.size();
        kept.logs.push_back(std::move(*log));
      }
    }
  }
  return kept;
}

void LogStore::OpenFile::append(const std::string& path, std::string_view text) {
  struct stat facts {};
  if (descriptor_ >= 0 && (::fstat(descriptor_, &facts) != 0 || facts.st_nlink == 0)) close();
  if (descriptor_ < 0) descriptor_ = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (descriptor_ < 0) return;
  [[maybe_unused]] const ssize_t written = ::write(descriptor_, text.data(), text.size());
}

void LogStore::OpenFile::close() {
  if (descriptor_ >= 0) ::close(std::exchange(descriptor_, -1));
}

void LogStore::add(const std::string& key, InvocationLog log) {
  Kept& kept = this->kept(key);
  if (!folder_.empty()) {
    const std::string line = json::to_text(to_json(log)) + "\n";
    if (kept.file_bytes + line.size() > kLogFileBytesMax) {
      kept.file.close();
      (void)::rename(file(key, ".jsonl").c_str(), file(key, ".old.jsonl").c_str());
      kept.file_bytes = 0;
    }
    kept.file.append(file(key, ".jsonl"), line);
    kept.file_bytes += line.size();
  }
  kept.bytes += log.text.size();
  kept.logs.push_back(std::move(log));
  while (kept.logs.size() > kInvocationsKept || (kept.bytes > kFunctionLogBytesMax && kept.logs.size() > 1)) {
    kept.bytes -= kept.logs.front().text.size();
    kept.logs.pop_front();
  }
}

std::vector<InvocationLog> LogStore::find(const std::string& key, Timestamp since,
                                          std::string_view request_id) const {
  std::vector<InvocationLog> found;
  for (const InvocationLog& log : kept(key).logs) {
    if (log.started_at >= since && (request_id.empty() || log.request_id == request_id)) found.push_back(log);
  }
  return found;
}

void LogStore::remove(const std::string& key) {
  kept_.erase(key);
  if (folder_.empty()) return;
  (void)io::remove_tree(file(key, ".jsonl")).ok();
  (void)io::remove_tree(file(key, ".old.jsonl")).ok();
}

}  // namespace sortie::functions
