//! `round.toml` from outside: presets, round trips, errors that name file, line, key and the nearest known key.

use quarry::training::{DOCUMENTED, DOCUMENTED_SECTIONS, PRESETS, RoundConfig, meaning};

fn error_of(text: &str) -> String {
    RoundConfig::from_toml(text, "round.toml").expect_err(text).to_string()
}

#[test]
fn the_default_is_the_papers() {
    let config = RoundConfig::from_toml("", "round.toml").unwrap();
    assert_eq!(config, RoundConfig::preset("paper").unwrap());
    let schedule = config.lr_schedule();
    let rates: Vec<f64> = [0, 49_999, 50_000, 69_999].map(|step| schedule.lr(step)).to_vec();
    for (rate, expected) in rates.iter().zip([0.001, 0.001, 0.0001, 0.0001]) {
        assert!((rate - expected).abs() < 1e-12, "{rates:?}");
    }
    assert_eq!((config.iterations, config.detector.shorter_side, config.flip), (70_000, 600, 0.5));
    assert_eq!(
        (config.sampler.fg_iou, config.sampler.bg_iou, config.sampler.positive_fraction),
        (0.5, (0.1, 0.5), 0.25)
    );
}

#[test]
fn every_preset_is_sound_and_survives_its_file() {
    for (name, _) in PRESETS {
        let config = RoundConfig::preset(name).unwrap();
        config.check().unwrap();
        config.detector.validate().unwrap();
        let text = config.to_toml();
        let back = RoundConfig::from_toml(&text, "round.toml").unwrap_or_else(|e| panic!("{name}: {e}\n{text}"));
        assert_eq!(back, config, "{text}");
        for (key, meaning) in DOCUMENTED.iter().chain(DOCUMENTED_SECTIONS) {
            let name = key.rsplit('.').next().unwrap_or(key);
            let line = format!("\n# {meaning}\n{name} = ");
            assert!(text.contains(&line), "{key} is missing or without its comment in\n{text}");
        }
        let fewest = config.iterations / config.checkpoint_every;
        assert!(10 <= fewest, "{name} leaves {fewest} checkpoints");
    }
}

#[test]
fn every_key_is_documented_and_nothing_else_is() {
    let mut keys = Vec::new();
    leaves("", &toml::Table::try_from(RoundConfig::default()).unwrap(), &mut keys);
    for key in &keys {
        assert!(meaning(key).is_some(), "{key} has no comment");
    }
    for (key, _) in DOCUMENTED.iter().chain(DOCUMENTED_SECTIONS) {
        assert!(keys.iter().any(|known| known == key), "{key} is no setting");
    }
}

fn leaves(path: &str, table: &toml::Table, keys: &mut Vec<String>) {
    for (key, value) in table {
        let full = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        match value {
            toml::Value::Table(inner) => leaves(&full, inner, keys),
            _ => keys.push(full),
        }
    }
}

#[test]
fn curves_grow_while_the_presets_train() {
    for (name, _) in PRESETS {
        let config = RoundConfig::preset(name).unwrap();
        let tests = config.iterations.checked_div(config.evaluate_every);
        assert!(tests.is_some_and(|tests| 2 <= tests), "{name} is tested {tests:?} times");
    }
}

#[test]
fn settings_from_before_mining_had_its_own_mean_what_they_did() {
    let config = RoundConfig::preset("cpu").unwrap();
    let text = config.to_toml();
    let old = &text[..text.find("\n[mining]").unwrap()];
    let old = format!("{old}{}", &text[text.find("\n[sampler]").unwrap()..]);
    assert_eq!(RoundConfig::from_toml(&old, "round.toml").unwrap(), config);
    let mining = config.mining;
    assert_eq!((mining.score_threshold, mining.nms_iou, mining.max_detections), (0.05, 0.5, 100));
}

#[test]
fn what_a_round_can_go_on_with_is_told_from_what_it_cannot() {
    let own = RoundConfig::preset("cpu").unwrap();
    let check = |text: &str, binding: &[&str]| {
        let asked = own.changed_by(text, "round.toml").unwrap();
        let found: Vec<String> = own.binding_differences(&asked).into_iter().map(|d| d.key).collect();
        assert_eq!(found, binding, "{text}");
    };
    check(
        "base_lr = 0.001\nlr_factor = 0.5\nmilestones = [0.5]\nwarmup = 0.2\nwarmup_factor = 0.5\nclip_norm = 1\nmax_loss = 5",
        &[],
    );
    check("device = \"cpu\"\nworkers = 3\nevaluate_every = 5\ncheckpoint_every = 5\n[mining]\nmax_detections = 5", &[]);
    check("momentum = 0.5\nbase_lr = 0.5", &["momentum"]);
    check("iterations = 9\nhard_negatives = \"none\"", &["hard_negatives", "iterations"]);
    check("[sampler]\nfg_iou = 0.6", &["sampler.fg_iou"]);
}

#[test]
fn one_number_stretches_the_schedule() {
    let config = RoundConfig::from_toml("iterations = 700", "round.toml").unwrap();
    let schedule = config.lr_schedule();
    assert_eq!(schedule.milestones, [500]);
    let sample = RoundConfig::from_toml("preset = \"sample\"\niterations = 1400", "round.toml").unwrap().lr_schedule();
    assert_eq!((sample.warmup, sample.milestones), (140, vec![1050]));
    let every = |text: &str| RoundConfig::from_toml(text, "round.toml").unwrap().checkpoint_every;
    assert_eq!(every("iterations = 700"), 70, "ten checkpoints are left");
    assert_eq!(every("iterations = 5"), 1);
    assert_eq!(every("iterations = 700\ncheckpoint_every = 300"), 300, "who says so gets fewer");
    assert_eq!(every("iterations = 700000"), 1000);
}

