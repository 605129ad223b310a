//! The manifests of `deploy`, as kustomize builds them.

mod api_server;

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context as _;
use k8s_openapi::api::{
    apps::v1::DaemonSet,
    core::v1::{ConfigMap, Container, PodSpec, Service},
    rbac::v1::{ClusterRole, PolicyRule, Role},
};
use serde_json::Value;
use xtask::{
    image,
    manifests::{KUSTOMIZATIONS, find, objects, objects_of_file, round_trip},
};

#[test]
fn every_object_is_known_to_its_kind_with_nothing_lost() -> anyhow::Result<()> {
    for kustomization in KUSTOMIZATIONS {
        for object in objects(kustomization)? {
            assert_eq!(round_trip(&object)?, object, "in {kustomization}");
        }
    }
    Ok(())
}

#[test]
fn the_install_file_says_what_kustomize_builds() -> anyhow::Result<()> {
    let remedy = "run `cargo xtask manifests`";
    assert_eq!(by_name(objects_of_file("install.yaml")?), by_name(objects(".")?), "{remedy}");
    Ok(())
}

#[test]
fn an_unknown_field_would_be_noticed() -> anyhow::Result<()> {
    let mut daemon_set =
        objects(".")?.into_iter().find(|object| object["kind"] == "DaemonSet").context("none")?;
    daemon_set["spec"]["template"]["spec"]["hostNetwrok"] = Value::Bool(true);
    assert_ne!(round_trip(&daemon_set)?, daemon_set);
    Ok(())
}

#[test]
fn everything_lies_in_the_system_namespace_or_in_none() -> anyhow::Result<()> {
    let cluster_wide = ["Namespace", "CustomResourceDefinition", "ClusterRole", "ClusterRoleBinding"];
    for object in objects(".")? {
        let expected = match cluster_wide.contains(&object["kind"].as_str().unwrap_or("")) {
            true => Value::Null,
            false => "metallb-system".into(),
        };
        assert_eq!(object["metadata"]["namespace"], expected, "{object:#}");
    }
    Ok(())
}

#[test]
fn the_agent_may_do_this_much_and_no_more() -> anyhow::Result<()> {
    let objects = objects(".")?;
    let everywhere: ClusterRole = find(&objects, "ClusterRole", "lb-agent")?;
    let within: Role = find(&objects, "Role", "lb-agent")?;
    let expected = [
        "core/services: list watch",
        "discovery.k8s.io/endpointslices: list watch",
        "core/nodes: list watch",
        "events.k8s.io/events: create",
    ];
    assert_eq!(permissions(everywhere.rules), expected);
    let expected = [
        "metallb.io/ipaddresspools: list watch",
        "metallb.io/l2advertisements: list watch",
        "metallb.io/configurationstates: list watch create patch",
        "metallb.io/configurationstates/status: patch",
        "metallb.io/servicel2statuses: list watch create delete",
        "metallb.io/servicel2statuses/status: patch",
    ];
    assert_eq!(permissions(within.rules), expected);
    Ok(())
}

#[test]
fn the_agent_runs_unprivileged_on_a_read_only_root_with_four_capabilities() -> anyhow::Result<()> {
    let (_, container) = agent(".")?;
    let security = container.security_context.context("no security context")?;
    let capabilities = security.capabilities.context("no capabilities")?;
    assert_eq!(capabilities.drop, Some(vec!["ALL".to_owned()]));
    assert_eq!(
        capabilities.add,
        Some(["BPF", "NET_ADMIN", "NET_RAW", "PERFMON"].map(str::to_owned).to_vec())
    );
    let said = (security.privileged, security.allow_privilege_escalation, security.read_only_root_filesystem);
    assert_eq!(said, (Some(false), Some(false), Some(true)));
    Ok(())
}

#[test]
fn the_agent_runs_from_the_image_that_is_built_here() -> anyhow::Result<()> {
    let (_, container) = agent(".")?;
    assert_eq!(container.image.as_deref(), Some(image::REFERENCE));
    Ok(())
}

