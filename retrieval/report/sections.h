#pragma once

#include <span>
#include <string>
#include <string_view>

#include "retrieval/report/html.h"
#include "retrieval/report/report.h"

/// The parts of the page, each written by a file of its own.
namespace trireme::report_detail {

/// Rules for the whole page, both colour schemes.
std::string_view style_sheet();

/// The mean over rows of each result, large, with what it is beside the floors.
void write_summary(HtmlWriter& html, std::span<const EvalResults> results);
/// Recall by task beside the floors: local pools, global pool, other metrics, published numbers.
void write_tables(HtmlWriter& html, std::span<const EvalResults> results);
/// One chart a key, the runs in it together.
void write_curves(HtmlWriter& html, std::span<const RunCurves> runs);
/// What was asked, what came, what should have.
void write_gallery(HtmlWriter& html, const LabelledGallery& gallery, std::span<const EvalResults> results);
/// Pictures as classes p0, p1, ..: each is in the page once, however often it is shown.
std::string picture_rules(const Gallery& gallery);
/// How the numbers came about.
void write_notes(HtmlWriter& html, const Report& report);

/// "Noto → EmojiOne" of "Noto -> EmojiOne".
std::string with_arrows(std::string_view label);
/// "42.1": a fraction in percent.
std::string percent(double fraction);
/// "[38.0, 46.2]", or "" where only the value is known.
std::string interval_text(const Estimate& estimate);

}  // namespace trireme::report_detail
