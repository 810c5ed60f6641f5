//! Large blocks, each mapped by itself, so that the system has it back when it is freed (Linux).
//!
//! The C library keeps blocks of up to 32 MB in its arenas, one for a thread, once some of that size were freed: after
//! gigabytes of plaintexts were made and dropped, much of their memory stays with the process while the next ones are made in
//! other arenas.

use std::alloc::Layout;
use std::ptr;

use rustix::mm::{MapFlags, MremapFlags, ProtFlags, mmap_anonymous, mremap, munmap};

/// Bytes from which a block is mapped by itself.
const LARGE: usize = 1 << 20;
/// Smallest page, to which maps are aligned.
const PAGE: usize = 4096;

/// Whether a block is mapped by itself.
pub(super) fn is_mapped(layout: &Layout) -> bool {
    layout.size() >= LARGE && layout.align() <= PAGE
}

/// Zeroed memory for a block; null if the system has none.
pub(super) fn map(bytes: usize) -> *mut u8 {
    let prot = ProtFlags::READ | ProtFlags::WRITE;
    // SAFETY: a new map at a place of the system's choice overlaps nothing.
    let mapped = unsafe { mmap_anonymous(ptr::null_mut(), bytes, prot, MapFlags::PRIVATE) };
    mapped.map_or(ptr::null_mut(), |start| start.cast())
}

/// Gives a block back.
///
/// # Safety
/// `start` came from [`map`] or [`remap`] with that size, and nothing uses the block any more.
pub(super) unsafe fn unmap(start: *mut u8, bytes: usize) {
    // SAFETY: the caller vouches for it. Where the system refuses, as it has no room to note the gap, it keeps the memory.
    let _ = unsafe { munmap(start.cast(), bytes) };
}

/// Makes a block larger or smaller, and moves it if need be; null if the system has no memory, and the block then stays.
///
/// # Safety
/// `start` came from [`map`] or [`remap`] with that size; where the result is not null, nothing uses the old place any more.
pub(super) unsafe fn remap(start: *mut u8, bytes: usize, wanted: usize) -> *mut u8 {
    // SAFETY: the caller vouches for the block; its new place is of the system's choice and overlaps nothing.
    let moved = unsafe { mremap(start.cast(), bytes, wanted, MremapFlags::MAYMOVE) };
    moved.map_or(ptr::null_mut(), |start| start.cast())
}
