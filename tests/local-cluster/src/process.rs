//! A child process that ends when this process does, with the signals that tests send it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::OpenOptions;
use std::future::Future;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tokio::sync::oneshot;

use crate::error::Context;
use crate::{Error, Result};

/// The interval at which a process is polled.
const POLL: Duration = Duration::from_millis(10);
/// The timeout of a start: long, since many clusters may start concurrently on a small machine.
const START: Duration = Duration::from_secs(60);
/// The timeout of a clean stop.
const STOP: Duration = Duration::from_secs(60);

type Ready = Pin<Box<dyn Future<Output = std::result::Result<(), String>> + Send>>;
type Probe = Box<dyn Fn() -> Ready + Send + Sync>;

/// A program to start.
pub struct Launch {
    name: String,
    program: PathBuf,
    args: Vec<OsString>,
    env: BTreeMap<OsString, OsString>,
    log: PathBuf,
    probe: Option<Probe>,
}

impl Launch {
    /// Takes a program, its name in messages, and the file to which its output is appended.
    pub fn new(name: impl Into<String>, program: impl Into<PathBuf>, log: impl Into<PathBuf>) -> Self {
        let env = ["PATH", "HOME", "TMPDIR"]
            .into_iter()
            .filter_map(|key| Some((key.into(), std::env::var_os(key)?)));
        Self {
            name: name.into(),
            program: program.into(),
            args: Vec::new(),
            env: env.collect(),
            log: log.into(),
            probe: None,
        }
    }

