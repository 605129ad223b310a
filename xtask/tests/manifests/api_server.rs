//! The manifests as a real API server takes them.

use std::{
    fmt::Debug,
    io::Write as _,
    process::{Output, Stdio},
};

use anyhow::{Context as _, ensure};
use k8s_openapi::api::{apps::v1::DaemonSet, core::v1::Container};
use xtask::{
    exec::{exec, output},
    manifests::{KUSTOMIZATIONS, deploy, find, objects},
    testbed::RealApi,
};

const ACCOUNT: &str = "system:serviceaccount:metallb-system:lb-agent";

#[test]
fn an_api_server_takes_the_manifests_and_enforces_what_they_say() -> anyhow::Result<()> {
    let Some(api) = RealApi::from_environment()? else {
        eprintln!(
            "SKIPPED: KUBEBUILDER_ASSETS names no etcd, kube-apiserver and kubectl to try the manifests with"
        );
        return Ok(());
    };
    eprintln!("API server {}", api.version()?);
    kustomizations_replace_each_other(&api)?;
    exec(api.kubectl().args([
        "wait",
        "--for",
        "condition=Established",
        "customresourcedefinitions",
        "--all",
    ]))?;
    exec(api.kubectl().args(["apply", "-f"]).arg(deploy().join("examples")))?;
    columns_show_the_examples(&api)?;
    rules_are_enforced(&api)?;
    permissions_are_those_of_the_role(&api)?;
    refusals_are_told(&api)
}

fn kustomizations_replace_each_other(api: &RealApi) -> anyhow::Result<()> {
    for other in KUSTOMIZATIONS {
        for kustomization in [".", other, "."] {
            apply(api, kustomization)?;
            let expected = find::<DaemonSet>(&objects(kustomization)?, "DaemonSet", "lb-agent")?;
            assert_eq!(pod(stored(api)?), pod(expected), "{kustomization}, on the way to {other} and back");
        }
    }
    let again = apply(api, ".")?;
    let changed: Vec<&str> = again.lines().filter(|line| !line.ends_with(" unchanged")).collect();
    assert_eq!(changed, Vec::<&str>::new(), "applied twice, nothing changes");
    Ok(())
}

fn apply(api: &RealApi, kustomization: &str) -> anyhow::Result<String> {
    let path = deploy().join(kustomization);
    output(api.kubectl().args(["apply", "-k"]).arg(path)).with_context(|| kustomization.to_owned())
}

fn stored(api: &RealApi) -> anyhow::Result<DaemonSet> {
    let arguments = ["get", "daemonset", "lb-agent", "--namespace", "metallb-system", "--output", "json"];
    Ok(serde_json::from_str(&output(api.kubectl().args(arguments))?)?)
}

/// What kustomizations differ in, and no server adds to.
fn pod(daemon_set: DaemonSet) -> impl Debug + PartialEq {
    let pod = daemon_set.spec.and_then(|spec| spec.template.spec).unwrap_or_default();
    let of = |container: Container| {
        let probes = [container.liveness_probe, container.readiness_probe].map(|probe| probe.is_some());
        let ports: Vec<i32> = container.ports.iter().flatten().map(|port| port.container_port).collect();
        let mounts = container.volume_mounts.into_iter().flatten();
        let mounts: Vec<(String, Option<String>)> =
            mounts.map(|mount| (mount.mount_path, mount.mount_propagation)).collect();
        (container.args, container.security_context, mounts, probes, ports)
    };
    pod.init_containers.into_iter().flatten().chain(pod.containers).map(of).collect::<Vec<_>>()
}

fn columns_show_the_examples(api: &RealApi) -> anyhow::Result<()> {
    let shown = |kind: &str| -> anyhow::Result<Vec<String>> {
        let table = output(api.kubectl().args(["get", kind, "--namespace", "metallb-system"]))?;
        let words = |line: &str| line.split_whitespace().map(str::to_owned).collect();
        table.lines().nth(1).map(words).context("no second line")
    };
    let pool = ["default", "true", "false", "[\"192.0.2.240-192.0.2.250\",\"2001:db8::240/124\"]"];
    assert_eq!(shown("ipaddresspools")?, pool);
    assert_eq!(shown("l2advertisements")?, ["default", "[\"default\"]"]);
    Ok(())
}

