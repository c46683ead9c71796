#include <filesystem>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "data/image/preprocess.h"
#include "tests/support/expect_error.h"
#include "tests/support/temp_folder.h"

namespace trireme {
namespace {

using test::message_of;
using test::TempFolder;
using testing::AllOf;
using testing::HasSubstr;

ImageProcessorConfig read(std::string_view preprocessor_config) {
  const TempFolder folder;
  folder.write("preprocessor_config.json", preprocessor_config);
  return read_image_processor_config(folder.path());
}

TEST(ReadImageProcessorConfig, ReadsTheFileOfTheFirstCheckpoints) {
  const auto config = read(R"({"min_pixels": 3136, "max_pixels": 12845056, "patch_size": 16, "temporal_patch_size": 4,
      "merge_size": 3, "image_mean": [0.5, 0.25, 0.125], "image_std": [0.5, 0.75, 1],
      "image_processor_type": "Qwen2VLImageProcessor", "processor_class": "Qwen2VLProcessor",
      "size": {"max_pixels": 12845056, "min_pixels": 3136}})");
  EXPECT_EQ(config.min_pixels, 3136);
  EXPECT_EQ(config.max_pixels, 12845056);
  EXPECT_EQ(config.patch_size, 16);
  EXPECT_EQ(config.temporal_patch_size, 4);
  EXPECT_EQ(config.merge_size, 3);
  EXPECT_THAT(config.mean, testing::ElementsAre(0.5f, 0.25f, 0.125f));
  EXPECT_THAT(config.std, testing::ElementsAre(0.5f, 0.75f, 1.0f));
}

TEST(ReadImageProcessorConfig, ReadsTheFileThatTransformersFiveWrites) {
  const auto config = read(R"({"do_convert_rgb": true, "do_normalize": true, "do_rescale": true, "do_resize": true,
      "image_mean": [0.48145466, 0.4578275, 0.40821073], "image_processor_type": "Qwen2VLImageProcessorFast",
      "image_std": [0.26862954, 0.26130258, 0.27577711], "merge_size": 2, "patch_size": 14, "resample": 3,
      "rescale_factor": 0.00392156862745098, "size": {"longest_edge": 235200, "shortest_edge": 784},
      "temporal_patch_size": 2, "min_pixels": null, "data_format": "channels_first"})");
  EXPECT_EQ(config.min_pixels, 784);
  EXPECT_EQ(config.max_pixels, 235200);
  EXPECT_EQ(config.mean, ImageProcessorConfig{}.mean);
  EXPECT_EQ(config.rescale_factor, ImageProcessorConfig{}.rescale_factor);
}

TEST(ReadImageProcessorConfig, PutsMinAndMaxPixelsBeforeSize) {
  const auto config = read(R"({"min_pixels": 1000, "size": {"longest_edge": 5000, "shortest_edge": 700}})");
  EXPECT_EQ(config.min_pixels, 1000);
  EXPECT_EQ(config.max_pixels, 5000);
}

TEST(ReadImageProcessorConfig, TakesOneNumberForAllChannels) {
  EXPECT_THAT(read(R"({"image_mean": 0.5})").mean, testing::ElementsAre(0.5f, 0.5f, 0.5f));
}

TEST(ReadImageProcessorConfig, PrefersTheImagePartOfProcessorConfig) {
  const TempFolder folder;
  folder.write("preprocessor_config.json", R"({"min_pixels": 100})");
  folder.write("processor_config.json", R"({"processor_class": "Qwen2VLProcessor"})");
  EXPECT_EQ(read_image_processor_config(folder.path()).min_pixels, 100);
  folder.write("processor_config.json", R"({"image_processor": {"min_pixels": 200}, "video_processor": {}})");
  EXPECT_EQ(read_image_processor_config(folder.path()).min_pixels, 200);
  std::filesystem::remove(folder.path() / "preprocessor_config.json");
  EXPECT_EQ(read_image_processor_config(folder.path()).min_pixels, 200);
}

