//! Destinations of a linear operation that are summed together, because they use the same rotated sources.

use crate::kernels::MAX_OUTPUTS;

/// A summand of one destination.
#[derive(Debug, Clone, Copy)]
pub(super) struct Summand {
    /// Index into [`super::LinearPlan::rotated`].
    pub rotated: usize,
    /// Index into the plaintexts, when there are any.
    pub plaintext: usize,
}

/// Destinations, one to [`MAX_OUTPUTS`], and the terms of their sums.
#[derive(Debug, Clone)]
pub(super) struct Block {
    /// Their numbers.
    pub outputs: Vec<usize>,
    pub terms: Vec<BlockTerm>,
}

/// A rotated source, and what each destination of the block multiplies it by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BlockTerm {
    /// Index into [`super::LinearPlan::rotated`].
    pub rotated: usize,
    /// Index into the plaintexts for each destination in turn; none where it does not use this source, and beyond the last.
    pub plaintexts: [Option<usize>; MAX_OUTPUTS],
}

/// Destinations whose lists of rotated sources nearly agree.
struct Class {
    outputs: Vec<usize>,
    /// All sources of theirs, ascending, each as often as the destination has it that has it most often.
    union: Vec<usize>,
    /// Terms of the destination with the fewest.
    fewest: usize,
}

/// Whether a destination with so many terms may be summed with others that have `union` terms together: products with zero
/// are then at most a fifth.
fn agrees(union: usize, terms: usize) -> bool {
    4 * union <= 5 * terms
}

/// The blocks of destinations with these summands, at most so many in one: every destination in one. Those that nearly agree are
/// shared out evenly among as few blocks as hold them.
pub(super) fn blocks(outputs: &[Vec<Summand>], together: usize) -> Vec<Block> {
    let sorted: Vec<Vec<Summand>> = outputs
        .iter()
        .map(|summands| {
            let mut summands = summands.clone();
            summands.sort_by_key(|s| s.rotated);
            summands
        })
        .collect();
    let mut classes: Vec<Class> = Vec::new();
    for (output, summands) in sorted.iter().enumerate() {
        let list: Vec<usize> = summands.iter().map(|s| s.rotated).collect();
        let fitting = classes.iter_mut().find_map(|class| {
            let fewest = class.fewest.min(list.len());
            if !agrees(class.union.len().max(list.len()), fewest) {
                return None;
            }
            let union = union(&class.union, &list);
            agrees(union.len(), fewest).then_some((class, union, fewest))
        });
        match fitting {
            Some((class, union, fewest)) => {
                class.outputs.push(output);
                (class.union, class.fewest) = (union, fewest);
            }
            None => {
                let fewest = list.len();
                classes.push(Class { outputs: vec![output], union: list, fewest });
            }
        }
    }
    classes
        .iter()
        .flat_map(|class| parts(&class.outputs, together))
        .map(|part| block(part, &sorted))
        .collect()
}

/// Cuts a list into as few parts of at most so many as possible, of lengths that differ by one at most.
fn parts(outputs: &[usize], most: usize) -> impl Iterator<Item = &[usize]> {
    let count = outputs.len().div_ceil(most);
    (0..count).map(move |i| &outputs[i * outputs.len() / count..(i + 1) * outputs.len() / count])
}

/// The least list that contains both, which are ascending: each number as often as the list that has it more often.
fn union(a: &[usize], b: &[usize]) -> Vec<usize> {
    let (mut a, mut b) = (a.iter().copied().peekable(), b.iter().copied().peekable());
    std::iter::from_fn(|| {
        let least = match (a.peek(), b.peek()) {
            (Some(&x), Some(&y)) => x.min(y),
            (x, y) => *x.or(y)?,
        };
        a.next_if_eq(&least);
        b.next_if_eq(&least);
        Some(least)
    })
    .collect()
}

