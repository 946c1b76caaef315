//! Every screen at the smallest window, at common sizes and at 200 and 300 %: no label is truncated, broken within a word, covered or
//! outside the window, the verdict keys are always there, and every widget has a name.

use std::path::Path;

use egui::accesskit::Role;
use egui::epaint::{ClippedShape, Shape, TextShape};
use egui::{Key, Modifiers, Rect, Vec2, vec2};
use egui_kittest::kittest::{NodeT as _, Queryable as _};
use quarry::app::command::{Command, CurvesCommand, Screen, TrainCommand};
use quarry::mining::GroupConfig;
use quarry::workflow::Project;
use quarry::workflow::group::group;

use super::app_project;
use super::window::{Window, press, wait_for, wait_for_part, window_of};

/// Points and pixels per point.
const SIZES: [(Vec2, f32); 5] = [
    (vec2(900.0, 600.0), 1.0),
    (vec2(1000.0, 680.0), 1.0),
    (vec2(1280.0, 800.0), 1.0),
    (vec2(1280.0, 720.0), 2.0),
    (vec2(2560.0, 1440.0), 1.0),
];

/// Tolerated clipping in points: rounding to pixels.
const SLACK: f32 = 1.5;

/// A word on the screen.
struct Word {
    text: String,
    rect: Rect,
    clip: Rect,
    breaks: Option<String>,
    /// Font size in points.
    font: f32,
}

fn words(window: &Window) -> Vec<Word> {
    let mut found = Vec::new();
    for ClippedShape { clip_rect, shape, .. } in &window.output().shapes {
        texts(shape, *clip_rect, &mut found);
    }
    found
}

fn texts(shape: &Shape, clip: Rect, found: &mut Vec<Word>) {
    match shape {
        Shape::Vec(shapes) => shapes.iter().for_each(|shape| texts(shape, clip, found)),
        Shape::Text(text) if text.angle == 0.0 && !text.galley.text().trim().is_empty() => {
            let rect = text.galley.mesh_bounds.translate(text.pos.to_vec2());
            let font = text.galley.job.sections.first().map_or(0.0, |section| section.format.font_id.size);
            found.push(Word { text: text.galley.text().to_owned(), rect, clip, breaks: broken(text), font });
        }
        _ => {}
    }
}

/// Returns a row that ends within a word.
fn broken(text: &TextShape) -> Option<String> {
    text.galley.rows.windows(2).find_map(|rows| {
        let (last, first) = (rows[0].glyphs.last()?.chr, rows[1].glyphs.first()?.chr);
        let is_word = |c: char| c.is_alphanumeric();
        let is_within = !rows[0].ends_with_newline && is_word(last) && is_word(first);
        is_within.then(|| format!("…{last}|{first}…"))
    })
}

/// Returns the layout faults of the words on the screen.
fn faults(window: &Window, size: Vec2, is_over: bool) -> Vec<String> {
    let screen = Rect::from_min_size(egui::Pos2::ZERO, size);
    let words: Vec<Word> = words(window).into_iter().filter(|word| word.rect.intersects(word.clip)).collect();
    let mut faults = Vec::new();
    for word in &words {
        let Word { text, rect, clip, breaks, .. } = word;
        let clip = clip.intersect(screen);
        if rect.left() < clip.left() - SLACK || rect.right() > clip.right() + SLACK {
            faults.push(format!("`{text}` is cut: {rect:?} in {clip:?}"));
        }
        if !screen.expand(SLACK).contains_rect(*rect) && clip == screen {
            faults.push(format!("`{text}` is outside the window: {rect:?}"));
        }
        if let Some(place) = breaks {
            faults.push(format!("`{text}` is broken within a word: {place}"));
        }
    }
    for (index, a) in words.iter().enumerate().filter(|_| !is_over) {
        for b in &words[index + 1..] {
            let seen = |word: &Word| word.rect.intersect(word.clip);
            let both = seen(a).intersect(seen(b));
            if both.width() > 3.0 && both.height() > 4.0 {
                faults.push(format!("`{}` lies over `{}`: {both:?}", a.text, b.text));
            }
        }
    }
    faults
}

