//! End-to-end tests of the window: real keys and clicks on the real screens, with a real project, without a display.
#![cfg(feature = "gui")]
#![allow(clippy::unwrap_used)]

#[path = "support/app_project.rs"]
mod app_project;
#[path = "app_parts/around.rs"]
mod around;
#[path = "app_parts/calm.rs"]
mod calm;
#[cfg(feature = "torch")]
#[path = "app_parts/embeddings.rs"]
mod embeddings;
#[path = "app_parts/images.rs"]
mod images;
#[path = "app_parts/layout.rs"]
mod layout;
#[path = "app_parts/numbers.rs"]
mod numbers;
#[cfg(all(target_os = "linux", feature = "torch"))]
#[path = "app_parts/real_window.rs"]
mod real_window;
#[path = "app_parts/seen.rs"]
mod seen;
#[path = "app_parts/shell.rs"]
mod shell;
#[path = "support/window.rs"]
mod window;

use std::path::{Path, PathBuf};

use egui::accesskit::Role;
use egui::{Key, Modifiers};
use egui_kittest::kittest::{NodeT as _, Queryable as _};
use quarry::app::command::{Command, DatasetCommand, Screen};
use quarry::domain::{AnnotationSource, CandidateId, ClassId, ImageId, RoundState, Shape, Verdict, VerdictCounts};
use quarry::store::Store;
use quarry::store::{CandidateQuery, HistoryQuery, ObjectRow};
use quarry::workflow::Project;
use quarry::workflow::training_export::TrainingFormat;
use window::{
    Window, counts, open_grid, press, press_at_once, run_until, select_all, wait_for, wait_for_part, wait_until, window,
};

#[test]
fn without_a_project_the_window_offers_to_open_make_and_try_one() {
    let mut window = window(Screen::Project, None);
    for label in ["Open", "Make new", "Browse…", "Start with the sample…"] {
        wait_for(&mut window, label);
    }
}

#[test]
fn crash_reports_are_offered_until_they_are_dismissed() {
    let dir = tempfile::tempdir().unwrap();
    let report = dir.path().join("crash-0000000000001-7.txt");
    std::fs::write(&report, "Quarry crash report").unwrap();
    let mut window = window(Screen::Project, None);
    wait_for(&mut window, "Make new");
    window.state_mut().as_mut().unwrap().offer_crash_reports(quarry::domain::new_crash_reports(dir.path()));
    wait_for_part(&mut window, "crash-0000000000001-7.txt");
    window.get_by_label("Copy the report").click_accesskit();
    run_until(&mut window, "the copied text", |window| {
        let is_copied = |command: &egui::OutputCommand| matches!(command, egui::OutputCommand::CopyText(text) if text == "Quarry crash report");
        window.output().platform_output.commands.iter().any(is_copied)
    });
    window.get_by_label("Dismiss").click_accesskit();
    run_until(&mut window, "the offer's end", |window| window.query_by_label("Dismiss").is_none());
    assert!(quarry::domain::new_crash_reports(dir.path()).is_empty());
    assert!(dir.path().join("seen-crash-0000000000001-7.txt").exists(), "the report stays");
}

#[test]
fn a_database_that_was_copied_without_its_log_is_told_in_the_window() {
    let dir = tempfile::tempdir().unwrap();
    let project = app_project::make(dir.path(), 2, 1);
    let copy = dir.path().join("copy");
    std::fs::create_dir(&copy).unwrap();
    // Opened a second time: old content is in the file, new content in the WAL.
    drop(project.open_store().unwrap());
    let open = project.open_store().unwrap();
    std::fs::copy(project.database(), copy.join("quarry.db")).unwrap();
    let mut window = window(Screen::Project, Some(&copy));
    wait_for_part(&mut window, "quarry.db-wal");
    window.get_by_label("Understood").click_accesskit();
    run_until(&mut window, "the note's end", |window| window.query_by_label("Understood").is_none());
    drop(open);
}

#[test]
fn keys_become_verdicts_in_the_database_and_can_be_taken_back() {
    let dir = tempfile::tempdir().unwrap();
    let project = app_project::make(dir.path(), 6, 1);
    let mut window = window(Screen::Review, Some(project.dir()));
    wait_for(&mut window, "1 of 18");
    // Pressed faster than they can be saved: none is lost and the order is kept.
    for key in [Key::A, Key::X, Key::A, Key::Space, Key::Num3] {
        press(&mut window, key);
    }
    wait_until(&mut window, "five verdicts", || counts(&project).undecided == 13);
    let expected = VerdictCounts {
        undecided: 13,
        decisions: 13,
        confirmed: 2,
        rejected: 2,
        missed_object: 0,
        wrong_class: 0,
        skipped: 1,
        ..VerdictCounts::default()
    };
    assert_eq!(counts(&project), expected);
    wait_for(&mut window, "6 of 18");
    press(&mut window, Key::Backspace);
    wait_until(&mut window, "undo", || counts(&project).undecided == 14);
    wait_for(&mut window, "5 of 18");
    window.key_press_modifiers(Modifiers::COMMAND | Modifiers::SHIFT, Key::Z);
    wait_until(&mut window, "redo", || counts(&project).undecided == 13);
    drop(window);
    assert_eq!(counts(&project), expected);
}

#[test]
fn one_key_marks_the_image_as_complete_and_takes_it_back() {
    let dir = tempfile::tempdir().unwrap();
    let project = app_project::make(dir.path(), 2, 1);
    let marked = || Store::open_read_only(&project.database()).unwrap().complete_images().unwrap().len();
    let mut window = window(Screen::Review, Some(project.dir()));
    wait_for(&mut window, "1 of 6");
    press(&mut window, Key::K);
    wait_until(&mut window, "the mark", || marked() == 1);
    wait_for(&mut window, "complete");
    assert_eq!(counts(&project).undecided, 6, "a mark is no verdict");
    press(&mut window, Key::K);
    wait_until(&mut window, "no mark", || marked() == 0);
}

#[test]
fn buttons_do_what_their_keys_do() {
    let dir = tempfile::tempdir().unwrap();
    let project = app_project::make(dir.path(), 2, 1);
    let mut window = window(Screen::Review, Some(project.dir()));
    wait_for(&mut window, "1 of 6");
    window.get_by_label("Reject").click_accesskit();
    wait_until(&mut window, "the verdict", || counts(&project).rejected == 1);
}

#[test]
fn a_missed_face_is_adjusted_and_becomes_ground_truth() {
    let dir = tempfile::tempdir().unwrap();
    let project = app_project::make(dir.path(), 2, 1);
    let mut window = window(Screen::Review, Some(project.dir()));
    wait_for(&mut window, "1 of 6");
    press(&mut window, Key::F);
    wait_for(&mut window, "Save");
    press(&mut window, Key::ArrowRight);
    press(&mut window, Key::Enter);
    wait_until(&mut window, "the promotion", || counts(&project).missed_object == 1);
    let store = Store::open_read_only(&project.database()).unwrap();
    let faces: usize = store.all_ground_truth().unwrap().values().map(Vec::len).sum();
    assert_eq!(faces, 3);
    let promoted = |store: &Store| {
        let all = store.all_ground_truth().unwrap().into_values().flatten();
        all.filter(|object| object.source == AnnotationSource::Promoted).map(|object| object.shape).collect::<Vec<_>>()
    };
    assert!(matches!(promoted(&store)[..], [Shape::Ellipse(_)]), "as the project's faces are");
    press(&mut window, Key::F);
    wait_for(&mut window, "Save");
    press(&mut window, Key::Escape);
    wait_for(&mut window, "Hard negative");
    assert_eq!(counts(&project).missed_object, 1);
}

