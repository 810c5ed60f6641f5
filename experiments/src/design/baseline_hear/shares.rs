//! What a baseline's time goes into that is its own choice.

use anyhow::Result;
use costmodel::Primitive;
use costmodel::work::Feature;
use serde::Serialize;
use simulator::chain::Chain;
use simulator::config::ParameterChoice;

use super::MOST_SPECIAL;
use crate::design::candidate::Paper;
use crate::machine::profiles::Cost;

/// Shares of a baseline's predicted time, in milliseconds, as calibrated.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Shares {
    /// What its number of digits costs: its predicted time less that of the same instructions, on the same ring and with the
    /// same levels, with the best number of special primes, 1 to 8, each with digits of as many limbs, that is secure there.
    pub digit_choice_ms: f64,
    /// Reading encoded plaintexts from memory: the cost model's term for bytes of plaintexts, of all instructions. Neither
    /// arithmetic on them is part of it, nor encoding them where that is done on demand.
    pub plaintext_reading_ms: f64,
    /// Multiplying plaintexts and ciphertexts, and adding the products up: the cost model's term for such products, of the
    /// instructions that have plaintext factors. Reading them is not part of it.
    pub plaintext_products_ms: f64,
}

/// Shares of a program's predicted time.
///
/// # Errors
/// Those of parameters that the engine does not know.
pub fn shares(paper: &Paper, cost: &Cost) -> Result<Shares> {
    let own = paper.candidate.configuration.parameters;
    let time = |parameters: &ParameterChoice| -> Result<f64> {
        Ok(predicted(paper, &parameters.ideal_chain()?, cost).0)
    };
    let (whole, mut shares) = predicted(paper, &own.ideal_chain()?, cost);
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
fn predicted(paper: &Paper, chain: &Chain, cost: &Cost) -> (f64, Shares) {
    let mut all = 0.0;
    let mut shares =
        Shares { digit_choice_ms: 0.0, plaintext_reading_ms: 0.0, plaintext_products_ms: 0.0 };
    for (_, primitive, level) in paper.lowered.program.primitives() {
        let prediction = cost.raw.predict(&primitive, &chain.setting(level, cost.threads));
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
