//! Cache-line aligned word buffers: the storage of every polynomial limb and table.

mod pool;

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

use zeroize::Zeroize;

use pool::Pool;

/// Alignment: one cache line, one 512-bit vector.
const LINE: usize = 64;
/// Alignment asked of the allocator. A larger one would make the standard allocator clear the
/// memory by hand instead of handing out fresh zero pages, so the padding is done here.
const REQUESTED: usize = 16;

/// A heap buffer of `u64`, aligned to 64 bytes and always initialised.
///
/// Large zeroed buffers come from fresh pages and take memory only where they are written.
pub struct AlignedBuf {
    /// First word, aligned.
    data: NonNull<u64>,
    /// Words.
    len: usize,
    /// What the allocator returned and under which layout; `None` for an empty buffer.
    block: Option<(NonNull<u8>, Layout)>,
    /// Words the block has room for, at least `len`.
    capacity: usize,
    /// Whether the block goes back to the pool.
    pooled: bool,
}

/// Asks the system to back the large pages that lie wholly within a block by such, where it gives them on request.
/// Keys, plaintexts and constants are read in streams of which each crosses a page every few hundred nanoseconds.
#[cfg(target_os = "linux")]
fn ask_for_large_pages(base: NonNull<u8>, bytes: usize) {
    /// Size of a large page; a wrong guess only makes the advice useless.
    const PAGE: usize = 2 << 20;
    let skipped = base.as_ptr().addr().wrapping_neg() & (PAGE - 1);
    let within = bytes.saturating_sub(skipped) & !(PAGE - 1);
    if within > 0 {
        // SAFETY: the range is within the block, which this process has just been given; the advice changes nothing
        // but how memory is mapped. That the system may refuse it does no harm.
        let _ = unsafe {
            let start = base.add(skipped).as_ptr().cast();
            rustix::mm::madvise(start, within, rustix::mm::Advice::LinuxHugepage)
        };
    }
}

#[cfg(not(target_os = "linux"))]
fn ask_for_large_pages(_: NonNull<u8>, _: usize) {}

// SAFETY: the buffer owns its memory exclusively, as a `Box<[u64]>` does.
unsafe impl Send for AlignedBuf {}
// SAFETY: shared access only reads.
unsafe impl Sync for AlignedBuf {}

impl AlignedBuf {
    /// A buffer of `len` zero words. Aborts, as `Vec` does, when memory is exhausted.
    pub fn zeroed(len: usize) -> Self {
        if len == 0 {
            return Self {
                data: NonNull::dangling(),
                len: 0,
                block: None,
                capacity: 0,
                pooled: false,
            };
        }
        let Some(bytes) = len.checked_mul(size_of::<u64>()) else {
            handle_alloc_error(Layout::new::<u64>());
        };
        let layout = bytes
            .checked_add(LINE - REQUESTED)
            .and_then(|padded| Layout::from_size_align(padded, REQUESTED).ok());
        let Some(layout) = layout else { handle_alloc_error(Layout::new::<u64>()) };
        // SAFETY: the layout has a non-zero size.
        let raw = unsafe { alloc_zeroed(layout) };
        let Some(base) = NonNull::new(raw) else { handle_alloc_error(layout) };
        ask_for_large_pages(base, layout.size());
        let offset = base.as_ptr().addr().wrapping_neg() & (LINE - 1);
        // SAFETY: `base` is a multiple of REQUESTED, so offset <= LINE - REQUESTED, and the padded
        // block holds `bytes` more from there; the result is not null.
        let data = unsafe { base.add(offset) }.cast::<u64>();
        Self { data, len, block: Some((base, layout)), capacity: len, pooled: false }
    }

    /// A buffer of `len` words of unspecified (but initialised) contents, from the pool if it has one of about this
    /// size, and returned to it when dropped. Not for secrets: what was written stays in memory.
    pub fn scratch(len: usize) -> Self {
        let recycled = Pool::lock().take(len);
        let mut buffer = recycled.unwrap_or_else(|| {
            // Freed before anything is allocated, and with the pool unlocked.
            let surplus = Pool::lock().surplus(pool::MOST_IDLE);
            drop(surplus);
            Self::zeroed(len)
        });
        buffer.len = len;
        buffer.pooled = true;
        buffer
    }

    /// Bytes of the blocks that wait in the pool.
    pub fn pool_bytes() -> usize {
        Pool::lock().bytes
    }

    /// Gives the memory of all pooled blocks back.
    pub fn release_pool() {
        let blocks = Pool::lock().surplus(0);
        drop(blocks);
    }

    /// A buffer holding a copy of `words`.
    pub fn from_slice(words: &[u64]) -> Self {
        let mut buffer = Self::zeroed(words.len());
        buffer.copy_from_slice(words);
        buffer
    }
}

impl Deref for AlignedBuf {
    type Target = [u64];