#[test]
fn a_missed_object_of_a_dataset_of_boxes_is_a_box() {
    let dir = tempfile::tempdir().unwrap();
    let project = app_project::make(dir.path(), 2, 1);
    // The same images annotated with boxes.
    let mut store = project.open_store().unwrap();
    let dataset = store.datasets().unwrap().remove(0);
    let image = |record: quarry::domain::ImageRecord| {
        let object = store.ground_truth(record.id).unwrap()[0].1;
        let shape = Shape::Rectangle(object.shape.bounding_box());
        quarry::store::NewImage {
            name: record.name,
            path: record.path.into(),
            content_hash: record.content_hash,
            width: record.width,
            height: record.height,
            split: record.split,
            objects: vec![quarry::store::NewObject { class: 0, shape, ignored: false }],
        }
    };
    let images = store.images().unwrap().into_iter().map(image).collect();
    let (name, kind, root) = (dataset.name, dataset.kind, dataset.root);
    let new = quarry::store::NewDataset { name, kind, root, classes: vec!["face".to_owned()], images };
    store.add_dataset(&new).unwrap();
    drop(store);
    let mut window = window(Screen::Review, Some(project.dir()));
    wait_for(&mut window, "1 of 6");
    press(&mut window, Key::F);
    wait_for(&mut window, "Save");
    press(&mut window, Key::E);
    press(&mut window, Key::ArrowRight);
    press(&mut window, Key::Enter);
    wait_until(&mut window, "the promotion", || counts(&project).missed_object == 1);
    let store = Store::open_read_only(&project.database()).unwrap();
    let all = store.all_ground_truth().unwrap();
    let mut promoted = all.values().flatten().filter(|object| object.source == AnnotationSource::Promoted);
    assert!(matches!(promoted.next().map(|object| object.shape), Some(Shape::Rectangle(_))));
}

/// Returns verdicts and classes in the log, oldest first.
fn classes_given(project: &Project) -> Vec<(Option<Verdict>, Option<ClassId>)> {
    let mut log = project.open_store().unwrap().history(&HistoryQuery::default(), 100).unwrap();
    log.reverse();
    log.into_iter().map(|entry| (entry.record.verdict, entry.record.class)).collect()
}

#[test]
fn with_several_classes_a_verdict_on_an_object_asks_for_its_class() {
    let dir = tempfile::tempdir().unwrap();
    let project = app_project::make_with(dir.path(), 6, 1, &["face", "animal", "toy"]);
    let class = |name: &str| project.open_store().unwrap().class_by_name(name).unwrap();
    let (animal, toy) = (class("animal"), class("toy"));
    let mut window = window(Screen::Review, Some(project.dir()));
    wait_for(&mut window, "1 of 18");
    // Typed ahead: digits and letters after W go to the picker, A and X after those are verdicts again; Esc decides nothing.
    press_at_once(&mut window, &[(Key::W, "w"), (Key::Num2, "2"), (Key::A, "a")]);
    press_at_once(&mut window, &[(Key::W, "w"), (Key::A, "a"), (Key::Escape, ""), (Key::X, "x")]);
    let wrong = Some(Verdict::WrongClass);
    let mut expected = vec![(wrong, animal), (Some(Verdict::Confirmed), None), (Some(Verdict::Rejected), None)];
    wait_until(&mut window, "three verdicts", || classes_given(&project) == expected);
    press(&mut window, Key::W);
    wait_for(&mut window, "Right class of the object");
    press_at_once(&mut window, &[(Key::O, "o"), (Key::T, "t"), (Key::Backspace, ""), (Key::Y, "y"), (Key::Enter, "")]);
    expected.push((wrong, toy));
    wait_until(&mut window, "the filtered class", || classes_given(&project) == expected);
    // The class chosen last is proposed: the first Enter selects it, the second saves the shape.
    press_at_once(&mut window, &[(Key::F, "f"), (Key::Enter, ""), (Key::Enter, "")]);
    expected.push((Some(Verdict::MissedObject), toy));
    wait_until(&mut window, "the missed toy", || classes_given(&project) == expected);
    press(&mut window, Key::W);
    wait_for(&mut window, "animal");
    window.get_by_label("animal").click_accesskit();
    expected.push((wrong, animal));
    wait_until(&mut window, "the clicked class", || classes_given(&project) == expected);
    assert_eq!((counts(&project).wrong_class, counts(&project).undecided), (3, 12));
    press(&mut window, Key::Backspace);
    wait_until(&mut window, "undo", || counts(&project).wrong_class == 2);
}

/// Returns the keys of a table cell, each with its letter; empty if the cell says so.
fn keys_of_cell(cell: &str) -> Vec<(Key, String)> {
    if cell == "none" {
        return Vec::new();
    }
    let (count, keys) = cell.split_once(": ").unwrap();
    let key = |name: &str| {
        let text = if name.len() == 1 { name.to_lowercase() } else { String::new() };
        (Key::from_name(name).unwrap(), text)
    };
    let keys: Vec<_> = keys.split_whitespace().map(|name| key(name.trim_matches('`'))).collect();
    assert_eq!(count.parse(), Ok(keys.len()), "{cell}");
    keys
}

#[test]
fn the_table_of_keys_is_true() {
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/verdicts.md")).unwrap();
    let table = page.split("## Keys that a decision takes").nth(1).unwrap().split("\n## ").next().unwrap();
    let rows: Vec<Vec<&str>> = table
        .lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| decision"))
        .map(|line| line.trim_matches('|').split(" | ").map(str::trim).collect())
        .collect();
    assert_eq!(rows.len(), 10);
    for (column, classes) in [(1, &["face"][..]), (2, &["face", "animal", "toy"])] {
        let dir = tempfile::tempdir().unwrap();
        let project = app_project::make_with(dir.path(), 6, 1, classes);
        let mut window = window(Screen::Review, Some(project.dir()));
        wait_for(&mut window, "1 of 18");
        let mut given = 0;
        for row in &rows {
            let keys = keys_of_cell(row[column]);
            if keys.is_empty() {
                assert_eq!(column, 1, "{row:?}");
                continue;
            }
            let typed: Vec<(Key, &str)> = keys.iter().map(|(key, text)| (*key, text.as_str())).collect();
            press_at_once(&mut window, &typed);
            if row[0] == "undo" {
                given -= 1;
                wait_until(&mut window, "the undo", || counts(&project).undecided == 18 - given);
                continue;
            }
            given += 1;
            wait_until(&mut window, row[0], || counts(&project).undecided == 18 - given);
            let (verdict, class) = *classes_given(&project).last().unwrap();
            let expected = match row[0].split(',').next().unwrap() {
                "hard negative" => Verdict::Confirmed,
                "rejected" => Verdict::Rejected,
                "missed object" => Verdict::MissedObject,
                "wrong class" => Verdict::WrongClass,
                "skipped" => Verdict::Skipped,
                other => panic!("{other}"),
            };
            assert_eq!(verdict, Some(expected), "{row:?}");
            // The second class, by number or by letters.
            let named =
                ["of another class", "by its number"].iter().any(|how| row[0].ends_with(how)).then_some("animal");
            let named = named.or(row[0].ends_with("by its letters").then_some("toy"));
            if let Some(name) = named {
                let store = project.open_store().unwrap();
                assert_eq!(class, store.class_by_name(name).unwrap(), "{row:?}");
            }
        }
    }
}

