//! One frame of the window while the grid scrolls over the project of 1,000,000 candidates that `--bench store` generates: CPU time of
//! logic and layout on the window's thread, without painting. `cargo bench --no-default-features --features gui --bench frame` prints the
//! table with the limits; images are JPEG files, decoded while the grid scrolls.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use egui::{Event, Modifiers, MouseWheelSource, MouseWheelUnit, TouchPhase, pos2, vec2};
use egui_kittest::Harness;
use egui_kittest::kittest::Queryable as _;
use image::{Rgb, RgbImage};
use quarry::app::QuarryApp;
use quarry::app::action::Action;
use quarry::app::command::{Command, Screen};
use quarry::app::keymap::Keymap;
use quarry::app::options::Options;
use quarry::store::Store;

const FRAMES: usize = 1200;
/// Number of candidates decided by key, and the interval: 600 per minute.
const DECISIONS: usize = 300;
const DECISION_PAUSE: Duration = Duration::from_millis(100);
/// The pause between two frames on a 60 Hz display.
const PAUSE: Duration = Duration::from_millis(12);
/// Number of distinct images; all of the project's are links to these.
const ORIGINALS: usize = 32;
/// Start of time measurement on systems without a thread CPU clock.
static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();

#[derive(Default)]
struct State {
    app: Option<QuarryApp>,
    frames: Vec<Duration>,
}

fn main() {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| PathBuf::from("target"), PathBuf::from);
    let folder = target.join("bench-store-2");
    let pristine = folder.join("pristine.db");
    assert!(pristine.exists(), "{} is missing: run `cargo bench --bench store` once", pristine.display());
    let project = project(&folder, &pristine);
    let mut window = window(&project);
    let start = Instant::now();
    while window.query_by_label_contains("1 of ").is_none() {
        assert!(start.elapsed() < Duration::from_mins(1), "the queue does not appear");
        window.step();
        std::thread::sleep(Duration::from_millis(5));
    }
    println!("| opened, first candidate of the queue shown after | {:.2} s |", start.elapsed().as_secs_f64());
    let mut waits = decide(&mut window);
    if let Some(app) = &mut window.state_mut().app {
        app.push(Command::Do(Action::Grid));
    }
    window.run_steps(20);
    window.state_mut().frames.clear();
    for _ in 0..FRAMES {
        window.event(Event::PointerMoved(pos2(700.0, 450.0)));
        let (unit, delta, modifiers) = (MouseWheelUnit::Point, vec2(0.0, -90.0), Modifiers::NONE);
        let (phase, source) = (TouchPhase::Move, MouseWheelSource::Wheel);
        window.event(Event::MouseWheel { unit, delta, phase, source, modifiers });
        window.step();
        std::thread::sleep(PAUSE);
    }
    report(&mut window.state_mut().frames, &mut waits);
}

/// The time from each deciding key to the end of the frame after the one with the next candidate and its decoded crop: what is shown by
/// then was completely laid out.
fn decide(window: &mut Harness<'static, State>) -> Vec<Duration> {
    let shown = |window: &Harness<'static, State>| window.state().app.as_ref().and_then(QuarryApp::shown_crop);
    let mut waits = Vec::new();
    for _ in 0..DECISIONS {
        let pause = Instant::now();
        while pause.elapsed() < DECISION_PAUSE || shown(window).is_none() {
            assert!(pause.elapsed() < Duration::from_mins(1), "the crop does not appear");
            window.step();
            std::thread::sleep(PAUSE);
        }
        let before = shown(window);
        let pressed = Instant::now();
        window.key_press(egui::Key::A);
        while shown(window).is_none() || shown(window) == before {
            assert!(pressed.elapsed() < Duration::from_mins(1), "the next candidate does not appear");
            window.step();
            std::thread::sleep(Duration::from_micros(200));
        }
        window.step();
        waits.push(pressed.elapsed());
    }
    waits
}

