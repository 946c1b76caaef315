//! Detection and mining in shards: the merged result equals that of one machine.

use std::path::{Path, PathBuf};
use std::process::{Command, Output as Ran};

use quarry::domain::{Cancel, Output};
use quarry::workflow::Project;
use quarry::workflow::detect::{DetectRequest, DetectionFormat, detect};
use quarry::workflow::mine::{MineReport, MineRequest, mine};
use quarry::workflow::shards::{
    Shard, ShardMergeReport, ShardMergeRequest, ShardMergeResult, detect_shard, merge, mine_shard,
};

use super::resume::{candidates, copy, trained};

fn run_shard(project: &Project, number: u32, of: u32, out: &Path) -> (PathBuf, bool) {
    let shard = Shard::new(number, of).unwrap();
    let project = Project::open_to_read(project.dir()).unwrap();
    let out = Output::new(out, false);
    let report = mine_shard(&project, &MineRequest::default(), shard, &out, &mut |_| {}, &Cancel::new()).unwrap();
    (report.out, report.was_done)
}

fn merged(project: &Project, shards: &[&Path]) -> Result<ShardMergeReport, String> {
    let request = ShardMergeRequest {
        shards: shards.iter().map(|path| path.to_path_buf()).collect(),
        project: Some(project.clone()),
        out: None,
        format: DetectionFormat::Fddb,
        ellipses: false,
    };
    merge(&request, &mut |_| {}, &Cancel::new()).map_err(|e| e.to_string())
}

fn of_round(report: &ShardMergeReport) -> &MineReport {
    match &report.result {
        ShardMergeResult::Mined(report) => report,
        other => panic!("{other:?}"),
    }
}

/// Returns every file below a folder with its bytes, except the lock.
fn files(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            all.extend(files(&path));
        } else if !path.ends_with("training.lock") {
            all.push((path.clone(), std::fs::read(path).unwrap()));
        }
    }
    all.sort();
    all
}

#[test]
fn shards_merged_in_any_order_and_twice_are_what_plain_mining_finds() {
    let dir = tempfile::tempdir().unwrap();
    let project = trained(dir.path(), 32);
    copy(project.dir(), &dir.path().join("whole"));
    let whole = Project::open(&dir.path().join("whole")).unwrap();
    let report = mine(&whole, None, &mut |_| {}, &Cancel::new()).unwrap();
    let expected = candidates(&whole);

    // While another program works on the project, and without leaving a trace.
    let before = files(project.dir());
    assert!(before.iter().any(|(path, _)| path.ends_with("quarry.db")));
    let lock = project.lock("training").unwrap();
    let out = dir.path().join("shards");
    let shards: Vec<PathBuf> = (1..=5).map(|number| run_shard(&project, number, 5, &out).0).collect();
    drop(lock);
    assert!(files(project.dir()) == before, "the project is only read");
    let bytes = std::fs::read(&shards[3]).unwrap();
    assert!(run_shard(&project, 4, 5, &out).1, "done before");
    std::fs::write(&shards[3], &bytes[..bytes.len() / 2]).unwrap();
    let refused = merged(&project, &[&out]).unwrap_err();
    assert!(refused.contains("shard-4-of-5.jsonl") && refused.contains("Run the shard 4/5 again"), "{refused}");
    assert!(candidates(&project).is_empty(), "nothing is taken of a run with a broken file");
    assert!(!run_shard(&project, 4, 5, &out).1, "half a file is written again");
    assert_eq!(std::fs::read(&shards[3]).unwrap(), bytes, "with the same bytes");

    let part = merged(&project, &[&shards[3], &shards[0]]).unwrap();
    assert_eq!((part.missing.clone(), part.missing_in_words().as_str()), (vec![2, 3, 5], "2, 3, 5 of 5"));
    let some = candidates(&project);
    assert!(!some.is_empty() && some.len() < expected.len() && some.iter().all(|c| expected.contains(c)));
    // One file after the other, the last ones together with an already merged one.
    assert_eq!(merged(&project, &[&shards[1]]).unwrap().missing, [3, 5]);
    let last = merged(&project, &[&shards[4], &shards[3], &shards[2]]).unwrap();
    for _ in 0..2 {
        assert_eq!(candidates(&project), expected);
        assert_eq!(MineReport { resumed: 0, ..of_round(&last).clone() }, MineReport { resumed: 0, ..report.clone() });
        let again = merged(&project, &[&out]).unwrap();
        assert_eq!((again.missing.len(), of_round(&again).resumed), (0, report.images));
    }
    let again = mine(&project, None, &mut |_| {}, &Cancel::new()).unwrap();
    assert_eq!((again.resumed, candidates(&project)), (0, expected));
}

