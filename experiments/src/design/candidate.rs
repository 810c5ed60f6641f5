//! The estimate of a configuration: its parameters, its program, and what it is predicted to take.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context, Result};
use costmodel::measure::Sequence;
use costmodel::{CostModel, Setting};
use engine::params::Parameters;
use serde::Serialize;
use simulator::chain::Chain;
use simulator::config::Configuration;
use simulator::fold::Folded;
use simulator::lowering::{Lowered, lower};
use simulator::network::Model;
use simulator::program::{PlaintextForm, PlaintextSpec, Program};

use crate::design::batch::PredictedBatch;
use crate::inputs::networks::Source;
use crate::machine::profiles::Cost;

/// A configuration to run, with the network it belongs to.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// What reports call it.
    pub name: String,
    /// Network and weights.
    pub model: Arc<Model>,
    /// Accuracy of these weights on the test set, as recorded.
    pub recorded_accuracy: Option<f64>,
    /// How it is to be computed.
    pub configuration: Configuration,
}

/// Predicted memory by purpose, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct PredictedMemory {
    /// Everything together.
    pub total_bytes: u64,
    /// Evaluation keys.
    pub keys_bytes: u64,
    /// Plaintexts: encoded; on demand, as values, and the largest batch of encoded ones.
    pub plaintexts_bytes: u64,
    /// Ciphertexts alive at the instruction that takes the most with its scratch.
    pub ciphertexts_bytes: u64,
    /// Scratch of that instruction.
    pub scratch_bytes: u64,
}

/// Prediction for one layer.
#[derive(Debug, Clone, PartialEq)]
pub struct EstimatedLayer {
    /// Index into the program's layers.
    pub index: usize,
    /// Name.
    pub name: String,
    /// Level of its first instruction.
    pub level: usize,
    /// Instructions.
    pub instructions: usize,
    /// Rotations (key switches).
    pub rotations: usize,
    /// Products of a plaintext and a ciphertext.
    pub products: usize,
    /// Predicted time, without encoding.
    pub predicted_ms: f64,
}

/// A variant, a baseline or a form of one that was not searched or run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LeftOut {
    /// Name.
    pub name: String,
    /// Why.
    pub reason: String,
}

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

/// A predicted time with its interval.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Latency {
    /// Expected median.
    pub median_ms: f64,
    /// Lower end of the interval.
    pub low_ms: f64,
    /// Upper end of the interval.
    pub high_ms: f64,
}

/// Predicted times of a program with one number of threads.
#[derive(Debug, Clone, PartialEq)]
pub struct Prices {
    /// Milliseconds of each of the program's layers.
    pub layers_ms: Vec<f64>,
    /// Milliseconds of all instructions of a kind, by its name.
    pub kinds_ms: BTreeMap<&'static str, f64>,
    /// An inference.
    pub latency: Latency,
}

/// A candidate, lowered without plaintext values and priced.
pub struct Estimate {
    /// The candidate.
    pub candidate: Candidate,
    /// Parameters with their primes.
    pub params: Parameters,
    /// The program, without the values of its plaintexts.
    pub lowered: Lowered,
    /// Prediction by layer; layers without instructions are left out.
    pub layers: Vec<EstimatedLayer>,
    /// Prediction for an inference, of all images of a ciphertext.
    pub latency: Latency,
    /// Its program's own time, with random operands: median and quartiles, where it is known.
    pub refined: Option<Latency>,
    /// Many images that it is to run at once, as predicted, if it is.
    pub batch: Option<PredictedBatch>,
    /// Form in which plaintexts are kept.
    pub plaintexts: PlaintextForm,
    /// Predicted peak memory, with plaintexts in that form.
    pub memory: PredictedMemory,
    /// For baseline A, what of its predicted time its own choices take.
    pub shares: Option<Shares>,
    /// For baseline A, its forms that would have come before this one, and why they were not taken.
    pub not_taken: Vec<LeftOut>,
    /// Predicted times of encoding every plaintext once, and once for every instruction that reads it.
    encode_ms: [f64; 2],
}

impl Estimate {
    /// Lowers and prices a candidate. With `insecure`, parameters below 128-bit security are accepted.
    pub fn new(candidate: Candidate, cost: &Cost, insecure: bool) -> Result<Self> {
        let what = || {
            let variant = &candidate.configuration.variant;
            format!("variant {variant} of network {}", candidate.model.network.name)
        };
        let params = parameters(&candidate.configuration, insecure).with_context(what)?;
        let chain = Chain::from(&params);
        let lowered = lower_candidate(&candidate, &chain, false).with_context(what)?;
        let program = &lowered.program;
        let Prices { layers_ms, latency, .. } = price(program, &chain, &cost.model, cost.threads);
        let layers = program
            .layers
            .iter()
            .zip(program.counts())
            .zip(layers_ms)
            .enumerate()
            .filter(|(_, ((_, counts), _))| counts.instructions > 0)
            .map(|(index, ((name, counts), predicted_ms))| EstimatedLayer {
                index,
                name: name.clone(),
                level: counts.level,
                instructions: counts.instructions,
                rotations: counts.rotations,
                products: counts.products,
                predicted_ms,
            })
            .collect();
        let plaintexts = PlaintextForm::Stored;
        let memory = PredictedMemory::new(program, &chain, plaintexts);
        let once = program.plaintexts.iter();
        let read = program.instructions.iter().flat_map(|i| program.facts(i).plaintexts);
        let encode_ms = [
            encode_ms(once, &chain, &cost.model, cost.threads),
            encode_ms(read.map(|p| &program.plaintexts[p]), &chain, &cost.model, cost.threads),
        ];
        Ok(Self {
            candidate,
            params,
            lowered,
            layers,
            latency,
            refined: None,
            batch: None,
            plaintexts,
            memory,
            shares: None,
            not_taken: Vec::new(),
            encode_ms,
        })
    }

