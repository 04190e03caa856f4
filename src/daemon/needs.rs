//! What windlass itself needs on this host: a state directory with room, a socket, ports; and whether one runs already.

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::os::unix::net::UnixStream;
use std::path::Path;

use nix::sys::statvfs::statvfs;
use nix::unistd::{AccessFlags, User, access, geteuid};

use super::record::Record;
use crate::config::Settings;
use crate::host::finding::Finding;
use crate::store;

/// With less room than this nothing can be relied on, and with less than that it will not last.
const MIB: u64 = 1024 * 1024;
const TOO_LITTLE: u64 = 16 * MIB;
const LITTLE: u64 = 256 * MIB;

/// Looks at all of it. Blocks as long as a disk takes.
pub(super) fn survey(settings: &Settings) -> Vec<Finding> {
    let (running, daemon) = daemon(settings);
    let mut findings = vec![daemon, state(&settings.host.state_dir)];
    findings.extend(settings.machine.runs.as_deref().and_then(runs));
    findings.extend(room(&settings.host.state_dir, "the state directory", [TOO_LITTLE, LITTLE]));
    findings.push(socket(&settings.host.socket, running.as_ref()));
    let addresses = [("listen", Some(settings.host.listen)), ("metrics_listen", settings.host.metrics_listen)];
    findings.extend(addresses.into_iter().filter_map(|(key, address)| Some(port(key, address?, running.as_ref()))));
    findings
}

/// Which windlass runs on the state directory, and whether it has read the configuration as it is on disk.
fn daemon(settings: &Settings) -> (Option<Record>, Finding) {
    let directory = settings.host.state_dir.display();
    match store::is_in_use(&settings.host.state_dir) {
        Ok(false) => return (None, Finding::ok(format!("no windlass runs on {directory}"))),
        Ok(true) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return (None, Finding::ok(format!("no windlass runs on {directory}, which is not there yet")));
        }
        Err(error) => {
            let what = format!("whether a windlass runs on {directory} cannot be found out: {error}{}", as_whom());
            return (None, Finding::warning(what));
        }
    }
    let record = match Record::read(&settings.host.state_dir) {
        Ok(record) => record,
        Err(error) => {
            let what = format!("something runs on {directory} and does not say what it has read: {error}{}", as_whom());
            return (None, Finding::warning(what));
        }
    };
    let pid = record.pid;
    let outdated = record.outdated(settings);
    let finding = if record.version != env!("CARGO_PKG_VERSION") {
        let (old, new) = (&record.version, env!("CARGO_PKG_VERSION"));
        Finding::warning(format!("the windlass that runs (pid {pid}) is {old}, and this one is {new}: restart it"))
    } else if let Some(file) = outdated {
        let file = file.display();
        Finding::warning(format!(
            "the windlass that runs (pid {pid}) has not read {file} as it is now: `systemctl reload windlass`, or `kill -HUP {pid}`"
        ))
    } else if record.socket != settings.host.socket {
        let old = record.socket.display();
        Finding::warning(format!(
            "the windlass that runs (pid {pid}) has its socket at {old}, as `socket` was when it started: restart it"
        ))
    } else {
        Finding::ok(format!("windlass runs (pid {pid}) with the configuration that is on disk"))
    };
    (Some(record), finding)
}

/// That no run of a program can be recorded, where the directory for it is there and that is so.
fn runs(directory: &Path) -> Option<Finding> {
    let error = write_into(directory).err()?;
    let shown = directory.display();
    let finds_out = error.kind() != ErrorKind::NotFound && !is_somebody_elses(directory, &error);
    finds_out.then(|| {
        Finding::error(format!(
            "{shown} cannot be written: {error}: no deployment starts a program without a record there"
        ))
    })
}

/// Whether something can be written into the state directory: it is tried.
fn state(directory: &Path) -> Finding {
    let shown = directory.display();
    match write_into(directory) {
        Ok(()) => Finding::ok(format!("the state directory {shown} can be written")),
        Err(error) if error.kind() == ErrorKind::NotFound => can_be_made(directory, "the state directory"),
        Err(error) if is_somebody_elses(directory, &error) => {
            Finding::warning(format!("whether {shown} can be written cannot be found out: {error}{}", as_whom()))
        }
        Err(error) => Finding::error(format!(
            "the state directory {shown} cannot be written: {error}: give windlass a directory of its own with room, or set `state_dir`"
        )),
    }
}

