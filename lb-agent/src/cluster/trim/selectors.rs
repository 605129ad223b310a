//! Label selectors, and what can be wrong with them.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};

use crate::{
    cluster::objects::{Operator, Requirement, Selector},
    crds::PreferredNodeSelector,
};

/// Reads selectors, and gathers their problems.
#[derive(Debug, Default)]
pub(super) struct Reader {
    pub(super) problems: Vec<String>,
}

impl Reader {
    /// The selectors of a field.
    pub(super) fn selectors(&mut self, field: &str, selectors: &[LabelSelector]) -> Vec<Selector> {
        selectors.iter().map(|selector| self.selector(field, selector)).collect()
    }

    /// The preferences, with their weights.
    pub(super) fn preferred(&mut self, preferred: &[PreferredNodeSelector]) -> Vec<(i64, Selector)> {
        let field = "preferredNodeSelectors";
        let read = |PreferredNodeSelector { weight, preference }: &PreferredNodeSelector| {
            if !(1..=100).contains(weight) {
                self.problems.push(format!("{field}: weight {weight} is not between 1 and 100"));
            }
            (*weight, self.selector(field, preference))
        };
        preferred.iter().map(read).collect()
    }

    fn selector(&mut self, field: &str, selector: &LabelSelector) -> Selector {
        let LabelSelector { match_labels, match_expressions } = selector;
        let labels = match_labels.iter().flatten().map(|(key, value)| Requirement {
            key: key.clone(),
            operator: Operator::In,
            values: [value.clone()].into(),
        });
        let mut requirements: Vec<Requirement> = labels.collect();
        for expression in match_expressions.iter().flatten() {
            match requirement(expression) {
                Ok(requirement) => requirements.push(requirement),
                Err(problem) => self.problems.push(format!("{field}: {problem}")),
            }
        }
        Selector { requirements }
    }
}

fn requirement(expression: &LabelSelectorRequirement) -> Result<Requirement, String> {
    let LabelSelectorRequirement { key, operator, values } = expression;
    let values = values.as_deref().unwrap_or_default();
    let known = match operator.as_str() {
        "In" => Operator::In,
        "NotIn" => Operator::NotIn,
        "Exists" => Operator::Exists,
        "DoesNotExist" => Operator::DoesNotExist,
        unknown => {
            let operators = "In, NotIn, Exists and DoesNotExist";
            return Err(format!("{unknown:?} is no operator (of label {key:?}); there are {operators}"));
        }
    };
    let takes_values = matches!(known, Operator::In | Operator::NotIn);
    match (takes_values, values.is_empty()) {
        (true, true) => Err(format!("{operator} (of label {key:?}) needs values")),
        (false, false) => Err(format!("{operator} (of label {key:?}) takes no values")),
        (true, false) | (false, true) => {
            Ok(Requirement { key: key.clone(), operator: known, values: values.iter().cloned().collect() })
        }
    }
}
