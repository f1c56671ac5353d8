//! Where to connect to, by the flags of the AWS IoT Device SDK for Python's samples.

use std::path::{Path, PathBuf};

use aws_iot::credentials::{Chain, Credentials};
use aws_iot::{Builder, Material, Settings, Version};
use clap::{Args, ValueEnum};
use iot_emulator::{AwsCredentials, CredentialFiles, Emulator};

use crate::{Failure, say};

/// The flags that every sample has.
#[derive(Debug, Args)]
pub struct ConnectionArgs {
    /// A file with these settings and more, TOML or JSON; variables of the environment such as AWS_IOT_ENDPOINT go before it
    #[arg(long, value_name = "FILE", conflicts_with_all = ["endpoint", "root_ca", "cert", "key", "port", "websocket", "region"])]
    config: Option<PathBuf>,
    /// The endpoint: `aws iot describe-endpoint --endpoint-type iot:Data-ATS`. Without it a local emulator is started
    #[arg(short, long)]
    endpoint: Option<String>,
    /// The CA that signed the server's certificate, PEM or DER [default: Amazon's roots]
    #[arg(short, long = "rootCA", value_name = "FILE")]
    root_ca: Option<PathBuf>,
    /// The device's certificate, PEM or DER
    #[arg(short, long, value_name = "FILE")]
    cert: Option<PathBuf>,
    /// The device's private key, PEM or DER (PKCS#1, PKCS#8 or SEC1)
    #[arg(short, long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// The port; on 443 the protocol is chosen by ALPN [default: the endpoint's, else 8883, with -w 443]
    #[arg(short, long, value_parser = clap::value_parser!(u16).range(1..))]
    port: Option<u16>,
    /// Over WebSocket, signed with AWS credentials: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, else
    /// those in ~/.aws/credentials
    #[arg(short, long)]
    websocket: bool,
    /// With -w: the AWS region, where the endpoint's name does not tell it [default: AWS_REGION, AWS_DEFAULT_REGION]
    #[arg(long)]
    region: Option<String>,
    /// The protocol version [default: 5]
    #[arg(long = "mqtt", value_enum)]
    protocol: Option<Protocol>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Protocol {
    #[value(name = "3.1.1")]
    V3_1_1,
    #[value(name = "5")]
    V5,
}

impl ConnectionArgs {
    /// A builder for what the flags say. Without an endpoint a local AWS IoT Core is started, which lives as long as
    /// what is returned beside the builder.
    ///
    /// # Errors
    /// Flags that do not go together; the emulator could not be started.
    pub async fn builder(&self) -> Result<(Builder, Option<Emulator>), Failure> {
        if let Some(file) = &self.config {
            return Ok((self.versioned(settings(file)?), None));
        }
        self.check()?;
        let (builder, emulator) = match &self.endpoint {
            Some(endpoint) => (self.to(endpoint)?, None),
            None => self.to_emulator().await.map(|(builder, emulator)| (builder, Some(emulator)))?,
        };
        Ok((self.versioned(builder), emulator))
    }

    /// As [`builder`](Self::builder), but several programs without an endpoint meet at one emulator: the one that runs on this
    /// machine at this port, or else one that is started there.
    ///
    /// # Errors
    /// Flags that do not go together; the emulator could not be started.
    pub async fn builder_at(&self, emulator: u16) -> Result<(Builder, Option<Emulator>), Failure> {
        // With AWS credentials it is always one of its own: those of another one are not on disk.
        if self.has_endpoint() || self.websocket {
            return self.builder().await;
        }
        self.check()?;
        let (files, emulator) = match CredentialFiles::of_running(emulator) {
            Some(files) => {
                say(format_args!("Found a local AWS IoT Core on localhost:{emulator}."))?;
                ((files, emulator), None)
            }
            None => start_emulator_at(emulator).await?,
        };
        let (CredentialFiles { ca, certificate, key, .. }, port) = files;
        let builder = aws_iot::mutual_tls("localhost", Material::file(certificate), Material::file(key))
            .root_ca(Material::file(ca))
            .port(port);
        Ok((self.versioned(builder), emulator))
    }

    /// The client id to connect by: what a flag says, else what the file of settings says, which is `None`, else the sample's name.
    #[must_use]
    pub fn client_id<'a>(&self, flag: Option<&'a str>, sample: &'a str) -> Option<&'a str> {
        flag.or_else(|| self.config.is_none().then_some(sample))
    }

    /// Whether it is not the emulator.
    #[must_use]
    pub fn has_endpoint(&self) -> bool {
        self.endpoint.is_some() || self.config.is_some()
    }

    fn versioned(&self, builder: Builder) -> Builder {
        match self.protocol {
            Some(Protocol::V3_1_1) => builder.version(Version::V3_1_1),
            Some(Protocol::V5) => builder.version(Version::V5),
            None => builder,
        }
    }

