#include "io/port_forward.h"

#include <gtest/gtest.h>

#include "io/http_client.h"
#include "io/http_server.h"
#include "io/network_namespace.h"

namespace sortie::io {
namespace {

class NetworkNamespaceTest : public testing::Test {
 protected:
  void SetUp() override {
    auto made = NetworkNamespace::make();
    if (!made) GTEST_SKIP() << "SKIP: " << made.error().message;
    inside_ = std::make_unique<NetworkNamespace>(std::move(*made));
  }
  EventLoop loop_;
  std::unique_ptr<NetworkNamespace> inside_;
};

TEST_F(NetworkNamespaceTest, ASocketMadeInsideIsNotOfOurNetwork) {
  const auto listener = inside_->listen("127.0.0.1", 0);
  ASSERT_TRUE(listener.ok());
  HttpServerOptions options;
  options.listener = *listener;
  const auto server = HttpServer::listen(loop_, options, [](HttpRequest, auto responder) {
    responder->send({200, {}, "inside"});
  });
  ASSERT_TRUE(server.ok());
  EXPECT_NE((*server)->port(), 0);
  for (const LoopbackListener& found : list_loopback_listeners()) EXPECT_NE(found.port, (*server)->port());
  const auto again = inside_->listen("127.0.0.1", (*server)->port());
  EXPECT_EQ(again.error().code, "NetworkNamespaceRefused") << "the port is taken inside";
}

TEST_F(NetworkNamespaceTest, RefusesWhatIsNoAddress) {
  EXPECT_FALSE(inside_->listen("localhost", 80).ok());
  EXPECT_FALSE(inside_->listen("192.0.2.9", 80).ok()) << "no interface has it";
}

// The same forward in one network, so that it can be asked from here.
TEST(PortForward, PassesOnBothWaysAndRefusesWhereNothingListens) {
  EventLoop loop;
  auto server = HttpServer::listen(loop, {}, [](HttpRequest request, auto responder) {
    responder->send({200, {}, std::string(request.body.rbegin(), request.body.rend())});
  });
  ASSERT_TRUE(server.ok());
  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  ASSERT_EQ(::listen(listener, 8), 0);
  sockaddr_in own{};
  socklen_t length = sizeof(own);
  ASSERT_EQ(::getsockname(listener, reinterpret_cast<sockaddr*>(&own), &length), 0);
  const auto forward = PortForward::start(loop, listener, "127.0.0.1", (*server)->port());
  ASSERT_TRUE(forward.ok());
  const auto ask = [&](const std::string& body) {
    HttpClient client(loop);
    std::optional<Result<HttpResponse>> reply;
    client.fetch({.method = "POST",
                  .url = "http://127.0.0.1:" + std::to_string(ntohs(own.sin_port)) + "/",
                  .body = body,
                  .timeout_ms = 5'000},
                 [&](Result<HttpResponse> got) { reply = std::move(got); });
    EXPECT_TRUE(loop.run_until([&] { return reply.has_value(); }, 10'000));
    return *reply && reply->ok() ? (*reply)->body : std::string("failed");
  };
  EXPECT_EQ(ask("abc"), "cba");
  EXPECT_EQ(ask(std::string(2'000'000, 'x') + "y").substr(0, 3), "yxx");
  const std::vector<LoopbackListener> there = list_loopback_listeners();
  EXPECT_NE(std::find(there.begin(), there.end(), LoopbackListener{"127.0.0.1", (*server)->port()}),
            there.end());
  server->reset();
  EXPECT_EQ(ask("abc"), "failed");
}

}  // namespace
}  // namespace sortie::io
