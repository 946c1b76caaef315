//! The package in a clean root: it is unpacked, gets its libtorch, and does the first steps with the sample.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use quarry::dataset::sample::{self, SampleConfig};

use super::{built, done, root, said};

/// A libtorch that `quarry setup --from` takes: the one that these tests are linked to.
fn libtorch() -> Option<PathBuf> {
    let folder = std::env::var_os("LIBTORCH").map_or_else(|| root().join(".libtorch"), PathBuf::from);
    let is_ours = folder.join(".complete").is_file();
    if !is_ours {
        println!(
            "SKIPPED: {} was not made by `make setup`: the package was not tried with a libtorch",
            folder.display()
        );
    }
    is_ours.then_some(folder)
}

/// Runs an installed Quarry as a user who has nothing else.
fn installed(quarry: &Path, home: &Path) -> Command {
    let mut command = Command::new(quarry);
    command.env_clear().env("HOME", home).env("PATH", "/usr/bin:/bin").current_dir(home);
    command
}

#[test]
fn the_package_works_in_a_clean_root() {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let (out, home) = (dir.path().join("out"), dir.path().join("home"));
    fs::create_dir(&home).unwrap();
    let mut pack = Command::new(root().join("scripts/package.sh"));
    done(pack.arg(&out).arg(built().parent().unwrap()).arg("tar").env("QUARRY_GZIP", "-1"));
    let archive = fs::read_dir(&out)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|e| e == "gz"));
    done(Command::new("tar").arg("-xzf").arg(archive.unwrap()).arg("--strip-components=1").arg("-C").arg(dir.path()));
    for file in [
        "lib/quarry/libquarry.so",
        "share/applications/quarry.desktop",
        "share/icons/hicolor/scalable/apps/quarry.svg",
        "share/bash-completion/completions/quarry",
        "share/zsh/site-functions/_quarry",
        "share/fish/vendor_completions.d/quarry.fish",
        "share/man/man1/quarry.1",
        "share/man/man1/quarry-evaluate-fddb.1",
        "share/doc/quarry/LICENSE-MIT",
        "share/doc/quarry/docs/review.png",
    ] {
        assert!(dir.path().join(file).is_file(), "{file} is not in the package");
    }
    let quarry = dir.path().join("bin/quarry");

    // Without libtorch everything light works, and the rest says what to do.
    done(installed(&quarry, &home).args(["new", "p"]));
    let refused = installed(&quarry, &home).args(["train", "--project", "p", "--preset", "cpu"]).output().unwrap();
    assert_eq!(refused.status.code(), Some(1));
    assert!(said(&refused).contains("quarry setup"), "{}", said(&refused));

    let Some(libtorch) = libtorch() else { return };
    let nothing = installed(&quarry, &home).args(["setup", "--from"]).arg(&out).output().unwrap();
    assert!(said(&nothing).contains("there is no libtorch"), "{}", said(&nothing));
    let set_up = done(installed(&quarry, &home).args(["setup", "--from"]).arg(&libtorch));
    assert!(said(&set_up).contains("is installed"), "{}", said(&set_up));
    let again = done(installed(&quarry, &home).args(["setup", "--from"]).arg(&libtorch));
    assert!(said(&again).contains("is already installed"), "{}", said(&again));
    let doctor = done(installed(&quarry, &home).args(["doctor", "--json"]));
    let doctor: serde_json::Value = serde_json::from_slice(&doctor.stdout).unwrap();
    let folder = home.join(".local/share/quarry/libtorch/lib");
    assert_eq!(doctor["libtorch"]["folder"], serde_json::json!(folder), "{}", doctor["libtorch_error"]);
    first_steps(&quarry, &home);
}

/// Trains on a small sample and mines it, with the installed program alone.
fn first_steps(quarry: &Path, home: &Path) {
    let config = SampleConfig { scenes: 10, ..SampleConfig::default() };
    sample::write(&home.join("FDDB"), &config, &mut |_| {}).unwrap();
    fs::remove_file(home.join("FDDB/decoys.tsv")).unwrap();
    let run = |line: &str| done(installed(quarry, home).args(line.split(' ')));
    run("import auto FDDB --project p");
    run("train --project p --preset sample --set iterations=2 --test-folds 9-10");
    run("mine --project p");
    let status: serde_json::Value = serde_json::from_slice(&run("status --project p --json").stdout).unwrap();
    assert_eq!(status["rounds"][0]["state"], "mined", "{status}");
    run("evaluate round 1 --project p");
    run("export ground-truth --project p --format coco --out ground-truth.json");
    let truth: serde_json::Value = serde_json::from_slice(&fs::read(home.join("ground-truth.json")).unwrap()).unwrap();
    assert_eq!(truth["images"].as_array().map(Vec::len), Some(10));
}
