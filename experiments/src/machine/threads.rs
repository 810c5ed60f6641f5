//! How many threads compute.

use costmodel::Machine;
use costmodel::machine::describe_threads;

use crate::process::output::note;

/// As many as were asked for, or all that the machine has.
///
/// Says so on standard error if they are more than these: then they take turns, which no prediction knows of.
pub fn number(asked: Option<u16>, machine: &Machine) -> usize {
    let threads = asked.map_or(machine.threads, usize::from);
    tell_of_more(threads, machine);
    threads
}

/// The numbers that were asked for, or one and all that the machine has: ascending, each once. As [`number`] of the largest.
pub fn numbers(asked: &[u16], machine: &Machine) -> Vec<usize> {
    let mut numbers: Vec<usize> = match asked {
        [] => vec![1, machine.threads],
        _ => asked.iter().map(|t| usize::from(*t)).collect(),
    };
    numbers.sort_unstable();
    numbers.dedup();
    numbers.last().into_iter().for_each(|most| tell_of_more(*most, machine));
    numbers
}

fn tell_of_more(threads: usize, machine: &Machine) {
    if threads > machine.threads {
        let there = describe_threads(machine.threads, machine.threads_by, machine.cpus);
        note(format_args!(
            "warning: --threads {threads}, but there are {there}: more take turns, and take longer than predicted"
        ));
    }
}
