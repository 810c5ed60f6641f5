//! Operands of random contents: times do not depend on them.

use engine::cipher::Plaintext;
use engine::encoding::Encoder;
use engine::params::Parameters;
use engine::poly::RnsPoly;
use rayon::prelude::*;

use crate::error::Result;

/// Scale of the encodings of short periods: coefficients that fit any prime. It says nothing of the words of their
/// transforms, which are as large as any.
const SMALL_SCALE: f64 = 1024.0;

/// Plaintexts with limbs for the special primes, of which each keeps `words` words a limb, the ring degree or a part; beside each
/// other in memory, as a program keeps them.
///
/// # Errors
/// Engine errors, for other numbers of words than plaintexts have.
pub(super) fn random_plaintexts(
    encoder: &Encoder,
    level: usize,
    words: usize,
    count: usize,
) -> Result<Vec<Plaintext>> {
    let params = encoder.params();
    let seeds = (0..count).map(|i| 1000 + i as u64);
    if words == params.n() {
        let polys = RnsPoly::zeros(params, &vec![(level, true); count]);
        let random = |(mut poly, seed): (RnsPoly, u64)| {
            fill(&mut poly, params, seed);
            Plaintext::new(poly, params.scale())
        };
        return Ok(polys.into_iter().zip(seeds).map(random).collect());
    }
    let random = |seed: u64| {
        let value = |i| ((seed as f64 + 1.0) * f64::from(i)).sin();
        let values: Vec<f64> = (0..words as u32 / 2).map(value).collect();
        let mut plaintext = encoder.encode_periodic(&values, level, SMALL_SCALE, true)?;
        plaintext.scale = params.scale();
        Ok(plaintext)
    };
    let mut all: Vec<Plaintext> = seeds.map(random).collect::<Result<_>>()?;
    Plaintext::move_short_together(all.iter_mut());
    Ok(all)
}

/// A polynomial of random residues, not extended.
pub(super) fn random_poly(params: &Parameters, level: usize, seed: u64) -> RnsPoly {
    let mut poly = RnsPoly::zero(params, level, false);
    fill(&mut poly, params, seed);
    poly
}

/// Fills a polynomial with random residues.
fn fill(poly: &mut RnsPoly, params: &Parameters, seed: u64) {
    let level = poly.level();
    poly.par_limbs_mut().enumerate().for_each(|(position, limb)| {
        let q = params.modulus(params.limb_index(level, position)).value();
        let mut state = seed << 32 | position as u64;
        for word in limb {
            // SplitMix64; the high product maps it to [0, q).
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            *word = ((u128::from(z ^ (z >> 31)) * u128::from(q)) >> 64) as u64;
        }
    });
}
