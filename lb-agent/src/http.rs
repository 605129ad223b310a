//! `/metrics`, `/healthz` and `/readyz`, on a thread of their own: whoever asks, and however often, delays no decision.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    thread,
};

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::get,
};
use tokio::net::TcpListener;
use tracing::{error, info};

use crate::{
    clock,
    health::{Ailment, Health},
    metrics::{self, Metrics},
};

/// What is asked for.
#[derive(Clone)]
struct Served {
    metrics: Metrics,
    health: Arc<Health>,
}

/// The server could not be started.
#[derive(Debug, thiserror::Error)]
#[error("serve metrics on {address}: {source}; is the port taken? choose another one with --metrics-address")]
pub struct ServeError {
    address: SocketAddr,
    #[source]
    source: io::Error,
}

/// Begins to serve; says on which address.
///
/// # Errors
/// When the address is taken or not this host's.
pub fn serve(address: SocketAddr, metrics: Metrics, health: Arc<Health>) -> Result<SocketAddr, ServeError> {
    let failed = |source| ServeError { address, source };
    let listener = bind(address).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    let router = router(Served { metrics, health });
    thread::Builder::new()
        .name("http".to_owned())
        .spawn(move || {
            let served =
                runtime.block_on(async { axum::serve(TcpListener::from_std(listener)?, router).await });
            if let Err(error) = served {
                error!(%error, "metrics are not served any more");
            }
        })
        .map_err(failed)?;
    info!(address = %bound, "metrics served");
    Ok(bound)
}

/// A host whose kernel has no IPv6 has no `[::]`: every address is every IPv4 address there.
fn bind(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let error = match std::net::TcpListener::bind(address) {
        Err(error) if error.raw_os_error() == Some(libc::EAFNOSUPPORT) => error,
        bound => return bound,
    };
    match address {
        SocketAddr::V6(every) if every.ip().is_unspecified() => {
            std::net::TcpListener::bind((Ipv4Addr::UNSPECIFIED, every.port()))
        }
        _ => Err(error),
    }
}

fn router(served: Served) -> Router {
    Router::new()
        .route("/metrics", get(metrics_text))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .with_state(served)
}

async fn metrics_text(State(served): State<Served>) -> Response {
    match served.metrics.text() {
        Ok(text) => ([(CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

async fn healthz(State(served): State<Served>) -> Response {
    verdict(served.health.unhealthy(clock::boottime_ns()).into_iter())
}

async fn readyz(State(served): State<Served>) -> Response {
    verdict(served.health.unready(clock::boottime_ns()).into_iter())
}

/// What is amiss, one a line.
fn verdict(amiss: impl Iterator<Item = Ailment>) -> Response {
    let amiss: Vec<String> = amiss.map(|ailment| format!("{ailment}\n")).collect();
    match amiss.is_empty() {
        true => "ok\n".into_response(),
        false => (StatusCode::SERVICE_UNAVAILABLE, amiss.concat()).into_response(),
    }
}

#[cfg(test)]
mod tests;
