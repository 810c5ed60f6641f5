//! Loops written once and compiled for several instruction sets.

#[cfg(target_arch = "x86_64")]
use crate::kernels::kernels;

/// What a loop was compiled for. The values name what the processor has: make them with the functions below.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Instance {
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl Instance {
    /// The one that goes with the kernels chosen.
    pub(crate) fn chosen() -> Self {
        #[cfg(target_arch = "x86_64")]
        match kernels().name {
            "avx512" | "avx512ifma" if has_avx512() => return Self::Avx512,
            "avx2" if is_x86_feature_detected!("avx2") => return Self::Avx2,
            _ => {}
        }
        Self::Portable
    }

    /// All that this processor has.
    #[cfg(test)]
    pub(crate) fn available() -> Vec<Self> {
        let mut all = vec![Self::Portable];
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx2") {
                all.push(Self::Avx2);
            }
            if has_avx512() {
                all.push(Self::Avx512);
            }
        }
        all
    }
}

#[cfg(target_arch = "x86_64")]
fn has_avx512() -> bool {
    is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512dq")
}

/// Defines a function with an [`Instance`] as first argument: its body, generic over the vector type, is
/// compiled once for each.
macro_rules! instances {
    ($(#[$doc:meta])* $vis:vis fn $name:ident<$v:ident>($($arg:ident: $ty:ty),* $(,)?) $(-> $ret:ty)? $code:block) => {
        $(#[$doc])*
        $vis fn $name(instance: $crate::vector::instance::Instance, $($arg: $ty),*) $(-> $ret)? {
            #[inline(always)]
            fn body<$v: $crate::vector::lanes::Lanes>($($arg: $ty),*) $(-> $ret)? $code

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512dq")]
            fn avx512($($arg: $ty),*) $(-> $ret)? {
                body::<$crate::vector::lanes::Avx512>($($arg),*)
            }

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2")]
            fn avx2($($arg: $ty),*) $(-> $ret)? {
                body::<$crate::vector::lanes::Avx2>($($arg),*)
            }

            match instance {
                #[cfg(target_arch = "x86_64")]
                // SAFETY: an instance names what the processor has.
                $crate::vector::instance::Instance::Avx512 => unsafe { avx512($($arg),*) },
                #[cfg(target_arch = "x86_64")]
                // SAFETY: as above.
                $crate::vector::instance::Instance::Avx2 => unsafe { avx2($($arg),*) },
                $crate::vector::instance::Instance::Portable => {
                    body::<$crate::vector::lanes::Portable>($($arg),*)
                }
            }
        }
    };
}

pub(crate) use instances;