/// Returns widgets without an accessible name.
fn nameless(window: &Window) -> Vec<String> {
    let wants_name = [
        Role::Button,
        Role::CheckBox,
        Role::ComboBox,
        Role::Slider,
        Role::SpinButton,
        Role::TextInput,
        Role::MultilineTextInput,
        Role::RadioButton,
        Role::Link,
    ];
    let nodes = window.root().children_recursive();
    let nodes = nodes.map(|node| node.accesskit_node()).filter(|node| wants_name.contains(&node.role()));
    nodes
        .filter(|node| node.label().is_none_or(|label| label.trim().is_empty()))
        .map(|node| format!("{:?} at {:?} with value {:?}", node.role(), node.bounding_box(), node.value()))
        .collect()
}

/// A project with several classes, groups, rounds with curves, a long name and some verdicts.
fn project(dir: &Path) -> Project {
    let project = app_project::make_with(dir, 12, 2, &["face", "licence plate of a lorry"]);
    let mut store = project.open_store().unwrap();
    let config = GroupConfig { least_cosine: None, ..GroupConfig::default() };
    group(&mut store, &config, &mut |_| {}, &quarry::domain::Cancel::new()).unwrap();
    trained(&project, 2);
    project
}

/// Gives a round a log of its steps, with all losses, and of its sampler.
fn trained(project: &Project, round: u32) {
    let header =
        "step,total,loss_classifier,loss_box_reg,loss_objectness,loss_rpn_box_reg,loss_ellipse,lr,grad_norm,seconds,loader_wait_s"
            .to_owned();
    let step = |step: u32| {
        let part = 0.3 / f64::from(step + 10);
        format!("{step},{},{part},{part},{part},{part},{part},0.00123,1.5,0.4,0.01", part * 5.0)
    };
    let log = std::iter::once(header).chain((1..=300).map(step)).map(|line| line + "\n").collect::<String>();
    let sampler = "step,mini_batch,images,hard_negatives,foreground,background,forced,ignored,rpn_foreground,rpn_background,rpn_forced,rpn_ignored\n\
                   1,0,4;9,123456,30,96,123456,5,7,200,6,1\n";
    std::fs::create_dir_all(project.run_dir(round)).unwrap();
    std::fs::write(project.run_dir(round).join("log.csv"), log).unwrap();
    std::fs::write(project.run_dir(round).join("sampler.csv"), sampler).unwrap();
}

fn check(what: &str, window: &Window, (size, scale): (Vec2, f32), all: &mut Vec<String>) {
    // These two are shown over a whole screen, which is faintly visible behind them.
    let is_over = matches!(what, "help" | "palette");
    let found =
        faults(window, size, is_over).into_iter().chain(nameless(window).into_iter().map(|n| format!("no name: {n}")));
    all.extend(found.map(|fault| format!("{what} at {}x{} x{scale}: {fault}", size.x, size.y)));
}

fn settle(window: &mut Window) {
    window.run_steps(4);
}

