//! Pictures of the dashboards for the docs: the panels where Grafana puts them,
//! drawn from the answers to their own queries.

use std::fmt::Write;
use std::time::{Duration, SystemTime};

use serde_json::Value;

use super::prometheus::{Prometheus, Series};
use super::queries::{BOARDS, board, concrete};
use super::{read, repository};

/// Pixels of one of Grafana's 24 columns, and of a row.
const COLUMN: f64 = 50.0;
const ROW: f64 = 28.0;

const COLOURS: [&str; 8] = [
    "#1f77b4", "#2ca02c", "#ff7f0e", "#d62728", "#9467bd", "#8c564b", "#17becf", "#7f7f7f",
];

/// Lines in a legend or a table.
const MOST: usize = 7;

/// Draws every dashboard over the time since `start`.
pub fn draw(prometheus: &Prometheus, start: SystemTime) {
    for name in BOARDS {
        let picture = picture(&board(name), prometheus, start);
        std::fs::write(repository(&path(name)), picture).unwrap();
    }
}

/// Each picture has every panel of its dashboard.
pub fn assert_complete() {
    for name in BOARDS {
        let picture = read(&path(name));
        for panel in board(name)["panels"].as_array().unwrap() {
            let title = format!(">{}<", escaped(panel["title"].as_str().unwrap()));
            assert!(
                picture.contains(&title),
                "{} has no panel {title}: UPDATE_GENERATED=1 cargo xtask test -- --test dashboards",
                path(name)
            );
        }
    }
}

fn path(name: &str) -> String {
    format!("docs/dashboards/{name}.svg")
}

fn picture(board: &Value, prometheus: &Prometheus, start: SystemTime) -> String {
    let panels = board["panels"].as_array().unwrap();
    let bottom = |panel: &Value| number(&panel["gridPos"]["y"]) + number(&panel["gridPos"]["h"]);
    let height = panels.iter().map(bottom).fold(0.0, f64::max) * ROW;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {} {height}\" font-family=\"sans-serif\" \
         font-size=\"11\">\n<rect width=\"100%\" height=\"100%\" fill=\"#f4f5f5\"/>\n",
        24.0 * COLUMN
    );
    for panel in panels {
        let place = &panel["gridPos"];
        let _ = writeln!(
            out,
            "<g transform=\"translate({},{})\">",
            number(&place["x"]) * COLUMN,
            number(&place["y"]) * ROW
        );
        let size = (number(&place["w"]) * COLUMN, number(&place["h"]) * ROW);
        draw_panel(&mut out, panel, size, prometheus, start);
        out.push_str("</g>\n");
    }
    out.push_str("</svg>\n");
    out
}

fn draw_panel(out: &mut String, panel: &Value, size: (f64, f64), prometheus: &Prometheus, start: SystemTime) {
    let kind = panel["type"].as_str().unwrap();
    if kind != "row" {
        let _ = writeln!(
            out,
            "<rect x=\"2\" y=\"2\" width=\"{}\" height=\"{}\" fill=\"white\" stroke=\"#ddd\"/>",
            size.0 - 4.0,
            size.1 - 4.0
        );
    }
    let title = escaped(panel["title"].as_str().unwrap());
    let _ = writeln!(out, "<text x=\"8\" y=\"17\" font-weight=\"bold\">{title}</text>");
    let unit = panel["fieldConfig"]["defaults"]["unit"]
        .as_str()
        .unwrap_or("none");
    let targets = panel["targets"].as_array().into_iter().flatten();
    let series: Vec<Series> = targets
        .flat_map(|target| {
            let query = concrete(target["expr"].as_str().unwrap());
            // The gateway is scraped twice, as ingress-nginx's dashboards want it too.
            let query = query.replace("{instance=~\".*\"", "{job=\"tidegate\"");
            let legend = target["legendFormat"].as_str().unwrap_or_default();
            let found = prometheus.range(&query, start);
            found.into_iter().map(move |series| series.named(legend))
        })
        .collect();
    match kind {
        "row" => {}
        "stat" => draw_number(out, &series, unit, size),
        "table" => draw_rows(out, &series, unit),
        _ => draw_lines(out, &series, unit, size),
    }
}

