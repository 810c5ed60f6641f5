//! Tests of [`super`].

use super::*;

/// A reading some milliseconds after `start`: milliseconds of running and waiting by thread, and ticks stolen.
fn reading(start: Instant, at: u64, threads: &[(u64, u64, u64)], stolen: u64) -> Reading {
    let ms = |value: u64| value * 1_000_000;
    let threads = threads.iter().map(|&(t, ran, waited)| (t, (ms(ran), ms(waited)))).collect();
    Reading { at: start + Duration::from_millis(at), threads, stolen }
}

fn load(lost: f64) -> Load {
    Load { wanted: 1, cores_had: 1.0 - lost, waited: lost, stolen: 0.0 }
}

#[test]
fn what_was_waited_for_and_stolen_counts() {
    let start = Instant::now();
    let before = reading(start, 0, &[(1, 500, 70), (2, 10, 7), (3, 5, 5)], 1000);
    let of = |threads: &[(u64, u64, u64)], stolen| {
        Load::between(&before, &reading(start, 100, threads, stolen), 2, 2)
    };
    // Idle for a part of the time, which is the program's own affair; a new thread; one that has ended.
    let quiet = of(&[(1, 600, 70), (2, 60, 7), (4, 20, 1)], 1001);
    assert!((quiet.cores_had - 1.7).abs() < 1e-9 && (quiet.waited - 0.01).abs() < 1e-9);
    assert!(quiet.stolen == 0.0 && !quiet.is_disturbed(), "{quiet:?}");
    // Four of the two hundred milliseconds wanted are just enough.
    assert!(!of(&[(1, 600, 73), (2, 60, 7)], 1000).is_disturbed());
    assert!(of(&[(1, 600, 70), (2, 60, 11)], 1000).is_disturbed());
    let stolen = of(&[(1, 590, 70), (2, 100, 7)], 1003);
    assert!((stolen.stolen - 0.2).abs() < 1e-9 && stolen.is_disturbed(), "{stolen:?}");
    // Counters that went back are no load.
    assert_eq!(of(&[(1, 0, 0)], 0).lost_share(), 0.0);
}

#[test]
fn threads_beyond_the_cores_wait_for_each_other() {
    let start = Instant::now();
    let before = reading(start, 0, &[(1, 0, 0)], 0);
    let after = reading(start, 100, &[(1, 50, 50)], 0);
    assert!(Load::between(&before, &after, 2, 2).is_disturbed());
    assert!(!Load::between(&before, &after, 3, 2).is_disturbed());
}

#[test]
fn counters_are_read_and_missing_ones_told() {
    let root = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str| {
        let path = root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    assert_eq!(Watch::below(root.path(), 1, 1).stop(), None);
    write("proc/self/task/7/schedstat", "1000 20 3\n");
    write("proc/self/task/8/schedstat", "1 2 3\n");
    write("proc/stat", "cpu  1 2 3 4 5 6 7 88 9 10\ncpu0 1 1 1 1 1 1 1 1 1 1\n");
    let read = Reading::take(root.path()).unwrap();
    assert_eq!(read.threads, BTreeMap::from([(7, (1000, 20)), (8, (1, 2))]));
    assert_eq!(read.stolen, 88);
    let watch = Watch::below(root.path(), 1, 1);
    write("proc/self/task/7/schedstat", "1000000001000 1000000000020 4\n");
    let load = watch.stop().unwrap();
    assert!(load.is_disturbed() && load.cores_had > 0.0, "{load:?}");
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
    let run = |lost: &[f64], mut budget: usize, stop: &AtomicBool| {
        let mut attempts = lost.iter().enumerate();
        let attempt = || {
            let (k, lost) = attempts.next().ok_or("too often")?;
            Ok::<_, &str>((k, Some(load(*lost))))
        };
        let (kept, _) = repeat(&mut budget, stop, attempt).unwrap();
        (kept, budget)
    };
    assert_eq!(run(&[0.0], 3, &never), (0, 3));
    assert_eq!(run(&[0.5, 0.3, 0.001], 3, &never), (2, 1));
    // The least disturbed one where none was quiet.
    assert_eq!(run(&[0.5, 0.3, 0.4], 2, &never), (1, 0));
    assert_eq!(run(&[0.5], 0, &never), (0, 0));
    assert_eq!(run(&[0.5], 3, &AtomicBool::new(true)), (0, 3));
    // Where the system does not tell, once is enough.
    let (mut budget, mut count) = (3, 0);
    let attempt = || {
        count += 1;
        Ok::<_, ()>(((), None))
    };
    assert_eq!(repeat(&mut budget, &never, attempt), Ok(((), None)));
    assert_eq!((budget, count), (3, 1));
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
        watch.stop().unwrap()
    });
    assert!(load.is_disturbed() && load.cores_had > 0.0, "{load:?}");
}
