//! The dynamic programme over layouts, levels and accuracy spent.
//!
//! A pattern may leave input channels unread, and then what comes before need not make them. So a state has layouts with and
//! without some channels: into one without, the block before has a way that makes less, and out of it go the patterns that do
//! not read them. Which channels are worth leaving out, the patterns of the next layer say, whole ciphertexts of them; so edges
//! are found block by block towards the result, and those that make less on the way back.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rayon::prelude::*;

use super::Layered;
use super::price::{Loss, PatternEdge, front};
use crate::config::{InputPacking, LinearChoice};
use crate::pattern::PatternChoice;
use crate::search::accuracy::KeptImportance;
use crate::search::beam::{Held, Key};
use crate::search::dynamic::held::Read;
use crate::search::dynamic::{LayoutSearch, Path};
use crate::search::front::spaced;
use crate::search::problem::Form;
use crate::{Error, Result};

/// A way from the image to a state: what it loses and costs, and its last node. Of a state those are kept that no other beats
/// in both: what comes after adds the same to each.
type Spent = (Loss, f64, u32);

/// One step back.
#[derive(Debug, Clone, Copy)]
struct Node {
    parent: u32,
    step: Step,
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Input(InputPacking),
    /// Numbers of what was read, of the edge, its way and tail.
    Linear {
        read: u32,
        edge: u32,
        way: u32,
        tail: u32,
    },
}

/// The pattern of a layer in a way through the network.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Chosen {
    pub(crate) layer: String,
    pub(crate) choice: PatternChoice,
    pub(crate) kept: KeptImportance,
    /// Every other pattern between the same layouts, and what its price and its loss, in hundredths of a point, are more.
    pub(crate) others: Vec<(PatternChoice, f64, i64)>,
}

/// A way through the network with a pattern for every layer that may have one.
#[derive(Debug, Clone)]
pub(crate) struct PatternPath {
    pub(crate) path: Path,
    pub(crate) loss: Loss,
    pub(crate) patterns: Vec<Chosen>,
}

/// What a walk found.
#[derive(Debug)]
pub(crate) struct Walked {
    /// The ways that no other beats in price and loss, ascending by loss.
    pub(crate) front: Vec<PatternPath>,
    /// How many ways there are: combinations of packings, layouts, pool methods and patterns; schedules, of which the
    /// cheapest is taken, are not counted.
    pub(crate) ways: f64,
}

/// States, each with the ways to it and how many there are of them all.
type Layer = BTreeMap<Key, (Vec<Spent>, f64)>;

/// Edges by what is read, every channel of it; those of earlier key-switching shapes serve later ones.
#[derive(Default)]
pub(crate) struct PatternEdges {
    all: BTreeMap<Read, Arc<Vec<PatternEdge>>>,
    complete: bool,
}

impl PatternEdges {
    /// Ways that were priced.
    pub(crate) fn priced(&self) -> usize {
        self.all.values().flat_map(|list| list.iter()).map(|edge| edge.ways.len()).sum()
    }

    /// The edges of what is read, and the channels of it that are left out.
    pub(crate) fn of(
        &self,
        (block, form, mut layouts): Read,
    ) -> (Arc<Vec<PatternEdge>>, Vec<usize>) {
        // Only of what a block alone reads, and nothing else, anything is left out.
        let unread = std::mem::take(&mut layouts[0].unread);
        (Arc::clone(&self.all[&(block, form, layouts)]), unread.channels().to_vec())
    }
}

/// Most sets of channels that are left out of one result.
const MOST_LEFT_OUT: usize = 6;

/// Ways that end in a state: loss, cost and last step of each, and how many there are.
type Open = (Vec<(Loss, f64, Node)>, f64);

