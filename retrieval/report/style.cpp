#include "retrieval/report/sections.h"

namespace trireme::report_detail {
namespace {

constexpr std::string_view kStyle = R"css(
:root {
  color-scheme: light dark;
  --bg: #f6f5f1; --card: #ffffff; --ink: #1b232d; --soft: #566171; --faint: #6b7685; --line: #e5e2d9; --rule: #cbc7bb;
  --good: #17693f; --good-line: #2b8a58; --good-bg: #e8f4ec; --bad: #a83c2a; --row: #faf9f5; --tile: #ffffff;
  --s0: #1c5f8d; --s1: #b9640f; --s2: #2f7d55; --s3: #84509f; --s4: #a83c2a;
  --serif: "Iowan Old Style", "Palatino Linotype", Palatino, "URW Palladio L", "Book Antiqua", Georgia, serif;
  --sans: system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "Noto Sans", Arial, sans-serif;
}
@media (prefers-color-scheme: dark) {
  :root {
    --bg: #10151b; --card: #171d25; --ink: #e6eaef; --soft: #a7b2bf; --faint: #8894a3; --line: #262e38; --rule: #3a4552;
    --good: #74d3a0; --good-line: #3f9b6c; --good-bg: #15291f; --bad: #f0907d; --row: #1b222b; --tile: #ffffff;
    --s0: #7cbcea; --s1: #e9a863; --s2: #7fcfa3; --s3: #c7a2e2; --s4: #f0907d;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; scroll-behavior: smooth; }
body { margin: 0; background: var(--bg); color: var(--ink); font: 15px/1.5 var(--sans);
  font-variant-numeric: tabular-nums lining-nums; }
header, main { max-width: 1320px; margin: 0 auto; padding: 0 28px; }
header { padding-top: 44px; }
.brand { margin: 0 0 10px; font-size: 12px; letter-spacing: .18em; text-transform: uppercase; color: var(--faint); }
h1 { margin: 0; font: 500 40px/1.15 var(--serif); letter-spacing: -.01em; text-wrap: balance; overflow-wrap: anywhere; }
h2 { margin: 0 0 6px; font: 500 25px/1.25 var(--serif); }
h3 { margin: 34px 0 8px; font: 500 19px/1.3 var(--serif); }
.sub { margin: 8px 0 0; color: var(--soft); overflow-wrap: anywhere; }
nav { display: flex; flex-wrap: wrap; gap: 6px 22px; margin-top: 22px; padding: 11px 0;
  border-top: 1px solid var(--line);
  border-bottom: 1px solid var(--line); }
nav a { color: var(--soft); text-decoration: none; font-size: 14px; }
nav a:hover, nav a:focus-visible { color: var(--ink); text-decoration: underline; text-underline-offset: 4px; }
section, footer { margin: 46px 0 0; scroll-margin-top: 20px; }
small { font-size: 11.5px; color: var(--faint); }
.lead, .legend { margin: 0 0 14px; color: var(--soft); font-size: 14px; }
.s0 { --c: var(--s0); } .s1 { --c: var(--s1); } .s2 { --c: var(--s2); } .s3 { --c: var(--s3); } .s4 { --c: var(--s4); }

.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 250px), 1fr)); gap: 16px;
  margin-top: 26px; }
.card:only-child { max-width: 420px; }
.card { background: var(--card); border: 1px solid var(--line); border-top: 3px solid var(--c); border-radius: 8px;
  padding: 16px 20px 18px; }
.card p { margin: 0; }
.card .who { color: var(--c); font-weight: 600; font-size: 14px; overflow-wrap: anywhere; }
.card .number { font: 500 46px/1.2 var(--serif); letter-spacing: -.02em; }
.card .number small { font: 13px var(--sans); margin-left: 12px; letter-spacing: 0; }
.card .what { color: var(--soft); font-size: 13.5px; }

.legend { display: flex; flex-wrap: wrap; gap: 4px 20px; }
.key { display: inline-flex; align-items: center; gap: 7px; }
.key .dot { width: 9px; height: 9px; border-radius: 50%; background: var(--c); }
.key .tick { width: 2px; height: 14px; background: var(--soft); }
.hint { color: var(--faint); }

.scroll { overflow-x: auto; background: var(--card); border: 1px solid var(--line); border-radius: 8px; }
.scroll:focus-visible, summary:focus-visible, a:focus-visible { outline: 2px solid var(--s0); outline-offset: 2px; }
table { border-collapse: separate; border-spacing: 0; width: 100%; font-size: 14px; line-height: 1.3; }
th, td { padding: 7px 10px; text-align: right; vertical-align: middle; white-space: nowrap; font-weight: 400;
  border-bottom: 1px solid var(--line); }
