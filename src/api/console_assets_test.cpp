// Packed files: chosen by what the browser takes, checked by their tag, and always under the strict policy.
#include "api/console_assets.h"

#include <gtest/gtest.h>

namespace sortie::api {
namespace {

std::string make_pack(const std::string& index, const std::string& bytes) {
  return "SORTIE-CONSOLE-1\n" + std::to_string(index.size()) + "\n" + index + bytes;
}

const std::string kPack = make_pack(
    R"({"files":[{"path":"index.html","type":"text/html","etag":"\"a\"","immutable":false,"raw":[0,4],"gzip":[4,2],"br":[6,1]},)"
    R"({"path":"assets/x.js","type":"text/javascript","etag":"\"b\"","immutable":true,"raw":[0,4]}]})",
    "page"
    "gz"
    "b");

io::HttpRequest asking(std::initializer_list<io::HttpHeaders::Entry> headers = {}) {
  io::HttpRequest request;
  request.method = "GET";
  request.headers = headers;
  return request;
}

TEST(ConsoleAssets, SendsTheSmallestCodingThatTheBrowserTakes) {
  const ConsoleAssets assets = ConsoleAssets::read(kPack).value();
  EXPECT_EQ(assets.serve("index.html", asking({{"Accept-Encoding", "gzip, deflate, br"}})).body, "b");
  const io::HttpResponse gzip = assets.serve("index.html", asking({{"Accept-Encoding", "br;q=0, gzip"}}));
  EXPECT_EQ(gzip.body, "gz");
  EXPECT_EQ(gzip.headers.get("content-encoding"), "gzip");
  EXPECT_EQ(gzip.headers.get("vary"), "Accept-Encoding");
  EXPECT_EQ(assets.serve("index.html", asking()).body, "page");
  EXPECT_EQ(assets.serve("assets/x.js", asking({{"Accept-Encoding", "br"}})).body, "page");
}

TEST(ConsoleAssets, ThePageIsCheckedByItsTagAndNamedFilesAreKeptForever) {
  const ConsoleAssets assets = ConsoleAssets::read(kPack).value();
  EXPECT_EQ(assets.serve("index.html", asking({{"If-None-Match", "W/\"z\", W/\"a\""}})).status, 304);
  EXPECT_EQ(assets.serve("index.html", asking({{"If-None-Match", "\"z\""}})).status, 200);
  EXPECT_EQ(assets.serve("index.html", asking()).headers.get("cache-control"), "no-cache");
  EXPECT_NE(assets.serve("assets/x.js", asking()).headers.get("cache-control").find("immutable"),
            std::string_view::npos);
}

TEST(ConsoleAssets, EveryAnswerCarriesTheStrictPolicy) {
  const ConsoleAssets assets = ConsoleAssets::read(kPack).value();
  for (const char* path : {"index.html", "assets/x.js", "assets/missing.js"}) {
    const io::HttpResponse response = assets.serve(path, asking());
    const std::string_view policy = response.headers.get("content-security-policy");
    for (const char* part :
         {"default-src 'none'", "frame-ancestors 'none'", "require-trusted-types-for 'script'"}) {
      EXPECT_NE(policy.find(part), std::string_view::npos) << path << part;
    }
    EXPECT_EQ(policy.find("unsafe"), std::string_view::npos);
    EXPECT_EQ(response.headers.get("x-content-type-options"), "nosniff");
  }
}

TEST(ConsoleAssets, ABrokenPackIsAnErrorAndNoneIsAnAnswer) {
  EXPECT_FALSE(ConsoleAssets::read("nonsense").ok());
  EXPECT_FALSE(ConsoleAssets::read("SORTIE-CONSOLE-1\n99\n{}").ok());
  EXPECT_FALSE(ConsoleAssets::read("SORTIE-CONSOLE-1\n").ok());
  EXPECT_FALSE(ConsoleAssets::read(make_pack(R"({"files":[{"path":"a","raw":[2,9]}]})", "page")).ok());
  EXPECT_FALSE(ConsoleAssets::read(make_pack(R"({"files":[{"path":"a","raw":[-1,2]}]})", "page")).ok());
  const ConsoleAssets none = ConsoleAssets::read("").value();
  EXPECT_EQ(none.serve("index.html", asking()).status, 404);
}

}  // namespace
}  // namespace sortie::api
