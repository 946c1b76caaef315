//! The Images screen from outside: browsing, one image, two rounds, held-out images.

use std::fmt::Write as _;
use std::path::Path;

use egui::accesskit::Role as AccessRole;
use egui::{Key, Modifiers, vec2};
use egui_kittest::kittest::{NodeT as _, Queryable as _};
use quarry::app::command::{Command, ImagesCommand, Pick, Screen};
use quarry::domain::{Annotation, AnnotationSource, Detection, FalsePositiveKind, ImageId, Shape};
use quarry::geometry::BoundingBox;
use quarry::store::{NewDataset, NewImage, NewObject, Store};
use quarry::workflow::Project;
use quarry::workflow::held_out_file::{HeldOutDetections, HeldOutImage};
use quarry::workflow::inspect::{FileProblems, ImageQuery, Inspector, Listing, OpenQuery, Role, Status};

use super::app_project;
use super::window::{
    Window, counts, press, press_at_once, run_until, wait_for, wait_for_part, wait_until, wheel_until, window,
    window_of,
};

/// Twelve images, two rounds. The tenth image is in fold 10, held out and tested by both rounds: round 1 found its face and two false
/// positives, round 2 only one of those.
fn project(dir: &Path) -> Project {
    let project = app_project::make(dir, 12, 2);
    let store = project.open_store().unwrap();
    let held_out = &store.images().unwrap()[9];
    let face = store.ground_truth(held_out.id).unwrap()[0].1.shape.bounding_box();
    for round in [1, 2] {
        let mut lines = vec![(face.x1, face.y1, face.width(), face.height(), 0.9)];
        lines.extend([(5.0, 5.0, 40.0, 40.0, 0.8), (300.0, 20.0, 30.0, 30.0, 0.7)]);
        if round == 2 {
            lines = lines[1..2].to_vec();
        }
        let mut text = format!("{}\n{}\n", held_out.name, lines.len());
        for (x, y, w, h, score) in lines {
            writeln!(text, "{x} {y} {w} {h} {score}").unwrap();
        }
        let folder = project.run_dir(round);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("held-out-rectangle.txt"), text).unwrap();
    }
    project
}

fn list(project: &Project, query: &ImageQuery) -> Listing {
    let store = Store::open_read_only(&project.database()).unwrap();
    Inspector::default().list(&store, query, &FileProblems::new()).unwrap()
}

fn rounds(project: &Project) -> [Option<quarry::domain::RoundId>; 2] {
    let rounds = project.open_store().unwrap().rounds().unwrap();
    [Some(rounds[0].id), Some(rounds[1].id)]
}

fn send(window: &mut Window, command: ImagesCommand) {
    window.state_mut().as_mut().unwrap().push(Command::Images(command));
    window.step();
}

/// Opens an image by its number.
fn open(window: &mut Window, project: &Project, number: usize) -> ImageId {
    let image = project.open_store().unwrap().images().unwrap()[number].id;
    send(window, ImagesCommand::Open(image));
    wait_for_part(window, "Ground truth");
    image
}

#[test]
fn totals_are_the_sums_of_the_images_and_follow_the_store() {
    let dir = tempfile::tempdir().unwrap();
    let project = project(dir.path());
    let [round, _] = rounds(&project);
    let store = project.open_store().unwrap();
    for threshold in [0.0, 0.3, 0.5, 0.9, 0.98] {
        let listing = list(&project, &ImageQuery { round, threshold, ..ImageQuery::default() });
        assert_eq!((listing.images.len(), listing.was_run), (12, 12));
        let mut sums = [0; 3];
        for row in &listing.images {
            let counts = row.counts.unwrap();
            let parts = [counts.true_positives, counts.false_positives, counts.missed];
            sums.iter_mut().zip(parts).for_each(|(sum, part)| *sum += part);
            if row.role == Some(Role::Training) {
                let image = listing.table.images[row.at as usize].record.id;
                let found = store.detections(round.unwrap(), image).unwrap();
                let kept = found.iter().filter(|detection| detection.score >= threshold).count() as u32;
                assert_eq!(counts.true_positives + counts.false_positives + counts.ignored, kept);
                assert_eq!(counts.true_positives + counts.missed, 1, "each image has one object");
            }
        }
        let totals = listing.counts;
        assert_eq!(sums, [totals.true_positives, totals.false_positives, totals.missed]);
    }
    // The held-out image is counted like the curve, and no filter loses or adds an image.
    let held_out = |threshold| ImageQuery { round, threshold, role: Some(Role::HeldOut), ..ImageQuery::default() };
    let at = |threshold| list(&project, &held_out(threshold)).counts;
    assert_eq!((at(0.0).true_positives, at(0.0).false_positives, at(0.0).missed), (1, 2, 0));
    assert_eq!((at(0.75).true_positives, at(0.75).false_positives, at(0.75).missed), (1, 1, 0));
    assert_eq!((at(0.95).true_positives, at(0.95).false_positives, at(0.95).missed), (0, 0, 1));
    let many = ImageQuery { round, threshold: 0.0, false_positives: (3, 3), ..ImageQuery::default() };
    assert_eq!(list(&project, &many).images.len(), 11);
    let query = |highest_from| ImageQuery { round, threshold: 0.0, highest_from, ..ImageQuery::default() };
    let is_high = |score: Option<f32>| score.is_some_and(|score| score >= 0.6);
    let high = list(&project, &query(0.0)).images.iter().filter(|row| is_high(row.highest_false_positive)).count();
    assert!(high > 0 && high < 12, "the score divides them: {high}");
    assert_eq!(list(&project, &query(0.6)).images.len(), high);
    let named = ImageQuery { name: "SCENE_0003".to_owned(), ..ImageQuery::default() };
    assert_eq!(list(&project, &named).images.len(), 1);
}