thead th { font-size: 12.5px; color: var(--soft); vertical-align: bottom; }
thead tr:first-child th { padding-top: 12px; }
thead .metric { text-align: center; color: var(--ink); font-weight: 600; font-size: 13.5px; border-bottom: 0;
  padding-bottom: 0; }
thead .metric, .first { border-left: 1px solid var(--line); }
thead tr:last-child th, thead th[rowspan] { border-bottom: 1px solid var(--rule); }
.who th { color: var(--c, var(--faint)); font-weight: 600; max-width: 120px; overflow: hidden;
  text-overflow: ellipsis; }
.who .floor { color: var(--faint); font-weight: 400; }
tbody th, thead tr:first-child th:first-child { text-align: left; position: sticky; left: 0; z-index: 1;
  background: var(--card); white-space: normal; min-width: 190px; }
tbody th small { display: block; }
td b { font-weight: 550; }
td small { display: block; font-size: 10.5px; }
td.floor { color: var(--faint); }
td.none { color: var(--faint); }
td.above b { color: var(--good); font-weight: 700; }
td.above b::before { content: "▲"; font-size: 7.5px; margin-right: 4px; vertical-align: 2.5px; }
tr.row th .name { font-weight: 600; }
tr.task th, tr.task td { background: var(--row); padding-top: 4px; padding-bottom: 4px; font-size: 13px; }
tr.task th { padding-left: 24px; color: var(--soft); }
tr.task td b { font-weight: 450; }
tr.task td.above b { font-weight: 600; }
tr.mean th, tr.mean td { border-top: 1px solid var(--rule); font-size: 15px; padding-top: 11px; padding-bottom: 11px; }
tr.mean .name, tr.mean b { font-weight: 700; }
tr.set th { background: var(--bg); font: 500 16px/1.3 var(--serif); padding-top: 14px; color: var(--soft); }
tbody:last-child tr:last-child th, tbody:last-child tr:last-child td { border-bottom: 0; }
td.plot, th.plot { padding: 2px 6px; text-align: center; }
.ends { display: block; font-weight: 400; font-size: 11px; color: var(--faint); }
.intervals { display: block; }
.intervals .grid { stroke: var(--line); stroke-width: 1; }
.intervals .floor { stroke: var(--soft); stroke-width: 2; }
.intervals .span { stroke: var(--c); stroke-width: 2.5; opacity: .45; stroke-linecap: round; }
.intervals .dot { fill: var(--c); stroke: var(--card); stroke-width: 1.2; }
.published td.floor { color: var(--soft); }
.published thead th { white-space: normal; max-width: 92px; }
.published thead tr:first-child th:first-child { max-width: none; }

details { margin-top: 12px; }
summary { cursor: pointer; color: var(--soft); font-size: 14px; padding: 6px 0; }
summary:hover { color: var(--ink); }

.charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 330px), 1fr)); gap: 16px; }
.charts + .charts { margin-top: 16px; }
.chart { margin: 0; background: var(--card); border: 1px solid var(--line); border-radius: 8px;
  padding: 12px 8px 8px 12px; }
.chart figcaption { font-size: 13.5px; font-weight: 600; padding-left: 4px; overflow-wrap: anywhere; }
.chart svg { display: block; width: 100%; height: auto; overflow: visible; }
.chart .axis line { stroke: var(--line); stroke-width: 1; }
.chart text { font: 11px var(--sans); fill: var(--faint); }
.chart .line { fill: none; stroke: var(--c); stroke-width: 1.8; stroke-linejoin: round; stroke-linecap: round; }
.chart .band { fill: var(--c); opacity: .16; }
.chart .dot { fill: var(--card); stroke: var(--c); stroke-width: 1.6; }
.chart .last { fill: var(--c); font-weight: 650; font-size: 11.5px; }

.probe { background: var(--card); border: 1px solid var(--line); border-radius: 8px; margin-top: 12px;
  padding: 0 18px; }
.probe summary { display: flex; align-items: baseline; gap: 12px; padding: 12px 0; list-style: none; }
.probe summary::-webkit-details-marker { display: none; }
.probe summary::before { content: "›"; width: 12px; font-size: 19px; line-height: 1; color: var(--faint);
  transition: transform .15s; }
