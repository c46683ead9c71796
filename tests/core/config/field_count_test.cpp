#include "core/config/field_count.h"

#include <array>

#include <gtest/gtest.h>

#include "core/config/config.h"
#include "tests/core/config/sample_config.h"
#include "tests/support/expect_error.h"

namespace trireme::test {
namespace {

// A member whose type the count could mistake (converting constructors, brace elision, a lone aggregate) makes a
// wrong number here, and the file does not compile.
struct Nothing {};
struct OneAggregate {
  OptimConfig optim;
};
template <class T>
struct Lone {
  T member;
};
struct Everything {
  bool a = false;
  int64_t b = 0;
  double c = 0;
  std::string d;
  std::filesystem::path e;
  std::vector<bool> f;
  std::vector<std::string> g;
  std::vector<TaskConfig> h;
  std::optional<bool> i;
  std::optional<double> j;
  std::optional<std::string> k;
  std::optional<std::filesystem::path> l;
  std::optional<std::vector<int64_t>> m;
  std::optional<TaskConfig> n;
  std::optional<RopeMode> o;
  std::map<std::string, TaskConfig> p;
  RopeMode q = RopeMode::kOned;
  std::array<int64_t, 3> r = {};
  TaskConfig s;
  OneAggregate t;
};
static_assert(field_count<Nothing>() == 0);
static_assert(field_count<OneAggregate>() == 1);
static_assert(field_count<Lone<bool>>() == 1);
static_assert(field_count<Lone<std::string>>() == 1);
static_assert(field_count<Lone<std::filesystem::path>>() == 1);
static_assert(field_count<Lone<std::vector<std::string>>>() == 1);
static_assert(field_count<Lone<std::optional<double>>>() == 1);
static_assert(field_count<Lone<std::optional<std::string>>>() == 1);
static_assert(field_count<Lone<std::map<std::string, double>>>() == 1);
static_assert(field_count<Everything>() == 20);

struct Forgetful {
  int64_t listed = 1, forgotten = 2;
  void describe(FieldList& v) { v.field("listed", listed, "One of two."); }
};

struct Doubling {
  int64_t first = 1, second = 2;
  void describe(FieldList& v) {
    v.field("first", first, "The first.");
    v.field("second", first, "The first again.");
  }
};

struct SameName {
  int64_t first = 1, second = 2;
  void describe(FieldList& v) {
    v.field("first", first, "The first.");
    v.field("first", second, "The second.");
  }
};

struct Stranger {
  int64_t own = 1;
  void describe(FieldList& v) {
    static int64_t foreign = 0;
    v.field("own", foreign, "Not a member.");
  }
};

struct CamelCase {
  int64_t own = 1;
  void describe(FieldList& v) { v.field("peakLr", own, "A key in another style."); }
};

template <class T>
std::string broken_invariant() {
  return message_of<InternalError>([] { dump(T{}); });
}

TEST(FieldCount, TellsADescribeThatForgetsAMember) {
  EXPECT_THAT(broken_invariant<Forgetful>(), testing::HasSubstr("describe() lists 1 fields and"));
  EXPECT_THAT(broken_invariant<Forgetful>(), testing::HasSubstr("Forgetful"));
}

TEST(FieldCount, TellsADescribeThatListsAMemberTwice) {
  EXPECT_THAT(broken_invariant<Doubling>(), testing::HasSubstr("lists one member under two names"));
}

TEST(FieldCount, TellsTwoFieldsOfOneName) {
  EXPECT_THAT(broken_invariant<SameName>(), testing::HasSubstr("describe() lists first twice"));
}

TEST(FieldCount, TellsAFieldThatIsNoMember) {
  EXPECT_THAT(broken_invariant<Stranger>(), testing::HasSubstr("lists something that is no member"));
}

TEST(FieldCount, TellsAKeyThatIsNotSnakeCase) {
  EXPECT_THAT(broken_invariant<CamelCase>(), testing::HasSubstr("a config key is named peakLr"));
}

}  // namespace
}  // namespace trireme::test
