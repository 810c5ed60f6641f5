//! What primitives give is decrypted and compared with what it should be.

use engine::Result;
use engine::cipher::{Ciphertext, Plaintext};

use crate::primitive::{Outcome, Part};
use crate::sets::{ROTATIONS, Set};

/// The largest difference between what a part gives and what it should give.
pub struct Difference {
    /// Over all slots and outputs.
    pub error: f64,
    /// Base-2 logarithm of the scale of what was decoded.
    pub log_scale: f64,
}

/// Runs a part once and compares what it gives; `None` for what no other library is compared in.
pub fn check(set: &Set<'_>, part: &mut Part<'_>) -> Result<Option<Difference>> {
    if expected(&part.name, 0, &set.values).is_none() {
        return Ok(None);
    }
    let outcome = (part.run)()?;
    let mut difference = Difference { error: 0.0, log_scale: f64::INFINITY };
    for (output, (values, scale)) in decoded(set, outcome)?.into_iter().enumerate() {
        let expected = expected(&part.name, output, &set.values).unwrap_or_default();
        let errors = values.iter().zip(&expected).map(|(value, expected)| (value - expected).abs());
        // `max` would pass over what is not a number.
        let error = errors.fold(0.0, |a: f64, b| if a >= b { a } else { b });
        difference.error = if difference.error >= error { difference.error } else { error };
        difference.log_scale = difference.log_scale.min(scale.log2());
    }
    Ok(Some(difference))
}

/// The numbers in what a primitive gave, with their scales.
fn decoded(set: &Set<'_>, outcome: Outcome) -> Result<Vec<(Vec<f64>, f64)>> {
    let decode = |m: &Plaintext| Ok((set.keys.encoder.decode(m)?, m.scale));
    let decrypt = |c: &Ciphertext| decode(&set.keys.secret.decrypt(c)?);
    match outcome {
        Outcome::Values(values) => Ok(vec![(values, set.plaintext.scale)]),
        Outcome::Plaintext(plaintext) => Ok(vec![decode(&plaintext)?]),
        Outcome::Ciphertext(ciphertext) => Ok(vec![decrypt(&ciphertext)?]),
        Outcome::Ciphertexts(ciphertexts) => ciphertexts.iter().map(decrypt).collect(),
    }
}

/// What output number `output` of a part should be, both operands being `values`.
fn expected(part: &str, output: usize, values: &[f64]) -> Option<Vec<f64>> {
    let rotated = |slot: usize, shift: usize| values[(slot + shift) % values.len()];
    let value = |slot: usize| {
        Some(match part {
            "encode" | "encrypt, secret key" | "encrypt, public key" => rotated(slot, 0),
            "decrypt and decode" | "decrypt and decode, last level" => rotated(slot, 0),
            "add" => 2.0 * rotated(slot, 0),
            "multiply by plaintext" | "rescale" => rotated(slot, 0).powi(2),
            "multiply, relinearise" | "square, relinearise" => rotated(slot, 0).powi(2),
            "rotate" | "sum of rotations, once" => rotated(slot, 1),
            "hoisted rotations, once" | "hoisted rotations, each" => rotated(slot, output + 1),
            "sum of rotations, each" => (1..=ROTATIONS).map(|r| rotated(slot, r)).sum(),
            "layer, 9 rotations" => {
                rotated(slot, 0) * (0..=ROTATIONS).map(|r| rotated(slot, r)).sum::<f64>()
            }
            _ => return None,
        })
    };
    (0..values.len()).map(value).collect()
}
