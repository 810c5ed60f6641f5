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

/// Wherever the allocator puts them, their first words are of as many sets of a cache as there are.
#[test]
fn large_buffers_have_places_of_their_own() {
    let place = |buffer: &AlignedBuf| buffer.as_ptr().addr() % PERIOD / LINE;
    let buffers: Vec<_> = (0..256).map(|_| AlignedBuf::zeroed_apart(OWN_PLACE)).collect();
    for stride in [1, 2, 64] {
        let mut taken = [0; PERIOD / LINE];
        buffers.iter().step_by(stride).for_each(|buffer| taken[place(buffer)] += 1);
        // Other tests take places between: four times the mean is still far from all.
        let most = taken.iter().max().copied().unwrap_or(0);
        assert!(most <= 4 * 256usize.div_ceil(stride * taken.len()), "{stride}: {taken:?}");
    }
}

/// They are zero, of their own words only, and at lines of their own; they outlive each other.
#[test]
fn side_by_side() {
    let lens = [3, OWN_PLACE, 0, 100, OWN_PLACE + 8, 64 * OWN_PLACE, 1];
    let mut buffers = AlignedBuf::side_by_side(&lens);
    assert_eq!(buffers.iter().map(|b| b.len()).collect::<Vec<_>>(), lens);
    for (i, buffer) in buffers.iter_mut().enumerate() {
        assert_eq!(buffer.as_ptr().addr() % LINE, 0);
        assert!(buffer.iter().all(|&word| word == 0));
        buffer.fill(i as u64 + 1);
    }
    while !buffers.is_empty() {
        let first = lens.len() - buffers.len();
        let sums = buffers.iter().map(|b| b.iter().sum::<u64>());
        assert!(sums.eq((first..lens.len()).map(|i| (i as u64 + 1) * lens[i] as u64)));
        buffers.remove(0);
    }
    assert!(AlignedBuf::side_by_side(&[]).is_empty());
    // Other tests take places of large ones between.
    for (len, least) in [(OWN_PLACE, 32), (256, 64), (100, 64)] {
        let many = AlignedBuf::side_by_side(&[len; 64]);
        let mut places: Vec<_> = many.iter().map(|b| b.as_ptr().addr() % PERIOD / LINE).collect();
        places.sort_unstable();
        places.dedup();
        assert!(places.len() >= least, "{len}: {places:?}");
    }
}

/// Uses some scratch, drops it and takes it again, until no other test has taken some of it between.
fn recycled<T: Deref<Target = [u64]>>(make: impl Fn() -> T) -> AlignedBuf {
    for _ in 0..1000 {
        let first = make();
        let (address, len) = (first.as_ptr(), first.len());
        drop(first);
        let second = AlignedBuf::scratch(len);
        if second.as_ptr() == address {
            return second;
        }
    }
    panic!("scratch is not recycled");
}

#[test]
fn scratch_is_recycled() {
    let len = 123_456;
    let first = recycled(|| AlignedBuf::scratch(len));
    assert_eq!((first.len(), first.as_ptr().addr() % LINE), (len, 0));
    let second = AlignedBuf::scratch(len);
    assert_ne!(second.as_ptr(), first.as_ptr());
}

#[test]
fn secret_scratch_is_cleared() {
    let secret = || {
        let mut secret = SecretScratch::new(234_567);
        secret.fill(7);
        secret
    };
    assert!(recycled(secret).iter().all(|&word| word == 0));
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