#[test]
fn a_verdict_on_an_object_moves_the_counts_of_its_image() {
    let dir = tempfile::tempdir().unwrap();
    let project = project(dir.path());
    let [round, _] = rounds(&project);
    let reader = Store::open_read_only(&project.database()).unwrap();
    let mut inspector = Inspector::default();
    let query = ImageQuery { round, threshold: 0.0, ..ImageQuery::default() };
    let before = inspector.list(&reader, &query, &FileProblems::new()).unwrap();
    let mut store = project.open_store().unwrap();
    let candidate = store.candidates_of_image(before.table.images[0].record.id).unwrap()[0].clone();
    let shape = quarry::domain::Shape::Rectangle(candidate.bbox);
    store.record_missed_object(candidate.id, "Ada", (shape, None), None, 1).unwrap();
    let after = inspector.list(&reader, &query, &FileProblems::new()).unwrap();
    assert_eq!(after.counts.true_positives, before.counts.true_positives + 1);
    assert_eq!(after.counts.false_positives, before.counts.false_positives - 1);
    assert_eq!((after.counts.missed, after.objects), (before.counts.missed, before.objects + 1));
}

#[test]
fn two_rounds_are_compared_error_by_error() {
    let dir = tempfile::tempdir().unwrap();
    let project = project(dir.path());
    let [round, against] = rounds(&project);
    let query = ImageQuery { round, against, threshold: 0.0, ..ImageQuery::default() };
    let listing = list(&project, &query);
    // The rounds found the same; on the held-out image one false positive is fixed and the face is missed.
    let changes = listing.changes;
    assert_eq!((changes.fixed, changes.new, changes.still), (1, 1, 11 * 3 + 1));
    let new = ImageQuery { change: Some(quarry::workflow::inspect::Change::New), ..query };
    assert_eq!(list(&project, &new).images.len(), 1);
}

/// Two rounds side by side: the wheel over either, a drag and a double click move both.
#[test]
fn zoom_and_pan_are_linked_between_two_rounds() {
    let dir = tempfile::tempdir().unwrap();
    let project = project(dir.path());
    let [round, against] = rounds(&project);
    let mut window = window(Screen::Images, Some(project.dir()));
    wait_for(&mut window, "12 of 12 images");
    let query = ImageQuery { round, against, ..ImageQuery::default() };
    send(&mut window, ImagesCommand::SetQuery(Box::new(query)));
    open(&mut window, &project, 4);
    let name = project.open_store().unwrap().images().unwrap()[4].name.clone();
    let canvases = [1, 2].map(|round| format!("Image {name}, Round {round}"));
    let looks = |window: &Window| {
        canvases.each_ref().map(|canvas| window.query_by_label(canvas).and_then(|node| node.accesskit_node().value()))
    };
    let both = |window: &mut Window, what: &str, holds: &dyn Fn(&str) -> bool| {
        run_until(window, what, |window| {
            let [Some(left), Some(right)] = looks(window) else { return false };
            left == right && holds(&left)
        });
        looks(window)[0].clone().unwrap()
    };
    both(&mut window, "the whole image twice", &|look| look.ends_with("the whole image"));
    let mut before = String::new();
    for canvas in &canvases {
        let zoom = |look: &str| look.split_once(" %").and_then(|(zoom, _)| zoom.parse().ok()).unwrap_or(0.0);
        let old: f64 = zoom(&before);
        wheel_until(&mut window, canvas, (0.3, 0.6), |window| {
            looks(window).iter().flatten().any(|look| look.contains("centred") && zoom(look) > old)
        });
        window.run_steps(30);
        before = both(&mut window, "both zoomed", &|look| look.contains("centred") && zoom(look) > old);
    }
    drag(&mut window, &canvases[1], (0.4, 0.4), (0.6, 0.7));
    let moved = both(&mut window, "both moved", &|look| look != before);
    let zoom = |look: &str| look.split_once(',').unwrap().0.to_owned();
    assert_eq!(zoom(&moved), zoom(&before));
}

