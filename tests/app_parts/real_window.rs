//! The real program in a real window: Xvfb shows it, xdotool presses keys and buttons, and the project records the result. Skipped with a
//! message if either is not installed.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use image::{Rgb, RgbImage};
use quarry::domain::{CandidateId, Verdict};
use quarry::store::{CandidateQuery, VerdictFilter};
use quarry::workflow::Project;

use super::{app_project, tiny_project};

const QUARRY: &str = env!("CARGO_BIN_EXE_quarry");
const SIZE: (u32, u32) = (1280, 800);
/// Maximum time for a state to appear on a busy machine.
const LONGEST_WAIT: Duration = Duration::from_mins(3);
/// Time after which a key or click without effect is repeated.
const AGAIN_AFTER: Duration = Duration::from_secs(20);
/// Colours of the dark theme: the main button's and a text field's.
const MAIN_BUTTON: Rgb<u8> = Rgb([0x23, 0x56, 0x7a]);
const FIELD: Rgb<u8> = Rgb([0x0d, 0x0f, 0x13]);
/// Xvfb's framebuffer file.
const SCREEN_FILE: &str = "shown/Xvfb_screen0";
/// Larger than a blinking text cursor, as a fraction of the pixels.
const CURSOR: f64 = 0.0001;
/// The status bar shows memory and threads, which vary.
const STATUS_BAR: u32 = 34;

/// A separate display, with folders for the program.
struct Desk {
    dir: PathBuf,
    number: String,
    xvfb: Child,
}

/// The program in its window. Killed if the test does not finish.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        if std::thread::panicking() && self.dir.join(SCREEN_FILE).is_file() {
            let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("real_window.png");
            if self.shown().save(&path).is_ok() {
                eprintln!("what the window showed: {}", path.display());
            }
        }
        let _ = self.xvfb.kill();
        let _ = self.xvfb.wait();
    }
}

/// Waits until `done` returns `Some`.
#[track_caller]
fn wait<T>(what: &str, mut done: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + LONGEST_WAIT;
    loop {
        if let Some(found) = done() {
            return found;
        }
        assert!(Instant::now() < deadline, "{what} did not come");
        std::thread::sleep(Duration::from_millis(40));
    }
}

/// Repeats an action at intervals until `done` returns `Some`.
#[track_caller]
fn send<T>(what: &str, send: impl Fn(), done: &mut dyn FnMut() -> Option<T>) -> T {
    let mut sent: Option<Instant> = None;
    wait(what, || {
        if sent.is_none_or(|at| at.elapsed() > AGAIN_AFTER) {
            send();
            sent = Some(Instant::now());
        }
        done()
    })
}

impl Desk {
    /// Returns `None` with a loud message if a program is missing.
    fn new(dir: &Path) -> Option<Self> {
        let thread = std::thread::current();
        let test = thread.name().unwrap_or("a test");
        for program in ["Xvfb", "xdotool"] {
            let path = std::env::var_os("PATH").unwrap_or_default();
            if !std::env::split_paths(&path).any(|folder| folder.join(program).is_file()) {
                eprintln!("SKIPPED: {test} shows the program in a real window, and {program} is not installed");
                return None;
            }
        }
        let opengl = Command::new(QUARRY).args(["doctor", "--probe-opengl"]).output().unwrap();
        if !opengl.status.success() {
            eprintln!("SKIPPED: {test} shows the program in a real window, and there is no OpenGL here");
            return None;
        }
        let screen = format!("{}x{}x24", SIZE.0, SIZE.1);
        let (shown, number) = (dir.join("shown"), dir.join("display"));
        std::fs::create_dir_all(&shown).unwrap();
        let xvfb = Command::new("Xvfb")
            .args(["-displayfd", "1", "-screen", "0", &screen, "-nolisten", "tcp", "-noreset", "-fbdir"])
            .arg(&shown)
            .stdout(std::fs::File::create(&number).unwrap())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut desk = Self { dir: dir.to_owned(), number: String::new(), xvfb };
        desk.number = wait("a display", || {
            let text = std::fs::read_to_string(&number).unwrap();
            text.ends_with('\n').then(|| format!(":{}", text.trim()))
        });
        Some(desk)
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env("DISPLAY", &self.number).env_remove("WAYLAND_DISPLAY").env("LIBGL_ALWAYS_SOFTWARE", "1");
        command.env("HOME", &self.dir).env("USER", "ada").env("LOGNAME", "ada").env_remove("GTK_THEME");
        for (name, folder) in [("XDG_CONFIG_HOME", "config"), ("XDG_DATA_HOME", "data"), ("XDG_CACHE_HOME", "cache")] {
            command.env(name, self.dir.join(folder));
        }
        command.env("XDG_RUNTIME_DIR", &self.dir);
        command
    }