#[test]
fn with_one_class_nothing_is_asked() {
    let dir = tempfile::tempdir().unwrap();
    let project = app_project::make(dir.path(), 2, 1);
    let mut window = window(Screen::Review, Some(project.dir()));
    wait_for(&mut window, "1 of 6");
    assert!(window.query_by_label("Wrong class").is_none(), "not offered");
    press_at_once(&mut window, &[(Key::W, "w"), (Key::Num2, "2")]);
    wait_until(&mut window, "the reason", || counts(&project).rejected == 1);
    assert_eq!(counts(&project).undecided, 5);
}

#[test]
fn the_grid_decides_on_everything_selected_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let project = app_project::make(dir.path(), 4, 1);
    let mut window = window(Screen::Review, Some(project.dir()));
    open_grid(&mut window, 12);
    wait_for(&mut window, "Candidate 1");
    select_all(&mut window);
    press(&mut window, Key::A);
    wait_until(&mut window, "twelve verdicts", || counts(&project).confirmed == 12);
    press(&mut window, Key::Backspace);
    wait_until(&mut window, "one undo for all", || counts(&project).undecided == 12);
}

#[test]
fn digits_and_letters_typed_into_a_field_are_no_verdicts() {
    let dir = tempfile::tempdir().unwrap();
    let project = app_project::make(dir.path(), 2, 1);
    let mut window = window(Screen::Review, Some(project.dir()));
    wait_for(&mut window, "1 of 6");
    press(&mut window, Key::Slash);
    wait_for(&mut window, "Done");
    window.run_steps(3);
    press(&mut window, Key::A);
    press(&mut window, Key::Num1);
    window.run_steps(10);
    assert_eq!(counts(&project).undecided, 6);
}

#[test]
fn a_database_that_another_program_holds_stops_the_queue_and_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let project = app_project::make(dir.path(), 2, 1);
    let mut window = window(Screen::Review, Some(project.dir()));
    wait_for(&mut window, "1 of 6");
    let other = rusqlite::Connection::open(project.database()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    press(&mut window, Key::A);
    press(&mut window, Key::A);
    wait_for(&mut window, "Not saved");
    wait_for(&mut window, "1 of 6");
    other.execute_batch("ROLLBACK").unwrap();
    press(&mut window, Key::X);
    window.run_steps(10);
    assert_eq!(counts(&project).undecided, 6, "nothing is decided before one goes on");
    press(&mut window, Key::Enter);
    press(&mut window, Key::A);
    wait_until(&mut window, "the verdict", || counts(&project).confirmed == 1);
}

#[test]
fn the_train_screen_shows_the_next_round_and_its_settings() {
    let dir = tempfile::tempdir().unwrap();
    let project = app_project::make(dir.path(), 2, 1);
    let mut window = window(Screen::Train, Some(project.dir()));
    wait_for(&mut window, "Start round 2");
    for label in ["Iterations", "Learning rate", "Hard negatives", "Test splits", "Seed", "Log", "Rounds"] {
        assert!(window.query_all_by_label(label).next().is_some(), "{label}");
    }
}

#[test]
fn a_rounds_report_shows_settings_that_changed_and_keeps_notes() {
    let dir = tempfile::tempdir().unwrap();
    let project = app_project::make(dir.path(), 2, 2);
    let table = "step,mini_batch,images,hard_negatives,foreground,background,forced,ignored,rpn_foreground,rpn_background,rpn_forced,rpn_ignored\n\
                 1,0,4;9,2,30,96,2,5,7,200,6,1\n";
    std::fs::create_dir_all(project.run_dir(2)).unwrap();
    std::fs::write(project.run_dir(2).join("sampler.csv"), table).unwrap();
    let mut window = window(Screen::Train, Some(project.dir()));
    wait_for(&mut window, "Round 2");
    window.query_all_by_label("Round 2").next().unwrap().click_accesskit();
    for label in
        ["Report of round 2", "Drawn in 1 mini-batches", "2 of 2 hard negatives of these images were selected", "seed"]
    {
        wait_for(&mut window, label);
    }
    window.get_by_label("Notes").focus();
    window.step();
    window.get_by_label("Notes").type_text("the clocks are gone");
    window.run_steps(3);
    window.get_by_label("Save notes").click_accesskit();
    let stored = || {
        let store = Store::open_read_only(&project.database()).unwrap();
        store.round_by_number(2).unwrap().unwrap().notes
    };
    wait_until(&mut window, "the notes", || stored() == "the clocks are gone");
}

#[test]
fn the_curves_screen_shows_every_round_with_its_rates() {
    let dir = tempfile::tempdir().unwrap();
    let project = app_project::make(dir.path(), 2, 2);
    let mut window = window(Screen::Curves, Some(project.dir()));
    wait_for(&mut window, "Discrete score");
    for label in ["Continuous score", "Logarithmic", "Linear", "2000"] {
        assert!(window.query_all_by_label(label).next().is_some(), "{label}");
    }
    assert_eq!(window.query_all_by_label("Round 2, rectangle").count(), 2, "a toggle and a row of the table");
}

/// A real click on a curve: the review starts from the score of the point under the pointer.
#[test]
fn a_right_click_on_a_curve_sets_the_reviews_score() {
    let dir = tempfile::tempdir().unwrap();
    let project = app_project::make(dir.path(), 2, 2);
    let mut window = window(Screen::Curves, Some(project.dir()));
    wait_for(&mut window, "Discrete score");
    wait_for(&mut window, "Continuous score");
    let (title, other) = (window.get_by_label("Discrete score").rect(), window.get_by_label("Continuous score").rect());
    let x = f32::midpoint(title.left(), other.left());
    let is_set = |window: &window::Window| window.query_all_by_label_contains("to 1.00").next().is_some();
    assert!(!is_set(&window));
    // Down the middle of the plot until a curve is under the pointer.
    for step in 1..18 {
        let at = egui::pos2(x, title.bottom() + 20.0 * step as f32);
        window.hover_at(at);
        window.step();
        for pressed in [true, false] {
            let button = egui::PointerButton::Secondary;
            window.event(egui::Event::PointerButton { pos: at, button, pressed, modifiers: Modifiers::NONE });
            window.step();
        }
        if window.query_by_label("Discrete score").is_none() {
            break;
        }
    }
    wait_for_part(&mut window, "to 1.00");
}

/// Average precision is stored with the curves, and shown for every round that has it.
#[test]
fn the_curves_screen_shows_average_precision() {
    let dir = tempfile::tempdir().unwrap();
    let project = app_project::make(dir.path(), 2, 2);
    let mut store = project.open_store().unwrap();
    let round = store.round_by_number(2).unwrap().unwrap();
    store.append_metrics(round.id, &[(9, "ap", 0.4375), (9, "ap50", 0.8125)]).unwrap();
    drop(store);
    let mut window = window(Screen::Curves, Some(project.dir()));
    for label in ["Round 2, boxes", "AP50", "0.4375", "0.8125"] {
        wait_for(&mut window, label);
    }
}