#[test]
fn a_shard_of_another_run_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let project = trained(&dir.path().join("one"), 16);
    let other = trained(&dir.path().join("two"), 24);
    let (out, others) = (dir.path().join("shards"), dir.path().join("others"));
    let own = run_shard(&project, 1, 2, &out).0;
    let check = |shards: &[&Path], expected: &[&str]| {
        let message = merged(&project, shards).unwrap_err();
        assert!(expected.iter().all(|part| message.contains(part)), "{message}");
        assert!(candidates(&project).is_empty());
    };
    let foreign = run_shard(&other, 2, 2, &others).0;
    check(
        &[&own, &foreign],
        &["others/round-1-shard-2-of-2.jsonl", "does not belong to the same run", "another checkpoint"],
    );
    check(&[&foreign], &["does not belong to round 1 as this project has it"]);
    check(&[&run_shard(&project, 2, 3, &others).0, &own], &["another number of shards"]);
    let text = std::fs::read_to_string(&own).unwrap();
    let image = "0".repeat(60);
    std::fs::write(&own, text.replacen(&image, &"7".repeat(60), 1)).unwrap();
    check(&[&own], &["half written or was changed"]);
    check(&[dir.path()], &["no shard files here"]);
    check(&[&dir.path().join("gone.jsonl")], &["gone.jsonl"]);
    let missing_project = ShardMergeRequest {
        shards: vec![foreign],
        project: None,
        out: None,
        format: DetectionFormat::Fddb,
        ellipses: false,
    };
    let message = merge(&missing_project, &mut |_| {}, &Cancel::new()).unwrap_err().to_string();
    assert!(message.contains("--project"), "{message}");
}

#[test]
fn a_list_in_shards_gives_the_file_that_one_run_writes() {
    let dir = tempfile::tempdir().unwrap();
    let project = trained(dir.path(), 10);
    std::fs::write(dir.path().join("pictures/scene_3.png"), "no image").unwrap();
    let request = |out: PathBuf, format| DetectRequest {
        checkpoint: project.run_dir(1),
        images: dir.path().join("pictures"),
        root: None,
        out: Output::new(out, false),
        format,
        ellipses: false,
        scale: None,
        precision: None,
        device: "cpu".to_owned(),
    };
    let shards = dir.path().join("shards");
    for number in [3, 1, 2] {
        let shard = Shard::new(number, 3).unwrap();
        detect_shard(&request(shards.clone(), DetectionFormat::Fddb), shard, &mut |_| {}, &Cancel::new()).unwrap();
    }
    for (format, name) in [(DetectionFormat::Fddb, "a.txt"), (DetectionFormat::Coco, "a.json")] {
        let plain = detect(&request(dir.path().join(name), format), &mut |_| {}, &Cancel::new()).unwrap();
        let out = dir.path().join(format!("merged-{name}"));
        let merged = ShardMergeRequest {
            shards: vec![shards.clone()],
            project: None,
            out: Some(Output::new(&out, false)),
            format,
            ellipses: false,
        };
        let report = merge(&merged, &mut |_| {}, &Cancel::new()).unwrap();
        let ShardMergeResult::Detected(found) = report.result else { panic!("{:?}", report.result) };
        assert_eq!((found.images, found.detections), (plain.images, plain.detections));
        assert_eq!(found.unreadable, ["scene_3"]);
        assert!(std::fs::read(&out).unwrap() == std::fs::read(&plain.out).unwrap(), "{name}");
        assert!(merge(&merged, &mut |_| {}, &Cancel::new()).is_err(), "another file is replaced only with leave");
    }
    std::fs::remove_file(shards.join("detections-shard-2-of-3.jsonl")).unwrap();
    let merged = ShardMergeRequest {
        shards: vec![shards],
        project: None,
        out: Some(Output::new(dir.path().join("part.txt"), false)),
        format: DetectionFormat::Fddb,
        ellipses: false,
    };
    let message = merge(&merged, &mut |_| {}, &Cancel::new()).unwrap_err().to_string();
    assert!(message.contains("shards 2 of 3 are missing") && !dir.path().join("part.txt").exists(), "{message}");
}

