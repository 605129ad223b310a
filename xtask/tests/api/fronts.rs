//! Fronts: the ways to the server, which can be cut one by one.

use std::{
    io::{ErrorKind, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use xtask::testbed::{
    Netns,
    api::{Front, Reach},
    require_root,
};

use crate::{ACCOUNT, Library};

const MOMENT: Duration = Duration::from_millis(300);
/// TCP waits longer each time before it sends again.
const PATIENCE: Duration = Duration::from_secs(10);

/// What becomes of a request on a connection.
fn ask(connection: &mut TcpStream) -> Result<String, ErrorKind> {
    let kind = |error: std::io::Error| error.kind();
    connection.set_read_timeout(Some(MOMENT)).map_err(kind)?;
    connection.write_all(b"GET /version HTTP/1.1\r\nHost: lb\r\n\r\n").map_err(kind)?;
    let mut buffer = [0; 12];
    connection.read_exact(&mut buffer).map_err(kind)?;
    Ok(String::from_utf8_lossy(&buffer).into_owned())
}

fn connect(front: &Front) -> Result<TcpStream, ErrorKind> {
    TcpStream::connect(front.address()).map_err(|error| error.kind())
}

#[test]
fn a_refusing_front_resets_connections_and_takes_none_until_it_opens_again() -> anyhow::Result<()> {
    let library = Library::open()?;
    let front = &library.front;
    let mut connection = connect(front).expect("a connection");
    assert_eq!(ask(&mut connection), Ok("HTTP/1.1 401".into()));
    front.set(Reach::Refused)?;
    assert_eq!(connect(front).err(), Some(ErrorKind::ConnectionRefused));
    let cut = [ErrorKind::ConnectionReset, ErrorKind::BrokenPipe];
    let mut rest = Vec::new();
    connection.set_read_timeout(Some(MOMENT))?;
    let error = connection.read_to_end(&mut rest).expect_err("a reset").kind();
    assert!(cut.contains(&error), "{error:?}");
    front.set(Reach::Open)?;
    assert_eq!(ask(&mut connect(front).expect("a connection")), Ok("HTTP/1.1 401".into()));
    Ok(())
}

#[test]
fn a_hanging_front_keeps_connections_and_passes_nothing_until_it_opens_again() -> anyhow::Result<()> {
    let library = Library::open()?;
    let front = &library.front;
    let mut old = connect(front).expect("a connection");
    assert_eq!(ask(&mut old), Ok("HTTP/1.1 401".into()));
    front.set(Reach::Hanging)?;
    let mut new = connect(front).expect("a connection");
    assert_eq!(ask(&mut new), Err(ErrorKind::WouldBlock));
    front.set(Reach::Open)?;
    let mut buffer = [0; 12];
    new.read_exact(&mut buffer)?;
    assert_eq!(&buffer, b"HTTP/1.1 401");
    Ok(())
}

#[test]
fn behind_a_hole_connections_stay_and_no_packet_passes_until_it_is_closed() -> anyhow::Result<()> {
    require_root("test")?;
    let library = Library::open()?;
    let room = Netns::new("room")?;
    let front = library.api.front(Some(&room))?;
    room.run(|| {
        let mut old = connect(&front).expect("a connection");
        front.set(Reach::Lost)?;
        assert_eq!(ask(&mut old), Err(ErrorKind::WouldBlock));
        let new = TcpStream::connect_timeout(&front.address(), MOMENT);
        assert_eq!(new.err().map(|error| error.kind()), Some(ErrorKind::TimedOut));
        front.set(Reach::Open)?;
        assert_eq!(ask(&mut connect(&front).expect("a connection")), Ok("HTTP/1.1 401".into()));
        // What was sent meanwhile is sent again.
        old.set_read_timeout(Some(PATIENCE))?;
        let mut buffer = [0; 12];
        old.read_exact(&mut buffer)?;
        assert_eq!(&buffer, b"HTTP/1.1 401");
        Ok(())
    })?
}

#[test]
fn cut_connections_are_reset_and_new_ones_served() -> anyhow::Result<()> {
    let library = Library::open()?;
    let front = &library.front;
    let mut connection = connect(front).expect("a connection");
    assert_eq!(ask(&mut connection), Ok("HTTP/1.1 401".into()));
    front.cut_connections();
    let mut rest = Vec::new();
    connection.set_read_timeout(Some(MOMENT))?;
    assert!(connection.read_to_end(&mut rest).is_err());
    assert_eq!(ask(&mut connect(front).expect("a connection")), Ok("HTTP/1.1 401".into()));
    Ok(())
}

#[test]
fn each_namespace_has_a_front_of_its_own() -> anyhow::Result<()> {
    require_root("test")?;
    let library = Library::open()?;
    let rooms = [Netns::new("one")?, Netns::new("two")?];
    let fronts = [library.api.front(Some(&rooms[0]))?, library.api.front(Some(&rooms[1]))?];
    let ask = |room: &Netns, address: SocketAddr| {
        room.run(|| {
            TcpStream::connect(address).map_err(|error| error.kind()).and_then(|mut stream| ask(&mut stream))
        })
    };
    let answers = |number: usize| ask(&rooms[number], fronts[number].address());
    assert_eq!([answers(0)?, answers(1)?], [Ok("HTTP/1.1 401".into()), Ok("HTTP/1.1 401".into())]);
    fronts[0].set(Reach::Refused)?;
    assert_eq!([answers(0)?, answers(1)?], [Err(ErrorKind::ConnectionRefused), Ok("HTTP/1.1 401".into())]);
    fronts[0].set(Reach::Open)?;
    assert_eq!(answers(0)?, Ok("HTTP/1.1 401".into()));
    let kubeconfig = library.api.kubeconfig(&fronts[1], ACCOUNT, "two")?;
    assert!(std::fs::read_to_string(kubeconfig)?.contains(&fronts[1].address().to_string()));
    Ok(())
}
