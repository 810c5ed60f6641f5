//! Search for the configuration to run.
//!
//! For each variant, ring degree and key-switching shape, an exact dynamic programme along the layers finds
//! the cheapest layouts, fold masks, schedules and pool methods under a [`Pricer`]. The best ones are lowered,
//! priced as they will run, and their memory and precision predicted. Limits are applied last, so that one
//! journal serves any of them. Single activations of what was found may then be folded in other ways ([`Search::exceptions`]).

mod accuracy;
mod beam;
mod candidates;
#[cfg(test)]
mod census;
mod dynamic;
mod edges;
mod evaluate;
mod exceptions;
mod front;
mod journal;
mod obstacle;
mod patterns;
mod price;
mod problem;
mod refit;
mod run;
mod space;
mod survey;
mod watch;
mod ways;

pub use accuracy::{AccuracyFit, AccuracyModel, KeptImportance, LeftOutPattern, TrainedPattern};
pub use evaluate::{Evaluated, LayerPrice, evaluate};
pub use front::pareto_front;
pub use journal::{Journal, MergedJournal, Point, Record};
pub use obstacle::Obstacle;
pub use patterns::{
    Importance, Marginal, PLAN, PatternUnits, Patterns, Plan, PlannedLayer, Plans, Request,
    cut_to_groups, grouped, pattern_units, pruned,
};
pub use price::{Pricer, WorkPricer, price_program};
pub use run::{Candidate, Outcome, Search};
pub use space::{Layouts, Limits, Space};
pub use watch::Watch;
