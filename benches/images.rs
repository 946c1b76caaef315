//! The Images screen with 100,000 images and a round of a million detections, generated below the target folder: CPU time of a frame while
//! the thumbnails scroll, the first frame, and the time until an image with 500 detections is shown. `cargo bench --no-default-features
//! --features gui --bench images` prints the table.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use egui::{Event, Modifiers, MouseWheelSource, MouseWheelUnit, Pos2, TouchPhase, pos2, vec2};
use egui_kittest::Harness;
use egui_kittest::kittest::Queryable as _;
use image::{Rgb, RgbImage};
use quarry::app::QuarryApp;
use quarry::app::command::{Command, ImagesCommand, Screen};
use quarry::app::keymap::Keymap;
use quarry::app::options::Options;
use quarry::domain::{ClassId, Detection, ImageId, RoundState, Shape};
use quarry::geometry::BoundingBox;
use quarry::store::{NewDataset, NewImage, NewObject, Store};
use quarry::training::RoundConfig;
use quarry::workflow::Project;

const IMAGES: usize = 100_000;
const DETECTIONS: usize = 10;
/// On the first image.
const CROWD: usize = 500;
const FRAMES: usize = 1000;
/// The pause between two frames on a 60 Hz display.
const PAUSE: Duration = Duration::from_millis(12);
/// Time after which a large image is decoded.
const DECODED: Duration = Duration::from_secs(20);
/// Number of distinct image files; all of the project's are links to these.
const FILES: usize = 32;

#[derive(Default)]
struct State {
    app: Option<QuarryApp>,
    frames: Vec<Duration>,
}

fn main() {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| PathBuf::from("target"), PathBuf::from);
    let project = project(&target.join("bench-images-1"));
    let begun = Instant::now();
    let mut window = window(&project);
    window.step();
    let first = begun.elapsed();
    let label = format!("{IMAGES} of {IMAGES} images");
    let opened = wait(&mut window, |window| window.query_by_label(&label).is_some());
    println!("| what | median | p99 | max | bar |\n| --- | --- | --- | --- | --- |");
    println!("| first frame with the project opening | {:.3} s | | | 1 s |", first.as_secs_f64());
    println!("| all images listed with their counts after | {:.2} s | | | |", opened.as_secs_f64());
    window.run_steps(20);
    window.state_mut().frames.clear();
    for _ in 0..FRAMES {
        wheel(&mut window, pos2(700.0, 500.0), -160.0);
        std::thread::sleep(PAUSE);
    }
    line("frame while the thumbnails scroll", &mut window.state_mut().frames, "8 ms (p99)");
    let images = Store::open_read_only(&project.join("quarry.db")).expect("the project opens");
    let images: Vec<ImageId> = images.images().expect("images can be read").iter().map(|image| image.id).collect();
    let mut waits = Vec::new();
    for _ in 0..20 {
        open(&mut window, images[1]);
        wait(&mut window, |window| window.query_by_label_contains("10  False positive").is_some());
        open(&mut window, images[0]);
        let crowd = format!("{CROWD}  False positive");
        waits.push(wait(&mut window, |window| window.query_by_label_contains(&crowd).is_some()));
    }
    line("an image with 500 detections, from its key to the screen", &mut waits, "50 ms");
    window.state_mut().frames.clear();
    for _ in 0..200 {
        wheel(&mut window, pos2(500.0, 500.0), 40.0);
    }
    line("frame while that image is zoomed", &mut window.state_mut().frames, "16 ms");
    if let Some((now, most)) = memory_mb() {
        println!("| memory | {now} MB now | {most} MB at most | | 600 MB |");
    }
    drop(window);
    large_image(&target.join("bench-images-large-1"));
}

