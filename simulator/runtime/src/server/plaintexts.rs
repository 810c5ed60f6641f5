//! Plaintexts in a file: what several have in common is there once.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::sync::Arc;

use engine::Result;
use engine::serial::{Sink, Source};
use simulator::program::{Drawing, Entry, PlaintextSpec, Program, SlotValues};

use crate::wire::{
    get, get_flag, get_level, get_list, get_numbers, get_records, put, put_level, put_numbers,
    put_records,
};

/// Values of slots themselves.
const SLOTS: u8 = 0;
/// Values of slots drawn from entries.
const DRAWN: u8 = 1;
/// The fewest bytes of a plaintext: its period, level, scale, whether it is extended, and its values.
const LEAST_PLAINTEXT: usize = 4 + 2 + 8 + 1 + 1 + 4;
/// How often the entries of a plaintext may write to each of its slots. Those of a network write once, and a few times where
/// several of its weights meet in a slot.
const MOST_WRITES: u64 = 64;

/// What the plaintexts of a program have in common, each once.
#[derive(Default)]
pub(super) struct Bulk<'a> {
    /// Groups of position sets, by where they are in memory.
    groups: Once<'a, usize, Vec<Vec<usize>>>,
    /// Lists of entries, with their groups, by where both are.
    lists: Once<'a, (usize, usize), Vec<Entry>>,
    /// Group of each list.
    group_of: Vec<usize>,
    /// Values of slots, by their bits.
    slots: Once<'a, Vec<u64>, Vec<f64>>,
}

/// Different things in the order in which they were met.
struct Once<'a, K, T> {
    all: Vec<&'a T>,
    numbers: HashMap<K, usize>,
}

impl<K, T> Default for Once<'_, K, T> {
    fn default() -> Self {
        Self { all: Vec::new(), numbers: HashMap::new() }
    }
}

impl<'a, K: Eq + std::hash::Hash, T> Once<'a, K, T> {
    /// The number of a thing, and whether it is a new one.
    fn add(&mut self, key: K, thing: &'a T) -> (usize, bool) {
        let next = self.all.len();
        let number = *self.numbers.entry(key).or_insert(next);
        if number == next {
            self.all.push(thing);
        }
        (number, number == next)
    }
}

/// The lists of entries that are not empty.
fn lists(drawing: &Drawing) -> impl Iterator<Item = &Arc<Vec<Entry>>> {
    drawing.entries.iter().filter(|list| !list.is_empty())
}

fn place<T>(shared: &Arc<T>) -> usize {
    Arc::as_ptr(shared) as usize
}

fn bits(values: &[f64]) -> Vec<u64> {
    values.iter().map(|v| v.to_bits()).collect()
}

impl<'a> Bulk<'a> {
    /// Of a program for so many images in a ciphertext, which must have values.
    pub(super) fn new(program: &'a Program, images: usize) -> Result<Self> {
        let mut bulk = Self::default();
        for spec in &program.plaintexts {
            if spec.images != images {
                return Err(engine::Error::argument("images of a plaintext", spec.images, images));
            }
            match &spec.values {
                None => {
                    let expected = "one lowered with values";
                    return Err(engine::Error::argument(
                        "program to write",
                        "one for pricing only",
                        expected,
                    ));
                }
                Some(SlotValues::Slots(values)) => {
                    bulk.slots.add(bits(values), values);
                }
                Some(SlotValues::Drawn(drawing)) => {
                    let sets = place(&drawing.sets);
                    let (group, _) = bulk.groups.add(sets, &drawing.sets);
                    for list in lists(drawing) {
                        if bulk.lists.add((place(list), sets), list).1 {
                            bulk.group_of.push(group);
                        }
                    }
                }
            }
        }
        Ok(bulk)
    }
}

