//! Tests of encoding as a whole: precision, ring structure, errors.

mod periodic;

use proptest::prelude::*;

use super::{Complex, Encoder};
use crate::Error;
use crate::cipher::Plaintext;
use crate::kernels::kernels;
use crate::params::{Parameters, ParametersLiteral};
use crate::poly::{Automorphism, RnsPoly};

fn parameters(log_n: u32, bits: u32, depth: usize) -> Parameters {
    let mut literal = ParametersLiteral::uniform(log_n, bits, bits, depth, (1, bits), 1).unwrap();
    literal.allow_insecure = true;
    // The special prime must not be below the digits.
    literal.chain = match literal.chain {
        crate::params::Chain::Bits { first, scale, .. } => {
            crate::params::Chain::Bits { first, scale, special: vec![(bits + 1).min(50)] }
        }
        chain => chain,
    };
    Parameters::new(&literal).unwrap()
}

/// Numbers in `(-1, 1)`, the same for the same seed.
fn numbers(count: usize, mut seed: u64) -> Vec<f64> {
    let mut next = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

fn complex_numbers(count: usize, seed: u64) -> Vec<Complex> {
    let (re, im) = (numbers(count, seed), numbers(count, seed ^ 0xabcd));
    re.into_iter().zip(im).map(|(re, im)| Complex { re, im }).collect()
}

/// What rounding to integers can do to a slot. Each of N coefficients errs by at most 1/2, evenly spread: variance
/// 1/12. A slot sums them with weights of magnitude 1, so each of its parts has variance N/24; 7 deviations bound
/// every slot of every test here. The transforms err by a few units in the last place of the largest slots.
fn bound(params: &Parameters, scale: f64, largest: f64) -> f64 {
    let rounding = 7.0 * (params.n() as f64 / 24.0).sqrt() / scale;
    rounding + 64.0 * f64::EPSILON * largest
}

fn distance(a: &[Complex], b: &[Complex]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a.re - b.re).hypot(a.im - b.im)).fold(0.0, f64::max)
}

/// Applies a function of limbs to two plaintexts.
fn combine(
    params: &Parameters,
    a: &Plaintext,
    b: &Plaintext,
    scale: f64,
    f: impl Fn(&mut [u64], &[u64], usize),
) -> Plaintext {
    let mut poly = a.poly().into_owned();
    for (i, (x, y)) in poly.limbs_mut().zip(b.poly().limbs()).enumerate() {
        f(x, y, params.limb_index(a.level(), i));
    }
    Plaintext::new(poly, scale)
}

/// Applies an automorphism.
fn apply(params: &Parameters, plaintext: &Plaintext, galois: usize) -> Plaintext {
    let automorphism = Automorphism::new(params.log_n(), galois);
    let mut poly = RnsPoly::zero(params, plaintext.level(), plaintext.is_extended());
    for (out, limb) in poly.limbs_mut().zip(plaintext.poly().limbs()) {
        automorphism.apply(out, limb);
    }
    Plaintext::new(poly, plaintext.scale)
}

#[test]
fn round_trips_at_every_level_and_scale() {
    for (log_n, bits, depth) in [(11, 20, 5), (12, 30, 3), (13, 46, 3), (14, 50, 2), (16, 46, 1)] {
        let params = parameters(log_n, bits, depth);
        let encoder = Encoder::new(&params);
        let values = complex_numbers(params.slots(), 7);
        for level in 0..=depth {
            for log_scale in [0.5, 0.75, 0.9, 1.2, 1.9, 2.5].map(|part| part * f64::from(bits)) {
                // The coefficients of such values are far below the values themselves.
                if log_scale + 2.0 > f64::from(bits) * (level + 1) as f64 || log_scale > 100.0 {
                    continue;
                }
                let scale = log_scale.exp2();
                for extended in [false, true] {
                    let plaintext =
                        encoder.encode_complex(&values, level, scale, extended).unwrap();
                    assert_eq!(plaintext.poly().limb_count(), level + 1 + usize::from(extended));
                    let error = distance(&encoder.decode_complex(&plaintext).unwrap(), &values);
                    let bound = bound(&params, scale, 1.5);
                    assert!(
                        error < bound,
                        "N 2^{log_n} level {level} scale 2^{log_scale}: {error:e} {bound:e}"
                    );
                }
            }
        }
    }
}

#[test]
fn special_limbs_hold_the_same_integers() {
    let params = parameters(11, 46, 1);
    let encoder = Encoder::new(&params);
    let plaintext = encoder.encode(&numbers(1024, 3), 1, 40_f64.exp2(), true).unwrap();
    let poly = plaintext.poly().into_owned();
    assert_eq!(poly.limb_count(), 3);
    let coefficients = poly.into_coefficients(&params);
    let limbs: Vec<&[u64]> = coefficients.limbs().collect();
    let centred = |position: usize| -> Vec<i64> {
        let q = params.modulus(params.limb_index(1, position)).value();
        let lift = |&x: &u64| if x > q / 2 { x as i64 - q as i64 } else { x as i64 };
        limbs[position].iter().map(lift).collect()
    };
    assert_eq!(centred(0), centred(1));
    assert_eq!(centred(0), centred(2));
}

