//! Which libtorch `make setup` downloads: the script with a pip that only records its arguments. What CI reports about failed tests.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

/// The initial state: the installed variant, QUARRY_CUDA, and the driver's version if there is a GPU.
struct Machine {
    installed: Option<&'static str>,
    asked: Option<&'static str>,
    driver: Option<&'static str>,
}

fn program(dir: &Path, name: &str, text: &str) {
    let path = dir.join(name);
    fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// Returns whether the script succeeded, the list given to pip, and the output.
fn set_up(machine: &Machine) -> (bool, Option<String>, String) {
    let dir = tempfile::tempdir().unwrap();
    let (scripts, bin) = (dir.path().join("scripts"), dir.path().join("bin"));
    fs::create_dir_all(&bin).unwrap();
    fs::create_dir_all(&scripts).unwrap();
    let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts");
    for file in ["setup_libtorch.sh", "pip.sh", "libtorch_cpu.txt", "libtorch_cuda.txt"] {
        fs::copy(ours.join(file), scripts.join(file)).unwrap();
    }
    let asked = dir.path().join("asked");
    // `python3 -m pip download ... -r LIST` fails, as without a network.
    let pip = format!(
        "case \"$3\" in download) for last in \"$@\"; do :; done; echo \"$last\" >'{}'; exit 1;; esac",
        asked.display()
    );
    program(&bin, "python3", &pip);
    let smi = match machine.driver {
        Some(version) => format!("case \"$1\" in -L) echo 'GPU 0: H100';; *) echo {version};; esac"),
        None => "exit 9".to_owned(),
    };
    program(&bin, "nvidia-smi", &smi);
    if let Some(variant) = machine.installed {
        fs::create_dir_all(dir.path().join(".libtorch")).unwrap();
        fs::write(dir.path().join(".libtorch/.complete"), format!("2.13.0 {variant}\n")).unwrap();
    }
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let mut command = Command::new(scripts.join("setup_libtorch.sh"));
    command.env("PATH", path).env_remove("LIBTORCH").env_remove("QUARRY_CUDA");
    if let Some(asked) = machine.asked {
        command.env("QUARRY_CUDA", asked);
    }
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.success(), fs::read_to_string(asked).ok().map(|list| list.trim().to_owned()), said)
}

#[test]
fn the_variant_follows_the_gpu_the_driver_and_what_is_installed() {
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        eprintln!("SKIPPED: libtorch is only fetched for Linux x86-64");
        return;
    }
    let check = |installed, asked, driver, succeeds: bool, fetched: Option<&str>, part: &str| {
        let (succeeded, list, said) = set_up(&Machine { installed, asked, driver });
        let case = format!("{installed:?} {asked:?} {driver:?}: {said}");
        let expected = fetched.map(|variant| format!("scripts/libtorch_{variant}.txt"));
        assert_eq!((succeeded, list), (succeeds, expected), "{case}");
        assert!(said.contains(part), "{part:?} is missing. {case}");
    };
    let new = Some("580.65.06");
    check(None, None, None, false, Some("cpu"), "");
    check(None, None, new, false, Some("cuda"), "2.5 GB");
    check(Some("cpu"), None, None, true, None, "");
    // The GPU was added later: the CUDA variant is downloaded, and if that fails the other one stays in use.
    check(Some("cpu"), None, new, true, Some("cuda"), "the GPU is not used");
    check(Some("cpu"), Some("1"), None, false, Some("cuda"), "could not be fetched");
    // What was downloaded once is kept, even if the GPU is missing.
    check(Some("cuda"), None, None, true, None, "");
    check(Some("cuda"), None, new, true, None, "");
    check(Some("cuda"), Some("0"), new, false, Some("cpu"), "");
    check(None, None, Some("535.54.03"), false, Some("cpu"), "too old");
    check(Some("cpu"), None, Some("535.54.03"), true, None, "580");
    check(None, Some("yes"), None, false, None, "write 1");
}

#[test]
fn what_failed_stands_last_with_its_panic() {
    let log = "     Running tests/a.rs (target/debug/deps/a-1)\n\nrunning 2 tests\ntest foo ... FAILED\n\nfailures:\n\n---- foo stdout ----\n\
               noise\n\nthread 'foo' (7) panicked at tests/a.rs:12:5:\nassertion failed\n  left: 1\n\n---- m::bar stdout ----\nError: \"x\"\n\n\n\
               failures:\n    foo\n\ntest result: FAILED. 0 passed; 2 failed; 0 ignored\n\nerror: test failed, to rerun pass `--test a`\n";
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("log");
    fs::write(&file, log).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/failures.sh");
    let output = Command::new("bash").arg(script).arg(&file).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    for part in ["panicked at tests/a.rs:12:5", "left: 1", "Error: \"x\"", "test result: FAILED"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert!(!said.contains("noise"), "{said}");
    let end = "2 failed tests:\n    FAILED foo  [Running tests/a.rs]\n    FAILED m::bar  [Running tests/a.rs]\n";
    assert!(said.ends_with(end), "{said}");
}