#[test]
fn images_are_browsed_by_keys_and_opened() {
    let dir = tempfile::tempdir().unwrap();
    let project = project(dir.path());
    let mut window = window(Screen::Images, Some(project.dir()));
    wait_for(&mut window, "12 of 12 images");
    wait_for_part(&mut window, "scene_0000, 1 object, 1 true positive");
    for key in [Key::End, Key::Home, Key::ArrowRight, Key::ArrowRight] {
        press(&mut window, key);
    }
    press(&mut window, Key::Enter);
    wait_for(&mut window, "Image scene_0002, Round 2");
    press(&mut window, Key::PageDown);
    wait_for(&mut window, "Image scene_0003, Round 2");
    press(&mut window, Key::Escape);
    wait_for(&mut window, "12 of 12 images");
    press(&mut window, Key::Slash);
    wait_for(&mut window, "Image name");
    window.get_by_label("Image name").type_text("0011");
    wait_for(&mut window, "1 of 12 images");
    wait_for(&mut window, "Name has 0011");
    window.get_by_label("Name has 0011").click_accesskit();
    wait_for(&mut window, "12 of 12 images");
    window.key_press_modifiers(Modifiers::COMMAND, Key::Num2);
    wait_for(&mut window, "Hard negative");
    window.key_press_modifiers(Modifiers::COMMAND, Key::Num5);
    wait_for(&mut window, "12 of 12 images");
}

/// The filter is above the list: letters typed after its key are no keys of the image.
#[test]
fn the_filters_key_leads_from_an_image_to_the_list() {
    let dir = tempfile::tempdir().unwrap();
    let project = project(dir.path());
    let before = counts(&project);
    let mut window = window(Screen::Images, Some(project.dir()));
    wait_for(&mut window, "12 of 12 images");
    press(&mut window, Key::Enter);
    wait_for_part(&mut window, "Image scene_0000");
    run_until(&mut window, "the image's objects", |window| window.query_by_label("Image name").is_none());
    press(&mut window, Key::Tab);
    press_at_once(&mut window, &[(Key::Slash, "/"), (Key::A, "a"), (Key::X, "x"), (Key::N, "n")]);
    wait_for(&mut window, "Image name");
    window.run_steps(10);
    assert_eq!(counts(&project), before);
    window.get_by_label("Image name").type_text("0011");
    wait_for(&mut window, "1 of 12 images");
}

#[test]
fn a_detection_is_decided_where_it_is_seen() {
    let dir = tempfile::tempdir().unwrap();
    let project = project(dir.path());
    let mut window = window(Screen::Images, Some(project.dir()));
    wait_for(&mut window, "12 of 12 images");
    send(
        &mut window,
        ImagesCommand::SetQuery(Box::new(ImageQuery {
            round: rounds(&project)[1],
            threshold: 0.0,
            ..ImageQuery::default()
        })),
    );
    open(&mut window, &project, 4);
    // The true positive comes first: it needs no decision.
    press(&mut window, Key::Tab);
    wait_for(&mut window, "True positive");
    press(&mut window, Key::A);
    press(&mut window, Key::Tab);
    wait_for(&mut window, "False positive: background");
    // Typed faster than they are saved: each applies to the then current one.
    for key in [Key::A, Key::X] {
        press(&mut window, key);
    }
    wait_until(&mut window, "two verdicts", || counts(&project).undecided == 2 * 12 * 3 - 2);
    let given = counts(&project);
    assert_eq!((given.confirmed, given.rejected), (1, 1));
    press(&mut window, Key::F);
    wait_until(&mut window, "the missed object", || counts(&project).missed_object == 1);
    wait_for_part(&mut window, "2  Ground truth");
    press(&mut window, Key::Backspace);
    wait_until(&mut window, "the undo", || counts(&project).missed_object == 0);
    wait_for_part(&mut window, "1  Ground truth");
}

#[test]
fn a_held_out_image_is_read_only_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let project = project(dir.path());
    let mut window = window(Screen::Images, Some(project.dir()));
    wait_for(&mut window, "12 of 12 images");
    // Like a click on the curve's point.
    send(&mut window, ImagesCommand::OfCurve { round: 1, label: "rectangle".to_owned(), score: f64::from(0.7_f32) });
    wait_for(&mut window, "1 of 12 images");
    wait_for(&mut window, "2 false positives");
    press(&mut window, Key::Enter);
    wait_for_part(&mut window, "Held out: this image is tested on");
    let before = counts(&project);
    for _ in 0..4 {
        press(&mut window, Key::Tab);
        for key in [Key::A, Key::X, Key::F, Key::W] {
            press(&mut window, key);
        }
    }
    assert!(window.query_by_label("Reject").is_none(), "no verdict is offered");
    for _ in 0..20 {
        window.step();
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    drop(window);
    assert_eq!(counts(&project), before);
    let store = Store::open_read_only(&project.database()).unwrap();
    let held_out = store.images().unwrap()[9].id;
    let opened = Inspector::default().open(
        &store,
        &quarry::workflow::inspect::OpenQuery {
            image: held_out,
            round: rounds(&project)[0],
            against: None,
            threshold: 0.0,
            shape: None,
        },
    );
    let side = &opened.unwrap().sides[0];
    assert!(side.candidates.is_empty(), "a verdict has nothing to be given to");
    let statuses: Vec<Status> = side.judged.detections.iter().map(|judged| judged.status).collect();
    let background = Status::FalsePositive(FalsePositiveKind::Background);
    assert_eq!(statuses, [Status::TruePositive, background, background]);
}

