//! Baseline A, in the manner of HEAR (the system that the SpENCNN paper measures itself against): raster layout with the
//! gaps that pools and strides leave and no repacking, every rotation, product and rescale an operation of its own, for each
//! linear layer the better of kernel-first and channel-first. The shortcut of a residual block is products and additions of
//! its own, as any other term of a sum that is not fused.
//!
//! HEAR itself has one special prime, as many digits as limbs, and two levels for an activation. The keys of a deep network
//! do not fit that: then fewer digits are tried, and last activations that are completed squares (one level). The name says
//! what was taken, and the report why nothing before it was. All of it is decided on predictions.

mod raster;
mod shares;

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::sync::Arc;

use anyhow::{Result, bail};
use simulator::chain::Chain;
use simulator::config::{Configuration, ParameterChoice, Schedule};
use simulator::fold::{ActivationMethod, Folded};
use simulator::lowering::lower;
use simulator::network::Model;
use simulator::program::{PlaintextForm, Program};
use simulator::search::price_program;

use crate::design::candidate::{Candidate, Estimate, LeftOut};
use crate::machine::memory::show_bytes;
use crate::machine::profiles::Cost;
use raster::Raster;

pub use shares::shares;

/// Bits of the scale. HEAR's own 31 bits hold smaller values than trained networks have here.
const SCALE_BITS: u32 = 33;
/// Bits of the first prime, which holds the result.
const FIRST_BITS: u32 = 44;
/// Bits of each special prime.
const SPECIAL_BITS: u32 = 46;
/// Most special primes that are tried.
const MOST_SPECIAL: usize = 8;
/// Base-2 logarithms of the ring degrees that are tried.
const LOG_N: RangeInclusive<u32> = 13..=17;

/// The forms that are tried, in this order: HEAR's own, fewer digits, completed squares as well.
const FORMS: [Form; 3] = [
    Form { activations: ActivationMethod::Quadratic, special: 1..=1 },
    Form { activations: ActivationMethod::Quadratic, special: 2..=MOST_SPECIAL },
    Form { activations: ActivationMethod::Square, special: 2..=MOST_SPECIAL },
];

/// Name in reports.
pub const NAME: &str = "A (HEAR sequence)";

/// Memory that a baseline may take.
#[derive(Debug, Clone, Copy)]
pub struct Room<'a> {
    /// Bytes.
    pub bytes: u64,
    /// Forms in which its plaintexts may be kept, the one to prefer first.
    pub plaintexts: &'a [PlaintextForm],
}

impl Room<'_> {
    /// The first form of plaintexts with which a program fits.
    ///
    /// # Errors
    /// The fewest bytes that it takes in any.
    fn fit(&self, program: &Program, chain: &Chain) -> std::result::Result<PlaintextForm, u64> {
        let bytes = |form| program.memory(chain, form).total_bytes();
        let fitting = self.plaintexts.iter().find(|form| bytes(**form) <= self.bytes);
        let least = || self.plaintexts.iter().map(|form| bytes(*form)).min().unwrap_or(0);
        fitting.copied().ok_or_else(least)
    }
}

/// One form of the baseline.
struct Form {
    activations: ActivationMethod,
    /// Numbers of special primes: the least is taken that fits.
    special: RangeInclusive<usize>,
}

/// The baseline for a model, priced: in the first form that is secure and fits, with what it says of its own choices.
///
/// # Errors
/// If no form does: why each does not.
pub fn baseline(
    model: &Arc<Model>,
    variant: &str,
    accuracy: Option<f64>,
    cost: &Cost,
    room: Room<'_>,
) -> Result<Estimate> {
    let mut not_taken: Vec<LeftOut> = Vec::new();
    for form in &FORMS {
        let folded = Folded::new(model, form.activations)?;
        let mut attempt =
            Attempt { folded: &folded, form, variant, cost, programs: HashMap::new() };
        let found = attempt.fitting(room).and_then(|(configuration, plaintexts)| {
            let name =
                form.name(configuration.parameters.special..=configuration.parameters.special);
            let model = Arc::clone(model);
            let candidate = Candidate { name, model, recorded_accuracy: accuracy, configuration };
            let mut estimate = Estimate::new(candidate, cost, false)?;
            estimate.set_plaintexts(plaintexts);
            Ok(estimate)
        });
        match found {
            Ok(mut estimate) => {
                estimate.shares = Some(shares(&estimate, cost)?);
                estimate.not_taken = not_taken;
                return Ok(estimate);
            }
            Err(error) => {
                let name = form.name(form.special.clone());
                not_taken.push(LeftOut { name, reason: format!("{error:#}") });
            }
        }
    }
    let reasons: Vec<_> = not_taken.iter().map(|l| format!("{}: {}", l.name, l.reason)).collect();
    bail!("no form of it will do; {}", reasons.join("; "))
}

impl Form {
    /// Name with some of its numbers of special primes.
    fn name(&self, special: RangeInclusive<usize>) -> String {
        let mut name = NAME.to_owned();
        match (special.start(), special.end()) {
            (1, 1) => {}
            (least, most) if least == most => name += &format!(", {least} special primes"),
            (least, most) => name += &format!(", {least} to {most} special primes"),
        }
        if self.activations != ActivationMethod::Quadratic {
            name += ", completed squares";
        }
        name
    }
}