/// Writes the plaintexts of a program, with what they have in common before them.
pub(super) fn put_plaintexts(
    sink: &mut Sink<impl Write>,
    program: &Program,
    bulk: &Bulk<'_>,
) -> Result<()> {
    put(sink, "groups of position sets", bulk.groups.all.len())?;
    for group in &bulk.groups.all {
        put(sink, "position sets", group.len())?;
        for set in *group {
            put_numbers(sink, "offset of a slot", set.iter().copied())?;
        }
    }
    put(sink, "lists of entries", bulk.lists.all.len())?;
    for (list, group) in bulk.lists.all.iter().zip(&bulk.group_of) {
        put(sink, "group of position sets", *group)?;
        put(sink, "entries", list.len())?;
        put_records(sink, list, |e: &Entry| {
            let mut bytes = [0; 16];
            bytes[..4].copy_from_slice(&e.base.to_le_bytes());
            bytes[4..8].copy_from_slice(&e.set.to_le_bytes());
            bytes[8..].copy_from_slice(&e.weight.to_le_bytes());
            bytes
        })?;
    }
    put(sink, "vectors of slots", bulk.slots.all.len())?;
    for values in &bulk.slots.all {
        put(sink, "slots", values.len())?;
        put_records(sink, values, |v: &f64| v.to_le_bytes())?;
    }
    put(sink, "plaintexts", program.plaintexts.len())?;
    program.plaintexts.iter().try_for_each(|spec| put_plaintext(sink, spec, bulk))
}

fn put_plaintext(sink: &mut Sink<impl Write>, spec: &PlaintextSpec, bulk: &Bulk<'_>) -> Result<()> {
    put(sink, "period", spec.period)?;
    put_level(sink, spec.level)?;
    sink.f64(spec.scale)?;
    sink.u8(u8::from(spec.extended))?;
    match &spec.values {
        // There is none: what is written was collected from all of them.
        None => Ok(()),
        Some(SlotValues::Slots(values)) => {
            sink.u8(SLOTS)?;
            put(sink, "vector of slots", bulk.slots.numbers[&bits(values)])
        }
        Some(SlotValues::Drawn(drawing)) => {
            sink.u8(DRAWN)?;
            let sets = place(&drawing.sets);
            put(sink, "group of position sets", bulk.groups.numbers[&sets])?;
            put(sink, "move of slots", drawing.giant)?;
            let numbers: Vec<usize> =
                lists(drawing).map(|list| bulk.lists.numbers[&(place(list), sets)]).collect();
            put_numbers(sink, "list of entries", numbers.into_iter())
        }
    }
}

/// A list of entries, as it was read.
struct List {
    group: usize,
    entries: Arc<Vec<Entry>>,
    /// Slots that it writes to, each as often as it does.
    writes: u64,
}

/// What plaintexts have in common, as it was read.
struct Shared {
    groups: Vec<Arc<Vec<Vec<usize>>>>,
    lists: Vec<List>,
    slots: Vec<Arc<Vec<f64>>>,
}

/// Reads plaintexts for ciphertexts of so many slots, which `images` images share. Their indices are checked, and that drawing
/// their slots takes no more time than their number explains; their periods, levels and scales are not.
pub(super) fn get_plaintexts<R: Read>(
    source: &mut Source<R>,
    slots: usize,
    images: usize,
) -> Result<Vec<PlaintextSpec>> {
    // Of one image.
    let slots = slots / images;
    let count = get(source)?;
    let groups = get_list(source, count, 4, |source| {
        let count = get(source)?;
        get_list(source, count, 4, |source| {
            let set = get_numbers(source)?;
            match set.iter().find(|offset| **offset >= slots) {
                None if set.is_empty() => Err(source.error("a position set is empty")),
                None => Ok(set),
                Some(bad) => {
                    Err(source.error(format!("an offset is {bad}, expected below {slots}")))
                }
            }
        })
        .map(Arc::new)
    })?;
    let count = get(source)?;
    let lists = get_list(source, count, 4 + 4 + 16, |source| get_entries(source, &groups, slots))?;
    let count = get(source)?;
    let vectors = get_list(source, count, 4, |source| {
        let count = get(source)?;
        if count == 0 || count > slots {
            return Err(source.error(format!("a vector of {count} slots, expected 1 to {slots}")));
        }
        get_records(source, count, |bytes| f64::from_le_bytes(*bytes)).map(Arc::new)
    })?;
    let shared = Shared { groups, lists, slots: vectors };
    let count = get(source)?;
    get_list(source, count, LEAST_PLAINTEXT, |source| {
        get_plaintext(source, &shared, (slots, images))
    })
}

