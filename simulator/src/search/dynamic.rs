//! Dynamic programme along the blocks of a network.

pub(super) mod held;
mod only;
mod path;

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use costmodel::Setting;
use rayon::prelude::*;

use super::beam::{Beam, Held, Key, Layer, Ways, cut, keep};
use super::edges::{Budget, Edge, Edges, Terms};
use super::price::Memo;
use super::problem::{Block, Form};
use super::space::Space;
use super::watch::Watch;
use crate::chain::Chain;
use crate::config::{InputPacking, LinearChoice};
use crate::fold::Folded;
use crate::layout::Layout;
use crate::{Error, Result};
use held::Read;
pub(crate) use only::Only;
pub(crate) use path::Path;
use path::{Choice, Node};

/// States followed in the passes that find the bound: first the cheapest of all, which are soon done with, then those of each
/// spread.
const NARROW: Beam = Beam::Narrow(6);
const WIDE: Beam = Beam::Wide(3);
/// How far above the best cost the other kept ways may lie.
const SLACK: f64 = 1.05;

/// A way through a block or a repack: its edge and tail, in which setting, and what it costs besides.
struct Step<'e> {
    edge: &'e Edge,
    tail: usize,
    setting: usize,
    extra: f64,
}

/// A dynamic programme for one variant and ring degree, under every key-switching shape.
pub(crate) struct LayoutSearch<'a> {
    folded: &'a Folded,
    pub(super) blocks: &'a [Block],
    pub(super) space: &'a Space,
    prices: &'a Memo<'a>,
    pub(super) watch: Watch<'a>,
    log_n: u32,
    /// Large enough for any block.
    chain: Chain,
    edges: BTreeMap<Read, Arc<Edges>>,
    repacks: BTreeMap<(usize, Layout), Arc<Edges>>,
    /// If set, the layouts to look at.
    only: Option<Only>,
    /// The packings of the image within the space, once they are known.
    packings: OnceLock<Vec<Packing>>,
}

/// A packing of the image, the form in which the first block reads it, and its layout.
pub(in crate::search) type Packing = (InputPacking, Form, Layout);

impl<'a> LayoutSearch<'a> {
    pub(crate) fn new(
        folded: &'a Folded,
        blocks: &'a [Block],
        space: &'a Space,
        prices: &'a Memo<'a>,
        watch: Watch<'a>,
        log_n: u32,
    ) -> Self {
        let deepest = blocks.iter().map(|b| b.levels).max().unwrap_or(0);
        let chain = Chain::uniform(log_n, deepest + 1, 30, 1, 1);
        Self {
            folded,
            blocks,
            space,
            prices,
            watch,
            log_n,
            chain,
            edges: BTreeMap::new(),
            repacks: BTreeMap::new(),
            only: None,
            packings: OnceLock::new(),
        }
    }

    /// The same among some layouts.
    pub(crate) fn among(self, only: Only) -> Self {
        Self { only: Some(only), packings: OnceLock::new(), ..self }
    }

    /// The best ways with `space.special[special]` special primes and exactly `repacks` repacks, cheapest first; good
    /// ones if the search is a quick one. It is the sooner done the less a way costs that is `known`, and finds the same.
    pub(crate) fn solve(
        &mut self,
        special: usize,
        repacks: usize,
        known: Option<f64>,
    ) -> Result<Vec<Path>> {
        let known = known.unwrap_or(f64::INFINITY);
        let cost = |paths: &[Path]| paths.first().map_or(f64::INFINITY, |p| p.cost);
        let narrow = self.walk(special, repacks, Some(NARROW), known * SLACK)?;
        let wide = self.walk(special, repacks, Some(WIDE), known.min(cost(&narrow)) * SLACK)?;
        // Of a spread, the wide one may follow none of those that the narrow one does.
        let good = if cost(&narrow) < cost(&wide) { narrow } else { wide };
        if self.space.quick {
            return Ok(good);
        }
        let mut best = self.walk(special, repacks, None, known.min(cost(&good)) * SLACK)?;
        let most = best.first().map_or(0.0, |p| p.cost * SLACK);
        best.retain(|p| p.cost <= most);
        Ok(best)
    }

    /// What the cheapest way costs that is soon found: among the layouts of this search, if it has any. A quick search does
    /// without, as what it finds would depend on it.
    pub(crate) fn glance(&mut self, special: usize, repacks: usize) -> Result<Option<f64>> {
        if self.space.quick || self.only.as_ref().is_none_or(|only| only.inputs.is_empty()) {
            return Ok(None);
        }
        let good = self.walk(special, repacks, Some(WIDE), f64::INFINITY)?;
        Ok(good.first().map(|path| path.cost))
    }

    /// Settings of a block's entry: for every key-switching shape, for every number of repacks still to come.
    pub(super) fn settings(&self, block: usize) -> Vec<Setting> {
        let levels = self.blocks[block].levels;
        let mut all = Vec::new();
        for &special in &self.space.special {
            for later in 0..=self.space.repacks {
                all.push(Setting {
                    log_n: self.log_n,
                    level: levels + later,
                    special,
                    alpha: special,
                    threads: self.space.threads,
                    wide: self.space.is_wide(self.log_n),
                    sum_terms: self.space.sum_terms(),
                    keys: self.space.keys(),
                });
            }
        }
        all
    }