/// A click on a curve replaces the list of images; Esc and Alt+Left return to the curve, and the list is as it was.
#[test]
fn escape_and_alt_left_return_from_a_curves_errors_to_the_curve_and_the_list_is_as_before() {
    let dir = tempfile::tempdir().unwrap();
    let project = project(dir.path());
    let mut window = window(Screen::Images, Some(project.dir()));
    wait_for(&mut window, "12 of 12 images");
    let round = rounds(&project)[0];
    let named = ImageQuery { round, name: "scene_000".to_owned(), ..ImageQuery::default() };
    for (modifiers, key) in [(Modifiers::NONE, Key::Escape), (Modifiers::ALT, Key::ArrowLeft)] {
        send(&mut window, ImagesCommand::SetQuery(Box::new(named.clone())));
        wait_for(&mut window, "10 of 12 images");
        assert!(window.query_by_label("Back").is_none());
        window.key_press_modifiers(Modifiers::COMMAND, Key::Num4);
        wait_for(&mut window, "Discrete score");
        send(&mut window, ImagesCommand::OfCurve { round: 1, label: "rectangle".to_owned(), score: 0.7 });
        wait_for(&mut window, "1 of 12 images");
        wait_for(&mut window, "Back");
        window.key_press_modifiers(modifiers, key);
        wait_for(&mut window, "Discrete score");
        window.key_press_modifiers(Modifiers::COMMAND, Key::Num5);
        wait_for(&mut window, "10 of 12 images");
        wait_for(&mut window, "Name has scene_000");
    }
}

/// Where the Images screen was not shown before, it shows the newest round after the return, as at first.
#[test]
fn after_a_curves_errors_the_images_are_set_up_as_at_first() {
    let dir = tempfile::tempdir().unwrap();
    let project = project(dir.path());
    let mut window = window(Screen::Curves, Some(project.dir()));
    wait_for(&mut window, "Discrete score");
    send(&mut window, ImagesCommand::OfCurve { round: 1, label: "rectangle".to_owned(), score: 0.7 });
    wait_for(&mut window, "1 of 12 images");
    press(&mut window, Key::Escape);
    wait_for(&mut window, "Discrete score");
    window.key_press_modifiers(Modifiers::COMMAND, Key::Num5);
    wait_for(&mut window, "12 of 12 images");
    wait_for_part(&mut window, " true positives");
}

/// Keys belong to an open list: the images behind it neither move nor open.
#[test]
fn keys_do_nothing_behind_an_open_list() {
    let dir = tempfile::tempdir().unwrap();
    let project = project(dir.path());
    let mut window = window(Screen::Images, Some(project.dir()));
    wait_for(&mut window, "12 of 12 images");
    run_until(&mut window, "the round", |window| window.query_all_by_label("Followed by").next().is_some());
    window.get_by_role_and_label(AccessRole::ComboBox, "Followed by").click_accesskit();
    wait_for(&mut window, "Nothing");
    window.run_steps(3);
    for key in [Key::ArrowRight, Key::ArrowRight, Key::Enter] {
        press(&mut window, key);
    }
    window.run_steps(10);
    assert!(window.query_by_label("All images").is_none(), "an image opened behind the list");
    // Esc closes the list; then the key opens the first image, which was not left.
    press(&mut window, Key::Escape);
    window.run_steps(3);
    press(&mut window, Key::Enter);
    wait_for(&mut window, "All images");
    wait_for(&mut window, "1 of 12");
}

/// The score threshold is one value on both screens, and the curves mark it with their counts.
#[test]
fn the_threshold_of_the_images_moves_with_the_one_on_the_curves() {
    let dir = tempfile::tempdir().unwrap();
    let project = project(dir.path());
    let mut window = window(Screen::Images, Some(project.dir()));
    wait_for(&mut window, "12 of 12 images");
    run_until(&mut window, "the round", |window| window.query_all_by_label("Followed by").next().is_some());
    let slider = |window: &Window| {
        window.get_by_role_and_label(AccessRole::Slider, "Score from").accesskit_node().numeric_value().unwrap()
    };
    assert!((slider(&window) - 0.5).abs() < 1e-6);
    window.key_press_modifiers(Modifiers::COMMAND, Key::Num4);
    wait_for(&mut window, "Score threshold");
    assert!((slider(&window) - 0.5).abs() < 1e-6);
    // The curves' scores are 1 - n / 1100 for n false positives.
    window.get_by_role_and_label(AccessRole::Slider, "Score from").set_value_accesskit(0.9);
    run_until(&mut window, "two rounds' counts of both shapes", |window| {
        window.query_all_by_label("110 FP").count() == 4
    });
    window.key_press_modifiers(Modifiers::COMMAND, Key::Num5);
    wait_for(&mut window, "12 of 12 images");
    assert!((slider(&window) - 0.9).abs() < 1e-6);
}

