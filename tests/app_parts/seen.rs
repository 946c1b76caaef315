//! Keys only decide what is visible: they wait for the image and its objects, and an image that cannot be shown takes no verdict.

use std::time::Duration;

use egui::Key;
use quarry::app::command::Screen;
use quarry::domain::AnnotationSource;

use super::window::{counts, press, press_at_once, wait_for, wait_until, window};
use super::{app_project, objects};

#[test]
fn an_image_that_cannot_be_shown_takes_no_verdict_until_it_is_there_again() {
    let dir = tempfile::tempdir().unwrap();
    let project = app_project::make(dir.path(), 2, 1);
    let (here, away) = (dir.path().join("pictures"), dir.path().join("unmounted"));
    std::fs::rename(&here, &away).unwrap();
    let mut window = window(Screen::Review, Some(project.dir()));
    wait_for(&mut window, "1 of 6");
    wait_for(&mut window, "The image cannot be shown");
    for key in [Key::A, Key::X, Key::Num3, Key::F, Key::T] {
        press(&mut window, key);
        window.run_steps(3);
    }
    assert_eq!(counts(&project).undecided, 6);
    press(&mut window, Key::Space);
    wait_until(&mut window, "the skip", || counts(&project).skipped == 1);
    std::fs::rename(&away, &here).unwrap();
    // It is detected automatically within some time.
    let is_decided = (0..600).any(|_| {
        press(&mut window, Key::A);
        std::thread::sleep(Duration::from_millis(100));
        window.run_steps(3);
        counts(&project).confirmed > 0
    });
    assert!(is_decided);
}

#[test]
fn keys_that_come_before_the_image_are_done_when_it_is_there() {
    let dir = tempfile::tempdir().unwrap();
    let project = app_project::make(dir.path(), 40, 1);
    let mut window = window(Screen::Review, Some(project.dir()));
    wait_for(&mut window, "1 of 120");
    let keys: Vec<(Key, &str)> = (0..120).map(|n| if n % 2 == 0 { (Key::A, "a") } else { (Key::X, "x") }).collect();
    press_at_once(&mut window, &keys);
    wait_until(&mut window, "all verdicts", || counts(&project).undecided == 0);
    assert_eq!((counts(&project).confirmed, counts(&project).rejected), (60, 60));
}

#[test]
fn a_correction_waits_for_the_objects_that_the_one_before_changed() {
    let dir = tempfile::tempdir().unwrap();
    let project = app_project::make_with(dir.path(), 2, 1, &["face", "animal"]);
    let mut window = window(Screen::Review, Some(project.dir()));
    wait_for(&mut window, "1 of 6");
    let before = objects(&project);
    press_at_once(&mut window, &[(Key::I, "i"), (Key::I, "i"), (Key::I, "i"), (Key::Delete, "")]);
    let expected = || objects(&project).first().is_some_and(|o| o.0 == AnnotationSource::Edited && o.3 && o.4);
    wait_until(&mut window, "ignored, counted, ignored and deleted", expected);
    for _ in 0..4 {
        press(&mut window, Key::Backspace);
    }
    wait_until(&mut window, "everything undone", || objects(&project) == before);
}
