//! Tests of [`super`].

use super::*;

/// A reading some milliseconds after `start`: milliseconds of running and waiting by thread, and ticks stolen.
fn reading(start: Instant, at: u64, threads: &[(u64, u64, u64)], stolen: u64) -> Reading {
    let ms = |value: u64| value * 1_000_000;
    let threads = threads.iter().map(|&(t, ran, waited)| (t, (ms(ran), ms(waited)))).collect();
    Reading { at: start + Duration::from_millis(at), threads, stolen }
}

/// A pace of a number of threads that no other test has: nothing is known to be faster.
const PACE: Pace = Pace { threads: 777, transform_ns: 1e4 };

fn load(lost: f64) -> Load {
    let waits = Waits { cores_had: 1.0 - lost, waited: lost, stolen: 0.0 };
    Load { wanted: 1, waits: Some(waits), pace: PACE }
}

#[test]
fn what_was_waited_for_and_stolen_counts() {
    let start = Instant::now();
    let before = reading(start, 0, &[(1, 500, 70), (2, 10, 7), (3, 5, 5)], 1000);
    let of = |threads: &[(u64, u64, u64)], stolen| {
        let waits = Waits::between(&before, &reading(start, 100, threads, stolen), 2, 2);
        (waits, Load { wanted: 2, waits: Some(waits), pace: PACE })
    };
    // Idle for a part of the time, which is the program's own affair; a new thread; one that has ended.
    let (waits, quiet) = of(&[(1, 600, 70), (2, 60, 7), (4, 20, 1)], 1001);
    assert!((waits.cores_had - 1.7).abs() < 1e-9 && (waits.waited - 0.01).abs() < 1e-9);
    assert!(waits.stolen == 0.0 && !quiet.is_disturbed(), "{quiet:?}");
    // Four of the two hundred milliseconds wanted are just enough.
    assert!(!of(&[(1, 600, 73), (2, 60, 7)], 1000).1.is_disturbed());
    assert!(of(&[(1, 600, 70), (2, 60, 11)], 1000).1.is_disturbed());
    let (waits, stolen) = of(&[(1, 590, 70), (2, 100, 7)], 1003);
    assert!((waits.stolen - 0.2).abs() < 1e-9 && stolen.is_disturbed(), "{stolen:?}");
    // Counters that went back are no load.
    assert_eq!(of(&[(1, 0, 0)], 0).1.lost_share(), 0.0);
}

#[test]
fn threads_beyond_the_cores_wait_for_each_other() {
    let start = Instant::now();
    let before = reading(start, 0, &[(1, 0, 0)], 0);
    let after = reading(start, 100, &[(1, 50, 50)], 0);
    let of = |wanted| Load {
        wanted,
        waits: Some(Waits::between(&before, &after, wanted, 2)),
        pace: PACE,
    };
    assert!(of(2).is_disturbed() && !of(3).is_disturbed());
}

#[test]
fn counters_are_read_and_missing_ones_told() {
    let root = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str| {
        let path = root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    assert_eq!(Watch::below(root.path(), 1, 1).stop().waits, None);
    write("proc/self/task/7/schedstat", "1000 20 3\n");
    write("proc/self/task/8/schedstat", "1 2 3\n");
    write("proc/stat", "cpu  1 2 3 4 5 6 7 88 9 10\ncpu0 1 1 1 1 1 1 1 1 1 1\n");
    let read = Reading::take(root.path()).unwrap();
    assert_eq!(read.threads, BTreeMap::from([(7, (1000, 20)), (8, (1, 2))]));
    assert_eq!(read.stolen, 88);
    let watch = Watch::below(root.path(), 1, 1);
    write("proc/self/task/7/schedstat", "1000000001000 1000000000020 4\n");
    let load = watch.stop();
    assert!(load.is_disturbed() && load.waits.unwrap().cores_had > 0.0, "{load:?}");
    // An old kernel, or one that hides them.
    write("proc/stat", "cpu  1 2 3 4\n");
    assert_eq!(Reading::take(root.path()), None);
    write("proc/stat", "cpu  1 2 3 4 5 6 7 88 9 10\n");
    write("proc/self/task/7/schedstat", "\n");
    assert_eq!(Reading::take(root.path()), None);
}

#[test]
fn disturbed_work_is_repeated_within_the_budget() {
    let never = AtomicBool::new(false);
    let run = |lost: &[f64], repeats: usize, stop: &AtomicBool| {
        let mut patience = Patience { repeats, ..Patience::default() };
        let mut attempts = lost.iter().enumerate();
        let attempt = || {
            let (k, lost) = attempts.next().ok_or("too often")?;
            Ok::<_, &str>(Timed { ns: k as f64, load: load(*lost) })
        };
        let kept = repeat(&mut patience, stop, attempt).unwrap();
        (kept.ns as usize, patience.repeats)
    };
    assert_eq!(run(&[0.0], 3, &never), (0, 3));
    assert_eq!(run(&[0.5, 0.3, 0.001], 3, &never), (2, 1));
    // The least disturbed one where none was quiet.
    assert_eq!(run(&[0.5, 0.3, 0.4], 2, &never), (1, 0));
    assert_eq!(run(&[0.5], 0, &never), (0, 0));
    assert_eq!(run(&[0.5], 3, &AtomicBool::new(true)), (0, 3));
}

#[test]
fn slow_cores_disturb_too() {
    let paced =
        |pace: f64| Load { pace: Pace { threads: 778, transform_ns: 1e4 * pace }, ..load(0.0) };
    pace::tell(&[Pace { threads: 778, transform_ns: 1e4 }]);
    assert!(!paced(1.04).is_disturbed() && paced(1.06).is_disturbed());
    assert!((paced(1.25).lost_share() - 0.2).abs() < 1e-9);
    // Also where the system tells nothing of waiting.
    let silent = Load { waits: None, ..paced(1.5) };
    assert!(silent.is_disturbed() && (silent.lost_share() - 1.0 / 3.0).abs() < 1e-9);
    let timed = |ns: f64, pace: f64| Timed { ns, load: paced(pace) };
    assert_eq!(counted_ns(&[timed(9.0, 1.5), timed(1.0, 1.0), timed(2.0, 1.04)]), [1.0, 2.0]);
    // Of disturbed ones, those that are least so, within three hundredths.
    assert_eq!(counted_ns(&[timed(9.0, 1.5), timed(7.0, 1.2), timed(8.0, 1.22)]), [7.0, 8.0]);
    assert!(counted_ns(&[]).is_empty());
}

/// Twice as many spinning threads as cores: some of them wait, whatever else the machine does.
#[cfg(target_os = "linux")]
#[test]
fn a_crowd_is_noticed() {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let watch = Watch::start(1);
    if watch.start.is_none() {
        return;
    }
    let until = Instant::now() + Duration::from_millis(300);
    let load = std::thread::scope(|scope| {
        for _ in 0..2 * cores {
            scope.spawn(|| {
                while Instant::now() < until + Duration::from_millis(100) {
                    std::hint::spin_loop();
                }
            });
        }
        std::thread::sleep(until.saturating_duration_since(Instant::now()));
        watch.stop()
    });
    assert!(load.is_disturbed() && load.waits.unwrap().cores_had > 0.0, "{load:?}");
}
