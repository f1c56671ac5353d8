//! The two standards, and how each is named in files, comments and tests.

/// A standard whose statements are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standard {
    V3_1_1,
    V5,
}

impl Standard {
    pub(super) const ALL: [Self; 2] = [Self::V3_1_1, Self::V5];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::V3_1_1 => "MQTT 3.1.1",
            Self::V5 => "MQTT 5.0",
        }
    }

    /// The table's file.
    pub(super) fn file(self) -> &'static str {
        match self {
            Self::V3_1_1 => "v3_1_1.tsv",
            Self::V5 => "v5.tsv",
        }
    }

    /// What stands before the number in a citation.
    pub(super) fn citation(self) -> &'static str {
        match self {
            Self::V3_1_1 => "v3.1.1 MQTT-",
            Self::V5 => "v5 MQTT-",
        }
    }

    /// What stands before the number in a test's name.
    pub(super) fn test(self) -> &'static str {
        match self {
            Self::V3_1_1 => "mqtt311_",
            Self::V5 => "mqtt5_",
        }
    }
}