    fn deref(&self) -> &[u64] {
        // SAFETY: `data` points to `len` initialised words owned by `self` (dangling but aligned
        // when `len` is 0).
        unsafe { std::slice::from_raw_parts(self.data.as_ptr(), self.len) }
    }
}

impl DerefMut for AlignedBuf {
    fn deref_mut(&mut self) -> &mut [u64] {
        // SAFETY: as in `deref`, and `self` is borrowed exclusively.
        unsafe { std::slice::from_raw_parts_mut(self.data.as_ptr(), self.len) }
    }
}

impl Drop for AlignedBuf {
    fn drop(&mut self) {
        if self.pooled && self.block.is_some() {
            let block = Self {
                data: self.data,
                len: self.capacity,
                block: self.block.take(),
                capacity: self.capacity,
                pooled: false,
            };
            Pool::lock().put(block);
        }
        if let Some((base, layout)) = self.block {
            // SAFETY: `base` came from `alloc_zeroed` under this layout and is freed once.
            unsafe { dealloc(base.as_ptr(), layout) }
        }
    }
}

impl Clone for AlignedBuf {
    fn clone(&self) -> Self {
        let mut copy = if self.pooled { Self::scratch(self.len) } else { Self::zeroed(self.len) };
        copy.copy_from_slice(self);
        copy
    }
}

impl Default for AlignedBuf {
    fn default() -> Self {
        Self::zeroed(0)
    }
}

impl PartialEq for AlignedBuf {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for AlignedBuf {}

/// Prints the length only: the words may be secret, and there are many.
impl fmt::Debug for AlignedBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AlignedBuf({} words)", self.len)
    }
}

impl Zeroize for AlignedBuf {
    fn zeroize(&mut self) {
        (**self).zeroize();
    }
}

/// Scratch for secrets: as [`AlignedBuf::scratch`], and cleared before its memory goes back to the pool.
pub(crate) struct SecretScratch(AlignedBuf);

impl SecretScratch {
    /// `len` words of unspecified contents.
    pub(crate) fn new(len: usize) -> Self {
        Self(AlignedBuf::scratch(len))
    }

    /// The words as doubles.
    pub(crate) fn doubles_mut(&mut self) -> &mut [f64] {
        let words: &mut [u64] = &mut self.0;
        // SAFETY: the same memory, borrowed exclusively; words and doubles have one size and alignment, and any bits
        // make either.
        unsafe { std::slice::from_raw_parts_mut(words.as_mut_ptr().cast(), words.len()) }
    }
}

impl Deref for SecretScratch {
    type Target = [u64];

    fn deref(&self) -> &[u64] {
        &self.0
    }
}

impl DerefMut for SecretScratch {
    fn deref_mut(&mut self) -> &mut [u64] {
        &mut self.0
    }
}

impl Drop for SecretScratch {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alignment_and_contents() {
        for len in [1, 7, 8, 1000, (2 << 20) / 8 - 1, (2 << 20) / 8, (5 << 20) / 8 + 3] {
            let mut buffer = AlignedBuf::zeroed(len);
            assert_eq!(buffer.as_ptr().addr() % LINE, 0);
            assert_eq!(buffer.len(), len);
            assert!(buffer.iter().all(|&word| word == 0));
            for (i, word) in buffer.iter_mut().enumerate() {
                *word = i as u64;
            }
            let copy = buffer.clone();
            assert_eq!(copy, buffer);
            buffer.zeroize();
            assert!(buffer.iter().all(|&word| word == 0));
            assert_eq!(copy[len - 1], len as u64 - 1);
        }
    }

    #[test]
    fn scratch_is_recycled() {
        // A length no other test uses, so that the pool's block is this test's own.
        let len = 123_456;
        let first = AlignedBuf::scratch(len);
        let address = first.as_ptr();
        drop(first);
        let second = AlignedBuf::scratch(len - 100);
        assert_eq!(second.as_ptr(), address);
        assert_eq!(second.len(), len - 100);
        let third = AlignedBuf::scratch(len);
        assert_ne!(third.as_ptr(), address);
    }

    #[test]
    fn secret_scratch_is_cleared() {
        // A length no other test uses.
        let len = 234_567;
        let mut secret = SecretScratch::new(len);
        secret.fill(7);
        let address = secret.as_ptr();
        drop(secret);
        let recycled = AlignedBuf::scratch(len);
        assert_eq!(recycled.as_ptr(), address);
        assert!(recycled.iter().all(|&word| word == 0));
    }

    #[test]
    fn empty() {
        let buffer = AlignedBuf::default();
        assert!(buffer.is_empty());
        assert_eq!(buffer.clone(), buffer);
    }

    #[test]
    fn debug_hides_the_words() {
        assert_eq!(format!("{:?}", AlignedBuf::from_slice(&[11, 12])), "AlignedBuf(2 words)");
    }
}