    /// Predicted times with the model and the threads of `cost`, as calibrated.
    pub fn prices(&self, cost: &Cost) -> Prices {
        price(&self.lowered.program, &Chain::from(&self.params), &cost.model, cost.threads)
    }

    /// Its instructions, as they are executed with plaintexts in their form.
    pub fn sequence(&self) -> Result<Sequence> {
        let chain = Chain::from(&self.params);
        let instructions = self.lowered.program.timed(&chain, self.plaintexts)?;
        Ok(Sequence::new(&instructions, self.params.log_n()))
    }

    /// Keeps plaintexts in another form.
    pub fn set_plaintexts(&mut self, form: PlaintextForm) {
        self.refined = self.refined.filter(|_| form == self.plaintexts);
        self.memory = self.memory_with(form);
        self.plaintexts = form;
    }

    /// Predicted time of encoding in milliseconds, in the form that plaintexts are kept in: before the first image, or
    /// for every image.
    pub fn encode_ms(&self) -> f64 {
        let [once, read] = self.encode_ms;
        if self.plaintexts == PlaintextForm::Stored { once } else { read }
    }

    /// Predicted peak memory with plaintexts in another form.
    pub fn memory_with(&self, form: PlaintextForm) -> PredictedMemory {
        PredictedMemory::new(&self.lowered.program, &Chain::from(&self.params), form)
    }
}

impl PredictedMemory {
    fn new(program: &Program, chain: &Chain, form: PlaintextForm) -> Self {
        let memory = program.memory(chain, form);
        Self {
            total_bytes: memory.total_bytes(),
            keys_bytes: memory.keys_bytes,
            plaintexts_bytes: memory.plaintexts_bytes,
            ciphertexts_bytes: memory.ciphertexts_bytes,
            scratch_bytes: memory.scratch_bytes,
        }
    }
}

/// A configuration with the weights of its variant, priced.
pub fn estimate(
    source: &Source,
    configuration: Configuration,
    name: &str,
    insecure: bool,
    cost: &Cost,
) -> Result<Estimate> {
    let model = Arc::new(source.model(&configuration.variant)?);
    estimate_with(source, model, configuration, name, insecure, cost)
}

/// [`estimate`], given the network with those weights.
pub fn estimate_with(
    source: &Source,
    model: Arc<Model>,
    configuration: Configuration,
    name: &str,
    insecure: bool,
    cost: &Cost,
) -> Result<Estimate> {
    let recorded_accuracy = source.accuracy(&configuration.variant)?;
    let candidate = Candidate { name: name.into(), model, recorded_accuracy, configuration };
    Estimate::new(candidate, cost, insecure)
}

/// The candidate's program; with `values`, ready to be encoded.
pub fn lower_candidate(candidate: &Candidate, chain: &Chain, values: bool) -> Result<Lowered> {
    let folded = Folded::new(&candidate.model, &candidate.configuration)?;
    Ok(lower(&folded, &candidate.configuration, chain, values)?)
}

/// The parameters that a configuration asks for.
pub fn parameters(configuration: &Configuration, insecure: bool) -> Result<Parameters> {
    let mut literal = configuration.parameters.literal()?;
    literal.allow_insecure = insecure;
    Ok(Parameters::new(&literal)?)
}

fn price(program: &Program, chain: &Chain, model: &CostModel, threads: usize) -> Prices {
    let mut layers_ms = vec![0.0; program.layers.len()];
    let mut kinds_ms = BTreeMap::new();
    let mut all = Latency::default();
    for (layer, primitive, level) in program.primitives() {
        let setting = chain.setting(level, threads);
        let prediction = model.predict(&primitive, &setting);
        layers_ms[layer] += prediction.median_ms;
        *kinds_ms.entry(primitive.kind()).or_insert(0.0) += prediction.median_ms;
        all.median_ms += prediction.median_ms;
        all.low_ms += prediction.low_ms;
        all.high_ms += prediction.high_ms;
    }
    Prices { layers_ms, kinds_ms, latency: all }
}

/// Predicted time of encoding plaintexts, in milliseconds: each on one thread, `threads` at a time.
fn encode_ms<'a>(
    plaintexts: impl Iterator<Item = &'a PlaintextSpec>,
    chain: &Chain,
    model: &CostModel,
    threads: usize,
) -> f64 {
    let price = |(setting, extended, count): (Setting, bool, u32)| {
        f64::from(count) * model.predict_encode(&setting, extended).median_ms
    };
    encodings(plaintexts, chain).map(price).sum::<f64>() / threads.max(1) as f64
}

/// Encodings of plaintexts, those of a kind together: on one thread, in which setting, with limbs for the special primes or
/// without, and how many.
pub(super) fn encodings<'a>(
    plaintexts: impl Iterator<Item = &'a PlaintextSpec>,
    chain: &Chain,
) -> impl Iterator<Item = (Setting, bool, u32)> {
    let mut shapes: BTreeMap<(u32, usize, bool), u32> = BTreeMap::new();
    for p in plaintexts {
        let log_degree = p.degree(chain.slots).ilog2();
        *shapes.entry((log_degree, p.level, p.extended)).or_default() += 1;
    }
    shapes.into_iter().map(move |((log_n, level, extended), count)| {
        (Setting { log_n, ..chain.setting(level, 1) }, extended, count)
    })
}