#[test]
fn values_are_laid_over_the_preset() {
    let text = "preset = \"cpu\"\nbase_lr = 1\n\n[sampler]\nkind = \"ohem\"\nbg_iou = [0, 0.5]\n[detector.anchors]\nratios = [1, 2]\n";
    let config = RoundConfig::from_toml(text, "round.toml").unwrap();
    let expected = [
        "base_lr 0.01 -> 1.0",
        "detector.anchors.ratios [1.2, 1.6] -> [1.0, 2.0]",
        "sampler.bg_iou [0.1, 0.5] -> [0.0, 0.5]",
        "sampler.kind \"random\" -> \"ohem\"",
    ];
    let found: Vec<String> = RoundConfig::preset("cpu")
        .unwrap()
        .differences(&config)
        .into_iter()
        .map(|d| format!("{} {} -> {}", d.key, d.before, d.after))
        .collect();
    assert_eq!(found, expected);
    let other = RoundConfig::from_toml("[detector]\narchitecture = \"vgg16\"\nshorter_side = 500\n", "f").unwrap();
    assert_eq!((other.detector.roi.hidden, other.detector.shorter_side), (4096, 500));
}

#[test]
fn mistakes_are_named_with_line_and_nearest_key() {
    let check = |text: &str, expected: &[&str]| {
        let message = error_of(text);
        for part in expected {
            assert!(message.contains(part), "{message:?} lacks {part:?}");
        }
    };
    check("seed = 1\nbase_learning = 3\n", &["round.toml:2", "`base_learning`", "`base_lr`"]);
    check("seed = 1\n\n[sampler]\nfg_iuo = 0.6\n", &["round.toml:4", "`sampler.fg_iuo`", "`sampler.fg_iou`"]);
    check("\nseed = \"one\"", &["round.toml:2", "`seed`", "an integer", "a string"]);
    check("seed = -4", &["round.toml:1", "`seed`"]);
    check("flip = 1.5", &["round.toml:1", "`flip`", "1.5"]);
    check("hard_negatives = \"some\"", &["round.toml:1", "`hard_negatives`", "unreviewed"]);
    check("\n\nseed = = 1", &["round.toml:3", "TOML"]);
    check("preset = \"papper\"", &["round.toml:1", "`paper`"]);
    check("seed = 1\n[detector]\narchitecture = \"resnet51\"", &["round.toml:3", "resnet50-half-fpn"]);
    check("seed = 1\n[detector]\nshorter_side = 900\nlonger_side_cap = 800", &["detector", "longer_side_cap"]);
    check("train_folds = [1, 2]\ntest_folds = [2]", &["round.toml:1", "fold 2"]);
    check("schedule = \"cosine\"\nmilestones = [0.5]", &["round.toml:2", "`milestones`"]);
    check("warmup = 0.9", &["round.toml:1", "milestones"]);
    check("\n[sampler]\nfg_iou = 0.3", &["round.toml:", "`sampler.bg_iou`", "fg_iou"]);
    check("iterations = 0", &["round.toml:1", "at least 1"]);
    check("momentum = 1.0", &["`momentum`"]);
    check("[sampler]\nrpn_bg_iou = 0.8", &["round.toml:2", "`sampler.rpn_bg_iou`", "rpn_fg_iou"]);
    check("[sampler]\nrpn_fg_iou = 1.5", &["round.toml:2", "`sampler.rpn_fg_iou`", "within 0 and 1"]);
    check("[sampler]\nrpn_positive_fraction = -1", &["`sampler.rpn_positive_fraction`"]);
    check("[sampler]\nbatch_per_image = 0", &["`sampler.batch_per_image`", "at least 1"]);
    check("[sampler]\nrpn_batch_per_image = 0", &["`sampler.rpn_batch_per_image`", "at least 1"]);
    check("[mining]\nscore_threshold = 2", &["`mining.score_threshold`"]);
    check("[mining]\nmax_detections = 0", &["`mining.max_detections`"]);
    check("[mining]\nmax_detection = 1", &["`mining.max_detections`"]);
}

#[test]
fn folds_are_split() {
    let config = RoundConfig::from_toml("test_folds = [8]\ntrain_folds = [1, 2]", "f").unwrap();
    assert!(config.trains_on(Some(1)) && config.trains_on(None) && config.tests_on(Some(8)));
    assert!(!config.trains_on(Some(8)) && !config.trains_on(Some(3)) && !config.tests_on(None));
    let all = RoundConfig::from_toml("test_folds = [8]", "f").unwrap();
    assert!(all.trains_on(Some(3)) && !all.trains_on(Some(8)));
}

#[test]
fn a_round_is_tested_on_folds_or_on_a_dataset() {
    let config = RoundConfig::from_toml("test_dataset = \"FDDB\"", "round.toml").unwrap();
    assert!(config.test_folds.is_empty(), "the preset's test fold is meant for folds");
    assert_eq!(RoundConfig::from_toml(&config.to_toml(), "round.toml").unwrap(), config);
    let both = error_of("test_dataset = \"FDDB\"\ntest_folds = [8]");
    assert!(both.contains("round.toml:2") && both.contains("`FDDB`"), "{both}");
}
