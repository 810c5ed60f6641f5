//! Every operation does to the slots what its name says, at every parameter shape and level, up to the error derived.

#![allow(clippy::unwrap_used)]

mod common;

use common::{Setup, conjugate, identical, minus, plus, rotated, times};
use engine::cipher::Ciphertext;
use engine::encoding::Complex;

/// Two messages, their ciphertexts at `level`.
struct Pair {
    x: Vec<Complex>,
    y: Vec<Complex>,
    a: Ciphertext,
    b: Ciphertext,
}

fn pair(setup: &Setup, level: usize) -> Pair {
    let (x, y) = (setup.message(1), setup.message(2));
    let (a, b) = (setup.encrypt(&x, level), setup.encrypt(&y, level));
    Pair { x, y, a, b }
}

/// Runs a test on every setup and at the highest level, one in between, and the lowest.
fn everywhere(test: impl Fn(&Setup, usize, &Pair)) {
    for setup in Setup::all() {
        let highest = setup.params.max_level();
        let mut levels = vec![0, 1, highest / 2, highest - 1, highest];
        levels.dedup();
        for level in levels {
            test(&setup, level, &pair(&setup, level));
        }
    }
}

#[test]
fn encryption() {
    everywhere(|setup, level, Pair { x, a, .. }| {
        setup.assert_close("secret-key encryption", a, x, setup.noise.fresh());
        let plaintext = setup.encode(x, level, setup.params.scale(), false);
        let public = setup.public.encrypt(&plaintext).unwrap();
        setup.assert_close("public-key encryption", &public, x, setup.noise.fresh_public());
        // Encryption is randomised.
        assert!(!identical(a, &setup.secret.encrypt(&plaintext).unwrap()));
        assert!(!identical(&public, &setup.public.encrypt(&plaintext).unwrap()));
        // Extended plaintexts encrypt as well.
        let extended = setup.encode(x, level, setup.params.scale(), true);
        let public = setup.public.encrypt(&extended).unwrap();
        setup.assert_close("of an extended plaintext", &public, x, setup.noise.fresh_public());
    });
}

#[test]
fn sums() {
    everywhere(|setup, level, Pair { x, y, a, b }| {
        let (fresh, encoding) = (setup.noise.fresh(), setup.noise.encoding());
        let ev = &setup.evaluator;
        setup.assert_close("add", &ev.add(a, b).unwrap(), &plus(x, y), 2.0 * fresh);
        setup.assert_close("sub", &ev.sub(a, b).unwrap(), &minus(x, y), 2.0 * fresh);
        let plaintext = setup.encode(y, level, setup.params.scale(), false);
        let sum = ev.add_plain(a, &plaintext).unwrap();
        setup.assert_close("add_plain", &sum, &plus(x, y), fresh + encoding);
        // A plaintext of a higher level serves too, and gives the same.
        let higher = setup.encode(y, setup.params.max_level(), setup.params.scale(), true);
        assert!(identical(&sum, &ev.add_plain(a, &higher).unwrap()));
        // Exactly: (a + b) - b = a.
        assert!(identical(&ev.sub(&ev.add(a, b).unwrap(), b).unwrap(), a));
        assert!(identical(&ev.add(a, b).unwrap(), &ev.add(b, a).unwrap()));
    });
}

#[test]
fn products_with_plaintexts() {
    everywhere(|setup, level, Pair { x, y, a, .. }| {
        if level == 0 {
            return;
        }
        let (ev, noise) = (&setup.evaluator, &setup.noise);
        let prime = setup.prime(level);
        let plaintext = setup.encode(y, level, prime, false);
        let product = ev.mul_plain(a, &plaintext).unwrap();
        let error = noise.product([a.scale, prime], [noise.fresh(), noise.encoding()]);
        assert_eq!(product.scale, a.scale * prime);
        setup.assert_close("mul_plain", &product, &times(x, y), error);
        let higher = setup.encode(y, setup.params.max_level(), prime, true);
        assert!(identical(&product, &ev.mul_plain(a, &higher).unwrap()));

        let rescaled = ev.rescale(&product).unwrap();
        assert_eq!((rescaled.level(), rescaled.scale), (level - 1, a.scale));
        let error = error / prime + noise.rounding();
        setup.assert_close("rescale", &rescaled, &times(x, y), error);
    });
}

#[test]
fn products() {
    everywhere(|setup, level, Pair { x, y, a, b }| {
        if level == 0 {
            return;
        }
        let (ev, noise, prime) = (&setup.evaluator, &setup.noise, setup.prime(level));
        let error = noise.product([a.scale, b.scale], [noise.fresh(); 2]);
        let switching = noise.switching(level);
        let product = ev.multiply(a, b, false).unwrap();
        assert_eq!((product.level(), product.scale), (level, a.scale * b.scale));
        setup.assert_close(
            "multiply",
            &product,
            &times(x, y),
            error + switching + noise.rounding(),
        );
        assert!(identical(&product, &ev.multiply(b, a, false).unwrap()));

        let rescaled = ev.multiply(a, b, true).unwrap();
        assert_eq!((rescaled.level(), rescaled.scale), (level - 1, a.scale * b.scale / prime));
        let merged = (error + switching) / prime + noise.rounding();
        setup.assert_close("multiply with rescale", &rescaled, &times(x, y), merged);
        // Two roundings instead of one.
        let apart = ev.rescale(&product).unwrap();
        let error = merged + noise.rounding() / prime;
        setup.assert_close("multiply, then rescale", &apart, &times(x, y), error);

        let square = ev.sum_squares(&[a], true).unwrap();
        setup.assert_close("square", &square, &times(x, x), merged);
        assert!(identical(&square, &ev.multiply(a, a, true).unwrap()));
    });
}

