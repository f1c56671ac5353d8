//! Temporary credentials that are kept: for how long, and who asks for new ones.
#![cfg(feature = "sigv4")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests say what they expect by panicking")]

use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, SystemTime};

use iot_transport::credentials::aws_credential_types::provider::future;
use iot_transport::credentials::{Cached, Credentials, CredentialsError, ProvideCredentials, explain};
use tokio::sync::Semaphore;

const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000 + seconds)
}

/// A source that counts its calls, and answers each when it is let.
#[derive(Clone, Debug)]
struct Source(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    calls: Mutex<u64>,
    /// Seconds until which the credentials are good; `None` for no expiry, an error for none at all.
    next: Mutex<Result<Option<u64>, &'static str>>,
    gate: Semaphore,
}

impl Source {
    fn until(end: u64) -> Self {
        let gate = Semaphore::new(Semaphore::MAX_PERMITS);
        Self(Arc::new(Inner { calls: Mutex::new(0), next: Mutex::new(Ok(Some(end))), gate }))
    }

    fn closed(self) -> Self {
        self.0.gate.forget_permits(Semaphore::MAX_PERMITS);
        self
    }

    fn set(&self, next: Result<Option<u64>, &'static str>) {
        *self.0.next.lock().unwrap() = next;
    }

    fn calls(&self) -> u64 {
        *self.0.calls.lock().unwrap()
    }
}

impl ProvideCredentials for Source {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async {
            let call = {
                let mut calls = self.0.calls.lock().unwrap();
                *calls += 1;
                *calls
            };
            self.0.gate.acquire().await.unwrap().forget();
            let end = (*self.0.next.lock().unwrap()).map_err(CredentialsError::provider_error)?;
            Ok(Credentials::new(format!("AKID{call}"), SECRET, None, end.map(at), "test"))
        })
    }
}

struct Rig {
    source: Source,
    now: Arc<Mutex<u64>>,
    cached: Cached<Source>,
}

impl Rig {
    fn new(source: Source) -> Self {
        let now = Arc::new(Mutex::new(0));
        let cached = Cached::new(source.clone()).clock({
            let now = Arc::clone(&now);
            move || at(*now.lock().unwrap())
        });
        Self { source, now, cached }
    }

    fn at(&self, now: u64) -> &Self {
        *self.now.lock().unwrap() = now;
        self
    }

    async fn key(&self) -> String {
        let credentials = self.cached.provide_credentials().await.map_err(|error| explain(&error)).unwrap();
        credentials.access_key_id().to_owned()
    }
}

/// Drives a future until it waits for something else.
fn step<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    std::pin::Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

#[tokio::test]
async fn credentials_are_kept_until_five_minutes_before_they_expire() {
    let rig = Rig::new(Source::until(3600));
    assert_eq!(rig.key().await, "AKID1");
    assert_eq!(rig.at(3299).key().await, "AKID1");
    rig.source.set(Ok(Some(7200)));
    assert_eq!(rig.at(3300).key().await, "AKID2");
    assert_eq!(rig.at(6899).key().await, "AKID2");
    assert_eq!(rig.source.calls(), 2);
}

#[tokio::test]
async fn the_margin_can_be_set() {
    let mut rig = Rig::new(Source::until(3600));
    rig.cached = rig.cached.refresh_before(Duration::ZERO);
    rig.key().await;
    assert_eq!(rig.at(3599).key().await, "AKID1");
    assert_eq!(rig.at(3600).key().await, "AKID2");
    rig.cached = rig.cached.refresh_before(Duration::MAX);
    assert_eq!(rig.at(0).key().await, "AKID3");
    assert_eq!(rig.key().await, "AKID4");
}

#[tokio::test]
async fn credentials_without_an_expiry_are_asked_for_each_time() {
    let rig = Rig::new(Source::until(3600));
    rig.source.set(Ok(None));
    assert_eq!((rig.key().await, rig.key().await), ("AKID1".into(), "AKID2".into()));
    assert!(rig.cached.fallback_on_interrupt().is_none());
}