    /// Flags that do not go together.
    fn check(&self) -> Result<(), Failure> {
        let certificate = self.cert.is_some() || self.key.is_some();
        let sentence = match &self.endpoint {
            _ if self.websocket && certificate => {
                "-w goes without -c and -k: it signs with AWS credentials, from the environment or ~/.aws/credentials"
            }
            _ if !self.websocket && self.region.is_some() => {
                "--region needs -w: only signatures need a region"
            }
            None if certificate || self.root_ca.is_some() || self.port.is_some() || self.region.is_some() => {
                "-c, -k, -r, -p and --region need -e: without an endpoint a local emulator with its own keys is used"
            }
            Some(_) if self.websocket => return Ok(()),
            Some(_) if self.key.is_none() && self.cert.is_some() => {
                "-c needs -k: give the private key of the certificate, too"
            }
            Some(_) if self.cert.is_none() && self.key.is_some() => {
                "-k needs -c: give the certificate of the private key, too"
            }
            Some(_) if !certificate => {
                "-e needs -c and -k, the device's certificate and its private key, or -w for AWS credentials"
            }
            _ => return Ok(()),
        };
        Err(Failure::Usage(sentence.to_owned()))
    }

    fn to(&self, endpoint: &str) -> Result<Builder, Failure> {
        let mut builder = match (&self.cert, &self.key) {
            (Some(cert), Some(key)) => {
                aws_iot::mutual_tls(endpoint, Material::file(cert), Material::file(key))
            }
            _ => {
                let builder = aws_iot::websocket(endpoint, Chain::new());
                match self.region.clone().or_else(|| region_of_environment(endpoint)) {
                    Some(region) => builder.region(region),
                    None => builder,
                }
            }
        };
        if let Some(root_ca) = &self.root_ca {
            builder = builder.root_ca(Material::file(root_ca));
        }
        if let Some(port) = self.port {
            builder = builder.port(port);
        }
        Ok(builder)
    }

    /// A builder for an emulator that the sample has in its own hands, by mutual TLS.
    ///
    /// # Errors
    /// The emulator could not be started.
    pub async fn own_emulator() -> Result<(Builder, Emulator), Failure> {
        let none = Self {
            config: None,
            endpoint: None,
            root_ca: None,
            cert: None,
            key: None,
            port: None,
            websocket: false,
            region: None,
            protocol: None,
        };
        none.to_emulator().await
    }

    async fn to_emulator(&self) -> Result<(Builder, Emulator), Failure> {
        let emulator = start_emulator().await?;
        let credentials = emulator.credentials();
        let builder = if self.websocket {
            let signer = aws_credentials(&emulator.aws_credentials());
            aws_iot::websocket(emulator.endpoint(), signer).region(emulator.region())
        } else {
            let (certificate, key) = (
                Material::bytes(credentials.certificate_pem.as_str()),
                Material::bytes(credentials.key_pem.as_str()),
            );
            aws_iot::mutual_tls(emulator.endpoint(), certificate, key)
        };
        let builder = builder.root_ca(Material::bytes(credentials.ca_pem.as_str())).port(emulator.port());
        Ok((builder, emulator))
    }
}

/// What a file and the environment say.
fn settings(file: &Path) -> Result<Builder, Failure> {
    let builder = Settings::load(file).and_then(|settings| settings.builder());
    builder.map_err(|error| Failure::Usage(error.to_string()))
}

/// A local AWS IoT Core, which says where it is.
///
/// # Errors
/// There is no free port.
pub async fn start_emulator() -> Result<Emulator, Failure> {
    let emulator = Emulator::start().await.map_err(|error| {
        Failure::Failed(format!("the emulator could not be started on a free loopback port: {error}"))
    })?;
    say(format_args!("Started a local AWS IoT Core on {}:{}.", emulator.endpoint(), emulator.port()))?;
    Ok(emulator)
}

/// An emulator at this port, whose files are where others look for them.
async fn start_emulator_at(port: u16) -> Result<((CredentialFiles, u16), Option<Emulator>), Failure> {
    let failed = |error: std::io::Error| {
        Failure::Failed(format!(
            "no local AWS IoT Core runs at port {port}, and none could be started: {error}"
        ))
    };
    let emulator = Emulator::builder().port(port).status_port(0).start().await.map_err(failed)?;
    let port = emulator.port();
    let files = emulator.credentials().write_to(&CredentialFiles::usual_directory(port)).map_err(failed)?;
    say(format_args!("Started a local AWS IoT Core on localhost:{port}."))?;
    if let Some(url) = emulator.status_url() {
        say(format_args!("What goes on there is shown at {url}"))?;
    }
    Ok(((files, port), Some(emulator)))
}

/// The emulator's credentials in the form that signers take.
fn aws_credentials(given: &AwsCredentials) -> Credentials {
    let (key, secret, token) = (&given.access_key_id, &given.secret_access_key, &given.session_token);
    Credentials::new(key, secret, token.clone(), given.expires, "emulator")
}

/// As the AWS CLI has it, for an endpoint whose name tells no region.
fn region_of_environment(endpoint: &str) -> Option<String> {
    if aws_iot::region_of(endpoint).is_ok() {
        return None;
    }
    ["AWS_REGION", "AWS_DEFAULT_REGION"]
        .into_iter()
        .find_map(|name| std::env::var(name).ok().filter(|region| !region.is_empty()))
}
