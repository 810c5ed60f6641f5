//! Programs run encrypted: results, records, and both forms of plaintexts.

#![allow(clippy::unwrap_used)]

mod common;

use std::sync::Arc;

use common::difference;
use common::ops::{every_op, parameters, slots};
use costmodel::measure::Sequence;
use engine::params::Parameters;
use simulator::chain::Chain;
use simulator::interpret::{Client, Execution, Session, run_clear};
use simulator::program::{Op, PlaintextForm, Program};

struct Run {
    results: Vec<Vec<f64>>,
    execution: Execution,
    keys: u64,
    plaintexts: u64,
}

fn run(params: &Parameters, program: &Program, form: PlaintextForm) -> Run {
    let client = Client::new(params);
    let keys = Arc::new(client.evaluation_keys(program).unwrap());
    let session = Session::prepare(params, keys.clone(), program.clone(), form).unwrap();
    let plaintexts = (session.resident_bytes() - keys.bytes()) as u64;
    let inputs = client.encrypt(program, &inputs(program)).unwrap();
    let execution = session.run(inputs).unwrap();
    Run {
        results: client.decrypt(&execution.outputs).unwrap(),
        execution,
        keys: keys.bytes() as u64,
        plaintexts,
    }
}

fn inputs(program: &Program) -> Vec<Vec<f64>> {
    (0..program.inputs).map(|k| slots(program.slots, k + 1)).collect()
}

/// Every operation gives what it gives on plain numbers, stored and on demand, in batches of any size; and the predicted
/// keys and plaintexts are those that are there.
#[test]
fn every_operation_in_every_form() {
    let params = parameters();
    let chain = Chain::from(&params);
    let program = every_op(&chain);
    let clear = run_clear(&program, &inputs(&program)).unwrap();
    let one = program.plaintexts.iter().map(|p| p.encoded_bytes(&chain)).max().unwrap();
    let form = |batch_bytes| PlaintextForm::OnDemand { batch_bytes };
    for form in [PlaintextForm::Stored, PlaintextForm::ON_DEMAND, form(2 * one), form(1)] {
        let run = run(&params, &program, form);
        for (encrypted, clear) in run.results.iter().zip(&clear) {
            assert!(
                difference(encrypted, clear) < 1e-4,
                "{form:?}: {}",
                difference(encrypted, clear)
            );
        }
        run.execution.check(&program).unwrap();
        let encoding = run.execution.encode_times.iter().filter(|t| !t.is_zero()).count();
        assert_eq!(encoding, if form == PlaintextForm::Stored { 0 } else { 2 }, "{form:?}");
        let memory = program.memory(&chain, form);
        let values = (8 * program.slots * program.plaintexts.len()) as u64;
        let linear = program.facts(&program.instructions[4]);
        let batch = program.plaintext_batch(&linear, &chain, form);
        let (resident, expected) = match form {
            PlaintextForm::Stored => (memory.plaintexts_bytes, 0),
            PlaintextForm::OnDemand { .. } => (values, batch.count as u64 * one),
        };
        assert_eq!(run.plaintexts, resident, "{form:?}");
        assert_eq!(batch.bytes, expected, "{form:?}");
        // Keys have a table besides, of half a byte for each coefficient, and numbers of their masks, one in 512 words; of 6
        // or more words of 6 or more bytes each.
        assert!(run.keys.abs_diff(memory.keys_bytes) < run.keys / 50, "{}", run.keys);
        assert!(memory.plaintexts_bytes <= resident + batch.bytes, "{form:?}");
        // Up to the sums nothing takes more than they do: where they have one batch, all of it counts.
        if batch.count == linear.plaintexts.len() {
            let until = until_sums(&program).memory(&chain, form);
            assert_eq!(until.plaintexts_bytes, resident + batch.bytes, "{form:?}");
        }
    }
}

/// The same with its first instructions alone, of which the last is the sums with plaintexts.
fn until_sums(program: &Program) -> Program {
    let mut first = program.clone();
    first.instructions.truncate(5);
    first.outputs = first.instructions[4].dsts.clone();
    first
}

/// Plaintexts whose slots repeat take less than others: a batch has as many as fit whichever they are, and takes no more than the
/// largest of them do together.
#[test]
fn batches_of_plaintexts_of_several_sizes() {
    let chain = Chain::from(&parameters());
    let mut program = every_op(&chain);
    let linear = program.facts(&program.instructions[4]);
    program.plaintexts[linear.plaintexts[0]].period = 64;
    let size = |k: usize| program.plaintexts[linear.plaintexts[k]].encoded_bytes(&chain);
    let (small, one) = (size(0), size(1));
    assert!(linear.plaintexts.len() == 3 && size(2) == one && small < one, "{small} of {one}");
    let all = 2 * one + small;
    for (batch_bytes, count, bytes) in
        [(all, 3, all), (all - 1, 2, 2 * one), (2 * one - 1, 1, one), (1, 1, one)]
    {
        let form = PlaintextForm::OnDemand { batch_bytes };
        let batch = program.plaintext_batch(&linear, &chain, form);
        assert_eq!((batch.count, batch.bytes), (count, bytes), "{batch_bytes}");
    }
}

