//! The folder of a run. It is filled under a hidden name and takes its own when it is complete, so
//! that nothing half-written looks whole, and it never takes the name of another.

use std::{
    ffi::OsString,
    fs,
    io::{self, ErrorKind},
    path::{Path, PathBuf},
};

use anyhow::Context;
use rustix::{
    io::Errno,
    process::{Pid, test_kill_process},
};

use crate::cli::UsageError;

/// How the name of a folder ends that is being filled; before it stands the process that fills it.
const PARTIAL: &str = ".partial";

/// How many runs may begin under one name.
const MOST_NAMESAKES: u32 = 1000;

/// A folder that is being filled. Dropped before [`Folder::keep`], it goes, with what is in it.
#[derive(Debug)]
pub struct Folder {
    partial: PathBuf,
    parent: PathBuf,
    /// What it will be called there.
    name: OsString,
    kept: bool,
}

impl Folder {
    /// Begins the folder that will be called `name`.
    ///
    /// # Errors
    /// When it cannot be created.
    pub fn begin(name: &Path) -> anyhow::Result<Self> {
        let parent = name.parent().unwrap_or(Path::new(""));
        let stem = name.file_name().ok_or_else(|| {
            UsageError(format!(
                "--output-dir {} is no name for a folder",
                name.display()
            ))
        })?;
        fs::create_dir_all(parent).with_context(|| cannot_create(parent))?;
        sweep(parent);
        let own = format!(
            ".{}.{}{PARTIAL}",
            stem.to_string_lossy(),
            std::process::id()
        );
        let partial = parent.join(own);
        fs::create_dir(&partial).with_context(|| cannot_create(&partial))?;
        Ok(Self {
            partial,
            parent: parent.to_owned(),
            name: stem.to_owned(),
            kept: false,
        })
    }

    /// Where the files go until the folder is kept.
    pub fn path(&self) -> &Path {
        &self.partial
    }

    /// Writes one file.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, file: &str, content: impl AsRef<[u8]>) -> anyhow::Result<()> {
        let path = self.partial.join(file);
        fs::write(&path, content).with_context(|| format!("{} cannot be written", path.display()))
    }

    /// Gives the folder its name, or `name-2`, `name-3`, … where that is taken, and returns it.
    ///
    /// # Errors
    /// When it cannot be renamed.
    pub fn keep(mut self) -> anyhow::Result<PathBuf> {
        for number in 1..=MOST_NAMESAKES {
            let mut name = self.name.clone();
            if number > 1 {
                name.push(format!("-{number}"));
            }
            let name = self.parent.join(name);
            // A rename onto a folder succeeds only where that is empty, so nothing is overwritten.
            match fs::rename(&self.partial, &name) {
                Ok(()) => {
                    self.kept = true;
                    return Ok(name);
                }
                Err(error) if is_taken(&error) => {}
                Err(error) => {
                    return Err(error).with_context(|| cannot_create(&name));
                }
            }
        }
        anyhow::bail!(
            "{} has {MOST_NAMESAKES} namesakes already",
            self.parent.join(&self.name).display()
        )
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !self.kept {
            let _ = fs::remove_dir_all(&self.partial);
        }
    }
}

/// Removes what runs left that were killed before they could.
fn sweep(parent: &Path) {
    let here = if parent.as_os_str().is_empty() {
        Path::new(".")
    } else {
        parent
    };
    for entry in fs::read_dir(here).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let pid = name
            .to_str()
            .and_then(|name| {
                name.strip_prefix('.')?
                    .strip_suffix(PARTIAL)?
                    .rsplit_once('.')
            })
            .and_then(|(_, pid)| Pid::from_raw(pid.parse().ok()?));
        if pid.is_some_and(|pid| test_kill_process(pid) == Err(Errno::SRCH)) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

fn is_taken(error: &io::Error) -> bool {
    use ErrorKind::{AlreadyExists, DirectoryNotEmpty, NotADirectory};
    matches!(
        error.kind(),
        AlreadyExists | DirectoryNotEmpty | NotADirectory
    )
}

fn cannot_create(path: &Path) -> String {
    format!("the folder {} cannot be created", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(parent: &Path, name: &str, content: &str) -> PathBuf {
        let folder = Folder::begin(&parent.join(name)).unwrap();
        folder.write("run.json", content).unwrap();
        folder.keep().unwrap()
    }

    #[test]
    fn a_second_run_of_the_same_name_gets_a_number_and_the_first_stays() {
        let parent = tempfile::tempdir().unwrap();
        let first = written(parent.path(), "run", "1");
        let second = written(parent.path(), "run/", "2");
        let third = written(parent.path(), "run", "3");
        assert_eq!(first, parent.path().join("run"));
        assert_eq!(second, parent.path().join("run-2"));
        assert_eq!(third, parent.path().join("run-3"));
        assert_eq!(fs::read_to_string(first.join("run.json")).unwrap(), "1");
    }

    #[test]
    fn a_file_of_that_name_stays_too() {
        let parent = tempfile::tempdir().unwrap();
        fs::write(parent.path().join("run"), "mine").unwrap();
        assert_eq!(
            written(parent.path(), "run", "1"),
            parent.path().join("run-2")
        );
        assert_eq!(
            fs::read_to_string(parent.path().join("run")).unwrap(),
            "mine"
        );
    }

    #[test]
    fn what_a_killed_run_left_is_swept_away_and_what_another_fills_is_not() {
        let parent = tempfile::tempdir().unwrap();
        let mut dead = std::process::Command::new("true").spawn().unwrap();
        let left = parent.path().join(format!(".old.{}.partial", dead.id()));
        dead.wait().unwrap();
        fs::create_dir(&left).unwrap();
        let alive = Folder::begin(&parent.path().join("alive")).unwrap();
        drop(Folder::begin(&parent.path().join("run")).unwrap());
        assert!(!left.exists());
        assert!(alive.path().exists());
    }

    #[test]
    fn what_is_not_kept_leaves_nothing() {
        let parent = tempfile::tempdir().unwrap();
        let folder = Folder::begin(&parent.path().join("run")).unwrap();
        folder.write("run.json", "half").unwrap();
        drop(folder);
        assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 0);
    }
}
