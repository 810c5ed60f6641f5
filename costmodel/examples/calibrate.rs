//! Calibrates and tells how good the fit is: `calibrate [quick|full|tiny] [threads,...] [profile.toml]`.

use std::sync::atomic::AtomicBool;

use costmodel::measure::{Plan, run};
use costmodel::{CostModel, Profile, Residency};

fn main() -> costmodel::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let plan = match arguments.next().as_deref() {
        Some("full") => Plan::full(),
        Some("tiny") => Plan::tiny(),
        _ => Plan::quick(),
    };
    let threads: Vec<usize> = arguments
        .next()
        .unwrap_or_else(|| "1,2".into())
        .split(',')
        .filter_map(|t| t.parse().ok())
        .collect();
    let path = std::path::PathBuf::from(arguments.next().unwrap_or_else(|| "profile.toml".into()));
    let profile = if path.exists() {
        // A profile that is there is fitted afresh.
        let mut profile = Profile::load(&path)?;
        profile.fits = costmodel::fit::fit(&profile.points, &profile.machine.caches)?;
        profile
    } else {
        let mut shown = String::new();
        let mut progress = |p: &costmodel::measure::Progress| {
            if p.activity != shown {
                eprintln!(
                    "{:3.0} %, {:.0} s left: {}",
                    100.0 * p.fraction,
                    p.remaining.as_secs_f64(),
                    p.activity
                );
                shown.clone_from(&p.activity);
            }
        };
        let measured = run(&plan, &threads, &mut progress, &AtomicBool::new(false), None)?;
        let profile = Profile::new(measured, "unknown")?;
        profile.save(&path)?;
        profile
    };
    let model = CostModel::from_profile(&profile)?;
    println!(
        "{:.0} s, load {}, {:?}",
        profile.duration_seconds, profile.load_average, profile.machine
    );
    for fit in &profile.fits {
        println!(
            "== {} threads: last level {} KiB, noise {:.3}, training {:.3?}\n   held out {:.3?}",
            fit.threads,
            fit.last_level_bytes >> 10,
            fit.noise_relative,
            fit.training,
            fit.held_out
        );
        for (name, spread) in &fit.families {
            println!(
                "   {name:15} {:4} points, deviation {:.3}",
                spread.points, spread.relative_deviation
            );
        }
        for (name, errors) in &fit.unseen_rings {
            println!("   unseen {name}: {errors:.3?}");
        }
        for (name, cost) in &fit.unit_costs {
            println!("   {name:38} {cost:.5}");
        }
    }
    let mut worst: Vec<(f64, String)> = profile
        .points
        .iter()
        .map(|p| {
            let prediction = model.predict_operation(&p.operation, &p.setting, p.residency);
            let ratio = prediction.median_ms * 1e6 / p.time.median_ns;
            let held = if p.is_held_out() { "held out" } else { "" };
            let warm = if p.residency == Residency::Warm { "warm" } else { "cold" };
            let quartiles = [p.time.low_quartile_ns, p.time.median_ns, p.time.high_quartile_ns]
                .map(|t| t / 1e6);
            let line = format!(
                "{ratio:.3} {quartiles:.3?} x{} {warm} {held} {:?} {:?}",
                p.time.samples, p.setting, p.operation
            );
            (ratio.ln().abs(), line)
        })
        .collect();
    worst.sort_by(|a, b| b.0.total_cmp(&a.0));
    if std::env::var_os("ALL").is_some() {
        worst.iter().for_each(|(_, line)| println!("{line}"));
    } else {
        worst.iter().take(40).for_each(|(_, line)| println!("{line}"));
    }
    Ok(())
}
