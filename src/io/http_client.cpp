#include "io/http_client.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <unordered_map>

#include "base/text.h"

namespace sortie::io {

namespace {

// One exchange, on whichever thread drives it.
struct Exchange {
  HttpClientRequest request;
  HttpResponse response;
  std::function<bool(std::string_view line)> on_line;
  std::string partial_line;
  std::size_t received = 0;
  bool too_large = false, refused = false, stopped = false;
  curl_slist* header_list = nullptr;
  CURL* easy = nullptr;
  char error_text[CURL_ERROR_SIZE] = {};

  ~Exchange() {
    if (easy != nullptr) curl_easy_cleanup(easy);
    curl_slist_free_all(header_list);
  }
};

void initialise_curl() {
  static const CURLcode done = curl_global_init(CURL_GLOBAL_ALL);
  (void)done;
}

bool take_lines(Exchange& exchange, std::string_view data) {
  while (!data.empty()) {
    const std::size_t end = data.find('\n');
    exchange.partial_line += data.substr(0, end);
    if (exchange.partial_line.size() > exchange.request.response_bytes_max) return false;
    if (end == std::string_view::npos) return true;
    data.remove_prefix(end + 1);
    std::string line = std::exchange(exchange.partial_line, {});
    if (line.ends_with('\r')) line.pop_back();
    if (!exchange.on_line(line)) {
      exchange.stopped = true;
      return false;
    }
  }
  return true;
}

std::size_t on_body(char* data, std::size_t size, std::size_t count, void* context) {
  auto& exchange = *static_cast<Exchange*>(context);
  const std::size_t bytes = size * count;
  if (exchange.on_line && exchange.response.status < 400) {
    return take_lines(exchange, {data, bytes}) ? bytes : 0;
  }
  if (exchange.response.body.size() + bytes > exchange.request.response_bytes_max) {
    exchange.too_large = true;
    return 0;
  }
  exchange.response.body.append(data, bytes);
  return bytes;
}

std::size_t on_header(char* data, std::size_t size, std::size_t count, void* context) {
  auto& exchange = *static_cast<Exchange*>(context);
  const std::string_view line = trim({data, size * count});
  if (line.starts_with("HTTP/")) {  // A further answer (100, or after a redirect) replaces what came before.
    exchange.response = {};
    const std::size_t blank = line.find(' ');
    exchange.response.status = blank == std::string_view::npos ? 0 : std::atoi(line.substr(blank + 1).data());
    exchange.received = 0;
    return size * count;
  }
  exchange.received += line.size();
  if (exchange.received > 1024 * 1024) {
    exchange.too_large = true;
    return 0;
  }
  const std::size_t colon = line.find(':');
  if (colon != std::string_view::npos) {
    exchange.response.headers.add(std::string(line.substr(0, colon)),
                                  std::string(trim(line.substr(colon + 1))));
  }
  return size * count;
}

curl_socket_t on_socket(void* context, curlsocktype, curl_sockaddr* target) {
  auto& exchange = *static_cast<Exchange*>(context);
  char text[INET6_ADDRSTRLEN] = {};
  std::uint16_t port = 0;
  if (target->family == AF_INET) {
    const auto* address = reinterpret_cast<const sockaddr_in*>(&target->addr);
    inet_ntop(AF_INET, &address->sin_addr, text, sizeof(text));
    port = ntohs(address->sin_port);
  } else if (target->family == AF_INET6) {
    const auto* address = reinterpret_cast<const sockaddr_in6*>(&target->addr);
    inet_ntop(AF_INET6, &address->sin6_addr, text, sizeof(text));
    port = ntohs(address->sin6_port);
  } else {
    return CURL_SOCKET_BAD;
  }
  if (exchange.request.address_filter && !exchange.request.address_filter(text, port)) {
    exchange.refused = true;
    return CURL_SOCKET_BAD;
  }
  return ::socket(target->family, target->socktype | SOCK_CLOEXEC, target->protocol);
}

// An easy handle set up for the exchange; nothing of the environment (proxies, .netrc) is taken over
// silently except the usual proxy variables, which curl reads by itself.
void prepare(Exchange& exchange) {
  const HttpClientRequest& request = exchange.request;
  CURL* easy = curl_easy_init();
  exchange.easy = easy;
  curl_easy_setopt(easy, CURLOPT_URL, request.url.c_str());
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, exchange.error_text);
  curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(request.connect_timeout_ms));
  curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, static_cast<long>(request.timeout_ms));
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, &on_body);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, &exchange);
  curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, &on_header);
  curl_easy_setopt(easy, CURLOPT_HEADERDATA, &exchange);
  curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, &on_socket);
  curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, &exchange);
  curl_easy_setopt(easy, CURLOPT_PRIVATE, &exchange);
  // Redirects are followed by hand (follow_redirect): curl could not be told to stay on the same host.
  curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
  if (!request.ca_file.empty()) curl_easy_setopt(easy, CURLOPT_CAINFO, request.ca_file.c_str());
  // A filter that sees only a proxy's address would be no filter.
  if (request.address_filter) curl_easy_setopt(easy, CURLOPT_PROXY, "");

  if (request.method == "HEAD") {
    curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
  } else if (request.method != "GET" || !request.body.empty()) {
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request.body.data());
    curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request.method.c_str());
  }
  bool has_type = false;
  for (const auto& [name, value] : request.headers.entries()) {
    has_type = has_type || equals_ignore_case_ascii(name, "content-type");
    // "Name;" is curl's way to send an empty header; "Name:" would remove it.
    const std::string line = value.empty() ? name + ";" : name + ": " + value;
    if (line.find_first_of("\r\n") != std::string::npos) continue;
    exchange.header_list = curl_slist_append(exchange.header_list, line.c_str());
  }
  exchange.header_list = curl_slist_append(exchange.header_list, "Expect:");
  if (!has_type) exchange.header_list = curl_slist_append(exchange.header_list, "Content-Type:");
  curl_easy_setopt(easy, CURLOPT_HTTPHEADER, exchange.header_list);
}

