//! Intrinsics are part of the kernels that use them.
//!
//! A closure in a generic kernel knows nothing of the kernel's instruction set. Where the compiler calls it instead of
//! inlining it, every intrinsic within becomes a call, too, with its vectors in memory: the results are right, and the kernel
//! takes ten times as long. Such closures are functions with `#[inline(always)]`, or macros. Which of them a compiler inlines
//! is not the same at every level of optimisation; this looks at the one that the test is compiled with.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

use std::error::Error;

use engine::params::{Parameters, ParametersLiteral};
use object::{Object, ObjectSymbol};

/// Prefixes of intrinsics' names, by vector length.
const INTRINSICS: [&str; 3] = ["_mm_", "_mm256_", "_mm512_"];

#[test]
fn no_intrinsic_is_called() -> Result<(), Box<dyn Error>> {
    // Without a use of the engine, the linker may leave its kernels out.
    let params = Parameters::new(&ParametersLiteral::uniform(12, 36, 30, 1, (1, 36), 1)?)?;
    let mut limb = vec![0; params.n()];
    params.table(0).forward(&mut limb);
    assert!(limb.iter().all(|&word| word == 0));
    let program = std::fs::read(std::env::current_exe()?)?;
    let file = object::File::parse(&*program)?;
    let names: Vec<&str> = file.symbols().filter_map(|symbol| symbol.name().ok()).collect();
    let kernel = |set: &str| names.iter().any(|n| n.contains(set) && n.contains("ntt_forward"));
    assert!(kernel("four") && kernel("eight"), "no kernels among {} symbols", names.len());
    let intrinsic = |name: &&&str| {
        name.contains("core_arch") && INTRINSICS.iter().any(|prefix| name.contains(prefix))
    };
    let called: Vec<_> = names.iter().filter(intrinsic).collect();
    assert!(called.is_empty(), "called: {called:#?}");
    Ok(())
}
