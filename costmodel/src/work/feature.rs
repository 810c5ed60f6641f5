//! The sorts of work that have a unit cost.

/// A sort of work. Each has one fitted unit cost a thread count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(usize)]
pub enum Feature {
    /// Butterflies of forward NTTs, `N/2 log2 N` each.
    ForwardButterflies,
    /// Butterflies of inverse NTTs.
    InverseButterflies,
    /// Butterflies, of either direction, modulo primes too large for transforms without corrections: what they cost
    /// beyond the ordinary ones.
    WideButterflies,
    /// Multiply-accumulates of key products.
    KeyProducts,
    /// Words of keys that are unpacked for their products.
    PackedWords,
    /// Multiply-accumulates of ciphertext words by plaintext or ciphertext words.
    DotProducts,
    /// Multiply-accumulates of ciphertext words by words of a subring's plaintexts, which serve eight adjacent ones or more.
    PeriodicProducts,
    /// Products of basis conversions, the quotient's included.
    Conversions,
    /// Words brought below the prime after a sum of products.
    Reductions,
    /// Words added, subtracted, scaled, permuted or copied within a limb.
    ElementwiseWords,
    /// Bytes of a few dozen rows of a chunk, larger than the first level together, that sums read over and over from the second.
    RowBytes,
    /// Bytes read from the last-level cache, a chunk here and a chunk there, because the second level is too small to keep them.
    CachedBytes,
    /// Bytes of constants of transforms that are read from there.
    ConstantBytes,
    /// Bytes of digits that key products read from there.
    DigitBytes,
    /// Bytes of operands, intermediate polynomials and results read and written within the last-level cache.
    CiphertextBytes,
    /// The same, where they are too large for that cache together.
    SpilledBytes,
    /// Bytes of keys streamed from memory.
    KeyBytes,
    /// Words of keys made from their seeds.
    MaskWords,
    /// Bytes of plaintexts streamed from memory.
    PlaintextBytes,
    /// Bytes of fresh memory, cleared by the system.
    ZeroedBytes,
    /// Bytes copied by one thread alone.
    CopiedBytes,
    /// Points after which all threads wait for each other.
    Phases,
    /// Tasks handed to threads.
    Tasks,
    /// Butterflies of the complex Fourier transform of the encoding, on one thread.
    FourierButterflies,
    /// Real coefficients rounded and reduced, or put together again from residues.
    RoundedWords,
    /// Random coefficients drawn, on one thread.
    Samples,
}

/// How the cost of a feature behaves with the number of threads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Counted along the critical path; the unit cost belongs to a core.
    Compute,
    /// Counted in total; the unit cost is the inverse of a bandwidth that all threads share.
    Bandwidth,
}

impl Feature {
    /// Every feature, in order.
    pub const ALL: [Self; 26] = [
        Self::ForwardButterflies,
        Self::InverseButterflies,
        Self::WideButterflies,
        Self::KeyProducts,
        Self::PackedWords,
        Self::DotProducts,
        Self::PeriodicProducts,
        Self::Conversions,
        Self::Reductions,
        Self::ElementwiseWords,
        Self::RowBytes,
        Self::CachedBytes,
        Self::ConstantBytes,
        Self::DigitBytes,
        Self::CiphertextBytes,
        Self::SpilledBytes,
        Self::KeyBytes,
        Self::MaskWords,
        Self::PlaintextBytes,
        Self::ZeroedBytes,
        Self::CopiedBytes,
        Self::Phases,
        Self::Tasks,
        Self::FourierButterflies,
        Self::RoundedWords,
        Self::Samples,
    ];

    /// Number of features.
    pub const COUNT: usize = Self::ALL.len();

    /// Position in [`Self::ALL`].
    pub fn index(self) -> usize {
        self as usize
    }

