//! Downloads wheels over HTTPS with progress, and verifies their checksums. A broken download resumes where it stopped.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest, Sha256};
use ureq::Agent;
use ureq::tls::{RootCerts, TlsConfig};

use super::index::find;
use super::parts::Part;
use super::wheels::Wheel;
use crate::domain::{Cancel, Progress};
use crate::workflow::{Observer, WorkEvent, WorkflowError};

/// Maximum length of a listing; torch's has about 2 MB.
const LISTING_LIMIT: u64 = 64 << 20;
/// Maximum size of a wheel.
const WHEEL_LIMIT: u64 = 4 << 30;
/// Maximum number of consecutive attempts without progress.
const TRIES: u32 = 4;
const MEGABYTE: u64 = 1_000_000;

/// Downloads the part's wheels to `folder`, with verified checksums.
pub(super) fn fetch_all(
    index: &str,
    part: &Part,
    folder: &Path,
    observer: &mut Observer,
    cancel: &Cancel,
) -> Result<Vec<PathBuf>, WorkflowError> {
    let agent = agent();
    let fetch = |(k, wheel): (usize, &Wheel)| {
        let what = format!("Fetching {} {} ({} of {}), MB", wheel.name, wheel.version, k + 1, part.wheels.len());
        let url = address(&agent, index, wheel)?;
        let path = folder.join(format!("{k}.whl"));
        let mut tell = |done: u64, total: u64| {
            observer(WorkEvent::Progress(Progress {
                what: what.clone(),
                done: done / MEGABYTE,
                total: total.div_ceil(MEGABYTE),
            }));
        };
        fetch(&agent, &url, &wheel.sha256, &path, &mut tell, cancel)?;
        Ok(path)
    };
    part.wheels.iter().enumerate().map(fetch).collect()
}

/// Uses the system's certificates, so that a company's own are accepted.
fn agent() -> Agent {
    let tls = TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build();
    let config = Agent::config_builder()
        .tls_config(tls)
        .timeout_connect(Some(Duration::from_secs(30)))
        .timeout_recv_response(Some(Duration::from_mins(1)))
        // A stalled connection ends here, and the next one continues.
        .timeout_recv_body(Some(Duration::from_mins(5)))
        .user_agent(concat!("quarry/", env!("CARGO_PKG_VERSION")));
    config.build().into()
}

fn address(agent: &Agent, index: &str, wheel: &Wheel) -> Result<String, WorkflowError> {
    let page = format!("{}/{}/", index.trim_end_matches('/'), wheel.name);
    let request = agent.get(&page).header(
        "Accept",
        "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.5, text/html;q=0.1",
    );
    let listing = request
        .call()
        .and_then(|mut answer| answer.body_mut().with_config().limit(LISTING_LIMIT).read_to_string())
        .map_err(|error| unreachable_index(&page, &error))?;
    find(&page, &listing, &wheel.sha256).ok_or_else(|| {
        WorkflowError::Refused(format!(
            "{page} lists no file of {} {} with the SHA-256 {} that Quarry expects. Nothing was installed. QUARRY_INDEX names another package index.",
            wheel.name, wheel.version, wheel.sha256
        ))
    })
}

fn unreachable_index(url: &str, error: &ureq::Error) -> WorkflowError {
    WorkflowError::Refused(format!(
        "{url} cannot be read: {error}. Nothing was installed. Check the network (HTTPS_PROXY for a proxy, QUARRY_INDEX for another package \
         index) and the system's CA certificates, or take the files from a machine that has them: `quarry setup --from FOLDER`."
    ))
}

fn fetch(
    agent: &Agent,
    url: &str,
    sha256: &str,
    path: &Path,
    tell: &mut dyn FnMut(u64, u64),
    cancel: &Cancel,
) -> Result<(), WorkflowError> {
    let advice = "Check the free disk space.";
    let mut file = File::create(path).map_err(WorkflowError::io(path, advice))?;
    let mut hasher = Sha256::new();
    let (mut done, mut total, mut tries) = (0, 0, 0);
    let mut buffer = vec![0; 1 << 18];
    loop {
        let before = done;
        let broke = match from_byte(agent, url, done) {
            Ok((mut body, length)) => loop {
                if cancel.is_cancelled() {
                    return Err(WorkflowError::Cancelled);
                }
                total = length.unwrap_or(total).max(done);
                match body.read(&mut buffer) {
                    Ok(0) if done >= total => break None,
                    Ok(0) => break Some("the connection closed early".to_owned()),
                    Ok(read) => {
                        let bytes = buffer.get(..read).unwrap_or(&[]);
                        hasher.update(bytes);
                        file.write_all(bytes).map_err(WorkflowError::io(path, advice))?;
                        done += read as u64;
                        if done > WHEEL_LIMIT {
                            return Err(WorkflowError::Refused(format!(
                                "{url} sends more than 4 GB, which Quarry does not expect"
                            )));
                        }
                        tell(done, total);
                    }
                    Err(error) => break Some(error.to_string()),
                }
            },
            Err(reason) => Some(reason),
        };
        let Some(reason) = broke else { break };
        tries = if done > before { 1 } else { tries + 1 };
        if tries >= TRIES {
            return Err(WorkflowError::Refused(format!(
                "{url} cannot be fetched: {reason}. Nothing was installed; run it again."
            )));
        }
        tracing::info!("{url}: {reason}; trying again from byte {done}");
        std::thread::sleep(Duration::from_millis(300 * u64::from(tries)));
    }
    file.sync_all().map_err(WorkflowError::io(path, advice))?;
    let found = hex(&hasher.finalize());
    if found == sha256 {
        return Ok(());
    }
    Err(WorkflowError::Refused(format!(
        "{url} has the SHA-256 {found}, and Quarry expects {sha256}. Nothing was installed; check your package mirror."
    )))
}

/// Requests the file's bytes from `start` on; also returns its total length if the server reports it.
fn from_byte(agent: &Agent, url: &str, start: u64) -> Result<(impl Read + 'static, Option<u64>), String> {
    let mut request = agent.get(url);
    if start > 0 {
        request = request.header("Range", format!("bytes={start}-"));
    }
    let answer = request.call().map_err(|error| error.to_string())?;
    if start > 0 && answer.status().as_u16() != 206 {
        return Err("the connection broke, and the server does not send the rest alone".to_owned());
    }
    let length = answer.headers().get("content-length").and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    Ok((answer.into_body().into_reader(), length.map(|length| length + start)))
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