#[test]
fn no_label_is_cut_broken_or_covered_and_every_widget_has_a_name() {
    let dir = tempfile::tempdir().unwrap();
    let project = project(dir.path());
    let mut all = Vec::new();
    for size in SIZES {
        let mut window = window_of(Screen::Project, None, size.0, size.1);
        wait_for(&mut window, "Make new");
        settle(&mut window);
        check("start", &window, size, &mut all);

        let mut window = window_of(Screen::Project, Some(project.dir()), size.0, size.1);
        wait_for_part(&mut window, "Next: ");
        settle(&mut window);
        check("project", &window, size, &mut all);
        for (screen, key, sign) in [
            (Screen::Train, Key::Num3, "Seed"),
            (Screen::Curves, Key::Num4, "Round 2"),
            (Screen::Review, Key::Num2, "Max IoU"),
        ] {
            window.key_press_modifiers(Modifiers::COMMAND, key);
            wait_for_part(&mut window, sign);
            settle(&mut window);
            check(&format!("{screen:?}"), &window, size, &mut all);
            if screen == Screen::Train {
                report(&mut window, size, &mut all);
            }
        }
        crop(&window, size, &mut all);
        verdict_keys(&window, size, &mut all);
        reasons(&window, size, &mut all);
        for (key, what) in [
            (Key::Slash, "filter"),
            (Key::Escape, "queue again"),
            (Key::G, "grid"),
            (Key::H, "history"),
            (Key::P, "people"),
            (Key::P, "queue after people"),
            (Key::Questionmark, "help"),
        ] {
            press(&mut window, key);
            settle(&mut window);
            check(what, &window, size, &mut all);
            if what == "filter" {
                names_of_lists(&window, size, &mut all);
            }
            if matches!(what, "queue again" | "grid") {
                reasons(&window, size, &mut all);
            }
        }
        press(&mut window, Key::Questionmark);
        window.key_press_modifiers(Modifiers::COMMAND, Key::Num5);
        wait_for_part(&mut window, "scene_0001");
        settle(&mut window);
        check("images", &window, size, &mut all);
        press(&mut window, Key::Enter);
        settle(&mut window);
        check("one image", &window, size, &mut all);
        window.key_press_modifiers(Modifiers::COMMAND, Key::Comma);
        wait_for(&mut window, "Back up now");
        settle(&mut window);
        check("settings", &window, size, &mut all);
        window.key_press_modifiers(Modifiers::COMMAND, Key::K);
        wait_for(&mut window, "Command");
        settle(&mut window);
        check("palette", &window, size, &mut all);
    }
    all.sort();
    all.dedup();
    assert!(all.is_empty(), "{} faults:\n{}", all.len(), all.join("\n"));
}

/// A round's report, from its top to its end.
fn report(window: &mut Window, size: (Vec2, f32), all: &mut Vec<String>) {
    let open = |window: &mut Window, round| {
        window.state_mut().as_mut().unwrap().push(Command::Train(TrainCommand::OpenRound(round)));
        window.step();
    };
    open(window, Some(2));
    wait_for(window, "Drawn in 1 mini-batches");
    settle(window);
    check("report", window, size, all);
    for _ in 0..60 {
        let rect = window.get_by_label("Report of round 2").rect();
        window.hover_at(rect.center() + vec2(0.0, 60.0));
        window.step();
        let (unit, phase) = (egui::MouseWheelUnit::Point, egui::TouchPhase::Move);
        let (source, modifiers) = (egui::MouseWheelSource::Wheel, Modifiers::NONE);
        window.event(egui::Event::MouseWheel { unit, delta: vec2(0.0, -60.0), phase, source, modifiers });
        window.run_steps(4);
    }
    check("report's end", window, size, all);
    window.event(egui::Event::PointerGone);
    open(window, None);
}

/// The crop is what is judged: it is never a strip.
fn crop(window: &Window, (size, scale): (Vec2, f32), all: &mut Vec<String>) {
    let rect = window.get_by_label_contains("Crop of candidate").rect();
    if rect.height() < 140.0 || rect.width() < 140.0 {
        all.push(format!("the crop is too small at {size:?} x{scale}: {rect:?}"));
    }
}

/// The verdict keys are completely inside the window and do not overlap.
fn verdict_keys(window: &Window, (size, scale): (Vec2, f32), all: &mut Vec<String>) {
    let screen = Rect::from_min_size(egui::Pos2::ZERO, size);
    let keys = ["Hard negative", "Reject", "Missed object", "Wrong class", "Skip", "Undo"];
    let rects = keys.map(|key| window.get_by_role_and_label(Role::Button, key).rect());
    for (key, rect) in keys.iter().zip(rects) {
        if !screen.contains_rect(rect) || rect.width() < 20.0 || rect.height() < 20.0 {
            all.push(format!("`{key}` is not wholly in the window at {size:?} x{scale}: {rect:?}"));
        }
    }
}

