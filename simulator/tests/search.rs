//! The search: exact prices, resuming, restrictions, determinism.

#![allow(clippy::unwrap_used)]

mod common;

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use common::*;
use simulator::fold::{ActivationMethod, Folded, StageKind};
use simulator::interpret::run_clear;
use simulator::lowering::lower;
use simulator::network::Model;
use simulator::precision::Demand;
use simulator::search::*;

fn candidate(model: &Model, name: &str, accuracy: f64) -> Candidate {
    let folded = Folded::new(model, ActivationMethod::Square).unwrap();
    Candidate { variant: name.into(), folded, accuracy: Some(accuracy) }
}

fn space() -> Space {
    Space {
        log_n: vec![13],
        special: vec![1, 2],
        min_scale_bits: 10,
        max_inputs: 16,
        activations: ActivationMethod::Square,
        ..Space::default()
    }
}

fn search<'a>(space: &'a Space, limits: &'a Limits) -> Search<'a> {
    Search {
        space,
        limits,
        pricer: &WorkPricer,
        pricer_name: "work",
        reference_accuracy: Some(0.99),
        images: &[],
        seed: 1,
        wanted: usize::MAX,
        watch: Watch::default(),
    }
}

const ANY: Limits = Limits {
    accuracy_drop: None,
    memory_bytes: None,
    on_demand: true,
    precision: Demand::Absolute(-100.0),
};

/// Runs a configuration on plain slots and compares with the network.
#[track_caller]
fn check_clear(model: &Model, e: &Evaluated) {
    let folded = Folded::new(model, &e.configuration).unwrap();
    let chain = e.configuration.parameters.ideal_chain().unwrap();
    let l = lower(&folded, &e.configuration, &chain, true).unwrap();
    l.program.check(&chain).unwrap();
    let x = image(&model.network, 9);
    let y = l.decode(&run_clear(&l.program, &l.encode(&x).unwrap()).unwrap()).unwrap();
    assert!(difference(&y, &model.forward(&x).unwrap()) < 1e-9);
}

#[test]
fn finds_what_a_person_would_write_or_better() {
    let m = model(lenet(16, 8, 8, 4));
    let s = space();
    let outcome = search(&s, &ANY).run(&[candidate(&m, "g4", 0.99)], &Journal::new()).unwrap();
    let best = outcome.best.unwrap();
    check_clear(&m, &best);
    assert!(best.precision.is_some());
    assert_eq!(best.latency_ms, outcome.all[0].latency_ms);
    let folded = Folded::new(&m, ActivationMethod::Square).unwrap();
    for special in [1, 2] {
        let mut by_hand = phased(13, 8);
        by_hand.parameters.special = special;
        by_hand.parameters.alpha = special;
        let price = evaluate(&folded, &by_hand, 1, &WorkPricer).unwrap();
        assert!(best.latency_ms < price.latency_ms);
    }
    // The paper's layouts are a part of all layouts.
    let paper = Space { layouts: Layouts::Paper, ..space() };
    let outcome = search(&paper, &ANY).run(&[candidate(&m, "g4", 0.99)], &Journal::new()).unwrap();
    let restricted = outcome.best.unwrap();
    check_clear(&m, &restricted);
    assert!(best.latency_ms <= restricted.latency_ms);
    assert!(restricted.configuration.linear.iter().all(|l| l.layout.phases == 1));
}

#[test]
fn groups_that_only_the_weights_have_are_searched_as_groups() {
    let m = model(lenet(16, 8, 8, 4));
    let grouped = candidate(&m, "g4", 0.99);
    let mut sparse = candidate(&m, "sparse", 0.99);
    for stage in &mut sparse.folded.stages {
        if let StageKind::Linear(linear) = &mut stage.kind {
            let groups = linear.geometry.groups;
            linear.main = linear.main.clone().ungrouped();
            assert_eq!((linear.geometry.groups, linear.channel_groups()), (1, groups));
        }
    }
    let s = space();
    let best = |c: Candidate| search(&s, &ANY).run(&[c], &Journal::new()).unwrap().best.unwrap();
    let (grouped, sparse) = (best(grouped), best(sparse));
    assert_eq!(grouped.latency_ms, sparse.latency_ms);
    assert_eq!(grouped.configuration.linear, sparse.configuration.linear);
}

