//! The dynamic programme over layouts, levels and accuracy spent.

use std::collections::BTreeMap;
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

/// Edges by what is read; those of earlier key-switching shapes serve later ones.
pub(crate) type PatternEdges = BTreeMap<Read, Arc<Vec<PatternEdge>>>;

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
        let mut nodes: Vec<Node> = Vec::new();
        let mut layer = Layer::new();
        for (packing, form, layout) in self.packings(self.space) {
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
            self.find_patterns(block, layered[block].as_ref(), &layer, edges);
            self.watch.check()?;
            let mut met: Vec<Arc<Vec<PatternEdge>>> = Vec::new();
            let mut open: BTreeMap<Key, Open> = BTreeMap::new();
            for ((later, values), (ways, count)) in &layer {
                let read = met.len() as u32;
                let found = Arc::clone(&edges[&self.read(block, values)]);
                met.push(Arc::clone(&found));
                let extra = self.drops(block, *later, values, special);
                for (e, edge) in (0u32..).zip(found.iter()) {
                    for (t, tail) in (0u32..).zip(edge.tails.iter()) {
                        let to = (*later, self.held_after(block, *later, values, tail));
                        let (target, total) = open.entry(to).or_default();
                        *total += count * edge.ways.len() as f64;
                        let after = tail.cost[setting] + extra;
                        for w in &edge.front[setting] {
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

    /// Prices what is read at a block and was not before.
    fn find_patterns(
        &self,
        block: usize,
        layered: Option<&Layered<'_>>,
        layer: &Layer,
        edges: &mut PatternEdges,
    ) {
        let mut wanted: Vec<Read> =
            layer.keys().map(|(_, values)| self.read(block, values)).collect();
        wanted.sort();
        wanted.dedup();
        wanted.retain(|read| !edges.contains_key(read));
        let name = &self.blocks[block].plain.name;
        (self.watch.note)(&format!("patterns of {name} from {} layouts", wanted.len()));
        let terms = self.terms(block);
        let found: Vec<_> = wanted
            .into_par_iter()
            .map(|read| {
                let inputs: Vec<_> = read.2.iter().collect();
                let found = match self.watch.stopped() {
                    true => Vec::new(),
                    false => terms.patterned(&self.blocks[block], layered, read.1, &inputs),
                };
                (read, Arc::new(found))
            })
            .collect();
        edges.extend(found);
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
