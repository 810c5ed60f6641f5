//! Room in the pool of scratch that is made in one block: for plaintexts that are to be there together, where as many bytes of another
//! level find places, too; for all that a program needs; and in place of several blocks.
//!
//! The only test of its process, as the pool of scratch is the process's.

#![allow(clippy::unwrap_used)]

mod common;

use common::literals;
use engine::buffer::AlignedBuf;
use engine::encoding::Encoder;
use engine::params::Parameters;

#[test]
fn room_is_one_block() {
    a_batch_finds_room_where_another_was();
    what_is_reserved_serves_all_lengths();
    gathered_blocks_serve_as_one();
}

fn what_is_reserved_serves_all_lengths() {
    AlignedBuf::release_pool();
    let bytes = 1 << 20;
    for _ in 0..2 {
        AlignedBuf::reserve(bytes);
        let reserved = AlignedBuf::pool_bytes();
        assert!((bytes..bytes + 4096).contains(&reserved), "{reserved}");
        let buffers = [40_000, 9, 70_000].map(AlignedBuf::scratch);
        assert!(AlignedBuf::pool_bytes() <= bytes - 8 * (40_000 + 70_000));
        drop(buffers);
        assert_eq!(AlignedBuf::pool_bytes(), reserved);
    }
}

fn gathered_blocks_serve_as_one() {
    AlignedBuf::release_pool();
    let kept = AlignedBuf::scratch(10_000);
    drop((0..10).map(|_| AlignedBuf::scratch(10_000)).collect::<Vec<_>>());
    let idle = AlignedBuf::pool_bytes();
    for _ in 0..2 {
        AlignedBuf::gather_pool();
        assert_eq!(AlignedBuf::pool_bytes(), idle);
        // More than any of them had.
        let large = AlignedBuf::scratch(95_000);
        assert!(AlignedBuf::pool_bytes() <= idle - 8 * large.len());
    }
    drop(kept);
}

fn a_batch_finds_room_where_another_was() {
    for (name, literal) in literals() {
        let params = Parameters::new(&literal).unwrap();
        let (encoder, top) = (Encoder::new(&params), params.max_level());
        // Encodes so many at a level, and gives them back: bytes of one, and of the pool then.
        let batch = |count: usize, level: usize| {
            encoder.make_room(count, level, true);
            let encode = |k| encoder.encode(&[k as f64], level, params.scale(), true).unwrap();
            let all: Vec<_> = (0..count).map(encode).collect();
            let one = all[0].bytes();
            drop(all);
            (one, AlignedBuf::pool_bytes())
        };
        AlignedBuf::release_pool();
        let count = 40;
        let (large, pool) = batch(count, top);
        // Besides them, gaps and the encoding's slots and coefficients.
        assert!(pool < (count + 4) * large, "{name}: {pool} for {count} of {large} bytes");
        let (small, _) = batch(1, top - 1);
        // But for gaps, one less.
        let more = count * large / small - 1;
        assert!(more > count, "{name}: {more} of {small} bytes");
        assert_eq!(batch(more, top - 1), (small, pool), "{name}");
        assert_eq!(batch(count, top), (large, pool), "{name}");
    }
}
