//! Which advertisements select a Service, and why the others do not.

use std::sync::Arc;

use super::{OfService, names};
use crate::{
    cluster::{objects::Selector, selection::AdvertisementInUse},
    explain::Step,
};

impl OfService<'_> {
    pub(super) fn advertisement_steps(self, pool: &Arc<str>) -> Vec<Step> {
        let all = &self.told.selection.configuration.advertisements;
        if all.is_empty() {
            return vec![Step::new("advertisement", false, "there is no L2Advertisement")];
        }
        let step = |(name, advertisement)| self.advertisement_step(name, advertisement, pool);
        all.iter().map(step).collect()
    }

    fn advertisement_step(
        self,
        name: &Arc<str>,
        advertisement: &AdvertisementInUse,
        pool: &Arc<str>,
    ) -> Step {
        let Self { told, verdict, .. } = self;
        let me = told.options.me.as_str();
        if !verdict.advertised.by.contains(name) {
            let why = self.why_not_selected(advertisement, pool);
            // Where another one selects it, this one is no matter.
            let verdict = verdict.advertised.by.is_empty().then_some(false);
            return Step::new("advertisement", verdict, format!("{name} {why}"));
        }
        let AdvertisementInUse { object, nodes } = advertisement;
        let Some(&weight) = nodes.get(me) else {
            let is_decisive = !verdict.advertised.nodes.contains_key(me);
            let selectors = selectors_text(&object.node_selectors);
            let why =
                format!("{name} selects it, but its nodeSelectors ({selectors}) do not match this node");
            return Step::new("advertisement", is_decisive.then_some(false), why);
        };
        let mut words = format!("{name} selects {pool}, the Service and this node");
        if weight != 0 {
            words += &format!(", which it prefers by {weight}");
        }
        if !object.interfaces.is_empty() {
            words += &format!(", on {}", names(&object.interfaces));
        }
        Step::new("advertisement", true, words)
    }

    fn why_not_selected(self, advertisement: &AdvertisementInUse, pool: &Arc<str>) -> String {
        let object = &advertisement.object;
        let labels = self.told.selection.configuration.pools.get(pool).map(|pool| &pool.labels);
        let selects_pool = labels.is_some_and(|labels| object.selects_pool(pool, labels));
        if selects_pool {
            let selectors = selectors_text(&object.service_selectors);
            return format!(
                "does not select it: its serviceSelectors ({selectors}) do not match the Service's labels"
            );
        }
        let by_name =
            (!object.pools.is_empty()).then(|| format!("its ipAddressPools are {}", names(&object.pools)));
        let by_label = (!object.pool_selectors.is_empty()).then(|| {
            let selectors = selectors_text(&object.pool_selectors);
            format!("its ipAddressPoolSelectors ({selectors}) do not match the pool's labels")
        });
        let why: Vec<String> = by_name.into_iter().chain(by_label).collect();
        format!("does not select IPAddressPool {pool}: {}", why.join(", and "))
    }
}

fn selectors_text(selectors: &[Selector]) -> String {
    selectors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; or ")
}
