//! What decryption makes of values that are too large for the modulus.

use super::fft::SpecialFft;

/// Reduces the coefficients of the polynomial with these real slots (a power of two of them, at least 64) to
/// `-modulus / 2 ..= modulus / 2`, and gives its slots again. `modulus` is that of the ciphertext, divided by its scale:
/// so a coefficient wraps as it would in a decryption, and one that does spoils every slot.
///
/// # Panics
/// For another number of slots: it is that of a ring, not of input.
pub fn wrap_coefficients(slots: &mut [f64], modulus: f64) {
    let count = slots.len();
    assert!(count.is_power_of_two() && count >= SpecialFft::MIN_SLOTS, "{count} slots");
    let fft = SpecialFft::new(count);
    let (mut re, mut im) = (slots.to_vec(), vec![0.0; count]);
    let mut coefficients = vec![0.0; 2 * count];
    fft.inverse(&mut re, &mut im, &mut coefficients);
    for c in &mut coefficients {
        // They come times the number of slots.
        *c /= count as f64;
        *c -= modulus * (*c / modulus).round();
    }
    fft.forward(&coefficients, &mut re, &mut im);
    slots.copy_from_slice(&re);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_too_large_wraps() {
        let slots: Vec<f64> = (0..128).map(|k| f64::from(k * 37 % 101) / 10.0 - 5.0).collect();
        let largest =
            |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(x, y)| (x - y).abs()).fold(0.0, f64::max);
        let mut same = slots.clone();
        wrap_coefficients(&mut same, 11.0);
        // No coefficient is larger than the largest slot; the rest is rounding.
        assert!(largest(&same, &slots) < 1e-12);
        // A constant is one coefficient: 7 is -3 modulo 10, in every slot.
        let mut constant = vec![7.0; 128];
        wrap_coefficients(&mut constant, 10.0);
        assert!(largest(&constant, &[-3.0; 128]) < 1e-12);
        // One slot that is far too large spoils all.
        let mut spoilt = slots.clone();
        spoilt[5] = 1e6;
        wrap_coefficients(&mut spoilt, 11.0);
        let off = spoilt.iter().zip(&slots).filter(|(a, b)| (**a - **b).abs() > 1.0).count();
        assert!(off > 64, "{off}");
    }
}
