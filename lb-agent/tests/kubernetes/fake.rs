//! A small API server: lists by pages, watches from a revision on, takes what agents write, and fails in the ways that tests
//! want.

use std::{
    collections::BTreeMap,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard},
    thread,
};

use axum::{
    Json, Router,
    body::{Body, Bytes},
    extract::{Query, State},
    http::{Method, StatusCode, Uri},
    response::{IntoResponse as _, Response},
};
use futures_util::stream;
use serde_json::{Value, json};
use tokio::sync::watch;

/// Behind the path of EndpointSlices: those of the agents are a collection of their own.
pub const OF_AGENTS: &str = "/of-agents";

/// A running server.
pub struct Fake {
    pub address: SocketAddr,
    shared: Shared,
}

#[derive(Clone)]
struct Shared {
    store: Arc<Mutex<Store>>,
    wake: Arc<watch::Sender<u64>>,
}

#[derive(Default)]
struct Store {
    revision: u64,
    /// Revisions up to this one are forgotten.
    compacted: u64,
    /// By path of the collection and by namespace and name.
    objects: BTreeMap<String, BTreeMap<String, Value>>,
    events: Vec<Event>,
    /// Path and query of each request.
    requests: Vec<String>,
    is_down: bool,
    /// Nothing is said any more, and nothing is closed.
    is_mute: bool,
    /// Watches of an older generation end.
    generation: u64,
}

#[derive(Clone)]
struct Event {
    revision: u64,
    collection: String,
    kind: &'static str,
    object: Value,
}

impl Fake {
    pub fn start() -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.set_nonblocking(true).expect("non-blocking");
        let address = listener.local_addr().expect("an address");
        let shared = Shared { store: Arc::default(), wake: Arc::new(watch::channel(0).0) };
        let router = Router::new().fallback(answer).with_state(shared.clone());
        thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
                axum::serve(listener, router).await
            })
        });
        Self { address, shared }
    }

    fn store(&self) -> MutexGuard<'_, Store> {
        self.shared.store.lock().expect("not poisoned")
    }

    fn change(&self, change: impl FnOnce(&mut Store)) {
        change(&mut self.store());
        self.shared.wake.send_modify(|wake| *wake += 1);
    }

    /// Adds an object, or changes it. `collection` is its path without a namespace.
    pub fn put(&self, collection: &str, object: Value) {
        self.change(|store| store.put(collection, object));
    }

    /// Adds many that nobody has to be told of one by one.
    pub fn put_all(&self, collection: &str, objects: impl IntoIterator<Item = Value>) {
        self.change(|store| objects.into_iter().for_each(|object| store.put(collection, object)));
    }

    /// Forgets all that has happened until now.
    pub fn compact(&self) {
        self.change(|store| store.compacted = store.revision);
    }

    /// Breaks off all watches in the middle of an answer.
    pub fn cut(&self) {
        self.change(|store| store.generation += 1);
    }

    /// Refuses everything from now on, or no more.
    pub fn set_down(&self, is_down: bool) {
        self.change(|store| {
            store.is_down = is_down;
            store.generation += 1;
        });
    }

    /// Goes on to listen, and says nothing any more.
    pub fn mute(&self) {
        self.store().is_mute = true;
    }

    /// The requests since the last call whose path and query have this in them.
    pub fn take_requests(&self, part: &str) -> Vec<String> {
        let mut requests = std::mem::take(&mut self.store().requests);
        requests.retain(|request| request.contains(part));
        requests
    }
}

impl Store {
    fn put(&mut self, collection: &str, mut object: Value) {
        self.revision += 1;
        object["metadata"]["resourceVersion"] = json!(self.revision.to_string());
        let name = format!("{}/{}", object["metadata"]["namespace"], object["metadata"]["name"]);
        let objects = self.objects.entry(collection.to_owned()).or_default();
        let kind = if objects.insert(name, object.clone()).is_some() { "MODIFIED" } else { "ADDED" };
        self.events.push(Event { revision: self.revision, collection: collection.to_owned(), kind, object });
    }

    /// Takes what an agent writes: creates and names an object, or has one say something else.
    fn write(&mut self, method: &Method, path: &str, body: &[u8]) -> Response {
        let (group, rest) = path.split_once("/namespaces/").expect("a namespace");
        let mut parts = rest.split('/');
        let mut part = || parts.next().unwrap_or_default();
        let (namespace, plural, name) = (part(), part(), part());
        let collection = format!("{group}/{plural}");
        let body: Value = serde_json::from_slice(body).expect("JSON");
        let prefix = body["metadata"]["generateName"].as_str().unwrap_or_default();
        let name = match (name, body["metadata"]["name"].as_str()) {
            ("", None | Some("")) => format!("{prefix}{}", self.revision),
            ("", Some(name)) | (name, _) => name.to_owned(),
        };
        let key = format!("{}/{}", json!(namespace), json!(name));
        let known = self.objects.get(&collection).and_then(|objects| objects.get(&key)).cloned();
        if *method == Method::POST && known.is_some() {
            return (StatusCode::CONFLICT, Json(status(409))).into_response();
        }
        let mut object = known.unwrap_or_else(|| body.clone());
        object["metadata"]["name"] = json!(name);
        object["metadata"]["namespace"] = json!(namespace);
        for part in ["labels", "annotations"] {
            if !body["metadata"][part].is_null() {
                object["metadata"][part] = body["metadata"][part].clone();
            }
        }
        if let Some(says) = body.get("status").cloned() {
            object["status"] = says;
            // As in a merge, null is nothing.
            object["status"].as_object_mut().expect("a status").retain(|_, value| !value.is_null());
        }
        self.put(&collection, object);
        Json(self.objects[&collection][&key].clone()).into_response()
    }

