#include "retrieval/report/html.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"

namespace trireme {
namespace {

TEST(Html, EscapesWhatHasAMeaning) {
  EXPECT_EQ(escape_html(R"(<b a="1" c='2'>x & y</b>)"), "&lt;b a=&quot;1&quot; c=&#39;2&#39;&gt;x &amp; y&lt;/b&gt;");
  EXPECT_EQ(escape_html("红苹果 🍎\n"), "红苹果 🍎\n");
}

TEST(Html, ReplacesWhatMayNotStandInAPage) {
  EXPECT_EQ(escape_html(std::string_view("a\0b\x1b\x7f", 5)),
            "a\xEF\xBF\xBD"
            "b\xEF\xBF\xBD\xEF\xBF\xBD");
  EXPECT_EQ(escape_html("\xFF"
                        "cut \xE7\xBA"),
            "\xEF\xBF\xBD"
            "cut \xEF\xBF\xBD\xEF\xBF\xBD");
  EXPECT_EQ(escape_html("\xED\xA0\x80"), "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD") << "a surrogate";
}

TEST(Html, ClosesElementsAndEscapesAttributes) {
  HtmlWriter html;
  {
    const auto list = html.open("ul", {{"title", "\"><script>"}});
    html.leaf("li", {}, "1 < 2");
    html.empty("br", {{"class", "x"}});
  }
  EXPECT_EQ(html.html(), "<ul title=\"&quot;&gt;&lt;script&gt;\"><li>1 &lt; 2</li><br class=\"x\"/></ul>");
}

TEST(Html, RefusesToHandOutAPageWithAnOpenElement) {
  HtmlWriter html;
  const auto list = html.open("ul");
  EXPECT_THROW(html.html(), InternalError);
}

TEST(Html, RefusesAStyleSheetThatCouldEndItself) {
  HtmlWriter html;
  EXPECT_THROW(html.style("a{content:'</style>'}"), InternalError);
}

}  // namespace
}  // namespace trireme
