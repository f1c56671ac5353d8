//! Requests to a shadow, and what the service tells of it.

mod call;
mod deltas;
mod documents;
mod error;
mod modify;
mod reported;
mod sync;
mod tokens;
mod versions;
pub(crate) mod wire;

use std::sync::Arc;
use std::time::Duration;

use iot_session::{Client, Requests, TopicFilter};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::document::{Accepted, Deleted, Shadow};
use crate::topic::{Action, Reply, ShadowId, ShadowTopic};
use crate::update::Update;
pub use call::Call;
use call::Told;
pub use deltas::Deltas;
pub use documents::Documents;
pub use error::{ErrorKind, ShadowError};
pub use sync::{ShadowSync, SyncError};
use tokens::Tokens;
use versions::{Mark, Versions};

/// How a [`ShadowClient`] asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Options {
    /// How long a request may take, from the call to the answer. Default: 5 s.
    pub timeout: Duration,
    /// Whether the topics of the answers stay subscribed, from the first request of a kind on. Default: yes. Otherwise they are
    /// subscribed for each request, and unsubscribed when the last one under way has ended.
    pub keep_subscribed: bool,
    /// Whether a request without a connection waits for one, within its [time](Self::timeout). Default: no, it fails at once
    /// with [`ErrorKind::Offline`].
    pub wait_for_connection: bool,
    /// Whether answers are subscribed by one filter with a wildcard, `…/get/+`, instead of by two exact ones. It halves the
    /// subscriptions, but the policy has to allow it, and `…/update/+` brings deltas and documents too, unread. Default: no.
    pub wildcards: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(5),
            keep_subscribed: true,
            wait_for_connection: false,
            wildcards: false,
        }
    }
}

impl Options {
    /// Sets [`timeout`](Self::timeout).
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets [`keep_subscribed`](Self::keep_subscribed).
    #[must_use]
    pub const fn keep_subscribed(mut self, keep: bool) -> Self {
        self.keep_subscribed = keep;
        self
    }

    /// Sets [`wait_for_connection`](Self::wait_for_connection).
    #[must_use]
    pub const fn wait_for_connection(mut self, wait: bool) -> Self {
        self.wait_for_connection = wait;
        self
    }

    /// Sets [`wildcards`](Self::wildcards).
    #[must_use]
    pub const fn wildcards(mut self, wildcards: bool) -> Self {
        self.wildcards = wildcards;
        self
    }
}

/// One shadow, over a connection that others may use as well. Clones share its subscriptions.
///
/// Each request carries a token of its own and is answered once, whatever else passes on the topics: several may be under
/// way, as many as AWS IoT Core lets a connection have for a thing, which is 10; it refuses more with 429. There is no task behind it: whoever waits for an answer does the work.
///
/// # Subscriptions
/// AWS IoT Core allows 50 on a connection. A shadow takes two for each kind of request that is used (get, update, delete),
/// one with [wildcards](Options::wildcards); [`deltas`](Self::deltas) two more and [`documents`](Self::documents) one.
/// The first request of a kind asks for its two in one SUBSCRIBE and waits for the answer, so does the one after a
/// time without any, if they are [not kept](Options::keep_subscribed).
///
/// ```
/// use iot_shadow::{Shadow, ShadowClient, ShadowId, Update};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize)]
/// struct Lamp {
///     color: Option<String>,
/// }
///
/// async fn paint(client: &iot_session::Client) -> Result<(), Box<dyn std::error::Error>> {
///     let lamp = ShadowClient::new(client, ShadowId::classic("lamp")?);
///     let red = Lamp { color: Some("red".to_owned()) };
///     lamp.update(Update::new().desired(red)).await?;
///     let shadow: Shadow<Lamp> = lamp.get().await?;
///     println!("version {}, delta {:?}", shadow.version, shadow.state.delta);
///     Ok(())
/// }
/// ```
#[derive(Debug, Clone)]
pub struct ShadowClient(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    client: Client,
    id: ShadowId,
    options: Options,
    get: Requests,
    update: Requests,
    delete: Requests,
    tokens: Tokens,
    versions: Versions,
}

impl Inner {
    fn requests(&self, action: Action) -> &Requests {
        match action {
            Action::Get => &self.get,
            Action::Update => &self.update,
            Action::Delete => &self.delete,
        }
    }
}

impl ShadowClient {
    /// A shadow, with the default [`Options`]. Nothing is subscribed yet.
    #[must_use]
    pub fn new(client: &Client, id: ShadowId) -> Self {
        Self::with(client, id, Options::default())
    }

    /// A shadow, asked in this way. Nothing is subscribed yet.
    #[must_use]
    pub fn with(client: &Client, id: ShadowId, options: Options) -> Self {
        let requests = |action| requests(client, &id, options, action);
        let (get, update, delete) =
            (requests(Action::Get), requests(Action::Update), requests(Action::Delete));
        let (tokens, versions) = (Tokens::new(), Versions::default());
        Self(Arc::new(Inner { client: client.clone(), id, options, get, update, delete, tokens, versions }))
    }

    /// Which shadow.
    #[must_use]
    pub fn id(&self) -> &ShadowId {
        &self.0.id
    }

    /// The connection, for plain MQTT beside the shadow.
    #[must_use]
    pub fn mqtt(&self) -> &Client {
        &self.0.client
    }

    /// The whole document. It is an error with the code 404 if there is none: [`ShadowError::is_missing`].
    pub fn get<T: DeserializeOwned + Send + 'static>(&self) -> Call<Shadow<T>> {
        Call::new(self, Action::Get, |payload| {
            let shadow: Shadow<T> = wire::parse(payload)?;
            let mark = Mark::of_document(&shadow);
            Ok((Told::Has(mark), shadow))
        })
    }

    /// Merges an update into the shadow, which is made if there is none.
    pub fn update<T: Serialize>(&self, update: Update<T>) -> Call<Accepted> {
        let outcome = |payload: &[u8]| {
            let accepted: Accepted = wire::parse(payload)?;
            let mark = Mark { version: accepted.version, timestamp: accepted.timestamp };
            Ok((Told::Has(mark), accepted))
        };
        let (state, version) = (update.state(), update.version);
        Call::new(self, Action::Update, outcome).document(state, version).token(update.client_token)
    }

    /// Deletes the shadow. It is an error with the code 404 if there is none.
    pub fn delete(&self) -> Call<Deleted> {
        Call::new(self, Action::Delete, |payload| {
            let deleted: Deleted = wire::parse(payload)?;
            let mark = Mark { version: deleted.version, timestamp: deleted.timestamp };
            Ok((Told::Had(mark), deleted))
        })
    }
}

fn requests(client: &Client, id: &ShadowId, options: Options, action: Action) -> Requests {
    let filter = |reply| id.topic_filter(ShadowTopic::Action(action, reply));
    let answers = match options.wildcards {
        true => vec![TopicFilter::try_from(format!("{id}/{}/+", action.as_str()))],
        false => vec![filter(Reply::Accepted), filter(Reply::Rejected)],
    };
    // The names are checked, so all of these are filters.
    let Ok(requests) = Requests::new(client, answers.into_iter().flatten(), wire::token_of);
    requests.keep_subscribed(options.keep_subscribed)
}
