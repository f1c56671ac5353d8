//! Why a signature is not taken.

use std::fmt;

/// The reason, which the client is told. It names nothing that a client may not know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    Encoding,
    Missing(&'static str),
    Repeated(&'static str),
    Malformed(&'static str),
    Algorithm,
    ScopeDate,
    Region {
        expected: String,
    },
    Service,
    NotYetCurrent,
    Expired,
    UnknownKey,
    NoHost,
    HostNotSigned,
    SignedHeaders,
    HeaderMissing(String),
    Signature,
    TokenSigned,
    TokenMissing,
    Token,
    CredentialsExpired,
    /// A part of the header `Authorization`.
    Authorization(&'static str),
    /// A header that is there twice, or is no text.
    HeaderForm(&'static str),
    DateForm,
    NotSigned(String),
    ContentHash,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Encoding => f.write_str("The query string is not percent-encoded, or has too many parameters."),
            Self::Missing(name) => write!(f, "The query string lacks the parameter {name}."),
            Self::Repeated(name) => write!(f, "The query string has the parameter {name} more than once."),
            Self::Malformed(name) => write!(f, "The query parameter {name} does not have the right form."),
            Self::Algorithm => f.write_str("The algorithm of the signature has to be AWS4-HMAC-SHA256."),
            Self::ScopeDate => f.write_str("Date in Credential scope does not match YYYYMMDD from X-Amz-Date."),
            Self::Region { expected } => {
                write!(f, "Credential should be scoped to a valid region, not another one. Expected: {expected}.")
            }
            Self::Service => f.write_str("Credential should be scoped to correct service: iotdevicegateway."),
            Self::NotYetCurrent => f.write_str("Signature not yet current: X-Amz-Date is in the future."),
            Self::Expired => f.write_str("Signature expired: X-Amz-Date is too long ago."),
            Self::UnknownKey | Self::Token => {
                f.write_str("The security token included in the request is invalid.")
            }
            Self::NoHost => f.write_str("The request has no Host header, or more than one."),
            Self::HostNotSigned => f.write_str("'Host' must be a 'SignedHeader' in the AWS Signature."),
            Self::SignedHeaders => f.write_str("X-Amz-SignedHeaders is not a sorted list of header names."),
            Self::HeaderMissing(name) => write!(f, "The signed header {name} is not in the request."),
            Self::Signature => f.write_str(
                "The request signature we calculated does not match the signature you provided. Check your AWS \
                 Secret Access Key and signing method.",
            ),
            Self::TokenSigned => f.write_str(
                "The request signature we calculated does not match the signature you provided: \
                 X-Amz-Security-Token must not be signed.",
            ),
            Self::TokenMissing => {
                f.write_str("The request lacks X-Amz-Security-Token, which belongs to temporary credentials.")
            }
            Self::Authorization(name) => {
                write!(f, "Authorization header requires '{name}' parameter, once and in the right form.")
            }
            Self::HeaderForm(name) => write!(f, "The header {name} is there more than once, or is no text."),
            Self::DateForm => f.write_str("The date of the request does not have the form 20240115T120000Z."),
            Self::NotSigned(name) => write!(f, "'{name}' must be a 'SignedHeader' in the AWS Signature."),
            Self::ContentHash => {
                f.write_str("The header x-amz-content-sha256 is not the SHA-256 of the body that arrived.")
            }
            Self::CredentialsExpired => {
                f.write_str("The security token included in the request is expired.")
            }
        }
    }
}
