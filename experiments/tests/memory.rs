//! The counting allocator, installed in a process of its own so that no other test disturbs it.

use std::hint::black_box;

use experiments::machine::memory::{CountingAllocator, Phase, current_bytes, resident_peak_bytes};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

#[test]
fn peaks_and_phases() {
    const MB: usize = 1 << 20;
    // The test harness itself allocates a little now and then.
    let close = |value: usize, wanted: usize| value.abs_diff(wanted) < 64 << 10;

    let first = Phase::begin();
    let kept = black_box(vec![1u8; 8 * MB]);
    drop(black_box(vec![1u8; 16 * MB]));
    assert!(close(first.peak_bytes(), 24 * MB), "{}", first.peak_bytes());
    assert!(close(first.kept_bytes(), 8 * MB), "{}", first.kept_bytes());

    let second = Phase::begin();
    let before = current_bytes();
    drop(black_box(vec![0u64; MB]));
    assert!(close(second.peak_bytes(), 8 * MB), "{}", second.peak_bytes());
    assert!(close(current_bytes(), before));

    // Growing in place counts once, not twice.
    let third = Phase::begin();
    let mut grown = vec![0u8; 4 * MB];
    grown.reserve_exact(4 * MB);
    assert!(close(third.kept_bytes(), 8 * MB), "{}", third.kept_bytes());
    drop((black_box(grown), black_box(kept)));
    assert!(close(third.kept_bytes(), 0));

    // What only aligns a large buffer of the engine takes no memory.
    let fourth = Phase::begin();
    let buffer = black_box(engine::buffer::AlignedBuf::zeroed(MB));
    assert!(close(fourth.kept_bytes(), 8 * MB), "{}", fourth.kept_bytes());
    drop(buffer);
    assert!(close(fourth.kept_bytes(), 0));

    if cfg!(target_os = "linux") {
        assert!(resident_peak_bytes().unwrap() > 16 * MB as u64);
    }
}