    fn xdotool(&self, arguments: &[&str]) -> String {
        let output = self.command("xdotool").args(arguments).output().unwrap();
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// Starts the program; its window has the keyboard focus.
    fn start(&self, arguments: &[&str]) -> Running {
        let log = std::fs::File::create(self.dir.join("log.txt")).unwrap();
        let mut running = Running(self.command(QUARRY).args(arguments).stderr(log).spawn().unwrap());
        let window = wait("the window", || {
            let ended = running.0.try_wait().unwrap();
            assert!(ended.is_none(), "{ended:?}: {}", std::fs::read_to_string(self.dir.join("log.txt")).unwrap());
            let found = self.xdotool(&["search", "--onlyvisible", "--name", "^Quarry$"]);
            found.lines().next().map(str::to_owned)
        });
        self.xdotool(&["windowmove", &window, "0", "0"]);
        self.xdotool(&["windowsize", &window, &SIZE.0.to_string(), &SIZE.1.to_string()]);
        wait("the window's size", || {
            let geometry = self.xdotool(&["getwindowgeometry", &window]);
            geometry.contains(&format!("{}x{}", SIZE.0, SIZE.1)).then_some(())
        });
        // Out of the way: nothing in the status bar reacts to hovering.
        self.xdotool(&["mousemove", &(SIZE.0 / 2).to_string(), &(SIZE.1 - 2).to_string()]);
        self.xdotool(&["windowfocus", &window]);
        wait("the keyboard", || (self.xdotool(&["getwindowfocus"]) == window).then_some(()));
        self.still("the first frame");
        running
    }

    /// Closes the window and waits for the program to exit.
    fn quit(&self, mut running: Running) {
        let status = self.press(&["ctrl+q"], "the program's end", || running.0.try_wait().unwrap());
        assert!(status.success(), "{status}: {}", std::fs::read_to_string(self.dir.join("log.txt")).unwrap());
    }

    /// Reads the display from Xvfb's framebuffer file in X's own format.
    fn shown(&self) -> RgbImage {
        let bytes = std::fs::read(self.dir.join(SCREEN_FILE)).unwrap();
        let word = |index: usize| u32::from_be_bytes(bytes[4 * index..4 * index + 4].try_into().unwrap()) as usize;
        let (start, line) = (word(0) + 12 * word(19), word(12));
        assert_eq!((word(11), word(7)), (32, 0), "32 bits a pixel, the lowest byte first");
        RgbImage::from_fn(SIZE.0, SIZE.1, |x, y| {
            let at = start + y as usize * line + 4 * x as usize;
            Rgb([bytes[at + 2], bytes[at + 1], bytes[at]])
        })
    }

    /// Returns the display once it no longer changes.
    #[track_caller]
    fn still(&self, what: &str) -> RgbImage {
        let mut last = self.shown();
        let mut since = Instant::now();
        wait(what, || {
            let now = self.shown();
            if difference(&now, &last) > CURSOR {
                (last, since) = (now, Instant::now());
            }
            let is_drawn = last.pixels().any(|pixel| *pixel != *last.get_pixel(0, 0));
            (is_drawn && since.elapsed() > Duration::from_millis(600)).then(|| last.clone())
        })
    }

    /// Presses keys until `done` returns `Some`; repeats keys that were lost while a screen opened.
    #[track_caller]
    fn press<T>(&self, keys: &[&str], what: &str, mut done: impl FnMut() -> Option<T>) -> T {
        send(what, || drop(self.xdotool(&[&["key"], keys].concat())), &mut done)
    }

    /// Clicks the first run of at least `width` pixels of this colour, from the top, left of `right`, until `done` returns `Some`.
    #[track_caller]
    fn click<T>(&self, color: Rgb<u8>, width: u32, right: u32, what: &str, mut done: impl FnMut() -> Option<T>) -> T {
        let click = || {
            let place = run_of(&self.shown(), color, width, right);
            if let Some((x, y)) = place {
                self.xdotool(&["mousemove", &x.to_string(), &y.to_string()]);
                self.still("the pointer's place");
                self.xdotool(&["click", "1"]);
            }
        };
        send(what, click, &mut done)
    }

    /// Opens a screen and returns what it shows.
    #[track_caller]
    fn screen(&self, key: &str) -> RgbImage {
        let before = self.shown();
        self.press(&[key], key, || (difference(&self.shown(), &before) > 0.002).then_some(()));
        self.still(key)
    }
}

/// Returns the middle of a run of this colour, slightly below its upper edge.
fn run_of(shown: &RgbImage, color: Rgb<u8>, width: u32, right: u32) -> Option<(u32, u32)> {
    let is_similar = |pixel: &Rgb<u8>| pixel.0.iter().zip(color.0).all(|(a, b)| a.abs_diff(b) <= 2);
    for y in 0..shown.height() - STATUS_BAR {
        let mut length = 0;
        for x in 0..right {
            length = if is_similar(shown.get_pixel(x, y)) { length + 1 } else { 0 };
            if length == width {
                return Some((x - width / 2, y + 10));
            }
        }
    }
    None
}

/// Returns the fraction of visibly different pixels above the status bar.
fn difference(a: &RgbImage, b: &RgbImage) -> f64 {
    let differs = |x: u32, y: u32| {
        let (a, b) = (a.get_pixel(x, y), b.get_pixel(x, y));
        a.0.iter().zip(b.0).any(|(a, b)| a.abs_diff(b) > 24)
    };
    let height = a.height() - STATUS_BAR;
    let count = (0..height).flat_map(|y| (0..a.width()).map(move |x| (x, y))).filter(|(x, y)| differs(*x, *y)).count();
    count as f64 / f64::from(a.width() * height)
}

/// A COCO dataset: two images with one object each.
fn coco(dir: &Path) -> PathBuf {
    let folder = dir.join("more");
    std::fs::create_dir_all(&folder).unwrap();
    for number in 0..2u32 {
        let pixels = RgbImage::from_fn(64, 48, |x, y| Rgb([(x * 3) as u8, (y * 5) as u8, (40 * number) as u8]));
        pixels.save(folder.join(format!("more_{number}.png"))).unwrap();
    }
    let json = r#"{"images": [{"id": 1, "file_name": "more_0.png", "width": 64, "height": 48},
        {"id": 2, "file_name": "more_1.png", "width": 64, "height": 48}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [10, 10, 20, 24], "area": 480, "iscrowd": 0},
        {"id": 2, "image_id": 2, "category_id": 1, "bbox": [30, 8, 18, 22], "area": 396, "iscrowd": 0}],
        "categories": [{"id": 1, "name": "face"}]}"#;
    std::fs::write(folder.join("annotations.json"), json).unwrap();
    folder
}

