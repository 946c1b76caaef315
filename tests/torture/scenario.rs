//! A command that is killed at random moments and rerun until it finishes, and what must hold after each kill and at the end. Independent
//! of what the command does.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use quarry::store::Store;
use quarry::workflow::Project;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use crate::state::{check_sound, log_of};

pub struct Scenario<'a> {
    pub name: &'a str,
    /// A project without running work. Every run uses a copy of it.
    pub base: &'a Path,
    /// Returns the next command; `None` if everything is done.
    pub next: &'a dyn Fn(&Project) -> Option<Command>,
    /// Returns everything that must be the same, killed or not.
    pub result: &'a dyn Fn(&Project) -> String,
    /// Number of kills: without QUARRY_TORTURE_KILLS, and of each 100 kills with it.
    pub kills: (u32, u32),
}

/// Returns the seed of this process, printed once.
pub fn seed() -> u64 {
    static SEED: OnceLock<u64> = OnceLock::new();
    *SEED.get_or_init(|| {
        let given = std::env::var("QUARRY_TORTURE_SEED").ok().map(|text| text.parse().expect("a seed is a number"));
        let clock = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |d| d.as_millis() as u64);
        let seed = given.unwrap_or_else(clock);
        println!("QUARRY_TORTURE_SEED={seed}");
        seed
    })
}

/// Returns a random generator for one part of the test, the same for the same seed.
pub fn random(part: &str) -> ChaCha8Rng {
    let hash = blake3::hash(part.as_bytes());
    ChaCha8Rng::seed_from_u64(seed() ^ u64::from_le_bytes(*hash.as_bytes().first_chunk().unwrap()))
}

/// Returns `short`, or this share of each 100 of the number in the environment.
pub fn amount(variable: &str, (short, share): (u32, u32)) -> u32 {
    let long = std::env::var(variable).ok().map(|text| text.parse::<u32>().expect("a number"));
    long.map_or(short, |all| (all * share).div_ceil(100))
}

pub fn kills((short, share): (u32, u32)) -> u32 {
    amount("QUARRY_TORTURE_KILLS", (short, share))
}

impl Scenario<'_> {
    pub fn run(&self) {
        let mut random = random(self.name);
        let scratch = tempfile::tempdir().unwrap();
        let acknowledged = log_of(self.base);
        let whole = self.copy(scratch.path(), "whole");
        let start = Instant::now();
        if let Some(command) = (self.next)(&whole) {
            finished(command);
        }
        let usual = start.elapsed();
        let expected = (self.result)(&whole);
        check_sound(&whole, &acknowledged);

        let (wanted, mut killed, mut runs) = (kills(self.kills), 0, 0);
        while killed < wanted {
            runs += 1;
            let project = self.copy(scratch.path(), &format!("run-{runs}"));
            let before = killed;
            while let Some(command) = (self.next)(&project) {
                let moment = usual.mul_f64(random.random_range(0.0..1.1));
                if killed >= wanted {
                    finished(command);
                    break;
                }
                if !killed_after(command, moment) {
                    break;
                }
                killed += 1;
                check_sound(&project, &acknowledged);
            }
            // What comes next, if the last kill came after the work was done.
            drop((Project::open(project.dir()).unwrap().open_store().unwrap(), project.lock("tidying up").unwrap()));
            check_sound(&project, &acknowledged);
            assert_eq!(leftovers(project.dir()), Vec::<String>::new(), "{}: left behind, {}", self.name, hint());
            let found = (self.result)(&project);
            assert!(found == expected, "{}: after {} kills\n{found}\nand not\n{expected}", self.name, killed - before);
            fs::remove_dir_all(project.dir()).unwrap();
        }
        println!(
            "TORTURE {}: {killed} kills in {runs} runs of {:.1} s, {} verdicts checked after each: nothing lost",
            self.name,
            usual.as_secs_f64(),
            acknowledged.len()
        );
    }

    fn copy(&self, scratch: &Path, name: &str) -> Project {
        let dir = scratch.join(name);
        copy_folder(self.base, &dir);
        Project::open(&dir).unwrap()
    }
}

fn hint() -> String {
    format!("QUARRY_TORTURE_SEED={}", seed())
}

/// `quarry` with a project.
pub fn quarry(words: &str, project: &Project) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_quarry"));
    command.args(words.split(' ')).arg("--project").arg(project.dir());
    command.env("OMP_NUM_THREADS", "1").env("MKL_NUM_THREADS", "1");
    command
}

/// Runs it to the end and requires success.
pub fn finished(mut command: Command) -> Output {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}{}", String::from_utf8_lossy(&output.stderr), hint());
    output
}

/// Kills it with SIGKILL at that moment; returns false if it had finished before.
fn killed_after(mut command: Command, moment: Duration) -> bool {
    let mut errors = tempfile::tempfile().unwrap();
    let start = Instant::now();
    let output = Stdio::from(errors.try_clone().unwrap());
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(output).spawn().unwrap();
    while start.elapsed() < moment {
        if let Some(status) = child.try_wait().unwrap() {
            use std::io::{Read as _, Seek as _};
            let mut text = String::new();
            errors.rewind().unwrap();
            errors.read_to_string(&mut text).unwrap();
            assert!(status.success(), "{command:?} after a kill: {status}: {text}{}", hint());
            return false;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    let had_ended = child.try_wait().unwrap().is_some();
    child.kill().unwrap();
    child.wait().unwrap();
    !had_ended
}

pub fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

pub fn files_below(dir: &Path) -> BTreeSet<PathBuf> {
    let mut files = BTreeSet::new();
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        files.insert(entry.path());
        if entry.file_type().unwrap().is_dir() {
            files.extend(files_below(&entry.path()));
        }
    }
    files
}

/// Returns files below a project's folder that only exist during work.
pub fn leftovers(dir: &Path) -> Vec<String> {
    let is_left = |path: &Path| {
        let name = path.file_name().unwrap().to_string_lossy();
        let is_passing = [".quarry-", ".unfinished-"].iter().any(|start| name.starts_with(start))
            || [".part", ".tmp", "-wal", "-shm", "-journal"].iter().any(|end| name.ends_with(end));
        is_passing || path.extension().is_some_and(|end| end == "lock") && fs::metadata(path).unwrap().len() > 0
    };
    let files = files_below(dir);
    files
        .iter()
        .filter(|path| is_left(path))
        .map(|path| path.strip_prefix(dir).unwrap().display().to_string())
        .collect()
}

pub fn store_of(project: &Path) -> Store {
    Store::open_read_only(&project.join("quarry.db")).unwrap()
}
