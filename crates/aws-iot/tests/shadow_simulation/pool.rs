//! Many futures in one task, polled in an order that only the seed decides.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

use super::random::Random;

/// How many polls there are before tokio's other tasks get their turn.
const ROUND: usize = 64;

/// Channels, and tables by random hashes, wake up those who wait in an order that differs from run to run. Here all that are
/// awake are known before one of them is polled.
pub(crate) struct Pool {
    jobs: Vec<Job>,
    random: Random,
}

struct Job {
    future: Pin<Box<dyn Future<Output = ()>>>,
    flag: Arc<Flag>,
    /// Whether the end of the others is its end.
    is_background: bool,
}

#[derive(Default)]
struct Flag {
    awake: AtomicBool,
    pool: Mutex<Option<Waker>>,
}

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.awake.store(true, Ordering::Relaxed);
        let pool = self.pool.lock().unwrap().clone();
        if let Some(pool) = pool {
            pool.wake();
        }
    }
}

impl Pool {
    pub(crate) fn new(random: Random) -> Self {
        Self { jobs: Vec::new(), random }
    }

    pub(crate) fn add(&mut self, job: impl Future<Output = ()> + 'static) {
        self.push(Box::pin(job), false);
    }

    pub(crate) fn add_background(&mut self, job: impl Future<Output = ()> + 'static) {
        self.push(Box::pin(job), true);
    }

    fn push(&mut self, future: Pin<Box<dyn Future<Output = ()>>>, is_background: bool) {
        let flag = Arc::new(Flag { awake: AtomicBool::new(true), pool: Mutex::default() });
        self.jobs.push(Job { future, flag, is_background });
    }

    /// Until all jobs but those in the background have ended.
    pub(crate) async fn run(&mut self) {
        poll_fn(|context| self.poll(context)).await;
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        for job in &self.jobs {
            *job.flag.pool.lock().unwrap() = Some(context.waker().clone());
        }
        for _ in 0..ROUND {
            if self.jobs.iter().all(|job| job.is_background) {
                return Poll::Ready(());
            }
            let is_awake = |job: &Job| job.flag.awake.load(Ordering::Relaxed);
            let awake: Vec<usize> = (0..self.jobs.len()).filter(|at| is_awake(&self.jobs[*at])).collect();
            if awake.is_empty() {
                return Poll::Pending;
            }
            let at = *self.random.pick(&awake);
            let job = &mut self.jobs[at];
            job.flag.awake.store(false, Ordering::Relaxed);
            let waker = Waker::from(Arc::clone(&job.flag));
            if job.future.as_mut().poll(&mut Context::from_waker(&waker)).is_ready() {
                self.jobs.remove(at);
            }
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }
}
