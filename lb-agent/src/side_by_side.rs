//! Two sorted sequences, walked once, side by side.

use std::{cmp::Ordering, iter, sync::Arc};

/// Each key with what the one and the other have there. Both are in the order of their keys.
pub fn walk<K: Ord, A, B>(
    one: impl IntoIterator<Item = (K, A)>,
    other: impl IntoIterator<Item = (K, B)>,
) -> impl Iterator<Item = (K, Option<A>, Option<B>)> {
    walk_by(one, other, |(one, _), (other, _)| one.cmp(other))
}

/// Where two maps, both in the order of their keys, do not have the same object, by its address. An object never stands under two keys, so that keys need not be
/// compared, nor even read, where it is the same one.
pub fn changes<'a, K: Ord + 'a, V: 'a>(
    before: impl IntoIterator<Item = (&'a K, &'a Arc<V>)>,
    now: impl IntoIterator<Item = (&'a K, &'a Arc<V>)>,
) -> impl Iterator<Item = (&'a K, Option<&'a Arc<V>>, Option<&'a Arc<V>>)> {
    let is_same = |one: &Arc<V>, other: &Arc<V>| Arc::ptr_eq(one, other);
    let order = move |one: &(&'a K, &'a Arc<V>), other: &(&'a K, &'a Arc<V>)| match is_same(one.1, other.1) {
        true => Ordering::Equal,
        false => one.0.cmp(other.0),
    };
    walk_by(before, now, order)
        .filter(move |(_, before, now)| !before.zip(*now).is_some_and(|(before, now)| is_same(before, now)))
}

fn walk_by<K, A, B>(
    one: impl IntoIterator<Item = (K, A)>,
    other: impl IntoIterator<Item = (K, B)>,
    order: impl Fn(&(K, A), &(K, B)) -> Ordering,
) -> impl Iterator<Item = (K, Option<A>, Option<B>)> {
    let (mut one, mut other) = (one.into_iter().peekable(), other.into_iter().peekable());
    iter::from_fn(move || {
        let order = match (one.peek(), other.peek()) {
            (Some(one), Some(other)) => order(one, other),
            (Some(_), None) => Ordering::Less,
            (None, _) => Ordering::Greater,
        };
        let one = if order.is_le() { one.next() } else { None };
        let other = if order.is_ge() { other.next() } else { None };
        match (one, other) {
            (Some((key, one)), other) => Some((key, Some(one), other.map(|(_, other)| other))),
            (None, Some((key, other))) => Some((key, None, Some(other))),
            (None, None) => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn each_key_comes_once_with_what_both_have() {
        let (one, other) = ([(1, 'a'), (2, 'b'), (4, 'd')], [(2, 'B'), (3, 'C')]);
        let all: Vec<_> = walk(one, other).collect();
        let expected =
            [(1, Some('a'), None), (2, Some('b'), Some('B')), (3, None, Some('C')), (4, Some('d'), None)];
        assert_eq!(all, expected);
    }

    #[test]
    fn a_change_is_another_object_whatever_it_says() {
        let before: BTreeMap<u8, Arc<char>> =
            [(1, 'a'), (2, 'b'), (3, 'c')].map(|(key, it)| (key, Arc::new(it))).into();
        let mut now = before.clone();
        now.remove(&1);
        now.insert(3, Arc::new('c'));
        now.insert(4, Arc::new('d'));
        let changed: Vec<_> = changes(&before, &now)
            .map(|(key, before, now)| (*key, before.map(|it| **it), now.map(|it| **it)))
            .collect();
        assert_eq!(changed, [(1, Some('a'), None), (3, Some('c'), Some('c')), (4, None, Some('d'))]);
    }
}