#[test]
fn a_missing_file_is_found_and_listed() {
    let dir = tempfile::tempdir().unwrap();
    let project = project(dir.path());
    std::fs::remove_file(dir.path().join("pictures/scene_0007.png")).unwrap();
    let mut window = window(Screen::Images, Some(project.dir()));
    wait_for(&mut window, "12 of 12 images");
    let missing = quarry::workflow::inspect::FileProblem::Missing;
    send(
        &mut window,
        ImagesCommand::SetQuery(Box::new(ImageQuery { problem: Some(missing), ..ImageQuery::default() })),
    );
    wait_for(&mut window, "1 of 12 images");
    wait_for_part(&mut window, "scene_0007");
}

/// The labels that must be completely inside the window, on both parts of the screen.
#[test]
fn the_controls_are_on_the_screen_at_every_size() {
    let dir = tempfile::tempdir().unwrap();
    let project = project(dir.path());
    for (size, scale) in [(vec2(1000.0, 680.0), 1.0), (vec2(1280.0, 800.0), 1.0), (vec2(1280.0, 720.0), 2.0)] {
        let mut window = window_of(Screen::Images, Some(project.dir()), size, scale);
        wait_for(&mut window, "12 of 12 images");
        let is_set_up = |window: &Window| window.query_all_by_label("Followed by").next().is_some();
        run_until(&mut window, "the round", is_set_up);
        let within = |window: &Window, labels: &[&str]| {
            for label in labels {
                let mut nodes = window.query_all_by_label(label).peekable();
                assert!(nodes.peek().is_some(), "`{label}` is missing in {size:?}");
                for rect in nodes.map(|node| node.rect()) {
                    let is_whole =
                        rect.min.x >= 0.0 && rect.max.x <= size.x && rect.min.y >= 0.0 && rect.max.y <= size.y;
                    assert!(is_whole, "`{label}` at {rect:?} in {size:?}");
                }
            }
        };
        within(&window, &["Round", "Followed by", "Order", "Thumbnail size", "12 of 12 images", "+ Filter"]);
        open(&mut window, &project, 4);
        press(&mut window, Key::Tab);
        press(&mut window, Key::Tab);
        run_until(&mut window, "a false positive", |w| w.query_by_label("Hard negative").is_some());
        within(
            &window,
            &["All images", "Next", "Fit", "1:1", "Hard negative", "Reject", "Missed object", "Undo", "Next box"],
        );
        let canvas = window.get_by_label("Image scene_0004, Round 2").rect();
        assert!(canvas.width() > size.x * 0.55 && canvas.height() > size.y * 0.6, "{canvas:?} in {size:?}");
        assert_eq!(window.get_by_label("Hard negative").accesskit_node().role(), egui::accesskit::Role::Button);
    }
}

/// The ground truth of an image as used by rounds.
fn objects(project: &Project, image: ImageId) -> Vec<Annotation> {
    let store = Store::open_read_only(&project.database()).unwrap();
    store.ground_truth(image).unwrap().into_iter().map(|(_, object)| object).collect()
}

fn pick(window: &mut Window, pick: Pick) {
    send(window, ImagesCommand::Pick(Some(pick)));
}

/// Drags with the main button, between positions relative to the image's canvas.
fn drag(window: &mut Window, canvas: &str, from: (f32, f32), to: (f32, f32)) {
    wait_for(window, canvas);
    let rect = window.get_by_label(canvas).rect();
    let at = |share: (f32, f32)| rect.min + rect.size() * vec2(share.0, share.1);
    let button = |pos, pressed| egui::Event::PointerButton {
        pos,
        button: egui::PointerButton::Primary,
        pressed,
        modifiers: Modifiers::NONE,
    };
    window.hover_at(at(from));
    window.step();
    window.event(button(at(from), true));
    window.step();
    // Far enough to be a drag instead of a click.
    window.hover_at(at(from) + (at(to) - at(from)) * 0.5);
    window.step();
    window.hover_at(at(to));
    window.step();
    window.event(button(at(to), false));
    window.step();
}

