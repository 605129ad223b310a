//! The socket by which the agent is asked: one line of JSON each way.

use std::{
    fs,
    io::{self, BufRead as _, BufReader, Write as _},
    os::unix::{fs::PermissionsExt as _, net::UnixStream as BlockingStream},
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _},
    net::{UnixListener, UnixStream},
    sync::{mpsc, oneshot},
    time::timeout,
};
use tracing::debug;

use super::Answer;

/// Who asks has to do so, and to read the answer, within this.
const PATIENCE: Duration = Duration::from_secs(2);
/// Questions that may wait for the loop. Beyond it those who ask wait.
const BACKLOG: usize = 8;
/// The longest question: a namespace and a name.
const MAX_QUESTION: u64 = 1_024;

/// What is asked.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Question {
    /// A VIP, a Service, or (`None`) everything.
    pub about: Option<String>,
}

/// A question with the way back.
pub type Asked = (Question, oneshot::Sender<Answer>);

/// The agent's end. Dropped, the socket is removed.
pub struct Questions {
    path: PathBuf,
    asked: mpsc::Receiver<Asked>,
}

impl Questions {
    /// Listens. What an earlier agent has left there is replaced; the lock on the pins says that it runs no more.
    ///
    /// # Errors
    /// When the directory or the socket cannot be made.
    pub fn listen(path: &Path) -> io::Result<Self> {
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory)?;
        }
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(path)?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
        let (questions, asked) = mpsc::channel(BACKLOG);
        tokio::spawn(accept(listener, questions));
        Ok(Self { path: path.to_owned(), asked })
    }

    /// The next question.
    pub async fn next(&mut self) -> Option<Asked> {
        self.asked.recv().await
    }
}

impl Drop for Questions {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

async fn accept(listener: UnixListener, questions: mpsc::Sender<Asked>) {
    while !questions.is_closed() {
        match listener.accept().await {
            Ok((stream, _)) => {
                let questions = questions.clone();
                tokio::spawn(async move {
                    match timeout(PATIENCE, converse(stream, questions)).await {
                        Ok(Ok(())) => {}
                        Ok(Err(error)) => debug!(%error, "a question was not answered"),
                        Err(_) => debug!("whoever asked has gone silent"),
                    }
                });
            }
            Err(error) => {
                debug!(%error, "a question was not taken");
                tokio::time::sleep(Duration::from_millis(100)).await; // out of descriptors, say
            }
        }
    }
}

async fn converse(stream: UnixStream, questions: mpsc::Sender<Asked>) -> io::Result<()> {
    let (reader, mut writer) = stream.into_split();
    let mut line = String::new();
    tokio::io::BufReader::new(reader.take(MAX_QUESTION)).read_line(&mut line).await?;
    let answer = match serde_json::from_str(&line) {
        Ok(question) => {
            let (reply, answer) = oneshot::channel();
            questions.send((question, reply)).await.map_err(io::Error::other)?;
            answer.await.map_err(io::Error::other)?
        }
        Err(error) => Answer::Unknown(format!("this is no question: {error}")),
    };
    let mut bytes = serde_json::to_vec(&answer)?;
    bytes.push(b'\n');
    writer.write_all(&bytes).await
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// Nobody listens.
    #[error(
        "no agent listens at {}: {source}; is it running (`lb-agent status` tells what the kernel does without it), with \
         the same --pin-dir or --socket?",
        path.display()
    )]
    Connect {
        /// Where.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// It does not answer.
    #[error("the agent at {} does not answer: {source}; it may hang: see its log, and `lb-agent status`", path.display())]
    Silent {
        /// Where.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// It answers something else.
    #[error("the agent at {} answers something else than this version understands: {source}", path.display())]
    Garbled {
        /// Where.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
}

/// Asks the agent.
///
/// # Errors
/// When there is none, or none that answers.
pub fn ask(path: &Path, question: &Question) -> Result<Answer, AskError> {
    let path = || path.to_owned();
    let stream =
        BlockingStream::connect(path()).map_err(|source| AskError::Connect { path: path(), source })?;
    let line = exchange(stream, question).map_err(|source| AskError::Silent { path: path(), source })?;
    serde_json::from_str(&line).map_err(|source| AskError::Garbled { path: path(), source })
}

fn exchange(mut stream: BlockingStream, question: &Question) -> io::Result<String> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut bytes = serde_json::to_vec(question)?;
    bytes.push(b'\n');
    stream.write_all(&bytes)?;
    let mut line = String::new();
    match BufReader::new(stream).read_line(&mut line)? {
        0 => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it hung up")),
        _ => Ok(line),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a client gets from an agent that answers each question with itself.
    async fn echoed(path: &Path, ask: impl FnOnce(PathBuf) -> String + Send + 'static) -> String {
        let mut questions = Questions::listen(path).unwrap();
        assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
        let client = tokio::task::spawn_blocking({
            let path = path.to_owned();
            move || ask(path)
        });
        let serve = async {
            while let Some((question, reply)) = questions.next().await {
                let _ = reply.send(Answer::Unknown(format!("{question:?}")));
            }
        };
        tokio::select! {
            answer = client => answer.unwrap(),
            () = serve => unreachable!("the socket stays open"),
        }
    }

    #[tokio::test]
    async fn a_question_is_answered_by_the_loop() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("sub/agent.sock");
        for _ in 0..2 {
            let answer = echoed(&path, |path| {
                let question = Question { about: Some("10.0.0.1".to_owned()) };
                ask(&path, &question).unwrap().to_string()
            });
            assert_eq!(answer.await, "Question { about: Some(\"10.0.0.1\") }\n");
            assert!(!path.exists(), "removed with the agent");
        }
    }

    #[tokio::test]
    async fn what_is_no_question_is_told_so() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("agent.sock");
        let answer = echoed(&path, |path| {
            let mut stream = BlockingStream::connect(path).unwrap();
            stream.write_all(&[b'x'; 4_096]).unwrap();
            let mut line = String::new();
            BufReader::new(stream).read_line(&mut line).unwrap();
            line
        });
        assert!(answer.await.starts_with("{\"unknown\":\"this is no question: "));
    }

    #[test]
    fn without_an_agent_the_remedy_is_told() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("agent.sock");
        let told = ask(&path, &Question::default()).unwrap_err().to_string();
        assert!(told.starts_with("no agent listens at "), "{told}");
        assert!(told.ends_with("is it running (`lb-agent status` tells what the kernel does without it), with the same --pin-dir or --socket?"), "{told}");
        let _deaf = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let told = ask(&path, &Question::default()).unwrap_err().to_string();
        assert!(told.contains("does not answer") && told.contains("it may hang"), "{told}");
    }
}