#[tokio::test]
async fn a_failing_refresh_gives_the_old_credentials_until_they_expire() {
    let rig = Rig::new(Source::until(3600));
    rig.key().await;
    rig.source.set(Err("the network is down"));
    assert_eq!(rig.at(3599).key().await, "AKID1");
    assert_eq!(rig.cached.fallback_on_interrupt().unwrap().access_key_id(), "AKID1");
    let error = rig.at(3600).cached.provide_credentials().await.unwrap_err();
    assert!(matches!(error, CredentialsError::ProviderError(_)));
    assert_eq!(explain(&error), "the AWS credentials could not be had: the network is down");
    assert!(rig.cached.fallback_on_interrupt().is_none());
    rig.source.set(Ok(Some(7200)));
    assert_eq!(rig.key().await, "AKID4");
}

#[tokio::test]
async fn what_was_declared_void_is_not_given_again_not_even_when_the_source_fails() {
    let rig = Rig::new(Source::until(3600));
    rig.key().await;
    rig.cached.clone().invalidate();
    assert_eq!(rig.key().await, "AKID2");
    rig.cached.invalidate();
    rig.source.set(Err("refused"));
    assert!(rig.cached.provide_credentials().await.is_err());
}

#[tokio::test]
async fn callers_at_the_same_time_share_one_refresh_and_its_outcome() {
    for outcome in [Ok(Some(3600)), Ok(None), Err("the network is down")] {
        let rig = Rig::new(Source::until(0).closed());
        rig.source.set(outcome);
        let clone = rig.cached.clone();
        let mut first = pin!(rig.cached.provide_credentials());
        let mut second = pin!(clone.provide_credentials());
        let mut third = pin!(rig.cached.provide_credentials());
        assert!(
            step(&mut first).is_pending() && step(&mut second).is_pending() && step(&mut third).is_pending()
        );
        rig.source.0.gate.add_permits(1);
        let results = [first.await, second.await, third.await];
        assert_eq!(rig.source.calls(), 1, "{outcome:?}");
        for result in results {
            match outcome {
                Ok(_) => assert_eq!(result.unwrap().access_key_id(), "AKID1"),
                Err(text) => assert!(explain(&result.unwrap_err()).ends_with(text)),
            }
        }
        // Who comes later is not served from it, unless it is kept.
        rig.source.0.gate.add_permits(1);
        let _ = rig.cached.provide_credentials().await;
        assert_eq!(rig.source.calls(), if outcome == Ok(Some(3600)) { 1 } else { 2 });
    }
}

#[tokio::test]
async fn a_caller_that_is_dropped_leaves_the_refresh_to_the_next_in_line() {
    let rig = Rig::new(Source::until(3600).closed());
    let mut first = Box::pin(rig.cached.provide_credentials());
    let mut second = pin!(rig.cached.provide_credentials());
    let mut third = Box::pin(rig.cached.provide_credentials());
    assert!(step(&mut first).is_pending() && step(&mut second).is_pending() && step(&mut third).is_pending());
    drop(first);
    drop(third);
    rig.source.0.gate.add_permits(1);
    assert_eq!(second.await.unwrap().access_key_id(), "AKID2");
    assert_eq!(rig.source.calls(), 2);
    assert_eq!(rig.key().await, "AKID2");
}

#[tokio::test]
async fn a_refresh_that_was_under_way_when_all_was_declared_void_serves_only_those_before() {
    let rig = Rig::new(Source::until(3600).closed());
    let mut before = pin!(rig.cached.provide_credentials());
    assert!(step(&mut before).is_pending());
    rig.cached.invalidate();
    let mut after = pin!(rig.cached.provide_credentials());
    assert!(step(&mut after).is_pending());
    rig.source.0.gate.add_permits(2);
    assert_eq!(before.await.unwrap().access_key_id(), "AKID1");
    assert_eq!(after.await.unwrap().access_key_id(), "AKID2");
    assert_eq!(rig.key().await, "AKID2");
}

#[tokio::test]
async fn kept_credentials_do_not_wait_for_anybody() {
    let rig = Rig::new(Source::until(3600));
    rig.key().await;
    let mut future = pin!(rig.cached.provide_credentials());
    assert!(poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx).is_ready())).await);
}

#[tokio::test]
async fn a_cache_shows_no_secret() {
    let rig = Rig::new(Source::until(3600));
    rig.key().await;
    assert!(!format!("{:?}", rig.cached).contains(SECRET));
}
