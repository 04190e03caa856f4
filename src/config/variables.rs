//! Which variables of the environment there are: `WINDLASS_…` for every single setting, and those of the command.

use super::document::environment::Variables;
use super::schema;

/// All variables that begin with `WINDLASS_`.
pub(super) fn variables() -> Variables {
    Variables {
        prefix: "WINDLASS",
        settings: schema::single_settings,
        // What the command reads for itself.
        others: &["CONFIG", "LOG", "URL", "KEY_FILE"],
    }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::super::testbed::Testbed;
    use super::*;

    #[test]
    fn every_single_setting_can_be_overridden_and_wins_over_the_file() {
        let file = "concurrency = 3\nlisten = '127.0.0.1:1'\n[limits]\nqueue = 4\nbody = '2MiB'\n[registries.'a.b']\n\
                    username = 'u'\npassword_file = 'p'\n";
        let testbed = Testbed::new().secret("p", "password", 0o600).file("config.toml", file);
        let loaded = testbed.load(&[
            ("WINDLASS_LISTEN", "[::1]:2"),
            ("WINDLASS_METRICS_LISTEN", "127.0.0.1:3"),
            ("WINDLASS_DRAIN_TIMEOUT", "5s"),
            ("WINDLASS_CONCURRENCY", "7"),
            ("WINDLASS_LIMITS__QUEUE", "8"),
            ("WINDLASS_LIMITS__CONNECTIONS", "9"),
            ("WINDLASS_LIMITS__HEADER_TIMEOUT", "1s"),
            ("WINDLASS_LIMITS__BODY_TIMEOUT", "2s"),
            ("WINDLASS_SOCKET", "/tmp/s"),
            ("WINDLASS_ENGINE__HOST", "unix:///x"),
        ]);
        let (settings, _) = loaded.unwrap();
        assert_eq!(settings.host.listen.to_string(), "[::1]:2");
        assert_eq!(settings.host.metrics_listen.unwrap().port(), 3);
        assert_eq!(settings.host.concurrency, 7);
        assert_eq!(format!("{:?}", settings.host.drain_timeout), "5s");
        assert_eq!((settings.host.limits.queue, settings.host.limits.connections), (8, 9));
        assert_eq!(
            format!("{:?} {:?}", settings.host.limits.http.header_timeout, settings.host.limits.http.body_timeout),
            "1s 2s"
        );
        assert_eq!(settings.machine.docker_host.as_deref(), Some("unix:///x"));
        assert_eq!(
            (settings.host.limits.http.body, settings.machine.registries.len()),
            (2 << 20, 1),
            "the others stay"
        );
    }

    #[test]
    fn every_setting_that_is_one_value_has_a_variable_and_nothing_else_has() {
        let settings = schema::single_settings();
        for setting in ["listen", "metrics_listen", "limits.body", "retention.days", "engine.host"] {
            assert!(settings.iter().any(|key| key == setting), "{setting}: {settings:?}");
        }
        for others in ["registries", "compat", "projects"] {
            assert!(!settings.iter().any(|key| key.starts_with(others)), "{others}: {settings:?}");
        }
    }

    #[test]
    fn a_variable_that_is_unknown_or_wrong_is_told_by_its_name() {
        let problems = Testbed::new().problems_with(&[
            ("WINDLASS_LISTN", "127.0.0.1:1"),
            ("WINDLASS_LIMITS_BODY", "1MiB"),
            ("WINDLASS_LIMITS__QUEUE", "many"),
            ("WINDLASS_LIMITS__BODY", "1024"),
            ("WINDLASS_CONCURRENCY", "0"),
            ("WINDLASS_PROJECTS__SHOP__KEEP", "3"),
            ("WINDLASS_ENGINE__HOST", "ssh://host"),
        ]);
        assert_snapshot!(problems, @r#"
        environment: WINDLASS_CONCURRENCY: must be from 1 to 100000, not 0
        environment: WINDLASS_ENGINE__HOST: "ssh://host" is not where the engine listens, such as "unix:///run/docker.sock" or "tcp://127.0.0.1:2375"
        environment: WINDLASS_LIMITS_BODY: unknown variable; did you mean `WINDLASS_LIMITS__BODY`?
        environment: WINDLASS_LIMITS__BODY: a size has a unit: write "1024B", "1024KiB" or "1024MiB"
        environment: WINDLASS_LIMITS__QUEUE: expected an integer, not string "many"
        environment: WINDLASS_LISTN: unknown variable; did you mean `WINDLASS_LISTEN`?
        environment: WINDLASS_PROJECTS__SHOP__KEEP: unknown variable
        "#);
    }

    #[test]
    fn what_the_command_reads_what_others_read_and_what_is_empty_is_not_looked_at() {
        let testbed = Testbed::new();
        testbed.settings(&[
            ("WINDLASS_CONFIG", "x"),
            ("WINDLASS_LOG", "debug"),
            ("WINDLASS_URL", "x"),
            ("WINDLASS_KEY_FILE", "x"),
            ("WINDLASS_LISTEN", ""),
            ("OTHER_WINDLASS_X", "x"),
            ("WINDLASSX", "x"),
        ]);
    }
}
