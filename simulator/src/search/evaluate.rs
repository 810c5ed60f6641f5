//! A configuration's price, memory and precision, from the program it lowers to.

use serde::{Deserialize, Serialize};

use super::price::{Pricer, price_program};
use crate::Result;
use crate::chain::Chain;
use crate::config::Configuration;
use crate::fold::Folded;
use crate::lowering::lower;
use crate::precision::Precision;
use crate::program::{Memory, PlaintextForm, Program};

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
    /// Predicted time of one inference, of all images of a ciphertext, in milliseconds.
    pub latency_ms: f64,
    /// The same by layer.
    pub layers: Vec<LayerPrice>,
    /// Predicted memory with all plaintexts encoded beforehand.
    pub memory: Memory,
    /// The same with plaintexts encoded when they are needed.
    #[serde(default)]
    pub memory_on_demand: Memory,
    /// Test accuracy of the variant, if measured.
    pub accuracy: Option<f64>,
    /// Precision of the results by simulated noise; none if not simulated.
    pub precision: Option<Precision>,
}

impl Evaluated {
    /// Predicted time of one inference, in milliseconds, divided by the images that it is of.
    pub fn image_ms(&self) -> f64 {
        self.latency_ms / self.configuration.images as f64
    }
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
        memory: program.memory(chain, PlaintextForm::Stored),
        memory_on_demand: program.memory(chain, PlaintextForm::ON_DEMAND),
        accuracy: None,
        precision: None,
    }
}