/// A form under trial.
struct Attempt<'a> {
    folded: &'a Folded,
    form: &'a Form,
    variant: &'a str,
    cost: &'a Cost,
    /// Programs without values by ring degree and schedules: the number of special primes changes none.
    programs: HashMap<(u32, Vec<Schedule>), Program>,
}

impl Attempt<'_> {
    /// The configuration with the fewest special primes that fits, and the form of its plaintexts: the better schedule of
    /// each layer, or else one for all, as every schedule has rotations, and so keys, of its own.
    ///
    /// # Errors
    /// What is in the way; those of lowering.
    fn fitting(&mut self, room: Room<'_>) -> Result<(Configuration, PlaintextForm)> {
        let Some(raster) = Raster::new(self.folded) else {
            bail!("its maps, with the gaps that strides leave, have more slots than any ring");
        };
        let mut least: Option<(u64, usize)> = None;
        for special in self.form.special.clone() {
            let Some(parameters) = self.parameters(&raster, special) else { continue };
            let chain = parameters.ideal_chain()?;
            for schedules in self.schedules(&raster, parameters, &chain)? {
                let program = self.program(&raster, parameters, &chain, &schedules)?;
                match room.fit(program, &chain) {
                    Ok(plaintexts) => {
                        return Ok((
                            self.configuration(&raster, parameters, &schedules),
                            plaintexts,
                        ));
                    }
                    Err(bytes) => {
                        least = Some(least.map_or((bytes, special), |l| l.min((bytes, special))));
                    }
                }
            }
        }
        match least {
            Some((bytes, special)) => bail!(
                "predicted to need {} at the least, with {special} special prime{}, over the limit of {}",
                show_bytes(bytes),
                if special == 1 { "" } else { "s" },
                show_bytes(room.bytes)
            ),
            None => bail!(
                "no ring degree up to 2^{} is secure with {} levels and holds a map of {} slots",
                LOG_N.end(),
                self.folded.levels(),
                raster.tile
            ),
        }
    }

    /// The least ring degree that is secure with the levels needed and holds a map.
    fn parameters(&self, raster: &Raster, special: usize) -> Option<ParameterChoice> {
        let choice = |log_n| ParameterChoice {
            log_n,
            scale_bits: Some(SCALE_BITS),
            prime_bits: SCALE_BITS,
            top_bits: None,
            first_bits: FIRST_BITS,
            special_bits: SPECIAL_BITS,
            special,
            alpha: special,
            levels: self.folded.levels(),
        };
        let fits = |p: &ParameterChoice| p.secure() && (1usize << (p.log_n - 1)) >= raster.tile;
        LOG_N.map(choice).find(fits)
    }

    /// Schedules of the linear layers, the ones to prefer first: the better one of each layer, then one for all.
    fn schedules(
        &mut self,
        raster: &Raster,
        parameters: ParameterChoice,
        chain: &Chain,
    ) -> Result<[Vec<Schedule>; 3]> {
        let count = self.folded.linear().count();
        let both = [Schedule::KERNEL_FIRST, Schedule::CHANNEL_FIRST].map(Schedule::unfused);
        let uniform = both.map(|schedule| vec![schedule; count]);
        let mut times = Vec::new();
        for schedules in &uniform {
            let cost = self.cost;
            let program = self.program(raster, parameters, chain, schedules)?;
            let layers = price_program(program, chain, cost.threads, &cost.model);
            let named = program.layers.iter().cloned().zip(layers);
            times.push(named.collect::<HashMap<String, f64>>());
        }
        let faster = |(name, _): (&str, _)| match times[0].get(name) <= times[1].get(name) {
            true => both[0],
            false => both[1],
        };
        let better = self.folded.linear().map(faster).collect();
        // Of the two for all, the faster one.
        let whole = |k: usize| times[k].values().sum::<f64>();
        let [kernel, channel] = uniform;
        Ok(match whole(0) <= whole(1) {
            true => [better, kernel, channel],
            false => [better, channel, kernel],
        })
    }

    fn program(
        &mut self,
        raster: &Raster,
        parameters: ParameterChoice,
        chain: &Chain,
        schedules: &[Schedule],
    ) -> Result<&Program> {
        let key = (parameters.log_n, schedules.to_vec());
        if !self.programs.contains_key(&key) {
            let configuration = self.configuration(raster, parameters, schedules);
            let program = lower(self.folded, &configuration, chain, false)?.program;
            self.programs.insert(key.clone(), program);
        }
        Ok(&self.programs[&key])
    }

    fn configuration(
        &self,
        raster: &Raster,
        parameters: ParameterChoice,
        schedules: &[Schedule],
    ) -> Configuration {
        let slots = 1usize << (parameters.log_n - 1);
        let (linear, pools) = raster.choices(self.folded, slots, schedules);
        Configuration {
            network: self.folded.name.clone(),
            images: 1,
            variant: self.variant.into(),
            activations: self.form.activations,
            activation_exceptions: Vec::new(),
            parameters,
            input: raster.input(self.folded.input.channels, slots),
            linear,
            pools,
            repacks: Vec::new(),
            scales: None,
        }
    }
}
