//! Points over two axes.

use super::markup::Markup;
use super::svg::{area, drawing, label, line, point};
use crate::report::scatter::{label as tick_label, ticks};

const WIDTH: f64 = 680.0;
const HEIGHT: f64 = 400.0;
/// Room for the labels of the axes, and at the other edges.
const LEFT: f64 = 84.0;
const BOTTOM: f64 = 52.0;
const TOP: f64 = 26.0;
const RIGHT: f64 = 24.0;
/// How many times the least value the largest must be for an axis of powers.
const WIDE: f64 = 4.0;
/// Ticks of a plain axis, about.
const TICKS: f64 = 5.0;

/// A point.
pub(super) struct Spot {
    /// Where it is from left to right.
    pub(super) x: f64,
    /// Where it is from below.
    pub(super) y: f64,
    /// Its colour by the style sheet.
    pub(super) class: String,
    /// What is told at the mouse.
    pub(super) told: String,
}

/// The range of values along an edge, in equal steps or in powers.
struct Axis {
    low: f64,
    high: f64,
    powers: bool,
}

impl Axis {
    /// An axis for values; None where none of them is a number.
    fn of(values: &[f64]) -> Option<Self> {
        let finite = || values.iter().copied().filter(|v| v.is_finite());
        let low = finite().min_by(f64::total_cmp)?;
        let high = finite().max_by(f64::total_cmp)?;
        if low > 0.0 && high / low >= WIDE {
            return Some(Self { low: low / 1.2, high: high * 1.2, powers: true });
        }
        let room = match high - low {
            0.0 => high.abs().max(1.0) * 0.1,
            range => range * 0.1,
        };
        Some(Self { low: low - room, high: high + room, powers: false })
    }

    /// Place of a value, from 0 to 1.
    fn place(&self, v: f64) -> f64 {
        match self.powers {
            true => (v / self.low).ln() / (self.high / self.low).ln(),
            false => (v - self.low) / (self.high - self.low),
        }
    }

    /// Values to be marked, in words.
    fn ticks(&self) -> Vec<(f64, String)> {
        if self.powers {
            let values = ticks(self.low, self.high);
            return values.into_iter().map(|v| (v, tick_label(&v))).collect();
        }
        let least = (self.high - self.low) / TICKS;
        let power = 10_f64.powf(least.log10().floor());
        let step = [1.0, 2.0, 5.0].map(|d| d * power).into_iter().find(|s| *s >= least);
        let step = step.unwrap_or(10.0 * power);
        let decimals = (-step.log10().floor()).clamp(0.0, 9.0) as usize;
        let first = (self.low / step).ceil() as i64;
        let values = (first..).map(|k| k as f64 * step).take_while(|v| *v <= self.high);
        values.take(2 * TICKS as usize).map(|v| (v, format!("{v:.decimals$}"))).collect()
    }
}

/// Titles of the axes.
pub(super) struct Titles<'a> {
    /// What the picture is.
    pub(super) what: &'a str,
    /// Of the axis from left to right.
    pub(super) x: &'a str,
    /// Of the other.
    pub(super) y: &'a str,
}

/// A picture of points; nothing without any. With a `band`, both axes are the same, the diagonal is drawn, and a band of such
/// a relative width to either side of it.
pub(super) fn points(titles: &Titles<'_>, spots: &[Spot], band: Option<f64>) -> Markup {
    let mut values = [
        spots.iter().map(|s| s.x).collect::<Vec<_>>(),
        spots.iter().map(|s| s.y).collect::<Vec<_>>(),
    ];
    if band.is_some() {
        let both = values.concat();
        values = [both.clone(), both];
    }
    let [Some(across), Some(up)] = values.each_ref().map(|v| Axis::of(v)) else {
        return Markup::default();
    };
    let x = |v: f64| LEFT + across.place(v).clamp(0.0, 1.0) * (WIDTH - LEFT - RIGHT);
    let y = |v: f64| HEIGHT - BOTTOM - up.place(v).clamp(0.0, 1.0) * (HEIGHT - TOP - BOTTOM);
    let (left, right, top, bottom) = (LEFT, WIDTH - RIGHT, TOP, HEIGHT - BOTTOM);
    let mut content = Markup::default();
    for (v, text) in across.ticks() {
        content.push(line([x(v), top, x(v), bottom], "grid"));
        content.push(label(x(v), bottom + 18.0, "middle", &text));
    }
    for (v, text) in up.ticks() {
        content.push(line([left, y(v), right, y(v)], "grid"));
        content.push(label(left - 8.0, y(v) + 4.0, "end", &text));
    }
    if let Some(width) = band {
        let along = |factor: f64| {
            (0..=32).map(move |k| f64::from(k) / 32.0).map(move |share| (share, factor))
        };
        let corner = |(share, factor): (f64, f64)| {
            let v = match across.powers {
                true => across.low * (across.high / across.low).powf(share),
                false => across.low + share * (across.high - across.low),
            };
            (x(v), y(v * factor))
        };
        let edge =
            along(1.0 + width).chain(along(1.0 - width).collect::<Vec<_>>().into_iter().rev());
        content.push(area(&edge.map(corner).collect::<Vec<_>>(), "band"));
        content.push(line([left, bottom, right, top], "axis"));
    }
    content.push(line([left, bottom, right, bottom], "axis"));
    content.push(line([left, top, left, bottom], "axis"));
    content.push(label((left + right) / 2.0, HEIGHT - 10.0, "middle", titles.x));
    content.push(label(left, TOP - 12.0, "middle", titles.y));
    let shown = spots.iter().filter(|s| s.x.is_finite() && s.y.is_finite());
    content.push(shown.map(|s| point(x(s.x), y(s.y), &s.class, &s.told)).collect::<Markup>());
    drawing(WIDTH, HEIGHT, titles.what, content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_have_round_numbers_within_their_range() {
        let of = |values: &[f64]| {
            let axis = Axis::of(values).unwrap();
            let ticks = axis.ticks();
            assert!(ticks.iter().all(|(v, _)| (0.0..=1.0).contains(&axis.place(*v))), "{ticks:?}");
            ticks.into_iter().map(|(_, text)| text).collect::<Vec<_>>()
        };
        assert_eq!(of(&[98.97, 99.43]), ["99.0", "99.2", "99.4"]);
        assert_eq!(of(&[13.0, 390.0]), ["20", "50", "100", "200"]);
        assert_eq!(of(&[0.0, 10.0, f64::NAN]), ["0", "5", "10"]);
        assert!(!of(&[7.0]).is_empty() && !of(&[0.0]).is_empty());
        assert!(Axis::of(&[f64::NAN]).is_none() && Axis::of(&[]).is_none());
    }

    #[test]
    fn nothing_to_draw_is_no_drawing() {
        let titles = Titles { what: "w", x: "x", y: "y" };
        assert!(points(&titles, &[], None).is_empty());
        let spot = |x| Spot { x, y: 2.0, class: "front".into(), told: "it".into() };
        assert!(points(&titles, &[spot(f64::INFINITY)], None).is_empty());
        let drawn = points(&titles, &[spot(1.0), spot(9.0)], Some(0.05)).into_string();
        assert_eq!(drawn.matches("<circle").count(), 2);
        assert!(drawn.contains("class=\"band\""));
    }
}