Error exchange_error(const Exchange& exchange, CURLcode code) {
  const std::string detail = exchange.error_text[0] != '\0' ? exchange.error_text : curl_easy_strerror(code);
  const std::string& url = exchange.request.url;
  if (exchange.refused) return {"AddressRefused", "the address behind " + url + " is not allowed", "", ""};
  if (exchange.too_large) {
    return {"ResponseTooLarge",
            "the answer of " + url + " is larger than " +
                std::to_string(exchange.request.response_bytes_max) + " bytes",
            "", ""};
  }
  switch (code) {
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
      return {"InvalidUrl", url + ": " + detail, "", "give an http:// or https:// URL"};
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_CONNECT:
      return {"ConnectFailed", "cannot reach " + url + ": " + detail, "", ""};
    case CURLE_OPERATION_TIMEDOUT:
      return {"Timeout", url + " did not answer in time: " + detail, "", ""};
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CACERT_BADFILE:
      return {"TlsFailed", url + ": " + detail, "", ""};
    default:
      return {"HttpFailed", url + ": " + detail, "", ""};
  }
}

bool same_origin(const std::string& a, const std::string& b) {
  const auto origin = [](const std::string& url) {
    std::string text;
    CURLU* parts = curl_url();
    if (curl_url_set(parts, CURLUPART_URL, url.c_str(), 0) == CURLUE_OK) {
      for (const CURLUPart part : {CURLUPART_SCHEME, CURLUPART_HOST, CURLUPART_PORT}) {
        char* value = nullptr;
        if (curl_url_get(parts, part, &value, CURLU_DEFAULT_PORT) == CURLUE_OK)
          text += std::string(value) + "|";
        curl_free(value);
      }
    }
    curl_url_cleanup(parts);
    return text;
  };
  return !origin(a).empty() && origin(a) == origin(b);
}

// The request for where the answer points, if it may be followed.
std::optional<HttpClientRequest> follow_redirect(const Exchange& exchange) {
  const int status = exchange.response.status;
  const bool redirects = status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
  if (!redirects || exchange.request.redirects_max <= 0) return std::nullopt;
  char* target = nullptr;
  curl_easy_getinfo(exchange.easy, CURLINFO_REDIRECT_URL, &target);
  if (target == nullptr || !same_origin(exchange.request.url, target)) return std::nullopt;
  HttpClientRequest next = exchange.request;
  next.url = target;
  next.redirects_max -= 1;
  if (status == 303 || (status != 307 && status != 308 && next.method == "POST")) {
    next.method = "GET";
    next.body.clear();
  }
  return next;
}

}  // namespace

// curl runs on a thread of its own: name lookups, TLS handshakes and slow peers never hold up the loop, and
// the loop never has to lend curl its sockets. Requests go over under the mutex, answers come back by post().
struct HttpClient::Impl {
  struct Job {
    RequestId id = 0;
    std::unique_ptr<Exchange> exchange;
  };

  explicit Impl(EventLoop& loop_in) : loop(loop_in) {
    initialise_curl();
    multi = curl_multi_init();
    curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, 64L);
  }

  void run();
  void begin(Job job);
  void finish(RequestId id, std::unique_ptr<Exchange> exchange, CURLcode code);

  EventLoop& loop;
  CURLM* multi = nullptr;
  std::thread thread;
  std::mutex mutex;
  std::vector<Job> added;
  std::vector<RequestId> cancelled;
  bool ends = false;
  std::unordered_map<CURL*, Job> active;  // The thread's own.

  // The loop's own. Shared with posted answers, which may outlive the client.
  struct Waiting {
    std::unordered_map<RequestId, Callback> callbacks;
  };
  std::shared_ptr<Waiting> waiting = std::make_shared<Waiting>();
  RequestId last_id = 0;
};