/// An image of 200 megapixels: zoomed in to its pixels, panned across and zoomed out, with its tiles coming in.
fn large_image(folder: &Path) {
    let project = large_project(folder);
    let mut window = window(&project);
    wait(&mut window, |window| window.query_by_label("1 of 1 images").is_some());
    let images = Store::open_read_only(&project.join("quarry.db")).expect("the project opens");
    let image = images.images().expect("images can be read")[0].id;
    open(&mut window, image);
    wait(&mut window, |window| window.query_by_label_contains("Image large").is_some());
    let canvas = window.get_by_label_contains("Image large").rect();
    std::thread::sleep(DECODED);
    window.run_steps(20);
    window.state_mut().frames.clear();
    let modifiers = Modifiers::NONE;
    for _ in 0..100 {
        wheel(&mut window, canvas.center(), 10.0);
        std::thread::sleep(PAUSE);
    }
    for _ in 0..20 {
        let button = egui::PointerButton::Primary;
        let (from, to) = (canvas.center() + vec2(250.0, 100.0), canvas.center() - vec2(250.0, 100.0));
        window.event(Event::PointerMoved(from));
        window.event(Event::PointerButton { pos: from, button, pressed: true, modifiers });
        window.step();
        for part in 1..=10 {
            window.event(Event::PointerMoved(from + (to - from) * (part as f32 / 10.0)));
            window.step();
            std::thread::sleep(PAUSE);
        }
        window.event(Event::PointerButton { pos: to, button, pressed: false, modifiers });
        window.step();
    }
    for _ in 0..100 {
        wheel(&mut window, canvas.center(), -10.0);
        std::thread::sleep(PAUSE);
    }
    line("frame while an image of 200 megapixels is zoomed and panned", &mut window.state_mut().frames, "16 ms");
}

/// Turns the wheel at a place and shows the frame.
fn wheel(window: &mut Harness<'static, State>, at: Pos2, amount: f32) {
    window.event(Event::PointerMoved(at));
    let (unit, delta, modifiers) = (MouseWheelUnit::Point, vec2(0.0, amount), Modifiers::NONE);
    let (phase, source) = (TouchPhase::Move, MouseWheelSource::Wheel);
    window.event(Event::MouseWheel { unit, delta, phase, source, modifiers });
    window.step();
}

fn open(window: &mut Harness<'static, State>, image: ImageId) {
    if let Some(app) = &mut window.state_mut().app {
        app.push(Command::Images(ImagesCommand::Open(image)));
    }
}

fn wait(window: &mut Harness<'static, State>, is_there: impl Fn(&Harness<'static, State>) -> bool) -> Duration {
    let start = Instant::now();
    loop {
        window.step();
        if is_there(window) {
            return start.elapsed();
        }
        assert!(start.elapsed() < Duration::from_mins(5), "it does not appear");
        std::thread::sleep(Duration::from_micros(200));
    }
}

fn window(project: &Path) -> Harness<'static, State> {
    let project = project.to_owned();
    let show = move |ui: &mut egui::Ui, state: &mut State| {
        let app = state.app.get_or_insert_with(|| {
            let options = Options { annotator: "bench".to_owned(), ..Options::default() };
            let mut app = QuarryApp::new(ui.ctx(), options, Keymap::default());
            app.push(Command::Open(project.clone()));
            app.push(Command::Show(Screen::Images));
            app
        });
        let start = Instant::now();
        app.tick(ui.ctx());
        app.show(ui);
        state.frames.push(start.elapsed());
    };
    Harness::builder().with_size(vec2(1440.0, 900.0)).build_ui_state(show, State::default())
}

fn line(what: &str, times: &mut [Duration], bar: &str) {
    times.sort_unstable();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize].as_secs_f64() * 1000.0;
    println!("| {what} ({}) | {:.2} ms | {:.2} ms | {:.2} ms | {bar} |", times.len(), at(0.5), at(0.99), at(1.0));
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

