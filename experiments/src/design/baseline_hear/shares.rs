//! What a baseline's time goes into that is its own choice.

use anyhow::Result;
use costmodel::Primitive;
use costmodel::work::Feature;
use simulator::chain::Chain;
use simulator::config::ParameterChoice;

use super::MOST_SPECIAL;
use crate::design::candidate::{Estimate, Shares};
use crate::machine::profiles::Cost;

/// Shares of a program's predicted time.
///
/// # Errors
/// Those of parameters that the engine does not know.
pub fn shares(estimate: &Estimate, cost: &Cost) -> Result<Shares> {
    let own = estimate.candidate.configuration.parameters;
    let time = |parameters: &ParameterChoice| -> Result<f64> {
        Ok(predicted(estimate, &parameters.ideal_chain()?, cost).0)
    };
    let (whole, mut shares) = predicted(estimate, &own.ideal_chain()?, cost);
    let mut best = whole;
    for special in 1..=MOST_SPECIAL {
        let other = ParameterChoice { special, alpha: special, ..own };
        if other.secure() {
            best = best.min(time(&other)?);
        }
    }
    shares.digit_choice_ms = whole - best;
    Ok(shares)
}

/// Predicted time of a program under a chain, and the shares of it but for the digits'.
fn predicted(estimate: &Estimate, chain: &Chain, cost: &Cost) -> (f64, Shares) {
    let mut all = 0.0;
    let mut shares =
        Shares { digit_choice_ms: 0.0, plaintext_reading_ms: 0.0, plaintext_products_ms: 0.0 };
    for (_, primitive, level) in estimate.lowered.program.primitives() {
        let prediction = cost.model.predict(&primitive, &chain.setting(level, cost.threads));
        let term = |feature: Feature| {
            let found = prediction.terms.iter().find(|(label, _)| *label == feature.label());
            found.map_or(0.0, |(_, ms)| *ms)
        };
        all += prediction.median_ms;
        shares.plaintext_reading_ms += term(Feature::PlaintextBytes);
        if matches!(primitive, Primitive::Linear(shape) if shape.plaintexts > 0) {
            shares.plaintext_products_ms += term(Feature::DotProducts);
        }
    }
    (all, shares)
}