/// Two models on two test images with one ellipse each, both found by the second model only: the expected metrics.
fn tested_models(dir: &std::path::Path) -> Project {
    use quarry::workflow::detections::{DetectionsRequest, import_detections};
    let project = app_project::make_with(dir, 4, 0, &["cat", "dog"]);
    let store = project.open_store().unwrap();
    let truth = store.own_ground_truth().unwrap();
    let images = store.images().unwrap();
    drop(store);
    for (name, found) in [("first", 3), ("second", 4)] {
        let on = |(k, image): (usize, &quarry::domain::ImageRecord)| {
            let b = truth[&image.id][0].shape.bounding_box();
            let class = if k < found { "cat" } else { "dog" };
            let score = 0.9 - 0.1 * k as f64;
            format!("{},{class},{score},{},{},{},{}\n", image.name, b.x1, b.y1, b.x2, b.y2)
        };
        let rows: String = images.iter().enumerate().map(on).collect();
        // Nothing is there, and its class has no object.
        let beside = format!("{},dog,0.3,1,1,20,20\n", images[3].name);
        let path = dir.join(format!("{name}.csv"));
        std::fs::write(&path, format!("image,class,score,x1,y1,x2,y2\n{rows}{beside}")).unwrap();
        let request = DetectionsRequest {
            test_splits: Some(vec!["3".to_owned(), "4".to_owned()]),
            strict: true,
            ..DetectionsRequest::new(path, name.to_owned())
        };
        import_detections(&project, &request, &mut |_| {}, &quarry::domain::Cancel::new()).unwrap();
    }
    project
}

#[test]
fn the_curves_screen_offers_every_measure_of_a_tested_round() {
    let dir = tempfile::tempdir().unwrap();
    let project = tested_models(dir.path());
    let mut window = window(Screen::Curves, Some(project.dir()));
    // The smallest supported window size.
    window.set_size(egui::vec2(1000.0, 680.0));
    wait_for(&mut window, "Discrete score");
    wait_for(&mut window, "TIDE");
    for (measure, parts) in [
        ("Precision and recall", &["Precision over recall", "Score from", "Missed", "Both from 0 to 1"][..]),
        ("Miss rate", &["Miss rate over false positives per image", "Log-average"][..]),
        ("COCO", &["AP50", "AR100", "Round 2, class by class"][..]),
        ("TIDE", &["What each kind of error costs, in points of AP", "Bkg"][..]),
    ] {
        window.get_by_label(measure).click_accesskit();
        for part in parts {
            wait_for_part(&mut window, part);
        }
        window.run_steps(2);
        assert!(window.query_all_by_label_contains("since round 1").next().is_some(), "{measure}");
        // Every number of the tables is in the window.
        for column in ["Round 2", "AP", "Missed", "large", "FalseNeg", "Score at 1"] {
            for node in window.query_all_by_label(column) {
                assert!(node.rect().right() <= 1000.0, "{measure}: {column} at {:?}", node.rect());
            }
        }
    }
    // What the second model fixed: the dog detected as a cat.
    window.get_by_label("Precision and recall").click_accesskit();
    wait_for(&mut window, "Precision over recall");
    assert!(window.query_all_by_label("1.0000").next().is_some());
    window.get_by_role_and_label(Role::ComboBox, "Class").click_accesskit();
    window.run_steps(2);
    window.get_by_label("cat").click_accesskit();
    wait_for_part(&mut window, "Best F1: cat, IoU from 0.5");
}

#[cfg(feature = "torch")]
#[path = "support/tiny_project.rs"]
mod tiny_project;

/// From the first click to the pooled curves, with a stop in between.
#[test]
#[cfg(feature = "torch")]
fn a_cross_validation_is_started_stopped_and_gone_on_with() {
    use quarry::app::command::Command;
    use quarry::app::command::{Cross, Form, TrainCommand};
    let dir = tempfile::tempdir().unwrap();
    let project = tiny_project::make(dir.path(), "tiny", 4, 2);
    let config = quarry::training::RoundConfig::from_toml(
        &tiny_project::settings("iterations = 8\ncheckpoint_every = 1"),
        "tests",
    );
    let mut window = window(Screen::Train, Some(project.dir()));
    // All settings are visible.
    window.set_size(egui::vec2(1440.0, 1500.0));
    wait_for(&mut window, "Start cross-validation");
    let form = TrainCommand::SetForm(Box::new(Form::of(config.unwrap())));
    let cross = TrainCommand::SetCross(Cross { rounds: 1, ..Cross::default() });
    for command in [form, cross] {
        window.state_mut().as_mut().unwrap().push(Command::Train(command));
    }
    window.run_steps(2);
    window.get_by_label("Start cross-validation").click_accesskit();
    wait_for_part(&mut window, "Fold 1 (1 of 2), round 1 of 1");
    // The top bar has one too.
    run_until(&mut window, "Stop", |window| window.query_all_by_label("Stop").next().is_some());
    window.query_all_by_label("Stop").next().unwrap().click_accesskit();
    wait_for(&mut window, "Stop the cross-validation");
    wait_for(&mut window, "Stop the cross-validation?");
    // Its rounds are not the project's: the status bar and the question name the fold.
    assert!(window.query_all_by_label_contains("Round 1  ·").next().is_none());
    window.get_by_label("Stop the cross-validation").click_accesskit();
    wait_for(&mut window, "Start round 1");
    wait_for_part(&mut window, "Resume: ");
    assert!(project.open_store().unwrap().rounds().unwrap().is_empty(), "its rounds are not the project's");
    window.get_by_label_contains("Resume: ").click_accesskit();
    let summary = project.dir().join("runs/cross-validation/summary.json");
    let is_done = || {
        let text = std::fs::read_to_string(&summary).unwrap_or_default();
        text.matches("\"fold\":").count() == 2
    };
    wait_until(&mut window, "both folds", is_done);
    wait_for(&mut window, "Done");
    window.key_press_modifiers(Modifiers::COMMAND, Key::Num4);
    wait_for_part(&mut window, "2-fold, round 1, rectangle");
}

/// What lies under the second click of a double click on Start does nothing.
#[test]
#[cfg(feature = "torch")]
fn a_double_click_on_start_starts_one_round_and_does_not_pause_it() {
    use quarry::app::command::{Command, Form, TrainCommand};
    let dir = tempfile::tempdir().unwrap();
    let project = tiny_project::make(dir.path(), "tiny", 4, 2);
    let config = quarry::training::RoundConfig::from_toml(
        &tiny_project::settings("iterations = 5000\ntest_folds = [2]\nevaluate_every = 0"),
        "tests",
    )
    .unwrap();
    let mut window = window(Screen::Train, Some(project.dir()));
    window.set_size(egui::vec2(1440.0, 1500.0));
    wait_for(&mut window, "Start round 1");
    let form = TrainCommand::SetForm(Box::new(Form::of(config)));
    window.state_mut().as_mut().unwrap().push(Command::Train(form));
    // Until the button lies still.
    let place = |window: &Window| window.query_by_label("Start round 1").map(|button| button.rect());
    let mut before = None;
    run_until(&mut window, "Start at rest", |window| {
        place(window).is_some() && place(window) == before || {
            before = place(window);
            false
        }
    });
    let pos = before.unwrap().center();
    for pressed in [true, false, true, false] {
        let (button, modifiers) = (egui::PointerButton::Primary, Modifiers::NONE);
        window.event(egui::Event::PointerMoved(pos));
        window.event(egui::Event::PointerButton { pos, button, pressed, modifiers });
        window.step();
    }
    let phase = |window: &Window, text: &str| window.query_all_by_label_contains(text).next().is_some();
    run_until(&mut window, "steps", |window| phase(window, "of 5000"));
    window.run_steps(10);
    assert!(window.query_by_label("Running").is_some() && window.query_by_label("Continue").is_none());
    assert_eq!(project.open_store().unwrap().rounds().unwrap().len(), 1);
    window.query_all_by_label("Stop").next().unwrap().click_accesskit();
    wait_for(&mut window, "Stop the round");
    window.get_by_label("Stop the round").click_accesskit();
    wait_for(&mut window, "Resume round 1");
}