/// Generated once, then reused.
fn project(folder: &Path) -> PathBuf {
    let done = folder.join("done");
    let dir = folder.join("project");
    if done.exists() {
        return dir;
    }
    let _ = std::fs::remove_dir_all(folder);
    let files = folder.join("files");
    std::fs::create_dir_all(&files).expect("the target folder can be written");
    let originals: Vec<PathBuf> = (0..FILES).map(|n| files.join(format!("original_{n}.jpg"))).collect();
    for (n, path) in originals.iter().enumerate() {
        let picture = RgbImage::from_fn(450, 400, |x, y| {
            let noise = (x * 7919 + y * 104_729 + n as u32 * 1301) % 61;
            Rgb([(x / 2 + noise) as u8, (y / 2 + noise) as u8, ((x + y + n as u32 * 8) / 4) as u8])
        });
        picture.save(path).expect("an image is written");
    }
    let hashes: Vec<String> = originals
        .iter()
        .map(|path| blake3::hash(&std::fs::read(path).expect("it was written")).to_hex().to_string())
        .collect();
    let object = BoundingBox::from_xywh(200.0, 150.0, 60.0, 60.0);
    let images = (0..IMAGES).map(|n| {
        let name = format!("image_{n:06}");
        let path = PathBuf::from(format!("{name}.jpg"));
        std::fs::hard_link(&originals[n % FILES], files.join(&path)).expect("a link is made");
        let objects = vec![NewObject { class: 0, shape: Shape::Rectangle(object), ignored: false }];
        let (content_hash, split) = (hashes[n % FILES].clone(), Some((n % 9 + 1).to_string()));
        NewImage { name, path, content_hash, width: 450, height: 400, split, objects }
    });
    let images = images.collect();
    let made = Project::create(&dir).expect("a project is made");
    let mut store = made.open_store().expect("it opens");
    let (name, kind, classes) = ("generated".to_owned(), "folder".to_owned(), vec!["face".to_owned()]);
    let root = std::path::absolute(&files).expect("a path");
    store.add_dataset(&NewDataset { name, kind, root, classes, images }).expect("the images are imported");
    let config = RoundConfig { test_splits: Vec::new(), ..RoundConfig::default() };
    let round = store.start_round(&config.to_toml()).expect("a round starts").id;
    let records = store.images().expect("images can be read");
    for (part, records) in records.chunks(2000).enumerate() {
        let found = records.iter().enumerate().map(|(k, image)| {
            let count = if part == 0 && k == 0 { CROWD } else { DETECTIONS };
            let detection = |d: usize| Detection {
                class: ClassId::ONLY,
                bbox: BoundingBox::from_xywh((d * 37 % 400) as f64, (d * 53 % 100) as f64, 12.0, 14.0),
                ellipse: None,
                score: 0.999 - (d as f32) / 1100.0,
            };
            (image.id, (0..count).map(detection).collect())
        });
        store.replace_detections(round, &found.collect::<Vec<_>>()).expect("detections are written");
    }
    store.set_round_state(round, RoundState::Mined).expect("the round is mined");
    drop(store);
    std::fs::write(done, "").expect("the target folder can be written");
    dir
}

/// One image of 200 megapixels, generated once.
fn large_project(folder: &Path) -> PathBuf {
    let (done, dir) = (folder.join("done"), folder.join("project"));
    if done.exists() {
        return dir;
    }
    let _ = std::fs::remove_dir_all(folder);
    let files = folder.join("files");
    std::fs::create_dir_all(&files).expect("the target folder can be written");
    let (width, height) = (20_000, 10_000);
    let image = RgbImage::from_fn(width, height, |x, y| {
        let noise = x.wrapping_mul(7919).wrapping_add(y.wrapping_mul(104_729)) % 61;
        Rgb([(x / 100 + noise) as u8, (y / 60 + noise) as u8, ((x + y) / 128) as u8])
    });
    let path = files.join("large.jpg");
    image.save(&path).expect("an image is written");
    let content_hash = blake3::hash(&std::fs::read(&path).expect("it was written")).to_hex().to_string();
    let (name, path, split, objects) = ("large".to_owned(), PathBuf::from("large.jpg"), None, Vec::new());
    let images = vec![NewImage { name, path, content_hash, width, height, split, objects }];
    let mut store = Project::create(&dir).expect("a project is made").open_store().expect("it opens");
    let (name, kind, classes) = ("large".to_owned(), "folder".to_owned(), Vec::new());
    let root = std::path::absolute(&files).expect("a path");
    store.add_dataset(&NewDataset { name, kind, root, classes, images }).expect("the image is imported");
    drop(store);
    std::fs::write(done, "").expect("the target folder can be written");
    dir
}
