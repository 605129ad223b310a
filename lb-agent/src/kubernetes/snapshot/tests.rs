use std::sync::Arc;

use super::*;
use crate::cluster::objects::{Node, ObjectName, Service};

fn cluster() -> Cluster {
    let service = Service {
        uid: "u1".to_owned(),
        addresses: vec!["10.0.0.1".parse().unwrap(), "fd00::1".parse().unwrap()],
        ..Service::default()
    };
    let node = Node { is_ready: true, ..Node::default() };
    Cluster {
        services: [(ObjectName::new("default", "web"), Arc::new(service))].into(),
        nodes: [("n1".to_owned(), Arc::new(node))].into(),
        ..Cluster::default()
    }
}

fn directory() -> tempfile::TempDir {
    tempfile::tempdir().expect("a directory")
}

#[test]
fn what_was_written_is_read() {
    let directory = directory();
    let snapshot = Snapshot::new(&directory.path().join("state"), "n1", "metallb-system");
    assert_eq!(snapshot.read().expect("no file"), None);
    snapshot.write(&cluster()).expect("written");
    assert_eq!(snapshot.read().expect("read"), Some(cluster()));
    snapshot.write(&Cluster::default()).expect("written over");
    assert_eq!(snapshot.read().expect("read"), Some(Cluster::default()));
    let left: Vec<_> =
        fs::read_dir(directory.path().join("state")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left, ["cluster.json"]);
}

#[test]
fn what_was_removed_is_gone_whoevers_it_was() {
    let directory = directory();
    Snapshot::new(directory.path(), "n1", "metallb-system").write(&cluster()).expect("written");
    assert!(Snapshot::remove_from(directory.path()).expect("removed"));
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    assert!(!Snapshot::remove_from(directory.path()).expect("nothing to remove"));
}

#[test]
fn that_of_another_node_or_namespace_is_refused_by_name() {
    let directory = directory();
    let of = |node, namespace| Snapshot::new(directory.path(), node, namespace);
    of("n1", "metallb-system").write(&cluster()).expect("written");
    for other in [of("n2", "metallb-system"), of("n1", "lb")] {
        assert!(matches!(other.read(), Err(SnapshotError::Foreign { .. })));
    }
    let told = of("n2", "metallb-system").read().expect_err("foreign").to_string();
    assert!(
        told.contains("is of node n1 with namespace metallb-system (format 1), this agent is node n2"),
        "{told}"
    );
}

#[test]
fn another_format_is_refused_whatever_its_cluster_looks_like() {
    let directory = directory();
    let snapshot = Snapshot::new(directory.path(), "n1", "lb");
    fs::write(snapshot.path(), r#"{"version":2,"node":"n1","namespace":"lb","cluster":[]}"#).unwrap();
    assert!(matches!(snapshot.read(), Err(SnapshotError::Foreign { found, .. }) if found.version == 2));
}

#[test]
fn a_damaged_file_is_told_of_wherever_it_breaks_off() {
    let directory = directory();
    let snapshot = Snapshot::new(directory.path(), "n1", "lb");
    snapshot.write(&cluster()).expect("written");
    let whole = fs::read(snapshot.path()).unwrap();
    for length in [0, 1, whole.len() / 2, whole.len() - 1] {
        fs::write(snapshot.path(), &whole[..length]).unwrap();
        assert!(matches!(snapshot.read(), Err(SnapshotError::Damaged { .. })), "{length} bytes");
    }
}

#[test]
fn a_write_that_fails_leaves_the_last_one() {
    let directory = directory();
    let snapshot = Snapshot::new(directory.path(), "n1", "lb");
    snapshot.write(&cluster()).expect("written");
    fs::create_dir(directory.path().join("cluster.json.new")).unwrap();
    let error = snapshot.write(&Cluster::default());
    assert!(matches!(error, Err(SnapshotError::File(FileError { operation: "write", .. }))), "{error:?}");
    assert_eq!(snapshot.read().expect("read"), Some(cluster()));
}
