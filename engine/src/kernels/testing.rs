//! Tests of one instruction set each, by its name.

use std::io::Write;

use super::{Kernels, available};

/// What the kernels of a name need of the processor.
fn requirement(name: &str) -> &'static str {
    match name {
        "scalar" => "word by word: any will do",
        "avx2" => "AVX2 and FMA",
        "avx512" => "AVX-512 F, DQ and VL",
        "avx512ifma" => "AVX-512 IFMA, VBMI and VAES",
        other => unreachable!("no kernels are called {other}"),
    }
}

/// The kernels of this name, or what a test prints that this CPU cannot run.
fn found(name: &str, available: &[&'static Kernels]) -> Result<&'static Kernels, String> {
    let missing = || format!("this CPU has no {}", requirement(name));
    available.iter().copied().find(|kernels| kernels.name == name).ok_or_else(missing)
}

/// Runs a test with the kernels of this name, or says that it is skipped, even where the output of tests that pass is not
/// shown.
pub(crate) fn run_or_skip(test: &str, name: &str, check: impl FnOnce(&Kernels)) {
    match found(name, &available()) {
        Ok(kernels) => check(kernels),
        Err(reason) => {
            // Not by a macro: what those print is only shown of tests that fail.
            let line = format!("{test}, {name}: skipped: {reason}\n");
            let _ = std::io::stderr().write_all(line.as_bytes());
        }
    }
}

/// Tests of every instruction set: for each a module of its name, with a test for each function, which takes the kernels.
macro_rules! for_each_isa {
    ($($test:ident),+ $(,)?) => {
        for_each_isa! { @of scalar: $($test),+ }
        for_each_isa! { @of avx2: $($test),+ }
        for_each_isa! { @of avx512: $($test),+ }
        for_each_isa! { @of avx512ifma: $($test),+ }
    };
    (@of $isa:ident: $($test:ident),+) => {
        mod $isa {
            $(#[test]
            fn $test() {
                let name = stringify!($isa);
                $crate::kernels::testing::run_or_skip(stringify!($test), name, super::$test);
            })+
        }
    };
}

pub(crate) use for_each_isa;

#[test]
fn kernels_that_the_processor_lacks_are_named() {
    let all = available();
    for kernels in &all {
        assert!(found(kernels.name, &all).is_ok_and(|found| found.name == kernels.name));
    }
    let missing = |name| found(name, &all[..1]).err();
    assert_eq!(missing("scalar"), None);
    assert_eq!(
        missing("avx512ifma").as_deref(),
        Some("this CPU has no AVX-512 IFMA, VBMI and VAES")
    );
    assert_eq!(missing("avx2").as_deref(), Some("this CPU has no AVX2 and FMA"));
}