fn rules_are_enforced(api: &RealApi) -> anyhow::Result<()> {
    let empty = create(api, "IPAddressPool", "empty", "spec: {addresses: []}")?;
    assert!(said(&empty).contains("pool has no prefixes defined"), "{}", said(&empty));
    let all = create(api, "L2Advertisement", "all", "")?;
    ensure!(all.status.success(), "an advertisement without spec: {}", said(&all));
    let status = create(api, "ServiceL2Status", "l2-x", "")?;
    ensure!(status.status.success(), "a status without spec: {}", said(&status));
    let on_node = |node: &str| {
        let patch = format!(r#"{{"status": {{"node": "{node}", "serviceName": "web"}}}}"#);
        let arguments = [
            "patch",
            "servicel2statuses",
            "l2-x",
            "--namespace",
            "metallb-system",
            "--subresource",
            "status",
        ];
        api.kubectl().args(arguments).args(["--type", "merge", "--patch", &patch]).output()
    };
    let (first, second) = (on_node("n1")?, on_node("n2")?);
    ensure!(first.status.success(), "{}", said(&first));
    assert!(said(&second).contains("Value is immutable"), "{}", said(&second));
    Ok(())
}

fn permissions_are_those_of_the_role(api: &RealApi) -> anyhow::Result<()> {
    let may = |words: &str| -> anyhow::Result<bool> {
        let mut command = api.kubectl();
        command.args(["auth", "can-i", "--quiet", "--as", ACCOUNT]).args(words.split(' '));
        Ok(command.stderr(Stdio::null()).status()?.success())
    };
    let granted = [
        "watch services --all-namespaces",
        "list endpointslices.discovery.k8s.io --all-namespaces",
        "list nodes",
        "create events.events.k8s.io --namespace default",
        "watch ipaddresspools.metallb.io --namespace metallb-system",
        "patch configurationstates.metallb.io --subresource status --namespace metallb-system",
        "delete servicel2statuses.metallb.io --namespace metallb-system",
    ];
    let refused = [
        "get secrets --namespace metallb-system",
        "get configmaps --namespace metallb-system",
        "update services --namespace default",
        "patch services --subresource status --namespace default",
        "patch nodes",
        "list ipaddresspools.metallb.io --namespace default",
        "update ipaddresspools.metallb.io --namespace metallb-system",
        "delete configurationstates.metallb.io --namespace metallb-system",
    ];
    for words in granted {
        assert!(may(words)?, "the agent should be allowed to {words}");
    }
    for words in refused {
        assert!(!may(words)?, "the agent should not be allowed to {words}");
    }
    Ok(())
}

/// Other tests rely on it.
fn refusals_are_told(api: &RealApi) -> anyhow::Result<()> {
    let (namespace, account) = ("metallb-system", "lb-agent");
    let refused = || api.refused(namespace, account);
    let token = api.token(namespace, account)?;
    let list = |kind: &str| {
        let mut command = api.kubectl();
        command.args(["--token", &token, "get", kind, "--namespace", namespace]);
        command.output()
    };
    ensure!(list("ipaddresspools")?.status.success());
    assert_eq!(refused()?, Vec::<String>::new());
    assert!(!list("secrets")?.status.success());
    let refused = refused()?;
    let expected = "403: list /api/v1/namespaces/metallb-system/secrets";
    assert!(matches!(&*refused, [only] if only.starts_with(expected)), "{refused:?}");
    Ok(())
}

/// Has the server look at an object of ours.
fn create(api: &RealApi, kind: &str, name: &str, rest: &str) -> anyhow::Result<Output> {
    let mut file = tempfile::Builder::new().suffix(".yaml").tempfile()?;
    writeln!(file, "apiVersion: metallb.io/v1beta1\nkind: {kind}")?;
    writeln!(file, "metadata: {{name: {name}, namespace: metallb-system}}\n{rest}")?;
    Ok(api.kubectl().args(["create", "-f"]).arg(file.path()).output()?)
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
