//! A configuration's price, memory and precision, from the program it lowers to.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::price::{Pricer, price_program};
use crate::Result;
use crate::config::Configuration;
use crate::fold::Folded;
use crate::interpret::{NoiseModel, run_clear, run_noisy};
use crate::lowering::{Chain, Lowered, lower};
use crate::program::{Memory, Program};

/// Price of one layer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LayerPrice {
    /// Name of the layer.
    pub layer: String,
    /// Time in milliseconds.
    pub latency_ms: f64,
}

/// An evaluated configuration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evaluated {
    /// The configuration.
    pub configuration: Configuration,
    /// Predicted time of one inference, in milliseconds.
    pub latency_ms: f64,
    /// The same by layer.
    pub layers: Vec<LayerPrice>,
    /// Predicted memory.
    pub memory: Memory,
    /// Test accuracy of the variant, if measured.
    pub accuracy: Option<f64>,
    /// Bits after the binary point in which every logit is right, by simulated noise; none if not simulated.
    pub precision_bits: Option<f64>,
}

/// Lowers a configuration without plaintext values, and prices it.
pub fn evaluate(
    folded: &Folded,
    configuration: &Configuration,
    threads: usize,
    pricer: &dyn Pricer,
) -> Result<Evaluated> {
    let chain = configuration.parameters.ideal_chain()?;
    let lowered = lower(folded, configuration, &chain, false)?;
    Ok(priced(&lowered.program, &chain, configuration, threads, pricer))
}

/// Prices a configuration that was lowered.
pub(super) fn priced(
    program: &Program,
    chain: &Chain,
    configuration: &Configuration,
    threads: usize,
    pricer: &dyn Pricer,
) -> Evaluated {
    let prices = price_program(program, chain, threads, pricer);
    let latency_ms = prices.iter().sum();
    let layers = program
        .layers
        .iter()
        .zip(prices)
        .map(|(layer, latency_ms)| LayerPrice { layer: layer.clone(), latency_ms })
        .collect();
    Evaluated {
        configuration: configuration.clone(),
        latency_ms,
        layers,
        memory: program.memory(chain),
        accuracy: None,
        precision_bits: None,
    }
}

/// Simulates the noise of a configuration, lowered with plaintext values, on images (`[channel][row][column]`,
/// normalised; a random one if there are none), and gives `-log2` of the largest error of any logit.
pub(super) fn precision_bits(
    lowered: &Lowered,
    folded: &Folded,
    configuration: &Configuration,
    chain: &Chain,
    images: &[Vec<f64>],
    seed: u64,
) -> Result<f64> {
    let special_bits = f64::from(configuration.parameters.special_bits);
    let model = NoiseModel::new(chain, special_bits);
    let random = [random_image(folded.input.len(), seed)];
    let images = if images.is_empty() { &random[..] } else { images };
    let mut worst = 0.0f64;
    for (k, image) in images.iter().enumerate() {
        let slots = lowered.encode(image)?;
        let exact = lowered.decode(&run_clear(&lowered.program, &slots)?)?;
        let noisy = run_noisy(&lowered.program, &slots, &model, seed.wrapping_add(k as u64))?;
        let noisy = lowered.decode(&noisy)?;
        worst = exact.iter().zip(noisy).map(|(a, b)| (a - b).abs()).fold(worst, f64::max);
    }
    Ok(-worst.log2())
}

pub(super) fn random_image(len: usize, seed: u64) -> Vec<f64> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    (0..len).map(|_| rng.random::<f64>() * 2.0 - 1.0).collect()
}
