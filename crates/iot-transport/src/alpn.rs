//! The application protocols (ALPN) by which AWS IoT Core tells its doors on port 443 apart.
//!
//! AWS IoT Core Developer Guide, "Device communication protocols". For `TlsOptions::alpn`.

/// MQTT with a client certificate on port 443. Port 8883 needs none.
pub const MUTUAL_TLS: &str = "x-amzn-mqtt-ca";

/// MQTT on port 443 with a custom authorizer.
pub const CUSTOM_AUTHORIZER: &str = "mqtt";

/// WebSocket on port 443. AWS IoT Core does without; some proxies and load balancers do not.
pub const HTTP: &str = "http/1.1";
