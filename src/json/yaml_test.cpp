#include "json/yaml.h"

#include <gtest/gtest.h>

namespace sortie::json {
namespace {

std::string read(std::string_view text) {
  const Result<YamlDocument> document = parse_yaml(text);
  return document.ok() ? to_text(document->value) : document.error().message + document.error().place;
}

TEST(Yaml, FollowsTheCoreSchemaSoThatNoStaysText) {
  EXPECT_EQ(
      read("a: no\nb: on\nc: true\nd: 1\ne: 1.5\nf: '1'\ng: ~\nh: 2026-01-01\ni: 0x10\nj: 1.2.3\nk: \"-\""),
      "{\"a\":\"no\",\"b\":\"on\",\"c\":true,\"d\":1,\"e\":1.5,\"f\":\"1\",\"g\":null,\"h\":\"2026-01-01\","
      "\"i\":16,"
      "\"j\":\"1.2.3\",\"k\":\"-\"}");
}

TEST(Yaml, ExpandsAnchorsAndMergesKeys) {
  EXPECT_EQ(read("base: &b {x: 1, y: 2}\nuse: {<<: *b, y: 3}\nlist: [*b]"),
            "{\"base\":{\"x\":1,\"y\":2},\"use\":{\"y\":3,\"x\":1},\"list\":[{\"x\":1,\"y\":2}]}");
}

TEST(Yaml, RefusesAliasBombsRepeatedKeysAndBrokenText) {
  std::string bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n";
  for (int i = 1; i < 9; ++i) {
    const std::string last = "*a" + std::to_string(i - 1);
    bomb += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [";
    for (int k = 0; k < 10; ++k) bomb += (k ? "," : "") + last;
    bomb += "]\n";
  }
  EXPECT_FALSE(parse_yaml(bomb).ok());
  EXPECT_FALSE(parse_yaml("a: 1\na: 2").ok());
  EXPECT_FALSE(parse_yaml("a: [1").ok());
  EXPECT_FALSE(parse_yaml("a: \xff").ok());
  EXPECT_FALSE(parse_yaml("--- 1\n--- 2").ok());
  EXPECT_EQ(parse_yaml("a:\n  - b: {").error().code, "InvalidYaml");
}

TEST(Yaml, RemembersWhereValuesStand) {
  const Result<YamlDocument> document = parse_yaml("a:\n  b/c:\n    - 1\n    - x: 2\n");
  ASSERT_TRUE(document.ok());
  EXPECT_EQ(document->places.at("/a/b~1c/1/x").line, 4);
}

}  // namespace
}  // namespace sortie::json