#[test]
fn automorphisms_rotate_to_the_left_and_conjugate() {
    let params = parameters(12, 46, 1);
    let (encoder, scale) = (Encoder::new(&params), 40_f64.exp2());
    let values = complex_numbers(params.slots(), 1);
    let plaintext = encoder.encode_complex(&values, 1, scale, true).unwrap();
    let bound = bound(&params, scale, 1.5);
    for shift in [0, 1, 2, 5, 64, 1000, 2047] {
        let galois = Automorphism::galois_of_rotation(params.log_n(), shift);
        let mut expected = values.clone();
        expected.rotate_left(shift);
        let found = encoder.decode_complex(&apply(&params, &plaintext, galois)).unwrap();
        assert!(distance(&found, &expected) < bound, "shift {shift}");
    }
    let galois = Automorphism::galois_of_conjugation(params.log_n());
    let expected: Vec<_> = values.iter().map(|v| Complex::new(v.re, -v.im)).collect();
    let found = encoder.decode_complex(&apply(&params, &plaintext, galois)).unwrap();
    assert!(distance(&found, &expected) < bound);
}

#[test]
fn products_and_sums_are_slotwise() {
    let params = parameters(12, 46, 2);
    let (encoder, scale) = (Encoder::new(&params), 40_f64.exp2());
    let (x, y) = (complex_numbers(params.slots(), 5), complex_numbers(params.slots(), 6));
    let a = encoder.encode_complex(&x, 2, scale, false).unwrap();
    let b = encoder.encode_complex(&y, 2, scale, false).unwrap();

    let sum = combine(&params, &a, &b, scale, |u, v, i| (kernels().add)(u, v, params.modulus(i)));
    let expected: Vec<_> =
        x.iter().zip(&y).map(|(x, y)| Complex::new(x.re + y.re, x.im + y.im)).collect();
    let found = encoder.decode_complex(&sum).unwrap();
    assert!(distance(&found, &expected) < 2.0 * bound(&params, scale, 1.5));

    let product = combine(&params, &a, &b, scale * scale, |u, v, i| {
        let copy = u.to_vec();
        (kernels().mul)(u, &copy, v, params.modulus(i));
    });
    let expected: Vec<_> = x
        .iter()
        .zip(&y)
        .map(|(x, y)| Complex::new(x.re * y.re - x.im * y.im, x.re * y.im + x.im * y.re))
        .collect();
    let found = encoder.decode_complex(&product).unwrap();
    // Each error meets the other factor, of magnitude below 1.5.
    assert!(distance(&found, &expected) < 3.1 * bound(&params, scale, 1.5));
}

#[test]
fn few_values_are_followed_by_zeros() {
    let params = parameters(11, 46, 1);
    let (encoder, scale) = (Encoder::new(&params), 45_f64.exp2());
    for count in [0, 1, 3, 1023] {
        let values = numbers(count, 9);
        let decoded =
            encoder.decode(&encoder.encode(&values, 0, scale / 8.0, false).unwrap()).unwrap();
        for (i, found) in decoded.iter().enumerate() {
            let expected = values.get(i).copied().unwrap_or(0.0);
            assert!((found - expected).abs() < bound(&params, scale / 8.0, 1.0), "{count} {i}");
        }
    }
}

#[test]
fn constants_agree_with_the_long_way() {
    let params = parameters(11, 46, 2);
    let encoder = Encoder::new(&params);
    for scale in [30_f64, 46.0, 90.0].map(f64::exp2) {
        for value in [0.0, 1.0, -1.0, 0.123_456_789, -3.75] {
            let short = encoder.encode_constant(value, 2, scale, true).unwrap();
            let all = encoder.encode(&vec![value; 1024], 2, scale, true).unwrap();
            assert_eq!(short.poly().words(), all.poly().words());
            let complex = vec![Complex::new(value, 0.0); 1024];
            let all = encoder.encode_complex(&complex, 2, scale, true).unwrap();
            assert_eq!(short.poly().words(), all.poly().words());
            let decoded = encoder.decode(&short).unwrap();
            let tolerance = 1.0 / scale + 1e-14;
            assert!(decoded.iter().all(|d| (d - value).abs() < tolerance), "{value} {scale}");
        }
    }
    // What is nearly constant is not.
    let mut values = vec![1.0; 1024];
    values[1023] = 2.0;
    let decoded =
        encoder.decode(&encoder.encode(&values, 1, 40_f64.exp2(), false).unwrap()).unwrap();
    assert!((decoded[1023] - 2.0).abs() < 1e-9 && (decoded[0] - 1.0).abs() < 1e-9);
}

