//! Drawing configurations, spread over variants, ring degrees, layouts, key-switching shapes and predicted latencies.

use std::collections::HashSet;
use std::sync::Arc;

use anyhow::Result;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use simulator::program::PlaintextForm;
use simulator::search::Evaluated;

use super::Drawn;
use super::bent::Bent;
use crate::design::candidate;
use crate::design::choose::{self, Prices};
use crate::design::wish::SpaceArg;
use crate::design::wish::Wish;
use crate::inputs::networks::Source;
use crate::machine::profiles::Cost;
use crate::process::cancel;
use crate::process::output::note;

/// Fewest configurations of a variant: to tell whether the model puts them into the right order.
const PER_VARIANT: usize = 3;
/// Ring degrees that a variant's configurations come from, where several will do.
const RINGS: usize = 2;
/// One configuration out of so many has its plaintexts encoded on demand even where they could be stored.
const ON_DEMAND_EVERY: usize = 3;

/// What is to be drawn for a network.
pub struct Asked<'a> {
    /// The network.
    pub source: &'a Source,
    /// Variants to draw from.
    pub variants: Vec<String>,
    /// How many configurations.
    pub count: usize,
    /// The fastest that a search finds, in place of draws.
    pub fastest: bool,
    /// Seed of the network's draws.
    pub seed: u64,
    /// Limits of the search, and where it looks; its space, variants and ring degrees are drawn.
    pub wish: Wish,
    /// Ring degrees to draw from, as base-2 logarithms.
    pub log_n: Vec<u32>,
    /// What predicts.
    pub cost: &'a Cost,
}

/// Draws configurations; fewer than asked for where the limits leave no more. The same for the same seed, options and
/// profile.
///
/// # Errors
/// Those of the search.
pub fn draw(asked: &Asked<'_>) -> Result<Vec<Drawn>> {
    let mut rng = ChaCha8Rng::seed_from_u64(asked.seed);
    let mut variants = asked.variants.clone();
    variants.shuffle(&mut rng);
    let most = (asked.count / PER_VARIANT).clamp(1, variants.len().max(1));
    let mut drawn = Vec::new();
    let mut left = most;
    // Variants beyond those are for what these have too few of.
    for variant in &variants {
        let wanted = asked.count - drawn.len();
        if wanted == 0 {
            break;
        }
        let share = wanted.div_ceil(left.max(1));
        let picked = match asked.fastest {
            true => fastest(asked, variant, share)?,
            false => pick(pools(asked, variant, share, &mut rng)?, share, &mut rng),
        };
        if !picked.is_empty() {
            left = left.saturating_sub(1);
            estimates(asked, variant, picked, &mut drawn)?;
        }
    }
    Ok(drawn)
}

/// The configurations of a variant that are predicted to be fastest, of all ring degrees: at most `count`, the fastest first.
fn fastest(asked: &Asked<'_>, variant: &str, count: usize) -> Result<Vec<Evaluated>> {
    let prices = Prices { pricer: &asked.cost.model, name: &asked.cost.name };
    let mut found = Vec::new();
    for &ring in &asked.log_n {
        let wish = Wish { log_n: vec![ring], ..asked.wish.only(variant) };
        found.extend(choose::search_by(asked.source, &wish, prices)?.within);
    }
    found.sort_by(|a, b| a.latency_ms.total_cmp(&b.latency_ms));
    // Those that differ in scales alone do the same work.
    found.dedup_by(|a, b| a.latency_ms == b.latency_ms);
    found.truncate(count);
    Ok(found)
}

