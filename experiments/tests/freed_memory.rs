//! Memory that a thread has freed is found by others, and goes back to the system on request.
//!
//! Without the test harness, which has threads of its own before the allocator is told how many arenas to make.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn main() {
    what_threads_free_is_shared_and_given_back();
    println!("1 passed, 0 failed");
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn main() {
    println!("0 passed, 0 failed, 1 skipped: not the allocator of glibc");
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn what_threads_free_is_shared_and_given_back() {
    use std::hint::black_box;
    use std::sync::mpsc::{self, Receiver, Sender};
    use std::thread;

    use experiments::machine::memory::{give_back, resident_bytes, share_one_arena};

    /// Words of a limb at N = 2^16.
    const LIMB: usize = 1 << 16;
    /// Limbs: 400 MiB.
    const LIMBS: usize = 800;

    let all = (size_of::<u64>() * LIMB * LIMBS) as u64;
    share_one_arena();
    // A block that is freed teaches the allocator not to map ones of its size by themselves.
    drop(black_box(vec![1_u64; 8 * LIMB]));
    let resident = || resident_bytes().unwrap();
    let before = resident();
    // Frees all limbs, but none of the small blocks between them.
    let work = || {
        let pairs = (0..LIMBS).map(|_| (vec![1_u64; LIMB], vec![1_u64; 8]));
        let (limbs, between): (Vec<Vec<u64>>, Vec<Vec<u64>>) = pairs.unzip();
        drop(black_box(limbs));
        between
    };
    thread::scope(|scope| {
        // Both live until the end: a thread that ends leaves its arena to the next in any case.
        let [first, second] = [(); 2].map(|()| {
            let ((start, told), (done, finished)) = (mpsc::channel(), mpsc::channel());
            scope.spawn(move || told.iter().for_each(|()| done.send(work()).unwrap()));
            (start, finished)
        });
        let turn = |(start, finished): &(Sender<()>, Receiver<Vec<Vec<u64>>>)| {
            start.send(()).unwrap();
            finished.recv().unwrap()
        };
        let kept = turn(&first);
        let one = resident() - before;
        assert!(one > all / 2, "{one} bytes of {all} were kept: this tests nothing here");
        let too = turn(&second);
        let both = resident() - before;
        assert!(both < all + all / 4, "{both} bytes are held, and {all} were used at a time");
        give_back();
        let left = resident().saturating_sub(before);
        assert!(left < all / 16, "{left} bytes of {all} are still held");
        drop((kept, too));
    });
}
