//! Power failure tests: records the steps of atomic writes and checks every state that the disk may be in afterwards. Unsynced data may be
//! present, partial, zeroed or missing, and unsynced names may appear in any order.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::disk::Disk;
use super::{write_on, write_together_on};
use crate::domain::Output;

#[derive(Debug, Clone)]
enum Step {
    Write(usize, Vec<u8>),
    Sync(usize),
    /// The file gets this name, in addition to any other.
    Name(usize, PathBuf),
    SyncFolder,
}

/// A disk that records its steps. File 0 and the next ones, one for each old name, exist from the start.
#[derive(Default)]
struct Recorder {
    old: Vec<(PathBuf, Vec<u8>)>,
    steps: Rc<RefCell<Vec<Step>>>,
    files: RefCell<usize>,
    /// Steps that this disk only pretends to perform.
    lies: Lies,
}

#[derive(Default, Clone, Copy, PartialEq)]
enum Lies {
    #[default]
    Never,
    AboutFiles,
    AboutFolders,
}

struct Recorded {
    number: usize,
    content: Content,
}

struct Content {
    number: usize,
    steps: Rc<RefCell<Vec<Step>>>,
}

impl Write for Content {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.steps.borrow_mut().push(Step::Write(self.number, bytes.to_vec()));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Recorder {
    fn with(old: &[(&str, &str)], lies: Lies) -> Self {
        let old: Vec<_> = old.iter().map(|(name, text)| (PathBuf::from(name), text.as_bytes().to_vec())).collect();
        Self { files: RefCell::new(old.len()), old, lies, ..Self::default() }
    }

    fn made(&self, step: Step) {
        self.steps.borrow_mut().push(step);
    }

    /// Returns every possible state after a failure following `steps` steps: name -> content.
    fn states(&self, steps: usize) -> BTreeSet<BTreeMap<PathBuf, Vec<u8>>> {
        let made = &self.steps.borrow()[..steps];
        let synced = made.iter().rposition(|step| matches!(step, Step::SyncFolder)).unwrap_or(0);
        let (mut safe, mut open) = (Vec::new(), Vec::new());
        for (k, step) in made.iter().enumerate() {
            if let Step::Name(file, path) = step {
                if k < synced { safe.push((*file, path)) } else { open.push((*file, path)) }
            }
        }
        let mut states = BTreeSet::new();
        for chosen in 0..1_u32 << open.len() {
            let mut names: BTreeMap<&PathBuf, usize> =
                self.old.iter().enumerate().map(|(k, old)| (&old.0, k)).collect();
            let come = open.iter().enumerate().filter(|(k, _)| (chosen >> k) & 1 == 1).map(|(_, name)| name);
            names.extend(safe.iter().chain(come).map(|(file, path)| (*path, *file)));
            let contents: Vec<Vec<Vec<u8>>> = names.values().map(|file| self.contents(made, *file)).collect();
            let most = contents.iter().map(Vec::len).max().unwrap_or(1);
            states.extend((0..most).map(|k| {
                let content = |of: &Vec<Vec<u8>>| of[k.min(of.len() - 1)].clone();
                names.keys().map(|name| (*name).clone()).zip(contents.iter().map(content)).collect()
            }));
        }
        states
    }

    /// Returns the possible contents of a file.
    fn contents(&self, made: &[Step], file: usize) -> Vec<Vec<u8>> {
        if let Some((_, old)) = self.old.get(file) {
            return vec![old.clone()];
        }
        let (mut all, mut safe) = (Vec::new(), None);
        for step in made {
            match step {
                Step::Write(of, bytes) if *of == file => {
                    all.extend(bytes);
                    safe = None;
                }
                Step::Sync(of) if *of == file => safe = Some(all.clone()),
                _ => {}
            }
        }
        let torn = || vec![vec![], all[..all.len() / 2].to_vec(), vec![0; all.len()], all.clone()];
        safe.map_or_else(torn, |safe| vec![safe])
    }
}

impl Disk for Recorder {
    type File = Recorded;
    type Before = ();

