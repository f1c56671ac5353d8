//! A certificate authority made at run time, and TLS servers on loopback that use it.

use std::sync::Arc;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use iot_transport::tls::rustls::crypto::CryptoProvider;
use iot_transport::tls::rustls::server::WebPkiClientVerifier;
use iot_transport::tls::rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion, version};
use iot_transport::{Material, TrustAnchors};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

pub const TLS12: &[&SupportedProtocolVersion] = &[&version::TLS12];
pub const TLS13: &[&SupportedProtocolVersion] = &[&version::TLS13];

/// Every crypto provider that is compiled in.
pub fn providers() -> Vec<Arc<CryptoProvider>> {
    vec![
        #[cfg(feature = "ring")]
        Arc::new(rustls::crypto::ring::default_provider()),
        #[cfg(feature = "aws-lc-rs")]
        Arc::new(rustls::crypto::aws_lc_rs::default_provider()),
    ]
}

pub struct Ca(CertifiedIssuer<'static, KeyPair>);

impl Ca {
    pub fn new() -> Self {
        Self::named("test CA")
    }

    pub fn named(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub fn pem(&self) -> String {
        self.0.pem()
    }

    pub fn anchors(&self) -> TrustAnchors {
        TrustAnchors::ca(Material::bytes(self.pem()))
    }

    pub fn roots(&self) -> Arc<RootCertStore> {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).unwrap();
        Arc::new(roots)
    }

    /// A certificate for these names and this key, as PEM.
    pub fn sign(&self, names: &[&str], key: &KeyPair) -> String {
        self.issue(&parameters(names), key)
    }

    /// A certificate as these parameters say, for this key, as PEM.
    pub fn issue(&self, params: &CertificateParams, key: &KeyPair) -> String {
        params.signed_by(key, &self.0).unwrap().pem()
    }

    /// A server's configuration with a certificate for these names; clients need a certificate of `clients`,
    /// if given.
    pub fn server(
        &self,
        provider: &Arc<CryptoProvider>,
        versions: &[&'static SupportedProtocolVersion],
        params: &CertificateParams,
        clients: Option<&Ca>,
    ) -> ServerConfig {
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        server(provider, versions, certificate.der(), &key, clients)
    }

    /// A server's configuration with the CA's own certificate.
    pub fn server_itself(
        &self,
        provider: &Arc<CryptoProvider>,
        versions: &[&'static SupportedProtocolVersion],
    ) -> ServerConfig {
        server(provider, versions, self.0.der(), self.0.key(), None)
    }
}

/// A server's configuration with a certificate that no CA signed, only its own key.
pub fn self_signed_server(
    provider: &Arc<CryptoProvider>,
    versions: &[&'static SupportedProtocolVersion],
    params: &CertificateParams,
) -> ServerConfig {
    let key = KeyPair::generate().unwrap();
    server(provider, versions, params.self_signed(&key).unwrap().der(), &key, None)
}

fn server(
    provider: &Arc<CryptoProvider>,
    versions: &[&'static SupportedProtocolVersion],
    certificate: &CertificateDer<'static>,
    key: &KeyPair,
    clients: Option<&Ca>,
) -> ServerConfig {
    let builder =
        ServerConfig::builder_with_provider(provider.clone()).with_protocol_versions(versions).unwrap();
    let builder = match clients {
        Some(ca) => builder.with_client_cert_verifier(
            WebPkiClientVerifier::builder_with_provider(ca.roots(), provider.clone()).build().unwrap(),
        ),
        None => builder.with_no_client_auth(),
    };
    let key = PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).unwrap();
    builder.with_single_cert(vec![certificate.clone()], key).unwrap()
}

pub fn parameters(names: &[&str]) -> CertificateParams {
    CertificateParams::new(names.iter().map(ToString::to_string).collect::<Vec<_>>()).unwrap()
}

/// PEM text of a section, as the tools write it.
pub fn pem(label: &str, der: &[u8]) -> String {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = format!("-----BEGIN {label}-----\n");
    for line in der.chunks(48) {
        for three in line.chunks(3) {
            let bits = three.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte))
                << (8 * (3 - three.len()));
            for place in 0..4 {
                let six = (bits >> (18 - 6 * place) & 63) as usize;
                text.push(if place > three.len() { '=' } else { ALPHABET[six] as char });
            }
        }
        text.push('\n');
    }
    text + &format!("-----END {label}-----\n")
}

/// A P-256 key in the older form that OpenSSL writes as EC PRIVATE KEY: it sits inside the PKCS#8 one.
pub fn sec1(key: &KeyPair) -> String {
    let pkcs8 = key.serialize_der();
    assert_eq!(pkcs8[27], 0x04, "an octet string");
    pem("EC PRIVATE KEY", &pkcs8[29..29 + usize::from(pkcs8[28])])
}

/// An RSA key of 2,048 bits: as rcgen holds it, and in the older form that OpenSSL writes as RSA PRIVATE KEY, which sits
/// inside the PKCS#8 one.
pub fn rsa() -> (KeyPair, String) {
    let key = aws_lc_rs::rsa::KeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa2048).unwrap();
    let pkcs8: Pkcs8V1Der<'static> = key.as_der().unwrap();
    let pkcs8 = pkcs8.as_ref();
    assert_eq!(pkcs8[22..24], [0x04, 0x82], "an octet string with a length of two bytes");
    (KeyPair::try_from(pkcs8).unwrap(), pem("RSA PRIVATE KEY", &pkcs8[26..]))
}