.probe[open] summary::before { transform: rotate(90deg); }
.probe .name { font-weight: 600; font-size: 15px; color: var(--ink); }
.probe .headline { margin-left: auto; color: var(--soft); white-space: nowrap; }
.instruction { margin: 0 0 6px; padding-left: 24px; color: var(--soft); font-style: italic; font-size: 14px; }
.case { display: grid; grid-template-columns: 210px minmax(0, 1fr) 150px; gap: 22px; padding: 14px 0;
  border-top: 1px solid var(--line); align-items: start; }
.cases { display: grid; column-gap: 40px; }
@media (min-width: 1240px) {
  .pictures { grid-template-columns: repeat(2, minmax(0, 1fr)); }
  .pictures .case { grid-template-columns: 112px minmax(0, 1fr) 88px; gap: 14px; }
}
.query, .wanted, .top li { display: flex; flex-direction: column; gap: 5px; min-width: 0; }
.thumb { display: block; width: 64px; height: 64px; border-radius: 7px;
  background: var(--tile) center / contain no-repeat;
  box-shadow: 0 0 0 1px var(--line); border: 3px solid var(--tile); print-color-adjust: exact;
  -webkit-print-color-adjust: exact; }
.text { font-size: 13px; line-height: 1.35; overflow-wrap: anywhere; display: -webkit-box; -webkit-box-orient: vertical;
  -webkit-line-clamp: 4; overflow: hidden; }
.query .text { font-size: 14px; font-weight: 550; }
.rank { font-size: 12px; color: var(--bad); }
.rank.found { color: var(--good); }
.top { display: grid; grid-template-columns: repeat(5, minmax(0, 1fr)); gap: 10px; margin: 0; padding: 0;
  list-style: none; }
.top .score { font-size: 11px; color: var(--faint); white-space: nowrap; }
.hit .thumb { box-shadow: 0 0 0 2.5px var(--good-line); }
.hit .score { color: var(--good); font-weight: 700; }
.lines .top li { border-left: 2px solid var(--line); padding-left: 9px; }
.lines .top .hit { border-left-color: var(--good-line); }
.wanted { padding-left: 16px; border-left: 1px dashed var(--rule); min-height: 64px; }
.wanted:empty { visibility: hidden; }
.tag { font-size: 11px; letter-spacing: .06em; text-transform: uppercase; color: var(--faint); }

footer { color: var(--soft); font-size: 14px; padding: 24px 0 60px; border-top: 1px solid var(--line); }
footer p { max-width: 80ch; }
dl { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: 6px 20px; margin: 0; }
dt { font-weight: 600; color: var(--ink); }
dd { margin: 0; overflow-wrap: anywhere; max-width: 90ch; }
dd span { display: block; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; font: 12.5px/1.5 ui-monospace, "DejaVu Sans Mono", monospace; }
.made { color: var(--faint); font-size: 12.5px; margin-top: 26px; }

@media (max-width: 760px) {
  header, main { padding: 0 16px; }
  header { padding-top: 26px; }
  h1 { font-size: 30px; }
  h2 { font-size: 22px; }
  section, footer { margin-top: 36px; }
  tbody th, thead tr:first-child th:first-child { min-width: 128px; max-width: 40vw; font-size: 13px;
    overflow-wrap: anywhere; box-shadow: 1px 0 0 var(--line); }
  th, td { padding: 6px 8px; }
  tr.task th { padding-left: 14px; }
  .probe { padding: 0 12px; }
  .case { grid-template: "query wanted" auto "top top" auto / minmax(0, 1fr) auto; gap: 12px; }
  .query { grid-area: query; }
  .wanted { grid-area: wanted; }
  .top { grid-area: top; }
  .thumb { width: 54px; height: 54px; }
  .tiles .top { gap: 8px; }
  .tiles .top .text { font-size: 11.5px; -webkit-line-clamp: 3; }
  .lines .top { grid-template-columns: minmax(0, 1fr); gap: 7px; }
  .lines .top li { flex-direction: row; justify-content: space-between; align-items: baseline; gap: 12px; }
  .lines .text { -webkit-line-clamp: 3; }
  .wanted { max-width: 40vw; padding-left: 12px; }
  .wanted:empty { display: none; }
  dl { grid-template-columns: minmax(0, 1fr); gap: 2px; }
  dd { margin-bottom: 10px; }
}
@media print { .scroll { overflow: visible; } body { background: none; } }
)css";

}  // namespace

std::string_view style_sheet() { return kStyle; }

}  // namespace trireme::report_detail
