//! Linear layers: sums of plaintexts times rotations, with plaintexts of all slots and of a short period.

use engine::Result;
use engine::cipher::{Ciphertext, Plaintext};
use engine::eval::{LinearPlan, LinearTerm};

use crate::primitive::{Primitive, Report, one, part, shape};
use crate::sets::{ROTATIONS, Set};

/// Period of the short plaintexts: channels of a ciphertext.
const PERIOD: usize = 64;
/// Sources and outputs of the products of short plaintexts.
const PRODUCTS: [usize; 2] = [16, 4];

/// No rotation and all that there are keys for.
fn shifts() -> Vec<usize> {
    (0..=ROTATIONS).collect()
}

/// Products alone: no rotation, no rescale; the time of each, both components.
pub fn products_short<'a>(set: &'a Set<'a>) -> Result<Primitive<'a>> {
    let (s, [sources, outputs]) = (shape(set), PRODUCTS);
    let plan = linear(set, sources, outputs, &[0], false)?;
    let plaintexts = vec![short(set, PERIOD, false)?; plan.plaintexts()];
    let ciphertexts = vec![set.ciphertexts[0].clone(); sources];
    let share = 1.0 / plan.plaintexts() as f64;
    let work = s.products(2 * s.limbs) + s.ciphertexts(sources + outputs) * share;
    let run = move || {
        let ciphertexts: Vec<&Ciphertext> = ciphertexts.iter().collect();
        let plaintexts: Vec<&Plaintext> = plaintexts.iter().collect();
        set.keys.evaluator.linear(&plan, &ciphertexts, &plaintexts)
    };
    let parts = vec![part("products of period 64, 4 outputs, each of 64", work, run)];
    Ok(Primitive { parts, report: Report::Share(sources * outputs) })
}

pub fn accumulate<'a>(set: &'a Set<'a>) -> Result<Primitive<'a>> {
    layer(set, "layer, 16 sources, no rotation", 16, 1, &[0], None)
}

pub fn rotations<'a>(set: &'a Set<'a>) -> Result<Primitive<'a>> {
    layer(set, "layer, 9 rotations", 1, 1, &shifts(), None)
}

pub fn convolution<'a>(set: &'a Set<'a>) -> Result<Primitive<'a>> {
    layer(set, "layer, 4 sources, 9 rotations, 4 outputs", 4, 4, &shifts(), None)
}

pub fn convolution_short<'a>(set: &'a Set<'a>) -> Result<Primitive<'a>> {
    let name = "layer, 4 sources, 9 rotations, 4 outputs, period 64";
    layer(set, name, 4, 4, &shifts(), Some(PERIOD))
}

pub fn many_outputs<'a>(set: &'a Set<'a>) -> Result<Primitive<'a>> {
    layer(set, "layer, 1 source, 9 rotations, 16 outputs", 1, 16, &shifts(), None)
}

pub fn many_outputs_short<'a>(set: &'a Set<'a>) -> Result<Primitive<'a>> {
    let name = "layer, 1 source, 9 rotations, 16 outputs, period 64";
    layer(set, name, 1, 16, &shifts(), Some(PERIOD))
}

/// Sums of plaintexts times rotations, with rescale; every plaintext in memory of its own, as in a network.
fn layer<'a>(
    set: &'a Set<'a>,
    name: &str,
    sources: usize,
    outputs: usize,
    shifts: &[usize],
    period: Option<usize>,
) -> Result<Primitive<'a>> {
    let s = shape(set);
    let plan = linear(set, sources, outputs, shifts, true)?;
    let plaintext = match period {
        Some(period) => short(set, period, plan.is_extended())?,
        None if plan.is_extended() => set.extended.clone(),
        None => set.plaintext.clone(),
    };
    let plaintexts = vec![plaintext; plan.plaintexts()];
    let ciphertexts = vec![set.ciphertexts[0].clone(); sources];

    let rotations = shifts.iter().filter(|&&shift| shift != 0).count();
    let pairs = sources * outputs;
    // Terms without rotation have no special limbs.
    let limbs = rotations * (s.limbs + s.special) + (shifts.len() - rotations) * s.limbs;
    let divided = if plan.is_extended() { s.mod_down(true) } else { s.rescale() };
    let mut work = divided * outputs as f64
        + s.products(2 * limbs * pairs)
        + s.traffic(limbs * pairs) * (1.0 / plaintexts.first().map_or(1, Plaintext::run) as f64)
        + s.ciphertexts(sources)
        + s.traffic(2 * (s.limbs - 1) * outputs);
    if plan.is_extended() {
        let switches = s.decompose() + s.key_product() * rotations as f64;
        work = work + switches * sources as f64 + s.key() * rotations as f64;
    }
    let run = move || {
        let ciphertexts: Vec<&Ciphertext> = ciphertexts.iter().collect();
        let plaintexts: Vec<&Plaintext> = plaintexts.iter().collect();
        set.keys.evaluator.linear(&plan, &ciphertexts, &plaintexts)
    };
    one(name, work, run)
}

/// The first numbers of a set, as many as a period has.
fn short(set: &Set<'_>, period: usize, extended: bool) -> Result<Plaintext> {
    let (values, scale) = (&set.values[..period], set.plaintext.scale);
    set.keys.encoder.encode_periodic(values, set.level, scale, extended)
}

/// A plan in which every output sums every rotation of every source, each with a plaintext of its own.
pub fn linear(
    set: &Set<'_>,
    sources: usize,
    outputs: usize,
    shifts: &[usize],
    rescale: bool,
) -> Result<LinearPlan> {
    let mut terms = Vec::new();
    for dst in 0..outputs {
        for src in 0..sources {
            for &shift in shifts {
                terms.push(LinearTerm { dst, src, shift, plaintext: Some(terms.len()) });
            }
        }
    }
    LinearPlan::new(&set.keys.params, sources, outputs, &terms, rescale)
}
