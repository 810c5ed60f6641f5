//! A picture of predicted against measured latencies.

use anyhow::{Context, Result};
use plotters::prelude::*;

use super::ValidationReport;
use super::plot::failed;
use crate::runs::validate::Measured;

const WIDTH: u32 = 760;
const HEIGHT: u32 = 720;
/// Half the width of the band around the diagonal: the error that predictions should keep within.
pub(super) const BAND: f64 = 0.05;
/// Colours of networks (Okabe and Ito), in turn.
const COLOURS: [RGBColor; 7] = [
    RGBColor(0, 114, 178),
    RGBColor(230, 159, 0),
    RGBColor(0, 158, 115),
    RGBColor(213, 94, 0),
    RGBColor(204, 121, 167),
    RGBColor(86, 180, 233),
    RGBColor(240, 228, 66),
];

/// An SVG: a point for each measurement, in a colour for each network, beside the diagonal and a band of 5 % around it.
///
/// # Errors
/// Where there is no measurement.
pub fn scatter(report: &ValidationReport) -> Result<String> {
    let all: Vec<&Measured> = report.measured().collect();
    let times = || all.iter().flat_map(|m| [m.predicted_ms, m.measured_ms]).filter(|t| *t > 0.0);
    let low = times().min_by(f64::total_cmp).context("there is no measurement to draw")? / 1.3;
    let high = times().fold(low, f64::max) * 1.3;
    let axis = || (low..high).log_scale().with_key_points(ticks(low, high));
    let mut text = String::new();
    {
        let root = SVGBackend::with_string(&mut text, (WIDTH, HEIGHT)).into_drawing_area();
        root.fill(&WHITE).map_err(failed)?;
        let mut chart = ChartBuilder::on(&root)
            .caption("Latency of an image: predicted against measured", ("sans-serif", 18))
            .margin(12)
            .x_label_area_size(44)
            .y_label_area_size(64)
            .build_cartesian_2d(axis(), axis())
            .map_err(failed)?;
        chart
            .configure_mesh()
            .x_desc("measured, ms")
            .y_desc("predicted, ms")
            .x_label_formatter(&label)
            .y_label_formatter(&label)
            .light_line_style(WHITE)
            .draw()
            .map_err(failed)?;
        let grey = RGBColor(120, 120, 120);
        // Where the band leaves the picture, its corners are on the edge.
        let above = high / (1.0 + BAND);
        let below = low / (1.0 - BAND);
        let band = [
            (low, low),
            (low, low * (1.0 + BAND)),
            (above, high),
            (high, high),
            (high, high * (1.0 - BAND)),
            (below, low),
        ];
        chart
            .draw_series([Polygon::new(band.to_vec(), grey.mix(0.2).filled())])
            .map_err(failed)?
            .label(format!("within {:.0} %", 100.0 * BAND))
            .legend(move |(x, y)| {
                Rectangle::new([(x, y - 5), (x + 10, y + 5)], grey.mix(0.2).filled())
            });
        chart
            .draw_series([PathElement::new([(low, low), (high, high)], grey.stroke_width(1))])
            .map_err(failed)?;
        for (network, colour) in networks(report).into_iter().zip(COLOURS.into_iter().cycle()) {
            let own = all.iter().filter(|m| m.network == network);
            let point =
                |m: &&Measured| Circle::new((m.measured_ms, m.predicted_ms), 4, colour.filled());
            chart
                .draw_series(own.map(point))
                .map_err(failed)?
                .label(network)
                .legend(move |(x, y)| Circle::new((x + 5, y), 4, colour.filled()));
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperLeft)
            .border_style(BLACK)
            .background_style(WHITE)
            .draw()
            .map_err(failed)?;
        root.present().map_err(failed)?;
    }
    Ok(text)
}

/// The networks that were measured, in the order of their colours.
pub(super) fn networks(report: &ValidationReport) -> Vec<&str> {
    let mut networks: Vec<&str> = report.measured().map(|m| m.network.as_str()).collect();
    networks.sort_unstable();
    networks.dedup();
    networks
}

/// One, two and five of every power of ten between two positive numbers.
pub(super) fn ticks(low: f64, high: f64) -> Vec<f64> {
    let powers = low.log10().floor() as i32..=high.log10().floor() as i32;
    let within = |tick: &f64| (low..=high).contains(tick);
    powers.flat_map(|p| [1.0, 2.0, 5.0].map(|d| d * 10_f64.powi(p))).filter(within).collect()
}

/// A tick in words, without the noise of its last bits.
pub(super) fn label(tick: &f64) -> String {
    let decimals = (-tick.log10().floor()).clamp(0.0, 9.0) as usize;
    format!("{tick:.decimals$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_have_round_numbers() {
        let of = |low, high| ticks(low, high).iter().map(label).collect::<Vec<_>>();
        assert_eq!(of(13.0, 390.0), ["20", "50", "100", "200"]);
        assert_eq!(of(0.03, 1.0), ["0.05", "0.1", "0.2", "0.5", "1"]);
        assert_eq!(of(900.0, 2100.0), ["1000", "2000"]);
    }
}
