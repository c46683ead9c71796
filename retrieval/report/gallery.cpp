#include "retrieval/report/gallery.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/io/file.h"
#include "core/json.h"

namespace trireme {
namespace {

using Json = nlohmann::ordered_json;
constexpr int64_t kGalleryFormatVersion = 1;

Json json_of(const GalleryItem& item) {
  Json json = {{"id", item.id}, {"text", item.text}};
  if (item.picture) json["picture"] = *item.picture;
  return json;
}

Json json_of(const GalleryCase& example) {
  Json top = Json::array();
  for (const GalleryHit& hit : example.top) {
    Json json = json_of(hit.item);
    json["score"] = hit.score;
    json["relevant"] = hit.relevant;
    top.push_back(std::move(json));
  }
  Json json = {{"query", json_of(example.query)}, {"rank", example.rank}, {"top", std::move(top)}};
  if (example.wanted) json["wanted"] = json_of(*example.wanted);
  return json;
}

/// Reads items, and refuses pictures that are not there.
struct ItemReader {
  int64_t pictures;
  std::string_view where;

  GalleryItem item(const Json& json) const {
    GalleryItem out{json.at("id").get<std::string>(), json.at("text").get<std::string>(), {}};
    if (json.contains("picture")) {
      out.picture = json.at("picture").get<int64_t>();
      TRIREME_CHECK(*out.picture >= 0 && *out.picture < pictures, DataError, where,
                    "a picture must be one of the file's {}; got {} for {}; run trireme eval again.", pictures,
                    *out.picture, out.id);
    }
    return out;
  }

  GalleryCase example(const Json& json) const {
    GalleryCase out{item(json.at("query")), json.at("rank").get<int64_t>(), {}, {}};
    for (const Json& hit : json.at("top"))
      out.top.push_back({item(hit), hit.at("score").get<double>(), hit.at("relevant").get<bool>()});
    if (json.contains("wanted")) out.wanted = item(json.at("wanted"));
    return out;
  }
};

/// Pictures go into the page's style sheet as they are, so nothing but base64 may be in them.
bool is_base64(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' || c == '/' ||
           c == '=';
  });
}

Gallery gallery_of(const Json& json, std::string_view where) {
  Gallery gallery{json.at("depth").get<int64_t>(), {}, {}, json.at("notice").get<std::string>()};
  for (const Json& picture : json.at("pictures")) {
    gallery.pictures.push_back(picture.get<std::string>());
    TRIREME_CHECK(is_base64(gallery.pictures.back()), DataError, where,
                  "a picture must be base64; got other characters in picture {}; run trireme eval again.",
                  gallery.pictures.size() - 1);
  }
  const ItemReader reader{std::ssize(gallery.pictures), where};
  for (const Json& task : json.at("tasks")) {
    GalleryTask out{task.at("task").get<std::string>(), task.at("label").get<std::string>(),
                    task.at("instruction").get<std::string>()};
    for (const Json& example : task.at("cases")) out.cases.push_back(reader.example(example));
    gallery.tasks.push_back(std::move(out));
  }
  return gallery;
}

}  // namespace

std::string gallery_json(const Gallery& gallery) {
  Json tasks = Json::array();
  for (const GalleryTask& task : gallery.tasks) {
    Json cases = Json::array();
    for (const GalleryCase& example : task.cases) cases.push_back(json_of(example));
    tasks.push_back(
        {{"task", task.task}, {"label", task.label}, {"instruction", task.instruction}, {"cases", std::move(cases)}});
  }
  const Json json = {{"trireme_format", "gallery"}, {"format_version", kGalleryFormatVersion},
                     {"depth", gallery.depth},      {"notice", gallery.notice},
                     {"tasks", std::move(tasks)},   {"pictures", gallery.pictures}};
  return dump_json(json, 1, BrokenUtf8::kReplaced) + "\n";
}

Gallery parse_gallery(std::string_view text, std::string_view where) {
  const Json json = try_parse_ordered_json(text);
  TRIREME_CHECK(json.is_object() && json.value("trireme_format", "") == "gallery" &&
                    json.value("format_version", int64_t{0}) == kGalleryFormatVersion,
                DataError, where,
                "the file must be gallery.json (version {}) as trireme eval writes it; got something else; run trireme "
                "eval again.",
                kGalleryFormatVersion);
  try {
    return gallery_of(json, where);
  } catch (const Json::exception& error) {
    throw DataError(where, fmt::format("the file must have all parts of gallery.json; got {}; run trireme eval again.",
                                       error.what()));
  }
}

Gallery read_gallery(const std::filesystem::path& file) { return parse_gallery(read_text_file(file), file.string()); }

}  // namespace trireme
