//! kubectl, as a client that we did not write.

use std::{
    io::Write as _,
    process::{Command, Stdio},
};

use anyhow::ensure;
use xtask::exec::find;

use crate::Library;

/// What kubectl prints for these arguments and this input.
fn kubectl(library: &Library, arguments: &[&str], input: &str) -> anyhow::Result<String> {
    let mut command = Command::new("kubectl");
    command.arg("--kubeconfig").arg(library.api.admin_kubeconfig()).args(arguments);
    // Its cache of what servers offer is the user's.
    command.env("HOME", "/nonexistent").env("KUBECACHEDIR", std::env::temp_dir().join("lb-kubectl"));
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.spawn()?;
    child.stdin.take().expect("piped").write_all(input.as_bytes())?;
    let output = child.wait_with_output()?;
    ensure!(output.status.success(), "kubectl {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn kubectl_applies_lists_labels_and_deletes() -> anyhow::Result<()> {
    if find("kubectl").is_none() {
        eprintln!("SKIPPED: there is no kubectl to try the stand-in with");
        return Ok(());
    }
    let library = Library::open()?;
    let shelf = crate::shelf("a", serde_json::json!({"room": "a"})).to_string();
    let applied = kubectl(&library, &["apply", "--server-side", "--validate=false", "-f", "-"], &shelf)?;
    assert_eq!(applied, "shelf.test.lb/a serverside-applied\n");
    library.add_services(2)?;
    kubectl(&library, &["label", "service", "s0", "colour=red"], "")?;
    let listed = kubectl(&library, &["get", "services", "-A", "-l", "colour=red", "-o", "name"], "")?;
    assert_eq!(listed, "service/s0\n");
    kubectl(&library, &["-n", "library", "delete", "shelf", "a", "--wait=false"], "")?;
    let listed = kubectl(&library, &["-n", "library", "get", "shelves", "-o", "name"], "")?;
    assert_eq!(listed, "");
    Ok(())
}