    /// Adds arguments.
    #[must_use]
    pub fn args(mut self, args: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Sets a variable. From this process's environment a child inherits `PATH`, `HOME` and `TMPDIR` only.
    #[must_use]
    pub fn env(mut self, key: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.env.insert(key.into(), value.into());
        self
    }

    /// Sets the probe that returns `Ok` when it is ready, or why not yet. Without a probe it is ready once it runs.
    #[must_use]
    pub fn ready<F>(mut self, probe: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = std::result::Result<(), String>> + Send + 'static,
    {
        self.probe = Some(Box::new(move || Box::pin(probe())));
        self
    }

    /// The kernel kills the program when the thread that started it ends. If that happened before `setpriv` ran, the shell has
    /// another parent and starts nothing.
    fn command(&self) -> Result<Command> {
        let log = OpenOptions::new().create(true).append(true).open(&self.log);
        let log = log.context(|| format!("open {}", self.log.display()))?;
        let err = log.try_clone().context(|| format!("open {}", self.log.display()))?;
        let mut command = Command::new("setpriv");
        command
            .args(["--pdeathsig", "KILL", "--", "sh", "-c", r#"[ "$PPID" = "$0" ] && exec "$@""#])
            .arg(std::process::id().to_string())
            .arg(&self.program)
            .args(&self.args)
            .env_clear()
            .envs(&self.env)
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(err)
            // Ctrl-C on a terminal reaches this process alone, which then stops the others in order.
            .process_group(0);
        Ok(command)
    }
}

/// A process that this one started. Killed on drop.
pub struct Process {
    launch: Launch,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    child: Option<Child>,
    ended: Option<ExitStatus>,
}

impl State {
    /// Records the exit status if the process has ended. The process id is valid while `child` is set.
    fn poll(&mut self) -> std::io::Result<Option<ExitStatus>> {
        if let Some(child) = &mut self.child
            && let Some(status) = child.try_wait()?
        {
            self.child = None;
            self.ended = Some(status);
        }
        Ok(if self.child.is_some() { None } else { self.ended })
    }
}

/// The result of a stop.
#[derive(Clone, Copy, Debug)]
pub struct Stopped {
    /// The exit status.
    pub status: ExitStatus,
    /// From the signal to the end.
    pub took: Duration,
}

impl Process {
    /// Starts it and waits until it is ready.
    pub async fn start(launch: Launch) -> Result<Self> {
        let process = Self::spawn(launch).await?;
        process.wait_ready().await?;
        Ok(process)
    }

    /// Starts it and waits for nothing.
    pub async fn spawn(launch: Launch) -> Result<Self> {
        let process = Self { launch, state: Mutex::default() };
        process.run().await?;
        Ok(process)
    }

    async fn run(&self) -> Result<()> {
        if self.is_running() {
            return Err(Error::Running(self.launch.name.clone()));
        }
        let child = spawn(self.launch.command()?).await.context(|| format!("start {}", self.launch.name))?;
        *self.state() = State { child: Some(child), ended: None };
        Ok(())
    }

    /// Waits until it is ready; if it ends before, the error shows the end of its log.
    pub async fn wait_ready(&self) -> Result<()> {
        let begin = Instant::now();
        loop {
            if let Some(status) = self.exited()? {
                return Err(Error::EndedEarly {
                    name: self.launch.name.clone(),
                    status,
                    log: self.log_tail(),
                });
            }
            let Some(probe) = &self.launch.probe else { return Ok(()) };
            let why = match tokio::time::timeout(Duration::from_secs(5), probe()).await {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(why)) => why,
                Err(_) => "no answer within 5 s".into(),
            };
            if begin.elapsed() > START {
                let (name, log) = (self.launch.name.clone(), self.log_tail());
                return Err(Error::NotReady { name, waited: begin.elapsed(), why, log });
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Kills it if it runs, restarts it with the same arguments, port and data, and waits until it is ready.
    pub async fn restart(&self) -> Result<()> {
        self.run_again().await?;
        self.wait_ready().await
    }

    /// Restarts it, and waits for nothing.
    pub async fn run_again(&self) -> Result<()> {
        if self.is_running() {
            self.kill().await?;
        }
        self.run().await
    }

    /// Sends SIGTERM, and waits for the end.
    pub async fn stop(&self) -> Result<Stopped> {
        let begin = Instant::now();
        self.signal(Signal::TERM)?;
        let status = self.wait_for("stop", STOP, || self.exited()).await?;
        Ok(Stopped { status, took: begin.elapsed() })
    }

    /// Sends SIGKILL, and waits for the end. This works on a frozen process too.
    pub async fn kill(&self) -> Result<()> {
        self.signal(Signal::KILL)?;
        self.wait_for("die", STOP, || self.exited()).await?;
        Ok(())
    }

    /// Sends SIGKILL if it runs, and waits for the end without a runtime, as drop does.
    pub fn end(&self) {
        let mut state = self.state();
        if let Some(mut child) = state.child.take() {
            // Neither can fail for a child that was not yet reaped.
            let _ = child.kill();
            state.ended = child.wait().ok();
        }
    }

    /// Sends SIGSTOP; on return none of its threads runs any more. Its sockets stay open.
    pub async fn freeze(&self) -> Result<()> {
        self.signal(Signal::STOP)?;
        self.wait_for("freeze", STOP, || Ok(self.is_frozen().then_some(()))).await
    }

    /// Sends SIGCONT.
    pub fn thaw(&self) -> Result<()> {
        self.signal(Signal::CONT)
    }

    /// Waits until it exits.
    pub async fn wait_exit(&self, timeout: Duration) -> Result<ExitStatus> {
        self.wait_for("end", timeout, || self.exited()).await
    }

    /// Returns its exit status, if it has ended.
    pub fn exited(&self) -> Result<Option<ExitStatus>> {
        self.state().poll().context(|| format!("wait for {}", self.launch.name))
    }

    /// Returns true if it has been started and has not ended; a frozen process counts as running.
    #[must_use]
    pub fn is_running(&self) -> bool {
        let mut state = self.state();
        state.poll().is_ok() && state.child.is_some()
    }

    /// Returns its process id while it runs.
    #[must_use]
    pub fn id(&self) -> Option<u32> {
        self.state().child.as_ref().map(Child::id)
    }

    /// Returns the file of its output.
    #[must_use]
    pub fn log_path(&self) -> &Path {
        &self.launch.log
    }

    /// Returns all its output so far, of earlier runs too.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read(&self.launch.log)
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    /// Returns the last lines of its output.
    #[must_use]
    pub fn log_tail(&self) -> String {
        let log = self.log();
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a signal. The lock is held throughout, so that the process id can't be reused in between.
    fn signal(&self, signal: Signal) -> Result<()> {
        let mut state = self.state();
        let context = || format!("signal {}", self.launch.name);
        state.poll().context(context)?;
        match &state.child {
            Some(child) => kill_process(Pid::from_child(child), signal).context(context),
            None => Err(Error::NotRunning(self.launch.name.clone())),
        }
    }

    /// The third field of `/proc/<pid>/stat`, after the name in brackets, is the state; proc(5).
    fn is_frozen(&self) -> bool {
        let state = |stat: String| stat.rsplit(')').next().map(|rest| rest.trim_start().starts_with('T'));
        let tasks = self.id().map(|id| format!("/proc/{id}/task"));
        let Some(tasks) = tasks.and_then(|path| std::fs::read_dir(path).ok()) else { return false };
        // A thread that has ended meanwhile has no file.
        tasks
            .flatten()
            .all(|task| std::fs::read_to_string(task.path().join("stat")).ok().and_then(state) != Some(false))
    }

    async fn wait_for<T>(
        &self,
        what: &'static str,
        timeout: Duration,
        mut poll: impl FnMut() -> Result<Option<T>>,
    ) -> Result<T> {
        let begin = Instant::now();
        loop {
            if let Some(found) = poll()? {
                return Ok(found);
            }
            if begin.elapsed() > timeout {
                let (name, log) = (self.launch.name.clone(), self.log_tail());
                return Err(Error::Disobeyed { name, what, waited: begin.elapsed(), log });
            }
            tokio::time::sleep(POLL).await;
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}

type Order = (Command, oneshot::Sender<std::io::Result<Child>>);

/// The thread that starts all children: the kernel's death signal is tied to the thread that started a child
/// (prctl(2), `PR_SET_PDEATHSIG`), and the threads of a test end with it.
static SPAWNER: LazyLock<mpsc::Sender<Order>> = LazyLock::new(|| {
    let (sender, orders) = mpsc::channel::<Order>();
    std::thread::spawn(move || {
        for (mut command, answer) in orders {
            if let Err(Ok(mut child)) = answer.send(command.spawn()) {
                // The caller has ended: no one would ever stop the child.
                let _ = child.kill();
                let _ = child.wait();
            }
        }
    });
    sender
});

async fn spawn(command: Command) -> std::io::Result<Child> {
    let (answer, child) = oneshot::channel();
    SPAWNER.send((command, answer)).map_err(std::io::Error::other)?;
    child.await.map_err(std::io::Error::other)?
}