fn shell(dir: &Path, script: &str) -> Ran {
    let bin = Path::new(env!("CARGO_BIN_EXE_quarry")).parent().unwrap();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let mut command = Command::new("bash");
    command.args(["-euo", "pipefail", "-c", script]).current_dir(dir).env("PATH", path).env("OMP_NUM_THREADS", "1");
    command.output().unwrap()
}

/// Returns the shell blocks of docs/shards.md that start with a comment containing `word`.
fn documented(word: &str) -> String {
    let text = include_str!("../../docs/shards.md");
    let blocks: Vec<&str> = text.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    let found = blocks.iter().find(|block| block.lines().next().unwrap().contains(word));
    (*found.unwrap_or_else(|| panic!("docs/shards.md has no example of {word}"))).to_owned()
}

#[test]
fn the_documented_gnu_parallel_example_works_and_starts_a_failed_shard_again() {
    let dir = tempfile::tempdir().unwrap();
    if !shell(dir.path(), "parallel --version").status.success() {
        println!("SKIPPED: GNU parallel is not installed, so the example of docs/shards.md was not run");
        return;
    }
    let project = trained(dir.path(), 16);
    copy(project.dir(), &dir.path().join("faces"));
    let faces = Project::open(&dir.path().join("faces")).unwrap();
    assert!(shell(dir.path(), "quarry mine --project p").status.success());
    let script = documented("GNU parallel").replace("64", "4");
    // The images are missing at first: every shard fails and says so.
    std::fs::rename(dir.path().join("pictures"), dir.path().join("away")).unwrap();
    let failed = shell(dir.path(), &script);
    assert!(!failed.status.success());
    assert!(String::from_utf8_lossy(&failed.stderr).contains("Mount or restore it"), "{failed:?}");
    std::fs::rename(dir.path().join("away"), dir.path().join("pictures")).unwrap();
    let ran = shell(dir.path(), &script);
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    assert_eq!(candidates(&faces), candidates(&project));
}

#[test]
fn the_loops_of_the_documented_cluster_jobs_work() {
    let dir = tempfile::tempdir().unwrap();
    let project = trained(dir.path(), 16);
    copy(project.dir(), &dir.path().join("faces"));
    let faces = Project::open(&dir.path().join("faces")).unwrap();
    assert!(shell(dir.path(), "quarry mine --project p").status.success());
    // What Slurm and Kubernetes would set, and the command lines that they would run, as on the page.
    let text = include_str!("../../docs/shards.md");
    let line =
        |word: &str| text.lines().find(|line| line.contains(word) && line.contains("quarry mine")).unwrap().trim();
    let of_slurm = line("SLURM_ARRAY_TASK_ID").replace("64", "4").replace("srun ", "");
    let of_kubernetes = line("JOB_COMPLETION_INDEX").replace("64", "4").replace("/data/", "");
    let of_kubernetes = of_kubernetes.trim_start_matches(['-', ' ', '>']);
    for (variable, numbers, command) in
        [("SLURM_ARRAY_TASK_ID", 1..3, of_slurm.as_str()), ("JOB_COMPLETION_INDEX", 2..4, of_kubernetes)]
    {
        for number in numbers {
            let ran = shell(dir.path(), &format!("export {variable}={number}\n{command}"));
            assert!(ran.status.success(), "{command}: {}", String::from_utf8_lossy(&ran.stderr));
        }
    }
    let merged = shell(dir.path(), "quarry merge shards --project faces");
    assert!(merged.status.success(), "{}", String::from_utf8_lossy(&merged.stderr));
    assert_eq!(candidates(&faces), candidates(&project));
    std::fs::remove_file(dir.path().join("shards/round-1-shard-3-of-4.jsonl")).unwrap();
    let again = shell(dir.path(), "quarry merge shards --project p");
    assert!(again.status.success(), "all images are in: {}", String::from_utf8_lossy(&again.stderr));
}
