#include "functions/worker_identity.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/text.h"
#include "io/file.h"

namespace sortie::functions {

namespace {

constexpr std::size_t kTokenFileBytesMax = 64 * 1024 * 1024;
constexpr std::size_t kTokenFileLinesMax = 200'000;

std::string token_digest(std::string_view token) { return sha256_hex(token).substr(0, 32); }

class SharedCredentialSource final : public CredentialSource {
 public:
  explicit SharedCredentialSource(Credentials credentials) : credentials_(std::move(credentials)) {}
  void credentials_for(const FunctionConfig&, std::function<void(std::optional<Credentials>)> done) override {
    if (credentials_.access_key_id.empty() || credentials_.secret_access_key.empty())
      return done(std::nullopt);
    done(credentials_);
  }

 private:
  Credentials credentials_;
};

}  // namespace

std::unique_ptr<CredentialSource> make_shared_credential_source(Credentials credentials) {
  return std::make_unique<SharedCredentialSource>(std::move(credentials));
}

bool WorkerIdentity::may_call(std::string_view action) const {
  const std::string service = std::string(action.substr(0, action.find(':'))) + ":*";
  return actions.contains(std::string(action)) || actions.contains(service) || actions.contains("*");
}

// Shaped like temporary credentials, because SDKs look at the prefix and expect a token beside it.
Credentials WorkerIdentities::mint() const {
  Credentials credentials;
  credentials.access_key_id = "ASIA" + random_alphanumeric(random_, 16);
  credentials.secret_access_key = random_hex(random_, 20);
  credentials.session_token = "sortie-" + random_hex(random_, 32);
  return credentials;
}

void WorkerIdentities::add(std::uint64_t worker, WorkerIdentity identity) {
  key_of_[worker] = identity.access_key_id;
  by_key_[identity.access_key_id].insert_or_assign(worker, std::move(identity));
}

void WorkerIdentities::remove(std::uint64_t worker) {
  const auto key = key_of_.find(worker);
  if (key == key_of_.end()) return;
  const auto holders = by_key_.find(key->second);
  holders->second.erase(worker);
  if (holders->second.empty()) by_key_.erase(holders);
  key_of_.erase(key);
}

std::optional<WorkerIdentity> WorkerIdentities::find(std::string_view access_key_id) const {
  const auto holders = by_key_.find(access_key_id);
  if (holders == by_key_.end()) return std::nullopt;
  const WorkerIdentity& first = holders->second.begin()->second;
  for (const auto& [worker, identity] : holders->second) {
    if (identity.function_arn != first.function_arn) return std::nullopt;
  }
  // The newest worker's: its list of actions is the current one.
  return holders->second.rbegin()->second;
}

HandedTokens::HandedTokens(std::string file) : file_(std::move(file)) {
  if (file_.empty()) return;
  const auto text = io::read_file(file_, kTokenFileBytesMax);
  if (!text) return;
  for (const std::string_view line : split(*text, '\n')) {
    const std::size_t blank = line.find(' ');
    if (blank != 32) continue;  // A line that a crash cut short.
    remember(std::string(line.substr(blank + 1)), std::string(line.substr(0, blank)));
    ++lines_;
  }
}

void HandedTokens::remember(const std::string& function_key, const std::string& digest) {
  Tokens& tokens = functions_[function_key];
  if (!tokens.digests.insert(digest).second) return;
  tokens.order.push_back(digest);
  if (tokens.order.size() <= kTokensPerFunction) return;
  tokens.digests.erase(tokens.order.front());
  tokens.order.pop_front();
}

void HandedTokens::add(const std::string& function_key, std::string_view token) {
  if (has(function_key, token)) return;
  const std::string digest = token_digest(token);
  remember(function_key, digest);
  if (file_.empty()) return;
  if (++lines_ > kTokenFileLinesMax) {
    rewrite();
  } else {
    append(digest + " " + function_key + "\n");
  }
}

// Written before the event leaves, but not synced: after a power cut a token may be unknown, which refuses.
void HandedTokens::append(const std::string& line) {
  const int descriptor = ::open(file_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (descriptor < 0) return;
  [[maybe_unused]] const ssize_t written = ::write(descriptor, line.data(), line.size());
  ::close(descriptor);
}

void HandedTokens::rewrite() {
  std::string text;
  lines_ = 0;
  for (const auto& [key, tokens] : functions_) {
    for (const std::string& digest : tokens.order) {
      text += digest + " " + key + "\n";
      ++lines_;
    }
  }
  (void)io::write_file_atomically(file_, text).ok();
}

bool HandedTokens::has(const std::string& function_key, std::string_view token) const {
  const auto found = functions_.find(function_key);
  return found != functions_.end() && found->second.digests.contains(token_digest(token));
}

}  // namespace sortie::functions
