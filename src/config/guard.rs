//! Who may write what the configuration is read from: whoever can, has windlass run what they like.

use std::fmt;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use nix::unistd::{Gid, Group, Uid, User, geteuid};

use super::document::problem::Problem;

/// The user of the service, and what systemd gives to it where another was chosen.
const SERVICE: &str = "windlass";
const STATE: &str = "/var/lib/windlass";

/// The users to whom files of the configuration may belong.
#[derive(Debug, Clone)]
pub(super) struct Owners(Vec<u32>);

/// What is wrong with a file's owner or mode, and the command that corrects it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Exposed {
    what: String,
    command: &'static str,
}

/// Of a file or directory, what decides who may write it.
#[derive(Debug, Clone, Copy)]
struct Access {
    owner: u32,
    group: u32,
    mode: u32,
    is_directory: bool,
}

impl Owners {
    /// Root and the user that this process runs as. Root also looks at what the service reads, which has a user of its
    /// own.
    pub(super) fn of_this_process() -> Self {
        let mut owners = vec![0, geteuid().as_raw()];
        if geteuid().is_root() {
            owners.extend(User::from_name(SERVICE).ok().flatten().map(|user| user.uid.as_raw()));
            owners.extend(std::fs::metadata(STATE).ok().map(|state| state.uid()));
        }
        Self(owners)
    }

    /// The user who is to own what windlass reads and nobody else may: that of the service where there is one.
    pub(super) fn reader(&self) -> String {
        self.0.get(2).or_else(|| self.0.get(1)).map_or_else(|| "root".to_owned(), |user| name_of(*user))
    }

    /// As if this process ran as nobody who owns anything.
    #[cfg(test)]
    pub(super) const fn nobody() -> Self {
        Self(Vec::new())
    }

    /// Whether somebody else owns the file, and so can change it.
    pub(super) fn foreign(&self, metadata: &Metadata) -> Option<Exposed> {
        self.not_ours(Access::of(metadata))
    }

    /// The problem of a file or directory that somebody else can change.
    pub(super) fn problem(&self, file: &Path, metadata: &Metadata) -> Option<Problem> {
        let access = Access::of(metadata);
        let exposed = self.not_ours(access).or_else(|| access.writable(is_private))?;
        let Exposed { what, command } = exposed;
        Some(Problem::with_file(file, what).fix(format!("run `{command} {}`", file.display())))
    }

    fn not_ours(&self, access: Access) -> Option<Exposed> {
        let Access { owner, .. } = access;
        (!self.0.contains(&owner)).then(|| Exposed {
            what: format!("belongs to {}, who can change it", name_of(owner)),
            command: "sudo chown root",
        })
    }
}

impl Access {
    fn of(metadata: &Metadata) -> Self {
        Self {
            owner: metadata.uid(),
            group: metadata.gid(),
            mode: metadata.mode() & 0o7777,
            is_directory: metadata.is_dir(),
        }
    }

    /// Who else may write it. A group of the owner's own is the owner.
    fn writable(self, is_private: impl Fn(Self) -> bool) -> Option<Exposed> {
        let Self { group, mode, is_directory, .. } = self;
        // In a sticky one nobody can replace the files of others, and what is new belongs to the one who made it.
        if is_directory && mode & 0o1000 != 0 {
            return None;
        }
        if mode & 0o002 != 0 {
            let what = format!("can be written by everybody (mode {mode:04o})");
            return Some(Exposed { what, command: "sudo chmod go-w" });
        }
        if mode & 0o020 != 0 && group != 0 && !is_private(self) {
            let group = Group::from_gid(Gid::from_raw(group)).ok().flatten();
            let group = group.map_or_else(|| format!("{}", self.group), |group| group.name);
            let what = format!("can be written by the group {group} (mode {mode:04o})");
            return Some(Exposed { what, command: "sudo chmod g-w" });
        }
        None
    }
}

/// Whether nobody is in the group but the owner: many systems give each user such a one, and let it write.
fn is_private(access: Access) -> bool {
    let owner = User::from_uid(Uid::from_raw(access.owner)).ok().flatten();
    let group = Group::from_gid(Gid::from_raw(access.group)).ok().flatten();
    match (owner, group) {
        (Some(owner), Some(group)) => {
            owner.gid == group.gid && owner.name == group.name && group.mem.iter().all(|member| *member == owner.name)
        }
        _ => false,
    }
}

fn name_of(user: u32) -> String {
    let known = User::from_uid(Uid::from_raw(user)).ok().flatten();
    known.map_or_else(|| format!("user {user}"), |known| known.name)
}

impl fmt::Display for Exposed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access(owner: u32, group: u32, mode: u32) -> Access {
        Access { owner, group, mode, is_directory: false }
    }

    #[test]
    fn what_belongs_to_root_or_to_the_user_of_windlass_is_ours_and_what_belongs_to_others_is_not() {
        let owners = Owners(vec![0, 998]);
        for ours in [0, 998] {
            assert_eq!(owners.not_ours(access(ours, 5, 0o600)), None);
        }
        let exposed = owners.not_ours(access(4_000_000_000, 0, 0o600)).unwrap();
        assert_eq!(
            (exposed.to_string().as_str(), exposed.command),
            ("belongs to user 4000000000, who can change it", "sudo chown root")
        );
        assert!(Owners::of_this_process().not_ours(access(geteuid().as_raw(), 5, 0o600)).is_none());
    }

    #[test]
    fn nobody_may_write_it_but_its_owner_root_and_a_group_of_the_owners_own() {
        let told = |access: Access, private: bool| access.writable(|_| private).map(|exposed| exposed.to_string());
        for harmless in [0o644, 0o600, 0o755, 0o1755, 0o444] {
            assert_eq!(told(access(0, 7, harmless), false), None, "{harmless:o}");
        }
        let directory = |mode| told(Access { is_directory: true, ..access(0, 0, mode) }, false);
        assert_eq!((directory(0o1777), directory(0o755)), (None, None));
        assert!(directory(0o777).is_some());
        for by_all in [0o666, 0o646, 0o777, 0o1777] {
            assert!(told(access(0, 0, by_all), true).unwrap().starts_with("can be written by everybody"), "{by_all:o}");
        }
        let group = access(0, 4_000_000_000, 0o664);
        assert_eq!(told(group, false).unwrap(), "can be written by the group 4000000000 (mode 0664)");
        assert_eq!(told(group, true), None);
        assert_eq!(told(access(0, 0, 0o664), false), None, "the group is root's");
    }
}
