//! What one block can do with a map in a given layout, and what each way costs.

mod floor;
pub(super) mod linear;
mod tail;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use costmodel::{Primitive, Setting};
use rayon::prelude::*;

use super::candidates::{Target, compact, targets};
use super::price::Memo;
use super::problem::{Block, Form};
use super::space::Space;
use super::watch::Watch;
use crate::Result;
use crate::chain::Chain;
use crate::config::{PoolChoice, Schedule};
use crate::fold::{LinearStage, depthwise_identity};
use crate::layout::{ChannelOrder, Layout, LayoutSpec};
use crate::lowering::{Builder, Diagonals, Outline, State};
use crate::program::{Program, ValueId, ValueInfo};
use floor::Floor;
use linear::Found;

/// Cheapest schedule and radix of a linear stage in one setting.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cheapest {
    pub(crate) cost: f64,
    pub(crate) schedule: Schedule,
    pub(crate) radix: usize,
}

/// A way through a block's linear stage.
#[derive(Debug, Clone)]
pub(crate) struct Edge {
    pub(crate) layout: LayoutSpec,
    pub(crate) fold: usize,
    /// One entry per setting.
    pub(crate) cheapest: Vec<Cheapest>,
    /// Ways through the rest of the block.
    pub(crate) tails: Arc<Vec<Tail>>,
}

/// A way through the stages after the linear one.
#[derive(Debug, Clone)]
pub(crate) struct Tail {
    pub(crate) pools: Vec<PoolChoice>,
    /// One entry per setting.
    pub(crate) cost: Vec<f64>,
    /// How the next block reads the result.
    pub(crate) form: Form,
    pub(crate) layout: Layout,
}

/// The ways of a block with a map in one layout.
#[derive(Debug, Clone, Default)]
pub(crate) struct Edges {
    pub(crate) edges: Vec<Edge>,
    /// Targets not worked out, each with what it takes at least.
    pub(crate) aside: Vec<(Target, Floor)>,
}

/// What a way may cost to be of interest.
#[derive(Debug, Clone)]
pub(crate) struct Budget {
    /// In which setting.
    pub(crate) setting: usize,
    /// The most, in milliseconds.
    pub(crate) most: f64,
    /// A tighter limit for a first look, which then follows the cheapest way found of each number of phases.
    pub(crate) open: Option<f64>,
}

impl Budget {
    fn limit(&self) -> f64 {
        self.open.map_or(self.most, |open| open.min(self.most))
    }
}

/// What a linear stage does.
#[derive(Clone, Copy)]
pub(super) struct Weights<'a> {
    linear: &'a LinearStage,
    outline: Option<&'a Outline>,
    /// Products of a weight and an input.
    products: usize,
    /// Channels of the result that nothing reads.
    unread: &'a [usize],
}

/// Targets that are worked out together.
const TOGETHER: usize = 4;
/// How far above the cheapest linear stage another is of interest in a first look: what follows it may make up for that.
const OPEN: f64 = 1.5;

/// A target to look at.
struct Open {
    spec: LayoutSpec,
    fold: usize,
    layout: Layout,
    floor: Floor,
    /// What that costs.
    cost: f64,
}

/// What edges are made under. The levels of `settings` are those at the block's entry.
pub(crate) struct Terms<'a> {
    pub(crate) space: &'a Space,
    pub(crate) prices: &'a Memo<'a>,
    pub(crate) settings: Vec<Setting>,
    pub(crate) watch: Watch<'a>,
    /// A chain with enough levels for any block; its moduli do not matter.
    pub(crate) chain: &'a Chain,
    /// All blocks.
    pub(crate) blocks: &'a [Block],
    /// If set, the targets to look at; else all that are worth trying.
    pub(crate) only: Option<&'a BTreeSet<Target>>,
}

/// Shape of an instruction and how far its level lies below the entry; the level that one drops to is told in the same way.
pub(super) type Step = (Primitive, usize);

