// Protects that arithmetic which JavaScript leaves to its engine comes out as the reference's does, to the
// last bit. The powers are what that engine (Node 20) prints.
#include "expr/jsonata/numbers.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace sortie::jsonata {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

TEST(Numbers, PowersAreThoseOfTheReferenceToTheLastBit) {
  constexpr double kPowers[][3] = {
      {2, 1.5, 2.82842712474619},
      {88.90931983478367, -16.318083768710494, 1.573674457782113e-32},
      {54, -14, 5.578113701694037e-25},
      {-37, 26, 5.932596698522369e+40},
      {-37, 27, -2.1950607784532765e+42},
      {66, -29, 1.7109048967219112e-53},
      {97, -14, 1.5317776210136246e-28},
      {1.000000226774914, -1764453747.3097444, 1.67532105474271e-174},
      {0.9999999382633522, -3642620702.739805, 4.629478808457687e+97},
      {1.1834242567226391e-104, 1.3311382569372654, 4.560173347861899e-139},
      {8207878262576155000.0, -0.42177752894349396, 1.0529370955984087e-8},
      {10, -5, 0.000009999999999999999},
      {10, 308, 1e+308},
      {1.5, 0.5, 1.224744871391589},
      {3, 0.3333333333333333, 1.4422495703074083},
      {5e-324, 0.3, 1.018908996936868e-97},
      {1.7976931348623157e+308, 0.99, 1.4865119482528833e+305},
      {2, -1074, 5e-324},
      {2, -1074.9, 5e-324},
      {2, 1023.9999999, 1.7976930102557702e+308},
      {0.1, 21, 1.0000000000000012e-21},
      {1.1, 10, 2.5937424601000023},
      {7, 0.1, 1.214814044039067},
      {0.00001, -60.5, 3.1622776601683636e+302},
      {3.141592653589793, 2.718281828459045, 22.45915771836104},
  };
  for (const auto& [x, y, expected] : kPowers) EXPECT_EQ(power_of(x, y), expected) << x << " ^ " << y;
}

TEST(Numbers, PowersOfSpecialNumbersAreJavaScripts) {
  EXPECT_EQ(power_of(NAN, 0), 1);
  EXPECT_TRUE(std::isnan(power_of(1, NAN)));
  EXPECT_TRUE(std::isnan(power_of(-1, kInfinity)));
  EXPECT_TRUE(std::isnan(power_of(-8, 1.0 / 3)));
  EXPECT_EQ(power_of(0, -1), kInfinity);
  EXPECT_EQ(power_of(-kInfinity, 3), -kInfinity);
  EXPECT_EQ(power_of(0.5, kInfinity), 0);
  EXPECT_EQ(power_of(2, 1024), kInfinity);
  EXPECT_EQ(power_of(2, -1076), 0);
  EXPECT_EQ(power_of(-2, 1e300), kInfinity);
  EXPECT_EQ(power_of(1, 1e300), 1);
  EXPECT_EQ(power_of(-1, 9007199254740991.0), -1);
}

TEST(Numbers, LeadingIntegersAreReadAsParseIntDoes) {
  EXPECT_EQ(leading_integer(" +0530 x"), 530);
  EXPECT_EQ(leading_integer("-0800"), -800);
  EXPECT_EQ(leading_integer("1e3"), 1);
  EXPECT_EQ(leading_integer("0x1F4z"), 500);
  for (const char* text : {"", "Z", "+", "abc", "0x", "--1"})
    EXPECT_TRUE(std::isnan(leading_integer(text))) << text;
}

}  // namespace
}  // namespace sortie::jsonata
