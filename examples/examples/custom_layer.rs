//! A layer of one's own in the stack of a client: it publishes a heartbeat by itself while the session is up.
//! With no arguments it starts a local AWS IoT Core and talks to that; the flags are those of the other samples.
//! Shows: the five methods of a stage, time that comes from outside, operations of a layer's own whose ends stay inside,
//! and where the builder puts the layer. docs/writing-a-layer.md explains it line by line.
//! Exit codes: 0 done, 1 something failed, 2 wrong arguments.

use std::process::ExitCode;
use std::time::Duration;

use aws_iot::{Client, Message, QoS};
use clap::Parser;
use examples::{ConnectionArgs, Failure, Interrupt, end, say, session};
use heartbeat::Heartbeat;

/// The layer. It knows nothing of sockets, tasks or clocks, so its test needs none either.
mod heartbeat {
    use std::time::Duration;

    use aws_iot::crates::iot_session::stage::{Event, Gauges, Input, Layer, Op, OpId, Output, Owner, Stage};
    use aws_iot::crates::iot_session::{Message, Nanos, Now};

    /// Publishes `message` when the session comes up and then every so often while it is.
    #[derive(Debug, Clone)]
    pub(crate) struct Heartbeat {
        pub(crate) message: Message,
        pub(crate) every: Duration,
    }

    impl<S: Stage> Layer<S> for Heartbeat {
        type Stage = HeartbeatStage<S>;

        fn layer(self, inner: S) -> Self::Stage {
            HeartbeatStage { inner, config: self, next: None, beats: 0 }
        }
    }

    /// The running [`Heartbeat`].
    #[derive(Debug)]
    pub(crate) struct HeartbeatStage<S> {
        inner: S,
        config: Heartbeat,
        /// When the next one is due; `None` while the session is down.
        next: Option<Nanos>,
        beats: u64,
    }

    /// Numbers from 16 on are free for layers of one's own.
    const OWNER: Owner = Owner(16);

    impl<S: Stage> Stage for HeartbeatStage<S> {
        fn handle(&mut self, now: Now, input: Input) {
            self.inner.handle(now, input); // nothing of it concerns this layer, not even Timeout: poll looks at the time
        }

        fn poll(&mut self, now: Now) -> Option<Output> {
            loop {
                match self.inner.poll(now) {
                    // An operation of ours has ended: nobody above knows it.
                    Some(Output::Event(Event::Done(id, _))) if id.owner() == OWNER => {}
                    Some(output) => {
                        match &output {
                            Output::Event(Event::Connected(_)) => self.next = Some(now.mono),
                            Output::Event(Event::Disconnected(_)) => self.next = None,
                            _ => {}
                        }
                        return Some(output);
                    }
                    // The inner stage has said everything: only now may a layer issue operations of its own.
                    None if self.next.is_some_and(|due| due <= now.mono) => {
                        self.next = Some(now.mono.after(self.config.every));
                        self.beats += 1;
                        let heartbeat = self.config.message.clone().into_op();
                        self.inner
                            .handle(now, Input::Op(OpId::new(OWNER, self.beats), Op::Publish(heartbeat)));
                    }
                    None => return None,
                }
            }
        }

        fn deadline(&self) -> Option<Nanos> {
            [self.next, self.inner.deadline()].into_iter().flatten().min()
        }

        fn ready(&self) -> bool {
            self.inner.ready()
        }

        fn gauges(&self, gauges: &mut Gauges) {
            self.inner.gauges(gauges);
        }
    }
}

/// Listens to the heartbeats that a layer of this very client publishes.
#[derive(Parser)]
#[command(version)]
struct Args {
    #[command(flatten)]
    connection: ConnectionArgs,
    /// The client id; the policy must allow it [default: what the file of settings says, else customLayer]
    #[arg(long = "clientId")]
    client_id: Option<String>,
    /// The topic of the heartbeat
    #[arg(short, long, default_value = "sdk/test/heartbeat")]
    topic: String,
    /// Ends after this many
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..))]
    count: u64,
}

#[tokio::main]
async fn main() -> ExitCode {
    end(run(&Args::parse()).await)
}

async fn run(args: &Args) -> Result<(), Failure> {
    let message = Message::new(args.topic.as_str(), "alive")
        .map_err(|error| Failure::Usage(format!("{:?} is no topic: {error}", args.topic)))?
        .qos(QoS::AtMostOnce)
        .queue(false);
    let interrupt = Interrupt::listen()?;
    let (builder, emulator) = args.connection.builder().await?;
    let builder = builder.layer(Heartbeat { message, every: Duration::from_secs(1) });
    session(
        (builder, emulator),
        args.connection.client_id(args.client_id.as_deref(), "customLayer"),
        interrupt,
        async |client| listen(client, args).await,
    )
    .await
}

async fn listen(client: &Client, args: &Args) -> Result<(), Failure> {
    let mut heartbeats = client.subscribe(args.topic.as_str(), QoS::AtMostOnce).await?;
    for _ in 0..args.count {
        let Some(heartbeat) = heartbeats.next().await else { break };
        say(format_args!(
            "Received on {}: {}",
            heartbeat.topic(),
            String::from_utf8_lossy(heartbeat.payload())
        ))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use aws_iot::crates::iot_session::stage::{
        Connected, Event, Gauges, Input, Layer, Op, OpId, Output, Owner, Receipt, Stage,
    };
    use aws_iot::crates::iot_session::{Nanos, Now};

    use super::*;

    /// Stands for all that is inside: says what it is told to say, and notes when it is asked to publish.
    #[derive(Default)]
    struct Inner {
        says: VecDeque<Output>,
        published: Vec<u64>,
    }

    impl Stage for &mut Inner {
        fn handle(&mut self, now: Now, input: Input) {
            if let Input::Op(_, Op::Publish(_)) = input {
                self.published.push(now.mono.to_duration().as_secs());
            }
        }

        fn poll(&mut self, _now: Now) -> Option<Output> {
            self.says.pop_front()
        }

        fn deadline(&self) -> Option<Nanos> {
            None
        }

        fn ready(&self) -> bool {
            true
        }

        fn gauges(&self, _gauges: &mut Gauges) {}
    }

    #[test]
    fn it_beats_at_once_and_then_every_minute_while_the_session_is_up() {
        let mut inner = Inner::default();
        inner.says.push_back(Output::Event(Event::Connected(Connected::default())));
        // The end of a heartbeat stays inside; that of an operation of the application's does not.
        inner.says.push_back(Output::Event(Event::Done(OpId::new(Owner(16), 1), Ok(Receipt::Sent))));
        inner.says.push_back(Output::Event(Event::Done(OpId::new(Owner::APPLICATION, 1), Ok(Receipt::Sent))));
        let message = Message::new("alive", "").unwrap();
        let mut stage = Heartbeat { message, every: Duration::from_secs(60) }.layer(&mut inner);
        let mut now = Now::mono(Nanos::ZERO);
        let mut outputs = 0;
        for _ in 0..3 {
            while stage.poll(now).is_some() {
                outputs += 1;
            }
            now = Now::mono(stage.deadline().unwrap());
            stage.handle(now, Input::Timeout);
        }
        assert_eq!(outputs, 2);
        assert_eq!(now.mono, Nanos::ZERO.after(Duration::from_secs(180)));
        assert_eq!(inner.published, [0, 60, 120]);
    }
}