#[test]
fn ground_truth_is_corrected_where_it_is_seen() {
    let dir = tempfile::tempdir().unwrap();
    let project = project(dir.path());
    let mut window = window(Screen::Images, Some(project.dir()));
    wait_for(&mut window, "12 of 12 images");
    let image = open(&mut window, &project, 4);
    let before = objects(&project, image);
    let [face] = before[..] else { panic!("{before:?}") };

    // Ignored, and counted again.
    pick(&mut window, Pick::Object(0, 0));
    press(&mut window, Key::I);
    wait_until(&mut window, "the ignored object", || objects(&project, image)[0].ignored);
    wait_for(&mut window, "Ignored object");
    press(&mut window, Key::Backspace);
    wait_until(&mut window, "the undo", || objects(&project, image) == before);
    wait_for_part(&mut window, "1  Ground truth");

    // Moved by keys; a shape outside the image is refused meanwhile, and Esc restores everything.
    pick(&mut window, Pick::Object(0, 0));
    press(&mut window, Key::E);
    wait_for(&mut window, "Adjusting an object");
    press(&mut window, Key::PageDown);
    wait_for_part(&mut window, "First save the shape");
    press(&mut window, Key::Escape);
    wait_for(&mut window, "Image scene_0004, Round 2");
    run_until(&mut window, "the tool's end", |w| w.query_by_label("Adjusting an object").is_none());
    press(&mut window, Key::E);
    wait_for(&mut window, "Adjusting an object");
    for _ in 0..5 {
        press(&mut window, Key::ArrowRight);
    }
    press(&mut window, Key::Enter);
    wait_until(&mut window, "the adjusted object", || objects(&project, image)[0].shape != face.shape);
    let moved = objects(&project, image)[0];
    let (was, is) = (face.shape.bounding_box(), moved.shape.bounding_box());
    assert_eq!(moved.source, AnnotationSource::Edited);
    assert!(is.x1 > was.x1 + 1.0 && (is.width() - was.width()).abs() < 1e-6 && (is.y1 - was.y1).abs() < 1e-6);

    // Deleted, then a second key for the same gesture, which has no target any more.
    run_until(&mut window, "the moved object", |w| w.query_by_label("Adjusting an object").is_none());
    wait_for_part(&mut window, "edited");
    press_at_once(&mut window, &[(Key::Delete, ""), (Key::Delete, "")]);
    wait_until(&mut window, "the deletion", || objects(&project, image).is_empty());
    wait_for_part(&mut window, "0  Ground truth");
    for _ in 0..2 {
        press(&mut window, Key::Backspace);
    }
    wait_until(&mut window, "both undone", || objects(&project, image) == before);
    wait_for_part(&mut window, "1  Ground truth");
}

#[test]
fn a_missed_object_is_drawn_in_the_shape_of_its_class() {
    let dir = tempfile::tempdir().unwrap();
    let project = app_project::make_with(dir.path(), 12, 1, &["face", "dog"]);
    // Dogs are annotated as rectangles.
    let shape = Shape::Rectangle(BoundingBox::new(1.0, 1.0, 9.0, 9.0));
    let dogs = NewImage {
        path: "dogs.png".into(),
        name: "dogs".to_owned(),
        content_hash: "d".repeat(64),
        width: 10,
        height: 10,
        split: Some("1".to_owned()),
        objects: vec![NewObject { class: 0, shape, ignored: false }],
    };
    let (name, kind, root) = ("dogs".to_owned(), "folder".to_owned(), dir.path().join("dogs"));
    std::fs::create_dir(&root).unwrap();
    let more = NewDataset { name, kind, root, classes: vec!["dog".to_owned()], images: vec![dogs] };
    project.open_store().unwrap().add_dataset(&more).unwrap();
    let mut window = window(Screen::Images, Some(project.dir()));
    wait_for(&mut window, "13 of 13 images");
    let image = open(&mut window, &project, 4);
    let store = Store::open_read_only(&project.database()).unwrap();
    let dog = store.class_by_name("dog").unwrap().unwrap();
    let canvas = "Image scene_0004, Round 1";
    press(&mut window, Key::N);
    wait_for_part(&mut window, "Drag over an object");
    // Too small to be intended.
    drag(&mut window, canvas, (0.5, 0.5), (0.501, 0.501));
    drag(&mut window, canvas, (0.3, 0.3), (0.45, 0.5));
    wait_until(&mut window, "the drawn face", || objects(&project, image).len() == 2);
    let drawn = objects(&project, image)[1];
    assert!(drawn.shape.ellipse().is_some() && drawn.class == store.classes().unwrap()[0].id, "{drawn:?}");
    send(&mut window, ImagesCommand::SetNewClass(dog));
    drag(&mut window, canvas, (0.6, 0.6), (0.5, 0.4));
    wait_until(&mut window, "the drawn dog", || objects(&project, image).len() == 3);
    let drawn = objects(&project, image)[2];
    assert!(drawn.shape.ellipse().is_none() && drawn.class == dog, "{drawn:?}");
    let record = store.image(image).unwrap();
    let bbox = drawn.shape.bounding_box();
    assert!(bbox.x1 >= 0.0 && bbox.x2 <= f64::from(record.width) && bbox.x1 < bbox.x2, "{bbox:?}");
    // A shape drawn beyond the image ends at its border.
    drag(&mut window, canvas, (0.5, 0.5), (1.0, 1.0));
    wait_until(&mut window, "the object at the border", || objects(&project, image).len() == 4);
    let bbox = objects(&project, image)[3].shape.bounding_box();
    assert!(bbox.x2 <= f64::from(record.width) && bbox.y2 <= f64::from(record.height), "{bbox:?}");
    press(&mut window, Key::Escape);
    wait_for(&mut window, canvas);
    for _ in 0..3 {
        press(&mut window, Key::Backspace);
    }
    wait_until(&mut window, "all undone", || objects(&project, image).len() == 1);
    assert_eq!(store.own_ground_truth().unwrap()[&image].len(), 1, "the dataset's own stays as it is");
}

