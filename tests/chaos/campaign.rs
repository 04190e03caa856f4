//! A campaign: hosts side by side, rounds one after the other, a verdict after each, and the figures at the end.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::sleep;
use std::time::{Duration, Instant};

use windlass::deploy::event::Outcome;

use crate::acts::{Act, Moment};
use crate::host::Host;
use crate::journal::{self, Told};
use crate::random::Random;
use crate::stack::GOOD;
use crate::verdict;

/// How long windlass may write nothing down before a deployment without an outcome counts as stuck.
const STUCK: Duration = Duration::from_secs(300);
/// How long the engine may take to come to rest once all deployments have their outcome.
const REST: Duration = Duration::from_secs(45);
/// After so many rounds that went wrong no more is learnt.
const ENOUGH: usize = 25;

/// When no more rounds are begun: when one of these is reached.
pub struct Limit {
    pub kills: Option<u64>,
    pub time: Option<Duration>,
    pub rounds: Option<u64>,
}

pub struct Campaign {
    name: &'static str,
    seed: u64,
    limit: Limit,
    begun: Instant,
    figures: Mutex<BTreeMap<String, u64>>,
    /// How many rounds went wrong.
    wrong: AtomicUsize,
    /// The last minute in which it was said how far it is.
    said: AtomicU64,
}

/// What a host has done so far in a round.
struct Round<'a> {
    host: &'a Host,
    number: u64,
    /// What was accepted since the host was made.
    accepted: &'a mut Vec<String>,
    /// The newest of each project.
    newest: Vec<Option<String>>,
    diary: Diary,
}

/// What was done in a round, and when.
#[derive(Clone)]
struct Diary {
    begun: Instant,
    text: Arc<Mutex<String>>,
}

impl Campaign {
    pub fn new(name: &'static str, seed: u64, limit: Limit) -> Self {
        let (wrong, said) = (AtomicUsize::new(0), AtomicU64::new(0));
        Self { name, seed, limit, begun: Instant::now(), figures: Mutex::default(), wrong, said }
    }

    /// Runs it to its end, and fails when anything went wrong.
    pub fn run(
        &self,
        numbers: Vec<usize>,
        host: impl Fn(usize) -> Host + Sync,
        plan: impl Fn(&mut Random, &Host) -> Vec<Moment> + Sync,
    ) {
        eprintln!("chaos: {}: seed {}", self.name, self.seed);
        std::thread::scope(|scope| {
            for number in numbers {
                let (host, plan) = (&host, &plan);
                scope.spawn(move || {
                    let run = || self.run_host(number, &host(number), plan);
                    if catch_unwind(AssertUnwindSafe(run)).is_err() {
                        self.fail(&format!("host {number}: the campaign itself panicked, see above"));
                    }
                });
            }
        });
        eprintln!("{}", self.figures());
        let wrong = self.wrong.load(Ordering::SeqCst);
        assert!(wrong == 0, "{wrong} rounds went wrong: see above and {}", self.directory().display());
    }

    fn run_host(&self, number: usize, host: &Host, plan: &(impl Fn(&mut Random, &Host) -> Vec<Moment> + Sync)) {
        let mut accepted = Vec::new();
        let deploy = |part, version| Moment { millis: 0, act: Act::Deploy { part, version, lingering: 0 } };
        host.start();
        host.await_ready().unwrap();
        let mut moments = (0..host.parts.len()).map(|part| deploy(part, GOOD[0])).collect();
        for round in 0.. {
            if !self.round(number, host, round, &mut accepted, moments) && !self.fix(host) {
                let why = "a good release cannot be deployed any more";
                return self.fail(&format!("host {number}: given up after round {round}: {why}"));
            }
            if !self.goes_on() {
                return;
            }
            self.count("rounds");
            self.say_how_far();
            moments = plan(&mut Random::of_round(self.seed, number, round + 1), host);
        }
    }

    /// A line each minute: long runs are watched.
    fn say_how_far(&self) {
        let minute = self.begun.elapsed().as_secs() / 60;
        if self.said.fetch_max(minute, Ordering::SeqCst) < minute {
            eprintln!("{}", self.figures().lines().next().unwrap_or_default());
        }
    }