/// The name of a list is on the same row, left of it.
fn names_of_lists(window: &Window, (size, scale): (Vec2, f32), all: &mut Vec<String>) {
    for name in ["Verdict", "Kind", "Round", "Order", "Verdicts of"] {
        let rect =
            |role| window.query_all_by_label(name).find(|node| node.accesskit_node().role() == role).map(|n| n.rect());
        let (Some(label), Some(list)) = (rect(Role::Label), rect(Role::ComboBox)) else {
            all.push(format!("`{name}` has no list at {size:?} x{scale}"));
            continue;
        };
        if (label.center().y - list.center().y).abs() > SLACK || label.right() > list.left() {
            all.push(format!("`{name}` is not next to its list at {size:?} x{scale}: {label:?}, {list:?}"));
        }
    }
}

/// All nine reasons are painted inside the window and not cut by a scroll area: an annotator never scrolls to a key.
fn reasons(window: &Window, (size, scale): (Vec2, f32), all: &mut Vec<String>) {
    let words = words(window);
    for number in 1..=9 {
        let is_whole = |word: &Word| word.clip.expand(SLACK).contains_rect(word.rect);
        let shown =
            words.iter().filter(|word| word.text.starts_with(&format!("{number}  "))).filter(|word| is_whole(word));
        if shown.count() != 1 {
            all.push(format!("reason {number} is not wholly shown at {size:?} x{scale}"));
        }
    }
}

/// What was found is longer than the wait for it: the window grows, and the images that are missing need no scrolling.
#[test]
fn what_an_import_finds_is_shown_whole_where_there_is_room() {
    let dir = tempfile::tempdir().unwrap();
    let project = app_project::make(dir.path(), 2, 1);
    let dataset = dir.path().join("coco");
    std::fs::create_dir(&dataset).unwrap();
    std::fs::copy(dir.path().join("pictures/scene_0000.png"), dataset.join("a.png")).unwrap();
    let image =
        |id: u32, name: &str| format!("{{\"id\": {id}, \"file_name\": \"{name}\", \"width\": 480, \"height\": 320}}");
    let images = [image(1, "a.png"), image(2, "gone.png"), image(3, "lost.png")].join(", ");
    let object =
        "{\"id\": 1, \"image_id\": 1, \"category_id\": 1, \"bbox\": [10, 10, 50, 50], \"area\": 2500, \"iscrowd\": 0}";
    let text = format!(
        "{{\"images\": [{images}], \"annotations\": [{object}], \"categories\": [{{\"id\": 1, \"name\": \"face\"}}]}}"
    );
    std::fs::write(dataset.join("annotations.json"), text).unwrap();
    let mut window = window_of(Screen::Project, Some(project.dir()), vec2(1280.0, 800.0), 1.0);
    wait_for_part(&mut window, "Next: ");
    window.input_mut().dropped_files.push(std::sync::Arc::new(super::Dropped(dataset)));
    // In the first frame, as nothing repaints a window that waits for an answer.
    wait_for(&mut window, "2 missing images");
    let words = words(&window);
    let shown = words.iter().find(|word| word.text == "2 missing images").unwrap();
    assert!(shown.clip.contains_rect(shown.rect), "{:?} is cut by {:?}", shown.rect, shown.clip);
}

/// The numbers of the plots' axes on the screen, with their places.
fn ticks(window: &Window) -> Vec<(f64, Rect)> {
    let words =
        words(window).into_iter().filter(|word| (word.font - TICK).abs() < 0.1 && word.clip.intersects(word.rect));
    words.filter_map(|word| Some((word.text.parse().ok()?, word.rect))).collect()
}