/// Configurations of a variant within the limits, at most `most` lists of them: for each of a few ring degrees the fastest of
/// every key-switching shape, and those that a search finds which is led astray, among the paper's layouts.
fn pools(
    asked: &Asked<'_>,
    variant: &str,
    most: usize,
    rng: &mut ChaCha8Rng,
) -> Result<Vec<Vec<Evaluated>>> {
    let mut rings = asked.log_n.clone();
    rings.shuffle(rng);
    let seeds: Vec<u64> = rings.iter().map(|_| rng.random()).collect();
    let (mut pools, mut found_in) = (Vec::new(), 0);
    // Two searches may find the same.
    let mut seen = HashSet::new();
    for (ring, seed) in rings.into_iter().zip(seeds) {
        let before = pools.len();
        let model = &asked.cost.model;
        let name = format!("{}, bent by {seed}", asked.cost.name);
        let fast = Prices { pricer: model, name: &asked.cost.name };
        let astray = Prices { pricer: &Bent { model, seed }, name: &name };
        for (space, prices) in [(SpaceArg::Full, fast), (SpaceArg::Paper, astray)] {
            if found_in == RINGS || pools.len() == most {
                return Ok(pools);
            }
            let wish = Wish { space, log_n: vec![ring], ..asked.wish.only(variant) };
            let mut pool = choose::search_by(asked.source, &wish, prices)?.within;
            pool.retain(|e| seen.insert(e.configuration.clone()));
            pools.extend((!pool.is_empty()).then_some(pool));
        }
        found_in += usize::from(pools.len() > before);
    }
    Ok(pools)
}

/// Takes `count` configurations, from one pool after the other, and from each evenly over the range of its prices.
fn pick(pools: Vec<Vec<Evaluated>>, count: usize, rng: &mut ChaCha8Rng) -> Vec<Evaluated> {
    let shares = shares(&pools.iter().map(Vec::len).collect::<Vec<_>>(), count);
    let mut picked = Vec::new();
    for (pool, share) in pools.into_iter().zip(shares) {
        let offset: f64 = rng.random_range(0.0..1.0);
        for k in 0..share {
            let at = (k as f64 + offset) / share as f64 * pool.len() as f64;
            picked.extend(pool.get(at as usize).cloned());
        }
    }
    picked
}

/// How many to take from pools of given sizes: one from each in turn, as long as there are any.
fn shares(sizes: &[usize], count: usize) -> Vec<usize> {
    let mut shares = vec![0; sizes.len()];
    let mut left = count.min(sizes.iter().sum());
    while left > 0 {
        for (share, size) in shares.iter_mut().zip(sizes) {
            let take = usize::from(left > 0 && *share < *size);
            (*share, left) = (*share + take, left - take);
        }
    }
    shares
}

/// Estimates configurations, with the form that their plaintexts are to be kept in; leaves out those that do not fit the
/// memory in any.
fn estimates(
    asked: &Asked<'_>,
    variant: &str,
    picked: Vec<Evaluated>,
    drawn: &mut Vec<Drawn>,
) -> Result<()> {
    let model = Arc::new(asked.source.model(variant)?);
    for evaluated in picked {
        cancel::check()?;
        let Asked { source, wish, cost, .. } = asked;
        let (model, configuration) = (Arc::clone(&model), evaluated.configuration);
        let estimate =
            candidate::estimate_with(source, model, configuration, "drawn", wish.insecure, cost)?;
        let limit = asked.wish.memory_limit;
        let fits = |form: &PlaintextForm| estimate.memory_with(*form).total_bytes <= limit;
        let forms = asked.wish.plaintexts.forms();
        // Stored ones come first.
        let on_demand = !asked.fastest && drawn.len() % ON_DEMAND_EVERY == 1;
        let skipped = usize::from(forms.len() > 1 && on_demand);
        match forms.iter().skip(skipped).find(|form| fits(form)) {
            Some(&plaintexts) => {
                let memory_bytes = estimate.memory_with(plaintexts).total_bytes;
                let configuration = estimate.candidate.configuration;
                drawn.push(Drawn { configuration, plaintexts, memory_bytes });
            }
            None => note(format_args!("a configuration of {variant} is over the memory limit")),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pool_has_its_share() {
        assert_eq!(shares(&[8, 8, 8], 7), [3, 2, 2]);
        assert_eq!(shares(&[1, 8, 0], 6), [1, 5, 0]);
        assert_eq!(shares(&[2, 1], 9), [2, 1]);
        assert_eq!(shares(&[], 3), [0; 0]);
    }
}