fn get_entries<R: Read>(
    source: &mut Source<R>,
    groups: &[Arc<Vec<Vec<usize>>>],
    slots: usize,
) -> Result<List> {
    let (group, count) = (get(source)?, get(source)?);
    if count == 0 {
        return Err(source.error("a list of entries is empty"));
    }
    let Some(sets) = groups.get(group) else {
        return Err(source.error(format!("entries are of group {group} of {}", groups.len())));
    };
    let entries = get_records(source, count, |bytes: &[u8; 16]| {
        let [words, [w0, w1, w2, w3, w4, w5, w6, w7]] = bytes.as_chunks::<8>().0 else {
            unreachable!("16 bytes are two times 8")
        };
        let [base, set] = [0, 1].map(|k| u32::from_le_bytes(words.as_chunks::<4>().0[k]));
        let weight = f64::from_le_bytes([*w0, *w1, *w2, *w3, *w4, *w5, *w6, *w7]);
        Entry { base, set, weight }
    })?;
    let mut writes = 0;
    for entry in &entries {
        let set = sets.get(entry.set as usize).filter(|_| (entry.base as usize) < slots);
        let Some(set) = set else {
            return Err(source.error(format!("{entry:?} is of no slot or no position set")));
        };
        writes += set.len() as u64;
    }
    Ok(List { group, entries: Arc::new(entries), writes })
}

fn get_plaintext<R: Read>(
    source: &mut Source<R>,
    shared: &Shared,
    (slots, images): (usize, usize),
) -> Result<PlaintextSpec> {
    let (period, level, scale) = (get(source)?, get_level(source)?, source.f64()?);
    let extended = get_flag(source, "whether a plaintext is extended")?;
    let values = match source.u8()? {
        SLOTS => {
            let number = get(source)?;
            let values = shared.slots.get(number).cloned();
            values.map(SlotValues::Slots).ok_or_else(|| {
                source.error(format!("vector {number} of {} of slots", shared.slots.len()))
            })?
        }
        DRAWN => {
            let (group, giant) = (get(source)?, get(source)?);
            let numbers = get_numbers(source)?;
            let of_group = |n: &usize| shared.lists.get(*n).filter(|list| list.group == group);
            let lists: Option<Vec<&List>> = numbers.iter().map(of_group).collect();
            let sets = shared.groups.get(group).cloned();
            let Some((sets, lists)) = sets.zip(lists).filter(|_| giant < slots) else {
                let reason = "entries, position sets or move that there are not";
                return Err(source.error(format!("a plaintext has {reason}")));
            };
            let writes: u64 = lists.iter().map(|list| list.writes).sum();
            if writes > MOST_WRITES.saturating_mul((period / images) as u64) {
                let reason = format!("a plaintext writes {writes} times to {period} slots");
                return Err(source.error(reason));
            }
            let entries = lists.iter().map(|list| Arc::clone(&list.entries)).collect();
            SlotValues::Drawn(Drawing { entries, sets, giant })
        }
        other => {
            let expected = format!("{SLOTS} or {DRAWN}");
            return Err(source.error(format!("values are of form {other}, expected {expected}")));
        }
    };
    let values_bytes = values.bytes();
    Ok(PlaintextSpec { values: Some(values), values_bytes, period, images, level, scale, extended })
}
