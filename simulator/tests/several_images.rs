//! Several images in a ciphertext: each as if it were alone in one of as many times fewer slots.

#![allow(clippy::unwrap_used)]

mod common;

use common::found::{encrypted_images, search, space};
use common::lowered::{chain, check};
use common::*;
use simulator::config::Configuration;
use simulator::fold::{ActivationMethod, Folded};
use simulator::interpret::{NoiseModel, predict_precision, run_clear};
use simulator::lowering::lower;
use simulator::precision::{Demand, Precision};
use simulator::program::{Op, PlaintextForm};
use simulator::search::Space;

/// A configuration of a ring, for `images` images of as many times more slots.
fn shared(alone: &Configuration, images: usize) -> Configuration {
    let mut shared = alone.clone();
    shared.images = images;
    shared.parameters.log_n += images.ilog2();
    shared
}

/// The rotations of every instruction, in order.
fn rotations(op: &Op) -> Vec<u32> {
    match op {
        Op::RotateHoisted { shifts, .. } => shifts.clone(),
        Op::Linear { terms, .. } => terms.iter().map(|t| t.shift).collect(),
        _ => Vec::new(),
    }
}

#[test]
fn each_image_is_computed_as_if_alone() {
    let model = model(lenet(8, 8, 8, 1));
    for alone in [raster(13, ActivationMethod::Square), phased(13, 8)] {
        let folded = Folded::new(&model, &alone).unwrap();
        let one = lower(&folded, &alone, &chain(&alone), true).unwrap();
        for images in [2, 4] {
            let together = shared(&alone, images);
            let lowered = check(&model, &together);
            let many = &lowered.program;
            assert_eq!(many.slots, images * one.program.slots);
            assert_eq!(many.instructions.len(), one.program.instructions.len());
            for (a, b) in one.program.instructions.iter().zip(&many.instructions) {
                let apart = rotations(&a.op).iter().map(|r| r * images as u32).collect::<Vec<_>>();
                assert_eq!(rotations(&b.op), apart);
            }
            // As many keys; and plaintexts as many times larger as the ring, but for the shortest, which have some slack.
            let keys = many.keys().rotations.len();
            assert_eq!(keys, one.program.keys().rotations.len());
            let bytes = [(&one.program, &alone), (many, &together)].map(|(program, c)| {
                program.memory(&chain(c), PlaintextForm::Stored).plaintexts_bytes
            });
            assert!(bytes[1] <= images as u64 * bytes[0]);
            let pixels: Vec<_> = (0..images).map(|k| image(&model.network, k as u64 + 3)).collect();
            // Fewer than there are places; and each in its own, whatever is in the others.
            for count in 1..=images {
                let slots = lowered.encode_images(&pixels[..count]).unwrap();
                let outputs = run_clear(many, &slots).unwrap();
                let results = lowered.decode_images(&outputs, count).unwrap();
                assert_eq!(results.len(), count);
                for (pixels, result) in pixels.iter().zip(results) {
                    let own = run_clear(&one.program, &one.encode(pixels).unwrap()).unwrap();
                    // The same sums and products in the same order: the same bits.
                    assert_eq!(result, one.decode(&own).unwrap());
                }
            }
            // What no image's result is in is beside them.
            let outputs = run_clear(many, &lowered.encode_images(&pixels).unwrap()).unwrap();
            let own = pixels.iter().map(|pixels| {
                one.beside(&run_clear(&one.program, &one.encode(pixels).unwrap()).unwrap()).unwrap()
            });
            assert_eq!(lowered.beside(&outputs).unwrap(), own.fold(0.0, f64::max));
        }
    }
}

/// The search for so many images is that of a ring of as many times fewer slots, priced in its own; what it finds keeps the
/// precision that it predicts, encrypted, for every image.
#[test]
fn what_is_found_for_several_images_runs_encrypted() {
    let model = model(lenet(8, 8, 8, 2));
    let pixels: Vec<_> = (0..4).map(|k| image(&model.network, k)).collect();
    let wanted = Demand::Relative(8.0);
    let space = Space { images: 2, ..space(ActivationMethod::PairedSquare) };
    let best = search(&model, &space, wanted, &pixels).unwrap().best.unwrap();
    assert_eq!(best.configuration.images, 2);
    assert_eq!(best.image_ms(), best.latency_ms / 2.0);
    check(&model, &best.configuration);
    let found = encrypted_images(&model, &best.configuration, &pixels);
    let predicted = best.precision.unwrap();
    // Of one run in four the prediction is beyond; a bit and a half more is the largest of four images' errors, with errors of
    // their keys, in fewer than one in a thousand (they halve the share of what is beyond with every 0.35 of a deviation).
    assert!(found.relative_bits > predicted.relative_bits - 1.5, "{found:?} {predicted:?}");
}

/// The precision predicted for several images together is that of each.
#[test]
fn precision_does_not_depend_on_who_else_is_there() {
    let model = model(lenet(8, 8, 8, 1));
    let alone = shared(&raster(13, ActivationMethod::Square), 1);
    let together = shared(&alone, 2);
    let pixels: Vec<_> = (0..5).map(|k| image(&model.network, k)).collect();
    let exact: Vec<_> = pixels.iter().map(|p| model.forward(p).unwrap()).collect();
    let predicted = [&alone, &together].map(|c| -> Precision {
        let (folded, chain) = (Folded::new(&model, c).unwrap(), chain(c));
        let lowered = lower(&folded, c, &chain, true).unwrap();
        let model = NoiseModel::new(&chain);
        predict_precision(&lowered, &model, &pixels, &exact, 1).unwrap()
    });
    // Twice the ring has noise of 1.4 times the size or, where a digit's keys count, as many times as coefficients: a bit.
    let lost = predicted[0].absolute_bits - predicted[1].absolute_bits;
    assert!((-0.5..1.5).contains(&lost), "{predicted:?}");
}

#[test]
fn numbers_of_images_that_do_not_fit_are_refused() {
    let model = model(lenet(8, 8, 8, 1));
    let good = raster(13, ActivationMethod::Square);
    let folded = Folded::new(&model, &good).unwrap();
    let told = |images: usize| {
        let c = Configuration { images, ..good.clone() };
        lower(&folded, &c, &chain(&c), false).unwrap_err().to_string()
    };
    for images in [0, 3, 8192, usize::MAX] {
        let expected = format!("images is {images}, expected a power of two up to the 4096 slots");
        assert!(told(images).starts_with(&expected), "{}", told(images));
    }
    // Layouts that need all slots.
    let error = told(2);
    assert!(error.contains("with 2 images in a ciphertext, each has 2048 slots"), "{error}");
    // One is not written, and others are.
    assert!(!good.to_toml().unwrap().contains("images"));
    let text = shared(&good, 4).to_toml().unwrap();
    assert!(text.contains("images = 4"), "{text}");
    assert_eq!(Configuration::from_toml(&text).unwrap(), shared(&good, 4));
    let space = Space { images: 3, ..space(ActivationMethod::Square) };
    let error = search(&model, &space, Demand::Relative(1.0), &[]).err().unwrap().to_string();
    assert!(error.contains("images is 3"), "{error}");
}
