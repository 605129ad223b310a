//! The way to the API.
//!
//! Over TLS it is HTTP/2: one connection for all watches, and pings that only the server's process can answer, so that a
//! network that swallows everything, or a server that hangs, is noticed although a quiet watch says nothing. Over plain
//! HTTP/1.1 (a proxy, a test) the kernel's keepalive ends a connection that has no other side any more.
//!
//! Nothing here repeats a request, as the layers that `kube` has by default would, for minutes: whoever asks backs off, and
//! then asks for what it needs by then.

use std::{sync::Arc, time::Duration};

use http::HeaderValue;
use hyper_rustls::{FixedServerNameResolver, HttpsConnector, HttpsConnectorBuilder};
use hyper_timeout::TimeoutConnector;
use hyper_util::{
    client::legacy::{self, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use kube::{
    Client, Config,
    client::{Body, ClientBuilder, ConfigExt as _},
    config::InferConfigError,
};
use tower::{BoxError, ServiceBuilder, ServiceExt as _, timeout::TimeoutLayer};

use super::word::{SILENCE_NOTICED_NS, Word, WordLayer};

/// Half of it until a probe is sent, and half until its answer must have come.
const PROBE: Duration = Duration::from_nanos(SILENCE_NOTICED_NS / 2);
/// Of the kernel's keepalive, after `PROBE` without a packet: so many probes, a second apart.
const KEEPALIVE_PROBES: u32 = 3;
/// TCP and TLS together.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Until an answer begins.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// Why there is no way to the API.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Neither of the two places to learn of it says anything.
    #[error("find the Kubernetes API: {0}; outside of a pod set KUBECONFIG, or use `--source file`")]
    NoConfig(#[source] InferConfigError),
    /// The configuration cannot be used.
    #[error("use the configuration for the Kubernetes API at {server}: {source}")]
    Unusable {
        /// Where it leads.
        server: http::Uri,
        /// Why not.
        #[source]
        source: BoxError,
    },
}

/// The configuration: what KUBECONFIG (or ~/.kube/config) says, and in a pod its service account, whose token is read again as it
/// is renewed.
///
/// # Errors
/// When there is neither.
pub async fn config() -> Result<Config, ClientError> {
    Config::infer().await.map_err(ClientError::NoConfig)
}

/// A client whose answers are noted in `word`. Nothing is connected yet.
///
/// # Errors
/// When the configuration is wrong: a certificate, a token.
pub fn client(config: Config, word: Arc<Word>) -> Result<Client, ClientError> {
    let server = config.cluster_url.clone();
    build(config, word).map_err(|source| ClientError::Unusable { server, source })
}

fn build(config: Config, word: Arc<Word>) -> Result<Client, BoxError> {
    let mut connector = TimeoutConnector::new(connector(&config)?);
    connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
    let http = legacy::Client::builder(TokioExecutor::new())
        .timer(TokioTimer::new())
        .pool_timer(TokioTimer::new())
        .http2_keep_alive_interval(PROBE)
        .http2_keep_alive_timeout(PROBE)
        .build::<_, Body>(connector);
    let service = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .option_layer(config.auth_layer()?)
        .layer(config.extra_headers_layer()?)
        .layer(WordLayer::new(word))
        .layer(TimeoutLayer::new(ANSWER_TIMEOUT))
        .map_err(BoxError::from)
        .service(http)
        .map_request(with_user_agent);
    Ok(ClientBuilder::new(service, config.default_namespace).build())
}

fn with_user_agent(mut request: http::Request<Body>) -> http::Request<Body> {
    const USER_AGENT: &str = concat!("lb-agent/", env!("CARGO_PKG_VERSION"));
    request.headers_mut().insert(http::header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
    request
}

fn connector(config: &Config) -> Result<HttpsConnector<HttpConnector>, BoxError> {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_keepalive(Some(PROBE));
    tcp.set_keepalive_interval(Some(PROBE / KEEPALIVE_PROBES));
    tcp.set_keepalive_retries(Some(KEEPALIVE_PROBES));
    // Without it, a request that is not acknowledged is repeated for a quarter of an hour, and keepalive waits for that.
    tcp.set_tcp_user_timeout(Some(2 * PROBE));
    let builder =
        HttpsConnectorBuilder::new().with_tls_config(config.rustls_client_config()?).https_or_http();
    let builder = match config.tls_server_name.clone() {
        Some(name) => builder.with_server_name_resolver(FixedServerNameResolver::new(name.try_into()?)),
        None => builder,
    };
    Ok(builder.enable_all_versions().wrap_connector(tcp))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use axum::{Router, http::StatusCode};

    use super::*;

    #[tokio::test]
    async fn an_overloaded_server_is_asked_once() {
        let requests = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&requests);
        let overloaded = move || async move {
            counted.fetch_add(1, Ordering::Relaxed);
            (StatusCode::SERVICE_UNAVAILABLE, "busy")
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let server = format!("http://{}", listener.local_addr().expect("an address"));
        tokio::spawn(axum::serve(listener, Router::new().fallback(overloaded)).into_future());
        let config = Config::new(server.parse().expect("a URL"));
        let client = client(config, Arc::default()).expect("a client");
        let error = client.apiserver_version().await.expect_err("it is busy");
        assert!(matches!(&error, kube::Error::Api(status) if status.code == 503), "{error}");
        assert_eq!(requests.load(Ordering::Relaxed), 1);
    }
}