#[test]
fn journals_resume_and_merge() {
    let models = [model(lenet(8, 8, 8, 1)), model(lenet(8, 8, 8, 2))];
    let candidates = [candidate(&models[0], "dense", 0.99), candidate(&models[1], "g2", 0.985)];
    let folder = tempfile::tempdir().unwrap();
    let s = space();
    let run = |candidates: &[Candidate], name: &str| {
        let journal = Journal::open(&folder.path().join(name)).unwrap();
        search(&s, &ANY).run(candidates, &journal).unwrap()
    };
    let whole = run(&candidates, "whole");
    // Two numbers of special primes, and the best four ways under each.
    assert_eq!((whole.priced, whole.evaluated, whole.resumed), (16, 16, 0));
    assert_eq!(whole.per_variant.len(), 2);
    // The same again, from the file.
    let again = run(&candidates, "whole");
    assert_eq!((again.priced, again.evaluated, again.resumed), (16, 0, 16));
    assert!(again.all == whole.all, "a journal must give back what was put in");
    assert!(again.front == whole.front);
    // Shards, concatenated; the second one's last line was cut off.
    run(&candidates[..1], "a");
    run(&candidates[1..], "b");
    let read = |name: &str| std::fs::read(folder.path().join(name)).unwrap();
    let mut merged = read("a");
    merged.extend(read("b"));
    merged.truncate(merged.len() - 20);
    std::fs::write(folder.path().join("merged"), &merged).unwrap();
    let resumed = run(&candidates, "merged");
    assert_eq!((resumed.evaluated, resumed.resumed), (1, 15));
    assert!(resumed.all == whole.all, "shards must add up to the whole");
    // Nothing of the file was cut, and the point found again is on a line of its own.
    let last = read("b").split_inclusive(|&b| b == b'\n').next_back().unwrap().to_vec();
    assert!(read("merged") == [&merged[..], b"\n", &last].concat());
    // A line that is no record is an error that says where.
    std::fs::write(folder.path().join("bad"), "{}\n").unwrap();
    let error = Journal::open(&folder.path().join("bad")).unwrap_err().to_string();
    assert!(error.contains("line 1"), "{error}");
}

#[test]
fn a_search_stops_when_told_to() {
    let m = model(lenet(8, 8, 8, 4));
    let s = space();
    let run = |last: usize| {
        let (stop, notes) = (AtomicBool::new(false), Mutex::new(Vec::new()));
        let note = |what: &str| {
            let mut notes = notes.lock().unwrap();
            notes.push(what.to_owned());
            stop.store(notes.len() >= last, Relaxed);
        };
        let watch = Watch { stop: &stop, note: &note };
        let found =
            Search { watch, ..search(&s, &ANY) }.run(&[candidate(&m, "g4", 0.99)], &Journal::new());
        (found.map(|o| o.evaluated), notes.into_inner().unwrap())
    };
    let (found, notes) = run(usize::MAX);
    assert_eq!(found.unwrap(), 8);
    assert!(notes.iter().any(|n| n.contains("conv2")), "{notes:?}");
    let (found, some) = run(3);
    assert!(matches!(found, Err(simulator::Error::Stopped)));
    assert_eq!(some, notes[..3]);
}

#[test]
fn limits_choose_among_results() {
    let models = [model(lenet(8, 8, 8, 1)), model(lenet(8, 8, 8, 4))];
    let candidates = [candidate(&models[0], "dense", 0.99), candidate(&models[1], "g4", 0.97)];
    let s = space();
    let journal = Journal::new();
    let any = search(&s, &ANY).run(&candidates, &journal).unwrap();
    let best = any.best.unwrap();
    assert_eq!(best.configuration.variant, "g4");
    assert!(any.front.windows(2).all(|w| w[0].latency_ms < w[1].latency_ms));
    let with = |limits: &Limits| search(&s, limits).run(&candidates, &journal).unwrap();
    let accurate = with(&Limits { accuracy_drop: Some(0.01), ..ANY });
    assert_eq!(accurate.best.unwrap().configuration.variant, "dense");
    assert_eq!(accurate.per_variant.len(), 1);
    let most = best.memory.total_bytes() - 1;
    // Plaintexts on demand take less, for the same program.
    assert!(best.memory_on_demand.total_bytes() < most);
    let demanded = with(&Limits { memory_bytes: Some(most), ..ANY }).best.unwrap();
    assert_eq!(demanded.configuration, best.configuration);
    let small = with(&Limits { memory_bytes: Some(most), on_demand: false, ..ANY });
    assert!(
        small
            .best
            .is_none_or(|e| e.memory.total_bytes() <= most && e.latency_ms >= best.latency_ms)
    );
    assert!(with(&Limits { precision: Demand::Absolute(60.0), ..ANY }).best.is_none());
}

#[test]
fn paired_squares_with_planned_scales_compute_the_network() {
    let m = model(lenet(8, 8, 8, 2));
    let activations = ActivationMethod::PairedSquare;
    let s = Space { log_n: vec![14], activations, ..space() };
    let folded = Folded::new(&m, activations).unwrap();
    let small = Candidate { variant: "small".into(), folded, accuracy: None };
    let outcome = search(&s, &ANY).run(&[small], &Journal::new()).unwrap();
    assert!(!outcome.all.is_empty());
    for e in &outcome.all {
        check_clear(&m, e);
        assert!(e.configuration.scales.is_some());
        assert_eq!(e.configuration.parameters.levels, 4);
    }
}

