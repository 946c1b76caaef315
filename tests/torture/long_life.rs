//! Eight hours of review and training in fast motion, in a separate process: memory, file handles, threads, the database's WAL, backups and
//! the rounds' logs stay bounded. The hours pass on the clock used for backups, not on the wall clock.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use quarry::domain::Cancel;
use quarry::jobs::{BackupKeeper, ReadRequest, VerdictWriter, WriteRequest, start_backups, start_reader, start_writer};
use quarry::store::{CandidateQuery, VerdictFilter};
use quarry::training::RoundConfig;
use quarry::workflow::Project;
use quarry::workflow::mine::mine;
use quarry::workflow::train::train;
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;

use crate::scenario::{amount, files_below, finished, leftovers, quarry, seed, store_of};
use crate::state::check_sound;
use crate::{app_project, reviewing, tiny_project};

/// Set for the long-lived process: the project with candidates, then the one being trained.
const LONG: &str = "QUARRY_TORTURE_LONG_LIFE";
const HOURS: u32 = 8;
const MEASURED: &str = "measured ";

/// Measurements after each hour.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Measured {
    memory_mb: u64,
    handles: u64,
    threads: u64,
    wal_kb: u64,
    backups: u64,
    backups_kb: u64,
    /// Everything that a round leaves except checkpoints.
    logs_kb: u64,
    verdicts: u64,
}

fn kb(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |found| found.len()) / 1024
}

fn measure(reviewed: &Project, trained: &Project) -> Measured {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let number = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap()
    };
    let backups: Vec<_> = files_below(&reviewed.dir().join("backups")).into_iter().collect();
    let logs = files_below(&trained.run_dir(1));
    let logs = logs.iter().filter(|path| path.is_file() && !path.to_string_lossy().contains("checkpoints"));
    let mut wal = reviewed.database().into_os_string();
    wal.push("-wal");
    Measured {
        memory_mb: number("VmRSS:") / 1024,
        handles: fs::read_dir("/proc/self/fd").unwrap().count() as u64,
        threads: number("Threads:"),
        wal_kb: kb(Path::new(&wal)),
        backups: backups.len() as u64,
        backups_kb: backups.iter().map(|path| kb(path)).sum(),
        logs_kb: logs.map(|path| kb(path)).sum(),
        verdicts: log_rows(reviewed),
    }
}

fn log_rows(project: &Project) -> u64 {
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
    let database = rusqlite::Connection::open_with_flags(project.database(), flags).unwrap();
    database.query_row("SELECT count(*) FROM verdicts", [], |row| row.get::<_, i64>(0)).unwrap() as u64
}

/// Makes every backup an hour older.
fn age_backups(project: &Project) {
    for backup in store_of(project.dir()).backups() {
        let file = File::options().write(true).open(&backup.path).unwrap();
        let before = file.metadata().unwrap().modified().unwrap();
        file.set_modified(before - Duration::from_secs(3601)).unwrap();
    }
}

fn write(writer: &mut VerdictWriter, backups: &mut BackupKeeper, request: WriteRequest) {
    writer.ask(request);
    writer.wait(Duration::from_mins(1)).expect("an answer").result.expect("it is written");
    // Like the window after every verdict.
    if backups.open_requests() == 0 {
        backups.ask(());
    }
    while let Some(answer) = backups.poll() {
        assert_eq!(answer.result.expect("a backup that is made"), None);
    }
}

fn round(number: u32) -> RoundConfig {
    let text = tiny_project::settings(&format!("iterations = 2\ntest_folds = [2]\nseed = {number}"));
    RoundConfig::from_toml(&text, "tests").unwrap()
}

/// Not a test itself: the work of the long-lived process.
#[test]
fn the_long_lived_process() {
    let Some(projects) = std::env::var_os(LONG) else { return };
    let projects = projects.into_string().unwrap();
    let (reviewed, trained) = projects.split_once(' ').unwrap();
    let (reviewed, trained) = (Project::open(Path::new(reviewed)).unwrap(), Project::open(Path::new(trained)).unwrap());
    tch::set_num_threads(1);
    let mut random = ChaCha8Rng::seed_from_u64(seed());
    let all = CandidateQuery { verdict: VerdictFilter::Any, collapse: false, ..CandidateQuery::default() };
    let ids = store_of(reviewed.dir()).candidate_ids(&all).unwrap();
    let waker: quarry::jobs::Waker = Arc::new(|| {});
    let mut writer = start_writer(reviewed.database(), waker.clone()).unwrap();
    let mut backups = start_backups(reviewed.database(), waker.clone()).unwrap();
    let mut reader = start_reader(reviewed.database(), waker).unwrap();
    for hour in 1..=HOURS {
        for k in 0..requests() / HOURS {
            write(&mut writer, &mut backups, reviewing::request(&mut random, &reviewed, &ids));
            if k % 50 == 0 {
                let page = ReadRequest::Page { query: Box::default(), after: None, limit: 50 };
                for request in [ReadRequest::Overview, page, ReadRequest::Annotators] {
                    reader.ask(request);
                    reader.wait(Duration::from_mins(1)).expect("an answer").result.expect("it is read");
                }
            }
        }
        age_backups(&reviewed);
        for n in 0..rounds() / HOURS {
            train(&trained, &round(hour * 100 + n), &mut |_| {}, &Cancel::new()).unwrap();
            mine(&trained, None, &mut |_| {}, &Cancel::new()).unwrap();
        }
        let m = measure(&reviewed, &trained);
        let numbers = [m.memory_mb, m.handles, m.threads, m.wal_kb, m.backups, m.backups_kb, m.logs_kb, m.verdicts];
        println!("\n{MEASURED}{}", numbers.map(|n| n.to_string()).join(" "));
    }
}