    fn list(&self, collection: &str, query: &BTreeMap<String, String>) -> Value {
        let from: usize = query.get("continue").map_or(0, |from| from.parse().expect("a number"));
        let limit: usize = query.get("limit").map_or(usize::MAX, |limit| limit.parse().expect("a number"));
        let all: Vec<&Value> = self.objects.get(collection).into_iter().flat_map(BTreeMap::values).collect();
        let page: Vec<&Value> = all.iter().skip(from).take(limit).copied().collect();
        let next = from + page.len();
        let metadata = match next < all.len() {
            true => json!({"resourceVersion": self.revision.to_string(), "continue": next.to_string()}),
            false => json!({"resourceVersion": self.revision.to_string()}),
        };
        json!({"apiVersion": "v1", "kind": "List", "metadata": metadata, "items": page})
    }
}

/// `/api/v1/namespaces/x/pods` is `/api/v1/pods`: the namespaces of a test do not overlap.
fn collection(path: &str) -> String {
    match path.split_once("/namespaces/").and_then(|(group, rest)| Some((group, rest.split_once('/')?.1))) {
        Some((group, plural)) => format!("{group}/{plural}"),
        None => path.to_owned(),
    }
}

async fn answer(
    State(shared): State<Shared>,
    Query(query): Query<BTreeMap<String, String>>,
    method: Method,
    uri: Uri,
    body: Bytes,
) -> Response {
    let is_mute = shared.store.lock().expect("not poisoned").is_mute;
    if is_mute {
        return std::future::pending().await;
    }
    let mut collection = collection(uri.path());
    let mut store = shared.store.lock().expect("not poisoned");
    let verb = if method == Method::GET { String::new() } else { format!("{method} ") };
    store.requests.push(format!("{verb}{uri}"));
    if uri.path() == "/version" {
        let version = [
            "major",
            "minor",
            "gitVersion",
            "gitCommit",
            "gitTreeState",
            "buildDate",
            "goVersion",
            "compiler",
            "platform",
        ];
        let version: serde_json::Map<_, _> =
            version.iter().map(|&key| (key.to_owned(), json!("x"))).collect();
        return Json(version).into_response();
    }
    if store.is_down {
        return (StatusCode::SERVICE_UNAVAILABLE, Json(status(503))).into_response();
    }
    if method != Method::GET {
        let written = store.write(&method, uri.path(), &body);
        drop(store);
        shared.wake.send_modify(|wake| *wake += 1);
        return written;
    }
    if query.get("labelSelector").is_some_and(|labels| labels.contains("service-name=")) {
        collection.push_str(OF_AGENTS);
    }
    if !query.contains_key("watch") {
        return Json(store.list(&collection, &query)).into_response();
    }
    let from: u64 = query.get("resourceVersion").and_then(|from| from.parse().ok()).unwrap_or_default();
    let generation = store.generation;
    drop(store);
    let watch = Watch { wake: shared.wake.subscribe(), shared, collection, from, generation };
    Body::from_stream(stream::unfold(watch, Watch::next)).into_response()
}

fn status(code: u16) -> Value {
    json!({"kind": "Status", "status": "Failure", "code": code, "message": "as the test wants it"})
}

struct Watch {
    shared: Shared,
    wake: watch::Receiver<u64>,
    collection: String,
    from: u64,
    generation: u64,
}

impl Watch {
    async fn next(mut self) -> Option<(io::Result<Bytes>, Self)> {
        loop {
            if let Some(lines) = self.lines() {
                return Some((lines, self));
            }
            self.wake.changed().await.ok()?;
        }
    }

    fn lines(&mut self) -> Option<io::Result<Bytes>> {
        let store = self.shared.store.lock().expect("not poisoned");
        if store.generation != self.generation {
            return Some(Err(io::Error::other("cut")));
        }
        let line = |kind: &str, object: &Value| json!({"type": kind, "object": object}).to_string() + "\n";
        if self.from < store.compacted {
            self.from = u64::MAX;
            return Some(Ok(line("ERROR", &status(410)).into()));
        }
        let is_new = |event: &&Event| event.revision > self.from && event.collection == self.collection;
        let lines: String =
            store.events.iter().filter(is_new).map(|event| line(event.kind, &event.object)).collect();
        if self.from != u64::MAX {
            self.from = store.revision;
        }
        (!lines.is_empty()).then(|| Ok(lines.into()))
    }
}