/// The size of these numbers.
const TICK: f32 = 11.0;

/// Splits the numbers of plots with these left edges, and of one below the other, into axes: `(vertical ones, horizontal ones)`.
fn axes(ticks: &[(f64, Rect)]) -> (Vec<Vec<f64>>, Vec<f64>) {
    let lowest = ticks.iter().map(|(_, rect)| rect.bottom()).fold(0.0, f32::max);
    let (below, mut beside): (Vec<_>, Vec<(f64, Rect)>) =
        ticks.iter().partition(|(_, rect)| rect.bottom() > lowest - 3.0);
    beside.sort_by(|a, b| a.1.top().total_cmp(&b.1.top()));
    let mut vertical: Vec<Vec<f64>> = Vec::new();
    for (value, _) in beside {
        match vertical.last_mut() {
            // Down an axis the numbers fall.
            Some(axis) if axis.last().is_some_and(|last| value < *last) => axis.push(value),
            _ => vertical.push(vec![value]),
        }
    }
    (vertical, below.into_iter().map(|(value, _)| value).collect())
}

#[test]
fn the_losses_have_numbers_and_names_that_cover_nothing_in_a_small_window() {
    let dir = tempfile::tempdir().unwrap();
    let project = project(dir.path());
    let mut window = window_of(Screen::Train, Some(project.dir()), vec2(1000.0, 680.0), 1.0);
    wait_for(&mut window, "total, each step");
    settle(&mut window);
    let ticks = ticks(&window);
    let (vertical, horizontal) = axes(&ticks);
    assert_eq!(vertical.len(), 2, "the losses and the learning rate: {ticks:?}");
    assert!(vertical.iter().chain([&horizontal]).all(|axis| axis.len() >= 3), "{vertical:?}, {horizontal:?}");
    let names = ["total, each step", "total", "classifier", "box_reg", "objectness", "rpn_box_reg", "ellipse"];
    let end = ticks.iter().map(|(_, rect)| rect.right()).fold(0.0, f32::max);
    let words = words(&window);
    for name in names {
        let word = words.iter().find(|word| word.text.ends_with(name) && word.rect.left() > end);
        let word = word.unwrap_or_else(|| panic!("`{name}` is not right of the plots, which end at {end}"));
        assert!(word.clip.contains_rect(word.rect), "`{name}` is cut");
    }
    // A click hides a line, another one shows it again.
    let is_shown = |window: &Window| {
        let node = window.get_by_role_and_label(Role::CheckBox, "total");
        node.accesskit_node().toggled() == Some(egui::accesskit::Toggled::True)
    };
    for expected in [false, true] {
        window.get_by_role_and_label(Role::CheckBox, "total").click_accesskit();
        settle(&mut window);
        assert_eq!(is_shown(&window), expected);
    }
}

#[test]
fn the_curves_have_numbers_in_a_small_window() {
    let dir = tempfile::tempdir().unwrap();
    let project = project(dir.path());
    let mut window = window_of(Screen::Curves, Some(project.dir()), vec2(1000.0, 680.0), 1.0);
    wait_for(&mut window, "Discrete score");
    for logarithmic in [true, false] {
        window.state_mut().as_mut().unwrap().push(Command::Curves(CurvesCommand::SetLog(logarithmic)));
        window.run_steps(4);
        let middle = window.get_by_label("Continuous score").rect().left() - 10.0;
        let (left, right): (Vec<_>, Vec<_>) = ticks(&window).into_iter().partition(|(_, rect)| rect.right() < middle);
        for plot in [left, right] {
            let (vertical, horizontal) = axes(&plot);
            let is_read = vertical.len() == 1 && vertical[0].len() >= 3 && horizontal.len() >= 3;
            assert!(is_read, "logarithmic {logarithmic}: {vertical:?}, {horizontal:?}");
        }
    }
}