#[test]
fn the_screens_are_a_key_away_and_all_keys_are_shown() {
    let dir = tempfile::tempdir().unwrap();
    let project = app_project::make(dir.path(), 2, 1);
    let mut window = window(Screen::Project, Some(project.dir()));
    wait_for(&mut window, "Datasets");
    for (key, label) in
        [(Key::Num2, "1 of 6"), (Key::Num3, "Log"), (Key::Num4, "Discrete score"), (Key::Num1, "Datasets")]
    {
        window.key_press_modifiers(Modifiers::COMMAND, key);
        wait_for(&mut window, label);
    }
    press(&mut window, Key::Questionmark);
    wait_for(&mut window, "Adjusting an object");
}

/// The faces on the first candidate's image: source, class, left side in whole pixels, ignored, deleted.
fn objects(project: &Project) -> Vec<(AnnotationSource, i64, i64, bool, bool)> {
    let store = project.open_store().unwrap();
    let first = store.candidate_ids(&CandidateQuery::default()).unwrap()[0];
    let image = store.candidate(first).unwrap().image;
    let all = store.objects_of_image(image).unwrap().into_iter();
    let left = |o: &ObjectRow| o.state.shape.bounding_box().x1.round() as i64;
    all.map(|o| (o.source, o.state.class.0, left(&o), o.state.ignored, o.state.deleted)).collect()
}

#[test]
fn keys_correct_the_annotated_object_and_undo_takes_each_back() {
    use AnnotationSource::{Edited, Imported};
    let dir = tempfile::tempdir().unwrap();
    let project = app_project::make_with(dir.path(), 2, 1, &["face", "animal"]);
    let mut window = window(Screen::Review, Some(project.dir()));
    wait_for(&mut window, "1 of 6");
    let before = objects(&project);
    let &[(Imported, 1, x, false, false)] = before.as_slice() else { panic!("{before:?}") };
    let expect = |window: &mut Window, what: &str, expected: (AnnotationSource, i64, i64, bool, bool)| {
        wait_until(window, what, || objects(&project) == [expected]);
    };
    press(&mut window, Key::I);
    expect(&mut window, "ignored", (Edited, 1, x, true, false));
    press(&mut window, Key::I);
    expect(&mut window, "counted again", (Imported, 1, x, false, false));
    press(&mut window, Key::Delete);
    expect(&mut window, "deleted", (Edited, 1, x, false, true));
    press(&mut window, Key::Backspace);
    expect(&mut window, "undone", (Imported, 1, x, false, false));
    window.key_press_modifiers(Modifiers::SHIFT, Key::E);
    wait_for(&mut window, "Class of the annotated object");
    press(&mut window, Key::Num2);
    expect(&mut window, "another class", (Edited, 2, x, false, false));
    press(&mut window, Key::E);
    wait_for(&mut window, "Save");
    press(&mut window, Key::ArrowLeft);
    press(&mut window, Key::Enter);
    wait_until(&mut window, "moved", || objects(&project)[0].2 < x);
    assert_eq!(counts(&project).undecided, 6, "no candidate was decided on");
    press(&mut window, Key::H);
    for label in ["shape adjusted: animal", "class changed: animal", "object deleted: face", "object ignored: face"] {
        wait_for(&mut window, label);
    }
}

/// Candidates and verdicts in log order.
fn log(project: &Project) -> Vec<(CandidateId, Option<Verdict>)> {
    let mut log = project.open_store().unwrap().history(&HistoryQuery::default(), 100).unwrap();
    log.reverse();
    log.into_iter().map(|entry| (entry.record.candidate, entry.record.verdict)).collect()
}

fn queue(project: &Project) -> Vec<CandidateId> {
    project.open_store().unwrap().candidate_ids(&CandidateQuery::default()).unwrap()
}

/// Keys and their verdicts.
const KEYS: [(Key, &str, Verdict); 12] = [
    (Key::A, "a", Verdict::Confirmed),
    (Key::X, "x", Verdict::Rejected),
    (Key::A, "a", Verdict::Confirmed),
    (Key::Space, " ", Verdict::Skipped),
    (Key::Num3, "3", Verdict::Rejected),
    (Key::A, "a", Verdict::Confirmed),
    (Key::X, "x", Verdict::Rejected),
    (Key::X, "x", Verdict::Rejected),
    (Key::Space, " ", Verdict::Skipped),
    (Key::A, "a", Verdict::Confirmed),
    (Key::Num9, "9", Verdict::Rejected),
    (Key::A, "a", Verdict::Confirmed),
];

fn keys() -> Vec<(Key, &'static str)> {
    KEYS.iter().map(|(key, text, _)| (*key, *text)).collect()
}

fn expected(ids: &[CandidateId]) -> Vec<(CandidateId, Option<Verdict>)> {
    ids.iter().zip(KEYS).map(|(id, (_, _, verdict))| (*id, Some(verdict))).collect()
}

#[test]
fn many_keys_between_two_frames_are_all_decided_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let project = app_project::make(dir.path(), 6, 1);
    let ids = queue(&project);
    let mut window = window(Screen::Review, Some(project.dir()));
    wait_for(&mut window, "1 of 18");
    press_at_once(&mut window, &keys());
    wait_for(&mut window, "13 of 18");
    wait_until(&mut window, "the verdicts", || log(&project).len() == KEYS.len());
    assert_eq!(log(&project), expected(&ids));
}

fn sent(window: &Window, command: &egui::ViewportCommand) -> bool {
    window.output().viewport_output[&egui::ViewportId::ROOT].commands.contains(command)
}

