//! The workers that serve connections: one thread per core, each with a runtime of its own, so that a
//! connection and all its calls stay on one core and share nothing with the others.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    thread,
};

use anyhow::Context;
use tokio::{runtime::Builder, sync::mpsc};

/// Makes a task on the worker that is to run it.
type Job = Box<dyn FnOnce() -> Pin<Box<dyn Future<Output = ()> + Send>> + Send>;

/// The threads that serve connections. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Workers {
    threads: Arc<[Worker]>,
}

#[derive(Debug)]
struct Worker {
    jobs: mpsc::UnboundedSender<Job>,
    connections: Arc<AtomicUsize>,
}

impl Workers {
    /// Starts `count` threads. They end when the last clone is dropped.
    ///
    /// # Errors
    /// When a thread or its runtime cannot be started.
    pub fn start(count: usize) -> anyhow::Result<Self> {
        let threads = (0..count)
            .map(Worker::start)
            .collect::<anyhow::Result<_>>()?;
        Ok(Self { threads })
    }

    /// No threads: tasks run on the runtime of whoever starts them, as a test wants it.
    pub fn none() -> Self {
        Self::default()
    }

    /// Runs what `make` makes on the worker with the fewest connections, so that a few connections
    /// spread over all cores.
    pub(crate) fn spawn<F>(&self, make: impl FnOnce() -> F + Send + 'static)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let Some(worker) = self
            .threads
            .iter()
            .min_by_key(|worker| worker.connections.load(Relaxed))
        else {
            tokio::spawn(make());
            return;
        };
        let counted = Counted::new(&worker.connections);
        let job: Job = Box::new(move || {
            Box::pin(async move {
                // Made here: captured, it would take its room twice.
                make().await;
                drop(counted);
            })
        });
        // It fails only when the worker is gone, and with it the process.
        let _ = worker.jobs.send(job);
    }
}

impl Worker {
    fn start(number: usize) -> anyhow::Result<Self> {
        let runtime = Builder::new_current_thread()
            .enable_all()
            // Before it sleeps it lets go of the core once. Where peers wait for that core they run, and
            // what they send is found without a sleep and the waking after it; where none does it is one
            // call of the kernel.
            .on_thread_park(thread::yield_now)
            .build()
            .context("a worker's runtime could not be started")?;
        // Bounded by the connections that may be open.
        let (jobs, mut todo) = mpsc::unbounded_channel::<Job>();
        let connections = Arc::default();
        thread::Builder::new()
            .name(format!("worker-{number}"))
            .spawn(move || {
                runtime.block_on(async {
                    while let Some(job) = todo.recv().await {
                        tokio::spawn(job());
                    }
                });
            })
            .context("a worker's thread could not be started")?;
        Ok(Self { jobs, connections })
    }
}

/// A connection of a worker, counted as long as it lives.
struct Counted(Arc<AtomicUsize>);

impl Counted {
    fn new(connections: &Arc<AtomicUsize>) -> Self {
        connections.fetch_add(1, Relaxed);
        Self(Arc::clone(connections))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}