    fn goes_on(&self) -> bool {
        let is_below = |name: &str, limit: Option<u64>| limit.is_none_or(|limit| self.figure(name) < limit);
        is_below("kills", self.limit.kills)
            && is_below("rounds", self.limit.rounds)
            && self.limit.time.is_none_or(|time| self.begun.elapsed() < time)
            && self.wrong.load(Ordering::SeqCst) < ENOUGH
    }

    /// Plays one round and looks at what came of it; whether all was well.
    fn round(&self, number: usize, host: &Host, round: u64, accepted: &mut Vec<String>, moments: Vec<Moment>) -> bool {
        let newest = vec![None; host.parts.len()];
        let diary = Diary { begun: Instant::now(), text: Arc::default() };
        let mut round = Round { host, number: round, accepted, newest, diary };
        let before = round.deployments().len();
        let mut faults = self.play(&mut round, moments);
        faults.extend(self.settle(&round));
        let deployments = round.deployments();
        for told in &deployments[before.min(deployments.len())..] {
            self.count("deployments");
            let outcome = told.outcome().map_or("no outcome", Outcome::as_str);
            self.count(&format!("ended {outcome}"));
            if outcome == "rollback_failed" {
                let reason = told.status.reason.as_deref().unwrap_or_default();
                faults.push(format!("rollback_failed: {} of {}: {reason}", told.id, told.project));
            }
        }
        faults.extend(verdict::in_the_database(host, round.accepted, &deployments));
        faults.extend(self.come_to_rest(&round, &deployments));
        for kind in ["lost", "stuck", "rollback_failed"] {
            for _ in faults.iter().filter(|fault| fault.starts_with(kind)) {
                self.count(kind);
            }
        }
        if faults.iter().any(|fault| fault.contains("does not run") || fault.contains("does not exist")) {
            self.count("down");
        }
        if !faults.is_empty() {
            self.fail(&self.report(number, &round, &faults, &deployments[before.min(deployments.len())..]));
        }
        faults.is_empty()
    }

    fn play(&self, round: &mut Round<'_>, moments: Vec<Moment>) -> Vec<String> {
        let host = round.host;
        let mut since = Instant::now();
        let mut frozen = Vec::new();
        let mut faults = Vec::new();
        std::thread::scope(|scope| {
            for Moment { millis, act } in moments {
                // The moment is the point here: nothing is waited for.
                sleep(Duration::from_millis(millis).saturating_sub(since.elapsed()));
                round.diary.note(&format!("{act:?}"));
                match act {
                    Act::Deploy { part, version, lingering } => {
                        host.linger(&host.parts[part], lingering);
                        let version = if version == "next" { round.other_than_runs(part) } else { version };
                        if lingering > 1_000 {
                            self.count("lingering deployments");
                        }
                        round.deploy(part, version);
                    }
                    Act::Cancel { part } => {
                        if let Some(id) = &round.newest[part] {
                            self.count("cancels");
                            let output = host.command(&["cancel", id]);
                            round.diary.note(&format!("cancel {id}: {} {}", output.code, output.stderr.trim()));
                        }
                    }
                    Act::Freeze { part } => {
                        self.count("freezes");
                        host.command(&["freeze", &host.parts[part].project]);
                        frozen.push(part);
                    }
                    Act::Reload => host.reload(),
                    Act::ComposeUp { stack } => {
                        self.count("compose up by hand");
                        let diary = round.diary.clone();
                        scope.spawn(move || {
                            let output = host.docker_compose(&host.stacks[stack], &["up", "--detach"]);
                            diary.note(&format!("compose up by hand ended: {} {}", output.code, output.stderr.trim()));
                        });
                    }
                    Act::Restart { stack, service } => {
                        self.count("restarts by hand");
                        let name = format!("{}-{service}-1", host.stacks[stack].name);
                        let diary = round.diary.clone();
                        scope.spawn(move || {
                            let output = host.engine.docker(&["restart", &name]).output();
                            diary.note(&format!("docker restart ended: {} {}", output.code, output.stderr.trim()));
                        });
                    }
                    Act::Kill { with_children, down } => {
                        if host.kill(with_children) {
                            self.count("kills");
                            self.count(if with_children { "kills with children" } else { "kills alone" });
                        }
                        sleep(Duration::from_millis(down));
                        host.start();
                    }
                    Act::RestartEngine => {
                        self.count("engine restarts");
                        scope.spawn(|| host.restart_engine());
                    }
                    Act::FillDisk { millis } => {
                        self.count("full disks");
                        scope.spawn(move || {
                            host.fill_disk();
                            sleep(Duration::from_millis(millis));
                            host.make_room();
                        });
                    }
                    Act::AwaitReplacement { part } => {
                        faults.extend(round.await_replacement(part));
                        since = Instant::now();
                    }
                }
            }
        });
        round.diary.note("nothing more is done");
        if self.figure("full disks") > 0 {
            host.revive();
        }
        faults.extend(host.await_ready().err());
        for part in frozen {
            host.command(&["unfreeze", &host.parts[part].project]);
        }
        faults
    }