#[test]
fn a_window_that_is_closed_while_keys_wait_decides_on_them_first() {
    let dir = tempfile::tempdir().unwrap();
    let project = app_project::make(dir.path(), 6, 1);
    let ids = queue(&project);
    let mut window = window(Screen::Review, Some(project.dir()));
    wait_for(&mut window, "1 of 18");
    let other = rusqlite::Connection::open(project.database()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    window.input_mut().viewports.entry(egui::ViewportId::ROOT).or_default().events.push(egui::ViewportEvent::Close);
    press_at_once(&mut window, &keys());
    assert!(sent(&window, &egui::ViewportCommand::CancelClose), "keys are still waiting");
    other.execute_batch("ROLLBACK").unwrap();
    run_until(&mut window, "the end", |window| sent(window, &egui::ViewportCommand::Close));
    drop(window);
    assert_eq!(log(&project), expected(&ids));
}

#[test]
fn a_key_means_what_it_does_when_its_turn_comes() {
    let dir = tempfile::tempdir().unwrap();
    let project = app_project::make(dir.path(), 6, 1);
    let ids = queue(&project);
    let mut window = window(Screen::Review, Some(project.dir()));
    wait_for(&mut window, "1 of 18");
    // X has no effect while the ellipse is open, the arrow moves it, Esc closes it.
    let keys = [Key::A, Key::F, Key::X, Key::ArrowRight, Key::Enter, Key::F, Key::X, Key::Escape, Key::X];
    press_at_once(&mut window, &keys.map(|key| (key, "")));
    let expected = [Verdict::Confirmed, Verdict::MissedObject, Verdict::Rejected];
    wait_until(&mut window, "three verdicts", || log(&project).len() == 3);
    assert_eq!(log(&project), ids.iter().copied().zip(expected.map(Some)).collect::<Vec<_>>());
}

#[test]
fn letters_typed_before_the_filters_field_is_there_are_its_text() {
    let dir = tempfile::tempdir().unwrap();
    let project = app_project::make(dir.path(), 4, 1);
    let mut window = window(Screen::Review, Some(project.dir()));
    wait_for(&mut window, "1 of 12");
    let name = [Key::S, Key::C, Key::E, Key::N, Key::E].into_iter().zip(["s", "c", "e", "n", "e"]);
    let digits = [(Key::Minus, "_"), (Key::Num0, "0"), (Key::Num0, "0"), (Key::Num0, "0"), (Key::Num2, "2")];
    let mut keys = vec![(Key::A, "a"), (Key::Slash, "/"), (Key::X, "x"), (Key::Backspace, "")];
    keys.extend(name.chain(digits));
    keys.extend([(Key::Enter, ""), (Key::Num4, "4")]);
    press_at_once(&mut window, &keys);
    wait_for(&mut window, "Name has “scene_0002”");
    wait_until(&mut window, "two verdicts", || log(&project).len() == 2);
    let store = project.open_store().unwrap();
    let decided: Vec<_> = log(&project).iter().map(|(id, _)| store.candidate_row(*id).unwrap()).collect();
    assert_eq!(decided[1].candidate.verdict, Some(Verdict::Rejected));
    assert_eq!(decided[1].image_name, "scene_0002");
    assert_eq!(counts(&project).undecided, 10);
}

#[test]
fn letters_go_to_the_field_once_it_is_there() {
    let dir = tempfile::tempdir().unwrap();
    let project = app_project::make(dir.path(), 4, 1);
    let mut window = window(Screen::Review, Some(project.dir()));
    wait_for(&mut window, "1 of 12");
    press_at_once(&mut window, &[(Key::Slash, "/"), (Key::S, "s"), (Key::C, "c")]);
    press_at_once(&mut window, &[(Key::E, "e"), (Key::N, "n")]);
    wait_for(&mut window, "Name has “scen”");
    press_at_once(&mut window, &[(Key::E, "e")]);
    wait_for(&mut window, "Name has “scene”");
    // Tab moves to the next field of the filter, where Space and letters are not verdicts either.
    press_at_once(&mut window, &[(Key::Tab, "")]);
    window.run_steps(2);
    press_at_once(&mut window, &[(Key::Space, " "), (Key::A, "a")]);
    window.run_steps(10);
    assert_eq!(counts(&project).undecided, 12);
}

/// Another program assigns shares of the queue: the filter gets one more list, and what has the focus keeps it.
#[test]
fn a_focused_widget_of_the_filter_keeps_its_keys_when_a_list_appears_before_it() {
    let dir = tempfile::tempdir().unwrap();
    let project = app_project::make(dir.path(), 4, 1);
    let mut window = window(Screen::Review, Some(project.dir()));
    wait_for(&mut window, "1 of 12");
    press_at_once(&mut window, &[(Key::Slash, "/")]);
    run_until(&mut window, "the filter", |window| window.query_by_label("Blind").is_some());
    window.run_steps(5);
    window.get_by_label("Blind").focus();
    window.run_steps(2);
    let shares = quarry::domain::Shares::new(&["Ada".to_owned(), "Ben".to_owned()], 0).unwrap();
    project.open_store().unwrap().set_shares(Some(&shares)).unwrap();
    run_until(&mut window, "the list", |window| window.query_all_by_label("Share of").next().is_some());
    press_at_once(&mut window, &[(Key::A, "a"), (Key::X, "x")]);
    window.run_steps(10);
    assert!(window.get_by_label("Blind").is_focused());
    assert_eq!(counts(&project).undecided, 12);
}

#[test]
fn an_undo_of_a_large_batch_keeps_the_place_for_the_keys_behind_it() {
    let dir = tempfile::tempdir().unwrap();
    let project = app_project::make(dir.path(), 30, 1);
    let first = queue(&project)[0];
    let mut window = window(Screen::Review, Some(project.dir()));
    open_grid(&mut window, 90);
    select_all(&mut window);
    press_at_once(&mut window, &[(Key::A, "a"), (Key::Backspace, ""), (Key::X, "x")]);
    let expected = VerdictCounts { undecided: 89, decisions: 89, rejected: 1, ..VerdictCounts::default() };
    wait_until(&mut window, "the verdict after the undo", || counts(&project) == expected);
    let row = project.open_store().unwrap().candidate_row(first).unwrap();
    assert_eq!(row.candidate.verdict, Some(Verdict::Rejected));
}

#[test]
fn ground_truth_detections_and_box_are_switched_one_by_one() {
    let dir = tempfile::tempdir().unwrap();
    let project = app_project::make(dir.path(), 2, 1);
    let mut window = window(Screen::Review, Some(project.dir()));
    wait_for(&mut window, "1 of 6");
    let labels = ["Ground truth", "Detections", "Box"];
    let shown = |window: &Window| {
        let is_on =
            |label| window.get_by_label(label).accesskit_node().toggled() == Some(egui::accesskit::Toggled::True);
        labels.map(is_on)
    };
    let mut expected = [true; 3];
    for (key, index) in [(Key::B, 0), (Key::D, 1), (Key::C, 2), (Key::B, 0), (Key::C, 2), (Key::D, 1)] {
        press(&mut window, key);
        window.run_steps(2);
        expected[index] = !expected[index];
        assert_eq!(shown(&window), expected, "{key:?}");
    }
    assert_eq!(counts(&project).undecided, 6);
}

#[test]
fn an_interval_that_was_chosen_stays_while_the_iterations_are_typed() {
    let dir = tempfile::tempdir().unwrap();
    let project = app_project::make(dir.path(), 2, 1);
    let mut window = window(Screen::Train, Some(project.dir()));
    wait_for(&mut window, "Start round 2");
    let field =
        |label: &'static str| move |window: &Window| window.query_by_role_and_label(Role::SpinButton, label).is_some();
    let enter = |window: &mut Window, label: &'static str, text: &str| {
        run_until(window, label, field(label));
        window.get_by_role_and_label(Role::SpinButton, label).click_accesskit();
        window.run_steps(3);
        // One digit at a time, each of which is a valid number of iterations.
        for digit in text.chars() {
            window.event(egui::Event::Text(digit.to_string()));
            window.step();
        }
        press(window, Key::Enter);
        window.run_steps(3);
    };
    let value = |window: &Window, label: &str| {
        window.get_by_role_and_label(Role::SpinButton, label).accesskit_node().numeric_value().unwrap()
    };
    enter(&mut window, "Checkpoint every", "1");
    enter(&mut window, "Iterations", "5000");
    assert_eq!((value(&window, "Iterations"), value(&window, "Checkpoint every")), (5000.0, 1.0));
}