/// What was executed is compared with what was priced, whatever of it differs.
#[test]
fn another_program_than_the_executed_is_found_out() {
    let params = parameters();
    let program = every_op(&Chain::from(&params));
    let Run { execution, .. } = run(&params, &program, PlaintextForm::Stored);
    execution.check(&program).unwrap();
    let differs = |instruction: usize, spoil: &dyn Fn(&mut Program)| {
        let mut other = program.clone();
        spoil(&mut other);
        let error = execution.check(&other).unwrap_err().to_string();
        let expected = format!(
            "instruction {instruction}, layer {}",
            ["first", "second"][usize::from(instruction > 5)]
        );
        assert!(error.starts_with(&expected), "{error}");
    };
    let last = program.instructions.len() - 1;
    // A level, a scale, and the number of results of every instruction.
    for (k, instruction) in program.instructions.iter().enumerate() {
        let dst = instruction.dsts[0];
        differs(k, &|p| p.values[dst].scale *= 1.01);
        differs(k, &|p| p.values[dst].level += 1);
        differs(k, &|p| {
            p.instructions[k].dsts.pop();
        });
    }
    // Rescales, shapes, order, length.
    for at in [4, 6, 8] {
        differs(at, &|p| match &mut p.instructions[at].op {
            Op::Linear { rescale, .. }
            | Op::SumSquares { rescale, .. }
            | Op::Multiply { rescale, .. } => {
                *rescale = !*rescale;
            }
            _ => unreachable!(),
        });
    }
    differs(4, &|p| {
        let Op::Linear { terms, .. } = &mut p.instructions[4].op else { unreachable!() };
        terms.pop();
    });
    differs(1, &|p| p.instructions.swap(1, 3));
    differs(5, &|p| drop(p.instructions.remove(5)));
    differs(last, &|p| drop(p.instructions.pop()));
}

/// A session is only made of a well-formed program with values.
#[test]
fn what_cannot_run_is_not_prepared() {
    let params = parameters();
    let program = every_op(&Chain::from(&params));
    let client = Client::new(&params);
    let keys = Arc::new(client.evaluation_keys(&program).unwrap());
    let refused = |what: &str, spoil: &dyn Fn(&mut Program)| {
        let mut other = program.clone();
        spoil(&mut other);
        for form in [PlaintextForm::Stored, PlaintextForm::ON_DEMAND] {
            let error = Session::prepare(&params, keys.clone(), other.clone(), form).err().unwrap();
            assert!(error.to_string().contains(what), "{error}");
        }
    };
    refused("instruction 6", &|p| p.values[10].scale *= 1.01);
    refused("instruction 6", &|p| p.values[10].level = 0);
    refused("instruction 5", &|p| p.instructions[5].dsts.clear());
    refused("lowered with values", &|p| p.plaintexts[1].values = None);
}

/// What is timed one by one is what is executed: the same shapes at the same levels, and in batches where those are.
#[test]
fn instructions_are_timed_as_they_are_executed() {
    let params = parameters();
    let chain = Chain::from(&params);
    let program = every_op(&chain);
    let one = program.plaintexts.iter().map(|p| p.encoded_bytes(&chain)).max().unwrap();
    let keys = |form| -> Vec<_> {
        let timed = program.timed(&chain, form).unwrap();
        let shapes: Vec<_> = timed.iter().map(|t| (t.primitive(), t.level())).collect();
        let executed: Vec<_> = program.primitives().map(|(_, p, level)| (p, level)).collect();
        assert_eq!(shapes, executed);
        timed
            .iter()
            .map(|t| Sequence::new(std::slice::from_ref(t), params.log_n()).key(&params, 1))
            .collect()
    };
    let stored = keys(PlaintextForm::Stored);
    // Here one batch has all plaintexts of an instruction.
    let at_once = keys(PlaintextForm::ON_DEMAND);
    let batched = keys(PlaintextForm::OnDemand { batch_bytes: one });
    for (k, instruction) in program.instructions.iter().enumerate() {
        let count = match &instruction.op {
            Op::Linear { .. } => program.facts(instruction).plaintexts.len(),
            _ => 0,
        };
        let differ = [at_once[k] != stored[k], batched[k] != at_once[k]];
        assert_eq!(differ, [count > 0, count > 1], "{:?}", instruction.op);
    }
}
