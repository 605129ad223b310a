//! Programs that we did not write, as witnesses.

use std::{
    fmt,
    io::{BufRead as _, BufReader},
    net::IpAddr,
    path::Path,
    process::{Child, Command, Stdio},
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::{Context as _, bail};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use tempfile::NamedTempFile;

use super::segment::Host;
use crate::exec::output;

/// Who answered one `arping`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Arping {
    /// Requests that it sent.
    pub sent: u32,
    /// Link-layer addresses of those that answered, as arping prints them but in lower case, in order of arrival.
    pub answers: Vec<String>,
}

/// Asks for an address with `arping` once a second, always by broadcast, so that every host may answer each time.
/// (Told a number of requests, arping would stop at as many answers.)
///
/// # Errors
/// When arping is not there.
pub fn arping(from: &Host, address: &str, seconds: u32) -> anyhow::Result<Arping> {
    let mut command = from.netns.command("arping");
    command.args(["-b", "-w", &seconds.to_string(), "-I", "eth0", address]);
    let output = command.output().context("run arping")?;
    Ok(parse_arping(&String::from_utf8_lossy(&output.stdout)))
}

fn parse_arping(output: &str) -> Arping {
    let bracketed = |line: &str| Some(line.split_once('[')?.1.split_once(']')?.0.to_ascii_lowercase());
    Arping {
        sent: output
            .lines()
            .find_map(|line| line.strip_prefix("Sent ")?.split(' ').next()?.parse().ok())
            .unwrap_or(0),
        answers: output.lines().filter(|line| line.contains("reply from")).filter_map(bracketed).collect(),
    }
}

/// The stations that answer within a second when a host asks everyone for an address once, by `arping` or `ndisc6`, as
/// link-layer addresses in lower case, each once.
///
/// # Errors
/// When the program is not there.
pub fn stations(from: &Host, address: IpAddr) -> anyhow::Result<Vec<String>> {
    let text = address.to_string();
    let mut stations = match address {
        IpAddr::V4(_) => arping(from, &text, 1)?.answers,
        IpAddr::V6(_) => ndisc6(from, &text)?,
    };
    stations.sort();
    stations.dedup();
    Ok(stations)
}

/// As [`stations`], for several addresses at the same time.
///
/// # Errors
/// When a program is not there.
pub fn stations_of_all(
    from: &Host,
    addresses: impl IntoIterator<Item = IpAddr>,
) -> anyhow::Result<Vec<(IpAddr, Vec<String>)>> {
    thread::scope(|scope| {
        let ask = |address| (address, scope.spawn(move || stations(from, address)));
        let asked: Vec<_> = addresses.into_iter().map(ask).collect();
        let answer =
            |(address, asked): (IpAddr, thread::ScopedJoinHandle<'_, anyhow::Result<Vec<String>>>)| {
                let stations =
                    asked.join().map_err(|_| anyhow::anyhow!("asking for {address} panicked"))??;
                Ok((address, stations))
            };
        asked.into_iter().map(answer).collect()
    })
}

fn ndisc6(from: &Host, address: &str) -> anyhow::Result<Vec<String>> {
    let mut command = from.netns.command("ndisc6");
    command.args(["-n", "-m", "-r", "1", "-w", "1000", address, "eth0"]);
    let output = command.output().context("run ndisc6")?;
    Ok(parse_ndisc6(&String::from_utf8_lossy(&output.stdout)))
}

fn parse_ndisc6(output: &str) -> Vec<String> {
    let answers = output.lines().filter_map(|line| line.strip_prefix("Target link-layer address: "));
    answers.map(str::to_ascii_lowercase).collect()
}

/// Has a host send one packet to an address, for which its kernel looks for the neighbour; says whether an answer came.
///
/// # Errors
/// When ping is not there.
pub fn ping(from: &Host, address: impl fmt::Display) -> anyhow::Result<bool> {
    let mut command = from.netns.command("ping");
    command.args(["-n", "-c", "1", "-W", "1", &address.to_string()]);
    Ok(command.output().context("run ping")?.status.success())
}

/// The link-layer address in a host's neighbour cache, or `None`.
///
/// # Errors
/// When ip fails.
pub fn neighbour(host: &Host, address: impl fmt::Display) -> anyhow::Result<Option<String>> {
    let output = Command::new("ip")
        .args(["-n", host.netns.name(), "neighbour", "show", "to", &address.to_string(), "dev", "eth0"])
        .output()
        .context("run ip neighbour")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok(text.split_once("lladdr ").and_then(|(_, rest)| rest.split_whitespace().next()).map(str::to_owned))
}

/// The IPv6 groups that a host's kernel listens to on its interface.
///
/// # Errors
/// When ip fails.
pub fn groups(host: &Host) -> anyhow::Result<Vec<String>> {
    let text =
        output(Command::new("ip").args(["-n", host.netns.name(), "-6", "maddress", "show", "dev", "eth0"]))?;
    let group = |line: &str| line.trim().strip_prefix("inet6 ")?.split(' ').next().map(str::to_owned);
    Ok(text.lines().filter_map(group).collect())
}

/// A `tcpdump` at work on a host's interface.
#[derive(Debug)]
pub struct Tcpdump {
    child: Child,
    lines: JoinHandle<Vec<String>>,
}

