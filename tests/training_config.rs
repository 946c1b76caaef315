//! `round.toml` from outside: presets, round trips, errors that name file, line, key and the nearest known key.

use quarry::training::{DOCUMENTED, PRESETS, RoundConfig};

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
        for (key, _) in DOCUMENTED {
            assert!(text.contains(&format!("\n{key} = ")), "{key} is missing in\n{text}");
        }
    }
}

#[test]
fn every_top_level_key_is_documented() {
    let table = toml::Table::try_from(RoundConfig::default()).unwrap();
    for (key, value) in table {
        let documented = DOCUMENTED.iter().any(|(name, _)| *name == key);
        assert!(documented || value.is_table(), "{key} has no comment");
    }
}

#[test]
fn one_number_stretches_the_schedule() {
    let config = RoundConfig::from_toml("iterations = 700", "round.toml").unwrap();
    let schedule = config.lr_schedule();
    assert_eq!(schedule.milestones, [500]);
    let cpu = RoundConfig::from_toml("preset = \"cpu\"\niterations = 1400", "round.toml").unwrap().lr_schedule();
    assert_eq!((cpu.warmup, cpu.milestones), (140, vec![1050]));
}

#[test]
fn values_are_laid_over_the_preset() {
    let text = "preset = \"cpu\"\nbase_lr = 1\n\n[sampler]\nkind = \"ohem\"\nbg_iou = [0, 0.5]\n[detector.anchors]\nratios = [1, 2]\n";
    let config = RoundConfig::from_toml(text, "round.toml").unwrap();
    let expected = [
        "base_lr 0.01 -> 1.0",
        "detector.anchors.ratios [1.0, 1.5, 2.0] -> [1.0, 2.0]",
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