fn write_into(directory: &Path) -> io::Result<()> {
    let file = directory.join(format!(".check.{}", std::process::id()));
    let mut probe = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&file)?;
    let written = probe.write_all(&[0; 64 * 1024]).and_then(|()| probe.sync_all());
    fs::remove_file(&file)?;
    written
}

fn is_somebody_elses(directory: &Path, error: &io::Error) -> bool {
    let owner = fs::metadata(directory).map(|metadata| metadata.uid()).ok();
    error.kind() == ErrorKind::PermissionDenied && owner != Some(geteuid().as_raw())
}

/// Whether a directory that is not there can be made: in the nearest one above it.
fn can_be_made(path: &Path, what: &str) -> Finding {
    let shown = path.display();
    let above = path.ancestors().skip(1).find(|above| above.exists()).unwrap_or(Path::new("/"));
    match access(above, AccessFlags::W_OK | AccessFlags::X_OK) {
        Ok(()) => Finding::ok(format!("{what} {shown} is not there yet and can be made")),
        Err(nix::errno::Errno::EACCES) if !geteuid().is_root() => {
            let above = above.display();
            Finding::warning(format!("{what} {shown} cannot be made in {above} by this user{}", as_whom()))
        }
        Err(error) => Finding::error(format!("{what} {shown} cannot be made in {}: {error}", above.display())),
    }
}

/// How much room there is where `path` is; nothing where that cannot be read. `[too little, little]` in bytes.
pub(super) fn room(path: &Path, what: &str, [too_little, little]: [u64; 2]) -> Option<Finding> {
    let there = path.ancestors().find(|there| there.exists())?;
    let found = statvfs(there).ok()?;
    let free = found.blocks_available().saturating_mul(found.fragment_size());
    let (shown, mib) = (path.display(), free / MIB);
    // Where inodes are counted, files can run out before bytes do.
    if found.files() > 0 && found.files_available() == 0 {
        return Some(Finding::error(format!(
            "no more files can be made where {what} {shown} is: it has no inodes left"
        )));
    }
    let room = format!("{mib} MiB are free where {what} {shown} is");
    Some(if free < too_little {
        Finding::error(format!("{room}: make room"))
    } else if free < little {
        Finding::warning(format!("{room}: make room soon"))
    } else {
        Finding::ok(room)
    })
}

/// Whether the operators' socket can be had.
fn socket(path: &Path, running: Option<&Record>) -> Finding {
    let shown = path.display();
    let is_ours = running.is_some_and(|record| record.socket == path);
    match (UnixStream::connect(path), is_ours) {
        (Ok(_), true) => Finding::ok(format!("windlass answers on the socket {shown}")),
        (Ok(_), false) => Finding::error(format!(
            "another windlass, or another program, listens on {shown}: stop it, or set `socket` to another path"
        )),
        (Err(error), true) => {
            Finding::warning(format!("the windlass that runs cannot be reached on {shown}: {error}{}", as_whom()))
        }
        (Err(error), false) if error.kind() == ErrorKind::PermissionDenied => {
            Finding::warning(format!("whether anybody listens on {shown} cannot be found out: {error}{}", as_whom()))
        }
        (Err(_), false) => can_be_made(path, "the socket"),
    }
}

/// Whether the address can be listened on, or windlass does so already.
fn port(key: &str, address: SocketAddr, running: Option<&Record>) -> Finding {
    match TcpListener::bind(address) {
        Ok(_) => Finding::ok(format!("`{key}`: {address} can be listened on")),
        Err(error) if error.kind() != ErrorKind::AddrInUse => Finding::error(format!(
            "`{key}`: {address} cannot be listened on: {error}: set it to an address of this host"
        )),
        Err(_) if running.is_some_and(|record| record.addresses.contains(&address)) => {
            Finding::ok(format!("`{key}`: the windlass that runs listens on {address}"))
        }
        Err(_) => match is_held_by_systemd(address.port()) {
            Some(true) => Finding::ok(format!("`{key}`: systemd listens on {address} for windlass")),
            Some(false) => Finding::error(format!(
                "`{key}`: another program listens on {address}: `ss -ltnp 'sport = :{}'` shows which; stop it, or set `{key}` to another address",
                address.port()
            )),
            None => Finding::warning(format!(
                "`{key}`: something listens on {address}; which program cannot be found out{}",
                as_whom()
            )),
        },
    }
}

