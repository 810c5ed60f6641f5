//! The noise model: sizes that can be worked out by hand, and the precision of a whole network.

#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use engine::sampling::SIGMA;
use simulator::chain::Chain;
use simulator::fold::{ActivationMethod, Folded};
use simulator::interpret::{NoiseModel, run_clear, run_noisy};
use simulator::lowering::lower;
use simulator::program::ValueInfo;

#[test]
fn fresh_noise_is_what_the_formula_says() {
    let chain = Chain::uniform(13, 3, 40, 1, 1);
    let model = NoiseModel::new(&chain);
    let std = model.fresh(&ValueInfo { level: 3, scale: 40f64.exp2() });
    // An error in each of N coefficients and the rounding of the encoding, half of which is in the real part and all of it.
    let variance = 8192.0 / 2.0 * SIGMA.powi(2) + 8191.0 / 12.0;
    assert!((std / (variance.sqrt() / 40f64.exp2()) - 1.0).abs() < 1e-12);
}

#[test]
fn precision_follows_the_scale() {
    let m = model(lenet(8, 16, 16, 1));
    let folded = Folded::new(&m, ActivationMethod::Square).unwrap();
    let image = image(&m.network, 4);
    let error = |bits: u32, seed: u64| {
        let mut c = phased(13, 16);
        c.parameters.scale_bits = Some(bits);
        c.parameters.prime_bits = bits;
        c.parameters.first_bits = bits + 10;
        c.parameters.special_bits = bits + 10;
        let chain = c.parameters.ideal_chain().unwrap();
        let l = lower(&folded, &c, &chain, true).unwrap();
        let x = l.encode(&image).unwrap();
        let exact = l.decode(&run_clear(&l.program, &x).unwrap()).unwrap();
        let model = NoiseModel::new(&chain);
        let noisy = l.decode(&run_noisy(&l.program, &x, &model, seed).unwrap()).unwrap();
        difference(&exact, &noisy)
    };
    let (low, high) = (error(26, 1), error(34, 1));
    let ratio = (low / high).log2();
    assert!((ratio - 8.0).abs() < 2.0, "8 bits of scale gave {ratio} bits");
    // About log2(scale / (N / 4)) bits.
    assert!((-20.0..-10.0).contains(&low.log2()), "{}", low.log2());
    assert_eq!(error(26, 1), low);
    assert_ne!(error(26, 2), low);
}
