//! Files that are read again when their content changes.

use std::{io, sync::Arc, time::Duration};

use tokio::{
    sync::watch,
    task::spawn_blocking,
    time::{MissedTickBehavior, interval},
};

/// Files that hold one thing together.
pub(crate) trait Files: Send + Sync + 'static {
    /// The name of what they hold, in the plural, for the log.
    const WHAT: &'static str;
    /// Their bytes.
    type Content: PartialEq + Send + 'static;
    /// The thing that is made of these.
    type Use: Clone + Send + Sync + 'static;

    /// Reads them.
    fn read(&self) -> anyhow::Result<Self::Content>;

    /// Makes of `content` what it is for.
    fn parse(&self, content: &Self::Content) -> anyhow::Result<Self::Use>;
}

/// Reads `files`, and again whenever their content has changed, which is looked at `every` so often, as long as
/// there is a receiver. If new files cannot be used, the log says why, and what was read before stays.
///
/// # Errors
/// When the files cannot be used at the start.
pub(crate) fn start<F: Files>(
    files: F,
    every: Duration,
) -> anyhow::Result<watch::Receiver<F::Use>> {
    let content = files.read()?;
    let (sender, current) = watch::channel(files.parse(&content)?);
    tokio::spawn(reload(files, content, every, sender));
    Ok(current)
}

/// Compares the content and not the time, which says nothing where files are links that are turned
/// to others, as Kubernetes does it.
async fn reload<F: Files>(
    files: F,
    mut last: F::Content,
    every: Duration,
    current: watch::Sender<F::Use>,
) {
    let files = Arc::new(files);
    let mut look = interval(every);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut failing = false;
    loop {
        tokio::select! {
            _ = look.tick() => {}
            () = current.closed() => return,
        }
        let to_read = Arc::clone(&files);
        let read = spawn_blocking(move || to_read.read()).await;
        let read = read.unwrap_or_else(|error| Err(io::Error::other(error).into()));
        let new = match read {
            Ok(content) if content == last => {
                failing = false;
                continue;
            }
            Ok(content) => {
                let new = files.parse(&content);
                // What cannot be used is not tried again until it changes.
                last = content;
                failing = false;
                new
            }
            // A file may be away for a moment while it is replaced; it is said once.
            Err(_) if failing => continue,
            Err(error) => {
                failing = true;
                Err(error)
            }
        };
        match new {
            Ok(new) => {
                current.send_replace(new);
                tracing::info!("new {} are in use", F::WHAT);
            }
            Err(error) => tracing::error!(
                error = format!("{error:#}"),
                "the {} have changed and cannot be used; those from before stay in use",
                F::WHAT
            ),
        }
    }
}