#[test]
fn a_name_that_was_typed_counts_when_a_key_leaves_the_screen() {
    let dir = tempfile::tempdir().unwrap();
    let project = app_project::make(dir.path(), 2, 1);
    let mut window = window(Screen::Project, Some(project.dir()));
    let field = |window: &Window| window.query_by_role_and_label(Role::TextInput, "Annotator").is_some();
    run_until(&mut window, "the annotator's field", field);
    // The layout changes when the project has been loaded.
    wait_for_part(&mut window, "Next: ");
    window.get_by_role_and_label(Role::TextInput, "Annotator").focus();
    window.step();
    window.key_press_modifiers(Modifiers::COMMAND, Key::A);
    window.get_by_role_and_label(Role::TextInput, "Annotator").type_text("Grace");
    window.step();
    window.key_press_modifiers(Modifiers::COMMAND, Key::Num2);
    wait_for(&mut window, "1 of 6");
    press(&mut window, Key::A);
    wait_until(&mut window, "the verdict", || counts(&project).confirmed == 1);
    let log = project.open_store().unwrap().history(&HistoryQuery::default(), 1).unwrap();
    assert!(log[0].record.annotator.contains("Grace"), "{}", log[0].record.annotator);
}

/// A YOLO dataset folder with one bad line and one missing image.
fn yolo_dataset(dir: &Path) -> PathBuf {
    let root = dir.join("yolo");
    for folder in ["images", "labels"] {
        std::fs::create_dir_all(root.join(folder)).unwrap();
    }
    for k in 0..3_u8 {
        image::GrayImage::from_pixel(64, 48, image::Luma([k * 50])).save(root.join(format!("images/{k}.png"))).unwrap();
    }
    std::fs::write(root.join("labels/0.txt"), "0 0.5 0.5 0.2 0.2\n1 0.3 0.3 0.1 0.1\n").unwrap();
    std::fs::write(root.join("labels/1.txt"), "0 0.5 nonsense 0.2 0.2\n").unwrap();
    std::fs::write(root.join("train.txt"), "./images/0.png\n./images/1.png\n./images/2.png\n./images/gone.png\n")
        .unwrap();
    std::fs::write(root.join("data.yaml"), "train: train.txt\nnames: [cat, dog]\n").unwrap();
    root
}

/// Clicks once the layout is stable: a window over the screen is positioned in its first frames, and a dialog grows for some frames.
fn click(window: &mut Window, label: &str) {
    window.run_steps(12);
    window.get_by_label(label).click_accesskit();
    window.run_steps(3);
}

#[test]
fn an_import_shows_what_it_found_before_anything_is_written_and_the_report_stays() {
    let dir = tempfile::tempdir().unwrap();
    let project = Project::create(&dir.path().join("p")).unwrap();
    let images = || Store::open_read_only(&project.database()).unwrap().images().unwrap().len();
    let root = yolo_dataset(dir.path());
    let mut window = window(Screen::Project, Some(project.dir()));
    wait_for(&mut window, "Folder to import");
    window.get_by_label("Folder to import").focus();
    window.step();
    window.get_by_label("Folder to import").type_text(root.to_str().unwrap());
    window.run_steps(3);
    window.get_by_label("Import dataset…").click_accesskit();
    wait_for(&mut window, "Import this dataset?");
    for text in ["3, 2 without objects", "cat: 1, dog: 1", "train: 3", "1 missing image", "1 bad record, skipped"] {
        wait_for(&mut window, text);
    }
    assert_eq!(images(), 0, "nothing is written yet");
    click(&mut window, "Cancel");
    run_until(&mut window, "closing", |window| window.query_by_label("Import this dataset?").is_none());
    assert_eq!(images(), 0);
    window.get_by_label("Import dataset…").click_accesskit();
    wait_for(&mut window, "Import this dataset?");
    window.run_steps(12);
    window.get_by_role_and_label(Role::Button, "Import").click_accesskit();
    wait_until(&mut window, "the images", || images() == 3);
    wait_for(&mut window, "Report");
    click(&mut window, "Report");
    wait_for_part(&mut window, "missing: images/gone");
    click(&mut window, "Close");

    // A moved folder, and a changed file.
    std::fs::write(root.join("images/2.png"), "another").unwrap();
    click(&mut window, "Check files");
    wait_for_part(&mut window, "2 of 3 images are unchanged since the import");
    click(&mut window, "Close");
    click(&mut window, "Delete…");
    wait_for_part(&mut window, "Delete this dataset");
    assert_eq!(images(), 3);
    click(&mut window, "Delete");
    wait_until(&mut window, "the deletion", || images() == 0);
    wait_for(&mut window, "Deleted");
    assert!(root.join("images/0.png").is_file());
}

#[test]
fn a_round_is_deleted_after_its_preview_and_the_project_is_exported_for_training() {
    let dir = tempfile::tempdir().unwrap();
    let project = app_project::make(dir.path(), 4, 2);
    let rounds = || Store::open_read_only(&project.database()).unwrap().rounds().unwrap().len();
    let folder = project.run_dir(1);
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("log.txt"), "x".repeat(3000)).unwrap();
    let mut window = window(Screen::Project, Some(project.dir()));
    wait_for(&mut window, "Datasets");
    let send = |window: &mut Window, command| {
        window.state_mut().as_mut().unwrap().push(Command::Dataset(command));
        window.step();
    };
    send(&mut window, DatasetCommand::AskDeleteRound(1));
    wait_for(&mut window, "Delete round 1 from the project?");
    wait_for_part(&mut window, "A backup of the database is made first");
    assert!(rounds() == 2 && folder.is_dir(), "nothing is deleted yet");
    click(&mut window, "Delete");
    wait_for(&mut window, "Deleted");
    assert!(rounds() == 1 && !folder.exists());
    click(&mut window, "Close");

    let out = dir.path().join("to-train");
    send(&mut window, DatasetCommand::ExportTraining(TrainingFormat::Yolo, out.clone()));
    wait_for(&mut window, "Exported for training");
    assert!(out.join("data.yaml").is_file() && out.join("manifest.json").is_file());
    click(&mut window, "Close");
    // A non-empty folder is refused with the reason.
    send(&mut window, DatasetCommand::ExportTraining(TrainingFormat::Coco, out));
    wait_for(&mut window, "This did not work");
}

