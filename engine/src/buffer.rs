//! Cache-line aligned word buffers: the storage of every polynomial limb and table.

mod pool;

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use zeroize::Zeroize;

use pool::{Piece, Pool};

/// Alignment: one cache line, one 512-bit vector.
const LINE: usize = 64;
/// Alignment asked of the allocator. A larger one would make the standard allocator clear the
/// memory by hand instead of handing out fresh zero pages, so the padding is done here.
const REQUESTED: usize = 16;

/// Bytes after which addresses compete for the same lines of a first-level cache again.
const PERIOD: usize = 4096;
/// Words from which on the memory of polynomials begins at a line of its own of that period, in turn.
///
/// A sum of products reads as many plaintexts and sources side by side as it has terms, each from the same word on. All have powers
/// of two of words: where one follows the other, they begin at a few places of a page only, so that a set of 8 lines is to hold
/// dozens, and loses them before their second half is read:
///
/// ```text
/// as they come            set 0: a c e g i k m o q s ...   set 16: b d f h ...
/// places of their own     set 0: a   set 1: b   set 2: c ...
/// ```
const OWN_PLACE: usize = 8192;
/// Blocks that have a place of their own, so far.
static PLACED: AtomicUsize = AtomicUsize::new(0);

/// Where the next large block begins within the period.
fn next_place() -> usize {
    let count = PLACED.fetch_add(1, Ordering::Relaxed);
    // One more each time round: every 64th, as of a list that is read in strides, begins elsewhere, too.
    (count + count / (PERIOD / LINE)) * LINE % PERIOD
}

/// A heap buffer of `u64`, aligned to 64 bytes and always initialised.
///
/// Large zeroed buffers come from fresh pages and take memory only where they are written.
pub struct AlignedBuf {
    /// First word, aligned.
    data: NonNull<u64>,
    /// Words.
    len: usize,
    memory: Memory,
}

