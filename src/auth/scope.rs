//! What a key may do within its project.

/// What a key can be allowed to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Permission {
    /// To ask for a deployment.
    Deploy,
    /// To look at deployments.
    Read,
}

/// What a key may do within its project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    /// Both, unless it is said.
    pub may: Vec<Permission>,
    /// Globs of tags, narrower than the project's own; none means all that the project allows.
    pub tags: Vec<String>,
}

impl Scope {
    /// Whether it allows this.
    #[must_use]
    pub fn allows(&self, permission: Permission) -> bool {
        self.may.contains(&permission)
    }
}

impl Default for Scope {
    fn default() -> Self {
        Self { may: vec![Permission::Deploy, Permission::Read], tags: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_allows_what_it_names_and_by_default_both() {
        let read = Scope { may: vec![Permission::Read], tags: Vec::new() };
        assert!(read.allows(Permission::Read) && !read.allows(Permission::Deploy));
        assert!(Scope::default().allows(Permission::Read) && Scope::default().allows(Permission::Deploy));
    }
}
