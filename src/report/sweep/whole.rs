//! A file that appears under its name only when it is whole.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Writes beside the file that it is to become: into `.NAME.PID.part` in the same directory.
///
/// Until [`publish`](Self::publish), what stood under the name stands there; a process that is killed
/// leaves at most the part behind, under a name that nobody takes for the result.
#[derive(Debug)]
pub struct WholeFile {
    file: File,
    part: PathBuf,
    path: PathBuf,
    published: bool,
}

impl WholeFile {
    /// Begins the file that is to stand at `path`.
    ///
    /// # Errors
    /// Something else stands there than a regular file, or nothing can be written beside it.
    pub fn create(path: &Path) -> io::Result<Self> {
        // A link stays one: what it leads to is replaced.
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        if let Ok(metadata) = fs::metadata(&path)
            && !metadata.is_file()
        {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "it is not a regular file, and a file that is to be whole or not there cannot be \
                 anything else",
            ));
        }
        let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
        let mut part = OsString::from(".");
        part.push(name);
        part.push(format!(".{}.part", std::process::id()));
        let part = path.with_file_name(part);
        // The leftover of a process that was killed and had our number.
        let _ = fs::remove_file(&part);
        // Never through a link that somebody has put there.
        let file = File::options().write(true).create_new(true).open(&part)?;
        Ok(Self { file, part, path, published: false })
    }

    /// Puts what was written in the place of what stood under the name.
    ///
    /// # Errors
    /// It is not on the disk, or the name cannot be given to it. The part is gone then.
    pub fn publish(mut self) -> io::Result<()> {
        self.file.sync_all()?;
        fs::rename(&self.part, &self.path)?;
        self.published = true;
        Ok(())
    }
}

impl Write for WholeFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for WholeFile {
    fn drop(&mut self) {
        if !self.published {
            let _ = fs::remove_file(&self.part);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(directory: &Path) -> Vec<OsString> {
        fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name()).collect()
    }

    #[test]
    fn the_name_is_given_to_what_is_whole_and_to_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("found.parquet");
        fs::write(&path, "old").unwrap();
        let mut file = WholeFile::create(&path).unwrap();
        file.write_all(b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"old");
        drop(file);
        assert_eq!(names(directory.path()), ["found.parquet"], "what was given up is gone");
        let mut file = WholeFile::create(&path).unwrap();
        file.write_all(b"new").unwrap();
        file.publish().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(names(directory.path()), ["found.parquet"]);
    }

    #[test]
    fn a_link_stays_a_link_and_a_device_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let [path, link] = ["file", "link"].map(|name| directory.path().join(name));
        fs::write(&path, "old").unwrap();
        std::os::unix::fs::symlink(&path, &link).unwrap();
        WholeFile::create(&link).unwrap().publish().unwrap();
        assert!(link.is_symlink());
        assert_eq!(fs::read(&path).unwrap(), b"");
        assert!(WholeFile::create(Path::new("/dev/null")).is_err());
        assert!(WholeFile::create(directory.path()).is_err());
    }
}
