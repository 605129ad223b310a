//! Takes note of every answer that the API gives, whoever asked.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use futures_util::future::BoxFuture;
use http::{Request, Response, Version};
use http_body::{Body, Frame, SizeHint};
use tower::{Layer, Service};
use tracing::info;

use super::{End, Vouched, Word};
use crate::clock;

/// Has a client's answers noted.
#[derive(Clone, Debug)]
pub struct WordLayer(Arc<Word>);

/// A client whose answers are noted.
#[derive(Clone, Debug)]
pub struct Noted<S> {
    inner: S,
    word: Arc<Word>,
}

/// An answer whose end is noted.
#[derive(Debug)]
pub struct NotedBody<B> {
    inner: B,
    /// Of an answer that is being read; a refusal says nothing of the cluster.
    reading: Option<Reading>,
}

#[derive(Debug)]
struct Reading {
    word: Arc<Word>,
    vouched: Vouched,
    end: End,
}

impl WordLayer {
    /// Notes them in `word`.
    #[must_use]
    pub const fn new(word: Arc<Word>) -> Self {
        Self(word)
    }
}

impl<S> Layer<S> for WordLayer {
    type Service = Noted<S>;

    fn layer(&self, inner: S) -> Noted<S> {
        Noted { inner, word: Arc::clone(&self.0) }
    }
}

impl<S, R, B> Service<Request<R>> for Noted<S>
where
    S: Service<Request<R>, Response = Response<B>>,
    S::Future: Send + 'static,
{
    type Response = Response<NotedBody<B>>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<R>) -> Self::Future {
        let word = Arc::clone(&self.word);
        let answer = self.inner.call(request);
        Box::pin(async move {
            let answer = answer.await?;
            let is_word = answer.status().is_success();
            let vouched = match answer.version() {
                Version::HTTP_2 => Vouched::Yes,
                _ => Vouched::No,
            };
            let reading = is_word.then(|| Reading::new(word, vouched));
            Ok(answer.map(|inner| NotedBody { inner, reading }))
        })
    }
}

impl Reading {
    fn new(word: Arc<Word>, vouched: Vouched) -> Self {
        if word.opened(vouched, clock::boottime_ns()) {
            info!("the Kubernetes API answers again");
        }
        Self { word, vouched, end: End::Closed }
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        self.word.ended(self.vouched, self.end, clock::boottime_ns());
    }
}

impl<B: Body + Unpin> Body for NotedBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let polled = Pin::new(&mut self.inner).poll_frame(context);
        match &polled {
            Poll::Ready(None) => self.reading = None,
            Poll::Ready(Some(Err(_))) => {
                if let Some(mut reading) = self.reading.take() {
                    reading.end = End::Lost;
                }
            }
            Poll::Ready(Some(Ok(_))) => {
                self.reading.iter().for_each(|reading| reading.word.came(clock::boottime_ns()));
            }
            Poll::Pending => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
