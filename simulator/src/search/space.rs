//! What a search may choose from, and what a result must keep to.

use costmodel::KeyStorage;
use engine::kernels::{SumTerms, sum_terms};
use serde::{Deserialize, Serialize};

use crate::config::ParameterChoice;
use crate::fold::ActivationMethod;
use crate::precision::Demand;

/// Families of layouts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Layouts {
    /// One phase, raster blocks, sequential or group-interleaved channels, no folding in convolutions.
    Paper,
    /// Those, and phases and folding.
    All,
}

/// What may be chosen. Its JSON form is part of the key of every evaluated point.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Space {
    /// Base-2 logarithms of ring degrees.
    pub log_n: Vec<u32>,
    /// Numbers of special primes; as many limbs make a key-switching digit.
    pub special: Vec<usize>,
    /// Largest prime, in bits.
    pub max_prime_bits: u32,
    /// Bits of the first prime beyond the scale: the largest result in absolute value, twice, must fit.
    pub headroom_bits: u32,
    /// Smallest scale tried, in bits. The largest secure one is taken: it costs nothing.
    pub min_scale_bits: u32,
    /// Sizes of all primes, in bits, where squares are not rescaled.
    pub paired_prime_bits: Vec<u32>,
    /// Layout families.
    pub layouts: Layouts,
    /// Whether the client may send patches.
    pub patches: bool,
    /// Most identity layers that change a layout.
    pub repacks: usize,
    /// Whether rotations are fused with products.
    pub double_hoisting: bool,
    /// How activations are folded, but for exceptions; parameters are for paired squares if it says so.
    pub activations: ActivationMethod,
    /// Images of a ciphertext, a power of two: each has as many times fewer slots.
    #[serde(skip_serializing_if = "crate::config::is_one")]
    pub images: usize,
    /// Most ciphertexts that the client sends: fewer keep the upload small, more save the first layer's rotations.
    pub max_inputs: usize,
    /// Most ciphertexts of one feature map.
    pub max_ciphertexts: usize,
    /// Configurations kept for each variant and parameter set.
    pub keep: usize,
    /// Threads that prices are asked for.
    pub threads: usize,
    /// Whether to follow only the cheapest few layouts from layer to layer: quick, and seldom the best.
    pub quick: bool,
}

impl Default for Space {
    fn default() -> Self {
        Self {
            log_n: vec![13, 14, 15, 16],
            special: vec![1, 2, 3, 4],
            max_prime_bits: 46,
            headroom_bits: 10,
            min_scale_bits: 20,
            paired_prime_bits: vec![46, 48, 50],
            layouts: Layouts::All,
            patches: true,
            repacks: 0,
            double_hoisting: true,
            activations: ActivationMethod::PairedSquare,
            images: 1,
            max_inputs: 16,
            max_ciphertexts: 64,
            keep: 4,
            threads: 1,
            quick: false,
        }
    }
}

impl Space {
    /// Slots that an image has of the `slots` of a ciphertext.
    pub(crate) fn image_slots(&self, slots: usize) -> usize {
        slots / self.images
    }

    /// The paper's method: its layouts, images sent as they are.
    pub fn paper() -> Self {
        Self { layouts: Layouts::Paper, patches: false, ..Self::default() }
    }

    /// The size of primes that layouts are chosen for, as they are chosen once for all sizes: of those tried with paired squares
    /// the middle one.
    fn prime(&self) -> f64 {
        let mut sizes = self.paired_prime_bits.clone();
        sizes.sort_unstable();
        let paired = sizes.get(sizes.len() / 2).copied();
        let paired = paired.filter(|_| self.activations == ActivationMethod::PairedSquare);
        f64::from(paired.unwrap_or(self.max_prime_bits)).exp2()
    }

    /// Whether transforms modulo such primes need corrections.
    pub(super) fn is_wide(&self, log_n: u32) -> bool {
        engine::ntt::corrects(self.prime(), log_n)
    }

