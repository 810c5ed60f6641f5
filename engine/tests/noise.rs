//! The noise is what theory says: not above it, and not below it either (an error that is missing would be a hole in
//! the security, or a formula that does not describe the code).

#![allow(clippy::unwrap_used)]

mod common;

use common::{Setup, deviation, rotated, times};
use engine::cipher::Ciphertext;
use engine::encoding::Complex;

/// Asserts that the measured root of the mean square is near the predicted one. Relative to each other because each is an
/// average over thousands of slots; the secret's own norm is within a few percent of its mean.
fn assert_near(
    setup: &Setup,
    what: &str,
    ciphertext: &Ciphertext,
    expected: &[Complex],
    predicted: f64,
) {
    let measured = deviation(&setup.decrypt(ciphertext), expected) * ciphertext.scale;
    // Double precision decodes messages of magnitude 1 no better than this.
    let floor = 2e-15 * ciphertext.scale;
    let ratio = measured / predicted;
    assert!(
        ratio > 0.85 && measured < 1.15 * predicted + floor,
        "{}: {what}: measured {measured:.2}, predicted {predicted:.2}",
        setup.name
    );
}

fn together(deviations: &[f64]) -> f64 {
    deviations.iter().map(|d| d * d).sum::<f64>().sqrt()
}

#[test]
fn encryption() {
    for setup in Setup::all() {
        let x = setup.message(1);
        let level = setup.params.max_level();
        let noise = &setup.noise;
        let plaintext = setup.encode(&x, level, setup.params.scale(), false);
        let predicted = together(&[noise.encoding_deviation(), noise.secret_deviation()]);
        assert_near(
            &setup,
            "secret key",
            &setup.secret.encrypt(&plaintext).unwrap(),
            &x,
            predicted,
        );
        let predicted = together(&[noise.encoding_deviation(), noise.public_deviation()]);
        assert_near(
            &setup,
            "public key",
            &setup.public.encrypt(&plaintext).unwrap(),
            &x,
            predicted,
        );
    }
}

#[test]
fn rescale() {
    for setup in Setup::all() {
        let x = setup.message(1);
        let level = setup.params.max_level();
        // A product with one, so that nothing else than the rescale adds noise. Its scale is an integer, so that it is
        // encoded exactly, but not the prime, which would divide out exactly.
        let ciphertext = setup.encrypt(&x, level);
        let scale = (0.777 * setup.prime(level)).round();
        let one = setup.encoder.encode_constant(1.0, level, scale, false).unwrap();
        let rescaled = setup
            .evaluator
            .rescale(&setup.evaluator.mul_plain(&ciphertext, &one).unwrap())
            .unwrap();
        // Against the message before, so that the noise of encryption does not count.
        let before = setup.decrypt(&ciphertext);
        assert_near(&setup, "rescale", &rescaled, &before, setup.noise.rounding_deviation());
    }
}

#[test]
fn rotation() {
    for setup in Setup::all() {
        let x = setup.message(1);
        for level in [0, setup.params.max_level()] {
            let ciphertext = setup.encrypt(&x, level);
            let before = rotated(&setup.decrypt(&ciphertext), 5);
            let predicted = together(&[
                setup.noise.rounding_deviation(),
                setup.noise.switching_deviation(level),
            ]);
            let rotation = setup.evaluator.rotate(&ciphertext, 5).unwrap();
            assert_near(&setup, "rotation", &rotation, &before, predicted);
        }
    }
}

#[test]
fn product() {
    for setup in Setup::all() {
        // Of constants of magnitude 1/2: then the noise of each factor counts half everywhere.
        let half = vec![Complex::new(0.5, 0.0); setup.params.slots()];
        let level = setup.params.max_level();
        let (a, b) = (setup.encrypt(&half, level), setup.encrypt(&half, level));
        let product = setup.evaluator.multiply(&a, &b, true).unwrap();
        let (noise, prime) = (&setup.noise, setup.prime(level));
        // Constants are encoded without error.
        let factors = 0.5_f64.sqrt() * noise.secret_deviation() * a.scale / prime;
        let predicted = together(&[
            factors,
            noise.rounding_deviation(),
            noise.switching_deviation(level) / prime,
        ]);
        let expected = times(&half, &half);
        assert_near(&setup, "product", &product, &expected, predicted);
    }
}
