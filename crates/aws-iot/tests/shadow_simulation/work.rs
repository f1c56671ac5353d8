//! What the device asks, and what it is told.

use std::cell::RefCell;
use std::future::{Future, IntoFuture};
use std::rc::Rc;
use std::time::Duration;

use aws_iot::shadow::{
    Accepted, Call, Deleted, Deltas, ErrorKind, Options, ShadowClient, ShadowError, ShadowId, ShadowSync,
    Update, Value,
};
use aws_iot::{Client, Message};
use serde_json::json;
use tokio::time::{Instant, timeout};

use super::check::merge;
use super::cloud::{Cloud, pass, secs};
use super::link::Weather;
use super::random::Random;

/// Everything of one seed.
pub(crate) struct Run {
    pub(crate) cloud: Cloud,
    pub(crate) weather: Weather,
    pub(crate) client: Client,
    pub(crate) ids: Vec<ShadowId>,
    /// Perhaps several of one shadow.
    pub(crate) shadows: Vec<Shadow>,
    /// Of a shadow that nobody else asks.
    pub(crate) in_step: Shadow,
    pub(crate) sync: ShadowSync<Value>,
    pub(crate) account: RefCell<Account>,
}

#[derive(Clone)]
pub(crate) struct Shadow {
    pub(crate) client: ShadowClient,
    pub(crate) options: Options,
}

/// What happened, in order.
#[derive(Default)]
pub(crate) struct Account {
    pub(crate) begun: usize,
    pub(crate) given_up: usize,
    pub(crate) ended: usize,
    pub(crate) streams: usize,
    pub(crate) events: Vec<Event>,
}

pub(crate) struct Event {
    /// How much was in the journal then.
    pub(crate) journal: usize,
    pub(crate) shadow: usize,
    pub(crate) what: What,
}

pub(crate) enum What {
    Ended { token: String, end: End },
    Delta { stream: usize, version: u64, state: Value },
    Change { stream: usize, version: u64 },
}

/// How a call ended.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum End {
    Accepted(u64),
    Got(u64, Value),
    Deleted(u64),
    Rejected(u16),
    NotSent,
    Unknown,
}

impl Run {
    fn note(&self, shadow: usize, what: What) {
        let journal = self.cloud.journal(<[_]>::len);
        self.account.borrow_mut().events.push(Event { journal, shadow, what });
    }

    fn stream(&self) -> usize {
        let mut account = self.account.borrow_mut();
        account.streams += 1;
        account.streams
    }

    /// Does a call, or gives it up in the middle.
    async fn call<R>(
        &self,
        random: &mut Random,
        shadow: usize,
        call: Call<R>,
        end: impl FnOnce(R) -> (Option<String>, End),
    ) where
        R: Send + 'static,
    {
        let mut within = self.shadows[shadow].options.timeout;
        let mut call = call;
        if random.chance(20) {
            within = random.millis(1_000);
            call = call.timeout(within);
        }
        if random.chance(30) {
            call = call.client_token(format!("own-{:016x}", random.next()));
        }
        let Some(outcome) = self.ends(random, within, call.into_future()).await else { return };
        let (token, end) = match outcome {
            Ok(outcome) => end(outcome),
            Err(error) => (error.client_token().map(str::to_owned), failed(&error)),
        };
        self.note(shadow, What::Ended { token: token.unwrap(), end });
    }

    /// The outcome within its time; `None`: it was given up.
    async fn ends<T>(
        &self,
        random: &mut Random,
        within: Duration,
        call: impl Future<Output = Result<T, ShadowError>>,
    ) -> Option<Result<T, ShadowError>> {
        self.account.borrow_mut().begun += 1;
        let begun = Instant::now();
        let outcome = match random.chance(15) {
            true => timeout(random.millis(300), call).await.ok(),
            false => Some(call.await),
        };
        let took = begun.elapsed();
        let mut account = self.account.borrow_mut();
        match &outcome {
            Some(_) => account.ended += 1,
            None => account.given_up += 1,
        }
        // The clock has milliseconds.
        assert!(took <= within + Duration::from_millis(1), "it took {took:?} of {within:?}");
        if let Some(Err(error)) = &outcome
            && let ErrorKind::TimedOut { within } = error.kind()
        {
            assert!(took >= *within, "{error} after {took:?}");
        }
        outcome
    }
}

fn failed(error: &ShadowError) -> End {
    match error.kind() {
        ErrorKind::Rejected(rejection) => End::Rejected(rejection.code),
        ErrorKind::TimedOut { .. } => End::Unknown,
        ErrorKind::Offline => End::NotSent,
        ErrorKind::Session(error) if error.may_have_been_sent() => End::Unknown,
        ErrorKind::Session(_) => End::NotSent,
        other => panic!("{other:?}"),
    }
}

/// One after the other.
pub(crate) async fn worker(mut random: Random, run: Rc<Run>, operations: usize) {
    for _ in 0..operations {
        operation(&mut random, &run).await;
        pass(random.millis(800)).await;
    }
}