#[test]
fn corrections_on_a_held_out_image_stand_beside_what_the_curves_count() {
    let dir = tempfile::tempdir().unwrap();
    let project = project(dir.path());
    let query = ImageQuery { round: rounds(&project)[0], threshold: 0.0, ..ImageQuery::default() };
    let before = list(&project, &query).counts;
    let mut window = window(Screen::Images, Some(project.dir()));
    wait_for(&mut window, "12 of 12 images");
    send(&mut window, ImagesCommand::SetQuery(Box::new(query.clone())));
    let image = open(&mut window, &project, 9);
    let canvas = "Image scene_0009, Round 1";
    wait_for(&mut window, canvas);
    wait_for_part(&mut window, "corrected ground truth alone");
    pick(&mut window, Pick::Object(0, 0));
    press(&mut window, Key::Delete);
    wait_until(&mut window, "the deletion", || objects(&project, image).is_empty());
    wait_for_part(&mut window, "1  Ground truth");
    pick(&mut window, Pick::Object(0, 0));
    wait_for(&mut window, "Restore");
    press(&mut window, Key::I);
    wait_for_part(&mut window, "restore it first");
    press(&mut window, Key::N);
    wait_for_part(&mut window, "Drag over an object");
    drag(&mut window, canvas, (0.3, 0.3), (0.45, 0.5));
    wait_until(&mut window, "the drawn object", || objects(&project, image).len() == 1);
    press(&mut window, Key::Escape);
    pick(&mut window, Pick::Corrected(0, 1));
    wait_for(&mut window, "Added object");
    press(&mut window, Key::I);
    wait_until(&mut window, "the ignored object", || objects(&project, image)[0].ignored);
    assert_eq!(list(&project, &query).counts, before, "the curve's counts are of the dataset's own");
    drop(window);
    let store = Store::open_read_only(&project.database()).unwrap();
    let open = OpenQuery { image, round: query.round, against: None, threshold: 0.0, shape: None };
    let side = Inspector::default().open(&store, &open).unwrap().sides.remove(0);
    assert_eq!(side.judged.objects.len(), 1);
    let states: Vec<(bool, bool, bool)> =
        side.corrected.iter().map(|row| (row.own.is_some(), row.state.deleted, row.state.ignored)).collect();
    assert_eq!(states, [(true, true, false), (false, false, true)]);
    assert_eq!(side.object_ids, [Some(side.corrected[0].id)]);
}

#[test]
fn held_out_detections_of_own_rounds_keep_their_classes() {
    let dir = tempfile::tempdir().unwrap();
    let project = app_project::make_with(dir.path(), 12, 1, &["face", "dog"]);
    let mut store = project.open_store().unwrap();
    let held_out = store.images().unwrap()[9].clone();
    let classes: Vec<_> = store.classes().unwrap().into_iter().map(|class| (class.id, class.name)).collect();
    let [(face, _), (dog, _)] = classes[..] else { panic!("{classes:?}") };
    let on_face = store.ground_truth(held_out.id).unwrap()[0].1.shape.bounding_box();
    let found = |class, bbox, score| Detection { class, bbox, ellipse: None, score };
    let detections = vec![
        found(face, on_face, 0.9),
        found(dog, on_face, 0.8),
        found(dog, BoundingBox::new(5.0, 5.0, 45.0, 45.0), 0.7),
    ];
    let name = held_out.name.clone();
    let image = HeldOutImage { name, content_hash: held_out.content_hash.clone(), unreadable: false, detections };
    let tested = HeldOutDetections { step: 150, classes: classes.clone(), images: vec![image] };
    let run_dir = project.run_dir(1);
    std::fs::create_dir_all(&run_dir).unwrap();
    std::fs::write(run_dir.join("held-out.jsonl"), tested.to_text().unwrap()).unwrap();
    let query = ImageQuery {
        round: Some(store.rounds().unwrap()[0].id),
        threshold: 0.0,
        role: Some(Role::HeldOut),
        ..ImageQuery::default()
    };
    let counts = list(&project, &query).counts;
    assert_eq!((counts.true_positives, counts.false_positives, counts.missed), (1, 2, 0));
    let open = OpenQuery { image: held_out.id, round: query.round, against: None, threshold: 0.0, shape: None };
    let seen = |store: &Store| {
        let side = Inspector::default().open(store, &open).unwrap().sides.remove(0);
        side.judged.detections.iter().map(|judged| (judged.detection.class, judged.status)).collect::<Vec<_>>()
    };
    let [classification, background] =
        [FalsePositiveKind::Classification, FalsePositiveKind::Background].map(Status::FalsePositive);
    assert_eq!(seen(&store), [(face, Status::TruePositive), (dog, classification), (dog, background)]);
    // A class that was renamed since is the same class.
    store.rename_class(dog, "hound").unwrap();
    assert_eq!(seen(&store), [(face, Status::TruePositive), (dog, classification), (dog, background)]);
}

