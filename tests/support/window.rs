//! The window without a display: real keys and clicks on a real project. Knows the window, no screen.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::path::Path;
use std::time::{Duration, Instant};

use egui::{Event, Key, Modifiers};
use egui_kittest::Harness;
use egui_kittest::kittest::{NodeT as _, Queryable as _};
use quarry::app::QuarryApp;
use quarry::app::command::{Command, Screen};
use quarry::app::keymap::Keymap;
use quarry::app::options::Options;
use quarry::domain::VerdictCounts;
use quarry::store::Store;
use quarry::workflow::Project;

pub type Window = Harness<'static, Option<QuarryApp>>;

pub fn window(screen: Screen, project: Option<&Path>) -> Window {
    window_of(screen, project, egui::vec2(1440.0, 900.0), 1.0)
}

/// A window of this size in points, with this many pixels per point.
pub fn window_of(screen: Screen, project: Option<&Path>, size: egui::Vec2, pixels_per_point: f32) -> Window {
    let project = project.map(Path::to_owned);
    let show = move |ui: &mut egui::Ui, app: &mut Option<QuarryApp>| {
        let app = app.get_or_insert_with(|| {
            let options = Options { annotator: "tester".to_owned(), ..Options::default() };
            let mut app = QuarryApp::new(ui.ctx(), options, Keymap::default());
            if let Some(dir) = &project {
                app.push(Command::Open(dir.clone()));
            }
            app.push(Command::Show(screen));
            app
        });
        app.tick(ui.ctx());
        app.show(ui);
    };
    let builder = Harness::builder().with_size(size).with_pixels_per_point(pixels_per_point);
    builder.build_ui_state(show, None)
}

/// Runs frames until anything on the screen has this label.
#[track_caller]
pub fn wait_for(window: &mut Window, label: &str) {
    run_until(window, &format!("`{label}`"), |window| window.query_by_label(label).is_some());
}

/// Runs frames until any label contains this text.
#[track_caller]
pub fn wait_for_part(window: &mut Window, part: &str) {
    run_until(window, &format!("`{part}`"), |window| window.query_all_by_label_contains(part).next().is_some());
}

#[track_caller]
pub fn wait_until(window: &mut Window, what: &str, done: impl Fn() -> bool) {
    run_until(window, what, |_| done());
    window.run_steps(3);
}

/// Runs frames until `done` holds, for at most five minutes: a test machine may be busy with other tests.
#[track_caller]
pub fn run_until(window: &mut Window, what: &str, mut done: impl FnMut(&Window) -> bool) {
    let deadline = Instant::now() + Duration::from_mins(5);
    while !done(window) {
        assert!(Instant::now() < deadline, "{what} did not come; on the screen: {}", labels(window));
        window.step();
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Returns the labels on the screen, to explain a timeout.
fn labels(window: &Window) -> String {
    let all = window.query_all_by_label_contains("");
    let texts = all.filter_map(|node| node.accesskit_node().label().or_else(|| node.accesskit_node().value()));
    texts.take(120).collect::<Vec<_>>().join(" | ")
}

/// Turns the wheel over the widget whose label has this part, at a share of its size, until `done` holds: it may still move while the
/// screen fills.
#[track_caller]
pub fn wheel_until(window: &mut Window, part: &str, share: (f32, f32), done: impl Fn(&Window) -> bool) {
    let deadline = Instant::now() + Duration::from_mins(5);
    while !done(window) {
        assert!(Instant::now() < deadline, "the wheel over {part} does nothing; on the screen: {}", labels(window));
        let rect = window.query_all_by_label_contains(part).next().map(|node| node.rect());
        if let Some(rect) = rect {
            window.hover_at(rect.min + rect.size() * egui::vec2(share.0, share.1));
            window.step();
            let (unit, phase) = (egui::MouseWheelUnit::Point, egui::TouchPhase::Move);
            let (source, modifiers) = (egui::MouseWheelSource::Wheel, Modifiers::NONE);
            window.event(Event::MouseWheel { unit, delta: egui::vec2(0.0, 120.0), phase, source, modifiers });
        }
        for _ in 0..20 {
            window.step();
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

pub fn press(window: &mut Window, key: Key) {
    window.key_press(key);
    window.step();
}

/// Opens the grid and waits until the queue lists `count` candidates.
pub fn open_grid(window: &mut Window, count: u64) {
    wait_for(window, &format!("1 of {count}"));
    press(window, Key::G);
}

/// Selects everything in the grid.
pub fn select_all(window: &mut Window) {
    window.key_press_modifiers(Modifiers::COMMAND, Key::A);
    window.step();
}

/// Presses keys between two frames, each with its letter.
pub fn press_at_once(window: &mut Window, keys: &[(Key, &str)]) {
    for (key, text) in keys {
        let (key, modifiers) = (*key, Modifiers::NONE);
        let press = |pressed| Event::Key { key, physical_key: None, pressed, repeat: false, modifiers };
        let events = &mut window.input_mut().events;
        events.push(press(true));
        if !text.is_empty() {
            events.push(Event::Text((*text).to_owned()));
        }
        events.push(press(false));
    }
    window.step();
}

pub fn counts(project: &Project) -> VerdictCounts {
    Store::open_read_only(&project.database()).unwrap().verdict_counts(None).unwrap()
}
