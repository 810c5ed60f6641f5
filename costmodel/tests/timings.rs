//! Programs are timed with the real engine, and their times are kept.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use costmodel::measure::{Conduct, Instruction, Request, Sequence, time};
use costmodel::timings::{Origin, Timings};
use costmodel::{Error, LinearShape, Machine, Primitive};
use engine::eval::{LinearPlan, LinearTerm};
use engine::params::{Parameters, ParametersLiteral};

fn params(depth: usize) -> Parameters {
    let mut literal = ParametersLiteral::uniform(11, 44, 40, depth, (1, 46), 1).unwrap();
    literal.allow_insecure = true;
    Parameters::new(&literal).unwrap()
}

/// Two sums over three rotations, with plaintexts of so many words.
fn linear(level: usize, words: usize, batch: Option<usize>) -> Instruction {
    mixed(level, [words; 2], batch)
}

/// The same with plaintexts of two sorts, in turn.
fn mixed(level: usize, words: [usize; 2], batch: Option<usize>) -> Instruction {
    let term =
        |k: usize| LinearTerm { dst: k / 3, src: 0, shift: [0, 5, 700][k % 3], plaintext: Some(k) };
    let terms: Vec<LinearTerm> = (0..6).map(term).collect();
    let plan = LinearPlan::new(&params(2), 1, 2, &terms, true).unwrap();
    let words = (0..6).map(|k| words[k % 2]).collect();
    Instruction::linear(plan.shape().into(), level, terms, words, batch).unwrap()
}

/// A sum of so many plaintexts of all words, over one rotation and none.
fn wide(count: usize, batch: Option<usize>) -> Instruction {
    let term = |k: usize| LinearTerm { dst: 0, src: 0, shift: k % 2, plaintext: Some(k) };
    let terms: Vec<LinearTerm> = (0..count).map(term).collect();
    let plan = LinearPlan::new(&params(2), 1, 1, &terms, false).unwrap();
    Instruction::linear(plan.shape().into(), 2, terms, vec![2048; count], batch).unwrap()
}

fn alone(instruction: &Instruction) -> Sequence {
    Sequence::new(std::slice::from_ref(instruction), 11)
}

fn every_kind() -> Vec<Instruction> {
    let plain = |primitive| Instruction::new(primitive, 2, Vec::new()).unwrap();
    vec![
        linear(2, 2048, None),
        linear(2, 64, None),
        linear(2, 2048, Some(2)),
        mixed(2, [2048, 64], None),
        mixed(2, [2048, 64], Some(2)),
        mixed(2, [2048, 64], Some(5)),
        mixed(2, [2048, 64], Some(6)),
        linear(1, 2048, None),
        Instruction::rotate_hoisted(vec![1, 2, 40, 1023], 2),
        plain(Primitive::SumSquares { terms: 3, rescale: true }),
        plain(Primitive::Multiply { rescale: false }),
        plain(Primitive::Add),
        plain(Primitive::Rescale),
        plain(Primitive::DropLevel { to: 0 }),
        plain(Primitive::Conjugate),
        Instruction::new(Primitive::AddPlain, 2, vec![2048]).unwrap(),
        Instruction::new(Primitive::AddPlain, 1, vec![128]).unwrap(),
    ]
}

fn conduct(memory_bytes: u64) -> Conduct {
    Conduct { threads: 1, budget: Duration::from_millis(300), memory_bytes }
}