    /// Name of the unit cost in a profile, unit included.
    pub fn unit_name(self) -> &'static str {
        match self {
            Self::ForwardButterflies => "forward_ntt_ns_per_butterfly",
            Self::InverseButterflies => "inverse_ntt_ns_per_butterfly",
            Self::WideButterflies => "wide_prime_extra_ns_per_butterfly",
            Self::KeyProducts => "key_product_ns_per_multiply",
            Self::PackedWords => "key_unpacking_ns_per_word",
            Self::DotProducts => "dot_product_ns_per_multiply",
            Self::PeriodicProducts => "periodic_product_ns_per_multiply",
            Self::Conversions => "basis_conversion_ns_per_multiply",
            Self::Reductions => "reduction_ns_per_word",
            Self::ElementwiseWords => "elementwise_ns_per_word",
            Self::RowBytes => "second_level_cache_ns_per_byte",
            Self::CachedBytes => "last_level_cache_ns_per_byte",
            Self::ConstantBytes => "constants_cache_ns_per_byte",
            Self::DigitBytes => "digits_cache_ns_per_byte",
            Self::CiphertextBytes => "ciphertext_cache_ns_per_byte",
            Self::SpilledBytes => "ciphertext_memory_ns_per_byte",
            Self::KeyBytes => "key_memory_ns_per_byte",
            Self::MaskWords => "key_mask_ns_per_word",
            Self::PlaintextBytes => "plaintext_memory_ns_per_byte",
            Self::ZeroedBytes => "allocation_ns_per_byte",
            Self::CopiedBytes => "copy_ns_per_byte",
            Self::Phases => "synchronisation_ns_per_phase",
            Self::Tasks => "scheduling_ns_per_task",
            Self::FourierButterflies => "fourier_ns_per_butterfly",
            Self::RoundedWords => "rounding_ns_per_word",
            Self::Samples => "sampling_ns_per_coefficient",
        }
    }

    /// What a report calls it.
    pub fn label(self) -> &'static str {
        match self {
            Self::ForwardButterflies => "forward NTT",
            Self::InverseButterflies => "inverse NTT",
            Self::WideButterflies => "corrections for wide primes",
            Self::KeyProducts => "key products",
            Self::PackedWords => "unpacking keys",
            Self::DotProducts => "plaintext and tensor products",
            Self::PeriodicProducts => "products with plaintexts of a subring",
            Self::Conversions => "basis conversion",
            Self::Reductions => "modular reduction",
            Self::ElementwiseWords => "elementwise arithmetic",
            Self::RowBytes => "second-level cache traffic",
            Self::CachedBytes => "last-level cache traffic",
            Self::ConstantBytes => "reading constants",
            Self::DigitBytes => "reading digits",
            Self::CiphertextBytes => "ciphertexts in the cache",
            Self::SpilledBytes => "ciphertexts in memory",
            Self::KeyBytes => "reading keys",
            Self::MaskWords => "making masks of keys",
            Self::PlaintextBytes => "reading plaintexts",
            Self::ZeroedBytes => "allocating memory",
            Self::CopiedBytes => "copying ciphertexts",
            Self::Phases => "waiting for threads",
            Self::Tasks => "starting tasks",
            Self::FourierButterflies => "Fourier transform",
            Self::RoundedWords => "rounding coefficients",
            Self::Samples => "drawing randomness",
        }
    }

    /// Whether every machine has such work.
    pub fn is_everywhere(self) -> bool {
        !matches!(self, Self::MaskWords | Self::WideButterflies | Self::PackedWords)
    }

    /// Whether it always takes time, whatever else goes on meanwhile: a price of nothing is an error. Waiting for memory may
    /// be hidden behind arithmetic, and threads may be there when they are needed.
    pub fn is_arithmetic(self) -> bool {
        matches!(
            self,
            Self::ForwardButterflies
                | Self::InverseButterflies
                | Self::KeyProducts
                | Self::DotProducts
                | Self::PeriodicProducts
                | Self::Conversions
                | Self::Reductions
                | Self::ElementwiseWords
                | Self::FourierButterflies
                | Self::RoundedWords
                | Self::Samples
        )
    }

    /// How it behaves with the number of threads.
    pub fn class(self) -> Class {
        match self {
            Self::SpilledBytes
            | Self::KeyBytes
            | Self::PlaintextBytes
            | Self::ZeroedBytes
            | Self::CopiedBytes => Class::Bandwidth,
            _ => Class::Compute,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn order_and_names() {
        for (i, feature) in Feature::ALL.into_iter().enumerate() {
            assert_eq!(feature.index(), i);
        }
        let names: BTreeSet<_> = Feature::ALL.iter().map(|f| f.unit_name()).collect();
        assert_eq!(names.len(), Feature::COUNT);
        assert!(names.iter().all(|n| n.contains("_ns_per_")));
    }
}
