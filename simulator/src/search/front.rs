//! Results that no other result beats in everything, and some of many.

use std::collections::BTreeSet;

use super::evaluate::Evaluated;

/// The Pareto front in time of an image, memory and accuracy (unknown counts as zero), cheapest first. Of equal ones, the first stays.
pub fn pareto_front(all: &[Evaluated]) -> Vec<Evaluated> {
    unbeaten(all, |e| [e.image_ms(), e.memory.total_bytes() as f64, -e.accuracy.unwrap_or(0.0)])
}

/// Numbers of a list of `count`, at most `most` of them (two or more), as far apart as they are: the last and the first among them.
pub(super) fn spaced(count: usize, most: usize) -> BTreeSet<usize> {
    let (last, steps) = (count.saturating_sub(1), most - 1);
    (0..=steps).map(|k| last - last * k / steps).filter(|k| *k < count).collect()
}

/// Those of a list that no other beats in all measures, the least of the first measure first. Of equal ones, the first stays.
pub(super) fn unbeaten<T: Clone>(all: &[T], measures: impl Fn(&T) -> [f64; 3]) -> Vec<T> {
    let mut front: Vec<&T> = Vec::new();
    for (k, e) in all.iter().enumerate() {
        let mine = measures(e);
        let beaten = all.iter().enumerate().any(|(j, other)| {
            let theirs = measures(other);
            let no_worse = theirs.iter().zip(&mine).all(|(a, b)| a <= b);
            no_worse && (theirs != mine || j < k)
        });
        if !beaten {
            front.push(e);
        }
    }
    front.sort_by(|a, b| measures(a)[0].total_cmp(&measures(b)[0]));
    front.into_iter().cloned().collect()
}