/// Of the ways that are priced only, none is among the cheapest few wanted, and none on the front.
#[test]
fn what_is_not_evaluated_would_not_matter() {
    let models = [model(lenet(8, 8, 8, 1)), model(lenet(8, 8, 8, 4))];
    let activations = ActivationMethod::PairedSquare;
    let s = Space { log_n: vec![13, 14], activations, ..space() };
    let candidates = [(&models[0], "dense"), (&models[1], "g4")].map(|(m, name)| {
        let folded = Folded::new(m, activations).unwrap();
        Candidate { variant: name.into(), folded, accuracy: None }
    });
    let few_journal = Journal::new();
    for (demand, wanted) in [(-100.0, 1), (-100.0, 5), (9.0, 3), (60.0, 1)] {
        let limits = Limits { precision: Demand::Relative(demand), ..ANY };
        let of = |wanted| Search { wanted, ..search(&s, &limits) };
        let all = of(usize::MAX).run(&candidates, &Journal::new()).unwrap();
        // What other limits left priced only is evaluated once these ask for it.
        let few = of(wanted).run(&candidates, &few_journal).unwrap();
        assert_eq!(few.priced, all.priced);
        assert!(few.all.len() == all.all.len() || demand < 60.0);
        assert!(few.all.len() < all.all.len() || demand > 0.0, "{}", few.all.len());
        assert!(few.best == all.best && few.per_variant == all.per_variant);
        assert!(few.front == all.front, "{demand} {wanted}");
        assert_eq!(few.obstacles.is_empty(), all.obstacles.is_empty());
        let cheapest = |outcome: &Outcome, variant: &str| -> Vec<Evaluated> {
            let own = outcome.all.iter().filter(|e| e.configuration.variant == variant);
            own.filter(|e| of(1).fits(e)).take(wanted).cloned().collect()
        };
        for variant in ["dense", "g4"] {
            assert!(cheapest(&few, variant) == cheapest(&all, variant), "{demand} {wanted}");
        }
    }
}

/// Layouts of other variants and smaller rings shorten a search, whose results are the same.
#[test]
fn a_search_finds_the_same_after_others() {
    let activations = ActivationMethod::PairedSquare;
    let s = Space { log_n: vec![13, 14], activations, ..space() };
    let candidates = [1, 4].map(|groups| {
        let folded = Folded::new(&model(lenet(8, 8, 8, groups)), activations).unwrap();
        Candidate { variant: format!("g{groups}"), folded, accuracy: None }
    });
    let shared = Journal::new();
    for candidate in candidates {
        let of = |journal: &Journal| {
            search(&s, &ANY).run(std::slice::from_ref(&candidate), journal).unwrap().all
        };
        assert_eq!(of(&shared), of(&Journal::new()));
    }
}

/// Work that takes longer the more bits keys have, or the fewer.
struct ByKeys {
    more_is_dearer: bool,
}

impl Pricer for ByKeys {
    fn price_ms(&self, primitive: &costmodel::Primitive, setting: &costmodel::Setting) -> f64 {
        let bits = f64::from(setting.keys.key_pair_bits);
        let factor = if self.more_is_dearer { bits } else { 1.0 / bits };
        factor * WorkPricer.price_ms(primitive, setting)
    }
}

/// Layouts that were found are computed with the primes that cost least, and of those that cost the same with the largest.
#[test]
fn layouts_are_fitted_with_the_cheapest_primes() {
    let m = model(lenet(8, 8, 8, 4));
    let (log_n, special) = (vec![14], vec![1]);
    let s = Space { activations: ActivationMethod::PairedSquare, log_n, special, ..space() };
    let folded = Folded::new(&m, s.activations).unwrap();
    let candidate = Candidate { variant: "g4".into(), folded, accuracy: None };
    let found = search(&s, &ANY).run(&[candidate], &Journal::new()).unwrap().best.unwrap();
    // Words of up to 48 bits are packed into six bytes.
    for (more_is_dearer, bits) in [(true, 48), (false, 50)] {
        let pricer = ByKeys { more_is_dearer };
        let search = Search { pricer: &pricer, ..search(&s, &ANY) };
        let (fit, _) = search.refit(&m, &found.configuration, None).unwrap();
        let fit = fit.unwrap();
        assert_eq!(fit.configuration.parameters.prime_bits, bits);
        assert_eq!(fit.configuration.linear, found.configuration.linear);
        check_clear(&m, &fit);
    }
}