/// With the wrong-class key: the object needs no candidate, the picker accepts keys typed ahead, and a test image keeps what the curves
/// count.
#[test]
fn the_class_of_any_object_is_corrected_by_key() {
    let dir = tempfile::tempdir().unwrap();
    let project = app_project::make_with(dir.path(), 12, 1, &["face", "dog", "clock"]);
    let store = Store::open_read_only(&project.database()).unwrap();
    let classes: Vec<_> = store.classes().unwrap().into_iter().map(|class| class.id).collect();
    let [face, dog, clock] = classes[..] else { panic!("{classes:?}") };
    let mut window = window(Screen::Images, Some(project.dir()));
    wait_for(&mut window, "12 of 12 images");
    let image = open(&mut window, &project, 4);
    let class = || objects(&project, image)[0].class;
    let asks = "Class of the annotated object";
    let no_question = |w: &Window| w.query_by_label(asks).is_none();

    // Nothing selected, then a detection: no class is asked for.
    for (picked, says) in
        [(None, "Click a detection first"), (Some(Pick::Detection(0, 1)), "choose the class in the side panel")]
    {
        send(&mut window, ImagesCommand::Pick(picked));
        press(&mut window, Key::W);
        wait_for_part(&mut window, says);
        assert!(no_question(&window));
    }

    pick(&mut window, Pick::Object(0, 0));
    press(&mut window, Key::W);
    wait_for(&mut window, asks);
    press(&mut window, Key::Escape);
    run_until(&mut window, "the picker's end", no_question);
    wait_for(&mut window, "Image scene_0004, Round 1");
    assert_eq!(class(), face, "Esc decides nothing, and the image stays open");

    // The digit, letters with Enter, and Enter alone, which selects the class chosen last.
    press_at_once(&mut window, &[(Key::W, "w"), (Key::Num2, "2")]);
    wait_until(&mut window, "a dog", || class() == dog);
    let letters = [(Key::W, "w"), (Key::C, "c"), (Key::L, "l"), (Key::Backspace, ""), (Key::L, "l"), (Key::Enter, "")];
    press_at_once(&mut window, &letters);
    wait_until(&mut window, "a clock", || class() == clock);
    for (expected, what) in [(dog, "the clock undone"), (face, "the dog undone")] {
        press(&mut window, Key::Backspace);
        wait_until(&mut window, what, || class() == expected);
    }
    wait_for_part(&mut window, "1  Ground truth");
    pick(&mut window, Pick::Object(0, 0));
    window.key_press_modifiers(Modifiers::SHIFT, Key::E);
    wait_for(&mut window, asks);
    press(&mut window, Key::Enter);
    wait_until(&mut window, "a clock again", || class() == clock);

    // With the mouse; switching screens cancels the question.
    run_until(&mut window, "the picker's end", no_question);
    press(&mut window, Key::W);
    wait_for(&mut window, asks);
    window.get_by_role_and_label(egui::accesskit::Role::Button, "face").click_accesskit();
    wait_until(&mut window, "a face", || class() == face);
    run_until(&mut window, "the picker's end", no_question);
    press_at_once(&mut window, &[(Key::W, "w"), (Key::Delete, ""), (Key::I, "i"), (Key::Escape, "")]);
    run_until(&mut window, "the picker's end", no_question);
    let object = objects(&project, image)[0];
    assert!(!object.ignored, "keys of the image mean nothing to the picker: {object:?}");

    // A test image.
    let held_out = open(&mut window, &project, 9);
    let own = store.own_ground_truth().unwrap()[&held_out].clone();
    pick(&mut window, Pick::Object(0, 0));
    press_at_once(&mut window, &[(Key::W, "w"), (Key::Num3, "3")]);
    wait_until(&mut window, "the clock of the held-out image", || objects(&project, held_out)[0].class == clock);
    assert_eq!(store.own_ground_truth().unwrap()[&held_out], own, "the dataset's own stays as it is");
    pick(&mut window, Pick::Object(0, 0));
    press(&mut window, Key::Delete);
    wait_until(&mut window, "the deletion", || objects(&project, held_out).is_empty());
}

#[test]
fn with_one_class_no_class_is_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let project = project(dir.path());
    let mut window = window(Screen::Images, Some(project.dir()));
    wait_for(&mut window, "12 of 12 images");
    open(&mut window, &project, 4);
    pick(&mut window, Pick::Object(0, 0));
    press(&mut window, Key::W);
    wait_for_part(&mut window, "The project has one class");
}