    /// What sums modulo such primes hold before they are reduced.
    pub(super) fn sum_terms(&self) -> SumTerms {
        sum_terms(self.prime())
    }

    /// What keys take in memory with such primes.
    pub(super) fn keys(&self) -> KeyStorage {
        KeyStorage::of_primes([self.prime()])
    }

    /// The parameters of a ring degree, key-switching shape and depth. With rescaled squares, the largest secure scale that
    /// the word size allows, if any is large enough; with paired ones every size of `paired_prime_bits` that is secure, or
    /// else the largest below them that is, and after it larger ones with a smaller one on top ([`Shape::topped`]).
    pub fn parameters(&self, log_n: u32, special: usize, levels: usize) -> Vec<ParameterChoice> {
        let shape = Shape { log_n, special, levels };
        let listed = || self.paired_prime_bits.iter().map(|bits| shape.paired(*bits));
        if self.activations == ActivationMethod::PairedSquare {
            let secure: Vec<_> = listed().filter(ParameterChoice::secure).collect();
            if !secure.is_empty() {
                return secure;
            }
        }
        let uniform = self.sizes(shape).rev().find(ParameterChoice::secure);
        let paired = uniform.filter(|_| self.activations == ActivationMethod::PairedSquare);
        let topped = paired.and_then(|uniform| {
            let larger = uniform.prime_bits + 1..=self.max_prime_bits;
            larger.rev().find_map(|bits| shape.topped(bits))
        });
        uniform.into_iter().chain(topped).collect()
    }

    /// The parameters of least modulus of a ring degree, key-switching shape and depth, secure or not.
    pub fn least_parameters(&self, log_n: u32, special: usize, levels: usize) -> ParameterChoice {
        let shape = Shape { log_n, special, levels };
        let mut sizes = self.sizes(shape);
        sizes.next().unwrap_or_else(|| shape.paired(LEAST_PRIME_BITS))
    }

    /// Parameters with ever larger primes: all sizes of use.
    fn sizes(&self, shape: Shape) -> impl DoubleEndedIterator<Item = ParameterChoice> {
        let paired = self.activations == ActivationMethod::PairedSquare;
        let range = match paired {
            true => {
                let listed = self.paired_prime_bits.iter().copied().min();
                LEAST_PRIME_BITS..=listed.unwrap_or(self.max_prime_bits)
            }
            false => self.min_scale_bits..=self.max_prime_bits.saturating_sub(self.headroom_bits),
        };
        let headroom = self.headroom_bits;
        range.map(move |bits| match paired {
            true => shape.paired(bits),
            false => shape.choice(bits, bits, bits + headroom),
        })
    }
}

/// Smallest primes of any use where squares are not rescaled, in bits: scale and weights share them.
const LEAST_PRIME_BITS: u32 = 32;

/// Bits of the prime on top beyond half of those of the others, at least.
const TOP_MORE_BITS: u32 = 2;

/// Bits by which all special primes together are smaller than a digit, about, where the prime on top is smaller as well.
const SPECIAL_LESS_BITS: u32 = 10;

/// All of parameters but the sizes of primes.
#[derive(Clone, Copy)]
struct Shape {
    log_n: u32,
    special: usize,
    levels: usize,
}

impl Shape {
    fn choice(self, scale_bits: u32, prime_bits: u32, first_bits: u32) -> ParameterChoice {
        ParameterChoice {
            log_n: self.log_n,
            scale_bits: Some(scale_bits),
            prime_bits,
            top_bits: None,
            first_bits,
            special_bits: first_bits.max(prime_bits),
            special: self.special,
            // A digit has no more limbs than there are.
            alpha: self.special.min(self.levels + 1),
            levels: self.levels,
        }
    }

    fn paired(self, bits: u32) -> ParameterChoice {
        self.choice(bits / 2, bits, bits)
    }