void HttpClient::Impl::begin(Job job) {
  prepare(*job.exchange);
  CURL* easy = job.exchange->easy;
  curl_multi_add_handle(multi, easy);
  active.emplace(easy, std::move(job));
}

void HttpClient::Impl::finish(RequestId id, std::unique_ptr<Exchange> exchange, CURLcode code) {
  std::shared_ptr<Result<HttpResponse>> result;
  if (code == CURLE_OK) {
    if (auto next = follow_redirect(*exchange)) {
      Job job{id, std::make_unique<Exchange>()};
      job.exchange->request = std::move(*next);
      return begin(std::move(job));
    }
    result = std::make_shared<Result<HttpResponse>>(std::move(exchange->response));
  } else {
    result = std::make_shared<Result<HttpResponse>>(exchange_error(*exchange, code));
  }
  loop.post([waiting = waiting, id, result] {
    auto node = waiting->callbacks.extract(id);
    if (!node.empty()) node.mapped()(std::move(*result));
  });
}

void HttpClient::Impl::run() {
  while (true) {
    {
      std::unique_lock lock(mutex);
      if (ends) break;
      auto jobs = std::exchange(added, {});
      const auto gone = std::exchange(cancelled, {});
      lock.unlock();
      for (Job& job : jobs) begin(std::move(job));
      for (const RequestId id : gone) {
        const auto found = std::find_if(active.begin(), active.end(),
                                        [&](const auto& entry) { return entry.second.id == id; });
        if (found == active.end()) continue;
        curl_multi_remove_handle(multi, found->first);
        active.erase(found);
      }
    }
    int running = 0;
    curl_multi_perform(multi, &running);
    int left = 0;
    while (const CURLMsg* message = curl_multi_info_read(multi, &left)) {
      if (message->msg != CURLMSG_DONE) continue;
      const CURLcode code = message->data.result;
      auto node = active.extract(message->easy_handle);
      curl_multi_remove_handle(multi, message->easy_handle);
      if (!node.empty()) finish(node.mapped().id, std::move(node.mapped().exchange), code);
    }
    curl_multi_poll(multi, nullptr, 0, active.empty() ? 60'000 : 1'000, nullptr);
  }
  for (auto& [easy, job] : active) curl_multi_remove_handle(multi, easy);
  active.clear();
}

HttpClient::HttpClient(EventLoop& loop) : impl_(std::make_unique<Impl>(loop)) {}

HttpClient::~HttpClient() {
  if (impl_->thread.joinable()) {
    {
      std::lock_guard lock(impl_->mutex);
      impl_->ends = true;
    }
    curl_multi_wakeup(impl_->multi);
    impl_->thread.join();
  }
  impl_->waiting->callbacks.clear();
  curl_multi_cleanup(impl_->multi);
}

HttpClient::RequestId HttpClient::fetch(HttpClientRequest request, Callback callback) {
  const RequestId id = ++impl_->last_id;
  impl_->waiting->callbacks.emplace(id, std::move(callback));
  Impl::Job job{id, std::make_unique<Exchange>()};
  job.exchange->request = std::move(request);
  {
    std::lock_guard lock(impl_->mutex);
    impl_->added.push_back(std::move(job));
  }
  if (!impl_->thread.joinable()) {
    impl_->thread = std::thread([impl = impl_.get()] { impl->run(); });
  } else {
    curl_multi_wakeup(impl_->multi);
  }
  return id;
}

void HttpClient::cancel(RequestId request) {
  auto node = impl_->waiting->callbacks.extract(request);
  if (node.empty()) return;
  {
    std::lock_guard lock(impl_->mutex);
    impl_->cancelled.push_back(request);
  }
  curl_multi_wakeup(impl_->multi);
  impl_->loop.post([callback = std::move(node.mapped())] {
    callback(Error{"Cancelled", "the request was cancelled", "", ""});
  });
}

Result<HttpResponse> fetch_blocking(const HttpClientRequest& request,
                                    const std::function<bool(std::string_view line)>& on_line) {
  initialise_curl();
  HttpClientRequest current = request;
  while (true) {
    Exchange exchange;
    exchange.request = current;
    exchange.on_line = on_line;
    prepare(exchange);
    const CURLcode code = curl_easy_perform(exchange.easy);
    if (exchange.stopped) return std::move(exchange.response);
    if (code != CURLE_OK) return exchange_error(exchange, code);
    if (auto next = follow_redirect(exchange)) {
      current = std::move(*next);
      continue;
    }
    if (on_line && !exchange.partial_line.empty()) on_line(exchange.partial_line);
    return std::move(exchange.response);
  }
}

}  // namespace sortie::io
