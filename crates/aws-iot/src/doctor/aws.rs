//! Who asks, in AWS's terms, and what lets them.

use super::report::Finding;
use crate::door::Door;

/// What AWS IoT Core knows the device by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Principal {
    Certificate,
    Authorizer,
    #[cfg(feature = "websocket")]
    Iam,
    Unknown,
}

impl Principal {
    pub(super) fn of(door: &Door) -> Self {
        match door {
            Door::MutualTls(_) => Self::Certificate,
            Door::CustomAuthorizer(_) => Self::Authorizer,
            #[cfg(feature = "websocket")]
            Door::SigV4(_) => Self::Iam,
            #[cfg(feature = "websocket")]
            Door::WebSocketCustomAuthorizer(_) => Self::Authorizer,
            Door::Own(_) => Self::Unknown,
        }
    }
}

/// Who asks.
#[derive(Debug, Clone)]
pub(super) struct Who {
    pub(super) principal: Principal,
    pub(super) client_id: String,
    /// Of the certificate, if it is known.
    pub(super) certificate_id: Option<String>,
    pub(super) region: Option<String>,
}

impl Who {
    /// The connection ended, or was refused, at CONNECT.
    pub(super) fn not_let_in(&self, what: &str) -> Finding {
        let client_id = shown(&self.client_id);
        let means = match self.principal {
            Principal::Certificate => format!(
                "this is how AWS IoT Core says no: the certificate is not active, or not registered in the account and \
                 region of this endpoint, or no policy attached to it allows iot:Connect for the client id {client_id} (or \
                 iot:Publish for the topic of the will); a certificate that is registered just now, by its first \
                 connection, is let in at the next"
            ),
            Principal::Authorizer => format!(
                "the custom authorizer denies, is not active, failed or took longer than 5 s, or its policy document does \
                 not allow iot:Connect for the client id {client_id}"
            ),
            #[cfg(feature = "websocket")]
            Principal::Iam => format!(
                "the signature is good, but the policy of its IAM identity does not allow iot:Connect for the client id \
                 {client_id}; an identity of Cognito that is logged in needs an AWS IoT policy attached, too"
            ),
            Principal::Unknown => format!(
                "the broker does not let the client id {client_id} in: no credentials, other ones than it wants, or no \
                 permission"
            ),
        };
        Finding::new(what, means, self.look("iot:Connect", &format!("client/{}", self.client_id)))
    }

    /// An operation on a topic is not allowed.
    pub(super) fn not_allowed(&self, what: &str, action: &str, resource: &str) -> Finding {
        let means = format!("the policy does not allow {action} on {}", shown(resource));
        Finding::new(what, means, self.look(action, resource))
    }

    /// Where to look for the policy.
    fn look(&self, action: &str, resource: &str) -> String {
        let region = self.region.as_deref().unwrap_or("<region>");
        let resource = shown(resource);
        match self.principal {
            Principal::Certificate => {
                let id = self.certificate_id.as_deref().unwrap_or("<certificate id>");
                format!(
                    "`aws iot describe-certificate --region {region} --certificate-id {id}` must say ACTIVE, and \
                     `aws iot list-attached-policies --region {region} --target <its certificateArn>` list a policy that \
                     allows {action} on arn:aws:iot:{region}:<account>:{resource}"
                )
            }
            Principal::Authorizer => format!(
                "see the authorizer's log in CloudWatch; `aws iot test-invoke-authorizer --region {region}` runs it; its \
                 policy document must allow {action} on arn:aws:iot:{region}:<account>:{resource}"
            ),
            #[cfg(feature = "websocket")]
            Principal::Iam => format!(
                "allow {action} on arn:aws:iot:{region}:<account>:{resource} in the policy of the identity that \
                 `aws sts get-caller-identity` names with these credentials"
            ),
            Principal::Unknown => format!("see the broker's log, and allow {action} on {resource}"),
        }
    }
}

/// What the configuration may hold, fit for a terminal.
pub(super) fn shown(text: &str) -> String {
    text.escape_debug().to_string()
}
