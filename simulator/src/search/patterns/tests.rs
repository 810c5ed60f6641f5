//! The dynamic programme's ways are those of enumerating everything, and their prices those of lowering the pruned network.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::config::ParameterChoice;
use crate::network::{LayerParameters, Network};
use crate::search::beam::{Held, Key};
use crate::search::problem::Form;
use crate::search::{Limits, Watch, WorkPricer, evaluate};

const LOG_N: u32 = 10;

fn pick<T: Copy>(rng: &mut ChaCha8Rng, list: &[T]) -> T {
    list[rng.random_range(0..list.len())]
}

/// Two or three convolutions, with or without pools, perhaps a fully connected layer over the maps or their means, and a last
/// one: all but the first and the last may have patterns.
fn random_network(rng: &mut ChaCha8Rng) -> Model {
    // Of the wider maps, a ciphertext holds two channels.
    let mut extent = pick(rng, &[6, 6, 10]);
    let mut text =
        format!("name = \"n\"\n[input]\nchannels = 2\nheight = {extent}\nwidth = {extent}\n");
    let count = pick(rng, &[2, 2, 3]);
    for k in 0..count {
        let kernel = if extent > 3 { pick(rng, &[1, 3]) } else { 1 };
        let padding = if kernel == 3 { pick(rng, &[0, 1]) } else { 0 };
        extent = extent + 2 * padding - (kernel - 1);
        let out = if count == 3 { pick(rng, &[2, 4]) } else { pick(rng, &[4, 6, 8]) };
        text += &format!(
            "[[layer]]\nname = \"c{k}\"\nkind = \"conv\"\nout = {out}\nkernel = {kernel}\npadding = {padding}\n\
             [[layer]]\nname = \"a{k}\"\nkind = \"activation\"\n"
        );
        if extent % 2 == 0 && extent > 2 && rng.random_bool(0.4) {
            extent /= 2;
            text += &format!("[[layer]]\nname = \"p{k}\"\nkind = \"avgpool\"\nkernel = 2\n");
        }
    }
    if count == 2 && rng.random_bool(0.5) {
        let out = pick(rng, &[4, 6]);
        if rng.random_bool(0.5) {
            text += &format!("[[layer]]\nname = \"mean\"\nkind = \"avgpool\"\nkernel = {extent}\n");
        }
        text += &format!(
            "[[layer]]\nname = \"f0\"\nkind = \"fc\"\nout = {out}\n[[layer]]\nname = \"b0\"\nkind = \"activation\"\n"
        );
    }
    text += "[[layer]]\nname = \"fc\"\nkind = \"fc\"\nout = 3\n";
    Model::random(Network::from_toml(&text).unwrap(), rng.random())
}

/// Magnitudes of all layers between the first and the last.
fn importance(model: &Model) -> Importance {
    let layers = model
        .network
        .layers
        .iter()
        .zip(&model.parameters)
        .filter(|(l, _)| l.name != "c0" && l.name != "fc");
    layers
        .filter_map(|(l, p)| match p {
            LayerParameters::Linear { weight, .. } => {
                Some((l.name.clone(), weight.iter().map(|w| w * w).collect()))
            }
            _ => None,
        })
        .collect()
}

fn space() -> Space {
    Space {
        log_n: vec![LOG_N],
        special: vec![1, 2],
        max_inputs: 4,
        max_ciphertexts: 8,
        keep: 2,
        ..Space::default()
    }
}

/// Every way from a state to the end: its loss and price, and 1 if it makes all of every map.
fn enumerate(
    search: &LayoutSearch<'_>,
    edges: &PatternEdges,
    (special, block): (usize, usize),
    (later, values): Key,
    (loss, cost, whole): (Loss, f64, u32),
    all: &mut Vec<(Loss, f64, u32)>,
) {
    if block == search.blocks.len() {
        if values.iter().all(|held| held.form == Form::Plain) {
            all.push((loss, cost, whole));
        }
        return;
    }
    let extra = search.drops(block, later, &values, special);
    let setting = search.setting(special, 0);
    let (found, unread) = edges.of(search.read(block, &values));
    for edge in found.iter() {
        for tail in edge.tails.iter() {
            let to = (later, search.held_after(block, later, &values, tail));
            let whole = whole * u32::from(tail.layout.unread.is_empty());
            let reads_none = |way: &&price::PatternWay| {
                let set = &edge.unread[way.unread as usize];
                unread.iter().all(|channel| set.contains(channel))
            };
            for way in edge.ways.iter().filter(reads_none) {
                let step = way.cheapest[setting].0 + (tail.cost[setting] + extra);
                let spent = (loss + way.loss, cost + step, whole);
                enumerate(search, edges, (special, block + 1), to.clone(), spent, all);
            }
        }
    }
}

