//! A bar for each proxy, as SVG.

use std::fmt::Write;

use super::Measured;
use super::report::cpu;
use super::scenario::Scenario;

const BAR: usize = 26;
const LEFT: usize = 150;
const WIDTH: f64 = 480.0;
const TOP: usize = 44;

/// CPU time per request, with the spread of the rounds.
pub(super) fn bars(scenario: &Scenario, measured: &[Measured]) -> String {
    let most = |one: &Measured| {
        one.samples
            .iter()
            .map(|sample| sample.cpu_micros)
            .fold(0.0, f64::max)
    };
    let scale = WIDTH / measured.iter().map(most).fold(1.0, f64::max);
    let height = TOP + BAR * measured.len() + 14;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"760\" height=\"{height}\" font-family=\"sans-serif\" font-size=\"13\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         <text x=\"10\" y=\"20\" font-weight=\"bold\">{}: CPU µs per request</text>\n\
         <text x=\"10\" y=\"36\" font-size=\"11\" fill=\"#555\">{}</text>\n",
        scenario.name, scenario.about
    );
    for (index, one) in measured.iter().enumerate() {
        let y = TOP + BAR * index;
        let middle = y + BAR / 2;
        let length = cpu(one) * scale;
        let least = one
            .samples
            .iter()
            .map(|sample| sample.cpu_micros)
            .fold(f64::MAX, f64::min)
            * scale;
        let fill = if one.peer == "tidegate" {
            "#1f77b4"
        } else {
            "#b0b7bf"
        };
        let left = LEFT as f64;
        let _ = writeln!(
            out,
            "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>\n\
             <rect x=\"{LEFT}\" y=\"{}\" width=\"{length:.1}\" height=\"{}\" fill=\"{fill}\"/>\n\
             <line x1=\"{:.1}\" x2=\"{:.1}\" y1=\"{middle}\" y2=\"{middle}\" stroke=\"black\"/>\n\
             <text x=\"{:.1}\" y=\"{}\">{:.1}</text>",
            LEFT - 8,
            middle + 4,
            one.name(),
            y + 4,
            BAR - 8,
            left + least,
            left + most(one) * scale,
            left + most(one) * scale + 8.0,
            middle + 4,
            cpu(one),
        );
    }
    out.push_str("</svg>\n");
    out
}
