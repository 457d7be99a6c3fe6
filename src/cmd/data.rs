//! What `--send` and `--send-file` give.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use anyhow::{Context, bail};

use super::line::escaped;
use crate::cli::shared::DataArgs;

/// The most that is sent over one connection, in bytes: it is held in memory until acknowledged.
pub const MAX_PAYLOAD: u64 = 64 << 20;

/// The bytes to send; empty where nothing was asked for. `-` is read to its end.
///
/// # Errors
/// The file cannot be read, or holds more than [`MAX_PAYLOAD`].
pub fn payload(args: &DataArgs) -> anyhow::Result<Vec<u8>> {
    match (&args.send, &args.send_file) {
        (Some(text), _) => Ok(text.0.clone()),
        (None, Some(path)) if path.as_os_str() == "-" => read(io::stdin().lock(), "standard input"),
        (None, Some(path)) => {
            let name = shown(path);
            let file = File::open(path).with_context(|| format!("cannot open '{name}'"))?;
            read(file, &format!("'{name}'"))
        }
        (None, None) => Ok(Vec::new()),
    }
}

fn read(from: impl Read, name: &str) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(MAX_PAYLOAD + 1)
        .read_to_end(&mut bytes)
        .with_context(|| format!("cannot read {name}"))?;
    if bytes.len() as u64 > MAX_PAYLOAD {
        bail!("{name} is too large to send: at most {} MiB", MAX_PAYLOAD >> 20);
    }
    Ok(bytes)
}

fn shown(path: &Path) -> String {
    escaped(&path.to_string_lossy())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_sent_as_it_is_up_to_the_limit() {
        let directory = tempfile::tempdir().expect("scratch directory");
        let path = directory.path().join("data");
        std::fs::write(&path, b"\0\xff\r\n").expect("scratch file");
        let args =
            |path: &Path| DataArgs { send_file: Some(path.to_owned()), ..DataArgs::default() };
        assert_eq!(payload(&args(&path)).expect("readable"), b"\0\xff\r\n");
        File::options()
            .write(true)
            .open(&path)
            .and_then(|file| file.set_len(MAX_PAYLOAD + 1))
            .expect("sparse file");
        let why = payload(&args(&path)).expect_err("too large").to_string();
        assert!(why.ends_with("is too large to send: at most 64 MiB"), "{why}");
        let why = format!("{:#}", payload(&args(directory.path())).expect_err("a directory"));
        assert!(why.starts_with("cannot read '") && why.contains("directory"), "{why}");
    }
}