#[test]
fn sums_of_squares() {
    everywhere(|setup, level, Pair { x, y, a, b }| {
        if level == 0 {
            return;
        }
        // The third summand keeps the sum below the modulus of level 1 in every set.
        let (ev, noise, prime) = (&setup.evaluator, &setup.noise, setup.prime(level));
        let expected = plus(&plus(&times(x, x), &times(y, y)), &times(x, x));
        let error = 3.0 * noise.product([a.scale, a.scale], [noise.fresh(); 2]);
        let switching = noise.switching(level);
        let sum = ev.sum_squares(&[a, b, a], false).unwrap();
        setup.assert_close("sum_squares", &sum, &expected, error + switching + noise.rounding());
        let sum = ev.sum_squares(&[a, b, a], true).unwrap();
        let error = (error + switching) / prime + noise.rounding();
        setup.assert_close("sum_squares with rescale", &sum, &expected, error);
        assert_eq!((sum.level(), sum.scale), (level - 1, a.scale * a.scale / prime));
    });
}

#[test]
fn rotations() {
    everywhere(|setup, level, Pair { x, a, .. }| {
        let (ev, slots) = (&setup.evaluator, setup.params.slots());
        let error = setup.noise.fresh() + setup.noise.rotation(level);
        let shifts = [1, 2, 5, 17, 64, slots - 1];
        for shift in shifts {
            let rotation = ev.rotate(a, shift).unwrap();
            assert_eq!((rotation.level(), rotation.scale), (level, a.scale));
            setup.assert_close("rotate", &rotation, &rotated(x, shift), error);
            // Shifts count modulo the slots: a rotation to the right by r is one to the left by slots - r.
            assert!(identical(&rotation, &ev.rotate(a, shift + slots).unwrap()));
        }
        // By nothing: exactly the same, and no key is needed.
        assert!(identical(&ev.rotate(a, 0).unwrap(), a));
        assert!(identical(&ev.rotate(a, slots).unwrap(), a));
        // There and back.
        let back = ev.rotate(&ev.rotate(a, 1).unwrap(), slots - 1).unwrap();
        setup.assert_close("rotate back", &back, x, error + setup.noise.rotation(level));

        // Hoisted rotations use the same digits in the same operations: the same, word for word.
        let mut hoisted_shifts = shifts.to_vec();
        hoisted_shifts.extend([0, 5]);
        let hoisted = ev.rotate_hoisted(a, &hoisted_shifts).unwrap();
        assert_eq!(hoisted.len(), hoisted_shifts.len());
        for (shift, hoisted) in hoisted_shifts.iter().zip(&hoisted) {
            if *shift != 0 {
                assert!(
                    identical(hoisted, &ev.rotate(a, *shift).unwrap()),
                    "{}: {shift}",
                    setup.name
                );
            }
            setup.assert_close("rotate_hoisted", hoisted, &rotated(x, *shift), error);
        }
        assert!(ev.rotate_hoisted(a, &[]).unwrap().is_empty());
    });
}

#[test]
fn conjugation() {
    everywhere(|setup, level, Pair { x, a, .. }| {
        let ev = &setup.evaluator;
        let error = setup.noise.fresh() + setup.noise.rotation(level);
        let conjugated = ev.conjugate(a).unwrap();
        setup.assert_close("conjugate", &conjugated, &conjugate(x), error);
        let twice = ev.conjugate(&conjugated).unwrap();
        setup.assert_close("conjugate twice", &twice, x, error + setup.noise.rotation(level));
    });
}

#[test]
fn dropping_levels() {
    everywhere(|setup, level, Pair { x, a, .. }| {
        for lower in 0..=level {
            let dropped = setup.evaluator.drop_level(a, lower).unwrap();
            assert_eq!((dropped.level(), dropped.scale), (lower, a.scale));
            setup.assert_close("drop_level", &dropped, x, setup.noise.fresh());
        }
        assert!(identical(&setup.evaluator.drop_level(a, level).unwrap(), a));
    });
}

#[test]
fn the_whole_depth() {
    for setup in Setup::all() {
        // One product with a plaintext of scale q_l a level keeps the scale exactly.
        let x = setup.message(3);
        let mut ciphertext = setup.encrypt(&x, setup.params.max_level());
        let (mut expected, mut error) = (x, setup.noise.fresh());
        for level in (1..=setup.params.max_level()).rev() {
            let factor = setup.message(100 + level as u64);
            let plaintext = setup.encode(&factor, level, setup.prime(level), false);
            let product = setup.evaluator.mul_plain(&ciphertext, &plaintext).unwrap();
            ciphertext = setup.evaluator.rescale(&product).unwrap();
            let scales = [ciphertext.scale, setup.prime(level)];
            let product = setup.noise.product(scales, [error, setup.noise.encoding()]);
            error = product / setup.prime(level) + setup.noise.rounding();
            expected = times(&expected, &factor);
        }
        assert_eq!((ciphertext.level(), ciphertext.scale), (0, setup.params.scale()));
        setup.assert_close("the whole depth", &ciphertext, &expected, error);
    }
}