#[test]
fn the_privileged_overlay_shares_a_mount_of_bpffs_with_the_host() -> anyhow::Result<()> {
    let (_, container) = agent("overlays/privileged")?;
    let security = container.security_context.context("no security context")?;
    assert_eq!((security.privileged, security.capabilities), (Some(true), None));
    let propagation: BTreeMap<String, Option<String>> = container
        .volume_mounts
        .unwrap_or_default()
        .into_iter()
        .map(|mount| (mount.mount_path, mount.mount_propagation))
        .collect();
    assert_eq!(propagation["/sys/fs/bpf"].as_deref(), Some("Bidirectional"));
    Ok(())
}

#[test]
fn every_volume_is_mounted_and_every_mount_has_its_volume() -> anyhow::Result<()> {
    let (pod, container) = agent(".")?;
    let volumes: BTreeSet<String> =
        pod.volumes.unwrap_or_default().into_iter().map(|volume| volume.name).collect();
    let mounts: BTreeSet<String> =
        container.volume_mounts.unwrap_or_default().into_iter().map(|mount| mount.name).collect();
    assert_eq!(volumes, mounts);
    Ok(())
}

#[test]
fn ports_agree_with_each_other() -> anyhow::Result<()> {
    for (kustomization, port) in [(".", 7472), ("overlays/beside-metallb", 7572)] {
        let service: Service = find(&objects(kustomization)?, "Service", "lb-agent")?;
        let (_, container) = agent(kustomization)?;
        let exposed: Vec<i32> =
            container.ports.unwrap_or_default().iter().map(|port| port.container_port).collect();
        let served: Vec<i32> = service
            .spec
            .and_then(|spec| spec.ports)
            .unwrap_or_default()
            .iter()
            .map(|port| port.port)
            .collect();
        assert_eq!((exposed, served), (vec![port], vec![port]), "{kustomization}");
        let argument =
            container.args.unwrap_or_default().iter().any(|arg| arg.ends_with(&format!(":{port}")));
        assert_eq!(
            argument,
            port != 7472,
            "only another port than the default one is named, {kustomization}"
        );
    }
    Ok(())
}

#[test]
fn the_uninstall_way_cleans_up_in_place_of_the_agent() -> anyhow::Result<()> {
    let (pod, container) = agent("uninstall")?;
    let [first] = &pod.init_containers.context("nothing runs first")?[..] else {
        panic!("too much runs first")
    };
    assert_eq!(first.args, Some(vec!["cleanup".to_owned(), "--state-dir=/var/lib/lb-agent".to_owned()]));
    assert_eq!(container.args, Some(vec!["cleanup".to_owned(), "--stay".to_owned()]));
    assert_eq!((container.liveness_probe, container.readiness_probe), (None, None));
    assert_eq!(first.image, container.image);
    Ok(())
}

#[test]
fn the_settings_are_mounted_where_the_agent_looks() -> anyhow::Result<()> {
    let settings: ConfigMap = find(&objects(".")?, "ConfigMap", "lb")?;
    let files: Vec<String> = settings.data.unwrap_or_default().into_keys().collect();
    let (_, container) = agent(".")?;
    assert_eq!(files, ["lb.yaml"]);
    assert!(container.args.unwrap_or_default().contains(&"--config=/etc/lb/lb.yaml".to_owned()));
    Ok(())
}

fn by_name(objects: Vec<Value>) -> BTreeMap<String, Value> {
    let name = |object: &Value| format!("{} {}", object["kind"], object["metadata"]["name"]);
    objects.into_iter().map(|object| (name(&object), object)).collect()
}

fn agent(kustomization: &str) -> anyhow::Result<(PodSpec, Container)> {
    let daemon_set: DaemonSet = find(&objects(kustomization)?, "DaemonSet", "lb-agent")?;
    let pod = daemon_set.spec.and_then(|spec| spec.template.spec).context("a DaemonSet without Pods")?;
    let [container] = &pod.containers[..] else { panic!("more than one container") };
    let container = container.clone();
    Ok((pod, container))
}

/// A line for each group and resource.
fn permissions(rules: Option<Vec<PolicyRule>>) -> Vec<String> {
    let mut lines = Vec::new();
    for rule in rules.unwrap_or_default() {
        for group in rule.api_groups.iter().flatten() {
            let group = if group.is_empty() { "core" } else { group };
            for resource in rule.resources.iter().flatten() {
                lines.push(format!("{group}/{resource}: {}", rule.verbs.join(" ")));
            }
        }
    }
    lines
}
