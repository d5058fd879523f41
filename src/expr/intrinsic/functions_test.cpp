#include <gtest/gtest.h>

#include "base/hash.h"
#include "expr/intrinsic/intrinsic.h"
#include "json/text.h"

namespace sortie::intrinsic {
namespace {

constexpr std::string_view kFails = kIntrinsicFailure;

// The result's JSON text, or the error's code.
std::string applied(const std::string& expression, std::string_view input = "{}") {
  auto compiled = Expression::compile(expression);
  if (!compiled) return to_text(compiled.error());
  const json::Value document = *json::parse(input);
  SeededRandom random(7);
  auto value = compiled->evaluate({&document, nullptr, nullptr, &random});
  return value ? json::to_text(*value) : value.error().code;
}

TEST(ArrayFunctions, PartitionCutsIntoChunks) {
  EXPECT_EQ(applied("States.ArrayPartition($, 2)", "[0,1,2]"), "[[0,1],[2]]");
  EXPECT_EQ(applied("States.ArrayPartition($, 5)", "[0,1,2]"), "[[0,1,2]]");
  EXPECT_EQ(applied("States.ArrayPartition($, 1.6)", "[0,1,2]"), "[[0,1],[2]]");
  EXPECT_EQ(applied("States.ArrayPartition($, 9223372036854775807)", "[0,1]"), "[[0,1]]");
  EXPECT_EQ(applied("States.ArrayPartition($, 2)", "[]"), "[]");
  EXPECT_EQ(applied("States.ArrayPartition($, 0)", "[0]"), kFails);
  EXPECT_EQ(applied("States.ArrayPartition($, -1)", "[0]"), kFails);
  EXPECT_EQ(applied("States.ArrayPartition($, 'x')", "[0]"), kFails);
  EXPECT_EQ(applied("States.ArrayPartition($, 1)", "{}"), kFails);
}

TEST(ArrayFunctions, ContainsComparesDeeply) {
  EXPECT_EQ(applied("States.ArrayContains($.l, $.v)", R"({"l":[{"1":2,"2":[]}],"v":{"2":[],"1":2}})"),
            "true");
  EXPECT_EQ(applied("States.ArrayContains($.l, $.v)", R"({"l":[[1,2],2],"v":[1]})"), "false");
  EXPECT_EQ(applied("States.ArrayContains($, null)", "[]"), "false");
  EXPECT_EQ(applied("States.ArrayContains($, null)", "[null]"), "true");
  EXPECT_EQ(applied("States.ArrayContains('abc', 'a')"), kFails);
}

TEST(ArrayFunctions, RangeIncludesBothEnds) {
  EXPECT_EQ(applied("States.ArrayRange(0, 10, 3)"), "[0,3,6,9]");
  EXPECT_EQ(applied("States.ArrayRange(1, 9, 2)"), "[1,3,5,7,9]");
  EXPECT_EQ(applied("States.ArrayRange(1, 9, 9)"), "[1]");
  EXPECT_EQ(applied("States.ArrayRange(5, 1, -2)"), "[5,3,1]");
  EXPECT_EQ(applied("States.ArrayRange(0.5, 2.4, 1)"), "[1,2]");
  EXPECT_EQ(applied("States.ArrayRange(5, 1, 1)"), "[]");
  EXPECT_EQ(applied("States.ArrayRange(1, 5, 0)"), kFails);
  EXPECT_EQ(applied("States.ArrayRange(9223372036854775806, 9223372036854775807, 5)"),
            "[9223372036854775806]");
  EXPECT_EQ(applied("States.ArrayLength(States.ArrayRange(1, 1000, 1))"), "1000");
  EXPECT_EQ(applied("States.ArrayRange(1, 1001, 1)"), kFails);
}

TEST(ArrayFunctions, GetItemCountsFromZero) {
  EXPECT_EQ(applied("States.ArrayGetItem($, 0)", "[5,6]"), "5");
  EXPECT_EQ(applied("States.ArrayGetItem($, 1)", "[5,6]"), "6");
  EXPECT_EQ(applied("States.ArrayGetItem($, 2)", "[5,6]"), kFails);
  EXPECT_EQ(applied("States.ArrayGetItem($, -1)", "[5,6]"), kFails);
}

TEST(ArrayFunctions, LengthAndUnique) {
  constexpr std::string_view kMixed =
      R"([null,null,true,1,1,1.1,"a","a",[],[],[null],{"a":1,"b":2},{"b":2,"a":1},{"a":1}])";
  EXPECT_EQ(applied("States.ArrayLength($)", kMixed), "14");
  EXPECT_EQ(applied("States.ArrayUnique($)", kMixed),
            R"([null,true,1,1.1,"a",[],[null],{"a":1,"b":2},{"a":1}])");
  EXPECT_EQ(applied("States.ArrayLength($)", "{}"), kFails);
  std::string many = "[0";
  for (int i = 1; i < 100'000; ++i) many += "," + std::to_string(i % 50'000);
  EXPECT_EQ(applied("States.ArrayLength(States.ArrayUnique($))", many + "]"), "50000");
}

TEST(TextFunctions, Base64GoesBothWays) {
  EXPECT_EQ(applied("States.Base64Encode('Data to encode')"), R"("RGF0YSB0byBlbmNvZGU=")");
  EXPECT_EQ(applied("States.Base64Decode('RGVjb2RlZCBkYXRh')"), R"("Decoded data")");
  EXPECT_EQ(applied("States.Base64Decode('RGF0YSB0byBlbmNvZGU')"), R"("Data to encode")");
  EXPECT_EQ(applied("States.Base64Encode('')"), R"("")");
  EXPECT_EQ(applied("States.Base64Decode('')"), R"("")");
  EXPECT_EQ(applied("States.Base64Decode(States.Base64Encode($))", R"("über 😀")"), R"("über 😀")");
  EXPECT_EQ(applied("States.Base64Decode('*')"), kFails);
  EXPECT_EQ(applied("States.Base64Encode(1)"), kFails);
  EXPECT_EQ(applied("States.Base64Encode('" + std::string(10'001, 'x') + "')"), kFails);
}

TEST(TextFunctions, HashKnowsFiveAlgorithms) {
  EXPECT_EQ(applied("States.Hash('input data', 'SHA-1')"), R"("aaff4a450a104cd177d28d18d74485e8cae074b7")");
  EXPECT_EQ(applied("States.Hash('', 'MD5')"), R"("d41d8cd98f00b204e9800998ecf8427e")");
  EXPECT_EQ(applied("States.Hash('input data', 'SHA-256')"),
            R"("b4a697a057313163aee33cd8d40c66e9f0f177e00cac2de32475ffff6169c3e3")");
  EXPECT_EQ(applied("States.Hash('x', 'SHA-384')").size(), 98u);
  EXPECT_EQ(applied("States.Hash('x', 'SHA-512')").size(), 130u);
  EXPECT_EQ(applied("States.Hash('x', 'sha-1')"), kFails);
  EXPECT_EQ(applied("States.Hash(1, 'SHA-1')"), kFails);
  EXPECT_EQ(applied("States.Hash('" + std::string(10'001, 'x') + "', 'MD5')"), kFails);
}

TEST(TextFunctions, SplitDropsEmptyPieces) {
  EXPECT_EQ(applied("States.StringSplit('This.is+a,test=string', '.+,=')"),
            R"(["This","is","a","test","string"])");
  EXPECT_EQ(applied("States.StringSplit(',,,,', ',')"), "[]");
  EXPECT_EQ(applied("States.StringSplit(' , ', ',')"), R"([" "," "])");
  EXPECT_EQ(applied("States.StringSplit('abc', ',')"), R"(["abc"])");
  EXPECT_EQ(applied("States.StringSplit('abc', '')"), R"(["abc"])");
  EXPECT_EQ(applied("States.StringSplit('', ',')"), "[]");
  EXPECT_EQ(applied("States.StringSplit('a→b←c', '←→')"), R"(["a","b","c"])");
  EXPECT_EQ(applied("States.StringSplit(1, ',')"), kFails);
}

TEST(TextFunctions, FormatFillsPlaceholdersInOrder) {
  EXPECT_EQ(applied("States.Format('{} and {}.', 'a', 1)"), R"("a and 1.")");
  EXPECT_EQ(applied("States.Format('{}{}{}{}', null, true, 1.1, 10)"), R"("nulltrue1.110")");
  EXPECT_EQ(applied("States.Format('{}', $)", R"({"Arg1":1,"Arg2":["x",{}]})"),
            R"("{Arg1=1, Arg2=[x, {}]}")");
  EXPECT_EQ(applied("States.Format($.t, 'x')", R"({"t":"Hello {}"})"), R"("Hello x")");
  EXPECT_EQ(applied(R"(States.Format('\{\} {} \\ \'', 1))"), R"("{} 1 \\ '")");
  EXPECT_EQ(applied("States.Format('plain')"), R"("plain")");
  EXPECT_EQ(applied("States.Format('{\"a\":1}')"), R"("{\"a\":1}")");
  EXPECT_EQ(applied("States.Format('{}')"), kFails);
  EXPECT_EQ(applied("States.Format('{}', 1, 2)"), kFails);
  EXPECT_EQ(applied("States.Format(1)"), kFails);
}

TEST(DataFunctions, MergeIsShallowAndTheLaterWins) {
  EXPECT_EQ(
      applied("States.JsonMerge($.a, $.b, false)", R"({"a":{"x":{"p":1},"y":2},"b":{"z":3,"x":{"q":1}}})"),
      R"({"x":{"q":1},"y":2,"z":3})");
  EXPECT_EQ(applied("States.JsonMerge($, States.StringToJson('{\"a\": \"b\"}'), false)"), R"({"a":"b"})");
  EXPECT_EQ(applied("States.JsonMerge($, $, true)"), kFails);
  EXPECT_EQ(applied("States.JsonMerge($, $, 'false')"), kFails);
  EXPECT_EQ(applied("States.JsonMerge($, 1, false)"), kFails);
}

TEST(DataFunctions, JsonGoesBothWays) {
  EXPECT_EQ(applied("States.StringToJson('')"), "null");
  EXPECT_EQ(applied("States.StringToJson(' ')"), "null");
  EXPECT_EQ(applied("States.StringToJson('-0')"), "0");
  EXPECT_EQ(applied("States.StringToJson('[1, {\"a\": 1.1}]')"), R"([1,{"a":1.1}])");
  EXPECT_EQ(applied("States.StringToJson('{')"), kFails);
  EXPECT_EQ(applied("States.StringToJson(1)"), kFails);
  EXPECT_EQ(applied("States.JsonToString($)", R"({"b":1,"a":[ ]})"), R"("{\"b\":1,\"a\":[]}")");
  EXPECT_EQ(applied("States.JsonToString('x')"), R"("\"x\"")");
}

TEST(DataFunctions, AddRoundsEachArgumentFirst) {
  EXPECT_EQ(applied("States.MathAdd(1.49, 1.5)"), "3");
  EXPECT_EQ(applied("States.MathAdd(1.5, 1.51)"), "4");
  EXPECT_EQ(applied("States.MathAdd(-1.5, -1.51)"), "-3");
  EXPECT_EQ(applied("States.MathAdd(-0.5, 0)"), "0");
  EXPECT_EQ(applied("States.MathAdd(-0.5, 0.5)"), "1");
  EXPECT_EQ(applied("States.MathAdd(2.5, 0)"), "3");
  EXPECT_EQ(applied("States.MathAdd(0.49999999999999994, 0)"), "0");
  EXPECT_EQ(applied("States.MathAdd(2147483646, 1)"), "2147483647");
  EXPECT_EQ(applied("States.MathAdd(2147483647, 1)"), kFails);
  EXPECT_EQ(applied("States.MathAdd(9223372036854775807, 1)"), kFails);
  EXPECT_EQ(applied("States.MathAdd(1e300, 1)"), kFails);
  EXPECT_EQ(applied("States.MathAdd('1', 1)"), kFails);
}

TEST(DataFunctions, RandomStaysInItsRangeAndRepeatsWithASeed) {
  for (int seed = 0; seed < 200; ++seed) {
    const std::string call = "States.MathRandom(-3, 3, " + std::to_string(seed) + ")";
    const std::string drawn = applied(call);
    EXPECT_EQ(applied(call), drawn);
    const int number = std::stoi(drawn);
    EXPECT_TRUE(number >= -3 && number < 3) << number;
  }
  EXPECT_EQ(applied("States.MathRandom(5, 6)"), "5");
  EXPECT_EQ(applied("States.MathRandom(5, 5)"), kFails);
  EXPECT_EQ(applied("States.MathRandom(6, 5)"), kFails);
  EXPECT_NE(applied("States.MathRandom(-9223372036854775807, 9223372036854775807, 1)"), kFails);
}

TEST(DataFunctions, UuidIsVersionFour) {
  const std::string uuid = applied("States.UUID()");
  ASSERT_EQ(uuid.size(), 38u);
  EXPECT_EQ(uuid[15], '4');
}

}  // namespace
}  // namespace sortie::intrinsic
