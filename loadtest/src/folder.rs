//! The folder of a run. It is filled under a hidden name and takes its own when it is complete, so
//! that nothing half-written looks whole, and it never takes the name of another. Of a run that was
//! killed it waits under the hidden name, if it holds [`RUN`], for the next run to complete it.

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

use crate::{cli::UsageError, record::store::RUN};

/// Suffix of the name of a folder or file that is being written. The id of the process that writes
/// it stands before the suffix.
const PARTIAL: &str = ".partial";

/// Most folders that may share one name: all but the first get a number, `-2` and so on.
const MOST_NAMESAKES: u32 = 1000;

/// A folder that is being filled. Dropped before [`Folder::keep`], it goes, with what is in it, but for
/// a run's: that of a tool that failed is worth as much as that of one that was killed.
#[derive(Debug)]
pub struct Folder {
    partial: PathBuf,
    parent: PathBuf,
    /// Its name in `parent` once it is kept, without the number that is added if the name is taken.
    name: OsString,
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
        drop(Self::left(parent));
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
        })
    }

    /// Those in `parent` that a process of this machine began and did not live to keep.
    pub fn left(parent: &Path) -> Vec<Self> {
        let here = if parent.as_os_str().is_empty() {
            Path::new(".")
        } else {
            parent
        };
        let entries = fs::read_dir(here).into_iter().flatten().flatten();
        let left = entries.filter_map(|entry| {
            let file = entry.file_name();
            let own = file.to_str()?.strip_prefix('.')?.strip_suffix(PARTIAL)?;
            let (name, pid) = own.rsplit_once('.')?;
            let pid = Pid::from_raw(pid.parse().ok()?)?;
            (test_kill_process(pid) == Err(Errno::SRCH)).then(|| Self {
                partial: parent.join(&file),
                parent: parent.to_owned(),
                name: name.into(),
            })
        });
        left.collect()
    }

    /// Returns the path that the files go to until the folder is kept.
    pub fn path(&self) -> &Path {
        &self.partial
    }

    /// Gives the folder its name, or `name-2`, `name-3`, … where that is taken, and returns it.
    ///
    /// # Errors
    /// When it cannot be renamed.
    pub fn keep(self) -> anyhow::Result<PathBuf> {
        for number in 1..=MOST_NAMESAKES {
            let mut name = self.name.clone();
            if number > 1 {
                name.push(format!("-{number}"));
            }
            let name = self.parent.join(name);
            // A rename onto a folder succeeds only where that is empty, so nothing is overwritten.
            match fs::rename(&self.partial, &name) {
                Ok(()) => return Ok(name),
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
        if !self.partial.join(RUN).exists() {
            let _ = fs::remove_dir_all(&self.partial);
        }
    }
}

/// Writes a file whole or not at all; where it can't, an old one stands. Folders above it are made.
///
/// # Errors
/// When it cannot be written.
pub fn write(path: &Path, content: impl AsRef<[u8]>) -> anyhow::Result<()> {
    let partial = path.with_extension(format!("{}{PARTIAL}", std::process::id()));
    let written = path
        .parent()
        .map_or(Ok(()), fs::create_dir_all)
        .and_then(|()| fs::write(&partial, content))
        .and_then(|()| fs::rename(&partial, path));
    if written.is_err() {
        let _ = fs::remove_file(&partial);
    }
    written.with_context(|| format!("{} cannot be written", path.display()))
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
        write(&folder.path().join(RUN), content).unwrap();
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
    fn what_was_killed_before_it_held_a_run_goes_with_the_next_and_nothing_else_does() {
        let parent = tempfile::tempdir().unwrap();
        let mut dead = std::process::Command::new("true").spawn().unwrap();
        let left = |name| parent.path().join(format!(".{name}.{}.partial", dead.id()));
        let (empty, run) = (left("empty"), left("a.run"));
        dead.wait().unwrap();
        fs::create_dir(&empty).unwrap();
        write(&run.join(RUN), "{}").unwrap();
        let alive = Folder::begin(&parent.path().join("alive")).unwrap();
        drop(Folder::begin(&parent.path().join("other")).unwrap());
        assert!(!empty.exists());
        assert!(alive.path().exists());
        assert!(run.exists());
        let [left] = Folder::left(parent.path()).try_into().unwrap();
        assert_eq!(left.keep().unwrap(), parent.path().join("a.run"));
    }

    #[test]
    fn what_is_not_kept_leaves_nothing() {
        let parent = tempfile::tempdir().unwrap();
        let folder = Folder::begin(&parent.path().join("run")).unwrap();
        write(&folder.path().join("blocks/0001.json"), "{}").unwrap();
        drop(folder);
        assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 0);
    }
}
