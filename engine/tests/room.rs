//! Room for plaintexts that are to be there together: one block, where as many bytes of another level find places, too.
//!
//! The only test of its process, as the pool of scratch is the process's.

#![allow(clippy::unwrap_used)]

mod common;

use common::literals;
use engine::buffer::AlignedBuf;
use engine::encoding::Encoder;
use engine::params::Parameters;

#[test]
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
