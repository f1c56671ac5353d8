//! A service that gives credentials, written by hand.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use iot_transport::credentials::{Credentials, CredentialsError, ProvideCredentials, explain};
use iot_transport::{Attempt, BoxConnector, from_fn};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};

pub const POOL: &str = "eu-west-1:01234567-89ab-cdef-0123-456789abcdef";
pub const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
pub const TOKEN: &str = "IQoJb3JpZ2luX2VjEXAMPLETOKEN==";

/// A server that answers with what it was told to, one request for each stream, and remembers the requests.
#[derive(Clone, Default)]
pub struct Server {
    pub answers: Arc<Mutex<VecDeque<String>>>,
    pub requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    pub fn answering<const N: usize>(answers: [(u16, String); N]) -> Self {
        let server = Self::default();
        for (status, body) in answers {
            server.raw(&format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n\r\n{body}", body.len()));
        }
        server
    }

    pub fn raw(&self, answer: &str) {
        self.answers.lock().unwrap().push_back(answer.to_owned());
    }

    /// What was asked so far, each as head and body.
    pub fn asked(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }

    pub fn connector(&self) -> BoxConnector {
        let server = self.clone();
        let dial = move |_: Attempt| {
            let (ours, theirs) = tokio::io::duplex(64 * 1024);
            tokio::spawn(server.clone().serve(theirs));
            async { Ok(ours) }
        };
        BoxConnector::new(from_fn(dial).with_endpoint("service.example", 443))
    }

    async fn serve(self, mut stream: DuplexStream) {
        let mut request = Vec::new();
        loop {
            let text = String::from_utf8_lossy(&request).into_owned();
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let length =
                    head.to_ascii_lowercase().split_once("content-length: ").map_or(0, |(_, rest)| {
                        rest.split("\r\n").next().and_then(|text| text.parse().ok()).unwrap_or(0)
                    });
                if body.len() >= length {
                    break;
                }
            }
            if stream.read_buf(&mut request).await.unwrap_or(0) == 0 {
                return;
            }
        }
        self.requests.lock().unwrap().push(String::from_utf8(request).unwrap());
        let answer = self.answers.lock().unwrap().pop_front();
        match answer {
            Some(answer) => {
                let _ = stream.write_all(answer.as_bytes()).await;
            }
            // Nothing prepared: the stream stays open and silent until the other side has had enough.
            None => {
                let _ = stream.read_u8().await;
            }
        }
    }
}

pub fn identity(id: &str) -> (u16, String) {
    (200, format!(r#"{{"IdentityId":"{id}"}}"#))
}

pub fn cognito_credentials(key: &str) -> (u16, String) {
    let object = format!(
        r#"{{"AccessKeyId":"{key}","SecretKey":"{SECRET}","SessionToken":"{TOKEN}","Expiration":1.7000000005E9}}"#
    );
    (200, format!(r#"{{"IdentityId":"x","Credentials":{object}}}"#))
}

pub fn refusal(kind: &str) -> (u16, String) {
    (400, format!(r#"{{"__type":"com.amazonaws.cognito#{kind}","message":"in its\nown words"}}"#))
}

pub fn device_credentials(expiration: &str) -> (u16, String) {
    let object = format!(
        r#"{{"accessKeyId":"AKID","secretAccessKey":"{SECRET}","sessionToken":"{TOKEN}","expiration":"{expiration}"}}"#
    );
    (200, format!(r#"{{"credentials":{object}}}"#))
}

pub async fn given(source: &impl ProvideCredentials) -> Credentials {
    source.provide_credentials().await.map_err(|error| explain(&error)).unwrap()
}

pub async fn refused(source: &impl ProvideCredentials) -> (CredentialsError, String) {
    let error = source.provide_credentials().await.expect_err("no credentials");
    let text = explain(&error);
    for shown in [&text, &format!("{error:?}"), &format!("{source:?}")] {
        assert!(!shown.contains(SECRET) && !shown.contains(TOKEN), "a secret in {shown}");
    }
    (error, text)
}

pub fn seconds(time: Option<SystemTime>) -> f64 {
    time.unwrap().duration_since(UNIX_EPOCH).unwrap().as_secs_f64()
}
