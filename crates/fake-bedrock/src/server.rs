//! The listener: loopback only, bounded, gone when it is dropped.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use sluicegate::Timestamp;
use sluicegate_sim::{Ledger, Service, ServiceConfig};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use crate::handler::handle;
use crate::state::State;

/// Default of [`Options::max_connections`].
pub const DEFAULT_MAX_CONNECTIONS: usize = 4_096;
/// Default of [`Options::seed`].
pub const DEFAULT_SEED: u64 = 0;
/// How long [`Fake::stop`] lets requests in progress end.
pub const STOP_GRACE: Duration = Duration::from_secs(1);

/// Pause after a failed accept.
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);

/// How the fake is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Makes faults, output lengths and words; the same seed, the same answers.
    pub seed: u64,
    /// Port on loopback; absent: a free one.
    pub port: Option<u16>,
    /// Stops by itself after this long; absent: runs until stopped or dropped.
    pub lifetime: Option<Duration>,
    /// Connections at once, at least 1; further ones wait to be accepted.
    pub max_connections: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { seed: DEFAULT_SEED, port: None, lifetime: None, max_connections: DEFAULT_MAX_CONNECTIONS }
    }
}

/// A running fake. It stops when it is dropped.
pub struct Fake {
    addr: SocketAddr,
    state: Arc<State>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Fake {
    /// Starts on 127.0.0.1; there is no way to listen elsewhere. Needs a tokio runtime. Time zero of the service is now.
    ///
    /// # Errors
    /// `InvalidInput` if the service cannot be built from its configuration; else what binding the port gave.
    pub async fn start(config: ServiceConfig, options: Options) -> io::Result<Self> {
        let service = Service::new(&config).map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, options.port.unwrap_or(0))).await?;
        let addr = listener.local_addr()?;
        let region = config.lanes.first().map(|lane| lane.region.clone()).unwrap_or_default();
        let state = Arc::new(State::new(service, options.seed, region));
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(serve(listener, Arc::clone(&state), options, stopped));
        Ok(Self { addr, state, stop, task })
    }

    /// Where it listens.
    #[must_use]
    pub const fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The endpoint for `AWS_ENDPOINT_URL_BEDROCK_RUNTIME` or a client's `endpoint_url`; it serves all Regions.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// The service's time now, for arrivals and deadlines of announced calls.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.state.clock.now()
    }

    /// A copy of the books as of now.
    #[must_use]
    pub fn ledger(&self) -> Ledger {
        self.state.with(|service| service.ledger().clone())
    }

    /// Looks into the books, or announces calls in them, without a copy. The service stands still meanwhile.
    pub fn with_ledger<T>(&self, act: impl FnOnce(&mut Ledger) -> T) -> T {
        self.state.with(|service| act(service.ledger_mut()))
    }

    /// Waits until the fake has stopped by itself.
    pub async fn stopped(&self) {
        // An error means that the serving task is gone, which is what is waited for.
        let _ = self.stop.closed().await;
    }

    /// Stops accepting, gives requests in progress [`STOP_GRACE`], then cuts them. Answers the final books.
    pub async fn stop(mut self) -> Ledger {
        self.stop.send_replace(true);
        // A panic of the serving task is not the caller's affair here: it has stopped in any case.
        let _ = (&mut self.task).await;
        self.ledger()
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(listener: TcpListener, state: Arc<State>, options: Options, mut stopped: watch::Receiver<bool>) {
    let mut connections = JoinSet::new();
    let lifetime = async {
        match options.lifetime {
            Some(lifetime) => tokio::time::sleep(lifetime).await,
            None => std::future::pending().await,
        }
    };
    tokio::pin!(lifetime);
    let (hang_up, told) = watch::channel(false);
    loop {
        tokio::select! {
            _ = stopped.changed() => break,
            () = &mut lifetime => break,
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            socket = listener.accept(), if connections.len() < options.max_connections.max(1) => match socket {
                Ok((socket, _)) => {
                    connections.spawn(connection(socket, Arc::clone(&state), told.clone()));
                }
                // Out of file descriptors, most likely: some connection has to end first.
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            },
        }
    }
    drop(listener);
    hang_up.send_replace(true);
    let all = async { while connections.join_next().await.is_some() {} };
    // Whoever is not done by now is cut when the set is dropped.
    let _ = tokio::time::timeout(STOP_GRACE, all).await;
}

async fn connection(socket: TcpStream, state: Arc<State>, mut told: watch::Receiver<bool>) {
    // Deltas are small and have their times.
    let _ = socket.set_nodelay(true);
    let service = service_fn(move |request| handle(Arc::clone(&state), request));
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).http2().timer(TokioTimer::new());
    let connection = builder.serve_connection(TokioIo::new(socket), service);
    tokio::pin!(connection);
    tokio::select! {
        // A broken connection is the client's affair; the flights in it have been abandoned.
        _ = connection.as_mut() => return,
        _ = told.changed() => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}