    /// Waits until every deployment has its outcome, for as long as anything is written down.
    fn settle(&self, round: &Round<'_>) -> Option<String> {
        let mut last = (journal::progress(&round.host.state()).unwrap(), Instant::now());
        while !last.0.unfinished.is_empty() {
            let progress = journal::progress(&round.host.state()).unwrap();
            if progress != last.0 {
                last = (progress, Instant::now());
            } else if last.1.elapsed() > STUCK {
                return Some(format!("nothing was written down for {STUCK:?}"));
            }
            sleep(Duration::from_millis(100));
        }
        round.diary.note("every deployment has its outcome");
        None
    }

    /// What is wrong on the machine, once it does not change any more.
    fn come_to_rest(&self, round: &Round<'_>, deployments: &[Told]) -> Vec<String> {
        let until = Instant::now() + REST;
        let mut looks = 0;
        loop {
            let faults = verdict::on_the_machine(round.host, deployments);
            looks += 1;
            if looks == 1 && !faults.is_empty() {
                round.diary.note(&format!("at first: {}", faults.join("; ")));
            }
            if faults.is_empty() && looks > 1 {
                self.count("came to rest late");
            }
            if faults.is_empty() || Instant::now() > until {
                return faults;
            }
            sleep(Duration::from_millis(500));
        }
    }

    /// Has the host begin anew after a round that went wrong; whether that was possible.
    fn fix(&self, host: &Host) -> bool {
        host.kill(true);
        host.clear();
        host.start();
        host.await_ready().is_ok()
            && host.parts.iter().all(|part| {
                let Some(answer) = host.hook(part, GOOD[0]) else { return false };
                let id = answer.id();
                let outcome = |progress: journal::Progress| !progress.unfinished.contains(&id);
                let until = Instant::now() + STUCK;
                while !journal::progress(&host.state()).is_ok_and(outcome) {
                    if Instant::now() > until {
                        return false;
                    }
                    sleep(Duration::from_millis(100));
                }
                journal::read(&host.state())
                    .unwrap()
                    .iter()
                    .any(|told| told.id == id && told.outcome() == Some(Outcome::Succeeded))
            })
    }

    /// Everything that is needed to find the reason: in a directory that stays, the most important of it as a text.
    fn report(&self, number: usize, round: &Round<'_>, faults: &[String], deployments: &[Told]) -> String {
        let host = round.host;
        let directory = self.directory().join(format!("host-{number}-round-{}", round.number));
        fs::create_dir_all(&directory).unwrap();
        let containers = host.engine.docker(&["ps", "--all", "--no-trunc"]).output().stdout;
        let ids = host.engine.containers(&[&format!("name={}", host.name)]);
        let inspected = host.engine.docker(&["inspect"]).args(&ids).output().stdout;
        let log = fs::read_to_string(host.log()).unwrap_or_default();
        let mut told = String::new();
        for deployment in deployments {
            let outcome = deployment.outcome();
            writeln!(told, "{} of {}: {outcome:?}", deployment.id, deployment.project).unwrap();
            for event in &deployment.events {
                writeln!(told, "  {event}").unwrap();
            }
        }
        let head = format!(
            "chaos: {}: seed {}, host {number} ({}), round {}: {} faults\n  {}\nWhat was done, in milliseconds:\n{}",
            self.name,
            self.seed,
            host.name,
            round.number,
            faults.len(),
            faults.join("\n  "),
            round.diary.text.lock().unwrap(),
        );
        for (name, text) in [
            ("round", &head),
            ("windlass.log", &log),
            ("docker-ps", &containers),
            ("docker-inspect", &inspected),
            ("journal", &told),
        ] {
            fs::write(directory.join(name), text).unwrap();
        }
        let of_host: Vec<&str> = containers.lines().filter(|line| line.contains(&host.name)).collect();
        let ends = |text: &str, lines: usize| {
            let all: Vec<&str> = text.lines().collect();
            all[all.len().saturating_sub(lines)..].join("\n")
        };
        format!(
            "{head}docker ps --all:\n{}\nThe journal:\n{}\nThe end of windlass' log:\n{}\nAll of it: {}",
            of_host.join("\n"),
            ends(&told, 60),
            ends(&log, 40),
            directory.display()
        )
    }

