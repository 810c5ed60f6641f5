//! A few thousand inputs of every target, and decoders with faults that are found.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::time::{Duration, Instant};

use engine::params::{Parameters, ParametersLiteral, limits};
use engine::serial::write_parameters;
use fuzz::format::{Bytes, Format};
use fuzz::memory::Counting;
use fuzz::run::{Fuzzer, Said};
use fuzz::target::Target;
use fuzz::targets;

#[global_allocator]
static MEMORY: Counting = Counting;

/// Inputs of a target.
const INPUTS: u64 = 1500;

/// One after the other: memory is that of the whole process.
#[test]
fn decoders_refuse_or_accept() {
    planted_faults_are_found();
    largest_parameters_are_read_in_little_memory();
    let all = targets::all();
    assert!(all.len() >= 26, "{}", all.len());
    for target in all {
        let name = target.name();
        let seeds = target.seeds();
        assert!(!seeds.is_empty(), "{name}");
        let mut fuzzer = Fuzzer::new(target, 20, None);
        let said: Vec<Said> = seeds.iter().map(|seed| fuzzer.decode(0, seed)).collect();
        assert!(said.contains(&Said::Accepted), "{name}: {said:?}");
        for _ in 0..INPUTS {
            fuzzer.step(&mut |_, _| {});
        }
        let findings: Vec<_> = fuzzer.findings.iter().map(|f| (f.number, &f.fault)).collect();
        assert!(findings.is_empty(), "{name}: {findings:?}");
        assert!(fuzzer.accepted < INPUTS, "{name}: nothing is refused");
    }
}

/// Their file has 80 primes in 700 bytes; the tables of their transforms, 4 MiB a prime, take 320 MiB.
fn largest_parameters_are_read_in_little_memory() {
    let (log_n, levels, special) = (limits::MAX_LOG_N, limits::MAX_LEVELS, limits::MAX_SPECIAL);
    let mut literal =
        ParametersLiteral::uniform(log_n, 50, 50, levels, (special, 50), special).unwrap();
    literal.allow_insecure = true;
    let mut input = Vec::new();
    write_parameters(&mut input, &Parameters::new(&literal).unwrap()).unwrap();
    let target = targets::all().into_iter().find(|t| t.name() == "parameters").unwrap();
    let mut fuzzer = Fuzzer::new(target, 1, None);
    assert_eq!(fuzzer.decode(0, &input), Said::Accepted);
    let findings: Vec<_> = fuzzer.findings.iter().map(|f| &f.fault).collect();
    assert!(findings.is_empty(), "{findings:?}");
}

/// A decoder that does something for inputs whose first byte is below 64.
struct Planted(&'static str, fn() -> usize);

impl Target for Planted {
    fn name(&self) -> &'static str {
        self.0
    }

    fn format(&self) -> &dyn Format {
        &Bytes
    }

    fn seeds(&self) -> Vec<Vec<u8>> {
        vec![vec![64; 8]]
    }

    fn decode(&mut self, input: &[u8]) -> Result<(), String> {
        match input.first() {
            Some(first) if *first < 64 => Err((self.1)().to_string()),
            _ => Ok(()),
        }
    }
}

fn planted_faults_are_found() {
    fn panics() -> usize {
        panic!("planted")
    }
    let memory = || std::hint::black_box(vec![1u8; 80 << 20]).len();
    let time = || {
        let start = Instant::now();
        // Enough of the processor's time, however little of it there is.
        while start.elapsed() < Duration::from_secs(3) {
            std::hint::spin_loop();
        }
        0
    };
    for (name, fault, told) in [
        ("panics", panics as fn() -> usize, "planted"),
        ("memory", memory, "of memory"),
        ("time", time, "over a second"),
    ] {
        let mut fuzzer = Fuzzer::new(Box::new(Planted(name, fault)), 1, None);
        while fuzzer.findings.is_empty() && fuzzer.next < 1000 {
            fuzzer.step(&mut |_, _| {});
        }
        let found = fuzzer.findings.first().map(|f| f.fault.clone()).unwrap_or_default();
        assert!(found.contains(told), "{name}: {found:?}");
    }
}
