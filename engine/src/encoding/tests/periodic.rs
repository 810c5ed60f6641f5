//! Vectors of a short period, against all their slots.

use super::*;

fn repeated(values: &[f64], slots: usize) -> Vec<f64> {
    values.iter().copied().cycle().take(slots).collect()
}

#[test]
fn periodic_vectors_give_the_words_of_all_slots() {
    // Even and odd numbers of stages; primes that need corrections and such that do not; parts of 50 bits, one and more.
    for (log_n, bits, log_scales) in
        [(11, 30, [25.0, 40.0]), (12, 50, [30.0, 90.0]), (13, 46, [40.0, 80.0])]
    {
        let params = parameters(log_n, bits, 2);
        let (encoder, slots) = (Encoder::new(&params), params.slots());
        for log_scale in log_scales {
            let scale = f64::exp2(log_scale);
            for period in (0..log_n).map(|log| 1 << log) {
                let values = numbers(period, period as u64 + 3);
                for (level, extended) in [(2, false), (2, true), (1, true)] {
                    if log_scale + 2.0 > f64::from(bits) * (level + 1) as f64 {
                        continue;
                    }
                    let short = encoder.encode_periodic(&values, level, scale, extended).unwrap();
                    let all =
                        encoder.encode(&repeated(&values, slots), level, scale, extended).unwrap();
                    let what = format!("N 2^{log_n}, period {period}, scale 2^{log_scale}");
                    // The same to the last bit, not only up to rounding.
                    assert_eq!(short.poly().words(), all.poly().words(), "{what}");
                    assert_eq!((short.scale, short.level()), (scale, level));
                    assert_eq!((short.n(), short.is_extended()), (params.n(), extended));
                    assert_eq!(encoder.decode(&short).unwrap(), encoder.decode(&all).unwrap());
                    // Twice the period, 32 words at least, if runs are of 8 words at least.
                    let (words, limbs) = ((2 * period).max(32), all.poly().limb_count());
                    if words <= params.n() / 8 {
                        assert_eq!(short.bytes(), 8 * words * limbs, "{what}");
                        assert_eq!(short.run() * words, params.n());
                    } else {
                        assert_eq!(short.bytes(), all.bytes());
                        assert_eq!(short.run(), 1);
                    }
                }
            }
        }
    }
}

#[test]
fn words_that_are_kept_are_those_of_the_limbs() {
    let params = parameters(11, 46, 1);
    let encoder = Encoder::new(&params);
    let plaintext = encoder.encode_periodic(&numbers(64, 1), 1, 40_f64.exp2(), true).unwrap();
    assert_eq!(plaintext.run(), 16);
    for position in 0..3 {
        let limb = plaintext.limb(position);
        assert_eq!(&*limb, plaintext.poly().limb(position));
        let kept = plaintext.kept(position);
        assert_eq!(kept.len(), 2048 / 16);
        assert!(limb.iter().enumerate().all(|(i, word)| *word == kept[i / 16]));
    }
    assert_eq!(plaintext.truncated(0).words(), plaintext.poly().limb(0));
}

#[test]
fn errors_of_periodic_vectors() {
    let params = parameters(11, 46, 1);
    let encoder = Encoder::new(&params);
    let scale = 40_f64.exp2();
    let encode = |values: &[f64], level, scale| {
        message(encoder.encode_periodic(values, level, scale, false))
    };
    for count in [0, 3, 12, 1000, 2048] {
        let expected = format!(
            "values of a period to encode: found {count}, expected a power of two up to 1024, \
             which divides the slots"
        );
        assert_eq!(encode(&vec![0.5; count], 1, scale), expected);
    }
    // As of all slots, for a period that is kept short and one that is not.
    for period in [2, 1024] {
        let mut values = vec![0.5; period];
        assert_eq!(encode(&values, 2, scale), "level to encode at: found 2, expected at most 1");
        assert_eq!(
            encode(&values, 1, 0.0),
            "scale of an encoding: found 0, expected a positive finite number"
        );
        values[1] = f64::NAN;
        assert_eq!(
            encode(&values, 1, scale),
            "value to encode: found NaN in slot 1, expected a finite number"
        );
        assert_eq!(
            encode(&vec![128.0; period], 0, scale),
            "largest coefficient to encode (values times scale): found 2^47.0, \
             expected below 2^45.0, half the modulus at level 0"
        );
    }
    let mut short = encoder.encode_periodic(&[0.5, 1.0], 1, scale, false).unwrap();
    assert_eq!(
        message(encoder.encode_into(&[1.0], scale, &mut short)),
        "plaintext to encode into: found one of a short period, expected one with all its words"
    );
    // Another ring, and a level that is too high.
    let other = Encoder::new(&parameters(12, 46, 2));
    let expected = "ring degree of a plaintext: found 2048, expected 4096";
    assert_eq!(message(other.decode(&short)), expected);
    let deep = Encoder::new(&parameters(11, 46, 2)).encode_periodic(&[0.5], 2, scale, false);
    assert_eq!(
        message(encoder.decode(&deep.unwrap())),
        "level of a plaintext: found 2, expected at most 1"
    );
}