    /// Primes of so many bits, below one on top that has what security leaves, if that is enough: the first layer's result has
    /// the scale of a value that will be squared, half of `bits` or so, which image and weights must have together with the
    /// top prime, each about as much.
    ///
    /// ```text
    /// bits of primes, N = 2^13, four levels: special, q_0 to q_4
    /// uniform   35   35 35 35 35 35
    /// topped    30   40 40 40 40 23
    /// ```
    ///
    /// The special primes are smaller as well: keys are switched at the scale of a square, beside which their noise is little.
    fn topped(self, bits: u32) -> Option<ParameterChoice> {
        let most = (bits / 2 + TOP_MORE_BITS..bits).rev();
        let special_bits = bits - SPECIAL_LESS_BITS / self.special.max(1) as u32;
        let of = |top| ParameterChoice { top_bits: Some(top), special_bits, ..self.paired(bits) };
        most.map(of).find(ParameterChoice::secure).filter(|_| self.levels > 1)
    }
}

/// What a result must keep to.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Most accuracy lost against the reference, as a fraction; a variant of unknown accuracy is not refused.
    pub accuracy_drop: Option<f64>,
    /// Most memory.
    pub memory_bytes: Option<u64>,
    /// Whether plaintexts may be encoded when they are needed, where stored ones do not fit.
    pub on_demand: bool,
    /// How precise the results must be.
    pub precision: Demand,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            accuracy_drop: None,
            memory_bytes: None,
            on_demand: true,
            precision: Demand::Relative(10.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_engine_takes_what_is_proposed() {
        let methods = [ActivationMethod::PairedSquare, ActivationMethod::Square];
        for (activations, special) in methods.into_iter().flat_map(|m| [1, 4, 8].map(|s| (m, s))) {
            let space = Space { activations, ..Space::default() };
            for levels in [1, 4] {
                let proposed = space.parameters(16, special, levels);
                assert!(!proposed.is_empty());
                for choice in proposed {
                    let literal = choice.literal().unwrap();
                    let made = engine::params::Parameters::new(&literal);
                    assert!(made.is_ok(), "{choice:?}: {:?}", made.err());
                }
            }
        }
    }

    #[test]
    fn primes_are_larger_where_those_on_top_and_special_ones_are_smaller() {
        let space = Space::default();
        let [uniform, topped] = space.parameters(13, 1, 4)[..] else { unreachable!("two choices") };
        assert_eq!((uniform.prime_bits, uniform.top_bits, uniform.special_bits), (35, None, 35));
        assert_eq!((topped.prime_bits, topped.first_bits), (40, 40));
        assert_eq!((topped.top_bits, topped.special_bits), (Some(23), 30));
        for levels in 2..=6 {
            for special in [1, 2, 4] {
                for choice in space.parameters(13, special, levels) {
                    let made = engine::params::Parameters::new(&choice.literal().unwrap());
                    assert!(choice.secure() && made.is_ok(), "{choice:?}: {:?}", made.err());
                    let enough = choice.prime_bits / 2 + TOP_MORE_BITS;
                    assert!(choice.top_bits.is_none_or(|top| top >= enough), "{choice:?}");
                }
            }
        }
        // Where the largest primes are secure anyway, there is nothing to gain; nor with rescaled squares.
        assert!(space.parameters(16, 1, 4).iter().all(|choice| choice.top_bits.is_none()));
        let square = Space { activations: ActivationMethod::Square, ..Space::default() };
        assert!(square.parameters(13, 1, 3).iter().all(|choice| choice.top_bits.is_none()));
    }

    #[test]
    fn layouts_are_chosen_for_one_size_of_primes() {
        for (tried, bits) in [(vec![46], 46), (vec![50, 46, 48], 48), (vec![50], 50), (vec![], 46)]
        {
            let space = Space { paired_prime_bits: tried, ..Space::default() };
            let prime = f64::from(bits).exp2();
            assert_eq!(space.is_wide(14), engine::ntt::corrects(prime, 14), "{bits}");
            assert_eq!(space.keys(), KeyStorage::of_primes([prime]), "{bits}");
        }
        let square = Space { activations: ActivationMethod::Square, ..Space::default() };
        assert!(!square.is_wide(14));
    }
}
