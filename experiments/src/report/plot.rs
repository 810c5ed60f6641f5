//! A picture of predicted and measured time per layer.

use anyhow::{Result, anyhow};
use plotters::prelude::*;

use super::{CandidateReport, RunReport};

const PREDICTED: RGBColor = RGBColor(230, 159, 0);
const MEASURED: RGBColor = RGBColor(0, 114, 178);
const WIDTH: u32 = 900;
const HEIGHT: u32 = 420;

/// An SVG with one chart per candidate: a pair of bars for each layer.
pub fn plot(report: &RunReport) -> Result<String> {
    let candidates: Vec<&CandidateReport> = report.candidates().collect();
    let mut text = String::new();
    {
        let size = (WIDTH, HEIGHT * candidates.len() as u32);
        let root = SVGBackend::with_string(&mut text, size).into_drawing_area();
        root.fill(&WHITE).map_err(failed)?;
        for (area, candidate) in root.split_evenly((candidates.len(), 1)).iter().zip(candidates) {
            chart(area, candidate)?;
        }
        root.present().map_err(failed)?;
    }
    Ok(text)
}

pub(super) fn failed(error: impl std::fmt::Display) -> anyhow::Error {
    anyhow!("drawing the plot: {error}")
}

fn chart(
    area: &DrawingArea<SVGBackend<'_>, plotters::coord::Shift>,
    candidate: &CandidateReport,
) -> Result<()> {
    let layers = &candidate.layers;
    let highest =
        layers.iter().map(|l| l.predicted_ms.max(l.measured_ms)).fold(1e-3, f64::max) * 1.08;
    let title = format!("{}, {}: time per layer, ms", candidate.name, candidate.variant);
    let mut chart = ChartBuilder::on(area)
        .caption(title, ("sans-serif", 18))
        .margin(12)
        .x_label_area_size(36)
        .y_label_area_size(56)
        .build_cartesian_2d(0.0..layers.len() as f64, 0.0..highest)
        .map_err(failed)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .disable_x_axis()
        .y_desc("milliseconds")
        .light_line_style(WHITE)
        .draw()
        .map_err(failed)?;
    let series = [(PREDICTED, "predicted", 0.12), (MEASURED, "measured", 0.5)];
    for (colour, label, offset) in series {
        let bars = layers.iter().enumerate().map(|(k, layer)| {
            let value = if label == "predicted" { layer.predicted_ms } else { layer.measured_ms };
            let left = k as f64 + offset;
            Rectangle::new([(left, 0.0), (left + 0.38, value)], colour.filled())
        });
        chart
            .draw_series(bars)
            .map_err(failed)?
            .label(label)
            .legend(move |(x, y)| Rectangle::new([(x, y - 5), (x + 10, y + 5)], colour.filled()));
    }
    chart
        .configure_series_labels()
        .border_style(BLACK)
        .background_style(WHITE)
        .draw()
        .map_err(failed)?;
    // Names below the bars.
    for (k, layer) in layers.iter().enumerate() {
        let (x, y) = chart.backend_coord(&(k as f64 + 0.5, 0.0));
        let style = ("sans-serif", 13).into_font().color(&BLACK);
        let style =
            style.pos(text_anchor::Pos::new(text_anchor::HPos::Center, text_anchor::VPos::Top));
        let (left, top) = area.get_base_pixel();
        area.draw(&Text::new(layer.name.clone(), (x - left, y - top + 6), style))
            .map_err(failed)?;
    }
    Ok(())
}

mod text_anchor {
    pub use plotters::style::text_anchor::{HPos, Pos, VPos};
}