fn draw_number(out: &mut String, series: &[Series], unit: &str, size: (f64, f64)) {
    let text = match series.first() {
        // Whose name says it all, as a version.
        Some(series) if unit == "short" && !series.name.is_empty() => series.name.clone(),
        Some(series) => shown(series.last(), unit),
        None => "–".to_owned(),
    };
    let _ = writeln!(
        out,
        "<text x=\"{}\" y=\"{}\" font-size=\"26\" text-anchor=\"middle\" fill=\"#2ca02c\">{}</text>",
        size.0 / 2.0,
        size.1 / 2.0 + 16.0,
        escaped(&text)
    );
}

fn draw_rows(out: &mut String, series: &[Series], unit: &str) {
    for (index, series) in series.iter().take(MOST).enumerate() {
        let _ = writeln!(
            out,
            "<text x=\"12\" y=\"{0}\">{1}</text><text x=\"330\" y=\"{0}\">{2}</text>",
            38 + 18 * index,
            escaped(&series.name),
            shown(series.last(), unit)
        );
    }
}

fn draw_lines(out: &mut String, series: &[Series], unit: &str, size: (f64, f64)) {
    let (left, top) = (70.0, 28.0);
    let (width, height) = (size.0 - left - 14.0, size.1 - top - 44.0);
    let all = || series.iter().flat_map(|series| &series.points);
    let most = all().map(|point| point.1).fold(0.0, f64::max);
    let most = if most > 0.0 { most } else { 1.0 };
    let first = all().map(|point| point.0).fold(f64::MAX, f64::min);
    let span = (all().map(|point| point.0).fold(0.0, f64::max) - first).max(1.0);
    for share in [0.0, 0.5, 1.0] {
        let y = top + height * (1.0 - share);
        let _ = writeln!(
            out,
            "<line x1=\"{left}\" x2=\"{}\" y1=\"{y:.0}\" y2=\"{y:.0}\" stroke=\"#eee\"/>\
             <text x=\"{}\" y=\"{:.0}\" text-anchor=\"end\" fill=\"#666\">{}</text>",
            left + width,
            left - 6.0,
            y + 4.0,
            shown(most * share, unit)
        );
    }
    for (index, series) in series.iter().enumerate() {
        let points: Vec<String> = series
            .points
            .iter()
            .map(|(time, value)| {
                let x = left + (time - first) / span * width;
                format!("{x:.0},{:.1}", top + height * (1.0 - value / most))
            })
            .collect();
        let colour = COLOURS[index % COLOURS.len()];
        let _ = writeln!(
            out,
            "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.3\" points=\"{}\"/>",
            points.join(" ")
        );
        if index < MOST {
            let x = left + width / 4.0 * (index % 4) as f64;
            let y = size.1 - 26.0 + 14.0 * (index / 4) as f64;
            let room = (width / 4.0 / 6.5) as usize;
            let name: String = series.name.chars().take(room).collect();
            let _ = writeln!(
                out,
                "<text x=\"{x:.0}\" y=\"{y:.0}\" fill=\"{colour}\">{}</text>",
                escaped(&name)
            );
        }
    }
}

/// A value as Grafana shows it.
fn shown(value: f64, unit: &str) -> String {
    match unit {
        "percentunit" => format!("{:.1} %", value * 100.0),
        "s" if value.abs() < 1.0 => format!("{:.2} ms", value * 1000.0),
        "s" if value > 2.0 * 86400.0 => format!("{:.1} days", value / 86400.0),
        "s" => format!("{value:.1} s"),
        "bytes" | "Bps" => {
            let per = if unit == "Bps" { "/s" } else { "" };
            match value {
                value if value >= 1_048_576.0 => format!("{:.1} MiB{per}", value / 1_048_576.0),
                value if value >= 1024.0 => format!("{:.1} KiB{per}", value / 1024.0),
                value => format!("{value:.0} B{per}"),
            }
        }
        "dateTimeFromNow" => {
            let now = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs_f64();
            let then = value / 1000.0;
            match then - now {
                left if left > 0.0 => format!("in {:.0} days", left / 86400.0),
                left => format!("{:.0} s ago", -left),
            }
        }
        "reqps" | "ops" | "cps" => format!("{value:.1}/s"),
        _ if value.fract() == 0.0 => format!("{value:.0}"),
        _ => format!("{value:.2}"),
    }
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

/// How long traffic is drawn.
pub const DRAWN: Duration = Duration::from_secs(90);