impl Terms<'_> {
    /// Every way of a block with maps in these layouts, one for each of its parts.
    pub(crate) fn edges(
        &self,
        block: &Block,
        form: Form,
        inputs: &[&Layout],
        budget: &Budget,
        known: Option<&Edges>,
    ) -> Edges {
        let Some((name, linear)) = block.linear(form) else { return Edges::default() };
        self.more(
            known,
            budget,
            || self.targets(block, linear, inputs),
            |list| {
                let (outline, unread) = (block.outline(form), &block.unread[..]);
                let weights = Weights { linear, outline, products: block.products(form), unread };
                self.all(name, weights, inputs, list, budget, |layout| self.tails(block, layout))
            },
        )
    }

    /// The layouts and fold masks to look at for what a block's linear stage gives.
    pub(super) fn targets(
        &self,
        block: &Block,
        linear: &LinearStage,
        inputs: &[&Layout],
    ) -> Vec<Target> {
        let groups = [block.groups, block.next.map_or(1, |k| self.blocks[k].groups)];
        let of = |groups| targets(&linear.geometry, inputs, groups, self.space);
        let Some(only) = self.only else { return of(groups) };
        let order = |(spec, _): &Target| match spec.order {
            ChannelOrder::Interleaved { groups } | ChannelOrder::Inner { groups, .. } => groups,
            _ => 1,
        };
        let orders: BTreeSet<usize> = only.iter().map(order).collect();
        let all: BTreeSet<Target> = orders.into_iter().flat_map(|g| of([g; 2])).collect();
        all.intersection(only).copied().collect()
    }

    /// What a block costs at least in a form and a setting, if a ciphertext that it reads has values in at most `filled`
    /// slots: each product uses so many weights and no more.
    pub(crate) fn least_ms(&self, block: &Block, form: Form, filled: usize, setting: usize) -> f64 {
        let terms = block.products(form).div_ceil(filled.max(1));
        self.floor_ms(&Floor::products(terms, 1), setting)
    }

    /// Every way of bringing a map into a compact layout by an identity stage.
    pub(crate) fn repacks(
        &self,
        next: &Block,
        input: &Layout,
        budget: &Budget,
        known: Option<&Edges>,
    ) -> Edges {
        let identity = depthwise_identity(input.shape);
        self.more(
            known,
            budget,
            || compact(input.shape, input, next.groups, self.space),
            |list| {
                let weights = Weights {
                    linear: &identity,
                    outline: None,
                    products: input.read().count() * input.shape.area(),
                    unread: input.unread.channels(),
                };
                self.all("repack", weights, &[input], list, budget, |layout| {
                    let cost = vec![0.0; self.settings.len()];
                    vec![Tail {
                        pools: Vec::new(),
                        cost,
                        form: Form::Plain,
                        layout: layout.clone(),
                    }]
                })
            },
        )
    }

    /// Adds to known ways those that were put aside and are within the budget now.
    fn more(
        &self,
        known: Option<&Edges>,
        budget: &Budget,
        all: impl FnOnce() -> Vec<Target>,
        find: impl FnOnce(Vec<Target>) -> Edges,
    ) -> Edges {
        let mut found = match known {
            None => find(all()),
            Some(known) => {
                let (again, aside): (Vec<_>, Vec<_>) =
                    known.aside.iter().cloned().partition(|(_, floor)| self.affords(floor, budget));
                let mut found = find(again.into_iter().map(|(target, _)| target).collect());
                found.edges.extend(known.edges.iter().cloned());
                found.aside.extend(aside);
                found
            }
        };
        // Of ways with one price the first is taken, whatever was looked at before.
        found.edges.sort_by_key(|edge| (edge.layout, edge.fold));
        found
    }

    /// Whether anything put aside is within the budget.
    pub(crate) fn wants_more(&self, known: &Edges, budget: &Budget) -> bool {
        known.aside.iter().any(|(_, floor)| self.affords(floor, budget))
    }

    /// The way of a block's linear stage to one target, whatever it costs, without some channels of the result.
    pub(super) fn edge(
        &self,
        block: &Block,
        form: Form,
        inputs: &[&Layout],
        target: Target,
        unread: &[usize],
    ) -> Option<Edge> {
        let (name, linear) = block.linear(form)?;
        // Whatever it costs, no product need be counted.
        let weights = Weights { linear, outline: block.outline(form), products: 0, unread };
        let all = Budget { setting: 0, most: f64::INFINITY, open: None };
        let tails = |layout: &Layout| self.tails(block, layout);
        self.all(name, weights, inputs, vec![target], &all, tails).edges.pop()
    }

    /// Ways for a list of targets. Those that cost more than the budget are put aside with the reason, in a first look also those
    /// that cost more than `OPEN` times the cheapest so far with as many phases: what a pool costs next depends on these.
    fn all(
        &self,
        name: &str,
        weights: Weights<'_>,
        inputs: &[&Layout],
        list: Vec<Target>,
        budget: &Budget,
        tails: impl Fn(&Layout) -> Vec<Tail>,
    ) -> Edges {
        let mut known: BTreeMap<Layout, Arc<Vec<Tail>>> = BTreeMap::new();
        let mut done = Edges::default();
        let mut limits: BTreeMap<usize, f64> = BTreeMap::new();
        let mut open: Vec<Open> =
            list.into_iter().filter_map(|target| self.open(weights, target, budget)).collect();
        open.sort_by(|a, b| a.cost.total_cmp(&b.cost));
        // Some at a time, under one budget: however many threads there are, the same.
        for some in open.chunks(TOGETHER) {
            // What is known by then is not used.
            if self.watch.stopped() {
                break;
            }
            let look = |open: &Open| {
                let limit = limits.get(&open.layout.phases).copied().or(budget.open);
                let budget = Budget { open: limit, ..budget.clone() };
                self.look(name, weights, inputs, open, &budget)
            };
            let found: Vec<_> = some.par_iter().map(look).collect();
            for (Open { spec, fold, .. }, found) in some.iter().zip(found) {
                // What does not fit is not an error, only no candidate.
                let Ok((found, left)) = found else { continue };
                let cheapest = match found {
                    Found::TooMuch(floor) => {
                        done.aside.push(((*spec, *fold), floor));
                        continue;
                    }
                    Found::Ways(cheapest) => cheapest,
                };
                if budget.open.is_some() {
                    let limit = limits.entry(spec.phases).or_insert(f64::INFINITY);
                    *limit = limit.min(OPEN * cheapest[budget.setting].cost);
                }
                let tails = known.entry(left).or_insert_with_key(|layout| Arc::new(tails(layout)));
                if !tails.is_empty() {
                    let (layout, fold, tails) = (*spec, *fold, tails.clone());
                    done.edges.push(Edge { layout, fold, cheapest, tails });
                }
            }
        }
        done
    }

    /// A target, with the products that it takes at least: each has room for so many weights as its output has slots, and as
    /// many times more as there are places that a fold sums.
    fn open(&self, weights: Weights<'_>, (spec, fold): Target, budget: &Budget) -> Option<Open> {
        let slots = self.space.image_slots(self.chain.slots);
        let shape = weights.linear.geometry.output;
        let layout = spec.layout(slots, shape, Default::default()).ok()?.without(weights.unread);
        let room = layout.distinct() << fold.count_ones();
        let floor = Floor::products(weights.products.div_ceil(room.max(1)), layout.ciphertexts());
        let cost = self.floor_ms(&floor, budget.setting);
        Some(Open { spec, fold, layout, floor, cost })
    }

    /// Looks at a target, as far as it is within the budget: first at some of its diagonals, which are soon found.
    fn look(
        &self,
        name: &str,
        weights: Weights<'_>,
        inputs: &[&Layout],
        Open { fold, layout, floor, cost, .. }: &Open,
        budget: &Budget,
    ) -> Result<(Found, Layout)> {
        let limit = budget.limit();
        if *cost > limit {
            return Ok((Found::TooMuch(floor.clone()), layout.clone()));
        }
        if limit.is_finite() {
            let Weights { linear, outline, .. } = weights;
            let most = self.affordable(layout, budget);
            let some = Diagonals::of_some(name, linear, outline, (inputs, layout), *fold, most)?;
            if let Some(floor) = self.too_much(&some, layout, *fold != 0, budget) {
                return Ok((Found::TooMuch(floor), layout.clone()));
            }
        }
        self.linear(name, weights, (inputs, layout), *fold, budget)
    }

    /// Instructions of a piece of program on so many ciphertexts, and the layout it leaves.
    fn emit(
        &self,
        ciphertexts: usize,
        piece: impl FnOnce(&mut Builder<'_>, Vec<ValueId>) -> Result<State>,
    ) -> Result<(Vec<Step>, Layout)> {
        let entry = self.chain.levels();
        let fresh = ValueInfo { level: entry, scale: self.chain.scale };
        let mut b = Builder::new(
            self.chain,
            self.space.image_slots(self.chain.slots),
            false,
            ciphertexts,
            fresh,
        );
        b.layer("piece");
        let state = piece(&mut b, (0..ciphertexts).collect())?;
        Ok((steps(&b.program.interleaved(self.space.images), entry), state.layout))
    }

    pub(super) fn cost(&self, steps: &[Step], setting: usize) -> f64 {
        let base = &self.settings[setting];
        steps
            .iter()
            .map(|(primitive, below)| {
                let level = base.level.saturating_sub(*below);
                let primitive = match *primitive {
                    Primitive::DropLevel { to } => {
                        Primitive::DropLevel { to: base.level.saturating_sub(to) }
                    }
                    other => other,
                };
                self.prices.price_ms(&primitive, &Setting { level, ..*base })
            })
            .sum()
    }
}

/// The instructions of a program that begins at level `entry`.
fn steps(program: &Program, entry: usize) -> Vec<Step> {
    let below = |primitive| match primitive {
        Primitive::DropLevel { to } => Primitive::DropLevel { to: entry - to },
        other => other,
    };
    program.primitives().map(|(_, p, level)| (below(p), entry - level)).collect()
}

#[cfg(test)]
mod tests;
