#include "retrieval/report/sections.h"

namespace trireme::report_detail {
namespace {

bool has_picture(const GalleryCase& example) {
  return std::any_of(example.top.begin(), example.top.end(),
                     [](const GalleryHit& hit) { return hit.item.picture.has_value(); });
}

/// Results without captions need little room: two queries stand side by side where the page is wide.
bool is_pictures_alone(const GalleryTask& task) {
  return std::all_of(task.cases.begin(), task.cases.end(), [](const GalleryCase& example) {
    return std::all_of(example.top.begin(), example.top.end(),
                       [](const GalleryHit& hit) { return hit.item.picture && hit.item.text.empty(); });
  });
}

void write_item(HtmlWriter& html, const GalleryItem& item) {
  if (item.picture) {
    html.leaf("span",
              {{"class", fmt::format("thumb p{}", *item.picture)},
               {"role", "img"},
               {"aria-label", item.text.empty() ? item.id : item.text}},
              "");
  }
  if (!item.text.empty()) html.leaf("span", {{"class", "text"}, {"dir", "auto"}, {"title", item.id}}, item.text);
  if (item.text.empty() && !item.picture) html.leaf("span", {{"class", "text"}}, item.id);
}

std::string rank_text(const GalleryCase& example, int64_t depth) {
  if (example.rank == 0) return fmt::format("not in the first {}", depth);
  return fmt::format("found at rank {}", example.rank);
}

void write_case(HtmlWriter& html, const GalleryCase& example, int64_t depth) {
  const bool found = example.rank > 0 && example.rank <= std::ssize(example.top);
  const auto row = html.open("div", {{"class", fmt::format("case {}", has_picture(example) ? "tiles" : "lines")}});
  {
    const auto query = html.open("div", {{"class", "query"}});
    write_item(html, example.query);
    html.leaf("span", {{"class", found ? "rank found" : "rank"}}, rank_text(example, depth));
  }
  {
    const auto list = html.open("ol", {{"class", "top"}});
    for (const GalleryHit& hit : example.top) {
      const auto entry = html.open("li", {{"class", hit.relevant ? "hit" : "miss"}});
      write_item(html, hit.item);
      html.leaf("span", {{"class", "score"}}, fmt::format("{}{:.3f}", hit.relevant ? "✓ " : "", hit.score));
    }
  }
  const auto wanted = html.open("div", {{"class", "wanted"}});
  if (!example.wanted) return;
  write_item(html, *example.wanted);
  html.leaf("span", {{"class", "tag"}}, "wanted");
}

std::string headline_of(const GalleryTask& task, const EvalResults* results) {
  const ResultRow* row = results == nullptr ? nullptr : find_row(results->table.tasks, task.task);
  if (row == nullptr || !row->local) return "";
  const Estimate* estimate = row->local->find(row->headline);
  return estimate == nullptr ? "" : fmt::format("{} {}", metric_title(row->headline), percent(estimate->value));
}

}  // namespace

std::string picture_rules(const Gallery& gallery) {
  std::string css;
  for (std::size_t i = 0; i < gallery.pictures.size(); ++i)
    css += fmt::format(".p{}{{background-image:url(data:image/webp;base64,{})}}\n", i, gallery.pictures[i]);
  return css;
}

void write_gallery(HtmlWriter& html, const LabelledGallery& labelled, std::span<const EvalResults> results) {
  const Gallery& gallery = labelled.gallery;
  if (gallery.tasks.empty()) return;
  const auto section = html.open("section", {{"id", "gallery"}});
  html.leaf("h2", {}, "What was found");
  html.leaf(
      "p", {{"class", "lead"}},
      fmt::format("What “{}” found: of each task the worst misses, then some hits. Left the query, then the first "
                  "results, right what should have come.",
                  labelled.label));
  const auto of_label = std::find_if(results.begin(), results.end(),
                                     [&](const EvalResults& result) { return result.label == labelled.label; });
  for (std::size_t i = 0; i < gallery.tasks.size(); ++i) {
    const GalleryTask& task = gallery.tasks[i];
    html.leaf("a", {{"class", "anchor"}, {"id", fmt::format("task{}", i)}}, "");
    const auto details = i < 2 ? html.open("details", {{"open", "open"}, {"class", "probe"}})
                               : html.open("details", {{"class", "probe"}});
    {
      const auto summary = html.open("summary");
      html.leaf("span", {{"class", "name"}}, with_arrows(task.label));
      html.leaf("span", {{"class", "headline"}}, headline_of(task, of_label == results.end() ? nullptr : &*of_label));
    }
    if (!task.instruction.empty()) html.leaf("p", {{"class", "instruction"}, {"dir", "auto"}}, task.instruction);
    const auto cases = html.open("div", {{"class", is_pictures_alone(task) ? "cases pictures" : "cases"}});
    for (const GalleryCase& example : task.cases) write_case(html, example, gallery.depth);
  }
}

}  // namespace trireme::report_detail
