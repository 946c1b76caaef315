//! The effects of a panic: an error with a crash report, written by the program's hook. A separate test binary, because hooks are
//! process-wide.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use quarry::domain::{caught, new_crash_reports, remember_log, report_panics};

#[test]
fn a_panic_in_any_job_becomes_its_error_with_a_crash_report() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("quarry/crashes");
    report_panics(Some(&folder), "quarry test");
    remember_log("WARN a line of the log\nWARN \u{1b}[31manother\u{1b}[0m\n");
    let count = || new_crash_reports(&folder).len();
    let newest = || std::fs::read_to_string(new_crash_reports(&folder).first().unwrap()).unwrap();

    // Caught and propagated: the report is written when it is reported.
    let panic = caught(|| panic!("a fault of {}", "a job")).unwrap_err();
    assert_eq!((panic.message(), count()), ("a fault of a job", 0));
    let message = panic.reported();
    assert!(message.starts_with("a fault of a job (crash report: "), "{message}");
    assert_eq!(count(), 1);
    let report = newest();
    for part in [
        env!("CARGO_PKG_VERSION"),
        "quarry test",
        "a fault of a job",
        "tests/crashes.rs",
        "a_panic_in_any_job",
        "a line of the log",
    ] {
        assert!(report.contains(part), "{part:?} is missing in\n{report}");
    }
    assert!(!report.contains('\u{1b}'), "{report:?}");

    // Errors that a library reports by panicking leave no report.
    assert_eq!(
        caught(|| panic!("bad image")).map_err(|panic| panic.message().to_owned()),
        Err::<(), _>("bad image".to_owned())
    );
    assert_eq!(count(), 1);

    // An unwatched thread, and rayon's, which propagates the panic: one report each.
    std::thread::spawn(|| panic!("unwatched")).join().unwrap_err();
    assert_eq!(count(), 2);
    assert!(newest().contains("unwatched"));
    let panic = caught(|| rayon::join(|| rayon::scope(|s| s.spawn(|_| panic!("in a pool"))), || ())).unwrap_err();
    assert!(panic.reported().contains("in a pool (crash report: "));
    assert_eq!(count(), 3);

    #[cfg(feature = "gui")]
    {
        use quarry::jobs::{Job, JobNews, Outcome};
        let work: quarry::jobs::Work<u32> = Box::new(|_, _| panic!("in the window's job"));
        let job = Job::start("Test", work, |_| None, std::sync::Arc::new(|| ())).unwrap();
        let finished = loop {
            match job.poll() {
                Some(JobNews::Finished(outcome)) => break outcome,
                _ => std::thread::sleep(std::time::Duration::from_millis(2)),
            }
        };
        assert!(matches!(&finished, Outcome::Failed(text) if text.contains("crash report: ")), "{finished:?}");
        assert_eq!(count(), 4);
    }
}