async fn operation(random: &mut Random, run: &Run) {
    let at = random.below(run.shadows.len() as u64) as usize;
    let shadow = &run.shadows[at].client;
    match random.below(12) {
        0..=3 => {
            let update = update(random);
            let call = shadow.update(update);
            let end = |accepted: Accepted| (accepted.client_token, End::Accepted(accepted.version));
            run.call(random, at, call, end).await;
        }
        4 | 5 => {
            let call = shadow.get::<Value>();
            let end = |document: aws_iot::shadow::Shadow| {
                let state = json!({
                    "desired": document.state.desired,
                    "reported": document.state.reported,
                    "delta": document.state.delta,
                });
                (document.client_token, End::Got(document.version, state))
            };
            run.call(random, at, call, end).await;
        }
        6 => {
            let end = |deleted: Deleted| (deleted.client_token, End::Deleted(deleted.version));
            run.call(random, at, shadow.delete(), end).await;
        }
        7 | 8 => modify(random, run, at).await,
        9 => {
            let message = Message::new("plain", "x").unwrap();
            if let Ok(Ok(ack)) = timeout(secs(20), run.client.publish(message)).await {
                let _ = timeout(random.millis(10_000), ack).await;
            }
        }
        10 => {
            run.sync.modify(|state| state["n"] = json!(random.below(100)));
        }
        _ => {
            let time = random.millis(8_000);
            let _ = match random.chance(70) {
                true => timeout(time, deltas(random.fork(), run, at, random.chance(50))).await,
                false => timeout(time, documents(run, at)).await,
            };
        }
    }
}

/// Most can be accepted.
fn update(random: &mut Random) -> Update<Value> {
    let mut state = json!({"n": random.below(5), "deep": {"m": random.below(3)}});
    match random.below(20) {
        0 => state["deep"] = Value::Null,
        1 => state["big"] = json!("x".repeat(9_000)),
        2 => state["much"] = json!([[[[[[[[[[1]]]]]]]]]]),
        _ => {}
    }
    let update = if random.chance(60) { Update::new().desired(state) } else { Update::new().reported(state) };
    if random.chance(15) { update.if_version(random.below(12)) } else { update }
}

/// Counts one further. Nobody else writes that number.
async fn modify(random: &mut Random, run: &Run, at: usize) {
    let within = run.shadows[at].options.timeout * 20;
    let call = run.shadows[at].client.modify::<Value, Value>(|shadow| {
        let count = shadow.and_then(|shadow| shadow.state.reported.as_ref()?["count"].as_u64());
        Some(Update::new().reported(json!({"count": count.unwrap_or(0) + 1})))
    });
    let Some(outcome) = run.ends(random, within, call).await else { return };
    let (token, end) = match outcome {
        Ok(accepted) => {
            accepted.map(|accepted| (accepted.client_token, End::Accepted(accepted.version))).unwrap()
        }
        Err(error) => (error.client_token().map(str::to_owned), failed(&error)),
    };
    run.note(at, What::Ended { token: token.unwrap(), end });
}

/// Listens until there are no more, or for ever.
async fn deltas(mut random: Random, run: &Run, at: usize, catch_up: bool) {
    let Ok(mut deltas): Result<Deltas, _> = run.shadows[at].client.deltas().await else { return };
    let stream = run.stream();
    if catch_up {
        deltas.catch_up();
    }
    let pause = if random.chance(30) { random.millis(1_500) } else { Duration::ZERO };
    loop {
        // A document that was refused is not asked for again by itself.
        let Ok(next) = timeout(secs(10), deltas.next()).await else {
            if deltas.catch_up_error().is_some_and(|error| !error.is_retryable()) {
                deltas.catch_up();
            }
            continue;
        };
        let Some(delta) = next else { return };
        assert!(delta.state.is_object());
        run.note(at, What::Delta { stream, version: delta.version, state: delta.state });
        if !pause.is_zero() {
            pass(pause).await;
        }
    }
}

async fn documents(run: &Run, at: usize) {
    let Ok(mut documents) = run.shadows[at].client.documents::<Value>().await else { return };
    let stream = run.stream();
    while let Some(change) = documents.next().await {
        run.note(at, What::Change { stream, version: change.current.version });
    }
}

/// Listens as long as the run lasts, with a stream after the other if it has to be.
pub(crate) async fn listener(mut random: Random, run: Rc<Run>, at: usize) {
    loop {
        deltas(random.fork(), &run, at, true).await;
        pass(secs(1)).await;
    }
}

/// Keeps a state in step as long as the run lasts; stops and goes on until all is well.
pub(crate) async fn in_step(mut random: Random, run: Rc<Run>) {
    loop {
        let for_a_while = !run.weather.is_fair();
        let in_step = run.sync.run(|state, delta| merge(state, &delta.state));
        let _ = match for_a_while {
            true => timeout(secs(1 + random.below(100)), in_step).await,
            false => Ok(in_step.await),
        };
        pass(secs(1)).await;
    }
}