/// Lists every candidate with its verdict.
fn listed(project: &Project) -> Vec<(CandidateId, Option<Verdict>)> {
    let store = project.open_store_to_read().unwrap();
    let ids =
        store.candidate_ids(&CandidateQuery { verdict: VerdictFilter::Any, ..CandidateQuery::default() }).unwrap();
    ids.into_iter().map(|id| (id, store.candidate(id).unwrap().verdict)).collect()
}

fn decided(project: &Project, verdict: Verdict) -> usize {
    listed(project).iter().filter(|(_, given)| *given == Some(verdict)).count()
}

fn curves(project: &Project) -> Vec<(u32, usize)> {
    let store = project.open_store_to_read().unwrap();
    let rounds = store.rounds().unwrap();
    rounds.iter().map(|round| (round.number, store.curves(round.id).unwrap().len())).collect()
}

/// Golden screenshots at half the window's size. `UPDATE_GOLDEN=1` writes them again.
const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/window");
/// Maximum fraction of different pixels: drivers differ in antialiasing.
const TOLERANCE: f64 = 0.01;

/// Returns `None`, or what is wrong.
fn compare(name: &str, shown: &RgbImage) -> Option<String> {
    let (width, height) = (SIZE.0 / 2, SIZE.1 / 2);
    let small = image::imageops::resize(shown, width, height, image::imageops::FilterType::Triangle);
    let path = Path::new(GOLDEN).join(format!("{name}.png"));
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        small.save(&path).unwrap();
        return None;
    }
    let golden = image::open(&path).unwrap().to_rgb8();
    assert_eq!(golden.dimensions(), (width, height), "{name}");
    let share = difference(&golden, &small);
    if share <= TOLERANCE {
        return None;
    }
    let seen = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.png"));
    small.save(&seen).unwrap();
    Some(format!("{name}: {:.2} % of the pixels differ; see {}", share * 100.0, seen.display()))
}