/// The block of these destinations; `sorted` are the summands of all, each destination's by their rotated sources.
fn block(outputs: &[usize], sorted: &[Vec<Summand>]) -> Block {
    let mut terms = Vec::new();
    let mut rest: Vec<&[Summand]> = outputs.iter().map(|&output| &sorted[output][..]).collect();
    while let Some(rotated) = rest.iter().filter_map(|r| r.first()).map(|s| s.rotated).min() {
        let mut plaintexts = [None; MAX_OUTPUTS];
        for (plaintext, rest) in plaintexts.iter_mut().zip(&mut rest) {
            if let Some((summand, others)) = rest.split_first()
                && summand.rotated == rotated
            {
                (*plaintext, *rest) = (Some(summand.plaintext), others);
            }
        }
        terms.push(BlockTerm { rotated, plaintexts });
    }
    Block { outputs: outputs.to_vec(), terms }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Destinations that use these rotated sources, with plaintexts numbered through.
    fn summands(lists: &[&[usize]]) -> Vec<Vec<Summand>> {
        let mut plaintexts = 0..;
        lists
            .iter()
            .map(|list| {
                let summand = |(&rotated, plaintext)| Summand { rotated, plaintext };
                list.iter().zip(&mut plaintexts).map(summand).collect()
            })
            .collect()
    }

    /// The destinations of each block of three at most; checks that the blocks hold every summand once, and nothing else.
    fn shape(lists: &[&[usize]]) -> Vec<Vec<usize>> {
        shape_of(lists, 3)
    }

    /// The same of so many at most.
    fn shape_of(lists: &[&[usize]], together: usize) -> Vec<Vec<usize>> {
        let outputs = summands(lists);
        let blocks = blocks(&outputs, together);
        let mut found = vec![Vec::new(); outputs.len()];
        for block in &blocks {
            assert!((1..=together).contains(&block.outputs.len()));
            for term in &block.terms {
                assert!(term.plaintexts.iter().any(Option::is_some));
                let (own, beyond) = term.plaintexts.split_at(block.outputs.len());
                assert!(beyond.iter().all(Option::is_none));
                for (&output, plaintext) in block.outputs.iter().zip(own) {
                    found[output].extend(plaintext.map(|p| (term.rotated, p)));
                }
            }
        }
        for (found, summands) in found.iter_mut().zip(&outputs) {
            let mut expected: Vec<_> = summands.iter().map(|s| (s.rotated, s.plaintext)).collect();
            found.sort_unstable();
            expected.sort_unstable();
            assert_eq!(*found, expected);
        }
        blocks.into_iter().map(|block| block.outputs).collect()
    }

    #[test]
    fn destinations_that_agree_share_a_block() {
        let same: &[usize] = &[2, 0, 1];
        assert_eq!(shape(&[same]), [[0]]);
        assert_eq!(shape(&[same; 3]), [[0, 1, 2]]);
        assert_eq!(shape(&[same; 4]), [[0, 1], [2, 3]]);
        assert_eq!(shape(&[same; 5]), [vec![0, 1], vec![2, 3, 4]]);
        assert_eq!(shape(&[same; 9]), [[0, 1, 2], [3, 4, 5], [6, 7, 8]]);
        assert_eq!(shape_of(&[same; 5], 2), [vec![0], vec![1, 2], vec![3, 4]]);
        assert_eq!(shape(&[same, &[5], same, &[5]]), [[0, 2], [1, 3]]);
    }

    #[test]
    fn nearly_is_a_quarter_more() {
        // Five together, four each.
        assert_eq!(shape(&[&[0, 1, 2, 3], &[1, 2, 3, 4]]), [[0, 1]]);
        assert_eq!(shape(&[&[0, 1, 2], &[1, 2, 3]]), [[0], [1]]);
        // The third agrees with the second, but not with both.
        assert_eq!(shape(&[&[0, 1, 2, 3], &[1, 2, 3, 4], &[2, 3, 4, 5]]), [vec![0, 1], vec![2]]);
        // A long one and a short one that it contains.
        assert_eq!(shape(&[&[0, 1, 2, 3, 4, 5], &[0, 1, 2, 3]]), [[0], [1]]);
    }

    #[test]
    fn repeated_sources_and_empty_destinations() {
        assert_eq!(shape(&[&[0, 0, 1, 2], &[0, 1, 2, 0], &[0, 1, 1, 2, 0]]), [[0, 1, 2]]);
        assert_eq!(shape(&[&[], &[1], &[]]), [vec![0, 2], vec![1]]);
    }
}
