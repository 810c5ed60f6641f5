//! The memory that scratch buffers come from and go back to: slabs, of which each buffer is a piece.
//!
//! ```text
//! slab   | ciphertext | free    | rows of digits       | free   |
//! ```
//!
//! What is free between two pieces is joined when a neighbour comes back, so that the next operation finds room for whatever it
//! needs, of any size. A slab is as large as the buffer, or the batch of them, that free ranges had no room for.

use std::collections::{BTreeMap, BTreeSet};
use std::ptr::NonNull;
use std::sync::{Mutex, MutexGuard};

use super::{AlignedBuf, LINE};

/// Words of a cache line.
const LINE_WORDS: usize = LINE / size_of::<u64>();

/// Words between two pieces, at least. Limbs are powers of two: without a gap the same word of all polynomials of a slab would
/// compete for the same few lines of every cache.
const GAP: usize = 9 * LINE_WORDS;

/// A rest with fewer words than this stays with the piece before it.
const LEAST_REST: usize = 64 * LINE_WORDS;

/// A fresh block costs a page fault every 4 KiB, which is as much as the arithmetic done in it: slabs are kept.
static POOL: Mutex<Pool> = Mutex::new(Pool::new());

/// Some words of a slab.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Piece {
    /// Words: first, so that pieces are ordered by their sizes.
    words: usize,
    /// The slab's address.
    slab: usize,
    /// First word.
    start: usize,
}

/// Memory in pieces.
struct Slab {
    block: AlignedBuf,
    /// Free ranges: words by the first one. No two touch.
    free: BTreeMap<usize, usize>,
}

/// Slabs, and what of them is free.
pub(super) struct Pool {
    /// By address.
    slabs: BTreeMap<usize, Slab>,
    /// Free ranges of all slabs, the smallest first.
    free: BTreeSet<Piece>,
    /// Those that are whole slabs.
    whole: BTreeSet<Piece>,
    /// Words of all free ranges.
    pub(super) idle: usize,
}

impl Pool {
    const fn new() -> Self {
        Self { slabs: BTreeMap::new(), free: BTreeSet::new(), whole: BTreeSet::new(), idle: 0 }
    }

    /// The pool, for one caller at a time.
    pub(super) fn lock() -> MutexGuard<'static, Self> {
        // After a panic in here, a piece may be both free and in use: nobody shall write there any more.
        POOL.lock().unwrap_or_else(|_| std::process::abort())
    }

    /// Words of the piece for a buffer of `len` words.
    pub(super) fn piece_words(len: usize) -> usize {
        len.saturating_add(GAP + LINE_WORDS - 1) / LINE_WORDS * LINE_WORDS
    }

    /// A piece of so many words or a few more, of the smallest free range that has them, and its first word.
    pub(super) fn take(&mut self, words: usize) -> Option<(NonNull<u64>, Piece)> {
        let range = *self.free.range(Piece { words, slab: 0, start: 0 }..).next()?;
        self.remove(range);
        let Piece { slab, start, words: all } = range;
        let rest = all - words;
        let words = if rest < LEAST_REST { all } else { words };
        if words < all {
            self.insert(Piece { slab, start: start + words, words: rest });
        }
        let data = self.slabs[&slab].block.data;
        // SAFETY: a free range lies within its slab, whose words the block has.
        Some((unsafe { data.add(start) }, Piece { slab, start, words }))
    }

    /// For how many of so many pieces, of so many words each, there is no room yet.
    pub(super) fn lacking(&self, count: usize, words: usize) -> usize {
        let ranges = self.free.range(Piece { words, slab: 0, start: 0 }..);
        ranges.fold(count, |lacking, range| lacking.saturating_sub(range.words / words))
    }

    /// All of a new slab.
    pub(super) fn add(&mut self, block: AlignedBuf) -> (NonNull<u64>, Piece) {
        let (data, words) = (block.data, block.len);
        let slab = data.as_ptr().addr();
        let before = self.slabs.insert(slab, Slab { block, free: BTreeMap::new() });
        assert!(before.is_none(), "two slabs at one address");
        (data, Piece { words, slab, start: 0 })
    }

    /// Takes a piece back.
    pub(super) fn give(&mut self, piece: Piece) {
        let Piece { slab, mut start, mut words } = piece;
        let free = &self.slabs[&slab].free;
        let before = free.range(..start).next_back().map(|(&start, &words)| (start, words));
        let after = free.get(&(start + words)).copied();
        if let Some(after) = after {
            self.remove(Piece { slab, start: start + words, words: after });
            words += after;
        }
        if let Some((first, before)) = before.filter(|(first, before)| first + before == start) {
            self.remove(Piece { slab, start: first, words: before });
            (start, words) = (first, words + before);
        }
        self.insert(Piece { words, slab, start });
    }

    /// Slabs to give up, all of which are free and of less than `below` words: the smallest first, until there are `words`.
    pub(super) fn surplus(&mut self, words: usize, below: usize) -> Vec<AlignedBuf> {
        let (mut surplus, mut sum) = (Vec::new(), 0);
        while sum < words {
            let Some(&slab) = self.whole.first().filter(|slab| slab.words < below) else { break };
            self.remove(slab);
            sum += slab.words;
            surplus.extend(self.slabs.remove(&slab.slab).map(|slab| slab.block));
        }
        surplus
    }

    /// Adds a free range that touches no other.
    fn insert(&mut self, range: Piece) {
        let Some(slab) = self.slabs.get_mut(&range.slab) else { unreachable!("a slab in use") };
        slab.free.insert(range.start, range.words);
        if range.words == slab.block.len {
            self.whole.insert(range);
        }
        self.free.insert(range);
        self.idle += range.words;
    }

    /// Removes a free range.
    fn remove(&mut self, range: Piece) {
        let slab = self.slabs.get_mut(&range.slab);
        let known = slab.and_then(|slab| slab.free.remove(&range.start));
        assert!(known == Some(range.words) && self.free.remove(&range), "a free range");
        self.whole.remove(&range);
        self.idle -= range.words;
    }
}

