//! HTTP, on a thread of its own.

use std::{
    collections::HashMap,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex},
    time::Duration,
};

use anyhow::Context as _;
use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{Query, State as Extracted},
    http::{HeaderName, Request as HttpRequest, Response, header, request::Parts},
};
use serde::{Serialize, Serializer, ser::SerializeMap as _};
use serde_json::Value;
use tokio::{net::TcpListener, sync::watch};

use super::{
    ADMIN,
    background::Background,
    lock,
    reading::Page,
    refusal::Refusal,
    request::Parameters,
    resources::Resource,
    state::{Answer, Request, State},
    watching::{Wake, Watching},
};

/// Longest body of a request.
const LONGEST_BODY: usize = 16 << 20;

/// What the requests share.
#[derive(Clone, Debug)]
pub struct Shared {
    /// All that the server knows.
    pub state: Arc<Mutex<State>>,
    /// Wakes the watches.
    pub wake: Arc<watch::Sender<Wake>>,
    /// How often a watch gets a bookmark.
    pub bookmark_interval: Duration,
}

/// The server at work. Dropped, it ends.
#[derive(Debug)]
pub struct Server {
    /// Where it listens, outside of all namespaces.
    pub address: SocketAddr,
    /// Where it runs.
    pub background: Background,
}

impl Server {
    /// Starts to listen.
    ///
    /// # Errors
    /// When there is no thread or port left.
    pub fn start(shared: Shared) -> anyhow::Result<Self> {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("listen")?;
        listener.set_nonblocking(true)?;
        let (address, background) = (listener.local_addr()?, Background::start()?);
        let router = Router::new().fallback(handle_request).with_state(shared);
        let serve = async move { axum::serve(TcpListener::from_std(listener)?, router).await };
        background.runtime().spawn(serve);
        Ok(Self { address, background })
    }
}

async fn handle_request(Extracted(shared): Extracted<Shared>, request: HttpRequest<Body>) -> Response<Body> {
    let (parts, body) = request.into_parts();
    respond(&shared, parts, body).await.unwrap_or_else(|refusal| refused(&refusal))
}

async fn respond(shared: &Shared, parts: Parts, body: Body) -> Result<Response<Body>, Refusal> {
    let text = |name: HeaderName| {
        let value = parts.headers.get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or_default().to_owned()
    };
    let authorization = text(header::AUTHORIZATION);
    let (token, path) = token_and_path(&authorization, parts.uri.path());
    let user = lock(&shared.state).authenticate(token)?;
    let is_admin = user.name == ADMIN;
    let delay = lock(&shared.state).faults.delay;
    if !is_admin && !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
    let unreadable = |error: axum::Error| Refusal::bad_request(error.to_string());
    let body = to_bytes(body, LONGEST_BODY).await.map_err(unreadable)?.to_vec();
    let parameters = Query::<HashMap<String, String>>::try_from_uri(&parts.uri);
    let parameters = parameters.map_err(|error| Refusal::bad_request(error.to_string()))?;
    let media_type = text(header::CONTENT_TYPE);
    let request = Request {
        method: parts.method.to_string(),
        path: path.to_owned(),
        parameters: Parameters(parameters.0),
        media_type: media_type.split(';').next().unwrap_or_default().trim().to_owned(),
        user_agent: text(header::USER_AGENT),
        body,
    };
    let (answer, resources) = {
        let mut state = lock(&shared.state);
        let answer = state.answer(&user, &request);
        shared.wake_watches(&state);
        (answer?, Arc::clone(&state.resources))
    };
    match answer {
        Answer::Object(code, object) => Ok(response(code, Body::from(object.to_string()))),
        Answer::Plain(Value::String(text)) => Ok(response(200, Body::from(text))),
        Answer::Plain(value) => Ok(response(200, Body::from(value.to_string()))),
        Answer::List(kind, page) => Ok(response(200, Body::from(list_text(&resources[kind], &page)))),
        Answer::Watch(target) => {
            let (state, wake) = (Arc::clone(&shared.state), shared.wake.subscribe());
            let watching = Watching::begin(
                state,
                wake,
                target,
                &request.parameters,
                shared.bookmark_interval,
                is_admin,
            )?;
            Ok(response(200, Body::from_stream(watching.stream())))
        }
    }
}

/// kubectl sends no token without TLS: there it stands in the path, as `/as/TOKEN/api/...`.
fn token_and_path<'a>(authorization: &'a str, path: &'a str) -> (&'a str, &'a str) {
    let in_path = path.strip_prefix("/as/").and_then(|rest| rest.split_at_checked(rest.find('/')?));
    in_path.unwrap_or_else(|| (authorization.trim_start_matches("Bearer "), path))
}

impl Shared {
    /// Tells the watches of the newest revision.
    pub fn wake_watches(&self, state: &State) {
        let revision = state.store.revision();
        self.wake.send_if_modified(|wake| {
            let is_new = wake.revision != revision;
            wake.revision = revision;
            is_new
        });
    }
}

fn response(code: u16, body: Body) -> Response<Body> {
    let builder = Response::builder().status(code).header(header::CONTENT_TYPE, "application/json");
    builder.body(body).unwrap_or_default()
}

fn refused(refusal: &Refusal) -> Response<Body> {
    let mut response = response(refusal.code, Body::from(refusal.status().to_string()));
    if let Some(seconds) = refusal.retry_after() {
        response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    response
}

/// The items of lists of built-in kinds do not say what they are.
struct Item<'a> {
    object: &'a Value,
    is_typed: bool,
}

impl Serialize for Item<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (name, value) in self.object.as_object().into_iter().flatten() {
            if self.is_typed || !matches!(name.as_str(), "apiVersion" | "kind") {
                map.serialize_entry(name, value)?;
            }
        }
        map.end()
    }
}

fn list_text(resource: &Resource, page: &Page) -> String {
    #[derive(Serialize)]
    struct List<'a> {
        kind: String,
        #[serde(rename = "apiVersion")]
        api_version: String,
        metadata: Metadata<'a>,
        items: Vec<Item<'a>>,
    }
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Metadata<'a> {
        resource_version: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        r#continue: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        remaining_item_count: Option<usize>,
    }
    let Page { items, revision, next, remaining } = page;
    let metadata = Metadata {
        resource_version: revision.to_string(),
        r#continue: next.as_deref(),
        remaining_item_count: next.is_some().then_some(*remaining),
    };
    let item = |object| Item { object, is_typed: resource.is_custom() };
    let items = items.iter().map(|object| item(object)).collect();
    let (kind, api_version) = (format!("{}List", resource.kind), resource.api_version());
    serde_json::to_string(&List { kind, api_version, metadata, items }).unwrap_or_default()
}
