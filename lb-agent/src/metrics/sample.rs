//! Values that are read when they are asked for.

use std::fmt;

use prometheus_client::{
    encoding::{DescriptorEncoder, EncodeMetric as _},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
};

/// A sample's labels.
pub type Labels = Vec<(&'static str, String)>;

/// How a metric is called, and what it tells.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    /// Its name, of a counter without `_total`.
    pub name: &'static str,
    /// What it tells.
    pub help: &'static str,
}

impl Metric {
    /// Each sample of a counter.
    pub fn counters(
        self,
        encoder: &mut DescriptorEncoder<'_>,
        samples: impl IntoIterator<Item = (Labels, u64)>,
    ) -> fmt::Result {
        let mut descriptor = encoder.encode_descriptor(self.name, self.help, None, MetricType::Counter)?;
        samples.into_iter().try_for_each(|(labels, count)| {
            ConstCounter::new(count).encode(descriptor.encode_family(&labels)?)
        })
    }

    /// Each sample of a gauge.
    pub fn gauges(
        self,
        encoder: &mut DescriptorEncoder<'_>,
        samples: impl IntoIterator<Item = (Labels, f64)>,
    ) -> fmt::Result {
        self.values(encoder, MetricType::Gauge, samples)
    }

    /// Each sample of what counts up but is not called so: the name has no `_total`.
    pub fn untyped(
        self,
        encoder: &mut DescriptorEncoder<'_>,
        samples: impl IntoIterator<Item = (Labels, f64)>,
    ) -> fmt::Result {
        self.values(encoder, MetricType::Unknown, samples)
    }

    fn values(
        self,
        encoder: &mut DescriptorEncoder<'_>,
        kind: MetricType,
        samples: impl IntoIterator<Item = (Labels, f64)>,
    ) -> fmt::Result {
        let mut descriptor = encoder.encode_descriptor(self.name, self.help, None, kind)?;
        samples
            .into_iter()
            .try_for_each(|(labels, value)| ConstGauge::new(value).encode(descriptor.encode_family(&labels)?))
    }
}

/// A number as Prometheus has them all.
#[expect(clippy::cast_precision_loss, reason = "exact up to 2^53, and Prometheus knows no other numbers")]
pub const fn number(count: u64) -> f64 {
    count as f64
}

/// A truth value as Prometheus has them.
pub fn bool(truth: bool) -> f64 {
    f64::from(u8::from(truth))
}