#[cfg(test)]
mod tests {
    use rand::seq::IndexedRandom as _;
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    fn slab(pool: &mut Pool, words: usize) -> Piece {
        pool.add(AlignedBuf::zeroed(words)).1
    }

    #[test]
    fn free_neighbours_are_joined() {
        let mut pool = Pool::new();
        let all = slab(&mut pool, 10_000);
        assert!(pool.take(1).is_none());
        pool.give(all);
        let pieces = [0; 3].map(|_| pool.take(2000).unwrap().1);
        assert_eq!(pieces.map(|p| p.start), [0, 2000, 4000]);
        assert_eq!(pool.idle, 4000);
        pool.give(pieces[0]);
        pool.give(pieces[2]);
        // The smallest range that has room; what is left of it is too small for a piece.
        let fourth = pool.take(1600).unwrap().1;
        assert_eq!((fourth.start, fourth.words), (0, 2000));
        assert_eq!(pool.take(6000).unwrap().1.start, 4000);
        assert!(pool.take(1).is_none() && pool.idle == 0);
    }

    #[test]
    fn room_is_that_of_all_ranges_together() {
        let mut pool = Pool::new();
        assert_eq!(pool.lacking(3, 1000), 3);
        let slabs = [4500, 999, 1000].map(|words| slab(&mut pool, words));
        assert_eq!(pool.lacking(3, 1000), 3);
        slabs.into_iter().for_each(|slab| pool.give(slab));
        assert_eq!([5, 6, 8].map(|count| pool.lacking(count, 1000)), [0, 1, 3]);
        pool.take(1000).unwrap();
        assert_eq!(pool.lacking(5, 1000), 1);
    }

    #[test]
    fn whole_slabs_are_given_up_the_smallest_first() {
        let mut pool = Pool::new();
        let slabs = [3000, 5000, 4000].map(|words| slab(&mut pool, words));
        slabs.into_iter().for_each(|slab| pool.give(slab));
        let taken = pool.take(4500).unwrap().1;
        let lengths = |blocks: Vec<AlignedBuf>| blocks.iter().map(|b| b.len()).collect::<Vec<_>>();
        assert!(pool.surplus(1, 3000).is_empty());
        assert_eq!(lengths(pool.surplus(1, 5000)), [3000]);
        assert_eq!(lengths(pool.surplus(usize::MAX, usize::MAX)), [4000]);
        pool.give(taken);
        assert_eq!((pool.idle, lengths(pool.surplus(1, 5001))), (5000, vec![5000]));
        assert_eq!(pool.idle, 0);
    }

    #[test]
    fn pieces_never_overlap() {
        for seed in 0..50 {
            let (mut rng, mut pool) = (ChaCha8Rng::seed_from_u64(seed), Pool::new());
            let (mut taken, mut all) = (Vec::<Piece>::new(), 0);
            for _ in 0..300 {
                if rng.random_bool(0.55) {
                    let words = Pool::piece_words(rng.random_range(1..5000));
                    let piece = pool.take(words).unwrap_or_else(|| {
                        all -= pool
                            .surplus(words, words)
                            .iter()
                            .map(|block| block.len())
                            .sum::<usize>();
                        all += words;
                        pool.add(AlignedBuf::zeroed(words))
                    });
                    assert!(piece.1.words >= words && piece.1.words < words + LEAST_REST);
                    assert_eq!(piece.0.as_ptr().addr(), piece.1.slab + 8 * piece.1.start);
                    taken.push(piece.1);
                } else if let Some(&piece) = taken.choose(&mut rng) {
                    taken.retain(|p| *p != piece);
                    pool.give(piece);
                }
                let mut ranges: Vec<_> = taken.iter().chain(&pool.free).collect();
                ranges.sort_by_key(|p| (p.slab, p.start));
                let touching =
                    |a: &Piece, b: &Piece| a.slab != b.slab || a.start + a.words == b.start;
                assert!(ranges.windows(2).all(|p| touching(p[0], p[1])), "{ranges:?}");
                assert_eq!(ranges.iter().map(|p| p.words).sum::<usize>(), all);
                assert_eq!(pool.free.iter().map(|p| p.words).sum::<usize>(), pool.idle);
            }
            taken.into_iter().for_each(|piece| pool.give(piece));
            assert_eq!(pool.free, pool.whole);
            assert_eq!(
                pool.surplus(usize::MAX, usize::MAX).iter().map(|b| b.len()).sum::<usize>(),
                all
            );
            assert!(pool.slabs.is_empty() && pool.free.is_empty() && pool.idle == 0);
        }
    }
}
