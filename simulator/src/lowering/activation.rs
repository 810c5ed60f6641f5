//! Instructions of an activation that is not completed to a square: two levels, as HEAR does it.

use std::collections::BTreeMap;

use super::State;
use super::builder::Builder;
use crate::Result;
use crate::fold::Quadratic;
use crate::layout::{Layout, pack};
use crate::program::{PlaintextId, ValueId};

/// `a x^2 + b x + c`: square and rescale; `a` times the square plus `b` times the value, rescale; plus `c`.
/// The two factors are encoded at scales for which the products agree, and the results come at `scale`.
pub(crate) fn quadratic(
    b: &mut Builder<'_>,
    state: &mut State,
    q: &Quadratic,
    scale: f64,
) -> Result<()> {
    let layout = state.layout.clone();
    let mut plain = Coefficients::new(&layout);
    let mut values = Vec::with_capacity(state.values.len());
    for (ct, &x) in state.values.iter().enumerate() {
        let square = b.sum_squares(vec![x], true)?;
        let level = b.info(square).level;
        let x = b.drop_level(x, level);
        let target = scale * b.chain.moduli[level];
        let times =
            |b: &mut Builder<'_>, plain: &mut Coefficients<'_>, v: ValueId, list: &[f64]| {
                let scale = target / b.info(v).scale;
                let p = plain.get(b, ct, list, scale, level)?;
                b.linear(vec![v], &[vec![(0, 0, Some(p))]], false)
            };
        let quadratic = times(b, &mut plain, square, &q.a)?[0];
        let linear = times(b, &mut plain, x, &q.b)?[0];
        let sum = b.add(quadratic, linear);
        let sum = b.rescale(sum)?;
        let info = b.info(sum);
        let c = plain.get(b, ct, &q.c, info.scale, info.level)?;
        values.push(b.add_plain(sum, c));
    }
    state.values = values;
    Ok(())
}

/// Base slots and values (as bits) of a ciphertext's channels, scale (as bits), level.
type Key = (Vec<(usize, u64)>, u64, usize);

/// Plaintexts with one coefficient per channel, equal ones made once.
struct Coefficients<'a> {
    layout: &'a Layout,
    known: BTreeMap<Key, PlaintextId>,
}

impl<'a> Coefficients<'a> {
    fn new(layout: &'a Layout) -> Self {
        Self { layout, known: BTreeMap::new() }
    }

    fn get(
        &mut self,
        b: &mut Builder<'_>,
        ct: usize,
        list: &[f64],
        scale: f64,
        level: usize,
    ) -> Result<PlaintextId> {
        let layout = self.layout;
        let phases = layout.phases * layout.phases;
        let mut key: Vec<(usize, u64)> = layout
            .read()
            .map(|channel| (layout.channels[channel], list[channel]))
            .filter(|(p, _)| layout.number(p.ct) == Some(ct / phases))
            .map(|(p, v)| (p.base, v.to_bits()))
            .collect();
        // Phases hold different positions where the map is no multiple of them.
        let even = layout.shape.height.is_multiple_of(layout.phases)
            && layout.shape.width.is_multiple_of(layout.phases);
        key.push((if even { 0 } else { ct % phases }, 0));
        let key = (key, scale.to_bits(), level);
        if let Some(p) = self.known.get(&key) {
            return Ok(*p);
        }
        let values = if b.values {
            let map: Vec<f64> =
                (0..layout.shape.len()).map(|k| list[k / layout.shape.area()]).collect();
            pack(layout, &map)?.swap_remove(ct)
        } else {
            Vec::new()
        };
        let p = b.plaintext(level, scale, false, || values);
        self.known.insert(key, p);
        Ok(p)
    }
}