/// Whether PID 1 has a socket that listens on `port`: a unit hands it over. Nothing where that may not be looked at.
fn is_held_by_systemd(port: u16) -> Option<bool> {
    let mut inodes = Vec::new();
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        inodes.extend(listening(&fs::read_to_string(table).unwrap_or_default(), port));
    }
    let mut handles = fs::read_dir("/proc/1/fd").ok()?;
    Some(handles.any(|handle| {
        let target = handle.ok().and_then(|handle| fs::read_link(handle.path()).ok());
        target.is_some_and(|target| inodes.iter().any(|inode| target == Path::new(&format!("socket:[{inode}]"))))
    }))
}

/// The inodes of the sockets that listen on `port`, in a table of the kernel: see proc(5).
fn listening(table: &str, port: u16) -> Vec<String> {
    let of_line = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [_, local, _, state, _, _, _, _, _, inode, ..] = fields.as_slice() else { return None };
        let (_, local_port) = local.rsplit_once(':')?;
        (*state == "0A" && u16::from_str_radix(local_port, 16) == Ok(port)).then(|| (*inode).to_owned())
    };
    table.lines().filter_map(of_line).collect()
}

/// What to do about not being allowed to look.
fn as_whom() -> String {
    if geteuid().is_root() {
        return String::new();
    }
    let user = User::from_uid(geteuid()).ok().flatten().map_or_else(|| "this user".to_owned(), |user| user.name);
    format!(" (as {user}); run it as root")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::finding::Severity;

    #[test]
    fn a_listening_socket_is_found_in_the_kernels_table() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
            \x20  0: 0100007F:2332 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0\n\
            \x20  1: 0100007F:2332 0100007F:9999 01 00000000:00000000 00:00000000 00000000     0        0 4712 1 0\n";
        assert_eq!(listening(table, 9010), ["4711"]);
        assert!(listening(table, 9011).is_empty());
    }

    #[test]
    fn a_port_that_another_program_has_is_a_failure_and_one_that_windlass_has_is_none() {
        let other = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = other.local_addr().unwrap();
        let taken = port("listen", address, None);
        assert_ne!(taken.severity, Severity::Ok, "{taken:?}");
        assert!(taken.what.contains(&address.to_string()), "{taken:?}");
        let record = Record {
            pid: 7,
            version: String::new(),
            addresses: vec![address],
            socket: "/run/w.sock".into(),
            read_at: crate::model::Timestamp::from_millis(0),
            files: vec![],
        };
        assert_eq!(port("listen", address, Some(&record)).severity, Severity::Ok);
        drop(other);
        assert_eq!(port("listen", address, None).severity, Severity::Ok);
        let foreign = port("listen", "192.0.2.1:9010".parse().unwrap(), None);
        assert_eq!(foreign.severity, Severity::Error, "{foreign:?}");
    }

    #[test]
    fn little_room_is_a_warning_and_too_little_a_failure() {
        let directory = tempfile::tempdir().unwrap();
        let severity = |bounds| room(&directory.path().join("not/yet"), "it", bounds).unwrap().severity;
        assert_eq!(severity([0, 0]), Severity::Ok);
        assert_eq!(severity([0, u64::MAX]), Severity::Warning);
        assert_eq!(severity([u64::MAX, u64::MAX]), Severity::Error);
    }

    #[test]
    fn a_state_directory_is_written_to_and_left_as_it_was() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(state(directory.path()).severity, Severity::Ok);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
        assert_eq!(state(&directory.path().join("not/yet")).severity, Severity::Ok);
        fs::write(directory.path().join("file"), "").unwrap();
        let file = state(&directory.path().join("file"));
        assert_eq!(file.severity, Severity::Error, "{file:?}");
        let runs = runs(&directory.path().join("file")).unwrap();
        assert!(runs.severity == Severity::Error && runs.what.contains("/file cannot be written"), "{runs:?}");
        assert_eq!(super::runs(directory.path()), None);
        assert_eq!(super::runs(&directory.path().join("not/yet")), None);
    }
}
