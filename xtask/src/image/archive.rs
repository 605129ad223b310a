//! The archive: a layer, its configuration, a manifest, an index (OCI image specification 1.1).

use std::io::{self, Write as _};

use flate2::{Compression, write::GzEncoder};
use serde_json::{Value, json};
use tar::{Builder, EntryType, Header};

use super::blob::{Blob, digest};

const EXECUTABLE: &str = "usr/bin/lb-agent";
/// What is mounted over, so that the root need not be written to; parents first.
const DIRECTORIES: [&str; 16] = [
    "dev",
    "etc",
    "etc/lb",
    "proc",
    "run",
    "run/dbus",
    "run/lb-agent",
    "sys",
    "tmp",
    "usr",
    "usr/bin",
    "var",
    "var/lib",
    "var/lib/lb-agent",
    "var/run",
    "var/run/secrets",
];
const REF_NAME: &str = "org.opencontainers.image.ref.name";
/// By which containerd names an image that it imports.
const CONTAINERD_NAME: &str = "io.containerd.image.name";

/// An image with this executable and nothing else, under a name with a tag.
///
/// # Errors
/// When the executable is too large for tar.
pub fn pack(executable: &[u8], reference: &str) -> io::Result<Vec<u8>> {
    let files = layer(executable)?;
    let config = Blob::json("application/vnd.oci.image.config.v1+json", &config(&digest(&files)));
    let layer = Blob::new("application/vnd.oci.image.layer.v1.tar+gzip", compressed(&files)?);
    let manifest_type = "application/vnd.oci.image.manifest.v1+json";
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": manifest_type,
        "config": config.descriptor(),
        "layers": [layer.descriptor()],
    });
    let manifest = Blob::json(manifest_type, &manifest);

    let mut archive = Builder::new(Vec::new());
    add_file(&mut archive, "oci-layout", 0o644, br#"{"imageLayoutVersion":"1.0.0"}"#)?;
    add_file(&mut archive, "index.json", 0o644, index(&manifest, reference).to_string().as_bytes())?;
    for directory in ["blobs", "blobs/sha256"] {
        add_directory(&mut archive, directory)?;
    }
    for blob in [&config, &layer, &manifest] {
        add_file(&mut archive, &blob.path(), 0o644, &blob.bytes)?;
    }
    archive.into_inner()
}

fn layer(executable: &[u8]) -> io::Result<Vec<u8>> {
    let mut files = Builder::new(Vec::new());
    for directory in DIRECTORIES {
        add_directory(&mut files, directory)?;
    }
    add_file(&mut files, EXECUTABLE, 0o755, executable)?;
    files.into_inner()
}

/// Without a time in the header.
fn compressed(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes)?;
    encoder.finish()
}

fn config(diff_id: &str) -> Value {
    let executable = format!("/{EXECUTABLE}");
    json!({
        "architecture": architecture(),
        "os": "linux",
        // The path is for `kubectl exec`.
        "config": {"Entrypoint": [executable], "Env": ["PATH=/usr/bin"]},
        "rootfs": {"type": "layers", "diff_ids": [diff_id]},
    })
}

fn index(manifest: &Blob, reference: &str) -> Value {
    let tag = reference.rsplit_once(':').map_or("latest", |(_, tag)| tag);
    let mut descriptor = manifest.descriptor();
    descriptor["platform"] = json!({"architecture": architecture(), "os": "linux"});
    descriptor["annotations"] = json!({REF_NAME: tag, CONTAINERD_NAME: reference});
    json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [descriptor],
    })
}

/// As Go names it, of the machine that builds.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

fn add_directory(archive: &mut Builder<Vec<u8>>, path: &str) -> io::Result<()> {
    let mut header = header(EntryType::Directory, 0o755, 0);
    archive.append_data(&mut header, format!("{path}/"), io::empty())
}

fn add_file(archive: &mut Builder<Vec<u8>>, path: &str, mode: u32, bytes: &[u8]) -> io::Result<()> {
    let mut header = header(EntryType::Regular, mode, bytes.len() as u64);
    archive.append_data(&mut header, path, bytes)
}

/// Root's, and of no time.
fn header(kind: EntryType, mode: u32, size: u64) -> Header {
    let mut header = Header::new_ustar();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(size);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, io::Read as _};

    use flate2::read::GzDecoder;
    use tar::Archive;

    use super::*;

    #[test]
    fn the_same_executable_gives_the_same_archive() {
        assert_eq!(pack(b"program", "a/b:1").unwrap(), pack(b"program", "a/b:1").unwrap());
    }

    #[test]
    fn digests_lead_from_the_index_to_the_executable() {
        let files = unpacked(&pack(b"program", "localhost/lb-agent:1").unwrap());
        let blob = |descriptor: &Value| {
            let hex = descriptor["digest"].as_str().unwrap().strip_prefix("sha256:").unwrap();
            let bytes = files[&format!("blobs/sha256/{hex}")].clone();
            assert_eq!(
                (descriptor["size"].as_u64(), digest(&bytes)),
                (Some(bytes.len() as u64), format!("sha256:{hex}"))
            );
            bytes
        };
        let read = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).unwrap();

        let index = read(&files["index.json"]);
        assert_eq!(
            index["manifests"][0]["annotations"],
            json!({REF_NAME: "1", CONTAINERD_NAME: "localhost/lb-agent:1"})
        );
        let manifest = read(&blob(&index["manifests"][0]));
        let mut layer = Vec::new();
        GzDecoder::new(&blob(&manifest["layers"][0])[..]).read_to_end(&mut layer).unwrap();
        assert_eq!(read(&blob(&manifest["config"]))["rootfs"]["diff_ids"], json!([digest(&layer)]));
        assert_eq!(unpacked(&layer)["usr/bin/lb-agent"], b"program");
    }

    #[test]
    fn every_directory_has_its_parent_before_it() {
        let has_parent = |(at, path): (usize, &&str)| match path.rsplit_once('/') {
            Some((parent, _)) => DIRECTORIES[..at].contains(&parent),
            None => true,
        };
        assert!(DIRECTORIES.iter().enumerate().all(has_parent));
    }

    fn unpacked(archive: &[u8]) -> BTreeMap<String, Vec<u8>> {
        let mut files = BTreeMap::new();
        for entry in Archive::new(archive).entries().unwrap() {
            let mut entry = entry.unwrap();
            let path = entry.path().unwrap().display().to_string();
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).unwrap();
            files.insert(path, bytes);
        }
        files
    }
}