    /// The number of a setting.
    pub(super) fn setting(&self, special: usize, later: usize) -> usize {
        special * (self.space.repacks + 1) + later
    }

    pub(super) fn terms(&self, block: usize) -> Terms<'_> {
        Terms {
            space: self.space,
            prices: self.prices,
            watch: self.watch,
            settings: self.settings(block),
            chain: &self.chain,
            blocks: self.blocks,
            only: self.only.as_ref().and_then(|only| only.targets.get(block)),
        }
    }

    fn walk(
        &mut self,
        special: usize,
        repacks: usize,
        beam: Option<Beam>,
        bound: f64,
    ) -> Result<Vec<Path>> {
        let mut arena: Vec<Node> = Vec::new();
        let mut layer = self.first(repacks, &mut arena)?;
        let reserves = self.reserves(special);
        for block in 0..self.blocks.len() {
            // What may be spent before the block, and up to its end.
            let (before_it, through_it) = (bound - reserves[block], bound - reserves[block + 1]);
            if block > 0 {
                let ahead = |key: &Key| self.ahead(block, special, key, true);
                cut(&mut layer, beam, through_it, ahead);
                self.find_repacks(block, &layer, special, before_it, beam.is_some());
                let before = layer.clone();
                let after = self.blocks[block - 1].last_name();
                for ((later, values), ways) in before {
                    let Some((at, held)) = self.repackable(block, later, &values) else { continue };
                    for edge in self.repacks[&(block, held.layout.clone())].clone().edges.iter() {
                        let mut values = values.clone();
                        values[at].layout = edge.tails[0].layout.clone();
                        values[at].later = later - 1;
                        let step = Step {
                            edge,
                            tail: 0,
                            setting: self.setting(special, later),
                            extra: 0.0,
                        };
                        let choice = |c: LinearChoice| Choice::Repack(c);
                        let to = (later - 1, values);
                        self.relax(
                            &mut layer, &mut arena, &ways, step, after, to, before_it, choice,
                        );
                    }
                }
            }
            let ahead = |key: &Key| self.ahead(block, special, key, false);
            cut(&mut layer, beam, through_it, ahead);
            self.note(block, special, layer.len(), beam.is_some());
            self.find_edges(block, &layer, special, through_it, beam.is_some());
            self.watch.check()?;
            let mut next = Layer::new();
            let name = &self.blocks[block].plain.name;
            for ((later, values), ways) in &layer {
                let setting = self.setting(special, *later);
                let extra = self.drops(block, *later, values, special);
                for edge in self.edges[&self.read(block, values)].clone().edges.iter() {
                    for (tail, result) in edge.tails.iter().enumerate() {
                        let step = Step { edge, tail, setting, extra };
                        let to = (*later, self.held_after(block, *later, values, result));
                        let choice = |c: LinearChoice| Choice::Linear(c, result.pools.clone());
                        self.relax(&mut next, &mut arena, ways, step, name, to, through_it, choice);
                    }
                }
            }
            layer = next;
        }
        Ok(self.finish(&layer, &arena))
    }

    /// What each block and all after it cost at least, and nothing after the last.
    fn reserves(&self, special: usize) -> Vec<f64> {
        let mut reserves = vec![0.0; self.blocks.len() + 1];
        for k in (0..self.blocks.len()).rev() {
            reserves[k] = reserves[k + 1] + self.reserve(k, special);
        }
        reserves
    }

    /// What a block costs at least, whatever the layouts and however many repacks are still to come.
    fn reserve(&self, block: usize, special: usize) -> f64 {
        let (terms, slots) = (self.terms(block), self.space.image_slots(self.chain.slots));
        (0..=self.space.repacks)
            .map(|later| self.setting(special, later))
            .map(|k| terms.least_ms(&self.blocks[block], Form::Plain, slots, k))
            .fold(f64::INFINITY, f64::min)
    }

    /// What a block costs at least from a state: many products where the maps that it reads leave most slots empty. If
    /// they may still be repacked before it, the least of all.
    fn ahead(&self, block: usize, special: usize, (later, values): &Key, moves: bool) -> f64 {
        if moves && self.repackable(block, *later, values).is_some() {
            return self.reserve(block, special);
        }
        let (_, form, layouts) = self.read(block, values);
        let filled = layouts
            .iter()
            .map(Layout::filled)
            .max()
            .unwrap_or(self.space.image_slots(self.chain.slots));
        let setting = self.setting(special, *later);
        self.terms(block).least_ms(&self.blocks[block], form, filled, setting)
    }

    fn note(&self, block: usize, special: usize, layouts: usize, first: bool) {
        let (name, digits) = (&self.blocks[block].plain.name, self.space.special[special]);
        let look = if first { "first look" } else { "all ways" };
        (self.watch.note)(&format!("digits of {digits}, {look}, {name} from {layouts} layouts"));
    }

    /// The packed images.
    fn first(&self, repacks: usize, arena: &mut Vec<Node>) -> Result<Layer> {
        if self.blocks.is_empty() {
            return Err(Error::unsupported(&self.folded.name, "there is no linear layer"));
        }
        let mut layer = Layer::new();
        for (packing, form, layout) in self.packings().iter().cloned() {
            arena.push(Node { parent: None, choice: Choice::Input(packing) });
            let image = Held { value: 0, form, later: repacks, layout };
            let ways = layer.entry((repacks, vec![image])).or_default();
            keep(ways, (0.0, arena.len() - 1), self.space.keep);
        }
        Ok(layer)
    }

    /// What each state may still spend, in its setting; less in a first look.
    fn budget(&self, special: usize, later: usize, ways: &Ways, bound: f64, first: bool) -> Budget {
        let spent = ways.first().map_or(0.0, |w| w.0);
        let open = first.then_some(f64::INFINITY);
        Budget { setting: self.setting(special, later), most: bound - spent, open }
    }

    /// Computes the edges of states not met before, and those that were put aside and are affordable now; in a first look, what
    /// has been put aside stays there.
    fn find_edges(&mut self, block: usize, layer: &Layer, special: usize, bound: f64, first: bool) {
        let terms = self.terms(block);
        let mut wanted: BTreeMap<Read, Budget> = BTreeMap::new();
        for ((later, values), ways) in layer {
            let budget = self.budget(special, *later, ways, bound, first);
            let key = self.read(block, values);
            let more = |known: &Arc<Edges>| !first && terms.wants_more(known, &budget);
            if self.edges.get(&key).is_none_or(more) {
                // Of several with the same maps, the one that comes with the most repacks decides.
                wanted.insert(key, budget);
            }
        }
        let wanted: Vec<_> = wanted.into_iter().collect();
        let found: Vec<_> = wanted
            .par_iter()
            .map(|(key, budget)| {
                let known = self.edges.get(key).map(Arc::as_ref);
                let inputs: Vec<&Layout> = key.2.iter().collect();
                Arc::new(terms.edges(&self.blocks[block], key.1, &inputs, budget, known))
            })
            .collect();
        self.edges.extend(wanted.into_iter().map(|w| w.0).zip(found));
    }

    fn find_repacks(
        &mut self,
        block: usize,
        layer: &Layer,
        special: usize,
        bound: f64,
        first: bool,
    ) {
        let terms = self.terms(block);
        let mut wanted: BTreeMap<(usize, Layout), Budget> = BTreeMap::new();
        for ((later, values), ways) in layer {
            let Some((_, held)) = self.repackable(block, *later, values) else { continue };
            let budget = self.budget(special, *later, ways, bound, first);
            let key = (block, held.layout.clone());
            let more = |known: &Arc<Edges>| !first && terms.wants_more(known, &budget);
            if self.repacks.get(&key).is_none_or(more) {
                wanted.insert(key, budget);
            }
        }
        let wanted: Vec<_> = wanted.into_iter().collect();
        let found: Vec<_> = wanted
            .par_iter()
            .map(|(key, budget)| {
                let known = self.repacks.get(key).map(Arc::as_ref);
                Arc::new(terms.repacks(&self.blocks[block], &key.1, budget, known))
            })
            .collect();
        self.repacks.extend(wanted.into_iter().map(|w| w.0).zip(found));
    }

    /// Extends the ways to a state by one step to the state `to`.
    #[allow(clippy::too_many_arguments)]
    fn relax(
        &self,
        layer: &mut Layer,
        arena: &mut Vec<Node>,
        ways: &Ways,
        Step { edge, tail, setting, extra }: Step<'_>,
        name: &str,
        to: Key,
        bound: f64,
        choice: impl Fn(LinearChoice) -> Choice,
    ) {
        let cheapest = edge.cheapest[setting];
        let step = cheapest.cost + edge.tails[tail].cost[setting] + extra;
        let Some(first) = ways.first().filter(|w| w.0 + step <= bound) else { return };
        let target = layer.entry(to).or_default();
        let full = target.len() >= self.space.keep;
        if full && target.last().is_some_and(|w| w.0 <= first.0 + step) {
            return;
        }
        let linear = LinearChoice {
            layer: name.to_owned(),
            layout: edge.layout,
            schedule: cheapest.schedule,
            fold: edge.fold,
            radix: cheapest.radix,
        };
        for (cost, parent) in ways {
            arena.push(Node { parent: Some(*parent), choice: choice(linear.clone()) });
            keep(target, (cost + step, arena.len() - 1), self.space.keep);
        }
    }

    fn finish(&self, layer: &Layer, arena: &[Node]) -> Vec<Path> {
        let mut ends: Ways = Vec::new();
        for ((later, values), ways) in layer {
            if *later == 0 && values.iter().all(|held| held.form == Form::Plain) {
                ways.iter().for_each(|w| keep(&mut ends, *w, self.space.keep));
            }
        }
        ends.iter().filter_map(|(cost, node)| path::follow(*cost, *node, arena)).collect()
    }
}

#[cfg(test)]
mod tests;