/// Whose a buffer's memory is.
enum Memory {
    /// There is none: the buffer is empty.
    None,
    /// Its own.
    Block(#[expect(dead_code, reason = "freed with the buffer")] Block),
    /// Of a block that others have parts of, too.
    Part(#[expect(dead_code, reason = "freed with the last buffer")] Arc<Block>),
    /// The pool's: at least its words.
    Piece(Piece),
}

/// What the allocator returned, and under which layout.
struct Block(NonNull<u8>, Layout);

impl Block {
    /// Zero bytes, `padding` more than so many.
    fn zeroed(bytes: Option<usize>, padding: usize) -> Self {
        let bytes = bytes.and_then(|bytes| bytes.checked_add(padding));
        let layout = bytes.and_then(|bytes| Layout::from_size_align(bytes, REQUESTED).ok());
        let Some(layout) = layout.filter(|layout| layout.size() > 0) else {
            handle_alloc_error(Layout::new::<u64>())
        };
        // SAFETY: the layout has a non-zero size.
        let raw = unsafe { alloc_zeroed(layout) };
        let Some(base) = NonNull::new(raw) else { handle_alloc_error(layout) };
        ask_for_large_pages(base, layout.size());
        Self(base, layout)
    }

    /// The first byte from number `from` on at `place` of a period of so many bytes, a power of two; both are multiples of what
    /// blocks are aligned to, and at most `period - REQUESTED` bytes are passed over.
    fn at(&self, from: usize, period: usize, place: usize) -> usize {
        let address = self.0.as_ptr().addr() + from;
        from + (place.wrapping_sub(address) & (period - 1))
    }
}

// SAFETY: a block is memory, and who has it does not depend on a thread.
unsafe impl Send for Block {}
// SAFETY: it gives nobody access to its bytes.
unsafe impl Sync for Block {}

impl Drop for Block {
    fn drop(&mut self) {
        // SAFETY: it came from `alloc_zeroed` under this layout, and is freed once.
        unsafe { dealloc(self.0.as_ptr(), self.1) }
    }
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
        Self::zeroed_at(len, LINE, 0)
    }

    /// As [`Self::zeroed`], for words that are read beside those of others of the same size: from another line of the caches on
    /// than theirs.
    pub(crate) fn zeroed_apart(len: usize) -> Self {
        if len < OWN_PLACE { Self::zeroed(len) } else { Self::zeroed_at(len, PERIOD, next_place()) }
    }

    /// A buffer of `len` zero words that begins at `place` of a period of so many bytes, a power of two and both multiples of a
    /// cache line.
    fn zeroed_at(len: usize, period: usize, place: usize) -> Self {
        if len == 0 {
            return Self { data: NonNull::dangling(), len: 0, memory: Memory::None };
        }
        let block = Block::zeroed(len.checked_mul(size_of::<u64>()), period - REQUESTED);
        // SAFETY: at most the padding is passed over, and the block holds `len` words more from there.
        let data = unsafe { block.0.add(block.at(0, period, place)) }.cast::<u64>();
        Self { data, len, memory: Memory::Block(block) }
    }

    /// Buffers of so many zero words each, in one block that is freed with the last of them; those of one length begin at all lines
    /// of the period in turn. For what is kept for long and read in streams: the system backs a large block by large pages, but not as
    /// much memory in blocks that are smaller than such a page.
    ///
    /// ```text
    /// pages    |         large         |         large         |
    /// buffers  first | second |  third | fourth |  fifth  | ...
    /// ```
    pub(crate) fn side_by_side(lens: &[usize]) -> Vec<Self> {
        if lens.is_empty() {
            return Vec::new();
        }
        // Whole lines; of a small one an odd number.
        let taken = |len: usize| {
            let bytes = len.checked_mul(size_of::<u64>())?.checked_next_multiple_of(LINE)?;
            bytes.checked_add(if len < OWN_PLACE && bytes % (2 * LINE) == 0 { LINE } else { 0 })
        };
        let passed = |len: usize| if len < OWN_PLACE { 0 } else { PERIOD - LINE };
        let bytes = lens
            .iter()
            .try_fold(LINE, |sum, &len| sum.checked_add(taken(len)?)?.checked_add(passed(len)));
        let block = Arc::new(Block::zeroed(bytes, 0));
        let mut end = block.at(0, LINE, 0);
        let part = |&len: &usize| {
            let start = match len < OWN_PLACE {
                true => end,
                false => block.at(end, PERIOD, next_place()),
            };
            let Some(bytes) = taken(len) else { unreachable!("the sum of all did not overflow") };
            end = start + bytes;
            // SAFETY: the first part begins within the first line's worth of bytes, and each ends at a line. A small one begins
            // there, a large one after at most `passed` bytes, and takes `taken` bytes, no fewer than its words: the block was made
            // of the sum of all these, which did not overflow.
            let data = unsafe { block.0.add(start) }.cast::<u64>();
            Self { data, len, memory: Memory::Part(Arc::clone(&block)) }
        };
        lens.iter().map(part).collect()
    }

    /// A buffer of `len` words of unspecified (but initialised) contents: a piece of the pool's memory, which goes back there
    /// when the buffer is dropped. Not for secrets: what was written stays in memory.
    pub fn scratch(len: usize) -> Self {
        if len == 0 {
            return Self::zeroed(0);
        }
        let words = Pool::piece_words(len);
        let free = Pool::lock().take(words);
        let (data, piece) = free.unwrap_or_else(|| Self::slab(1, words));
        Self { data, len, memory: Memory::Piece(piece) }
    }

    /// A new slab of the pool with room for `count` pieces of so many words each, in place of slabs that have room for none.
    fn slab(count: usize, words: usize) -> (NonNull<u64>, Piece) {
        let all = count.saturating_mul(words);
        // Freed before anything is allocated, and with the pool unlocked.
        let surplus = Pool::lock().surplus(all, words);
        drop(surplus);
        let slab = Self::zeroed_apart(all);
        Pool::lock().add(slab)
    }

    /// Makes room in the pool for `count` buffers of `len` words each, to be had by [`Self::scratch`]: what it lacks comes as one
    /// block. Later ones of another length find more room there than in as many blocks:
    ///
    /// ```text
    /// one by one   | first  | | first  | | first  | | second | ...      lengths of 8, then of 6: a quarter is lost
    /// as a block   | second| second| second| second|
    /// ```
    pub(crate) fn make_room(count: usize, len: usize) {
        if len == 0 {
            return;
        }
        let words = Pool::piece_words(len);
        let lacking = Pool::lock().lacking(count, words);
        if lacking > 0 {
            let (_, piece) = Self::slab(lacking, words);
            Pool::lock().give(piece);
        }
    }

    /// Makes room in the pool for so many bytes of buffers together, whatever their lengths: in one block, where what is free
    /// between buffers is joined again, and which large pages back.
    pub fn reserve(bytes: usize) {
        Self::make_room(1, bytes.div_ceil(size_of::<u64>()));
    }

    /// Replaces all blocks of the pool of which no buffer has any by one as large as they are together. For times that are to be
    /// those of a program for which such a block was reserved: its pages are taken from the system here.
    pub fn gather_pool() {
        let mut slabs = Pool::lock().surplus(usize::MAX, usize::MAX);
        if slabs.len() > 1 {
            let words = slabs.iter().map(|slab| slab.len()).sum();
            drop(slabs);
            let mut slab = Self::zeroed_apart(words);
            slab.fill(0);
            slabs = vec![slab];
        }
        let mut pool = Pool::lock();
        for slab in slabs {
            let (_, piece) = pool.add(slab);
            pool.give(piece);
        }
    }

    /// Bytes of the pool that no buffer has.
    pub fn pool_bytes() -> usize {
        size_of::<u64>() * Pool::lock().idle
    }

    /// Gives back the memory of which no buffer has any: all of the pool, where there are none.
    pub fn release_pool() {
        let slabs = Pool::lock().surplus(usize::MAX, usize::MAX);
        drop(slabs);
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
        if let Memory::Piece(piece) = self.memory {
            Pool::lock().give(piece);
        }
    }
}

impl Clone for AlignedBuf {
    fn clone(&self) -> Self {
        let mut copy = match self.memory {
            Memory::Piece(_) => Self::scratch(self.len),
            Memory::None | Memory::Block(_) | Memory::Part(_) => Self::zeroed(self.len),
        };
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
mod tests;