impl Tcpdump {
    /// Begins to capture; returns once frames are seen.
    ///
    /// # Errors
    /// When tcpdump is not there or refuses the filter.
    pub fn start(host: &Host, filter: &str) -> anyhow::Result<Self> {
        Self::start_with(host, &[], filter)
    }

    /// The same with all that tcpdump knows of a frame, options on lines of their own.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn start_verbose(host: &Host, filter: &str) -> anyhow::Result<Self> {
        Self::start_with(host, &["-v"], filter)
    }

    fn start_with(host: &Host, how: &[&str], filter: &str) -> anyhow::Result<Self> {
        let how = [&["-l", "-n", "-e", "-t"], how].concat();
        let mut child = start_tcpdump(host, &how, filter)?;
        let stdout = child.stdout.take().context("tcpdump has no output")?;
        let lines = BufReader::new(stdout).lines().map_while(Result::ok).filter(|line| !line.is_empty());
        let lines = thread::spawn(move || lines.collect());
        Ok(Self { child, lines })
    }

    /// Ends the capture: one line for each frame, with link-layer addresses and the length of the frame.
    ///
    /// # Errors
    /// When tcpdump cannot be stopped.
    pub fn finish(mut self) -> anyhow::Result<Vec<String>> {
        end_tcpdump(&mut self.child)?;
        self.lines.join().map_err(|_| anyhow::anyhow!("the reader of tcpdump panicked"))
    }
}

/// A `tcpdump` at work on a host's interface that writes whole frames to a file, for [`dissect`].
#[derive(Debug)]
pub struct Capture {
    child: Child,
    file: NamedTempFile,
}

impl Capture {
    /// Begins to capture; returns once frames are seen.
    ///
    /// # Errors
    /// When tcpdump is not there or refuses the filter.
    pub fn start(host: &Host, filter: &str) -> anyhow::Result<Self> {
        let file = tempfile::Builder::new().prefix("lb-").suffix(".pcap").tempfile()?;
        let path = file.path().to_str().context("the name of a temporary file")?;
        // As root to the end: another user could not open the file.
        let child = start_tcpdump(host, &["-Z", "root", "-U", "-w", path], filter)?;
        Ok(Self { child, file })
    }

    /// Ends the capture: the file with the frames, removed when it is dropped.
    ///
    /// # Errors
    /// When tcpdump cannot be stopped.
    pub fn finish(mut self) -> anyhow::Result<NamedTempFile> {
        end_tcpdump(&mut self.child)?;
        Ok(self.file)
    }
}

fn start_tcpdump(host: &Host, how: &[&str], filter: &str) -> anyhow::Result<Child> {
    let mut command = host.netns.command("tcpdump");
    command.args(["--immediate-mode", "-i", "eth0"]).args(how).args(filter.split_whitespace());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().context("run tcpdump")?;
    let stderr = BufReader::new(child.stderr.take().context("tcpdump has no messages")?);
    let mut told = Vec::new();
    for line in stderr.lines().map_while(Result::ok) {
        if line.contains("listening on") {
            return Ok(child);
        }
        told.push(line);
    }
    child.wait()?;
    bail!("tcpdump did not start: {told:?}")
}

fn end_tcpdump(child: &mut Child) -> anyhow::Result<()> {
    thread::sleep(Duration::from_millis(100)); // what is on its way to it
    kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGINT)?;
    child.wait()?;
    Ok(())
}

/// What `tshark` reads out of a capture: for each frame the named fields, empty where it has none. It checks the
/// checksums of IP and UDP, and takes port 7784 for S-BFD.
///
/// # Errors
/// When tshark is not there, or does not know a field.
pub fn dissect<'a>(
    capture: &Path,
    fields: impl IntoIterator<Item = &'a str>,
) -> anyhow::Result<Vec<Vec<String>>> {
    let mut command = Command::new("tshark");
    command.arg("-r").arg(capture).args(["-d", "udp.port==7784,bfd"]);
    command.args(["-o", "ip.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE"]);
    command.args(["-T", "fields", "-E", "separator=|"]);
    command.args(fields.into_iter().flat_map(|field| ["-e", field]));
    let text = output(&mut command)?;
    Ok(text.lines().map(|line| line.split('|').map(str::to_owned).collect()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answers_of_arping_are_read_with_their_senders() {
        let output = "ARPING 10.77.1.10 from 10.77.0.3 eth0\n\
                      Unicast reply from 10.77.1.10 [06:6B:26:31:C3:0C]  0.579ms\n\
                      Unicast reply from 10.77.1.10 [06:6B:26:31:C3:0D]  0.547ms\n\
                      Sent 1 probes (1 broadcast(s))\nReceived 2 response(s)\n";
        let answers = vec!["06:6b:26:31:c3:0c".to_owned(), "06:6b:26:31:c3:0d".to_owned()];
        assert_eq!(parse_arping(output), Arping { sent: 1, answers });
    }

    #[test]
    fn the_answers_that_ndisc6_prints_are_read() {
        let output = "Soliciting fd77::1:10 (fd77::1:10) on eth0...\n\
                      Target link-layer address: 02:00:00:4D:00:01\n from fd77::1:10\n\
                      Target link-layer address: 02:00:00:4D:00:02\n from fd77::1:10\n";
        assert_eq!(parse_ndisc6(output), ["02:00:00:4d:00:01", "02:00:00:4d:00:02"]);
        assert_eq!(parse_ndisc6("Soliciting fd77::3 (fd77::3) on eth0...\nTimed out.\n"), [""; 0]);
    }
}
