//! `scripts/experiment.sh` with a stand-in for the program: which rounds it trains, with which settings.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use quarry::detector::{BoxLoss, Precision, SamplerKind};
use quarry::domain::{HardNegativeSource, RoundInit};
use quarry::training::RoundConfig;

use super::{done, root, said};

/// Keeps the list of rounds in the project's folder and trains nothing. Round 2 of the project named by FAILS fails. With MEET, a second
/// round waits until another one runs, and notes that it did.
const STAND_IN: &str = r#"#!/usr/bin/env python3
import json, os, sys, time
words = sys.argv[1:]
project = words[words.index("--project") + 1] if "--project" in words else words[1]
file = os.path.join(project, "state.json")
rounds = json.load(open(file)) if os.path.exists(file) else []
if words[0] == "new":
    os.makedirs(project)
elif words[0] == "status":
    print(json.dumps({"rounds": rounds}))
elif words[0] == "train":
    if len(rounds) == 1:
        if os.environ.get("FAILS") == os.path.basename(project):
            sys.exit("stand-in: this round fails")
        meet = os.environ.get("MEET")
        if meet:
            open(os.path.join(meet, os.path.basename(project)), "w")
            for _ in range(600):
                if len(os.listdir(meet)) > 1:
                    break
                time.sleep(0.1)
            else:
                sys.exit("stand-in: no other round came")
    rounds.append({"round": len(rounds) + 1, "state": "trained", "confirmed": 0, "rejected": 0, "missed_faces": 0})
elif words[0] == "mine":
    rounds[-1]["state"] = "mined"
if words[0] in ("train", "mine"):
    json.dump(rounds, open(file, "w"))
"#;

fn experiment(dir: &Path, settings: &[(&str, &str)]) -> Command {
    let stand_in = dir.join("quarry");
    fs::write(&stand_in, STAND_IN).unwrap();
    fs::set_permissions(&stand_in, fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = Command::new("bash");
    command.arg(root().join("scripts/experiment.sh")).arg(dir).arg(dir).arg(dir.join("out"));
    command.env("QUARRY", &stand_in).env("SEEDS", "1").env("PRECISION", "f32").envs(settings.iter().copied());
    command
}

fn settings(dir: &Path, file: &str) -> RoundConfig {
    RoundConfig::from_toml(&fs::read_to_string(dir.join("out").join(file)).unwrap(), file).unwrap()
}

#[test]
fn the_experiments_arms_have_the_settings_of_its_page() {
    let dir = tempfile::tempdir().unwrap();
    let output = done(&mut experiment(dir.path(), &[]));
    assert!(said(&output).contains("confirmed: 0 of 200 verdicts"), "{}", said(&output));
    let common = |seed: u64, init, hard_negatives| {
        let mut config = RoundConfig::preset("cpu").unwrap();
        (config.iterations, config.evaluate_every, config.checkpoint_every) = (1200, 0, 100);
        (config.seed, config.init, config.hard_negatives) = (seed, init, hard_negatives);
        config.test_splits = vec!["8".to_owned()];
        config.detector.precision = Precision::F32;
        config
    };
    let none = HardNegativeSource::None;
    assert_eq!(settings(dir.path(), "seed-1.toml"), common(1, RoundInit::Backbone, none));
    assert_eq!(settings(dir.path(), "seed-1-none.toml"), common(101, RoundInit::Previous, none));
    let mined = settings(dir.path(), "seed-1-unreviewed.round-3.toml");
    assert_eq!(mined, common(201, RoundInit::Previous, HardNegativeSource::Unreviewed));
    let mut ohem = common(201, RoundInit::Previous, none);
    ohem.sampler.kind = SamplerKind::Ohem;
    assert_eq!(settings(dir.path(), "seed-1-ohem.round-3.toml"), ohem);
    let is_there = |file: &str| dir.path().join("out").join(file).exists();
    assert!(is_there("seed-1-unreviewed.mine.json") && !is_there("seed-1-none.mine.json"));
    assert!(!is_there("seed-1-ohem.mine.json") && !is_there("seed-1-confirmed"));
}

#[test]
fn an_ablation_is_one_command_with_its_fold_arms_and_settings() {
    let dir = tempfile::tempdir().unwrap();
    let arms = [
        ("TEST_FOLD", "7"),
        ("TRAIN_FOLDS", "1 2 3"),
        ("ROUNDS", "2"),
        ("ARMS", "mined-ohem giou own"),
        ("MORE_ARMS", "own | unreviewed | ema=0.9 sampler.focal_gamma=2.0"),
    ];
    done(&mut experiment(dir.path(), &arms));
    let round = |arm: &str| settings(dir.path(), &format!("seed-1-{arm}.toml"));
    let (both, giou, own) = (round("mined-ohem"), round("giou"), round("own"));
    assert_eq!((both.sampler.kind, both.sampler.forced_fraction), (SamplerKind::MinedOhem, 0.25));
    assert_eq!(giou.sampler.box_loss, BoxLoss::Giou);
    assert_eq!((own.ema, own.sampler.focal_gamma, own.sampler.kind), (0.9, 2.0, SamplerKind::Random));
    for config in [both, giou, own, settings(dir.path(), "seed-1.toml")] {
        assert_eq!(
            (config.test_splits, config.train_splits),
            (vec!["7".to_owned()], ["1", "2", "3"].map(str::to_owned).to_vec())
        );
    }
    // Every arm of the table is sound.
    let all = "none unreviewed ohem all-background large quarter by-loss mined-ohem ema focal light giou remined";
    done(&mut experiment(dir.path(), &[("ROUNDS", "2"), ("ARMS", all)]));
    for arm in all.split(' ') {
        round(arm).check().unwrap();
    }
    let unknown = experiment(dir.path(), &[("ARMS", "nonsense")]).output().unwrap();
    assert!(!unknown.status.success() && said(&unknown).contains("no `nonsense`"), "{}", said(&unknown));
}

#[test]
fn several_rounds_are_trained_at_a_time_and_one_that_fails_stops_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let meet = tempfile::tempdir().unwrap();
    let settings = [("SEEDS", "1 2"), ("ARMS", "none ohem"), ("JOBS", "4"), ("ROUNDS", "2"), ("FAILS", "seed-2-ohem")];
    let output = experiment(dir.path(), &settings).env("MEET", meet.path()).output().unwrap();
    let text = said(&output);
    assert!(!output.status.success() && text.contains("seed-2-ohem: round-2 failed; see"), "{text}");
    let is_there = |file: &str| dir.path().join("out").join(file).exists();
    for arm in ["seed-1-none", "seed-2-none", "seed-1-ohem"] {
        assert!(is_there(&format!("{arm}.round-2.json")), "{arm}: {text}");
    }
    assert!(!is_there("seed-2-ohem.round-2.json"));
    let log = fs::read_to_string(dir.path().join("out/seed-2-ohem.round-2.log")).unwrap();
    assert!(log.contains("this round fails"), "{log}");
    done(&mut experiment(dir.path(), &settings[..4]));
    assert!(is_there("seed-2-ohem.round-2.json"));
}
