//! Lowering a large fully connected layer takes memory for its diagonals, however sparse the ciphertexts that it reads.
//! In a process of its own, so that no other test is counted.

use experiments::machine::memory::{CountingAllocator, Phase};
use simulator::fold::{LinearPart, LinearStage};
use simulator::layout::LayoutSpec;
use simulator::lowering::Diagonals;
use simulator::network::{ConvGeometry, Shape};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

const SLOTS: usize = 1 << 13;

/// Bytes for a diagonal, its contents and its place in an index.
const BYTES_A_DIAGONAL: usize = 320;

#[test]
fn a_dense_layer_takes_memory_for_its_diagonals() {
    let (input, output) = (Shape::new(2048, 1, 1), Shape::new(1024, 1, 1));
    let units = LayoutSpec::units(256, SLOTS / 256);
    let layout = |shape| units.layout(SLOTS, shape, Default::default()).unwrap();
    let (from, to) = (layout(input), layout(output));
    let geometry =
        ConvGeometry { input, output, kernel: (1, 1), stride: (1, 1), padding: (0, 0), groups: 1 };
    let weights: Vec<f64> = (0..geometry.weights()).map(|k| 1.0 + k as f64).collect();
    let main = LinearPart::new(geometry, weights);
    let stage = LinearStage { main, shortcuts: Vec::new(), bias: vec![0.0; 1024] };

    let phase = Phase::begin();
    let diagonals = Diagonals::new("fc", &stage, &[&from], &to, 0, false).unwrap();
    let peak = phase.peak_bytes();
    // Between each two of 64 and 32 ciphertexts, as many as a ciphertext holds units.
    let many = diagonals.diagonals.len();
    assert_eq!(many, 64 * 32 * 32);
    assert!(peak < many * BYTES_A_DIAGONAL, "{peak} bytes for {many} diagonals");
}
