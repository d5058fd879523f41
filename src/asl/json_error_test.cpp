#include "asl/json_error.h"

#include <gtest/gtest.h>

#include "json/text.h"

namespace sortie::asl {
namespace {

std::string fault_of(std::string_view text) {
  const auto fault = find_json_fault(text, 50);
  return fault ? fault->message.substr(0, fault->message.find("\n at ")) : "";
}

TEST(JsonFault, IsInTheWordsOfTheReaderThatAwsUses) {
  EXPECT_EQ(fault_of("nope"),
            "Unrecognized token 'nope': was expecting (JSON String, Number, Array, Object or token 'null', "
            "'true' or 'false')");
  EXPECT_EQ(fault_of(R"({"a":1,})"),
            "Unexpected character ('}' (code 125)): was expecting double-quote to start field name");
  EXPECT_EQ(fault_of(R"({"a" 1})"),
            "Unexpected character ('1' (code 49)): was expecting a colon to separate field name and value");
  EXPECT_EQ(fault_of(R"({"a":1 "b":2})"),
            "Unexpected character ('\"' (code 34)): was expecting comma to separate Object entries");
  EXPECT_EQ(fault_of(R"([1 2])"),
            "Unexpected character ('2' (code 50)): was expecting comma to separate Array entries");
  EXPECT_EQ(fault_of(R"({"a":01})"), "Invalid numeric value: Leading zeroes not allowed");
  EXPECT_EQ(fault_of("{\"a\":\"x\ny\"}"),
            "Illegal unquoted character ((CTRL-CHAR, code 10)): has to be escaped using backslash to be "
            "included in string value");
  EXPECT_EQ(fault_of(R"({"a":"\q"})"), "Unrecognized character escape 'q' (code 113)");
  EXPECT_EQ(fault_of(R"({"a":1,"a":2})"), "Duplicate field 'a'");
  EXPECT_EQ(fault_of(R"({"a":)"),
            "Unexpected end-of-input: expected close marker for Object (start marker at [Source: "
            "(String)\"{\"a\":\"; line: 1, column: 1])");
}

TEST(JsonFault, PointsAtLineAndColumnAndCutsTheText) {
  const auto fault = find_json_fault("{\n  \"a\": tru\n}", 50);
  ASSERT_TRUE(fault.has_value());
  EXPECT_EQ(fault->location, "[Source: (String)\"{\n  \"a\": tru\n}\"; line: 2, column: 11]");
  const auto longer = find_json_fault("{" + std::string(600, ' ') + "x}", 50);
  ASSERT_TRUE(longer.has_value());
  EXPECT_NE(longer->location.find("\"[truncated 103 chars]; line: 1"), std::string::npos) << longer->location;
}

TEST(JsonFault, FindsNoneWhereTheReaderFindsNone) {
  for (const std::string_view text :
       {"{}", "[]", R"({"a":[],"b":{}})", R"([1,-2.5e+10,true,false,null,"\u00e9\n"])", "\t\r\n1 ", R"("x")",
        "[[[]]]"}) {
    EXPECT_EQ(fault_of(text), "") << text;
    EXPECT_TRUE(json::parse(text).ok()) << text;
  }
  for (const std::string_view text :
       {"",    "{",  "[",         "]",       "}",   "[1,]",     "[,1]",  "{\"a\"}", "{,}",
        "1 2", "\"", "\"\\",      "\"\\u00", "-",   "1.",       "1e",    "+1",      ".5",
        "[}",  "{]", "{\"a\":1]", "[1}",     "nul", "{\"a\":}", "tru e", "\x01",    "1x"}) {
    EXPECT_NE(fault_of(text), "") << text;
    EXPECT_FALSE(json::parse(text).ok()) << text;
  }
  EXPECT_NE(fault_of(std::string(51, '[') + std::string(51, ']')), "");
}

}  // namespace
}  // namespace sortie::asl