/// Screens of a drawn project, where only the status bar depends on the time or the machine.
#[test]
fn screens_look_as_they_did() {
    let dir = tempfile::tempdir().unwrap();
    let Some(desk) = Desk::new(dir.path()) else { return };
    let project = app_project::make(dir.path(), 12, 2);
    let running = desk.start(&["--project", project.dir().to_str().unwrap()]);
    let mut wrong = Vec::new();
    for (name, key) in [("images", "ctrl+5"), ("curves", "ctrl+4"), ("review", "ctrl+2"), ("grid", "g")] {
        desk.screen(key);
        // Images appear when they are decoded.
        let deadline = Instant::now() + Duration::from_secs(30);
        let mut found = compare(name, &desk.still(name));
        while found.is_some() && Instant::now() < deadline {
            found = compare(name, &desk.still(name));
        }
        wrong.extend(found);
    }
    desk.quit(running);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_sitting_in_a_real_window_from_the_import_to_the_next_start() {
    let dir = tempfile::tempdir().unwrap();
    let Some(desk) = Desk::new(dir.path()) else { return };
    let project = tiny_project::make(dir.path(), "sitting", 8, 2);
    let path = project.dir().to_str().unwrap().to_owned();
    let settings = dir.path().join("round.toml");
    let more = "iterations = 12\ncheckpoint_every = 6\nevaluate_every = 6\ntest_splits = [\"2\"]";
    std::fs::write(&settings, tiny_project::settings(more)).unwrap();
    for arguments in [vec!["train", "--config", settings.to_str().unwrap()], vec!["mine"]] {
        let output = desk.command(QUARRY).args(&arguments).args(["--project", &path]).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    assert!(listed(&project).len() >= 3, "the first round finds something to review");

    // Import: the path into its field, Enter, the dialog's own button.
    let running = desk.start(&["--project", &path]);
    let more = coco(dir.path());
    desk.screen("ctrl+3");
    desk.screen("ctrl+1");
    let before = desk.shown();
    desk.click(FIELD, 200, SIZE.0 / 2, "the field", || (difference(&desk.shown(), &before) > 0.0).then_some(()));
    desk.xdotool(&["type", "--delay", "5", more.to_str().unwrap()]);
    let images = || project.open_store_to_read().unwrap().images().unwrap().len();
    let had = images();
    let before = desk.shown();
    desk.press(&["Return"], "the dialog", || (difference(&desk.shown(), &before) > 0.05).then_some(()));
    desk.still("the dialog");
    desk.click(MAIN_BUTTON, 70, SIZE.0, "the import", || (images() == had + 2).then_some(()));
    desk.still("the import's end");

    // Browse: the list of images, one of them, the next one, and back.
    let grid = desk.screen("ctrl+5");
    let one = desk.screen("Return");
    assert!(difference(&grid, &one) > 0.02, "an image is opened");
    desk.screen("Next");
    desk.screen("Escape");

    // Review: three verdicts, one of which is undone.
    desk.screen("ctrl+2");
    desk.press(&["a"], "a confirmed one", || (decided(&project, Verdict::Confirmed) == 1).then_some(()));
    desk.press(&["x"], "a rejected one", || (decided(&project, Verdict::Rejected) == 1).then_some(()));
    desk.press(&["BackSpace"], "the undo", || (decided(&project, Verdict::Rejected) == 0).then_some(()));
    desk.press(&["a"], "another confirmed one", || (decided(&project, Verdict::Confirmed) >= 2).then_some(()));

    // A short round: its curves change.
    let before = desk.screen("ctrl+4");
    assert_eq!(curves(&project).iter().map(|(round, _)| *round).collect::<Vec<_>>(), [1]);
    desk.screen("ctrl+3");
    desk.click(MAIN_BUTTON, 200, 390, "the round", || {
        curves(&project).iter().any(|(round, _)| *round == 2).then_some(())
    });
    wait("the round's end", || {
        let rounds = project.open_store_to_read().unwrap().rounds().unwrap();
        rounds.iter().any(|round| round.number == 2 && round.state == quarry::domain::RoundState::Mined).then_some(())
    });
    desk.still("the round's end");
    let after = desk.screen("ctrl+4");
    assert!(difference(&before, &after) > 0.003, "the curves moved");

    // Quit, start again: everything is there.
    let (verdicts, rounds) = (listed(&project), curves(&project));
    desk.quit(running);
    let running = desk.start(&[]);
    wait("the screen that was left", || (difference(&desk.still("the screen"), &after) < 0.05).then_some(()));
    assert_eq!((listed(&project), curves(&project)), (verdicts, rounds));
    desk.quit(running);
}