    /// Where reports stay.
    fn directory(&self) -> PathBuf {
        std::env::temp_dir().join("windlass-chaos").join(format!("{}-{}", self.name, self.seed))
    }

    fn fail(&self, text: &str) {
        eprintln!("{text}\n");
        self.wrong.fetch_add(1, Ordering::SeqCst);
    }

    fn count(&self, name: &str) {
        *self.figures.lock().unwrap().entry(name.to_owned()).or_default() += 1;
    }

    fn figure(&self, name: &str) -> u64 {
        self.figures.lock().unwrap().get(name).copied().unwrap_or_default()
    }

    fn figures(&self) -> String {
        let mut text = format!("chaos: {}: seed {}, {} s", self.name, self.seed, self.begun.elapsed().as_secs());
        let always = ["kills", "deployments", "rollback_failed", "lost", "stuck", "down"];
        for name in always {
            write!(text, ", {name} {}", self.figure(name)).unwrap();
        }
        for (name, number) in self.figures.lock().unwrap().iter().filter(|(name, _)| !always.contains(&name.as_str())) {
            write!(text, "\n  {name}: {number}").unwrap();
        }
        text
    }
}

impl Diary {
    fn note(&self, text: &str) {
        writeln!(self.text.lock().unwrap(), "{:>7} {text}", self.begun.elapsed().as_millis()).unwrap();
    }
}

impl Round<'_> {
    fn deploy(&mut self, part: usize, version: &'static str) {
        let answer = self.host.hook(&self.host.parts[part], version);
        let said = answer.as_ref().map_or_else(|| "no answer".to_owned(), |answer| answer.status.to_string());
        if let Some(id) = answer.filter(|answer| answer.status == 202).map(|answer| answer.id()) {
            self.diary.note(&format!("{version} was accepted: {id}"));
            self.accepted.push(id.clone());
            self.newest[part] = Some(id);
        } else {
            self.diary.note(&format!("{version} was not accepted: {said}"));
        }
    }

    /// A good release other than the one in service.
    fn other_than_runs(&self, part: usize) -> &'static str {
        let part = &self.host.parts[part];
        let deployments = self.deployments();
        let newest = deployments
            .iter()
            .rev()
            .find(|told| told.project == part.project && told.outcome() == Some(Outcome::Succeeded));
        let runs =
            newest.and_then(|told| told.status.release.iter().flatten().next().map(|image| image.digest.to_string()));
        GOOD.into_iter().find(|version| runs.as_deref() != Some(self.host.digest(part, version))).unwrap()
    }

    fn await_replacement(&self, part: usize) -> Option<String> {
        let Some(id) = &self.newest[part] else { return Some("a hook was not accepted".to_owned()) };
        let until = Instant::now() + STUCK;
        loop {
            let deployments = self.deployments();
            let told = deployments.iter().find(|told| told.id == *id)?;
            if told.is_replacing() {
                return None;
            }
            if told.outcome().is_some() || Instant::now() > until {
                return Some(format!("{id} did not come to replace anything"));
            }
            sleep(Duration::from_millis(20));
        }
    }

    fn deployments(&self) -> Vec<Told> {
        journal::read(&self.host.state()).unwrap()
    }
}
