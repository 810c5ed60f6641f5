//! Bars from left to right: pairs beside each other, and waterfalls, whose bars begin where the last one ended.

use super::markup::Markup;
use super::svg::{bar, drawing, label, line};
use super::table::table;

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

/// A whole, or another sum of parts.
pub(super) struct Whole {
    /// Its colour by the style sheet.
    pub(super) class: &'static str,
    /// Where it begins.
    pub(super) from: f64,
    /// What it is.
    pub(super) part: Part,
}

impl Whole {
    /// One that begins at zero.
    pub(super) fn new(class: &'static str, part: Part) -> Self {
        Self { class, from: 0.0, part }
    }
}

/// A waterfall of parts, and wholes below it.
pub(super) fn waterfall(what: &str, parts: &[Part], wholes: &[Whole]) -> Markup {
    let mut from = 0.0;
    let mut rows = Vec::new();
    for (name, length, shown) in parts {
        let span = Span { from, length: *length, class: "part", shown: shown.clone() };
        rows.push(Bars { name: name.clone(), spans: vec![span] });
        from += length;
    }
    rows.extend(wholes.iter().map(|Whole { class, from, part: (name, length, shown) }| {
        let span = Span { from: *from, length: *length, class, shown: shown.clone() };
        Bars { name: name.clone(), spans: vec![span] }
    }));
    bars(what, &rows)
}

/// The same numbers in a table, which says what they are of.
pub(super) fn steps(head: [&str; 2], parts: &[Part], wholes: &[Whole]) -> Markup {
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    let all = parts.iter().chain(wholes.iter().map(|whole| &whole.part));
    rows.extend(all.map(|(name, _, shown)| vec![name.clone(), shown.clone()]));
    table(&rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_waterfall_begin_where_the_last_one_ended() {
        let part = |name: &str, length: f64| (name.to_owned(), length, format!("{length} ms"));
        let parts = [part("a", 1.0), part("b", 2.0), part("c", 3.0)];
        let drawn =
            waterfall("w", &parts, &[Whole::new("measured", part("all", 6.0))]).into_string();
        let scale = (WIDTH - NAMES - VALUES) / 6.0;
        for (from, length) in [(0.0, 1.0), (1.0, 2.0), (3.0, 3.0), (0.0, 6.0)] {
            let [x, width] = [NAMES + from * scale, length * scale];
            assert!(drawn.contains(&format!("<rect x=\"{x:.1}\"")), "{x}: {drawn}");
            assert!(drawn.contains(&format!("width=\"{width:.1}\"")), "{width}: {drawn}");
        }
        assert!(drawn.contains("<title>b: 2 ms</title>"));
    }

    #[test]
    fn what_is_no_number_is_drawn_at_the_edge() {
        let span = |length| Span { from: 0.0, length, class: "part", shown: "?".into() };
        let row = Bars { name: "n".into(), spans: vec![span(f64::NAN), span(0.0)] };
        let drawn = bars("w", &[row]).into_string();
        assert!(!drawn.contains("NaN") && !drawn.contains("inf"), "{drawn}");
        assert_eq!(drawn.matches("<rect").count(), 2);
    }
}
