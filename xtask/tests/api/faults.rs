//! What goes wrong with requests.

use std::time::{Duration, Instant};

use xtask::testbed::api::{Faults, Refuse};

use crate::{Library, at_service, refusal_of};

#[test]
fn a_slow_server_takes_its_time() -> anyhow::Result<()> {
    let library = Library::open()?;
    library.reader.list("v1", "Service", "")?;
    let delay = Duration::from_millis(300);
    library.api.set_faults(Faults { delay, ..Faults::default() });
    let begun = Instant::now();
    library.reader.list("v1", "Service", "")?;
    assert!(begun.elapsed() >= delay, "{:?}", begun.elapsed());
    Ok(())
}

#[test]
fn everybody_but_the_test_itself_is_refused() -> anyhow::Result<()> {
    let library = Library::open()?;
    library.reader.list("v1", "Service", "")?;
    for (refuse, expected) in [
        (Refuse::InternalError, (500, "InternalError")),
        (Refuse::TooManyRequests(1), (429, "TooManyRequests")),
    ] {
        library.api.set_faults(Faults { refuse: Some(refuse), ..Faults::default() });
        let (code, reason, _) = refusal_of(library.reader.list("v1", "Service", ""));
        assert_eq!((code, reason.as_str()), expected);
        library.api.client().list("v1", "Service", "")?;
    }
    library.api.set_faults(Faults::default());
    library.reader.list("v1", "Service", "")?;
    Ok(())
}

#[test]
fn a_stale_list_shows_what_was() -> anyhow::Result<()> {
    let library = Library::open()?;
    library.add_services(2)?;
    let stale_at = Some(library.api.revision());
    library.api.client().delete(at_service("default", "s0"))?;
    library.api.set_faults(Faults { stale_at, ..Faults::default() });
    assert_eq!(library.reader.list("v1", "Service", "")?.len(), 2);
    assert_eq!(library.api.client().list("v1", "Service", "")?.len(), 1);
    library.api.set_faults(Faults::default());
    assert_eq!(library.reader.list("v1", "Service", "")?.len(), 1);
    Ok(())
}
