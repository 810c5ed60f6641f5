//! The scheduler: groups and a pattern of units for every layer, searched together with layouts and schedules.
//!
//! First the layout search looks at the network with the same groups everywhere, for several numbers of groups. What it
//! comes to are the layouts to choose from. Among these, a dynamic programme goes over every combination of layouts, pool methods
//! and patterns, exactly: of a state, the ways are kept that no other beats in both price and loss of accuracy. Prices are
//! those of lowering the pruned network, by counts of its units ([`crate::lowering`]'s census).

mod apply;
mod price;
mod walk;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use self::price::Loss;
use self::walk::{Chosen, PatternEdges, PatternPath};
use super::accuracy::{AccuracyModel, KeptImportance};
use super::dynamic::{LayoutSearch, Only};
use super::evaluate::Evaluated;
use super::front::spaced;
use super::obstacle::Obstacle;
use super::price::Memo;
use super::problem::{Block, blocks};
use super::run::{About, Candidate, Search};
use super::space::Space;
use super::survey::looked_at;
use crate::fold::{Folded, StageKind};
use crate::network::{ConvGeometry, Model};
use crate::pattern::{Family, Grouping, PatternChoice};
use crate::{Error, Result};

pub use apply::{PatternUnits, Patterns, cut_to_groups, grouped, pattern_units, pruned};

/// Importance of every weight by layer, of dense layers: `[out][in][kernel row][kernel column]`.
pub type Importance = BTreeMap<String, Vec<f64>>;

/// What a plan is searched for.
#[derive(Debug, Clone)]
pub struct Request<'a> {
    /// The dense network. Its weights only say what values are like: those of a plan are yet to be trained.
    pub model: &'a Model,
    /// Importance of the weights of the layers that may have patterns: which units go.
    pub importance: &'a Importance,
    /// Importance of the same weights that says what groups cost. Scores of a network that has groups already do not, unless
    /// training starts from it: they know of no weight outside of them.
    pub group_importance: &'a Importance,
    /// What may be removed together.
    pub families: Vec<Family>,
    /// Whether groups may be shuffled.
    pub shuffles: bool,
    /// Most groups of a layer.
    pub max_groups: usize,
    /// What patterns cost in accuracy.
    pub accuracy: AccuracyModel,
    /// What the weights that training starts from have lost already, in points: nothing if they are the dense network's.
    pub lost: f64,
    /// Most accuracy that may be lost at the upper end of the interval, in points, `lost` included.
    pub max_drop: f64,
    /// Most plans that are lowered.
    pub most: usize,
}

/// Another pattern of a layer in place of the one that a plan has, with its layouts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Marginal {
    /// The pattern.
    pub choice: PatternChoice,
    /// What it takes more (less if negative), in milliseconds.
    pub latency_ms: f64,
    /// What it loses more (less if negative), in points.
    pub drop: f64,
}

/// The pattern of a layer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlannedLayer {
    /// Name of the layer.
    pub layer: String,
    /// Its pattern.
    #[serde(flatten)]
    pub choice: PatternChoice,
    /// What that keeps of its importance.
    pub kept: KeptImportance,
    /// The next patterns: a divisor more or less of groups, an eighth more or less of units.
    pub next: Vec<Marginal>,
}

/// A plan: a configuration, and the pattern of every layer that may have one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// The configuration and what it takes.
    pub evaluated: Evaluated,
    /// The layers that may have patterns.
    pub layers: Vec<PlannedLayer>,
    /// Expected drop of accuracy, in points.
    pub expected_drop: f64,
    /// The upper end of its interval.
    pub upper_drop: f64,
}

impl Plan {
    /// The patterns by layer.
    pub fn patterns(&self) -> Patterns {
        self.layers.iter().map(|l| (l.layer.clone(), l.choice)).collect()
    }
}

/// What a search for plans found.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Plans {
    /// Plans that no other beats in latency, expected accuracy and memory at once, fastest first.
    pub front: Vec<Plan>,
    /// Configurations that the dynamic programme went over: distinct combinations of ring degree, key-switching shape,
    /// packing, layouts, pool methods and patterns. Schedules, the cheapest of which is taken, are not counted.
    pub configurations: f64,
    /// Ways that were priced: a pattern between two layouts, once.
    pub priced: usize,
    /// Plans that were found to be fast enough, but do not keep to another limit.
    pub obstacles: Vec<Obstacle>,
}

