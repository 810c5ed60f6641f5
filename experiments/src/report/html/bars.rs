//! Bars from left to right: pairs beside each other, and waterfalls, whose bars begin where the last one ended.

use super::markup::Markup;
use super::svg::{bar, drawing, label, line};

const WIDTH: f64 = 900.0;
/// Room for names to the left, and for values to the right.
const NAMES: f64 = 190.0;
const VALUES: f64 = 110.0;
const LANE: f64 = 14.0;
const GAP: f64 = 8.0;

/// One bar.
pub(super) struct Span {
    /// Where it begins.
    pub(super) from: f64,
    /// How long it is.
    pub(super) length: f64,
    /// Its colour by the style sheet.
    pub(super) class: &'static str,
    /// Its value in words.
    pub(super) shown: String,
}

/// Bars of one thing, below each other.
pub(super) struct Bars {
    /// What it is.
    pub(super) name: String,
    /// The bars.
    pub(super) spans: Vec<Span>,
}

/// A drawing of bars on one scale that begins at zero.
pub(super) fn bars(what: &str, rows: &[Bars]) -> Markup {
    let ends = rows.iter().flat_map(|row| &row.spans).map(|span| span.from + span.length);
    let most = ends.filter(|end| end.is_finite()).fold(f64::MIN_POSITIVE, f64::max);
    let scale = (WIDTH - NAMES - VALUES) / most;
    let mut content = Markup::default();
    let mut top = GAP;
    for row in rows {
        let height = LANE * row.spans.len().max(1) as f64;
        content.push(label(NAMES - 8.0, top + height / 2.0 + 4.0, "end", &row.name));
        for (k, span) in row.spans.iter().enumerate() {
            let [x, width] = [NAMES + span.from * scale, span.length * scale];
            let y = top + LANE * k as f64;
            let told = format!("{}: {}", row.name, span.shown);
            content.push(bar([x, y + 1.0, width.max(0.5), LANE - 2.0], span.class, &told));
            content.push(label(x + width + 5.0, y + 11.0, "start", &span.shown));
        }
        top += height + GAP;
    }
    content.push(line([NAMES, 0.0, NAMES, top], "axis"));
    drawing(WIDTH, top, what, content)
}

/// A part of a whole: name, size, and size in words.
pub(super) type Part = (String, f64, String);

/// A waterfall of parts, and whole bars below it: class, name, size, and size in words of each.
pub(super) fn waterfall(what: &str, parts: &[Part], wholes: &[(&'static str, Part)]) -> Markup {
    let mut from = 0.0;
    let mut rows = Vec::new();
    for (name, length, shown) in parts {
        let span = Span { from, length: *length, class: "part", shown: shown.clone() };
        rows.push(Bars { name: name.clone(), spans: vec![span] });
        from += length;
    }
    rows.extend(wholes.iter().map(|(class, (name, length, shown))| {
        let span = Span { from: 0.0, length: *length, class, shown: shown.clone() };
        Bars { name: name.clone(), spans: vec![span] }
    }));
    bars(what, &rows)
}