impl LayoutSearch<'_> {
    /// Walks along the blocks, under `space.special[special]` special primes, over all patterns that lose at most `budget`.
    /// Where nothing is known of the layer of a block, it stays as it is.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for a network without a linear layer, and [`Error::Stopped`].
    pub(crate) fn walk_patterns(
        &self,
        layered: &[Option<Layered<'_>>],
        special: usize,
        budget: Loss,
        edges: &mut PatternEdges,
    ) -> Result<Walked> {
        let setting = self.setting(special, 0);
        if !edges.complete {
            self.find_patterns(layered, budget, edges)?;
            edges.complete = true;
        }
        let mut nodes: Vec<Node> = Vec::new();
        let mut layer = Layer::new();
        for (packing, form, layout) in self.packings().iter().cloned() {
            nodes.push(Node { parent: 0, step: Step::Input(packing) });
            let image = Held { value: 0, form, later: 0, layout };
            let (ways, count) = layer.entry((0, vec![image])).or_default();
            ways.push((0, 0.0, nodes.len() as u32 - 1));
            *count += 1.0;
        }
        if layer.is_empty() {
            return Err(Error::unsupported("image", "there is no packing that fits"));
        }
        let mut reads: Vec<Vec<Arc<Vec<PatternEdge>>>> = Vec::new();
        for block in 0..self.blocks.len() {
            self.watch.check()?;
            let mut met: Vec<Arc<Vec<PatternEdge>>> = Vec::new();
            let mut open: BTreeMap<Key, Open> = BTreeMap::new();
            for ((later, values), (ways, count)) in &layer {
                let read = met.len() as u32;
                let (found, unread) = edges.of(self.read(block, values));
                met.push(Arc::clone(&found));
                let extra = self.drops(block, *later, values, special);
                for (e, edge) in (0u32..).zip(found.iter()) {
                    let front = match unread.is_empty() {
                        true => edge.front[setting].clone(),
                        false => edge.front_without(&unread, setting),
                    };
                    for (t, tail) in (0u32..).zip(edge.tails.iter()) {
                        let to = (*later, self.held_after(block, *later, values, tail));
                        let (target, total) = open.entry(to).or_default();
                        // What leaves channels out is the same configuration once more.
                        if tail.layout.unread.is_empty() {
                            *total += count * edge.ways.len() as f64;
                        }
                        let after = tail.cost[setting] + extra;
                        for w in &front {
                            let way = &edge.ways[*w as usize];
                            let step = way.cheapest[setting].0 + after;
                            let spend = |(loss, cost, parent): &Spent| {
                                let step2 = Step::Linear { read, edge: e, way: *w, tail: t };
                                let node = Node { parent: *parent, step: step2 };
                                (loss + way.loss, cost + step, node)
                            };
                            target.extend(
                                ways.iter().map(spend).take_while(|(loss, ..)| *loss <= budget),
                            );
                        }
                    }
                }
            }
            reads.push(met);
            layer = Layer::new();
            for (key, (all, count)) in open {
                let numbered = (0u32..).zip(&all).map(|(n, (loss, cost, _))| (*loss, *cost, n));
                let kept = front(numbered.collect()).into_iter().map(|(loss, cost, n)| {
                    nodes.push(all[n as usize].2);
                    (loss, cost, nodes.len() as u32 - 1)
                });
                let kept: Vec<Spent> = kept.collect();
                layer.insert(key, (kept, count));
            }
        }
        let ends = layer
            .into_iter()
            .filter(|((_, values), _)| values.iter().all(|held| held.form == Form::Plain));
        let (mut all, mut ways) = (Vec::new(), 0.0);
        for (_, (found, count)) in ends {
            all.extend(found);
            ways += count;
        }
        let back = |(loss, cost, node): Spent| self.back(loss, cost, node, &nodes, &reads, setting);
        Ok(Walked { front: front(all).into_iter().filter_map(back).collect(), ways })
    }

    /// Prices everything that may be read at any block: towards the result the ways that make all of it, then, on the way back,
    /// those that leave out channels that some pattern of the next layer does not read.
    fn find_patterns(
        &self,
        layered: &[Option<Layered<'_>>],
        budget: Loss,
        edges: &mut PatternEdges,
    ) -> Result<()> {
        let mut states: BTreeSet<Vec<Held>> = BTreeSet::new();
        for (_, form, layout) in self.packings().iter().cloned() {
            states.insert(vec![Held { value: 0, form, later: 0, layout }]);
        }
        let mut reads: Vec<Vec<Read>> = Vec::new();
        for (block, layered) in layered.iter().enumerate() {
            self.watch.check()?;
            let read: BTreeSet<Read> = states.iter().map(|s| self.read(block, s)).collect();
            let read: Vec<Read> = read.into_iter().collect();
            let name = &self.blocks[block].plain.name;
            (self.watch.note)(&format!("patterns of {name} from {} layouts", read.len()));
            let terms = self.terms(block);
            let find = |(_, form, layouts): &Read| match self.watch.stopped() {
                true => Vec::new(),
                false => {
                    let inputs: Vec<_> = layouts.iter().collect();
                    terms.patterned(&self.blocks[block], layered.as_ref(), *form, &inputs)
                }
            };
            let found: Vec<_> = read.par_iter().map(find).map(Arc::new).collect();
            edges.all.extend(read.iter().cloned().zip(found));
            let after = |state: &Vec<Held>| -> Vec<Vec<Held>> {
                let found = edges.of(self.read(block, state)).0;
                let tails = found.iter().flat_map(|edge| edge.tails.iter());
                tails.map(|tail| self.held_after(block, 0, state, tail)).collect()
            };
            states = states.iter().flat_map(after).collect();
            reads.push(read);
        }
        for (block, read) in reads.iter().enumerate().rev() {
            self.watch.check()?;
            let name = &self.blocks[block].plain.name;
            (self.watch.note)(&format!("{name} without what patterns leave unread"));
            let more: Vec<_> = read
                .par_iter()
                .map(|read| match self.watch.stopped() {
                    true => Vec::new(),
                    false => self.leaving_out(block, layered[block].as_ref(), read, budget, edges),
                })
                .collect();
            for (read, more) in read.iter().zip(more).filter(|(_, more)| !more.is_empty()) {
                let known = edges.all.get_mut(read).map(Arc::make_mut);
                known.into_iter().for_each(|known| known.extend(more.iter().cloned()));
            }
        }
        Ok(())
    }

    /// Edges that leave out channels of a block's result which the next block alone reads, and some of its patterns do not.
    fn leaving_out(
        &self,
        block: usize,
        layered: Option<&Layered<'_>>,
        read: &Read,
        budget: Loss,
        edges: &PatternEdges,
    ) -> Vec<PatternEdge> {
        let own = &self.blocks[block];
        let Some(next) = own.next.filter(|_| own.next == own.last && own.sources.len() == 1) else {
            return Vec::new();
        };
        if self.blocks[next].sources.len() != 1 {
            return Vec::new();
        }
        let (terms, inputs) = (self.terms(block), read.2.iter().collect::<Vec<_>>());
        let without = |edge: &PatternEdge| {
            let mut sets: BTreeSet<Vec<usize>> = BTreeSet::new();
            for tail in edge.tails.iter() {
                let after = edges.all.get(&(next, tail.form, vec![tail.layout.clone()]));
                let after = after.iter().flat_map(|list| list.iter());
                let unread = after.flat_map(|edge| edge.worth_leaving_out(budget));
                sets.extend(unread.map(|set| tail.layout.left_out(set)));
            }
            let mut sets: Vec<Vec<usize>> = sets.into_iter().filter(|s| !s.is_empty()).collect();
            sets.sort_by_key(Vec::len);
            let some = spaced(sets.len(), MOST_LEFT_OUT).into_iter();
            let sets: Vec<Vec<usize>> = some.map(|k| sets[k].clone()).collect();
            let target = (edge.layout, edge.fold);
            terms.patterned_without(own, layered, read.1, &inputs, target, &sets)
        };
        edges.all[read].iter().flat_map(without).collect()
    }

    /// Follows a way back to the image.
    fn back(
        &self,
        loss: Loss,
        cost: f64,
        end: u32,
        nodes: &[Node],
        reads: &[Vec<Arc<Vec<PatternEdge>>>],
        setting: usize,
    ) -> Option<PatternPath> {
        let (mut linear, mut pools, mut patterns) = (Vec::new(), Vec::new(), Vec::new());
        let mut at = end;
        for block in (0..self.blocks.len()).rev() {
            let node = nodes[at as usize];
            let Step::Linear { read, edge, way, tail } = node.step else { return None };
            let edge = &reads[block][read as usize][edge as usize];
            let chosen = &edge.ways[way as usize];
            let layer = self.blocks[block].plain.name.clone();
            let (price, schedule, radix) = chosen.cheapest[setting];
            let (layout, fold) = (edge.layout, edge.fold);
            linear.push(LinearChoice { layer: layer.clone(), layout, schedule, fold, radix });
            pools.extend(edge.tails[tail as usize].pools.iter().rev().cloned());
            if edge.ways.len() > 1 {
                let other = |way: &super::price::PatternWay| {
                    let loss = i64::from(way.loss) - i64::from(chosen.loss);
                    (way.choice, way.cheapest[setting].0 - price, loss)
                };
                let others = edge.ways.iter().map(other).collect();
                patterns.push(Chosen { layer, choice: chosen.choice, kept: chosen.kept, others });
            }
            at = node.parent;
        }
        let Step::Input(input) = nodes[at as usize].step else { return None };
        linear.reverse();
        pools.reverse();
        patterns.reverse();
        let path = Path { cost, input, linear, pools, repacks: Vec::new() };
        Some(PatternPath { path, loss, patterns })
    }
}