/// A layer that may have patterns.
pub(crate) struct Layered<'a> {
    pub(crate) geometry: ConvGeometry,
    pub(crate) scores: &'a [f64],
    /// Each with the share of importance that lies within its groups.
    pub(crate) groupings: Vec<(Grouping, f64)>,
    pub(crate) families: Vec<Family>,
    pub(crate) accuracy: AccuracyModel,
    /// Layers that may have patterns.
    pub(crate) layers: usize,
}

impl<'a> Request<'a> {
    /// The layer of each block, if it may have patterns: a convolution or a fully connected layer whose importance is known and
    /// which folding has left as it is.
    pub(crate) fn layered(&'a self, blocks: &[Block]) -> Vec<Option<Layered<'a>>> {
        let find = |block: &Block| {
            let layer = self.model.network.layers.iter().find(|l| l.name == block.plain.name)?;
            let StageKind::Linear(linear) = &block.plain.kind else { return None };
            let geometry = linear.geometry;
            let own = layer.convolution_of(geometry.input).filter(|g| g.groups == 1)?;
            let scores = self.importance.get(&layer.name)?;
            let of_groups = self.group_importance.get(&layer.name)?;
            let fits = |scores: &[f64]| scores.len() == geometry.weights();
            let whole = geometry.input.len() == layer.input.len();
            let usable = own == geometry && whole && fits(scores) && fits(of_groups);
            usable.then_some((geometry, &scores[..], &of_groups[..]))
        };
        let found: Vec<_> = blocks.iter().map(find).collect();
        let layers = found.iter().flatten().count();
        let layered = |(geometry, scores, of_groups)| Layered {
            geometry,
            scores,
            groupings: self.groupings(&geometry, of_groups),
            families: self.families.clone(),
            accuracy: self.accuracy,
            layers,
        };
        found.into_iter().map(|f| f.map(layered)).collect()
    }

    fn groupings(&self, g: &ConvGeometry, scores: &[f64]) -> Vec<(Grouping, f64)> {
        let wanted = |g: &Grouping| g.groups <= self.max_groups && (self.shuffles || !g.shuffled);
        let kept = |grouping: Grouping| (grouping, grouping.kept(g, scores));
        match g.output.area() {
            // The layouts of single positions have no order by groups.
            1 => vec![kept(Grouping::NONE)],
            _ => Grouping::all(g).into_iter().filter(wanted).map(kept).collect(),
        }
    }

    /// The most that may be expected to be lost, in hundredths of a point.
    fn budget(&self) -> Loss {
        (100.0 * (self.max_drop - self.lost - self.accuracy.margin) + 1e-9).floor().max(0.0) as Loss
    }

    /// Numbers of groups to look at everywhere, for layouts: powers of two that fit any layer that may have patterns.
    fn uniform(&self, layered: &[Option<Layered<'_>>]) -> BTreeSet<usize> {
        let all = layered.iter().flatten().flat_map(|l| &l.groupings);
        all.map(|(g, _)| g.groups).filter(|n| n.is_power_of_two()).collect()
    }
}

/// A way found, with what it is a way under.
struct Found {
    log_n: u32,
    special: usize,
    way: PatternPath,
}

impl Search<'_> {
    /// Searches for plans: under every ring degree and key-switching shape of the space, which has no repacks.
    ///
    /// # Errors
    /// Those of [`Search::run`], and [`Error::Configuration`] for a space with repacks, rotations that are not fused, or
    /// where no layer may have patterns.
    pub fn plan(&self, request: &Request<'_>) -> Result<Plans> {
        if self.space.repacks > 0 || !self.space.double_hoisting || self.space.images > 1 {
            return Err(Error::Configuration(
                "patterns are searched for without repacks, with double hoisting and for one image in a ciphertext"
                    .into(),
            ));
        }
        let folded = Folded::new(request.model, self.space.activations)?;
        let all = whole(blocks(&folded)?);
        let layered = request.layered(&all);
        if layered.iter().all(Option::is_none) {
            return Err(Error::Configuration(
                "no layer may have patterns: a convolution or fully connected layer with importance is needed".into(),
            ));
        }
        let memo = Memo::new(self.pricer);
        let mut plans = Plans::default();
        let mut found = Vec::new();
        for &log_n in &self.space.log_n {
            let levels = folded.levels();
            let numbers = self.space.special.iter().copied().enumerate();
            let is_secure =
                |(_, special): &_| !self.space.parameters(log_n, *special, levels).is_empty();
            let (secure, insecure): (Vec<_>, Vec<_>) = numbers.partition(is_secure);
            let obstacle = |(_, special)| self.insecure(log_n, special, levels);
            plans.obstacles.extend(insecure.into_iter().map(obstacle));
            if secure.is_empty() {
                continue;
            }
            let only = self.layouts(request, (&folded, &all), &layered, log_n, &memo)?;
            let search = LayoutSearch::new(&folded, &all, self.space, &memo, self.watch, log_n);
            let search = search.among(only);
            let mut edges = PatternEdges::default();
            for (k, special) in secure {
                let walked = search.walk_patterns(&layered, k, request.budget(), &mut edges)?;
                plans.configurations += walked.ways;
                found.extend(walked.front.into_iter().map(|way| Found { log_n, special, way }));
            }
            plans.priced += edges.priced();
        }
        let layers = layered.iter().flatten().count();
        self.lowered(request, (&folded, layers), found, plans)
    }

    /// The layouts that the search comes to for the network with the same number of groups everywhere.
    fn layouts(
        &self,
        request: &Request<'_>,
        (folded, all): (&Folded, &[Block]),
        layered: &[Option<Layered<'_>>],
        log_n: u32,
        memo: &Memo<'_>,
    ) -> Result<Only> {
        // One key-switching shape will do.
        let special = self.space.special.get(self.space.special.len() / 2).copied();
        let space = Space {
            quick: true,
            special: special.into_iter().collect(),
            repacks: 0,
            ..self.space.clone()
        };
        let mut only = Only::default();
        for groups in request.uniform(layered).into_iter().rev() {
            let grouping = Grouping { groups, shuffled: false };
            let choice = PatternChoice { grouping, ..PatternChoice::DENSE };
            let fitting = layered.iter().zip(all).filter_map(|(layered, block)| {
                let fits = layered.as_ref()?.groupings.iter().any(|(known, _)| *known == grouping);
                fits.then(|| (block.plain.name.clone(), choice))
            });
            let folded = grouped(folded, &fitting.collect())?;
            let blocks = whole(blocks(&folded)?);
            let mut search = LayoutSearch::new(&folded, &blocks, &space, memo, self.watch, log_n);
            if !only.inputs.is_empty() {
                // The packings of the sparsest network, which is the quickest to look at, are those of the others.
                search = search.among(Only { inputs: only.inputs.clone(), targets: Vec::new() });
            }
            let slots = 1 << (log_n - 1);
            search.solve(0, 0, None)?.iter().for_each(|path| only.add(path, slots));
        }
        Ok(only)
    }

    /// Lowers the best ways, of so many layers that may have patterns, and keeps those that no other beats.
    fn lowered(
        &self,
        request: &Request<'_>,
        (dense, layers): (&Folded, usize),
        found: Vec<Found>,
        mut plans: Plans,
    ) -> Result<Plans> {
        let keys = found.iter().zip(0u32..).map(|(f, n)| (f.way.loss, f.way.path.cost, n));
        let front = price::front(keys.collect());
        // The fastest, and some of the others, as far apart as they are.
        let chosen = spaced(front.len(), request.most.max(2));
        for k in chosen.into_iter().rev() {
            self.watch.check()?;
            let Found { log_n, special, way } = &found[front[k].2 as usize];
            match self.planned(request, (dense, layers), (*log_n, *special), way)? {
                (Some(plan), _) => plans.front.push(plan),
                (None, refused) => plans.obstacles.extend(refused),
            }
        }
        plans.obstacles = Obstacle::nearest(std::mem::take(&mut plans.obstacles));
        plans.front = frontier(&plans.front);
        Ok(plans)
    }

    /// A way as a plan, with the first parameters under which it keeps to the limits.
    fn planned(
        &self,
        request: &Request<'_>,
        (dense, layers): (&Folded, usize),
        (log_n, special): (u32, usize),
        way: &PatternPath,
    ) -> Result<(Option<Plan>, Vec<Obstacle>)> {
        let patterns: Patterns = way.patterns.iter().map(|c| (c.layer.clone(), c.choice)).collect();
        let Some(parameters) = self.space.parameters(log_n, special, dense.levels()).pop() else {
            unreachable!("only secure parameters are walked");
        };
        let plain = way.path.plain(dense, parameters);
        let folded = pruned(dense, &plain, &patterns, request.importance)?;
        let folded = folded.with_means_of(dense, &looked_at(dense, self.images, self.seed))?;
        let candidate = Candidate { variant: PLAN.into(), folded, accuracy: None };
        let (images, statistics) = self.look(&candidate.folded)?;
        let about = About { candidate: &candidate, statistics: &statistics, images: &images };
        let fit = self.cheapest_fit(&about, (log_n, special), dense.levels(), &way.path)?;
        let plan = fit.found.map(|evaluated| {
            // As the budget counts: a layer without patterns of the families asked for is one of them.
            let of_layer = |c: &Chosen| request.accuracy.layer(c.kept, layers);
            let removed = way.patterns.iter().map(of_layer).sum();
            let expected_drop = request.lost + removed;
            let upper_drop = request.lost + request.accuracy.upper(removed);
            let layers = way.patterns.iter().map(planned_layer).collect();
            Plan { evaluated, layers, expected_drop, upper_drop }
        });
        Ok((plan, fit.refused))
    }
}

/// Blocks whose every channel is there: which of them a plan leaves unread, its patterns say.
fn whole(mut blocks: Vec<Block>) -> Vec<Block> {
    blocks.iter_mut().for_each(|block| block.unread.clear());
    blocks
}

/// Name of the variant that a plan is to be trained as.
pub const PLAN: &str = "plan";

fn planned_layer(chosen: &Chosen) -> PlannedLayer {
    let own = chosen.choice;
    let of = |groups: &dyn Fn(usize) -> bool, pick: &dyn Fn(&[usize]) -> Option<usize>| {
        let mut all: Vec<usize> =
            chosen.others.iter().map(|o| o.0.grouping.groups).filter(|g| groups(*g)).collect();
        all.sort_unstable();
        pick(&all)
    };
    let fewer = of(&|g| g < own.grouping.groups, &|all| all.last().copied());
    let more = of(&|g| g > own.grouping.groups, &|all| all.first().copied());
    let next = |other: &&(PatternChoice, f64, i64)| {
        let (choice, ..) = other;
        let regrouped = [fewer, more].contains(&Some(choice.grouping.groups))
            && choice.grouping.shuffled == (own.grouping.shuffled && choice.grouping.groups > 1)
            && (choice.family, choice.eighths) == (own.family, own.eighths);
        let family = choice.family == own.family
            || choice.family == Family::Dense
            || own.family == Family::Dense;
        let reshared =
            choice.grouping == own.grouping && family && choice.eighths.abs_diff(own.eighths) == 1;
        regrouped || reshared
    };
    let marginal = |(choice, latency_ms, loss): &(PatternChoice, f64, i64)| Marginal {
        choice: *choice,
        latency_ms: *latency_ms,
        drop: *loss as f64 / 100.0,
    };
    PlannedLayer {
        layer: chosen.layer.clone(),
        choice: own,
        kept: chosen.kept,
        next: chosen.others.iter().filter(next).map(marginal).collect(),
    }
}

/// The plans that no other beats in latency, expected drop and memory at once, fastest first; of equal ones, the first.
fn frontier(all: &[Plan]) -> Vec<Plan> {
    let measures = |p: &Plan| {
        [p.evaluated.latency_ms, p.expected_drop, p.evaluated.memory.total_bytes() as f64]
    };
    super::front::unbeaten(all, measures)
}

#[cfg(test)]
mod tests;