/// Times by number, and the numbers of what is too large.
fn times(
    requests: &[Request<'_>],
    memory_bytes: u64,
) -> Result<(BTreeMap<usize, f64>, Vec<usize>), Error> {
    let mut found = BTreeMap::new();
    let mut last = 0.0;
    let too_large = time(
        requests,
        &conduct(memory_bytes),
        &mut |p| {
            assert!(p.fraction >= last && p.fraction <= 1.0, "{} after {last}", p.fraction);
            last = p.fraction;
        },
        &AtomicBool::new(false),
        &mut |number, time| {
            assert!(time.samples > 0 && time.median_ns >= time.low_quartile_ns);
            // Few samples are taken here: the machine may have stood still in half of them.
            assert!(found.insert(number, time.low_quartile_ns).is_none());
            Ok(())
        },
    )?;
    Ok((found, too_large))
}

#[test]
fn every_kind_of_instruction_is_timed() {
    let (shallow, deep) = (params(2), params(3));
    let instructions = every_kind();
    let mut sequences: Vec<Sequence> = instructions.iter().map(alone).collect();
    // All of them, of all levels.
    sequences.push(Sequence::new(&instructions, 11));
    let all = sequences.iter().map(|sequence| Request { params: &shallow, sequence });
    let other = Request { params: &deep, sequence: &sequences[0] };
    let requests: Vec<Request<'_>> = all.chain([other]).collect();
    let (found, too_large) = times(&requests, 4 << 30).unwrap();
    assert!(too_large.is_empty());
    assert_eq!(found.len(), requests.len());
    assert!(found.values().all(|ns| *ns > 0.0), "{found:?}");
    // Three key switches against a sum of two ciphertexts.
    let add = instructions.iter().position(|i| i.primitive() == Primitive::Add).unwrap();
    assert!(found[&0] > 2.0 * found[&add], "{found:?}");
    // A program takes as long as its instructions do, which find more in the caches when they are alone; half for chance.
    let sum: f64 = found.range(..instructions.len()).map(|(_, ns)| ns).sum();
    assert!(found[&instructions.len()] > 0.5 * sum, "{found:?}");
}

#[test]
fn what_memory_has_no_room_for_is_left_out() {
    let params = params(2);
    let [large, small] = [alone(&wide(2000, None)), alone(&linear(2, 64, None))];
    let requests = [&large, &small].map(|sequence| Request { params: &params, sequence });
    // 2000 plaintexts of four limbs take 131 MB.
    let (found, too_large) = times(&requests, 100_000_000).unwrap();
    assert_eq!((found.keys().collect::<Vec<_>>(), too_large), (vec![&1], vec![0]));
    assert_eq!(times(&requests, 0).unwrap().1, [0, 1]);
    // A little more, and they fit one after the other.
    assert!(times(&requests, 200_000_000).unwrap().1.is_empty());
}

/// Those that are made for an instruction take the memory of those made for the one before; others are all there.
#[test]
fn plaintexts_made_on_demand_share_memory() {
    let params = params(2);
    let program =
        |batches: [Option<usize>; 4]| Sequence::new(&batches.map(|batch| wide(500, batch)), 11);
    let (made, half) = (Some(500), Some(250));
    let programs = [[made; 4], [half, made, half, made], [None, made, half, made], [None; 4]];
    let programs = programs.map(program);
    let requests: Vec<_> =
        programs.iter().map(|sequence| Request { params: &params, sequence }).collect();
    // 500 plaintexts of four limbs take 33 MB.
    assert_eq!(times(&requests, 50_000_000).unwrap().1, [2, 3]);
    assert_eq!(times(&requests, 85_000_000).unwrap().1, [3]);
    assert!(times(&requests, 150_000_000).unwrap().1.is_empty());
}

#[test]
fn instructions_that_parameters_do_not_have_are_errors() {
    let params = params(2);
    let refused = |instruction: &Instruction| {
        let sequence = &alone(instruction);
        times(&[Request { params: &params, sequence }], 4 << 30).unwrap_err().to_string()
    };
    assert!(refused(&linear(3, 64, None)).contains("at level 3"));
    let many = Instruction::rotate_hoisted((1..=1024).collect(), 1);
    assert!(refused(&many).contains("a rotation by 1024"));
    // Neither words that no plaintext has, nor rescales below the last level, nor no sources at all end the program.
    refused(&linear(2, 0, None));
    refused(&linear(0, 64, None));
    let none = LinearShape { sources: 0, ..shape() };
    refused(&Instruction::linear(none, 1, Vec::new(), Vec::new(), None).unwrap());
}

fn shape() -> LinearShape {
    match linear(1, 64, None).primitive() {
        Primitive::Linear(shape) => shape,
        _ => unreachable!(),
    }
}

#[test]
fn timing_stops_when_cancelled() {
    let params = params(2);
    let sequence = alone(&linear(2, 64, None));
    let (cancel, mut count) = (AtomicBool::new(false), 0);
    let conduct = Conduct { budget: Duration::from_secs(100), ..conduct(4 << 30) };
    let mut progress = |_: &costmodel::measure::Progress| cancel.store(true, Ordering::Relaxed);
    let requests = [Request { params: &params, sequence: &sequence }];
    let stopped = time(&requests, &conduct, &mut progress, &cancel, &mut |_, _| {
        count += 1;
        Ok(())
    });
    assert!(matches!(stopped, Err(Error::Cancelled)) && count == 0);
}

fn timing(median_ns: f64) -> costmodel::point::Timing {
    let (low_quartile_ns, high_quartile_ns) = (0.9 * median_ns, 1.1 * median_ns);
    costmodel::point::Timing { median_ns, low_quartile_ns, high_quartile_ns, samples: 5 }
}

fn open(path: &Path, build: &str) -> Result<Timings, Error> {
    Timings::open(Some(path), Origin::new(&Machine::detect(), build.into()))
}

#[test]
fn times_are_kept_for_their_build_and_a_torn_line_is_skipped() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("folder/refined.jsonl");
    let (params, one, two) = (params(2), alone(&linear(2, 64, None)), alone(&linear(1, 64, None)));
    let mut timings = open(&path, "a").unwrap();
    timings.add(&one, &params, 1, timing(0.1 + 0.2)).unwrap();
    // Another process timed it, too.
    open(&path, "a").unwrap().add(&one, &params, 1, timing(7.0)).unwrap();
    open(&path, "b").unwrap().add(&one, &params, 1, timing(8.0)).unwrap();
    timings.add(&two, &params, 1, timing(9.0)).unwrap();
    let whole = fs::read(&path).unwrap();
    let lines = whole.iter().filter(|b| **b == b'\n').count();
    assert_eq!(lines, 4);
    let again = open(&path, "a").unwrap();
    assert_eq!(again.get(&one, &params, 1), Some(timing(0.1 + 0.2)));
    assert_eq!(again.get(&two, &params, 1), timings.get(&two, &params, 1));
    assert_eq!(again.get(&one, &params, 2), None);
    assert_eq!(open(&path, "b").unwrap().get(&one, &params, 1), Some(timing(8.0)));
    assert_eq!(open(&path, "c").unwrap().get(&one, &params, 1), None);
    // Killed within the last line.
    fs::write(&path, &whole[..whole.len() - 20]).unwrap();
    let mut torn = open(&path, "a").unwrap();
    assert_eq!(torn.get(&one, &params, 1), Some(timing(0.1 + 0.2)));
    assert_eq!(torn.get(&two, &params, 1), None);
    torn.add(&two, &params, 1, timing(10.0)).unwrap();
    assert_eq!(open(&path, "a").unwrap().get(&two, &params, 1), Some(timing(10.0)));
    // In memory only, nothing is known.
    let empty = Timings::open(None, Origin::new(&Machine::detect(), "a".into())).unwrap();
    assert_eq!(empty.get(&one, &params, 1), None);
}

#[test]
fn damaged_times_are_told_with_their_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("refined.jsonl");
    let (params, one) = (params(2), alone(&linear(2, 64, None)));
    open(&path, "a").unwrap().add(&one, &params, 1, timing(5.0)).unwrap();
    let line = fs::read_to_string(&path).unwrap();
    for (field, bad) in [
        ("\"median_ns\":5.0", "\"median_ns\":-5.0"),
        ("\"median_ns\":5.0", "\"median_ns\":1e300"),
        ("\"samples\":5", "\"samples\":0"),
        ("\"key\":", "\"clef\":"),
        ("\"build\":", "\"batiment\":"),
    ] {
        assert!(line.contains(field), "{line}");
        fs::write(&path, format!("{line}{}", line.replace(field, bad))).unwrap();
        let error = open(&path, "a").unwrap_err().to_string();
        assert!(error.contains("line 2: ") && error.contains("remove the file"), "{error}");
    }
}
