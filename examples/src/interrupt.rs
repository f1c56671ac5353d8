//! Ctrl-C and SIGTERM, heard from the start to the end of a sample.

use tokio::sync::watch;

use crate::Failure;

/// Tells when the user, or the system, wants the sample to end.
#[derive(Debug, Clone)]
pub struct Interrupt(watch::Receiver<bool>);

impl Interrupt {
    /// Listens from now on.
    ///
    /// # Errors
    /// The system does not let us.
    pub fn listen() -> Result<Self, Failure> {
        let (tell, told) = watch::channel(false);
        let wanted =
            signals().map_err(|error| Failure::Failed(format!("cannot listen for Ctrl-C: {error}")))?;
        tokio::spawn(async move {
            wanted.await;
            tell.send_replace(true);
        });
        Ok(Self(told))
    }

    /// Resolves once the sample is to end; at once if that was said before.
    pub async fn requested(&mut self) {
        if self.0.wait_for(|wanted| *wanted).await.is_err() {
            // Nobody is left who could tell.
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(unix)]
fn signals() -> std::io::Result<impl Future<Output = ()> + Send> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

#[cfg(not(unix))]
fn signals() -> std::io::Result<impl Future<Output = ()> + Send> {
    Ok(async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    })
}
