//! Blobs: bytes that are named by their digest.

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// A blob of a known media type.
pub(super) struct Blob {
    media_type: &'static str,
    hex: String,
    pub(super) bytes: Vec<u8>,
}

impl Blob {
    pub(super) fn new(media_type: &'static str, bytes: Vec<u8>) -> Self {
        Self { media_type, hex: hex(&bytes), bytes }
    }

    pub(super) fn json(media_type: &'static str, value: &Value) -> Self {
        Self::new(media_type, value.to_string().into_bytes())
    }

    /// Where it lies in an image layout.
    pub(super) fn path(&self) -> String {
        format!("blobs/sha256/{}", self.hex)
    }

    /// How others refer to it.
    pub(super) fn descriptor(&self) -> Value {
        json!({"mediaType": self.media_type, "digest": format!("sha256:{}", self.hex), "size": self.bytes.len()})
    }
}

/// The digest of bytes.
pub(super) fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex(bytes))
}

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
