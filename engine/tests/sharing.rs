//! Decryption whose result others may see.

#![allow(clippy::unwrap_used)]

use engine::encoding::Encoder;
use engine::keys::SecretKey;
use engine::params::{Parameters, ParametersLiteral};
use engine::sampling::WideGaussian;

/// Noise of a stated deviation in every coefficient: in the slots it has the variance of N / 2 of them, in both parts, and
/// mean zero, each within six standard errors.
#[test]
fn decryption_to_share_adds_noise_of_its_deviation() {
    let mut literal = ParametersLiteral::uniform(12, 50, 40, 1, (1, 50), 1).unwrap();
    literal.allow_insecure = true;
    let params = Parameters::new(&literal).unwrap();
    let secret = SecretKey::from_seed(&params, [3; 32]);
    let encoder = Encoder::new(&params);
    let values: Vec<f64> = (0..params.slots()).map(|i| (i as f64).cos()).collect();
    let plaintext = encoder.encode(&values, 1, params.scale(), false).unwrap();
    let ciphertext = secret.encrypt(&plaintext).unwrap();
    let plain = encoder.decode_complex(&secret.decrypt(&ciphertext).unwrap()).unwrap();
    let noise = WideGaussian::at_least(2e6).unwrap();
    let shared = secret.decrypt_to_share(&ciphertext, &noise).unwrap();
    let slots = encoder.decode_complex(&shared).unwrap();
    let unit = noise.deviation() * (params.slots() as f64).sqrt() / params.scale();
    let differences = slots.iter().zip(&plain).flat_map(|(a, b)| [a.re - b.re, a.im - b.im]);
    let x: Vec<f64> = differences.map(|d| d / unit).collect();
    let count = x.len() as f64;
    let mean = x.iter().sum::<f64>() / count;
    let variance = x.iter().map(|x| x * x).sum::<f64>() / count;
    assert!(mean.abs() < 6.0 / count.sqrt(), "{mean}");
    assert!((variance - 1.0).abs() < 6.0 * (2.0 / count).sqrt(), "{variance}");
    // Another decryption has other noise.
    let again = encoder.decode(&secret.decrypt_to_share(&ciphertext, &noise).unwrap()).unwrap();
    assert!(again.iter().zip(&slots).filter(|(a, b)| **a != b.re).count() > params.slots() / 2);
    // Noise that the modulus does not hold is refused.
    let wide = WideGaussian::at_least(1e19).unwrap();
    let mut low = ciphertext;
    (low.c0, low.c1) = (low.c0.truncated(0), low.c1.truncated(0));
    let error = secret.decrypt_to_share(&low, &wide).unwrap_err().to_string();
    assert!(error.contains("half the modulus at level 0"), "{error}");
}