    fn unfinished(&self, folder: &Path) -> io::Result<Recorded> {
        let number = *self.files.borrow();
        *self.files.borrow_mut() += 1;
        self.made(Step::Name(number, folder.join(format!(".quarry-1-{number}"))));
        Ok(Recorded { number, content: Content { number, steps: self.steps.clone() } })
    }

    fn content<'a>(&self, file: &'a mut Recorded) -> &'a mut dyn Write {
        &mut file.content
    }

    fn sync(&self, file: &Recorded) -> io::Result<()> {
        if self.lies != Lies::AboutFiles {
            self.made(Step::Sync(file.number));
        }
        Ok(())
    }

    fn place(&self, file: Recorded, path: &Path, _replace: bool) -> io::Result<()> {
        self.made(Step::Name(file.number, path.to_owned()));
        Ok(())
    }

    fn sync_folder(&self, _folder: &Path) -> io::Result<()> {
        if self.lies != Lies::AboutFolders {
            self.made(Step::SyncFolder);
        }
        Ok(())
    }

    fn before(&self, path: &Path) {
        if let Some(old) = self.old.iter().position(|old| old.0 == path) {
            self.made(Step::Name(old, path.with_file_name(".quarry-1-aside")));
        }
    }

    fn take_back(&self, _path: &Path, (): ()) {}
}

/// Checks a power failure at every moment of writing `new` over `old`, one file or several. Returns the first state in which a file is
/// neither old nor new, or is old although the write had finished; otherwise the number of states.
fn first_fault(old: &[(&str, &str)], new: &[(&str, &str)], lies: Lies) -> Result<usize, String> {
    let disk = Recorder::with(old, lies);
    match new {
        [(name, text)] => {
            let out = Output::new(name, true);
            // Written in chunks, like a table.
            let fill = |file: &mut dyn Write| text.as_bytes().chunks(3).try_for_each(|piece| file.write_all(piece));
            write_on(&disk, &out, |error| error, fill).unwrap();
        }
        several => {
            let contents: Vec<_> = several.iter().map(|(name, text)| (*name, text.as_bytes().to_vec())).collect();
            write_together_on(&disk, Path::new(""), &contents, true).unwrap();
        }
    }
    let text = |files: &[(&str, &str)], name: &str| {
        files.iter().find(|file| file.0 == name).map(|file| file.1.as_bytes().to_vec())
    };
    let all = disk.steps.borrow().len();
    let mut seen = 0;
    for steps in 0..=all {
        for state in disk.states(steps) {
            seen += 1;
            for (name, _) in new {
                let found = state.get(Path::new(name)).cloned();
                let is_new = found == text(new, name);
                if !(is_new || steps < all && found == text(old, name)) {
                    return Err(format!("after {steps} of {all} steps {name} holds {found:?}"));
                }
            }
        }
    }
    Ok(seen)
}

/// Names and contents.
type Contents = &'static [(&'static str, &'static str)];

const CASES: [(Contents, Contents); 4] = [
    (&[], &[("a", "a new file")]),
    (&[("a", "old")], &[("a", "a newer and longer file")]),
    (&[("a", "old"), ("c", "old")], &[("a", "new"), ("b", "new"), ("c", "new")]),
    (&[("a", "a long old file")], &[("a", "")]),
];

#[test]
fn after_a_power_cut_at_any_moment_a_file_is_the_old_or_the_new_one() {
    for (old, new) in CASES {
        let states = first_fault(old, new, Lies::Never).unwrap();
        println!("{old:?} -> {new:?}: {states} states after power cuts");
        assert!(states > 3 * new.len(), "{states}");
    }
}

#[test]
fn a_disk_that_does_not_sync_is_seen() {
    for (old, new) in CASES.into_iter().filter(|(_, new)| new.iter().all(|(_, text)| !text.is_empty())) {
        assert!(first_fault(old, new, Lies::AboutFiles).is_err(), "{new:?}");
        assert!(first_fault(old, new, Lies::AboutFolders).is_err(), "{new:?}");
    }
}
