//! When a VIP that was just gained is announced, and in which form.
//!
//! At once in the request form (which every stack takes into its cache), then in the reply form (which some
//! switches and routers want), again at 100 ms, then each 1.1 s for 5 s (RFC 5227, 3, leaves 1 s between
//! two), then once a minute.

/// The two forms of an announcement (RFC 5227, 3).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Form {
    /// `oper` 1.
    Request,
    /// `oper` 2.
    Reply,
}

const MS: u64 = 1_000_000;

/// Form of each step, and the wait until the next one. The last is repeated for as long as the VIP is held.
const STEPS: [(Form, u64); 9] = [
    (Form::Request, 0),
    (Form::Reply, 100 * MS),
    (Form::Request, 0),
    (Form::Reply, 1_000 * MS),
    (Form::Request, 1_100 * MS),
    (Form::Request, 1_100 * MS),
    (Form::Request, 1_100 * MS),
    (Form::Request, 1_100 * MS),
    (Form::Request, REFRESH_INTERVAL_NS),
];

/// The step of a VIP that was just gained.
pub const FIRST_STEP: u8 = 0;
/// The step that is repeated.
pub const LAST_STEP: u8 = 8;
/// Time between two refreshes of a VIP that is held, in ns.
pub const REFRESH_INTERVAL_NS: u64 = 60_000 * MS;

/// Form of a step, time until the next one in ns, and the next one.
#[must_use]
pub fn step(step: u8) -> (Form, u64, u8) {
    let last = STEPS.len() - 1;
    let at = usize::from(step).min(last);
    let (form, wait_ns) = STEPS[at];
    (form, wait_ns, if at == last { step } else { step + 1 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gained_vip_is_announced_at_once_in_both_forms_then_for_five_seconds_then_each_minute() {
        let (mut at_ms, mut place, mut sent) = (0, FIRST_STEP, Vec::new());
        for _ in 0..10 {
            let (form, wait_ns, next) = step(place);
            sent.push((at_ms, form));
            at_ms += wait_ns / MS;
            place = next;
        }
        use Form::{Reply, Request};
        let expected = [
            (0, Request),
            (0, Reply),
            (100, Request),
            (100, Reply),
            (1_100, Request),
            (2_200, Request),
            (3_300, Request),
            (4_400, Request),
            (5_500, Request),
            (65_500, Request),
        ];
        assert_eq!(sent, expected);
    }
}
