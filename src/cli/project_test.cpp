#include "cli/project.h"

#include <gtest/gtest.h>

namespace sortie::cli {
namespace {

TEST(ErrorsAsData, AreAStatusCodeThatAnExceptOrCatchReturns) {
  EXPECT_TRUE(
      returns_errors_as_data("def handler(event, context):\n"
                             "    try:\n"
                             "        work()\n"
                             "        return {'statusCode': 200}\n"
                             "    except Exception as e:\n"
                             "        print(e)\n"
                             "        return {\n"
                             "            'statusCode': 500,\n"
                             "        }\n"));
  EXPECT_TRUE(
      returns_errors_as_data("exports.handler = async (event) => {\n"
                             "  try { await work(); }\n"
                             "  catch (e) {\n"
                             "    return { statusCode: 404, body: e.message };\n"
                             "  }\n"
                             "};\n"));
}

TEST(ErrorsAsData, AreNotWhatIsRaisedOrAnsweredElsewhere) {
  EXPECT_FALSE(
      returns_errors_as_data("def handler(event, context):\n"
                             "    try:\n"
                             "        work()\n"
                             "    except ValueError:\n"
                             "        raise\n"
                             "    return {'statusCode': 404}\n"));
  EXPECT_FALSE(
      returns_errors_as_data("    except Exception as e:\n"
                             "        log(e, 'statusCode', 500)\n"
                             "        raise\n"));
  EXPECT_FALSE(returns_errors_as_data("except:\n    return {'statusCode': 200}\n"));
  EXPECT_FALSE(returns_errors_as_data(""));
}

}  // namespace
}  // namespace sortie::cli