TEST(ReadImageProcessorConfig, TakesEveryNameOfThePreprocessor) {
  for (const char* name : {"Qwen2VLImageProcessor", "Qwen2VLImageProcessorFast", "Qwen2VLImageProcessorPil",
                           "Qwen2_5_VLImageProcessor", "Qwen2_5_VLImageProcessorFast"}) {
    const ImageProcessorConfig config =
        read(fmt::format(R"({{"image_processor_type": "{}", "min_pixels": 784}})", name));
    EXPECT_EQ(config.min_pixels, 784) << name;
    EXPECT_EQ(config.max_pixels, read("{}").max_pixels) << name;
  }
}

TEST(ReadImageProcessorConfig, RefusesByFileAndField) {
  struct Refusal {
    std::string text, says;
  };
  const Refusal refusals[] = {
      {"", "must be JSON"},
      {"[1]", "one JSON object; got [1]"},
      {R"({"min_pixels": 3136)", "must be JSON"},
      {std::string(100, '[') + std::string(100, ']'), "nested at most 64 deep"},
      {R"({"image_processor_type": "CLIPImageProcessor"})",
       R"(must be Qwen2VLImageProcessor (also ..Fast and ..Pil, and Qwen2_5_VL..); got "CLIPImageProcessor"; )"
       "pictures that are prepared in another way are not supported."},
      {R"({"image_processor_type": "Qwen3VLImageProcessor"})", R"(got "Qwen3VLImageProcessor"; pictures)"},
      {"{\"image_processor_type\": \"a\\u001b[31m\"}", "got \"a\\u001b[31m\"; pictures"},
      {R"({"image_processor_type": 7})", "image_processor_type must be"},
      {R"({"min_pixels": "3136"})", "min_pixels must be an integer from 1"},
      {R"({"min_pixels": 3136.5})", "min_pixels must be an integer"},
      {R"({"max_pixels": 0})", "max_pixels must be an integer from 1"},
      {R"({"max_pixels": 100})", "max_pixels must be at least min_pixels, which is 3136"},
      {R"({"size": {"longest_edge": 5000}})", "size.shortest_edge must be the least number of pixels"},
      {R"({"size": {"height": 224, "width": 224}})", "size.shortest_edge must be"},
      {R"({"size": 224})", "size must be an object"},
      {R"({"patch_size": -14})", "patch_size must be an integer from 1 to 1024; got -14"},
      {R"({"merge_size": true})", "merge_size must be an integer"},
      {R"({"temporal_patch_size": 1e30})", "temporal_patch_size must be an integer"},
      {R"({"image_mean": [0.5, 0.5]})", "image_mean must be three numbers"},
      {R"({"image_std": [1, 1, 1, 1]})", "image_std must be three numbers"},
      {R"({"image_std": [1, 1, 0]})", "image_std must be three numbers above 0"},
      {R"({"image_std": "CLIP"})", "image_std must be three numbers"},
      {R"({"rescale_factor": -1})", "rescale_factor must be a number above 0"},
      {R"({"do_resize": false})", "do_resize must be true"},
      {R"({"do_normalize": "yes"})", "do_normalize must be true"},
      {R"({"resample": 2})", "resample must be 3"},
  };
  for (const Refusal& refusal : refusals) {
    EXPECT_THAT(message_of<DataError>([&] { read(refusal.text); }),
                AllOf(HasSubstr("preprocessor_config.json] "), HasSubstr(refusal.says)))
        << refusal.text;
  }
}

TEST(ReadImageProcessorConfig, NamesTheFolderWithoutAnyOfTheFiles) {
  const TempFolder folder;
  EXPECT_THAT(
      message_of<DataError>([&] { read_image_processor_config(folder.path()); }),
      AllOf(HasSubstr(folder.path().string()), HasSubstr("preprocessor_config.json"), HasSubstr("got neither")));
}

}  // namespace
}  // namespace trireme