#[test]
fn detections_are_shown_with_their_classes_before_they_are_taken() {
    let dir = tempfile::tempdir().unwrap();
    let project = app_project::make_with(dir.path(), 4, 0, &["face", "animal"]);
    let rounds = || Store::open_read_only(&project.database()).unwrap().rounds().unwrap().len();
    let name = Store::open_read_only(&project.database()).unwrap().images().unwrap()[0].name.clone();
    let file = dir.path().join("detector.json");
    let record = |category: u8, x: u32| {
        format!(
            "{{\"file_name\": \"{name}\", \"category_id\": {category}, \"bbox\": [{x}, 10, 40, 40], \"score\": 0.9}}"
        )
    };
    std::fs::write(&file, format!("[{}, {}]", record(1, 300), record(2, 200))).unwrap();
    let mut window = window(Screen::Project, Some(project.dir()));
    wait_for(&mut window, "Import detections…");
    window.input_mut().dropped_files.push(std::sync::Arc::new(Dropped(file)));
    wait_for(&mut window, "Class 2");
    click(&mut window, "Try it");
    wait_for_part(&mut window, "Would import a round of detector: 2 detections");
    assert_eq!(rounds(), 0);
    window.run_steps(3);
    window.get_by_role_and_label(Role::Button, "Import").click_accesskit();
    wait_until(&mut window, "the round", || rounds() == 1);
    let classes = || -> Vec<ClassId> {
        let store = Store::open_read_only(&project.database()).unwrap();
        let of_image = |image: ImageId| store.detections(store.rounds().unwrap()[0].id, image).unwrap();
        let found = store.images().unwrap().into_iter().flat_map(|image| of_image(image.id));
        found.map(|detection| detection.class).collect()
    };
    // The round appears before its detections.
    wait_until(&mut window, "the detections", || classes().len() == 2);
    let store = Store::open_read_only(&project.database()).unwrap();
    let named = |name: &str| store.class_by_name(name).unwrap().unwrap();
    assert_eq!(classes(), [named("face"), named("animal")], "COCO counts from 1");
}

/// The Train screen lists the rounds of other detectors too: they are rounds of the project and have its numbers.
#[test]
fn the_train_screen_lists_imported_rounds_with_their_detector() {
    let dir = tempfile::tempdir().unwrap();
    let project = tested_models(dir.path());
    let mut window = window(Screen::Train, Some(project.dir()));
    wait_for(&mut window, "Round 3");
    wait_for(&mut window, "Round 1 (first, its round 1)");
    wait_for(&mut window, "Round 2 (second, its round 1)");
    assert!(window.query_by_label("None yet.").is_none());
}

/// A drop has one meaning: on the Curves screen a text file is a curve and nothing else, and a dataset is previewed as everywhere.
#[test]
fn a_curve_dropped_on_the_curves_screen_is_only_a_curve() {
    let dir = tempfile::tempdir().unwrap();
    let project = app_project::make(dir.path(), 2, 1);
    let curve = dir.path().join("otherDiscROC.txt");
    std::fs::write(&curve, "0.9 120 0.1\n0.7 20 0.5\n0.4 3 0.9\n").unwrap();
    let mut window = window(Screen::Curves, Some(project.dir()));
    wait_for(&mut window, "Discrete score");
    let drop = |window: &mut Window, path: PathBuf| {
        window.input_mut().dropped_files.push(std::sync::Arc::new(Dropped(path)));
        window.step();
    };
    drop(&mut window, curve);
    wait_for(&mut window, "Take out");
    window.run_steps(20);
    assert!(window.query_by_label("Try it").is_none(), "no window for detections");
    assert!(window.query_by_label("Dismiss error").is_none());
    drop(&mut window, dir.path().join("pictures"));
    wait_for_part(&mut window, "this dataset?");
    assert!(window.query_by_label("Dismiss error").is_none(), "a folder is no curve");
}

/// A model dropped onto the window is previewed with its classes and counts before a round is created.
#[test]
fn a_model_is_shown_with_its_classes_before_it_is_run() {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("QUARRY_ONNXRUNTIME").is_none() && !manifest.join(".onnxruntime/libonnxruntime.so").exists() {
        println!("SKIPPED: ONNX Runtime is not installed (make setup); no model was run");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let project = app_project::make_with(dir.path(), 4, 0, &["red", "animal"]);
    let rounds = || Store::open_read_only(&project.database()).unwrap().rounds().unwrap();
    let mut window = window(Screen::Project, Some(project.dir()));
    wait_for(&mut window, "Mine a model…");
    let model = manifest.join("tests/fixtures/models/cells.onnx");
    window.input_mut().dropped_files.push(std::sync::Arc::new(Dropped(model)));
    wait_for(&mut window, "What it finds on 4 images of the project:");
    // `red` is a class of the project; `green` is excluded until the user maps it.
    wait_for(&mut window, "green");
    assert_eq!(rounds().len(), 0, "nothing is written before it is taken");
    window.run_steps(3);
    window.get_by_role_and_label(Role::Button, "Mine").click_accesskit();
    let is_mined = || rounds().first().is_some_and(|round| round.state == RoundState::Mined);
    wait_until(&mut window, "the round", is_mined);
    let model = rounds().remove(0).imported.unwrap();
    assert_eq!((model.name.as_str(), model.round), ("cells", 1));
}

#[derive(Debug)]
struct Dropped(PathBuf);

impl egui::DroppedFile for Dropped {
    fn path(&self) -> &Path {
        &self.0
    }

    fn bytes(&self) -> Result<Vec<u8>, String> {
        std::fs::read(&self.0).map_err(|error| error.to_string())
    }
}

/// The queue shows the content of the share.
#[test]
fn a_share_of_the_queue_is_chosen_in_the_filter() {
    use quarry::app::command::{ReviewCommand, ReviewFilter};
    let dir = tempfile::tempdir().unwrap();
    let project = app_project::make(dir.path(), 12, 1);
    let shares = quarry::domain::Shares::new(&["Ada".to_owned(), "Ben".to_owned()], 0).unwrap();
    let mut store = project.open_store().unwrap();
    store.set_shares(Some(&shares)).unwrap();
    let held =
        store.count_candidates(&CandidateQuery { share: Some(shares.of("Ada")), ..CandidateQuery::default() }).unwrap();
    assert!(held > 0 && held < 36, "{held}");
    let mut window = window(Screen::Review, Some(project.dir()));
    wait_for_part(&mut window, "36 candidates");
    for (name, count) in [("Ada", held), ("Ben", 36 - held), ("Cem", 0)] {
        let filter = ReviewFilter { share: Some(name.to_owned()), ..ReviewFilter::default() };
        window.state_mut().as_mut().unwrap().push(Command::Review(ReviewCommand::SetFilter(filter)));
        wait_for_part(&mut window, &format!("Share of {name}"));
        wait_for_part(&mut window, &format!("{count} candidates"));
    }
    let filter = ReviewFilter { share: Some("Ben".to_owned()), ..ReviewFilter::default() };
    window.state_mut().as_mut().unwrap().push(Command::Review(ReviewCommand::SetFilter(filter)));
    wait_for_part(&mut window, &format!("{} candidates", 36 - held));
    drop(window);
    // The stored filter is active from the first page on.
    let mut window = window::window(Screen::Review, Some(project.dir()));
    run_until(&mut window, "a first count", |window| first_count(window).is_some());
    assert_eq!(first_count(&window), Some(format!("{} candidates", 36 - held)));
}

/// The first text that ends with `candidates` and begins with how many.
fn first_count(window: &Window) -> Option<String> {
    let nodes = window.query_all_by_label_contains(" candidates");
    let mut texts = nodes.filter_map(|node| node.accesskit_node().label().or_else(|| node.accesskit_node().value()));
    texts.find(|text| text.starts_with(|first: char| first.is_ascii_digit()))
}
