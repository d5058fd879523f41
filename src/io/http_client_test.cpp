#include "io/http_client.h"

#include <gmock/gmock.h>

#include <thread>

#include "io/http_server.h"

namespace sortie::io {
namespace {

class HttpClientTest : public testing::Test {
 protected:
  HttpClientTest() {
    auto server =
        HttpServer::listen(loop_, {}, [this](HttpRequest request, std::shared_ptr<Responder> responder) {
          handle(std::move(request), std::move(responder));
        });
    server_ = std::move(server.value());
    base_ = "http://127.0.0.1:" + std::to_string(server_->port());
  }
  void handle(HttpRequest request, std::shared_ptr<Responder> responder) {
    if (request.path == "/hang") {
      hanging_.push_back(std::move(responder));
    } else if (request.path == "/big") {
      responder->send({200, {}, std::string(100'000, 'x')});
    } else if (request.path == "/redirect") {
      responder->send({302, {{"Location", "/echo"}}, ""});
    } else if (request.path == "/away") {
      responder->send(
          {302, {{"Location", "http://localhost:" + std::to_string(server_->port()) + "/echo"}}, ""});
    } else if (request.path == "/lines") {
      responder->send({200, {}, "one\r\ntwo\nthree"});
    } else {
      responder->send({201,
                       {{"X-Seen", std::string(request.headers.get("x-own"))}},
                       request.method + ":" + request.body});
    }
  }
  Result<HttpResponse> fetch(HttpClientRequest request) {
    std::vector<Result<HttpResponse>> results;
    client_.fetch(std::move(request),
                  [&](Result<HttpResponse> result) { results.push_back(std::move(result)); });
    EXPECT_TRUE(loop_.run_until([&] { return !results.empty(); }, 10'000));
    return results.empty() ? Result<HttpResponse>(Error{"none", "", "", ""}) : std::move(results[0]);
  }

  EventLoop loop_;
  std::unique_ptr<HttpServer> server_;
  std::string base_;
  std::vector<std::shared_ptr<Responder>> hanging_;
  HttpClient client_{loop_};
};

TEST_F(HttpClientTest, SendsMethodHeadersAndBodyAndReadsTheAnswer) {
  const auto response =
      fetch({.method = "PATCH", .url = base_ + "/echo", .headers = {{"X-Own", "v"}}, .body = "text"});
  ASSERT_TRUE(response.ok()) << to_text(response.error());
  EXPECT_EQ(response->status, 201);
  EXPECT_EQ(response->headers.get("x-seen"), "v");
  EXPECT_EQ(response->body, "PATCH:text");
}

TEST_F(HttpClientTest, NamesWhatWentWrong) {
  EXPECT_EQ(fetch({.url = "http://127.0.0.1:1/"}).error().code, "ConnectFailed");
  EXPECT_EQ(fetch({.url = "file:///etc/passwd"}).error().code, "InvalidUrl");
  EXPECT_EQ(fetch({.url = "no url"}).error().code, "InvalidUrl");
  EXPECT_EQ(fetch({.url = base_ + "/hang", .timeout_ms = 30}).error().code, "Timeout");
  EXPECT_EQ(fetch({.url = base_ + "/big", .response_bytes_max = 1000}).error().code, "ResponseTooLarge");
}

TEST_F(HttpClientTest, AsksTheFilterAboutTheResolvedAddress) {
  std::string seen;
  const auto refuse = [&](const std::string& address, std::uint16_t) {
    seen = address;
    return false;
  };
  EXPECT_EQ(fetch({.url = base_ + "/echo", .address_filter = refuse}).error().code, "AddressRefused");
  EXPECT_EQ(seen, "127.0.0.1");
}

TEST_F(HttpClientTest, FollowsRedirectsOnTheSameHostOnly) {
  EXPECT_EQ(fetch({.url = base_ + "/redirect"}).value().status, 302);
  EXPECT_EQ(fetch({.url = base_ + "/redirect", .redirects_max = 3}).value().body, "GET:");
  EXPECT_EQ(fetch({.url = base_ + "/away", .redirects_max = 3}).value().status, 302);
}

TEST_F(HttpClientTest, CancelsOnce) {
  std::vector<std::string> codes;
  const auto id = client_.fetch({.url = base_ + "/hang"},
                                [&](Result<HttpResponse> result) { codes.push_back(result.error().code); });
  ASSERT_TRUE(loop_.run_until([&] { return !hanging_.empty(); }, 5'000));
  client_.cancel(id);
  client_.cancel(id);
  EXPECT_TRUE(loop_.run_until([&] { return !codes.empty(); }, 5'000));
  EXPECT_EQ(codes, std::vector<std::string>{"Cancelled"});
}

TEST_F(HttpClientTest, HandsOverLinesToTheCommandLine) {
  std::vector<std::string> lines;
  bool done = false;
  std::thread thread([&] {
    const auto response = fetch_blocking({.url = base_ + "/lines"}, [&](std::string_view line) {
      lines.emplace_back(line);
      return true;
    });
    EXPECT_TRUE(response.ok());
    EXPECT_EQ(fetch_blocking({.method = "POST", .url = base_ + "/echo", .body = "b"}).value().body, "POST:b");
    loop_.post([&] { done = true; });
  });
  EXPECT_TRUE(loop_.run_until([&] { return done; }, 10'000));
  thread.join();
  EXPECT_EQ(lines, (std::vector<std::string>{"one", "two", "three"}));
}

}  // namespace
}  // namespace sortie::io