#[test]
fn the_front_is_that_of_all_ways_and_prices_are_those_of_lowering() {
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let (mut networks, mut total, mut removed) = (0, 0.0, 0);
    let (mut left_out, mut seen) = (0, [[0; 2]; 2]);
    let space = space();
    let limits = Limits::default();
    while networks < 200 {
        let model = random_network(&mut rng);
        let importance = importance(&model);
        let accuracy = AccuracyModel { groups: 0.7, units: 3.0, power: 1.5, margin: 0.0 };
        let families = Family::REMOVING;
        let first = rng.random_range(0..families.len());
        let families = vec![families[first], families[(first + 1) % families.len()]];
        let request = Request {
            model: &model,
            importance: &importance,
            group_importance: &importance,
            lost: 0.0,
            families,
            shuffles: rng.random_bool(0.5),
            accuracy,
            max_groups: usize::MAX,
            max_drop: 1000.0,
            most: 4,
        };
        let search = Search {
            space: &space,
            limits: &limits,
            pricer: &WorkPricer,
            pricer_name: "work",
            reference_accuracy: None,
            images: &[],
            seed: 1,
            wanted: usize::MAX,
            watch: Watch::default(),
        };
        let folded = Folded::new(&model, space.activations).unwrap();
        let all = blocks(&folded).unwrap();
        let layered = request.layered(&all);
        if layered.iter().all(Option::is_none) {
            continue;
        }
        let memo = Memo::new(&WorkPricer);
        let only = search.layouts(&request, (&folded, &all), &layered, LOG_N, &memo).unwrap();
        let programme = LayoutSearch::new(&folded, &all, &space, &memo, Watch::default(), LOG_N);
        let programme = programme.among(only);
        let mut edges = PatternEdges::default();
        let special = rng.random_range(0..space.special.len());
        let walked =
            programme.walk_patterns(&layered, special, request.budget(), &mut edges).unwrap();
        if walked.ways > 3e5 {
            continue;
        }
        networks += 1;
        total += walked.ways;
        let mut ways = Vec::new();
        for (_, form, layout) in programme.packings().iter().cloned() {
            let image = Held { value: 0, form, later: 0, layout };
            enumerate(&programme, &edges, (special, 0), (0, vec![image]), (0, 0.0, 1), &mut ways);
        }
        assert_eq!(ways.iter().filter(|way| way.2 == 1).count() as f64, walked.ways);
        left_out += ways.iter().filter(|way| way.2 == 0).count();
        let expected: Vec<(Loss, f64)> =
            price::front(ways).into_iter().map(|(loss, cost, _)| (loss, cost)).collect();
        let found: Vec<(Loss, f64)> = walked.front.iter().map(|w| (w.loss, w.path.cost)).collect();
        assert_eq!(found.len(), expected.len());
        for (a, b) in found.iter().zip(&expected) {
            assert!(a.0 == b.0 && (a.1 / b.1 - 1.0).abs() < 1e-12, "{found:?}\n{expected:?}");
        }
        // The cheapest, the dearest and one between them are lowered.
        let ends = [0, walked.front.len() / 2, walked.front.len() - 1];
        for way in ends.map(|k| &walked.front[k]) {
            let patterns: Patterns =
                way.patterns.iter().map(|c| (c.layer.clone(), c.choice)).collect();
            removed += patterns.values().filter(|c| c.family != Family::Dense).count();
            let parameters = ParameterChoice {
                log_n: LOG_N,
                scale_bits: Some(30),
                prime_bits: 30,
                top_bits: None,
                first_bits: 40,
                special_bits: 40,
                special: space.special[special],
                alpha: space.special[special],
                levels: folded.levels(),
            };
            let configuration = way.path.plain(&folded, parameters);
            let pruned = pruned(&folded, &configuration, &patterns, &importance).unwrap();
            let e = evaluate(&pruned, &configuration, space.threads, &WorkPricer).unwrap();
            // Less where a pattern leaves more unread than was worth looking at.
            let off = e.latency_ms / way.path.cost - 1.0;
            assert!(off < 1e-9, "{off} {patterns:?} {configuration:?}");
            let unread = pruned.unread().iter().any(|unread| !unread.is_empty());
            assert!(unread || off > -1e-9, "{off} {patterns:?} {configuration:?}");
            seen[usize::from(unread)][usize::from(off > -1e-9)] += 1;
        }
    }
    assert!(total > 5e5 && removed > 200, "{total} ways, {removed} with units removed");
    // Of those that leave something unread, few cost less than was thought.
    let [_, [less, same]] = seen;
    assert!(left_out > 1000 && same > 30 && less * 5 < same, "{left_out} {seen:?}");
}
