//! Where to connect to, by the flags of the AWS IoT Device SDK for Python's samples.

use std::path::PathBuf;

use aws_iot::{Builder, Material, Version};
use clap::{Args, ValueEnum};
use iot_emulator::Emulator;

use crate::{Failure, say};

/// The flags that every sample has.
#[derive(Debug, Args)]
pub struct ConnectionArgs {
    /// The endpoint: `aws iot describe-endpoint --endpoint-type iot:Data-ATS`. Without it a local emulator is started
    #[arg(short, long)]
    endpoint: Option<String>,
    /// The CA that signed the server's certificate, PEM
    #[arg(short, long = "rootCA", value_name = "FILE")]
    root_ca: Option<PathBuf>,
    /// The device's certificate, PEM
    #[arg(short, long, value_name = "FILE")]
    cert: Option<PathBuf>,
    /// The device's private key, PEM (PKCS#1, PKCS#8 or SEC1)
    #[arg(short, long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// The port; on 443 the protocol is chosen by ALPN [default: the endpoint's, else 8883]
    #[arg(short, long, value_parser = clap::value_parser!(u16).range(1..))]
    port: Option<u16>,
    /// The protocol version
    #[arg(long = "mqtt", value_enum, default_value_t = Protocol::V5)]
    protocol: Protocol,
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
        let (builder, emulator) = match &self.endpoint {
            Some(endpoint) => (self.to(endpoint)?, None),
            None => self.to_emulator().await.map(|(builder, emulator)| (builder, Some(emulator)))?,
        };
        let version = match self.protocol {
            Protocol::V3_1_1 => Version::V3_1_1,
            Protocol::V5 => Version::V5,
        };
        Ok((builder.version(version), emulator))
    }

    fn to(&self, endpoint: &str) -> Result<Builder, Failure> {
        let usage = |sentence: &str| Err(Failure::Usage(sentence.to_owned()));
        let (cert, key, root_ca) = match (&self.cert, &self.key, &self.root_ca) {
            (Some(cert), Some(key), Some(root_ca)) => (cert, key, root_ca),
            (Some(_), None, _) => return usage("-c needs -k: give the private key of the certificate, too"),
            (None, Some(_), _) => return usage("-k needs -c: give the certificate of the private key, too"),
            (None, None, _) => {
                return usage("-e needs -c and -k: the device's certificate and its private key");
            }
            (_, _, None) => {
                return usage("-e needs -r: the CA of the endpoint, for example AmazonRootCA1.pem");
            }
        };
        let builder = aws_iot::mutual_tls(endpoint, Material::file(cert), Material::file(key))
            .root_ca(Material::file(root_ca));
        Ok(match self.port {
            Some(port) => builder.port(port),
            None => builder,
        })
    }

    async fn to_emulator(&self) -> Result<(Builder, Emulator), Failure> {
        if self.cert.is_some() || self.key.is_some() || self.root_ca.is_some() || self.port.is_some() {
            let sentence =
                "-c, -k, -r and -p need -e: without an endpoint a local emulator with its own keys is used";
            return Err(Failure::Usage(sentence.to_owned()));
        }
        let emulator = Emulator::start().await.map_err(|error| {
            Failure::Failed(format!("the emulator could not be started on a free loopback port: {error}"))
        })?;
        say(format_args!("Started a local AWS IoT Core on {}:{}.", emulator.endpoint(), emulator.port()))?;
        let credentials = emulator.credentials();
        let (certificate, key) = (
            Material::bytes(credentials.certificate_pem.as_str()),
            Material::bytes(credentials.key_pem.as_str()),
        );
        let builder = aws_iot::mutual_tls(emulator.endpoint(), certificate, key)
            .root_ca(Material::bytes(credentials.ca_pem.as_str()))
            .port(emulator.port());
        Ok((builder, emulator))
    }
}
