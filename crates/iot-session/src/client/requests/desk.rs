//! Where answers are handed out.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use bytes::Bytes;
use futures_core::Stream;

use super::super::subscription::{Ended, Messages};
use super::{RequestError, TokenOf};
use crate::message::Message;

/// The answers of one subscription, and those who wait for one.
///
/// Whoever is polled reads what has come for all of them. When something comes all are woken up, as any of them may be one
/// that is not polled for a while. While nobody waits, the subscription is muted.
#[derive(Debug)]
pub(super) struct Desk {
    token_of: TokenOf,
    state: Mutex<State>,
    bell: Arc<Bell>,
    /// Rings the bell.
    ring: Waker,
}

#[derive(Debug)]
struct State {
    answers: Messages,
    /// The answer of each who waits, until it is fetched.
    waiting: HashMap<Bytes, Option<Message>>,
}

/// Wakes up everyone who waits.
#[derive(Debug, Default)]
struct Bell(Mutex<HashMap<Bytes, Waker>>);

/// The answer to one request, still to come.
#[derive(Debug)]
pub(super) struct Answer {
    desk: Arc<Desk>,
    token: Bytes,
}

impl Desk {
    pub(super) fn new(answers: Messages, token_of: TokenOf) -> Self {
        answers.mute();
        let bell = Arc::new(Bell::default());
        let state = Mutex::new(State { answers, waiting: HashMap::new() });
        Self { token_of, state, ring: Waker::from(Arc::clone(&bell)), bell }
    }

    /// A panic while the lock is held is impossible unless `token_of` panics; the state is still sound then.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether answers still come.
    pub(super) fn is_open(&self) -> bool {
        self.lock().answers.ended().is_none()
    }

    /// Waits for the answer with this token from now on.
    pub(super) fn wait(desk: Arc<Self>, token: Bytes) -> Result<Answer, RequestError> {
        let mut state = desk.lock();
        if state.waiting.contains_key(&token) {
            return Err(RequestError::TokenInUse);
        }
        if state.waiting.is_empty() {
            state.answers.unmute();
        }
        state.waiting.insert(token.clone(), None);
        drop(state);
        Ok(Answer { desk, token })
    }

    /// Hands out what has come; those who have their answer are to be `woken`. Gives why nothing more comes, once that is so.
    fn read(&self, state: &mut State, woken: &mut Vec<Waker>) -> Option<Ended> {
        let mut context = Context::from_waker(&self.ring);
        loop {
            match Pin::new(&mut state.answers).poll_next(&mut context) {
                Poll::Pending => return None,
                Poll::Ready(None) => return Some(state.answers.ended().unwrap_or(Ended::Closed)),
                Poll::Ready(Some(answer)) => {
                    let Some(whose) = (self.token_of)(&answer) else { continue };
                    let Some(slot) = state.waiting.get_mut(&whose) else { continue };
                    slot.get_or_insert(answer);
                    woken.extend(self.bell.lock().remove(&whose));
                }
            }
        }
    }
}

impl Bell {
    fn lock(&self) -> MutexGuard<'_, HashMap<Bytes, Waker>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let wakers = std::mem::take(&mut *self.lock());
        wakers.into_values().for_each(Waker::wake);
    }
}

impl Future for Answer {
    type Output = Result<Message, Ended>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        // Before anything is read: what comes from then on wakes this one up.
        self.desk.bell.lock().insert(self.token.clone(), context.waker().clone());
        let mut woken = Vec::new();
        let mut state = self.desk.lock();
        let ended = self.desk.read(&mut state, &mut woken);
        let answer = state.waiting.get_mut(&self.token).and_then(Option::take);
        drop(state);
        woken.into_iter().for_each(Waker::wake);
        match (answer, ended) {
            (Some(answer), _) => Poll::Ready(Ok(answer)),
            (None, Some(ended)) => Poll::Ready(Err(ended)),
            (None, None) => Poll::Pending,
        }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.desk.bell.lock().remove(&self.token);
        let mut state = self.desk.lock();
        state.waiting.remove(&self.token);
        if state.waiting.is_empty() {
            state.answers.mute();
        }
    }
}
