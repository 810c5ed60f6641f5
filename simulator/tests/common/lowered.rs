//! Lowering a configuration, and running it on plain slots.
#![allow(dead_code, clippy::unwrap_used)]

use simulator::chain::Chain;
use simulator::config::Configuration;
use simulator::fold::Folded;
use simulator::interpret::run_clear;
use simulator::lowering::{Lowered, lower};
use simulator::network::Model;

use super::{difference, image};

/// A chain whose moduli are not powers of two, so that a wrong scale shows.
pub fn chain(c: &Configuration) -> Chain {
    let mut chain = c.parameters.ideal_chain().unwrap();
    for (k, q) in chain.moduli.iter_mut().enumerate() {
        *q *= 1.0 + 1e-5 * (k as f64 + 1.0);
    }
    chain
}

/// Checks that a configuration computes the network but for roundings of double precision.
#[track_caller]
pub fn check(model: &Model, c: &Configuration) -> Lowered {
    let folded = Folded::new(model, c).unwrap();
    let chain = chain(c);
    let lowered = lower(&folded, c, &chain, true).unwrap();
    lowered.program.check(&chain).unwrap();
    let image = image(&model.network, 11);
    let outputs = run_clear(&lowered.program, &lowered.encode(&image).unwrap()).unwrap();
    let result = lowered.decode(&outputs).unwrap();
    let plain = model.forward(&image).unwrap();
    let d = difference(&plain, &result);
    assert!(d < 1e-9, "differs by {d:e} for\n{}", c.to_toml().unwrap());
    // Lowering without values gives the same program otherwise.
    let priced = lower(&folded, c, &chain, false).unwrap().program;
    assert_eq!(priced.instructions, lowered.program.instructions);
    assert_eq!(priced.plaintexts.len(), lowered.program.plaintexts.len());
    assert_eq!(c, &Configuration::from_toml(&c.to_toml().unwrap()).unwrap());
    lowered
}