fn window(project: &Path) -> Harness<'static, State> {
    let project = project.to_owned();
    let show = move |ui: &mut egui::Ui, state: &mut State| {
        let app = state.app.get_or_insert_with(|| {
            let options = Options { annotator: "bench".to_owned(), ..Options::default() };
            let mut app = QuarryApp::new(ui.ctx(), options, Keymap::default());
            app.push(Command::Open(project.clone()));
            app.push(Command::Show(Screen::Review));
            app
        });
        let start = processor_time();
        app.tick(ui.ctx());
        app.show(ui);
        state.frames.push(processor_time().saturating_sub(start));
    };
    Harness::builder().with_size(vec2(1440.0, 900.0)).build_ui_state(show, State::default())
}

fn report(frames: &mut [Duration], waits: &mut [Duration]) {
    println!("| what | median | p99 | max | bar |\n| --- | --- | --- | --- | --- |");
    line("key to the next candidate's crop on the screen", waits, "50 ms (p99)");
    line("frame of the scrolling grid, processor time", frames, "8 ms (p99)");
    match memory_mb() {
        Some((now, most)) => println!("| memory | {now} MB now | {most} MB at most | | 600 MB |"),
        None => println!("| memory | not told by this system | | | 600 MB |"),
    }
}

fn line(what: &str, times: &mut [Duration], bar: &str) {
    times.sort_unstable();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize].as_secs_f64() * 1000.0;
    println!("| {what} ({}) | {:.2} ms | {:.2} ms | {:.2} ms | {bar} |", times.len(), at(0.5), at(0.99), at(1.0));
}

/// CPU time of this thread; on other systems than Unix the elapsed time.
#[cfg_attr(unix, expect(unsafe_code, reason = "the standard library tells no processor time"))]
fn processor_time() -> Duration {
    #[cfg(unix)]
    {
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: the call writes one `timespec` to a valid pointer.
        if unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) } == 0 {
            return Duration::new(time.tv_sec as u64, time.tv_nsec as u32);
        }
    }
    START.get_or_init(Instant::now).elapsed()
}

/// Current and peak resident memory of this process, in MB.
fn memory_mb() -> Option<(u64, u64)> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let kilobytes = |name: &str| {
        let line = text.lines().find(|line| line.starts_with(name))?;
        line.split_whitespace().nth(1)?.parse::<u64>().ok()
    };
    Some((kilobytes("VmRSS:")? / 1024, kilobytes("VmHWM:")? / 1024))
}

/// The generated project as a folder, with a file for every image.
fn project(folder: &Path, pristine: &Path) -> PathBuf {
    let (project, photos) = (folder.join("window"), folder.join("photos"));
    std::fs::create_dir_all(&project).expect("the target folder can be written");
    let database = project.join("quarry.db");
    if !database.exists() {
        link_images(&photos, pristine);
        std::fs::copy(pristine, &database).expect("there is room for a copy of the generated project");
        let mut store = Store::open(&database).expect("the copy opens");
        let dataset = store.datasets().expect("the copy can be read")[0].id;
        store.move_dataset(dataset, &std::path::absolute(&photos).expect("a path")).expect("the dataset moves");
    }
    project
}

fn link_images(photos: &Path, pristine: &Path) {
    let store = Store::open_read_only(pristine).expect("the generated project opens");
    std::fs::create_dir_all(photos).expect("the target folder can be written");
    let originals: Vec<PathBuf> = (0..ORIGINALS).map(|n| photos.join(format!("original_{n}.jpg"))).collect();
    for (n, path) in originals.iter().enumerate() {
        let picture = RgbImage::from_fn(450, 400, |x, y| {
            let noise = (x * 7919 + y * 104_729 + n as u32 * 1301) % 61;
            Rgb([(x / 2 + noise) as u8, (y / 2 + noise) as u8, ((x + y + n as u32 * 8) / 4) as u8])
        });
        picture.save(path).expect("an image is written");
    }
    for (n, image) in store.images().expect("images can be read").iter().enumerate() {
        let path = photos.join(&image.path);
        std::fs::create_dir_all(path.parent().unwrap_or(photos)).expect("the target folder can be written");
        if !path.exists() {
            std::fs::hard_link(&originals[n % ORIGINALS], &path).expect("a link is made");
        }
    }
}