#[test]
fn encoding_again_into_the_same_plaintext() {
    let params = parameters(11, 46, 2);
    let (encoder, scale) = (Encoder::new(&params), 40_f64.exp2());
    let mut plaintext = encoder.encode(&numbers(1024, 1), 1, scale, true).unwrap();
    for count in [1024, 10] {
        let values = numbers(count, 2);
        encoder.encode_into(&values, scale * 2.0, &mut plaintext).unwrap();
        let fresh = encoder.encode(&values, 1, scale * 2.0, true).unwrap();
        assert_eq!(plaintext.poly().words(), fresh.poly().words());
        assert_eq!(plaintext.scale, scale * 2.0);
    }
}

fn message<T>(result: crate::Result<T>) -> String {
    match result {
        Ok(_) => "no error".into(),
        Err(error @ Error::Argument { .. }) => error.to_string(),
        Err(error) => panic!("wrong kind: {error}"),
    }
}

#[test]
fn errors_say_what_was_found_and_expected() {
    let params = parameters(11, 46, 1);
    let encoder = Encoder::new(&params);
    let encode =
        |values: &[f64], level, scale| message(encoder.encode(values, level, scale, false));
    let scale = 40_f64.exp2();
    assert_eq!(
        encode(&[0.5; 1025], 1, scale),
        "values to encode: found 1025, expected at most 1024, one per slot"
    );
    assert_eq!(encode(&[0.5], 2, scale), "level to encode at: found 2, expected at most 1");
    assert_eq!(
        encode(&[0.5, f64::NAN], 1, scale),
        "value to encode: found NaN in slot 1, expected a finite number"
    );
    assert_eq!(
        encode(&[f64::INFINITY; 1024], 1, scale),
        "value to encode: found inf in slot 0, expected a finite number"
    );
    for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert_eq!(
            encode(&[0.5], 1, bad),
            format!("scale of an encoding: found {bad}, expected a positive finite number")
        );
    }
    let large = "largest coefficient to encode (values times scale): found 2^47.0, \
                 expected below 2^45.0, half the modulus at level 0";
    assert_eq!(encode(&[128.0; 1024], 0, scale), large);
    let mut values = vec![128.0; 1024];
    values[7] = 127.99;
    assert_eq!(encode(&values, 0, scale), large);
    assert_eq!(encode(&values, 1, scale), "no error");
    assert!(encode(&values, 1, 1000_f64.exp2()).contains("found 2^1007.0, expected below 2^91.0"));
    assert!(encode(&[1e300; 10], 1, 1000_f64.exp2()).contains("found 2^inf"));

    let complex = [Complex::new(0.0, f64::NAN)];
    assert_eq!(
        message(encoder.encode_complex(&complex, 1, scale, false)),
        "value to encode: found NaN in slot 0, expected a finite number"
    );
    assert!(
        message(encoder.encode_complex(&[complex[0]; 2000], 1, scale, false))
            .contains("found 2000")
    );
    assert!(message(encoder.encode_constant(f64::NAN, 1, scale, false)).contains("found NaN"));
    assert!(
        message(encoder.encode_constant(1.0, 0, 46_f64.exp2(), false)).contains("found 2^46.0")
    );

    let other = Encoder::new(&parameters(12, 46, 2));
    let mut plaintext = other.encode(&[1.0], 2, scale, false).unwrap();
    let expected = "ring degree of a plaintext: found 4096, expected 2048";
    assert_eq!(message(encoder.decode(&plaintext)), expected);
    assert_eq!(message(encoder.encode_into(&[1.0], scale, &mut plaintext)), expected);
    let deep = Encoder::new(&parameters(11, 46, 2)).encode(&[1.0], 2, scale, false).unwrap();
    assert_eq!(message(encoder.decode(&deep)), "level of a plaintext: found 2, expected at most 1");
    let mut plaintext = encoder.encode(&[1.0], 1, scale, false).unwrap();
    plaintext.scale = f64::NAN;
    assert!(
        message(encoder.decode_complex(&plaintext)).starts_with("scale of an encoding: found NaN")
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn round_trip(
        bits in prop::sample::select(vec![20_u32, 30, 46, 50]), level in 0_usize..4,
        part in 0.4..0.95_f64, size in -10.0..10.0_f64, seed: u64,
    ) {
        let params = parameters(11, bits, 3);
        let encoder = Encoder::new(&params);
        let size = size.exp2();
        // The largest coefficient is at most the largest magnitude of a slot times the scale.
        let log_q = f64::from(bits) * (level + 1) as f64;
        let scale = (part * (log_q - 2.0)).exp2() / size;
        let values: Vec<_> = complex_numbers(1024, seed)
            .iter()
            .map(|v| Complex::new(v.re * size, v.im * size))
            .collect();
        let plaintext = encoder.encode_complex(&values, level, scale, false).unwrap();
        let error = distance(&encoder.decode_complex(&plaintext).unwrap(), &values);
        prop_assert!(error < bound(&params, scale, 1.5 * size), "{error:e}");
    }
}
