//! Drawing polylines with a round pen into an image.

use super::Point;

/// Rows and columns of an image.
pub const SIDE: usize = 28;
/// Side of the box that the drawn digit fills, in pixels.
const BOX: f64 = 20.0;
/// Width of the pen's soft edge, in pixels.
const EDGE: f64 = 1.1;

/// Draws the lines with a pen of the given radius in pixels: scaled to the box, centred by mass.
pub fn render(lines: &[Vec<Point>], radius: f64) -> Vec<u8> {
    let mut lines = fit(lines, radius);
    // Twice: moving changes nothing but the rounding to pixels.
    for _ in 0..2 {
        let [x, y] = centre(&draw(&lines, radius));
        let middle = (SIDE as f64 - 1.0) / 2.0;
        for point in lines.iter_mut().flatten() {
            point[0] += middle - x;
            point[1] += middle - y;
        }
    }
    draw(&lines, radius).iter().map(|v| (v * 255.0).round() as u8).collect()
}

/// Scales the lines so that they and the pen fit the box, and puts them in the middle of the image.
fn fit(lines: &[Vec<Point>], radius: f64) -> Vec<Vec<Point>> {
    let mut low = [f64::INFINITY; 2];
    let mut high = [f64::NEG_INFINITY; 2];
    for point in lines.iter().flatten() {
        for i in 0..2 {
            low[i] = low[i].min(point[i]);
            high[i] = high[i].max(point[i]);
        }
    }
    let extent = (high[0] - low[0]).max(high[1] - low[1]).max(1e-6);
    let scale = (BOX - 2.0 * radius) / extent;
    let place = |p: &Point| -> Point {
        std::array::from_fn(|i| (p[i] - (low[i] + high[i]) / 2.0) * scale + SIDE as f64 / 2.0)
    };
    lines.iter().map(|line| line.iter().map(place).collect()).collect()
}

fn draw(lines: &[Vec<Point>], radius: f64) -> Vec<f64> {
    (0..SIDE * SIDE)
        .map(|k| {
            let at = [(k % SIDE) as f64, (k / SIDE) as f64];
            let distance = lines
                .iter()
                .flat_map(|line| line.windows(2))
                .map(|pair| distance(at, pair[0], pair[1]))
                .fold(f64::INFINITY, f64::min);
            ((radius - distance) / EDGE + 0.5).clamp(0.0, 1.0)
        })
        .collect()
}

/// Distance of a point to a line segment.
fn distance(p: Point, a: Point, b: Point) -> f64 {
    let (dx, dy) = (b[0] - a[0], b[1] - a[1]);
    let length = dx * dx + dy * dy;
    let t = if length > 0.0 { ((p[0] - a[0]) * dx + (p[1] - a[1]) * dy) / length } else { 0.0 };
    let t = t.clamp(0.0, 1.0);
    (p[0] - a[0] - t * dx).hypot(p[1] - a[1] - t * dy)
}

fn centre(image: &[f64]) -> Point {
    let mass: f64 = image.iter().sum::<f64>().max(1e-9);
    let mean = |f: &dyn Fn(usize) -> usize| {
        image.iter().enumerate().map(|(k, v)| v * f(k) as f64).sum::<f64>() / mass
    };
    [mean(&|k| k % SIDE), mean(&|k| k / SIDE)]
}
