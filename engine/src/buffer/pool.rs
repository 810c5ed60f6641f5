//! The pool that scratch buffers come from and go back to.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::AlignedBuf;

/// Most bytes that wait in the pool when a scratch buffer of a new size is made. A program goes down the levels, and what it
/// needed at the upper ones would otherwise stay beside what it needs at the lower ones.
pub(super) const MOST_IDLE: usize = 512 << 20;

/// Blocks of dropped scratch buffers, kept for the next ones: a fresh block of this size costs a page fault every 4 KiB,
/// which is as much as the arithmetic done in it.
static POOL: Mutex<Pool> = Mutex::new(Pool { blocks: BTreeMap::new(), bytes: 0 });

/// Idle blocks.
pub(super) struct Pool {
    /// By capacity, those of one capacity the latest last; no list is empty.
    blocks: BTreeMap<usize, Vec<AlignedBuf>>,
    /// Bytes of all of them.
    pub(super) bytes: usize,
}

impl Pool {
    /// The pool, for one caller at a time.
    pub(super) fn lock() -> MutexGuard<'static, Self> {
        // A panic cannot leave it half changed.
        POOL.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn put(&mut self, block: AlignedBuf) {
        self.bytes += size_of::<u64>() * block.capacity;
        self.blocks.entry(block.capacity).or_default().push(block);
    }

    /// A block of about `len` words.
    pub(super) fn take(&mut self, len: usize) -> Option<AlignedBuf> {
        let most = len.saturating_add(len / 4);
        let capacity = *self.blocks.range(len..=most).next()?.0;
        self.take_of(capacity)
    }

    /// Blocks to give up, the largest ones first, so that at most so many bytes stay.
    pub(super) fn surplus(&mut self, most: usize) -> Vec<AlignedBuf> {
        let mut surplus = Vec::new();
        while self.bytes > most {
            let largest = self.blocks.last_key_value().map(|(&capacity, _)| capacity);
            let Some(block) = largest.and_then(|capacity| self.take_of(capacity)) else { break };
            surplus.push(block);
        }
        surplus
    }

    fn take_of(&mut self, capacity: usize) -> Option<AlignedBuf> {
        let list = self.blocks.get_mut(&capacity)?;
        let block = list.pop()?;
        if list.is_empty() {
            self.blocks.remove(&capacity);
        }
        self.bytes -= size_of::<u64>() * capacity;
        Some(block)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn largest_idle_blocks_are_given_up_first() {
        let mut pool = Pool { blocks: BTreeMap::new(), bytes: 0 };
        [5, 3, 5, 4].into_iter().for_each(|len| pool.put(AlignedBuf::zeroed(1000 * len)));
        assert_eq!(pool.bytes, 8 * 17_000);
        assert!(pool.surplus(8 * 17_000).is_empty());
        let lengths = |blocks: Vec<AlignedBuf>| blocks.iter().map(|b| b.len()).collect::<Vec<_>>();
        assert_eq!(lengths(pool.surplus(8 * 7_000)), [5000, 5000]);
        assert_eq!((pool.bytes, pool.blocks.len()), (8 * 7_000, 2));
        assert!(pool.take(4001).is_none() && pool.take(2000).is_none());
        assert_eq!(pool.take(3500).map(|b| b.len()), Some(4000));
        assert_eq!(lengths(pool.surplus(0)), [3000]);
        assert_eq!(pool.bytes, 0);
    }
}