/// Requests of the whole day, the same for each hour.
fn requests() -> u32 {
    amount("QUARRY_TORTURE_VERDICTS", (960, 100)).next_multiple_of(HOURS)
}

fn rounds() -> u32 {
    (requests() / 500).clamp(1, 40).next_multiple_of(HOURS)
}

#[test]
fn eight_hours_of_review_and_training_leave_memory_handles_threads_logs_and_backups_bounded() {
    let dir = tempfile::tempdir().unwrap();
    let reviewed = app_project::make(dir.path(), 12, 1);
    let trained = tiny_project::make(dir.path(), "trained", 4, 2);
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["long_life::the_long_lived_process", "--exact", "--nocapture", "--test-threads=1"]);
    command.env(LONG, format!("{} {}", reviewed.dir().display(), trained.dir().display()));
    command.env("OMP_NUM_THREADS", "1").env("QUARRY_TORTURE_SEED", seed().to_string());
    // glibc keeps freed blocks below a threshold that grows with what was freed. With one heap and a fixed threshold, freed memory is
    // returned to the system at once, and what is measured is in use.
    command.env("MALLOC_ARENA_MAX", "1").env("MALLOC_MMAP_THRESHOLD_", "65536").env("MALLOC_TRIM_THRESHOLD_", "65536");
    let output = command.stdin(Stdio::null()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    let hours: Vec<Measured> = text.lines().filter_map(|line| line.strip_prefix(MEASURED)).map(parse).collect();
    assert_eq!(hours.len(), HOURS as usize, "{text}");
    for (k, hour) in hours.iter().enumerate() {
        println!("TORTURE long life: hour {}: {hour:?}", k + 1);
    }
    // The first two hours fill caches and start everything that lives as long as the process.
    let (warm, last) = (hours[1], hours[HOURS as usize - 1]);
    for hour in &hours[2..] {
        assert!(hour.handles <= warm.handles + 2, "file handles: {warm:?}, {hour:?}");
        assert!(hour.threads <= warm.threads + 2, "threads: {warm:?}, {hour:?}");
        assert!(hour.wal_kb <= 32 << 10, "the database's log: {hour:?}");
        assert!(hour.backups <= 10, "backups: {hour:?}");
        assert!(hour.logs_kb <= warm.logs_kb + 64, "what a round leaves: {hour:?}");
    }
    assert!(hours.windows(2).any(|pair| pair[0].backups < pair[1].backups), "no backup was due: {hours:?}");
    // A verdict's row takes some bytes in the in-memory lists. What an hour needs temporarily is not growth.
    let least = hours[5..].iter().map(|hour| hour.memory_mb).min().unwrap();
    let grown = least.saturating_sub(warm.memory_mb);
    assert!(grown <= 48 + (last.verdicts - warm.verdicts) / 4096, "memory grew by {grown} MB: {hours:?}");
    assert!(last.verdicts > u64::from(requests()) / 2);

    for project in [&reviewed, &trained] {
        finished(quarry("group", project));
        check_sound(project, &BTreeSet::new());
        assert_eq!(leftovers(project.dir()), Vec::<String>::new());
    }
    let newest = store_of(reviewed.dir()).backups().pop().unwrap();
    let age = SystemTime::now().duration_since(fs::metadata(newest.path).unwrap().modified().unwrap());
    assert!(age.unwrap_or_default() < Duration::from_hours(2), "the newest backup is of the last hour");
}

fn parse(line: &str) -> Measured {
    let numbers: Vec<u64> = line.split(' ').map(|word| word.parse().unwrap()).collect();
    let [memory_mb, handles, threads, wal_kb, backups, backups_kb, logs_kb, verdicts] = numbers[..] else {
        panic!("{line}")
    };
    Measured { memory_mb, handles, threads, wal_kb, backups, backups_kb, logs_kb, verdicts }
}
