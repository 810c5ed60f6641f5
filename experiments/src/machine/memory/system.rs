//! What the system's allocator does with blocks that are freed. That of glibc gives each thread an arena of its own and keeps
//! what is freed there, so that a process which computes with several pools of threads, or with one program after another, holds
//! the most that each of them ever took.

#[cfg(all(target_os = "linux", target_env = "gnu"))]
use glibc as own;
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
use other as own;

use engine::buffer::AlignedBuf;

/// Makes all threads take memory from one place, so that each finds there what another freed. For the start of a process:
/// threads keep the place that they began with.
pub fn share_one_arena() {
    own::share_one_arena();
}

/// Gives back to the system what is free: the engine's idle blocks, and what the allocator keeps. Before other work whose
/// blocks have other sizes; the next block that is taken is a fresh one.
pub fn give_back() {
    AlignedBuf::release_pool();
    own::trim();
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod glibc {
    pub(super) fn share_one_arena() {
        // SAFETY: the call reads two numbers, and locks what it changes. It refuses by a result, which leaves all as it was.
        let _ = unsafe { libc::mallopt(libc::M_ARENA_MAX, 1) };
    }

    pub(super) fn trim() {
        // SAFETY: the call takes the allocator's own locks, and touches free blocks only.
        let _ = unsafe { libc::malloc_trim(0) };
    }
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
mod other {
    pub(super) fn share_one_arena() {}

    pub(super) fn trim() {}
}
