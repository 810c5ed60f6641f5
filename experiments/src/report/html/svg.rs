//! Elements of drawings. Colours are those of the page's style sheet, so that drawings are dark and light as well.

use super::markup::{Attributes, Markup, empty, tag};

/// Letters of a label that have room beside a drawing.
const LETTERS: usize = 26;

/// A drawing of so many pixels, which shrinks with the page; what it shows is told to those who cannot see it.
pub(super) fn drawing(width: f64, height: f64, label: &str, content: Markup) -> Markup {
    let size: Attributes<'_> = &[
        ("viewBox", &format!("0 0 {} {}", pixels(width), pixels(height))),
        ("style", &format!("max-width: {}px", pixels(width))),
        ("role", &"img"),
        ("aria-label", &label),
    ];
    tag("svg", size, content)
}

/// A bar, with what is told where the mouse is over it.
pub(super) fn bar([x, y, width, height]: [f64; 4], class: &str, told: &str) -> Markup {
    let attributes: Attributes<'_> = &[
        ("x", &pixels(x)),
        ("y", &pixels(y)),
        ("width", &pixels(width)),
        ("height", &pixels(height)),
        ("class", &class),
    ];
    tag("rect", attributes, tag("title", &[], told))
}

/// A point.
pub(super) fn point(x: f64, y: f64, class: &str, told: &str) -> Markup {
    let attributes: Attributes<'_> =
        &[("cx", &pixels(x)), ("cy", &pixels(y)), ("r", &"5"), ("class", &class)];
    tag("circle", attributes, tag("title", &[], told))
}

/// A straight line.
pub(super) fn line([x1, y1, x2, y2]: [f64; 4], class: &str) -> Markup {
    let attributes: Attributes<'_> = &[
        ("x1", &pixels(x1)),
        ("y1", &pixels(y1)),
        ("x2", &pixels(x2)),
        ("y2", &pixels(y2)),
        ("class", &class),
    ];
    empty("line", attributes)
}

/// An area between points.
pub(super) fn area(points: &[(f64, f64)], class: &str) -> Markup {
    let points: Vec<String> =
        points.iter().map(|(x, y)| format!("{},{}", pixels(*x), pixels(*y))).collect();
    empty("polygon", &[("points", &points.join(" ")), ("class", &class)])
}

/// A text whose `start`, `middle` or `end` is at a point. What is too long is cut; all of it is told at the mouse.
pub(super) fn label(x: f64, y: f64, anchor: &'static str, text: &str) -> Markup {
    let at: Attributes<'_> = &[("x", &pixels(x)), ("y", &pixels(y)), ("text-anchor", &anchor)];
    if text.chars().count() <= LETTERS {
        return tag("text", at, text);
    }
    let cut: String = text.chars().take(LETTERS - 1).chain(['…']).collect();
    tag("text", at, [tag("title", &[], text), cut.into()].into_iter().collect::<Markup>())
}

/// A coordinate, to a tenth of a pixel; what is no number is at the edge.
fn pixels(v: f64) -> String {
    format!("{:.1}", if v.is_finite() { v } else { 0.0 })
}
